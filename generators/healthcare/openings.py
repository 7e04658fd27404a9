"""Who may be admitted when: opportunities that are enumerated, not searched, and what becomes of them.

Every patient has one opportunity to be admitted in each cycle of `CYCLE_DAYS` days. Slots stand in groups of
`GROUP_SLOTS`; each day of the first part of a group's cycle belongs to exactly one of its slots, by a bijection drawn
for the group and cycle. So the opportunities of a day are a look-up, and two of one slot lie at least `CYCLE_DAYS` -
`GROUP_SLOTS` + 1 = 330 days apart. An opportunity becomes a delivery, a medical opening or nothing: an opening with
probability min(1, c x activity weight x use of inpatient care), c set so that the day's mean volume is reached.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from generators.entities import I64
from generators.healthcare import payers
from generators.healthcare.births import TICKS
from generators.healthcare.care_volume import INPATIENT
from generators.healthcare.diagnoses import DELIVERY
from generators.healthcare.patients import (
    BIRTH_RATE,
    WEIGHT_BLOCK,
    YEAR_DAYS,
    Flags,
    Patients,
    Population,
)
from generators.healthcare.readmission import REFERENCE_RATE
from generators.healthcare.stays import DEATH_SHARE, Stays
from generators.healthcare.use_of_care import cell_of, use_table
from generators.randomness import F64, hash64, hash_key

GROUP_SLOTS = 113
"""A prime: multiplication by any smaller number is a bijection of the group."""
CYCLE_DAYS = 442
LIFE_LEFT_DAYS = 345
"""Days that must be left to a patient at an opening: chain, last stay, 30 days, then a stay that ends in death."""
MIN_AGE_DAYS = 4
"""Age from which an infant may be admitted again after birth."""
MOTHER_AGES = ((15, 0.25), (20, 1.0), (25, 1.6), (35, 0.9), (40, 0.15), (48, 0.0))
"""Relative weight of mothers from each age on."""
READMITTED_MEAN = 0.121
"""Readmissions as a part of the mean number of stays, at the reference rate."""


@dataclass(frozen=True, eq=False)
class Openings:
    """The first stays of chains.

    Attributes:
        population: The patients.
        mean: Mean stays a day over a year.
        rate: Level of 30-day readmission.
        volume: Day -> mean number of stays, noise included.
    """

    population: Population
    mean: float
    rate: float
    volume: Callable[[int], float]

    def _opportunities(self, first: int, last: int) -> tuple[I64, I64]:
        """Return (slots, days) of the opportunities on the days [first, last), in order of days."""
        groups = -(-self.population.slots // GROUP_SLOTS)
        day = np.arange(first, last)[:, None, None]
        place = np.arange(GROUP_SLOTS)[None, :, None]
        # Group g begins its cycle g * CYCLE_DAYS // groups days early: every day has its part, whatever their number.
        phase = (place - day) % CYCLE_DAYS
        group = -(-phase * groups // CYCLE_DAYS) + np.arange(-(-groups // CYCLE_DAYS))[None, None, :]
        kept = group < -(-(phase + 1) * groups // CYCLE_DAYS)
        days, places, phases = (np.broadcast_to(part, group.shape)[kept] for part in (day, place, phase))
        group = group[kept]
        cycle = (days + phases) // CYCLE_DAYS
        words = hash64(self._key("opportunity"), group << 10 | cycle)
        factor = (words & np.uint64(0xFFFFFFFF)).astype(np.int64) % (GROUP_SLOTS - 1) + 1
        offset = (words >> np.uint64(32)).astype(np.int64) % GROUP_SLOTS
        slots = group * GROUP_SLOTS + (places * factor + offset) % GROUP_SLOTS
        inside = slots < self.population.slots
        return slots[inside], days[inside]

    def opened(self, first: int, last: int) -> tuple[Stays, Patients, F64]:
        """Return (stays without their facts, patients, yearly rate of openings) of the days [first, last)."""
        slots, days = self._opportunities(first, last)
        entity, age = self.population.occupy(slots, days)
        left = self.population.born(slots, entity + self.population.slots) - days
        free = (left > LIFE_LEFT_DAYS) & (age >= MIN_AGE_DAYS)
        who = self.population.describe(slots[free], entity[free], age[free], days[free])
        days = days[free]
        key = who.slot << 17 | days
        words = hash64(self._key("opening"), key)
        uniform = (words >> np.uint64(32)).astype(np.float64) * 2.0**-32
        second = (words & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-32
        mothers = self._mothers(who, days, second, first, last)
        use = self._use(who)
        level = self._levels(first, last)[days - first]
        opened = (uniform < level * use) & ~mothers
        rows = np.flatnonzero(opened | mothers)
        yearly = np.minimum(self._mean_level * use[rows], 1.0) * (YEAR_DAYS / CYCLE_DAYS)
        n = len(rows)
        blank = np.zeros(n, np.uint8)
        diagnosis = np.where(mothers[rows], np.uint8(DELIVERY), blank)
        stays = Stays(
            who.slot[rows], days[rows].astype(np.int32), blank + np.uint8(1), diagnosis, blank, blank, blank, blank,
            blank,
        )  # fmt: skip
        return stays, who.take(rows), yearly

    def _mothers(self, who: Patients, days: I64, draw: F64, first: int, last: int) -> Flags:
        """Return (n,) who gives birth: as many women a day as children are born, by age and payer."""
        steps, values = zip(*MOTHER_AGES, strict=True)
        by_age = np.concatenate([[0.0], values])[np.searchsorted(steps, np.arange(256), side="right")]
        weight = by_age[who.years] * np.array(payers.USE["delivery"])[who.payer] * who.female
        rows = np.flatnonzero(weight)
        # The smallest of -ln(u) / weight are a weighted sample without replacement (Efraimidis and Spirakis 2006).
        order = -np.log(draw[rows] + 2.0**-33) / weight[rows]
        chosen = np.lexsort((order, days[rows]))
        day = days[rows][chosen] - first
        rank = np.arange(len(day)) - np.searchsorted(day, day)
        births = self.population.birth_counts(first, last)
        mothers = np.zeros(len(days), np.bool_)
        mothers[rows[chosen[rank < births[day]]]] = True
        return mothers

    def _use(self, who: Patients) -> F64:
        """Return (n,) activity weights times use of inpatient care."""
        return np.asarray(self.population.weights[who.slot & (WEIGHT_BLOCK - 1)] * use_table(INPATIENT)[cell_of(who)])

    @cached_property
    def _level_curve(self) -> tuple[F64, F64]:
        """Return (share of opportunities that open, level c): the mean of min(1, c x use) over a sample of slots."""
        population = self.population
        slots = np.arange(1 << 17)
        age, life = (ticks // TICKS for ticks in population.lives(slots))
        who = population.describe(slots, slots, age, 20_000)
        free = (life - age > LIFE_LEFT_DAYS) & (age >= MIN_AGE_DAYS)
        use = np.sort(np.where(free, self._use(who), 0.0))
        level = np.geomspace(1e-5, 100.0, 600)
        below = np.searchsorted(use, 1.0 / level)
        total = np.concatenate([[0.0], np.cumsum(use)])
        return (level * total[below] + len(use) - below) / len(use), level

    def _level(self, openings: F64) -> F64:
        """Return the level at which a mean number of openings a day is reached."""
        share = openings * CYCLE_DAYS / self.population.slots
        return np.asarray(np.where(share > 0, np.interp(share, *self._level_curve), 0.0))

    def _levels(self, first: int, last: int) -> F64:
        births = self.population.birth_counts(first, last)
        volume = np.array([self.volume(day) for day in range(first, last)])
        return self._level(volume - 2.0 * births - self._deaths_mean - self._readmitted)

    @cached_property
    def _deaths_mean(self) -> float:
        return DEATH_SHARE * BIRTH_RATE / YEAR_DAYS * self.population.slots

    @cached_property
    def _mean_level(self) -> float:
        births = BIRTH_RATE / YEAR_DAYS * self.population.slots
        openings = self.mean - self._readmitted - 2 * births - self._deaths_mean
        return float(self._level(np.array([openings]))[0])

    @property
    def _readmitted(self) -> float:
        return READMITTED_MEAN * self.rate / REFERENCE_RATE * self.mean

    def _key(self, name: str) -> np.uint64:
        return hash_key(self.population.seed, self.population.generator, "stay", name)
