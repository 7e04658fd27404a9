"""What determines the data: one frozen, validated config a generator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, field_validator

from generators.errors import ConfigError
from generators.strict import StrictModel


class ArrivalPattern(StrEnum):
    """How the instants of a day's rows arise from the day's hour curve."""

    uniform = "uniform"
    poisson = "poisson"
    nhpp = "nhpp"
    burst = "burst"


class LabelMode(StrEnum):
    """Whether event rows carry outcomes that become known later (training) or null them (live)."""

    training = "training"
    live = "live"


class VolumeBasis(StrEnum):
    """What base_daily_volume means: rows on an ordinary day, or the mean over the days of a year."""

    ordinary_day = "ordinary_day"
    yearly_mean = "yearly_mean"


class HolidayProfile(StrEnum):
    """Which event table and overlap rule apply (see `generators.calendar`)."""

    seed = "seed"
    retail = "retail"


Factor = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
EventFactor = Factor | Annotated[tuple[Factor, ...], Field(min_length=24, max_length=24)]
"""Factor of a day's rows, or 24 of them by local hour, which change the course of the day as well."""
Hour = Annotated[int, Field(ge=0, le=23)]
Off = Literal["off"]


class GeneratorConfig(StrictModel):
    """Fields that every generator understands; a generator adds its own in a subclass.

    A config holds only what determines the data. How fast records are delivered belongs to the request for a stream.
    """

    model_config = ConfigDict(validate_default=True)

    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of every draw; null is read as 0.")
    base_daily_volume: int = Field(default=1000, ge=1, le=100_000_000, description="Rows on an ordinary day.")
    volume_basis: VolumeBasis = Field(
        default=VolumeBasis.ordinary_day,
        description="Whether base_daily_volume is an ordinary day's volume or the yearly mean.",
    )
    country: str = Field(default="US", pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2 code of the calendar.")
    timezone: str = Field(default="America/New_York", description="IANA zone in which days begin and hours count.")
    include_holiday_patterns: bool = Field(default=True, description="Whether events scale the volume.")
    holiday_profile: HolidayProfile = Field(
        default=HolidayProfile.seed, description="Event table and overlap rule: seed or retail."
    )
    holiday_multipliers: dict[str, EventFactor | dict[str, EventFactor]] = Field(
        default_factory=dict,
        description="Event -> factor (or 24 by local hour), or process -> {event -> factor}; overrides the generator's "
        "table.",
    )
    day_of_week: tuple[Factor, Factor, Factor, Factor, Factor, Factor, Factor] | Off | None = Field(
        default=None, description="Factors from Monday to Sunday; null: the generator's own; 'off': 1."
    )
    weekend_multiplier: Factor | None = Field(
        default=None,
        description="m: Saturday and Sunday scaled so that their mean is m times the weekday mean; null: as they are.",
    )
    week_of_month: tuple[Factor, Factor, Factor, Factor] | Off | None = Field(
        default=None, description="Factors of days 1-7, 8-14, 15-21 and 22-end; null: the generator's own; 'off': 1."
    )
    month_factors: Annotated[tuple[Factor, ...], Field(min_length=12, max_length=12)] | Off | None = Field(
        default=None, description="Factors from January to December; null: the generator's own; 'off': 1."
    )
    volume_noise: float = Field(
        default=0.10, ge=0, le=2, description="Sigma of the daily log-normal factor, whose mean is exactly 1; 0: none."
    )
    poisson_counts: bool = Field(
        default=True, description="Whether the count is Poisson around its expectation, or the expectation rounded."
    )
    arrival_pattern: ArrivalPattern = Field(
        default=ArrivalPattern.nhpp, description="uniform, poisson, nhpp (the hour curve) or burst."
    )
    peak_hours: tuple[Hour, ...] = Field(default=(), description="nhpp: local hours whose intensity is raised.")
    peak_multiplier: Factor = Field(default=2.0, description="nhpp: factor of the peak hours' intensity.")
    burst_intensity: float = Field(
        default=3.0, ge=1, le=1000, description="burst: rate inside a burst relative to the rate outside."
    )
    burst_probability: float = Field(
        default=0.1, ge=0, le=1, description="burst: expected number of bursts that begin in an average hour."
    )
    label_mode: LabelMode = Field(
        default=LabelMode.training,
        description="live: columns that become known after the event's day are null.",
    )

    @field_validator("seed", mode="before")
    @classmethod
    def _null_is_zero(cls, value: Any) -> Any:
        return 0 if value is None else value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("unknown time zone; allowed: IANA names such as 'UTC' or 'America/New_York'") from None
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The dataset's time zone."""
        return ZoneInfo(self.timezone)

    def changed(self, fields: Mapping[str, Any]) -> Self:
        """Return the config with some fields set anew.

        Args:
            fields: Field -> value. A dotted name reaches into a group or a mapping, as ``recurring.share``, and leaves
                what else is set there.

        Raises:
            ConfigError: A field is unknown or its value is not allowed.
        """
        values = self.model_dump(exclude_unset=True)
        for name, value in fields.items():
            *path, last = name.split(".")
            inner = values
            for place, part in enumerate(path, start=1):
                inner = inner.setdefault(part, self._default_mapping(part) if place == 1 else {})
                if not isinstance(inner, dict):
                    raise ConfigError(f"field {name!r}: {'.'.join(path[:place])!r} has no fields of its own")
            inner[last] = value
        return self.create(**values)

    def _default_mapping(self, field: str) -> dict[str, Any]:
        """Return a field's default where it is a mapping, so that one of its values can be set alone."""
        known = type(self).model_fields.get(field)
        default = None if known is None else known.get_default(call_default_factory=True)
        return dict(default) if isinstance(default, dict) else {}

    def canonical(self) -> str:
        """Return the config as JSON with sorted keys, without the fields that equal their default."""
        return json.dumps(self.stated(), sort_keys=True, separators=(",", ":"))

    def stated(self) -> dict[str, Any]:
        """Return the fields, as JSON values, that a config must give to be equal to this one."""
        return self.model_dump(mode="json", exclude_defaults=True)
