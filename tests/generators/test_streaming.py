"""Streams of a generator: the rows of the days, at their due time, on a clock that moves when it is slept on."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from generators import ConfigError, StreamRequest, get_generator
from generators.base import BaseGenerator
from generators.streaming import ARRIVAL_BLOCK, Arrival, Arrivals

DAY = date(2024, 11, 28)
NOW = datetime(2024, 11, 28, 15, 30, tzinfo=UTC)
SMALL: dict[str, Any] = {"base_daily_volume": 40, "seed": 3}


class VirtualAsyncClock:
    def __init__(self) -> None:
        self.moment = 100.0

    def now(self) -> float:
        return self.moment

    async def sleep_until(self, when: float) -> None:
        self.moment = max(self.moment, when)


def streamed(generator: BaseGenerator[Any], **fields: Any) -> tuple[list[dict[str, Any]], list[float]]:
    """Return the records and the seconds after the beginning at which they came."""
    clock = VirtualAsyncClock()

    async def collect() -> list[tuple[dict[str, Any], float]]:
        return [(record, clock.moment - 100.0) async for record in generator.stream(clock=clock, **fields)]

    found = asyncio.run(collect())
    return [record for record, _ in found], [moment for _, moment in found]


def live_days(count: int) -> pl.DataFrame:
    generator = get_generator("bnpl", label_mode="live", **SMALL)
    return pl.concat([generator.generate(DAY + timedelta(n)) for n in range(count)])


def test_stream_is_the_days_in_live_mode() -> None:
    records, _ = streamed(
        get_generator("bnpl", **SMALL), rate_per_second=10, start_date=DAY, end_date=DAY + timedelta(1)
    )
    assert records == live_days(2).to_dicts()
    assert {record["will_default"] for record in records} == {None}


def test_stream_keeps_a_label_mode_that_was_asked_for() -> None:
    generator = get_generator("bnpl", label_mode="training", **SMALL)
    records, _ = streamed(generator, rate_per_second=10, start_date=DAY, end_date=DAY)
    assert records == generator.generate(DAY).to_dicts()
    assert None not in {record["will_default"] for record in records}


def test_config_changed_on_construction_leaves_the_label_mode_open() -> None:
    generator = type(get_generator("bnpl"))(get_generator("bnpl", **SMALL).config, seed=4)
    records, _ = streamed(generator, rate_per_second=10, start_date=DAY, total_records=3)
    assert {record["will_default"] for record in records} == {None}


def test_compressed_records_come_at_their_place_in_event_time() -> None:
    compression = 3600.0
    records, moments = streamed(
        get_generator("bnpl", **SMALL), time_compression=compression, start_date=DAY, end_date=DAY + timedelta(2)
    )
    midnight = datetime(2024, 11, 28, 5, tzinfo=UTC)
    due = [(record["timestamp"] - midnight).total_seconds() / compression for record in records]
    assert moments == pytest.approx(due, abs=1e-9)
    assert max(moments) > 48.0


def test_stream_from_now_on_begins_now_and_goes_on_into_the_next_day() -> None:
    frame = live_days(2)
    later = frame.filter(pl.col("timestamp").dt.convert_time_zone("UTC") >= NOW)
    records, moments = streamed(get_generator("bnpl", **SMALL), now=NOW, total_records=later.height)
    assert records == later.to_dicts()
    assert moments[0] == pytest.approx((records[0]["timestamp"] - NOW).total_seconds(), abs=1e-6)
    assert records[-1]["timestamp"].date() == DAY + timedelta(1)


def test_rate_paces_delivery_and_leaves_values_alone() -> None:
    fields: dict[str, Any] = {"start_date": DAY, "total_records": 60}
    even, moments = streamed(get_generator("bnpl", **SMALL), rate_per_second=8, **fields)
    random, gaps = streamed(get_generator("bnpl", **SMALL), rate_per_second=8, arrival="poisson", **fields)
    assert even == random == live_days(3).head(60).to_dicts()
    assert moments == pytest.approx(np.arange(60) / 8)
    assert np.std(np.diff(gaps)) > 0.5 / 8


def test_poisson_deliveries_are_a_poisson_process() -> None:
    due = Arrivals(5, "bnpl", Arrival.poisson).take(50_000) / 1e6
    assert stats.kstest(np.diff(due, prepend=0.0), "expon").pvalue > 1e-6
    assert abs(np.corrcoef(np.diff(due)[:-1], np.diff(due)[1:])[0, 1]) < 5 / 50_000**0.5
    assert due[-1] == pytest.approx(50_000, rel=5 / 50_000**0.5)


@pytest.mark.parametrize("arrival", list(Arrival))
def test_deliveries_do_not_depend_on_how_many_are_taken_at_a_time(arrival: Arrival) -> None:
    count = 2 * ARRIVAL_BLOCK + 100
    whole = Arrivals(1, "g", arrival).take(count)
    pieces = Arrivals(1, "g", arrival)
    split = np.concatenate([pieces.take(n) for n in (1, ARRIVAL_BLOCK - 1, 0, ARRIVAL_BLOCK + 5, 95)])
    np.testing.assert_allclose(split, whole, atol=1)
    resumed = Arrivals(1, "g", arrival, first=ARRIVAL_BLOCK - 3).take(50)
    np.testing.assert_allclose(np.diff(resumed), np.diff(whole)[ARRIVAL_BLOCK - 3 :][:49], atol=1)


@pytest.mark.parametrize(
    "fields, named",
    [
        ({"rate_per_second": 5, "time_compression": 2}, "rate_per_second and time_compression"),
        ({"rate_per_second": 0}, "'rate_per_second'"),
        ({"time_compression": float("nan")}, "'time_compression'"),
        ({"total_records": 0}, "'total_records'"),
        ({"arrival": "poisson"}, "without rate_per_second"),
        ({"rate_per_second": 5, "arrival": "burst"}, "'arrival'"),
        ({"start_date": "2024-02-30"}, "'start_date'"),
        ({"start_date": "2024-03-02", "end_date": "2024-03-01"}, "end_date 2024-03-01 is before"),
        ({"rate": 5}, "unknown field 'rate'"),
    ],
)
def test_request_that_cannot_be_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        StreamRequest.create(**fields)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "fields, named",
    [
        ({}, "start_date: None given"),
        ({"now": datetime(2024, 11, 28, 15)}, "now: 2024-11-28"),  # noqa: DTZ001
        ({"now": NOW, "end_date": date(2024, 11, 27)}, "end_date: 2024-11-27 given"),
    ],
)
def test_stream_without_a_first_instant_is_refused(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        streamed(get_generator("bnpl", **SMALL), **fields)


def test_stream_on_the_loop_is_never_early() -> None:
    async def moments() -> list[float]:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        stream = get_generator("bnpl", **SMALL).stream(rate_per_second=200, start_date=DAY, total_records=40)
        return [loop.time() - begin async for _ in stream]

    assert (np.array(asyncio.run(moments())) >= np.arange(40) / 200).all()
