"""When records of a stream are due, while it is paused, sped up and sought."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Schedule:
    """One anchor and absolute due times: ``due = anchor + (place - origin) / speed``.

    Places are those of the source's chunks, in microseconds: event times, or deliveries at one record a second. A
    change moves anchor and origin to the present, so that nothing jumps.

    Args:
        now: The present moment in seconds.
        speed: Seconds of places in a second; None: as fast as possible.
        origin: Place that is due at once; None: that of the first record, when it is ready.
    """

    def __init__(self, now: float, speed: float | None, origin: int | None) -> None:
        self.speed = speed
        self.changes = 0
        self._anchor, self._origin = now, origin
        self._paused_at: float | None = None

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused_at is not None

    def pause(self, now: float) -> None:
        """Stand still."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """Go on where it stood: the pause makes nothing late."""
        if self._paused_at is not None:
            self._anchor += now - self._paused_at
            self._paused_at = None
            self.changes += 1

    def set_speed(self, now: float, speed: float | None) -> None:
        """Change the speed from the present on; None: as fast as possible."""
        now = self._moment(now)
        if self._origin is not None and self.speed is not None:
            self._origin += round((now - self._anchor) * self.speed * 1e6)
        else:
            self._origin = None  # there was no schedule: it begins with the next record
        self._anchor, self.speed = now, speed
        self.changes += 1

    def restart(self) -> None:
        """Begin anew with the next record."""
        self._origin = None
        self.changes += 1

    def due(self, places: NDArray[np.int64], i: int, now: float) -> NDArray[np.float64] | None:
        """Return the moments at which records are due, shape (n,); None: as fast as possible.

        Where there is no schedule yet it begins now, with record i: making it was no lateness.
        """
        if self._origin is None:
            self._anchor, self._origin = self._moment(now), int(places[i])
        if self.speed is None:
            return None
        due: NDArray[np.float64] = self._anchor + (places - self._origin) / (1e6 * self.speed)
        return due

    def reached(self, now: float) -> int | None:
        """Return the place that is due now; None where there is no schedule."""
        if self._origin is None or self.speed is None:
            return None
        return self._origin + round((self._moment(now) - self._anchor) * self.speed * 1e6)

    def _moment(self, now: float) -> float:
        return now if self._paused_at is None else self._paused_at
