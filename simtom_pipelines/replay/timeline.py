"""The schedule: one anchor and absolute due times, so that nothing drifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
"""Event times in UTC microseconds since 1970, shape (n,), never decreasing."""

Seconds = NDArray[np.float64]


@dataclass
class Timeline:
    """Maps event time to moments of the replay's clock.

    ``due = anchor + (event_time - origin) / compression``: absolute, never a sum of gaps, which drifts.

    Attributes:
        anchor: Moment of the clock, in seconds, at which `origin` is due. Only the ``slip`` policy moves it.
        origin: Event time of the first record, in microseconds.
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

    def slip(self, seconds: float) -> None:
        """Move everything that follows later by `seconds`: the gaps stay, the schedule does not."""
        self.anchor += seconds
