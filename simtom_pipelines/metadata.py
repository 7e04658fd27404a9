"""What Dagster shows of a table and of each partition: column schema, numbers that the UI plots, a preview."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from generators.schema import INSTANT, Column, TableSchema
from simtom_pipelines.lake import Partition

ROW_COUNT = "dagster/row_count"
"""The key under which Dagster knows a partition's rows."""

_INSTANTS = ("min_timestamp", "max_timestamp")
_CELL = 40


def column_schema(schema: TableSchema, timezone: str) -> dg.TableSchema:
    """Return a table's columns with types (instants in the dataset's zone), descriptions, units and rules."""
    return dg.TableSchema(columns=[_table_column(column, timezone) for column in schema])


def _table_column(column: Column, timezone: str) -> dg.TableColumn:
    rules = [f"unit: {column.unit}"] if column.unit else []
    rules += [f">= {column.ge:g}"] if column.ge is not None else []
    rules += [f"<= {column.le:g}"] if column.le is not None else []
    rules += [f"format {column.format}"] if column.format else []
    rules += [f"known {column.known or 'later'}"] if column.known_at is not None else []
    rules += [f"one of {', '.join(column.categories)}"] if column.categories else []
    return dg.TableColumn(
        column.name,
        f"Datetime(us, {timezone})" if column.dtype == INSTANT else column.type_name(),
        description=column.description,
        constraints=dg.TableColumnConstraints(nullable=column.nullable, unique=column.unique, other=rules),
    )


def partition_metadata(partition: Partition) -> dict[str, Any]:
    """Return a partition's metadata: that of a kept one differs in `generated` and `seconds` only."""
    found: dict[str, Any] = {
        ROW_COUNT: partition.rows,
        "size_bytes": partition.bytes,
        "seconds": round(partition.seconds, 4),
        "generated": partition.generated,
        "fingerprint": partition.footer.fingerprint,
        "path": dg.MetadataValue.path(partition.path),
    }
    for name, value in partition.footer.statistics.items():
        if name in _INSTANTS and isinstance(value, str):
            found[name] = dg.MetadataValue.timestamp(_instant(value))
        elif name != "rows" and isinstance(value, int | float | str):
            found[name] = value
    if partition.footer.preview:
        found["preview"] = dg.MetadataValue.md(records_markdown(partition.footer.preview))
    return found


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def records_markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """Return records as a Markdown table, turned: a line a column, so that wide tables can be read."""
    head = "| column | " + " | ".join(f"row {n}" for n in range(1, len(records) + 1)) + " |"
    rule = "|---" * (len(records) + 1) + "|"
    names = list(records[0])
    body = [f"| {name} | " + " | ".join(_cell(record[name]) for record in records) + " |" for name in names]
    return "\n".join([head, rule, *body])


def rows_markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """Return records as a Markdown table, a line a record."""
    names = list(records[0])
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    return "\n".join(lines + ["| " + " | ".join(_cell(r[n]) for n in names) + " |" for r in records])


def _cell(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = text.replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"
