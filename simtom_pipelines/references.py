"""Whether the tables of a dataset fit together: foreign keys, and what events say of entities against dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl

from generators.schema import Reference, TableSchema, references
from simtom_pipelines.lake import ParquetLake

LOOKED_AT_ROWS = 50_000_000
"""Rows of a table up to which every partition is looked at, about; a larger table is sampled."""

REFERENCE_DAYS = 60
"""Daily partitions of a larger table that are looked at for foreign keys, spread evenly and with both ends."""

LABEL_DAYS = 3
"""Label partitions of larger tables whose events are looked for: each needs the event partitions of a whole window."""

BLOCK_ROWS = 2_000_000
"""Rows that are compared at a time, about."""

ATTRIBUTE_DAYS, ATTRIBUTE_ROWS = 60, 1_000_000
"""Partitions and events, about, whose attributes are compared; at least two days are."""

MAX_LISTED = 100


@dataclass(frozen=True)
class Finding:
    """What a comparison of tables found."""

    passed: bool
    metadata: dict[str, Any] = field(default_factory=dict)
    description: str | None = None


def incoming(tables: Sequence[TableSchema], target: TableSchema) -> list[Reference]:
    """Return the foreign keys that point to a table."""
    return [reference for reference in references(tables) if reference.target is target]


def outgoing(tables: Sequence[TableSchema], table: TableSchema) -> list[Reference]:
    """Return the foreign keys of a label table that point to its events."""
    return [r for r in references(tables) if r.table is table and r.target.kind == "events"]


def shared_columns(events: TableSchema, dimension: TableSchema) -> list[str]:
    """Return the columns that say the same of an entity in events and in its dimension, by their name."""
    skipped = {dimension.primary_key[0], "valid_from", "valid_to"}
    return [c.name for c in events if c.name in dimension.names and c.name not in skipped and c.known_at is None]


def spread(days: Sequence[Any], most: int) -> Sequence[Any]:
    """Return at most `most` of some days, evenly spaced, the first and the last among them."""
    if len(days) <= most:
        return days
    return [days[round(i * (len(days) - 1) / (most - 1))] for i in range(most)]


def entities_exist(
    lake: ParquetLake, dataset: str, dimension: TableSchema, sources: Sequence[Reference], events: TableSchema
) -> Finding:
    """Look for foreign keys whose entity a dimension lacks, and for events later than the dimension.

    Args:
        lake: Where the tables are.
        dataset: Name of the dataset.
        dimension: The dimension.
        sources: The foreign keys that point to it; tables that are not stored are passed over.
        events: The event table.
    """
    stored = lake.partition(dataset, dimension.name, None)
    days = lake.days(dataset, events.name)
    if stored is None or not days:
        missing = f"{dataset}/{dimension.name if stored is None else events.name}"
        return Finding(False, description=f"{missing} is not in the lake; materialise it first")
    through = date.fromisoformat(stored.footer.day)
    key = dimension.primary_key[0]
    known = lake.scan(dataset, dimension.name).select(key).unique().collect()
    metadata: dict[str, Any] = {"through": through.isoformat(), "last_event": days[-1].isoformat()}
    lost: list[str] = []
    total = 0
    for source in sources:
        found, looked = _absent(lake, dataset, source, known, through)
        if looked:
            metadata[f"{source.table.name}.{source.column}"] = f"{looked} partitions looked at, {len(found)} missing"
        total += len(found)
        lost += found[:MAX_LISTED]
    later = [day for day in days if day > through]
    metadata |= {"partitions_later_than_dimension": len(later), "entities_missing": total}
    if lost:
        metadata["missing"] = lost[:MAX_LISTED]
    hint = f"events go on after {through}; materialise {dataset}/{dimension.name} again" if later else None
    return Finding(not total and not later, metadata, hint)


def _absent(
    lake: ParquetLake, dataset: str, source: Reference, known: pl.DataFrame, through: date
) -> tuple[list[str], int]:
    """Return the values of a foreign key that are not known, and the number of partitions looked at."""
    name, column = source.table.name, source.column
    if source.table.kind == "dimension":
        stored = lake.partition(dataset, name, None)
        if stored is None or date.fromisoformat(stored.footer.day) > through:
            return [], 0
        looked, pieces = 1, iter([lake.scan(dataset, name)])
    else:
        days = [day for day in lake.days(dataset, name) if day <= through]
        each = _rows_a_day(lake, dataset, name, days)
        chosen = spread(days, max(REFERENCE_DAYS, LOOKED_AT_ROWS // each))
        looked, pieces = len(chosen), (_scan(lake, dataset, name, block) for block in _blocks(chosen, each))
    lost: set[str] = set()
    for piece in pieces:
        values = piece.select(pl.col(column).alias(source.key)).drop_nulls().unique()
        lost.update(values.join(known.lazy(), on=source.key, how="anti").collect()[source.key])
    return sorted(lost), looked


def _rows_a_day(lake: ParquetLake, dataset: str, table: str, days: Sequence[date]) -> int:
    """Return the rows of the last of some days, at least 1."""
    last = lake.partition(dataset, table, days[-1]) if days else None
    return max(last.rows, 1) if last is not None else 1


def _blocks(days: Sequence[Any], each: int) -> Iterator[Sequence[Any]]:
    """Yield days in pieces of about `BLOCK_ROWS` rows."""
    size = max(1, BLOCK_ROWS // each)
    return (days[first : first + size] for first in range(0, len(days), size))


def _scan(lake: ParquetLake, dataset: str, table: str, days: Sequence[date]) -> pl.LazyFrame:
    return lake.scan(dataset, table, days[0], days[-1]).filter(pl.col("date").is_in(days))


def attributes_agree(lake: ParquetLake, dataset: str, dimension: TableSchema, events: TableSchema) -> Finding:
    """Compare what events say of their entities with the dimension's version that is valid on the event's day."""
    stored = lake.partition(dataset, dimension.name, None)
    days = lake.days(dataset, events.name)
    if stored is None or not days:
        missing = f"{dataset}/{dimension.name if stored is None else events.name}"
        return Finding(False, description=f"{missing} is not in the lake; materialise it first")
    through = date.fromisoformat(stored.footer.day)
    key, columns = dimension.primary_key[0], shared_columns(events, dimension)
    dated = [name for name in ("valid_from", "valid_to") if name in dimension.names]
    versions = lake.scan(dataset, dimension.name).select(key, *columns, *dated).with_columns(version=True).collect()
    days = [day for day in days if day <= through]
    each = _rows_a_day(lake, dataset, events.name, days)
    sampled = each * len(days) > LOOKED_AT_ROWS
    looked = spread(days, max(2, min(ATTRIBUTE_DAYS, ATTRIBUTE_ROWS // each))) if sampled else days
    conflicts = dict.fromkeys(columns, 0)
    rows = without = 0
    examples: list[str] = []
    for block in _blocks(looked, each):
        said = _scan(lake, dataset, events.name, block).select(key, "date", *columns).drop_nulls(key).unique().collect()
        joined = _with_versions(said, versions, dimension, dated)
        rows += joined.height
        without += joined["version"].null_count()
        joined = joined.drop_nulls("version")
        for name in columns:
            wrong = joined.filter(pl.col(name).ne_missing(pl.col(f"{name} of dimension"))).sort("date", key)
            conflicts[name] += wrong.height
            examples += [f"{day} {value}: {name}" for day, value in wrong.select("date", key).head(3).iter_rows()]
    metadata: dict[str, Any] = {
        "partitions_looked_at": len(looked),
        "entities_compared": rows,
        "entities_without_version": without,
        "columns": columns,
        "conflicts": {name: count for name, count in conflicts.items() if count},
    }
    if examples:
        metadata["examples"] = examples[:MAX_LISTED]
    return Finding(not without and not any(conflicts.values()), metadata)


def _with_versions(
    said: pl.DataFrame, versions: pl.DataFrame, dimension: TableSchema, dated: Sequence[str]
) -> pl.DataFrame:
    """Return what events say beside the version that holds on their date; ``version`` is null where none does."""
    key = dimension.primary_key[0]
    if not dated:
        return said.join(versions, on=key, how="left", suffix=" of dimension")
    begin, end = dated
    joined = said.sort("date").join_asof(
        versions.sort(begin), left_on="date", right_on=begin, by=key, suffix=" of dimension", check_sortedness=False
    )
    holds = pl.col(end).is_null() | (pl.col(end) + pl.duration(days=dimension.grace) > pl.col("date"))
    return joined.with_columns(pl.when(holds).then("version"))


def _covered(
    lake: ParquetLake, dataset: str, table: TableSchema, days: list[date], event_days: list[date]
) -> list[tuple[date, date]]:
    """Return the label partitions of which all event days are stored, each with the first of those."""
    unbroken: dict[date, int] = {}
    for day in event_days:
        unbroken[day] = unbroken.get(day - timedelta(1), 0) + 1
    found = []
    for day in days:
        first = day - timedelta(table.window)
        if 0 < unbroken.get(day, 0) <= table.window:  # the dataset may have begun inside the window
            partition = lake.partition(dataset, table.name, day)
            if partition is not None:
                first = date.fromisoformat(partition.footer.statistics["events_from"])
        if (day - first).days < unbroken.get(day, 0):
            found.append((day, first))
    return found


def labels_have_events(
    lake: ParquetLake, dataset: str, table: TableSchema, sources: Sequence[Reference], events: TableSchema
) -> Finding:
    """Look for labels whose event is not there, in label partitions of which all event days are stored.

    Args:
        lake: Where the tables are.
        dataset: Name of the dataset.
        table: The label table.
        sources: Its foreign keys that point to the events.
        events: The event table.
    """
    days, event_days = lake.days(dataset, table.name), lake.days(dataset, events.name)
    covered = _covered(lake, dataset, table, days, event_days)
    each = _rows_a_day(lake, dataset, events.name, event_days)
    sampled = each * len(event_days) > LOOKED_AT_ROWS
    chosen = spread(covered, LABEL_DAYS) if sampled else covered
    lost: list[str] = []
    rows = 0
    for block in ([one] for one in chosen) if sampled else _blocks(chosen, each):
        looked, first = [day for day, _ in block], min(first for _, first in block)
        for source in sources:
            labels = _scan(lake, dataset, table.name, looked).select(pl.col(source.column).alias(source.key))
            keys = labels.drop_nulls().unique().collect()
            known = lake.scan(dataset, events.name, first, looked[-1]).select(source.key)
            rows += keys.height
            lost += keys.lazy().join(known, on=source.key, how="anti").collect()[source.key].to_list()
    metadata: dict[str, Any] = {
        "partitions": len(days),
        "partitions_with_all_events": len(covered),
        "partitions_looked_at": len(chosen),
        "labels_looked_at": rows,
        "events_missing": len(lost),
    }
    if lost:
        metadata["missing"] = lost[:MAX_LISTED]
    hint = None if covered else "no label partition has all its events in the lake, so nothing was compared"
    return Finding(not lost, metadata, hint)
