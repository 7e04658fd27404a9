"""What every generator promises: a day is a pure function of (config, day)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import generators.base
from generators import (
    CalendarError,
    Column,
    DataError,
    UnknownNameError,
    generator_class,
    get_generator,
    list_generators,
)
from generators.base import BaseGenerator, Batch
from generators.schema import TableSchema, references
from tests.generators.two_processes import EPISODE_ROWS, TwoProcessGenerator, days

DAY = date(2024, 11, 29)
ORDINARY_DAY = date(2024, 10, 8)
SPRING_FORWARD, FALL_BACK = date(2024, 3, 10), date(2024, 11, 3)

Make = Callable[..., BaseGenerator[Any]]


def _makers() -> list[Any]:
    found: list[Any] = [pytest.param(partial(get_generator, info.name), id=info.name) for info in list_generators()]
    return [*found, pytest.param(TwoProcessGenerator, id="two_processes")]


@pytest.fixture(params=_makers())
def make(request: pytest.FixtureRequest) -> Make:
    """Every registered generator, and one with two processes and an overlay."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a day of a thousand rows a day of several slices."""
    monkeypatch.setattr(generators.base, "SLICE_ROWS", 300)


VOLUME = 40
"""Rows a day where a test needs the events of a label table's whole window."""

RARE_VOLUME = 2_000
"""Rows a day at which the rarest label has rows on every day."""


def _tables() -> list[Any]:
    """Every table of every generator but the event tables."""
    classes = {info.name: generator_class(info.name) for info in list_generators()}
    return [
        pytest.param((cls, table), id=f"{name}/{table.name}")
        for name, cls in {**classes, "two_processes": TwoProcessGenerator}.items()
        for table in cls.tables[1:]
    ]


@pytest.fixture(params=_tables())
def side_table(request: pytest.FixtureRequest) -> tuple[type[BaseGenerator[Any]], TableSchema]:
    """Every label table and dimension of every generator."""
    return request.param  # type: ignore[no-any-return]


def rows_of(generator: BaseGenerator[Any], table: TableSchema, day: date) -> pl.DataFrame:
    """A day of a label table, or a dimension of the week that ends with a day."""
    if table.kind == "labels":
        return generator.derive(table.name, day)
    return pl.concat(list(generator.dimension(table.name, day - timedelta(6), day)))


def test_side_table_alone_equals_side_table_in_any_order(side_table: Any) -> None:
    cls, table = side_table
    rows = RARE_VOLUME if table.kind == "labels" else VOLUME
    window = days(DAY - timedelta(1), 3)
    alone = rows_of(cls(base_daily_volume=rows), table, DAY)
    forward, backward = cls(base_daily_volume=rows), cls(base_daily_volume=rows)
    ahead = {day: rows_of(forward, table, day) for day in window}
    back = {day: rows_of(backward, table, day) for day in reversed(window)}
    assert alone.height > 0
    assert_frame_equal(alone, ahead[DAY])
    for day in window:
        assert_frame_equal(ahead[day], back[day])


def test_side_table_keeps_its_schema_and_keys(side_table: Any) -> None:
    cls, table = side_table
    generator = cls(base_daily_volume=VOLUME)
    spread = days(DAY, 5) if table.kind == "labels" else [DAY]
    frames = [rows_of(generator, table, day) for day in spread]
    for frame in frames:
        assert frame.schema == table.polars_schema(generator.config.timezone)
        assert table.violations(frame) == []
    assert table.primary_key
    keys = pl.concat(frames).select(table.primary_key)
    assert keys.n_unique() == keys.height


def test_side_table_leaves_the_global_random_state(side_table: Any) -> None:
    cls, table = side_table
    before = str(np.random.get_state())  # noqa: NPY002 - the legacy state is what must not change
    rows_of(cls(base_daily_volume=VOLUME), table, DAY)
    assert str(np.random.get_state()) == before  # noqa: NPY002


def test_side_table_is_the_same_whatever_the_events_show(side_table: Any) -> None:
    cls, table = side_table
    live = rows_of(cls(base_daily_volume=VOLUME, label_mode="live"), table, DAY)
    assert_frame_equal(live, rows_of(cls(base_daily_volume=VOLUME), table, DAY))


def test_labels_name_events_of_their_window_and_start(side_table: Any) -> None:
    cls, table = side_table
    if table.kind == "dimension":
        with pytest.raises(UnknownNameError, match="label table"):
            cls().derive(table.name, DAY)
        return
    generator = cls(base_daily_volume=VOLUME)
    key = generator.events.primary_key
    labels = generator.derive(table.name, DAY).select(key).unique()
    start = DAY - timedelta(table.window // 2)
    earlier = pl.concat(
        [
            generator.generate(day).select(key)
            for day in days(DAY - timedelta(table.window), table.window // 2 + table.window % 2)
        ]
    )
    later = pl.concat([generator.generate(day).select(key) for day in days(start, (DAY - start).days + 1)])
    assert labels.join(pl.concat([earlier, later]), on=key, how="anti").height == 0
    begun = generator.derive(table.name, DAY, start)
    assert begun.join(later, on=key, how="anti").height == 0
    assert labels.join(later, on=key, how="semi").height == begun.select(key).n_unique()
    assert generator.derive(table.name, DAY, DAY + timedelta(1)).height == 0


def test_references_of_the_tables_hold(make: Make) -> None:
    generator = make(base_daily_volume=VOLUME)
    week = days(DAY - timedelta(6), 7)
    tables: dict[str, pl.DataFrame] = {generator.events.name: pl.concat([generator.generate(day) for day in week])}
    for table in generator.tables[1:]:
        if table.kind == "dimension":
            tables[table.name] = rows_of(generator, table, DAY)
        else:
            tables[table.name] = pl.concat([generator.derive(table.name, day, week[0]) for day in week])
    for reference in references(generator.tables):
        values = tables[reference.table.name].select(pl.col(reference.column).alias(reference.key)).drop_nulls()
        lost = values.join(tables[reference.target.name], on=reference.key, how="anti")
        assert lost.height == 0, reference


def test_day_alone_equals_day_in_any_order(make: Make) -> None:
    alone = make().generate(DAY)
    forward, backward = make(), make()
    window = days(DAY - timedelta(3), 7)
    in_range = {day: forward.generate(day) for day in window}
    in_reverse = {day: backward.generate(day) for day in reversed(window)}
    assert alone.height > 0
    assert_frame_equal(alone, in_range[DAY])
    for day in window:
        assert_frame_equal(in_range[day], in_reverse[day])


def test_slices_in_any_chunks_give_the_same_rows(make: Make, small_slices: None) -> None:
    whole = make(base_daily_volume=4_000).generate(DAY)
    assert len(list(make(base_daily_volume=4_000).batches(DAY))) > 3
    for rows in (7, 97, 300, 10**6):
        chunks = list(make(base_daily_volume=4_000).batches(DAY, rows=rows))
        assert all(chunk.height == rows for chunk in chunks[:-1])
        assert_frame_equal(pl.concat(chunks), whole)


def test_slice_is_a_function_of_its_number(make: Make, small_slices: None) -> None:
    generator = make()
    plan = generator.plan(DAY)
    last = len(plan.sizes) - 1
    late_first = generator.draw(generator.batch(plan, last))
    generator.draw(generator.batch(plan, 0))
    assert_frame_equal(generator.draw(generator.batch(plan, last)), late_first)


def test_rows_are_sorted_inside_the_local_day(make: Make, small_slices: None) -> None:
    for day in (DAY, SPRING_FORWARD, FALL_BACK):
        frame = make().generate(day)
        assert frame["timestamp"].is_sorted()
        assert frame["timestamp"].dt.date().unique().to_list() == [day]
        if "record_id" in frame.columns:
            assert frame["record_id"].to_list() == list(range(frame.height))


def test_frames_keep_the_schema(make: Make) -> None:
    generator = make()
    for day in (DAY, date(2020, 2, 29)):
        frame = generator.generate(day)
        assert frame.schema == generator.events.polars_schema(generator.config.timezone)
        assert generator.events.violations(frame) == []


def test_unique_columns_are_unique_over_days(make: Make) -> None:
    generator = make()
    frame = pl.concat([generator.generate(day) for day in days(date(2024, 1, 1), 20)])
    for column in generator.events:
        if column.unique:
            assert frame[column.name].n_unique() == frame.height


def test_seed_changes_the_rows(make: Make) -> None:
    assert not make(seed=1).generate(DAY).equals(make(seed=2).generate(DAY))
    assert make(seed=None).generate(DAY).equals(make(seed=0).generate(DAY))


def test_global_random_state_is_untouched(make: Make) -> None:
    before = np.random.get_state()  # noqa: NPY002 - the legacy state is what must not change
    make().generate(DAY)
    after = np.random.get_state()  # noqa: NPY002
    assert str(after) == str(before)


def test_added_column_leaves_the_others(make: Make) -> None:
    plain = make()

    class Wider(type(plain)):  # type: ignore[misc]
        name = plain.name

        def draw(self, batch: Batch) -> pl.DataFrame:
            more = pl.Series("additional", batch.rng("additional").random(batch.n))
            return super().draw(batch).with_columns(more)  # type: ignore[no-any-return]

        def overlay_frames(self, day: date) -> Iterator[pl.DataFrame]:
            for extra in super().overlay_frames(day):
                yield extra.with_columns(additional=pl.lit(0.5))

    events = plain.events
    wider = TableSchema(
        events.name, events.kind, "1.1", (*events.columns, Column("additional", pl.Float64, "New.", ge=0, le=1))
    )
    Wider.tables = (wider, *plain.tables[1:])
    frame = Wider().generate(DAY)
    assert frame["additional"].null_count() == 0
    assert_frame_equal(frame.drop("additional"), plain.generate(DAY))


def test_undeclared_or_missing_column_is_refused(make: Make) -> None:
    plain = make()

    class Extra(type(plain)):  # type: ignore[misc]
        name = plain.name

        def draw(self, batch: Batch) -> pl.DataFrame:
            return super().draw(batch).with_columns(stray=pl.lit(1))  # type: ignore[no-any-return]

    with pytest.raises(DataError, match="'stray'"):
        Extra().generate(DAY)


@pytest.mark.parametrize("bad", [date(1969, 12, 31), date(2100, 1, 1), "2024-01-01"])
def test_day_outside_the_calendar_is_refused(make: Make, bad: Any) -> None:
    with pytest.raises(CalendarError, match="day"):
        list(make().batches(bad))


PROBE = """
import hashlib, sys
from datetime import date
sys.path.insert(0, ".")
import polars as pl
import generators.base
from generators import list_generators, get_generator
from tests.generators.two_processes import TwoProcessGenerator
order, rows = int(sys.argv[1]), int(sys.argv[2]) or None
window, week = [date(2024, 11, 28), date(2024, 11, 29), date(2024, 11, 30)][::order], date(2024, 11, 23)
makers = {info.name: lambda name=info.name, **fields: get_generator(name, **fields) for info in list_generators()}
makers["two_processes"] = TwoProcessGenerator
found = []
def show(name, frame):
    found.append((name, frame.height, hashlib.sha256(frame.write_csv().encode()).hexdigest()))
for slice_rows in (generators.base.SLICE_ROWS, 300):
    generators.base.SLICE_ROWS = slice_rows
    for name, make in makers.items():
        generator = make(base_daily_volume=700)
        for day in window:
            show(f"{slice_rows} {name} {day}", pl.concat(list(generator.batches(day, rows=rows))))
for name, make in makers.items():
    small = make(base_daily_volume=40)
    for table in small.tables[1:]:
        for day in window if table.kind == "labels" else ():
            show(f"{name} {table.name} {day}", small.derive(table.name, day))
        if table.kind == "dimension":
            show(f"{name} {table.name}", pl.concat(list(small.dimension(table.name, week, date(2024, 11, 29)))))
print(sorted(found))
"""


@pytest.fixture(scope="module")
def expected() -> str:
    """What a process of its own says of every table."""
    return _probe({})


def test_processes_agree_whatever_their_environment(expected: str) -> None:
    """Two processes, another order of days, other chunks, threads, time zone and hash seed: the same rows."""
    assert len(ast.literal_eval(expected)) >= sum(len(info.tables) for info in list_generators())
    environment = {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "POLARS_MAX_THREADS": "7", "OMP_NUM_THREADS": "1"}
    assert _probe(environment, order=-1, rows=97) == expected


def test_faked_system_date_changes_nothing(expected: str) -> None:
    fake = (
        "import datetime as d, time\n"
        "class Fake(d.date):\n"
        "    @classmethod\n"
        "    def today(cls): return cls(2031, 1, 1)\n"
        "time.time = lambda: 1925000000.0\n"
        "d.date = Fake\n"
    )
    # The fake replaces datetime.date for modules imported after it; days in the probe are its instances.
    assert _probe({}, fake) == expected


def _probe(environment: dict[str, str], before: str = "", order: int = 1, rows: int = 0) -> str:
    result = subprocess.run(
        [sys.executable, "-c", before + PROBE, str(order), str(rows)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


@pytest.mark.long
def test_day_of_several_real_slices_is_one_day(make: Make) -> None:
    """Slices of their real size: alone, in a range, in reverse, in chunks. Twenty seconds a generator."""
    volume = 3 * generators.base.SLICE_ROWS
    alone = make(base_daily_volume=volume).generate(ORDINARY_DAY)
    assert len(make(base_daily_volume=volume).plan(ORDINARY_DAY).sizes) >= 3
    backward = make(base_daily_volume=volume)
    backward.generate(ORDINARY_DAY + timedelta(1))
    assert backward.generate(ORDINARY_DAY).equals(alone)
    offset = 0
    for chunk in make(base_daily_volume=volume).batches(ORDINARY_DAY, rows=100_000):
        assert chunk.equals(alone.slice(offset, chunk.height))
        offset += chunk.height
    assert offset == alone.height


def test_hours_of_an_event_change_the_day_and_its_volume(make: Make) -> None:
    """A factor for each hour of an event: no intensity before noon, and the volume is what is left of it."""
    closed = make(holiday_profile="retail", holiday_multipliers={"black_friday": [0.0] * 12 + [1.0] * 12})
    plain = make(holiday_profile="retail", holiday_multipliers={"black_friday": 1.0})
    arrivals = closed.plan(DAY).arrivals
    noon = (arrivals.end - arrivals.start) / 2
    assert np.interp(noon, arrivals.knots, arrivals.cumulative) == 0.0
    for process, other in zip(closed.processes, plain.processes, strict=True):
        shares = other.intraday.shares(arrivals.start, arrivals.end)
        afternoon = shares[len(shares) // 2 :].sum()
        assert process.volume.expected(DAY) == pytest.approx(other.volume.expected(DAY) * afternoon)
    ordinary = DAY - timedelta(30)
    assert closed.expected(ordinary) == plain.expected(ordinary)


def test_overlay_rows_are_merged_in_time_order(small_slices: None) -> None:
    generator = TwoProcessGenerator()
    frame = generator.generate(DAY)
    plan = generator.plan(DAY)
    assert frame.height == plan.rows + EPISODE_ROWS
    assert frame["timestamp"].is_sorted()
    episode = frame.filter(pl.col("kind") == "episode")
    assert episode["timestamp"].dt.hour().to_list()[0] == 12


def test_processes_keep_their_hours_and_shares() -> None:
    generator = TwoProcessGenerator(base_daily_volume=40_000, volume_noise=0)
    frame = generator.generate(date(2024, 3, 6)).filter(pl.col("kind") != "episode")
    hours = frame.with_columns(hour=pl.col("timestamp").dt.hour())
    by_day = hours.filter(pl.col("hour").is_between(8, 19))
    assert by_day["kind"].unique().to_list() == ["day"]
    assert abs(by_day.height / frame.height - 0.75) < 5 * np.sqrt(0.75 * 0.25 / frame.height)


def test_overlay_outside_the_day_is_refused() -> None:
    class Stray(TwoProcessGenerator):
        def overlay(self, day: date) -> pl.DataFrame | None:
            extra = super().overlay(day)
            assert extra is not None
            return extra.with_columns(pl.col("timestamp") + 86_400_000_000)

    with pytest.raises(CalendarError, match="outside the day"):
        Stray().generate(DAY)
