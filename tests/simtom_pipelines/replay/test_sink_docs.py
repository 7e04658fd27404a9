"""The examples of the pages on sinks, run as a reader would run them, against real consumers on ports of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from generators.ecommerce.bnpl_config import BNPLConfig
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days
from simtom_pipelines.replay.sinks import open_sink
from simtom_pipelines.replay.sinks.options import Options
from tests.simtom_pipelines.replay.sink_endpoint import running_endpoint
from tests.simtom_pipelines.replay.sink_servers import mock_brokers, own_nats, own_redis

PAGES = Path(__file__).resolve().parents[3] / "docs" / "sinks"
DAY = date(2024, 11, 29)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    config = BNPLConfig(base_daily_volume=200)
    spec = DatasetSpec(name="bnpl", generator="bnpl", start_date=DAY, config=config)
    list(write_days(ParquetLake(str(folder / "lake")), spec, "transactions", [DAY]))
    return folder


def rows(folder: Path) -> int:
    return (
        pl.scan_parquet(folder / "lake" / "bnpl" / "transactions" / "**" / "*.parquet")
        .select(pl.len())
        .collect()
        .item()
    )


@pytest.mark.long
@pytest.mark.parametrize("page", ["stdout.md", "file.md", "kafka.md", "redis.md", "nats.md", "webhook.md", "python.md"])
def test_examples_of_a_page_run(folder: Path, tmp_path: Path, page: str) -> None:
    (tmp_path / "lake").symlink_to(folder / "lake")
    (tmp_path / "server").mkdir()
    env = {**os.environ, "HOOK_TOKEN": "t0p", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with ExitStack() as stack:
        here: dict[str, str] = {"--day-in 10s": "--day-in 1s"}
        endpoint = stack.enter_context(running_endpoint())
        if page == "kafka.md":
            here["localhost:9092"] = stack.enter_context(mock_brokers()).servers
        elif page == "redis.md":
            here["localhost:6379"] = stack.enter_context(own_redis(tmp_path / "server")).address
        elif page == "nats.md":
            here["localhost:4222"] = stack.enter_context(own_nats(tmp_path / "server")).address
        elif page == "webhook.md":
            here["http://localhost:8080/transactions"] = endpoint.url
        for language, command in (("bash", ["bash", "-euo", "pipefail", "-c"]), ("python", [sys.executable, "-c"])):
            for block in blocks(page, language):
                for written, actual in here.items():
                    block = block.replace(written, actual)
                if page == "stdout.md":
                    block = block.replace("| head -n 3", "| { head -n 3; cat >/dev/null; }")
                done = subprocess.run(
                    [*command, block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
                )
                assert done.returncode == 0, done.stderr
                if language == "python":
                    assert done.stdout
        if page == "webhook.md":
            assert sum(body.count(b"\n") for body in endpoint.bodies) == rows(folder)
            assert endpoint.heads[0]["authorization"] == "Bearer t0p"
        if page == "file.md":
            assert (tmp_path / "out.ndjson").read_bytes().count(b"\n") == rows(folder)
            assert (tmp_path / "days" / f"bnpl-{DAY}.ndjson").read_bytes().count(b"\n") == rows(folder)


@pytest.mark.parametrize(
    "page,target",
    [
        ("file.md", "out.ndjson"),
        ("kafka.md", "kafka://localhost/a"),
        ("redis.md", "redis://localhost/a"),
        ("nats.md", "nats://localhost/a"),
        ("webhook.md", "http://localhost/a"),
    ],
)
def test_page_lists_every_option(monkeypatch: pytest.MonkeyPatch, page: str, target: str) -> None:
    known: list[str] = []
    finish = Options.finish

    def note(options: Options) -> None:
        known.extend(options._known)
        finish(options)

    monkeypatch.setattr(Options, "finish", note)
    open_sink(target)
    (table,) = re.findall(r"## Options\n\n(.*?)\n\n", (PAGES / page).read_text(), re.DOTALL)
    listed = {name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    known = ["a.b=..." if name.startswith("any property") else name for name in known]
    assert listed == set(known)
