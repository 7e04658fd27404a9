"""A sink that delivers over a network: a thread of its own, batches, retries, acknowledgements in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import SinkError
from simtom_pipelines.replay.sinks.backlog import CHECK_SECONDS, Backlog, Batch, Part
from simtom_pipelines.replay.sinks.base import GRACE_SECONDS
from simtom_pipelines.replay.sinks.options import Options

BACKLOG_BYTES = 8_000_000
"""Records waiting for delivery; a send blocks above it."""

log = logging.getLogger(__name__)


class Unavailable(Exception):
    """The consumer cannot take records at the moment, and another attempt is worth while.

    Args:
        text: What happened.
        accepted: How many records of the batch are safe nevertheless, from its first on.
        after: Seconds that the consumer asks to be left alone.
    """

    def __init__(self, text: str, accepted: int = 0, after: float = 0.0) -> None:
        super().__init__(text)
        self.accepted, self.after = accepted, after


class Carrier(Protocol):
    """Brings batches to one kind of consumer. Everything but `abort` is called from the courier's thread."""

    def connect(self) -> None:
        """Connect anew, whatever was before.

        Raises:
            Unavailable: Another attempt is worth while.
            SinkError: None is.
        """
        ...

    def deliver(self, batch: Batch) -> None:
        """Deliver a batch and return when all of it is safe with the consumer; errors as `connect`."""
        ...

    def disconnect(self) -> None:
        """Release everything; never raises."""
        ...

    def abort(self) -> None:
        """Make a `deliver` that waits end soon, where that is possible; from another thread."""
        ...


@dataclass(frozen=True)
class Retries:
    """How often and when a consumer that is away is tried again: no chance is involved.

    The wait before attempt n + 1 is ``min(backoff x 2^(n - 1), longest)`` seconds. A record that gets through starts
    the count anew.

    Attributes:
        retries: Attempts after the first.
        backoff: First wait, seconds.
        longest: Longest wait, seconds, unless the consumer asks for more.
    """

    retries: int = 8
    backoff: float = 0.1
    longest: float = 10.0

    @classmethod
    def options(cls, options: Options) -> Retries:
        """Take them from a sink's options."""
        return cls(
            options.count("retries", cls.retries, least=0),
            options.seconds("backoff", cls.backoff),
            options.seconds("backoff_max", cls.longest),
        )

    def wait(self, failures: int, after: float = 0.0) -> float:
        """Return the seconds to wait after so many failures in a row, at least as long as the consumer asks."""
        return max(min(self.backoff * 2.0 ** min(failures - 1, 60), self.longest), after)


class Courier:
    """The sink: takes records into a bounded backlog and brings them to a carrier, batch after batch, in order.

    One batch is under way at a time, and what was not accepted goes first at the next attempt. So the consumer gets
    every record at least once and never a record before its predecessor.

    Args:
        target: What the consumer is called in messages, without passwords.
        carrier: How to reach it.
        retries: When to try again.
        count: Most records of a batch.
        size: Most bytes of a batch, a single larger record excepted.
        linger: Seconds that records wait for a batch to fill.
    """

    def __init__(
        self, target: str, carrier: Carrier, retries: Retries, *, count: int, size: int, linger: float = 0.0
    ) -> None:
        self.target, self.carrier, self.retries = target, carrier, retries
        self._batch = count, size, linger
        self._backlog = Backlog(max(BACKLOG_BYTES, 2 * size))
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._taken = self._acked = 0
        self._failures = 0
        self._away_since = 0.0

    def open(self, stop: threading.Event) -> None:
        """Connect, with retries; return at once when `stop` is set."""
        self._stop, self._taken, self._acked, self._error, self._failures = stop, 0, 0, None, 0
        self._backlog = Backlog(max(BACKLOG_BYTES, 2 * self._batch[1]))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"deliver to {self.target}", daemon=True)
        self._thread.start()
        while not self._ready.wait(CHECK_SECONDS) and not stop.is_set():
            pass
        self._complain()

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        """Put the records into the backlog, waiting for room."""
        self._complain()
        if j > i and not self._backlog.put(Part(buffer, offsets[i : j + 1]), self._stop):
            self._complain()
            return 0
        self._taken += j - i
        return j - i

    def poll(self) -> None:
        """Raise what the delivery ended with; acknowledgements are counted as they come."""
        self._complain()

    def flush(self) -> None:
        """Wait until everything is delivered; after a stop for a moment only, and not for a consumer that is away."""
        self._backlog.hurry()
        deadline = None
        while self._acked < self._taken:
            self._complain()
            if self._stop.is_set():
                deadline = time.monotonic() + GRACE_SECONDS if deadline is None else deadline
                if time.monotonic() > deadline or self._failures:
                    break
            time.sleep(0.002)
        self._backlog.hurry(False)

    def acked(self) -> int:
        """Return the records that the consumer accepted."""
        return self._acked

    def close(self) -> None:
        """End the delivery. What was not accepted is not sent any more."""
        if self._thread is None:
            return
        self._backlog.close()
        self._thread.join(0.1)
        if self._thread.is_alive():
            self.carrier.abort()
            self._thread.join(GRACE_SECONDS)
        self._thread = None

    def _complain(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            if self._attempt(self.carrier.connect):
                self._ready.set()
                while (batch := self._backlog.take(*self._batch)) is not None:
                    if not self._deliver(batch):
                        break
        except BaseException as error:  # told in the replay's thread
            self._error = error
        finally:
            self._ready.set()
            self._backlog.close()
            self.carrier.disconnect()

    def _deliver(self, batch: Batch) -> bool:
        """Deliver all of a batch; return False where the run ended meanwhile."""
        total, done = batch.count, 0

        def attempt() -> None:
            nonlocal done
            if self._failures:
                self.carrier.connect()
            try:
                self.carrier.deliver(batch.after(done) if done else batch)
            except Unavailable as error:
                done += error.accepted
                self._acked += error.accepted
                if error.accepted:
                    self._failures = 0
                raise
            self._acked += total - done

        return self._attempt(attempt)

    def _attempt(self, action: Callable[[], None]) -> bool:
        """Do something until it succeeds; return False where the run ended meanwhile.

        Raises:
            SinkError: The consumer stayed away, or refuses for good.
        """
        while True:
            try:
                action()
            except Unavailable as error:
                if not self._wait(error):
                    return False
            else:
                if self._failures:
                    log.warning("%s is back after %.1f s", self.target, time.monotonic() - self._away_since)
                self._failures = 0
                return True

    def _wait(self, error: Unavailable) -> bool:
        self._failures += 1
        if self._failures == 1:
            self._away_since = time.monotonic()
        if self._failures > self.retries.retries:
            raise SinkError(
                f"{self.target} does not take records: {error}; given up after {self._failures} attempts in "
                f"{time.monotonic() - self._away_since:.1f} s (options retries, backoff, backoff_max)"
            ) from error
        seconds = self.retries.wait(self._failures, error.after)
        log.warning(
            "%s: %s; attempt %d of %d in %.4g s",
            self.target, error, self._failures + 1, self.retries.retries + 1, seconds,
        )  # fmt: skip
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0.0 and not self._stop.is_set():
            if not self._backlog.wait(min(rest, CHECK_SECONDS)):
                return False
        return not self._stop.is_set()
