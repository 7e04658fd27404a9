"""Who comes: how often patients of each age, sex, health, origin and cover use each class of care."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.healthcare import payers
from generators.healthcare.care_volume import AMBULATORY, EMERGENCY, INPATIENT, URGENT, VIRTUAL, WELLNESS
from generators.healthcare.diagnoses import Steps
from generators.healthcare.patients import (
    BLACK,
    CHRONIC_CAP,
    MAX_YEARS,
    RACE_SHARES,
    SEX_SHARES,
    Patients,
    chronic_pmf,
    pyramid_years,
)
from generators.randomness import F64


@dataclass(frozen=True)
class Use:
    """Relative use of a class: factor by age x (1 + chronic min(conditions, 6)), times further factors.

    Attributes:
        chronic: Gain a chronic condition.
        ages: Factors by completed years.
        women: Factor of women of 15 to 64 years.
        black: Factor of Black patients.
        payers: Factors of payers under 65.
    """

    chronic: float
    ages: Steps
    women: float = 1.35
    black: float = 1.0
    payers: tuple[float, ...] = (1.0,) * 5


USE: Mapping[int, Use] = {
    AMBULATORY: Use(0.45, ((0, 2.2), (1, 1.1), (5, 0.65), (18, 0.75), (35, 0.9), (50, 1.0), (65, 1.2), (75, 1.3))),
    WELLNESS: Use(0.1, ((0, 5.8), (1, 2.4), (5, 1.1), (18, 0.6), (35, 0.7), (50, 0.9), (65, 1.1))),
    VIRTUAL: Use(0.3, ((0, 0.5), (18, 1.1), (50, 1.0), (65, 0.8))),
    URGENT: Use(
        0.1, ((0, 1.6), (5, 1.1), (35, 1.0), (50, 0.9), (65, 0.65), (75, 0.5)), payers=payers.USE["urgent_care"]
    ),
    EMERGENCY: Use(
        0.1, ((0, 2.1), (1, 1.1), (5, 0.75), (18, 1.0), (45, 0.85), (65, 0.65), (75, 0.8)),
        black=1.9, payers=payers.USE["emergency"],
    ),
    INPATIENT: Use(
        0.3, ((0, 1.6), (3, 0.25), (18, 0.35), (45, 0.95), (65, 1.7), (75, 2.8)),
        women=1.0, payers=payers.USE["inpatient"],
    ),
}  # fmt: skip
"""Use of each class; inpatient: medical stays, neither deliveries nor newborns.

Fitted so that shares of ages, sexes and payers over a year of rows lie in their bands; emergency visits that end in a
stay are added by the stays, so the old are rarer among those that are drawn.
"""
EVENING_CHILDREN = 1.25
"""Factor of children among emergency arrivals from 17 to 24 h."""
WOMEN_AGES = (15, 65)
ADULT, OLD = 18, 65

_SHAPE = (MAX_YEARS, 2, CHRONIC_CAP + 1, 2, len(payers.PAYERS))
BOUND_OF_MEAN = 4.0
"""Use is cut at this multiple of its mean, so that one draw in four is accepted."""


def cell_of(who: Patients) -> NDArray[np.int64]:
    """Return (n,) flat positions in tables of age, female, chronic, Black and payer."""
    cell = who.years.astype(np.int64)
    for size, code in zip(
        _SHAPE[1:], (who.female, np.minimum(who.chronic, CHRONIC_CAP), who.race == BLACK, who.payer), strict=True
    ):
        cell *= size
        cell += code
    return cell


@lru_cache(maxsize=16)
def use_table(cls: int, children: float = 1.0) -> F64:
    """Return the relative use of a class by cell, flat.

    Args:
        cls: Encounter class.
        children: Further factor under 18.
    """
    use = USE[cls]
    steps, values = zip(*use.ages, strict=True)
    years = np.arange(MAX_YEARS)
    by_age = np.array(values)[np.searchsorted(steps, years, side="right") - 1]
    by_age = by_age * np.where(years < ADULT, children, 1.0)
    by_sex = np.ones((MAX_YEARS, 2))
    by_sex[WOMEN_AGES[0] : WOMEN_AGES[1], 1] = use.women
    by_payer = np.where((years < OLD)[:, None], np.array(use.payers), 1.0)
    table = (
        (by_age[:, None] * by_sex)[:, :, None, None, None]
        * (1.0 + use.chronic * np.arange(CHRONIC_CAP + 1))[:, None, None]
        * np.array([1.0, use.black])[:, None]
        * by_payer[:, None, None, None, :]
    )
    return np.ascontiguousarray(table.ravel())


@dataclass(frozen=True, eq=False)
class UseOfCare:
    """Use of care of a population with given payers.

    Attributes:
        payer_shares: Shares of payers by age segment.
    """

    payer_shares: tuple[tuple[float, ...], ...]

    @cached_property
    def people(self) -> F64:
        """Flat shares of patients by cell."""
        chronic = chronic_pmf()
        capped = np.hstack([chronic[:, :CHRONIC_CAP], chronic[:, CHRONIC_CAP:].sum(axis=1, keepdims=True)])
        shares = np.array(self.payer_shares)[payers.segment_of_age()[:MAX_YEARS]]
        joint = (
            pyramid_years()[:, None, None, None, None]
            * np.array([1 - SEX_SHARES[0], SEX_SHARES[0]])[:, None, None, None]
            * capped[:, None, :, None, None]
            * np.array([1 - RACE_SHARES[BLACK], RACE_SHARES[BLACK]])[:, None]
            * shares[:, None, None, None, :]
        )
        return np.ascontiguousarray(joint.ravel())

    def rows(self, cls: int) -> F64:
        """Return (106, 2) shares of a class's rows by completed years and (not female, female)."""
        mass = (self.people * self._bounded(cls, 1.0)).reshape(_SHAPE).sum(axis=(2, 3, 4))
        return np.asarray(mass / mass.sum())

    def acceptance(self, cls: int, children: float = 1.0) -> tuple[NDArray[np.uint16], float]:
        """Return (thresholds of 16-bit draws by cell, mean share of draws accepted)."""
        cache: dict[tuple[int, float], tuple[NDArray[np.uint16], float]] = self.__dict__.setdefault("_accepted", {})
        if (cls, children) not in cache:
            bounded = self._bounded(cls, children)
            bounded = bounded / bounded.max()
            thresholds = np.round(bounded * 65_535).astype(np.uint16)
            cache[cls, children] = thresholds, float((self.people * bounded).sum())
        return cache[cls, children]

    def _bounded(self, cls: int, children: float) -> F64:
        table = use_table(cls, children)
        return np.minimum(table, BOUND_OF_MEAN * float((self.people * table).sum()))


@lru_cache(maxsize=8)
def use_of_care(payer_shares: tuple[tuple[float, ...], ...]) -> UseOfCare:
    """Return the use of care under given payers; generators with the same ones share its tables."""
    return UseOfCare(payer_shares)
