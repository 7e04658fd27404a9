"""Kafka against librdkafka's mock cluster in one process and a consumer in another."""

from __future__ import annotations

import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from simtom_pipelines.replay import SinkError
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks import KafkaSink, open_sink
from tests.simtom_pipelines.replay.sink_servers import (
    MockBrokers,
    free_port,
    kafka_messages,
    mock_brokers,
    unique,
)

COUNT = 3_000
START = datetime(2024, 11, 29, tzinfo=UTC)
BUFFER, OFFSETS = encode(
    pl.DataFrame(
        {
            "timestamp": [START + timedelta(milliseconds=17.5 * n) for n in range(COUNT)],
            "customer_id": [f"cu_{n * 7_919 % 101:03d}" for n in range(COUNT)],
            "n": np.arange(COUNT),
            "text": ["\u00e9" * 20] * COUNT,
        }
    )
)
LINES = bytes(BUFFER).decode().splitlines()


@pytest.fixture(scope="module")
def brokers() -> Iterator[MockBrokers]:
    with mock_brokers() as found:
        yield found


def opened(brokers: MockBrokers, topic: str, **options: object) -> KafkaSink:
    sink = open_sink(f"kafka://{brokers.servers}/{topic}", **options)
    assert isinstance(sink, KafkaSink)
    sink.open(threading.Event())
    return sink


def test_consumer_gets_every_record_with_key_and_event_time(brokers: MockBrokers) -> None:
    topic = unique("t")
    sink = opened(brokers, topic, key="customer_id")
    for i in range(0, COUNT, 13):
        assert sink.send(BUFFER, OFFSETS, i, min(i + 13, COUNT)) == min(13, COUNT - i)
        sink.poll()
    sink.flush()
    assert sink.acked() == COUNT
    sink.close()
    found = kafka_messages(brokers.servers, topic, COUNT)
    assert sorted(message.value for message in found) == sorted(LINES)
    by_key: dict[str, list[int]] = defaultdict(list)
    for message in found:
        n = LINES.index(message.value)
        by_key[message.key].append(n)
        assert message.key == f"cu_{n * 7_919 % 101:03d}"
        assert message.timestamp == (1, 1_732_838_400_000 + int(17.5 * n))  # 1: set by the producer
    assert len(by_key) == 101
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    assert len({message.partition for message in found}) > 1
    assert all(len({m.partition for m in found if m.key == key}) == 1 for key in list(by_key)[:10])


def test_partition_of_a_key_is_chosen_as_asked(brokers: MockBrokers) -> None:
    topic = unique("t")
    sink = opened(brokers, topic, key="customer_id", partitioner="consistent", time="none")
    sink.send(BUFFER, OFFSETS, 0, 200)
    sink.flush()
    sink.close()
    found = kafka_messages(brokers.servers, topic, 200)
    partitions = 1 + max(message.partition for message in found)
    assert all(message.partition == zlib.crc32(message.key.encode()) % partitions for message in found)
    assert all(message.timestamp[1] > 1_750_000_000_000 for message in found)  # the producer's clock


def test_nothing_is_acknowledged_before_the_brokers_have_it() -> None:
    with mock_brokers() as brokers:
        sink = opened(brokers, "t")
        brokers.pause()
        sink.send(BUFFER, OFFSETS, 0, 500)
        time.sleep(0.2)
        sink.poll()
        assert sink.acked() == 0
        brokers.go_on()
        sink.flush()
        assert sink.acked() == 500
        sink.close()
        assert len(kafka_messages(brokers.servers, "t", 500)) == 500


def test_full_queue_blocks_the_send_and_a_stop_ends_it() -> None:
    with mock_brokers() as brokers:
        stop = threading.Event()
        sink = open_sink(f"kafka://{brokers.servers}/t", **{"queue.buffering.max.messages": "500"})
        sink.open(stop)
        brokers.pause()
        threading.Timer(0.3, stop.set).start()
        before = time.monotonic()
        taken = sink.send(BUFFER, OFFSETS, 0, COUNT)
        sink.flush()
        assert time.monotonic() - before < 3.0
        assert 0 < taken <= 500
        assert sink.acked() == 0
        brokers.go_on()
        sink.close()


def test_brokers_that_stay_away_end_the_run() -> None:
    with mock_brokers() as brokers:
        sink = opened(brokers, "t", retry_for="1s")
        sink.send(BUFFER, OFFSETS, 0, 100)
        sink.flush()
        brokers.kill()
        sink.send(BUFFER, OFFSETS, 100, 200)
        with pytest.raises(SinkError, match=r"t did not take a record: .*timed out.*\(option retry_for\)"):
            sink.flush()
        assert sink.acked() == 100
        sink.close()


def test_no_broker_is_told_before_anything_is_sent() -> None:
    sink = open_sink(f"kafka://127.0.0.1:{free_port()}/t", connect_for="200ms")
    with pytest.raises(SinkError, match=r"t: no broker answers \(.*\) within 0.2 s \(option connect_for\)"):
        sink.open(threading.Event())
    sink.close()


def test_record_that_is_too_large_is_told(brokers: MockBrokers) -> None:
    sink = opened(brokers, unique("t"), **{"message.max.bytes": 1_000})
    buffer, offsets = encode(pl.DataFrame({"text": ["x", "x" * 1_000]}))
    with pytest.raises(SinkError, match=r"refuses a record: .*too large"):
        sink.send(buffer, offsets, 0, 2)
    sink.flush()
    assert sink.acked() == 1
    sink.close()


def test_unknown_property_is_told() -> None:
    sink = open_sink("kafka://localhost/t?linger.seconds=5")
    with pytest.raises(SinkError, match=r'producer cannot be made: No such configuration property: "linger.seconds"'):
        sink.open(threading.Event())
    sink.close()


class Reports:
    """In place of a producer: keeps the callbacks, so that a test chooses when and in which order they come."""

    def __init__(self) -> None:
        self.callbacks: list[Any] = []

    def produce(self, topic: str, value: bytes, key: bytes | None, *, on_delivery: Any, timestamp: int) -> None:
        self.callbacks.append(on_delivery)

    def poll(self, timeout: float) -> None: ...


def test_records_count_up_to_the_first_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtom_pipelines.replay.sinks.kafka._WINDOW", 64)
    stop, reports = threading.Event(), Reports()
    sink = KafkaSink(("localhost:1",), "t")
    sink._begin(stop)
    sink._producer = reports  # type: ignore[assignment]
    begin = 0
    for _ in range(5):  # around the window several times
        assert sink.send(BUFFER, OFFSETS, begin, begin + 50) == 50
        for k in [*range(begin + 1, begin + 20), begin + 30]:
            reports.callbacks[k](None, None)
        assert sink.acked() == begin
        reports.callbacks[begin](None, None)
        assert sink.acked() == begin + 20
        for k in set(range(begin + 20, begin + 50)) - {begin + 30}:
            reports.callbacks[k](None, None)
        assert sink.acked() == begin + 50
        begin += 50
    stop.set()
    assert sink.send(BUFFER, OFFSETS, begin, begin + 100) == 64  # never more than the window
