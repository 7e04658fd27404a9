"""Speed and memory of credit_cards: events with Parquet, labels beside their events, one very large day."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta

from generators import get_generator
from simtom_pipelines.datasets import DatasetSpec, find_table
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days

ROWS, DAYS = 500_000, 10
LABEL_ROWS, LABEL_DAYS = 10_000, 366
HUGE_ROWS = 10_000_000


def spec(rows: int) -> DatasetSpec:
    """Return credit_cards with exactly `rows` expected rows on every day."""
    found = find_table({}, "credit_cards")[0]
    flat = {"day_of_week": "off", "week_of_month": "off", "month_factors": "off", "volume_noise": 0.0}
    config = found.config.create(base_daily_volume=rows, include_holiday_patterns=False, **flat)
    return replace(found, config=config)


def days(count: int) -> list[date]:
    """Return the first days of 2024."""
    return [date(2024, 1, 1) + timedelta(n) for n in range(count)]


def rate(rows: int, count: int) -> tuple[float, float]:
    """Return rows a second of generating and writing days through the lake, by the clock and by processor time."""
    with tempfile.TemporaryDirectory() as folder:
        lake, dataset = ParquetLake(folder), spec(rows)
        list(write_days(lake, dataset, "authorizations", days(7)))  # vocabularies and tables, once a process
    with tempfile.TemporaryDirectory() as folder:
        lake = ParquetLake(folder)
        began, used = time.perf_counter(), time.process_time()
        written = sum(p.rows for p in write_days(lake, dataset, "authorizations", days(count)))
        return written / (time.perf_counter() - began), written / (time.process_time() - used)


def label_seconds() -> tuple[float, float, float]:
    """Return processor seconds of a year of events, of the same year of labels, and of one cold label day."""
    generator = get_generator("credit_cards", base_daily_volume=LABEL_ROWS)
    began = time.process_time()
    for day in days(LABEL_DAYS):
        for _ in generator.batches(day):
            pass
    events = time.process_time() - began
    fresh, began = get_generator("credit_cards", base_daily_volume=LABEL_ROWS), time.process_time()
    fresh.derive("fraud_labels", date(2024, 1, 1))
    cold, began = time.process_time() - began, time.process_time()
    for day in days(LABEL_DAYS):
        fresh.derive("fraud_labels", day)
    return events, time.process_time() - began, cold


def huge_day_memory() -> float:
    """Return the peak memory in MB of a process that writes one day of 10,000,000 rows."""
    code = "from bench.cards import write_huge; write_huge()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def write_huge() -> None:
    """Write the huge day and print this process's peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        list(write_days(ParquetLake(folder), spec(HUGE_ROWS), "authorizations", days(1)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print every figure beside what it should reach."""
    clock, processor = rate(ROWS, DAYS)
    print(f"credit_cards, {DAYS} days x {ROWS:,} rows, Parquet included: {clock:,.0f} rows/s (at least 500,000)")
    print(f"  rows per second of processor time: {processor:,.0f}")
    events, labels, cold = label_seconds()
    print(f"a year at {LABEL_ROWS:,} events a day: events {events:.1f} s, labels {labels:.1f} s (at most twice)")
    print(f"one label day alone: {cold:.2f} s")
    print(f"peak memory, one day of {HUGE_ROWS:,} rows: {huge_day_memory():,.0f} MB (at most 1,500)", flush=True)


if __name__ == "__main__":
    main()
