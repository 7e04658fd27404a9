"""Files that records are appended to, plain and compressed: each survives a kill and is mended when opened again."""

from __future__ import annotations

import errno
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Protocol

from simtom_pipelines.replay.errors import SinkError

_BLOCK = 1 << 16
_MEMBER_BYTES = 1 << 20
"""Records are compressed together up to this size."""


class RecordFile(Protocol):
    """An open file of records.

    Attributes:
        size: Bytes of its records, before any compression.
        records: How many.
    """

    size: int
    records: int

    def append(self, data: memoryview, records: int) -> None:
        """Add whole records; OSError where the disk does not take them."""
        ...

    def write_out(self) -> None:
        """Give the system what is held back here."""
        ...

    def sync(self) -> None:
        """Force to the disk what the system has; may be called from another thread."""
        ...

    def close(self) -> None:
        """Close without a sync."""
        ...


class PlainFile:
    """NDJSON. Half a record at the end, which a killed run left, is cut off; text that is no record is refused.

    Args:
        path: The file.
        flags: Further flags of `os.open`.
        count: Whether `records` is needed, which takes reading what is there.
    """

    def __init__(self, path: Path, flags: int, count: bool) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
        try:
            self._mend()
            self.size = os.lseek(self._fd, 0, os.SEEK_END)
            self.records = self._count() if count else 0
        except BaseException:
            os.close(self._fd)
            raise

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
            raise SinkError(f"{self._path} does not end in a JSON record, so it is not a replay's file; choose another")
        try:
            json.loads(rest)
        except ValueError:
            os.ftruncate(self._fd, size - len(rest))
        else:
            os.pwrite(self._fd, b"\n", size)

    def _count(self) -> int:
        at = found = 0
        while block := os.pread(self._fd, 1 << 20, at):
            found += block.count(b"\n")
            at += len(block)
        return found

    def append(self, data: memoryview, records: int) -> None:
        """Write records."""
        _write(self._fd, data)
        self.size += len(data)
        self.records += records

    def write_out(self) -> None:
        """Do nothing: nothing is held back."""

    def sync(self) -> None:
        """Force everything to the disk."""
        _sync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class GzipFile:
    """NDJSON in gzip members of whole records; any gzip reader reads the file.

    A member's header tells its length, as the format allows: the end of the last whole member is found by hopping over
    headers, and what a killed run left behind it is cut off.

    Args:
        path: The file.
        flags: Further flags of `os.open`.
        level: 1 (fast) to 9 (small).
    """

    _MAGIC = b"\x1f\x8b\x08\x04"
    _HEADER = struct.Struct("<4s6xH2sHIII")
    """Magic; time, extra flags and system zero; bytes of extras; its name ST, bytes, member, records, raw bytes."""

    _TRAILER = struct.Struct("<II")

    def __init__(self, path: Path, flags: int, level: int) -> None:
        self._path, self._level = path, level
        self._pending: list[memoryview] = []
        self._pending_size = self._pending_records = 0
        self.size = self.records = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
        try:
            self._mend()
        except BaseException:
            os.close(self._fd)
            raise

    def _mend(self) -> None:
        end, at, last = os.fstat(self._fd).st_size, 0, None
        while at < end:
            header = os.pread(self._fd, self._HEADER.size, at)
            if not header.startswith(self._MAGIC[: len(header)]) or (len(header) > 13 and header[12:14] != b"ST"):
                raise SinkError(f"{self._path} is no gzip file that a replay wrote; choose another")
            if len(header) < self._HEADER.size:
                break
            *_, length, records, raw = self._HEADER.unpack(header)
            if at + length > end:
                break
            at, last = at + length, (at, length, records, raw)
            self.size, self.records = self.size + raw, self.records + records
        if last is not None and not self._whole(*last):
            at = last[0]
            self.size, self.records = self.size - last[3], self.records - last[2]
        if at < end:
            os.ftruncate(self._fd, at)
        os.lseek(self._fd, at, os.SEEK_SET)

    def _whole(self, at: int, length: int, records: int, raw: int) -> bool:
        try:
            data = zlib.decompress(os.pread(self._fd, length, at), wbits=31)
        except zlib.error:
            return False
        return len(data) == raw and data.count(b"\n") == records

    def append(self, data: memoryview, records: int) -> None:
        """Take records; they are written when there are enough, or by `write_out`."""
        self._pending.append(data)
        self._pending_size += len(data)
        self._pending_records += records
        self.size += len(data)
        self.records += records
        if self._pending_size >= _MEMBER_BYTES:
            self.write_out()

    def write_out(self) -> None:
        """Write what is held back as a member."""
        if not self._pending:
            return
        raw = b"".join(self._pending)
        packer = zlib.compressobj(self._level, wbits=-15)
        body = packer.compress(raw) + packer.flush()
        length = self._HEADER.size + len(body) + self._TRAILER.size
        header = self._HEADER.pack(self._MAGIC, 16, b"ST", 12, length, self._pending_records, len(raw))
        self._pending, self._pending_size, self._pending_records = [], 0, 0
        _write(self._fd, memoryview(header + body + self._TRAILER.pack(zlib.crc32(raw), len(raw) & 0xFFFF_FFFF)))

    def sync(self) -> None:
        """Force what is written to the disk."""
        _sync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _write(fd: int, data: memoryview) -> None:
    at = 0
    while at < len(data):
        at += os.write(fd, data[at:])


def _sync(fd: int) -> None:
    """Force a file to the disk; a device such as /dev/null has none behind it, and says so."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
