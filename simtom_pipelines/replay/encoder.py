"""Rows to NDJSON: whole slices by polars, record bounds by numpy."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import ReplayError
from simtom_pipelines.replay.timeline import Times

SMALLEST_CHUNK, LARGEST_CHUNK = 256, 8_192
_CHUNKS_A_SECOND = 4.0
_NEWLINE = 10


@dataclass(frozen=True)
class Chunk:
    """Encoded records that follow each other in the order (timestamp, source rank, row).

    Attributes:
        day: Partition that the records come from.
        fingerprint: Fingerprint of that partition.
        rows: Their row numbers in the partition, shape (n,).
        times: Event times in UTC microseconds, shape (n,).
        shift: Microseconds added to the event times on the schedule: turns of a loop lie behind each other.
        cycle: Turn of the loop.
        buffer: The NDJSON bytes.
        offsets: Record i is ``buffer[offsets[i]:offsets[i + 1]]``, newline included; shape (n + 1,).
    """

    day: date
    fingerprint: str
    rows: NDArray[np.int64]
    times: Times
    shift: int
    cycle: int
    buffer: memoryview
    offsets: NDArray[np.int64]


def chunk_rows(rate: float | None) -> int:
    """Return the rows to encode at a time for a rate in records a second; None: as fast as possible.

    Large slices encode fastest, but the encoder holds the interpreter while it works, which makes records late.
    """
    if rate is None:
        return LARGEST_CHUNK
    return int(min(max(rate / _CHUNKS_A_SECOND, SMALLEST_CHUNK), LARGEST_CHUNK))


def check_encodable(schema: pl.Schema, path: str) -> None:
    """Raise ReplayError where a column has no JSON form."""
    if refused := [f"{name} ({dtype})" for name, dtype in schema.items() if _has_binary(dtype)]:
        raise ReplayError(
            f"{path}: columns {', '.join(refused)} hold bytes, which JSON cannot; store them as text (hex or base64)"
        )


def _has_binary(dtype: object) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        return _has_binary(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return any(_has_binary(f.dtype) for f in dtype.fields)
    return dtype == pl.Binary or dtype == pl.Object


def json_ready(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with instants as RFC 3339 text in UTC with six digits.

    polars alone writes a fraction of varying width and an offset. Instants without a zone are UTC.
    """
    formatted = []
    for name, dtype in frame.schema.items():
        if isinstance(dtype, pl.Datetime):
            column = pl.col(name)
            utc = column.dt.convert_time_zone("UTC") if dtype.time_zone else column.dt.replace_time_zone("UTC")
            formatted.append(utc.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    return frame.with_columns(formatted)


def encode(frame: pl.DataFrame) -> tuple[memoryview, NDArray[np.int64]]:
    """Return the NDJSON bytes of a frame and the bounds of its records, shape (n + 1,).

    NaN and infinities become null. A newline inside a text is escaped, so every newline byte ends a record.

    Raises:
        ReplayError: The frame does not encode into one line a row.
    """
    target = io.BytesIO()
    if frame.height:
        json_ready(frame).write_ndjson(target)
    buffer = target.getbuffer()
    ends = np.flatnonzero(np.frombuffer(buffer, np.uint8) == _NEWLINE) + 1
    if len(ends) != frame.height:
        raise ReplayError(f"{frame.height} rows were encoded into {len(ends)} lines; columns: {frame.columns}")
    return buffer, np.concatenate([np.zeros(1, np.int64), ends])
