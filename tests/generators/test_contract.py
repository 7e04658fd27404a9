"""What every generator promises: a day is a pure function of (config, day)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import generators.base
from generators import CalendarError, Column, DataError, get_generator, list_generators
from generators.base import BaseGenerator, Batch
from generators.schema import TableSchema
from tests.generators.two_processes import EPISODE_ROWS, TwoProcessGenerator, days

DAY = date(2024, 11, 29)
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
    whole = make(base_daily_volume=1_500).generate(DAY)
    assert len(list(make(base_daily_volume=1_500).batches(DAY))) > 3
    for rows in (1, 97, 300, 10**6):
        chunks = list(make(base_daily_volume=1_500).batches(DAY, rows=rows))
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

        def overlay(self, day: date) -> pl.DataFrame | None:
            extra = super().overlay(day)
            return None if extra is None else extra.with_columns(additional=pl.lit(0.5))

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
window = [date(2024, 11, 28), date(2024, 11, 29), date(2024, 11, 30)][::order]
makers = {info.name: lambda name=info.name, **fields: get_generator(name, **fields) for info in list_generators()}
makers["two_processes"] = TwoProcessGenerator
found = []
for slice_rows in (generators.base.SLICE_ROWS, 300):
    generators.base.SLICE_ROWS = slice_rows
    for name, make in makers.items():
        generator = make(base_daily_volume=700)
        for day in window:
            frame = pl.concat(list(generator.batches(day, rows=rows)))
            found.append((slice_rows, name, str(day), hashlib.sha256(frame.write_csv().encode()).hexdigest()))
print(sorted(found))
"""


def test_processes_agree_whatever_their_environment() -> None:
    """Two processes, another order of days, other chunks, threads, time zone and hash seed: the same rows."""
    expected = _plain_probe()
    assert len(ast.literal_eval(expected)) >= 12
    for order, rows, environment in (
        (-1, 97, {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "POLARS_MAX_THREADS": "7", "OMP_NUM_THREADS": "7"}),
        (1, 1_000, {"PYTHONHASHSEED": "2", "TZ": "UTC", "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}),
    ):
        assert _probe(environment, order=order, rows=rows) == expected, environment


def test_faked_system_date_changes_nothing() -> None:
    fake = (
        "import datetime as d, time\n"
        "class Fake(d.date):\n"
        "    @classmethod\n"
        "    def today(cls): return cls(2031, 1, 1)\n"
        "time.time = lambda: 1925000000.0\n"
        "d.date = Fake\n"
    )
    # The fake replaces datetime.date for modules imported after it; days in the probe are its instances.
    assert _probe({}, fake) == _plain_probe()


@lru_cache(maxsize=1)
def _plain_probe() -> str:
    return _probe({})


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
    volume = 2 * generators.base.SLICE_ROWS + 50_000
    alone = make(base_daily_volume=volume).generate(DAY)
    assert len(make(base_daily_volume=volume).plan(DAY).sizes) >= 3
    backward = make(base_daily_volume=volume)
    backward.generate(DAY + timedelta(1))
    assert backward.generate(DAY).equals(alone)
    offset = 0
    for chunk in make(base_daily_volume=volume).batches(DAY, rows=100_000):
        assert chunk.equals(alone.slice(offset, chunk.height))
        offset += chunk.height
    assert offset == alone.height


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
