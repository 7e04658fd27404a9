"""A replay launched and cancelled as the UI does it: progress in the log, state cancelled, cursor saved, resumed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from simtom_pipelines.datasets import load_datasets
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days
from tests.simtom_pipelines.daemons import Services, services, wait

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

DATASETS = """\
datasets:
  - name: bnpl
    generator: bnpl
    start_date: 2024-01-01
    config:
      base_daily_volume: 3000
"""
DAY = date(2024, 3, 8)
LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }
"""
TERMINATE = """
mutation($id: String!) { terminateRun(runId: $id) { __typename ... on PythonError { message } } }
"""
RUN = """
query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } logsForRun(runId: $id) {
  ... on EventConnection { events { __typename ... on MessageEvent { message } } } } }
"""


def launch(running: Services, config: dict[str, Any]) -> str:
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "simtom_pipelines.definitions",
        "pipelineName": "replay",
    }
    run_config = json.dumps({"ops": {"replay_stream": {"config": config}}})
    found = running.query(LAUNCH, params={"selector": selector, "runConfigData": run_config, "mode": "default"})
    assert found["launchRun"]["__typename"] == "LaunchRunSuccess", found
    return str(found["launchRun"]["run"]["runId"])


def status(running: Services, run: str) -> str:
    return str(running.query(RUN, id=run)["runOrError"]["status"])


def messages(running: Services, run: str) -> list[str]:
    return [event.get("message", "") for event in running.query(RUN, id=run)["logsForRun"]["events"]]


def ids(out: Path) -> list[str]:
    return [json.loads(line)["transaction_id"] for line in out.read_bytes().splitlines()]


def test_cancelled_replay_keeps_its_cursor_and_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(DATASETS)
    lake = ParquetLake(str(tmp_path / "lake"))
    spec = load_datasets(tmp_path / "datasets.yaml")["bnpl"]
    (partition,) = write_days(lake, spec, "transactions", [DAY])
    out, cursor = tmp_path / "out.ndjson", tmp_path / "cursor"
    config = {"dataset": "bnpl", "output": str(out), "cursor": str(cursor), "day_in": "60s", "max_gap": "5m"}
    with services(tmp_path, DATASETS) as running:
        run = launch(running, config)
        wait(lambda: any(" records · " in text for text in messages(running, run)), 180, "progress is in the log")
        wait(lambda: out.stat().st_size > 100_000, 60, "records arrive")
        assert running.query(TERMINATE, id=run)["terminateRun"]["__typename"] == "TerminateRunSuccess"
        wait(lambda: status(running, run) in ("CANCELED", "FAILURE", "SUCCESS"), 60, "the run ends")
        assert status(running, run) == "CANCELED"
        assert not any("STEP_UP_FOR_RETRY" in text or "retry" in text.lower() for text in messages(running, run))
        kept = ids(out)
        found = json.loads(cursor.read_text())
        assert 0 < len(kept) < partition.rows
        assert (found["finished"], found["position"]["arrived"]) == (False, len(kept))
        again = launch(running, config | {"day_in": None, "asap": True})
        wait(lambda: status(running, again) in ("CANCELED", "FAILURE", "SUCCESS"), 180, "the second run ends")
        assert status(running, again) == "SUCCESS"
    stored = lake.scan("bnpl", "transactions").select("transaction_id").collect()["transaction_id"].to_list()
    assert ids(out) == stored
    assert ids(out)[: len(kept)] == kept
