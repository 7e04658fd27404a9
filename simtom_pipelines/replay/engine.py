"""The replay itself: source in a thread, pacer and sink in the caller's, cursor in between.

`replay` takes a request and a lake, `replay_source` any `Source`::

    report = replay_source(source, sink, Pacing(compression=60.0), cursor=Path("my.cursor"), control=control)

Both block until everything was sent, `stop` was set, or an error ended the run; the sink is flushed and the cursor
right afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from simtom_pipelines.replay import cursor as cursors
from simtom_pipelines.replay.answer_key import AnswerKey
from simtom_pipelines.replay.clock import Clock, MonotonicClock
from simtom_pipelines.replay.control import ReplayControl
from simtom_pipelines.replay.cursor import Cursor
from simtom_pipelines.replay.errors import CursorError, ReplayError
from simtom_pipelines.replay.feed import Feed
from simtom_pipelines.replay.keeper import CursorKeeper
from simtom_pipelines.replay.pacer import Pacer
from simtom_pipelines.replay.promptness import interpreter_at_hand, short_slice
from simtom_pipelines.replay.reader import Lake
from simtom_pipelines.replay.request import ReplayRequest
from simtom_pipelines.replay.sinks.base import Sink
from simtom_pipelines.replay.source import Position, Source
from simtom_pipelines.replay.statistics import ReplayReport, Statistics
from simtom_pipelines.replay.stored import StoredSource
from simtom_pipelines.replay.timeline import Pacing
from simtom_pipelines.replay.tracker import Tracker

PROGRESS_SECONDS = 1.0
ENCODERS = 2
"""Chunks encoded side by side when there is no schedule."""


Progress = Callable[[ReplayReport], None]


def replay(
    request: ReplayRequest,
    sink: Sink,
    *,
    lake: Lake,
    clock: Clock | None = None,
    control: ReplayControl | None = None,
    on_progress: Progress | None = None,
    stop: threading.Event | None = None,
    owns_process: bool = False,
) -> ReplayReport:
    """Replay stored rows as a timed stream and return what was done.

    Args:
        request: What to replay and how fast.
        sink: Where the records go; opened and closed here.
        lake: Where the rows are.
        clock: What to sleep on; default: the machine's monotonic clock.
        control: Pauses, steps, seeks and sets the speed while it runs.
        on_progress: Called about once a second, and at the end.
        stop: Set it, from a signal handler or another thread, to end after the record at hand.
        owns_process: Set the interpreter up for promptness meanwhile. Only for a process that does nothing else.

    Raises:
        ReplayError: See its subclasses; `error.report` tells what was done. The cursor was saved.
    """
    clock = clock or MonotonicClock()
    # With a schedule one encoder keeps up, and a second would take the processor from the pacer.
    source = StoredSource(request, lake, encoders=ENCODERS if request.pacing.compression is None else 1)
    return replay_source(
        source,
        sink,
        request.pacing,
        begin=lambda: source.beginning(clock),
        cursor=request.cursor,
        answer_key=request.answer_key,
        clock=clock,
        control=control,
        on_progress=on_progress,
        stop=stop,
        owns_process=owns_process,
    )


def replay_source(
    source: Source,
    sink: Sink,
    pacing: Pacing | None = None,
    *,
    begin: Callable[[], Position] = Position,
    cursor: Path | None = None,
    answer_key: Path | None = None,
    clock: Clock | None = None,
    control: ReplayControl | None = None,
    on_progress: Progress | None = None,
    stop: threading.Event | None = None,
    owns_process: bool = False,
) -> ReplayReport:
    """Deliver what a source yields and return what was done.

    Args:
        source: What to deliver.
        sink: Where the records go; opened and closed here.
        pacing: How fast; default: in real time.
        begin: Gives the position to begin at where no cursor says otherwise.
        cursor: File to resume from where it exists, and to keep current.
        answer_key: File for the notes of the chunks.
        clock: As for `replay`, and so are the others.
        control: Pauses, steps, seeks and sets the speed while it runs.
        on_progress: Called about once a second, and at the end.
        stop: Set it to end after the record at hand.
        owns_process: Set the interpreter up for promptness meanwhile.

    Raises:
        ReplayError: See its subclasses; `error.report` tells what was done. The cursor was saved.
    """
    pacing, clock = pacing or Pacing(), clock or MonotonicClock()
    if control is not None and stop is not None and stop is not control.stop_event:
        raise ReplayError("stop and control are both given; give ReplayControl(stop=stop) alone")
    stop = control.stop_event if control is not None else stop or threading.Event()
    if control is not None:
        control.began(pacing.compression)
    try:
        found = None if cursor is None else cursors.load(cursor)
        if found is not None and cursor is not None:
            cursors.check(found, source.identity, cursor)
            try:
                source.check(found.position)
            except CursorError as error:
                raise CursorError(f"cursor {cursor}: {error}") from None
        beginning = Cursor(source.identity, begin()) if found is None else found
        resumed = beginning.finished or beginning.position.arrived > 0
        statistics = Statistics(pacing.compression, pacing.late_after, resumed)
        run = _Run(source, sink, pacing, clock, stop, control, on_progress, cursor, beginning, statistics)
        if beginning.finished:
            return run.report(finished=True)
        if cursor is not None:  # one that cannot be written shows before anything is emitted
            cursors.save(cursor, beginning, durable=False)
        with ExitStack() as stack:
            if answer_key is not None:
                run.key = stack.enter_context(AnswerKey(answer_key, beginning.position.arrived))
            if owns_process:
                stack.enter_context(interpreter_at_hand())
            stack.enter_context(short_slice())
            return run.execute()
    finally:
        if control is not None:
            control.end()


class _Run:
    """One execution of a replay."""

    def __init__(
        self,
        source: Source,
        sink: Sink,
        pacing: Pacing,
        clock: Clock,
        stop: threading.Event,
        control: ReplayControl | None,
        on_progress: Progress | None,
        path: Path | None,
        beginning: Cursor,
        statistics: Statistics,
    ) -> None:
        self.source, self.sink, self.pacing, self.clock, self.stop = source, sink, pacing, clock, stop
        self.control, self.on_progress, self.path = control, on_progress, path
        self.statistics, self.tracker = statistics, Tracker(beginning.position)
        self.key: AnswerKey | None = None
        self._beginning = beginning
        self._keeper: CursorKeeper | None = None
        self._next_progress = float("-inf")

    def execute(self) -> ReplayReport:
        """Send everything from the beginning on; whatever ends the run, the cursor is right afterwards."""
        pacer = Pacer(
            self.pacing, self.sink, self.clock, self.stop, self.control, self.statistics, self.tracker,
            self.housekeeping, self.note, self.source.seek,
        )  # fmt: skip
        exhausted, position = False, self._beginning.position
        try:
            self.sink.open(self.stop)
            with self._kept():
                while not exhausted and not self.stop.is_set():
                    with Feed(self.source.chunks(position)) as feed:
                        pacer.run(feed, position)
                    if pacer.sought is None:
                        exhausted = feed.exhausted
                        break
                    position = pacer.sought
            self._finish(exhausted)
        except BaseException as error:
            with suppress(ReplayError):
                self._finish(finished=False)
            if isinstance(error, ReplayError):
                error.report = self.report()
            raise
        finally:
            self.sink.close()
        report = self.report(finished=exhausted)
        if self.on_progress is not None:
            self.on_progress(report)
        return report

    def report(self, finished: bool = False) -> ReplayReport:
        """Return what was done so far."""
        report = self.statistics.report(self.clock.now(), finished)
        if self.control is not None:
            self.control.note(report)
        return report

    def note(self, lines: Iterable[str]) -> None:
        """Add lines to the answer key, where one is asked for."""
        if self.key is not None:
            self.key.write(lines)

    def housekeeping(self, now: float) -> None:
        """Have the cursor saved, and report progress once a second."""
        if self._keeper is None:
            self.tracker.position(self.tracker.total)  # nobody asks, but the list must not grow
        else:
            self.sink.poll()
            reached = self._reached(finished=False)
            self._flush_key()
            self._keeper.keep(reached)
        if self.control is not None:
            self.report()
        if self.on_progress is not None and now >= self._next_progress:
            if self._next_progress > float("-inf"):
                self.on_progress(self.report())
            self._next_progress = now + PROGRESS_SECONDS

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Keep the cursor file current inside the block, where one is asked for."""
        if self.path is None:
            yield
            return
        with CursorKeeper(self.path, self._beginning) as self._keeper:
            yield

    def _flush_key(self) -> None:
        """Hand the answer key to the system, so that no cursor is ahead of it."""
        if self.key is not None:
            self.key.flush()

    def _reached(self, finished: bool) -> Cursor:
        return Cursor(self._beginning.identity, self.tracker.position(self.sink.acked()), finished)

    def _finish(self, finished: bool) -> None:
        try:
            self.sink.flush()
        finally:
            done = finished and self.sink.acked() == self.tracker.total
            self._flush_key()
            if self.path is not None:
                cursors.save(self.path, self._reached(done), durable=True)
