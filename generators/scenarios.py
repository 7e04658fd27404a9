"""Concept drift on request: what changes from a day on, and how far it has come on each day.

A generator names its presets; a config lists drifts, each a preset with a first day. How strong a drift is on a day is
a piecewise linear function of the day: it grows over the preset's ramp, holds, and fades after its last day. Effects
hang on that strength alone, so a day under drift is as pure as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Generic, Self, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from generators.days import day_number
from generators.randomness import F64
from generators.strict import StrictModel

MAX_STRENGTH = 3.0

DRIFT_FIELD = "Changes from a day on: a list of preset, start and optionally end, strength and ramp_days."
"""Description of the config field that lists drifts."""


@dataclass(frozen=True)
class Preset:
    """A kind of drift.

    Attributes:
        text: What it does at strength 1, for people.
        ramp: Days in which it grows to its full strength; 0: abrupt.
        lasts: Days from the first to the last one, where a drift names no end; None: for good.
        fade: Days in which it goes after its last day; 0: at once.
    """

    text: str
    ramp: int = 0
    lasts: int | None = None
    fade: int = 0


DriftT = TypeVar("DriftT", bound="Drift")


class Drift(StrictModel):
    """One drift; a generator's own subclass narrows `preset` to the names of `presets`."""

    presets: ClassVar[Mapping[str, Preset]] = {}

    preset: str = Field(description="What changes.")
    start: date = Field(description="First day of the drift.")
    end: date | None = Field(
        default=None, description="Last day before it fades; null: as long as the preset lasts, most of them for good."
    )
    strength: float = Field(
        default=1.0, ge=0, le=MAX_STRENGTH, allow_inf_nan=False, description="1: as documented; 0: nothing; up to 3."
    )
    ramp_days: int | None = Field(
        default=None, ge=0, le=3_660, description="Days in which it grows: 0 abrupt, more gradual; null: the preset's."
    )

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.end is not None and self.end < self.start:
            raise ValueError(f"end {self.end} lies before start {self.start}; allowed: from the day of start on")
        return self

    @property
    def first(self) -> int:
        """First day, from 1970-01-01."""
        return day_number(self.start)

    def levels(self, days: NDArray[np.int64]) -> F64:
        """Return the strength on (n,) days since 1970-01-01: 0 before the start."""
        preset, first = self.presets[self.preset], self.first
        ramp = preset.ramp if self.ramp_days is None else self.ramp_days
        level = np.clip((days - first + 1) / max(ramp, 1), 0.0, 1.0)
        last = day_number(self.end) if self.end is not None else None
        if last is None and preset.lasts is not None:
            last = first + preset.lasts - 1
        if last is not None:
            level = np.minimum(level, np.clip(1.0 - (days - last) / max(preset.fade, 1), 0.0, 1.0))
        return np.asarray(self.strength * level)


def presets_of(config: type[BaseModel]) -> Mapping[str, Preset]:
    """Return the presets that a config's field ``drift`` takes; none without the field."""
    field = config.model_fields.get("drift")
    kinds = get_args(field.annotation) if field else ()
    return next((k.presets for k in kinds if isinstance(k, type) and issubclass(k, Drift)), {})


@dataclass(frozen=True)
class Scenario(Generic[DriftT]):
    """The drifts of a config; a generator's subclass says what they do.

    Attributes:
        drifts: In any order; those of one preset add up.
    """

    drifts: tuple[DriftT, ...]

    def of(self, preset: str) -> tuple[DriftT, ...]:
        """Return the drifts of a preset."""
        return tuple(drift for drift in self.drifts if drift.preset == preset)

    def levels(self, preset: str, days: NDArray[np.int64]) -> F64:
        """Return the strength of a preset on (n,) days since 1970-01-01: the sum over its drifts."""
        found = np.zeros(len(days))
        for drift in self.of(preset):
            found += drift.levels(days)
        return found

    def level(self, preset: str, day: int) -> float:
        """Return the strength of a preset on a day since 1970-01-01."""
        return float(self.levels(preset, np.array([day]))[0]) if self.drifts else 0.0


def crossings(days: NDArray[np.int64], series: F64, thresholds: F64) -> list[NDArray[np.int64]]:
    """Return the days on which a daily series passes (n,) thresholds: an array for each rise and fall of the series.

    Where a rise or fall does not pass a threshold, the array has the day after its last one.

    Args:
        days: (d,) days on end.
        series: (d,) values; above a threshold counts, equal to it does not.
        thresholds: (n,) values to pass.
    """
    found, step = [], np.sign(np.diff(series))
    moves = np.flatnonzero(step)
    for run in np.split(moves, np.flatnonzero(np.diff(step[moves])) + 1):
        if len(run):
            first, last = run[0] + 1, run[-1] + 1
            part = series[first : last + 1]
            rises = step[run[0]] > 0
            place = np.searchsorted(part, thresholds, "right") if rises else np.searchsorted(-part, -thresholds)
            found.append(days[first] + place)
    return found
