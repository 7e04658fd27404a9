"""Controls of a running replay: pause, resume, step, speed, seek, stop, from any thread.

Hand a `ReplayControl` to `replay` or `replay_source` and call it while they run in another thread::

    control = ReplayControl()
    thread = Thread(target=replay, args=(request, sink), kwargs={"lake": lake, "control": control})
    thread.start()
    control.pause()               # the schedule stands still; what is due moves on with the clock
    control.step(3)               # the next three records at once; still paused
    control.set_compression(60)   # from here on a minute of event time in a second; None: as fast as possible
    control.seek(date(2024, 11, 29))
    control.resume()
    control.report.line()         # the statistics, at most a quarter of a second old
    control.stop()                # flush, save the cursor, return

Every call returns at once; the replay takes it up within 50 ms. A call that cannot be obeyed (a seek to a moment that
the source does not hold) ends up in `refusal` and changes nothing. Calls may come before the run begins: a control
that is paused starts a replay that waits. One control serves one run.

The schedule after a change: its anchor is set anew at the present moment and the present event time, so a pause or
another speed makes no record late, and after a seek the first record is due at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import date, datetime

from simtom_pipelines.replay.errors import ReplayError
from simtom_pipelines.replay.statistics import ReplayReport
from simtom_pipelines.replay.timeline import FASTEST, SLOWEST


@dataclass(frozen=True)
class Orders:
    """What was asked of a replay since it last looked.

    Attributes:
        paused: Whether to stand still.
        steps: Records to send although paused.
        compression: Seconds of event time in a second; None: as fast as possible; 0: as it was.
        seek: Moment to go on from; None: no seek.
    """

    paused: bool
    steps: int
    compression: float | None
    seek: date | datetime | None


class ReplayControl:
    """Steers one replay from other threads; see the module.

    Args:
        paused: Start paused.
        stop: The event that `stop` sets, where signals set it as well (`stop_on_signals`); default: one of its own.
    """

    def __init__(self, *, paused: bool = False, stop: threading.Event | None = None) -> None:
        self._lock = threading.Lock()
        self._paused, self._steps = paused, 0
        self._asked: float | None = 0.0
        self._seek: date | datetime | None = None
        self._changes = 0
        self._begun = False
        self._compression: float | None = None
        self._report: ReplayReport | None = None
        self._refusal: str | None = None
        self._stop = stop or threading.Event()
        self._finished = threading.Event()

    # -- from outside ---------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stand still after the record at hand."""
        with self._lock:
            self._paused, self._changes = True, self._changes + 1

    def resume(self) -> None:
        """Go on; steps not yet made are forgotten."""
        with self._lock:
            self._paused, self._steps, self._changes = False, 0, self._changes + 1

    def toggle(self) -> None:
        """Pause where it runs, resume where it is paused."""
        with self._lock:
            self._paused, self._steps, self._changes = not self._paused, 0, self._changes + 1

    def step(self, records: int = 1) -> None:
        """Send the next records at once and stay paused; a replay that runs is paused first.

        Raises:
            ReplayError: `records` is not positive.
        """
        if isinstance(records, bool) or not isinstance(records, int) or records < 1:
            raise ReplayError(f"records is {records!r}; allowed: a whole number from 1")
        with self._lock:
            self._paused, self._steps, self._changes = True, self._steps + records, self._changes + 1

    def set_compression(self, compression: float | None) -> None:
        """Change the speed: seconds of event time in a second of wall time; None: as fast as possible.

        Raises:
            ReplayError: It is not a number between 1e-6 and 1e9.
        """
        if compression is not None and not SLOWEST <= compression <= FASTEST:
            raise ReplayError(
                f"compression is {compression!r}; allowed: {SLOWEST:g} to {FASTEST:g}, or none for as fast as possible"
            )
        with self._lock:
            self._asked = self._compression = compression
            self._changes += 1

    def scale(self, factor: float) -> None:
        """Multiply the speed, within its bounds; as fast as possible stays what it is."""
        with self._lock:
            now = self._compression
        if now is not None and now > 0.0:
            self.set_compression(min(max(now * factor, SLOWEST), FASTEST))

    def seek(self, moment: date | datetime) -> None:
        """Go on with the first record at or after a moment, forwards or backwards; paused stays paused.

        A date, like an instant without an offset, is in the time zone of the data.
        """
        with self._lock:
            self._seek, self._changes = moment, self._changes + 1

    def stop(self) -> None:
        """End the run after the record at hand; the sink is flushed and the cursor saved."""
        self._stop.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run ended, at most `timeout` seconds; return whether it did."""
        return self._finished.wait(timeout)

    @property
    def paused(self) -> bool:
        """Whether it stands still, or will at once."""
        return self._paused

    @property
    def compression(self) -> float | None:
        """Seconds of event time in a second; None: as fast as possible, or the run has not begun."""
        return self._compression

    @property
    def begun(self) -> bool:
        """Whether the run began, so that the speed is known."""
        return self._begun

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    @property
    def finished(self) -> bool:
        """Whether the run ended, for whatever reason."""
        return self._finished.is_set()

    @property
    def report(self) -> ReplayReport | None:
        """The latest statistics; None before the run begins."""
        return self._report

    @property
    def refusal(self) -> str | None:
        """Why the last call could not be obeyed; None where it was."""
        return self._refusal

    # -- from the engine ------------------------------------------------------------------------------------------

    @property
    def changes(self) -> int:
        """Raised by every call, so that a look costs no lock."""
        return self._changes

    @property
    def stop_event(self) -> threading.Event:
        """Is set by `stop`."""
        return self._stop

    def take(self) -> Orders:
        """Return what was asked and forget what is done once."""
        with self._lock:
            orders = Orders(self._paused, self._steps, self._asked, self._seek)
            self._steps, self._asked, self._seek = 0, 0.0, None
            return orders

    def began(self, compression: float | None) -> None:
        """Note the speed at which the run begins."""
        with self._lock:
            self._begun = True
            if self._asked == 0.0:
                self._compression = compression

    def note(self, report: ReplayReport) -> None:
        """Keep the latest statistics."""
        self._report = report

    def refuse(self, reason: str | None) -> None:
        """Note why a call could not be obeyed; None: it was."""
        self._refusal = reason

    def end(self) -> None:
        """Note that the run ended."""
        self._finished.set()
