"""Speed and memory of generating and writing bnpl, beside the hand-written baseline in the same run."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from bench import baseline
from simtom_pipelines.datasets import DatasetSpec, find_table
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days

BIG_ROWS, BIG_DAYS = 500_000, 10
SMALL_ROWS, SMALL_DAYS = 1_000, 366
HUGE_ROWS = 20_000_000


def spec(rows: int) -> DatasetSpec:
    """Return bnpl with exactly `rows` expected rows on every day."""
    found = find_table({}, "bnpl")[0]
    flat = {"day_of_week": "off", "week_of_month": "off", "month_factors": "off", "volume_noise": 0.0}
    config = found.config.create(base_daily_volume=rows, include_holiday_patterns=False, **flat)
    return replace(found, config=config)


def days(count: int) -> list[date]:
    """Return the first days of 2024."""
    return [date(2024, 1, 1) + timedelta(n) for n in range(count)]


def rate(rows: int, count: int) -> float:
    """Return rows a second of generating and writing days through the lake."""
    with tempfile.TemporaryDirectory() as folder:
        lake, dataset = ParquetLake(folder), spec(rows)
        list(write_days(lake, dataset, "transactions", [date(2023, 12, 31)]))  # vocabularies and tables, once a process
        began = time.perf_counter()
        written = sum(p.rows for p in write_days(lake, dataset, "transactions", days(count)))
        return written / (time.perf_counter() - began)


def baseline_rate(rows: int, count: int) -> float:
    """Return rows a second of the hand-written generator, writing included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        for day in days(count):
            frame = baseline.day(day, rows, seed=0)
            frame.write_parquet(Path(folder) / f"{day}.parquet", compression="zstd", compression_level=1)
        return rows * count / (time.perf_counter() - began)


def huge_day_memory() -> float:
    """Return the peak memory in MB of a process that writes one day of 20,000,000 rows."""
    code = "from bench.generation import write_huge; write_huge()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def write_huge() -> None:
    """Write the huge day and print this process's peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        list(write_days(ParquetLake(folder), spec(HUGE_ROWS), "transactions", days(1)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def start_seconds(*arguments: str) -> float:
    """Return the best wall time of three starts of Python."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Print every figure beside what it should reach."""
    ours, theirs = rate(BIG_ROWS, BIG_DAYS), baseline_rate(BIG_ROWS, 2)
    print(f"{BIG_DAYS} days x {BIG_ROWS:,} rows, Parquet included: {ours:,.0f} rows/s (at least 1,500,000)")
    print(f"  hand-written baseline: {theirs:,.0f} rows/s; ours is {ours / theirs:.2f} times as fast")
    small, plain = rate(SMALL_ROWS, SMALL_DAYS), baseline_rate(SMALL_ROWS, 60)
    print(f"{SMALL_DAYS} days x {SMALL_ROWS:,} rows: {1e3 * SMALL_ROWS / small:.2f} ms a day (at most 5)")
    print(f"  hand-written baseline: {1e3 * SMALL_ROWS / plain:.2f} ms a day")
    print(f"import generators: {start_seconds('-c', 'import generators'):.2f} s (at most 0.8)")
    print(f"simtom --help: {start_seconds('-m', 'simtom_pipelines.cli', '--help'):.2f} s (at most 0.5)")
    print(f"peak memory, one day of {HUGE_ROWS:,} rows: {huge_day_memory():,.0f} MB (at most 1,000)", flush=True)


if __name__ == "__main__":
    main()
