"""Ctrl-C that waits until polars has returned: raised inside it, an exception ends in a panic."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], None]

PATIENCE_SECONDS = 1.0
"""How long a signal waits for polars: what takes longer is a query, which ends in good order when it is interrupted."""


class Patient:
    """A signal handler that hands on to another one, but not before polars has returned to whoever called it.

    polars asks Python for small things, such as the class of a data type, and takes their success for granted: an
    exception that a handler raises there becomes a panic with a long trace, whatever the exception was. And one that
    is raised while Python collects garbage is lost; so `deliver_lost` is called where work goes on.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self._raised: tuple[int, FrameType | None] | None = None
        self._again: threading.Timer | None = None
        self._until = 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal of this number that came at this frame."""
        entry = _entry_to_polars(frame)
        if entry is None or (self._again is not None and time.monotonic() >= self._until):
            self._deliver(number, frame)
        elif self._again is None:
            self._until = time.monotonic() + PATIENCE_SECONDS
            self._again = threading.Timer(PATIENCE_SECONDS, _send, (number,))
            self._again.daemon = True
            self._again.start()
            _at_return(entry, lambda: self._deliver(number, frame))

    def _deliver(self, number: int, frame: FrameType | None) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._raised = None
        try:
            self.handler(number, frame)
        except BaseException:
            self._raised = number, frame
            raise

    def deliver_lost(self) -> None:
        """Hand on a signal again whose exception ended nothing."""
        lost, self._raised = self._raised, None
        if lost is not None:
            self.handler(*lost)


def _entry_to_polars(frame: FrameType | None) -> FrameType | None:
    """Return the outermost frame of polars among the callers, or None."""
    found = None
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == "polars":
            found = frame
        frame = frame.f_back
    return found


def _at_return(frame: FrameType, deliver: Callable[[], None]) -> None:
    """Call `deliver` when a frame returns or yields; what it raises, the frame's caller gets."""
    all_before, before = sys.gettrace(), frame.f_trace

    def trace(traced: FrameType, event: str, argument: Any) -> Any:
        if event != "return":
            return trace
        sys.settrace(all_before)
        frame.f_trace = before
        deliver()
        return None

    frame.f_trace = trace
    sys.settrace(lambda *event: None)


def _send(number: int) -> None:
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, number)


@contextmanager
def patient_interrupts() -> Iterator[Callable[[], None]]:
    """Let the handlers of SIGINT and SIGTERM wait for polars inside the block, whoever has set them.

    Only the main thread has handlers; in any other the block does nothing. It is for code that runs to its end, not
    for a generator that yields inside it: another handler may be set meanwhile.

    Yields:
        What is to be called after each step: it raises again what a handler raised and nobody got. The end of the
        block does so too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    patients = {n: h if isinstance(h, Patient) else Patient(h) for n, h in found.items() if callable(h)}

    def deliver_lost() -> None:
        for patient in patients.values():
            patient.deliver_lost()

    for number, patient in patients.items():
        signal.signal(number, patient)
    try:
        yield deliver_lost
        deliver_lost()
    finally:
        for number in patients:
            signal.signal(number, found[number])
