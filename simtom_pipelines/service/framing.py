"""How records look on the wire: NDJSON, server-sent events with resumable ids, and the lines of simtom's HTTP API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import polars as pl

from generators import ConfigError
from simtom_pipelines.replay.source import Chunk, Mark, Position

NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
PLAIN = "text/plain"

_DATA = b"data: "
_CHECK_DIGITS = 8


@dataclass(frozen=True)
class Framing:
    """A form of the stream.

    Attributes:
        media_type: What the answer says it is.
        frame: Turns the encoded records of a chunk into what goes out; runs in a thread.
        events: Whether notes such as an end or an error can stand in the stream.
    """

    media_type: str
    frame: Callable[[Chunk], Chunk]
    events: bool = False


def ndjson() -> Framing:
    """One JSON object a line."""
    return Framing(NDJSON, lambda chunk: chunk)


def data_lines() -> Framing:
    """``data: {json}`` and an empty line, as simtom's HTTP API writes records."""
    return Framing(PLAIN, _prefixed)


def event_stream(identity: str) -> Framing:
    """Server-sent events; the id of each is where to go on, so a client that reconnects misses nothing."""
    check = _check(identity)
    return Framing(EVENT_STREAM, lambda chunk: _events(chunk, check), events=True)


def _prefixed(chunk: Chunk) -> Chunk:
    """Put ``data: `` before and an empty line after every record: the only newlines are those that end records."""
    lines = bytes(chunk.buffer).replace(b"\n", b"\n\n" + _DATA)
    framed = memoryview(_DATA + lines[: -len(_DATA)]) if len(chunk) else memoryview(b"")
    wider = np.arange(len(chunk.offsets), dtype=np.int64) * (len(_DATA) + 1)
    return replace(chunk, buffer=framed, offsets=chunk.offsets + wider)


def _events(chunk: Chunk, check: str) -> Chunk:
    prefix = b"id: " + _place(chunk.begin, check).encode() + b"."
    bounds = chunk.offsets.tolist()
    skip, buffer = chunk.begin.skip, bytes(chunk.buffer)
    pieces = [
        b"%b%d\ndata: %b\n" % (prefix, skip + k + 1, buffer[bounds[k] : bounds[k + 1]]) for k in range(len(chunk))
    ]
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return replace(chunk, buffer=memoryview(b"".join(pieces)), offsets=ends)


def note(event: str, **fields: object) -> bytes:
    """Return an event that carries no record and no id."""
    return f"event: {event}\ndata: {json.dumps(fields)}\n\n".encode()


KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: keeps proxies from closing a quiet stream."""


# -- ids of events ----------------------------------------------------------------------------------------------------


def _check(identity: str) -> str:
    return sha256(identity.encode()).hexdigest()[:_CHECK_DIGITS]


def _place(position: Position, check: str) -> str:
    """Return what the ids of a chunk share: its beginning. Only the last number, records from there, differs."""
    marks = [[mark.table, mark.day, mark.row] for mark in position.marks]
    shared = [check, marks, position.cycle, position.stored, position.arrived - position.skip, position.shift]
    return base64.urlsafe_b64encode(json.dumps(shared, separators=(",", ":")).encode()).decode().rstrip("=")


def place_after(event_id: str, identity: str) -> Position:
    """Return the position after the record of an event id.

    Raises:
        ConfigError: It is no id of this service, or one of another request.
    """
    try:
        place, _, skip = event_id.partition(".")
        padded = place + "=" * (-len(place) % 4)
        check, marks, cycle, stored, arrived, shift = json.loads(
            base64.b64decode(padded, altchars=b"-_", validate=True)
        )
        numbers = [int(n) for n in (cycle, stored, arrived, skip)]
        found = tuple(Mark(str(table), None if day is None else str(day), int(row)) for table, day, row in marks)
        if min(numbers) < 0 or max(numbers) >= 2**62 or not isinstance(shift, int) or abs(shift) >= 2**62:
            raise ValueError
    except (ValueError, TypeError):
        raise ConfigError(
            f"Last-Event-ID: {event_id[:80]!r} given; allowed: the id of an event of this stream"
        ) from None
    if check != _check(identity):
        raise ConfigError("Last-Event-ID: it belongs to a stream of another request; repeat that request to go on")
    cycle, stored, arrived, after = numbers
    return Position(found, cycle=cycle, skip=after, stored=stored, arrived=arrived + after, shift=shift)


def underscored(frame: pl.DataFrame, first: int, generator: str) -> pl.DataFrame:
    """Add the columns of simtom's records: ``_timestamp`` (local, with offset), ``_record_id``, ``_generator``."""
    return frame.with_columns(
        pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").alias("_timestamp"),
        pl.int_range(first, first + frame.height, dtype=pl.Int64).alias("_record_id"),
        pl.lit(generator).alias("_generator"),
    )
