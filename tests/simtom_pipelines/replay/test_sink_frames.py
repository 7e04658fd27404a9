"""The replay as an iterator of frames."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date, datetime
from datetime import time as clock_time
from pathlib import Path

import polars as pl
import pytest

from simtom_pipelines.replay import MissingDaysError, ReplayError, ReplayRequest, VirtualClock, replay_frames
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks.frames import decode
from tests.simtom_pipelines.replay.folder import DATASET, FIRST, TABLE, FolderLake, days_from, even, frame


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    lake = FolderLake(tmp_path / "lake")
    for day in days_from(FIRST, 2):
        lake.put(day, frame(day, even(1_500)))
    return lake


def stored(lake: FolderLake) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(lake.path(day), hive_partitioning=False) for day in lake.days(DATASET, TABLE)])


def test_frames_are_the_stored_rows(lake: FolderLake) -> None:
    found = list(replay_frames(ReplayRequest(DATASET, TABLE, asap=True), lake, rows=400))
    assert max(piece.height for piece in found) <= 400
    assert pl.concat(found).equals(stored(lake))
    assert pl.concat(found).schema == stored(lake).schema


def test_frames_come_when_they_are_due(lake: FolderLake) -> None:
    clock = VirtualClock()
    request = ReplayRequest(DATASET, TABLE, time_compression=3_600.0)
    for piece in replay_frames(request, lake, clock=clock):
        passed = (piece["timestamp"][-1] - stored(lake)["timestamp"][0]).total_seconds() / 3_600.0
        assert clock.now() >= passed - 1e-6  # never early


def test_loop_that_breaks_gets_its_last_frame_again(lake: FolderLake, tmp_path: Path) -> None:
    request = ReplayRequest(DATASET, TABLE, asap=True, cursor=tmp_path / "cursor.json")
    done: list[pl.DataFrame] = []
    for piece in replay_frames(request, lake, rows=100):
        if len(done) == 7:
            break
        done.append(piece)
    rest = list(replay_frames(request, lake, rows=100))
    assert pl.concat(done + rest).equals(stored(lake))
    assert list(replay_frames(request, lake)) == []


def test_slow_loop_gets_larger_frames(lake: FolderLake) -> None:
    heights = []
    for piece in replay_frames(ReplayRequest(DATASET, TABLE, day_in=0.5), lake):
        heights.append(piece.height)
        time.sleep(0.1)
    assert sum(heights) == 3_000
    assert max(heights) > 100
    assert len(heights) < 60


def test_stop_ends_the_loop_and_no_thread_stays(lake: FolderLake) -> None:
    stop, before = threading.Event(), threading.active_count()
    for _ in replay_frames(ReplayRequest(DATASET, TABLE), lake, stop=stop):  # in real time: two days
        stop.set()
    assert threading.active_count() == before


def test_error_of_the_replay_is_raised_in_the_loop(lake: FolderLake) -> None:
    with pytest.raises(MissingDaysError):
        next(replay_frames(ReplayRequest(DATASET, TABLE, asap=True, end=date(2024, 12, 24)), lake))
    with pytest.raises(ReplayError, match="no day of shop/nothing is stored"):
        next(replay_frames(ReplayRequest(DATASET, "nothing"), lake))
    with pytest.raises(ReplayError, match="rows is 0"):
        replay_frames(ReplayRequest(DATASET, TABLE), lake, rows=0)


def test_every_type_comes_back() -> None:
    moment = datetime(2024, 1, 1, 1, 2, 3, 456_789, UTC).replace(tzinfo=None)
    rows = pl.DataFrame(
        {
            "zoned": pl.Series([moment.replace(tzinfo=UTC), None]).dt.convert_time_zone("Asia/Tokyo"),
            "naive": [moment, None],
            "millis": pl.Series([moment, None], dtype=pl.Datetime("ms")),
            "day": [date(2024, 1, 2), None],
            "time": [clock_time(1, 2, 3, 4), clock_time(0)],
            "enum": pl.Series(["b", None], dtype=pl.Enum(["a", "b"])),
            "price": pl.Series(["1.50", None]).cast(pl.Decimal(10, 2)),
            "small": pl.Series([-3, None], dtype=pl.Int8),
            "large": pl.Series([2**63, 1], dtype=pl.UInt64),
            "single": pl.Series([0.1, None], dtype=pl.Float32),
            "double": [0.1, 1e300],
            "flag": [True, None],
            "nothing": pl.Series([None, None], dtype=pl.Int32),
            "text": ['x"\n\u2028', ""],
            "list": [[1, 2], []],
            "struct": [{"a": 1, "b": "x"}, None],
        }
    )
    buffer, _ = encode(rows)
    found = decode(bytes(buffer), rows.schema)
    assert found.schema == rows.schema
    assert found.equals(rows)


def test_further_fields_follow_and_broken_records_are_told() -> None:
    schema = pl.Schema({"n": pl.Int64(), "day": pl.Date()})
    found = decode(b'{"_dataset":"a/b","n":1,"day":"2024-01-02"}\n', schema)
    assert found.rows() == [(1, date(2024, 1, 2), "a/b")]
    assert found.columns == ["n", "day", "_dataset"]
    for broken in (b'{"n":1,"day":"2024-0\n', b'{"n":1,"day":"soon"}\n'):
        with pytest.raises(ReplayError, match="records cannot be read back as rows of the table"):
            decode(broken, schema)
    with pytest.raises(ReplayError, match="column 'took' holds durations"):
        decode(b'{"took":"PT1S"}\n', pl.Schema({"took": pl.Duration()}))
