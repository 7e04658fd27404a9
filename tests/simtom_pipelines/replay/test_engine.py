"""The replay end to end on a virtual clock: order, gaps, policies, windows, loops."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from generators.errors import SimtomError
from simtom_pipelines.replay import (
    MissingDaysError,
    ReplayError,
    ReplayReport,
    ReplayRequest,
    VirtualClock,
    replay,
)
from tests.simtom_pipelines.replay.folder import (
    DATASET,
    FIRST,
    TABLE,
    FolderLake,
    ListSink,
    days_from,
    even,
    frame,
    stored_ids,
)


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    """Three days, the middle one empty; irregular gaps; ties."""
    lake = FolderLake(tmp_path / "lake")
    seconds = np.repeat(np.sort((np.arange(1_500) * 7_919.0) % 86_400.0), 2)
    lake.put(FIRST, frame(FIRST, seconds))
    empty, last = days_from(FIRST, 3)[1:]
    lake.put(empty, frame(empty, []))
    lake.put(last, frame(last, even(700)))
    return lake


def run(lake: FolderLake, sink: ListSink, **options: object) -> ReplayReport:
    request = ReplayRequest(DATASET, TABLE, **options)  # type: ignore[arg-type]
    return replay(request, sink, lake=lake, clock=sink.clock)


def event_seconds(sink: ListSink) -> np.ndarray:
    stamps = [datetime.fromisoformat(record["timestamp"]).timestamp() for record in sink.records]
    return np.array(stamps) - stamps[0]


def test_replay_emits_the_stored_rows_in_order(lake: FolderLake) -> None:
    sink = ListSink(VirtualClock())
    report = run(lake, sink, asap=True)
    assert sink.ids == stored_ids(lake)
    assert report.finished
    assert report.emitted == 3_700
    assert (sink.opened, sink.closed) == (1, 1)


@pytest.mark.parametrize("compression", [7.5, 240.0, 8_640.0])
def test_gaps_are_scaled_and_no_record_is_early(lake: FolderLake, compression: float) -> None:
    sink = ListSink(VirtualClock(1_000.0))
    report = run(lake, sink, time_compression=compression)
    lateness = np.array(sink.moments) - 1_000.0 - event_seconds(sink) / compression
    assert lateness.min() > -1e-6
    assert lateness.max() < 0.0005 + 1e-6  # the quantum in which the pacer wakes
    assert report.achieved_compression == pytest.approx(compression, rel=1e-4)
    assert report.late == 0


def test_day_in_is_the_wall_time_of_a_day(lake: FolderLake) -> None:
    sink = ListSink(VirtualClock())
    report = run(lake, sink, day_in=10.0)
    assert report.elapsed == pytest.approx(30.0, rel=0.01)


def test_schedule_of_an_hour_does_not_drift(tmp_path: Path) -> None:
    lake, sink = FolderLake(tmp_path), ListSink(VirtualClock())
    lake.put(FIRST, frame(FIRST, np.arange(36_000) * 0.1))
    run(lake, sink, time_compression=1.0)
    np.testing.assert_allclose(sink.moments, np.arange(36_000) * 0.1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 7, 999, 1_000, 100_000])
def test_chunk_size_never_changes_the_output(lake: FolderLake, rows: int) -> None:
    usual, other = ListSink(VirtualClock()), ListSink(VirtualClock())
    run(lake, usual, day_in=60.0)
    run(lake, other, day_in=60.0, chunk_rows=rows)
    assert other.records == usual.records
    np.testing.assert_allclose(other.moments, usual.moments, atol=0.0005 + 1e-9)


def test_slow_sink_cannot_hide_lateness(tmp_path: Path) -> None:
    lake, sink = FolderLake(tmp_path), ListSink(VirtualClock(), delay=2.0)
    lake.put(FIRST, frame(FIRST, [0.0, 1.0, 1.5, 10.0]))
    report = run(lake, sink, time_compression=1.0)
    # 0 is taken at 2; 1 and 1.5 go out at 2 and are taken at 4; 10 is on schedule again and taken at 12.
    assert sink.moments == [0.0, 2.0, 2.0, 10.0]
    assert report.lateness["max"] == pytest.approx(3.0)
    assert report.late == 4
    assert report.blocked == pytest.approx(6.0)


def test_late_slip_keeps_the_gaps(tmp_path: Path) -> None:
    lake, sink = FolderLake(tmp_path), ListSink(VirtualClock(), delay=2.0)
    lake.put(FIRST, frame(FIRST, [0.0, 1.0, 4.0, 8.0]))
    report = run(lake, sink, time_compression=1.0, late="slip")
    assert sink.moments == [0.0, 2.0, 5.0, 9.0]
    assert report.slipped == pytest.approx(1.0)


def test_late_drop_skips_and_counts(tmp_path: Path) -> None:
    lake, sink = FolderLake(tmp_path), ListSink(VirtualClock(), delay=2.0)
    lake.put(FIRST, frame(FIRST, [0.0, 1.0, 1.95, 8.0]))
    report = run(lake, sink, time_compression=1.0, late="drop")
    assert [i[-1] for i in sink.ids] == ["0", "2", "3"]
    assert report.dropped == 1
    assert report.emitted == 3
    assert sink.moments == [0.0, 2.0, 8.0]


def test_window_of_dates_is_inclusive_and_instants_half_open(lake: FolderLake) -> None:
    _first, _, last = days_from(FIRST, 3)
    by_date, by_instant = ListSink(VirtualClock()), ListSink(VirtualClock())
    run(lake, by_date, asap=True, start=last, end=last)
    assert len(by_date.records) == 700
    end = datetime.fromisoformat(by_date.records[100]["timestamp"])
    run(lake, by_instant, asap=True, start=last, end=end)
    assert by_instant.ids == by_date.ids[:100]
    rest = ListSink(VirtualClock())
    run(lake, rest, asap=True, start=end)
    assert rest.ids == by_date.ids[100:]


@pytest.mark.parametrize(
    "bounds,hours", [((time(9), time(18)), range(9, 18)), ((time(22), time(6)), [22, 23, 0, 1, 2, 3, 4, 5])]
)
def test_time_of_day_is_local_and_crosses_midnight(
    lake: FolderLake, bounds: tuple[time, time], hours: list[int]
) -> None:
    sink = ListSink(VirtualClock())
    run(lake, sink, asap=True, time_of_day=bounds)
    days = [pl.read_parquet(lake.path(day)) for day in lake.days(DATASET, TABLE)]
    expected = pl.concat(days).filter(pl.col("timestamp").dt.hour().is_in(list(hours)))
    assert sink.ids == expected["id"].to_list()
    assert 0 < len(sink.ids) < 3_700


@pytest.mark.parametrize("day,hours", [(date(2024, 3, 10), 23), (date(2024, 11, 3), 25)])
def test_days_of_23_and_25_hours_take_their_time(tmp_path: Path, day: date, hours: int) -> None:
    lake, sink = FolderLake(tmp_path), ListSink(VirtualClock())
    before, after = days_from(day, 3)[:1], days_from(day, 3)[1]
    lake.put(before[0], frame(day, even(hours * 60, hours * 3_600.0)))
    lake.put(after, frame(after, [0.0]))
    run(lake, sink, time_compression=3_600.0)
    assert len(sink.records) == hours * 60 + 1
    assert sink.moments[-1] == pytest.approx(hours)
    only = ListSink(VirtualClock())
    run(lake, only, asap=True, start=day, end=day)
    assert len(only.records) == hours * 60


def test_loop_repeats_at_the_length_of_the_window(lake: FolderLake) -> None:
    sink = ListSink(VirtualClock())
    report = run(lake, sink, day_in=1.0, loop=3)
    assert sink.ids == stored_ids(lake) * 3
    starts = np.array(sink.moments)[[0, 3_700, 7_400]]
    np.testing.assert_allclose(starts, [0.0, 3.0, 6.0], atol=0.001)
    assert report.cycle == 2


def test_endless_loop_ends_on_stop_and_over_nothing(lake: FolderLake) -> None:
    sink = ListSink(VirtualClock(), stop_after=10_000)
    assert not run(lake, sink, asap=True, loop=0).finished
    assert len(sink.records) == 10_000
    empty = days_from(FIRST, 2)[1]
    assert run(lake, ListSink(VirtualClock()), asap=True, loop=0, start=empty, end=empty).finished


def test_missing_days_are_told_before_anything_is_emitted(lake: FolderLake) -> None:
    lake.path(days_from(FIRST, 2)[1]).unlink()
    sink = ListSink(VirtualClock())
    with pytest.raises(MissingDaysError, match=r"1 days of shop/orders are not stored: 2024-11-29"):
        run(lake, sink, asap=True)
    with pytest.raises(MissingDaysError, match="2024-12-01"):
        run(lake, sink, asap=True, start=days_from(FIRST, 3)[2], end=date(2024, 12, 5))
    assert sink.opened == 0
    assert run(lake, sink, asap=True, allow_missing=True).emitted == 3_700


def test_damaged_and_unsorted_files_are_named(lake: FolderLake) -> None:
    last = days_from(FIRST, 3)[2]
    lake.put(last, frame(last, [5.0, 4.0]))
    with pytest.raises(ReplayError, match=r"2024-11-30.*not sorted") as caught:
        run(lake, ListSink(VirtualClock()), asap=True)
    assert caught.value.report is not None
    assert caught.value.report.emitted == 3_000
    lake.put(last, frame(last, even(5_000)))
    data = bytearray(lake.path(last).read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    lake.path(last).write_bytes(data)
    with pytest.raises(SimtomError, match=r"2024-11-30.*materialise its day again"):
        run(lake, ListSink(VirtualClock()), asap=True)


def test_unusable_requests_say_what_is_allowed(lake: FolderLake) -> None:
    sink = ListSink(VirtualClock())
    with pytest.raises(ReplayError, match="one of time_compression, day_in and asap"):
        ReplayRequest(DATASET, TABLE, asap=True, day_in=1.0)
    with pytest.raises(ReplayError, match="time_compression is -1"):
        ReplayRequest(DATASET, TABLE, time_compression=-1.0)
    with pytest.raises(ReplayError, match="burst, slip, drop, fail"):
        ReplayRequest(DATASET, TABLE, late="wait")  # type: ignore[arg-type]
    with pytest.raises(ReplayError, match="is not after start"):
        run(lake, sink, start=date(2024, 11, 30), end=date(2024, 11, 28))
    with pytest.raises(ReplayError, match=r"start: 2030-01-01 given; allowed: days up to 2024-11-\d\d"):
        run(lake, sink, start=date(2030, 1, 1))
    with pytest.raises(ReplayError, match=r"end: 2020-01-01 given; allowed: days from 2024-11-\d\d on"):
        run(lake, sink, end=date(2020, 1, 1))
    with pytest.raises(ReplayError, match="no column 'when' to replay by; columns: id, timestamp"):
        run(lake, sink, time_column="when")
    with pytest.raises(ReplayError, match="no day of nope/orders is stored"):
        replay(ReplayRequest("nope", TABLE), sink, lake=lake)


def test_progress_comes_about_once_a_second(lake: FolderLake) -> None:
    sink, seen = ListSink(VirtualClock()), []
    request = ReplayRequest(DATASET, TABLE, day_in=10.0)
    replay(request, sink, lake=lake, clock=sink.clock, on_progress=seen.append)
    assert 25 <= len(seen) <= 32
    assert [r.emitted for r in seen] == sorted(r.emitted for r in seen)
    assert "3,700 records" in seen[-1].line()
    assert seen[-1].finished
