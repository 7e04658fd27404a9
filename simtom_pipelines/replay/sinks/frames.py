"""Records as polars frames, for a loop in code: ``for frame in replay_frames(request, lake)``."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simtom_pipelines.replay.clock import Clock
from simtom_pipelines.replay.encoder import LARGEST_CHUNK
from simtom_pipelines.replay.engine import replay
from simtom_pipelines.replay.errors import ReplayError
from simtom_pipelines.replay.reader import Lake
from simtom_pipelines.replay.request import ReplayRequest
from simtom_pipelines.replay.sinks.backlog import Backlog, Batch, Part

_BACKLOG_BYTES = 8_000_000
_SMALL = pl.Int8, pl.Int16, pl.UInt8, pl.UInt16
_WAIT_SECONDS = 0.002
_INSTANT = "%Y-%m-%dT%H:%M:%S%.6fZ"


def replay_frames(
    request: ReplayRequest,
    lake: Lake,
    *,
    rows: int = LARGEST_CHUNK,
    clock: Clock | None = None,
    stop: threading.Event | None = None,
) -> Iterator[pl.DataFrame]:
    """Yield a replay's records as frames when they are due, with the columns and types of the stored table.

    Whatever is due when the loop asks comes as one frame, so a slow loop gets larger frames rather than a longer queue.
    A frame counts as delivered when the loop asks for the next: with a cursor, a loop that breaks or raises gets its
    last frame again. Leaving the loop ends the replay and saves the cursor.

    Args:
        request: What to replay and how fast.
        lake: Where the rows are.
        rows: Most rows of a frame.
        clock: What to sleep on; default: the machine's monotonic clock.
        stop: Set it to end early.

    Raises:
        ReplayError: As `replay`, or a record is no JSON of the table, as delivery faults make it.
    """
    if rows < 1:
        raise ReplayError(f"rows is {rows}; allowed: 1 or more")
    return _frames(request, lake, rows, clock, stop or threading.Event())


def _frames(
    request: ReplayRequest, lake: Lake, rows: int, clock: Clock | None, stop: threading.Event
) -> Iterator[pl.DataFrame]:
    sink, failure = FrameSink(rows), list[BaseException]()

    def run() -> None:
        try:
            replay(request, sink, lake=lake, clock=clock, stop=stop)
        except BaseException as error:  # raised in the loop's thread
            failure.append(error)
        finally:
            sink.end()

    schema = _schema(request, lake)
    thread = threading.Thread(target=run, name="replay-frames", daemon=True)
    thread.start()
    try:
        while (batch := sink.take()) is not None:
            yield decode(batch.join(), schema)
    finally:
        stop.set()
        sink.end()
        thread.join()
    if failure:
        raise failure[0]


def _schema(request: ReplayRequest, lake: Lake) -> pl.Schema:
    """Return the stored types; the newest partition has every column."""
    days = lake.days(request.dataset, request.table)
    stored = lake.partition(request.dataset, request.table, days[-1]) if days else None
    if stored is None:
        return pl.Schema()  # the replay says that nothing is stored
    with lake.open(stored.path) as file:
        return pl.Schema(pl.read_parquet_schema(file))


def decode(data: bytes, schema: pl.Schema) -> pl.DataFrame:
    """Return the frame of NDJSON that `encode` made of a frame of this schema.

    Fields that the schema does not have follow its columns, with the types that their values suggest. NaN and
    infinities are null.

    Raises:
        ReplayError: The text is no NDJSON, or a value is not of its column's type.
    """
    wire = {name: _on_the_wire(dtype) for name, dtype in schema.items()}
    try:
        frame = pl.read_ndjson(io.BytesIO(data), schema_overrides=wire, infer_schema_length=None)
        others = [name for name in frame.columns if name not in schema]
        return frame.select(
            *(_parsed(name, dtype) if dtype != wire[name] else pl.col(name) for name, dtype in schema.items()), *others
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        text = " ".join(str(error).split())
        raise ReplayError(f"records cannot be read back as rows of the table: {text}") from error


def _on_the_wire(dtype: pl.DataType) -> pl.DataType:
    """Return the type that polars reads JSON values of a type as: its reader does not know every type."""
    if dtype.is_temporal() or dtype.is_decimal() or isinstance(dtype, pl.Enum | pl.Categorical):
        return pl.String()
    return pl.Int64() if dtype in _SMALL else dtype


def _parsed(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        instant = column.str.strptime(pl.Datetime("us"), _INSTANT).dt.replace_time_zone("UTC")
        zoned = instant.dt.convert_time_zone(dtype.time_zone) if dtype.time_zone else instant.dt.replace_time_zone(None)
        return zoned.cast(dtype)
    if dtype == pl.Date:
        return column.str.to_date()
    if dtype == pl.Time:
        return column.str.to_time("%H:%M:%S%.f")
    if isinstance(dtype, pl.Duration):
        raise ReplayError(f"column {name!r} holds durations, which replay_frames cannot read back; store a number")
    return column.cast(dtype)


class FrameSink:
    """Hands records to another thread, which takes them at its pace and acknowledges by asking for more.

    Args:
        rows: Most records taken at a time.
    """

    def __init__(self, rows: int) -> None:
        self._rows, self._backlog = rows, Backlog(_BACKLOG_BYTES)
        self._stop = threading.Event()
        self._taken = self._acked = self._given = 0
        self._ended = False

    def open(self, stop: threading.Event) -> None:
        """Take note of the stop event."""
        self._stop = stop

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        """Queue the records, waiting for room."""
        if j > i and not self._backlog.put(Part(buffer, offsets[i : j + 1]), self._stop):
            return 0
        self._taken += j - i
        return j - i

    def take(self) -> Batch | None:
        """Return what is queued, waiting for a first record; None at the end. What was given before is acknowledged."""
        self._acked = self._given
        batch = self._backlog.take(self._rows, _BACKLOG_BYTES)
        self._given += 0 if batch is None else batch.count
        return batch

    def end(self) -> None:
        """Let nobody wait any more."""
        self._ended = True
        self._backlog.close()

    def poll(self) -> None:
        """Do nothing: asking for the next frame acknowledges."""

    def flush(self) -> None:
        """Wait until everything is asked for, or the loop is left."""
        while self._acked < self._taken and not self._stop.is_set() and not self._ended:
            time.sleep(_WAIT_SECONDS)

    def acked(self) -> int:
        """Return the records in frames behind which the loop asked for more."""
        return self._acked

    def close(self) -> None:
        """Do nothing: the loop ends it."""
