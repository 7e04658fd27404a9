"""Holidays, shopping days and seasons of a country: what happens on a day, and which event decides its volume."""

from __future__ import annotations

import calendar as months
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from generators.errors import CalendarError

FIRST_DAY = date(1970, 1, 1)
"""First day of the calendar."""
LAST_DAY = date(2099, 12, 31)
"""Last day of the calendar."""

MON, THU, SUN = 0, 3, 6
_SUBDIVISIONS = {"GB": "ENG"}
"""Where the holidays that a whole country shares leave out most people's bank holidays."""
_KNOWN_CODES = "US, GB, CA, AU, DE, FR, ES, IT, NL, SE, PL, BR, MX, IN, JP"

FEDERAL_HOLIDAYS = ("mlk_day", "presidents_day", "juneteenth", "columbus_day", "veterans_day")
"""US holidays that take the factor of ``public_holiday`` where a table does not name them."""
EVENT_NAMES = (
    "new_years_day", "mlk_day", "presidents_day", "memorial_day", "juneteenth", "independence_day", "labor_day",
    "columbus_day", "veterans_day", "thanksgiving", "christmas_day", "public_holiday", "valentines_day", "mothers_day",
    "fathers_day", "halloween", "thanksgiving_eve", "black_friday", "cyber_monday", "christmas_eve", "new_years_eve",
    "super_bowl", "online_sale", "observed_holiday", "first_working_day", "quarter_end", "valentines_week",
    "mothers_day_week", "summer_holidays", "back_to_school", "black_friday_week", "last_shopping_days",
    "late_christmas_shopping", "christmas_shopping", "year_end_holidays", "christmas_week", "post_christmas",
)  # fmt: skip
"""Every event that a multiplier may name, single days in the order in which they beat each other."""
_PLACES = frozenset({"first_working_day", "quarter_end"})
_RANK = {name: rank for rank, name in enumerate(EVENT_NAMES)}


@dataclass(frozen=True)
class Event:
    """A named day or period of the calendar.

    Attributes:
        name: Key of multipliers, one of `EVENT_NAMES`.
        first: First day.
        last: Last day, part of the event.
        kind: ``"day"`` for a single named day, ``"period"`` for a season, however short.
    """

    name: str
    first: date
    last: date
    kind: Literal["day", "period"]

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.last - self.first).days + 1

    @property
    def keys(self) -> tuple[str, ...]:
        """Names under which a multiplier is looked up, the most specific first."""
        return event_keys(self.name)


def event_keys(name: str) -> tuple[str, ...]:
    """Return the names under which the multiplier of an event is looked up, the most specific first."""
    return (name, "public_holiday") if name in FEDERAL_HOLIDAYS else (name,)


@dataclass(frozen=True)
class HolidayCalendar:
    """The events of one country; calendars of the same country and own events are equal.

    Args:
        country: ISO 3166-1 alpha-2 code. Its public holidays are looked up on first use.
        own: Events beside the country's, such as a shop's sale.
    """

    country: str
    own: tuple[Event, ...] = ()

    def events(self, year: int) -> tuple[Event, ...]:
        """Return the events that begin in a year, sorted by first day.

        Raises:
            CalendarError: Unknown country, or a year outside the calendar.
        """
        return _events(self.country, self.own, _checked_year(year))

    def active(self, day: date) -> tuple[Event, ...]:
        """Return the events that a day belongs to: single days by rank, then periods from short to long.

        Periods that began in the year before are among them.

        Raises:
            CalendarError: Unknown country, or a day outside the calendar.
        """
        _checked_year(day.year)
        return _active_by_day(self.country, self.own, day.year).get(day, ())

    def factor(self, day: date, multipliers: Mapping[str, float], profile: str) -> float:
        """Return the factor of a day, 1.0 when none of its events has a multiplier.

        Args:
            day: Civil day.
            multipliers: Event name -> factor; events that are not in it have no say.
            profile: ``"seed"``: the smallest factor when any is below 1, else the largest. ``"retail"``: a single
                day beats every period, and among periods the shortest wins.

        Raises:
            CalendarError: Unknown country or profile, or a day outside the calendar.
        """
        decided = self._decide(day, multipliers, profile)
        return 1.0 if decided is None else decided[1]

    def event_name(self, day: date, multipliers: Mapping[str, float], profile: str) -> str | None:
        """Return the event that decides the factor of a day, None when there is none."""
        decided = self._decide(day, multipliers, profile)
        return None if decided is None else decided[0]

    def digest(self, year: int) -> str:
        """Return a fingerprint of the events that days of a year can see: names and dates of three years."""
        years = range(max(year - 1, FIRST_DAY.year - 1), min(year + 1, LAST_DAY.year + 1) + 1)
        text = "\n".join(
            f"{e.name} {e.first} {e.last} {e.kind}" for y in years for e in _events(self.country, self.own, y)
        )
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def _decide(self, day: date, multipliers: Mapping[str, float], profile: str) -> tuple[str, float] | None:
        if profile not in ("seed", "retail"):
            raise CalendarError(f"holiday_profile: {profile!r} given; allowed: seed, retail")
        found = []
        for event in self.active(day):
            key = next((key for key in event.keys if key in multipliers), None)
            if key is not None:
                found.append((event.name, float(multipliers[key])))
        if not found:
            return None
        if profile == "retail":
            return found[0]  # active events come in the order of this rule
        smallest = min(found, key=lambda pair: pair[1])
        return smallest if smallest[1] < 1.0 else max(found, key=lambda pair: pair[1])


def get_major_holidays(year: int, country: str) -> dict[date, str]:
    """Return the holidays and shopping days of a year: of several events on a day the highest-ranking one.

    Working days that are events only by their place (after a long weekend, at a quarter's end) are left out.
    """
    named: dict[date, str] = {}
    for event in HolidayCalendar(country).events(year):  # in order of day and rank
        if event.kind == "day" and event.name not in _PLACES:
            named.setdefault(event.first, event.name)
    return named


def get_active_holidays(day: date, country: str) -> list[str]:
    """Return the names of all events that a day belongs to, single days first, then periods from short to long."""
    return [event.name for event in HolidayCalendar(country).active(day)]


def nth_weekday(year: int, month: int, weekday: int, n: int) -> date:
    """Return the n-th weekday (Monday 0) of a month, counted from the end when n is negative."""
    if n > 0:
        first = date(year, month, 1)
        return first + timedelta((weekday - first.weekday()) % 7 + 7 * (n - 1))
    last = date(year, month, months.monthrange(year, month)[1])
    return last - timedelta((last.weekday() - weekday) % 7 - 7 * (n + 1))


def easter(year: int) -> date:
    """Return Easter Sunday of the western churches (Anonymous Gregorian computus, Meeus 1991)."""
    a, (b, c) = year % 19, divmod(year, 100)
    (d, e), g = divmod(b, 4), (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    shift = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * shift) // 451
    month, day = divmod(h + shift - 7 * m + 114, 31)
    return date(year, month, day + 1)


def super_bowl(year: int) -> date:
    """Return the Sunday of the Super Bowl: January's last, from 2004 on February's first, from 2022 on its second.

    In 1989 and 2002 it was a week off that rule.
    """
    if year < 2004:
        return nth_weekday(year, 1, SUN, -1)
    return nth_weekday(year, 2, SUN, 1 if year < 2022 else 2)


def _french_mothers_day(year: int) -> date:
    last = nth_weekday(year, 5, SUN, -1)
    return nth_weekday(year, 6, SUN, 1) if last == easter(year) + timedelta(49) else last


_MOTHERS_DAY: dict[str, Callable[[int], date]] = {
    **dict.fromkeys(("GB", "IE"), lambda y: easter(y) - timedelta(21)),
    **dict.fromkeys(("ES", "PT", "HU", "RO", "LT"), lambda y: nth_weekday(y, 5, SUN, 1)),
    "FR": _french_mothers_day,
    "SE": lambda y: nth_weekday(y, 5, SUN, -1),
    "NO": lambda y: nth_weekday(y, 2, SUN, 2),
    "PL": lambda y: date(y, 5, 26),
    "MX": lambda y: date(y, 5, 10),
    "AR": lambda y: nth_weekday(y, 10, SUN, 3),
}
_FATHERS_DAY: dict[str, Callable[[int], date]] = {
    "DE": lambda y: easter(y) + timedelta(39),
    **dict.fromkeys(("ES", "PT", "IT", "HR"), lambda y: date(y, 3, 19)),
    **dict.fromkeys(("AU", "NZ"), lambda y: nth_weekday(y, 9, SUN, 1)),
    **dict.fromkeys(("SE", "NO", "FI", "IS", "EE"), lambda y: nth_weekday(y, 11, SUN, 2)),
    **dict.fromkeys(("AT", "BE"), lambda y: nth_weekday(y, 6, SUN, 2)),
    "CH": lambda y: nth_weekday(y, 6, SUN, 1),
    "BR": lambda y: nth_weekday(y, 8, SUN, 2),
    "DK": lambda y: date(y, 6, 5),
    "PL": lambda y: date(y, 6, 23),
}


def mothers_day(year: int, country: str) -> date:
    """Return Mother's Day: the country's own rule, else the second Sunday of May."""
    rule = _MOTHERS_DAY.get(country)
    return rule(year) if rule else nth_weekday(year, 5, SUN, 2)


def fathers_day(year: int, country: str) -> date:
    """Return Father's Day: the country's own rule, else the third Sunday of June."""
    rule = _FATHERS_DAY.get(country)
    return rule(year) if rule else nth_weekday(year, 6, SUN, 3)


def _checked_year(year: int) -> int:
    if not FIRST_DAY.year <= year <= LAST_DAY.year:
        raise CalendarError(f"year: {year} given; allowed: {FIRST_DAY.year} to {LAST_DAY.year}")
    return year


@dataclass(frozen=True)
class _Closures:
    """Public holidays of a year, the days on which others are observed, and the country's weekend."""

    holidays: tuple[date, ...]
    observed: tuple[date, ...]
    weekend: frozenset[int]


@lru_cache(maxsize=1024)
def _closures(country: str, year: int) -> _Closures:
    # Imported on first use: a calendar without holiday patterns never needs it.
    import holidays

    subdivision = _SUBDIVISIONS.get(country)
    try:
        true = holidays.country_holidays(country, subdiv=subdivision, years=year, observed=False)
        closed = holidays.country_holidays(country, subdiv=subdivision, years=year, observed=True)
    except NotImplementedError:
        raise CalendarError(
            f"field 'country': {country!r} has no known public holidays; known are the ISO 3166-1 alpha-2 codes that "
            f"the holidays library lists, such as {_KNOWN_CODES}; or set include_holiday_patterns to false"
        ) from None
    return _Closures(tuple(sorted(true)), tuple(sorted(set(closed) - set(true))), frozenset(closed.weekend))


def _named_holidays(year: int, country: str) -> dict[date, str]:
    """Return the public holidays that have an event of their own, by date rule: display names depend on language."""
    named = {date(year, 1, 1): "new_years_day", date(year, 12, 25): "christmas_day"}
    if country == "US":
        named |= {
            nth_weekday(year, 1, MON, 3): "mlk_day",
            nth_weekday(year, 2, MON, 3): "presidents_day",
            nth_weekday(year, 5, MON, -1): "memorial_day",
            date(year, 6, 19): "juneteenth",
            date(year, 7, 4): "independence_day",
            nth_weekday(year, 9, MON, 1): "labor_day",
            nth_weekday(year, 10, MON, 2): "columbus_day",
            date(year, 11, 11): "veterans_day",
            nth_weekday(year, 11, THU, 4): "thanksgiving",
        }
    return named


def _public(year: int, country: str) -> Iterator[Event]:
    closures, named = _closures(country, year), _named_holidays(year, country)
    for day in closures.holidays:
        yield Event(named.get(day, "public_holiday"), day, day, "day")
    for day in closures.observed:
        yield Event("observed_holiday", day, day, "day")


def _retail(year: int, country: str) -> Iterator[Event]:
    mother, thanksgiving = mothers_day(year, country), nth_weekday(year, 11, THU, 4)
    days = {
        "valentines_day": date(year, 2, 14),
        "mothers_day": mother,
        "fathers_day": fathers_day(year, country),
        "halloween": date(year, 10, 31),
        "black_friday": thanksgiving + timedelta(1),
        "cyber_monday": thanksgiving + timedelta(4),
        "christmas_eve": date(year, 12, 24),
        "new_years_eve": date(year, 12, 31),
    }
    if country == "US":
        days |= {"thanksgiving_eve": thanksgiving - timedelta(1), "super_bowl": super_bowl(year)}
    for name, day in days.items():
        yield Event(name, day, day, "day")
    periods = {
        "valentines_week": (date(year, 2, 11), date(year, 2, 15)),
        "mothers_day_week": (mother - timedelta(3), mother + timedelta(1)),
        "summer_holidays": (date(year, 6, 15), date(year, 8, 15)),
        "back_to_school": (date(year, 8, 15), date(year, 9, 15)),
        "black_friday_week": (thanksgiving - timedelta(1), thanksgiving + timedelta(4)),
        "christmas_shopping": (date(year, 12, 1), date(year, 12, 23)),
        "late_christmas_shopping": (date(year, 12, 19), date(year, 12, 23)),
        "last_shopping_days": (date(year, 12, 22), date(year, 12, 23)),
        "year_end_holidays": (date(year, 12, 20), date(year + 1, 1, 5)),
        "christmas_week": (date(year, 12, 24), date(year + 1, 1, 1)),
        "post_christmas": (date(year, 12, 26), date(year + 1, 1, 2)),
    }
    for name, (first, last) in periods.items():
        yield Event(name, first, last, "period")


def _working_days(year: int, country: str) -> Iterator[Event]:
    """Yield the first working day after three or more days off, and the last two working days of each quarter."""
    off: set[date] = set()
    for near in (year - 1, year, year + 1):
        closures = _closures(country, near)
        off.update(closures.holidays, closures.observed)
    weekend = _closures(country, year).weekend
    day, run, working = date(year, 1, 1) - timedelta(14), 0, []
    while day.year <= year:
        if day in off or day.weekday() in weekend:
            run += 1
        else:
            if run >= 3 and day.year == year:
                yield Event("first_working_day", day, day, "day")
            run = 0
            working.append(day)
        day += timedelta(1)
    for month in (3, 6, 9, 12):
        for last in [d for d in working if (d.year, d.month) == (year, month)][-2:]:
            yield Event("quarter_end", last, last, "day")


@lru_cache(maxsize=1024)
def _events(country: str, own: tuple[Event, ...], year: int) -> tuple[Event, ...]:
    mine = [event for event in own if event.first.year == year]
    found = [*_public(year, country), *_retail(year, country), *_working_days(year, country), *mine]
    return tuple(sorted(found, key=lambda e: (e.first, _RANK[e.name])))


@lru_cache(maxsize=256)
def _active_by_day(country: str, own: tuple[Event, ...], year: int) -> dict[date, tuple[Event, ...]]:
    """Return the events of each day of a year, in the order of the rule `retail`."""
    by_day: dict[date, list[Event]] = {}
    for event in (*_events(country, own, year - 1), *_events(country, own, year)):
        for number in range(event.days):
            day = event.first + timedelta(number)
            if day.year == year:
                by_day.setdefault(day, []).append(event)
    return {
        day: tuple(sorted(events, key=lambda e: (e.kind == "period", e.days, _RANK[e.name])))
        for day, events in by_day.items()
    }
