"""The stored rows of one table, one file open at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simtom_pipelines.replay.encoder import check_encodable
from simtom_pipelines.replay.errors import ReplayError
from simtom_pipelines.replay.filters import passing, predicate
from simtom_pipelines.replay.request import DAY_SECONDS, ReplayRequest, instant, micros, resolve
from simtom_pipelines.replay.source import Mark
from simtom_pipelines.replay.timeline import Times

_BATCH_ROWS = 8_192
"""Rows read at a time."""

_BUFFER_BYTES = 1 << 16
"""Of a column that are read at a time: without it the columns of a whole row group lie in memory."""


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
class Block:
    """Rows of one partition that pass, in stored order.

    Attributes:
        day: The partition.
        fingerprint: Its fingerprint.
        rows: Row numbers in the partition, shape (n,).
        times: Event times in UTC microseconds, shape (n,).
        frame: The rows; with the event times alone where nothing else was asked for.
    """

    day: date
    fingerprint: str
    rows: NDArray[np.int64]
    times: Times
    frame: pl.DataFrame


class TableReader:
    """Reads the stored rows of one table that pass window and filters; a file that is not sorted by time is refused.

    Args:
        lake: Where the files are.
        request: What to replay.
        table: Which of the request's tables.

    Raises:
        ReplayError: Nothing is stored, the range is empty, the table has no event times, or a filter does not fit.
    """

    def __init__(self, lake: Lake, request: ReplayRequest, table: str) -> None:
        self.lake, self.request, self.table = lake, request, table
        self._names = tuple(table.split("/"))
        stored = lake.days(self._names[0], self._names[1])
        if not stored:
            raise ReplayError(
                f"no day of {table} is stored; materialise some days first, or check the name and the lake"
            )
        self.stored = stored[0], stored[-1]
        schema = self._schema(self.partition(stored[0]).path)
        self.zone = _time_zone(schema, request.time_column, self.partition(stored[0]).path)
        self.window = resolve(request, stored, self.zone)
        self._predicate = predicate(request.filters, request.tables, table, pl.Schema(schema))

    def partition(self, day: date) -> StoredPartition:
        """Return a stored partition; ReplayError where it was removed since the replay began."""
        found = self.lake.partition(self._names[0], self._names[1], day)
        if found is None:
            raise ReplayError(f"day {day} of {self.table} was removed during the replay")
        return found

    def blocks(self, mark: Mark, *, times_only: bool = False) -> Generator[Block, None, None]:
        """Yield the rows of one turn from a mark on, some thousand at a time; no block is empty."""
        begin = date.min if mark.day is None else date.fromisoformat(mark.day)
        for day in self.window.days:
            if day >= begin:
                yield from self._day(day, mark.row if day == begin else 0, times_only)

    def row_at(self, moment: int) -> Mark:
        """Return the mark of the first row at or after an instant in UTC microseconds."""
        for day in self.window.days:
            if micros(instant(day + timedelta(days=1), self.zone)) <= moment:
                continue
            stored = self.partition(day)
            for row, batch in self._batches(stored.path, [self.request.time_column], 0):
                times = event_times(pl.Series(batch.column(0)), stored.path)
                if times[-1] >= moment:
                    return Mark(self.table, day.isoformat(), row + int(np.searchsorted(times, moment)))
        return self.end()

    def end(self) -> Mark:
        """Return the mark behind the last row."""
        if not self.window.days:
            return Mark(self.table)
        last = self.window.days[-1]
        return Mark(self.table, last.isoformat(), self.partition(last).rows)

    def rate(self) -> float:
        """Return the stored rows of an ordinary second of event time, by the size of the middle partition."""
        days = self.window.days
        return self.partition(days[len(days) // 2]).rows / DAY_SECONDS if days else 0.0

    def _day(self, day: date, first_row: int, times_only: bool) -> Iterator[Block]:
        stored = self.partition(day)
        columns = None
        if times_only:
            columns = [self.request.time_column]
            if self._predicate is not None:
                columns += [name for name in dict.fromkeys(self._predicate.meta.root_names()) if name not in columns]
        for start, batch in self._batches(stored.path, columns, first_row):
            frame = pl.DataFrame(pl.from_arrow(batch))
            if not times_only:
                check_encodable(frame.schema, stored.path)
            times = event_times(frame[self.request.time_column], stored.path)
            wanted = self.window.mask(times)
            wanted[: max(first_row - start, 0)] = False
            if self._predicate is not None:
                wanted &= passing(frame, self._predicate)
            keep = np.flatnonzero(wanted)
            if not len(keep):
                continue
            if len(keep) < frame.height:
                frame, times = frame[keep], times[keep]
            yield Block(day, stored.footer.fingerprint, start + keep, times, frame)

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

    def _schema(self, path: str) -> pa.Schema:
        with _opened(self.lake, path) as file:
            return file.schema_arrow


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


def _time_zone(schema: pa.Schema, column: str, path: str) -> ZoneInfo:
    """Return the time zone of a table's event times.

    Raises:
        ReplayError: The column of event times is missing or holds no instants.
    """
    if column not in schema.names:
        raise ReplayError(f"{path} has no column {column!r} to replay by; columns: {', '.join(schema.names)}")
    dtype = schema.field(column).type
    if not pa.types.is_timestamp(dtype):
        raise ReplayError(f"{path}: column {column!r} holds {dtype}, not instants")
    return ZoneInfo(dtype.tz or "UTC")


@contextmanager
def _opened(lake: Lake, path: str) -> Iterator[pq.ParquetFile]:
    """Open a file, and close both it and the lake's handle."""
    try:
        source = lake.open(path)
    except OSError as error:
        raise ReplayError(f"{path} cannot be read ({_line(error)}); is it still in the lake?") from error
    try:
        file = pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER_BYTES)
    except (pa.ArrowException, OSError) as error:
        source.close()
        raise ReplayError(f"{path} cannot be read as Parquet ({_line(error)}); materialise its day again") from error
    with closing(source), closing(file):
        yield file


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
