"""How many rows a day has: base x day of week x week of month x month x event x noise, then Poisson."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from generators.calendar import HolidayCalendar, event_names
from generators.config import GeneratorConfig, HolidayProfile, VolumeBasis
from generators.errors import ConfigError
from generators.randomness import stream


@dataclass(frozen=True)
class VolumeTables:
    """A process's own factors, relative to an ordinary day.

    Attributes:
        day_of_week: Monday to Sunday.
        week_of_month: Days 1-7, 8-14, 15-21, 22 to the end.
        month: January to December.
        events: Holiday profile -> event name -> factor; a profile without a table has no events.
    """

    day_of_week: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 0.85, 0.85)
    week_of_month: tuple[float, ...] = (1.0,) * 4
    month: tuple[float, ...] = (1.0,) * 12
    events: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


B2B = VolumeTables(
    day_of_week=(1.38, 1.45, 1.42, 1.35, 1.20, 0.12, 0.08),
    week_of_month=(0.97, 0.98, 1.00, 1.05),
    month=(0.97, 0.98, 1.04, 1.00, 1.00, 1.03, 0.96, 0.95, 1.04, 1.04, 1.02, 0.97),
    events={
        HolidayProfile.retail: {
            "new_years_day": 0.10, "public_holiday": 0.45, "martin_luther_king_day": 0.45, "presidents_day": 0.45,
            "juneteenth": 0.45, "columbus_day": 0.45, "veterans_day": 0.45, "observed_holiday": 0.10, "memorial_day": 0.12,
            "labor_day": 0.12, "independence_day": 0.10, "thanksgiving_eve": 0.75, "thanksgiving": 0.08,
            "black_friday": 0.7, "black_friday_week": 0.9, "cyber_monday": 1.05, "christmas_shopping": 0.95,
            "christmas_eve": 0.3, "christmas_day": 0.05, "christmas_week": 0.3, "new_years_eve": 0.25,
            "first_working_day": 1.12,
        }
    },
)  # fmt: skip
"""Orders between businesses: the example of an industry whose calendar is not retail's."""

B2B_CURVE = (
    0.002, 0.001, 0.001, 0.001, 0.002, 0.005, 0.015, 0.045, 0.095, 0.118, 0.120, 0.108,
    0.072, 0.096, 0.108, 0.100, 0.066, 0.026, 0.008, 0.004, 0.003, 0.002, 0.001, 0.001,
)  # fmt: skip
"""Share of B2B orders by local hour."""


class VolumeModel:
    """Expected and drawn rows of a day for one process.

    Build it with `from_config`; it holds the tables after the config's overrides.
    """

    def __init__(
        self,
        *,
        base: float,
        tables: VolumeTables,
        events: Mapping[str, float],
        config: GeneratorConfig,
        generator: str,
        process: str,
        calendar: HolidayCalendar,
    ) -> None:
        self.base, self.tables, self.events, self.calendar = base, tables, events, calendar
        self._config, self._generator, self._process = config, generator, process
        self._years: dict[int, tuple[float, ...]] = {}

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
    ) -> VolumeModel:
        """Build a process's model: its own tables, overridden by the config.

        Args:
            config: Base volume, overrides and switches.
            generator: Keys the random parts, with `process`.
            calendar: Events of the process's country.
            process: Name of the process, also a key of ``holiday_multipliers``.
            tables: The process's own factors; None: the base class's week.
            share: The process's part of the base volume.

        Raises:
            ConfigError: ``holiday_multipliers`` names an unknown event or process.
        """
        tables = tables or VolumeTables()
        chosen = VolumeTables(
            day_of_week=_weekend(_override(config.day_of_week, tables.day_of_week), config.weekend_multiplier),
            week_of_month=_override(config.week_of_month, tables.week_of_month),
            month=_override(config.month_factors, tables.month),
            events=tables.events,
        )
        events = dict(tables.events.get(config.holiday_profile, {})) | _multipliers(config, process)
        return cls(
            base=config.base_daily_volume * share,
            tables=chosen,
            events=events if config.include_holiday_patterns else {},
            config=config,
            generator=generator,
            process=process,
            calendar=calendar,
        )

    def factors(self, day: date) -> dict[str, float]:
        """Return the factors of a day by name, noise not among them."""
        return {
            "day_of_week": self.tables.day_of_week[day.weekday()],
            "week_of_month": self.tables.week_of_month[min((day.day - 1) // 7, 3)],
            "month": self.tables.month[day.month - 1],
            "event": self.calendar.factor(day, self.events, self._config.holiday_profile) if self.events else 1.0,
        }

    def event(self, day: date) -> str | None:
        """Return the name of the event that decides a day's factor."""
        return self.calendar.event_name(day, self.events, self._config.holiday_profile) if self.events else None

    def expected(self, day: date) -> float:
        """Return the expected rows of a day, before noise."""
        products = self._years.get(day.year)
        if products is None:
            products = self._years[day.year] = self._year(day.year)
        return products[day.timetuple().tm_yday - 1]

    def noise(self, day: date) -> float:
        """Return the day's log-normal factor, whose mean is exactly 1."""
        sigma = self._config.volume_noise
        if sigma == 0:
            return 1.0
        normal = stream(self._config.seed, self._generator, day, "noise", self._process).standard_normal()
        return float(np.exp(sigma * normal - sigma * sigma / 2))

    def intensity(self, day: date) -> float:
        """Return the expected rows of a day after noise: the mean of its Poisson count."""
        return self.expected(day) * self.noise(day)

    def sample(self, day: date) -> int:
        """Return a drawn count of this process alone (a generator draws all its processes together)."""
        mean = self.intensity(day)
        if not self._config.poisson_counts:
            return round(mean)
        return int(stream(self._config.seed, self._generator, day, "sample", self._process).poisson(mean))

    def _year(self, year: int) -> tuple[float, ...]:
        first = date(year, 1, 1)
        days = [first + timedelta(i) for i in range((date(year, 12, 31) - first).days + 1)]
        products = [float(np.prod(list(self.factors(day).values()))) for day in days]
        scale = self.base
        if self._config.volume_basis is VolumeBasis.yearly_mean:
            mean = sum(products) / len(products)
            scale = self.base / mean if mean else 0.0
        return tuple(scale * product for product in products)


def _override(given: object, own: tuple[float, ...]) -> tuple[float, ...]:
    if given is None:
        return own
    if given == "off":
        return (1.0,) * len(own)
    assert isinstance(given, tuple)
    return given


def _weekend(week: tuple[float, ...], multiplier: float | None) -> tuple[float, ...]:
    """Scale Saturday and Sunday so that their mean is `multiplier` times the weekday mean."""
    if multiplier is None:
        return week
    weekday, weekend = sum(week[:5]) / 5, sum(week[5:]) / 2
    if weekend == 0:
        return (*week[:5], multiplier * weekday, multiplier * weekday)
    return (*week[:5], *(factor * multiplier * weekday / weekend for factor in week[5:]))


def _multipliers(config: GeneratorConfig, process: str) -> dict[str, float]:
    """Return the config's event factors for a process: those for everyone, then its own."""
    known = event_names()
    common: dict[str, float] = {}
    own: dict[str, float] = {}
    for name, value in config.holiday_multipliers.items():
        chosen = own if isinstance(value, dict) and name == process else {} if isinstance(value, dict) else common
        events = value if isinstance(value, dict) else {name: value}
        for event, factor in events.items():
            if event not in known:
                raise ConfigError(
                    f"field 'holiday_multipliers': unknown event {event!r}; known events: {', '.join(known)}"
                )
            chosen[event] = factor
    return common | own
