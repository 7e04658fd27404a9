"""Seasons of disease: monthly multipliers by group, and influenza whose peak moves and whose size varies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from generators.randomness import stream

MONTHLY: Mapping[str, tuple[float, ...]] = {
    "flu": (2.60, 2.40, 1.40, 0.60, 0.30, 0.15, 0.10, 0.10, 0.20, 0.50, 1.20, 2.45),
    "rsv": (2.00, 1.20, 0.60, 0.30, 0.15, 0.10, 0.10, 0.20, 0.60, 1.75, 2.60, 2.40),
    "uri": (1.35, 1.30, 1.15, 0.95, 0.85, 0.70, 0.60, 0.65, 0.95, 1.10, 1.15, 1.25),
    "covid": (1.70, 1.20, 0.80, 0.60, 0.60, 0.70, 1.00, 1.30, 1.10, 0.80, 0.90, 1.30),
    "gi": (1.35, 1.35, 1.25, 1.05, 0.90, 0.80, 0.75, 0.75, 0.80, 0.90, 1.00, 1.10),
    "allergy": (0.40, 0.50, 1.10, 1.90, 1.90, 1.20, 0.70, 0.80, 1.30, 1.00, 0.70, 0.50),
    "injury": (0.85, 0.83, 0.93, 1.02, 1.10, 1.14, 1.15, 1.12, 1.07, 1.01, 0.92, 0.86),
    "heat": (0.0, 0.0, 0.10, 0.30, 0.90, 2.40, 3.60, 3.10, 1.20, 0.30, 0.10, 0.0),
    "school": (0.80, 0.80, 0.90, 0.90, 0.95, 1.10, 1.35, 1.60, 1.05, 0.95, 0.85, 0.75),
    "flu_shot": (0.45, 0.35, 0.35, 0.40, 0.45, 0.50, 0.60, 1.10, 2.60, 3.00, 1.50, 0.70),
    "winter_mild": (1.10, 1.08, 1.05, 1.00, 0.97, 0.94, 0.92, 0.92, 0.94, 0.98, 1.02, 1.08),
    "summer_mild": (0.92, 0.93, 0.95, 0.98, 1.02, 1.06, 1.09, 1.09, 1.05, 1.00, 0.96, 0.95),
    "jan_plus": (1.25, *(0.977,) * 11),
    "oct_plus": (*(0.968,) * 9, 1.35, 0.968, 0.968),
    "sep_plus": (*(0.983,) * 6, *(1.05,) * 3, *(0.983,) * 3),
}
"""Factors from January to December in the north, mean 1 over the year; births follow the last one."""
CIVIL = frozenset({"jan_plus", "oct_plus"})
"""Groups that follow insurance years and campaigns, not the sun."""
BY_DAY: Mapping[str, tuple[float, float]] = {"weekend": (0.80, 1.50), "weekday": (1.35, 0.12)}
"""Factors of Monday to Friday and of Saturday and Sunday, mean 1 over the week."""

SOUTHERN = frozenset({"AR", "AU", "BO", "BW", "BR", "CL", "LS", "MG", "MZ", "NA", "NZ", "PY", "UY", "ZA", "ZW"})
"""Countries in which seasons turn by half a year."""

FLU_SHIFT_DAYS = 21.0
"""Standard deviation of the shift of a season's peak."""
FLU_SIGMA = 0.35
"""Standard deviation of the log of a season's size."""


@dataclass(frozen=True)
class Season:
    """What the date says about disease: equal seasons have equal mixes of diagnoses.

    Attributes:
        climate: Month, 0 to 11, whose multipliers apply to groups that follow the sun.
        month: Civil month, 0 to 11.
        flu: Factor of influenza.
        weekend: Whether it is Saturday or Sunday.
        covid: Whether the disease is known.
    """

    climate: int
    month: int
    flu: float
    weekend: bool
    covid: bool

    def factor(self, group: str) -> float:
        """Return the multiplier of a group, ``flat`` among them."""
        if group == "flat":
            return 1.0
        if group in BY_DAY:
            return BY_DAY[group][self.weekend]
        if group == "flu":
            return self.flu
        if group == "covid" and not self.covid:
            return 0.0
        return MONTHLY[group][self.month if group in CIVIL else self.climate]


COVID_FROM = date(2020, 4, 1)


@lru_cache(maxsize=4096)
def season(day: date, seed: int, generator: str, southern: bool, severity: float, wave: float) -> Season:
    """Return the season of a day.

    Args:
        day: Civil day.
        seed: The config's seed: draws shift and size of each influenza season.
        generator: The generator's name.
        southern: Whether seasons turn by half a year.
        severity: Factor of influenza, 1 being usual.
        wave: What a wave adds to the month's factor of influenza.
    """
    turned = 6 if southern else 0
    climate = (day.month - 1 + turned) % 12
    # A season runs from July to June in the north, and with the civil year in the south.
    winter = day.year if southern or day.month >= 7 else day.year - 1
    shift, size = _flu_season(winter, seed, generator)
    moved = day - timedelta(shift)
    flu = severity * size * MONTHLY["flu"][(moved.month - 1 + turned) % 12] + wave
    return Season(climate, day.month - 1, flu, day.weekday() >= 5, day >= COVID_FROM)


@lru_cache(maxsize=512)
def _flu_season(winter: int, seed: int, generator: str) -> tuple[int, float]:
    """Return (shift in days, size) of the season that begins in a year."""
    rng = stream(seed, generator, "influenza", winter)
    shift, size = rng.standard_normal(2).tolist()
    return round(FLU_SHIFT_DAYS * max(-2.5, min(2.5, shift))), math.exp(FLU_SIGMA * size)
