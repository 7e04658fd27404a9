from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from simtom_pipelines import assets as module
from simtom_pipelines.checks import EVENT_CHECKS, TABLE_CHECKS
from simtom_pipelines.lake import Partition
from tests.simtom_pipelines.dagster_world import World, evaluations

FIRST, LAST = "2024-03-08", "2024-03-12"


def test_single_day_records_each_check_as_it_is(dagster_world: World) -> None:
    found = evaluations(dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST))
    assert sorted(e.check_name for e in found) == sorted(EVENT_CHECKS)
    assert all(e.passed for e in found)
    assert all("partitions" not in e.metadata for e in found)


def test_range_records_each_check_once(dagster_world: World) -> None:
    found = evaluations(dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST, LAST))
    assert sorted(e.check_name for e in found) == sorted(EVENT_CHECKS)
    assert all(e.passed and e.metadata["partitions"].value == 5 for e in found)


def test_range_names_failed_partitions_and_records_them_alone(
    dagster_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = "2024-03-10"
    real = module.write_days

    def spoiled(*args: Any, **options: Any) -> Iterator[Partition]:
        for partition in real(*args, **options):
            if str(partition.day) == bad:
                statistics = json.loads(json.dumps(partition.footer.statistics))
                statistics["checks"]["volume"]["passed"] = False
                yield replace(partition, footer=replace(partition.footer, statistics=statistics))
            else:
                yield partition

    monkeypatch.setattr(module, "write_days", spoiled)
    result = dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST, LAST)
    volume = [e for e in evaluations(result) if e.check_name == "volume"]
    summed = [e for e in volume if e.partition is None]
    alone = [e for e in volume if e.partition is not None]
    assert [e.partition for e in alone] == [bad]
    assert [e.passed for e in alone + summed] == [False, False]
    assert summed[0].metadata["failed"].value == [bad]
    assert all(e.passed for e in evaluations(result) if e.check_name != "volume")


@pytest.mark.parametrize("table", ["outcomes", "installments"])
def test_label_table_records_its_checks(dagster_world: World, table: str) -> None:
    found = evaluations(dagster_world.run([dagster_world.asset("bnpl", table)], FIRST, LAST))
    assert sorted(e.check_name for e in found) == sorted(TABLE_CHECKS["labels"])
    assert all(e.passed and e.metadata["partitions"].value == 5 for e in found)


def test_references_run_as_asset_check(dagster_world: World) -> None:
    dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST)
    products = dagster_world.asset("bnpl", "products")
    result = dagster_world.run(
        [products, *[c for c in dagster_world.definitions.asset_checks or [] if _of(c, products.key)]]
    )
    found = {e.check_name: e for e in evaluations(result)}
    assert found.keys() == {"schema", "keys", "references", "attributes"}
    assert found["attributes"].metadata["entities_compared"].value > 0
    assert all(e.passed for e in evaluations(result))


def _of(checks: Any, key: dg.AssetKey) -> bool:
    return any(check.asset_key == key for check in checks.check_keys)
