"""Records at their due time: a live stream and the history are the same rows, only handed over by a clock.

How fast records are delivered belongs to the request for a stream, never to the config: it changes no value and no
event time. The library has no clock, so the caller passes the instant from which on rows are wanted, and asyncio the
time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, model_validator

from generators.calendar import LAST_DAY
from generators.config import GeneratorConfig, LabelMode
from generators.errors import ConfigError
from generators.intraday import day_bounds
from generators.randomness import stream
from generators.strict import StrictModel

if TYPE_CHECKING:
    from generators.base import BaseGenerator

ConfigT = TypeVar("ConfigT", bound=GeneratorConfig)

ARRIVAL_BLOCK = 4_096
"""Arrivals of one random stream: arrival i lies in block i // ARRIVAL_BLOCK."""

_PIECE_ROWS = 256
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Arrival(StrEnum):
    """How deliveries at a rate follow each other: evenly, or as a Poisson process of that rate."""

    uniform = "uniform"
    poisson = "poisson"


class StreamRequest(StrictModel):
    """How the rows of a generator are delivered. Without a rate and a compression they come in real time."""

    rate_per_second: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        allow_inf_nan=False,
        description="Records a second, whatever their event times; refused together with time_compression.",
    )
    arrival: Arrival = Field(
        default=Arrival.uniform, description="Deliveries at a rate: evenly spaced, or a Poisson process of that rate."
    )
    time_compression: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        allow_inf_nan=False,
        description="Seconds of event time in a second; null without a rate: 1, real time.",
    )
    total_records: int | None = Field(default=None, ge=1, description="Records after which the stream ends.")
    start_date: date | None = Field(default=None, description="First day; null: the rows from now on.")
    end_date: date | None = Field(default=None, description="Last day, inclusive; null: no end.")

    @model_validator(mode="after")
    def _one_speed(self) -> Self:
        if self.rate_per_second is not None and self.time_compression is not None:
            raise ValueError(
                "rate_per_second and time_compression are both given; a rate ignores event times and a compression "
                "follows them, so give one of them"
            )
        if self.arrival is not Arrival.uniform and self.rate_per_second is None:
            raise ValueError(f"arrival {self.arrival.value!r} is given without rate_per_second, which it paces")
        if self.start_date is not None and self.end_date is not None and self.end_date < self.start_date:
            raise ValueError(f"end_date {self.end_date} is before start_date {self.start_date}; the end is inclusive")
        return self

    @property
    def compression(self) -> float | None:
        """Seconds of event time in a second; None: paced by the rate."""
        if self.rate_per_second is not None:
            return None
        return 1.0 if self.time_compression is None else self.time_compression


@dataclass(frozen=True)
class Span:
    """The event times of a stream.

    Attributes:
        start: First instant, UTC microseconds; rows at or after it pass.
        first: Civil day of `start`.
        last: Last civil day, inclusive.
    """

    start: int
    first: date
    last: date

    @classmethod
    def of(cls, request: StreamRequest, timezone: str, now: datetime | None) -> Self:
        """Resolve a request's dates.

        Args:
            request: Its dates.
            timezone: Zone in which days begin.
            now: The instant from which on rows are wanted where no first day is given; aware.

        Raises:
            ConfigError: Neither a first day nor `now` is given, `now` has no zone, or the last day is before them.
        """
        if request.start_date is not None:
            first, start = request.start_date, day_bounds(request.start_date, timezone)[0]
        elif now is None:
            raise ConfigError("start_date: None given; give a first day, or pass now: the library has no clock")
        elif now.tzinfo is None:
            raise ConfigError(f"now: {now} given; allowed: an instant with a time zone")
        else:
            start = (now - _EPOCH) // timedelta(microseconds=1)
            first = now.astimezone(ZoneInfo(timezone)).date()
        last = LAST_DAY if request.end_date is None else request.end_date
        if last < first:
            raise ConfigError(f"end_date: {last} given; allowed: {first}, the first day of the stream, or later")
        return cls(start, first, last)

    def days(self) -> Iterator[date]:
        """Yield the days in order."""
        day = self.first
        while day <= self.last:
            yield day
            if day == LAST_DAY:
                return
            day += timedelta(1)


class Arrivals:
    """The deliveries of a stream at one record a second, in microseconds from its anchor.

    Evenly spaced, delivery i is due after i seconds. As a Poisson process it is due after the sum of i + 1 standard
    exponential gaps, which are drawn in blocks, so that delivery i has the same gap wherever a stream is resumed.

    Args:
        seed: The config's seed.
        generator: The generator's name.
        arrival: How deliveries follow each other.
        first: Number of the first delivery; it counts from a new anchor.
    """

    def __init__(self, seed: int, generator: str, arrival: Arrival, first: int = 0) -> None:
        self._seed, self._generator, self._arrival = seed, generator, arrival
        self._first = self._next = first
        self._reached = 0.0

    def take(self, count: int) -> NDArray[np.int64]:
        """Return the next deliveries, shape (count,), never decreasing."""
        begin, self._next = self._next, self._next + count
        if self._arrival is Arrival.uniform:
            return np.arange(begin - self._first, self._next - self._first, dtype=np.int64) * 1_000_000
        gaps = [np.empty(0)]
        for block in range(begin // ARRIVAL_BLOCK, -(-self._next // ARRIVAL_BLOCK)):
            low, high = (min(max(n - block * ARRIVAL_BLOCK, 0), ARRIVAL_BLOCK) for n in (begin, self._next))
            drawn = stream(self._seed, self._generator, "deliveries", block).standard_exponential(ARRIVAL_BLOCK)
            gaps.append(drawn[low:high])
        due = self._reached + np.cumsum(np.concatenate(gaps))
        if count:
            self._reached = float(due[-1])
        return (due * 1e6).astype(np.int64)


def live(config: ConfigT) -> ConfigT:
    """Return the config in live label mode, unless it names a label mode: today nobody knows what comes later."""
    if "label_mode" in config.model_fields_set or config.label_mode is LabelMode.live:
        return config
    return config.model_copy(update={"label_mode": LabelMode.live})


def rows_from(
    generator: BaseGenerator[Any], day: date, start: int, first_row: int = 0
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield a day's slices with the number of their first row in the day.

    Args:
        generator: What makes the rows.
        day: Which day.
        start: Rows before this instant (UTC microseconds) are left out.
        first_row: Rows before this one are left out too.
    """
    row = 0
    for frame in generator.batches(day):
        times = frame["timestamp"].to_physical().to_numpy()
        skipped = max(int(np.searchsorted(times, start)), first_row - row, 0)
        if skipped < frame.height:
            yield row + skipped, frame.slice(skipped) if skipped else frame
        row += frame.height


class AsyncClock(Protocol):
    """Seconds that never go back, and a sleep to an absolute moment."""

    def now(self) -> float:
        """Return the current moment in seconds; only differences have a meaning."""
        ...

    async def sleep_until(self, when: float) -> None:
        """Return at `when` or later."""
        ...


class LoopClock:
    """The clock of the running asyncio loop."""

    def now(self) -> float:
        """Return the loop's time in seconds."""
        return asyncio.get_running_loop().time()

    async def sleep_until(self, when: float) -> None:
        """Sleep to the absolute moment `when`, never less: some loops wake early."""
        while (rest := when - self.now()) > 0.0:
            await asyncio.sleep(rest)


async def records(
    generator: BaseGenerator[Any], request: StreamRequest, *, now: datetime | None, clock: AsyncClock
) -> AsyncIterator[dict[str, Any]]:
    """Yield a generator's rows as dicts at their due time: ``anchor + (event time - start) / compression``.

    With a rate, record i is due at the anchor plus the i-th delivery. Deadlines are absolute, so nothing drifts.
    """
    span = Span.of(request, generator.config.timezone, now)
    compression, anchor = request.compression, clock.now()
    speed = compression if compression is not None else request.rate_per_second or 1.0
    deliveries = Arrivals(generator.config.seed, generator.name, request.arrival)
    left = request.total_records
    frames = _frames(generator, span)
    begun = now is not None and request.start_date is None and compression is not None
    while (frame := await asyncio.to_thread(next, frames, None)) is not None:
        if not begun:  # making the first rows is no lateness; only a stream that follows the world's clock has begun
            anchor, begun = clock.now(), True
        for piece in frame.iter_slices(_PIECE_ROWS):
            piece = piece.head(left) if left is not None else piece
            times = piece["timestamp"].to_physical().to_numpy() - span.start
            ticks = times if compression is not None else deliveries.take(piece.height)
            for record, due in zip(piece.to_dicts(), anchor + ticks / (1e6 * speed), strict=True):
                await clock.sleep_until(float(due))
                yield record
            if left is not None:
                left -= piece.height
                if left == 0:
                    return


def _frames(generator: BaseGenerator[Any], span: Span) -> Iterator[pl.DataFrame]:
    for day in span.days():
        for _, frame in rows_from(generator, day, span.start):
            yield frame
