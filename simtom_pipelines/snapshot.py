"""A dataset as it was known on a date: its events, and of their labels what was known by then, ready to train on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from generators.base import BaseGenerator
from generators.errors import SimtomError
from generators.schema import TableSchema
from simtom_pipelines.datasets import DatasetSpec, find_table, load_datasets
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.settings import load_settings
from simtom_pipelines.storage import LocalStorage


class SnapshotError(SimtomError, ValueError):
    """A snapshot that cannot be made: names the field, what was given and what is allowed."""


def as_of(
    dataset: str | DatasetSpec,
    day: date,
    *,
    start: date | None = None,
    end: date | None = None,
    lake: ParquetLake | str | None = None,
    datasets: Mapping[str, DatasetSpec] | None = None,
) -> pl.LazyFrame:
    """Return the events of a dataset with what was known of them by the end of a date, one row an event.

    Event columns whose values become known later than the date are null (or what they were until then). Columns of
    label tables follow: the last row that was known of an event, or what the generator makes of all of them
    (`BaseGenerator.fold`); they are null where nothing was known. A label column replaces the event column of its
    name, so nothing of the event table's truth shows before it is known.

    Args:
        dataset: Name of a dataset, or the dataset.
        day: The date; what became known on it counts.
        start: First day of events; default: the first stored one.
        end: Last day of events, inclusive; default: the last stored one that is not after `day`.
        lake: Where the tables are; default: SIMTOM_LAKE.
        datasets: The known datasets; default: those of datasets.yaml, where there is one.

    Raises:
        SnapshotError: A date is outside what the dataset and the lake hold, or partitions are missing.
        UnknownNameError: No such dataset.
    """
    store = lake if isinstance(lake, ParquetLake) else _lake(lake)
    spec = _spec(dataset, datasets, store)
    return _Snapshot(store, spec, day, _range(store, spec, day, start, end)).frame()


def write_snapshot(frame: pl.LazyFrame, path: Path) -> int:
    """Write a snapshot to a Parquet or CSV file, whole or not at all, and return its number of rows.

    Raises:
        SnapshotError: The name ends in neither .parquet nor .csv, or the file cannot be written.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise SnapshotError(f"output: {str(path)!r} given; allowed: a file that ends in .parquet or .csv")
    found = frame.collect(engine="streaming")
    try:
        with LocalStorage().replacing(str(path)) as target:
            if path.suffix == ".csv":
                found.write_csv(target)
            else:
                found.write_parquet(target, compression="zstd")
    except OSError as error:
        raise SnapshotError(f"output: {str(path)!r} cannot be written: {error.strerror or error}") from None
    return found.height


def _spec(dataset: str | DatasetSpec, datasets: Mapping[str, DatasetSpec] | None, store: ParquetLake) -> DatasetSpec:
    if isinstance(dataset, DatasetSpec):
        return dataset
    if "/" in dataset:
        alone = dataset.partition("/")[0]
        raise SnapshotError(f"dataset: {dataset!r} given; a snapshot joins all tables of a dataset: name {alone} alone")
    if datasets is None:
        path = load_settings().datasets
        datasets = load_datasets(path) if path.exists() else {}
    spec = find_table(datasets, dataset)[0]
    if dataset in datasets:
        return spec
    # A generator's name stands for a dataset that no file lists: it begins where its events do.
    stored = store.days(spec.name, spec.tables[0].name)
    return replace(spec, start_date=min([spec.start_date, *stored]))


def _lake(root: str | None) -> ParquetLake:
    settings = load_settings()
    return ParquetLake(root or settings.lake, settings.storage_options)


def _range(store: ParquetLake, spec: DatasetSpec, day: date, start: date | None, end: date | None) -> list[date]:
    """Return the event days of a snapshot; refuse dates that lie outside, and days that are missing."""
    name = f"{spec.name}/{spec.tables[0].name}"
    if day < spec.start_date:
        raise SnapshotError(f"as_of: {day} given; allowed: from the start_date of {spec.name}, {spec.start_date}, on")
    stored = [d for d in store.days(spec.name, spec.tables[0].name) if d >= spec.start_date]
    if not stored:
        raise SnapshotError(f"{name} has no partition from {spec.start_date} on in {store.root}; {_command(name)}")
    within = [d for d in stored if d <= day]
    first = start if start is not None else stored[0]
    last = end if end is not None else (within[-1] if within else first)
    allowed = f"allowed: {spec.start_date} to {day}, the dataset's start_date and as_of"
    for field, value in (("as_of", day), ("start", first), ("end", last)):
        if field == "as_of" and value < first:
            raise SnapshotError(f"as_of: {value} given; allowed: from {first}, the first day of events, on")
        if not spec.start_date <= value <= day:
            raise SnapshotError(f"{field}: {value} given; {allowed}")
    if last < first:
        raise SnapshotError(f"end: {last} given; allowed: {first}, the start, to {day}")
    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    if gap := _gap(name, days, set(stored)):
        raise SnapshotError(gap)
    return days


def _gap(name: str, wanted: list[date], stored: set[date]) -> str | None:
    """Return what to say of a table whose partitions are not all there."""
    missing = [d for d in wanted if d not in stored]
    if not missing:
        return None
    return (
        f"{name}: {len(missing)} partitions of {wanted[0]} to {wanted[-1]} are missing, the first is {missing[0]}; "
        f"{_command(name, missing[0], missing[-1])}"
    )


def _command(name: str, first: date | None = None, last: date | None = None) -> str:
    days = f" --start {first} --end {last}" if first else ""
    return f"make them with simtom materialize {name}{days}"


@dataclass(frozen=True)
class _Snapshot:
    """A snapshot of a dataset.

    Attributes:
        lake: Where the tables are.
        spec: The dataset.
        day: What is known by its end.
        days: The event days, consecutive.
    """

    lake: ParquetLake
    spec: DatasetSpec
    day: date
    days: list[date]

    def frame(self) -> pl.LazyFrame:
        """Return events and labels, joined."""
        events, *others = self.spec.tables
        labels = [table for table in others if table.kind == "labels"]
        windows = {table.name: self._label_days(table) for table in labels}
        gaps = [_gap(f"{self.spec.name}/{n}", d, set(self.lake.days(self.spec.name, n))) for n, d in windows.items()]
        if missing := [gap for gap in gaps if gap]:
            raise SnapshotError("; ".join(missing))
        self._check_footers(labels, windows)
        generator = self.spec.make()
        folded = {table.name: self._folded(generator, table, windows[table.name]) for table in labels}
        names = {name: frame.collect_schema().names() for name, frame in folded.items()}
        key = list(events.primary_key)
        later = {column.name for column in events if column.known_at is not None}
        frame = self.lake.scan(self.spec.name, events.name, self.days[0], self.days[-1])
        order = frame.collect_schema().names()
        # Conditions read the columns as they were: all of them are evaluated in one pass.
        replaced = {name for columns in names.values() for name in columns} & later
        frame = frame.with_columns(c.shown_on(self.day) for c in events if c.known_at is not None).drop(replaced)
        taken = set(order) - replaced
        for table in labels:
            found = folded[table.name].drop(set(names[table.name]) & (set(order) - later - set(key)))
            added = [name for name in found.collect_schema().names() if name not in key]
            found = found.rename({name: f"{table.name}_{name}" for name in added if name in taken})
            taken |= set(found.collect_schema().names())
            frame = frame.join(found, on=key, how="left", maintain_order="left")
        rest = [name for name in frame.collect_schema().names() if name not in order]
        return frame.select([*order, *rest])

    def _label_days(self, table: TableSchema) -> list[date]:
        """Return the label partitions that can hold facts about the events and are known by the day."""
        last = min(self.day, self.days[-1] + timedelta(table.window))
        return [self.days[0] + timedelta(n) for n in range((last - self.days[0]).days + 1)]

    def _folded(self, generator: BaseGenerator[Any], table: TableSchema, days: list[date]) -> pl.LazyFrame:
        rows = self.lake.scan(self.spec.name, table.name, days[0], days[-1])
        rows = rows.with_columns(c.shown_on(self.day) for c in table if c.known_at is not None)
        return generator.fold(table.name, rows, self.day)

    def _check_footers(self, labels: list[TableSchema], windows: dict[str, list[date]]) -> None:
        """Refuse labels that were made with another config than the events, or for a later start."""
        events = self.spec.tables[0]
        made: dict[tuple[str, int, str], str] = {}
        for table, days in [(events, self.days), *((t, windows[t.name]) for t in labels)]:
            for day in days:
                partition = self.lake.partition(self.spec.name, table.name, day)
                if partition is None:
                    continue
                footer = partition.footer
                made.setdefault((footer.generator, footer.revision, footer.config), f"{partition.table} of {day}")
                since = footer.statistics.get("events_from")
                needed = max(self.days[0], day - timedelta(table.window))
                if since is not None and date.fromisoformat(since) > needed:
                    raise SnapshotError(
                        f"start: {self.days[0]} given; allowed: from {since}, as {partition.table} of {day} leaves out "
                        f"earlier events; {_command(partition.table, days[0], days[-1])}"
                    )
        if len(made) > 1:
            ways = "; ".join(f"{where} with revision {rev} {config}" for (_, rev, config), where in made.items())
            raise SnapshotError(
                f"{self.spec.name}: partitions were made in different ways, so they do not fit together: {ways}; "
                "materialize them again with one config"
            )
