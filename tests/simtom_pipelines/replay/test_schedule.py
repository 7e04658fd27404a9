"""What moves the schedule or the instants: gap cap, rebase, durations, and the policy that ends a late run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simtom_pipelines.replay import LateError, ReplayError, ReplayReport, ReplayRequest, VirtualClock, plan, replay
from tests.simtom_pipelines.replay.folder import (
    DATASET,
    FIRST,
    TABLE,
    FolderLake,
    ListSink,
    days_from,
    even,
    frame,
    local_midnight,
    stored_ids,
)

HOUR = 3_600.0


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    """Two days of a shop that is open from nine to noon, a record a minute."""
    lake = FolderLake(tmp_path / "lake")
    for day in days_from(FIRST, 2):
        made = frame(day, 9 * HOUR + even(180, 3 * HOUR))
        lake.put(day, made.with_columns(opened=pl.col("timestamp").dt.offset_by("-1h").dt.convert_time_zone("UTC")))
    return lake


def run(lake: FolderLake, sink: ListSink | None = None, **options: object) -> tuple[ListSink, ReplayReport]:
    sink = sink or ListSink(VirtualClock())
    request = ReplayRequest(DATASET, TABLE, **({"time_compression": 60.0} | options))  # type: ignore[arg-type]
    return sink, replay(request, sink, lake=lake, clock=sink.clock)


def test_max_gap_shortens_the_nights_and_nothing_else(lake: FolderLake) -> None:
    sink, report = run(lake, max_gap=600.0)
    gaps = np.diff(sink.moments)
    assert sink.ids == stored_ids(lake)
    assert gaps[179] == pytest.approx(10.0, abs=1e-6)
    np.testing.assert_allclose(np.delete(gaps, 179), 1.0, atol=1e-6)
    assert report.elapsed == pytest.approx(368.0, abs=1e-3)
    assert plan(ReplayRequest(DATASET, TABLE, time_compression=60.0, max_gap=600.0), lake).wall_seconds == 368.0


def test_max_gap_holds_between_the_turns_and_after_a_resume(lake: FolderLake, tmp_path: Path) -> None:
    options: dict[str, object] = {"max_gap": 600.0, "loop": 2}
    sink, _ = run(lake, **options)
    assert np.diff(sink.moments).max() == pytest.approx(10.0, abs=1e-6)
    part = ListSink(VirtualClock(), stop_after=200)
    run(lake, part, cursor=tmp_path / "c", **options)
    rest, _ = run(lake, cursor=tmp_path / "c", **options)
    assert part.ids + rest.ids == stored_ids(lake) * 2
    np.testing.assert_allclose(np.diff(rest.moments), np.diff(sink.moments)[200:], atol=1e-6)


def test_rebase_moves_every_instant_by_one_span_and_keeps_the_original(lake: FolderLake, tmp_path: Path) -> None:
    now = datetime(2031, 5, 6, 7, 8, 9, 123_456, tzinfo=UTC)
    wall = round((now - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    part = ListSink(VirtualClock(wall=wall), stop_after=200)
    run(lake, part, rebase=True, cursor=tmp_path / "c")
    rest = ListSink(VirtualClock(wall=wall + 10**12))  # a resumed stream goes on in its own time
    run(lake, rest, rebase=True, cursor=tmp_path / "c")
    plain, _ = run(lake)
    records = part.records + rest.records
    span = now - moment(plain.records[0]["timestamp"])
    assert [r["original_timestamp"] for r in records] == [r["timestamp"] for r in plain.records]
    for field in ("timestamp", "opened"):
        assert [moment(r[field]) for r in records] == [moment(r[field]) + span for r in plain.records]
    assert moment(records[0]["timestamp"]) == now
    assert [r["id"] for r in records] == stored_ids(lake)


def test_rebased_turns_of_a_loop_follow_each_other(lake: FolderLake) -> None:
    sink, _ = run(lake, rebase=True, loop=3)
    stamps = [moment(record["timestamp"]) for record in sink.records]
    assert stamps == sorted(stamps)
    assert stamps[360] - stamps[0] == timedelta(days=2)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_duration_is_event_time_from_the_start_on(lake: FolderLake) -> None:
    assert run(lake, duration=10 * HOUR)[0].ids == stored_ids(lake)[:60]
    assert (
        run(lake, duration=24 * HOUR, start=local_midnight(FIRST) + timedelta(hours=10))[0].ids
        == stored_ids(lake)[60:240]
    )
    assert run(lake, duration=1e9)[0].ids == stored_ids(lake)
    with pytest.raises(ReplayError, match="give one of end and duration"):
        run(lake, duration=10.0, end=FIRST)


def test_duration_of_a_day_is_24_hours_at_a_change_of_the_clocks(tmp_path: Path) -> None:
    lake, day = FolderLake(tmp_path), date(2024, 11, 3)
    for each in days_from(day, 2):
        hours = 25 if each == day else 24
        lake.put(each, frame(each, even(hours, hours * HOUR)))
    assert len(run(lake, asap=True, time_compression=None, duration=86_400.0)[0].records) == 24


def test_filters_of_several_kinds(lake: FolderLake) -> None:
    def ids(*filters: str) -> list[str]:
        return run(lake, asap=True, time_compression=None, filters=filters)[0].ids

    rows = pl.concat([pl.read_parquet(lake.path(day)) for day in lake.days(DATASET, TABLE)])
    assert ids("amount > 100") == rows.filter(pl.col("amount") > 100)["id"].to_list()
    assert (
        ids("amount > 100", "shop: amount < 110") == rows.filter(pl.col("amount").is_between(101, 109))["id"].to_list()
    )
    assert ids("id LIKE '2024-11-29%' AND date_part('hour', timestamp) = 9") == [
        f"2024-11-29-{n:06d}" for n in range(60)
    ]
    assert ids("amount < 0") == []
    assert ids("coalesce(nullif(amount, 0.0), NULL) >= 0")[:1] == ["2024-11-28-000001"]  # unknown does not pass


def test_filtered_replay_resumes_exactly_and_tells_its_plan(lake: FolderLake, tmp_path: Path) -> None:
    filters = ("amount > 50 AND id NOT LIKE '%7'",)
    whole = run(lake, filters=filters)[0].ids
    assert plan(ReplayRequest(DATASET, TABLE, filters=filters), lake).rows == len(whole) > 100
    sink = ListSink(VirtualClock())
    for sink.stop_after in (1, 100, 130, None):
        run(lake, sink, filters=filters, cursor=tmp_path / "c")
    assert sink.ids == whole


@pytest.mark.parametrize(
    "text, words",
    [
        ("nope > 1 AND nada = 2", "names nada, nope, which shop/orders has not; its columns: id, timestamp, amount"),
        ("amount", "yields Float64, not true or false"),
        ("amount >", "no SQL expression"),
        ("amount > 'x'", "does not fit shop/orders"),
        ("amount > avg(amount)", "looks at more than one row"),
        ("row_number() OVER (ORDER BY amount) > 3", "looks at more than one row"),
        ("bank: amount > 1", "for 'bank', which is not replayed; replayed: shop/orders"),
    ],
)
def test_unusable_filters_are_refused_before_the_first_record(lake: FolderLake, text: str, words: str) -> None:
    sink = ListSink(VirtualClock())
    with pytest.raises(ReplayError, match=words) as caught:
        run(lake, sink, filters=(text,))
    assert text in str(caught.value)
    assert sink.opened == 0


def test_late_fail_ends_the_run_once_the_budget_is_spent(lake: FolderLake, tmp_path: Path) -> None:
    """A sink that takes 3 s for what comes every second: later and later."""
    sink = ListSink(VirtualClock(), delay=3.0)
    with pytest.raises(LateError, match=r"later than late_after=4.5 s .*late_budget forgives 4") as caught:
        run(lake, sink, late="fail", late_after=4.5, late_budget=4, cursor=tmp_path / "c")
    report = caught.value.report
    assert report is not None
    assert report.late > 4
    assert report.emitted == len(sink.records)
    rest, report = run(lake, cursor=tmp_path / "c", late="fail", late_after=4.5, late_budget=4)
    assert sink.ids + rest.ids == stored_ids(lake)
    assert report.late == 0
    assert run(lake, ListSink(VirtualClock(), delay=0.4), late="fail", late_after=0.5)[1].finished


@pytest.mark.parametrize(
    "options, words",
    [
        ({"late_budget": 3}, "a budget goes with late=fail"),
        ({"late_budget": -1, "late": "fail"}, "late_budget is -1; allowed: a whole number of records from 0"),
        ({"late": "fail", "asap": True, "time_compression": None}, "without a schedule nothing is late"),
        ({"max_gap": 0.0}, "max_gap is 0.0; it must be positive"),
        ({"duration": float("inf")}, "duration is inf; it must be positive"),
    ],
)
def test_unusable_options_say_what_is_allowed(lake: FolderLake, options: dict[str, object], words: str) -> None:
    with pytest.raises(ReplayError, match=words):
        run(lake, **options)
