"""Records to standard output, or any other file descriptor, as bytes without Python's buffering."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import threading
import time

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import SinkClosed, SinkError
from simtom_pipelines.replay.sinks.base import GRACE_SECONDS

_PIPE_BYTES = 1 << 20
_ATOMIC_BYTES = 4_096
"""A poll that says writable promises a pipe room for this much (PIPE_BUF)."""

_POLL_MILLISECONDS = 50


class StdoutSink:
    """Writes to a file descriptor; a record counts as acknowledged once the kernel has all of it.

    A pipe whose reader stalls must not make the process deaf to a stop, so no write ever blocks: pipes are opened a
    second time in non-blocking mode (the original may be shared with the shell or with stderr), and where that is not
    possible a poll precedes every small write.

    Args:
        fd: The descriptor; it is never closed.
    """

    def __init__(self, fd: int = 1) -> None:
        self._fd = self._out = fd
        self._limit = _ATOMIC_BYTES
        self._taken = 0
        self._stop = threading.Event()

    def open(self, stop: threading.Event) -> None:
        """Prepare the descriptor."""
        self._stop, self._taken = stop, 0
        try:
            mode = os.fstat(self._fd).st_mode
        except OSError as error:
            raise SinkClosed(f"output descriptor {self._fd} is not open: {error}") from error
        if stat.S_ISREG(mode):
            self._limit = _PIPE_BYTES
        elif stat.S_ISFIFO(mode):
            try:
                self._out = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                return  # no /proc, or the reader is gone: the first write tells
            self._limit = _PIPE_BYTES
            try:
                fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            except (OSError, AttributeError):
                return  # a larger pipe only saves wake-ups

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        """Write the records, waiting for room; after a stop finish the record at hand at most."""
        begin, end = int(offsets[i]), int(offsets[j])
        at, deadline = begin, None
        while at < end:
            at += self._write(buffer[at : min(end, at + self._limit)])
            if at < end and self._stop.is_set():
                deadline = time.monotonic() + GRACE_SECONDS if deadline is None else deadline
                whole = int(np.searchsorted(offsets, at, "right")) - 1
                if offsets[whole] == at or time.monotonic() > deadline:
                    self._taken += whole - i
                    return whole - i
                end = int(offsets[whole + 1])
        taken = int(np.searchsorted(offsets, at, "right")) - 1 - i
        self._taken += taken
        return taken

    def _write(self, data: memoryview) -> int:
        """Return how many bytes the kernel took: 0 where there was no room for a while."""
        try:
            if self._out == self._fd and self._limit == _ATOMIC_BYTES and not self._room():
                return 0
            return os.write(self._out, data)
        except BlockingIOError:
            self._room()
            return 0
        except BrokenPipeError as error:
            raise SinkClosed("the reader of the output closed it") from error
        except OSError as error:
            raise SinkError(f"writing to descriptor {self._fd} failed: {error}") from error

    def _room(self) -> bool:
        poll = select.poll()
        poll.register(self._out, select.POLLOUT)
        return bool(poll.poll(_POLL_MILLISECONDS))

    def poll(self) -> None:
        """Do nothing: writes are not buffered here."""

    def flush(self) -> None:
        """Do nothing: writes are not buffered here."""

    def acked(self) -> int:
        """Return the records wholly written."""
        return self._taken

    def close(self) -> None:
        """Close the second descriptor, where there is one."""
        if self._out != self._fd:
            os.close(self._out)
            self._out = self._fd
