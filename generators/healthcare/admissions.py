"""Rows that hospital stays make: the stays that begin on a day and the emergency visits that end in one, or in death.

The stay drives, the emergency row is derived from it: a stay from the emergency department draws its arrival from the
department's hours and the length of the visit, and begins when that ends. Where this is after midnight, the visit is a
row of the day before. All times hang on the stay's key, so both days agree on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from generators.days import day_number
from generators.entities import I64
from generators.healthcare import emergency, patient_ids, visits
from generators.healthcare.care_volume import EMERGENCY, INPATIENT, emergency_hours
from generators.healthcare.diagnoses import DELIVERY, DRAW_BITS, NEWBORN, cells, members
from generators.healthcare.encounters import (
    ADMITTED,
    AGAINST_ADVICE,
    DIED,
    HOME,
    HOME_HEALTH,
    HOSPICE,
    MINUTE,
    REHAB,
    SNF,
    U8,
    U16,
    Encounters,
    lanes,
)
from generators.healthcare.hospital import Hospital
from generators.healthcare.patients import Flags, Patients
from generators.healthcare.stays import ELECTIVE, FROM_EMERGENCY, INELIGIBLE, DayStays, Stays
from generators.intraday import day_bounds
from generators.randomness import F64, LANES, hash_lanes, normal_table

HOUR = 60 * MINUTE
DAY = 24 * HOUR

BOARDING_MINUTES, BOARDING_SIGMA = 330.0, 0.55
"""Median and log standard deviation of emergency visits that end in a stay."""
BOARDING_RANGE = (30, 20 * 60)
QUICK_RETURN_MINUTES = 7 * 60
"""Longest visit of someone discharged the day before: it begins after the discharge."""
DISCHARGE_HOURS = (9.0, 17.0)
OTHER_HOURS = (
    0.0294, 0.0898, 0.1035, 0.0741, 0.0654, 0.0661, 0.0684, 0.0687, 0.0652, 0.0628, 0.0590, 0.0560, 0.0511, 0.0431,
    0.0352, 0.0271, 0.0216, 0.0119, 0.0016,
)  # fmt: skip
"""Shares of the hours 5 to 23 among stays that come neither from the emergency department nor with a birth."""
BIRTH_HOURS = (
    0.030, 0.030, 0.030, 0.030, 0.030, 0.031, 0.032, 0.044, 0.058, 0.049, 0.047, 0.048, 0.056, 0.050, 0.049, 0.049,
    0.049, 0.049, 0.045, 0.042, 0.040, 0.039, 0.038, 0.035,
)  # fmt: skip
"""Shares of the hours 0 to 23 among births: fewest at night, most at 8 and 12 h; shape of NCHS Data Brief 200."""
LABOUR_HOURS = (0.5, 8.0)
"""Hours from a mother's admission to the birth, short ones the most frequent; at night less, as both have one day."""
ELECTIVE_LEAD_FACTOR = 2.5
"""Planned stays are booked that much longer ahead than visits."""

_AGE_EDGES = (45, 65, 80)
_LEAVING = {
    SNF: (0.141, (0.16, 0.50, 1.15, 2.30)),
    HOME_HEALTH: (0.154, (0.35, 0.85, 1.30, 1.50)),
    REHAB: (0.032, (0.40, 0.90, 1.30, 1.30)),
    HOSPICE: (0.019, (0.10, 0.50, 1.20, 2.20)),
    AGAINST_ADVICE: (0.014, (2.20, 1.30, 0.50, 0.20)),
}
"""Disposition -> share among stays that end neither in birth nor in death, and factors under 45, 65, 80 and above."""
_LOS_EDGES = (4, 8)
_LEAVING_BY_LOS = {SNF: (0.7, 1.0, 1.6), REHAB: (0.7, 1.0, 1.6)}
"""Disposition -> factors under 4 nights, under 8, and beyond."""
_LEAVING_BY_DIAGNOSIS = {SNF: (1.0, 2.5, 1.0), REHAB: (1.0, 2.5, 1.0), HOME_HEALTH: (1.0, 1.0, 2.0)}
"""Disposition -> factors of most diagnoses, of hip fractures and strokes, and of worn knees."""
_DISABLING, _WORN_KNEE = members("S72.001A", "I63.9"), members("M17.11")
_RECOVERY = (_DISABLING + 2 * _WORN_KNEE).astype(np.intp)
"""Position in `_LEAVING_BY_DIAGNOSIS` of each diagnosis."""
_LEAVING_LEVEL = {SNF: 0.932, HOME_HEALTH: 0.931, REHAB: 0.938}
"""Disposition -> factor that keeps its share among all these stays, fitted on their ages, lengths and diagnoses."""


@dataclass(frozen=True, eq=False)
class Admissions:
    """The rows that stays make.

    Attributes:
        hospital: The stays.
        zone: The dataset's time zone.
        rng: (day, column) -> stream of a column of these rows.
    """

    hospital: Hospital
    zone: str
    rng: Callable[[date, str], np.random.Generator]

    def rows(self, day: date) -> Encounters:
        """Return the stays that begin on a day, then the day's emergency visits that end in a stay or in death."""
        number = day_number(day)
        today, tomorrow = self.hospital.on_day(number), self.hospital.on_day(number + 1)
        now, next_ = self._moments(today), self._moments(tomorrow)
        parts = [
            self._stays(day, today, now),
            self._visits(day, today, now, (today.stays.source == FROM_EMERGENCY) & ~now.spilled),
            self._visits(day, tomorrow, next_, (tomorrow.stays.source == FROM_EMERGENCY) & next_.spilled),
            self._deaths(day),
        ]
        return Encounters.concat(parts)

    def _streams(self, day: date) -> Callable[[str], np.random.Generator]:
        return lambda column: self.rng(day, column)

    # -- times ----------------------------------------------------------------------------------------------------

    def _moments(self, of: DayStays) -> _Moments:
        """Return when stays begin and end, and when those who came through the emergency department arrived."""
        stays = of.stays
        if not len(stays):
            empty = np.zeros(0, np.int64)
            return _Moments(empty, empty, empty, np.zeros(0, np.bool_))
        day = int(stays.admitted[0])
        bounds = [day_bounds(date(1970, 1, 1) + timedelta(day + n), self.zone) for n in range(-1, 62)]
        before, begin, end = (np.array(b, np.int64) for b in (bounds[0], bounds[1], bounds[1]))
        hour, fine, length, leave = hash_lanes(self.hospital.key("times"), stays.key)
        uniform = (hour.astype(np.float64) + fine / LANES) / LANES
        emergency_time = np.interp(uniform, *_quantiles(emergency_hours((day + 3) % 7)))
        other_time = np.interp(uniform, *_quantiles((0.0,) * 5 + OTHER_HOURS))
        minutes = BOARDING_MINUTES * np.exp(BOARDING_SIGMA * normal_table()[length])
        low, high = BOARDING_RANGE
        minutes = np.clip(minutes, low, np.where(stays.since == 1, QUICK_RETURN_MINUTES, high))
        through = stays.source == FROM_EMERGENCY
        moment = np.where(through, emergency_time + minutes * MINUTE, other_time)
        spilled = moment >= DAY
        scale, scale_before = (end[1] - begin[0]) / DAY, (before[1] - before[0]) / DAY
        start = begin[0] + ((moment - DAY * spilled) * scale).astype(np.int64)
        arrival = np.where(
            spilled, before[0] + emergency_time * scale_before, begin[0] + emergency_time * scale
        ).astype(np.int64)
        newborn = np.flatnonzero(stays.diagnosis == NEWBORN)
        if len(newborn):
            birth = np.interp(uniform[newborn], *_quantiles(BIRTH_HOURS))
            shortest, longest = (np.minimum(LABOUR_HOURS[n] * HOUR, birth * part) for n, part in enumerate((0.5, 1.0)))
            labour = shortest + (longest - shortest) * (length[newborn] / LANES) ** 1.5
            start[newborn] = begin[0] + (birth * scale).astype(np.int64)
            start[of.mother[newborn]] = begin[0] + ((birth - labour) * scale).astype(np.int64)
        first, last = DISCHARGE_HOURS
        share = leave / LANES
        out = np.where(of.dies, share * 24, first + (last - first) * share) * HOUR
        starts = np.array([b[0] for b in bounds[1:]])
        leaving = starts[stays.los.astype(np.intp)] + np.minimum(out, 22.9 * HOUR).astype(np.int64)
        return _Moments(start, leaving, arrival, spilled)

    # -- rows -----------------------------------------------------------------------------------------------------

    def _stays(self, day: date, of: DayStays, moments: _Moments) -> Encounters:
        stays, n = of.stays, len(of.stays)
        rng = self._streams(day)
        lead = visits.lead_days()[lanes(rng("scheduled_lead_days"), n)] * ELECTIVE_LEAD_FACTOR
        blank = np.zeros(n, np.uint8)
        return Encounters(
            day=day,
            rng=rng,
            cls=blank + np.uint8(INPATIENT),
            who=of.who,
            start=moments.start,
            end=moments.end,
            diagnosis=stays.diagnosis,
            status=blank,
            esi=blank,
            disposition=_leaving(lanes(rng("discharge_disposition"), n), of),
            los=stays.los,
            source=stays.source,
            lead=np.minimum(lead, visits.MAX_LEAD).astype(np.uint16),
            booked=stays.source == ELECTIVE,
            family=of.who.entity[of.mother],
            letter=blank + np.uint8(patient_ids.STAY),
            number=patient_ids.stay_numbers(stays.slot, day_number(day), *self._names),
            outcome=stays.outcome,
            delay=stays.delay,
        )

    def _visits(self, day: date, of: DayStays, moments: _Moments, chosen: Flags) -> Encounters:
        rows = np.flatnonzero(chosen)
        stays = of.stays.take(rows)
        number = day_number(day)
        who = of.who.take(rows)
        if len(rows) and int(stays.admitted[0]) != number:
            who = self.hospital.population.on_day(stays.slot, number)
        diagnosis = self._valid_diagnoses(day, stays, who)
        return self._emergency(day, who, moments.arrival[rows], moments.start[rows], diagnosis, ADMITTED, stays.key)

    def _valid_diagnoses(self, day: date, stays: Stays, who: Patients) -> U8:
        """Return the stays' diagnoses; where age or date forbids one on the eve of the stay, one that they allow."""
        hospital, season = self.hospital, self.hospital.season(day_number(day))
        cell = cells(who.years, who.female).astype(np.intp)
        allowed = hospital.mix.shares(EMERGENCY, season)[cell, stays.diagnosis] > 0
        draw = hash_lanes(hospital.key("eve"), stays.key)[0]
        other = hospital.mix.picks(EMERGENCY, season)[cell << DRAW_BITS | draw >> (16 - DRAW_BITS)]
        return np.where(allowed, stays.diagnosis, other).astype(np.uint8)

    def _deaths(self, day: date) -> Encounters:
        """Return the visits of patients who die in the emergency department on a day."""
        hospital, number = self.hospital, day_number(day)
        leaving = hospital.exits(number + 1, number + 2)
        who = leaving.take(leaving.in_emergency).patients(hospital.population, number)
        key = who.slot << 17 | number
        hour, length, dx, _ = hash_lanes(hospital.key("emergency death"), key)
        begin, end = day_bounds(day, self.zone)
        time = np.interp((hour + 0.5) / LANES, *_quantiles(emergency_hours(day.weekday()))) / DAY
        start = begin + (time * (end - begin)).astype(np.int64)
        cell = cells(who.years, who.female).astype(np.intp)
        picks = hospital.mix.picks(EMERGENCY, hospital.season(number))
        minutes = np.rint(90 * np.exp(0.7 * normal_table()[length])).astype(np.int64) + 5
        return self._emergency(
            day, who, start, start + minutes * MINUTE, picks[cell << DRAW_BITS | dx >> (16 - DRAW_BITS)], DIED, key
        )

    def _emergency(
        self, day: date, who: Patients, start: I64, end: I64, diagnosis: U8, disposition: int, key: I64
    ) -> Encounters:
        n = len(start)
        draws = hash_lanes(self.hospital.key("severity"), key)[0]
        begin, _ = day_bounds(day, self.zone)
        hour = np.minimum((start - begin) // HOUR, 23).astype(np.uint8)
        blank = np.zeros(n, np.uint8)
        died = disposition == DIED
        esi = (
            np.where(draws < LANES * 3 // 4, 1, 2)
            if died
            else emergency.severities(draws, who.years, hour, diagnosis, True)
        )
        return Encounters(
            day=day,
            rng=self._streams(day),
            cls=blank + np.uint8(EMERGENCY),
            who=who,
            start=start,
            end=end,
            diagnosis=diagnosis,
            status=blank,
            esi=esi.astype(np.uint8),
            disposition=blank + np.uint8(disposition),
            los=blank,
            source=blank,
            lead=np.zeros(n, np.uint16),
            booked=np.zeros(n, np.bool_),
            family=who.entity,
            letter=blank + np.uint8(patient_ids.VISIT),
            number=patient_ids.derived_visit_numbers(who.slot, day, *self._names),
            outcome=blank + np.uint8(INELIGIBLE),
            delay=blank,
        )

    @property
    def _names(self) -> tuple[int, str]:
        """Seed and generator of ids."""
        return self.hospital.population.seed, self.hospital.population.generator


@dataclass(frozen=True, eq=False)
class _Moments:
    """UTC microseconds of (n,) stays' begin and end, of the arrival before, and whether that was the day before."""

    start: I64
    end: I64
    arrival: I64
    spilled: Flags


@lru_cache(maxsize=16)
def _quantiles(curve: tuple[float, ...]) -> tuple[F64, F64]:
    """Return (cumulative shares, microseconds of the day) of 24 hourly weights."""
    cumulative = np.concatenate([[0.0], np.cumsum(curve)])
    return cumulative / cumulative[-1], np.arange(25.0) * HOUR


@lru_cache(maxsize=1)
def _leaving_edges() -> NDArray[np.float64]:
    """Return (36, 5) cumulative shares of dispositions other than home by age, length of stay and diagnosis."""
    even = (1.0, 1.0, 1.0)
    rows = []
    for age, los, diagnosis in product(range(4), range(3), range(3)):
        by_age = np.array([share * factors[age] for share, factors in _LEAVING.values()])
        weights = by_age * [
            _LEAVING_LEVEL.get(code, 1.0)
            * _LEAVING_BY_LOS.get(code, even)[los]
            * _LEAVING_BY_DIAGNOSIS.get(code, even)[diagnosis]
            for code in _LEAVING
        ]
        rows.append(np.cumsum(weights) / (1.0 - by_age.sum() + weights.sum()))
    return np.array(rows)


def _leaving(draws: U16, of: DayStays) -> U8:
    """Return (n,) dispositions: death or home after birth, else by age, length of stay and diagnosis.

    Factors act on the weights of dispositions; home has what age leaves to it, and weights are scaled to one.
    """
    cell = np.searchsorted(_AGE_EDGES, of.who.years, side="right") * 3
    cell = (cell + np.searchsorted(_LOS_EDGES, of.stays.los, side="right")) * 3 + _RECOVERY[of.stays.diagnosis]
    edges = _leaving_edges()[cell]
    codes = np.array([*_LEAVING, HOME], np.uint8)
    found: U8 = codes[((draws / LANES)[:, None] >= edges).sum(axis=1)]
    found[(of.stays.diagnosis == DELIVERY) | (of.stays.diagnosis == NEWBORN)] = HOME
    found[of.dies] = DIED
    return found
