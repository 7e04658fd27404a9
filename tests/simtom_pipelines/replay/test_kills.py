"""kill -9 of the replay at random moments: everything arrives at least once, in order, and no cursor runs ahead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from generators.randomness import stream
from simtom_pipelines.replay import Faults, FileSink, ReplayRequest, VirtualClock, replay
from tests.simtom_pipelines.replay.folder import FIRST, FolderLake, ListSink, days_from, even, frame

TABLES = ("shop/orders", "bank/payments")
FAULTS = Faults(late=0.05, duplicate=0.05, out_of_order=0.05, corrupt=0.05, seed=3)
SECONDS = 0.6
"""Wall time between two kills on average: longer than the cursor takes to move, or nothing would ever be done."""

SCRIPT = f"""
import sys
from pathlib import Path
from simtom_pipelines.replay import Faults, FileSink, ReplayRequest, StdoutSink, replay
from tests.simtom_pipelines.replay.folder import FolderLake
lake, out, folder, faulty, day_in = sys.argv[1:]
request = ReplayRequest(
    "shop", "orders", also={TABLES[1:]!r}, day_in=float(day_in), cursor=Path(folder, "cursor"),
    faults={FAULTS!r} if faulty == "True" else None, answer_key=Path(folder, "key") if faulty == "True" else None,
)
replay(request, StdoutSink() if out == "-" else FileSink(out), lake=FolderLake(Path(lake)))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> FolderLake:
    lake = FolderLake(tmp_path_factory.mktemp("kills"))
    for table, count in zip(TABLES, (4_000, 2_500), strict=True):
        for day in days_from(FIRST, 2):
            made = frame(day, even(count)).with_columns(id=pl.lit(table) + pl.lit("#") + pl.col("id"))
            lake.put(day, made, table=table)
    return lake


class Lines(ListSink):
    def __init__(self) -> None:
        super().__init__(VirtualClock())
        self.lines: list[bytes] = []

    def send(self, buffer: memoryview, offsets: object, i: int, j: int) -> int:
        self.lines += [bytes(buffer[offsets[k] : offsets[k + 1]]) for k in range(i, j)]  # type: ignore[index]
        return j - i


def request(faulty: bool, folder: Path) -> ReplayRequest:
    faults, key = (FAULTS, folder / "key") if faulty else (None, None)
    return ReplayRequest(
        "shop", "orders", also=TABLES[1:], asap=True, cursor=folder / "cursor", faults=faults, answer_key=key
    )


def undisturbed(lake: FolderLake, faulty: bool, folder: Path) -> list[bytes]:
    folder.mkdir()
    sink = Lines()
    replay(request(faulty, folder), sink, lake=lake, clock=sink.clock)
    return sink.lines


def run_and_kill(lake: FolderLake, folder: Path, to: str, faulty: bool, day_in: str, size: int, delay: float) -> None:
    """Run the replay in another process and kill it a moment after it brought so many bytes, where it has not ended.

    The consumer of a pipe is a third process, which outlives the replay and reads what the kernel holds.
    """
    out = folder / "out"
    before = out.stat().st_size if out.exists() else 0
    target = "-" if to == "pipe" else str(out)
    arguments = [sys.executable, "-c", SCRIPT, str(lake.root), target, str(folder), str(faulty), day_in]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with out.open("ab") as file:
        consumer = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file) if to == "pipe" else None
        with subprocess.Popen(arguments, stdout=consumer.stdin if consumer else None, env=environment) as process:
            if consumer is not None and consumer.stdin is not None:
                consumer.stdin.close()
            wait_for(out, before + size, process)
            time.sleep(delay)
            process.kill()
        if consumer is not None:
            consumer.wait(30)
    assert process.returncode in (-9, 0)


def wait_for(out: Path, size: int, process: subprocess.Popen[bytes]) -> None:
    pause = threading.Event()
    while process.poll() is None and out.stat().st_size < size:
        pause.wait(0.002)


@pytest.mark.parametrize(
    "to, faulty, kills",
    [
        ("file", False, 3),
        ("pipe", True, 2),
        *(pytest.param(to, faulty, 25, marks=pytest.mark.long) for to in ("file", "pipe") for faulty in (False, True)),
    ],
)
def test_nothing_is_lost_whenever_it_is_killed(
    lake: FolderLake, tmp_path: Path, to: str, faulty: bool, kills: int
) -> None:
    whole = undisturbed(lake, faulty, tmp_path / "whole")
    draw = stream(kills, "kills", to)
    mean, day_in = sum(map(len, whole)) / kills, str(kills * SECONDS / 2)
    out, reached, places = tmp_path / "out", 0, []
    out.touch()
    for run in range(kills + 1):
        begin = out.stat().st_size
        if run < kills:
            size, delay = int(draw.uniform(1, 2 * mean)), float(draw.uniform(0.0, 0.03))
            run_and_kill(lake, tmp_path, to, faulty, day_in, size, delay)
        else:
            replay(request(faulty, tmp_path), FileSink(out), lake=lake)
        data = out.read_bytes()
        if not data.endswith(b"\n"):  # half a record: a consumer of a pipe drops it, a file is mended
            data = data[: data.rfind(b"\n") + 1]
            os.truncate(out, len(data))
        arrived = data[begin:].splitlines(keepends=True)
        cursor = json.loads((tmp_path / "cursor").read_text())
        # Where this run began: at the cursor of the run before, at or before what the consumer had by then.
        assert arrived == whole[places[-1] : places[-1] + len(arrived)] if places else arrived == whole[: len(arrived)]
        reached = max(reached, (places[-1] if places else 0) + len(arrived))
        assert cursor["position"]["arrived"] <= reached
        places.append(cursor["position"]["arrived"])
    assert reached == len(whole)
    assert cursor["finished"] is True
    if faulty:
        assert (tmp_path / "key").read_bytes() == (tmp_path / "whole" / "key").read_bytes()
    assert len(set(places)) > kills / 2  # the kills did come in the middle
    assert np.diff(places).min() >= 0
