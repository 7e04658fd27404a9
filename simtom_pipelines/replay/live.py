"""Rows that are made on the fly: the same days as the lake would hold, as a source that a replay can pace."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from generators import BaseGenerator, GeneratorConfig, StreamRequest, fingerprint, generator_class
from generators.base import check_day
from generators.intraday import day_bounds
from generators.streaming import Arrivals, Span, live, rows_from
from simtom_pipelines.replay.encoder import check_encodable, chunk_rows, encode
from simtom_pipelines.replay.errors import CursorError, ReplayError
from simtom_pipelines.replay.lending import Lending
from simtom_pipelines.replay.source import Chunk, Mark, Position

DAY_SECONDS = 86_400.0

AHEAD_SECONDS = 40.0
"""Days are drawn ahead for about this long, so that a generator is borrowed once a minute rather than once a day."""

AHEAD_ROWS = 8_192
"""Rows that are drawn ahead at most, unless a single day has more."""

BLOCK_ROWS = 1_024
"""Rows that wait in one compressed block: about 80 bytes a row instead of 180 as a frame and 1,000 as JSON."""

EMPTY_TURNS = 12
"""Turns without a row, of a month of days each, after which a stream gives up: its config makes none."""

_LONGEST_TURN = 31
"""Days that are drawn in one turn at most."""

_ALWAYS = -(2**63)
"""An instant before all others."""

Decorate = Callable[[pl.DataFrame, int], pl.DataFrame]
"""Adds columns to rows before they are encoded; is given the number of the first of them in the stream."""


@dataclass(frozen=True)
class _Block:
    """Rows that wait: those of `day` from number `row` on."""

    day: date
    fingerprint: str
    row: int
    rows: int
    packed: bytes

    @classmethod
    def pack(cls, day: date, made_of: str, row: int, frame: pl.DataFrame) -> _Block:
        target = io.BytesIO()
        frame.write_ipc(target, compression="zstd")
        return cls(day, made_of, row, frame.height, target.getvalue())

    def frame(self) -> pl.DataFrame:
        return pl.read_ipc(io.BytesIO(self.packed))


class LiveSource:
    """A generator's rows from an instant on, encoded, in chunks; days follow each other until the request ends.

    With a rate, records are due by the deliveries of `Arrivals` at one record a second, so that the rate is what the
    pacer calls the compression; otherwise at their event times.

    Args:
        table: ``dataset/table``, the name of the position's mark.
        generator: Registered name.
        config: What determines the data; in live label mode unless it names one.
        request: Dates, totals, rate.
        now: The instant from which on rows are wanted where the request names no first day.
        lending: Where generators come from.
        decorate: Adds columns before encoding.

    Raises:
        ConfigError: The dates are not in order, or there are none and no `now`.
        CalendarError: The first day is outside the calendar.
    """

    def __init__(
        self,
        table: str,
        generator: str,
        config: GeneratorConfig,
        request: StreamRequest,
        *,
        now: datetime | None = None,
        lending: Lending | None = None,
        decorate: Decorate | None = None,
    ) -> None:
        self.table, self.generator, self.request = table, generator, request
        self.config = live(config)
        self.span = Span.of(request, config.timezone, now)
        check_day(self.span.first)
        self._lending = lending or Lending()
        self._decorate = decorate
        self._follows = request.start_date is None and request.compression is not None
        check_encodable(generator_class(generator).tables[0].polars_schema(config.timezone), table)

    @property
    def identity(self) -> str:
        """Generator and config; the first instant is none of it, so that a stream from now on can be resumed."""
        return f"live {self.table} {self.generator} {self.config.canonical()} start={self.request.start_date}"

    @property
    def origin(self) -> int | None:
        """Place on the schedule that is due at once; None: that of the first record.

        A stream from now on follows the world's clock: its first record may be due in an hour.
        """
        return self.span.start if self._follows else None

    @property
    def speed(self) -> float:
        """What the pacer calls the compression: seconds of the schedule in a second of wall time."""
        return self.request.compression or self.request.rate_per_second or 1.0

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """Yield encoded rows from the marks of a position on; see `Source`."""
        mark = position.marks[0] if position.marks else Mark(self.table)
        first = self.span.first if mark.day is None else date.fromisoformat(mark.day)
        deliveries = Arrivals(self.config.seed, self.generator, self.request.arrival, position.arrived - position.skip)
        number = position.arrived - position.skip
        left = None if self.request.total_records is None else self.request.total_records - number
        size: int | None = None
        start = self.span.start if mark.day is None else _ALWAYS
        for block in self._blocks(first, mark.row, start):
            frame = block.frame()
            size = size or min(BLOCK_ROWS, chunk_rows(self._rate(block.day)))
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            for at in range(0, frame.height, size):
                yield self._chunk(block, at, frame.slice(at, size), number, deliveries)
                number += min(size, frame.height - at)
            if left == 0:
                return

    def _chunk(self, block: _Block, at: int, rows: pl.DataFrame, number: int, deliveries: Arrivals) -> Chunk:
        times = rows["timestamp"].to_physical().to_numpy()
        due = times if self.request.compression is not None else deliveries.take(rows.height)
        if self._follows:  # what a resumed stream missed is due at once
            due = np.maximum(due, self.span.start)
        mark = Mark(self.table, block.day.isoformat(), block.row + at)
        buffer, offsets = encode(rows if self._decorate is None else self._decorate(rows, number))
        made_of = ((self.table, block.day.isoformat(), block.fingerprint),)
        begin = Position(marks=(mark,), stored=number, arrived=number, fingerprints=made_of)
        return Chunk(begin, times, due, buffer, offsets)

    def seek(self, moment: date | datetime) -> Position:
        """Return the position of the first row at or after a moment; from there on the stream has a clock of its own.

        Raises:
            ReplayError: The moment is after the last day, or outside the calendar.
        """
        zone = ZoneInfo(self.config.timezone)
        if isinstance(moment, datetime):
            local = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
            day = local.astimezone(zone).date()
            instant = (local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        else:
            day, instant = moment, day_bounds(moment, self.config.timezone)[0]
        if day > self.span.last:
            raise ReplayError(f"seek to {moment}: the last day of the stream is {self.span.last}")
        try:
            check_day(day)
        except ValueError as error:
            raise ReplayError(f"seek to {moment}: {error}") from None
        row, self._follows = 0, False
        with self._lending.lend(self.generator, self.config) as generator:
            for frame in generator.batches(day):
                times = frame["timestamp"].to_physical().to_numpy()
                before = int(np.searchsorted(times, instant))
                row += before
                if before < frame.height:
                    break
        return Position(marks=(Mark(self.table, day.isoformat(), row),))

    def holds(self, position: Position) -> bool:
        """Return whether a position that came from outside is one of this source."""
        if not position.marks:
            return True
        (mark, *others), last = position.marks, self.span.last
        try:
            day = date.fromisoformat(mark.day or "")
            check_day(day)
        except ValueError:
            return False
        return not others and mark.table == self.table and day <= last and 0 <= mark.row < 2**31

    def check(self, position: Position) -> None:
        """Raise CursorError where the position's days would be made of other data today."""
        for _, day, found in position.fingerprints:
            if found != self.fingerprint(date.fromisoformat(day)):
                raise CursorError(
                    f"{self.table} of {day} was made by another revision or config since the cursor was saved; "
                    "remove the cursor to begin anew"
                )

    def fingerprint(self, day: date) -> str:
        """Return the fingerprint of a day's rows."""
        with self._lending.lend(self.generator, self.config) as generator:
            return fingerprint(generator, generator.events, day)

    # -- drawing ahead --------------------------------------------------------------------------------------------

    def _rate(self, day: date) -> float:
        """Return the expected records a second of wall time."""
        if self.request.rate_per_second is not None:
            return self.request.rate_per_second
        with self._lending.lend(self.generator, self.config) as generator:
            return generator.expected(day) / DAY_SECONDS * self.speed

    def _blocks(self, first: date, first_row: int, start: int) -> Iterator[_Block]:
        """Yield the rows from row `first_row` of day `first` on, and none before the instant `start`.

        The first day is drawn alone, so that a stream begins at once.
        """
        days, wanted, empty = _Days(first, self.span.last), 1, 0
        while days:
            begun, begin, row = days.next, *((start, first_row) if days.next == first else (_ALWAYS, 0))
            held = self._small_days(days, wanted, begin, row)
            yield from held
            rows = sum(block.rows for block in held)
            if days and days.next == begun:  # a day of several slices
                for block in self._large_day(days.take(), begin, row):
                    rows += block.rows
                    yield block
            empty = 0 if rows else empty + 1
            if empty > EMPTY_TURNS:
                raise ReplayError(f"{self.table}: the config makes no rows, in a year of days up to {days.next}")
            wanted = int(min(max(self._rate(days.next) * AHEAD_SECONDS, 1), AHEAD_ROWS))

    def _small_days(self, days: _Days, wanted: int, start: int, first_row: int) -> list[_Block]:
        """Draw the next days up to about `wanted` rows and return them packed; stop before a day of several slices.

        The generator is back on its shelf afterwards: a suspended iterator would hold its tables.
        """
        held: list[_Block] = []
        rows = turns = 0
        with self._lending.lend(self.generator, self.config) as generator:
            while days and rows < wanted and turns < _LONGEST_TURN and len(generator.plan(days.next).sizes) == 1:
                held += _packed(generator, days.take(), start, first_row)
                rows = sum(block.rows for block in held)
                start, first_row, turns = _ALWAYS, 0, turns + 1
        return held

    def _large_day(self, day: date, start: int, first_row: int) -> Iterator[_Block]:
        """Yield a day slice by slice: a day of any size in bounded memory."""
        with self._lending.lend(self.generator, self.config) as generator:
            yield from _packed(generator, day, start, first_row)


class _Days:
    """Civil days in order; false when there are no more."""

    def __init__(self, first: date, last: date) -> None:
        self.next, self._last, self._left = first, last, first <= last

    def __bool__(self) -> bool:
        return self._left

    def take(self) -> date:
        day = self.next
        self._left = day < self._last
        if self._left:
            self.next = day + timedelta(1)
        return day


def _packed(generator: BaseGenerator[Any], day: date, start: int, first_row: int) -> Iterator[_Block]:
    made_of = fingerprint(generator, generator.events, day)
    for row, frame in rows_from(generator, day, start, first_row):
        for at in range(0, frame.height, BLOCK_ROWS):
            yield _Block.pack(day, made_of, row + at, frame.slice(at, BLOCK_ROWS))
