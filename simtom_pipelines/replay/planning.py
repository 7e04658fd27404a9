"""What a replay would do, without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from simtom_pipelines.replay.reader import Lake
from simtom_pipelines.replay.request import ReplayRequest
from simtom_pipelines.replay.statistics import EPOCH
from simtom_pipelines.replay.stored import StoredSource

PACED_CEILING = 180_000.0
"""Records a second that one process was measured to emit on a schedule."""


@dataclass(frozen=True)
class ReplayPlan:
    """What a replay would do; times of one turn of a loop.

    Attributes:
        tables: Tables as ``dataset/table``.
        days: Stored days that are read.
        missing: Days of the range that are not stored.
        rows: Records in the window.
        first: Event time of the first record; None where there is none.
        last: Event time of the last.
        compression: None with ``asap``.
        wall_seconds: From the first record to the last, silences shortened as asked; None with ``asap``.
        peak_rate: Most records in any second of wall time; None with ``asap``.
        loop: Turns; 0: no end.
        warnings: What will not go as asked.
    """

    tables: tuple[str, ...]
    days: tuple[date, ...]
    missing: tuple[date, ...]
    rows: int
    first: datetime | None
    last: datetime | None
    compression: float | None
    wall_seconds: float | None
    peak_rate: float | None
    loop: int
    warnings: tuple[str, ...]

    @property
    def span(self) -> timedelta:
        """Event time from the first record to the last, silences included."""
        return timedelta(0) if self.first is None or self.last is None else self.last - self.first


def plan(request: ReplayRequest, lake: Lake) -> ReplayPlan:
    """Return rows, span, expected wall time and peak rate; reads the event times only. A cursor is not looked at.

    Raises:
        ReplayError: As `replay` would, before it emits anything.
    """
    source = StoredSource(request, lake)
    compression = request.compression
    width = None if compression is None else max(1, round(compression * 1e6))
    rows = peak = 0
    first = last = begin = end = None
    tail = np.zeros(0, np.int64)
    for due, times in source.schedule():
        rows += len(times)
        first, last = int(times[0]) if first is None else first, int(times[-1])
        begin, end = int(due[0]) if begin is None else begin, int(due[-1])
        if width is not None:
            joined = np.concatenate([tail, due])
            peak = max(peak, int((np.searchsorted(joined, joined + width) - np.arange(len(joined))).max()))
            tail = joined[np.searchsorted(joined, end - width, "right") :]
    span = 0.0 if begin is None or end is None else (end - begin) / 1e6
    return ReplayPlan(
        tables=request.tables,
        days=source.days,
        missing=source.missing,
        rows=rows,
        first=None if first is None else EPOCH + timedelta(microseconds=first),
        last=None if last is None else EPOCH + timedelta(microseconds=last),
        compression=compression,
        wall_seconds=None if compression is None else span / compression,
        peak_rate=None if compression is None else float(peak),
        loop=request.loop,
        warnings=_warnings(float(peak), compression, rows),
    )


def _warnings(peak: float, compression: float | None, rows: int) -> tuple[str, ...]:
    found = []
    if peak > PACED_CEILING and compression is not None:
        slower = compression * PACED_CEILING / peak
        found.append(
            f"the peak of {peak:,.0f} records/s is above the {PACED_CEILING:,.0f}/s that one process can emit, so "
            f"records will be late; a time compression below {slower:,.4g} avoids it"
        )
    if not rows:
        found.append("no record is inside the window")
    return tuple(found)
