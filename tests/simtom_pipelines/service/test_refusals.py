"""What a client can send wrong: refused with the field's name, the known names, and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simtom_pipelines.service.serving import SMALL, Service, serving

STREAM = "/stream/bnpl"
REPLAY = "/datasets/bnpl/replay"

WRONG: list[tuple[str, dict[str, Any], str]] = [
    (STREAM, {"rate_per_second": 1001}, "rate_per_second"),
    (STREAM, {"rate_per_second": 0.001}, "rate_per_second"),
    (STREAM, {"rate_per_second": -1}, "rate_per_second"),
    (STREAM, {"rate_per_second": "fast"}, "rate_per_second"),
    (STREAM, {"time_compression": 1001}, "time_compression"),
    (STREAM, {"time_compression": 0.01}, "time_compression"),
    (STREAM, {"total_records": 1_000_001}, "total_records"),
    (STREAM, {"total_records": 0}, "total_records"),
    (STREAM, {"total_records": 1.5}, "total_records"),
    (STREAM, {"arrival": "burst", "rate_per_second": 1}, "arrival"),
    (STREAM, {"start_date": "2024-02-30"}, "start_date"),
    (STREAM, {"start_date": "1650-01-01"}, "start_date"),
    (STREAM, {"end_date": "1999-01-01"}, "end_date"),
    (STREAM, {"seed": -1}, "seed"),
    (STREAM, {"seed": 2**32}, "seed"),
    (STREAM, {"seed": 10**400}, "seed"),
    (STREAM, {"timezone": "Mars/Base"}, "timezone"),
    (STREAM, {"country": "usa"}, "country"),
    (STREAM, {"base_daily_volume": 1_000_001}, "base_daily_volume"),
    (STREAM, {"peak_hours": [24]}, "peak_hours"),
    (STREAM, {"max_records": 3}, "max_records"),
    (REPLAY, {"rate_per_second": 5}, "rate_per_second"),
    (REPLAY, {"day_in": "soon"}, "day_in"),
    (REPLAY, {"start": "yesterday"}, "start"),
    (REPLAY, {"end": "2024-13-01"}, "end"),
    (REPLAY, {"window": "morning"}, "window"),
    (REPLAY, {"duration": "-6h"}, "duration"),
    (REPLAY, {"max_gap": ""}, "max_gap"),
    (REPLAY, {"loop": -1}, "loop"),
    (REPLAY, {"filter": "amount > 1"}, "filter"),
    (REPLAY, {"time_compression": 0}, "time_compression"),
    (REPLAY, {"total_records": 2_000_000}, "total_records"),
]


@pytest.mark.parametrize(
    "path, body, field", WRONG, ids=lambda value: str(value)[:40].encode("ascii", "replace").decode()
)
def test_wrong_field_is_named(service: Service, path: str, body: dict[str, Any], field: str) -> None:
    answer = service.post(path, body)
    assert answer.status_code == 422
    (problem, *_) = answer.json()["detail"]
    assert problem["loc"][:2] == ["body", field]
    assert problem["msg"]


@pytest.mark.parametrize(
    "path, body, words",
    [
        (STREAM, {"rate_per_second": 5, "time_compression": 2}, "rate_per_second and time_compression are both given"),
        (STREAM, {"arrival": "poisson"}, "without rate_per_second"),
        (STREAM, {"start_date": "2024-02-02", "end_date": "2024-02-01"}, "end_date 2024-02-01 is before start_date"),
        (REPLAY, {"asap": True, "day_in": "1s"}, "time_compression, day_in and asap"),
        (REPLAY, {"start": "2023-01-01", "end": "2023-01-02"}, "2023-01-01"),
        (REPLAY, {"filter": ["nothing > 1"]}, "nothing"),
        (REPLAY, {"filter": ["SELECT"]}, "SELECT"),
    ],
)
def test_fields_that_do_not_go_together_are_named(
    service: Service, path: str, body: dict[str, Any], words: str
) -> None:
    answer = service.post(path, body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize(
    "content, kind, status",
    [
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"seed": NaN}', "application/json", 422),
        (b'{"\\ud800": "\\udfff"}', "application/json", 422),
        (b'{"seed": ' + b"9" * 5_000 + b"}", "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b" " * (2 << 20), "application/json", 413),
    ],
    ids=["half", "list", "nan", "half a surrogate", "long number", "deep", "no utf-8", "text", "large"],
)
def test_body_that_is_no_object_is_refused(service: Service, content: bytes, kind: str, status: int) -> None:
    for path in (STREAM, REPLAY, "/streams/1/seek"):
        answer = service.client.post(path, content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, path


@pytest.mark.parametrize(
    "method, path, known",
    [
        ("POST", "/stream/nope", "bnpl"),
        ("GET", "/generators/nope/schema", "bnpl"),
        ("GET", "/generators/nope/volume", "bnpl"),
        ("GET", "/datasets/nope/partitions", "calm"),
        ("POST", "/datasets/nope/replay", "calm"),
        ("GET", "/datasets/bnpl/partitions?table=nope", "transactions"),
    ],
)
def test_unknown_name_is_answered_with_the_known_ones(service: Service, method: str, path: str, known: str) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == 404
    assert known in answer.json()["known"]
    assert "nope" in answer.json()["detail"]


def test_unknown_stream_is_not_found(service: Service) -> None:
    for path in ("/streams/7", "/streams/7/pause"):
        answer = service.client.request("GET" if path.endswith("7") else "POST", path)
        assert answer.status_code == 404


def test_dataset_without_days_says_so(service: Service) -> None:
    answer = service.post("/datasets/calm/replay")
    assert answer.status_code == 422
    assert "no day of calm/transactions is stored" in answer.json()["detail"][0]["msg"]


def test_controls_refuse_what_does_not_fit(service: Service) -> None:
    with service.opened(STREAM, {**SMALL, "rate_per_second": 1}) as (stream, _):
        for action, body, field in (
            ("speed", {"time_compression": 5}, "rate_per_second"),
            ("speed", {"rate_per_second": 5000}, "rate_per_second"),
            ("speed", {}, "rate_per_second"),
            ("speed", {"asap": True}, "asap"),
            ("step", {"records": 0}, "records"),
            ("seek", {"to": "noon"}, "to"),
            ("seek", {}, "to"),
        ):
            answer = service.post(f"/streams/{stream}/{action}", body)
            assert answer.status_code == 422, action
            assert answer.json()["detail"][0]["loc"] == ["body", field]


def test_limits_are_settings(folder: Path) -> None:
    with serving(folder, max_rate=0, max_records=7, max_time_compression=0, max_daily_volume=100) as service:
        assert service.post(STREAM, {**SMALL, "rate_per_second": 5000}).text.count("\n") == 7
        assert service.post(STREAM, {"total_records": 8}).status_code == 422
        assert service.post(STREAM, {**SMALL, "base_daily_volume": 101}).status_code == 422
        assert service.post(STREAM, {**SMALL, "time_compression": 1e6}).text.count("\n") == 7


def test_token_is_asked_for_where_one_is_set(folder: Path) -> None:
    with serving(folder, token="opensesame") as service:
        assert service.post(STREAM, {**SMALL, "rate_per_second": 100, "total_records": 1}).status_code == 200
        for headers in (
            {"Authorization": ""},
            {"Authorization": "Bearer opensesam"},
            {"Authorization": "Basic b3Blbg=="},
        ):
            for method, path in (
                ("POST", STREAM), ("POST", REPLAY), ("GET", "/generators"), ("GET", "/datasets"), ("GET", "/streams"),
                ("GET", "/metrics"), ("DELETE", "/streams/1"), ("GET", "/generators/bnpl/volume"),
            ):  # fmt: skip
                answer = service.client.request(method, path, headers=headers)
                assert answer.status_code == 401, path
                assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert service.get("/health", headers={"Authorization": ""}).status_code == 200
