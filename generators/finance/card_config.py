"""What determines card payments: the config of `credit_cards`."""

from __future__ import annotations

import math
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from generators.config import GeneratorConfig, HolidayProfile
from generators.finance import cardholders, fraud, responses
from generators.finance.card_tables import FRAUD_TYPES
from generators.finance.geography import COUNTRIES, COUNTRY_CODES

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

PRESETS = {"realistic": 0.0012, "teaching": 0.005}
"""Fraud rate by preset: share of all authorisations."""


class CreditCardsConfig(GeneratorConfig):
    """What determines card payments."""

    base_daily_volume: int = Field(default=5_000, ge=1, le=100_000_000, description="Rows on an ordinary day.")
    holiday_profile: HolidayProfile = Field(
        default=HolidayProfile.retail, description="Overlap rule of events: retail or seed."
    )
    preset: Literal["realistic", "teaching"] = Field(
        default="realistic", description="Level of fraud: realistic (0.12% of rows) or teaching (0.5%)."
    )
    fraud_rate: float | None = Field(
        default=None, description="Share of rows that are fraud; null: that of the preset.", allow_inf_nan=False
    )
    fraud_mix: dict[str, Share] = Field(
        default_factory=lambda: dict(zip(FRAUD_TYPES, fraud.MIX, strict=True)),
        description="Fraud type -> share of fraud rows; the shares sum to 1.",
    )
    fraud_drift: float = Field(
        default=0.4, ge=0, le=2, description="Strength of the changes of fraud's tastes every 60 to 120 days."
    )
    fraud_shift: date | None = Field(default=None, description="Day of an abrupt change of fraud; null: none.")
    country_mix: Literal["single", "global"] = Field(
        default="single", description="Cardholders of one country, or of eight (then the time zone is UTC by default)."
    )
    country_shares: dict[str, Share] = Field(
        default_factory=lambda: {c.code: c.share for c in COUNTRIES},
        description="Country -> share of cardholders in the global mix; the shares sum to 1.",
    )
    brand_shares: dict[str, Share] = Field(
        default_factory=lambda: dict(zip(cardholders.BRANDS, (0.52, 0.24, 0.20, 0.04), strict=True)),
        description="Network -> share of cards; the shares sum to 1.",
    )
    type_shares: dict[str, Share] = Field(
        default_factory=lambda: dict(zip(cardholders.TYPES, (0.70, 0.25, 0.05), strict=True)),
        description="Kind of card -> share of cards; the shares sum to 1.",
    )
    cnp_share: float = Field(default=0.35, ge=0.15, le=0.85, description="Card-not-present share of ordinary rows.")
    cp_decline_rate: Share = Field(default=responses.CP_DECLINES, description="Declines of card-present rows.")
    cnp_decline_rate: Share = Field(default=responses.CNP_DECLINES, description="Declines of card-not-present rows.")
    recurring_decline_rate: Share = Field(
        default=responses.RECURRING_DECLINES, description="Declines of recurring payments."
    )
    foreign_cnp_share: Share = Field(
        default=0.105, description="Share of card-not-present rows at foreign merchants, recurring ones aside."
    )
    credit_only: bool = Field(
        default=False, description="Whether all cards are credit cards, with medians 1.5 times as high."
    )
    contactless_trend: bool = Field(
        default=False, description="Whether contactless grows from 1% in 2018 to 60% in 2025 in the US."
    )
    fx_fee: float = Field(default=0.0, ge=0, le=0.03, description="Fee on bills in another currency.")

    @model_validator(mode="before")
    @classmethod
    def _global_days_are_utc(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("country_mix") == "global" and "timezone" not in values:
            return {**values, "timezone": "UTC"}
        return values

    @field_validator("country")
    @classmethod
    def _has_calendar(cls, value: str) -> str:
        if value not in COUNTRY_CODES:
            raise ValueError(f"no calendar of card payments is known for it; allowed: {', '.join(COUNTRY_CODES)}")
        return value

    @field_validator("fraud_rate")
    @classmethod
    def _episodes_hold(cls, value: float | None) -> float | None:
        if value is not None and not 0.0 <= value <= fraud.LARGEST_RATE:
            raise ValueError(
                f"allowed: 0 to {fraud.LARGEST_RATE}; above it half of all cards would be compromised every year, "
                "which episodes of single cards cannot hold"
            )
        return value

    @field_validator("fraud_mix", "country_shares", "brand_shares", "type_shares")
    @classmethod
    def _shares(cls, value: dict[str, float], info: Any) -> dict[str, float]:
        known = {
            "fraud_mix": FRAUD_TYPES,
            "country_shares": COUNTRY_CODES,
            "brand_shares": cardholders.BRANDS,
            "type_shares": cardholders.TYPES,
        }[info.field_name]
        if unknown := sorted(set(value) - set(known)):
            raise ValueError(f"unknown names {', '.join(unknown)}; allowed: {', '.join(known)}")
        if not math.isclose(sum(value.values()), 1.0, abs_tol=1e-6):
            raise ValueError(f"the shares sum to {sum(value.values()):g}; allowed: shares from 0 to 1 that sum to 1")
        return {name: value.get(name, 0.0) for name in known}

    @property
    def rate(self) -> float:
        """Share of rows that are fraud."""
        return PRESETS[self.preset] if self.fraud_rate is None else self.fraud_rate

    @property
    def residents(self) -> tuple[tuple[int, float], ...]:
        """(country code, share of cardholders) of the countries in which cardholders live."""
        if self.country_mix == "single":
            return ((COUNTRY_CODES.index(self.country), 1.0),)
        return tuple((COUNTRY_CODES.index(code), share) for code, share in self.country_shares.items() if share > 0.0)
