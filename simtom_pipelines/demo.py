"""The first look: two months of transactions through Dagster, a table of what landed, Black Friday replayed."""

from __future__ import annotations

import sys
import threading
from datetime import date, timedelta

from rich.console import Console
from rich.table import Table

from generators.errors import SimtomError
from simtom_pipelines import replay as engine
from simtom_pipelines.datasets import DatasetSpec, find_table, load_datasets
from simtom_pipelines.lake import ParquetLake, Partition
from simtom_pipelines.settings import Settings, load_settings

FIRST, LAST = date(2024, 11, 1), date(2024, 12, 31)
BLACK_FRIDAY = date(2024, 11, 29)
DAY_SECONDS = 10.0
SHOWN_LINES_A_SECOND = 4
OTHER_COLUMNS = 66
"""Width of the table without its bars."""


def main() -> int:
    """Run the demo and return the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        settings = load_settings()
        spec, table = find_table(load_datasets(settings.datasets), "bnpl")
        lake = ParquetLake(settings.lake, settings.storage_options)
        _materialize(console, settings, spec, table.name)
        _show(console, spec, [p for d in _days() if (p := lake.partition(spec.name, table.name, d)) is not None])
        _replay(console, lake, spec.name, table.name)
    except SimtomError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; what was materialized stays in the lake", file=sys.stderr)
        return 130
    console.print("\nNext: [bold]make ui[/bold] shows these partitions in Dagster; docs/ has a page for each part.")
    return 0


def _days() -> list[date]:
    return [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]


def _materialize(console: Console, settings: Settings, spec: DatasetSpec, table: str) -> None:
    from simtom_pipelines.console import counting
    from simtom_pipelines.run import materialize_range

    days = _days()
    console.print(f"Materializing {FIRST} to {LAST} of [bold]{spec.name}/{table}[/bold] through Dagster")
    with counting(f"{spec.name}/{table}", len(days)) as advance:
        done = materialize_range(settings, spec, spec.tables[0], days, advance)
    console.print(f"{done} partitions are in {settings.lake}/{spec.name}/{table}\n")


def _show(console: Console, spec: DatasetSpec, partitions: list[Partition]) -> None:
    volume = spec.make().processes[0].volume
    ordinary = spec.config.base_daily_volume
    most = max((p.rows for p in partitions), default=1)
    widest = max(8, console.width - OTHER_COLUMNS)
    table = Table("day", "", "rows", "ratio", "event", "", title="What landed", title_justify="left")
    for partition in partitions:
        assert partition.day is not None
        event = volume.event(partition.day) or ""
        bar = "█" * round(widest * partition.rows / most)
        table.add_row(
            str(partition.day),
            f"{partition.day:%a}",
            f"{partition.rows:,}",
            f"{partition.rows / ordinary:.2f}",
            event,
            bar,
        )
    console.print(table)
    rows, size = sum(p.rows for p in partitions), sum(p.bytes for p in partitions)
    console.print(f"{rows:,} rows in {len(partitions)} files, {size / 1e6:.1f} MB")
    console.print(f"ratio: to the {ordinary:,} rows of an ordinary day\n")


class _Terminal:
    """A sink that takes every record and shows a few a second."""

    def __init__(self, console: Console) -> None:
        self._console, self._records = console, 0
        self._clock, self._next = engine.MonotonicClock(), 0.0

    def open(self, stop: threading.Event) -> None:
        """Take note of nothing: the terminal is there."""

    def send(self, buffer: memoryview, offsets: object, i: int, j: int) -> int:
        """Count records i to j and show the first where it is time to."""
        self._records += j - i
        now = self._clock.now()
        if now >= self._next:
            self._next = now + 1 / SHOWN_LINES_A_SECOND
            line = bytes(buffer[offsets[i] : offsets[i + 1]]).decode().strip()  # type: ignore[index]
            self._console.print(line[: max(self._console.width - 1, 40)], markup=False, highlight=False)
        return j - i

    def poll(self) -> None:
        """Do nothing: nothing is held back."""

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def acked(self) -> int:
        """Return how many records were taken."""
        return self._records

    def close(self) -> None:
        """Do nothing: the terminal stays."""


def _replay(console: Console, lake: ParquetLake, dataset: str, table: str) -> None:
    console.print(f"Replaying {BLACK_FRIDAY}, Black Friday, at a day in {DAY_SECONDS:g} seconds; a few of its records:")
    request = engine.ReplayRequest(dataset, table, day_in=DAY_SECONDS, start=BLACK_FRIDAY, end=BLACK_FRIDAY)
    report = engine.replay(request, _Terminal(console), lake=lake, owns_process=True)
    late = report.lateness
    console.print(
        f"\n{report.emitted:,} records in {report.elapsed:.2f} s: compression {report.achieved_compression:,.1f} of "
        f"{report.asked_compression or 0:,.1f} asked, lateness p50 {late['p50'] * 1e3:.2f} ms, "
        f"p99 {late['p99'] * 1e3:.2f} ms, max {late['max'] * 1e3:.2f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
