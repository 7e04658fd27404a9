"""Clients of simtom's HTTP API: the same calls, the same lines."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from generators import ArrivalPattern, generator_class, get_generator
from simtom_pipelines.service import compat
from simtom_pipelines.settings import Settings
from tests.simtom_pipelines.service.serving import Service, serving

RANGE = {
    "start_date": "2024-06-01", "end_date": "2024-06-02", "base_daily_volume": 100, "include_holiday_patterns": True,
    "seed": 42,
}  # fmt: skip


@pytest.fixture(scope="module")
def old(folder: Path) -> Iterator[Service]:
    """A service whose setting is the compatibility mode."""
    with serving(folder, compat=True) as made:
        yield made


def read(service: Service, body: dict[str, Any], path: str = "/stream/bnpl") -> list[dict[str, Any]]:
    """Read a stream as simtom's clients do: lines, with ``data: `` taken off."""
    found = []
    with httpx.stream("POST", service.url + path, json=body, timeout=60) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
            else:
                assert line == ""
    return found


def test_rate_and_count(old: Service) -> None:
    begin = time.monotonic()
    found = read(old, {"rate_per_second": 2.0, "max_records": 3})
    assert time.monotonic() - begin >= 1.0
    assert [record["_record_id"] for record in found] == [0, 1, 2]
    assert {record["_generator"] for record in found} == {"bnpl"}
    assert all(datetime.fromisoformat(record["_timestamp"]).tzinfo for record in found)
    assert not any(isinstance(value, dict | list) for record in found for value in record.values())


def test_curl_gets_data_lines_with_empty_lines_between(service: Service) -> None:
    curl = shutil.which("curl")
    assert curl is not None, "curl is needed: apt-get install curl"
    url = f"{service.url}/stream/bnpl?compat=simtom"
    body = json.dumps({"rate_per_second": 50.0, "max_records": 3})
    arguments = [curl, "-sN", "-X", "POST", url, "-H", "Content-Type: application/json", "-d", body]
    text = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    lines = text.split("\n")
    assert len(lines) == 7
    assert all(line.startswith("data: {") and line.endswith("}") for line in lines[0:6:2])
    assert lines[1::2] == ["", "", ""]


def test_date_range_comes_at_a_day_a_second_with_its_outcomes(old: Service) -> None:
    begin = time.monotonic()
    found = read(old, RANGE)
    assert time.monotonic() - begin > 1.5
    generator = get_generator("bnpl", base_daily_volume=100, seed=42)
    days = [generator.generate(date(2024, 6, n)) for n in (1, 2)]
    assert [r["transaction_id"] for r in found] == [i for frame in days for i in frame["transaction_id"]]
    zone = ZoneInfo("America/New_York")
    local = [t.astimezone(zone).isoformat(timespec="microseconds") for frame in days for t in frame["timestamp"]]
    assert [r["_timestamp"] for r in found] == local
    assert [r["_record_id"] for r in found] == list(range(len(found)))
    assert None not in {r["will_default"] for r in found}


@pytest.mark.parametrize("pattern", list(ArrivalPattern))
def test_every_arrival_pattern_is_served(old: Service, pattern: ArrivalPattern) -> None:
    body = {
        "rate_per_second": 200.0, "arrival_pattern": pattern.value, "peak_hours": [12, 19], "burst_intensity": 3.0,
        "burst_probability": 0.3, "time_compression": 2.0, "max_records": 5,
    }  # fmt: skip
    assert len(read(old, body)) == 5


@pytest.mark.parametrize(
    "body, speed",
    [
        ({"rate_per_second": 2.0}, {"rate_per_second": 2.0, "arrival": "uniform"}),
        ({"rate_per_second": 2.0, "time_compression": 24}, {"rate_per_second": 48.0}),
        ({"rate_per_second": 2.0, "arrival_pattern": "poisson"}, {"rate_per_second": 2.0, "arrival": "poisson"}),
        ({"rate_per_second": 2.0, "arrival_pattern": "nhpp"}, {"time_compression": 172.8}),
        ({"rate_per_second": 1.0, "arrival_pattern": "burst", "base_daily_volume": 8640}, {"time_compression": 10.0}),
        ({"time_compression": 30}, {"time_compression": 30.0}),
        ({}, {"time_compression": 1.0}),
        (RANGE, {"time_compression": 86_400.0}),
        ({**RANGE, "rate_per_second": 5}, {"time_compression": 86_400.0}),
        ({**RANGE, "time_compression": 0.5}, {"time_compression": 43_200.0}),
        ({"total_records": 9}, {"total_records": 9}),
    ],
)
def test_request_is_read_as_simtom_reads_it(body: dict[str, Any], speed: dict[str, Any]) -> None:
    wanted = compat.translated(body, "bnpl", generator_class("bnpl").config_type, Settings())
    assert {key: getattr(wanted.request, key) for key in speed} == pytest.approx(speed)
    assert (wanted.request.rate_per_second is None) != (wanted.request.time_compression is None)


def test_unknown_fields_are_ignored_and_told(old: Service) -> None:
    answer = old.post("/stream/bnpl", {"rate_per_second": 100, "max_records": 1, "colour": "red", "noise_type": "none"})
    assert answer.status_code == 200
    assert answer.headers["X-Simtom-Ignored"] == "colour"
    assert answer.headers["content-type"].startswith("text/plain")


def test_noise_is_refused_rather_than_left_out(old: Service) -> None:
    answer = old.post("/stream/bnpl", {"noise_type": "gaussian", "noise_level": 0.3})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "noise_type"]


def test_lists_have_the_old_form(old: Service, service: Service) -> None:
    for found in (old.get("/generators").json(), service.get("/generators?compat=simtom").json()):
        assert {"name", "description", "config_schema"} <= set(found[0])
    for found in (old.get("/").json(), service.get("/?compat=simtom").json()):
        assert found["status"] == "healthy"
        assert found["generators_available"] >= 1


def test_errors_have_the_old_form(old: Service) -> None:
    missing = old.post("/stream/nope", {})
    assert (missing.status_code, type(missing.json()["detail"])) == (404, str)
    wrong = old.post("/stream/bnpl", {"rate_per_second": -1})
    assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["body", "rate_per_second"])
    assert old.get("/generators?compat=other").status_code == 422
