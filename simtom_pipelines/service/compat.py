"""The form of simtom's HTTP API: requests as its clients send them, records and lists as they expect them.

Two things differ between the two APIs. simtom's config carries delivery and data in one object and lets an arrival
pattern shape the delivery; here it is translated. And its records carry ``_timestamp``, ``_record_id`` and
``_generator`` in lines ``data: {json}``.
"""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from generators import Arrival, ArrivalPattern, GeneratorConfig, LabelMode, StreamRequest
from simtom_pipelines.replay.live import DAY_SECONDS
from simtom_pipelines.service.framing import underscored
from simtom_pipelines.service.problems import refuse, validated
from simtom_pipelines.service.requests import Wanted, checked, hold_limits
from simtom_pipelines.settings import Settings

NAME = "simtom"
IGNORED_HEADER = "X-Simtom-Ignored"

DAY_A_SECOND = DAY_SECONDS
"""Time compression at which a date range is delivered."""

OFF = {"noise_type": "none", "noise_level": 0.0, "drift_type": "none", "drift_strength": 0.0}
"""Fields of simtom that blur values at random: accepted where they ask for nothing."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class CompatBody(BaseModel):
    """The delivery fields of simtom's config; the others go to the generator's config."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rate_per_second: Positive | None = None
    max_records: int | None = Field(default=None, ge=1, validation_alias=AliasChoices("max_records", "total_records"))
    time_compression: Positive = 1.0
    start_date: date | None = None
    end_date: date | None = None
    arrival_pattern: ArrivalPattern | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_date is not None and self.end_date is not None and self.end_date < self.start_date:
            raise ValueError(f"end_date {self.end_date} is before start_date {self.start_date}")
        return self


def translated(body: dict[str, Any], generator: str, config_type: type[GeneratorConfig], settings: Settings) -> Wanted:
    """Read a request as simtom's API reads it.

    - A date range is delivered at one day a second, times the time compression where one is given.
    - With a rate, uniform (the default) and poisson pace delivery at that rate, times the time compression.
    - With a rate, nhpp and burst keep the day's shape: time is compressed so that an ordinary day has that mean rate.
    - Otherwise rows come in real time, or compressed.

    Raises:
        RequestValidationError: A value is not allowed, or above a limit of the service.
    """
    asked = validated(CompatBody, body)
    for field, off in OFF.items():
        if body.get(field) not in (None, off):
            raise refuse(field, f"not offered here; allowed: {off!r}", body[field])
    fields = {key: value for key, value in body.items() if key in config_type.model_fields and value is not None}
    delivery_only = {*CompatBody.model_fields, "total_records", *OFF}
    ignored = tuple(sorted(key for key in body if key not in config_type.model_fields and key not in delivery_only))
    config = validated(config_type, {"label_mode": LabelMode.training.value, **fields})
    hold_limits(settings, asked.rate_per_second, asked.time_compression, asked.max_records)
    request = validated(StreamRequest, _delivery(asked, config))
    return Wanted(request, checked(config, settings), body, partial(underscored, generator=generator), ignored)


def _delivery(asked: CompatBody, config: GeneratorConfig) -> dict[str, Any]:
    fields: dict[str, Any] = {"total_records": asked.max_records}
    if asked.start_date is not None:
        return fields | {
            "start_date": asked.start_date,
            "end_date": asked.end_date,
            "time_compression": DAY_A_SECOND * asked.time_compression,
        }
    if asked.end_date is not None:
        fields["end_date"] = asked.end_date
    if asked.rate_per_second is None:
        return fields | {"time_compression": asked.time_compression}
    rate = asked.rate_per_second * asked.time_compression
    if asked.arrival_pattern in (ArrivalPattern.nhpp, ArrivalPattern.burst):
        return fields | {"time_compression": rate * DAY_SECONDS / config.base_daily_volume}
    arrival = Arrival.poisson if asked.arrival_pattern is ArrivalPattern.poisson else Arrival.uniform
    return fields | {"rate_per_second": rate, "arrival": arrival}
