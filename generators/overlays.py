"""Rows that a generator adds to a day with their own instants, handed to the slices that they fall into."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from generators.errors import CalendarError


class OverlayRows:
    """The overlay rows of a day, handed out by time.

    Args:
        frames: Typed frames in order of time.
        start: First instant of the day, UTC microseconds.
        end: Instant at which the day is over.
        where: Generator and day, for errors.
    """

    def __init__(self, frames: Iterator[pl.DataFrame], start: int, end: int, where: str) -> None:
        self._frames, self._held = frames, pl.DataFrame()
        self._last, self._end, self._where = start, end, where

    def before(self, edge: int) -> list[pl.DataFrame]:
        """Return what is left before an instant, in order; instants must not go back from call to call."""
        found = []
        while (held := self._next()) is not None:
            cut = int(held["timestamp"].to_physical().search_sorted(edge))
            if cut:
                found.append(held.head(cut))
            self._held = held.slice(cut)
            if self._held.height:
                break
        return found

    def _next(self) -> pl.DataFrame | None:
        """Return the frame at hand, or the next one that has rows."""
        while self._held.is_empty():
            frame = next(self._frames, None)
            if frame is None:
                return None
            if frame.is_empty():
                continue
            times = frame["timestamp"].to_physical()
            if not times.is_sorted() or times[0] < self._last or times[-1] >= self._end:
                raise CalendarError(f"{self._where}: overlay rows lie outside the day or are not in order of time")
            self._last, self._held = int(times[-1]), frame
        return self._held
