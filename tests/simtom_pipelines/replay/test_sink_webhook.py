"""The webhook against a real endpoint that answers what it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from simtom_pipelines.replay import SinkError
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks import open_sink
from simtom_pipelines.replay.sinks.courier import Courier
from tests.simtom_pipelines.replay.sink_endpoint import Endpoint, running_endpoint
from tests.simtom_pipelines.replay.sink_servers import free_port

COUNT = 2_500
BUFFER, OFFSETS = encode(pl.DataFrame({"n": np.arange(COUNT), "text": ["\u00e9" * 20] * COUNT}))
QUICK = {"linger": "0", "backoff": "1ms", "retries": "3"}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as server:
        yield server


def opened(endpoint: Endpoint, **options: object) -> Courier:
    sink = open_sink(endpoint.url, **{**QUICK, **options})
    assert isinstance(sink, Courier)
    sink.open(threading.Event())
    return sink


@pytest.mark.parametrize("compress", ["false", "true"])
def test_endpoint_gets_every_record_in_batches(endpoint: Endpoint, compress: str) -> None:
    options = {"gzip": compress, "batch": 400, "token": "t0p", "header.X-Team": "risk"}
    sink = opened(endpoint, **options)
    for i in range(0, COUNT, 500):
        sink.send(BUFFER, OFFSETS, i, i + 500)
    sink.flush()
    assert sink.acked() == COUNT
    sink.close()
    assert b"".join(endpoint.bodies) == bytes(BUFFER)
    assert max(body.count(b"\n") for body in endpoint.bodies) == 400
    head = endpoint.heads[0]
    assert head["path"] == "/hook?source=simtom"
    assert head["content-type"] == "application/x-ndjson"
    assert head["authorization"] == "Bearer t0p"
    assert head["x-team"] == "risk"
    assert len({head["idempotency-key"] for head in endpoint.heads}) == len(endpoint.bodies)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_passing_refusal_is_tried_again(endpoint: Endpoint, status: int) -> None:
    endpoint.answers = [(status, {}, b""), (status, {"Retry-After": "0"}, b""), (200, {}, b""), (status, {}, b"")]
    sink = opened(endpoint, batch=1_000)
    sink.send(BUFFER, OFFSETS, 0, COUNT)
    sink.flush()
    sink.close()
    assert endpoint.numbers() == list(range(COUNT))
    assert endpoint.attempts[0] == endpoint.attempts[1] == endpoint.attempts[2]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 413, 422])
def test_refusal_is_final_and_told(endpoint: Endpoint, status: int) -> None:
    endpoint.answers = [(200, {}, b""), (status, {}, b'{"error": "field amount"}')]
    sink = opened(endpoint, batch=1_000)
    sink.send(BUFFER, OFFSETS, 0, COUNT)
    with pytest.raises(SinkError, match=rf'refuses a batch of 1000 records: answers {status} .*"field amount"'):
        sink.flush()
    assert sink.acked() == 1_000
    sink.close()
    assert len(endpoint.attempts) == 2


def test_endpoint_that_stays_busy_ends_the_run(endpoint: Endpoint) -> None:
    endpoint.answers = [(503, {}, b"maintenance")] * 10
    sink = opened(endpoint)
    sink.send(BUFFER, OFFSETS, 0, 10)
    with pytest.raises(SinkError, match="answers 503 Service Unavailable: maintenance; given up after 4 attempts"):
        sink.flush()
    sink.close()
    assert len(endpoint.attempts) == 4


@pytest.mark.parametrize(
    "headers,seconds",
    [
        ({"Retry-After": "0"}, "0.001"),
        ({"Retry-After": "7"}, "7"),
        ({"Retry-After": "86400"}, "300"),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:09 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, "9"),
        ({"Retry-After": "soon"}, "0.001"),
    ],
)
def test_wait_that_the_endpoint_asks_for(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, headers: dict[str, str], seconds: str
) -> None:
    endpoint.answers = [(429, headers, b"")] * 4
    stop = threading.Event()
    sink = open_sink(endpoint.url, **{**QUICK, "retries": "1"})
    sink.open(stop)
    sink.send(BUFFER, OFFSETS, 0, 1)
    while "attempt 2 of 2" not in caplog.text:
        stop.wait(0.01)
    stop.set()
    sink.close()
    assert f"attempt 2 of 2 in {seconds} s" in caplog.text


def test_batch_without_an_answer_is_sent_again(endpoint: Endpoint) -> None:
    endpoint.drop = 2
    sink = opened(endpoint)
    sink.send(BUFFER, OFFSETS, 0, 300)
    sink.flush()
    sink.close()
    assert endpoint.numbers() == list(range(300))
    assert len(endpoint.attempts) == 3


def test_nobody_there_is_told() -> None:
    sink = open_sink(f"http://127.0.0.1:{free_port()}/", **QUICK)
    sink.open(threading.Event())
    sink.send(BUFFER, OFFSETS, 0, 1)
    with pytest.raises(SinkError, match=r"ConnectError: .*refused; given up after 4 attempts"):
        sink.flush()
    sink.close()


def test_endless_answer_costs_bounded_memory(endpoint: Endpoint) -> None:
    endpoint.answers = [(400, {}, b"x" * 10_000_000)]
    sink = opened(endpoint)
    sink.send(BUFFER, OFFSETS, 0, 1)
    with pytest.raises(SinkError) as caught:
        sink.flush()
    assert len(str(caught.value)) < 400
    sink.close()
