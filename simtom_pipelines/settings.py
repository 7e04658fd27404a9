"""Settings of the environment: ``SIMTOM_*``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from generators.config import explain
from generators.errors import ConfigError


class Settings(BaseSettings):
    """Where the lake and the datasets are.

    Environment: ``SIMTOM_LAKE``, ``SIMTOM_DATASETS``, ``SIMTOM_STORAGE_OPTIONS`` (JSON).
    """

    model_config = SettingsConfigDict(env_prefix="SIMTOM_", frozen=True, extra="ignore")

    lake: str = Field(default="lake", description="Root of the lake: a folder, or a URL such as s3://bucket/prefix.")
    datasets: Path = Field(default=Path("datasets.yaml"), description="File that lists the datasets.")
    storage_options: dict[str, str] = Field(
        default_factory=dict, description="Options of the object store, by the names that polars uses."
    )


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigError: A variable cannot be read.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigError("SIMTOM_* environment: " + explain(error, Settings)) from None
    except SettingsError as error:
        raise ConfigError(
            f'SIMTOM_* environment: {error}; expected JSON, as in {{"aws_region": "eu-west-1"}}'
        ) from None
