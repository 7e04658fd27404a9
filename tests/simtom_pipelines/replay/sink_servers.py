"""Servers for tests of sinks: those of this machine, and own ones that may be killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import nats
import pytest
import redis

T = TypeVar("T")
REDIS, NATS = "127.0.0.1:6379", "127.0.0.1:4222"
_numbers = count()


def missing(what: str) -> None:
    """Skip the test, or fail it where servers are required."""
    text = f"{what}; SIMTOM_REQUIRE_SERVERS=1 makes this a failure"
    if os.environ.get("SIMTOM_REQUIRE_SERVERS") == "1":
        pytest.fail(text)
    pytest.skip(text)


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with suppress(OSError), socket.create_connection((host, int(port)), 1.0):
        return True
    return False


def unique(prefix: str) -> str:
    return f"{prefix}{os.getpid()}_{next(_numbers)}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_until(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def in_loop(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class OwnServer:
    """A server process on a port and folder of its own: it keeps its data over a kill.

    Args:
        program: Its name.
        arguments: Its arguments.
        port: Where it listens.
    """

    def __init__(self, program: str, arguments: list[str], port: int) -> None:
        found = shutil.which(program)
        if found is None:
            missing(f"{program} is not installed")
        self._command, self.address = [str(found), *arguments], f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: listens(self.address))

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def own_redis(folder: Path) -> Iterator[OwnServer]:
    port = free_port()
    kept = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    server = OwnServer("redis-server", ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *kept], port)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def own_nats(folder: Path, *more: str) -> Iterator[OwnServer]:
    port = free_port()
    server = OwnServer("nats-server", ["-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder), *more], port)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def redis_records(address: str, stream: str) -> list[bytes]:
    host, _, port = address.partition(":")
    with redis.Redis(host, int(port)) as client:
        return [fields[b"record"] for _, fields in client.xrange(stream)]


@contextmanager
def redis_stream() -> Iterator[str]:
    """Give the name of a stream on this machine's server."""
    if not listens(REDIS):
        missing(f"no Redis server listens on {REDIS}")
    name = unique("simtom:test:")
    try:
        yield name
    finally:
        with redis.Redis.from_url(f"redis://{REDIS}") as client:
            client.delete(name)


async def nats_messages(address: str, subject: str) -> list[Any]:
    client = await nats.connect(f"nats://{address}")
    try:
        js = client.jetstream()
        stream = await js.find_stream_name_by_subject(subject)
        total = (await js.stream_info(stream)).state.messages
        reader = await js.pull_subscribe(subject, config=nats.js.api.ConsumerConfig(ack_policy="none"))
        found: list[Any] = []
        while len(found) < total:
            found += await reader.fetch(min(500, total - len(found)), timeout=5.0)
        return found
    finally:
        await client.close()


def nats_records(address: str, subject: str) -> list[bytes]:
    return [message.data for message in in_loop(nats_messages(address, subject))]


async def _delete_stream(address: str, stream: str) -> None:
    client = await nats.connect(f"nats://{address}")
    try:
        with suppress(nats.js.errors.NotFoundError):
            await client.jetstream().delete_stream(stream)
    finally:
        await client.close()


@contextmanager
def nats_subject() -> Iterator[tuple[str, str]]:
    """Give a subject and a stream's name on this machine's server."""
    if not listens(NATS):
        missing(f"no NATS server listens on {NATS}")
    name = unique("simtom_test_")
    try:
        yield f"simtom.test.{name}", name
    finally:
        in_loop(_delete_stream(NATS, name))


_BROKERS = """
import sys
from confluent_kafka import Producer
cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 3})
found = cluster.list_topics(timeout=10).brokers.values()
print(",".join(f"{broker.host}:{broker.port}" for broker in found), flush=True)
sys.stdin.read()
"""

_CONSUMER = """
import json, sys, time
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
servers, topic, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
# The mock cluster answers a fetch with one batch of a partition, so a consumer must not wait between them.
consumer = Consumer({"bootstrap.servers": servers, "group.id": "test", "fetch.wait.max.ms": 10})
while not (partitions := consumer.list_topics(topic, timeout=10).topics[topic].partitions):
    time.sleep(0.05)
consumer.assign([TopicPartition(topic, n, OFFSET_BEGINNING) for n in partitions])
lines, last = [], time.monotonic()  # printed at the end, for nobody may read them meanwhile
while time.monotonic() < last + (30.0 if len(lines) < wanted else 0.5):
    for message in consumer.consume(500, 0.1):
        if message.error():
            continue
        last = time.monotonic()
        lines.append(json.dumps([message.partition(), message.offset(), (message.key() or b"").decode(),
                                 message.timestamp(), message.value().decode(), last]))
consumer.close()
sys.stdout.writelines(line + "\\n" for line in lines)
"""


class MockBrokers:
    """librdkafka's mock cluster in a process of its own: it may be stopped, continued and killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BROKERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.servers = self._process.stdout.readline().strip()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def mock_brokers() -> Iterator[MockBrokers]:
    brokers = MockBrokers()
    try:
        yield brokers
    finally:
        brokers.kill()


@dataclass(frozen=True)
class Received:
    """What a Kafka consumer got, with the moment of its monotonic clock."""

    partition: int
    offset: int
    key: str
    timestamp: tuple[int, int]
    value: str
    moment: float


def consumer_process(servers: str, topic: str, wanted: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CONSUMER, servers, topic, str(wanted)], stdout=subprocess.PIPE, text=True
    )


def kafka_messages(servers: str, topic: str, wanted: int) -> list[Received]:
    """Return what a consumer in another process gets, by partition and offset."""
    return received(consumer_process(servers, topic, wanted))


def received(process: subprocess.Popen[str]) -> list[Received]:
    out, _ = process.communicate()
    found = [
        Received(p, o, k, (kind, at), v, moment) for p, o, k, (kind, at), v, moment in map(json.loads, out.splitlines())
    ]
    return sorted(found, key=lambda message: (message.partition, message.offset))
