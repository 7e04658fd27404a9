"""Tables declared once: dtypes, conformance, violations, JSON schema and docs derive from a list of columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

import polars as pl

from generators.errors import DataError, PluginError
from generators.sanitize import check_format, format_regex, scan

TableKind = Literal["events", "labels", "dimension"]

INSTANT = pl.Datetime("us")
"""Declared dtype of instants: UTC microseconds. `TableSchema.in_zone` adds the dataset's time zone."""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Column name, snake_case.
        dtype: polars dtype. Small fixed vocabularies are `pl.Enum`; instants are `INSTANT`.
        description: One sentence on the meaning, and the rule where there is one.
        unit: Unit of the values, for example ``"USD"``, ``"days"``, ``"seconds"``.
        ge: Lowest allowed value.
        le: Highest allowed value.
        nullable: Whether nulls are allowed.
        unique: Whether values are unique over the whole table, all partitions together.
        format: Identifier format of a text column (see `generators.sanitize.format_regex`).
        vocabulary: The text comes from a vocabulary of the generator that is scanned once a seed.
        known_at: Expression over the table's columns that gives the date on which a value becomes known; None: with
            the event. Where it is later than the event's day, ``label_mode: live`` shows `initial` instead.
        known: The same for people, for example ``"when the patient is discharged"``; alone, of columns of dimensions.
        initial: Value shown until a value is known; default: null.
        refers_to: Table whose rows the values name. Default: the event table or dimension whose key is called so.
        source: Where the rule comes from.
    """

    name: str
    dtype: pl.DataType | type[pl.DataType]
    description: str
    unit: str | None = None
    ge: float | None = None
    le: float | None = None
    nullable: bool = False
    unique: bool = False
    format: str | None = None
    vocabulary: bool = False
    known_at: pl.Expr | None = field(default=None, compare=False)
    known: str | None = None
    initial: str | float | bool | None = None
    refers_to: str | None = None
    source: str | None = None

    @property
    def categories(self) -> list[str] | None:
        """The allowed values of an enum column."""
        return self.dtype.categories.to_list() if isinstance(self.dtype, pl.Enum) else None

    @property
    def is_text(self) -> bool:
        """Whether the column holds free strings."""
        return self.dtype == pl.String

    def type_name(self) -> str:
        """Return the dtype's short name for people: ``Enum`` without its categories."""
        return "Enum" if isinstance(self.dtype, pl.Enum) else str(self.dtype)

    def shown_on(self, day: date) -> pl.Expr:
        """Return the column as it was known by the end of a day: values known later give way to `initial`."""
        if self.known_at is None:
            return pl.col(self.name)
        shown = pl.when(self.known_at <= day).then(pl.col(self.name))
        if self.initial is not None:
            return shown.otherwise(pl.lit(self.initial, self.dtype)).alias(self.name)
        return shown.otherwise(None).alias(self.name)

    def check(self) -> None:
        """Raise PluginError where the declaration cannot hold."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise PluginError(f"column name {self.name!r} is not snake_case")
        if self.format is not None:
            if not self.is_text:
                raise PluginError(f"column {self.name!r}: only text has a format, not {self.dtype}")
            check_format(self.name, self.format)
        if self.categories is not None and (found := scan(self.categories)):
            text, kind = next(iter(found.items()))
            raise PluginError(f"column {self.name!r}: category {text!r} looks like a {kind}")


@dataclass(frozen=True)
class Violation:
    """A rule of a schema that some rows of a frame break."""

    column: str
    rule: str
    rows: int
    example: str

    def __str__(self) -> str:
        return f"{self.column}: {self.rows} rows break {self.rule!r}, for example {self.example}"


@dataclass(frozen=True)
class TableSchema:
    """A table: its name inside the dataset, its kind, its version and its columns.

    Attributes:
        name: For example ``"transactions"``.
        kind: ``events`` (a partition a day of the event), ``labels`` (a partition a day on which facts became known)
            or ``dimension`` (unpartitioned).
        version: ``"major.minor"``: a column added raises minor, one renamed or retyped raises major.
        columns: In storage order.
        description: One sentence.
        key: Columns that are unique together; default: the first column declared unique.
        window: Labels: largest number of days from an event's day to the day on which a fact about it becomes known.
        grace: Dimensions with versions: days for which events may name a version that has ended without a successor,
            such as refused attempts on a card that was replaced.
    """

    name: str
    kind: TableKind
    version: str
    columns: tuple[Column, ...]
    description: str = ""
    key: tuple[str, ...] = ()
    window: int = 0
    grace: int = 0

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def signature(self) -> str:
        """Name, version and columns as one text: tables with equal signatures hold data of the same form."""
        columns = ",".join(f"{c.name}:{c.dtype!r}:{c.format}" for c in self.columns)
        return f"table {self.name} {self.version} {columns}"

    @property
    def names(self) -> list[str]:
        """Column names in storage order."""
        return [column.name for column in self.columns]

    @property
    def major(self) -> int:
        """Major version: tables with different ones cannot be read together."""
        return int(self.version.partition(".")[0])

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Columns that identify a row."""
        return self.key or tuple(c.name for c in self.columns if c.unique)[:1]

    def polars_schema(self, timezone: str | None = None) -> pl.Schema:
        """Return the polars schema; instants carry `timezone` where it is given."""
        zoned = pl.Datetime("us", timezone)
        return pl.Schema({c.name: zoned if timezone and c.dtype == INSTANT else c.dtype for c in self.columns})

    def check(self) -> None:
        """Raise PluginError where the declaration cannot hold; called when a generator registers."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise PluginError(f"table name {self.name!r} is not snake_case")
        if not re.fullmatch(r"\d+\.\d+", self.version):
            raise PluginError(f"table {self.name!r}: version {self.version!r} is not 'major.minor'")
        if len(self._by_name) != len(self.columns):
            raise PluginError(f"table {self.name!r} declares a column twice")
        if unknown := set(self.key) - set(self._by_name):
            raise PluginError(f"table {self.name!r}: key columns {sorted(unknown)} are not declared")
        if self.kind == "events" and ("timestamp" not in self._by_name or self["timestamp"].dtype != INSTANT):
            raise PluginError(f"event table {self.name!r} needs a column 'timestamp' of dtype INSTANT")
        if (self.kind == "labels") != (self.window > 0):
            raise PluginError(
                f"table {self.name!r} of kind {self.kind!r}: window {self.window} days given; "
                "label tables, and only they, have one of 1 or more"
            )
        if self.grace < 0 or (self.grace and not {"valid_from", "valid_to"} <= set(self._by_name)):
            raise PluginError(
                f"table {self.name!r}: grace {self.grace} days given; allowed: 0, or more with valid_from and valid_to"
            )
        for column in self.columns:
            column.check()

    def conform(self, frame: pl.DataFrame, timezone: str | None = None) -> pl.DataFrame:
        """Return the frame with exactly this schema's columns, order and dtypes.

        Raises:
            DataError: A column is missing or unknown, or a value does not fit its dtype.
        """
        if frame.schema == self.polars_schema(timezone):
            return frame
        casts = self.casts(frame.schema, timezone)
        try:
            return frame.select(casts)
        except pl.exceptions.PolarsError as error:
            raise DataError(f"table {self.name!r}: {error}") from error

    def casts(self, given: pl.Schema, timezone: str | None = None, later: Collection[str] = ()) -> list[pl.Expr]:
        """Return what selects this schema's columns, in order and with their dtypes, from a frame.

        Whole numbers given for an enum column are codes of its categories.

        Args:
            given: The frame's schema.
            timezone: Zone of instants.
            later: Columns that are added afterwards.

        Raises:
            DataError: A column is missing or unknown.
        """
        wanted = {name: dtype for name, dtype in self.polars_schema(timezone).items() if name not in later}
        if missing := [name for name in wanted if name not in given]:
            raise DataError(f"table {self.name!r}: columns {missing} are missing")
        if extra := [name for name in given if name not in wanted]:
            raise DataError(f"table {self.name!r}: columns {extra} are not declared; declared: {[*wanted]}")
        casts = []
        for name, dtype in wanted.items():
            column = pl.col(name)
            if isinstance(dtype, pl.Enum) and given[name].is_integer():
                column = column.cast(pl.UInt8).cat.to(dtype)
            elif given[name] != dtype:
                column = column.cast(dtype)
            casts.append(column)
        return casts

    def frame(self, columns: Mapping[str, Any]) -> pl.DataFrame:
        """Return a frame of columns, arrays or series, that conforms to this schema.

        Raises:
            DataError: As `conform`.
        """
        named = [v.alias(k) if isinstance(v, pl.Series) else pl.Series(k, v) for k, v in columns.items()]
        return self.conform(pl.DataFrame(named))

    def violations(self, frame: pl.DataFrame, *, limits: bool = True) -> list[Violation]:
        """Return the rules of nulls, bounds, formats, uniqueness and real-looking text that the frame breaks.

        Args:
            frame: Rows with some or all of the columns.
            limits: Whether to look at nulls and bounds; a caller that has seen them already leaves them out.
        """
        present = frozenset(frame.columns)
        rules = [rule for rule in self._rules if rule.column in present and (limits or not rule.limit)]
        counts = frame.select(rule.rows for rule in rules).row(0) if rules else ()
        found = []
        for rule, rows in zip(rules, counts, strict=True):
            if rows:
                example = frame.filter(rule.broken)[rule.column][0]
                found.append(Violation(rule.column, rule.name, int(rows), repr(example)))
        for column in self.columns:
            if column.is_text and column.format is None and not column.vocabulary and column.name in present:
                for text, kind in list(scan(frame[column.name]).items())[:1]:
                    found.append(Violation(column.name, f"no {kind}", 1, repr(text)))
        return found

    @cached_property
    def _rules(self) -> list[_Rule]:
        return [rule for column in self.columns for rule in _rules_of(column)]

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of one record."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.description,
            "type": "object",
            "additionalProperties": False,
            "required": [c.name for c in self.columns],
            "properties": {c.name: _json_property(c) for c in self.columns},
        }


@dataclass(frozen=True)
class Reference:
    """A foreign key: every value of `column` in `table` is a value of `key` in `target`."""

    table: TableSchema
    column: str
    target: TableSchema
    key: str


def references(tables: Sequence[TableSchema]) -> list[Reference]:
    """Return the foreign keys among a generator's tables: to its event table and its dimensions.

    A column refers to the table whose key is called like it, or to the one that it declares.

    Raises:
        PluginError: A column declares a table that is none of them, or one whose rows nothing can name.
    """
    targets = {table.name: table for table in tables if table.kind != "labels" and table.primary_key}
    by_key = {table.primary_key[0]: table for table in targets.values()}
    found = []
    for table in tables:
        for column in table:
            if column.refers_to is not None and column.refers_to not in targets:
                raise PluginError(
                    f"column {column.name!r} of {table.name!r} refers to {column.refers_to!r}; allowed: {list(targets)}"
                )
            target = targets[column.refers_to] if column.refers_to is not None else by_key.get(column.name)
            if target is not None and not (target is table and column.name == target.primary_key[0]):
                found.append(Reference(table, column.name, target, target.primary_key[0]))
    return found


@dataclass(frozen=True, eq=False)
class _Rule:
    """A rule of one column.

    Attributes:
        column: The column's name.
        name: The rule in words.
        limit: Whether the rule is about nulls or bounds.
        broken: Whether a row breaks it.
        rows: Number of rows that break it.
    """

    column: str
    name: str
    limit: bool
    broken: pl.Expr
    rows: pl.Expr


def _rules_of(column: Column) -> Iterator[_Rule]:
    def rule(name: str, broken: pl.Expr, limit: bool = False) -> _Rule:
        return _Rule(column.name, name, limit, broken, broken.sum().alias(f"{column.name} {name}"))

    value = pl.col(column.name)
    if not column.nullable:
        yield rule("not null", value.is_null(), limit=True)
    if column.ge is not None:
        yield rule(f">= {column.ge:g}", value < column.ge, limit=True)
    if column.le is not None:
        yield rule(f"<= {column.le:g}", value > column.le, limit=True)
    if column.dtype.is_float():
        yield rule("finite", ~value.is_finite())
    if column.format is not None:
        yield rule(f"format {column.format}", ~value.str.contains(format_regex(column.format)))
    if column.unique:
        yield rule("unique", value.is_not_null() & value.is_duplicated())


_JSON_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "date": {"type": "string", "format": "date"},
    "instant": {"type": "string", "format": "date-time"},
    "text": {"type": "string"},
}


def _json_property(column: Column) -> dict[str, Any]:
    dtype = column.dtype
    kind = (
        "boolean" if dtype == pl.Boolean
        else "integer" if dtype.is_integer()
        else "number" if dtype.is_numeric()
        else "date" if dtype == pl.Date
        else "instant" if dtype == INSTANT
        else "text"
    )  # fmt: skip
    found = dict(_JSON_TYPES[kind])
    if column.nullable:
        found["type"] = [found["type"], "null"]
    if column.categories is not None:
        found["enum"] = [*column.categories, *([None] if column.nullable else [])]
    if column.format is not None:
        found["pattern"] = format_regex(column.format)
    limits = {"minimum": column.ge, "maximum": column.le, "x-unit": column.unit}
    return found | {k: v for k, v in limits.items() if v is not None} | {"description": column.description}
