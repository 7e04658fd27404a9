"""Live rows as a source: the days of the generator, from any position on, without holding a generator."""

from __future__ import annotations

import gc
import json
import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from generators import ConfigError, GeneratorConfig, StreamRequest, generator_class, get_generator
from generators.base import BaseGenerator
from simtom_pipelines.replay import (
    CursorError,
    FileSink,
    Pacing,
    Position,
    ReplayError,
    VirtualClock,
    replay_source,
)
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.following import Following
from simtom_pipelines.replay.lending import Lending
from simtom_pipelines.replay.live import LiveSource
from tests.simtom_pipelines.replay.folder import ListSink

DAY = date(2024, 11, 28)
NOW = datetime(2024, 11, 28, 15, 30, tzinfo=UTC)
VOLUME = 60
LAST = DAY + timedelta(3)


def config(**fields: Any) -> GeneratorConfig:
    return generator_class("bnpl").config_type.create(**{"base_daily_volume": VOLUME, "seed": 3, **fields})


def source(now: datetime | None = None, fields: dict[str, Any] | None = None, **request: Any) -> LiveSource:
    return LiveSource("bnpl/transactions", "bnpl", config(**(fields or {})), StreamRequest(**request), now=now)


def lines(made: LiveSource, position: Position | None = None) -> list[bytes]:
    found = []
    for chunk in made.chunks(position or Position()):
        found += bytes(chunk.buffer[chunk.offsets[0] : chunk.offsets[-1]]).splitlines(keepends=True)
    return found


def expected(first: date = DAY, last: date = LAST, **fields: Any) -> list[bytes]:
    generator = get_generator("bnpl", config(label_mode="live", **fields))
    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    return [line for day in days for line in bytes(encode(generator.generate(day))[0]).splitlines(keepends=True)]


def test_source_is_the_days_of_the_generator() -> None:
    assert lines(source(start_date=DAY, end_date=LAST, rate_per_second=5)) == expected()


def test_source_ends_after_its_total() -> None:
    assert lines(source(start_date=DAY, total_records=100)) == expected()[:100]


def test_day_of_several_slices_is_the_same_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generators.base.SLICE_ROWS", 8)
    assert get_generator("bnpl", config()).plan(DAY).sizes.size > 2
    assert lines(source(start_date=DAY, end_date=LAST)) == expected()


def test_every_position_leads_to_the_rest() -> None:
    made = source(start_date=DAY, end_date=LAST, rate_per_second=100, arrival="poisson")
    whole, chunks = expected(), list(made.chunks(Position()))
    assert len(chunks) >= 4
    for chunk in chunks:
        for j in (0, 1, len(chunk) - 1, len(chunk)):
            position = chunk.position(j)
            assert lines(made, position)[position.skip :] == whole[position.arrived :]


def test_seek_finds_the_first_row_at_or_after_a_moment() -> None:
    made = source(start_date=DAY, end_date=LAST)
    frame = pl.concat([get_generator("bnpl", config(label_mode="live")).generate(DAY + timedelta(n)) for n in range(4)])
    noon = datetime(2024, 11, 29, 12, 0)  # noqa: DTZ001 (in the zone of the data)
    before = frame.filter(pl.col("timestamp").dt.replace_time_zone(None) < noon).height
    assert lines(made, made.seek(noon)) == expected()[before:]
    assert lines(made, made.seek(DAY)) == expected()
    exact = frame["timestamp"][7]
    assert lines(made, made.seek(exact)) == expected()[7:]
    with pytest.raises(ReplayError, match="the last day of the stream is 2024-12-01"):
        made.seek(date(2024, 12, 2))
    with pytest.raises(ReplayError, match="1700"):
        made.seek(date(1700, 1, 1))


def test_source_from_now_on_begins_now_and_has_what_was_missed_at_once() -> None:
    made = source(NOW, end_date=LAST)
    first = next(iter(made.chunks(Position())))
    assert first.due[0] == first.times[0] >= made.origin
    resumed = source(NOW + timedelta(hours=3), end_date=LAST)
    begin = first.begin
    chunk = next(iter(resumed.chunks(begin)))
    missed = chunk.times < resumed.origin
    assert missed.any()
    assert set(chunk.due[missed]) == {resumed.origin}
    assert (chunk.due[~missed] == chunk.times[~missed]).all()


def test_seek_gives_a_stream_from_now_on_a_clock_of_its_own() -> None:
    made = source(NOW, end_date=LAST)
    chunk = next(iter(made.chunks(made.seek(DAY))))
    assert made.origin is None
    assert (chunk.due == chunk.times).all()
    assert len(np.unique(chunk.due)) > 1


def test_config_without_rows_ends_with_an_error() -> None:
    made = source(start_date=DAY, fields={"day_of_week": [0.0] * 7})
    with pytest.raises(ReplayError, match="makes no rows"):
        lines(made)


def test_dates_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="end_date"):
        source(NOW, end_date=date(2024, 11, 1))
    with pytest.raises(ValueError, match="1700-01-01"):
        source(start_date=date(1700, 1, 1))


def test_suspended_streams_hold_no_generators() -> None:
    lending, volume = Lending(kept=2), 61
    made = [
        LiveSource(
            "t", "bnpl", config(seed=seed, base_daily_volume=volume), StreamRequest(start_date=DAY), lending=lending
        )
        for seed in range(6)
    ]
    suspended = [each.chunks(Position()) for each in made]
    assert all(len(next(chunks)) for chunks in suspended)
    gc.collect()
    generators = [o for o in gc.get_objects() if isinstance(o, BaseGenerator)]
    alive = [g for g in generators if "config" in vars(g) and g.config.base_daily_volume == volume]
    assert len(alive) == 2


def test_generator_is_lent_to_one_at_a_time() -> None:
    lending = Lending(kept=2)
    with lending.lend("bnpl", config()) as first, lending.lend("bnpl", config()) as second:
        assert first is not second
    with lending.lend("bnpl", config()) as again:
        assert again in (first, second)
    with pytest.raises(RuntimeError), lending.lend("bnpl", config()) as broken:
        raise RuntimeError
    with lending.lend("bnpl", config()) as one, lending.lend("bnpl", config()) as other:
        assert broken not in (one, other)


def test_changed_config_keeps_the_label_mode_open() -> None:
    assert "label_mode" not in config().changed({"seed": 9}).model_fields_set
    with pytest.raises(ConfigError, match="unknown field 'sed'"):
        config().changed({"sed": 9})


def test_engine_delivers_a_stream_from_now_on_in_real_time() -> None:
    clock = VirtualClock()
    sink = ListSink(clock)
    made = source(NOW, total_records=50)
    report = replay_source(Following(made, clock, threading.Event()), sink, Pacing(compression=made.speed), clock=clock)
    assert report.emitted == 50
    start = int(NOW.timestamp() * 1e6)
    times = pl.Series([record["timestamp"] for record in sink.records]).str.to_datetime(time_zone="UTC").to_physical()
    np.testing.assert_allclose(sink.moments, (times.to_numpy() - start) / 1e6, atol=1e-3)


def test_engine_resumes_a_stream_at_a_rate_from_its_cursor(tmp_path: Any) -> None:
    cursor, path = tmp_path / "cursor.json", tmp_path / "out.ndjson"
    clock = VirtualClock()
    for total in (40, 90):
        made = source(start_date=DAY, rate_per_second=20, total_records=total)
        replay_source(made, FileSink(path), Pacing(compression=made.speed), cursor=cursor, clock=clock)
        text = cursor.read_text()
        cursor.write_text(text.replace('"finished": true', '"finished": false'))
    assert path.read_bytes().splitlines(keepends=True) == expected()[:90]
    ids = [json.loads(line)["transaction_id"] for line in path.read_bytes().splitlines()]
    assert len(set(ids)) == 90


def test_position_of_other_data_is_refused() -> None:
    made = source(start_date=DAY, end_date=LAST)
    position = next(iter(made.chunks(Position()))).begin
    made.check(position)
    with pytest.raises(CursorError, match="another revision or config"):
        source(start_date=DAY, fields={"seed": 4}).check(position)
    assert made.holds(position)
    assert not made.holds(Position(marks=(position.marks[0], position.marks[0])))
