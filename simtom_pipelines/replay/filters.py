"""Filters: SQL expressions over a table's columns, refused before the first record where they cannot be used."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import ReplayError

_SCOPED = re.compile(r"\s*(\w+(?:/\w+)?)\s*:(?!:)\s*(.*)", re.DOTALL)
_NOT_BY_ROW = {"Agg", "Over", "Window", "Rolling", "Len", "SubPlan"}
"""Nodes of polars' expressions whose value depends on other rows, and so on what happens to be read together."""


def predicate(filters: Sequence[str], tables: Sequence[str], table: str, schema: pl.Schema) -> pl.Expr | None:
    """Return the expression that rows of one table must fulfil; None: all of them pass.

    Args:
        filters: Of the request.
        tables: All tables of the replay, as ``dataset/table``.
        table: The one in question.
        schema: Its columns.

    Raises:
        ReplayError: A filter is no SQL, names a column that the table has not, yields no truth value, or looks at more
            than its row.
    """
    found = [
        _parse(text, table, schema) for text, scope in (_scope(f, tables) for f in filters) if scope in (None, table)
    ]
    if not found:
        return None
    whole = found[0]
    for each in found[1:]:
        whole &= each
    return whole


def passing(frame: pl.DataFrame, condition: pl.Expr) -> NDArray[np.bool_]:
    """Return which rows fulfil a predicate, shape (n,); what is unknown (null) does not.

    Raises:
        ReplayError: A value cannot be computed, for example a text that is no number.
    """
    try:
        found: NDArray[np.bool_] = frame.select(condition.fill_null(False).alias("passes"))["passes"].to_numpy()
    except pl.exceptions.PolarsError as error:
        raise ReplayError(f"a filter cannot be computed for every row: {_line(error)}") from None
    return found


def _scope(text: str, tables: Sequence[str]) -> tuple[str, str | None]:
    """Return the expression and the table that it is for; None: every table."""
    match = _SCOPED.fullmatch(text)
    if match is None:
        return text, None
    name = match[1]
    for table in tables:
        if name in (table, table.partition("/")[0]):
            return match[2], table
    raise ReplayError(f"filter {text!r} is for {name!r}, which is not replayed; replayed: {', '.join(tables)}")


def _parse(text: str, table: str, schema: pl.Schema) -> pl.Expr:
    try:
        expression = pl.sql_expr(text)
    except pl.exceptions.PolarsError as error:
        raise ReplayError(f"filter {text!r} is no SQL expression: {_line(error)}; as in amount > 100") from None
    named = expression.meta.root_names()
    if unknown := sorted(set(named) - set(schema)):
        raise ReplayError(
            f"filter {text!r} names {', '.join(unknown)}, which {table} has not; its columns: {', '.join(schema)}"
        )
    if nodes := _NOT_BY_ROW & set(_nodes(json.loads(expression.meta.serialize(format="json")))):
        raise ReplayError(
            f"filter {text!r} looks at more than one row ({', '.join(sorted(nodes))}); allowed: expressions over the "
            "columns of the row itself"
        )
    try:
        (dtype,) = pl.DataFrame(schema=schema).clear(1).select(expression.alias("passes")).dtypes  # on a row of nulls
    except pl.exceptions.PolarsError as error:
        raise ReplayError(f"filter {text!r} does not fit {table}: {_line(error)}") from None
    if dtype != pl.Boolean:
        raise ReplayError(f"filter {text!r} yields {dtype}, not true or false; compare it with something")
    return expression


def _nodes(tree: object) -> list[str]:
    """Return the names of an expression's nodes, without what its author wrote: literals and column names."""
    if isinstance(tree, dict):
        inner = (value for name, value in tree.items() if name not in ("Literal", "Column"))
        return [*tree, *(name for value in inner for name in _nodes(value))]
    if isinstance(tree, list):
        return [name for value in tree for name in _nodes(value)]
    return [tree] if isinstance(tree, str) else []


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
