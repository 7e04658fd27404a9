"""A backfill launched through the UI's GraphQL survives kill -9: real web server, daemon and run processes."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from simtom_pipelines.lake import ParquetLake
from tests.simtom_pipelines.daemons import Services, services, wait

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

DAYS = 120
DATASETS = """\
datasets:
  - name: bnpl
    generator: bnpl
    start_date: 2024-01-01
    partitions_per_run: 40
    config:
      base_daily_volume: 3000
"""
KEYS = [(date(2024, 1, 1) + timedelta(n)).isoformat() for n in range(DAYS)]
EVENTS = ["bnpl", "transactions"]
ENDED = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
MATERIALIZED = """
query { assetNodeOrError(assetKey: {path: ["bnpl", "transactions"]}) {
  ... on AssetNode { partitionStats { numMaterialized numPartitions } } } }
"""


def stored(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return inode and time of change of every partition file."""
    files = (folder / "lake").glob("bnpl/transactions/date=*/part-0.parquet")
    return {path: (found.st_ino, found.st_mtime_ns) for path in files for found in [path.stat()]}


def finish(running: Services, backfill: str) -> str:
    wait(lambda: running.status(backfill) in ENDED, 400, f"backfill {backfill} ends")
    return running.status(backfill)


def test_killed_backfill_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with services(tmp_path, DATASETS) as running:
        running.launch(EVENTS, KEYS)
        wait(lambda: len(stored(tmp_path)) >= 10, 300, "the first partitions are stored")
        running.kill()
        kept = stored(tmp_path)
        assert 10 <= len(kept) < DAYS
        running.start()
        assert finish(running, running.launch(EVENTS, KEYS)) == "COMPLETED_SUCCESS"
        statistics = running.query(MATERIALIZED)["assetNodeOrError"]["partitionStats"]
        assert statistics["numMaterialized"] == DAYS

    lake = ParquetLake(str(tmp_path / "lake"))
    assert [day.isoformat() for day in lake.days("bnpl", "transactions")] == KEYS
    after = stored(tmp_path)
    assert {path: after[path] for path in kept} == kept
    everything = [path for path in (tmp_path / "lake").rglob("*") if path.is_file()]
    assert sorted(everything) == sorted(after)
