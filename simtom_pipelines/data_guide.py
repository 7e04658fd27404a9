"""Data guides: a Markdown page for each generator, made from its schemas."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from generators import generator_class, list_generators
from generators.base import BaseGenerator
from generators.groups import leaves
from generators.scenarios import Preset, presets_of
from generators.schema import INSTANT, Column, TableSchema, references

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "data"
MAX_VALUES = 12
"""Categories listed in full; of longer lists the first ones are."""


def guide(cls: type[BaseGenerator[Any]]) -> str:
    """Return the page of a generator: its config, then each table's columns with units, rules, sources, when known."""
    parts = [
        f"# {cls.name}",
        cls.description,
        "Made from the schemas by `make docs`; do not edit by hand.",
        "## Config",
        _table(("field", "default", "meaning"), [_field(*item) for item in leaves(cls.config_type).items()]),
    ]
    if presets := presets_of(cls.config_type):
        parts += ["## Drift", "Off by default; see [drift](../drift.md).", _table(_DRIFT_HEADER, _presets(presets))]
    for table in cls.tables:
        rows = [_row(table, column) for column in table]
        parts += [f"## {cls.name}/{table.name}", _about(cls, table), _table(_HEADER, rows)]
    return "\n\n".join(parts) + "\n"


_DRIFT_HEADER = ("preset", "grows in", "lasts", "fades in", "at strength 1")
_HEADER = ("column", "type", "unit", "null", "allowed", "known", "meaning", "source")


_PARTITIONS = {
    "events": "a partition a civil day",
    "labels": "a partition a day on which facts became known",
    "dimension": "one file",
}
_KNOWN = {"events": "with the event", "labels": "on the partition's day", "dimension": "from valid_from on"}


def _about(cls: type[BaseGenerator[Any]], table: TableSchema) -> str:
    key = ", ".join(f"`{name}`" for name in table.primary_key)
    said = [
        table.description,
        f"Kind: {table.kind} ({_PARTITIONS[table.kind]}); schema version {table.version}; key: {key}.",
    ]
    if table.kind == "labels":
        said.append(f"Facts become known up to {table.window} days after their event.")
    named = [f"`{r.column}` names a row of `{r.target.name}`" for r in references(cls.tables) if r.table is table]
    return " ".join(said + ["; ".join(named) + "."] * bool(named))


def _presets(presets: Mapping[str, Preset]) -> list[tuple[str, ...]]:
    def days(count: int) -> str:
        return f"{count} days" if count else ""

    return [
        (f"`{name}`", days(p.ramp), days(p.lasts) if p.lasts else "for good", days(p.fade), p.text)
        for name, p in presets.items()
    ]


def _field(name: str, field: FieldInfo) -> tuple[str, ...]:
    default = field.get_default(call_default_factory=True)
    return f"`{name}`", f"`{_shown(getattr(default, 'value', default))}`", field.description or ""


def _shown(value: Any) -> str:
    """Return a default as Python writes it, shares to four digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_shown(item)}" for key, item in value.items()) + "}"
    return f"{value:.4g}" if isinstance(value, float) and len(repr(value)) > 8 else str(value)


def _row(table: TableSchema, column: Column) -> tuple[str, ...]:
    return (
        f"`{column.name}`",
        "instant" if column.dtype == INSTANT else column.type_name(),
        column.unit or "",
        "yes" if column.nullable else "",
        _allowed(column),
        _known(table, column),
        column.description,
        column.source or "",
    )


def _known(table: TableSchema, column: Column) -> str:
    if column.known_at is not None:
        return column.known or "later"
    if column.known is not None:
        return column.known
    if table.kind == "dimension" and "valid_from" not in table.names:
        return "always"
    return _KNOWN[table.kind]


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
