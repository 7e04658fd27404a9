from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from simtom_pipelines import assets as module
from simtom_pipelines.lake import LakeError, Partition
from tests.simtom_pipelines.dagster_world import EVENTS, World, day, materializations

NUMBERS = {"dagster/row_count", "size_bytes", "seconds", "expected_rows"}
FIRST, LAST = "2024-03-08", "2024-03-12"


def test_single_day_records_its_metadata(dagster_world: World) -> None:
    result = dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST)
    found = materializations(result)[FIRST].metadata
    stored = dagster_world.lake.partition("bnpl", "transactions", day(FIRST))
    assert stored is not None
    assert found.keys() >= NUMBERS
    assert found["dagster/row_count"].value == stored.rows
    assert found["size_bytes"].value == os.path.getsize(stored.path)
    assert found["fingerprint"].value == stored.footer.fingerprint
    assert found["generated"].value is True
    assert "transaction_id" in found["preview"].value


def test_range_records_every_partition_by_itself(dagster_world: World) -> None:
    result = dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST, LAST)
    found = materializations(result)
    assert sorted(str(key) for key in found) == [f"2024-03-{n:02d}" for n in range(8, 13)]
    rows = {key: m.metadata["dagster/row_count"].value for key, m in found.items()}
    for key, count in rows.items():
        stored = dagster_world.lake.partition("bnpl", "transactions", day(str(key)))
        assert stored is not None
        assert stored.rows == count
    assert len(set(rows.values())) > 1


def test_range_again_keeps_the_files(dagster_world: World) -> None:
    asset = dagster_world.asset("bnpl", "transactions")
    dagster_world.run([asset], FIRST, LAST)
    path = dagster_world.lake.path("bnpl", "transactions", day(FIRST))
    before = os.stat(path)
    again = materializations(dagster_world.run([asset], FIRST, LAST))
    after = os.stat(path)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert {m.metadata["generated"].value for m in again.values()} == {False}
    assert "preview" in again[FIRST].metadata


def test_range_with_a_changed_config_replaces(dagster_world: World, tmp_path_factory: Any) -> None:
    dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST)
    before = dagster_world.lake.partition("bnpl", "transactions", day(FIRST))
    spec = dagster_world.specs["small"]
    other = dagster_world.specs["bnpl"]
    changed = type(other)(**{**vars(other), "config": spec.config.model_copy(update={"timezone": "America/New_York"})})
    asset = module.daily_asset(changed, *[dagster_world_table(dagster_world)] * 2)
    found = materializations(dagster_world.run([asset], FIRST))
    after = dagster_world.lake.partition("bnpl", "transactions", day(FIRST))
    assert before is not None
    assert after is not None
    assert found[FIRST].metadata["generated"].value is True
    assert before.footer.fingerprint != after.footer.fingerprint


def dagster_world_table(world: World) -> Any:
    from generators.registry import generator_class

    return generator_class(world.specs["bnpl"].generator).tables[0]


def test_error_midway_records_no_partition_and_keeps_whole_files(
    dagster_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.write_days

    def breaking(*args: Any, **options: Any) -> Iterator[Partition]:
        for number, partition in enumerate(real(*args, **options)):
            if number == 2:
                raise LakeError("no space left on the device; free some")
            yield partition

    monkeypatch.setattr(module, "write_days", breaking)
    result = dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST, LAST, raise_on_error=False)
    assert not result.success
    assert materializations(result) == {}
    failure = next(e for e in result.all_events if e.is_step_failure)
    assert "no space left on the device; free some" in str(failure.event_specific_data.user_failure_data.description)
    for stored in dagster_world.lake.days("bnpl", "transactions"):
        partition = dagster_world.lake.partition("bnpl", "transactions", stored)
        assert partition is not None
        assert partition.rows > 0


@pytest.mark.parametrize("table", ["customers", "products", "devices", "accounts"])
def test_dimension_reaches_the_last_event_partition(dagster_world: World, table: str) -> None:
    dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST, LAST)
    result = dagster_world.run([dagster_world.asset("bnpl", table)])
    found = materializations(result, dg.AssetKey(["bnpl", table]))[None].metadata
    assert found["through"].value == LAST
    assert found["dagster/row_count"].value > 0


def test_dimension_without_events_says_what_to_do(dagster_world: World) -> None:
    result = dagster_world.run([dagster_world.asset("bnpl", "customers")], raise_on_error=False)
    failure = next(e for e in result.all_events if e.is_step_failure)
    text = str(failure.event_specific_data.user_failure_data.description)
    assert "bnpl/transactions has no partition yet" in text


def test_asset_tells_its_columns_version_and_place(dagster_world: World) -> None:
    spec = dagster_world.asset("bnpl", "transactions").get_asset_spec(EVENTS)
    columns = spec.metadata["dagster/column_schema"].columns
    assert [c.name for c in columns] == dagster_world_table(dagster_world).names
    assert next(c for c in columns if c.name == "transaction_id").constraints.unique
    assert spec.group_name == "bnpl"
    assert spec.tags["domain"] == "ecommerce"
    assert spec.kinds == {"polars", "parquet"}
    assert spec.code_version == "1"
    assert spec.partitions_def == dg.DailyPartitionsDefinition("2024-01-01", timezone="America/New_York")


def test_range_runs_follow_partitions_per_run(dagster_world: World) -> None:
    assert dagster_world.asset("bnpl", "transactions").backfill_policy.max_partitions_per_run == 366
    assert dagster_world.asset("small", "transactions").backfill_policy.max_partitions_per_run is None
