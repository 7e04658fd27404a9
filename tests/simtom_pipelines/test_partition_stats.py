from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from generators.randomness import stream
from simtom_pipelines.partition_stats import PartitionStats, _duplicates
from tests.generators.two_processes import TwoProcessGenerator
from tests.simtom_pipelines.toy_lake import DAY, SCHEMA, ZONE, frame


def result(*frames: pl.DataFrame, expected: float | None = 1000.0) -> dict[str, Any]:
    stats = PartitionStats(SCHEMA, ZONE, DAY, expected, 0.1)
    for one in frames:
        stats.observe(one)
    return stats.result()


def failed(*frames: pl.DataFrame, expected: float | None = 1000.0) -> list[str]:
    return [name for name, check in result(*frames, expected=expected)["checks"].items() if not check["passed"]]


def test_numbers_against_polars() -> None:
    rows = frame()
    found = result(rows)
    hours = rows["timestamp"].dt.hour()
    assert found["hours"] == [(hours == hour).sum() for hour in range(24)]
    assert found["business_share"] == pytest.approx(hours.is_between(9, 17).mean(), abs=1e-6)
    assert found["evening_share"] == pytest.approx(hours.is_between(18, 22).mean(), abs=1e-6)
    assert found["business_share"] + found["evening_share"] + found["night_share"] == pytest.approx(1)
    assert found["min_timestamp"] == rows["timestamp"][0].isoformat()
    assert found["max_timestamp"] == rows["timestamp"][-1].isoformat()
    assert found["rows"] == rows.height
    assert json.loads(json.dumps(found)) == found


def test_good_partition_passes_whatever_the_frames() -> None:
    rows = frame()
    assert failed(rows) == []
    assert result(rows.head(1), rows.slice(1, 500), rows.head(0), rows.slice(501)) == result(rows)


def test_result_can_be_asked_for_again() -> None:
    stats = PartitionStats(SCHEMA, ZONE, DAY, 1000.0, 0.1)
    for _ in range(2):
        stats.observe(frame())
    assert stats.result() == stats.result()


def test_nulls_and_bounds_are_found_behind_the_sample() -> None:
    rows = pl.concat([frame(base_daily_volume=3000)])
    late = pl.int_range(pl.len()) == rows.height - 1
    null = rows.with_columns(pl.when(~late).then("value").alias("value"))
    above = rows.with_columns(pl.when(late).then(1.5).otherwise("value").alias("value"))
    for broken, problem in ((null, "value: 1 nulls"), (above, "value: 1.5 is above 1")):
        check = result(broken, expected=3000.0)["checks"]["schema"]
        assert check == {"passed": False, "problems": [problem]}


def test_duplicates_are_found_across_frames() -> None:
    rows = frame()
    again = rows.tail(1)
    assert result(rows, again)["checks"]["keys"] == {"passed": False, "duplicates": {"visit_id": 1}}
    assert failed(rows, again) == ["keys"]


def test_keys_compared_early_are_compared_again_after_more_rows() -> None:
    stats = PartitionStats(SCHEMA, ZONE, DAY, 1000.0, 0.1)
    stats.observe(frame())
    stats.compare_keys()
    assert stats.result()["checks"]["keys"] == {"passed": True, "duplicates": {}}
    stats.observe(frame().tail(1))
    assert stats.result()["checks"]["keys"] == {"passed": False, "duplicates": {"visit_id": 1}}


@pytest.mark.parametrize("shift", [0, 12, 40, 60])
@pytest.mark.parametrize("rows", [0, 1, 300, 5_000, 2**20 + 50_000])
def test_doubles_are_counted_whatever_bits_the_hashes_share(rows: int, shift: int) -> None:
    """Hashes that agree in all their low bits, keys that stand many times, and more keys than are compared at once."""
    draw = stream(rows, "keys", DAY, shift, "hash")
    keys = draw.integers(0, max(rows, 1), rows, dtype=np.uint64)
    keys = np.where(draw.random(rows) < 0.3, keys, draw.integers(0, 2**64, rows, dtype=np.uint64)) << np.uint64(shift)
    parts = [keys[: rows // 3].copy(), keys[rows // 3 :].copy()]
    assert _duplicates(parts) == rows - len(np.unique(keys))


def test_order_inside_and_across_frames() -> None:
    rows = frame()
    half = rows.height // 2
    assert failed(rows.reverse()) == ["order_and_bounds"]
    assert failed(rows.slice(half), rows.head(half)) == ["order_and_bounds"]


def test_rows_of_the_next_day() -> None:
    late = frame().with_columns(pl.col("timestamp") + timedelta(hours=1))
    check = result(late)["checks"]["order_and_bounds"]
    assert check["sorted"]
    assert not check["passed"]


def test_volume_band() -> None:
    assert failed(frame(), expected=1000.0) == []
    assert failed(frame(), expected=5000.0) == ["volume"]
    assert failed(frame(base_daily_volume=5000), expected=1000.0) == ["volume"]
    assert failed(frame(), expected=None) == []


def test_a_day_in_one_hour() -> None:
    noon = frame(base_daily_volume=2000).with_columns(pl.col("timestamp").dt.truncate("1d") + pl.duration(hours=12))
    assert failed(noon, expected=2000.0) == ["hour_shares"]


def test_dimension_has_no_times() -> None:
    stats = PartitionStats(SCHEMA, None, None)
    stats.observe(frame())
    assert set(stats.result()) == {"rows", "checks"}
    assert set(stats.result()["checks"]) == {"schema", "keys"}


def test_key_of_several_columns_is_looked_at_over_all_frames() -> None:
    reports = TwoProcessGenerator.table("reports")
    rows = TwoProcessGenerator().derive("reports", DAY)

    def keys(*frames: pl.DataFrame) -> dict[str, Any]:
        stats = PartitionStats(reports, ZONE, DAY)
        for one in frames:
            stats.observe(one)
        return stats.result()["checks"]["keys"]  # type: ignore[no-any-return]

    other = pl.when(pl.col("grade") == "first").then(pl.lit("second")).otherwise(pl.lit("first"))
    twins = rows.with_columns(other.cast(rows["grade"].dtype).alias("grade"))
    assert keys(rows, twins) == {"passed": True, "duplicates": {}}
    assert keys(rows, rows.tail(2)) == {"passed": False, "duplicates": {"visit_id, grade": 2}}
