"""The way records take to a consumer over a network: batches, retries, acknowledgements, back-pressure, stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from simtom_pipelines.replay import SinkError
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks import courier
from simtom_pipelines.replay.sinks.backlog import Backlog, Batch, Part
from simtom_pipelines.replay.sinks.courier import Courier, Retries, Unavailable
from tests.simtom_pipelines.replay.sink_servers import wait_until

COUNT = 5_000
BUFFER, OFFSETS = encode(pl.DataFrame({"n": np.arange(COUNT), "text": ["x" * 100] * COUNT}))
LINES = bytes(BUFFER).splitlines()
FAST = Retries(retries=3, backoff=0.001)


class Consumer:
    """A carrier that keeps what it gets. `trouble` is called with the number of the attempt and may raise."""

    def __init__(self, trouble: Callable[[int, Batch], None] = lambda attempt, batch: None) -> None:
        self.trouble, self.attempts, self.connects, self.closed = trouble, 0, 0, 0
        self.records: list[bytes] = []
        self.sizes: list[int] = []

    def connect(self) -> None:
        self.connects += 1

    def deliver(self, batch: Batch) -> None:
        self.attempts += 1
        self.trouble(self.attempts, batch)
        self.records += batch.records()
        self.sizes.append(batch.count)

    def disconnect(self) -> None:
        self.closed += 1

    def abort(self) -> None: ...


def made(
    consumer: Consumer, retries: Retries = FAST, count: int = 700, size: int = 10**7, linger: float = 0.0
) -> Courier:
    return Courier("test://consumer", consumer, retries, count=count, size=size, linger=linger)


def test_records_arrive_whole_in_order_and_batches_are_bounded() -> None:
    consumer = Consumer()
    sink = made(consumer)
    sink.open(threading.Event())
    for i in range(0, COUNT, 37):
        sink.send(BUFFER, OFFSETS, i, min(i + 37, COUNT))
    sink.flush()
    assert sink.acked() == COUNT
    sink.close()
    assert consumer.records == LINES
    assert max(consumer.sizes) <= 700
    assert consumer.closed == 1


def test_batch_is_bounded_in_bytes_and_a_larger_record_goes_alone() -> None:
    backlog, stop = Backlog(10**9), threading.Event()
    bounds = np.array([0, 10, 20, 130, 140, 150])
    backlog.put(Part(memoryview(bytes(150)), bounds), stop)
    taken = [backlog.take(100, 25) for _ in range(3)]
    assert [batch.count for batch in taken if batch is not None] == [2, 1, 2]


@pytest.mark.parametrize("accepted", [0, 1, 699])
def test_what_was_not_accepted_goes_first_at_the_next_attempt(accepted: int) -> None:
    consumer = Consumer()

    def trouble(attempt: int, batch: Batch) -> None:
        if attempt % 2:
            taken = min(accepted, batch.count - 1)
            consumer.records += batch.records()[:taken]
            raise Unavailable("out for lunch", accepted=taken)

    consumer.trouble = trouble
    sink = made(consumer)
    sink.open(threading.Event())
    sink.send(BUFFER, OFFSETS, 0, COUNT)
    sink.flush()
    sink.close()
    assert consumer.records == LINES
    assert sink.acked() == COUNT
    assert consumer.connects == 1 + consumer.attempts // 2


def test_consumer_that_stays_away_ends_the_run_with_what_was_accepted() -> None:
    def trouble(attempt: int, batch: Batch) -> None:
        if attempt > 3:
            raise Unavailable("connection refused")

    sink = made(Consumer(trouble))
    sink.open(threading.Event())
    sink.send(BUFFER, OFFSETS, 0, COUNT)
    with pytest.raises(SinkError, match=r"test://consumer does not take records: connection refused; .* 4 attempts"):
        sink.flush()
    assert sink.acked() == 3 * 700
    with pytest.raises(SinkError):
        sink.send(BUFFER, OFFSETS, 0, 1)
    with pytest.raises(SinkError):
        sink.poll()
    sink.close()


def test_refusal_is_final() -> None:
    def trouble(attempt: int, batch: Batch) -> None:
        raise SinkError("no such stream")

    consumer = Consumer(trouble)
    sink = made(consumer)
    sink.open(threading.Event())
    sink.send(BUFFER, OFFSETS, 0, 1)
    with pytest.raises(SinkError, match="no such stream"):
        sink.flush()
    sink.close()
    assert consumer.attempts == 1


def test_attempts_begin_anew_after_a_record_got_through(caplog: pytest.LogCaptureFixture) -> None:
    def trouble(attempt: int, batch: Batch) -> None:
        if attempt % 4:
            raise Unavailable("busy")

    consumer = Consumer(trouble)
    sink = made(consumer)
    sink.open(threading.Event())
    with caplog.at_level(logging.WARNING):
        sink.send(BUFFER, OFFSETS, 0, COUNT)
        sink.flush()
    sink.close()
    assert consumer.records == LINES
    assert "attempt 2 of 4 in 0.001 s" in caplog.text
    assert "test://consumer is back" in caplog.text


def test_waits_double_up_to_the_longest_and_honour_the_consumer() -> None:
    retries = Retries(retries=8, backoff=0.1, longest=2.0)
    assert [retries.wait(n) for n in range(1, 8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert retries.wait(1, after=1.5) == 1.5
    assert retries.wait(3, after=0.1) == 0.4
    assert retries.wait(5_000) == 2.0
    assert retries.wait(1, after=60.0) == 60.0


def test_send_blocks_at_a_bounded_backlog_and_a_stop_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "BACKLOG_BYTES", 100_000)
    gate, stop = threading.Event(), threading.Event()
    consumer = Consumer(lambda attempt, batch: gate.wait(10.0) and None)
    sink = made(consumer, size=10_000)
    sink.open(stop)
    sent = 0

    def send() -> None:
        nonlocal sent
        for i in range(0, COUNT, 100):
            taken = sink.send(BUFFER, OFFSETS, i, i + 100)
            sent += taken
            if not taken:
                return

    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: sent > 700)
    time.sleep(0.1)
    held = int(OFFSETS[sent])
    assert held < 100_000 + 2 * int(OFFSETS[100]) + 10_000  # the limit, a slice, the batch under way
    before = time.monotonic()
    stop.set()
    thread.join()
    sink.flush()
    assert time.monotonic() - before < 2.0
    assert sink.acked() == 0
    gate.set()
    sink.close()
    assert consumer.records == LINES[: len(consumer.records)]


def test_stop_ends_a_long_wait_for_a_consumer_that_is_away() -> None:
    def trouble(attempt: int, batch: Batch) -> None:
        raise Unavailable("come back tomorrow", after=300.0)

    stop = threading.Event()
    consumer = Consumer(trouble)
    sink = made(consumer)
    sink.open(stop)
    sink.send(BUFFER, OFFSETS, 0, 10)
    wait_until(lambda: consumer.attempts)
    before = time.monotonic()
    stop.set()
    sink.flush()
    sink.close()
    assert time.monotonic() - before < 2.0
    assert sink.acked() == 0


def test_stop_lets_what_is_on_its_way_arrive() -> None:
    stop = threading.Event()
    consumer = Consumer(lambda attempt, batch: time.sleep(0.01))
    sink = made(consumer)
    sink.open(stop)
    sink.send(BUFFER, OFFSETS, 0, COUNT)
    stop.set()
    sink.flush()
    sink.close()
    assert sink.acked() == COUNT


def test_records_linger_for_a_fuller_batch_but_not_for_a_flush() -> None:
    consumer = Consumer()
    sink = made(consumer, linger=30.0)
    sink.open(threading.Event())
    for i in range(0, 1_400, 10):
        sink.send(BUFFER, OFFSETS, i, i + 10)
    wait_until(lambda: sink.acked() == 1_400)
    sink.send(BUFFER, OFFSETS, 1_400, 1_405)
    sink.flush()
    sink.close()
    assert consumer.sizes == [700, 700, 5]
