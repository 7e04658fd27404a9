"""What a replay counts: records, bytes, lateness against the schedule, and time lost on either side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from simtom_pipelines.replay.timeline import Seconds

_SMALLEST = 1e-6
"""Lateness below this many seconds falls into the first bucket."""

_GROWTH = 1.04
"""Ratio of neighbouring bucket bounds: quantiles are exact to 4%."""

_BUCKETS = 720
"""Enough for 1 microsecond x 1.04^719 = 20 days."""

_COUNTED_AT_ONCE = 512
"""Wakes whose lateness is counted together: one by one, the counting costs as much as the sending."""

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class LatenessHistogram:
    """Lateness in buckets of geometric width: constant memory, whatever the number of records."""

    def __init__(self) -> None:
        self.counts = np.zeros(_BUCKETS, np.int64)
        self.maximum = 0.0

    def add(self, lateness: Seconds) -> None:
        """Count lateness values in seconds, shape (n,)."""
        if not len(lateness):
            return
        self.maximum = max(self.maximum, float(lateness.max()))
        bucket = np.ceil(np.log(np.maximum(lateness, _SMALLEST) / _SMALLEST) / np.log(_GROWTH)).astype(np.int64)
        np.add.at(self.counts, np.minimum(bucket, _BUCKETS - 1), 1)

    def quantile(self, share: float) -> float:
        """Return the lateness in seconds that `share` of the records do not exceed, from above by at most 4%."""
        total = int(self.counts.sum())
        if not total:
            return 0.0
        bucket = int(np.searchsorted(np.cumsum(self.counts), np.ceil(share * total)))
        return min(float(_SMALLEST * _GROWTH**bucket), self.maximum)


@dataclass(frozen=True)
class ReplayReport:
    """The state of a replay, once a second while it runs and once at its end. Times are seconds of wall time.

    Attributes:
        emitted: Records handed to the sink in this run.
        bytes: Their size.
        elapsed: Since the first record was ready.
        asked_compression: None with ``asap``.
        achieved_compression: Event time covered over wall time taken since the speed was last set; 0 before anything
            can be said.
        lateness: Keys ``p50``, ``p99``, ``p99.9``, ``max``: after the moment a record was due until the sink took it.
        late: Records later than `late_after`.
        dropped: Records skipped by the ``drop`` policy.
        slipped: By how much the ``slip`` policy moved the schedule.
        starved: Time waited for the reader and encoder, a due record notwithstanding.
        blocked: Time spent inside the sink.
        paused: Time that it stood still because it was told to.
        position: Event time of the last record emitted or dropped.
        cycle: Which turn of ``loop`` runs, from 0.
        resumed: Whether the run went on from a cursor.
        finished: Whether everything asked for was emitted.
    """

    emitted: int
    bytes: int
    elapsed: float
    asked_compression: float | None
    achieved_compression: float
    lateness: dict[str, float]
    late: int
    dropped: int
    slipped: float
    starved: float
    blocked: float
    position: datetime | None
    cycle: int
    resumed: bool
    finished: bool
    paused: float = 0.0

    @property
    def rate(self) -> float:
        """Records a second of wall time, pauses not counted."""
        running = self.elapsed - self.paused
        return self.emitted / running if running > 0.0 else 0.0

    def line(self) -> str:
        """Return one line for a log or terminal."""
        parts = [f"{self.emitted:,} records", f"{self.rate:,.0f}/s", f"{self.bytes / 1e6:,.1f} MB"]
        if self.position is not None:
            parts.insert(0, f"{self.position:%Y-%m-%d %H:%M:%S}Z")
        if self.asked_compression is not None:
            parts.append(f"compression {self.achieved_compression:,.6g} of {self.asked_compression:,.6g}")
            parts.append(f"late p50 {self.lateness['p50'] * 1e3:.2f} p99 {self.lateness['p99'] * 1e3:.2f} ms")
        parts += [f"{self.late:,} late"] * (self.late > 0) + [f"{self.dropped:,} dropped"] * (self.dropped > 0)
        parts += [f"starved {self.starved:.1f} s"] * (self.starved >= 0.1)
        parts += [f"blocked {self.blocked:.1f} s"] * (self.blocked >= 0.1)
        parts += [f"paused {self.paused:.1f} s"] * (self.paused >= 0.1)
        return " · ".join(parts)


class Statistics:
    """Counters that the pacer fills.

    Args:
        asked: Asked compression; None with ``asap``.
        late_after: Seconds from which a record counts as late.
        resumed: Whether the run goes on from a cursor.
    """

    def __init__(self, asked: float | None, late_after: float, resumed: bool) -> None:
        self.asked, self.late_after, self.resumed = asked, late_after, resumed
        self.histogram = LatenessHistogram()
        self.emitted = self.bytes = self.late = self.dropped = self.cycle = 0
        self.slipped = self.starved = self.blocked = self.paused = self.worst = 0.0
        self.started: float | None = None
        self.standing: float | None = None
        self.stamp: int | None = None
        self._anchor, self._origin = 0.0, 0
        self._last: int | None = None
        self._taken: list[float] = []
        self._due: list[Seconds] = []

    def restart(self, now: float, origin: int, asked: float | None) -> None:
        """Measure the compression anew: the schedule time `origin` (microseconds) is reached at the moment `now`."""
        self._anchor, self._origin, self._last, self.asked = now, origin, None, asked

    def passed(self, last: int, stamp: int) -> None:
        """Note the schedule time and the event time (microseconds) of the last record that was dealt with."""
        self._last, self.stamp = last, stamp

    def sent(self, records: int, size: int) -> None:
        """Count records and bytes that the sink took."""
        self.emitted += records
        self.bytes += size

    def lateness(self, taken: float, due: Seconds) -> None:
        """Count the lateness of records that the sink took together.

        Args:
            taken: When it took them, in seconds after the anchor.
            due: When they were due, in seconds after the anchor, shape (n,), never decreasing.
        """
        if not len(due):
            return
        latest = taken - float(due[0])
        if latest > self.worst:
            self.worst = latest
        if latest > self.late_after:
            self.late += int(np.count_nonzero(taken - due > self.late_after))
        self._taken.append(taken)
        self._due.append(due)
        if len(self._taken) >= _COUNTED_AT_ONCE:
            self._count()

    def _count(self) -> None:
        if self._taken:
            taken = np.repeat(self._taken, [len(due) for due in self._due])
            self.histogram.add(taken - np.concatenate(self._due))
            self._taken.clear()
            self._due.clear()

    def report(self, now: float, finished: bool = False) -> ReplayReport:
        """Return the state at the moment `now` of the replay's clock."""
        self._count()
        elapsed = now - self.started if self.started is not None else 0.0
        until = now if self.standing is None else self.standing
        taken, covered = until - self._anchor, 0.0 if self._last is None else (self._last - self._origin) / 1e6
        names = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        return ReplayReport(
            emitted=self.emitted,
            bytes=self.bytes,
            elapsed=elapsed,
            asked_compression=self.asked,
            achieved_compression=max(covered / taken, 0.0) if taken > 0.0 else 0.0,
            lateness={n: self.histogram.quantile(q) for n, q in names.items()} | {"max": self.histogram.maximum},
            late=self.late,
            dropped=self.dropped,
            slipped=self.slipped,
            starved=self.starved,
            blocked=self.blocked,
            position=None if self.stamp is None else EPOCH + timedelta(microseconds=self.stamp),
            cycle=self.cycle,
            resumed=self.resumed,
            finished=finished,
            paused=self.paused + (0.0 if self.standing is None else now - self.standing),
        )
