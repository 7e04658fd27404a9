from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from generators.errors import DataError, PluginError
from generators.schema import INSTANT, Column, TableSchema

TABLE = TableSchema(
    name="orders",
    kind="events",
    version="1.2",
    description="Orders.",
    columns=(
        Column("timestamp", INSTANT, "When."),
        Column("order_id", pl.String, "Identifier.", unique=True, format="ord_****"),
        Column("amount", pl.Float64, "Price.", unit="USD", ge=0, le=100),
        Column("status", pl.Enum(["paid", "open"]), "State."),
        Column("note", pl.String, "Free text.", nullable=True),
    ),
)


def frame(**changes: list[object]) -> pl.DataFrame:
    columns: dict[str, list[object]] = {
        "timestamp": [1_700_000_000_000_000, 1_700_000_000_000_001],
        "order_id": ["ord_aaaa", "ord_bbbb"],
        "amount": [1.0, 2.0],
        "status": ["paid", "open"],
        "note": ["hello", None],
    }
    return pl.DataFrame({**columns, **changes}, schema=TABLE.polars_schema(), strict=False)


def test_polars_schema_instants_carry_the_zone() -> None:
    assert TABLE.polars_schema("Europe/Berlin")["timestamp"] == pl.Datetime("us", "Europe/Berlin")
    assert TABLE.polars_schema()["timestamp"] == INSTANT
    assert list(TABLE.polars_schema()) == TABLE.names


def test_conform_casts_and_orders() -> None:
    loose = frame().select(pl.col("status").cast(pl.String), "note", "amount", "order_id", "timestamp")
    assert TABLE.conform(loose).equals(frame())


@pytest.mark.parametrize(
    "loose, reason",
    [
        (frame().drop("note"), r"\['note'\] are missing"),
        (frame().with_columns(extra=1), r"\['extra'\] are not declared"),
        (frame().with_columns(pl.col("status").cast(pl.String) + "!"), "orders"),
        (frame().with_columns(amount=pl.lit("dear")), "orders"),
    ],
)
def test_conform_refuses(loose: pl.DataFrame, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        TABLE.conform(loose)


def test_violations_none() -> None:
    assert TABLE.violations(frame()) == []


@pytest.mark.parametrize(
    "changes, column, rule, rows",
    [
        ({"amount": [None, 1.0]}, "amount", "not null", 1),
        ({"amount": [-0.01, 1.0]}, "amount", ">= 0", 1),
        ({"amount": [101.0, 1000.0]}, "amount", "<= 100", 2),
        ({"amount": [float("nan"), 1.0]}, "amount", "finite", 1),
        ({"order_id": ["ord_aaaa", "ord_AAAA"]}, "order_id", "format ord_****", 1),
        ({"order_id": ["ord_aaaa", "ord_aaaa"]}, "order_id", "unique", 2),
        ({"status": ["paid", None]}, "status", "not null", 1),
        ({"note": ["call 123-45-6789", None]}, "note", "no social security number", 1),
    ],
)
def test_violations_name_column_rule_and_rows(
    changes: dict[str, list[object]], column: str, rule: str, rows: int
) -> None:
    found = TABLE.violations(frame(**changes))
    assert (column, rule, rows) in [(v.column, v.rule, v.rows) for v in found]
    assert {v.column for v in found} == {column}


def with_column(column: Column) -> TableSchema:
    return replace(TABLE, columns=(*TABLE.columns, column))


@pytest.mark.parametrize(
    "table, reason",
    [
        (replace(TABLE, name="Orders"), "snake_case"),
        (replace(TABLE, version="1"), "major.minor"),
        (replace(TABLE, columns=TABLE.columns[1:]), "timestamp"),
        (replace(TABLE, columns=(*TABLE.columns, TABLE["note"])), "twice"),
        (replace(TABLE, key=("order",)), "not declared"),
        (replace(TABLE, grace=3), "grace 3 days given; allowed: 0, or more with valid_from and valid_to"),
        (with_column(Column("Bad", pl.Int64, "x")), "snake_case"),
        (with_column(Column("n", pl.Int64, "x", format="###")), "only text"),
        (with_column(Column("n", pl.String, "x", format="#" * 16)), "16 digits"),
        (with_column(Column("n", pl.Enum(["a", "123-45-6789"]), "x")), "social security"),
    ],
)
def test_check_refuses(table: TableSchema, reason: str) -> None:
    with pytest.raises(PluginError, match=reason):
        table.check()


def test_check_accepts() -> None:
    TABLE.check()
    assert TABLE.primary_key == ("order_id",)
    assert replace(TABLE, key=("order_id", "status")).primary_key == ("order_id", "status")
    assert TABLE.major == 1


def test_json_schema_of_a_record() -> None:
    schema = TABLE.json_schema()
    assert schema["required"] == TABLE.names
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert properties["timestamp"] == {"type": "string", "format": "date-time", "description": "When."}
    assert properties["amount"] == {
        "type": "number", "minimum": 0, "maximum": 100, "x-unit": "USD", "description": "Price."
    }  # fmt: skip
    assert properties["status"]["enum"] == ["paid", "open"]
    assert properties["note"]["type"] == ["string", "null"]
    assert properties["order_id"]["pattern"] == "^ord_[a-z2-7][a-z2-7][a-z2-7][a-z2-7]$"
