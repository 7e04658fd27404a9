"""Speed and memory of generating and writing days of any dataset through the lake."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta

from simtom_pipelines.datasets import DatasetSpec, find_table
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days


def flat(dataset: str, rows: int) -> DatasetSpec:
    """Return a dataset with about `rows` expected rows on every day."""
    found = find_table({}, dataset)[0]
    even = {"day_of_week": "off", "week_of_month": "off", "month_factors": "off", "volume_noise": 0.0}
    config = found.config.create(base_daily_volume=rows, include_holiday_patterns=False, **even)
    return replace(found, config=config)


def days(count: int) -> list[date]:
    """Return the first days of 2024."""
    return [date(2024, 1, 1) + timedelta(n) for n in range(count)]


def rate(dataset: str, rows: int, count: int) -> tuple[float, float]:
    """Return rows a second of generating and writing days, by the clock and by processor time.

    The days before are written first, so that what is made once a process or once a year is there.
    """
    spec = flat(dataset, rows)
    events = spec.tables[0].name
    with tempfile.TemporaryDirectory() as folder:
        list(write_days(ParquetLake(folder), spec, events, [date(2024, 1, 1) - timedelta(n) for n in (2, 1)]))
        lake, began, used = ParquetLake(folder), time.perf_counter(), time.process_time()
        written = sum(p.rows for p in write_days(lake, spec, events, days(count)))
        return written / (time.perf_counter() - began), written / (time.process_time() - used)


def peak_memory(dataset: str, rows: int) -> float:
    """Return the peak memory in MB of a process that writes one day of `rows` rows."""
    code = f"from bench.large_days import write_day; write_day({dataset!r}, {rows})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def write_day(dataset: str, rows: int) -> None:
    """Write one day and print this process's peak memory in MB."""
    spec = flat(dataset, rows)
    with tempfile.TemporaryDirectory() as folder:
        list(write_days(ParquetLake(folder), spec, spec.tables[0].name, days(1)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
