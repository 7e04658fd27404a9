"""The replay itself: reader and encoder in a thread, pacer and sink in the caller's, cursor in between."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from simtom_pipelines.replay import cursor as cursors
from simtom_pipelines.replay.clock import Clock, MonotonicClock
from simtom_pipelines.replay.cursor import Cursor
from simtom_pipelines.replay.errors import MissingDaysError, ReplayError
from simtom_pipelines.replay.feed import Feed
from simtom_pipelines.replay.pacer import Pacer, Tracker
from simtom_pipelines.replay.reader import Lake, Position, Reader, time_zone
from simtom_pipelines.replay.request import ReplayRequest, resolve
from simtom_pipelines.replay.sinks.base import Sink
from simtom_pipelines.replay.statistics import ReplayReport, Statistics

PROGRESS_SECONDS = 1.0
_SWITCH_SECONDS = 0.0005
_LISTED_DAYS = 10

Progress = Callable[[ReplayReport], None]


def open_reader(request: ReplayRequest, lake: Lake) -> Reader:
    """Return a reader of the request's window.

    Raises:
        MissingDaysError: Days of the range are not stored, and `allow_missing` is off.
        ReplayError: Nothing is stored, the range is empty, or the table has no event times.
    """
    name = f"{request.dataset}/{request.table}"
    stored = lake.days(request.dataset, request.table)
    if not stored:
        raise ReplayError(f"no day of {name} is stored; materialise some days first, or check the name and the lake")
    window = resolve(request, stored, time_zone(lake, request, stored[0]))
    if window.missing and not request.allow_missing:
        listed = ", ".join(day.isoformat() for day in window.missing[:_LISTED_DAYS])
        more = len(window.missing) - _LISTED_DAYS
        raise MissingDaysError(
            f"{len(window.missing)} days of {name} are not stored: {listed}{f' and {more} more' if more > 0 else ''}; "
            f"stored are {stored[0]} to {stored[-1]}. Materialise them, choose another range, or allow missing days"
        )
    if not window.days:
        raise ReplayError(f"no stored day of {name} is inside the range; stored are {stored[0]} to {stored[-1]}")
    return Reader(lake, request, window)


def replay(
    request: ReplayRequest,
    sink: Sink,
    *,
    lake: Lake,
    clock: Clock | None = None,
    on_progress: Progress | None = None,
    stop: threading.Event | None = None,
    owns_process: bool = False,
) -> ReplayReport:
    """Replay stored rows as a timed stream and return what was done.

    Setting `stop` ends the run after the record at hand, with the sink flushed and the cursor saved.

    Args:
        request: What to replay and how fast.
        sink: Where the records go; opened and closed here.
        lake: Where the rows are.
        clock: What to sleep on; default: the machine's monotonic clock.
        on_progress: Called about once a second, and at the end.
        stop: Set it, from a signal handler or another thread, to end early.
        owns_process: Shorten the interpreter's switch interval meanwhile, which halves the lateness. Only for a process
            that does nothing else.

    Raises:
        ReplayError: See its subclasses; `error.report` tells what was done. The cursor was saved.
    """
    clock, stop = clock or MonotonicClock(), stop or threading.Event()
    reader = open_reader(request, lake)
    beginning = _load_cursor(request, reader)
    resumed = beginning.day is not None or beginning.finished
    run = _Run(
        request, sink, clock, on_progress, beginning, Statistics(request.compression, request.late_after, resumed)
    )
    if beginning.finished:
        return run.report(finished=True)
    run.save(beginning, durable=False)  # a cursor that cannot be written shows before anything is emitted
    with _switch_interval(owns_process):
        return run.execute(reader, stop)


class _Run:
    """One execution of a replay."""

    def __init__(
        self,
        request: ReplayRequest,
        sink: Sink,
        clock: Clock,
        on_progress: Progress | None,
        beginning: Cursor,
        statistics: Statistics,
    ) -> None:
        self.request, self.sink, self.clock, self.on_progress = request, sink, clock, on_progress
        self.statistics, self.tracker = statistics, Tracker(beginning)
        self._beginning, self._saved = beginning, beginning
        self._next_progress = float("-inf")

    def execute(self, reader: Reader, stop: threading.Event) -> ReplayReport:
        """Send everything from the beginning on; whatever ends the run, the cursor is right afterwards."""
        here = Position(self._beginning.date, self._beginning.row, self._beginning.cycle)
        feed = Feed(reader.chunks(here), stop)
        pacer = Pacer(self.request, self.sink, self.clock, stop, self.statistics, self.tracker, self.housekeeping)
        try:
            self.sink.open(stop)
            with feed:
                pacer.run(iter(feed))
            self._finish(feed.exhausted)
        except BaseException as error:
            with suppress(ReplayError):
                self._finish(finished=False)
            if isinstance(error, ReplayError):
                error.report = self.report()
            raise
        finally:
            self.sink.close()
        report = self.report(finished=feed.exhausted)
        if self.on_progress is not None:
            self.on_progress(report)
        return report

    def report(self, finished: bool = False) -> ReplayReport:
        """Return what was done so far."""
        return self.statistics.report(self.clock.now(), finished)

    def housekeeping(self, now: float) -> None:
        """Save the cursor, and report progress once a second."""
        if self.request.cursor is None:
            self.tracker.position(self.tracker.total)  # nobody asks, but the list must not grow
        else:
            self.sink.poll()
            self.save(self.tracker.position(self.sink.acked()), durable=False)
        if self.on_progress is not None and now >= self._next_progress:
            if self._next_progress > float("-inf"):
                self.on_progress(self.report())
            self._next_progress = now + PROGRESS_SECONDS

    def save(self, cursor: Cursor, *, durable: bool) -> None:
        """Write the cursor where one is asked for and it moved."""
        if self.request.cursor is not None and (durable or cursor != self._saved or not self.request.cursor.exists()):
            cursors.save(self.request.cursor, cursor, durable=durable)
            self._saved = cursor

    def _finish(self, finished: bool) -> None:
        try:
            self.sink.flush()
        finally:
            reached = self.tracker.position(self.sink.acked())
            done = finished and self.sink.acked() == self.tracker.total
            self.save(replace(reached, finished=done), durable=True)


def _load_cursor(request: ReplayRequest, reader: Reader) -> Cursor:
    """Return where to begin.

    Raises:
        CursorError: The cursor belongs to another replay, or its partition changed.
    """
    fresh = Cursor(request.dataset, request.table, request.identity())
    if request.cursor is None:
        return fresh
    found = cursors.load(request.cursor)
    if found is None:
        return fresh
    cursors.check(found, request.dataset, request.table, request.identity(), request.cursor)
    if found.date is not None and found.date in reader.window.days:
        cursors.check_fingerprint(found, reader.partition(found.date).footer.fingerprint, request.cursor)
    return found


@contextmanager
def _switch_interval(owned: bool) -> Iterator[None]:
    before = sys.getswitchinterval()
    if owned:
        sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
