"""Faults over HTTP: what arrives differs from what is stored by the answer key alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simtom_pipelines.replay.answers import restored
from tests.simtom_pipelines.service.serving import Service, events, records

REPLAY, KEY = "/datasets/bnpl/replay", "/datasets/bnpl/answer-key"
FAULTS = {"late": 0.05, "duplicate": 0.05, "out_of_order": 0.05, "corrupt": 0.05, "seed": 7, "delay": "2h"}


def test_the_key_explains_every_difference(service: Service) -> None:
    stored = service.post(REPLAY, {"asap": True}).content
    arrived = service.post(REPLAY, {"asap": True, "faults": FAULTS}).content
    key = records(service.post(KEY, {"faults": FAULTS}).text)
    assert {entry["fault"] for entry in key} == {"late", "duplicate", "out-of-order", "corrupt"}
    assert restored(arrived.splitlines(keepends=True), key) == stored.splitlines(keepends=True)
    assert arrived != stored


def test_the_key_ends_with_the_records(service: Service) -> None:
    body = {"faults": FAULTS, "loop": 0, "total_records": 100}
    whole = records(service.post(KEY, {"faults": FAULTS}).text)
    assert records(service.post(KEY, body).text) == [entry for entry in whole if entry["arrived"] < 100]


def test_events_with_faults_resume_where_they_were_cut(service: Service) -> None:
    body = {"asap": True, "faults": {"late": 0.3, "duplicate": 0.3, "seed": 1, "delay": "6h"}}
    sse = {"Accept": "text/event-stream"}
    whole = events(service.post(REPLAY, body, headers=sse).text)
    for cut in (0, 31, len(whole) // 2, len(whole) - 3):
        again = events(service.post(REPLAY, body, headers={**sse, "Last-Event-ID": whole[cut]["id"]}).text)
        assert again[:-1] == whole[cut + 1 : -1]


@pytest.mark.parametrize(
    "path, body, field, words",
    [
        (KEY, {"asap": True}, ["faults"], "no faults are asked for"),
        (KEY, {"faults": {"late": 0.6, "corrupt": 0.6}}, ["faults"], "add up to 1.2"),
        (REPLAY, {"faults": {"late": 0.6, "corrupt": 0.6}}, ["faults"], "add up to 1.2"),
        (REPLAY, {"faults": {"late": 1.5}}, ["faults", "late"], "less than or equal to 1"),
        (REPLAY, {"faults": {"delay": "soon", "late": 0.1}}, ["faults", "delay"], "soon"),
        (REPLAY, {"faults": {"lost": 0.1}}, ["faults", "lost"], "known: late, duplicate, out_of_order, corrupt, seed"),
        (REPLAY, {"faults": 0.1}, ["faults"], "dictionary"),
    ],
)
def test_wrong_faults_are_named(
    service: Service, path: str, body: dict[str, Any], field: list[str], words: str
) -> None:
    answer = service.post(path, body)
    assert answer.status_code == 422
    (problem, *_) = answer.json()["detail"]
    assert problem["loc"] == ["body", *field]
    assert words in problem["msg"]
