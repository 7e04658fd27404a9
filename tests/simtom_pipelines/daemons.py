"""A real dagster-webserver and dagster-daemon on a temporary DAGSTER_HOME, driven through the UI's own GraphQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simtom_pipelines.instance import PROJECT, TEMPLATE

LAUNCH = """
mutation($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename ... on PartitionBackfill { status } } }
"""
RUNS = "query { runsOrError(limit: 100) { ... on Runs { results { runId status } } } }"


class Services:
    """Webserver and daemon of one DAGSTER_HOME."""

    def __init__(self, home: Path, datasets: Path, lake: Path) -> None:
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text(TEMPLATE.read_text())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.home = home
        self.environment = os.environ | {
            "DAGSTER_HOME": str(home),
            "SIMTOM_LAKE": str(lake),
            "SIMTOM_DATASETS": str(datasets),
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start both and wait until the web server answers."""
        workspace = str(PROJECT / "workspace.yaml")
        web = ["dagster_webserver", "-h", "127.0.0.1", "-p", str(self.port), "-w", workspace]
        self._processes = [self._spawn(web, "web")]
        wait(
            self._answers, 120, "the web server answers"
        )  # it has made the storage: two at once get in each other's way
        self._processes.append(self._spawn(["dagster._daemon", "run", "-w", workspace], "daemon"))

    def _spawn(self, arguments: Sequence[str], name: str) -> subprocess.Popen[bytes]:
        with (self.home / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=PROJECT, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _answers(self) -> bool:
        try:
            return bool(self.query("query { version }")["version"])
        except OSError:
            return False

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """Send one GraphQL query."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": text, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        assert "errors" not in found, found["errors"]
        return dict(found["data"])

    def launch(self, asset: list[str], keys: list[str], *further: list[str]) -> str:
        """Launch a backfill of one or several assets as the UI does and return its id."""
        parameters = {"assetSelection": [{"path": path} for path in (asset, *further)], "partitionNames": keys}
        found = self.query(LAUNCH, backfillParams=parameters)["launchPartitionBackfill"]
        assert found["__typename"] == "LaunchBackfillSuccess", found
        return str(found["backfillId"])

    def status(self, backfill: str) -> str:
        """Return a backfill's status."""
        return str(self.query(STATUS, id=backfill)["partitionBackfillOrError"]["status"])

    def kill(self) -> list[int]:
        """Kill -9 both services with everything they started, runs included, and return the killed pids."""
        found = [pid for process in self._processes for pid in [process.pid, *descendants(process.pid)]]
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self._processes:
            process.wait(30)
        self._processes = []
        return found


def descendants(pid: int) -> list[int]:
    """Return the pids of all processes below one, from /proc."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(after[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.25)


@contextmanager
def services(folder: Path, datasets: str) -> Iterator[Services]:
    """Run the services over a lake in a folder; everything they started ends with the block."""
    (folder / "datasets.yaml").write_text(datasets)
    made = Services(folder / "home", folder / "datasets.yaml", folder / "lake")
    try:
        made.start()
        yield made
    finally:
        made.kill()
