from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from generators.base import Batch
from generators.errors import CalendarError, UnknownNameError
from simtom_pipelines.datasets import DatasetSpec, load_datasets
from simtom_pipelines.lake import LakeError, ParquetLake
from simtom_pipelines.materialize import FEWEST, watching, write_days, write_dimension
from simtom_pipelines.partition_stats import PartitionStats
from tests.generators.two_processes import REPORT_DAYS, TwoProcessGenerator
from tests.simtom_pipelines.toy_lake import DAY, DAYS, frame, spec, toy

__all__ = ["toy"]


@pytest.fixture
def lake(tmp_path: Path) -> ParquetLake:
    return ParquetLake(str(tmp_path / "lake"))


def files(lake: ParquetLake) -> list[str]:
    return sorted(str(p.relative_to(lake.root)) for p in Path(lake.root).rglob("*") if p.is_file())


def test_days_are_written_in_order(lake: ParquetLake, toy: DatasetSpec) -> None:
    written = list(write_days(lake, toy, "visits", DAYS))
    assert [p.day for p in written] == DAYS
    assert [p.generated for p in written] == [True] * len(DAYS)
    assert lake.scan("toy", "visits").drop("date").collect().equals(pl.concat([frame(day) for day in DAYS]))
    for partition in written:
        assert all(check["passed"] for check in partition.footer.statistics["checks"].values())
    assert len(files(lake)) == len(DAYS)


def test_kept_days_are_not_generated(lake: ParquetLake, toy: DatasetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    list(write_days(lake, toy, "visits", DAYS[:2]))
    drawn: list[date] = []
    draw = TwoProcessGenerator.draw

    def counted(self: Any, batch: Batch) -> pl.DataFrame:
        drawn.append(batch.day)
        return draw(self, batch)

    monkeypatch.setattr(TwoProcessGenerator, "draw", counted)
    again = list(write_days(lake, toy, "visits", DAYS))
    assert [p.generated for p in again] == [False, False, True, True]
    assert drawn == DAYS[2:]


def test_other_config(lake: ParquetLake, toy: DatasetSpec) -> None:
    list(write_days(lake, toy, "visits", [DAY]))
    with pytest.raises(LakeError, match=r'\{\}.*"seed":4.*--if-exists overwrite'):
        list(write_days(lake, spec(seed=4), "visits", [DAY]))
    assert [p.generated for p in write_days(lake, spec(seed=4), "visits", [DAY], if_exists="keep")] == [False]
    assert [p.generated for p in write_days(lake, spec(seed=4), "visits", [DAY], if_exists="overwrite")] == [True]
    assert lake.scan("toy", "visits").drop("date").collect().equals(frame(seed=4))


def test_day_of_several_slices(lake: ParquetLake, toy: DatasetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generators.base.SLICE_ROWS", 300)
    slices = list(TwoProcessGenerator().batches(DAY))
    assert len(slices) > 2
    (written,) = write_days(lake, toy, "visits", [DAY])
    assert lake.scan("toy", "visits").drop("date").collect().equals(pl.concat(slices))
    assert written.rows == sum(part.height for part in slices)


@pytest.mark.parametrize("slow", [True, False])
def test_keys_are_compared_whoever_waits(
    lake: ParquetLake, toy: DatasetSpec, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    """A writer that is behind gets days whose keys have been compared; the answer is the same."""
    batches, compare, write = TwoProcessGenerator.batches, PartitionStats.compare_keys, ParquetLake.write
    comparers: list[str] = []

    def twice(self: Any, day: date) -> Iterator[pl.DataFrame]:
        for one in batches(self, day):
            yield pl.concat([one, one.tail(1)])

    def compared(self: PartitionStats) -> None:
        comparers.append(threading.current_thread().name)
        compare(self)

    def written(self: ParquetLake, *arguments: Any, **options: Any) -> Any:
        if slow:
            time.sleep(0.2)
        return write(self, *arguments, **options)

    monkeypatch.setattr(TwoProcessGenerator, "batches", twice)
    monkeypatch.setattr(PartitionStats, "compare_keys", compared)
    monkeypatch.setattr(ParquetLake, "write", written)
    monkeypatch.setattr("simtom_pipelines.materialize.AHEAD", 4 * FEWEST if slow else 1_000 * FEWEST)
    partitions = list(write_days(lake, toy, "visits", DAYS))
    assert len(comparers) == len(DAYS)
    assert (threading.current_thread().name in comparers) is slow
    for partition in partitions:
        assert partition.footer.statistics["checks"]["keys"] == {"passed": False, "duplicates": {"visit_id": 1}}


def test_error_of_the_generator_arrives(lake: ParquetLake, toy: DatasetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = TwoProcessGenerator.draw

    def broken(self: Any, batch: Batch) -> pl.DataFrame:
        if batch.day == DAYS[2]:
            raise RuntimeError("draw broke")
        return draw(self, batch)

    monkeypatch.setattr(TwoProcessGenerator, "draw", broken)
    with pytest.raises(RuntimeError, match="draw broke"):
        list(write_days(lake, toy, "visits", DAYS))
    assert all(name.endswith("/part-0.parquet") for name in files(lake))
    assert set(lake.days("toy", "visits")) <= set(DAYS[:2])


def test_error_of_the_writer_arrives(lake: ParquetLake, toy: DatasetSpec) -> None:
    blocked = Path(lake.path("toy", "visits", DAYS[1])).parent
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the folder should be")
    done: list[date | None] = []
    with pytest.raises(LakeError, match=r"date=2024-03-10.*cannot be written"):
        done.extend(partition.day for partition in write_days(lake, toy, "visits", DAYS * 5))
    assert done == DAYS[:1]


def test_stopping_midway_leaves_whole_files_only(lake: ParquetLake, toy: DatasetSpec) -> None:
    days = write_days(lake, toy, "visits", DAYS)
    assert next(days).day == DAYS[0]
    days.close()
    assert all(name.endswith("/part-0.parquet") for name in files(lake))
    assert [p.rows for p in write_days(lake, toy, "visits", DAYS)] == [frame(day).height for day in DAYS]


def test_interrupt_while_days_are_listed(lake: ParquetLake, toy: DatasetSpec) -> None:
    def days() -> Iterator[date]:
        yield from DAYS[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(write_days(lake, toy, "visits", days()))
    assert all(name.endswith("/part-0.parquet") for name in files(lake))


def test_refusals(lake: ParquetLake, toy: DatasetSpec) -> None:
    with pytest.raises(CalendarError):
        list(write_days(lake, toy, "visits", [date(1000, 1, 1)]))
    with pytest.raises(UnknownNameError, match="visits"):
        list(write_days(lake, toy, "orders", [DAY]))
    with pytest.raises(UnknownNameError, match="if_exists"):
        list(write_days(lake, toy, "visits", [DAY], if_exists="no"))  # type: ignore[arg-type]


def test_watchers_see_every_partition_while_they_watch(lake: ParquetLake, toy: DatasetSpec) -> None:
    seen: list[date | None] = []
    with watching(lambda partition: seen.append(partition.day)):
        list(write_days(lake, toy, "visits", DAYS[:2]))
    list(write_days(lake, toy, "visits", DAYS))
    assert seen == DAYS[:2]


def test_bnpl_and_its_dimensions(lake: ParquetLake, tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(
        "datasets:\n  - {name: bnpl, start_date: 2024-03-09, config: {base_daily_volume: 50}}\n"
    )
    bnpl = load_datasets(tmp_path / "datasets.yaml")["bnpl"]
    written = list(write_days(lake, bnpl, "transactions", DAYS))
    for table in ("customers", "products", "devices", "accounts"):
        written.append(write_dimension(lake, bnpl, table, DAYS[-1]))
        assert not write_dimension(lake, bnpl, table, DAYS[-1]).generated
    for partition in written:
        assert partition.generated
        assert partition.rows > 0
        assert {n: c for n, c in partition.footer.statistics["checks"].items() if not c["passed"]} == {}
    customers = lake.scan("bnpl", "customers").select("customer_id").unique()
    assert lake.scan("bnpl", "transactions").join(customers, on="customer_id", how="anti").collect().height == 0
    with pytest.raises(LakeError, match="is a dimension"):
        list(write_days(lake, bnpl, "customers", DAYS))


def test_label_days_are_what_the_generator_derives(lake: ParquetLake, toy: DatasetSpec) -> None:
    late = [DAY + timedelta(n) for n in range(5, 9)]
    written = list(write_days(lake, toy, "reports", late))
    for partition in written:
        assert partition.day is not None
        found = lake.scan("toy", "reports", partition.day, partition.day).drop("date").collect()
        assert found.equals(TwoProcessGenerator().derive("reports", partition.day, toy.start_date))
        assert found.height == partition.rows > 0
        assert {n: c["passed"] for n, c in partition.footer.statistics["checks"].items()} == {
            "schema": True,
            "keys": True,
        }
        since = max(toy.start_date, partition.day - timedelta(REPORT_DAYS))
        assert partition.footer.statistics["events_from"] == since.isoformat()
    assert lake.days("toy", "visits") == []  # labels need no events on disk


def test_labels_of_several_slices_are_streamed(
    lake: ParquetLake, toy: DatasetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = DAY + timedelta(9)
    whole = TwoProcessGenerator().derive("reports", day, toy.start_date)
    monkeypatch.setattr("generators.base.SLICE_ROWS", 100)
    generator = TwoProcessGenerator()
    assert len(list(generator.label_batches("reports", day, toy.start_date))) > 2
    (written,) = write_days(lake, toy, "reports", [day])
    assert written.rows == generator.derive("reports", day, toy.start_date).height
    assert whole.height > 100


def test_start_counts_where_the_window_reaches_before_it(lake: ParquetLake, toy: DatasetSpec) -> None:
    inside, after = toy.start_date + timedelta(REPORT_DAYS - 1), toy.start_date + timedelta(REPORT_DAYS)
    list(write_days(lake, toy, "reports", [inside, after]))
    later = replace(toy, start_date=toy.start_date - timedelta(1))
    with pytest.raises(LakeError, match="holds other data"):
        list(write_days(lake, later, "reports", [inside]))
    assert [p.generated for p in write_days(lake, later, "reports", [after])] == [False]
    earlier = lake.scan("toy", "reports", inside, inside).collect().height
    list(write_days(lake, later, "reports", [inside], if_exists="overwrite"))
    assert lake.scan("toy", "reports", inside, inside).collect().height > earlier


def test_label_day_before_the_start_is_empty(lake: ParquetLake, toy: DatasetSpec) -> None:
    (written,) = write_days(lake, toy, "reports", [toy.start_date - timedelta(1)])
    assert written.rows == 0
    assert lake.scan("toy", "reports").collect().height == 0
