"""Sources of one's own: what the engine promises to anything that yields chunks."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from simtom_pipelines.replay import (
    Chunk,
    CursorError,
    MonotonicClock,
    Pacing,
    Position,
    ReplayControl,
    ReplayError,
    VirtualClock,
    replay_source,
)
from simtom_pipelines.replay.encoder import encode
from tests.simtom_pipelines.replay.folder import FIRST, FolderLake, ListSink, days_from, even, frame

START = 1_700_000_000_000_000


class Ticks:
    """A number a second, due every half second: an arrival rate that differs from the event times."""

    def __init__(self, count: int = 100, rows: int = 7, version: int = 1) -> None:
        self.count, self.rows, self.version = count, rows, version
        self.closed = 0

    @property
    def identity(self) -> str:
        return f"ticks {self.count}"

    def chunks(self, position: Position) -> Iterator[Chunk]:
        try:
            for n in range(position.stored, self.count, self.rows):
                numbers = np.arange(n, min(n + self.rows, self.count))
                buffer, offsets = encode(pl.DataFrame({"id": numbers}))
                begin = Position(stored=n, arrived=n, fingerprints=(("ticks", "all", str(self.version)),))
                yield Chunk(begin, START + numbers * 1_000_000, START + numbers * 500_000, buffer, offsets)
        finally:
            self.closed += 1

    def seek(self, moment: date | datetime) -> Position:
        raise ReplayError("ticks cannot seek")

    def check(self, position: Position) -> None:
        for _, _, version in position.fingerprints:
            if version != str(self.version):
                raise CursorError(f"ticks were version {version}")


def test_due_times_pace_and_event_times_are_told() -> None:
    source, sink = Ticks(), ListSink(VirtualClock())
    report = replay_source(source, sink, Pacing(compression=2.0), clock=sink.clock)
    assert sink.ids == list(range(100))
    np.testing.assert_allclose(sink.moments, np.arange(100) * 0.25, atol=1e-6)
    assert report.position == datetime.fromtimestamp(START / 1e6 + 99, UTC)
    assert source.closed == 1


def test_cursor_resumes_and_refuses_what_the_source_refuses(tmp_path: Path) -> None:
    sink = ListSink(VirtualClock())
    for sink.stop_after in (10, 25, None):
        options = {"clock": sink.clock, "cursor": tmp_path / "c"}
        replay_source(Ticks(rows=3 + len(sink.records)), sink, **options)  # type: ignore[arg-type]
        if len(sink.records) < 100:
            with pytest.raises(CursorError, match="ticks were version 1"):
                replay_source(Ticks(version=2), sink, **options)  # type: ignore[arg-type]
            with pytest.raises(CursorError, match="of 'ticks 100', asked is 'ticks 99'"):
                replay_source(Ticks(99), sink, **options)  # type: ignore[arg-type]
    assert sink.ids == list(range(100))


def test_refused_seek_is_told_and_nothing_is_lost() -> None:
    source, sink, control = Ticks(), ListSink(VirtualClock()), ReplayControl()
    control.seek(date(2024, 1, 1))
    replay_source(source, sink, Pacing(compression=None), clock=sink.clock, control=control)
    assert sink.ids == list(range(100))
    assert control.refusal == "ticks cannot seek"


def test_controls_and_cursor_work_while_the_source_has_nothing(tmp_path: Path) -> None:
    """A live source may be silent for long: the run still looks after itself, and ends when told to."""
    pause = threading.Event()

    class Silent(Ticks):
        def chunks(self, position: Position) -> Iterator[Chunk]:
            yield next(super().chunks(position))
            nothing = np.zeros(0, np.int64)
            while not pause.wait(0.01):
                yield Chunk(Position(), nothing, nothing, *encode(pl.DataFrame({"id": nothing})))

    sink, control = ListSink(VirtualClock()), ReplayControl()
    arguments = {"cursor": tmp_path / "c", "control": control, "clock": MonotonicClock()}
    thread = threading.Thread(target=replay_source, args=(Silent(), sink, Pacing(None)), kwargs=arguments)
    thread.start()
    while control.report is None or control.report.emitted < 7:
        assert not control.wait(0.02)
    control.pause()
    assert not control.wait(0.3)
    assert '"arrived": 7' in (tmp_path / "c").read_text()
    control.stop()
    assert control.wait(10.0)
    thread.join()
    assert control.report is not None
    assert not control.report.finished


MEMORY = """
import resource, sys
from pathlib import Path
from simtom_pipelines.replay import FileSink, ReplayRequest, replay
from tests.simtom_pipelines.replay.folder import FolderLake
replay(ReplayRequest("shop", "orders", asap=True), FileSink(sys.argv[2]), lake=FolderLake(Path(sys.argv[1])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.long
def test_memory_does_not_grow_with_the_days(tmp_path: Path) -> None:
    largest = []
    for count in (2, 16):
        lake = FolderLake(tmp_path / str(count))
        for day in days_from(FIRST, count):
            made = frame(day, even(60_000)).with_columns(text=pl.lit("x" * 500))
            lake.put(day, made, group=20_000)
        arguments = [sys.executable, "-c", MEMORY, str(lake.root), str(tmp_path / f"{count}.ndjson")]
        environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
        done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
        largest.append(float(done.stdout))
    assert largest[1] < largest[0] + 40.0
