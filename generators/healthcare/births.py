"""When lives begin: a clock that runs fast in months of many births, and ages in completed calendar years.

The clock counts ticks, 16 a day on average over each calendar year. What is spread evenly over ticks follows the season
on the calendar, years stay as long as they are, and both directions are look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.calendar import LAST_DAY
from generators.entities import I32
from generators.healthcare.seasons import MONTHLY
from generators.randomness import F64

TICKS_SHIFT = 4
TICKS = 1 << TICKS_SHIFT
"""Ticks of a mean day: fine enough that births follow the season in every week."""
LAST_ASKED = (LAST_DAY - date(1970, 1, 1)).days + 200
"""Last day (from 1970-01-01) on which births are asked for: stays that end after the calendar does."""
_FIRST, _LAST = -40_000, LAST_ASKED + 40_000
"""Days that hold the births and exits of everyone who is there on some day of the calendar."""


@dataclass(frozen=True)
class BirthCalendar:
    """The clock of lives.

    Attributes:
        months: Relative frequency of births from January to December.
    """

    months: tuple[float, ...]

    @staticmethod
    def of(southern: bool) -> BirthCalendar:
        """Return the calendar north or south of the equator."""
        months = MONTHLY["sep_plus"]
        return BirthCalendar((*months[6:], *months[:6]) if southern else months)

    def first_tick(self, days: NDArray[Any] | int) -> I32:
        """Return the first tick of days (since 1970-01-01), of an array or a number."""
        return np.asarray(_clock(self.months)[0][np.asarray(days) - _FIRST], np.int32)

    def day_of(self, tick: I32) -> I32:
        """Return the days (since 1970-01-01) of (n,) ticks."""
        return np.asarray((tick >> TICKS_SHIFT) + _clock(self.months)[1][tick - _FIRST * TICKS], np.int32)

    def factor(self, days: NDArray[Any]) -> F64:
        """Return how many births (n,) days have, relative to a mean day."""
        months = np.array(self.months)
        return np.asarray((months / months.mean())[_civil()[1][days - _FIRST] >> 5])


@lru_cache(maxsize=2)
def _clock(months: tuple[float, ...]) -> tuple[I32, NDArray[np.int8]]:
    """Return (first tick of each day from `_FIRST` on, days by which a tick's day is ahead of tick / 16)."""
    year, place = _civil()
    births = np.array(months)[place >> 5]
    length, total = (np.bincount(year - year[0], weights=w) for w in (None, births))
    ticks = births * (TICKS * length / total)[year - year[0]]
    # Ticks are counted from 1 January of each year, where both clocks agree: rounding never adds up.
    passed = np.cumsum(ticks) - ticks
    starts = np.flatnonzero(np.append(True, np.diff(year) > 0))
    day = np.arange(_FIRST, _LAST)
    of_year = np.repeat(starts, np.diff(np.append(starts, len(year))))
    first = np.rint(day[of_year] * TICKS + passed - passed[of_year]).astype(np.int32)
    tick = np.arange(first[0], first[-1])
    ahead = np.repeat(day[:-1], np.diff(first)) - (tick >> TICKS_SHIFT)
    return first, ahead.astype(np.int8)


@lru_cache(maxsize=1)
def _civil() -> tuple[I32, I32]:
    """Return (year, 32 month + day of month) of the days from `_FIRST` on, months from 0."""
    days = np.arange(_FIRST, _LAST).astype("M8[D]")
    months = days.astype("M8[M]").astype(np.int64)
    of_month = (days - days.astype("M8[M]").astype("M8[D]")).astype(np.int64)
    return (months // 12 + 1970).astype(np.int32), (months % 12 * 32 + of_month).astype(np.int32)


def calendar_years(age: I32, day: NDArray[Any] | int) -> NDArray[np.uint8]:
    """Return (n,) calendar years of days less those of birth, for ages in days: they grow on 1 January."""
    year, _ = _civil()
    today = np.asarray(day, np.int32) - _FIRST
    return np.asarray(year[today] - year[today - age], np.uint8)


def completed_years(age: I32, day: NDArray[Any] | int) -> NDArray[np.uint8]:
    """Return (n,) completed calendar years of ages in days on a day; who was born on 29 February waits for 1 March."""
    year, place = _civil()
    today = np.asarray(day, np.int32) - _FIRST
    birth = today - age
    years = year[today] - year[birth]
    years -= place[today] < place[birth]
    return np.asarray(years, np.uint8)
