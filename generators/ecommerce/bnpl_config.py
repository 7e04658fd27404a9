"""What determines purchases: the config of `bnpl`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator

from generators.config import GeneratorConfig
from generators.ecommerce import bnpl_tables
from generators.ecommerce.bnpl_drift import BNPLDrift
from generators.ecommerce.catalogue import CATEGORIES
from generators.groups import Share
from generators.scenarios import DRIFT_FIELD


class BNPLConfig(GeneratorConfig):
    """What determines BNPL purchases."""

    hour_curve: Literal["smooth", "block"] = Field(default="smooth", description="Shape of the day: smooth or block.")
    market: Literal["guide", "cfpb"] = Field(
        default="guide", description="Mix of credit scores and categories: the field guide's, or the CFPB's for the US."
    )
    price_law: Literal["lognormal", "uniform"] = Field(
        default="lognormal", description="Law of prices inside a category's range."
    )
    base_default_rate: float = Field(default=0.03, ge=0.001, le=0.15, description="Level of the default model.")
    seasonal_multiplier: float = Field(
        default=1.2, ge=0, le=5, description="Factor of default probabilities from 15 November to 31 December."
    )
    economic_stress: Share | dict[Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")], Share] = Field(
        default=0.0, description="Stress in [0, 1]: one value, or month (YYYY-MM) -> value, 0 in months not named."
    )
    credit_risk_shift: float = Field(
        default=0.0, ge=-2, le=2, description="Shift of customers' latent credit risk, in standard deviations."
    )
    scenario_noise: Share = Field(
        default=0.08, description="Share of rows whose checkout speed does not follow the scenario."
    )
    status_mode: Literal["completed", "lifecycle"] = Field(
        default="completed", description="lifecycle: 11% of purchases are returned and 3% cancelled."
    )
    eligible_categories: tuple[str, ...] = Field(
        default=("electronics", "clothing", "home"), description="Categories that may be financed."
    )
    minimum_price: float = Field(default=50.0, ge=0, le=400, description="Lowest price that may be financed, USD.")
    enforce_eligibility: bool = Field(default=False, description="Whether only eligible products are sold.")
    drift: tuple[BNPLDrift, ...] = Field(default=(), description=DRIFT_FIELD)

    @field_validator("country")
    @classmethod
    def _has_currency(cls, value: str) -> str:
        if value not in bnpl_tables.CURRENCIES:
            raise ValueError(f"no currency is known for it; allowed: {', '.join(bnpl_tables.CURRENCIES)}")
        return value

    @field_validator("eligible_categories")
    @classmethod
    def _known_categories(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - set(CATEGORIES):
            raise ValueError(f"allowed: one or more of {', '.join(CATEGORIES)}")
        return value

    def stress(self, day: date) -> float:
        """Return the economic stress of a day's month."""
        if isinstance(self.economic_stress, dict):
            return self.economic_stress.get(f"{day:%Y-%m}", 0.0)
        return self.economic_stress
