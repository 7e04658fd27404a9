"""Redis streams on a real server, and one that is killed."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import redis

from simtom_pipelines.replay import SinkError
from simtom_pipelines.replay.encoder import encode
from simtom_pipelines.replay.sinks import open_sink
from tests.simtom_pipelines.replay.sink_servers import (
    REDIS,
    free_port,
    own_redis,
    redis_records,
    redis_stream,
    wait_until,
)

COUNT = 3_000
BUFFER, OFFSETS = encode(pl.DataFrame({"n": np.arange(COUNT), "text": ['100% "\u00e9" %d'] * COUNT}))
LINES = bytes(BUFFER).splitlines()


def test_stream_gets_every_record_whole_and_in_order() -> None:
    with redis_stream() as name:
        sink = open_sink(f"redis://{REDIS}/{name}", batch=300)
        sink.open(threading.Event())
        for i in range(0, COUNT, 11):
            sink.send(BUFFER, OFFSETS, i, min(i + 11, COUNT))
        sink.flush()
        assert sink.acked() == COUNT
        sink.close()
        assert redis_records(REDIS, name) == LINES


def test_length_field_and_database_are_options() -> None:
    with redis_stream() as name:
        sink = open_sink(f"redis://{REDIS}/{name}?maxlen=500&field=json&db=0")
        sink.open(threading.Event())
        sink.send(BUFFER, OFFSETS, 0, COUNT)
        sink.flush()
        sink.close()
        with redis.Redis.from_url(f"redis://{REDIS}") as client:
            kept = client.xrange(name)
        assert 500 <= len(kept) < 800  # whole nodes of the stream go, so a few more stay
        assert [fields[b"json"] for _, fields in kept] == LINES[-len(kept) :]


def test_key_of_another_kind_is_refused() -> None:
    with redis_stream() as name, redis.Redis.from_url(f"redis://{REDIS}") as client:
        client.set(name, "mine")
        sink = open_sink(f"redis://{REDIS}/{name}")
        with pytest.raises(SinkError, match="holds a string, not a stream"):
            sink.open(threading.Event())
        sink.close()
        assert client.get(name) == b"mine"


def test_wrong_password_is_final() -> None:
    with redis_stream() as name:
        sink = open_sink(f"redis://nobody:wrong@{REDIS}/{name}")
        with pytest.raises(SinkError, match="Redis refuses"):
            sink.open(threading.Event())
        sink.close()


def test_nobody_there_is_told_before_anything_is_sent() -> None:
    sink = open_sink(f"redis://127.0.0.1:{free_port()}/a", retries=2, backoff="1ms")
    with pytest.raises(SinkError, match=r"a does not take records: cannot connect \(.*given up after 3 attempts"):
        sink.open(threading.Event())
    sink.close()


def test_stop_ends_the_wait_for_a_server() -> None:
    stop = threading.Event()
    sink = open_sink(f"redis://127.0.0.1:{free_port()}/a", backoff="1m", backoff_max="1m")
    threading.Timer(0.1, stop.set).start()
    sink.open(stop)  # within the test's time, not after a minute
    assert sink.send(BUFFER, OFFSETS, 0, 10) in (0, 10)
    sink.flush()
    assert sink.acked() == 0
    sink.close()


def test_killed_server_is_waited_for_and_nothing_is_missing(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        sink = open_sink(f"redis://{server.address}/a", batch=100, retries=30, backoff="20ms", backoff_max="200ms")
        sink.open(threading.Event())
        for i in range(0, COUNT, 100):
            if i in (1_000, 2_000):
                wait_until(lambda: sink.acked() >= 500)
                before = sink.acked()
                server.kill()
                server.start()
                assert len(redis_records(server.address, "a")) >= before
            sink.send(BUFFER, OFFSETS, i, i + 100)
        sink.flush()
        assert sink.acked() == COUNT
        sink.close()
        found = redis_records(server.address, "a")
        assert list(dict.fromkeys(found)) == LINES


def test_full_server_is_waited_for(tmp_path: Path) -> None:
    with own_redis(tmp_path) as server:
        host, _, port = server.address.partition(":")
        with redis.Redis(host, int(port)) as client:
            client.config_set("maxmemory", "1")
            sink = open_sink(f"redis://{server.address}/a", backoff="10ms")
            sink.open(threading.Event())
            sink.send(BUFFER, OFFSETS, 0, 1_000)
            with pytest.raises(SinkError, match=r"command not allowed when used memory.*given up after 9 attempts"):
                sink.flush()
            assert sink.acked() == 0
            sink.close()
            again = open_sink(f"redis://{server.address}/a", backoff="10ms", retries="20")
            again.open(threading.Event())
            again.send(BUFFER, OFFSETS, 0, 1_000)
            client.config_set("maxmemory", "0")
            again.flush()
            again.close()
        found = redis_records(server.address, "a")
        # The server may take the end of a batch whose beginning it has just refused: that comes twice.
        assert found[-1_000:] == LINES[:1_000]
        assert set(found) == set(LINES[:1_000])
