"""NATS JetStream on a real server, and one that is killed."""

from __future__ import annotations

import threading
from pathlib import Path

import nats
import polars as pl
import pytest

from simtom_pipelines.replay import SinkError
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks import open_sink
from simtom_pipelines.replay.sinks.courier import Courier, Unavailable
from simtom_pipelines.replay.sinks.nats_jetstream import NatsCarrier, _Window
from tests.simtom_pipelines.replay.sink_servers import (
    NATS,
    free_port,
    in_loop,
    nats_messages,
    nats_records,
    nats_subject,
    own_nats,
    wait_until,
)

COUNT = 3_000
BUFFER, OFFSETS = encode(pl.DataFrame({"id": [f"id{n:05d}" for n in range(COUNT)], "text": ["\u00e9"] * COUNT}))
LINES = bytes(BUFFER).splitlines()


async def make_stream(address: str, name: str, subject: str, **settings: object) -> None:
    client = await nats.connect(f"nats://{address}")
    await client.jetstream().add_stream(nats.js.api.StreamConfig(name=name, subjects=[subject], **settings))  # type: ignore[arg-type]
    await client.close()


def deliver(target: str, first: int = 0, last: int = COUNT, **options: object) -> None:
    sink = open_sink(target, **options)
    sink.open(threading.Event())
    for i in range(first, last, 97):
        sink.send(BUFFER, OFFSETS, i, min(i + 97, last))
    sink.flush()
    assert sink.acked() == last - first
    sink.close()


def test_stream_gets_every_record_whole_and_in_order() -> None:
    with nats_subject() as (subject, stream):
        deliver(f"nats://{NATS}/{subject}?create=true", stream=stream, batch=400)
        assert nats_records(NATS, subject) == LINES


@pytest.mark.parametrize("msg_id,kept", [("hash", 1), ("id", 1), ("none", 2)])
def test_record_sent_again_is_dropped_by_its_message_id(msg_id: str, kept: int) -> None:
    with nats_subject() as (subject, stream):
        options = {"create": True, "stream": stream, "msg_id": msg_id}
        deliver(f"nats://{NATS}/{subject}", 0, 700, **options)
        deliver(f"nats://{NATS}/{subject}", 600, 1_000, **options)
        found = in_loop(nats_messages(NATS, subject))
        assert [message.data for message in found[700:]] == LINES[600 if kept == 2 else 700 : 1_000]
        if msg_id == "id":
            assert found[5].headers == {"Nats-Msg-Id": "id00005", "Nats-Expected-Stream": stream}


def test_subject_without_a_stream_is_refused() -> None:
    with nats_subject() as (subject, _):
        sink = open_sink(f"nats://{NATS}/{subject}")
        with pytest.raises(SinkError, match=rf"no JetStream stream takes subject '{subject}'.*create=true"):
            sink.open(threading.Event())
        sink.close()


def test_stream_of_another_name_is_refused() -> None:
    with nats_subject() as (subject, stream):
        in_loop(make_stream(NATS, stream, subject))
        sink = open_sink(f"nats://{NATS}/{subject}?stream=OTHER")
        with pytest.raises(SinkError, match=f"belongs to stream '{stream}', not to 'OTHER'"):
            sink.open(threading.Event())
        sink.close()


def test_record_that_the_stream_refuses_ends_the_run() -> None:
    with nats_subject() as (subject, stream):
        in_loop(make_stream(NATS, stream, subject, max_msg_size=20))
        sink = open_sink(f"nats://{NATS}/{subject}")
        sink.open(threading.Event())
        sink.send(BUFFER, OFFSETS, 0, 10)
        with pytest.raises(SinkError, match=r"refuses a record .*message size exceeds maximum"):
            sink.flush()
        assert sink.acked() == 0
        sink.close()


def test_record_larger_than_the_server_takes_is_told() -> None:
    with nats_subject() as (subject, stream):
        buffer, offsets = encode(pl.DataFrame({"text": ["x" * 1_100_000]}))
        sink = open_sink(f"nats://{NATS}/{subject}", create=True, stream=stream)
        sink.open(threading.Event())
        sink.send(buffer, offsets, 0, 1)
        with pytest.raises(SinkError, match=r"1,100,011 bytes is over the NATS server's max_payload, 1,048,576"):
            sink.flush()
        sink.close()


def test_full_stream_is_waited_for_and_the_order_holds() -> None:
    with nats_subject() as (subject, stream):
        in_loop(make_stream(NATS, stream, subject, max_msgs=500, discard="new"))
        sink = open_sink(f"nats://{NATS}/{subject}", backoff="10ms", backoff_max="50ms", retries=40)
        sink.open(threading.Event())
        sink.send(BUFFER, OFFSETS, 0, 800)
        wait_until(lambda: sink.acked() == 500)
        first = nats_records(NATS, subject)

        async def purge() -> None:
            client = await nats.connect(f"nats://{NATS}")
            await client.jetstream().purge_stream(stream)
            await client.close()

        in_loop(purge())
        sink.flush()
        sink.close()
        assert list(dict.fromkeys(first + nats_records(NATS, subject))) == LINES[:800]


class Answer:
    """What a window reads of a message."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def test_record_behind_a_missing_one_is_not_counted_and_comes_again_under_another_id() -> None:
    sink = open_sink("nats://localhost/a.b", msg_id="id")
    assert isinstance(sink, Courier)
    carrier = sink.carrier
    assert isinstance(carrier, NatsCarrier)
    window = _Window("inbox.1-", 4)
    for number, data in (
        (0, b'{"stream":"A","seq":7}'),
        (1, b'{"error":{"code":503,"description":"busy"}}'),
        (2, b'{"stream":"A","seq":8}'),
    ):
        window.answer(number, Answer(data))  # type: ignore[arg-type]
    problem = carrier._partly(window, str(window.refused))
    assert isinstance(problem, Unavailable)
    assert (problem.accepted, str(problem)) == (1, "busy (503)")
    assert carrier._gaps == 1
    window = _Window("inbox.2-", 2)
    window.answer(0, Answer(b'{"stream":"A","seq":9}'))  # type: ignore[arg-type]
    assert isinstance(carrier._partly(window, "silence"), Unavailable)
    assert carrier._gaps == 1  # nothing is stored out of order, so the same ids let the stream drop what it has


def test_nobody_there_is_told_before_anything_is_sent() -> None:
    sink = open_sink(f"nats://127.0.0.1:{free_port()}/a", retries=1, backoff="1ms")
    with pytest.raises(SinkError, match=r"a does not take records: cannot connect \(.*given up after 2 attempts"):
        sink.open(threading.Event())
    sink.close()


def test_killed_server_is_waited_for_and_nothing_is_missing(tmp_path: Path) -> None:
    with own_nats(tmp_path) as server:
        target = f"nats://{server.address}/a.b?create=true&timeout=5s"
        sink = open_sink(target, batch=100, retries=40, backoff="20ms", backoff_max="200ms")
        sink.open(threading.Event())
        for i in range(0, COUNT, 100):
            if i in (1_000, 2_000):
                wait_until(lambda: sink.acked() >= 500)
                server.kill()
                server.start()
            sink.send(BUFFER, OFFSETS, i, i + 100)
        sink.flush()
        assert sink.acked() == COUNT
        sink.close()
        found = nats_records(server.address, "a.b")
        assert list(dict.fromkeys(found)) == LINES
