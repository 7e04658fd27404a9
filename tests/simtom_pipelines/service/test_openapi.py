"""Whatever the OpenAPI allows, and much that it does not, is answered: never with a 5xx, never with a hung stream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simtom_pipelines.service.serving import serving, wait

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

EXAMPLES = 60


def test_generated_requests_find_no_server_error(folder: Path) -> None:
    # Streams end after one second and few records, so that each request is answered whole.
    with serving(folder, max_seconds=1, max_records=50, max_daily_volume=2_000) as service:
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{service.url}/openapi.json",
            "--checks", "not_a_server_error", "--max-examples", str(EXAMPLES), "--mode", "all",
            "--request-timeout", "30", "--seed", "1", "--workers", "4", "--phases", "examples,coverage,fuzzing",
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=os.environ | {"NO_COLOR": "1"}, check=False
        )
        assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
        assert "test cases:" in done.stdout.lower() or "generated" in done.stdout.lower(), done.stdout[-3_000:]
        wait(lambda: not service.running(), 30, "no stream is left")
        assert service.get("/health").json()["status"] == "healthy"
