"""What commands share: settings, datasets, lake, config fields, and how they refuse."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from simtom_pipelines.lake import ParquetLake
    from simtom_pipelines.settings import Settings


def refuse(text: str) -> NoReturn:
    """Raise ConfigError: one line on stderr."""
    from generators.errors import ConfigError

    raise ConfigError(text)


def config_fields(pairs: list[str], seed: int | None, base_daily_volume: int | None) -> dict[str, Any]:
    """Return the config fields that the options set."""
    import yaml

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            refuse(f"--set {pair!r}: expected key=value")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            refuse(f"--set {pair!r}: the value is no YAML: {getattr(error, 'problem', error)}")
    for key, number in (("seed", seed), ("base_daily_volume", base_daily_volume)):
        if number is not None:
            found[key] = number
    return found


def current_settings() -> Settings:
    """Return the settings of the environment."""
    from simtom_pipelines.settings import load_settings

    return load_settings()


def known_datasets(settings: Settings) -> Any:
    """Return the datasets; outside a project there are none, and generators stand for datasets of their own."""
    from simtom_pipelines.datasets import load_datasets

    if not settings.datasets.exists() and "SIMTOM_DATASETS" not in os.environ:
        return {}
    return load_datasets(settings.datasets)


def open_lake(settings: Settings, root: str | None) -> ParquetLake:
    """Return the lake: the one that is named, or that of the settings."""
    from simtom_pipelines.lake import ParquetLake

    return ParquetLake(root or settings.lake, settings.storage_options)
