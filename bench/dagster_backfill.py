"""Years of history launched through the UI's own GraphQL, killed with ``kill -9`` in the middle and launched again.

Run with ``python -m bench.dagster_backfill 2015-01-01 2024-12-31 bnpl/transactions``; ``--keep FOLDER`` leaves the lake
and DAGSTER_HOME there, so that `bench.screenshots` can show them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from simtom_pipelines.instance import PROJECT
from simtom_pipelines.lake import ParquetLake
from tests.simtom_pipelines.daemons import Services, services, wait

ENDED = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
SLOWEST_SECONDS = 3_600
KILL_AT = 0.4
"""Share of the first table's partitions after which everything is killed."""

Inodes = dict[Path, tuple[int, int]]


def stored(lake: Path, table: str) -> Inodes:
    """Return inode and time of change of every partition file of a table."""
    files = lake.glob(f"{table}/date=*/part-0.parquet")
    return {path: (found.st_ino, found.st_mtime_ns) for path in files for found in [path.stat()]}


def finish(running: Services, backfill: str) -> None:
    """Wait for a backfill and refuse any end but success."""
    wait(lambda: running.status(backfill) in ENDED, SLOWEST_SECONDS, f"backfill {backfill} ends")
    if (status := running.status(backfill)) != "COMPLETED_SUCCESS":
        raise SystemExit(f"the backfill ended as {status}")


def run(folder: Path, first: date, last: date, tables: Sequence[str], kill: bool) -> None:
    """Backfill, kill, backfill again, and check what is there."""
    keys = [(first + timedelta(number)).isoformat() for number in range((last - first).days + 1)]
    lake, assets = folder / "lake", [table.split("/") for table in tables]
    with services(folder, (PROJECT / "datasets.yaml").read_text()) as running:
        kept: dict[str, Inodes] = {table: {} for table in tables}
        if kill:
            began = time.perf_counter()
            running.launch(assets[0], keys, *assets[1:])
            wait(lambda: len(stored(lake, tables[0])) >= KILL_AT * len(keys), SLOWEST_SECONDS, "a part is stored")
            running.kill()
            kept = {table: stored(lake, table) for table in tables}
            there = len(kept[tables[0]])
            print(
                f"killed after {time.perf_counter() - began:.0f} s with {there:,} of {len(keys):,} stored", flush=True
            )
            running.start()
        began = time.perf_counter()
        finish(running, running.launch(assets[0], keys, *assets[1:]))
        print(f"launched and complete after {time.perf_counter() - began:.0f} s", flush=True)
    for table in tables:
        after = stored(lake, table)
        days = [day.isoformat() for day in ParquetLake(str(lake)).days(*table.split("/"))]
        replaced = [path for path, found in kept[table].items() if after.get(path) != found]
        missing = set(keys) - set(days)  # Dagster adds the label days that the events of the range lead to
        if missing or replaced:
            raise SystemExit(f"{table}: {len(missing):,} of {len(keys):,} days missing, {len(replaced):,} replaced")
        print(f"{table}: {len(days):,} partitions, none of the {len(kept[table]):,} that were there replaced")
    stray = [path for path in lake.rglob("*") if path.is_file() and path.name != "part-0.parquet"]
    if stray:
        raise SystemExit(f"stray files: {stray[:5]}")
    print("no stray file")


def main() -> None:
    """Read the range and the tables from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=date.fromisoformat)
    parser.add_argument("last", type=date.fromisoformat)
    parser.add_argument("tables", nargs="+", help="dataset/table, all with the same start date")
    parser.add_argument("--no-kill", action="store_true", help="let the first backfill run to its end")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    given = parser.parse_args()
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
        run(given.keep, given.first, given.last, given.tables, not given.no_kill)
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), given.first, given.last, given.tables, not given.no_kill)


if __name__ == "__main__":
    main()
