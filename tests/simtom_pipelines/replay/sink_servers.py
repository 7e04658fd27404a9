"""Servers for tests of sinks: those of this machine, and own ones that may be killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
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
def own_nats(folder: Path) -> Iterator[OwnServer]:
    port = free_port()
    server = OwnServer("nats-server", ["-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)], port)
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
