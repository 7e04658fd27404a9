"""The schedule: one anchor and absolute due times, so that nothing drifts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import ReplayError

Times = NDArray[np.int64]
"""Event times in UTC microseconds since 1970, shape (n,), never decreasing."""

Seconds = NDArray[np.float64]

LatePolicy = Literal["burst", "slip", "drop", "fail"]
LATE_POLICIES: tuple[LatePolicy, ...] = ("burst", "slip", "drop", "fail")

SLOWEST, FASTEST = 1e-6, 1e9
"""Bounds of a time compression."""


@dataclass(frozen=True)
class Pacing:
    """How fast a replay goes, and what it does when it cannot.

    Attributes:
        compression: Seconds of event time in a second of wall time; None: as fast as possible.
        late: ``burst`` keeps the schedule and catches up, ``slip`` moves the schedule and keeps the gaps, ``drop``
            skips and counts, ``fail`` ends the run.
        late_after: Wall seconds from which a record is late: for the count and for every policy but ``burst``.
        late_budget: Late records that ``fail`` still forgives.
    """

    compression: float | None = 1.0
    late: LatePolicy = "burst"
    late_after: float = 0.1
    late_budget: int = 0

    def __post_init__(self) -> None:
        check_compression("compression", self.compression)
        if not 0.0 < self.late_after < float("inf"):
            raise ReplayError(f"late_after is {self.late_after!r}; it must be a positive number of seconds")
        if self.late not in LATE_POLICIES:
            raise ReplayError(f"late is {self.late!r}; allowed: {', '.join(LATE_POLICIES)}")
        if isinstance(self.late_budget, bool) or not isinstance(self.late_budget, int) or self.late_budget < 0:
            raise ReplayError(f"late_budget is {self.late_budget!r}; allowed: a whole number of records from 0")
        if self.late_budget and self.late != "fail":
            raise ReplayError(
                f"late_budget is {self.late_budget} and late is {self.late!r}; a budget goes with late=fail"
            )


def check_compression(name: str, value: float | None) -> None:
    """Raise ReplayError where a speed is neither None nor within its bounds."""
    if value is not None and not SLOWEST <= value <= FASTEST:
        raise ReplayError(f"{name} is {value!r}; it must be a number from {SLOWEST:g} to {FASTEST:g}")


@dataclass
class Timeline:
    """Maps event time to moments of the replay's clock.

    ``due = anchor + (event_time - origin) / compression``: absolute, never a sum of gaps, which drifts.

    Attributes:
        anchor: Moment of the clock, in seconds, at which `origin` is due. Only the ``slip`` policy moves it; a pause, a
            seek or another speed begins another timeline.
        origin: Event time at the anchor, in microseconds.
        compression: Seconds of event time in a second of wall time.
    """

    anchor: float
    origin: int
    compression: float

    def offsets(self, times: Times) -> Seconds:
        """Return the seconds after the anchor at which each record is due, shape (n,)."""
        scaled: Seconds = (times - self.origin) / (1e6 * self.compression)
        return scaled

    def due(self, time: int) -> float:
        """Return the moment at which one event time is due."""
        return self.anchor + (time - self.origin) / (1e6 * self.compression)

    def at(self, now: float) -> int:
        """Return the event time that the schedule has reached at a moment, in microseconds."""
        return self.origin + round((now - self.anchor) * 1e6 * self.compression)

    def slip(self, seconds: float) -> None:
        """Move everything that follows later by `seconds`: the gaps stay, the schedule does not."""
        self.anchor += seconds
