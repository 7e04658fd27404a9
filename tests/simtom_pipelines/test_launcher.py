from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from simtom_pipelines.instance import open_instance
from simtom_pipelines.launcher import PROCESS_TAG, LocalRunLauncher, process_tags


@dg.job
def nothing() -> None: ...


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    return open_instance()


def status(instance: dg.DagsterInstance, tags: dict[str, str]) -> WorkerStatus:
    run = instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert isinstance(instance.run_launcher, LocalRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    return instance.run_launcher.check_run_worker_health(run).status


def test_run_of_a_living_process_runs(instance: dg.DagsterInstance) -> None:
    assert status(instance, process_tags()) is WorkerStatus.RUNNING


def test_run_of_a_dead_process_failed(instance: dg.DagsterInstance) -> None:
    text = "from simtom_pipelines.launcher import process_tags; print(list(process_tags().values())[0])"
    tag = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.strip()
    assert status(instance, {PROCESS_TAG: tag}) is WorkerStatus.FAILED


def test_process_number_that_was_given_again_failed(instance: dg.DagsterInstance) -> None:
    tag = process_tags()[PROCESS_TAG]
    assert status(instance, {PROCESS_TAG: tag + "0"}) is WorkerStatus.FAILED


def test_process_of_another_machine_is_left_alone(instance: dg.DagsterInstance) -> None:
    assert status(instance, {PROCESS_TAG: "elsewhere:1:1"}) is WorkerStatus.RUNNING


def test_run_of_a_code_server_that_is_gone_failed(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    gone = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "gone")})}
    assert status(instance, gone) is WorkerStatus.FAILED


def test_run_of_an_unknown_start_is_left_alone(instance: dg.DagsterInstance) -> None:
    assert status(instance, {}) is WorkerStatus.RUNNING
