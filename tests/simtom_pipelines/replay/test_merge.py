"""Several tables in one stream, against a sort of all their rows by the standard library."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simtom_pipelines.replay import CursorError, MissingDaysError, ReplayError, ReplayRequest, VirtualClock, replay
from tests.simtom_pipelines.replay.folder import FIRST, FolderLake, ListSink, days_from, frame

TABLES = ("shop/orders", "bank/payments", "clinic/visits")
ZONES = ("America/New_York", "Asia/Tokyo", "America/New_York")


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    """Whole seconds, so that equal times abound within and across the tables; one table lies in another zone."""
    lake = FolderLake(tmp_path / "lake")
    for n, (table, zone) in enumerate(zip(TABLES, ZONES, strict=True)):
        for day in days_from(FIRST, 2 + n):
            seconds = np.sort((np.arange(300 + 50 * n) * (7_919 + 2 * n)) % 400) * 200.0
            made = frame(day, seconds, zone).with_columns(
                pl.col("id").map_elements(lambda i, t=table: f"{t}#{i}", pl.String)
            )
            if zone == "Asia/Tokyo":  # the frame counts from midnight in New York
                made = made.with_columns(pl.col("timestamp") - pl.duration(hours=14))
            lake.put(day, made.with_columns(**{f"extra_{n}": pl.lit(n)}), group=70, table=table)
    return lake


def expected(lake: FolderLake, tables: tuple[str, ...] = TABLES) -> list[str]:
    """All ids by (time, rank, place in the table), from the files themselves."""
    rows: list[tuple[float, int, int, str]] = []
    for rank, table in enumerate(tables):
        place = 0
        for day in lake.days(*table.split("/")):
            stored = pl.read_parquet(lake.path(day, table), columns=["id", "timestamp"])
            for name, moment in stored.iter_rows():
                rows.append((moment.timestamp(), rank, place, name))
                place += 1
    return [name for _, _, _, name in sorted(rows)]


def request(**options: object) -> ReplayRequest:
    return ReplayRequest("shop", "orders", also=TABLES[1:], **({"day_in": 0.2} | options))  # type: ignore[arg-type]


def run(lake: FolderLake, **options: object) -> ListSink:
    sink = ListSink(VirtualClock())
    assert replay(request(**options), sink, lake=lake, clock=sink.clock).finished
    return sink


@pytest.mark.parametrize("rows", [None, 5, 64, 100_000])
def test_records_come_by_time_then_rank_then_row_whatever_the_chunking(lake: FolderLake, rows: int | None) -> None:
    sink = run(lake, chunk_rows=rows)
    assert sink.ids == expected(lake)
    assert len(sink.records) - len({record["timestamp"] for record in sink.records}) > 1_000  # ties were met


def test_rank_is_the_place_in_the_list(lake: FolderLake) -> None:
    sink = ListSink(VirtualClock())
    turned = ReplayRequest("clinic", "visits", also=("shop/orders",), asap=True)
    replay(turned, sink, lake=lake, clock=sink.clock)
    assert sink.ids == expected(lake, ("clinic/visits", "shop/orders"))


def test_one_schedule_holds_for_all(lake: FolderLake) -> None:
    sink = run(lake, day_in=86.4)
    stamps = np.array([date_seconds(record["timestamp"]) for record in sink.records])
    late = np.array(sink.moments) - (stamps - stamps[0]) / 1_000.0
    assert late.min() > -1e-6
    assert late.max() < 0.0005 + 1e-6


def date_seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_records_tell_their_table_and_keep_their_own_fields(lake: FolderLake) -> None:
    for record in run(lake, asap=True, day_in=None).records:
        table = record["id"].partition("#")[0]
        assert record["_dataset"] == table
        assert {key for key in record if key.startswith("extra")} == {f"extra_{TABLES.index(table)}"}
    named = run(lake, asap=True, day_in=None, dataset_field="source").records[0]
    assert (named["source"], "_dataset" in named) == ("bank/payments", False)
    assert "_dataset" not in run(lake, asap=True, day_in=None, dataset_field="").records[0]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, 900), max_size=5), rows=st.sampled_from([None, 400]), loop=st.sampled_from([1, 2]))
def test_stopped_anywhere_and_resumed_nothing_is_lost_or_doubled(
    lake: FolderLake, tmp_path: Path, stops: list[int], rows: int | None, loop: int
) -> None:
    cursor = tmp_path / "cursor.json"
    cursor.unlink(missing_ok=True)
    sink = ListSink(VirtualClock())
    for stop_after in [*stops, None]:
        sink.stop_after = stop_after
        report = replay(request(cursor=cursor, chunk_rows=rows, loop=loop), sink, lake=lake, clock=sink.clock)
    assert sink.ids == expected(lake) * loop
    assert report.finished
    again = replay(request(cursor=cursor, loop=loop), ListSink(VirtualClock()), lake=lake, clock=VirtualClock())
    assert (again.emitted, again.finished) == (0, True)


def test_changed_data_of_any_table_are_refused_on_resume(lake: FolderLake, tmp_path: Path) -> None:
    sink = ListSink(VirtualClock(), stop_after=500)
    replay(request(cursor=tmp_path / "c"), sink, lake=lake, clock=sink.clock)
    (day,) = {
        d for table, d, _ in json.loads((tmp_path / "c").read_text())["position"]["fingerprints"] if table == TABLES[2]
    }
    path = lake.path(date.fromisoformat(day), TABLES[2])
    lake.put(date.fromisoformat(day), pl.read_parquet(path), "f2", table=TABLES[2])
    with pytest.raises(CursorError, match=rf"day {day} of clinic/visits had fingerprint f1, now f2"):
        replay(request(cursor=tmp_path / "c"), sink, lake=lake, clock=sink.clock)
    assert len(sink.records) == 500


def test_cursor_of_other_tables_is_refused(lake: FolderLake, tmp_path: Path) -> None:
    sink = ListSink(VirtualClock(), stop_after=5)
    replay(request(cursor=tmp_path / "c"), sink, lake=lake, clock=sink.clock)
    other = ReplayRequest("shop", "orders", also=TABLES[1:2], asap=True, cursor=tmp_path / "c")
    with pytest.raises(CursorError, match=r"of 'shop/orders,bank/payments,clinic/visits .*asked is 'shop/orders,bank"):
        replay(other, sink, lake=lake, clock=sink.clock)


def test_missing_days_name_their_table(lake: FolderLake) -> None:
    with pytest.raises(MissingDaysError, match=r"1 days of shop/orders are not stored: 2024-11-30"):
        run(lake, start=FIRST, end=FIRST + timedelta(days=2))
    sink = run(lake, start=FIRST, end=FIRST + timedelta(days=2), allow_missing=True)
    assert {record["_dataset"] for record in sink.records} == set(TABLES)


def test_unusable_lists_of_tables_are_refused(lake: FolderLake) -> None:
    with pytest.raises(ReplayError, match="asked for twice"):
        ReplayRequest("shop", "orders", also=("shop/orders",))
    with pytest.raises(ReplayError, match="also names 'bank'; expected dataset/table"):
        ReplayRequest("shop", "orders", also=("bank",))
    with pytest.raises(ReplayError, match="no day of bank/nope is stored"):
        replay(ReplayRequest("shop", "orders", also=("bank/nope",)), ListSink(VirtualClock()), lake=lake)
