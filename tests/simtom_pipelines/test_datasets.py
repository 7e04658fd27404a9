from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from generators.errors import ConfigError, UnknownNameError
from simtom_pipelines.datasets import DatasetsError, DatasetSpec, find_table, load_datasets
from simtom_pipelines.settings import load_settings

GOOD = """\
datasets:
  - name: bnpl
    generator: bnpl
    start_date: 2020-02-01
    partitions_per_run: null
    config:
      seed: 3
  - name: shop
    generator: bnpl
"""


def load(folder: Path, text: str) -> dict[str, DatasetSpec]:
    (folder / "datasets.yaml").write_text(text)
    return load_datasets(folder / "datasets.yaml")


def test_fields_and_defaults(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert list(found) == ["bnpl", "shop"]
    bnpl, shop = found.values()
    assert (bnpl.start_date, bnpl.config.seed, bnpl.partitions_per_run) == (date(2020, 2, 1), 3, None)
    assert (shop.generator, shop.start_date, shop.config.seed, shop.partitions_per_run) == (
        "bnpl",
        date(2024, 1, 1),
        0,
        366,
    )
    assert bnpl.make().config == bnpl.config


def test_the_shipped_file_loads() -> None:
    spec = load_datasets(Path(__file__).resolve().parents[2] / "datasets.yaml")["bnpl"]
    assert spec.partitions_per_run == 366
    assert spec.config == type(spec.config)()


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("datasets:", "datasets: [", "line .*: no YAML"),
        ("datasets:", "data:", "line 1: expected one key 'datasets'"),
        ("partitions_per_run: null", "per_run: 3", "line 5: field 'per_run': unknown; known: name"),
        ("partitions_per_run: null", "partitions_per_run: 0", "line 5: field 'partitions_per_run': 0 given"),
        ("    generator: bnpl\n    start", "    generator: bnlp\n    start", "line 3: field 'generator': .*bnlp"),
        ("2020-02-01", "2020-02-31", "line 4"),
        ("2020-02-01", "soon", "line 4: field 'start_date': 'soon' given; allowed: a day from"),
        ("2020-02-01", "0900-02-01", "line 4: field 'start_date'"),
        ("seed: 3", "sead: 3", "line 7: config: unknown field 'sead'; known: .*seed"),
        ("seed: 3", "seed: -1", "line 7: config: field 'seed'"),
        ("seed: 3", "seed: 3\n      seed: 4", "line 8: 'seed' stands twice"),
        ("name: shop", "name: bnpl", "line 8: dataset 'bnpl' stands twice"),
        ("name: shop", "name: a/b", "line 8: field 'name': 'a/b' given"),
        ("name: shop", "name: 7", "line 8: field 'name': 7 given"),
    ],
)
def test_refusals_name_file_line_and_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(DatasetsError, match=rf"datasets\.yaml.*{message}"):
        load(tmp_path, GOOD.replace(old, new, 1))


NESTED = """datasets:
  - name: credit_cards
    config:
      seed: 3
      answers:
        codes: {51: 0.6, N7: 0.4}
        retry: 0.5
"""


def test_groups_of_a_config_are_mappings(tmp_path: Path) -> None:
    config: Any = load(tmp_path, NESTED)["credit_cards"].config
    assert (config.answers.codes["51"], config.answers.codes["05"], config.answers.retry) == (0.6, 0.0, 0.5)
    assert config.answers.retry_declined == 0.35


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("retry: 0.5", "retry: 5", r"line 7: config: field 'answers\.retry': .*less than or equal to 1; given: 5"),
        ("N7: 0.4", "N7: 0.3", r"line 6: config: field 'answers\.codes': .*sum to 0\.9"),
        ("retry: 0.5", "rety: 0.5", r"line 7: config: unknown field 'answers\.rety'; known: codes, retry"),
        ("seed: 3", "seed: -3", "line 4: config: field 'seed'"),
    ],
)
def test_refusals_name_the_line_inside_a_group(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in NESTED
    with pytest.raises(DatasetsError, match=rf"datasets\.yaml.*{message}"):
        load(tmp_path, NESTED.replace(old, new, 1))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetsError, match=r"none\.yaml does not exist; set SIMTOM_DATASETS"):
        load_datasets(tmp_path / "none.yaml")


def test_names_of_tables(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert find_table(found, "shop")[1].name == "transactions"
    spec, table = find_table(found, "shop/customers")
    assert (spec.name, table.name) == ("shop", "customers")
    assert find_table({}, "bnpl")[0] == DatasetSpec("bnpl", "bnpl", date(2024, 1, 1), type(spec.config)())
    with pytest.raises(UnknownNameError, match=r"shap.*bnpl.*shop"):
        find_table(found, "shap")
    with pytest.raises(UnknownNameError, match=r"orders.*transactions"):
        find_table(found, "bnpl/orders")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAKE", "DATASETS", "STORAGE_OPTIONS"):
        monkeypatch.delenv(f"SIMTOM_{name}", raising=False)
    assert (load_settings().lake, load_settings().datasets) == ("lake", Path("datasets.yaml"))
    monkeypatch.setenv("SIMTOM_LAKE", "s3://bucket/lake")
    monkeypatch.setenv("SIMTOM_STORAGE_OPTIONS", '{"aws_region": "eu-west-1"}')
    assert load_settings().lake == "s3://bucket/lake"
    assert load_settings().storage_options == {"aws_region": "eu-west-1"}
    monkeypatch.setenv("SIMTOM_STORAGE_OPTIONS", "[1]")
    with pytest.raises(ConfigError, match="storage_options"):
        load_settings()
