"""A small dataset of the two-process generator, for tests of the lake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from generators import discover_generators, registry
from generators.config import GeneratorConfig
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import Stamp, TableRef
from tests.generators.two_processes import TwoProcessGenerator

ZONE = "America/New_York"
DAY = date(2024, 3, 10)  # 23 hours long
DAYS = [DAY + timedelta(days=i - 1) for i in range(4)]
SCHEMA = TwoProcessGenerator.tables[0]
REF = TableRef("toy", SCHEMA, ZONE)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> DatasetSpec:
    """The dataset ``toy``; its generator is registered for one test only."""
    register(monkeypatch)
    return spec()


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    discover_generators()
    monkeypatch.setitem(registry._classes, TwoProcessGenerator.name, TwoProcessGenerator)


def spec(**fields: Any) -> DatasetSpec:
    return DatasetSpec("toy", TwoProcessGenerator.name, DAYS[0], GeneratorConfig(**fields))


def frame(day: date = DAY, **fields: Any) -> pl.DataFrame:
    return TwoProcessGenerator(**fields).generate(day)


def stamp(fingerprint: str = "a", config: str = "{}") -> Stamp:
    return Stamp(TwoProcessGenerator.name, 1, config, fingerprint, DAY, 1000.0, 0.1)


def never() -> Iterator[pl.DataFrame]:
    """Batches that must not be asked for."""
    pytest.fail("a kept partition was generated")
    yield pl.DataFrame()
