"""The command line answers: what is refused is refused in one line, and nothing that was there is lost."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from simtom_pipelines import console, instance
from simtom_pipelines.cli import main
from simtom_pipelines.lake import ParquetLake

ONE_DAY = ("--start", "2024-03-05", "--end", "2024-03-05")
FEW = ("--base-daily-volume", "50")


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


Simtom = Callable[..., Answer]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def simtom(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Simtom:
    """Run the command in an empty folder, as its entry point does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "leave", sys.exit)  # the process that runs the tests goes on
    for name in ("SIMTOM_LAKE", "SIMTOM_DATASETS", "SIMTOM_STORAGE_OPTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DAGSTER_HOME", str(home))

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["simtom", *arguments])
        capfd.readouterr()
        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as ended:
            main()
        assert signal.getsignal(signal.SIGINT) is handler
        out, err = capfd.readouterr()
        return Answer(int(ended.value.code or 0), out, err)

    return call


def refused(answer: Answer, *parts: str, code: int = 1) -> None:
    """One line on stderr that holds every part, nothing on stdout, and the exit code."""
    assert (answer.code, answer.out) == (code, ""), answer
    assert len(answer.err.splitlines()) == 1, answer.err
    assert answer.err.startswith("simtom")
    assert "Traceback" not in answer.err
    for part in parts:
        assert part in answer.err, answer.err


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- what there is ------------------------------------------------------------------------------------------------


def test_generators_lists_names_and_tables(simtom: Simtom) -> None:
    shown = simtom("generators").out
    assert all(name in shown for name in ("bnpl", "patient_records", "readmission_outcomes"))  # none is cut
    listed = json.loads(simtom("generators", "--json").out)
    assert listed["broken"] == []
    assert "transactions" in next(g for g in listed["generators"] if g["name"] == "bnpl")["tables"]


def test_schema_is_json(simtom: Simtom) -> None:
    whole = json.loads(simtom("schema", "bnpl").out)
    assert whole["config"]["properties"]["base_default_rate"]["default"] == 0.03
    one = json.loads(simtom("schema", "bnpl", "--table", "transactions").out)
    assert one == whole["tables"]["transactions"]
    assert len(one["properties"]) == 45


def test_version_and_no_arguments(simtom: Simtom) -> None:
    assert simtom("--version").out.strip().count(".") == 2
    bare = simtom()
    assert bare.code == 2
    assert "materialize" in bare.err


# -- refusals -----------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("schema", "nope"), ("generator 'nope'", "known: ", "bnpl")),
    (("schema", "bnpl", "--table", "nope"), ("table of bnpl 'nope'", "transactions", "accounts")),
    (("generate", "nope", *ONE_DAY), ("dataset 'nope'", "bnpl")),
    (("generate", "bnpl/nope", *ONE_DAY), ("table of bnpl 'nope'", "customers")),
    (("generate", "bnpl", "--start", "2024-03-06", "--end", "2024-03-05"), ("--end 2024-03-05", "--start 2024-03-06")),
    (("generate", "bnpl", "--start", "1969-12-31", "--end", "2024-03-05"), ("--start", "1969-12-31", "1970-01-01")),
    (("generate", "bnpl", "--start", "2024-03-05", "--end", "2100-01-01"), ("--end", "2100-01-01", "2099-12-31")),
    (("generate", "bnpl", *ONE_DAY, "--set", "nonsense=1"), ("unknown field 'nonsense'", "base_default_rate")),
    (
        ("generate", "bnpl", *ONE_DAY, "--set", "volume_noise=-1"),
        ("'volume_noise'", "-1", "greater than or equal to 0"),
    ),
    (("generate", "bnpl", *ONE_DAY, "--set", "volume_noise"), ("'volume_noise'", "key=value")),
    (("generate", "bnpl", *ONE_DAY, "--set", "=1"), ("'=1'", "key=value")),
    (("generate", "bnpl", *ONE_DAY, "--set", "peak_hours=[1"), ("'peak_hours=[1'", "YAML")),
    (("generate", "bnpl", *ONE_DAY, "--set", "holiday_multipliers={easter_egg: 2}"), ("easter_egg", "black_friday")),
    (("generate", "bnpl", *ONE_DAY, "--set", "country=ZZ"), ("'country'", "'ZZ'", "US")),
    (("generate", "bnpl", *ONE_DAY, "--seed", "-1"), ("'seed'", "-1")),
    (("generate", "bnpl", *ONE_DAY, "--base-daily-volume", "0"), ("'base_daily_volume'", "0")),
    (("generate", "bnpl", *ONE_DAY, "--output", "s3:/bucket"), ("'s3:/bucket'", "s3://bucket/prefix")),
    (("generate", "bnpl", *ONE_DAY, "--output", "foo://bucket"), ("foo://bucket", "Protocol not known")),
    (("generate", "bnpl", *ONE_DAY, "--output", "/proc/nothing"), ("/proc/nothing", "cannot be written")),
    (("materialize", "nope", *ONE_DAY), ("dataset 'nope'", "bnpl")),
    (("materialize", "bnpl", "--start", "2024-03-06", "--end", "2024-03-05"), ("--end 2024-03-05", "--start")),
    (("materialize", "bnpl", "--start", "2019-01-01", "--end", "2019-01-01"), ("2019-01-01", "simtom generate")),
    (("materialize", "bnpl", "--start", "2090-01-01", "--end", "2090-01-01"), ("2090-01-01", "partitions of bnpl")),
    (("replay", "nope", "--asap"), ("dataset 'nope'", "bnpl")),
    (("replay", "bnpl", "--asap"), ("bnpl/transactions", "materialise")),
    (("replay", "bnpl", "--day-in", "10x"), ("'10x'", "10s")),
    (("replay", "bnpl", "--day-in", "10s", "--asap"), ("asap", "day_in")),
    (("replay", "bnpl", "--time-compression", "0"), ("time_compression", "0")),
    (("replay", "bnpl", "--asap", "--start", "yesterday"), ("'yesterday'",)),
    (("replay", "bnpl", "--asap", "--loop", "-2"), ("loop", "-2")),
]


@pytest.mark.parametrize("arguments,parts", REFUSALS, ids=lambda part: " ".join(part)[:60])
def test_refusal_is_one_line_with_name_value_and_what_is_allowed(
    simtom: Simtom, tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    refused(simtom(*arguments), *parts)
    assert list(tmp_path.iterdir()) == []


USAGE: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("nonsense",), ("nonsense", "simtom -h")),
    (("generate",), ("name", "simtom generate -h")),
    (("generate", "bnpl", "--start", "2024-03-05"), ("--end", "simtom generate -h")),
    (("generate", "bnpl", "--start", "2024-02-30", "--end", "2024-03-05"), ("'2024-02-30'", "--start", "%Y-%m-%d")),
    (("generate", "bnpl", *ONE_DAY, "--if-exists", "maybe"), ("'maybe'", "keep", "overwrite")),
    (("generate", "bnpl", *ONE_DAY, "--seed", "x"), ("--seed", "integer")),
    (("generate", "bnpl", *ONE_DAY, "--nope"), ("--nope",)),
    (("materialize", "bnpl", "--end", "2024-03-05"), ("--start",)),
    (("replay", "bnpl", "--late", "never"), ("'never'", "slip")),
    (("ui", "--port", "http"), ("--port", "integer")),
]


@pytest.mark.parametrize("arguments,parts", USAGE, ids=lambda part: " ".join(part)[:60])
def test_wrong_usage_is_one_line_and_code_2(simtom: Simtom, arguments: tuple[str, ...], parts: tuple[str, ...]) -> None:
    refused(simtom(*arguments), *parts, code=2)


# -- datasets.yaml ------------------------------------------------------------------------------------------------

FILES: list[tuple[str, tuple[str, ...]]] = [
    ("datasets: [", ("line 1", "YAML")),
    ("dataset: []", ("line 1", "'datasets'")),
    ("datasets:\n  - name: shop\n    generator: nope\n", ("line 3", "'generator'", "'nope'", "bnpl")),
    ("datasets:\n  - name: shop\n    generator: bnpl\n    colour: red\n", ("line 4", "'colour'", "partitions_per_run")),
    ("datasets:\n  - name: a b\n    generator: bnpl\n", ("line 2", "'name'", "'a b'")),
    ("datasets:\n  - name: bnpl\n    start_date: 2024-02-30\n", ("line 3", "'start_date'", "2024-02-30")),
    (
        "datasets:\n  - name: bnpl\n    config:\n      seed: 1\n      volume_noise: -1\n",
        ("line 5", "'volume_noise'", "-1"),
    ),
    ("datasets:\n  - name: bnpl\n    config:\n      noise: 1\n", ("line 4", "'noise'", "volume_noise")),
    ("datasets:\n  - name: bnpl\n  - name: bnpl\n", ("line 3", "'bnpl'", "twice")),
    ("datasets:\n  - name: bnpl\n    partitions_per_run: 0\n", ("line 3", "'partitions_per_run'", "0")),
]


@pytest.mark.parametrize("text,parts", FILES, ids=lambda part: part[-1] if isinstance(part, tuple) else "")
@pytest.mark.parametrize("command", ["generate", "materialize"])
def test_malformed_datasets_name_file_line_and_field(
    simtom: Simtom, tmp_path: Path, command: str, text: str, parts: tuple[str, ...]
) -> None:
    (tmp_path / "datasets.yaml").write_text(text)
    refused(simtom(command, "bnpl", *ONE_DAY), "datasets.yaml", *parts)
    assert not (tmp_path / "lake").exists()


def test_missing_datasets_file(simtom: Simtom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMTOM_DATASETS", "other.yaml")
    refused(simtom("generate", "bnpl", *ONE_DAY), "other.yaml", "does not exist", "SIMTOM_DATASETS")


def test_environment_that_is_no_json(simtom: Simtom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMTOM_STORAGE_OPTIONS", "region=eu")
    refused(simtom("generate", "bnpl", *ONE_DAY), "SIMTOM_", "JSON")


# -- generate -----------------------------------------------------------------------------------------------------


def test_generate_writes_what_it_says(simtom: Simtom, tmp_path: Path) -> None:
    answer = simtom("generate", "bnpl", "--start", "2024-03-05", "--end", "2024-03-07", *FEW, "--seed", "3")
    assert (answer.code, answer.out) == (0, "")
    frame = pl.read_parquet("lake/bnpl/transactions")
    assert answer.err == f"{frame.height} rows: 3 of 3 days written to lake/bnpl/transactions\n"
    assert frame["date"].n_unique() == 3
    before = files(tmp_path / "lake")
    again = simtom("generate", "bnpl", "--start", "2024-03-05", "--end", "2024-03-08", *FEW, "--seed", "3")
    assert "1 of 4 days written" in again.err
    assert "3 kept" in again.err
    assert {name: before[name] for name in before} == {n: b for n, b in files(tmp_path / "lake").items() if n in before}


def test_generate_of_a_dimension(simtom: Simtom) -> None:
    answer = simtom("generate", "bnpl/products", *ONE_DAY)
    assert answer.err == "5,000 rows in lake/bnpl/products/part-0.parquet\n"


def test_set_reads_yaml_and_beats_the_dataset(simtom: Simtom, tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(
        "datasets:\n  - name: shop\n    generator: bnpl\n    config: {base_daily_volume: 60, country: GB}\n"
    )
    fields = ("--set", "holiday_multipliers={mothers_day: 3}", "--set", "poisson_counts=no", "--set", "volume_noise=0")
    assert simtom("generate", "shop", "--start", "2024-03-10", "--end", "2024-03-10", *fields).code == 0
    frame = pl.read_parquet("lake/shop/transactions")
    assert frame["currency"].unique().to_list() == ["GBP"]  # what is not set stays the dataset's
    assert frame.height == round(60 * 3 * 0.70 * 0.95 * 0.95)


def test_set_reaches_into_groups_and_mappings(simtom: Simtom, tmp_path: Path) -> None:
    (tmp_path / "datasets.yaml").write_text(
        "datasets:\n  - name: cards\n    generator: credit_cards\n"
        "    config: {base_daily_volume: 60, answers: {retry: 0.2}, holiday_multipliers: {black_friday: 3}}\n"
    )
    fields = ("--set", "answers.codes={51: 1.0}", "--set", "episodes.declined.card_testing=0.9",
              "--set", "holiday_multipliers.halloween=2")  # fmt: skip
    assert simtom("generate", "cards", *ONE_DAY, *fields).code == 0
    partition = ParquetLake("lake").partition("cards", "authorizations", date(2024, 3, 5))
    assert partition is not None
    config = json.loads(partition.footer.config)
    answers = config["answers"]
    assert (answers["retry"], answers["codes"]["51"]) == (0.2, 1.0)  # what is not set stays the dataset's
    assert config["holiday_multipliers"] == {"black_friday": 3.0, "halloween": 2.0}
    assert config["episodes"]["declined"]["card_testing"] == 0.9
    wrong = simtom("generate", "cards", *ONE_DAY, "--set", "answers.rety=0.5")
    refused(wrong, "'answers.rety'", "codes, retry, retry_declined")
    refused(simtom("generate", "cards", *ONE_DAY, "--set", "answers.retry=7"), "'answers.retry'", "given: 7")


def test_other_data_are_refused_and_kept(simtom: Simtom, tmp_path: Path) -> None:
    assert simtom("generate", "bnpl", *ONE_DAY, *FEW, "--seed", "1").code == 0
    before = files(tmp_path / "lake")
    refused(simtom("generate", "bnpl", *ONE_DAY, *FEW, "--seed", "2"), '"seed":1', '"seed":2', "--if-exists overwrite")
    assert files(tmp_path / "lake") == before
    kept = simtom("generate", "bnpl", *ONE_DAY, *FEW, "--seed", "2", "--if-exists", "keep")
    assert kept.code == 0
    assert "1 kept" in kept.err
    assert files(tmp_path / "lake") == before
    assert simtom("generate", "bnpl", *ONE_DAY, *FEW, "--seed", "2", "--if-exists", "overwrite").code == 0
    assert files(tmp_path / "lake") != before


@pytest.mark.parametrize("what", ["truncated", "foreign", "text", "empty"])
@pytest.mark.parametrize("command", ["generate", "replay"])
def test_unreadable_partition_is_named_and_left_alone(simtom: Simtom, tmp_path: Path, what: str, command: str) -> None:
    assert simtom("generate", "bnpl", "--start", "2024-03-05", "--end", "2024-03-06", *FEW).code == 0
    bad = tmp_path / "lake/bnpl/transactions/date=2024-03-06/part-0.parquet"
    if what == "foreign":
        pl.DataFrame({"a": [1]}).write_parquet(bad)
    else:
        bad.write_bytes({"truncated": bad.read_bytes()[:-40], "text": b"some text", "empty": b""}[what])
    before = files(tmp_path / "lake")
    arguments = FEW if command == "generate" else ("--asap",)
    window = ("--start", "2024-03-06", "--end", "2024-03-06")
    refused(simtom(command, "bnpl", *window, *arguments), "date=2024-03-06/part-0.parquet", "overwrite")
    assert files(tmp_path / "lake") == before
    mended = simtom("generate", "bnpl", *ONE_DAY[:2], "--end", "2024-03-06", *FEW, "--if-exists", "overwrite")
    assert "1 of 2 days written" in mended.err


def test_lake_that_may_not_be_written(simtom: Simtom, tmp_path: Path) -> None:
    """A file where a folder should be stands in for a missing permission, which nothing withholds from root."""
    (tmp_path / "lake").write_text("not a folder")
    refused(simtom("generate", "bnpl", *ONE_DAY), "lake/bnpl/transactions/date=2024-03-05", "cannot be written")
    assert (tmp_path / "lake").read_text() == "not a folder"
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        refused(simtom("generate", "bnpl", *ONE_DAY, "--output", "closed"), "closed/", "Permission denied")


# -- replay -------------------------------------------------------------------------------------------------------


def test_replay_over_missing_days(simtom: Simtom) -> None:
    for day in ("2024-03-05", "2024-03-08"):
        simtom("generate", "bnpl", "--start", day, "--end", day, *FEW)
    refused(simtom("replay", "bnpl", "--asap"), "2024-03-06", "2024-03-07", "missing")
    refused(simtom("replay", "bnpl", "--asap", "--start", "2025-01-01"), "2025-01-01")
    refused(simtom("replay", "bnpl", "--asap", "--start", "2024-03-08", "--end", "2024-03-05"), "2024-03-05")
    passed = simtom("replay", "bnpl", "--asap", "--allow-missing", "--output", "out.ndjson")
    assert passed.code == 0
    assert len(Path("out.ndjson").read_text().splitlines()) == pl.read_parquet("lake/bnpl/transactions").height


def test_dry_run_prints_and_sends_nothing(simtom: Simtom) -> None:
    simtom("generate", "bnpl", *ONE_DAY, *FEW)
    answer = simtom("replay", "bnpl", "--day-in", "10s", "--dry-run")
    rows = pl.read_parquet("lake/bnpl/transactions").height
    assert f"{rows} records of 1 days" in answer.out
    assert "{" not in answer.out


def test_cursor_of_another_table_is_refused(simtom: Simtom, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        simtom("generate", "bnpl", *ONE_DAY, *FEW, "--seed", seed, "--output", f"lake{seed}")
    arguments = ("replay", "bnpl", "--asap", "--cursor", "cursor.json", "--output", "out.ndjson")
    assert simtom(*arguments, "--lake", "lake1").code == 0
    sent, cursor = Path("out.ndjson").read_bytes(), Path("cursor.json").read_bytes()
    again = simtom(*arguments, "--lake", "lake1")
    assert again.code == 0
    assert Path("out.ndjson").read_bytes() == sent  # a finished cursor emits nothing
    refused(simtom(*arguments, "--lake", "lake2"), "cursor.json")
    assert (Path("out.ndjson").read_bytes(), Path("cursor.json").read_bytes()) == (sent, cursor)


# -- the UI -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("installed", [False, True])
def test_ui_runs_dagster_on_the_project_or_where_it_stands(
    simtom: Simtom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """Installed as a wheel there is no project: its storage lies in the current folder, its code is the module."""
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: started.append(command))
    if installed:
        monkeypatch.delenv("DAGSTER_HOME")
        monkeypatch.setattr(instance, "PROJECT", tmp_path / "site-packages")
        monkeypatch.setattr(instance, "TEMPLATE", tmp_path / "site-packages" / "dagster.yaml")
    answer = simtom("ui", "--port", "4321")
    assert answer.code == 0
    assert "http://127.0.0.1:4321" in answer.err
    (command,) = started
    assert command[1:4] == ["-m", "dagster", "dev"]
    if installed:
        assert "simtom_pipelines.definitions" in command
        assert (tmp_path / ".dagster_home" / "dagster.yaml").is_file()
    else:
        assert str(instance.PROJECT / "workspace.yaml") in command
        assert Path.cwd() == instance.PROJECT


# -- Ctrl-C ---------------------------------------------------------------------------------------------------------


def test_interrupt_that_was_swallowed_is_delivered_at_the_next_step() -> None:
    """Python drops an exception that is raised inside a destructor or a weak reference's callback."""
    with console.interruptible(), console.counting("work", 3) as advance:
        advance()
        with suppress(KeyboardInterrupt):  # the garbage collector
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            advance()
