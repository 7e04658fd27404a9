"""Stored tables as a source: read, filtered, merged, placed on the schedule, encoded."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simtom_pipelines.replay.ahead import side_by_side
from simtom_pipelines.replay.clock import Clock
from simtom_pipelines.replay.encoder import chunk_rows, encode, interleave
from simtom_pipelines.replay.errors import CursorError, MissingDaysError, ReplayError
from simtom_pipelines.replay.injector import Identified, inject
from simtom_pipelines.replay.merge import Piece, merged
from simtom_pipelines.replay.reader import Lake, TableReader
from simtom_pipelines.replay.request import ReplayRequest, instant, micros
from simtom_pipelines.replay.source import Chunk, Mark, Position
from simtom_pipelines.replay.timeline import Times

ORIGINAL = "original_"
"""What stands before the name of the field that keeps the event time of a rebased record."""

_LISTED_DAYS = 10
_TIMES_AT_ONCE = 1 << 17


@dataclass
class _GapCap:
    """Shortens the silences of a schedule, from piece to piece.

    Attributes:
        cap: Longest silence in microseconds; None: as they are.
        cut: Microseconds taken out so far.
        last: Schedule time, before the cut, of the record before; None at the beginning.
    """

    cap: int | None
    cut: int = 0
    last: int | None = None

    def cuts(self, due: Times) -> Times:
        """Return what is taken out before each record, shape (n,)."""
        if self.cap is None:
            return np.zeros(len(due), np.int64)
        before = due[0] if self.last is None else self.last
        gaps = np.diff(due, prepend=before)
        cuts: Times = self.cut + np.cumsum(np.maximum(gaps - self.cap, 0))
        self.cut, self.last = int(cuts[-1]), int(due[-1])
        return cuts


class StoredSource:
    """The tables of a request, in the order (event time, rank, row), turn after turn of the loop.

    Args:
        request: What to replay.
        lake: Where the rows are.
        encoders: Chunks that are encoded at the same time, each in a thread of its own; 1: in the caller's.

    Raises:
        MissingDaysError: Days of the range are not stored, and `allow_missing` is off.
        ReplayError: Nothing is stored, the range is empty, a table has no event times, or a filter does not fit.
    """

    def __init__(self, request: ReplayRequest, lake: Lake, *, encoders: int = 1) -> None:
        self.request, self._encoders = request, encoders
        self.readers = [TableReader(lake, request, table) for table in request.tables]
        self.begin = min(reader.window.begin for reader in self.readers)
        self.until = max(reader.window.until for reader in self.readers)
        if request.duration is not None:
            self.until = min(self.until, self.begin + round(request.duration * 1e6))
            for reader in self.readers:
                reader.window = reader.window.until_at_most(self.until)
        for reader in self.readers:
            _check_missing(reader, request.allow_missing)
        if not any(reader.window.days for reader in self.readers):
            first, last = min(r.stored[0] for r in self.readers), max(r.stored[1] for r in self.readers)
            names = ", ".join(request.tables)
            raise ReplayError(f"no stored day of {names} is inside the range; stored are {first} to {last}")

    @property
    def identity(self) -> str:
        """What a cursor must agree on."""
        return self.request.identity()

    @property
    def days(self) -> tuple[date, ...]:
        """Partitions that are read, of any table."""
        return tuple(sorted({day for reader in self.readers for day in reader.window.days}))

    @property
    def missing(self) -> tuple[date, ...]:
        """Days of the range that are not stored, of any table."""
        return tuple(sorted({day for reader in self.readers for day in reader.window.missing}))

    def beginning(self, clock: Clock) -> Position:
        """Return where a replay begins without a cursor; with `rebase` this fixes the shift by the clock's calendar."""
        if not self.request.rebase:
            return Position()
        with closing(self.schedule()) as schedule:
            for _, times in schedule:
                return Position(shift=clock.wall() - int(times[0]))
        return Position()

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """Yield encoded chunks from the marks of a position on."""
        if self.request.faults is None:
            return (found.chunk for found in self._identified(position))
        arrived = position.arrived - position.skip
        return inject(self._identified(position), self.request.faults, self.request.tables, arrived)

    def schedule(self) -> Generator[tuple[Times, Times], None, None]:
        """Yield places on the schedule and event times of one turn, reading no other column than it must."""
        cap = _GapCap(self._cap)
        with closing(merged(self.readers, self._marks(Position()), _TIMES_AT_ONCE, times_only=True)) as pieces:
            for piece in pieces:
                yield piece.times - cap.cuts(piece.times), piece.times

    def seek(self, moment: date | datetime) -> Position:
        """Return the position of the first record at or after a moment."""
        if self.request.faults is not None:
            raise ReplayError("a replay with injected faults cannot seek, for its answer key numbers every record")
        places = [micros(instant(moment, reader.zone)) for reader in self.readers]
        if min(places) >= self.until or max(places) < self.begin:
            zone = self.readers[0].zone
            first, last = (datetime.fromtimestamp(at / 1e6, zone) for at in (self.begin, self.until))
            raise ReplayError(f"{moment} is outside the replay, which goes from {first} to {last} (exclusive)")
        return Position(tuple(reader.row_at(at) for reader, at in zip(self.readers, places, strict=True)))

    def check(self, position: Position) -> None:
        """Raise CursorError where a partition was made anew from another configuration since."""
        known = {reader.table: reader for reader in self.readers}
        for table, day, before in position.fingerprints:
            reader = known[table]
            if date.fromisoformat(day) not in reader.window.days:
                continue
            now = reader.partition(date.fromisoformat(day)).footer.fingerprint
            if now != before:
                raise CursorError(
                    f"the data changed since the cursor was saved: day {day} of {table} had fingerprint {before}, now "
                    f"{now}; resuming would mix two histories. Materialise the old configuration again, or remove the "
                    "cursor to replay from the start"
                )

    @property
    def _cap(self) -> int | None:
        return None if self.request.max_gap is None else round(self.request.max_gap * 1e6)

    def _marks(self, position: Position) -> tuple[Mark, ...]:
        return position.marks or tuple(Mark(reader.table) for reader in self.readers)

    def _rows_at_once(self) -> int:
        compression = self.request.compression
        rate = None if compression is None else compression * sum(reader.rate() for reader in self.readers)
        return self.request.chunk_rows or chunk_rows(rate)

    def _identified(self, position: Position) -> Iterator[Identified]:
        return side_by_side(self._encodings(position), self._encoders)

    def _encodings(self, position: Position) -> Generator[Callable[[], Identified], None, None]:
        """Yield the chunks from the marks of a position on, still to be encoded."""
        period, size = self.until - self.begin, self._rows_at_once()
        cap = _GapCap(self._cap)
        stored, cycle = position.stored, position.cycle
        ahead = position.arrived - position.skip - stored  # a seek brought records that are not counted as stored
        while self.request.loop == 0 or cycle < self.request.loop:
            first = cycle == position.cycle
            marks = self._marks(position if first else Position())
            found = False
            with closing(merged(self.readers, marks, size)) as pieces:
                for piece in pieces:
                    found = True
                    due = piece.times + cycle * period
                    begin = Position(
                        marks=piece.marks,
                        cycle=cycle,
                        stored=stored,
                        arrived=stored + ahead,
                        shift=position.shift,
                        fingerprints=tuple(
                            (self.readers[n].table, b.day.isoformat(), b.fingerprint) for n, b, _, _ in piece.slices
                        ),
                    )
                    shift = cycle * period + position.shift
                    yield partial(self._encoded, piece, begin, due - cap.cuts(due), shift)
                    stored += len(piece.times)
            if not found and (not first or position == Position(shift=position.shift)):
                return  # an endless loop over nothing would never come back
            cycle += 1

    def _encoded(self, piece: Piece, begin: Position, due: Times, shift: int) -> Identified:
        parts = [encode(self._fields(block.frame.slice(i, j - i), rank, shift)) for rank, block, i, j in piece.slices]
        buffer, offsets = parts[0] if len(parts) == 1 else interleave(parts, _dense(piece.ranks))
        rows = np.empty(len(piece.times), np.int64)
        for rank, block, i, j in piece.slices:
            rows[piece.ranks == rank] = block.rows[i:j]
        days = {rank: block.day.isoformat() for rank, block, _, _ in piece.slices}
        return Identified(Chunk(begin, piece.times, due, buffer, offsets), piece.ranks, rows, days)

    def _fields(self, frame: pl.DataFrame, rank: int, shift: int) -> pl.DataFrame:
        """Return the rows with the fields that a replay adds."""
        if self.request.rebase:
            by, stamp = pl.duration(microseconds=shift), self.request.time_column
            instants = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
            frame = frame.with_columns(*(pl.col(name) + by for name in instants), pl.col(stamp).alias(ORIGINAL + stamp))
        if self.request.tag is not None:
            frame = frame.with_columns(pl.lit(self.readers[rank].table).alias(self.request.tag))
        return frame


def _dense(ranks: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return ranks as places among those that occur."""
    return np.unique(ranks, return_inverse=True)[1]


def _check_missing(reader: TableReader, allowed: bool) -> None:
    missing = reader.window.missing
    if not missing or allowed:
        return
    listed = ", ".join(day.isoformat() for day in missing[:_LISTED_DAYS])
    more = len(missing) - _LISTED_DAYS
    raise MissingDaysError(
        f"{len(missing)} days of {reader.table} are not stored: {listed}{f' and {more} more' if more > 0 else ''}; "
        f"stored are {reader.stored[0]} to {reader.stored[1]}. Materialise them, choose another range, or allow "
        "missing days"
    )
