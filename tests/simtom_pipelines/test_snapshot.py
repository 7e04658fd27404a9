"""A snapshot shows what was known on its date and nothing else."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import simtom_pipelines
from generators import UnknownNameError, generator_class, list_generators
from generators.schema import TableSchema
from simtom_pipelines import cli, console
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days
from simtom_pipelines.snapshot import SnapshotError, as_of, write_snapshot
from tests.simtom_pipelines.toy_lake import register

START, END = date(2024, 3, 1), date(2024, 3, 24)
DAY = date(2024, 5, 15)
ROWS = 60


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(n) for n in range((last - first).days + 1)]


def stocked(folder: Path, generator: str, last: date = DAY, **fields: Any) -> tuple[ParquetLake, DatasetSpec]:
    """Events of three weeks and a half, and labels up to a date."""
    config = generator_class(generator).config_type(**{"base_daily_volume": ROWS, **fields})
    spec = DatasetSpec("made", generator, START, config)
    lake = ParquetLake(str(folder))
    list(write_days(lake, spec, spec.tables[0].name, days(START, min(END, last))))
    for table in spec.tables:
        if table.kind == "labels":
            list(write_days(lake, spec, table.name, days(START, last)))
    return lake, spec


@pytest.fixture(scope="module")
def bnpl(tmp_path_factory: pytest.TempPathFactory) -> tuple[ParquetLake, DatasetSpec]:
    return stocked(tmp_path_factory.mktemp("lake"), "bnpl")


@pytest.fixture(scope="module")
def snapshot(bnpl: tuple[ParquetLake, DatasetSpec]) -> pl.DataFrame:
    lake, spec = bnpl
    return as_of(spec, DAY, lake=lake).collect()


@pytest.mark.parametrize("name", [info.name for info in list_generators()])
def test_one_row_an_event_and_nothing_later(tmp_path: Path, name: str) -> None:
    """For every generator: whatever the date, columns show what was known by then."""
    lake, spec = stocked(tmp_path, name, base_daily_volume=30)
    events = spec.tables[0]
    truth = lake.scan("made", events.name).collect()
    for day in (date(2024, 4, 10), DAY):
        found = as_of(spec, day, lake=lake).collect()
        then = truth.filter(pl.col("date") <= day)
        key = list(events.primary_key)
        assert_frame_equal(found.select(*key, "date"), then.select(*key, "date"))
        known = [c.name for c in events if c.known_at is None]
        assert_frame_equal(found.select(known), then.select(known))
        _nothing_later(found, then, events, day)


def _nothing_later(found: pl.DataFrame, then: pl.DataFrame, events: TableSchema, day: date) -> None:
    labels = set(found.columns) - set(then.columns)
    for name in labels:
        if found[name].dtype == pl.Date and found[name].null_count() < found.height:
            assert found[name].max() <= day, name  # type: ignore[operator]
    for column in events:
        if column.known_at is None:
            continue
        later = then.with_columns((column.known_at > day).fill_null(True).alias("later"))["later"]
        hidden = found.filter(later)[column.name]
        # What a label table says by then is known, whatever the event's own estimate of the date.
        allowed = hidden.is_null() if column.initial is None else hidden == column.initial
        told = pl.any_horizontal([pl.col(n).is_not_null() for n in labels] or [pl.lit(False)])
        assert (allowed | found.filter(later).select(told).to_series()).all(), column.name


def test_snapshot_of_training_and_live_data_are_the_same(tmp_path: Path, snapshot: pl.DataFrame) -> None:
    """The live events carry no truth at all, so every outcome that shows comes from what was known."""
    lake, spec = stocked(tmp_path, "bnpl", label_mode="live")
    assert lake.scan("made", "transactions").select("will_default").collect()["will_default"].null_count() > 0
    assert_frame_equal(as_of(spec, DAY, lake=lake).collect(), snapshot)


def test_later_partitions_change_nothing(tmp_path: Path, bnpl: tuple[ParquetLake, DatasetSpec]) -> None:
    lake, spec = bnpl
    day = date(2024, 4, 10)
    then, _ = stocked(tmp_path, "bnpl", last=day)
    assert_frame_equal(as_of(spec, day, lake=lake).collect(), as_of(spec, day, lake=then).collect())


def test_outcomes_are_those_known_by_the_date(bnpl: tuple[ParquetLake, DatasetSpec], snapshot: pl.DataFrame) -> None:
    lake, _ = bnpl
    outcomes = lake.scan("made", "outcomes").drop("date").collect()
    both = snapshot.join(outcomes, on="transaction_id", how="left", suffix="_label")
    assert both["will_default"].eq_missing(both["will_default_label"]).all()
    assert both["outcome_known_date"].max() <= DAY  # type: ignore[operator]
    assert 0.3 < both["will_default"].is_not_null().mean() < 0.95  # type: ignore[operator]
    truth = lake.scan("made", "transactions").collect()
    known = snapshot.filter(pl.col("will_default").is_not_null()).join(truth, on="transaction_id", suffix="_truth")
    assert (known["will_default"] == known["will_default_truth"]).all()
    assert truth["will_default"].sum() > known["will_default"].sum()  # naive joins claim more


def test_naive_join_would_fail_the_test_above(bnpl: tuple[ParquetLake, DatasetSpec], snapshot: pl.DataFrame) -> None:
    lake, _ = bnpl
    naive = lake.scan("made", "transactions").collect()
    with pytest.raises(AssertionError):
        _nothing_later(naive, naive, generator_class("bnpl").tables[0], DAY)


def test_instalments_stand_as_on_the_date(bnpl: tuple[ParquetLake, DatasetSpec], snapshot: pl.DataFrame) -> None:
    """Counted anew, instalment by instalment, from the rows of the table."""
    lake, _ = bnpl
    rows = lake.scan("made", "installments").join(snapshot.lazy(), on="transaction_id", how="semi").collect()
    late = {"paid_late"}
    paid = {"paid_on_time", "paid_late"}
    expected: dict[str, list[Any]] = {}
    for (loan,), part in rows.sort("status_date").group_by("transaction_id"):
        state: dict[int, dict[str, Any]] = {}
        for row in part.sort("status_date", maintain_order=True).iter_rows(named=True):
            now = state.setdefault(row["installment_number"], row)
            rank = ["scheduled", "missed", "paid_on_time", "paid_late", "charged_off"].index
            if rank(row["payment_status"]) >= rank(now["payment_status"]):
                state[row["installment_number"]] = row
        unpaid = [s["due_date"] for s in state.values() if s["payment_status"] not in paid and s["due_date"] <= DAY]
        expected[str(loan)] = [
            sum(s["due_date"] <= DAY for s in state.values()),
            sum(s["payment_status"] in paid for s in state.values()),
            sum(s["payment_status"] in late for s in state.values()),
            round(sum(s["amount_paid"] for s in state.values()), 2),
            (DAY - min(unpaid)).days if unpaid else 0,
            max(s["status_date"] for s in state.values()),
        ]
    columns = [
        "installments_due",
        "installments_paid",
        "installments_paid_late",
        "amount_paid",
        "days_past_due",
        "status_date",
    ]
    found = {row[0]: list(row[1:]) for row in snapshot.select("transaction_id", *columns).iter_rows()}
    assert found == expected
    assert snapshot["days_past_due"].max() > 14  # type: ignore[operator]
    assert set(snapshot["payment_status"].unique()) >= {"paid_on_time", "missed", "paid_late"}


def test_columns_follow_the_events(snapshot: pl.DataFrame) -> None:
    events = generator_class("bnpl").tables[0]
    assert snapshot.columns[: len(events.names)] == events.names
    assert len(set(snapshot.columns)) == snapshot.width
    assert {"customer_id_right", "generator_right"} & set(snapshot.columns) == set()


def test_returned_purchases_show_as_completed_until_it_is_known(tmp_path: Path) -> None:
    lake, spec = stocked(tmp_path, "bnpl", last=date(2024, 4, 10), status_mode="lifecycle")
    found = as_of(spec, date(2024, 4, 10), lake=lake).collect()
    young = found.filter(pl.col("date") > date(2024, 3, 11))
    assert young["status"].unique().to_list() == ["completed"]
    assert set(found.filter(pl.col("date") <= date(2024, 3, 11))["status"]) == {"completed", "returned", "cancelled"}


def test_default_fold_takes_the_row_known_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)
    lake, spec = stocked(tmp_path, "two_processes")
    rows = lake.scan("made", "reports").collect()
    day = END + timedelta(1)
    found = as_of(spec, day, lake=lake).collect()
    both = rows.filter(pl.col("date") <= day).sort("date").group_by("visit_id").last()
    assert found["grade"].is_not_null().sum() == both.height
    joined = found.join(both, on="visit_id", suffix="_last")
    assert (joined["grade"] == joined["grade_last"]).all()
    assert set(found["grade"].drop_nulls().unique()) == {"first", "second"}


def test_range_of_events_can_be_chosen(bnpl: tuple[ParquetLake, DatasetSpec], snapshot: pl.DataFrame) -> None:
    lake, spec = bnpl
    first, last = START + timedelta(3), START + timedelta(5)
    found = as_of(spec, DAY, start=first, end=last, lake=lake).collect()
    assert_frame_equal(found, snapshot.filter(pl.col("date").is_between(first, last)))


# -- refusals -----------------------------------------------------------------------------------------------------


def test_dates_outside_are_refused_with_field_and_range(bnpl: tuple[ParquetLake, DatasetSpec]) -> None:
    lake, spec = bnpl
    early = START - timedelta(1)
    with pytest.raises(SnapshotError, match=f"as_of: {early} given; allowed: from the start_date of made, {START}"):
        as_of(spec, early, lake=lake)
    with pytest.raises(SnapshotError, match=f"start: {early} given; allowed: {START} to {DAY}"):
        as_of(spec, DAY, start=early, lake=lake)
    with pytest.raises(SnapshotError, match=f"end: {DAY + timedelta(1)} given; allowed: {START} to {DAY}"):
        as_of(spec, DAY, end=DAY + timedelta(1), lake=lake)
    with pytest.raises(SnapshotError, match="end: 2024-03-05 given; allowed: 2024-03-08"):
        as_of(spec, DAY, start=date(2024, 3, 8), end=date(2024, 3, 5), lake=lake)


def test_missing_partitions_are_named_with_the_command(tmp_path: Path, bnpl: tuple[ParquetLake, DatasetSpec]) -> None:
    lake, spec = bnpl
    late = DAY + timedelta(9)
    with pytest.raises(SnapshotError, match=r"made/installments: 9 partitions of 2024-03-01 to 2024-05-24 are missing"):
        as_of(spec, late, lake=lake)
    with pytest.raises(SnapshotError, match=r"made/transactions: 1 partitions.*--start 2024-03-25 --end 2024-03-25"):
        as_of(spec, DAY, end=END + timedelta(1), lake=lake)
    with pytest.raises(SnapshotError, match="made/transactions has no partition"):
        as_of(spec, DAY, lake=ParquetLake(str(tmp_path)))


def test_unknown_dataset_lists_the_known(bnpl: tuple[ParquetLake, DatasetSpec]) -> None:
    lake, spec = bnpl
    with pytest.raises(UnknownNameError, match=r"unknown dataset 'other'; known: .*bnpl.*made"):
        as_of("other", DAY, lake=lake, datasets={"made": spec})
    with pytest.raises(SnapshotError, match=r"'made/outcomes' given; .*name made alone"):
        as_of("made/outcomes", DAY, lake=lake, datasets={"made": spec})


def test_labels_of_another_config_are_refused(tmp_path: Path) -> None:
    lake, spec = stocked(tmp_path, "bnpl", last=START + timedelta(3))
    other = DatasetSpec("made", "bnpl", START, spec.config.model_copy(update={"seed": 5}))
    list(write_days(lake, other, "outcomes", [START], if_exists="overwrite"))
    with pytest.raises(SnapshotError, match=r'do not fit together.*"seed":5'):
        as_of(spec, START + timedelta(3), lake=lake)


def test_labels_that_leave_out_events_are_refused(tmp_path: Path) -> None:
    lake, spec = stocked(tmp_path, "bnpl", last=START + timedelta(3))
    later = DatasetSpec("made", "bnpl", START + timedelta(2), spec.config)
    list(write_days(lake, later, "outcomes", [START + timedelta(2)], if_exists="overwrite"))
    with pytest.raises(SnapshotError, match=r"start: 2024-03-01 given; allowed: from 2024-03-03"):
        as_of(spec, START + timedelta(3), lake=lake)


# -- command line and exports -------------------------------------------------------------------------------------


def test_package_exports_it() -> None:
    assert simtom_pipelines.as_of is as_of


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_command_writes_a_file(
    tmp_path: Path, bnpl: tuple[ParquetLake, DatasetSpec], snapshot: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], suffix: str,
) -> None:  # fmt: skip
    lake, _ = bnpl
    (tmp_path / "datasets.yaml").write_text(
        f"datasets:\n  - {{name: made, generator: bnpl, start_date: {START}, config: {{base_daily_volume: {ROWS}}}}}\n"
    )
    monkeypatch.setenv("SIMTOM_DATASETS", str(tmp_path / "datasets.yaml"))
    target = tmp_path / f"out.{suffix}"
    arguments = ["snapshot", "made", "--as-of", str(DAY), "--lake", lake.root, "--output", str(target)]
    assert _run(arguments, monkeypatch) == 0
    assert f"{snapshot.height:,} rows as known on {DAY}" in capsys.readouterr().err
    if suffix == "parquet":
        assert_frame_equal(pl.read_parquet(target), snapshot)
    else:
        assert pl.read_csv(target).columns == snapshot.columns
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["datasets.yaml", target.name])
    assert _run(["snapshot", "made", "--as-of", "2024-01-01", "--lake", lake.root], monkeypatch) == 1
    assert "as_of: 2024-01-01 given; allowed: from the start_date of made" in capsys.readouterr().err


def test_output_of_another_kind_is_refused(tmp_path: Path, snapshot: pl.DataFrame) -> None:
    with pytest.raises(SnapshotError, match=r"output: .*out.xlsx.*allowed: a file that ends in .parquet or .csv"):
        write_snapshot(snapshot.lazy(), tmp_path / "out.xlsx")
    (tmp_path / "folder").write_text("")
    with pytest.raises(SnapshotError, match="cannot be written"):
        write_snapshot(snapshot.lazy(), tmp_path / "folder" / "out.csv")


def test_generate_writes_labels_without_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMTOM_DATASETS", str(tmp_path / "datasets.yaml"))
    (tmp_path / "datasets.yaml").write_text(f"datasets:\n  - {{name: bnpl, start_date: {START}}}\n")
    lake = ParquetLake(str(tmp_path / "lake"))
    common = ["--base-daily-volume", "50", "--output", lake.root]

    def known_since(first: str, last: str) -> date:
        arguments = ["generate", "bnpl/outcomes", "--start", first, "--end", last, *common]
        assert _run(arguments, monkeypatch) == 0
        made = lake.scan("bnpl", "outcomes", date.fromisoformat(first), date.fromisoformat(last)).collect()
        return made["purchase_date"].min()  # type: ignore[return-value]

    # The dataset's start_date counts, or an earlier --start: then the events are made from there on too.
    assert known_since("2024-05-20", "2024-05-21") >= START
    assert known_since("2024-02-10", "2024-05-10") < START
    assert lake.days("bnpl", "transactions") == []


def _run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["simtom", *arguments])
    monkeypatch.setattr(console, "leave", sys.exit)  # the process that runs the tests goes on
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)
