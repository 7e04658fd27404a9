"""The HTTP service: 200 clients at 100 records/s each, and a stored day as fast as one client takes it.

Run with ``python -m bench.service``. Server and clients are processes of their own; clients read raw sockets, because a
Python client that reads lines would be what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import psutil

from bench.replay import Figure
from generators import generator_class
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days

CLIENTS, RATE, SECONDS, WARM_UP = 200, 100, 20.0, 15.0
DAY, DAILY, LOOPS = date(2024, 11, 13), 200_000, 5

SERVE = """
from simtom_pipelines.service.server import serve
from simtom_pipelines.settings import load_settings
serve(load_settings())
"""


@dataclass
class Server:
    """A service in a process of its own."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def server(folder: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    environment = os.environ | {
        "SIMTOM_PORT": str(port), "SIMTOM_LAKE": f"{folder}/lake", "SIMTOM_DATASETS": f"{folder}/datasets.yaml",
        "SIMTOM_MAX_RECORDS": "0",
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", SERVE], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield Server(port, psutil.Process(process.pid))
        finally:
            process.terminate()


def post(path: str, body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: bench",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Client(asyncio.Protocol):
    """Counts the records of a stream and notes when the last came."""

    def __init__(self, request: bytes) -> None:
        self.request, self.records = request, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.records += data.count(b"}\n")


def _itself(client: Client) -> Client:
    return client


async def crowd(port: int) -> list[float]:
    """Return each client's records/s."""
    loop = asyncio.get_running_loop()
    clients = []
    for seed in range(CLIENTS):
        body: dict[str, object] = {"rate_per_second": RATE, "seed": seed, "start_date": str(DAY)}
        client = Client(post("/stream/bnpl", body))
        await loop.create_connection(partial(_itself, client), "127.0.0.1", port)
        clients.append(client)
    await asyncio.sleep(WARM_UP)
    before, begin = [c.records for c in clients], loop.time()
    await asyncio.sleep(SECONDS)
    elapsed = loop.time() - begin
    return [(c.records - b) / elapsed for c, b in zip(clients, before, strict=True)]


def as_fast_as_possible(port: int) -> tuple[int, float]:
    """Return records and seconds of one client that reads its socket and counts."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(post("/datasets/bnpl/replay", {"asap": True, "loop": LOOPS}))
        begin, records = None, 0
        buffer = bytearray(1 << 20)
        while True:
            size = connection.recv_into(buffer)
            if begin is None:
                begin = time.perf_counter()
            data = bytes(memoryview(buffer)[:size])
            records += data.count(b"}\n")
            if not size or data.endswith(b"0\r\n\r\n"):
                return records, time.perf_counter() - begin


def lateness(port: int) -> dict[str, float]:
    """Return the lateness that the service counted, over all streams, as upper bounds in milliseconds."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /streams HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        raw = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    found = json.loads(raw[raw.index(b"\r\n\r\n") + 4 :])
    streams = found["running"] + found["ended"]
    return {q: max((s["lateness_ms"][q] for s in streams), default=0.0) for q in ("p50", "p99", "max")}


def make_lake(folder: str) -> None:
    config = generator_class("bnpl").config_type.create(base_daily_volume=DAILY)
    spec = DatasetSpec("bnpl", "bnpl", DAY, config)
    list(write_days(ParquetLake(f"{folder}/lake"), spec, "transactions", [DAY]))
    text = f"datasets:\n  - name: bnpl\n    start_date: {DAY}\n    config: {{base_daily_volume: {DAILY}}}\n"
    (Path(folder) / "datasets.yaml").write_text(text)


def run() -> Iterator[Figure]:
    """Measure and yield the figures."""
    with tempfile.TemporaryDirectory() as folder:
        make_lake(folder)
        with server(folder) as running:
            before = running.cpu_seconds()
            rates = asyncio.run(crowd(running.port))
            busy = (running.cpu_seconds() - before) / (SECONDS + WARM_UP)
            memory = running.process.memory_info().rss / 1e6
        what = f"{CLIENTS} clients at {RATE}/s"
        yield Figure(
            f"{what}: slowest client, records/s", f"{min(rates):.1f}", "at least 98", min(rates) >= 0.98 * RATE
        )
        yield Figure(f"{what}: all, records/s", f"{sum(rates):,.0f}", "-", True)
        yield Figure(f"{what}: memory of the server, MB", f"{memory:.0f}", "below 600", memory < 600)
        yield Figure(f"{what}: share of a core", f"{busy:.0%}", "-", True)
        with server(folder) as running:
            records, seconds = as_fast_as_possible(running.port)
        rate = records / seconds
        yield Figure("asap, NDJSON to a raw socket: records/s", f"{rate:,.0f}", "at least 150,000", rate >= 150_000)


if __name__ == "__main__":
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for figure in run():
        print(figure.line(), flush=True)
