"""Replay of a real day's arrivals: paced at 9,000 and 90,000 records/s, and as fast as possible to a pipe and a file.

Run with ``python -m bench.replay``. Options:

- ``--first-in-line``: run under SCHED_FIFO (needs the right to), which shows what an idle machine would on a busy one.
- ``--minutes N``: also the end of a replay of N minutes against its schedule.
- ``--memory DAYS``: also the memory of a replay of so many days of 1,000,000 rows, which are made first.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generators.ecommerce.bnpl_config import BNPLConfig
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days
from simtom_pipelines.replay import FileSink, Position, ReplayReport, ReplayRequest, StdoutSink, replay
from simtom_pipelines.replay.stored import StoredSource

DAY = date(2024, 11, 13)
DAILY = 200_000
RATE, FAST_RATE = 9_000.0, 90_000.0
TURNS = 4
BIG_DAILY = 1_000_000


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its target."""

    what: str
    seen: str
    target: str
    reached: bool

    def line(self) -> str:
        return f"{self.what:<58} {self.seen:>12}   target {self.target:<18} {'ok' if self.reached else 'MISSED'}"


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
    (stored,) = write_days(lake, _spec(DAILY), "transactions", [DAY])
    return lake, stored.rows


def _spec(daily: int) -> DatasetSpec:
    config = BNPLConfig(base_daily_volume=daily)
    return DatasetSpec(name="bnpl", generator="bnpl", start_date=date(2015, 1, 1), config=config)


def to_pipe(request: ReplayRequest, lake: ParquetLake) -> ReplayReport:
    with pipe_to_nowhere() as fd:
        return replay(request, StdoutSink(fd), lake=lake, owns_process=True)


def bare_sleeper(seconds: float = 5.0) -> float:
    """Return the p99 lateness of a loop that does nothing but sleep to the next half millisecond."""
    late, due = [], time.perf_counter()
    end = due + seconds
    while due < end:
        due += 0.0005
        time.sleep(max(due - time.perf_counter(), 0.0))
        late.append(time.perf_counter() - due)
    return float(np.quantile(late, 0.99))


def paced(lake: ParquetLake, rows: int, rate: float, folder: Path, most: float) -> list[Figure]:
    """Replay one day so that its mean rate is `rate`, with a cursor."""
    request = ReplayRequest("bnpl", "transactions", day_in=rows / rate, cursor=folder / f"{rate:.0f}.cursor")
    before = cpu_seconds()
    report = to_pipe(request, lake)
    core, p99, name = (cpu_seconds() - before) / report.elapsed, report.lateness["p99"] * 1e3, f"paced, {rate:,.0f}/s"
    found = [
        Figure(f"{name}: records/s, mean", f"{report.rate:,.0f}", f"{rate:,.0f}", report.rate > 0.95 * rate),
        Figure(f"{name}: lateness p99, ms", f"{p99:.2f}", f"at most {most:g}", p99 <= most),
    ]
    if rate == RATE:
        found.append(Figure(f"{name}: share of a core, everything", f"{core:.0%}", "at most 20%", core <= 0.2))
    return found


def encode_alone(request: ReplayRequest, lake: ParquetLake) -> float:
    """Return the records/s of reader and encoder without pacer and sink."""
    begin = time.perf_counter()
    rows = sum(len(chunk) for chunk in StoredSource(request, lake).chunks(Position()))
    return rows / (time.perf_counter() - begin)


def as_fast_as_possible(lake: ParquetLake, folder: Path) -> list[Figure]:
    request = ReplayRequest("bnpl", "transactions", asap=True, loop=TURNS)
    alone = encode_alone(request, lake)
    pipe = to_pipe(request, lake).rate
    file = replay(request, FileSink(folder / "out.ndjson"), lake=lake, owns_process=True).rate
    return [
        Figure("reader and encoder alone: records/s", f"{alone:,.0f}", "-", True),
        Figure("asap to a pipe: records/s", f"{pipe:,.0f}", "at least 250,000", pipe >= 250_000),
        Figure("asap to a file: records/s", f"{file:,.0f}", "at least 250,000", file >= 250_000),
    ]


class TimedSink(StdoutSink):
    """Notes when the first and the last record were taken."""

    first = last = 0.0

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        taken = super().send(buffer, offsets, i, j)
        self.last = time.monotonic()
        self.first = self.first or self.last
        return taken


def end_of_schedule(lake: ParquetLake, minutes: float) -> Figure:
    """Replay a day in so many minutes and compare the end with the schedule."""
    request = ReplayRequest("bnpl", "transactions", day_in=minutes * 60.0)
    compression = 86_400.0 / (minutes * 60.0)
    with pipe_to_nowhere() as fd:
        sink = TimedSink(fd)
        report = replay(request, sink, lake=lake, owns_process=True)
    times = np.concatenate([due for due, _ in StoredSource(request, lake).schedule()])
    off = sink.last - sink.first - (times[-1] - times[0]) / 1e6 / compression
    name = f"end of {sink.last - sink.first:,.0f} s, {report.emitted:,} records: ms off the schedule"
    return Figure(name, f"{off * 1e3:+.2f}", "within 10", abs(off) <= 0.010)


MEMORY = """
import re, sys
from pathlib import Path
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.replay import ReplayRequest, StdoutSink, replay
options = {"asap": True} if sys.argv[2] == "asap" else {"day_in": float(sys.argv[2])}
report = replay(ReplayRequest("bnpl", "transactions", **options), StdoutSink(), lake=ParquetLake(sys.argv[1]))
# Not ru_maxrss, which a process inherits from the one that started it.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(report.emitted, int(peak[1]) / 1024, file=sys.stderr)
"""


def memory(root: str) -> list[Figure]:
    """Replay everything in a process of its own, as fast as possible and paced, and return its largest size."""
    found = []
    for speed in ("asap", "5"):
        with (
            subprocess.Popen(
                [sys.executable, "-c", MEMORY, root, speed], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process,
            subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL) as reader,
        ):
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            emitted, megabytes = process.stderr.read().split()
            reader.wait()
        what = f"memory, {int(emitted):,} rows, {'asap' if speed == 'asap' else f'a day in {speed} s'}: MB"
        found.append(Figure(what, f"{float(megabytes):,.0f}", "at most 350", float(megabytes) <= 350))
    return found


def run(minutes: float = 0.0, big_days: int = 0) -> list[Figure]:
    """Measure and return the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lake, rows = make_lake(name)
        figures = [Figure("a bare loop of sleeps on this machine: p99, ms", f"{bare_sleeper() * 1e3:.2f}", "-", True)]
        figures += paced(lake, rows, RATE, folder, 1.0)
        figures += paced(lake, rows, FAST_RATE, folder, 5.0)
        figures += as_fast_as_possible(lake, folder)
        if minutes:
            figures.append(end_of_schedule(lake, minutes))
        if big_days:
            days = [DAY + timedelta(n) for n in range(big_days)]
            for _ in write_days(ParquetLake(f"{name}/big"), _spec(BIG_DAILY), "transactions", days):
                continue
            figures += memory(f"{name}/big")
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Benchmarks of the replay.")
    parser.add_argument("--first-in-line", action="store_true", help="run under SCHED_FIFO")
    parser.add_argument("--minutes", type=float, default=0.0, help="also the end of a replay of so many minutes")
    parser.add_argument("--memory", type=int, default=0, metavar="DAYS", help="also the memory over so many days")
    options = parser.parse_args(arguments)
    if options.first_in_line and os.sched_getscheduler(0) != os.SCHED_FIFO:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        # Begin anew: threads that the libraries have already started would stay behind.
        os.execv(sys.executable, [sys.executable, "-m", "bench.replay", *sys.argv[1:]])
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {DAILY:,} rows a day")
    for figure in run(options.minutes, options.memory):
        print(figure.line())


if __name__ == "__main__":
    main(None if sys.argv[0].endswith("replay.py") else [])
