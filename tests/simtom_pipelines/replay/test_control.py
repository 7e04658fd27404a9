"""Controls while a replay runs, on a virtual clock on which the calls come at given moments."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from simtom_pipelines.replay import (
    CursorError,
    MonotonicClock,
    ReplayControl,
    ReplayError,
    ReplayReport,
    ReplayRequest,
    VirtualClock,
    replay,
)
from tests.simtom_pipelines.replay.folder import (
    DATASET,
    FIRST,
    TABLE,
    FolderLake,
    ListSink,
    ScriptClock,
    days_from,
    even,
    frame,
    local_midnight,
    stored_ids,
)

LOOK = 0.05
"""A control is looked at this often, so a call takes effect that much later at most."""


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    """A record a second for ten minutes, on two days."""
    lake = FolderLake(tmp_path / "lake")
    for day in days_from(FIRST, 2):
        lake.put(day, frame(day, even(600, 600.0)), group=100)
    return lake


def run(
    lake: FolderLake, *script: tuple[float, Callable[[ReplayControl], None]], paused: bool = False, **options: object
) -> tuple[ListSink, ReplayReport, ReplayControl]:
    control = ReplayControl(paused=paused)
    clock = ScriptClock(*((at, lambda do=do: do(control)) for at, do in script))
    sink = ListSink(clock)
    request = ReplayRequest(DATASET, TABLE, **({"time_compression": 1.0, "end": FIRST} | options))  # type: ignore[arg-type]
    return sink, replay(request, sink, lake=lake, clock=clock, control=control), control


def test_pause_holds_everything_and_makes_nothing_late(lake: FolderLake) -> None:
    sink, report, _ = run(lake, (99.5, lambda c: c.pause()), (1_099.5, lambda c: c.resume()))
    assert sink.ids == stored_ids(lake)[:600]
    moments = np.array(sink.moments)
    np.testing.assert_allclose(moments[:100], np.arange(100), atol=1e-6)
    shift = moments[100:] - np.arange(100, 600)
    assert shift.min() == pytest.approx(1_000.0, abs=2 * LOOK)
    assert shift.max() - shift.min() < 1e-6
    assert report.late == 0
    assert report.paused == pytest.approx(1_000.0, abs=2 * LOOK)
    assert report.achieved_compression == pytest.approx(1.0, rel=1e-3)


def test_steps_come_at_once_and_it_stays_paused(lake: FolderLake) -> None:
    sink, report, control = run(
        lake,
        (10.5, lambda c: c.step()),
        (20.5, lambda c: c.step(3)),
        (30.5, lambda c: c.resume()),
    )
    assert sink.ids == stored_ids(lake)[:600]
    stepped = sink.moments[11:15]
    np.testing.assert_allclose(stepped, [10.5, 20.5, 20.5, 20.5], atol=2 * LOOK)
    # Record 14 was the last one; the next is due a second of event time after it.
    assert sink.moments[15] == pytest.approx(31.5, abs=2 * LOOK)
    assert report.late == 0
    assert not control.paused


def test_a_start_that_is_paused_waits_for_the_first_call(lake: FolderLake) -> None:
    sink, report, _ = run(lake, (50.0, lambda c: c.step()), (60.0, lambda c: c.resume()), paused=True)
    assert sink.ids == stored_ids(lake)[:600]
    np.testing.assert_allclose(sink.moments[:3], [50.0, 61.0, 62.0], atol=2 * LOOK)
    assert report.late == 0


def test_another_speed_holds_from_the_present_moment_on(lake: FolderLake) -> None:
    sink, report, _ = run(lake, (100.0, lambda c: c.set_compression(10.0)), (130.0, lambda c: c.set_compression(0.5)))
    moments = np.array(sink.moments)
    np.testing.assert_allclose(moments[:100], np.arange(100), atol=1e-6)
    np.testing.assert_allclose(moments[101:400], 100.0 + np.arange(1, 300) / 10.0, atol=2 * LOOK)
    np.testing.assert_allclose(moments[402:], 130.0 + np.arange(2, 200) / 0.5, atol=2.0)
    assert report.asked_compression == 0.5
    assert report.achieved_compression == pytest.approx(0.5, rel=1e-2)
    assert report.late == 0


def test_speed_to_as_fast_as_possible_and_back(lake: FolderLake) -> None:
    control_then = (100.2, lambda c: c.set_compression(None))
    sink, report, control = run(lake, control_then)
    assert sink.ids == stored_ids(lake)[:600]
    assert report.asked_compression is None
    assert sink.moments[-1] == pytest.approx(100.2, abs=2 * LOOK)
    assert control.compression is None
    sink, report, _ = run(
        lake, (2.0, lambda c: c.set_compression(60.0)), (3.0, lambda c: c.resume()),
        asap=True, time_compression=None, paused=True,
    )  # fmt: skip
    np.testing.assert_allclose(sink.moments, 3.0 + np.arange(600) / 60.0, atol=2 * LOOK)
    assert report.asked_compression == 60.0


def test_scale_multiplies_the_speed(lake: FolderLake) -> None:
    _, report, control = run(lake, (10.0, lambda c: c.scale(1.1)), (20.0, lambda c: c.scale(1.1)))
    assert control.compression == pytest.approx(1.21)
    assert report.asked_compression == pytest.approx(1.21)


@pytest.mark.parametrize("loop", [1, 2])
def test_seek_goes_forwards_and_backwards_without_waiting(lake: FolderLake, loop: int) -> None:
    start = local_midnight(FIRST)
    sink, report, control = run(
        lake,
        (10.5, lambda c: c.seek(start + timedelta(seconds=500.25))),
        (20.6, lambda c: c.seek(start + timedelta(seconds=100))),
        (30.7, lambda c: c.seek(start + timedelta(seconds=590))),
        loop=loop,
        end=start + timedelta(minutes=10),
    )
    ids = stored_ids(lake)[:600]
    begins = [sink.ids.index(ids[n]) for n in (501, 100, 590)]
    assert sink.ids[: begins[0]] == ids[:11]
    assert sink.ids[begins[0] : begins[1]] == ids[501:512]
    assert sink.ids[begins[1] : begins[2]] == ids[100:111]
    assert sink.ids[begins[2] :] == ids[590:] + ids * (loop - 1)
    np.testing.assert_allclose([sink.moments[n] for n in begins], [10.5, 20.6, 30.7], atol=2 * LOOK)
    assert report.late == 0
    assert control.refusal is None


def test_seek_while_paused_shows_the_place_by_steps(lake: FolderLake) -> None:
    sink, _, _ = run(
        lake,
        (5.5, lambda c: c.pause()),
        (7.0, lambda c: c.seek(local_midnight(FIRST) + timedelta(seconds=300))),
        (8.0, lambda c: c.step(2)),
        (9.0, lambda c: c.resume()),
    )
    ids = stored_ids(lake)[:600]
    assert sink.ids == ids[:6] + ids[300:]
    np.testing.assert_allclose(sink.moments[6:9], [8.0, 8.0, 10.0], atol=2 * LOOK)


def test_seek_to_a_date_is_its_local_midnight(lake: FolderLake) -> None:
    second = FIRST + timedelta(days=1)
    sink, report, _ = run(lake, (5.5, lambda c: c.seek(second)), end=None)
    assert sink.ids == stored_ids(lake)[:6] + stored_ids(lake)[600:]
    assert report.finished


def test_seek_outside_is_refused_and_changes_nothing(lake: FolderLake) -> None:
    sink, report, control = run(lake, (5.5, lambda c: c.seek(date(2025, 1, 1))))
    assert sink.ids == stored_ids(lake)[:600]
    assert control.refusal is not None
    assert "2025-01-01 is outside the replay, which goes from 2024-11-28 00:00:00-05:00 to" in control.refusal
    assert report.late == 0
    inside = datetime.fromisoformat("2024-11-28T00:05")  # without an offset: in the zone of the data
    _, _, control = run(lake, (5.5, lambda c: c.seek(date(2025, 1, 1))), (6.5, lambda c: c.seek(inside)))
    assert control.refusal is None


def test_seek_and_stop_leave_a_cursor_that_goes_on_from_there(lake: FolderLake, tmp_path: Path) -> None:
    cursor = tmp_path / "cursor.json"
    middle = local_midnight(FIRST) + timedelta(seconds=400)
    sink, report, _ = run(lake, (10.5, lambda c: c.seek(middle)), (20.55, lambda c: c.stop()), cursor=cursor)
    ids = stored_ids(lake)[:600]
    assert not report.finished
    kept = len(sink.ids)
    assert json.loads(cursor.read_text())["position"]["arrived"] == kept
    assert sink.ids == ids[:11] + ids[400:][: kept - 11]
    rest, report, _ = run(lake, cursor=cursor)
    assert sink.ids[11:] + rest.ids == ids[400:]
    assert report.finished


def test_controls_reach_a_replay_on_the_machine_s_clock_from_another_thread(lake: FolderLake) -> None:
    control, sink = ReplayControl(paused=True), ListSink(VirtualClock())
    request = ReplayRequest(DATASET, TABLE, time_compression=1.0)
    thread = threading.Thread(target=replay, args=(request, sink), kwargs={"lake": lake, "control": control})
    thread.start()
    assert not control.wait(0.3)
    assert sink.records == []
    control.step(5)
    while len(sink.records) < 5:
        assert not control.wait(0.01)
    control.set_compression(None)
    assert not control.wait(0.2)
    assert len(sink.records) == 5
    control.resume()
    assert control.wait(30.0)
    thread.join()
    assert sink.ids == stored_ids(lake)
    assert control.report is not None
    assert control.report.finished


def test_stop_ends_a_paused_replay(lake: FolderLake) -> None:
    control, sink = ReplayControl(paused=True), ListSink(VirtualClock())
    timer = threading.Timer(0.1, control.stop)
    timer.start()
    request = ReplayRequest(DATASET, TABLE)
    report = replay(request, sink, lake=lake, clock=MonotonicClock(), control=control)
    assert (report.emitted, report.finished, control.stopped, control.finished) == (0, False, True, True)


def test_unusable_calls_say_what_is_allowed(lake: FolderLake) -> None:
    control = ReplayControl()
    with pytest.raises(ReplayError, match="records is 0; allowed: a whole number from 1"):
        control.step(0)
    for speed in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ReplayError, match=r"compression is .*allowed: 1e-06 to 1e"):
            control.set_compression(speed)
    with pytest.raises(ReplayError, match="stop and control are both given"):
        replay(
            ReplayRequest(DATASET, TABLE), ListSink(VirtualClock()), lake=lake, control=control, stop=threading.Event()
        )


def test_a_finished_control_says_so_after_an_error(lake: FolderLake, tmp_path: Path) -> None:
    control = ReplayControl()
    (tmp_path / "c").write_text("{")
    with pytest.raises(CursorError):
        replay(
            ReplayRequest(DATASET, TABLE, cursor=tmp_path / "c"), ListSink(VirtualClock()), lake=lake, control=control
        )
    assert control.finished
