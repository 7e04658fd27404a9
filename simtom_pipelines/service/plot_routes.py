"""Numbers to plot: the volume of a year, and the shape of a day."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query
from numpy.typing import NDArray

from generators import GeneratorConfig, generator_class, get_generator
from generators.base import BaseGenerator, check_day
from generators.calendar import FIRST_DAY, LAST_DAY
from simtom_pipelines.service.catalogue_routes import find_dataset
from simtom_pipelines.service.context import Context, Service, authorised
from simtom_pipelines.service.problems import refuse, validated
from simtom_pipelines.service.requests import checked

router = APIRouter(prefix="/generators", tags=["generators"], dependencies=[Depends(authorised)])

BIN_MINUTES = 15
MOST_ROWS = 50_000
"""Rows of a day that is drawn whole for its shape; above, only the instants are."""

_MINUTE = 60_000_000
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "Unknown generator; the known ones are listed."}}

Seed = Annotated[int | None, Query(description="Seed of every draw.")]
Volume = Annotated[int | None, Query(description="Rows on an ordinary day.")]
Dataset = Annotated[str | None, Query(description="Dataset of this generator whose config is taken.")]


def _config(
    service: Context, name: str, seed: int | None, base_daily_volume: int | None, dataset: str | None
) -> GeneratorConfig:
    config_type = generator_class(name).config_type
    given = {"seed": seed, "base_daily_volume": base_daily_volume}
    fields = {key: value for key, value in given.items() if value is not None}
    if dataset is not None:
        spec = find_dataset(service, dataset)
        if spec.generator != name:
            raise refuse("dataset", f"{dataset!r} is made by {spec.generator}, not by {name}", dataset, where="query")
        fields = {**spec.config.model_dump(exclude_unset=True), **fields}
        return validated(config_type, fields, where="query")
    return checked(validated(config_type, fields, where="query"), service.settings)


@router.get("/{name}/volume", summary="Volume of a year", responses=_UNKNOWN)
def volume(
    name: str,
    service: Service,
    year: Annotated[int, Query(ge=FIRST_DAY.year, le=LAST_DAY.year, description="Calendar year.")] = 2024,
    seed: Seed = None,
    base_daily_volume: Volume = None,
    dataset: Dataset = None,
) -> dict[str, Any]:
    """Return the expected rows of every day of a year, those with the day's noise, and the events that scale them."""
    config = _config(service, name, seed, base_daily_volume, dataset)
    return _volume(name, type(config), config.canonical(), year)


@lru_cache(maxsize=64)
def _volume(name: str, config_type: type[GeneratorConfig], canonical: str, year: int) -> dict[str, Any]:
    generator: BaseGenerator[Any] = get_generator(name, config_type.model_validate_json(canonical))
    first = date(year, 1, 1)
    days = [first + timedelta(n) for n in range((date(year + 1, 1, 1) - first).days)]
    models = [process.volume for process in generator.processes]
    events = {
        day.isoformat(): found for day in days if (found := next(filter(None, (m.event(day) for m in models)), None))
    }
    return {
        "generator": name,
        "year": year,
        "first": first.isoformat(),
        "expected": [round(generator.expected(day), 2) for day in days],
        "drawn": [round(sum(model.intensity(day) for model in models), 2) for day in days],
        "events": events,
    }


@router.get("/{name}/shape", summary="Shape of a day", responses=_UNKNOWN)
def shape(
    name: str,
    service: Service,
    day: Annotated[date, Query(description="Which day.")] = date(2024, 11, 29),
    seed: Seed = None,
    base_daily_volume: Volume = None,
    dataset: Dataset = None,
) -> dict[str, Any]:
    """Return the expected and the drawn rows of each quarter hour of a day, by elapsed local time."""
    try:
        check_day(day)
    except ValueError as error:
        raise refuse("day", str(error), str(day), where="query") from None
    config = _config(service, name, seed, base_daily_volume, dataset)
    with service.streams.lending.lend(name, config) as generator:
        plan = generator.plan(day)
        arrivals = plan.arrivals
        edges = np.append(
            np.arange(0, arrivals.end - arrivals.start, BIN_MINUTES * _MINUTE), arrivals.end - arrivals.start
        )
        expected = np.diff(np.interp(edges, arrivals.knots, arrivals.cumulative)) * plan.rows
        rows = np.histogram(_instants(generator, day) - arrivals.start, edges)[0] if len(edges) > 1 else np.zeros(0)
    return {
        "generator": name,
        "day": day.isoformat(),
        "timezone": config.timezone,
        "bin_minutes": BIN_MINUTES,
        "expected": [round(float(value), 2) for value in expected],
        "rows": [int(value) for value in rows],
    }


def _instants(generator: BaseGenerator[Any], day: date) -> NDArray[np.int64]:
    """Return the event times of a day, shape (n,), UTC microseconds."""
    plan = generator.plan(day)
    if plan.rows <= MOST_ROWS:
        whole: NDArray[np.int64] = generator.generate(day)["timestamp"].to_physical().to_numpy()
        return whole
    return np.concatenate([generator.batch(plan, number).timestamp for number in range(len(plan.sizes))])
