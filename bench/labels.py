"""What the label tables of bnpl cost beside their events: a range run of one year, and one label day alone."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta

from simtom_pipelines.datasets import find_table
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days

ROWS = 10_000
FIRST = date(2024, 1, 1)


def seconds(table: str, days: list[date]) -> tuple[float, int]:
    """Return the CPU seconds of writing a table's partitions as one range, and their rows."""
    spec, schema = find_table({}, f"bnpl/{table}")
    spec = replace(spec, start_date=date(2020, 1, 1), config=spec.config.create(base_daily_volume=ROWS))
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        rows = sum(p.rows for p in write_days(ParquetLake(folder), spec, schema.name, days))
        return time.process_time() - began, rows


def main() -> int:
    """Print CPU seconds, generating and Parquet included."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 365
    days = [FIRST + timedelta(n) for n in range(count)]
    seconds("transactions", days[:3])  # tables of the first use
    events, rows = seconds("transactions", days)
    print(f"{count} days at {ROWS:,} events a day, CPU seconds, Parquet included")
    print(f"  transactions   {events:7.2f}              {rows:12,} rows")
    for table in ("outcomes", "installments"):
        cost, rows = seconds(table, days)
        alone, _ = seconds(table, days[-1:])
        print(f"  {table:<12} {cost:9.2f}  x{cost / events:5.2f}     {rows:12,} rows; one day alone {alone:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
