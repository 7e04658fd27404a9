"""Replay to a pipe: paced at 9,000 records/s of a real day's arrivals, and as fast as possible.

Run with ``python -m bench.replay``.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from generators.ecommerce.bnpl import BNPLConfig
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days
from simtom_pipelines.replay import ReplayReport, ReplayRequest, StdoutSink, replay
from simtom_pipelines.replay.source import Position
from simtom_pipelines.replay.stored import StoredSource

DAY = date(2024, 11, 13)
DAILY = 200_000
RATE = 9_000.0
TURNS = 4


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its target."""

    what: str
    seen: str
    target: str
    reached: bool

    def line(self) -> str:
        return f"{self.what:<52} {self.seen:>18}   target {self.target:<18} {'ok' if self.reached else 'MISSED'}"


@contextmanager
def pipe_to_nowhere() -> Iterator[int]:
    """Give the write end of a pipe that another process reads."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        yield reader.stdin.fileno()
        reader.stdin.close()


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def make_lake(root: str) -> tuple[ParquetLake, int]:
    lake = ParquetLake(root)
    spec = DatasetSpec(
        name="bnpl", generator="bnpl", start_date=date(2015, 1, 1), config=BNPLConfig(base_daily_volume=DAILY)
    )
    (stored,) = write_days(lake, spec, "transactions", [DAY])
    return lake, stored.rows


def to_pipe(request: ReplayRequest, lake: ParquetLake) -> ReplayReport:
    with pipe_to_nowhere() as fd:
        return replay(request, StdoutSink(fd), lake=lake, owns_process=True)


def encode_alone(request: ReplayRequest, lake: ParquetLake) -> float:
    """Return the records/s of reader and encoder without pacer and sink."""
    begin, rows = time.perf_counter(), 0
    for chunk in StoredSource(request, lake).chunks(Position()):
        rows += len(chunk.times)
    return rows / (time.perf_counter() - begin)


def run() -> list[Figure]:
    """Measure and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        lake, rows = make_lake(folder)
        cursor = Path(folder) / "cursor.json"
        paced = ReplayRequest("bnpl", "transactions", day_in=rows / RATE, cursor=cursor)
        before = cpu_seconds()
        report = to_pipe(paced, lake)
        core = (cpu_seconds() - before) / report.elapsed
        asap = ReplayRequest("bnpl", "transactions", asap=True, loop=TURNS)
        alone, fast = encode_alone(asap, lake), to_pipe(asap, lake)
        share = fast.rate / alone
        p99 = report.lateness["p99"]
        return [
            Figure("paced: records/s, mean", f"{report.rate:,.0f}", f"{RATE:,.0f}", report.rate > 0.95 * RATE),
            Figure("paced: lateness p99, ms", f"{p99 * 1e3:.2f}", "at most 1.5", p99 <= 0.0015),
            Figure("paced: share of a core", f"{core:.0%}", "at most 20%", core <= 0.2),
            Figure("asap: records/s", f"{fast.rate:,.0f}", "at least 180,000", fast.rate >= 180_000),
            Figure("reader and encoder alone: records/s", f"{alone:,.0f}", "-", True),
            Figure("asap, share of reader and encoder alone", f"{share:.2f}", "at least 0.70", share >= 0.7),
        ]


if __name__ == "__main__":
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for figure in run():
        print(figure.line())
