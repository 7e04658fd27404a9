"""Records to NDJSON files that survive a kill and are appended to on resume; cut by size or day, and compressed."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import SinkError
from simtom_pipelines.replay.sinks.ndjson_file import GzipFile, PlainFile, RecordFile
from simtom_pipelines.replay.sinks.options import Options, parse_size
from simtom_pipelines.replay.sinks.record import EventTime

IfExists = Literal["append", "overwrite", "error"]
_GZIP = ".gz"
_ENDINGS = ".ndjson", ".jsonl", ".json"
_UNDATED = "undated"


@dataclass(frozen=True)
class Rotation:
    """When to begin another file. A record is never divided.

    Attributes:
        size: Most bytes of records in a file, before compression; a larger record stands alone.
        records: Most records in a file.
        day: A file a day of event time.
        zone: Time zone of these days.
        time_column: Field of the event time.
    """

    size: int | None = None
    records: int | None = None
    day: bool = False
    zone: str = "UTC"
    time_column: str = "timestamp"

    def __post_init__(self) -> None:
        if (self.size is not None) + (self.records is not None) + self.day != 1:
            raise SinkError("a rotation is by one of size, records and day")
        for name in ("size", "records"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SinkError(f"rotation by {name} {value}; it must be positive")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise SinkError(f"zone {self.zone!r} is no time zone; expected a name such as America/New_York") from error

    @classmethod
    def parse(cls, text: str, zone: str, time_column: str) -> Rotation:
        """Return the rotation of a text: ``day``, ``100000 records`` or ``100MB``."""
        if text == "day":
            return cls(day=True, zone=zone, time_column=time_column)
        if found := re.fullmatch(r"(\d{1,15}) ?records", text):
            return cls(records=int(found[1]))
        size = parse_size(text)
        if size is None:
            raise SinkError(
                f"file sink: option 'rotate' is {text!r}; allowed: day, a number of records such as '100000 records', "
                "a size such as 100MB"
            )
        return cls(size=size)


def file_sink(path: str, given: dict[str, object], zone: str) -> FileSink:
    """Return the sink for a path."""
    options = Options("file", given)
    rotate, zone = options.text("rotate"), options.text("zone") or zone
    time_column = options.text("time") or "timestamp"
    compress, level = options.flag("gzip", path.endswith(_GZIP)), options.count("level", 3, most=9)
    if_exists = options.choice("if_exists", ("append", "overwrite", "error"), "append")
    options.finish()
    if not path:
        raise SinkError("file sink: the path is empty; expected file:out.ndjson")
    return FileSink(
        path,
        if_exists,  # type: ignore[arg-type]
        rotation=None if rotate is None else Rotation.parse(rotate, zone, time_column),
        compress=compress,
        level=level,
    )


class FileSink:
    """Appends records to local files; acknowledged once on disk (fsync).

    A run that was killed may leave half a record at the end: it is cut off on `open`, and the cursor, which is never
    ahead of the disk, brings that record again. Text that is no record is never cut off, but refused.

    With a rotation the file's name gets a part before its ending: ``out-000001.ndjson`` and on, or
    ``out-2024-11-29.ndjson``. A resumed run goes on with the last number, or with the file of the day.

    Args:
        path: The file; its folder is created.
        if_exists: ``append``, ``overwrite`` or ``error``; with a rotation, what to do with all files of the row.
        rotation: When to begin another file.
        compress: Write gzip; default: where the name ends in ``.gz``.
        level: Of the compression, 1 (fast) to 9 (small).
    """

    def __init__(
        self,
        path: str | Path,
        if_exists: IfExists = "append",
        *,
        rotation: Rotation | None = None,
        compress: bool | None = None,
        level: int = 3,
    ) -> None:
        if if_exists not in ("append", "overwrite", "error"):
            raise SinkError(f"if_exists is {if_exists!r}; allowed: append, overwrite, error")
        self.path, self.if_exists, self.rotation = Path(path), if_exists, rotation
        self.compress, self.level = self.path.name.endswith(_GZIP) if compress is None else compress, level
        if self.compress != self.path.name.endswith(_GZIP):
            raise SinkError(
                f"{self.path}: a compressed file's name ends in {_GZIP}, and no other does, so that readers know it; "
                f"gzip is {'on' if self.compress else 'off'}"
            )
        ending = next((e for e in _ENDINGS if self.path.name.removesuffix(_GZIP).endswith(e)), "")
        self._ending = ending + (_GZIP if self.compress else "")
        self._base = self.path.name.removesuffix(self._ending)
        self._time = EventTime(rotation.time_column) if rotation is not None else None
        self._zone = ZoneInfo(rotation.zone) if rotation is not None else None
        self._file: RecordFile | None = None
        self._current = self.path
        self._number, self._day = 1, _UNDATED
        self._failure: SinkError | None = None
        self._sync: threading.Thread | None = None
        self._taken = self._safe = 0

    def open(self, stop: threading.Event) -> None:
        """Open the file, or the last of the row, and cut off half a record."""
        self._taken, self._safe, self._failure = 0, 0, None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.rotation is None:
                self._open(self.path, {"append": 0, "overwrite": os.O_TRUNC, "error": os.O_EXCL}[self.if_exists])
            else:
                self._open_row()
        except FileExistsError as error:
            raise SinkError(f"{self.path} exists; choose another file, or append to or overwrite it") from error
        except OSError as error:
            raise SinkError(f"{self._current} cannot be opened for writing: {error}") from error

    def _open(self, path: Path, flags: int = 0) -> None:
        self._current = path
        by_records = self.rotation is not None and self.rotation.records is not None
        self._file = GzipFile(path, flags, self.level) if self.compress else PlainFile(path, flags, by_records)

    def _open_row(self) -> None:
        assert self.rotation is not None
        label = rf"\d{{4}}-\d\d-\d\d|{_UNDATED}" if self.rotation.day else r"\d{6,}"
        pattern = re.compile(rf"{re.escape(self._base)}-({label}){re.escape(self._ending)}")
        found = {m[1]: path for path in self.path.parent.iterdir() if (m := pattern.fullmatch(path.name))}
        if found and self.if_exists == "error":
            raise SinkError(f"{min(found.values())} exists; choose another name, or append to or overwrite the files")
        if self.if_exists == "overwrite":
            for path in found.values():
                path.unlink()
            found = {}
        self._number, self._day = 1, _UNDATED
        if not self.rotation.day:
            self._number = max((int(label) for label in found), default=1)
            self._open(self._named(f"{self._number:06d}"))

    def _named(self, label: str) -> Path:
        return self.path.with_name(f"{self._base}-{label}{self._ending}")

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        """Write the records."""
        try:
            for begin, end in [(i, j)] if self.rotation is None else self._cuts(buffer, offsets, i, j):
                assert self._file is not None
                self._file.append(buffer[int(offsets[begin]) : int(offsets[end])], end - begin)
        except OSError as error:
            raise self._failed(error) from error
        self._taken += j - i
        return j - i

    def _failed(self, error: OSError) -> SinkError:
        """Remember a failed write: a later fsync that succeeds would say nothing about what was lost."""
        self._failure = SinkError(f"writing to {self._current} failed: {error}")
        return self._failure

    def _cuts(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of records, each when the file it belongs to is open."""
        assert self.rotation is not None
        if self.rotation.day:
            yield from self._days(buffer, offsets, i, j)
            return
        while i < j:
            assert self._file is not None
            if self.rotation.records is not None:
                end = i + self.rotation.records - self._file.records
            else:
                assert self.rotation.size is not None
                room = self.rotation.size - self._file.size
                end = int(np.searchsorted(offsets, offsets[i] + room, "right")) - 1
            if end <= i and self._file.size:
                self._switch()
                self._number += 1
                self._open(self._named(f"{self._number:06d}"))
                continue
            end = min(max(end, i + 1), j)
            yield i, end
            i = end

    def _days(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of one day each. A record without a readable time goes with the one before it."""
        bounds = offsets[i : j + 1].tolist()
        begin = i
        for k, (a, b) in enumerate(pairwise(bounds), i):
            day = self._day_of(bytes(buffer[a:b])) or self._day
            if day != self._day or self._file is None:
                if k > begin:
                    yield begin, k
                self._switch()
                self._day, begin = day, k
                self._open(self._named(day))
        if j > begin:
            yield begin, j

    def _day_of(self, record: bytes) -> str | None:
        assert self._time is not None
        found = self._time(record)
        day: date | None = None if found is None else found.astimezone(self._zone).date()
        return None if day is None else day.isoformat()

    def _switch(self) -> None:
        """Bring the current file to the disk and close it."""
        if self._file is not None:
            self._join()
            file, self._file = self._file, None
            try:
                file.write_out()
                file.sync()
            finally:
                file.close()

    def poll(self) -> None:
        """Begin to bring everything taken to the disk, in another thread: a disk may take longer than records can wait.

        Without records that come meanwhile, the next call acknowledges them.
        """
        self._complain()
        if self._file is None or self._safe == self._taken or (self._sync is not None and self._sync.is_alive()):
            return
        try:
            self._file.write_out()
        except OSError as error:
            raise self._failed(error) from error
        self._sync = threading.Thread(target=self._bring, args=(self._file, self._taken), daemon=True)
        self._sync.start()

    def _bring(self, file: RecordFile, taken: int) -> None:
        try:
            file.sync()
            self._safe = taken
        except OSError as error:
            self._failed(error)

    def _join(self) -> None:
        if self._sync is not None:
            self._sync.join()
            self._sync = None
            self._complain()

    def _complain(self) -> None:
        if self._failure is not None:
            raise self._failure

    def flush(self) -> None:
        """Bring everything taken to the disk."""
        self._join()
        self._complain()
        if self._safe == self._taken:
            return
        try:
            if self._file is not None:
                self._file.write_out()
                self._file.sync()
        except OSError as error:
            raise self._failed(error) from error
        self._safe = self._taken

    def acked(self) -> int:
        """Return the records on disk."""
        return self._safe

    def close(self) -> None:
        """Close the file."""
        with suppress(SinkError):
            self._join()
        if self._file is not None:
            self._file.close()
            self._file = None
