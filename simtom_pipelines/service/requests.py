"""What a client asks of a generated stream: delivery fields, fields of the generator's config, and the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict

from generators import GeneratorConfig, StreamRequest
from simtom_pipelines.replay.live import Decorate
from simtom_pipelines.service.problems import refuse, validated
from simtom_pipelines.settings import Settings

LEAST_RATE = 0.01
LEAST_COMPRESSION = 0.1

DELIVERY = tuple(StreamRequest.model_fields)


class StreamBody(StreamRequest):
    """Body of a request for a stream: how it is delivered, and any field of the generator's config beside it."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True)
class Wanted:
    """A request that was understood.

    Attributes:
        request: How the rows are delivered.
        config: What determines them.
        asked: What the client sent, for the list of streams.
        decorate: Columns that are added, in the form of simtom's HTTP API.
        ignored: Fields that have no meaning here.
    """

    request: StreamRequest
    config: GeneratorConfig
    asked: dict[str, Any]
    decorate: Decorate | None = None
    ignored: tuple[str, ...] = ()


def understood(body: dict[str, Any], config_type: type[GeneratorConfig], settings: Settings) -> Wanted:
    """Split a body into delivery and config, and hold it against the limits.

    Raises:
        RequestValidationError: A field is unknown, its value is not allowed, or it is above a limit.
    """
    delivery = {key: value for key, value in body.items() if key in DELIVERY}
    config = {key: value for key, value in body.items() if key not in DELIVERY}
    request = validated(StreamRequest, delivery)
    if unknown := [key for key in config if key not in config_type.model_fields]:
        known = ", ".join([*DELIVERY, *config_type.model_fields])
        raise refuse(unknown[0], f"unknown field; known: {known}", config[unknown[0]])
    hold_limits(settings, request.rate_per_second, request.time_compression, request.total_records)
    return Wanted(request, checked(validated(config_type, config), settings), body)


def hold_limits(settings: Settings, rate: float | None, compression: float | None, total: int | None) -> None:
    """Raise RequestValidationError, naming the field, where a value is outside its limits."""
    _inside("rate_per_second", rate, LEAST_RATE, settings.max_rate, "SIMTOM_MAX_RATE")
    most = settings.max_time_compression
    _inside("time_compression", compression, LEAST_COMPRESSION, most, "SIMTOM_MAX_TIME_COMPRESSION")
    _inside("total_records", total, 1, settings.max_records, "SIMTOM_MAX_RECORDS")


def checked(config: GeneratorConfig, settings: Settings) -> GeneratorConfig:
    """Hold a config against the limits; ``RequestValidationError`` where it is above one."""
    _inside("base_daily_volume", config.base_daily_volume, 1, settings.max_daily_volume, "SIMTOM_MAX_DAILY_VOLUME")
    return config


def _inside(field: str, value: float | None, least: float, most: int, variable: str) -> None:
    if value is None or (value >= least and (not most or value <= most)):
        return
    top = f"to {most:,} ({variable} of this service)" if most else "or more"
    raise refuse(field, f"{value:,} given; allowed: {least:g} {top}", value)


def body_schema() -> dict[str, Any]:
    """Return the JSON schema of a stream's body: delivery, the fields every config has, and room for the others."""
    delivery = inlined(StreamRequest.model_json_schema())["properties"]
    config = inlined(GeneratorConfig.model_json_schema())["properties"]
    return {
        "title": "StreamBody",
        "description": "How the rows are delivered, and any field of the generator's config beside it "
        "(GET /generators/{name}/schema lists them).",
        "type": "object",
        "properties": {**delivery, **config},
        "additionalProperties": True,
    }


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON schema with the definitions it refers to put in place."""
    definitions = schema.get("$defs", {})

    def placed(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                name = node["$ref"].rpartition("/")[2]
                return placed({**definitions[name], **{k: v for k, v in node.items() if k != "$ref"}})
            return {key: placed(value) for key, value in node.items() if key != "$defs"}
        return [placed(item) for item in node] if isinstance(node, list) else node

    found: dict[str, Any] = placed(schema)
    return found


BODY_EXAMPLES: dict[str, dict[str, Any]] = {
    "rate": {
        "summary": "Ten records, five a second, from now on",
        "value": {"rate_per_second": 5, "total_records": 10, "seed": 42},
    },
    "compressed": {
        "summary": "Black Friday of 2024, an hour in 3.6 seconds",
        "value": {
            "start_date": "2024-11-29",
            "end_date": "2024-11-29",
            "time_compression": 1000,
            "base_daily_volume": 5000,
        },
    },
    "poisson": {
        "summary": "Random gaps at fifty records a second",
        "value": {"rate_per_second": 50, "arrival": "poisson", "total_records": 500},
    },
    "live": {"summary": "As today has them, in real time", "value": {}},
}
