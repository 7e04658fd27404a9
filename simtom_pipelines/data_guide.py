"""Data guides: a Markdown page for each generator, made from its schemas."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from generators import generator_class, list_generators
from generators.base import BaseGenerator
from generators.schema import Column, TableSchema

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "data"
MAX_VALUES = 12
"""Categories listed in full; of longer lists the first ones are."""


def guide(cls: type[BaseGenerator[Any]]) -> str:
    """Return the page of a generator: its config, then each table's columns, units, rules and sources."""
    parts = [
        f"# {cls.name}",
        cls.description,
        "Made from the schemas by `make docs`; do not edit by hand.",
        "## Config",
        _table(("field", "default", "meaning"), [_field(cls, name) for name in cls.config_type.model_fields]),
    ]
    for table in cls.tables:
        parts += [f"## {cls.name}/{table.name}", _about(table), _table(_HEADER, [_row(column) for column in table])]
    return "\n\n".join(parts) + "\n"


_HEADER = ("column", "type", "unit", "null", "allowed", "known", "meaning", "source")


def _about(table: TableSchema) -> str:
    partition = "one file" if table.kind == "dimension" else "a partition a day"
    key = ", ".join(f"`{name}`" for name in table.primary_key)
    return f"{table.description} Kind: {table.kind} ({partition}); schema version {table.version}; key: {key}."


def _field(cls: type[BaseGenerator[Any]], name: str) -> tuple[str, ...]:
    field = cls.config_type.model_fields[name]
    default = field.get_default(call_default_factory=True)
    shown = getattr(default, "value", default)
    return f"`{name}`", f"`{shown}`", field.description or ""


def _row(column: Column) -> tuple[str, ...]:
    return (
        f"`{column.name}`",
        column.type_name().replace("time_unit=", ""),
        column.unit or "",
        "yes" if column.nullable else "",
        _allowed(column),
        "later" if column.known_at is not None else "with the event",
        column.description,
        column.source or "",
    )


def _allowed(column: Column) -> str:
    if column.categories is not None:
        values = [f"`{value}`" for value in column.categories]
        more = f" … {len(values)} in all" if len(values) > MAX_VALUES else ""
        return ", ".join(values[:MAX_VALUES]) + more
    if column.format is not None:
        return f"`{column.format}`"
    low, high = column.ge, column.le
    if low is None and high is None:
        return ""
    return f"{'' if low is None else f'{low:g}'} … {'' if high is None else f'{high:g}'}".strip()


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> int:
    """Write the page of every generator."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for info in list_generators():
        (FOLDER / f"{info.name}.md").write_text(guide(generator_class(info.name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
