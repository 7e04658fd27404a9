"""Clocks that a replay sleeps on: the machine's monotonic one, and a virtual one for tests."""

from __future__ import annotations

import threading
import time
from typing import Protocol

STOP_CHECK_SECONDS = 0.05
"""A sleep looks at its stop event this often."""


class Clock(Protocol):
    """Seconds that never go back, and a sleep to an absolute moment."""

    def now(self) -> float:
        """Return the current moment in seconds; only differences have a meaning."""
        ...

    def sleep_until(self, when: float, stop: threading.Event) -> None:
        """Return at `when` or later, or soon after `stop` is set. A moment in the past returns at once."""
        ...

    def wall(self) -> int:
        """Return the present instant in UTC microseconds since 1970."""
        ...


class MonotonicClock:
    """The machine's monotonic clock.

    The sleep polls the event rather than waiting on it: a signal handler that sets an event on which the same thread
    waits can deadlock on the event's lock, while `Event.is_set` takes none.
    """

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    def sleep_until(self, when: float, stop: threading.Event) -> None:
        """Sleep to the absolute moment `when`, never less, unless `stop` is set."""
        while (rest := when - time.monotonic()) > 0.0 and not stop.is_set():
            time.sleep(min(rest, STOP_CHECK_SECONDS))

    def wall(self) -> int:
        """Return the instant of the machine's calendar clock, in microseconds."""
        return time.time_ns() // 1_000


class VirtualClock:
    """A clock that moves only when it is slept on or advanced: tests of hours take milliseconds.

    Args:
        start: Its first moment, in seconds.
        wall: The instant of that moment, in UTC microseconds since 1970.
    """

    def __init__(self, start: float = 0.0, wall: int = 0) -> None:
        self._now = start
        self._epoch = wall - round(start * 1e6)

    def now(self) -> float:
        """Return the virtual moment in seconds."""
        return self._now

    def sleep_until(self, when: float, stop: threading.Event) -> None:
        """Move to `when` where that is later and `stop` is not set."""
        if not stop.is_set():
            self._now = max(self._now, when)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, as a slow sink would."""
        self._now += seconds

    def wall(self) -> int:
        """Return the virtual instant, in microseconds."""
        return self._epoch + round(self._now * 1e6)
