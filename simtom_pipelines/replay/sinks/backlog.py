"""Records between the replay's thread and the one that delivers them: bounded, in order, without copies."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CHECK_SECONDS = 0.05
"""A wait looks at its stop event this often; see `MonotonicClock` for why it is not waited on."""


@dataclass(frozen=True)
class Part:
    """Records of one encoded buffer that follow each other.

    Attributes:
        buffer: Bytes.
        bounds: Record k is ``buffer[bounds[k]:bounds[k + 1]]``, newline included; shape (count + 1,).
    """

    buffer: memoryview
    bounds: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many records."""
        return len(self.bounds) - 1

    @property
    def size(self) -> int:
        """Their bytes."""
        return int(self.bounds[-1] - self.bounds[0])

    def fitting(self, size: int) -> int:
        """Return how many of the first records `size` bytes hold."""
        return int(np.searchsorted(self.bounds, self.bounds[0] + size, "right")) - 1

    def head(self, count: int) -> Part:
        """Return the first `count` records."""
        return Part(self.buffer, self.bounds[: count + 1])

    def after(self, count: int) -> Part:
        """Return the records after the first `count`."""
        return Part(self.buffer, self.bounds[count:])


@dataclass(frozen=True)
class Batch:
    """Records to deliver together.

    Attributes:
        parts: Where they are, in order.
    """

    parts: tuple[Part, ...]

    @property
    def count(self) -> int:
        """How many records."""
        return sum(part.count for part in self.parts)

    def after(self, count: int) -> Batch:
        """Return the batch without its first `count` records."""
        left = []
        for part in self.parts:
            skipped = min(count, part.count)
            count -= skipped
            if skipped < part.count:
                left.append(part.after(skipped))
        return Batch(tuple(left))

    def join(self) -> bytes:
        """Return the records as NDJSON."""
        return b"".join(part.buffer[part.bounds[0] : part.bounds[-1]] for part in self.parts)

    def records(self) -> list[bytes]:
        """Return each record without its newline."""
        found: list[bytes] = []
        for part in self.parts:
            buffer, bounds = part.buffer, part.bounds.tolist()
            found += [bytes(buffer[a : b - 1]) for a, b in pairwise(bounds)]
        return found


class Backlog:
    """A queue of records with one writer and one reader.

    Args:
        size: Bytes above which a writer waits; it holds that much and one slice at most.
    """

    def __init__(self, size: int) -> None:
        self._limit = size
        self._parts: deque[Part] = deque()
        self._changed = threading.Condition()
        self._size = self._count = 0
        self._since = 0.0
        self._hurried = self._closed = False

    def put(self, part: Part, stop: threading.Event) -> bool:
        """Append records once there is room; return False where `stop` was set or the backlog closed meanwhile."""
        with self._changed:
            while self._size >= self._limit and not self._closed and not stop.is_set():
                self._changed.wait(CHECK_SECONDS)
            if self._closed or (stop.is_set() and self._size >= self._limit):
                return False
            if not self._parts:
                self._since = time.monotonic()
            self._parts.append(part)
            self._size += part.size
            self._count += part.count
            self._changed.notify_all()
            return True

    def take(self, count: int, size: int, linger: float = 0.0) -> Batch | None:
        """Return the next records, waiting for the first; None once closed.

        Args:
            count: Most records.
            size: Most bytes, one record excepted.
            linger: Seconds that a first record may wait for others to fill the batch.
        """
        with self._changed:
            while not self._closed:
                rest = self._since + linger - time.monotonic() if self._parts else CHECK_SECONDS
                full = self._count >= count or self._size >= size
                if self._parts and (full or rest <= 0.0 or self._hurried):
                    return self._cut(count, size)
                self._changed.wait(rest)
            return None

    def _cut(self, count: int, size: int) -> Batch:
        taken: list[Part] = []
        while self._parts and count > 0:
            part = self._parts[0]
            some = min(count, part.fitting(size))
            if some <= 0 and taken:
                break
            some = max(some, 1)  # a record larger than a batch goes alone
            if some == part.count:
                self._parts.popleft()
            else:
                self._parts[0], part = part.after(some), part.head(some)
            taken.append(part)
            count, size = count - some, size - part.size
            self._size -= part.size
            self._count -= some
        self._since = time.monotonic()
        self._changed.notify_all()
        return Batch(tuple(taken))

    def hurry(self, hurried: bool = True) -> None:
        """Let no record linger, for a flush."""
        with self._changed:
            self._hurried = hurried
            self._changed.notify_all()

    def close(self) -> None:
        """Wake everybody; nothing is taken or given afterwards."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait, or until closed; return whether it is open."""
        until = time.monotonic() + seconds
        with self._changed:
            while not self._closed and (rest := until - time.monotonic()) > 0.0:
                self._changed.wait(rest)
            return not self._closed
