"""Patients as renewing slots: born into a slot, leaving it at the end of their life, the pyramid the same for ever.

The density of ages f falls piecewise linearly. A slot draws a point (a0, h) uniformly under f: at time 0 its occupant
is a0 years old, and every occupant of the slot lives L = f^-1(h) years. At time x the slot's clock is x + phase, its
occupant number g = (x + phase) div L, and the rest is what has passed since the occupant's birth: everyone is born into
the slot, and at any time ages follow f. Lives repeat in blocks of 2^20 slots, each with its own shift of the clock, so
that the births of a day are a look-up in one table of the block whatever the population's size.

Time x counts the ticks of `births`: lives begin evenly in ticks and so by season on the calendar. An age is the days
that have passed since the day of birth.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.days import day_number
from generators.entities import I32, I64
from generators.healthcare import payers
from generators.healthcare.births import LAST_ASKED, TICKS, BirthCalendar, calendar_years, completed_years
from generators.healthcare.patient_drift import PatientScenario
from generators.randomness import F64, LANES, hash64, hash_key, hash_lanes, pick_table, stream

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
Flags = NDArray[np.bool_]

PATIENT_YEAR_ROWS = 4.1
"""Rows of an average slot in a year."""
ACTIVITY_SHAPE = 0.7
"""Shape of the gamma law of activity weights."""
WEIGHT_BLOCK = 65_536

PYRAMID = ((0.0, 0.0129), (45.0, 0.0126), (65.0, 0.0117), (75.0, 0.0097), (85.0, 0.0024), (104.2, 0.0))
"""(age in years, density): the age pyramid of patients, shape of the US."""
YEAR_DAYS = 365.25
MIN_LIFE_DAYS = 400
MAX_YEARS = 106
LIFE_BLOCK = 1 << 20
_FIRST_SHIFT, _SHIFTS = 2, 1024
"""Days by which clocks of blocks are ahead: two at least, for the births of the two days before the calendar."""

SEXES = ("female", "male", "other", "unknown")
SEX_SHARES = (0.5085, 0.4885, 0.0015, 0.0015)
FEMALE = 0
RACES = ("white", "black", "asian", "american_indian", "pacific_islander", "multiple", "unknown")
RACE_SHARES = (0.63, 0.13, 0.06, 0.01, 0.003, 0.09, 0.077)
BLACK = 1
ETHNICITIES = ("hispanic", "non_hispanic", "unknown")
UNKNOWN_ETHNICITY = 0.05
HISPANIC_BY_BIRTH = ((1935, 0.08), (1955, 0.105), (1975, 0.175), (1995, 0.23), (2015, 0.27))
"""(year of birth, share of Hispanic patients): 0.19 of all in the 2020s, more of the young (US Census 2020)."""
_COHORT_YEARS = 5
_HISPANIC_BY_RACE = (1.0, 0.15, 0.1, 1.2, 0.5, 2.0, 2.0)
"""Odds of being Hispanic by race, before both margins are kept."""

AREAS = 48
RURAL_AREAS = 3
CATCHMENT_PEOPLE = 5_000_000
SMALL_AREA_PEOPLE = 20_000
"""Areas with fewer people are shown as 000 (45 CFR 164.514(b)(2)(i)(B))."""

CHRONIC_CAP = 6
"""Chronic conditions that still change how often a patient comes."""


@dataclass(frozen=True, eq=False)
class Patients:
    """(n,) patients on a day: one array an attribute, codes into the constants of this module."""

    slot: I64
    entity: I64
    age_days: I32
    years: U8
    """Completed years, or calendar years since that of birth."""
    sex: U8
    race: U8
    ethnicity: U8
    area: U8
    chronic: U8
    payer: U8

    def take(self, rows: NDArray[Any]) -> Patients:
        """Return the patients of some rows."""
        return Patients(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    @property
    def female(self) -> Flags:
        """(n,) whether the administrative sex is female."""
        return np.asarray(self.sex == FEMALE)


@dataclass(frozen=True, eq=False)
class Population:
    """The patients of one generator under one config.

    Attributes:
        seed: The config's seed.
        generator: Name of the generator.
        slots: Patients at any time.
        payer_shares: Shares of payers by age segment, see `payers.SHARES`.
        births: When lives begin.
        scenario: The drifts.
        by_year: Whether people grow a year older on 1 January: no change of theirs then shows a birthday.
    """

    seed: int
    generator: str
    slots: int
    payer_shares: tuple[tuple[float, ...], ...]
    births: BirthCalendar
    scenario: PatientScenario
    by_year: bool = False

    # -- lives ----------------------------------------------------------------------------------------------------

    def lives(self, number: I64) -> tuple[I32, I32]:
        """Return (phase, life) in ticks of (n,) numbers of a block: the clock at time 0, and from birth to exit."""
        words = hash64(hash_key(self.seed, self.generator, "patient", "life"), number)
        ages, density = (np.array(v) for v in zip(*PYRAMID, strict=True))
        first = (words >> np.uint64(32)).astype(np.float64) * 2.0**-32
        second = (words & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-32
        start = np.interp(first, *_pyramid_quantiles())
        height = second * np.interp(start, ages, density)
        life = np.maximum(MIN_LIFE_DAYS, np.ceil(np.interp(height, density[::-1], ages[::-1]) * YEAR_DAYS)) * TICKS
        phase = np.minimum(np.floor(start * YEAR_DAYS * TICKS), life - 1)
        return phase.astype(np.int32), life.astype(np.int32)

    @cached_property
    def _block(self) -> tuple[I32, I32]:
        return self.lives(np.arange(min(self.slots, LIFE_BLOCK)))

    @cached_property
    def _shift(self) -> I32:
        """Ticks by which the clock of each block is ahead."""
        blocks = np.arange(-(-self.slots // LIFE_BLOCK))
        shift = hash64(hash_key(self.seed, self.generator, "patient", "shift"), blocks) % np.uint64(_SHIFTS)
        return (shift.astype(np.int32) + np.int32(_FIRST_SHIFT)) * np.int32(TICKS)

    @cached_property
    def _renewals(self) -> tuple[I32, I32]:
        """Numbers of a block sorted by the ticks of its clock at which they renew, and (ticks + 1,) bounds."""
        phase, life = self._block
        last = (LAST_ASKED + _FIRST_SHIFT + _SHIFTS) * TICKS
        count = (last + phase) // life
        number = np.repeat(np.arange(len(phase), dtype=np.int32), count)
        turn = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count) + 1
        tick = (turn * life[number] - phase[number]).astype(np.int32)
        day, part = (tick // TICKS).astype(np.uint16), (tick % TICKS).astype(np.uint8)
        order = np.argsort(part, kind="stable")  # two passes over small numbers are three times as fast as one
        order = order[np.argsort(day[order], kind="stable")]
        bounds = np.concatenate([[0], np.cumsum(np.bincount(tick, minlength=last + 1))])
        return number[order], bounds.astype(np.int32)

    def renewals(self, first: int, last: int) -> tuple[I64, I64]:
        """Return (slots, days) of the births on the days [first, last): their occupants before leave on those days."""
        number, bounds = self._renewals
        slots, days, every = [], [], np.arange(first, last)
        ticks = self.births.first_tick(np.arange(first, last + 1))
        for block, shift in enumerate(self._shift.tolist()):
            edges = bounds[ticks + shift]
            slots.append(number[edges[0] : edges[-1]] + np.int64(block * LIFE_BLOCK))
            days.append(np.repeat(every, np.diff(edges)))
        found, when = np.concatenate(slots), np.concatenate(days)
        inside = found < self.slots
        return found[inside], when[inside]

    def birth_counts(self, first: int, last: int) -> I64:
        """Return the number of births on each of the days [first, last)."""
        number, bounds = self._renewals
        ticks = self.births.first_tick(np.arange(first, last + 1))
        counts = np.zeros(last - first, np.int64)
        for block, shift in enumerate(self._shift.tolist()):
            left = self.slots - block * LIFE_BLOCK
            edges = bounds[ticks + shift]
            if left >= len(self._block[0]):
                counts += np.diff(edges)
            else:  # the last block is short
                counts += [np.count_nonzero(number[a:b] < left) for a, b in pairwise(edges.tolist())]
        return counts

    def occupy(self, slots: I64, day: NDArray[Any] | int) -> tuple[I64, I32]:
        """Return (entity, age in days) of (n,) slots, on a day or on (n,) days."""
        phase, life = self._block
        number = slots & (LIFE_BLOCK - 1)
        now = self.births.first_tick(np.asarray(day) + 1) - np.int32(1)  # who is born on the day is there on it
        generation, since = np.divmod(phase[number] + self._shift[slots >> 20] + now, life[number])
        entity = generation.astype(np.int64)
        entity *= self.slots
        entity += slots
        return entity, np.asarray(np.asarray(day, np.int32) - self.births.day_of(now - since), np.int32)

    def born(self, slots: I64, entity: I64) -> I32:
        """Return the days of birth (since 1970-01-01) of the occupants of (n,) slots: their predecessors' exits."""
        phase, life = self._block
        number = slots & (LIFE_BLOCK - 1)
        generation = ((entity - slots) // self.slots).astype(np.int32)
        return self.births.day_of(generation * life[number] - phase[number] - self._shift[slots >> 20])

    # -- activity -------------------------------------------------------------------------------------------------

    @cached_property
    def weights(self) -> F64:
        """(65,536,) activity weights that slots repeat."""
        rng = stream(self.seed, self.generator, "patient", "weights")
        return rng.standard_gamma(ACTIVITY_SHAPE, WEIGHT_BLOCK)

    # -- attributes -----------------------------------------------------------------------------------------------

    def on_day(self, slots: I64, day: NDArray[Any] | int) -> Patients:
        """Return the patients in (n,) slots on a day or on (n,) days (since 1970-01-01)."""
        entity, age = self.occupy(slots, day)
        return self.describe(slots, entity, age, day)

    def describe(self, slots: I64, entity: I64, age: I32, day: NDArray[Any] | int) -> Patients:
        """Return the attributes of (n,) patients of known age on a day."""
        years = calendar_years(age, day) if self.by_year else completed_years(age, day)
        sex, origin, chronic, area = hash_lanes(self._person_key, entity)
        combination = _origins()[_cohort(day - age) << 16 | origin]
        race, ethnicity = combination // 3, combination % 3
        return Patients(
            slot=slots,
            entity=entity,
            age_days=age,
            years=years,
            sex=pick_sex()[sex],
            race=race,
            ethnicity=ethnicity,
            area=_areas()[area],
            chronic=chronic_table()[years.astype(np.intp) << 12 | chronic >> 4],
            payer=self._payer(entity, years, race, ethnicity, day),
        )

    def area_of(self, entity: I64) -> U8:
        """Return the areas of (n,) patients."""
        return np.asarray(_areas()[hash_lanes(self._person_key, entity)[3]], np.uint8)

    def _payer(self, entity: I64, years: U8, race: U8, ethnicity: U8, day: NDArray[Any] | int) -> U8:
        """Return (n,) payers: an own draw for each span of ages with p = 0.3, else the patient's usual draw."""
        usual = hash_lanes(self._payer_key, entity)[0]
        span = payers.span_of_age()[years]
        kept, own, _, _ = hash_lanes(self._span_key, entity * 16 + span)
        draw = np.where(kept < int(payers.NEW_COVER * LANES), own, usual)
        group = payers.group(race == BLACK, ethnicity == 0)
        cell = payers.segment_of_age()[years] * np.uint8(payers.GROUPS) + group
        payer = np.asarray(payers.table(self.payer_shares)[cell.astype(np.intp) << 12 | draw >> 4], np.uint8)
        if self.scenario.of("payer_shift"):
            payer = self.scenario.payers(payer, *self.loss_draws(entity), day)
        return payer

    def loss_draws(self, entity: I64) -> tuple[U16, U16]:
        """Return (n,) 16-bit draws of who loses Medicaid first under a drift, and of what they have instead."""
        lost, found, _, _ = hash_lanes(self._loss_key, entity)
        return lost, found

    @cached_property
    def _person_key(self) -> np.uint64:
        return hash_key(self.seed, self.generator, "patient", "person")

    @cached_property
    def _payer_key(self) -> np.uint64:
        return hash_key(self.seed, self.generator, "patient", "payer")

    @cached_property
    def _loss_key(self) -> np.uint64:
        return hash_key(self.seed, self.generator, "patient", "payer shift")

    @cached_property
    def _span_key(self) -> np.uint64:
        return hash_key(self.seed, self.generator, "patient", "payer span")

    @cached_property
    def area_names(self) -> tuple[str, ...]:
        """Three-digit areas by code: drawn once a seed; those with few people are shown as 000."""
        rng = stream(self.seed, self.generator, "areas")
        digits = rng.permutation(np.arange(10, 999))[:AREAS]
        small = area_shares() * CATCHMENT_PEOPLE < SMALL_AREA_PEOPLE
        return tuple("000" if s else f"{d:03d}" for d, s in zip(digits.tolist(), small.tolist(), strict=True))


@lru_cache(maxsize=1)
def _pyramid_quantiles() -> tuple[F64, F64]:
    """Return (probabilities, ages) of the pyramid on a fine grid."""
    ages, density = (np.array(v) for v in zip(*PYRAMID, strict=True))
    grid = np.linspace(0, ages[-1], 100_001)
    height = np.interp(grid, ages, density)
    cumulative = np.concatenate([[0.0], np.cumsum((height[1:] + height[:-1]) / 2)])
    return cumulative / cumulative[-1], grid


@lru_cache(maxsize=1)
def pyramid_years() -> F64:
    """Return (106,) shares of patients by completed years."""
    probability, age = _pyramid_quantiles()
    return np.diff(np.interp(np.arange(MAX_YEARS + 1), age, probability))


BIRTH_RATE = PYRAMID[0][1] / sum((b - a) * (f + g) / 2 for (a, f), (b, g) in pairwise(PYRAMID))
"""Births a slot and year: the density at age 0."""


@lru_cache(maxsize=1)
def pick_sex() -> U8:
    """Return the code of `SEXES` by 16-bit draw."""
    return pick_table(SEX_SHARES)


def _cohorts() -> range:
    """Return the first years of birth of the cohorts; those born before and after belong to the outermost."""
    return range(HISPANIC_BY_BIRTH[0][0], HISPANIC_BY_BIRTH[-1][0] + 1, _COHORT_YEARS)


def _cohort(born: NDArray[Any]) -> NDArray[np.int32]:
    """Return (n,) cohorts of days of birth since 1970-01-01."""
    first = day_number(date(_cohorts()[0], 1, 1))
    cohort = (born - first) // int(_COHORT_YEARS * YEAR_DAYS)
    return np.asarray(np.clip(cohort, 0, len(_cohorts()) - 1), np.int32)


@lru_cache(maxsize=1)
def _origins() -> U8:
    """Return race x 3 + ethnicity by (cohort, 16-bit draw): both margins kept in each, their association by odds."""
    tables = []
    years, shares = zip(*HISPANIC_BY_BIRTH, strict=True)
    for hispanic in np.interp(np.array(_cohorts()) + _COHORT_YEARS / 2, years, shares).tolist():
        margin = np.array([hispanic, 1 - UNKNOWN_ETHNICITY - hispanic, UNKNOWN_ETHNICITY])
        joint = np.outer(RACE_SHARES, margin)
        joint[:, 0] *= _HISPANIC_BY_RACE
        for _ in range(200):
            joint *= (np.array(RACE_SHARES) / joint.sum(axis=1))[:, None]
            joint *= margin / joint.sum(axis=0)
        tables.append(pick_table(joint.ravel().tolist()))
    return np.concatenate(tables)


@lru_cache(maxsize=1)
def area_shares() -> F64:
    """Return (48,) shares of patients by area: Zipf with exponent 0.9, and three rural areas of 0.3% each."""
    towns = np.arange(1, AREAS - RURAL_AREAS + 1) ** -0.9
    rural = np.full(RURAL_AREAS, 0.003)
    return np.concatenate([towns * (1 - rural.sum()) / towns.sum(), rural])


@lru_cache(maxsize=1)
def _areas() -> U8:
    return pick_table(area_shares().tolist())


def chronic_rate(years: NDArray[Any]) -> F64:
    """Return the mean number of chronic conditions at an age in years."""
    return np.clip((years - 25.0) / 22.0, 0.15, 4.0)


@lru_cache(maxsize=1)
def chronic_pmf() -> F64:
    """Return (106, 20) Poisson probabilities of the number of chronic conditions by completed years."""
    k = np.arange(20)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 20)))])
    rate = chronic_rate(np.arange(MAX_YEARS))[:, None]
    pmf = np.exp(k * np.log(rate) - rate - log_factorial)
    return np.asarray(pmf / pmf.sum(axis=1, keepdims=True))


@lru_cache(maxsize=1)
def chronic_table() -> U8:
    """Return (106 * 4096,) Poisson quantiles by (completed years, 12-bit draw): for one draw they never fall."""
    edges = np.cumsum(chronic_pmf(), axis=1)
    middles = (np.arange(4096) + 0.5) / 4096
    return np.concatenate([np.searchsorted(row, middles).clip(0, 19) for row in edges]).astype(np.uint8)
