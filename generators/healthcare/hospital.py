"""Hospital stays without memory: who is admitted on a day, for how long, and whether they come back within 30 days.

An opening is the first of at most four stays. A chain ends within 240 days (180 to its last admission, 60 of stay), and
30 more pass before the patient's next opportunity, so stays never overlap and a stay has a successor within 30 days
exactly when the model says so. Stays that end in death open on the exit day less their length, after any chain of the
patient. Every draw is a hash of the stay's key, so chains are made for one day or for many at once, with equal results.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from generators.entities import I32, I64
from generators.healthcare import readmission
from generators.healthcare.care_volume import INPATIENT
from generators.healthcare.diagnoses import DELIVERY, KNEE, NEWBORN, DiagnosisMix, cells
from generators.healthcare.openings import CYCLE_DAYS, Openings
from generators.healthcare.patients import Patients, Population
from generators.healthcare.seasons import Season
from generators.healthcare.stays import (
    FROM_EMERGENCY,
    INELIGIBLE,
    MAX_LOS,
    NO,
    OBSTETRIC,
    YES,
    DayStays,
    Exits,
    Stays,
    death_lengths,
    lengths,
    sources,
)
from generators.randomness import F64, LANES, hash_key, hash_lanes, normal_table

U8 = NDArray[np.uint8]

CHAIN_DAYS = 180
"""Days from an opening to the last admission that its chain may hold."""
MAX_STAYS = 4


@dataclass(frozen=True, eq=False)
class _Chunk:
    """The chains opened on some days: first stays in order of day, later ones in order of admission.

    Of the first stays, those that ended before the day `since` may have been forgotten, or all of them.
    """

    first: Stays | None
    later: Stays
    since: int


@dataclass(frozen=True, eq=False)
class Hospital:
    """The stays of a population.

    Attributes:
        openings: The first stays of chains.
        mix: Diagnoses by class.
        season: Day -> season.
    """

    openings: Openings
    mix: DiagnosisMix
    season: Callable[[int], Season]

    @property
    def population(self) -> Population:
        """The patients."""
        return self.openings.population

    # -- chains ---------------------------------------------------------------------------------------------------

    def _chains(self, first: int, last: int) -> _Chunk:
        """Return the chains opened on the days [first, last)."""
        stays, who, yearly = self.openings.opened(first, last)
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
        return _Chunk(parts[0], later.take(np.argsort(later.admitted, kind="stable")), first)

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
        logit = readmission.intercept(self.openings.rate) + readmission.logit(
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
        population = self.population
        slots, days = population.renewals(first, last)
        entity = population.occupy(slots, days)[0] - population.slots
        how, los, dx, source = hash_lanes(self.key("exit"), entity)
        # Exits have the season of the births that they make room for; deaths among them have none.
        how = how * population.births.factor(days)
        return Exits(slots, entity, days, population.born(slots, entity), how, death_lengths()[los], dx, source)

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

    def _chunks(self, begin: int, end: int, first: bool) -> list[_Chunk]:
        """Return the chunks of the days [begin, end); with `first`, all who are in hospital on the last day are there.

        What lies far behind is forgotten, and made again where it is asked for.
        """
        cache: OrderedDict[int, _Chunk] = self.__dict__.setdefault("_cache", OrderedDict())
        step, last, found = self._step, max(end, 1) - 1, []
        for number in range(max(0, begin) // step, last // step + 1):
            chunk = cache.pop(number, None)
            if chunk is None or (first and (chunk.first is None or chunk.since > last)):
                chunk = self._chains(number * step, (number + 1) * step)
            cache[number] = chunk = self._shortened(chunk, (number + 1) * step - 1, last)
            found.append(chunk)
        while len(cache) > CHAIN_DAYS // step + 12:
            cache.popitem(last=False)
        return found

    def _shortened(self, chunk: _Chunk, until: int, day: int) -> _Chunk:
        """Return a chunk that ends on `until` without the first stays that have ended before a later day."""
        if chunk.first is None or until >= day or chunk.since >= day:
            return chunk
        if until + MAX_LOS < day:
            return _Chunk(None, chunk.later, day)
        if self._step > 1:
            return chunk
        return _Chunk(chunk.first.take(chunk.first.admitted + chunk.first.los >= day), chunk.later, day)

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
