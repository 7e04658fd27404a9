"""Speed and memory of patient_records, Parquet included."""

from __future__ import annotations

from bench.large_days import peak_memory, rate

ROWS, DAYS = 500_000, 10
HUGE_ROWS = 10_000_000


def main() -> None:
    """Print every figure beside what it should reach."""
    clock, processor = rate("patient_records", ROWS, DAYS)
    print(f"patient_records, {DAYS} days x {ROWS:,} rows, Parquet included: {clock:,.0f} rows/s (at least 250,000)")
    print(f"  rows per second of processor time: {processor:,.0f}")
    memory = peak_memory("patient_records", HUGE_ROWS)
    print(f"peak memory, one day of {HUGE_ROWS:,} rows: {memory:,.0f} MB (at most 1,500)", flush=True)


if __name__ == "__main__":
    main()
