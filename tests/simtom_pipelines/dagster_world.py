"""A small world for tests of the Dagster layer: a lake and two datasets of bnpl in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from simtom_pipelines.datasets import DatasetSpec, load_datasets
from simtom_pipelines.definitions import build_definitions
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.settings import Settings

DATASETS = """\
datasets:
  - name: bnpl
    generator: bnpl
    start_date: 2024-01-01
    config:
      base_daily_volume: 60
  - name: small
    generator: bnpl
    start_date: 2024-01-01
    partitions_per_run: null
    config:
      base_daily_volume: 20
      timezone: UTC
"""

EVENTS = dg.AssetKey(["bnpl", "transactions"])


@dataclass
class World:
    """Definitions over a lake in a folder."""

    folder: Path
    settings: Settings
    specs: dict[str, DatasetSpec]
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    @property
    def lake(self) -> ParquetLake:
        return ParquetLake(str(self.folder / "lake"))

    def asset(self, *path: str) -> dg.AssetsDefinition:
        return self.definitions.get_assets_def(list(path))

    def run(self, assets: Sequence[Any], first: str | None = None, last: str | None = None, **options: Any) -> Any:
        """Materialise assets in process: without partition, one partition, or a range."""
        tags = {}
        if last is not None:
            tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return dg.materialize(
            [*assets],
            instance=self.instance,
            resources=dict(self.definitions.resources or {}),
            partition_key=first if last is None else None,
            tags={k: str(v) for k, v in tags.items()},
            raise_on_error=options.pop("raise_on_error", True),
            **options,
        )


@contextmanager
def world(folder: Path, monkeypatch: Any, text: str = DATASETS) -> Iterator[World]:
    (folder / "datasets.yaml").write_text(text)
    monkeypatch.setenv("SIMTOM_LAKE", str(folder / "lake"))
    monkeypatch.setenv("SIMTOM_DATASETS", str(folder / "datasets.yaml"))
    settings = Settings()
    specs = load_datasets(settings.datasets)
    with dg.DagsterInstance.ephemeral(str(folder)) as instance:
        yield World(folder, settings, specs, build_definitions(settings, specs), instance)


def materializations(result: Any, key: dg.AssetKey = EVENTS) -> dict[str | None, Any]:
    return {
        m.partition: m
        for event in result.all_events
        if event.event_type_value == "ASSET_MATERIALIZATION"
        for m in [event.event_specific_data.materialization]
        if m.asset_key == key
    }


def evaluations(result: Any) -> list[Any]:
    return [e.event_specific_data for e in result.all_events if e.event_type_value == "ASSET_CHECK_EVALUATION"]


def day(text: str) -> date:
    return date.fromisoformat(text)
