"""The plugin contract: a generator turns (config, day) into polars frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache, partial
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.calendar import FIRST_DAY, LAST_DAY, HolidayCalendar
from generators.config import GeneratorConfig, LabelMode
from generators.days import day_number
from generators.errors import CalendarError, DataError, UnknownNameError
from generators.intraday import BIN_MINUTES, DayArrivals, IntradayProfile
from generators.labels import EVENT_DAY, LAG, OutcomeStore
from generators.overlays import OverlayRows
from generators.randomness import stream
from generators.schema import Column, TableSchema
from generators.streaming import AsyncClock, LoopClock, StreamRequest, live, records
from generators.volume import VolumeModel

ConfigT = TypeVar("ConfigT", bound=GeneratorConfig)

SLICE_ROWS = 262_144
"""Rows of a slice. A constant of the format: it is part of every fingerprint."""
ADDED = ("record_id", "generator")
"""Columns of events that the base fills, where the schema has them."""


@dataclass(frozen=True)
class Process:
    """An arrival process: how many rows a day, and when in the day.

    Attributes:
        name: For example ``"emergency"``; keys the process's own randomness and its holiday multipliers.
        volume: Expected rows of a day and their random part.
        intraday: Intensity over the hours of a day.
    """

    name: str
    volume: VolumeModel
    intraday: IntradayProfile


@dataclass(frozen=True, eq=False)
class Batch:
    """The rows of one slice, before they have any column but their instants.

    Attributes:
        day: Civil day of the partition, in the dataset's time zone.
        number: Number of the slice in the day, from 0.
        first: Number of the slice's first row among the day's drawn rows.
        n: Number of rows.
        plan: The day's plan.
        seed: The config's seed.
        generator: The generator's name.
    """

    day: date
    number: int
    first: int
    n: int
    plan: DayPlan
    seed: int
    generator: str

    @cached_property
    def timestamp(self) -> NDArray[np.int64]:
        """(n,) UTC microseconds, ascending."""
        plan = self.plan
        return plan.arrivals.instants(self.n, self.number, len(plan.sizes), self.rng("timestamp"), total=plan.rows)

    @cached_property
    def process(self) -> NDArray[np.uint8]:
        """(n,) index of each row's arrival process."""
        return self.plan.arrivals.processes(self.timestamp, self.rng("process"))

    @property
    def day_number(self) -> int:
        """Days since 1970-01-01."""
        return day_number(self.day)

    @property
    def row(self) -> NDArray[np.int64]:
        """(n,) numbers of the rows among the day's drawn rows: unique in the day, whatever the slices."""
        return np.arange(self.first, self.first + self.n)

    def rng(self, column: str) -> np.random.Generator:
        """Return the stream of one column of this slice: other columns' draws never change it."""
        return stream(self.seed, self.generator, self.day, self.number, column)


@dataclass(frozen=True, eq=False)
class DayPlan:
    """A day before its rows exist: how many rows each slice has, and the arrival intensity."""

    day: date
    sizes: NDArray[np.int64]
    arrivals: DayArrivals

    @property
    def rows(self) -> int:
        """Rows drawn on the day, overlay rows not among them."""
        return int(self.sizes.sum())


class BaseGenerator(ABC, Generic[ConfigT]):
    """A generator of one domain's event table and the dimensions and labels that belong to it.

    Subclasses declare the class attributes and implement `draw`. Instances hold a config and caches, no state: every
    public method is a function of (config, arguments).

    Attributes:
        name: Registered name, set by `register_generator`.
        domain: Folder and tag, for example ``"ecommerce"``.
        description: One sentence for people.
        config_type: The config class.
        revision: Raised whenever the data of an unchanged config change; part of every fingerprint.
        tables: The event table first, then labels and dimensions.
        bin_minutes: Width of the pieces of a day on which intensity is constant; finer ones show appointment grids.
    """

    name: ClassVar[str] = ""
    domain: ClassVar[str] = ""
    description: ClassVar[str] = ""
    config_type: ClassVar[type[GeneratorConfig]] = GeneratorConfig
    revision: ClassVar[int] = 1
    tables: ClassVar[tuple[TableSchema, ...]] = ()
    bin_minutes: ClassVar[int] = BIN_MINUTES

    def __init__(self, config: ConfigT | None = None, **fields: Any) -> None:
        if config is not None and fields:
            config = config.changed(fields)
        self.config: ConfigT = config if config is not None else self.config_type.create(**fields)  # type: ignore[assignment]
        self._ready = False

    # -- lifecycle ------------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Acquire what generating needs; called once before the first day. The default does nothing."""

    def cleanup(self) -> None:
        """Release what `setup` acquired; called when the generator is left as a context manager."""

    def __enter__(self) -> Self:
        self._set_up()
        return self

    def __exit__(self, *_: object) -> None:
        if self._ready:
            self._ready = False
            self.cleanup()

    def _set_up(self) -> None:
        if not self._ready:
            self.setup()
            self._ready = True

    # -- what a plugin declares -----------------------------------------------------------------------------------

    @cached_property
    def calendar(self) -> HolidayCalendar:
        """The events of the config's country."""
        return HolidayCalendar(self.config.country)

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Arrival processes under this config; one with the base class's week and a flat day unless overridden."""
        intraday = IntradayProfile.from_config(self.config)
        volume = VolumeModel.from_config(self.config, generator=self.name, calendar=self.calendar, intraday=intraday)
        return (Process("events", volume, intraday),)

    @abstractmethod
    def draw(self, batch: Batch) -> pl.DataFrame:
        """Return the rows of one slice: every column of the event table but timestamp, record_id and generator.

        Columns may stand in any order; an enum column may be given as codes, the numbers of its categories.

        Args:
            batch: Instants, processes and streams of the slice; ``batch.n`` is never 0.
        """

    def overlay(self, day: date) -> pl.DataFrame | None:
        """Return extra rows of a day with their own instants (episodes, attacks), or None.

        The frame has the columns of `draw` and ``timestamp`` (instants or UTC microseconds), inside the day, in any
        order.
        """
        return None

    def overlay_frames(self, day: date) -> Iterator[pl.DataFrame]:
        """Yield the rows of `overlay` in order of time.

        A generator with many such rows makes them here, some at a time, so that a day of any size fits into memory.
        """
        extra = self.overlay(day)
        if extra is not None:
            yield extra if extra["timestamp"].is_sorted() else extra.sort("timestamp", maintain_order=True)

    def vocabularies(self) -> Mapping[str, tuple[str, ...]]:
        """Return the texts of columns declared with ``vocabulary=True``: scanned once a seed, part of fingerprints."""
        return {}

    def dimension(self, table: str, start: date, through: date) -> Iterator[pl.DataFrame]:
        """Yield a dimension table: the entities alive in [start, through] and their versions valid from by `through`.

        Raises:
            UnknownNameError: The generator has no such dimension.
        """
        known = [t.name for t in self.tables if t.kind == "dimension"]
        raise UnknownNameError(f"dimension of {self.name}", table, known)

    def outcomes(self, table: str, day: date) -> pl.DataFrame:
        """Return what the events of a day will make known in a label table: compact columns and ``lag`` in days.

        One row for each row of the label table; ``lag`` is at most the table's ``window``. The frame is kept for as
        long as its day is in some label day's window, so it holds numbers and codes, not text: `label_rows` makes the
        table's columns. Only the streams that the outcome needs are drawn.

        Raises:
            UnknownNameError: The generator has no such label table.
        """
        raise UnknownNameError(
            f"label table of {self.name}", table, [t.name for t in self.tables if t.kind == "labels"]
        )

    def label_rows(self, table: str, known: pl.DataFrame, day: date) -> pl.DataFrame:
        """Return the columns of a label table from compact outcomes that become known on a day, row by row.

        It is given all of them, or slices where they are many. Columns may stand in any order; an enum column may be
        given as codes. The default returns the outcomes.

        Args:
            table: The label table's name.
            known: Rows of `outcomes` with ``lag`` and ``event_day``.
            day: The day on which they become known.
        """
        return known.drop(LAG, EVENT_DAY)

    def fold(self, table: str, rows: pl.LazyFrame, day: date) -> pl.LazyFrame:
        """Return what a label table says of each event by the end of a day: one row an event that has any.

        The default takes the row that became known last.

        Args:
            table: The label table's name.
            rows: Its rows up to the day with a column ``date``, the day on which each became known; in no order.
            day: The day by which they are known.
        """
        key = self.events.primary_key
        return rows.sort("date", maintain_order=True).group_by(key, maintain_order=True).last().drop("date")

    # -- what users call ------------------------------------------------------------------------------------------

    @property
    def events(self) -> TableSchema:
        """The event table's schema."""
        return self.tables[0]

    @classmethod
    def table(cls, name: str) -> TableSchema:
        """Return the schema of a table by name.

        Raises:
            UnknownNameError: The generator has no such table.
        """
        for table in cls.tables:
            if table.name == name:
                return table
        raise UnknownNameError(f"table of {cls.name}", name, [t.name for t in cls.tables])

    def expected(self, day: date) -> float:
        """Return the expected rows of a day before noise; overlay rows count where `masses` makes room for them."""
        return float(sum(p.volume.expected(day) for p in self.processes))

    def generate(self, day: date) -> pl.DataFrame:
        """Return the whole day of events, sorted by timestamp: a pure function of (config, day).

        Raises:
            CalendarError: The day is outside the calendar.
        """
        return pl.concat(list(self.batches(day)), rechunk=True)

    def batches(self, day: date, rows: int | None = None) -> Iterator[pl.DataFrame]:
        """Yield the day's rows in order with bounded memory: by slices, or re-chunked to frames of `rows` rows."""
        check_day(day)
        self._set_up()
        if rows is None:
            yield from self._slices(day)
            return
        if rows < 1:
            raise ValueError(f"rows: {rows} given; allowed: 1 or more")
        held: pl.DataFrame | None = None
        for piece in self._slices(day):
            held = piece if held is None else pl.concat([held, piece])
            while held.height > rows:
                yield held.head(rows)
                held = held.slice(rows)
        if held is not None:
            yield held

    async def stream(
        self,
        request: StreamRequest | None = None,
        *,
        now: datetime | None = None,
        clock: AsyncClock | None = None,
        **fields: Any,
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield records as dicts at their due time: the rows of `generate`, handed over by a clock.

        Columns that become known later are null unless the config names a label mode. Days are made in a thread.

        Args:
            request: How fast, how many, which days.
            now: Where no first day is given: the instant from which on rows are wanted.
            clock: What to sleep on; default: the running asyncio loop.
            fields: Fields of the request: rate_per_second, arrival, time_compression, total_records, start_date,
                end_date.

        Raises:
            ConfigError: A field is not allowed, or neither start_date nor now is given.
            CalendarError: A day is outside the calendar.
        """
        if request is None:
            request = StreamRequest.create(**fields)
        elif fields:
            request = StreamRequest.create(**{**request.model_dump(exclude_unset=True), **fields})
        config = live(self.config)
        source = self if config is self.config else type(self)(config)
        async for record in records(source, request, now=now, clock=clock or LoopClock()):
            yield record

    def derive(self, table: str, day: date, start: date | None = None) -> pl.DataFrame:
        """Return the rows of a label table that become known on a day: a pure function of (config, day, start).

        Args:
            table: A table of kind ``labels``.
            day: The day on which the facts become known, the partition's day.
            start: First day of events; facts about earlier ones are left out. None: all of the table's window.

        Raises:
            CalendarError: The day is outside the calendar.
            UnknownNameError: The generator has no such label table.
        """
        return pl.concat(list(self.label_batches(table, day, start)), rechunk=True)

    def label_batches(self, table: str, day: date, start: date | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows of `derive` in order with bounded memory: frames of at most a slice.

        Raises:
            CalendarError: The day is outside the calendar.
            UnknownNameError: The generator has no such label table.
        """
        check_day(day)
        self._set_up()
        schema = self.table(table)
        stores: dict[str, OutcomeStore] = self.__dict__.setdefault("_outcome_stores", {})
        if table not in stores:
            stores[table] = OutcomeStore(partial(self.outcomes, table), schema.window)
        first = max(FIRST_DAY, start) if start is not None else FIRST_DAY
        known = stores[table].known_on(day, first)
        for offset in range(0, max(1, known.height), SLICE_ROWS):
            yield self._typed(self.label_rows(table, known.slice(offset, SLICE_ROWS), day), schema)

    def masses(self, day: date) -> NDArray[np.float64]:
        """Return (processes,) mean numbers of rows that `draw` makes of each process on a day.

        The default is each process's volume with its noise. A generator whose `overlay` makes a part of a process's
        rows (recurring payments, admissions) lowers the mean by that part, so that the day's volume is kept.
        """
        return np.array([p.volume.intensity(day) for p in self.processes])

    def plan(self, day: date) -> DayPlan:
        """Return how many rows the day has, how they fall into slices, and their arrival intensity."""
        counts = self.masses(day)
        hours = [p.volume.hours(day) for p in self.processes]
        arrivals = DayArrivals.from_profiles(
            day, self.config, self.name, [p.intraday for p in self.processes], counts, self.bin_minutes, hours
        )
        total = counts.sum()
        draw = stream(self.config.seed, self.name, day, "count")
        n = int(draw.poisson(total)) if self.config.poisson_counts else round(float(total))
        pieces = max(1, -(-n // SLICE_ROWS))
        return DayPlan(day, arrivals.slice_sizes(n, pieces), arrivals)

    def batch(self, plan: DayPlan, number: int) -> Batch:
        """Return one slice of a day; its instants and processes are made when they are asked for."""
        first, n = int(plan.sizes[:number].sum()), int(plan.sizes[number])
        return Batch(plan.day, number, first, n, plan, self.config.seed, self.name)

    # -- assembly -------------------------------------------------------------------------------------------------

    def _slices(self, day: date) -> Iterator[pl.DataFrame]:
        plan = self.plan(day)
        edges = plan.arrivals.edges(len(plan.sizes))
        frames = map(self._typed, self.overlay_frames(day))
        extra = OverlayRows(frames, int(edges[0]), int(edges[-1]), f"{self.name}, {day}")
        record = 0
        for number in range(len(plan.sizes)):
            frame = self._drawn(plan, number)
            inside = extra.before(int(edges[number + 1]))
            if inside:
                frame = pl.concat([frame, *inside]).sort("timestamp", maintain_order=True)
            yield self._finished(frame, day, record)
            record += frame.height

    def _drawn(self, plan: DayPlan, number: int) -> pl.DataFrame:
        if plan.sizes[number] == 0:
            return pl.DataFrame(schema=self._drawn_schema)
        batch = self.batch(plan, number)
        frame = self.draw(batch)
        frame.insert_column(0, pl.Series("timestamp", batch.timestamp))
        return self._typed(frame)

    def _typed(self, frame: pl.DataFrame, schema: TableSchema | None = None) -> pl.DataFrame:
        """Return drawn or derived columns in the schema's order and dtypes; codes of enum columns become categories.

        Args:
            frame: Rows of a table.
            schema: The table; None: the events, of which the columns that the base adds are still missing.
        """
        schema, later = (self.events, ADDED) if schema is None else (schema, ())
        signature = (schema.name, tuple(frame.columns), tuple(frame.dtypes))
        known: dict[Any, list[pl.Expr]] = self.__dict__.setdefault("_casts", {})
        try:
            if signature not in known:
                known[signature] = schema.casts(frame.schema, self.config.timezone, later)
            return frame.select(known[signature])
        except (DataError, pl.exceptions.PolarsError) as error:
            raise DataError(f"generator {self.name!r}, {error}") from error

    def _finished(self, frame: pl.DataFrame, day: date, first: int) -> pl.DataFrame:
        for name, column in (("record_id", self._record_ids), ("generator", self._generator_names)):
            if name in self._schema:
                frame.insert_column(self.events.names.index(name), column(first, frame.height))
        if self.config.label_mode is LabelMode.live and self._later:
            # Each condition reads the columns as they were: all of them are evaluated in one pass.
            frame = frame.with_columns(column.shown_on(day) for column in self._later)
        return frame

    def _record_ids(self, first: int, rows: int) -> pl.Series:
        return pl.Series("record_id", np.arange(first, first + rows, dtype=np.uint32))

    def _generator_names(self, _: int, rows: int) -> pl.Series:
        return pl.Series("generator", [self.name]).new_from_index(0, rows)

    @cached_property
    def _schema(self) -> pl.Schema:
        return self.events.polars_schema(self.config.timezone)

    @cached_property
    def _drawn_schema(self) -> pl.Schema:
        return pl.Schema({k: v for k, v in self._schema.items() if k not in ADDED})

    @cached_property
    def _later(self) -> list[Column]:
        return [c for c in self.events if c.known_at is not None]


def check_day(day: date) -> None:
    """Refuse what is no day of the calendar.

    Raises:
        CalendarError: Not a date, or outside [FIRST_DAY, LAST_DAY].
    """
    if isinstance(day, datetime) or not isinstance(day, date):
        raise CalendarError(f"day: {day!r} given; allowed: a datetime.date")
    if not FIRST_DAY <= day <= LAST_DAY:
        raise CalendarError(f"day: {day} given; allowed: {FIRST_DAY} to {LAST_DAY}")


@lru_cache(maxsize=1)
def draws_digest() -> bytes:
    """Return a few draws of each distribution the library uses: they change when numpy's algorithms do."""
    rng = stream(0, "digest")
    draws = [
        rng.random(4), rng.standard_normal(4), rng.standard_exponential(4), rng.standard_gamma(0.5, 4),
        rng.standard_gamma(2.0, 4), rng.beta(2.2, 2.2, 4), rng.poisson(3.0, 4), rng.poisson(1e4, 4),
        rng.integers(0, 65_536, 4, dtype=np.uint16), rng.multinomial(100, [0.2, 0.3, 0.5]),
    ]  # fmt: skip
    return b"".join(np.ascontiguousarray(d).tobytes() for d in draws)
