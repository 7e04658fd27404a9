"""Whatever the OpenAPI allows, and much that it does not, is answered: never with a 5xx, never with a hung stream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simtom_pipelines.service.serving import SMALL, Service, serving, wait

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

EXAMPLES = 80
SEED = "1"


def fuzz(service: Service, folder: Path, paths: str, names: str) -> None:
    """Send generated requests to the paths that match; `names` gives the path parameters that exist."""
    config = folder / "schemathesis.toml"
    config.write_text(f"[parameters]\n{names}\n")
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--no-color", "--config-file", str(config), "run",
        f"{service.url}/openapi.json", "--include-path-regex", paths, "--checks", "not_a_server_error",
        "--max-examples", str(EXAMPLES), "--mode", "all", "--request-timeout", "30", "--seed", SEED, "--workers", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ, check=False)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert service.get("/health").json()["status"] == "healthy"


def test_generated_requests_find_no_server_error(folder: Path) -> None:
    # Streams end after one second and few records, so that each request is answered whole.
    with serving(folder, max_seconds=1, max_records=50, max_daily_volume=2_000) as service:
        fuzz(service, folder, "^/(stream|datasets|generators|health|metrics|$)", 'name = "bnpl"')
        wait(lambda: not service.running(), 30, "no stream is left")


def test_generated_controls_find_no_server_error(folder: Path) -> None:
    body = {**SMALL, "rate_per_second": 1}
    with serving(folder, max_seconds=0) as service, service.opened("/stream/bnpl", body) as (stream, _):
        fuzz(service, folder, "^/streams", f'"path.stream" = "{stream}"')
    with serving(folder, max_seconds=0) as service, service.opened("/stream/bnpl", body) as (stream, _):
        fuzz(service, folder, "/(pause|resume|step|speed|seek)$", f'"path.stream" = "{stream}"')
        assert [found["id"] for found in service.running()] == [stream]


def test_generated_names_find_no_server_error(folder: Path) -> None:
    with serving(folder, max_seconds=1, max_records=50) as service:
        fuzz(service, folder, ".*", "")
