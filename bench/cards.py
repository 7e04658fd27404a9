"""Speed and memory of credit_cards: events with Parquet, labels beside their events, one very large day."""

from __future__ import annotations

import time
from datetime import date

from bench.large_days import days, peak_memory, rate
from generators import get_generator

ROWS, DAYS = 500_000, 10
LABEL_ROWS, LABEL_DAYS = 10_000, 366
HUGE_ROWS = 10_000_000


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


def main() -> None:
    """Print every figure beside what it should reach."""
    clock, processor = rate("credit_cards", ROWS, DAYS)
    print(f"credit_cards, {DAYS} days x {ROWS:,} rows, Parquet included: {clock:,.0f} rows/s (at least 500,000)")
    print(f"  rows per second of processor time: {processor:,.0f}")
    events, labels, cold = label_seconds()
    print(f"a year at {LABEL_ROWS:,} events a day: events {events:.1f} s, labels {labels:.1f} s (at most twice)")
    print(f"one label day alone: {cold:.2f} s")
    print(
        f"peak memory, one day of {HUGE_ROWS:,} rows: {peak_memory('credit_cards', HUGE_ROWS):,.0f} MB (at most 1,500)",
        flush=True,
    )


if __name__ == "__main__":
    main()
