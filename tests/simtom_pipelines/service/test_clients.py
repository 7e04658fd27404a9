"""Clients that vanish, stall or are killed: their stream ends, and they cost little until it does."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.simtom_pipelines.service.serving import SMALL, Service, raw, serving, wait

ENDLESS = {"asap": True, "loop": 0}


def alone(service: Service) -> None:
    wait(lambda: not service.running(), 20, "no stream is left")


@pytest.mark.parametrize("reset", [False, True])
def test_client_that_goes_away_ends_its_stream(service: Service, reset: bool) -> None:
    connection = raw(service.port, "/stream/bnpl", {**SMALL, "rate_per_second": 100})
    connection.recv(1 << 16)
    wait(lambda: len(service.running()) == 1, 5, "the stream runs")
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    alone(service)
    assert service.get("/streams").json()["ended"][-1]["reason"] == "client disconnected"


def test_client_that_goes_away_while_paused_ends_its_stream(service: Service) -> None:
    with service.opened("/stream/bnpl", {**SMALL, "rate_per_second": 100}) as (stream, lines):
        next(lines)
        service.post(f"/streams/{stream}/pause")
    alone(service)


def test_client_killed_in_the_middle_leaves_no_stream(service: Service) -> None:
    curl = shutil.which("curl")
    assert curl is not None, "curl is needed: apt-get install curl"
    body = json.dumps({**SMALL, "rate_per_second": 200})
    url = f"{service.url}/stream/bnpl"
    arguments = [curl, "-sN", url, "-H", "Content-Type: application/json", "-d", body]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"{")
        process.send_signal(signal.SIGKILL)
    alone(service)


def test_client_that_reads_nothing_holds_little_and_is_given_up(folder: Path) -> None:
    with serving(folder, client_timeout=2.0, max_records=0) as service:
        connection = raw(service.port, "/datasets/bnpl/replay", ENDLESS)
        connection.recv(1024)
        wait(lambda: len(service.running()) == 1, 5, "the stream runs")
        alone(service)
        (*_, ended) = service.get("/streams").json()["ended"]
        assert ended["reason"] == "client took nothing"
        assert ended["bytes"] < 16e6  # what the kernel's buffers hold on both sides, of an endless stream
        connection.close()


def test_slow_client_gets_every_record_late(service: Service) -> None:
    whole = service.post("/datasets/bnpl/replay", {"asap": True}).content
    connection = raw(service.port, "/datasets/bnpl/replay", {"asap": True})
    received = b""
    while not received.endswith(b"0\r\n\r\n"):
        received += connection.recv(3_000)
        time.sleep(0.001)
    connection.close()
    body, rest = b"", received.partition(b"\r\n\r\n")[2]
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if not int(size, 16):
            break
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    assert body == whole


def test_sources_are_closed_with_their_streams(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from simtom_pipelines.replay.stored import StoredSource

    closed = []
    original = StoredSource.chunks

    def watched(self: StoredSource, position: object) -> object:
        try:
            yield from original(self, position)  # type: ignore[arg-type]
        finally:
            closed.append(True)

    monkeypatch.setattr(StoredSource, "chunks", watched)
    with service.opened("/datasets/bnpl/replay", ENDLESS) as (_, lines):
        next(lines)
    wait(lambda: closed == [True], 10, "the source is closed")


def test_service_told_to_stop_ends_streams_as_whole_answers(folder: Path) -> None:
    with serving(folder) as service, service.opened("/stream/bnpl", {**SMALL, "rate_per_second": 50}) as (_, lines):
        next(lines)
        service.end()
        assert len(list(lines)) < 50
        assert service.post("/stream/bnpl", SMALL).status_code == 503
