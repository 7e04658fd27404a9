"""How many rows a day has: base volume times calendar factors times noise, then Poisson."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from generators.calendar import EVENT_NAMES, FIRST_DAY, LAST_DAY, HolidayCalendar, event_keys
from generators.config import EventFactor, GeneratorConfig, VolumeBasis
from generators.errors import CalendarError, ConfigError
from generators.intraday import IntradayProfile
from generators.randomness import stream

FLAT_DAY = IntradayProfile()
"""The course of a day where none is given."""


def by_hour(*spans: tuple[int, float]) -> tuple[float, ...]:
    """Return 24 factors of an event's hours from (hour from which on, factor) pairs; 1 before the first of them."""
    factors = [1.0] * 24
    for hour, factor in spans:
        factors[hour:] = [factor] * (24 - hour)
    return tuple(factors)


def _check_events(where: str, factors: Mapping[str, EventFactor]) -> None:
    for name, factor in factors.items():
        if name not in EVENT_NAMES:
            raise ConfigError(f"{where}: unknown event {name!r}; known: {', '.join(EVENT_NAMES)}")
        if isinstance(factor, tuple) and len(factor) != 24:
            raise ConfigError(f"{where}: {name!r} has {len(factor)} factors; allowed: one, or 24 by local hour")


@dataclass(frozen=True)
class VolumeTables:
    """Relative volume of one process; an ordinary day is 1.

    Attributes:
        day_of_week: Factors from Monday to Sunday.
        week_of_month: Factors of days 1-7, 8-14, 15-21 and 22 to the end.
        month: Factors from January to December.
        events: Holiday profile -> event name -> factor, or 24 factors by local hour (see `by_hour`).
    """

    day_of_week: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 0.85, 0.85)
    week_of_month: tuple[float, ...] = (1.0,) * 4
    month: tuple[float, ...] = (1.0,) * 12
    events: Mapping[str, Mapping[str, EventFactor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, length in (("day_of_week", 7), ("week_of_month", 4), ("month", 12)):
            values = getattr(self, name)
            if len(values) != length or not all(math.isfinite(v) and v >= 0 for v in values):
                raise ConfigError(f"volume table {name!r}: {values!r} given; allowed: {length} factors of 0 or more")
        for profile, factors in self.events.items():
            _check_events(f"volume table events[{profile!r}]", factors)


DEFAULT_TABLES = VolumeTables()
"""The base class's week: weekends at 0.85, no seasons, no events."""

B2B_EVENTS: Mapping[str, EventFactor] = {
    "new_years_day": 0.10, "public_holiday": 0.45, "observed_holiday": 0.45, "memorial_day": 0.12, "labor_day": 0.12,
    "independence_day": 0.10, "back_to_school": 1.00, "thanksgiving_eve": 0.75, "thanksgiving": 0.08,
    "black_friday": 0.7, "black_friday_week": 0.9, "cyber_monday": 1.05, "christmas_shopping": 0.95,
    "christmas_eve": 0.3, "christmas_day": 0.05, "christmas_week": 0.3, "post_christmas": 0.3, "new_years_eve": 0.25,
    "first_working_day": 1.12, "quarter_end": 1.20,
}  # fmt: skip
"""Event factors of orders between businesses."""
B2B_TABLES = VolumeTables(
    day_of_week=(1.38, 1.45, 1.42, 1.35, 1.20, 0.12, 0.08),
    week_of_month=(0.97, 0.98, 1.00, 1.05),
    month=(0.97, 0.98, 1.04, 1.00, 1.00, 1.03, 0.96, 0.95, 1.04, 1.04, 1.02, 0.97),
    events={"seed": B2B_EVENTS, "retail": B2B_EVENTS},
)
"""Orders between businesses: the example of an industry that rests when shops are full."""


@dataclass(frozen=True, eq=False)
class VolumeModel:
    """Expected rows of each day of one process, and their random part; build it with `from_config`.

    Attributes:
        calendar: Events of the config's country.
        base: Rows on an ordinary day (or the yearly mean, with ``yearly_mean``), the process's share included.
        tables: Factors in effect, after the config's overrides.
        multipliers: Event factors in effect, after the config's overrides; empty without holiday patterns.
        intraday: The process's course of the day, from which the factor of an event with hours follows.
        timezone: Zone in which the dataset's days begin.
        profile: Overlap rule of events, ``"seed"`` or ``"retail"``.
        yearly_mean: Whether factors are divided by their mean over the year.
        sigma: Standard deviation of the log of the daily noise.
        poisson: Whether `sample` draws, or rounds the expectation.
        seed: The config's seed.
        generator: The generator's name; keys the streams.
        process: The process's name; keys the noise.
        drift: Day -> further factor that no yearly mean takes back; None: none.
    """

    calendar: HolidayCalendar
    base: float
    tables: VolumeTables
    multipliers: Mapping[str, EventFactor]
    intraday: IntradayProfile
    timezone: str
    profile: str
    yearly_mean: bool
    sigma: float
    poisson: bool
    seed: int
    generator: str
    process: str
    drift: Callable[[date], float] | None = None
    _years: dict[int, list[float]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def from_config(
        cls,
        config: GeneratorConfig,
        *,
        generator: str,
        calendar: HolidayCalendar,
        process: str = "events",
        tables: VolumeTables | None = None,
        share: float = 1.0,
        processes: Iterable[str] = (),
        intraday: IntradayProfile = FLAT_DAY,
        drift: Callable[[date], float] | None = None,
    ) -> VolumeModel:
        """Build the model of one process.

        Args:
            config: Overrides of the tables, switches, base volume and noise.
            generator: The generator's registered name.
            calendar: Events of the country.
            process: The process's name.
            tables: The process's own factors; None: weekends at 0.85 and nothing else.
            share: The process's part of ``base_daily_volume``.
            processes: Names of all processes of the generator, which ``holiday_multipliers`` may address.
            intraday: The process's course of the day; it weighs the hours of events that have hours.
            drift: Day -> further factor.

        Raises:
            ConfigError: ``holiday_multipliers`` names an unknown event or process, or a factor is not allowed.
        """
        own = tables or DEFAULT_TABLES
        overrides = _overrides(config, process, {process, *processes})
        events = {**own.events.get(config.holiday_profile.value, {}), **overrides}
        effective = VolumeTables(
            day_of_week=_weekend(_chosen(config.day_of_week, own.day_of_week), config.weekend_multiplier),
            week_of_month=_chosen(config.week_of_month, own.week_of_month),
            month=_chosen(config.month_factors, own.month),
            events=own.events,
        )
        return cls(
            calendar=calendar,
            base=config.base_daily_volume * share,
            tables=effective,
            multipliers=events if config.include_holiday_patterns else {},
            intraday=intraday,
            timezone=config.timezone,
            profile=config.holiday_profile.value,
            yearly_mean=config.volume_basis is VolumeBasis.yearly_mean,
            sigma=config.volume_noise,
            poisson=config.poisson_counts,
            seed=config.seed,
            generator=generator,
            process=process,
            drift=drift,
        )

    def factors(self, day: date) -> dict[str, float]:
        """Return the calendar factors of a day by name: day_of_week, week_of_month, month and event."""
        return {
            "day_of_week": self.tables.day_of_week[day.weekday()],
            "week_of_month": self.tables.week_of_month[min((day.day - 1) // 7, 3)],
            "month": self.tables.month[day.month - 1],
            "event": self.calendar.factor(day, self._multipliers_on(day), self.profile) if self.multipliers else 1.0,
        }

    def event(self, day: date) -> str | None:
        """Return the name of the event that decides a day's factor, or None."""
        return self.calendar.event_name(day, self._multipliers_on(day), self.profile) if self.multipliers else None

    def hours(self, day: date) -> tuple[float, ...] | None:
        """Return the 24 factors of a day's hours where the event that decides it has hours, else None."""
        if not self._hourly:
            return None
        event = self.event(day)
        key = next((key for key in event_keys(event) if key in self.multipliers), "") if event is not None else ""
        return self._hourly.get(key)

    @cached_property
    def _hourly(self) -> dict[str, tuple[float, ...]]:
        return {name: factor for name, factor in self.multipliers.items() if isinstance(factor, tuple)}

    def _multipliers_on(self, day: date) -> Mapping[str, float]:
        """Return event -> factor of the whole day; that of an event with hours follows from the course of the day."""
        active = self.calendar.active(day) if self._hourly else ()
        if not any(key in self._hourly for event in active for key in event.keys):
            return self._daily
        levels = {name: self.intraday.level(day, self.timezone, hours) for name, hours in self._hourly.items()}
        return {**self._daily, **levels}

    @cached_property
    def _daily(self) -> dict[str, float]:
        return {name: factor for name, factor in self.multipliers.items() if not isinstance(factor, tuple)}

    def expected(self, day: date) -> float:
        """Return the expected rows of a day: base times factors, without any randomness.

        Raises:
            CalendarError: The day is outside the calendar, or the country is unknown.
        """
        year = self._years.get(day.year)
        if year is None:
            year = self._years[day.year] = self._year(day.year)
        return year[day.timetuple().tm_yday - 1]

    def noise(self, day: date) -> float:
        """Return the day's log-normal factor: mean exactly 1, the same on every call."""
        if self.sigma == 0.0:
            return 1.0
        normal = stream(self.seed, self.generator, day, "noise", self.process).standard_normal()
        return math.exp(self.sigma * (normal - 0.5 * self.sigma))

    def intensity(self, day: date) -> float:
        """Return the mean of the day's Poisson count: expected rows times noise."""
        return self.expected(day) * self.noise(day)

    def sample(self, day: date) -> int:
        """Return the day's number of rows: what the generator yields when this is its only process."""
        mean = self.intensity(day)
        return int(stream(self.seed, self.generator, day, "count").poisson(mean)) if self.poisson else round(mean)

    def _year(self, year: int) -> list[float]:
        if not FIRST_DAY.year <= year <= LAST_DAY.year:
            raise CalendarError(f"day: a day of {year} given; allowed: {FIRST_DAY} to {LAST_DAY}")
        first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
        products: NDArray[np.float64] = np.array(
            [math.prod(self.factors(date.fromordinal(number)).values()) for number in range(first, last + 1)]
        )
        mean = float(products.mean())
        if self.yearly_mean and mean > 0.0:
            products /= mean
        if self.drift is not None:
            products *= [self.drift(date.fromordinal(number)) for number in range(first, last + 1)]
        return [float(value) for value in self.base * products]


def _chosen(override: tuple[float, ...] | str | None, own: tuple[float, ...]) -> tuple[float, ...]:
    if override is None:
        return own
    return (1.0,) * len(own) if isinstance(override, str) else override


def _weekend(week: tuple[float, ...], multiplier: float | None) -> tuple[float, ...]:
    """Scale Saturday and Sunday so that their mean is `multiplier` times the weekday mean; their ratio is kept."""
    if multiplier is None:
        return week
    target, mean = multiplier * sum(week[:5]) / 5, sum(week[5:]) / 2
    weekend = tuple(w * target / mean for w in week[5:]) if mean > 0.0 else (target, target)
    return (*week[:5], *weekend)


def _overrides(config: GeneratorConfig, process: str, processes: set[str]) -> dict[str, EventFactor]:
    """Return the event factors that the config sets for a process: its own beat those for all processes."""
    shared: dict[str, EventFactor] = {}
    own: dict[str, EventFactor] = {}
    for name, value in config.holiday_multipliers.items():
        if isinstance(value, Mapping):
            if name not in processes:
                known = ", ".join(sorted(processes))
                raise ConfigError(f"field 'holiday_multipliers': unknown process {name!r}; known: {known}")
            _check_events(f"field 'holiday_multipliers.{name}'", value)
            if name == process:
                own.update(value)
        else:
            shared[name] = value
    _check_events("field 'holiday_multipliers'", shared)
    return {**shared, **own}
