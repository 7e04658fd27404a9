"""Replay into each sink, as fast as possible and paced, beside the targets.

Run with ``python -m bench.sinks [name ...]``; names: pipe, file, gzip, kafka, webhook, redis, nats, paced. The Kafka
cluster is the mock of librdkafka, in this process; Redis and NATS are the servers of this machine; the webhook's
endpoint is a raw socket in another process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bench.replay import DAILY, RATE, TURNS, Figure, cpu_seconds, make_lake, pipe_to_nowhere
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.replay import ReplayReport, ReplayRequest, StdoutSink, open_sink, replay
from simtom_pipelines.replay.sinks import Sink

REDIS, NATS = "redis://127.0.0.1:6379", "nats://127.0.0.1:4222"
MOCK = "kafka://mock/bench?key=customer_id&test.mock.num.brokers=3"
ASAP = ReplayRequest("bnpl", "transactions", asap=True, loop=TURNS)


def swallow(listener: socket.socket) -> None:
    """Answer POST requests with 200, reading their bodies and no more."""
    while True:
        connection, _ = listener.accept()
        held = b""
        with connection:
            while data := connection.recv(1 << 20):
                held += data
                head, end, body = held.partition(b"\r\n\r\n")
                if not end:
                    continue
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                rest = length - len(body)
                while rest > 0 and (data := connection.recv(min(rest, 1 << 20))):
                    rest -= len(data)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                held = b""


@contextmanager
def endpoint() -> Iterator[str]:
    """Give the address of an endpoint in another process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = f"import socket; from bench.sinks import swallow; swallow(socket.socket(fileno={listener.fileno()}))"
        process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[listener.fileno()])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            process.kill()
            process.wait()


def listens(address: str) -> bool:
    host, _, port = address.rpartition("/")[2].partition(":")
    with suppress(OSError), socket.create_connection((host, int(port)), 1.0):
        return True
    return False


def asap(name: str, sink: Sink, lake: ParquetLake, folder: Path, target: float | None) -> Figure:
    request = replace(ASAP, cursor=folder / f"{name}.cursor")
    before = cpu_seconds()
    report = replay(request, sink, lake=lake, owns_process=True)
    each = (cpu_seconds() - before) / report.emitted * 1e6
    return Figure(
        f"asap to {name}: records/s ({each:.1f} µs of core each)",
        f"{report.rate:,.0f}",
        "-" if target is None else f"at least {target:,.0f}",
        target is None or report.rate >= target,
    )


def paced(name: str, sink: Sink, lake: ParquetLake, folder: Path, rows: int) -> list[Figure]:
    request = ReplayRequest("bnpl", "transactions", day_in=rows / RATE, cursor=folder / f"{name}.paced.cursor")
    before = cpu_seconds()
    report: ReplayReport = replay(request, sink, lake=lake, owns_process=True)
    core, p99 = (cpu_seconds() - before) / report.elapsed, report.lateness["p99"] * 1e3
    rate = f"paced to {name}, {report.rate:,.0f} records/s"
    return [
        Figure(f"{rate}: lateness p99, ms", f"{p99:.2f}", "at most 1", p99 <= 1.0),
        Figure(f"{rate}: share of a core", f"{core:.0%}", "-", True),
    ]


def to_pipe(lake: ParquetLake, folder: Path) -> list[Figure]:
    with pipe_to_nowhere() as fd:
        return [asap("pipe", StdoutSink(fd), lake, folder, 250_000)]


def to_file(lake: ParquetLake, folder: Path) -> list[Figure]:
    return [asap("file", open_sink(str(folder / "out.ndjson")), lake, folder, 250_000)]


def to_gzip(lake: ParquetLake, folder: Path) -> list[Figure]:
    return [asap("gzip file", open_sink(str(folder / "out.ndjson.gz")), lake, folder, None)]


def to_kafka(lake: ParquetLake, folder: Path) -> list[Figure]:
    return [asap("Kafka mock", open_sink(MOCK), lake, folder, 150_000)]


def to_webhook(lake: ParquetLake, folder: Path) -> list[Figure]:
    with endpoint() as address:
        return [asap("webhook", open_sink(address), lake, folder, 150_000)]


def to_redis(lake: ParquetLake, folder: Path) -> list[Figure]:
    import redis

    stream = f"simtom:bench:{os.getpid()}"
    try:
        return [asap("Redis", open_sink(f"{REDIS}/{stream}?maxlen=100000"), lake, folder, 60_000)]
    finally:
        redis.Redis.from_url(REDIS).delete(stream)


def to_nats(lake: ParquetLake, folder: Path) -> list[Figure]:
    import asyncio

    import nats

    stream = f"SIMTOM_BENCH_{os.getpid()}"

    async def clean() -> None:
        client = await nats.connect(NATS)
        with suppress(nats.js.errors.NotFoundError):
            await client.jetstream().delete_stream(stream)
        await client.close()

    try:
        sink = open_sink(f"{NATS}/simtom.bench.{os.getpid()}", create=True, stream=stream)
        return [asap("NATS JetStream", sink, lake, folder, None)]
    finally:
        asyncio.run(clean())


def run(names: list[str]) -> list[Figure]:
    """Measure and return the figures."""
    kinds: dict[str, tuple[Callable[[ParquetLake, Path], list[Figure]], str | None]] = {
        "pipe": (to_pipe, None),
        "file": (to_file, None),
        "gzip": (to_gzip, None),
        "kafka": (to_kafka, None),
        "webhook": (to_webhook, None),
        "redis": (to_redis, REDIS),
        "nats": (to_nats, NATS),
    }
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        lake, rows = make_lake(folder)
        for name, (measure, server) in kinds.items():
            if names and name not in names:
                continue
            if server is not None and not listens(server):
                found.append(Figure(f"asap to {name}", f"no server at {server}", "-", False))
                continue
            found += measure(lake, Path(folder))
        if not names or "paced" in names:
            found += paced("Kafka mock", open_sink(MOCK), lake, Path(folder), rows)
    return found


if __name__ == "__main__":
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {DAILY:,} rows a day")
    for figure in run(sys.argv[1:]):
        print(figure.line())
