"""Hands records to the sink when they are due: never early, and late only with a count."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime

from simtom_pipelines.replay.clock import Clock
from simtom_pipelines.replay.control import ReplayControl
from simtom_pipelines.replay.errors import LateError, ReplayError
from simtom_pipelines.replay.feed import Feed
from simtom_pipelines.replay.sinks.base import Sink
from simtom_pipelines.replay.source import Chunk, Position
from simtom_pipelines.replay.statistics import Statistics
from simtom_pipelines.replay.timeline import Pacing, Seconds, Timeline
from simtom_pipelines.replay.tracker import Tracker

QUANTUM_SECONDS = 0.0005
"""Wake at most this often: one wake hands over every record that is due, so dense traffic costs no more."""

HOUSEKEEPING_SECONDS = 0.25
"""Between looks at the cursor and the progress report; with the flush this keeps the cursor within half a second."""

LOOK_SECONDS = 0.05
"""A sleep looks at the control this often."""

_ASAP_PART = 2_048
"""Records a send as fast as possible: between sends the stop event is looked at."""


class Pacer:
    """Sends chunks by the schedule, and obeys the control.

    Args:
        pacing: Speed and late policy.
        sink: Where records go; open.
        clock: What to sleep on.
        stop: Ends the run after the record at hand.
        control: Is looked at every 50 ms and at every wake; None: nobody steers.
        statistics: Counters to fill.
        tracker: Is told what was sent.
        housekeeping: Called with the moment at least every quarter of a second while records pass or are waited for.
        notes: Takes the answer key's lines of records that were sent.
        seek: Turns a moment into a position.
    """

    def __init__(
        self,
        pacing: Pacing,
        sink: Sink,
        clock: Clock,
        stop: threading.Event,
        control: ReplayControl | None,
        statistics: Statistics,
        tracker: Tracker,
        housekeeping: Callable[[float], None],
        notes: Callable[[Iterable[str]], None],
        seek: Callable[[date | datetime], Position],
    ) -> None:
        self.pacing, self.sink, self.clock, self.stop = pacing, sink, clock, stop
        self.control = control or ReplayControl(stop=stop)
        self._look_seconds = HOUSEKEEPING_SECONDS if control is None else LOOK_SECONDS
        self.statistics, self.tracker = statistics, tracker
        self._housekeeping, self._notes, self._seek = housekeeping, notes, seek
        self._compression = pacing.compression
        self._timeline: Timeline | None = None
        self._offsets: Seconds | None = None
        self._due: list[float] = []  # the same once more: a list is searched ten times as fast for one value
        self._paused_at: float | None = None
        self._standing: int | None = None
        self._steps = 0
        self._obeyed = -1
        self._start = Position()
        self._here: tuple[Chunk, int] | None = None
        self._wake = float("-inf")
        self._next_housekeeping = float("-inf")
        self.sought: Position | None = None

    def run(self, feed: Feed, position: Position) -> None:
        """Send what follows a position, until the source ends, the stop event is set, or a seek.

        After a seek, `sought` holds the position to go on from.
        """
        self.sought, self._start, self._here = None, position, None
        skip = position.skip
        before = self.clock.now()
        while not self._ended():
            chunk = feed.get()
            if chunk is None or not len(chunk):  # nothing yet: a source may be silent for long
                if feed.exhausted:
                    return
                self._obey()
                self._look_after(self.clock.now())
                continue
            if skip >= len(chunk):
                skip -= len(chunk)
                continue
            if skip:
                chunk, skip = chunk.tail(skip), 0
            self._begin(chunk, self.clock.now(), before)
            self._deliver(chunk)
            before = self.clock.now()

    def _ended(self) -> bool:
        return self.stop.is_set() or self.sought is not None

    def _begin(self, chunk: Chunk, now: float, before: float) -> None:
        first = int(chunk.due[0])
        statistics = self.statistics
        statistics.cycle = chunk.begin.cycle
        if statistics.started is None:
            # The schedule begins when the first record is ready, so that start-up is no lateness.
            statistics.started = now
            statistics.restart(now, first, self._compression)
        elif self._timeline is not None:
            statistics.starved += max(0.0, now - max(before, self._timeline.due(first)))
        elif self._compression is None and self._paused_at is None:
            statistics.starved += now - before

    def _deliver(self, chunk: Chunk) -> None:
        """Send a chunk, or as much of it as there is before the end of the run or a seek."""
        self._offsets = None
        i, count = 0, len(chunk)
        while i < count:
            self._here = chunk, i
            self._obey()
            if self._ended():
                return
            if self._paused_at is not None:
                i = self._stand(chunk, i)
            elif self._compression is None:
                i += self._send(chunk, i, min(count, i + _ASAP_PART), self.clock.now())
                self._look_after(self.clock.now())
            else:
                i = self._paced(chunk, i)
        self._here = chunk, count

    def _paced(self, chunk: Chunk, i: int) -> int:
        """Wait for record i and send what is due then; return the next record."""
        if self._timeline is None:
            self._timeline = self._anchored(self.clock.now(), int(chunk.due[i]))
        if self._offsets is None:
            self._offsets = self._timeline.offsets(chunk.due)
            self._due = self._offsets.tolist()
        due, anchor = self._due, self._timeline.anchor
        now = self._sleep_until(max(anchor + due[i], self._wake + QUANTUM_SECONDS))
        if self.stop.is_set() or self._obeyed != self.control.changes:
            return i
        self._wake = now
        late = now - anchor - due[i]
        if late > self.pacing.late_after:
            if self.pacing.late == "slip":
                self._timeline.slip(late)
                self.statistics.slipped += late
                anchor = self._timeline.anchor
            elif self.pacing.late == "drop":
                i = self._drop(chunk, i, bisect_left(due, now - anchor - self.pacing.late_after, i))
        j = bisect_right(due, now - anchor, i)
        if j > i:
            taken = self._send(chunk, i, j, now)
            self.statistics.lateness(self.clock.now() - anchor, self._offsets[i : i + taken])
            i += taken
            self._check_budget()
        self._look_after(now)
        return i

    def _anchored(self, now: float, origin: int) -> Timeline:
        """Return a timeline on which `origin` is due now."""
        assert self._compression is not None
        self.statistics.restart(now, origin, self._compression)
        return Timeline(now, origin, self._compression)

    def _check_budget(self) -> None:
        if self.pacing.late == "fail" and self.statistics.late > self.pacing.late_budget:
            late, worst = self.statistics.late, self.statistics.worst
            raise LateError(
                f"{late} records were later than late_after={self.pacing.late_after:g} s (the worst by {worst:.3f} s), "
                f"and late_budget forgives {self.pacing.late_budget}; slow down, allow more, or choose another policy"
            )

    def _drop(self, chunk: Chunk, i: int, j: int) -> int:
        """Pass over the records i to j - 1 and return the next one."""
        if j <= i:
            return i
        self.statistics.dropped += j - i
        self.statistics.passed(int(chunk.due[j - 1]), int(chunk.times[j - 1]))
        self.tracker.skipped(chunk, j)
        return j

    def _send(self, chunk: Chunk, i: int, j: int, now: float) -> int:
        taken = self.sink.send(chunk.buffer, chunk.offsets, i, j)
        self.statistics.blocked += self.clock.now() - now
        self.tracker.sent(chunk, i, taken)
        if taken:
            k = i + taken
            self.statistics.sent(taken, int(chunk.offsets[k] - chunk.offsets[i]))
            self.statistics.passed(int(chunk.due[k - 1]), int(chunk.times[k - 1]))
            if chunk.notes:
                self._notes(text for record, text in chunk.notes if i <= record < k)
        return taken

    # -- the control ----------------------------------------------------------------------------------------------

    def _obey(self) -> None:
        """Take up what the control was asked since the last look."""
        if self._obeyed == self.control.changes:
            return
        self._obeyed = self.control.changes
        orders, now = self.control.take(), self.clock.now()
        self.control.refuse(None)
        if orders.seek is not None:
            self._go_to(orders.seek)
        speed_changed = orders.compression != 0.0 and orders.compression != self._compression
        if speed_changed or orders.paused != (self._paused_at is not None):
            reached = self._reached(now)
            if speed_changed:
                self._compression = orders.compression
            self._timeline = self._offsets = None
            self._pause(now, reached) if orders.paused else self._resume(now, reached)
        self._steps = self._steps + orders.steps if orders.paused else 0
        self._look_after(now, at_once=True)

    def _go_to(self, moment: date | datetime) -> None:
        here = self._start if self._here is None else self._here[0].position(self._here[1])
        try:
            found = self._seek(moment)
        except ReplayError as error:
            self.control.refuse(str(error))
            return
        # The turn of the loop and the shift of the instants stay; the numbers of the records go on.
        self.sought = replace(found, cycle=here.cycle, shift=here.shift, arrived=here.arrived)
        self.tracker.moved(self.sought)
        self._here = self._timeline = self._offsets = self._standing = None

    def _pause(self, now: float, reached: int | None) -> None:
        self._standing = reached
        if self._paused_at is None:
            self._paused_at = self.statistics.standing = now

    def _resume(self, now: float, reached: int | None) -> None:
        if self._paused_at is not None:
            self.statistics.paused += now - self._paused_at
            self._paused_at = self.statistics.standing = self._standing = None
        if reached is None:
            self.statistics.asked = self._compression  # nothing is known of the schedule yet
        elif self._compression is None:
            self.statistics.restart(now, reached, None)
        else:
            self._timeline = self._anchored(now, reached)

    def _reached(self, now: float) -> int | None:
        """Return the schedule time reached at a moment, what is late forgiven; None: nothing to go by yet."""
        reached = self._standing if self._timeline is None else self._timeline.at(now)
        if self._here is None or self._here[1] == len(self._here[0]):
            return reached
        due = int(self._here[0].due[self._here[1]])
        return due if reached is None else min(reached, due)

    def _stand(self, chunk: Chunk, i: int) -> int:
        """Make the steps that were asked for, or wait for another order; return the next record."""
        now = self.clock.now()
        if not self._steps:
            self.clock.sleep_until(min(now + LOOK_SECONDS, max(now, self._next_housekeeping)), self.stop)
            self._look_after(self.clock.now())
            return i
        taken = self._send(chunk, i, min(len(chunk), i + self._steps), now)
        self._steps -= taken
        if taken:
            self._standing = int(chunk.due[i + taken - 1])
        self._look_after(self.clock.now(), at_once=not self._steps)
        return i + taken

    # -- between records ------------------------------------------------------------------------------------------

    def _sleep_until(self, when: float) -> float:
        """Sleep with breaks for housekeeping and the control, and return the moment of waking."""
        now = self.clock.now()
        while now < when and not self.stop.is_set() and self._obeyed == self.control.changes:
            self._look_after(now)
            self.clock.sleep_until(min(when, self._next_housekeeping, now + self._look_seconds), self.stop)
            now = self.clock.now()
        return now

    def _look_after(self, now: float, *, at_once: bool = False) -> None:
        if now >= self._next_housekeeping or at_once:
            self._housekeeping(now)
            self._next_housekeeping = now + HOUSEKEEPING_SECONDS
