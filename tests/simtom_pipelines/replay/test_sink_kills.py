"""kill -9 of the replay and of the sink's server at random moments: nothing is lost, nothing comes out of order."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from generators.ecommerce.bnpl_config import BNPLConfig
from generators.randomness import stream
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days
from simtom_pipelines.replay import ReplayRequest, VirtualClock, replay
from simtom_pipelines.replay.sinks.record import Field
from tests.simtom_pipelines.replay.folder import ListSink
from tests.simtom_pipelines.replay.sink_endpoint import running_endpoint
from tests.simtom_pipelines.replay.sink_servers import (
    OwnServer,
    consumer_process,
    kafka_messages,
    mock_brokers,
    nats_records,
    own_nats,
    own_redis,
    received,
    redis_records,
    wait_until,
)

DAY = date(2024, 11, 29)
IDENTITY = Field("transaction_id")
PATIENT = ("retries=40", "backoff=20ms", "backoff_max=200ms")


@dataclass(frozen=True)
class Stored:
    """A lake with one day of transactions, and their identifiers in order."""

    root: Path
    ids: dict[str, int]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    root = tmp_path_factory.mktemp("lake")
    config = BNPLConfig(base_daily_volume=3_000)
    spec = DatasetSpec(name="bnpl", generator="bnpl", start_date=DAY, config=config)
    (partition,) = write_days(ParquetLake(str(root)), spec, "transactions", [DAY])
    ids = pl.read_parquet(partition.path, columns=["transaction_id"])["transaction_id"].to_list()
    return Stored(root, {identity: n for n, identity in enumerate(ids)})


@dataclass
class World:
    """A consumer: how to reach it, what it has, and the server that may be killed."""

    target: str
    got: Callable[[int], Sequence[Sequence[bytes]]]
    options: Sequence[str] = ()
    server: OwnServer | None = None
    ordered: bool = True
    notes: list[str] = field(default_factory=list)


def file_lines(folder: Path) -> list[bytes]:
    """Return the whole records in the files, the tail that a kill cut excepted."""
    text = b""
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while path.suffix == ".gz" and data:
            packer = zlib.decompressobj(wbits=31)
            text += packer.decompress(data)
            data = packer.unused_data
        text += data
    return text[: text.rfind(b"\n") + 1].splitlines()


@contextmanager
def world(kind: str, folder: Path) -> Iterator[World]:
    folder.mkdir()
    with ExitStack() as stack:
        if kind == "file":
            yield World(f"file:{folder}/out.ndjson", lambda least: [file_lines(folder)])
        elif kind == "gzip":
            target = f"file:{folder}/out.ndjson.gz?rotate=1500 records"
            yield World(target, lambda least: [file_lines(folder)])
        elif kind == "redis":
            server = stack.enter_context(own_redis(folder))
            yield World(
                f"redis://{server.address}/out", lambda least: [redis_records(server.address, "out")], PATIENT, server
            )
        elif kind == "nats":
            server = stack.enter_context(own_nats(folder))
            yield World(
                f"nats://{server.address}/out?create=true&msg_id=none&timeout=5s",
                lambda least: [nats_records(server.address, "out")],
                PATIENT,
                server,
            )
        elif kind == "webhook":
            endpoint = stack.enter_context(running_endpoint())
            yield World(endpoint.url, lambda least: [b"".join(endpoint.bodies).splitlines()], ("linger=5ms",))
        else:
            brokers = stack.enter_context(mock_brokers())

            def partitions(least: int) -> list[list[bytes]]:
                found = kafka_messages(brokers.servers, "out", least)
                return [[m.value.encode() for m in found if m.partition == n] for n in {m.partition for m in found}]

            yield World(f"kafka://{brokers.servers}/out?key=customer_id", partitions, ordered=False)


class Runs:
    """Runs of one replay, each going on where the cursor says."""

    def __init__(self, stored: Stored, world: World, folder: Path) -> None:
        self.stored, self.world, self.cursor = stored, world, folder / "cursor.json"

    def start(self, *speed: str) -> subprocess.Popen[str]:
        options = [part for option in self.world.options for part in ("--sink-option", option)]
        command = [sys.executable, "-m", "simtom_pipelines", "replay", "bnpl", "--to", self.world.target, *options]
        return subprocess.Popen(
            [*command, "--cursor", str(self.cursor), "--lake", str(self.stored.root), *speed],
            cwd=self.cursor.parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def wait_for_progress(self, process: subprocess.Popen[str]) -> None:
        def state() -> tuple[int, int] | None:
            return (self.cursor.stat().st_mtime_ns, self.cursor.stat().st_size) if self.cursor.exists() else None

        before = state()
        wait_until(lambda: process.poll() is not None or state() != before, 60.0)

    def finish(self) -> None:
        process = self.start("--asap")
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told

    def next_record(self) -> int:
        """Return the number of the record at which a run would go on, found by beginning one."""
        if not self.cursor.exists():
            return 0
        copy = self.cursor.with_name("copy.json")
        shutil.copyfile(self.cursor, copy)
        sink, clock = ListSink(VirtualClock(), stop_after=1), VirtualClock()
        request = ReplayRequest("bnpl", "transactions", asap=True, cursor=copy)
        replay(request, sink, lake=ParquetLake(str(self.stored.root)), clock=clock)
        return self.stored.ids[sink.records[0]["transaction_id"]] if sink.records else len(self.stored.ids)

    def numbers(self, least: int) -> list[list[int]]:
        """Return the numbers of the records that the consumer has, in its order, by partition."""
        found = []
        for part in self.world.got(least):
            identities = [IDENTITY(record) for record in part]
            assert None not in identities, "a record is not whole"
            found.append([self.stored.ids[identity.decode()] for identity in identities if identity is not None])
        return found

    def check_cursor(self) -> None:
        following = self.next_record()
        have = {number for part in self.numbers(following) for number in part}
        assert set(range(following)) <= have, "the cursor is ahead of what the consumer has"

    def check_everything(self) -> None:
        parts = self.numbers(len(self.stored.ids))
        assert {number for part in parts for number in part} == set(self.stored.ids.values())
        for part in parts:
            first_times = list(dict.fromkeys(part))
            assert first_times == sorted(first_times), "a record came before its predecessor"
            if self.world.ordered:
                assert all(b <= a + 1 for a, b in pairwise(part) if b > a)


def kill_and_resume(stored: Stored, kind: str, kills: int, folder: Path) -> None:
    draws = stream(11, "kills", kind)
    with world(kind, folder / "consumer") as consumer:
        runs = Runs(stored, consumer, folder)
        process = None
        for kill in range(kills):
            if process is None or process.poll() is not None:
                process = runs.start("--day-in", "20s")
                runs.wait_for_progress(process)
            time.sleep(draws.uniform(0.0, 0.7))
            if consumer.server is not None and kill % 2:
                consumer.server.kill()
                time.sleep(draws.uniform(0.0, 0.5))
                consumer.server.start()
                runs.wait_for_progress(process)
                continue
            process.kill()
            process.communicate()
            process = None
            runs.check_cursor()
        if process is not None:
            process.kill()
            process.communicate()
        runs.check_cursor()
        runs.finish()
        runs.check_everything()
        assert runs.next_record() == len(stored.ids)


def test_killed_replay_and_killed_server_lose_nothing(stored: Stored, tmp_path: Path) -> None:
    kill_and_resume(stored, "redis", 2, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    "kind,kills", [("file", 7), ("gzip", 7), ("webhook", 7), ("kafka", 9), ("redis", 10), ("nats", 10)]
)
def test_fifty_kills_lose_nothing(stored: Stored, tmp_path: Path, kind: str, kills: int) -> None:
    kill_and_resume(stored, kind, kills, tmp_path)


@pytest.mark.long
def test_kafka_consumer_sees_the_hours_of_the_day_pass_in_seconds(stored: Stored, tmp_path: Path) -> None:
    with mock_brokers() as brokers:
        consumer = consumer_process(brokers.servers, "out", len(stored.ids))
        target = f"kafka://{brokers.servers}/out?key=customer_id&linger.ms=100"
        world = World(target, lambda least: [])
        process = Runs(stored, world, tmp_path).start("--time-compression", "3600")
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        found = received(consumer)
    assert len(found) == len(stored.ids)
    events = np.array([message.timestamp[1] for message in found]) / 1e3
    arrivals = np.array([message.moment for message in found])
    late = (arrivals - arrivals.min()) - (events - events.min()) / 3_600.0
    assert np.quantile(np.abs(late - np.median(late)), 0.95) < 0.5
    by_event = np.bincount(((events - events.min()) // 3_600).astype(int), minlength=25)
    by_arrival = np.bincount((arrivals - np.median(late) - arrivals.min()).clip(0).astype(int), minlength=25)[:25]
    assert np.corrcoef(by_event[:24], by_arrival[:24])[0, 1] > 0.9
