"""Records to an NDJSON file that survives a kill and is appended to on resume."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import SinkError

_BLOCK = 1 << 16


class FileSink:
    """Appends records to a local file; acknowledged once on disk (fsync).

    A run that was killed may leave half a record at the end: it is cut off on `open`, and the cursor, which is never
    ahead of the disk, brings that record again. Text that is no record is never cut off, but refused.

    Args:
        path: The file; its folder is created.
        if_exists: ``append``, ``overwrite`` or ``error``.
    """

    def __init__(self, path: str | Path, if_exists: Literal["append", "overwrite", "error"] = "append") -> None:
        if if_exists not in ("append", "overwrite", "error"):
            raise SinkError(f"if_exists is {if_exists!r}; allowed: append, overwrite, error")
        self.path, self.if_exists = Path(path), if_exists
        self._fd = -1
        self._taken = self._safe = 0

    def open(self, stop: threading.Event) -> None:
        """Open the file and cut off half a record."""
        self._taken = self._safe = 0
        flags = {"append": 0, "overwrite": os.O_TRUNC, "error": os.O_EXCL}[self.if_exists]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | flags, 0o666)
            self._mend()
            os.lseek(self._fd, 0, os.SEEK_END)
        except FileExistsError as error:
            raise SinkError(f"{self.path} exists; choose another file, or append to or overwrite it") from error
        except OSError as error:
            raise SinkError(f"{self.path} cannot be opened for writing: {error}") from error

    def _mend(self) -> None:
        size = os.fstat(self._fd).st_size
        tail, start = b"", size
        while start and b"\n" not in tail:
            step = min(_BLOCK, start)
            start -= step
            tail = os.pread(self._fd, step, start) + tail
        rest = tail[tail.rfind(b"\n") + 1 :]
        if not rest:
            return
        if not rest.startswith(b"{"):
            raise SinkError(f"{self.path} does not end in a JSON record, so it is not a replay's file; choose another")
        try:
            json.loads(rest)
        except ValueError:
            os.ftruncate(self._fd, size - len(rest))
        else:
            os.pwrite(self._fd, b"\n", size)

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        """Write the records."""
        at, end = int(offsets[i]), int(offsets[j])
        try:
            while at < end:
                at += os.write(self._fd, buffer[at:end])
        except OSError as error:
            raise SinkError(f"writing to {self.path} failed: {error}") from error
        self._taken += j - i
        return j - i

    def flush(self) -> None:
        """Bring everything taken to the disk."""
        if self._safe == self._taken:
            return
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise SinkError(f"writing to {self.path} failed: {error}") from error
        self._safe = self._taken

    def acked(self) -> int:
        """Return the records on disk."""
        return self._safe

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
