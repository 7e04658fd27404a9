"""What the label tables of bnpl cost beside their events: a range run of one year, and one label day alone."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date, timedelta

from simtom_pipelines.datasets import find_table
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days

ROWS = 10_000
TABLES = ("transactions", "outcomes", "installments")
ROUNDS = 5
FIRST = date(2024, 1, 1)


@dataclass(frozen=True)
class Cost:
    """What writing a range took: processor and wall seconds."""

    processor: float
    wall: float
    rows: int


def cost(table: str, days: list[date]) -> Cost:
    """Return what writing a table's partitions as one range takes."""
    spec, schema = find_table({}, f"bnpl/{table}")
    spec = replace(spec, start_date=date(2020, 1, 1), config=spec.config.create(base_daily_volume=ROWS))
    with tempfile.TemporaryDirectory() as folder:
        used, began = time.process_time(), time.perf_counter()
        rows = sum(p.rows for p in write_days(ParquetLake(folder), spec, schema.name, days))
        return Cost(time.process_time() - used, time.perf_counter() - began, rows)


def median(found: list[Cost]) -> Cost:
    """Return the run in the middle by the clock."""
    return sorted(found, key=lambda one: one.wall)[len(found) // 2]


def main() -> int:
    """Print seconds, generating and Parquet included, and how many times those of the events they are."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 365
    days = [FIRST + timedelta(n) for n in range(count)]
    cost("transactions", days[:3])  # tables of the first use
    # In turn, because machines drift: the runs of a round are compared with the events of the same round.
    rounds = [{table: cost(table, days) for table in TABLES} for _ in range(ROUNDS)]
    print(f"{count} days at {ROWS:,} events a day, seconds of processor and by the clock, Parquet included")
    for table in TABLES:
        found = median([runs[table] for runs in rounds])
        alone = cost(table, days[-1:])
        wall = statistics.median(runs[table].wall / runs["transactions"].wall for runs in rounds)
        processor = statistics.median(runs[table].processor / runs["transactions"].processor for runs in rounds)
        print(
            f"  {table:<12} {found.processor:8.2f} x{processor:5.2f}  {found.wall:8.2f} x{wall:5.2f}  "
            f"{found.rows:12,} rows; one day alone {alone.wall:.2f} s"
        )
    print(f"  medians of {ROUNDS} rounds; wanted: at most twice the events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
