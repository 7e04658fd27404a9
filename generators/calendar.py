"""Days on which business differs: public holidays of any country, retail days and periods, and how they overlap.

Public holidays come from the `holidays` library, which is loaded on first use. Retail days and periods are computed here
from their rules. Which factor an event has belongs to the generator; this module says which events are active on a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from hashlib import sha256

from generators.errors import CalendarError

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(2099, 12, 31)

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
JAN, FEB, MAR, MAY, JUN, JUL, AUG, SEP, OCT, NOV, DEC = 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12

PUBLIC_KEYS = {
    "new year's day": "new_years_day",
    "christmas day": "christmas_day",
    "martin luther king jr. day": "martin_luther_king_day",
    "washington's birthday": "presidents_day",
    "memorial day": "memorial_day",
    "juneteenth national independence day": "juneteenth",
    "independence day": "independence_day",
    "labor day": "labor_day",
    "columbus day": "columbus_day",
    "veterans day": "veterans_day",
    "thanksgiving day": "thanksgiving",
    "thanksgiving": "thanksgiving",
    "good friday": "good_friday",
    "easter monday": "easter_monday",
    "boxing day": "boxing_day",
}
"""English names of the `holidays` library with an event key of their own; any other is a public_holiday."""

US_ONLY = frozenset({"independence_day", "labor_day", "memorial_day", "thanksgiving"})
"""Keys that stand for the event of the United States: a namesake elsewhere is a public_holiday."""


@dataclass(frozen=True)
class Event:
    """An event of the calendar, from `first` to `last` inclusive."""

    name: str
    first: date
    last: date

    @property
    def days(self) -> int:
        """Length in days."""
        return (self.last - self.first).days + 1

    @property
    def is_period(self) -> bool:
        """Whether the event lasts longer than a day."""
        return self.days > 1

    def holds(self, day: date) -> bool:
        """Return whether the event is active on a day."""
        return self.first <= day <= self.last


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """Return the nth weekday of a month, counted from the end where `nth` is negative.

    Raises:
        CalendarError: The month has no such weekday.
    """
    if nth > 0:
        first = date(year, month, 1)
        day = first + timedelta((weekday - first.weekday()) % 7 + 7 * (nth - 1))
    else:
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(1)
        day = last - timedelta((last.weekday() - weekday) % 7 + 7 * (-nth - 1))
    if day.month != month:
        raise CalendarError(f"{year}-{month:02d} has no weekday {weekday} number {nth}")
    return day


def easter(year: int) -> date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, Jones, Butcher)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def mothers_day(year: int, country: str) -> date:
    """Return Mother's Day: 4th Sunday of Lent in GB and IE, last Sunday of May in FR and SE, else 2nd Sunday of May."""
    if country in ("GB", "IE"):
        return easter(year) - timedelta(21)
    if country == "FR":
        day = nth_weekday(year, MAY, SUN, -1)
        return day + timedelta(7) if day == easter(year) + timedelta(49) else day  # gives way to Pentecost
    if country == "SE":
        return nth_weekday(year, MAY, SUN, -1)
    if country in ("ES", "PT"):
        return nth_weekday(year, MAY, SUN, 1)
    return nth_weekday(year, MAY, SUN, 2)


def fathers_day(year: int, country: str) -> date:
    """Return Father's Day: Ascension Day in DE, 19 March in ES, IT and PT, 1st Sunday of September in AU and NZ, else 3rd Sunday of June."""
    if country == "DE":
        return easter(year) + timedelta(39)
    if country in ("ES", "IT", "PT"):
        return date(year, MAR, 19)
    if country in ("AU", "NZ"):
        return nth_weekday(year, SEP, SUN, 1)
    return nth_weekday(year, JUN, SUN, 3)


def retail_events(year: int, country: str) -> list[Event]:
    """Return the retail days and periods that begin in a year; some end in the next."""
    thanksgiving = nth_weekday(year, NOV, THU, 4)
    mother = mothers_day(year, country)

    def one(name: str, day: date) -> Event:
        return Event(name, day, day)

    return [
        one("valentines_day", date(year, FEB, 14)),
        Event("valentines_week", date(year, FEB, 11), date(year, FEB, 15)),
        one("mothers_day", mother),
        Event("mothers_day_week", mother - timedelta(3), mother + timedelta(1)),
        one("fathers_day", fathers_day(year, country)),
        Event("summer_holidays", date(year, JUN, 15), date(year, AUG, 15)),
        Event("back_to_school", date(year, AUG, 15), date(year, SEP, 15)),
        one("halloween", date(year, OCT, 31)),
        one("thanksgiving_eve", thanksgiving - timedelta(1)),
        one("black_friday", thanksgiving + timedelta(1)),
        one("cyber_monday", thanksgiving + timedelta(4)),
        Event("black_friday_week", thanksgiving - timedelta(1), thanksgiving + timedelta(4)),
        Event("christmas_shopping", date(year, DEC, 1), date(year, DEC, 23)),
        one("christmas_eve", date(year, DEC, 24)),
        one("new_years_eve", date(year, DEC, 31)),
        Event("year_end_holidays", date(year, DEC, 20), date(year + 1, JAN, 5)),
        Event("christmas_week", date(year, DEC, 24), date(year + 1, JAN, 1)),
        Event("post_christmas", date(year, DEC, 26), date(year + 1, JAN, 2)),
    ]


@lru_cache(maxsize=512)
def _public(year: int, country: str) -> tuple[tuple[date, str, str], ...]:
    """Return (day, event key, name) of a year's public holidays, observed days among them."""
    import holidays  # loaded on first use: it takes a fifth of a second

    try:
        found = holidays.country_holidays(country, years=year, language="en_US")
    except NotImplementedError:
        known = ", ".join(sorted(holidays.list_supported_countries(include_aliases=False)))
        raise CalendarError(f"field 'country': no calendar for {country!r}; known: {known}") from None
    days = []
    for day, names in sorted(found.items()):
        for name in names.split("; "):
            if day.year == year:
                days.append((day, _public_key(name, country), name))
    return tuple(days)


def _public_key(name: str, country: str) -> str:
    lower = name.lower()
    if "observed" in lower:
        return "observed_holiday"
    key = PUBLIC_KEYS.get(lower, "public_holiday")
    return "public_holiday" if key in US_ONLY and country != "US" else key


FIXED_KEYS = {"new_years_day": (JAN, 1), "christmas_day": (DEC, 25)}
"""Days that are retail events by date in every country, whatever its public holidays are called."""


@lru_cache(maxsize=512)
def events_of(year: int, country: str) -> tuple[Event, ...]:
    """Return the events that begin in a year, in order of their first day."""
    public = _public(year, country)
    events = retail_events(year, country)
    for day, key, _ in public:
        events.append(Event(key, day, day))
    for key, (month, number) in FIXED_KEYS.items():
        events.append(Event(key, date(year, month, number), date(year, month, number)))
    if country != "US":
        thanksgiving = nth_weekday(year, NOV, THU, 4)
        events = [e for e in events if e.name != "thanksgiving_eve" and e.first != thanksgiving or e.is_period]
    events += [Event("first_working_day", day, day) for day in _after_long_weekends({d for d, _, _ in public})]
    return tuple(sorted(set(events), key=lambda e: (e.first, e.last, e.name)))


def _after_long_weekends(holidays_: set[date]) -> list[date]:
    """Return the working days that follow a weekend lengthened by a holiday on its Friday or Monday."""
    found = set()
    for day in holidays_:
        if day.weekday() in (FRI, MON):
            after = day + timedelta(1)
            while after.weekday() in (SAT, SUN) or after in holidays_:
                after += timedelta(1)
            if after.year == day.year:
                found.add(after)
    return sorted(found)


class HolidayCalendar:
    """The events of one country.

    Args:
        country: ISO 3166-1 alpha-2 code.

    Raises:
        CalendarError: No calendar is known for the country (at the first use).
    """

    def __init__(self, country: str) -> None:
        self.country = country

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HolidayCalendar) and other.country == self.country

    def __hash__(self) -> int:
        return hash((type(self), self.country))

    def events(self, year: int) -> tuple[Event, ...]:
        """Return the events that begin in a year."""
        return events_of(year, self.country)

    def active(self, day: date) -> tuple[Event, ...]:
        """Return the events active on a day; those that began in the previous year are among them."""
        candidates = self.events(day.year)
        if day.month == JAN:
            candidates = events_of(day.year - 1, self.country) + candidates
        return tuple(event for event in candidates if event.holds(day))

    def decide(self, day: date, multipliers: Mapping[str, float], profile: str) -> tuple[str | None, float]:
        """Return which active event decides a day, and its factor; (None, 1.0) where none has one.

        Args:
            day: The day.
            multipliers: Factor by event name; events without one do not count.
            profile: ``seed``: the smallest factor if one is below 1, else the largest. ``retail``: a single day beats a
                period, among periods the shortest wins.
        """
        found = [(event, multipliers[event.name]) for event in self.active(day) if event.name in multipliers]
        if not found:
            return None, 1.0
        if profile == "retail":
            event, factor = min(found, key=lambda item: (item[0].days, item[0].name))
        elif any(factor < 1 for _, factor in found):
            event, factor = min(found, key=lambda item: item[1])
        else:
            event, factor = max(found, key=lambda item: (item[1], -item[0].days))
        return event.name, factor

    def factor(self, day: date, multipliers: Mapping[str, float], profile: str) -> float:
        """Return the event factor of a day."""
        return self.decide(day, multipliers, profile)[1]

    def event_name(self, day: date, multipliers: Mapping[str, float], profile: str) -> str | None:
        """Return the name of the event that decides a day."""
        return self.decide(day, multipliers, profile)[0]

    def digest(self, year: int) -> str:
        """Return a digest of the events of a year and its neighbours: it changes when a library moves a holiday."""
        text = ";".join(f"{e.name} {e.first} {e.last}" for y in (year - 1, year, year + 1) for e in self.events(y))
        return sha256(f"{self.country} {text}".encode()).hexdigest()


def event_names() -> list[str]:
    """Return the names that multipliers may use."""
    computed = {event.name for event in retail_events(2024, "US")}
    return sorted(computed | set(PUBLIC_KEYS.values()) | {"public_holiday", "observed_holiday", "first_working_day"})


def get_major_holidays(year: int, country: str = "US") -> dict[date, str]:
    """Return the public holidays of a year by day, with their English names."""
    found: dict[date, str] = {}
    for day, _, name in _public(year, country):
        found[day] = f"{found[day]}; {name}" if day in found else name
    return found


def get_active_holidays(day: date, country: str = "US") -> list[str]:
    """Return the names of the events active on a day, single days first."""
    events = sorted(HolidayCalendar(country).active(day), key=lambda e: (e.days, e.name))
    return list(dict.fromkeys(event.name for event in events))
