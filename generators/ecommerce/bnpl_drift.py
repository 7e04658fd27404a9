"""Drift of purchases: the season of goods, an economic shock, a new segment of customers, higher credit limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Literal

import numpy as np

from generators.days import day_number
from generators.ecommerce.catalogue import CATEGORIES
from generators.entities import I64
from generators.randomness import F64
from generators.scenarios import MAX_STRENGTH, Drift, Preset, Scenario

SEASONS: Mapping[str, tuple[float, ...]] = {
    "electronics": (0.75, 0.75, 0.80, 0.80, 0.85, 0.90, 1.00, 1.05, 0.95, 0.95, 1.70, 1.80),
    "clothing": (0.80, 0.85, 1.30, 1.35, 1.20, 0.95, 0.80, 1.15, 1.40, 1.20, 0.80, 0.75),
    "home": (0.90, 0.85, 1.15, 1.30, 1.35, 1.20, 1.05, 0.95, 0.95, 1.00, 0.85, 0.75),
    "beauty": (0.85, 1.60, 0.90, 0.90, 1.50, 0.90, 0.85, 0.80, 0.85, 0.90, 1.00, 1.50),
    "sports": (1.70, 1.10, 1.10, 1.15, 1.20, 1.50, 1.50, 1.10, 0.80, 0.70, 0.60, 0.70),
}
"""Relative interest in each category from January to December."""
SHOCK_STRESS = 0.6
SHOCK_PRESSURE = 2.0
"""Factor of purchases that stretch the buyer's credit or are made in haste."""
SEGMENT_SHARE = 0.20
SEGMENT_RISK = 2.0
"""Standard deviations by which the segment's latent credit risk is higher: little income, no history."""
LIMIT_RISE = 0.5
LIMIT_STEP = 0.1
"""Limits rise in whole tenths, so that an account has few versions."""
HIGHEST_LIMIT_FACTOR = 1 + LIMIT_RISE * MAX_STRENGTH

PRESETS: Mapping[str, Preset] = {
    "seasonal": Preset(
        "Categories follow the months: electronics in November and December, clothing in spring and autumn, home in "
        "spring, beauty in February, May and December, sports in January and summer."
    ),
    "economic_shock": Preset(
        f"Economic stress rises by {SHOCK_STRESS:g} in 30 days, and with it risk scores; credit_stretched and "
        f"high_risk_behavior are {SHOCK_PRESSURE:g} times as frequent; about 1.3 times as many purchases default.",
        ramp=30,
    ),
    "new_segment": Preset(
        f"Of the customers who sign up, {SEGMENT_SHARE:.0%} are 18 to 24, not verified, with lower incomes and "
        "credit scores, and buy twice as often."
    ),
    "policy_change": Preset(f"Credit limits rise by {LIMIT_RISE:.0%}, in steps of a tenth."),
}


class BNPLDrift(Drift):
    """A drift of `bnpl`."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS

    preset: Literal["seasonal", "economic_shock", "new_segment", "policy_change"]


@dataclass(frozen=True)
class BNPLScenario(Scenario[BNPLDrift]):
    """What the drifts of a config do on each day."""

    def stress(self, day: date) -> float:
        """Return the economic stress that a shock adds on a day."""
        return SHOCK_STRESS * self.level("economic_shock", day_number(day))

    def pressure(self, day: date) -> float:
        """Return the factor of purchases that stretch credit or are made in haste on a day."""
        return float(SHOCK_PRESSURE ** self.level("economic_shock", day_number(day)))

    def interest(self, day: date) -> tuple[float, ...]:
        """Return the factors of the categories on a day; empty where there are none."""
        strength = self.level("seasonal", day_number(day))
        return tuple(SEASONS[name][day.month - 1] ** strength for name in CATEGORIES) if strength else ()

    def limit_factors(self, days: I64) -> F64:
        """Return the factors of all credit limits on (n,) days since 1970-01-01."""
        risen = LIMIT_RISE * np.minimum(self.levels("policy_change", days), MAX_STRENGTH)
        return np.asarray(np.round((1.0 + risen) / LIMIT_STEP) * LIMIT_STEP)

    def segment(self, days: I64) -> F64:
        """Return the share of the segment among customers who sign up on (n,) days since 1970-01-01."""
        return np.asarray(SEGMENT_SHARE * self.levels("new_segment", days))
