from __future__ import annotations

import os

import dagster as dg
import polars as pl
import pytest

from simtom_pipelines.lake import LakeError, ParquetLake
from simtom_pipelines.summary import daily_summary, line_plot
from tests.simtom_pipelines.dagster_world import World, day, materializations

FIRST, LAST = "2024-03-08", "2024-03-12"
SUMMARY = dg.AssetKey(["bnpl", "daily_summary"])


@pytest.fixture
def stored(dagster_world: World) -> World:
    dagster_world.run([dagster_world.asset("bnpl", "transactions")], FIRST, LAST)
    return dagster_world


def test_summary_of_a_range_is_one_file_a_day(stored: World) -> None:
    stored.run([stored.asset("bnpl", "daily_summary"), stored.asset("bnpl", "transactions")], FIRST, LAST)
    days = stored.lake.days("bnpl", "daily_summary")
    assert days == stored.lake.days("bnpl", "transactions")
    frame = stored.lake.scan("bnpl", "daily_summary").sort("date").collect()
    counts = [stored.lake.partition("bnpl", "transactions", each) for each in days]
    assert frame["purchases"].to_list() == [p.rows for p in counts if p is not None]
    shares = frame.select(pl.sum_horizontal("business_share", "evening_share", "night_share")).to_series()
    assert (shares - 1).abs().max() == pytest.approx(0, abs=1e-12)


def test_summary_of_one_day_equals_the_ranges(stored: World) -> None:
    assets = [stored.asset("bnpl", "daily_summary"), stored.asset("bnpl", "transactions")]
    stored.run(assets, FIRST, LAST)
    path = stored.lake.path("bnpl", "daily_summary", day("2024-03-10"))
    before, inode = pl.read_parquet(path, hive_partitioning=False), os.stat(path).st_ino
    stored.run(assets, "2024-03-10")
    assert pl.read_parquet(path, hive_partitioning=False).equals(before)
    assert os.stat(path).st_ino == inode


def test_summary_metadata_differs_by_partition_and_has_a_plot(stored: World) -> None:
    result = stored.run([stored.asset("bnpl", "daily_summary"), stored.asset("bnpl", "transactions")], FIRST, LAST)
    found = materializations(result, SUMMARY)
    purchases = {key: m.metadata["purchases"].value for key, m in found.items()}
    assert len(set(purchases.values())) > 1
    assert sum(purchases.values()) == found[FIRST].metadata["run_purchases"].value
    assert found[FIRST].metadata["plot"].value.startswith("![plot](data:image/svg+xml;base64,")
    assert "default_rate" in found[FIRST].metadata["preview"].value


def test_missing_upstream_days_are_named(stored: World) -> None:
    os.remove(stored.lake.path("bnpl", "transactions", day("2024-03-10")))
    summary = stored.asset("bnpl", "daily_summary")
    upstream = stored.asset("bnpl", "transactions")
    result = stored.run([summary, upstream], FIRST, LAST, selection=[summary], raise_on_error=False)
    assert not result.success
    text = str([e.event_specific_data.error for e in result.all_events if e.is_step_failure])
    assert "2024-03-10" in text
    assert "not in the lake" in text


def test_unpartitioned_input_is_the_whole_table(stored: World) -> None:
    products = stored.asset("bnpl", "products")
    stored.run([products])
    seen: list[int] = []

    @dg.asset(
        ins={"table": dg.AssetIn(key=["bnpl", "products"])}, io_manager_key="lake_io_manager", key=["bnpl", "brands"]
    )
    def brands(table: pl.LazyFrame) -> pl.DataFrame:
        frame = table.group_by("product_brand").len().collect()
        seen.append(frame.height)
        return frame

    result = stored.run([brands, products], selection=[brands])
    assert result.success
    assert stored.lake.scan("bnpl", "brands").collect().height == seen[0] > 1


def test_output_for_a_strange_day_is_refused(stored: World) -> None:
    partitions = dg.DailyPartitionsDefinition("2024-01-01", timezone="America/New_York")

    @dg.asset(partitions_def=partitions, io_manager_key="lake_io_manager", key=["bnpl", "strange"])
    def strange() -> pl.DataFrame:
        return pl.DataFrame({"date": [day(LAST)], "n": [1]})

    with pytest.raises(LakeError, match="not a partition of this run"):
        stored.run([strange], FIRST)
    assert ParquetLake(str(stored.folder / "lake")).days("bnpl", "strange") == []


def test_summary_without_outcomes_has_no_default_rate(stored: World) -> None:
    events = stored.lake.scan("bnpl", "transactions").with_columns(pl.lit(None, pl.Boolean).alias("will_default"))
    assert daily_summary(events)["default_rate"].null_count() == 5


def test_line_plot_draws_every_point_and_escapes() -> None:
    svg = line_plot([1.0, 2.0, 0.5], ("a", "b"), "x < y")
    assert svg.count("<circle") == 3
    assert "x &lt; y" in svg
