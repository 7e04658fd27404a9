from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from simtom_pipelines.datasets import load_datasets
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.materialize import write_days
from tests.simtom_pipelines.service.serving import DATASETS, DAY, Service, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with datasets.yaml and a lake that holds three days of ``bnpl``."""
    made = tmp_path_factory.mktemp("service")
    (made / "datasets.yaml").write_text(DATASETS)
    first = date.fromisoformat(DAY)
    spec = load_datasets(made / "datasets.yaml")["bnpl"]
    list(write_days(ParquetLake(str(made / "lake")), spec, "transactions", [first + timedelta(n) for n in range(3)]))
    return made


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """A service with the default settings."""
    with serving(folder) as made:
        yield made
