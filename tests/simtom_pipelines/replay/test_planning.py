"""The plan of a dry run, the lateness histogram and the texts that people type."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from simtom_pipelines.replay import (
    MissingDaysError,
    ReplayError,
    ReplayRequest,
    parse_duration,
    parse_moment,
    parse_time_of_day,
    plan,
)
from simtom_pipelines.replay.statistics import LatenessHistogram
from tests.simtom_pipelines.replay.folder import DATASET, FIRST, TABLE, FolderLake, days_from, even, frame


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    lake = FolderLake(tmp_path)
    first, second = days_from(FIRST, 2)
    burst = np.concatenate([even(1_000, 80_000.0), 86_399.0 + even(200, 1.0)])
    lake.put(first, frame(first, burst))
    lake.put(second, frame(second, [0.0, 0.25, 3_600.0]))
    return lake


def test_plan_tells_rows_span_wall_time_and_peak(lake: FolderLake) -> None:
    found = plan(ReplayRequest(DATASET, TABLE, time_compression=2.0), lake)
    assert (found.rows, found.days) == (1_203, tuple(days_from(FIRST, 2)))
    assert found.span == timedelta(hours=25)
    assert found.wall_seconds == pytest.approx(45_000.0)
    assert found.peak_rate == 202.0  # over two seconds of event time, across midnight
    assert not found.warnings


def test_plan_warns_above_the_ceiling_and_over_nothing(lake: FolderLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtom_pipelines.replay.planning.PACED_CEILING", 100.0)
    assert "time compression below" in plan(ReplayRequest(DATASET, TABLE, day_in=10.0), lake).warnings[0]
    fast = plan(ReplayRequest(DATASET, TABLE, asap=True), lake)
    assert (fast.peak_rate, fast.wall_seconds, fast.warnings) == (None, None, ())
    nothing = plan(ReplayRequest(DATASET, TABLE, time_of_day=(time(22, 30), time(22, 31))), lake)
    assert nothing.rows == 0
    assert "no record" in nothing.warnings[0]


def test_plan_refuses_missing_days_as_the_replay_does(lake: FolderLake) -> None:
    with pytest.raises(MissingDaysError, match="2024-11-27"):
        plan(ReplayRequest(DATASET, TABLE, start=date(2024, 11, 27)), lake)


@pytest.mark.parametrize("share", [0.5, 0.99, 0.999])
def test_histogram_quantiles_are_within_four_percent(share: float) -> None:
    histogram = LatenessHistogram()
    values = np.arange(1, 100_001) * 1e-5
    for part in np.array_split(values, 37):
        histogram.add(part)
    exact = float(np.quantile(values, share))
    assert exact * 0.999 <= histogram.quantile(share) <= exact * 1.041
    assert histogram.maximum == values[-1]


def test_texts_are_parsed_and_refused_with_an_example() -> None:
    assert [parse_duration(t) for t in ("10s", "500ms", "1.5m", "2h", "1d")] == [10.0, 0.5, 90.0, 7_200.0, 86_400.0]
    assert parse_moment("2024-11-29") == date(2024, 11, 29)
    assert parse_moment("2024-11-29T14:00:00Z") == datetime.fromisoformat("2024-11-29T14:00:00+00:00")
    assert parse_time_of_day("22:00-06:30") == (time(22), time(6, 30))
    for parse, text in ((parse_duration, "10"), (parse_duration, "0s"), (parse_moment, "friday"),
                        (parse_moment, "2024-13-01"), (parse_time_of_day, "9")):  # fmt: skip
        with pytest.raises(ReplayError, match=rf"{text}.*\d"):
            parse(text)
