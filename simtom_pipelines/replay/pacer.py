"""Hands records to the sink when they are due: never early, and late only with a count."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from simtom_pipelines.replay.clock import Clock
from simtom_pipelines.replay.cursor import Cursor
from simtom_pipelines.replay.encoder import Chunk
from simtom_pipelines.replay.request import ReplayRequest
from simtom_pipelines.replay.sinks.base import Sink
from simtom_pipelines.replay.statistics import Statistics
from simtom_pipelines.replay.timeline import Timeline

QUANTUM_SECONDS = 0.0005
"""Wake at most this often: one wake hands over every record that is due, so dense traffic costs no more."""

HOUSEKEEPING_SECONDS = 0.25
"""Between looks at the cursor and the progress report; with the flush this keeps the cursor within half a second."""

_ASAP_PART = 2_048
"""Records a send as fast as possible: between sends the stop event is looked at."""


class Tracker:
    """Knows which position the acknowledged records lead to.

    Args:
        cursor: Where the run begins.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._sent = 0
        self._pending: deque[tuple[int, int, Chunk, int]] = deque()

    @property
    def total(self) -> int:
        """Records that the sink took."""
        return self._sent

    def sent(self, chunk: Chunk, i: int, count: int) -> None:
        """Note that the sink took `count` records of the chunk from record i on."""
        if count:
            self._pending.append((self._sent, count, chunk, i))
            self._sent += count

    def skipped(self, chunk: Chunk, j: int) -> None:
        """Note that the records of the chunk before j need not be sent any more."""
        self._pending.append((self._sent, 0, chunk, j))

    def position(self, acked: int) -> Cursor:
        """Return the cursor after the first `acked` records."""
        while self._pending and self._pending[0][0] + self._pending[0][1] <= acked:
            _, count, chunk, i = self._pending.popleft()
            self._move(chunk, i + count)
        if self._pending and self._pending[0][0] < acked:
            before, _, chunk, i = self._pending[0]
            self._move(chunk, i + acked - before)
        return self._cursor

    def _move(self, chunk: Chunk, j: int) -> None:
        self._cursor = replace(
            self._cursor,
            day=chunk.day.isoformat(),
            row=int(chunk.rows[j - 1]) + 1,
            cycle=chunk.cycle,
            fingerprint=chunk.fingerprint,
        )


class Pacer:
    """Sends chunks by the schedule.

    Args:
        request: Speed and late policy.
        sink: Where records go; open.
        clock: What to sleep on.
        stop: Ends the run after the record at hand.
        statistics: Counters to fill.
        tracker: Is told what was sent.
        housekeeping: Called with the moment at least every quarter of a second while records pass or are waited for.
    """

    def __init__(
        self,
        request: ReplayRequest,
        sink: Sink,
        clock: Clock,
        stop: threading.Event,
        statistics: Statistics,
        tracker: Tracker,
        housekeeping: Callable[[float], None],
    ) -> None:
        self.request, self.sink, self.clock, self.stop = request, sink, clock, stop
        self.statistics, self.tracker, self._housekeeping = statistics, tracker, housekeeping
        self._timeline: Timeline | None = None
        self._wake = float("-inf")
        self._next_housekeeping = float("-inf")

    def run(self, chunks: Iterator[Chunk]) -> None:
        """Send every chunk, or until the stop event is set."""
        asap = self.request.compression is None
        while not self.stop.is_set():
            before = self.clock.now()
            chunk = next(chunks, None)
            if chunk is None:
                return
            now = self.clock.now()
            self._begin(chunk, now, before)
            if asap:
                self._as_fast_as_possible(chunk)
            else:
                self._paced(chunk)

    def _begin(self, chunk: Chunk, now: float, before: float) -> None:
        first = int(chunk.times[0]) + chunk.shift
        statistics = self.statistics
        statistics.cycle = chunk.cycle
        if statistics.started is None:
            # The schedule begins when the first record is ready, so that start-up is no lateness.
            statistics.started, statistics.first = now, first
            if self.request.compression is not None:
                self._timeline = Timeline(now, first, self.request.compression)
        elif self._timeline is None:
            statistics.starved += now - before
        else:
            statistics.starved += max(0.0, now - max(before, self._timeline.due(first)))

    def _as_fast_as_possible(self, chunk: Chunk) -> None:
        i, count = 0, len(chunk.times)
        while i < count and not self.stop.is_set():
            i += self._send(chunk, i, min(count, i + _ASAP_PART), self.clock.now())
            self._look_after(self.clock.now())

    def _paced(self, chunk: Chunk) -> None:
        timeline = self._timeline
        assert timeline is not None
        offsets = timeline.offsets(chunk.times + chunk.shift)
        due = timeline.anchor + offsets
        i, count = 0, len(due)
        while i < count:
            now = self._sleep_until(max(float(due[i]), self._wake + QUANTUM_SECONDS))
            if self.stop.is_set():
                return
            self._wake = now
            if self.request.late == "slip" and (late := now - float(due[i])) > self.request.late_after:
                timeline.slip(late)
                self.statistics.slipped += late
                due = timeline.anchor + offsets
            elif self.request.late == "drop":
                i = self._drop(chunk, i, int(np.searchsorted(due, now - self.request.late_after)))
            j = int(np.searchsorted(due, now, "right"))
            if j > i:
                taken = self._send(chunk, i, j, now)
                done = self.clock.now()
                self.statistics.lateness(done - due[i : i + taken])
                i += taken
            self._look_after(self._wake)

    def _drop(self, chunk: Chunk, i: int, j: int) -> int:
        """Pass over the records i to j - 1 and return the next one."""
        if j <= i:
            return i
        self.statistics.dropped += j - i
        self.statistics.passed(int(chunk.times[j - 1]) + chunk.shift, int(chunk.times[j - 1]))
        self.tracker.skipped(chunk, j)
        return j

    def _send(self, chunk: Chunk, i: int, j: int, now: float) -> int:
        taken = self.sink.send(chunk.buffer, chunk.offsets, i, j)
        self.statistics.blocked += self.clock.now() - now
        self.tracker.sent(chunk, i, taken)
        if taken:
            k = i + taken
            self.statistics.sent(taken, int(chunk.offsets[k] - chunk.offsets[i]))
            self.statistics.passed(int(chunk.times[k - 1]) + chunk.shift, int(chunk.times[k - 1]))
        return taken

    def _sleep_until(self, when: float) -> float:
        """Sleep with breaks for housekeeping and return the moment of waking."""
        now = self.clock.now()
        while now < when and not self.stop.is_set():
            self._look_after(now)
            self.clock.sleep_until(min(when, self._next_housekeeping), self.stop)
            now = self.clock.now()
        return now

    def _look_after(self, now: float) -> None:
        if now >= self._next_housekeeping:
            self._housekeeping(now)
            self._next_housekeeping = now + HOUSEKEEPING_SECONDS
