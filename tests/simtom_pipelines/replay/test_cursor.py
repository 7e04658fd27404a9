"""Stop, kill and resume: nothing lost, order kept, and no silent mixture of two histories."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simtom_pipelines.replay import CursorError, FileSink, ReplayRequest, SinkClosed, VirtualClock, replay
from tests.simtom_pipelines.replay.folder import (
    DATASET,
    FIRST,
    TABLE,
    FolderLake,
    ListSink,
    days_from,
    even,
    frame,
    stored_ids,
)


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    lake = FolderLake(tmp_path / "lake")
    first, empty, last = days_from(FIRST, 3)
    lake.put(first, frame(first, even(2_500)))
    lake.put(empty, frame(empty, []))
    lake.put(last, frame(last, even(1_300)))
    return lake


def request(cursor: Path, **options: object) -> ReplayRequest:
    return ReplayRequest(DATASET, TABLE, **({"day_in": 5.0, "cursor": cursor} | options))  # type: ignore[arg-type]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, 1_500), max_size=6), asap=st.booleans(), rows=st.sampled_from([None, 100]))
def test_stopped_anywhere_and_resumed_nothing_is_lost_or_doubled(
    lake: FolderLake, tmp_path: Path, stops: list[int], asap: bool, rows: int | None
) -> None:
    cursor = tmp_path / "cursor.json"
    cursor.unlink(missing_ok=True)
    options: dict[str, object] = {"asap": True, "day_in": None} if asap else {"day_in": 0.2}
    sink = ListSink(VirtualClock())
    for stop_after in [*stops, None]:
        sink.stop_after = stop_after
        report = replay(request(cursor, chunk_rows=rows, **options), sink, lake=lake, clock=sink.clock)
    assert sink.ids == stored_ids(lake)
    assert report.finished
    assert json.loads(cursor.read_text())["finished"] is True


def test_stopped_inside_a_loop_goes_on_in_the_same_turn(lake: FolderLake, tmp_path: Path) -> None:
    sink = ListSink(VirtualClock(), stop_after=3_000)
    for _ in range(4):
        replay(request(tmp_path / "cursor.json", loop=3), sink, lake=lake, clock=sink.clock)
    assert sink.ids == stored_ids(lake) * 3


def test_dropped_records_are_not_brought_back_on_resume(lake: FolderLake, tmp_path: Path) -> None:
    sink = ListSink(VirtualClock(), delay=0.5, stop_after=20)
    dropped = 0
    for _ in range(50):
        report = replay(request(tmp_path / "cursor.json", late="drop"), sink, lake=lake, clock=sink.clock)
        dropped += report.dropped
        if report.finished:
            break
    assert dropped > 0
    assert len(sink.ids) + dropped == 3_800
    assert sink.ids == [i for i in stored_ids(lake) if i in set(sink.ids)]


def test_finished_cursor_emits_nothing_and_leaves_the_sink_alone(lake: FolderLake, tmp_path: Path) -> None:
    cursor = tmp_path / "cursor.json"
    first, again = ListSink(VirtualClock()), ListSink(VirtualClock())
    replay(request(cursor), first, lake=lake, clock=first.clock)
    report = replay(request(cursor), again, lake=lake, clock=again.clock)
    assert report.finished
    assert report.emitted == again.opened == 0


def test_cursor_follows_acknowledgement_within_half_a_second(lake: FolderLake, tmp_path: Path) -> None:
    cursor = tmp_path / "cursor.json"

    class Watching(ListSink):
        def send(self, buffer, offsets, i, j):  # type: ignore[no-untyped-def]
            patience = time.monotonic() + 5.0  # half a second of the virtual clock passes before the file is written
            while not self.followed() and time.monotonic() < patience:
                time.sleep(0.001)
            assert self.followed()
            return super().send(buffer, offsets, i, j)

        def followed(self) -> bool:
            done = json.loads(cursor.read_text())["position"]["arrived"]
            assert done <= self.acked()
            return done == len(self.records) or self.moments[done] >= self.clock.now() - 0.5

    sink = Watching(VirtualClock())
    replay(request(cursor), sink, lake=lake, clock=sink.clock)
    assert len(sink.records) == 3_800


def test_changed_data_and_another_replay_are_refused(lake: FolderLake, tmp_path: Path) -> None:
    cursor = tmp_path / "cursor.json"
    sink = ListSink(VirtualClock(), stop_after=100)
    replay(request(cursor), sink, lake=lake, clock=sink.clock)
    before = cursor.read_bytes()
    with pytest.raises(CursorError, match=r"it is of .*loop=1.*asked is .*loop=2"):
        replay(request(cursor, loop=2), sink, lake=lake, clock=sink.clock)
    lake.put(FIRST, frame(FIRST, even(2_500)), fingerprint="f2")
    with pytest.raises(CursorError, match=r"data changed since.*fingerprint f1, now f2.*remove the cursor"):
        replay(request(cursor), sink, lake=lake, clock=sink.clock)
    assert cursor.read_bytes() == before
    assert len(sink.records) == 100


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 9}', '{"version": 1, "dataset": "shop"}'])
def test_damaged_cursor_is_named(lake: FolderLake, tmp_path: Path, text: str) -> None:
    cursor = tmp_path / "cursor.json"
    cursor.write_text(text)
    with pytest.raises(CursorError, match=r"cursor\.json is not a replay cursor .* remove it"):
        replay(request(cursor), ListSink(VirtualClock()), lake=lake)
    assert cursor.read_text() == text


def test_unwritable_cursor_shows_before_anything_is_emitted(lake: FolderLake, tmp_path: Path) -> None:
    sink = ListSink(VirtualClock())
    with pytest.raises(CursorError, match="cannot be written"):
        replay(request(tmp_path / "no" / "folder.json"), sink, lake=lake, clock=sink.clock)
    assert sink.opened == 0


def test_broken_sink_leaves_the_cursor_at_what_it_took(lake: FolderLake, tmp_path: Path) -> None:
    class Breaking(ListSink):
        def send(self, buffer, offsets, i, j):  # type: ignore[no-untyped-def]
            if len(self.records) > 1_000:
                raise SinkClosed("gone")
            return super().send(buffer, offsets, i, j)

    cursor = tmp_path / "cursor.json"
    broken, rest = Breaking(VirtualClock()), ListSink(VirtualClock())
    with pytest.raises(SinkClosed) as caught:
        replay(request(cursor), broken, lake=lake, clock=broken.clock)
    assert caught.value.report is not None
    assert caught.value.report.emitted == len(broken.records)
    replay(request(cursor), rest, lake=lake, clock=rest.clock)
    assert broken.ids + rest.ids == stored_ids(lake)


SCRIPT = """
import sys, threading
from pathlib import Path
from simtom_pipelines.replay import FileSink, ReplayRequest, replay, stop_on_signals
from tests.simtom_pipelines.replay.folder import FolderLake
lake, out, cursor, day_in = sys.argv[1:]
stop = threading.Event()
request = ReplayRequest("shop", "orders", day_in=float(day_in), cursor=Path(cursor))
with stop_on_signals(stop):
    report = replay(request, FileSink(out), lake=FolderLake(Path(lake)), stop=stop)
print(report.emitted, report.finished)
"""


def start(lake: FolderLake, out: Path, cursor: Path, day_in: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", SCRIPT, str(lake.root), str(out), str(cursor), str(day_in)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)


def wait_for(out: Path, size: int, process: subprocess.Popen[str]) -> None:
    pause = threading.Event()
    while process.poll() is None and (not out.exists() or out.stat().st_size < size):
        pause.wait(0.02)


def ids_of(out: Path) -> list[str]:
    return [json.loads(line)["id"] for line in out.read_bytes().split(b"\n")[:-1]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_exactly_and_resumes_without_a_double(lake: FolderLake, tmp_path: Path, number: int) -> None:
    out, cursor = tmp_path / "out.ndjson", tmp_path / "cursor.json"
    with start(lake, out, cursor, 2.0) as process:
        wait_for(out, 60_000, process)
        process.send_signal(number)
        text, _ = process.communicate(timeout=30)
    emitted, finished = text.split()
    assert (process.returncode, finished) == (0, "False")
    assert len(ids_of(out)) == int(emitted)
    replay(request(cursor, day_in=0.01), FileSink(out), lake=lake)
    assert ids_of(out) == stored_ids(lake)
