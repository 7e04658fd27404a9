"""The comparisons between tables pass on what is made, and each fails on a file that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from generators import Column, PluginError, TableSchema, generator_class
from generators.schema import INSTANT, references
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days, write_dimension
from simtom_pipelines.references import (
    Finding,
    attributes_agree,
    entities_exist,
    incoming,
    labels_have_events,
    outgoing,
    shared_columns,
    spread,
)

START = date(2024, 3, 1)
DAYS = [START + timedelta(n) for n in range(160)]
BNPL = generator_class("bnpl")
DIMENSIONS = ["customers", "products", "devices", "accounts"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> ParquetLake:
    """All tables of 160 days, a few purchases each."""
    lake = ParquetLake(str(tmp_path_factory.mktemp("lake")))
    spec = DatasetSpec("bnpl", "bnpl", START, BNPL.config_type(base_daily_volume=15))
    list(write_days(lake, spec, "transactions", DAYS))
    for table in ("outcomes", "installments"):
        list(write_days(lake, spec, table, DAYS[-4:]))
    for table in DIMENSIONS:
        write_dimension(lake, spec, table, DAYS[-1])
    return lake


class Spoiled(ParquetLake):
    """A lake of which one table reads otherwise."""

    def __init__(self, lake: ParquetLake, table: str, change: Callable[[pl.LazyFrame], pl.LazyFrame]) -> None:
        super().__init__(lake.root)
        self.table, self.change = table, change

    def scan(self, dataset: str, table: str, first: date | None = None, last: date | None = None) -> pl.LazyFrame:
        frame = super().scan(dataset, table, first, last)
        return self.change(frame) if table == self.table else frame


def existing(lake: ParquetLake, table: str) -> Finding:
    target = BNPL.table(table)
    return entities_exist(lake, "bnpl", target, incoming(BNPL.tables, target), BNPL.tables[0])


def labelled(lake: ParquetLake, table: str) -> Finding:
    schema = BNPL.table(table)
    return labels_have_events(lake, "bnpl", schema, outgoing(BNPL.tables, schema), BNPL.tables[0])


def agreeing(lake: ParquetLake, table: str) -> Finding:
    return attributes_agree(lake, "bnpl", BNPL.table(table), BNPL.tables[0])


def test_foreign_keys_are_found_by_name() -> None:
    found = {(r.table.name, r.column, r.target.name) for r in references(BNPL.tables)}
    assert found == {
        ("transactions", "customer_id", "customers"),
        ("transactions", "product_id", "products"),
        ("transactions", "device_id", "devices"),
        ("transactions", "payment_method_id", "accounts"),
        ("installments", "transaction_id", "transactions"),
        ("installments", "customer_id", "customers"),
        ("outcomes", "transaction_id", "transactions"),
        ("devices", "customer_id", "customers"),
        ("accounts", "customer_id", "customers"),
    }


def test_foreign_key_of_another_name_is_declared() -> None:
    visits = TableSchema(
        "visits", "events", "1.0",
        (Column("timestamp", INSTANT, ""), Column("visit_id", pl.String, "", unique=True)),
    )  # fmt: skip
    back = Column("return_visit_id", pl.String, "", nullable=True, refers_to="visits")
    returns = TableSchema("returns", "labels", "1.0", (Column("visit_id", pl.String, "", unique=True), back), window=3)
    found = [(r.column, r.target.name, r.key) for r in references([visits, returns])]
    assert found == [("visit_id", "visits", "visit_id"), ("return_visit_id", "visits", "visit_id")]
    stray = TableSchema("stray", "dimension", "1.0", (Column("x", pl.String, "", unique=True, refers_to="returns"),))
    with pytest.raises(PluginError, match="'returns'; allowed: \\['visits', 'stray'\\]"):
        references([visits, returns, stray])


@pytest.mark.parametrize("table", DIMENSIONS)
def test_every_entity_is_in_its_dimension(stored: ParquetLake, table: str) -> None:
    found = existing(stored, table)
    assert found.passed, found
    assert "partitions looked at, 0 missing" in str(found.metadata)


@pytest.mark.parametrize("table", DIMENSIONS)
def test_entity_that_a_dimension_lacks_is_found(stored: ParquetLake, table: str) -> None:
    key = BNPL.table(table).primary_key[0]
    some = stored.scan("bnpl", "transactions").select(key).head(1).collect().item()
    found = existing(Spoiled(stored, table, lambda frame: frame.filter(pl.col(key) != some)), table)
    assert not found.passed
    assert some in found.metadata["missing"]


@pytest.mark.parametrize("source", ["installments", "devices", "accounts"])
def test_reference_from_any_table_is_looked_at(stored: ParquetLake, source: str) -> None:
    def strange(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(customer_id=pl.lit("cu_nobody"))

    found = existing(Spoiled(stored, source, strange), "customers")
    assert not found.passed
    assert found.metadata["missing"] == ["cu_nobody"]


def test_event_later_than_the_dimension_is_found(stored: ParquetLake, tmp_path: Path) -> None:
    lake = ParquetLake(str(tmp_path))
    spec = DatasetSpec("bnpl", "bnpl", START, BNPL.config_type(base_daily_volume=15))
    list(write_days(lake, spec, "transactions", DAYS[:2]))
    write_dimension(lake, spec, "customers", DAYS[0])
    found = existing(lake, "customers")
    assert not found.passed
    assert "materialise bnpl/customers again" in str(found.description)
    assert "not in the lake" in str(existing(lake, "products").description)


@pytest.mark.parametrize("table", DIMENSIONS)
def test_attributes_equal_the_version_of_the_day(stored: ParquetLake, table: str) -> None:
    found = agreeing(stored, table)
    assert found.passed, found
    assert found.metadata["entities_compared"] > 500
    assert found.metadata["columns"] == shared_columns(BNPL.tables[0], BNPL.table(table)) != []


@pytest.mark.parametrize(
    "table,column", [(t, c) for t in DIMENSIONS for c in shared_columns(BNPL.tables[0], BNPL.table(t))]
)
def test_attribute_that_differs_is_found(stored: ParquetLake, table: str, column: str) -> None:
    def shifted(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(pl.col(column).reverse())

    found = agreeing(Spoiled(stored, table, shifted), table)
    assert not found.passed
    assert found.metadata["conflicts"][column] > 0
    assert f": {column}" in found.metadata["examples"][0]


def test_version_of_another_time_is_found(stored: ParquetLake) -> None:
    """A dimension that shows today's attributes for all time, the usual fault of slowly changing tables."""

    def latest(frame: pl.LazyFrame) -> pl.LazyFrame:
        newest = frame.sort("valid_from").group_by("customer_id").last()
        return newest.with_columns(valid_from=pl.lit(date(2000, 1, 1)), valid_to=pl.lit(None, pl.Date))

    found = agreeing(Spoiled(stored, "customers", latest), "customers")
    assert not found.passed
    assert found.metadata["entities_without_version"] == 0


def test_entity_without_a_version_is_found(stored: ParquetLake) -> None:
    def ended(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(valid_to=pl.lit(DAYS[40]))

    found = agreeing(Spoiled(stored, "accounts", ended), "accounts")
    assert not found.passed
    assert found.metadata["entities_without_version"] > 0


def test_version_may_be_named_for_its_days_of_grace(stored: ParquetLake) -> None:
    def ended(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.with_columns(valid_to=pl.lit(DAYS[40]))

    lake = Spoiled(stored, "accounts", ended)
    left = len(DAYS) - 40
    for grace, passed in ((left, True), (left - 1, False)):
        found = attributes_agree(lake, "bnpl", replace(BNPL.table("accounts"), grace=grace), BNPL.tables[0])
        assert found.passed is passed
        assert found.metadata["partitions_looked_at"] == len(DAYS)


def test_one_entity_of_one_day_is_missed(stored: ParquetLake) -> None:
    rows = stored.scan("bnpl", "transactions").collect()
    once = rows.filter(pl.col("customer_id").is_unique()).sort("timestamp")
    lonely = once["customer_id"][len(once) // 2]
    lake = Spoiled(stored, "customers", lambda frame: frame.filter(pl.col("customer_id") != lonely))
    found = existing(lake, "customers")
    assert not found.passed
    assert found.metadata["missing"] == [lonely] * len(found.metadata["missing"])


def test_large_tables_are_sampled(stored: ParquetLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simtom_pipelines.references.LOOKED_AT_ROWS", 100)
    monkeypatch.setattr("simtom_pipelines.references.BLOCK_ROWS", 40)
    assert "60 partitions looked at, 0 missing" in str(existing(stored, "customers").metadata)
    assert labelled(stored, "outcomes").metadata["partitions_looked_at"] == 3
    assert agreeing(stored, "customers").metadata["partitions_looked_at"] == 60


@pytest.mark.parametrize("table", ["outcomes", "installments"])
def test_every_label_has_its_event(stored: ParquetLake, table: str) -> None:
    found = labelled(stored, table)
    assert found.passed, found
    assert found.metadata["partitions_looked_at"] == 4
    assert found.metadata["partitions_with_all_events"] == 4
    assert found.metadata["labels_looked_at"] > 20


@pytest.mark.parametrize("table", ["outcomes", "installments"])
def test_label_without_event_is_found(stored: ParquetLake, table: str) -> None:
    def thinned(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.filter(pl.col("record_id") != 3)

    found = labelled(Spoiled(stored, "transactions", thinned), table)
    assert not found.passed
    assert found.metadata["events_missing"] > 0


def test_labels_whose_events_are_not_stored_are_passed_over(tmp_path: Path) -> None:
    lake = ParquetLake(str(tmp_path))
    spec = DatasetSpec("bnpl", "bnpl", START, BNPL.config_type(base_daily_volume=15))
    list(write_days(lake, spec, "outcomes", [DAYS[0], DAYS[150]]))
    list(write_days(lake, spec, "transactions", DAYS[100:]))
    found = labelled(lake, "outcomes")
    assert found.passed
    assert found.metadata["partitions_with_all_events"] == 0
    assert "nothing was compared" in str(found.description)
    list(write_days(lake, spec, "transactions", DAYS[:1]))  # the first day's window is cut short by the start
    assert labelled(lake, "outcomes").metadata["partitions_with_all_events"] == 1


@pytest.mark.parametrize("most", [1, 2, 3, 60])
def test_spread_keeps_both_ends(most: int) -> None:
    few = spread(DAYS, max(2, most))
    assert len(few) == max(2, most)
    assert (few[0], few[-1]) == (DAYS[0], DAYS[-1])
    assert spread(DAYS[:1], 2) == DAYS[:1]
