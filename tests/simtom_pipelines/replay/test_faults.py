"""Injected delivery faults: the key explains every difference between what is stored and what arrives."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simtom_pipelines.replay import (
    Faults,
    FileSink,
    ReplayControl,
    ReplayError,
    ReplayRequest,
    VirtualClock,
    parse_faults,
    replay,
)
from tests.simtom_pipelines.replay.answers import restored
from tests.simtom_pipelines.replay.folder import FIRST, FolderLake, ListSink, ScriptClock, days_from, even, frame

EVERY = Faults(late=0.06, duplicate=0.05, out_of_order=0.07, corrupt=0.04, seed=11, delay=1_800.0)


@pytest.fixture
def lake(tmp_path: Path) -> FolderLake:
    lake = FolderLake(tmp_path / "lake")
    for day in days_from(FIRST, 2):
        lake.put(day, frame(day, even(1_500)), group=400)
        lake.put(day, frame(day, np.repeat(even(350), 2)), group=400, table="bank/payments")
    return lake


def request(**options: object) -> ReplayRequest:
    return ReplayRequest("shop", "orders", **({"day_in": 8.0, "also": ("bank/payments",)} | options))  # type: ignore[arg-type]


class Lines(ListSink):
    """Keeps the lines as they come: a corrupt one is no JSON."""

    def __init__(self, clock: VirtualClock | None = None) -> None:
        super().__init__(clock or VirtualClock())
        self.lines: list[bytes] = []

    def send(self, buffer: memoryview, offsets: Any, i: int, j: int) -> int:
        for k in range(i, j):
            if self.stop_after is not None and len(self.records) - self._base >= self.stop_after:
                self._stop.set()
                return k - i
            self.lines.append(bytes(buffer[offsets[k] : offsets[k + 1]]))
            self.records.append({})
            self.moments.append(self.clock.now())
        return j - i


def run(lake: FolderLake, key: Path | None = None, **options: object) -> Lines:
    sink = Lines()
    replay(request(answer_key=key, **options), sink, lake=lake, clock=sink.clock)
    return sink


def entries(key: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in key.read_bytes().splitlines()]


@pytest.mark.parametrize(
    "faults",
    [
        EVERY,
        Faults(late=1.0),
        Faults(out_of_order=1.0),
        Faults(duplicate=1.0),
        Faults(corrupt=1.0),
        Faults(late=0.3, delay=1e6),
    ],
    ids=["every", "late", "out of order", "duplicate", "corrupt", "late by days"],
)
@pytest.mark.parametrize("options", [{}, {"loop": 2, "asap": True, "day_in": None}], ids=["paced", "looped"])
def test_key_explains_every_difference(
    lake: FolderLake, tmp_path: Path, faults: Faults, options: dict[str, object]
) -> None:
    stored = run(lake, **options).lines
    arrived = run(lake, tmp_path / "key", faults=faults, **options).lines
    key = entries(tmp_path / "key")
    assert arrived != stored
    assert restored(arrived, key) == stored
    assert restored(arrived, []) != stored


def test_rates_are_those_asked_for(lake: FolderLake, tmp_path: Path) -> None:
    options: dict[str, object] = {"asap": True, "day_in": None, "loop": 5}
    count = len(run(lake, tmp_path / "key", faults=EVERY, **options).lines)
    key = entries(tmp_path / "key")
    assert count == 22_000 + sum(entry["fault"] == "duplicate" for entry in key)
    for kind, rate in zip(("late", "duplicate", "out-of-order", "corrupt"), EVERY.rates, strict=True):
        seen = sum(entry["fault"] == kind for entry in key)
        assert abs(seen - 22_000 * rate) < 5.0 * (22_000 * rate) ** 0.5, kind


def test_faults_do_what_their_names_say(lake: FolderLake, tmp_path: Path) -> None:
    sink = run(lake, tmp_path / "key", faults=EVERY)
    speed = 86_400.0 / 8.0
    origin = datetime.fromisoformat(json.loads(sink.lines[0])["timestamp"]).timestamp()
    changes = set()
    for entry in entries(tmp_path / "key"):
        line, moment = sink.lines[entry["arrived"]], sink.moments[entry["arrived"]]
        if entry["fault"] == "corrupt":
            changes.add(entry["change"])
            with pytest.raises(ValueError):  # noqa: PT011 - a JSON error or a Unicode one
                json.loads(line.decode())
            assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
            continue
        record = json.loads(line)
        due = (datetime.fromisoformat(record["timestamp"]).timestamp() - origin) / speed
        assert record["id"] == f"{entry['day']}-{entry['row']:06d}"
        assert record["_dataset"] == entry["table"]
        if entry["fault"] == "out-of-order":
            assert 1 <= entry["places"] <= 8
        else:
            assert 0.0 < entry["delay_seconds"] <= EVERY.delay
            assert moment == pytest.approx(due + entry["delay_seconds"] / speed, abs=0.002)
            # Of a duplicate the first copy comes in its place.
            assert (line in sink.lines[: entry["arrived"]]) == (entry["fault"] == "duplicate")
    assert changes == {"cut", "byte"}


@pytest.mark.parametrize("rows", [3, 50, 100_000])
def test_same_seed_gives_the_same_faults_whatever_the_chunking(lake: FolderLake, tmp_path: Path, rows: int) -> None:
    first = run(lake, tmp_path / "a", faults=EVERY)
    other = run(lake, tmp_path / "b", faults=EVERY, chunk_rows=rows, day_in=0.2)
    assert other.lines == first.lines
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


def test_another_seed_gives_other_faults(lake: FolderLake) -> None:
    lines = [run(lake, faults=Faults(corrupt=0.02, seed=seed)).lines for seed in (1, 1, 2)]
    assert lines[0] == lines[1] != lines[2]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, 1_500), min_size=1, max_size=6), rows=st.sampled_from([None, 500]))
def test_stopped_anywhere_and_resumed_the_same_arrives(
    lake: FolderLake, tmp_path: Path, stops: list[int], rows: int | None
) -> None:
    for name in ("cursor", "whole", "parts"):
        (tmp_path / name).unlink(missing_ok=True)
    whole = run(lake, tmp_path / "whole", faults=EVERY).lines
    sink = Lines()
    for stop_after in [*stops, None]:
        sink.stop_after = stop_after
        files = {"cursor": tmp_path / "cursor", "answer_key": tmp_path / "parts"}
        replay(request(faults=EVERY, chunk_rows=rows, day_in=0.2, **files), sink, lake=lake, clock=sink.clock)
    assert sink.lines == whole
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_key_of_a_killed_run_is_mended(lake: FolderLake, tmp_path: Path) -> None:
    """A kill leaves a key that is ahead of the cursor, and half a line."""
    whole = run(lake, tmp_path / "whole", faults=EVERY).lines
    sink = Lines()
    sink.stop_after = 1_000
    part = request(faults=EVERY, cursor=tmp_path / "cursor", answer_key=tmp_path / "key")
    replay(part, sink, lake=lake, clock=sink.clock)
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    kept = len((tmp_path / "key").read_bytes().splitlines())
    (tmp_path / "key").write_bytes(b"".join(lines[: kept + 20]) + lines[kept + 20][:30])
    sink.stop_after = None
    replay(part, sink, lake=lake, clock=sink.clock)
    assert sink.lines == whole
    assert (tmp_path / "key").read_bytes() == (tmp_path / "whole").read_bytes()


def test_faults_and_their_key_through_a_file(lake: FolderLake, tmp_path: Path) -> None:
    asap = {"asap": True, "day_in": None}
    replay(request(faults=EVERY, answer_key=tmp_path / "key", **asap), FileSink(tmp_path / "out"), lake=lake)
    arrived = (tmp_path / "out").read_bytes().splitlines(keepends=True)
    assert len(arrived) == len((tmp_path / "out").read_bytes().split(b"\n")) - 1
    assert restored(arrived, entries(tmp_path / "key")) == run(lake, **asap).lines


def test_seek_is_refused_for_the_key_s_sake(lake: FolderLake) -> None:
    control = ReplayControl()
    sink = Lines(ScriptClock((1.0, lambda: control.seek(FIRST))))
    replay(request(faults=EVERY), sink, lake=lake, clock=sink.clock, control=control)
    assert control.refusal is not None
    assert "injected faults cannot seek" in control.refusal


def test_texts_and_refusals() -> None:
    assert parse_faults(["late=0.01", "out_of_order=2%"], 7, 60.0) == Faults(
        late=0.01, out_of_order=0.02, seed=7, delay=60.0
    )
    assert parse_faults([]) is None
    for texts, words in (
        (["slow=0.1"], "known are late, duplicate, out-of-order, corrupt"),
        (["late"], r"expected a rate from 0 to 1, as in late=0\.01"),
        (["late=2"], "fault late=2.0: a rate is a number from 0 to 1"),
        (["late=nan"], "a rate is a number from 0 to 1"),
        (["late=0.1", "late=0.2"], "late is given twice"),
        (["late=0.6", "corrupt=0.6"], r"add up to 1\.2"),
    ):
        with pytest.raises(ReplayError, match=words):
            parse_faults(texts)
    with pytest.raises(ReplayError, match="fault seed is -1; allowed: 0 to"):
        parse_faults(["late=0.1"], -1)
    with pytest.raises(ReplayError, match="answer_key is given without faults"):
        request(answer_key=Path("key"))


def test_a_foreign_file_is_no_answer_key(lake: FolderLake, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes\n")
    with pytest.raises(ReplayError, match=r"notes\.txt exists and is no answer key"):
        run(lake, tmp_path / "notes.txt", faults=EVERY)
    assert (tmp_path / "notes.txt").read_text() == "my notes\n"
    with pytest.raises(ReplayError, match=r"answer_key .*key cannot be written"):
        run(lake, tmp_path / "no" / "key", faults=EVERY)
