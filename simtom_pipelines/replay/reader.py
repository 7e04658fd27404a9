"""Stored partitions to encoded chunks, one file open at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from simtom_pipelines.replay.encoder import Chunk, check_encodable, chunk_rows, encode
from simtom_pipelines.replay.errors import ReplayError
from simtom_pipelines.replay.request import ReplayRequest, Window
from simtom_pipelines.replay.timeline import Times

_BATCH_ROWS = 16_384
"""Rows read at a time: 207 MB whatever the number of files, where a scan of a whole folder takes 850."""


class StoredFooter(Protocol):
    """What a replay needs of a footer."""

    @property
    def fingerprint(self) -> str:
        """Changes with the configuration that the file was made from."""
        ...


class StoredPartition(Protocol):
    """What a replay needs to know of a stored file."""

    @property
    def path(self) -> str:
        """Where the file is."""
        ...

    @property
    def rows(self) -> int:
        """Rows in it."""
        ...

    @property
    def footer(self) -> StoredFooter:
        """What was written into it with the rows."""
        ...


class Lake(Protocol):
    """What a replay needs of a lake; `simtom_pipelines.lake.ParquetLake` has it."""

    def days(self, dataset: str, table: str) -> list[date]:
        """Return the stored days, sorted."""
        ...

    def partition(self, dataset: str, table: str, day: date | None) -> StoredPartition | None:
        """Return what the footer of one file says."""
        ...

    def open(self, path: str) -> Any:
        """Return a seekable source that pyarrow reads."""
        ...


@dataclass(frozen=True)
class Position:
    """Where to begin: the first record at or after `row` of `day` in turn `cycle`."""

    day: date | None = None
    row: int = 0
    cycle: int = 0


class Reader:
    """Reads the partitions of a request in the order (timestamp, source rank, row).

    With one table the source rank is constant and the order is the stored one, which is checked: a file that is not
    sorted by time cannot be replayed.

    Args:
        lake: Where the files are.
        request: What to replay.
        window: The request resolved against the stored days.
    """

    def __init__(self, lake: Lake, request: ReplayRequest, window: Window) -> None:
        self.lake, self.request, self.window = lake, request, window

    def partition(self, day: date) -> StoredPartition:
        """Return a stored partition of the window; ReplayError where it was removed since the replay began."""
        return _partition(self.lake, self.request, day)

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """Yield encoded chunks from a position on, turn after turn of the loop."""
        period = self.window.until - self.window.begin
        cycle = position.cycle
        while self.request.loop == 0 or cycle < self.request.loop:
            found = False
            for day in self.window.days:
                here = position if cycle == position.cycle else Position()
                if here.day is not None and day < here.day:
                    continue
                for chunk in self._day(day, here.row if day == here.day else 0, cycle, cycle * period):
                    found = True
                    yield chunk
            if not found and (cycle > position.cycle or position.day is None):
                return  # an endless loop over nothing would never come back
            cycle += 1

    def _day(self, day: date, first_row: int, cycle: int, shift: int) -> Iterator[Chunk]:
        stored = self.partition(day)
        size = self.request.chunk_rows or chunk_rows(self._rate(stored.rows))
        for start, batch in self._batches(stored.path, None, first_row):
            frame = pl.DataFrame(pl.from_arrow(batch))
            check_encodable(frame.schema, stored.path)
            times = event_times(frame[self.request.time_column], stored.path)
            keep = np.flatnonzero(self.window.mask(times))
            keep = keep[start + keep >= first_row]
            if len(keep) < frame.height:
                frame, times = frame[keep], times[keep]
            rows = start + keep
            for at in range(0, frame.height, size):
                buffer, offsets = encode(frame.slice(at, size))
                some = slice(at, at + size)
                yield Chunk(day, stored.footer.fingerprint, rows[some], times[some], shift, cycle, buffer, offsets)

    def _rate(self, rows: int) -> float | None:
        compression = self.request.compression
        return None if compression is None else rows / 86_400.0 * compression

    def times(self) -> Iterator[Times]:
        """Yield the event times that pass, reading no other column."""
        for day in self.window.days:
            stored = self.partition(day)
            for _, batch in self._batches(stored.path, [self.request.time_column], 0):
                times = event_times(pl.Series(batch.column(0)), stored.path)
                yield times[self.window.mask(times)]

    def _batches(self, path: str, columns: list[str] | None, first_row: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the row number of each batch's first row, and the batch; row groups before `first_row` are skipped."""
        with _opened(self.lake, path) as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            groups, row = list(range(len(sizes))), 0
            while groups and row + sizes[groups[0]] <= first_row:
                row += sizes[groups.pop(0)]
            if not groups:
                return
            last = None
            try:
                for batch in file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=columns, use_threads=False):
                    if not batch.num_rows:
                        continue
                    last = self._check_order(batch, last, path)
                    yield row, batch
                    row += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                raise ReplayError(f"{path} is damaged ({_line(error)}); materialise its day again") from error

    def _check_order(self, batch: pa.RecordBatch, last: int | None, path: str) -> int:
        times = event_times(pl.Series(batch.column(self.request.time_column)), path)
        if (last is not None and times[0] < last) or (times[1:] < times[:-1]).any():
            raise ReplayError(f"{path} is not sorted by {self.request.time_column!r}, so it cannot be replayed")
        return int(times[-1])


def event_times(column: pl.Series, path: str) -> Times:
    """Return event times as UTC microseconds, shape (n,).

    Raises:
        ReplayError: A time is null.
    """
    if column.null_count():
        raise ReplayError(f"{path}: {column.null_count()} rows have no {column.name!r}, so they have no place in time")
    zone = getattr(column.dtype, "time_zone", None)
    times: Times = column.cast(pl.Datetime("us", zone)).to_physical().to_numpy()
    return times


def time_zone(lake: Lake, request: ReplayRequest, day: date) -> ZoneInfo:
    """Return the time zone of a partition's event times.

    Raises:
        ReplayError: The column of event times is missing or holds no instants.
    """
    path, column = _partition(lake, request, day).path, request.time_column
    with _opened(lake, path) as file:
        schema = file.schema_arrow
    if column not in schema.names:
        raise ReplayError(f"{path} has no column {column!r} to replay by; columns: {', '.join(schema.names)}")
    dtype = schema.field(column).type
    if not pa.types.is_timestamp(dtype):
        raise ReplayError(f"{path}: column {column!r} holds {dtype}, not instants")
    return ZoneInfo(dtype.tz or "UTC")


def _partition(lake: Lake, request: ReplayRequest, day: date) -> StoredPartition:
    found = lake.partition(request.dataset, request.table, day)
    if found is None:
        raise ReplayError(f"day {day} of {request.dataset}/{request.table} was removed during the replay")
    return found


@contextmanager
def _opened(lake: Lake, path: str) -> Iterator[pq.ParquetFile]:
    """Open a file, and close both it and the lake's handle."""
    try:
        source = lake.open(path)
    except OSError as error:
        raise ReplayError(f"{path} cannot be read ({_line(error)}); is it still in the lake?") from error
    try:
        file = pq.ParquetFile(source, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        source.close()
        raise ReplayError(f"{path} cannot be read as Parquet ({_line(error)}); materialise its day again") from error
    with closing(source), closing(file):
        yield file


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
