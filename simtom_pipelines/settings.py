"""Settings of the environment: ``SIMTOM_*``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from generators.errors import ConfigError
from generators.strict import explain

PREFIX = "SIMTOM_"

Limit = Annotated[int, Field(ge=0)]
"""An upper bound; 0: none."""


class LogFormat(StrEnum):
    """How log lines are written: one JSON object a line, or text for people."""

    json = "json"
    console = "console"


class LogLevel(StrEnum):
    """The lowest level that is written."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


class Settings(BaseSettings):
    """Where the lake and the datasets are, and how the service listens, limits and logs.

    Every field is read from ``SIMTOM_`` and its name in capitals; ``simtom settings`` shows them.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    lake: str = Field(default="lake", description="Root of the lake: a folder, or a URL such as s3://bucket/prefix.")
    datasets: Path = Field(default=Path("datasets.yaml"), description="File that lists the datasets.")
    storage_options: dict[str, str] = Field(
        default_factory=dict, description="Options of the object store, by the names that polars uses."
    )

    host: str = Field(default="127.0.0.1", description="Address that the service listens on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port that the service listens on; 0: a free one.")
    token: SecretStr | None = Field(default=None, description="Bearer token that the service asks for; unset: none.")
    compat: bool = Field(default=False, description="Answer every client in the form of simtom's HTTP API.")
    max_records: Limit = Field(default=1_000_000, description="Records of one stream; 0: no limit.")
    max_rate: Limit = Field(default=1_000, description="Records a second of one generated stream; 0: no limit.")
    max_time_compression: Limit = Field(
        default=1_000, description="Time compression of one generated stream; replays have none. 0: no limit."
    )
    max_seconds: Limit = Field(default=3_600, description="Seconds after which a stream is ended; 0: no limit.")
    max_streams: Limit = Field(default=256, description="Streams at the same time; 0: no limit.")
    max_daily_volume: Limit = Field(
        default=1_000_000, description="base_daily_volume of one generated stream; 0: no limit."
    )
    client_timeout: float = Field(
        default=30.0, gt=0, le=86_400, description="Seconds without taking a byte after which a client is given up."
    )

    log_format: LogFormat | None = Field(
        default=None, description="json or console; unset: console on a terminal, json otherwise."
    )
    log_level: LogLevel = Field(default=LogLevel.info, description="debug, info, warning or error.")


@dataclass(frozen=True)
class Shown:
    """One setting as `simtom settings` shows it."""

    variable: str
    value: str
    source: str
    description: str


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


def shown(settings: Settings) -> list[Shown]:
    """Return every setting with its value and where it comes from; secrets are masked."""
    given = {name.upper() for name in os.environ}
    values = settings.model_dump(mode="json")
    rows = []
    for name, field in Settings.model_fields.items():
        variable = (PREFIX + name).upper()
        value = values[name]
        text = "" if value is None else str(value)
        if name == "storage_options":  # keys of an object store are secrets
            text = ", ".join(f"{key}=**********" for key in value)
        rows.append(Shown(variable, text, "environment" if variable in given else "default", field.description or ""))
    return rows
