"""Hospital stays without memory: who is admitted on a day, for how long, and whether they come back within 30 days.

Every patient has one opportunity to be admitted in each cycle of `CYCLE_DAYS` days. Slots stand in groups of
`GROUP_SLOTS`; each day of the first part of a group's cycle belongs to exactly one of its slots, by a bijection drawn
for the group and cycle. So the opportunities of a day are enumerated, not searched, and two of one slot lie at least
`CYCLE_DAYS` - `GROUP_SLOTS` + 1 = 330 days apart. An opportunity becomes a delivery, a medical opening or nothing.

An opening is the first of at most four stays. A chain ends within 240 days (180 to its last admission, 60 of stay), and
30 more pass before the next opportunity, so stays never overlap and a stay has a successor within 30 days exactly when
the model says so. Stays that end in death open on the exit day less their length, after any chain of the patient.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.entities import I32, I64
from generators.healthcare import payers, readmission
from generators.healthcare.care_volume import INPATIENT
from generators.healthcare.diagnoses import DELIVERY, DIAGNOSES, KNEE, NEWBORN, DiagnosisMix, cells
from generators.healthcare.patients import BIRTH_RATE, WEIGHT_BLOCK, YEAR_DAYS, Flags, Patients, Population
from generators.healthcare.seasons import Season
from generators.healthcare.use_of_care import cell_of, use_table
from generators.randomness import F64, LANES, hash64, hash_key, hash_lanes, normal_table

U8 = NDArray[np.uint8]

GROUP_SLOTS = 113
"""A prime: multiplication by any smaller number is a bijection of the group."""
CYCLE_DAYS = 442
CHAIN_DAYS = 180
"""Days from an opening to the last admission that its chain may hold."""
MAX_STAYS = 4
LIFE_LEFT_DAYS = 345
"""Days that must be left to a patient at an opening: chain, last stay, 30 days, then a stay that ends in death."""
MIN_AGE_DAYS = 4
"""Age from which an infant may be admitted again after birth."""

MAX_LOS = 60
DEATH_SHARE = 0.165
"""Share of exits that are deaths in hospital."""
EMERGENCY_DEATH_SHARE = 0.037
"""Share of exits that are deaths in the emergency department."""
MOTHER_AGES = ((15, 0.25), (20, 1.0), (25, 1.6), (35, 0.9), (40, 0.15), (48, 0.0))
"""Relative weight of mothers from each age on."""

SOURCES = ("emergency", "newborn_obstetric", "elective", "transfer")
FROM_EMERGENCY, OBSTETRIC, ELECTIVE, TRANSFER = range(4)
_SOURCE_EDGES = (0.82, 0.94)
"""Cumulative shares of emergency and elective among medical stays; the rest are transfers."""
EMERGENCY_SHARE = 0.59
"""Share of all stays that come through the emergency department."""

READMITTED_MEAN = 0.121
"""Readmissions as a part of the mean number of stays."""

NO, YES, INELIGIBLE = 0, 1, 2
"""Outcome of a stay: not readmitted, readmitted, no index stay."""


@dataclass(frozen=True, eq=False)
class Stays:
    """(n,) stays: one array a fact.

    Attributes:
        slot: The patient's slot.
        admitted: Day of admission, from 1970-01-01.
        number: Position in its chain, from 1; 0 for newborns and deaths.
        diagnosis: Position in `DIAGNOSES`.
        los: Length of stay: midnights, 1 to 60.
        source: Position in `SOURCES`.
        outcome: `NO`, `YES` or `INELIGIBLE`.
        delay: Days from discharge to readmission, 0 without.
        since: Days from the chain's last discharge to this admission, 0 for its first stay.
    """

    slot: I64
    admitted: I32
    number: U8
    diagnosis: U8
    los: U8
    source: U8
    outcome: U8
    delay: U8
    since: U8

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, rows: NDArray[Any] | slice) -> Stays:
        """Return some of the stays."""
        return Stays(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def key(self) -> I64:
        """(n,) numbers of the stays: unique over all patients and days."""
        return self.slot << 17 | self.admitted

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(getattr(self, name).nbytes for name in self.__dataclass_fields__)

    @staticmethod
    def concat(parts: list[Stays]) -> Stays:
        """Return all stays of some parts."""
        return Stays(*(np.concatenate([getattr(p, name) for p in parts]) for name in Stays.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class DayStays:
    """The stays that begin on a day, and who is with whom.

    Attributes:
        stays: Openings, deliveries, readmissions, newborns and stays that end in death, in order of slots.
        who: (n,) patients on the day.
        mother: (n,) position of a newborn's mother among the stays, the stay's own position for others.
        dies: (n,) whether the stay ends in death.
    """

    stays: Stays
    who: Patients
    mother: I64
    dies: Flags


@dataclass(frozen=True, eq=False)
class Exits:
    """(n,) patients who leave their slot for good: slot, entity, day, length of life, and draws that say how."""

    slot: I64
    entity: I64
    day: I64
    life: I32
    how: NDArray[np.uint16]
    los: U8
    """Nights before the exit, where it is a death in hospital."""
    dx: NDArray[np.uint16]
    source: NDArray[np.uint16]

    @property
    def in_hospital(self) -> Flags:
        """(n,) whether the exit is a death in hospital."""
        return np.asarray(self.how < int(DEATH_SHARE * LANES))

    @property
    def in_emergency(self) -> Flags:
        """(n,) whether the patient dies in the emergency department, on the day before."""
        return ~self.in_hospital & (self.how < int((DEATH_SHARE + EMERGENCY_DEATH_SHARE) * LANES))

    def take(self, rows: NDArray[Any]) -> Exits:
        """Return some of them."""
        return Exits(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def patients(self, population: Population, day: int) -> Patients:
        """Return their attributes on an earlier day."""
        left = (self.day - day).astype(np.int32)
        return population.describe(self.slot, self.entity, self.life - left, left, day)


@dataclass(frozen=True, eq=False)
class _Chunk:
    """The chains opened on some days: first stays in order of day, later ones in order of admission."""

    first: Stays | None
    later: Stays


@dataclass(frozen=True, eq=False)
class Hospital:
    """The stays of a population.

    Attributes:
        population: The patients.
        mix: Diagnoses by class.
        mean: Mean stays a day over a year.
        rate: Level of 30-day readmission, see `readmission.intercept`.
        volume: Day -> mean number of stays, noise included.
        season: Day -> season.
    """

    population: Population
    mix: DiagnosisMix
    mean: float
    rate: float
    volume: Callable[[int], float]
    season: Callable[[int], Season]

    # -- openings -------------------------------------------------------------------------------------------------

    def _opportunities(self, first: int, last: int) -> tuple[I64, I64]:
        """Return (slots, days) of the opportunities on the days [first, last), in order of days."""
        groups = -(-self.population.slots // GROUP_SLOTS)
        day = np.arange(first, last)[:, None, None]
        place = np.arange(GROUP_SLOTS)[None, :, None]
        group = (place - day) % CYCLE_DAYS + CYCLE_DAYS * np.arange(-(-groups // CYCLE_DAYS))[None, None, :]
        kept = np.broadcast_to(group < groups, group.shape)
        days = np.broadcast_to(day, group.shape)[kept]
        places = np.broadcast_to(place, group.shape)[kept]
        group = group[kept]
        cycle = (days + group % CYCLE_DAYS) // CYCLE_DAYS
        words = hash64(self.key("opportunity"), group << 10 | cycle)
        factor = (words & np.uint64(0xFFFFFFFF)).astype(np.int64) % (GROUP_SLOTS - 1) + 1
        offset = (words >> np.uint64(32)).astype(np.int64) % GROUP_SLOTS
        slots = group * GROUP_SLOTS + (places * factor + offset) % GROUP_SLOTS
        inside = slots < self.population.slots
        return slots[inside], days[inside]

    def _opened(self, first: int, last: int) -> tuple[Stays, Patients, F64]:
        """Return (stays without their facts, patients, yearly rate of openings) of the days [first, last)."""
        slots, days = self._opportunities(first, last)
        entity, age, remaining = self.population.occupy(slots, days)
        free = (remaining > LIFE_LEFT_DAYS) & (age >= MIN_AGE_DAYS)
        who = self.population.describe(slots[free], entity[free], age[free], remaining[free], days[free])
        days = days[free]
        key = who.slot << 17 | days
        words = hash64(self.key("opening"), key)
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
        phase, life = population.lives(slots)
        who = population.describe(slots, slots, phase, life - phase, 20_000)
        free = (who.remaining > LIFE_LEFT_DAYS) & (who.age_days >= MIN_AGE_DAYS)
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
        return self._level(volume - 2.0 * births - self._deaths_mean - READMITTED_MEAN * self.mean)

    @cached_property
    def _deaths_mean(self) -> float:
        return DEATH_SHARE * BIRTH_RATE / YEAR_DAYS * self.population.slots

    @cached_property
    def _mean_level(self) -> float:
        births = BIRTH_RATE / YEAR_DAYS * self.population.slots
        openings = self.mean * (1 - READMITTED_MEAN) - 2 * births - self._deaths_mean
        return float(self._level(np.array([openings]))[0])

    # -- chains ---------------------------------------------------------------------------------------------------

    def _chains(self, first: int, last: int) -> _Chunk:
        """Return the chains opened on the days [first, last)."""
        stays, who, yearly = self._opened(first, last)
        opened = stays.admitted
        parts = []
        for number in range(1, MAX_STAYS + 1):
            stays = self._stay(number, stays, who, yearly, opened)
            parts.append(stays)
            back = np.flatnonzero(stays.outcome == YES)
            if not len(back):
                break
            opened, yearly, last_stay = opened[back], yearly[back], stays.take(back)
            admitted = last_stay.admitted + last_stay.los + last_stay.delay
            stays = Stays(
                last_stay.slot, admitted.astype(np.int32), last_stay.number + np.uint8(1), last_stay.diagnosis,
                last_stay.los, last_stay.source, last_stay.outcome, last_stay.delay, last_stay.delay,
            )  # fmt: skip
            who = self.population.on_day(stays.slot, stays.admitted)
        later = Stays.concat(parts[1:]) if len(parts) > 1 else parts[0].take(slice(0, 0))
        return _Chunk(parts[0], later.take(np.argsort(later.admitted, kind="stable")))

    def _stay(self, number: int, stays: Stays, who: Patients, yearly: F64, opened: I32) -> Stays:
        """Return stays with diagnosis, length, source and outcome; `stays` carries the diagnosis before them."""
        key = stays.key
        dx, copy, length, source = hash_lanes(self.key("stay"), key)
        flag, noise, wait, _ = hash_lanes(self.key("outcome"), key)
        delivery = (stays.diagnosis == DELIVERY) & (number == 1)
        diagnosis = np.where(delivery, np.uint8(DELIVERY), self._diagnoses(stays.admitted, who, dx))
        if number > 1:  # the same illness comes back, where age still allows it and it was no operation
            same = (copy < int(readmission.SAME_DIAGNOSIS * LANES)) & readmission.RETURNS[stays.diagnosis]
            diagnosis = np.where(same, stays.diagnosis, diagnosis)
        los = lengths(diagnosis, who.chronic, length)
        kind = sources(diagnosis, source)
        logit = readmission.intercept(self.rate) + readmission.logit(
            diagnosis, who.chronic, kind == FROM_EMERGENCY, los, number - 1 + yearly, who.payer, who.years
        )
        logit += readmission.SIGMA * normal_table()[noise]
        index = (who.years >= 1) & (los < MAX_LOS)
        delay = readmission.delays()[wait]
        inside = stays.admitted + los.astype(np.int32) + delay - opened <= CHAIN_DAYS
        back = index & inside & (number < MAX_STAYS) & (flag < LANES / (1.0 + np.exp(-logit)))
        outcome = np.where(back, np.uint8(YES), np.where(index, np.uint8(NO), np.uint8(INELIGIBLE)))
        return Stays(
            stays.slot, stays.admitted, np.full(len(key), number, np.uint8), diagnosis, los, kind, outcome,
            np.where(back, delay, np.uint8(0)), stays.since,
        )  # fmt: skip

    def _diagnoses(self, days: I32, who: Patients, draws: NDArray[np.uint16]) -> U8:
        """Return (n,) diagnoses by age, sex and the season of each day."""
        found = np.zeros(len(days), np.uint8)
        index = cells(who.years, who.female).astype(np.intp) << 14 | draws >> 2
        by_season: dict[Season, list[int]] = {}
        present, position = np.unique(days, return_inverse=True)
        for number, day in enumerate(present.tolist()):
            by_season.setdefault(self.season(day), []).append(number)
        for season, numbers in by_season.items():
            rows = slice(None) if len(by_season) == 1 else np.flatnonzero(np.isin(position, numbers))
            found[rows] = self.mix.picks(INPATIENT, season)[index[rows]]
        return found

    # -- the stays of a day ---------------------------------------------------------------------------------------

    def on_day(self, day: int) -> DayStays:
        """Return the stays that begin on a day."""
        cache: OrderedDict[int, DayStays] = self.__dict__.setdefault("_on_day", OrderedDict())
        if day not in cache:
            cache[day] = self._day(day)
            if len(cache) > 3:
                cache.popitem(last=False)
        return cache[day]

    def _day(self, day: int) -> DayStays:
        population = self.population
        chains = [self._first(day), *self._later(day)]
        stays = Stays.concat([part for part in chains if len(part)] or [chains[0]])
        who = population.on_day(stays.slot, stays.admitted)
        delivered = np.sort(stays.slot[(stays.diagnosis == DELIVERY) & (stays.number == 1)])
        born = population.renewals(day, day + 1)[0][: len(delivered)]
        newborn = self._special(born, day, NEWBORN, 2)
        child = population.on_day(born, day)
        dying, dying_who = self._deaths(day)
        every, whose = Stays.concat([stays, newborn, dying]), _join([who, child, dying_who])
        order = np.argsort(every.slot, kind="stable")
        every, whose = every.take(order), whose.take(order)
        dies = (np.repeat([False, True], [len(stays) + len(newborn), len(dying)]))[order]
        mother = np.arange(len(every))
        is_newborn = every.diagnosis == NEWBORN
        mother[is_newborn] = np.searchsorted(every.slot, delivered)
        return DayStays(every, whose, mother, dies)

    def _special(self, slots: I64, day: int, diagnosis: int, los: int) -> Stays:
        n = len(slots)
        blank = np.zeros(n, np.uint8)
        return Stays(
            slots, np.full(n, day, np.int32), blank, blank + np.uint8(diagnosis), blank + np.uint8(los),
            blank + np.uint8(OBSTETRIC), blank + np.uint8(INELIGIBLE), blank, blank,
        )  # fmt: skip

    def exits(self, first: int, last: int) -> Exits:
        """Return the patients who leave on the days [first, last), by whatever cause."""
        slots, days = self.population.renewals(first, last)
        born, _, _ = self.population.occupy(slots, days)
        entity, life = self.population.before(slots, born)
        how, los, dx, source = hash_lanes(self.key("exit"), entity)
        return Exits(slots, entity, days, life, how, _death_lengths()[los], dx, source)

    def _deaths(self, day: int) -> tuple[Stays, Patients]:
        """Return the stays opened on a day that end in death, 1 to 60 days later."""
        leaving = self.exits(day + 1, day + MAX_LOS + 1)
        leaving = leaving.take(leaving.in_hospital & (leaving.day - leaving.los == day))
        who = leaving.patients(self.population, day)
        stays = self._special(leaving.slot, day, 0, 1)
        diagnosis = self._diagnoses(stays.admitted, who, leaving.dx)
        # Nobody dies of a planned operation here: sepsis takes the place of the knee.
        diagnosis = np.where(diagnosis == KNEE, np.uint8(readmission.SEPSIS), diagnosis)
        kind = sources(diagnosis, leaving.source)
        return (
            Stays(
                stays.slot, stays.admitted, stays.number, diagnosis, leaving.los, kind, stays.outcome, stays.delay,
                stays.since,
            ),
            who,
        )  # fmt: skip

    def in_hospital(self, day: int) -> I64:
        """Return the slots of patients who are in hospital at some time of a day or die on it, sorted."""
        leaving = self.exits(day, day + MAX_LOS + 1)
        dying = leaving.in_hospital & (leaving.day - leaving.los <= day)
        dying |= leaving.in_emergency & (leaving.day == day + 1)
        inside = [self.on_day(day).stays.slot, leaving.slot[dying], self.population.renewals(day - 2, day)[0]]
        chunks = self._chunks(day - CHAIN_DAYS, day + 1, first=False)
        recent = self._chunks(day - MAX_LOS, day + 1, first=True)
        for stays in [*(chunk.later for chunk in chunks), *(chunk.first for chunk in recent)]:
            assert stays is not None
            inside.append(stays.slot[(stays.admitted <= day) & (stays.admitted + stays.los >= day)])
        return np.unique(np.concatenate(inside))

    # -- the cache ------------------------------------------------------------------------------------------------

    @cached_property
    def _step(self) -> int:
        """Days a chunk: one where they are many, 32 where they are few."""
        a_day = self.population.slots / CYCLE_DAYS
        return int(min(32, max(1, 300_000 // max(a_day, 1))))

    def _chunk(self, number: int, first: bool) -> _Chunk:
        cache: OrderedDict[int, _Chunk] = self.__dict__.setdefault("_cache", OrderedDict())
        chunk = cache.pop(number, None)
        if chunk is None or (first and chunk.first is None):
            chunk = self._chains(max(0, number * self._step), (number + 1) * self._step)
        cache[number] = chunk
        return chunk

    def _chunks(self, begin: int, end: int, first: bool) -> list[_Chunk]:
        """Return the chunks of the days [begin, end); those far behind them are forgotten."""
        numbers = range(max(0, begin) // self._step, (max(end, 1) - 1) // self._step + 1)
        found = [self._chunk(number, first) for number in numbers]
        cache: OrderedDict[int, _Chunk] = self.__dict__["_cache"]
        while len(cache) > CHAIN_DAYS // self._step + 12:
            cache.popitem(last=False)
        # First stays matter for as long as someone may still be in hospital.
        for number in [n for n in cache if cache[n].first is not None and (n + 1) * self._step < end - MAX_LOS - 2]:
            cache[number] = _Chunk(None, cache[number].later)
        return found

    def _first(self, day: int) -> Stays:
        if day < 0:
            return self._chunks(0, 1, first=True)[0].later.take(slice(0, 0))
        first = self._chunks(day, day + 1, first=True)[0].first
        assert first is not None
        low, high = np.searchsorted(first.admitted, [day, day + 1])
        return first.take(slice(low, high))

    def _later(self, day: int) -> list[Stays]:
        parts = []
        for chunk in self._chunks(day - CHAIN_DAYS, day, first=False):
            low, high = np.searchsorted(chunk.later.admitted, [day, day + 1])
            if low < high:
                parts.append(chunk.later.take(slice(low, high)))
        return parts

    def key(self, name: str) -> np.uint64:
        """Return the key of a hash over stays."""
        keys: dict[str, np.uint64] = self.__dict__.setdefault("_keys", {})
        if name not in keys:
            keys[name] = hash_key(self.population.seed, self.population.generator, "stay", name)
        return keys[name]


def _join(parts: list[Patients]) -> Patients:
    return Patients(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in Patients.__dataclass_fields__}
    )


_LOS_FACTOR = {"A41.9": 1.5, "I63.9": 1.4, "R07.9": 0.55, "R55": 0.65, "K52.9": 0.75, "F10.129": 0.8, "K35.80": 0.7}
_LOS_MU, _LOS_SIGMA, _LOS_CHRONIC = 1.05, 0.80, 0.06


@lru_cache(maxsize=1)
def _los_factors() -> F64:
    return np.array([_LOS_FACTOR.get(d.code, 1.0) for d in DIAGNOSES])


def lengths(diagnosis: U8, chronic: U8, draws: NDArray[np.uint16]) -> U8:
    """Return (n,) lengths of stay: ceil(lognormal(1.05, 0.80) x exp(0.06 chronic) x factor), 1 to 60.

    Deliveries stay 2 or 3 days, newborns 2, new knees 2.
    """
    mean = np.exp(_LOS_MU + _LOS_SIGMA * normal_table()[draws] + _LOS_CHRONIC * chronic)
    los = np.clip(np.ceil(mean * _los_factors()[diagnosis]), 1, MAX_LOS).astype(np.uint8)
    los = np.where(diagnosis == DELIVERY, 2 + (draws >= 0.7 * LANES).astype(np.uint8), los)
    return np.where((diagnosis == KNEE) | (diagnosis == NEWBORN), np.uint8(2), los).astype(np.uint8)


@lru_cache(maxsize=1)
def _death_lengths() -> U8:
    """Return lengths of stays that end in death by 16-bit draw."""
    return np.clip(np.ceil(np.exp(1.35 + 0.95 * normal_table())), 1, MAX_LOS).astype(np.uint8)


def sources(diagnosis: U8, draws: NDArray[np.uint16]) -> U8:
    """Return (n,) sources of admission: obstetric by diagnosis, new knees elective, others mostly emergency."""
    kind = np.searchsorted([int(edge * LANES) for edge in _SOURCE_EDGES], draws, side="right")
    kind = np.array([FROM_EMERGENCY, ELECTIVE, TRANSFER])[kind]
    kind = np.where(diagnosis == KNEE, ELECTIVE, kind)
    return np.where((diagnosis == DELIVERY) | (diagnosis == NEWBORN), OBSTETRIC, kind).astype(np.uint8)
