"""Speed and memory of generating and writing bnpl, beside the hand-written baseline in the same run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import baseline
from bench.large_days import days, peak_memory, rate

BIG_ROWS, BIG_DAYS = 500_000, 10
SMALL_ROWS, SMALL_DAYS = 1_000, 366
HUGE_ROWS = 20_000_000


def baseline_rate(rows: int, count: int) -> float:
    """Return rows a second of the hand-written generator, writing included."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        for day in days(count):
            frame = baseline.day(day, rows, seed=0)
            frame.write_parquet(Path(folder) / f"{day}.parquet", compression="zstd", compression_level=1)
        return rows * count / (time.perf_counter() - began)


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
    ours, theirs = rate("bnpl", BIG_ROWS, BIG_DAYS)[0], baseline_rate(BIG_ROWS, 2)
    print(f"{BIG_DAYS} days x {BIG_ROWS:,} rows, Parquet included: {ours:,.0f} rows/s (at least 1,500,000)")
    print(f"  hand-written baseline: {theirs:,.0f} rows/s; ours is {ours / theirs:.2f} times as fast")
    small, plain = rate("bnpl", SMALL_ROWS, SMALL_DAYS)[0], baseline_rate(SMALL_ROWS, 60)
    print(f"{SMALL_DAYS} days x {SMALL_ROWS:,} rows: {1e3 * SMALL_ROWS / small:.2f} ms a day (at most 5)")
    print(f"  hand-written baseline: {1e3 * SMALL_ROWS / plain:.2f} ms a day")
    print(f"import generators: {start_seconds('-c', 'import generators'):.2f} s (at most 0.8)")
    print(f"simtom --help: {start_seconds('-m', 'simtom_pipelines.cli', '--help'):.2f} s (at most 0.5)")
    print(
        f"peak memory, one day of {HUGE_ROWS:,} rows: {peak_memory('bnpl', HUGE_ROWS):,.0f} MB (at most 1,000)",
        flush=True,
    )


if __name__ == "__main__":
    main()
