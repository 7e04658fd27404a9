from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster import DagsterExecutionInterruptedError

from simtom_pipelines import jobs
from simtom_pipelines.replay import FileSink
from tests.simtom_pipelines.dagster_world import World, day

FIRST, LAST = "2024-03-08", "2024-03-10"


def run(world: World, **config: Any) -> Any:
    job = world.definitions.get_repository_def().get_job("replay")
    text = {"ops": {"replay_stream": {"config": {"dataset": "bnpl", **config}}}}
    return job.execute_in_process(run_config=text, instance=world.instance, raise_on_error=False)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


@pytest.fixture
def stored(dagster_world: World) -> World:
    dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST, LAST)
    return dagster_world


def test_replay_emits_the_stored_rows_in_order(stored: World, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    result = run(stored, output=str(out), asap=True, start=FIRST, end=LAST)
    assert result.success
    frame = stored.lake.scan("bnpl", "transactions").collect()
    assert [r["transaction_id"] for r in records(out)] == frame["transaction_id"].to_list()
    event = next(e for e in result.all_events if e.event_type_value == "STEP_OUTPUT")
    metadata = event.event_specific_data.metadata
    assert metadata["emitted"].value == frame.height
    assert metadata["finished"].value is True


def test_finished_cursor_emits_nothing_again(stored: World, tmp_path: Path) -> None:
    out, cursor = tmp_path / "out.ndjson", tmp_path / "cursor.json"
    options = {"output": str(out), "cursor": str(cursor), "asap": True, "start": FIRST, "end": FIRST}
    assert run(stored, **options).success
    size = out.stat().st_size
    assert run(stored, **options).success
    assert out.stat().st_size == size > 0


def test_interrupt_saves_the_cursor_and_is_not_retried(
    stored: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, cursor = tmp_path / "out.ndjson", tmp_path / "cursor.json"
    calls: list[int] = []

    class Interrupted(FileSink):
        def send(self, buffer: memoryview, offsets: Any, i: int, j: int) -> int:
            calls.append(j)
            if len(calls) > 1:
                raise DagsterExecutionInterruptedError
            return super().send(buffer, offsets, i, j)

    monkeypatch.setattr(jobs, "open_sink", lambda target, **options: Interrupted(target))
    options = {
        "output": str(out), "cursor": str(cursor), "asap": True, "start": FIRST, "end": LAST, "chunk_rows": 10,
    }  # fmt: skip
    result = run(stored, **options)
    assert not result.success
    assert not [e for e in result.all_events if e.event_type_value == "STEP_UP_FOR_RETRY"]
    monkeypatch.undo()
    monkeypatch.setenv("SIMTOM_LAKE", str(stored.folder / "lake"))
    kept = len(records(out))
    assert kept > 0
    assert run(stored, **options).success
    whole = stored.lake.scan("bnpl", "transactions").select("transaction_id").collect().to_series().to_list()
    assert [r["transaction_id"] for r in records(out)] == whole


@pytest.mark.parametrize(
    "options, text",
    [
        ({"start": "2024-04-01", "asap": True}, "2024-04-01"),
        ({"end": "2024-03-01", "asap": True, "start": FIRST}, "not after start"),
        ({"asap": True, "day_in": "10s"}, "give one of"),
        ({"day_in": "fast"}, "duration 'fast'"),
        ({"dataset": "nothing", "asap": True}, "nothing"),
    ],
)
def test_bad_request_is_one_sentence(stored: World, tmp_path: Path, options: dict[str, Any], text: str) -> None:
    result = run(stored, output=str(tmp_path / "out.ndjson"), **options)
    assert not result.success
    failure = next(e for e in result.all_events if e.is_step_failure)
    assert text in str(failure.event_specific_data.user_failure_data.description)


def test_window_of_one_day(stored: World, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    assert run(stored, output=str(out), asap=True, start="2024-03-09", end="2024-03-09").success
    assert (
        len(records(out))
        == stored.lake.scan("bnpl", "transactions", day("2024-03-09"), day("2024-03-09"))
        .select(pl.len())
        .collect()
        .item()
    )


def test_config_covers_the_request() -> None:
    assert issubclass(jobs.ReplayConfig, dg.Config)
    fields = set(jobs.ReplayConfig.model_fields)
    asked = set(jobs.ReplayRequest.__dataclass_fields__)
    assert asked - {"table", "time_column"} <= fields
