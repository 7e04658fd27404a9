"""A run launcher that notices runs whose process is gone.

Dagster's run monitoring asks the launcher whether a run's worker lives, and its default launcher cannot tell: after a
`kill -9` of everything, runs stay "started" for ever and hold the places of the run queue. Here the code server that
started a run is asked; runs in a process of our own (`simtom materialize`) carry their process as a tag.
"""

import os
import socket
from pathlib import Path

from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import deserialize_value

PROCESS_TAG = "simtom/process"


def process_tags() -> dict[str, str]:
    """Return the tags by which a run in this very process can be found dead after a kill."""
    pid = os.getpid()
    return {PROCESS_TAG: f"{socket.gethostname()}:{pid}:{_started(pid)}"}


class LocalRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, with an answer to whether a run still has its process."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether `check_run_worker_health` may be asked."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return failed where the run's process, or the code server that would know of it, is gone."""
        if PROCESS_TAG in run.tags:
            return _process_health(run.tags[PROCESS_TAG])
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # started by something else: nothing is known, so nothing is claimed
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            found = deserialize_value(client.get_current_runs(), GetCurrentRunsResult)
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.FAILED, "the code server that started the run is gone")
        if run.run_id in found.current_runs:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of the run is gone")


def _process_health(tag: str) -> CheckRunHealthResult:
    host, pid, started = tag.rsplit(":", 2)
    if host != socket.gethostname() or _started(int(pid)) == started:
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.FAILED, f"process {pid} of the run is gone")


def _started(pid: int) -> str:
    """Return when a process started, as the system counts it; "" where there is none, "?" where nobody can say."""
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except OSError:
            return "?"
        return "?"
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
