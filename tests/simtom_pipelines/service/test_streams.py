"""Streams over HTTP: generated and replayed, in both forms, resumed, steered."""

from __future__ import annotations

import json
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest

from generators import get_generator
from tests.simtom_pipelines.service.serving import DAY, SMALL, Service, events, records, serving, wait

SSE = {"Accept": "text/event-stream"}
FAST = {**SMALL, "rate_per_second": 1000}


def stored(days: int = 3, label_mode: str = "live") -> list[dict[str, Any]]:
    generator = get_generator("bnpl", base_daily_volume=60, seed=3, label_mode=label_mode)
    first = date.fromisoformat(DAY)
    frame = pl.concat([generator.generate(first + timedelta(n)) for n in range(days)])
    utc = cs.datetime().dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return [json.loads(line) for line in frame.with_columns(utc).write_ndjson().splitlines()]


def test_stream_is_the_days_of_the_generator(service: Service) -> None:
    answer = service.post("/stream/bnpl", {**FAST, "end_date": "2024-11-30"})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert records(answer.text) == stored()


def test_stream_takes_fields_of_the_generators_own_config(service: Service) -> None:
    found = records(service.post("/stream/bnpl", {**FAST, "total_records": 5, "label_mode": "training"}).text)
    assert found == stored(1, "training")[:5]


def test_stream_without_a_body_begins_now_in_real_time(service: Service) -> None:
    with service.client.stream("POST", "/stream/bnpl") as answer:
        assert answer.status_code == 200
        found = service.get(f"/streams/{answer.headers['X-Stream-Id']}").json()
        assert (found["speed"], found["paced_by"]) == (1.0, "time")


def test_events_resume_where_they_were_cut(service: Service) -> None:
    body = {**FAST, "end_date": "2024-11-30"}
    whole = events(service.post("/stream/bnpl", body, headers=SSE).text)
    assert [json.loads(event["data"]) for event in whole[:-1]] == stored()
    assert whole[-1] == {"event": "end", "data": json.dumps({"reason": "finished", "records": len(whole) - 1})}
    ids = [event["id"] for event in whole[:-1]]
    assert len(set(ids)) == len(ids)
    for cut in (0, 5, len(ids) // 2, len(ids) - 2):
        again = events(service.post("/stream/bnpl", body, headers={**SSE, "Last-Event-ID": ids[cut]}).text)
        assert again[:-1] == whole[cut + 1 : -1]


def test_resumed_events_count_towards_the_total(service: Service) -> None:
    body = {**FAST, "total_records": 30}
    whole = events(service.post("/stream/bnpl", body, headers=SSE).text)
    again = events(service.post("/stream/bnpl", body, headers={**SSE, "Last-Event-ID": whole[19]["id"]}).text)
    assert again[:-1] == whole[20:30]


def test_replayed_events_resume_where_they_were_cut(service: Service) -> None:
    body = {"asap": True, "filter": ["amount > 50"]}
    whole = events(service.post("/datasets/bnpl/replay", body, headers=SSE).text)
    assert [json.loads(e["data"]) for e in whole[:-1]] == [r for r in stored(3, "training") if r["amount"] > 50]
    again = events(service.post("/datasets/bnpl/replay", body, headers={**SSE, "Last-Event-ID": whole[33]["id"]}).text)
    assert again[:-1] == whole[34:-1]


@pytest.mark.parametrize("event_id", ["x", "WyJ4Il0.1", "é", "." * 300])
def test_id_of_no_event_is_refused(service: Service, event_id: str) -> None:
    for path in ("/stream/bnpl", "/datasets/bnpl/replay"):
        answer = service.post(path, headers={**SSE, "Last-Event-ID": event_id.encode()})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["header", "Last-Event-ID"]


def test_id_of_another_request_is_refused(service: Service) -> None:
    (first, *_) = events(service.post("/stream/bnpl", {**FAST, "total_records": 1}, headers=SSE).text)
    answer = service.post("/stream/bnpl", {**FAST, "seed": 4}, headers={**SSE, "Last-Event-ID": first["id"]})
    assert answer.status_code == 422
    assert "another request" in answer.json()["detail"][0]["msg"]


def test_replay_is_what_is_stored(service: Service) -> None:
    assert records(service.post("/datasets/bnpl/replay", {"asap": True}).text) == stored(3, "training")
    day = service.post("/datasets/bnpl/replay", {"start": DAY, "end": DAY, "day_in": "200ms"})
    assert records(day.text) == stored(1, "training")


def test_replay_ends_after_its_total_in_the_second_turn(service: Service) -> None:
    whole = stored(3, "training")
    answer = service.post("/datasets/bnpl/replay", {"asap": True, "loop": 0, "total_records": len(whole) + 7})
    assert records(answer.text) == whole + whole[:7]
    assert answer.headers["X-Record-Limit"] == str(len(whole) + 7)


def test_rate_is_kept_and_never_exceeded(service: Service) -> None:
    begin = time.monotonic()
    answer = service.post("/stream/bnpl", {**SMALL, "rate_per_second": 100, "total_records": 51})
    elapsed = time.monotonic() - begin
    assert len(records(answer.text)) == 51
    assert elapsed >= 0.5


def test_paused_stream_stands_still_and_goes_on(service: Service) -> None:
    with service.opened("/stream/bnpl", {**SMALL, "rate_per_second": 200, "total_records": 120}) as (stream, lines):
        found = [next(lines) for _ in range(10)]
        assert service.post(f"/streams/{stream}/pause").json()["state"] == "paused"
        before = service.get(f"/streams/{stream}").json()["records"]
        time.sleep(0.3)
        assert service.get(f"/streams/{stream}").json()["records"] == before < 120
        assert service.post(f"/streams/{stream}/step", {"records": 2}).json()["state"] == "paused"
        wait(lambda: service.get(f"/streams/{stream}").json()["records"] == before + 2, 5, "two steps")
        assert service.post(f"/streams/{stream}/resume").json()["state"] == "running"
        found += list(lines)
    assert records(iter(found)) == stored(6)[:120]
    assert service.get(f"/streams/{stream}").json()["lateness_ms"]["p50"] < 250


def test_speed_of_a_running_stream_changes(service: Service) -> None:
    with service.opened("/stream/bnpl", {**SMALL, "rate_per_second": 0.5, "total_records": 40}) as (stream, lines):
        next(lines)
        assert service.post(f"/streams/{stream}/speed", {"rate_per_second": 800}).json()["speed"] == 800
        assert len(list(lines)) == 39


@pytest.mark.parametrize(
    "path, body", [("/stream/bnpl", {**SMALL, "time_compression": 0.1}), ("/datasets/bnpl/replay", {})]
)
def test_sought_stream_goes_on_elsewhere(service: Service, path: str, body: dict[str, Any]) -> None:
    with service.opened(path, body) as (stream, lines):
        next(lines)
        found = service.post(f"/streams/{stream}/seek", {"to": "2024-11-30T12:00"})
        assert found.status_code == 200
        record = json.loads(next(lines))
        assert record["timestamp"] >= "2024-11-30T17:00:00"
        outside = service.post(f"/streams/{stream}/seek", {"to": "1650-01-01"})
        assert outside.status_code == 422
        assert outside.json()["detail"][0]["loc"] == ["body", "to"]


def test_stopped_stream_ends_as_a_whole_answer(service: Service) -> None:
    with service.opened("/stream/bnpl", {**SMALL, "rate_per_second": 50}, headers=SSE) as (stream, lines):
        next(lines)
        assert service.client.delete(f"/streams/{stream}").status_code == 200
        assert '"reason": "stopped"' in "\n".join(lines)
    assert service.get(f"/streams/{stream}").json()["state"] == "ended"
    assert service.post(f"/streams/{stream}/pause").status_code == 409


def test_metrics_count_what_was_delivered(folder: Path) -> None:
    with serving(folder) as service:
        answer = service.post("/stream/bnpl", {**FAST, "total_records": 70})
        service.post("/datasets/bnpl/replay", {"asap": True, "total_records": 9})
        with service.opened("/stream/bnpl", {**SMALL, "rate_per_second": 1}):
            text = service.get("/metrics").text
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    live = '{generator="bnpl",kind="live"}'
    assert float(values[f"simtom_bytes_total{live}"]) >= len(answer.content)
    assert float(values['simtom_records_total{generator="bnpl",kind="replay"}']) == 9
    assert float(values[f"simtom_active_streams{live}"]) == 1
    assert float(values['simtom_active_streams{generator="bnpl",kind="replay"}']) == 0
    assert float(values['simtom_lateness_seconds_bucket{generator="bnpl",kind="live",le="+Inf"}']) >= 70
    assert float(values["process_resident_memory_bytes"]) > 1e7


def test_streams_above_the_limit_are_refused(folder: Path) -> None:
    with serving(folder, max_streams=1) as service, service.opened("/stream/bnpl", {**SMALL, "rate_per_second": 1}):
        answer = service.post("/stream/bnpl", SMALL)
        assert answer.status_code == 429
        assert "SIMTOM_MAX_STREAMS" in answer.json()["detail"]


def test_stream_without_a_total_ends_at_the_limit_and_says_so(folder: Path) -> None:
    with serving(folder, max_records=12) as service:
        for path, body in (("/stream/bnpl", FAST), ("/datasets/bnpl/replay", {"asap": True})):
            answer = service.post(path, body, headers=SSE)
            found = events(answer.text)
            assert len(found) == 13
            assert json.loads(found[-1]["data"]) == {"reason": "limit of 12 records", "records": 12}
            assert answer.headers["X-Record-Limit"] == "12"


def test_stream_ends_at_the_limit_of_seconds(folder: Path) -> None:
    with serving(folder, max_seconds=1) as service:
        answer = service.post("/stream/bnpl", {**SMALL, "rate_per_second": 5}, headers=SSE)
        assert "limit of 1 seconds" in events(answer.text)[-1]["data"]
