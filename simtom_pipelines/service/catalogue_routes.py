"""What there is: health, generators with their schemas, datasets with their partitions, metrics."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

import simtom_pipelines
from generators import UnknownNameError, generator_class, list_generators, registry
from generators.base import BaseGenerator
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.service.context import Compat, Context, Service, authorised
from simtom_pipelines.service.memory import resident_bytes
from simtom_pipelines.service.problems import refuse

open_router = APIRouter(tags=["operations"])
router = APIRouter(dependencies=[Depends(authorised)])

MOST_PARTITIONS = 4_000
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "Unknown name; the known ones are listed."}}


def health(service: Context, uptime: float) -> dict[str, Any]:
    """Return how the service is."""
    found = list_generators()
    return {
        "status": "degraded" if registry.failures else "healthy",
        "version": simtom_pipelines.__version__,
        "generators_available": len(found),
        "generators": [info.name for info in found],
        "broken_plugins": [failure.name for failure in registry.failures.values()],
        "active_streams": len(service.streams.running()),
        "memory_bytes": resident_bytes(),
        "uptime_seconds": round(uptime, 3),
    }


@open_router.get("/health", summary="Health")
async def show_health(service: Service) -> dict[str, Any]:
    """Return status, version, generators, memory and uptime; needs no token."""
    return health(service, service.uptime())


@router.get("/metrics", summary="Metrics for Prometheus", tags=["operations"], response_class=Response)
async def metrics(service: Service) -> Response:
    """Return records, bytes, lateness, errors and active streams by generator, in Prometheus's text format."""
    for delivery in service.streams.running():
        delivery.snapshot()  # brings the lateness of the last writes in
    return Response(service.streams.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/generators", summary="List generators", tags=["generators"], response_model=None)
async def generators(in_compat: Compat) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the generators, each with the schema of its own config, and the plugins that failed to import."""
    found = [
        {
            "name": info.name,
            "description": info.description,
            "config_schema": generator_class(info.name).config_type.model_json_schema(),
            "domain": info.domain,
            "revision": info.revision,
            "tables": list(info.tables),
        }
        for info in list_generators()
    ]
    if in_compat:
        return found
    return {"generators": found, "broken": [vars(failure) for failure in registry.failures.values()]}


@router.get("/generators/{name}/schema", summary="Schema of a generator", tags=["generators"], responses=_UNKNOWN)
async def schema(name: str) -> dict[str, Any]:
    """Return a generator's config and tables as JSON schema."""
    cls: type[BaseGenerator[Any]] = generator_class(name)
    return {
        "generator": name,
        "domain": cls.domain,
        "description": cls.description,
        "revision": cls.revision,
        "config": cls.config_type.model_json_schema(),
        "tables": {table.name: table.json_schema() for table in cls.tables},
    }


# -- datasets ---------------------------------------------------------------------------------------------------------


def find_dataset(service: Context, name: str) -> DatasetSpec:
    """Return a dataset of datasets.yaml; UnknownNameError lists them."""
    spec = service.datasets.get(name)
    if spec is None:
        raise UnknownNameError("dataset", name, sorted(service.datasets))
    return spec


def find_table_name(spec: DatasetSpec, table: str | None) -> str:
    """Return the name of a dataset's table, by default its event table; UnknownNameError lists them."""
    names = [schema.name for schema in spec.tables]
    if table is None:
        return names[0]
    if table not in names:
        raise UnknownNameError(f"table of {spec.name}", table, names)
    return table


@router.get("/datasets", summary="List datasets", tags=["datasets"])
def datasets(service: Service) -> dict[str, Any]:
    """Return the datasets of datasets.yaml, and which days of their tables are stored."""
    return {"datasets": [_dataset(service.lake, spec) for spec in service.datasets.values()]}


def _dataset(lake: ParquetLake, spec: DatasetSpec) -> dict[str, Any]:
    tables = []
    for table in spec.tables:
        days = lake.days(spec.name, table.name) if table.kind != "dimension" else []
        tables.append(
            {
                "name": table.name,
                "kind": table.kind,
                "partitions": len(days),
                "first": days[0].isoformat() if days else None,
                "last": days[-1].isoformat() if days else None,
            }
        )
    return {
        "name": spec.name,
        "generator": spec.generator,
        "start_date": spec.start_date.isoformat(),
        "config": spec.config.model_dump(mode="json", exclude_defaults=True),
        "tables": tables,
    }


@router.get("/datasets/{name}/partitions", summary="Stored days of a dataset", tags=["datasets"], responses=_UNKNOWN)
def partitions(
    name: str,
    service: Service,
    table: Annotated[str | None, Query(max_length=100, description="Table; default: the event table.")] = None,
    start: Annotated[date | None, Query(description="First day.")] = None,
    end: Annotated[date | None, Query(description="Last day, inclusive.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_PARTITIONS, description="Days of one answer.")] = 366,
    offset: Annotated[int, Query(ge=0, le=10**9, description="Days to pass over.")] = 0,
) -> dict[str, Any]:
    """Return the stored days with rows, bytes and fingerprint, oldest first."""
    spec = find_dataset(service, name)
    chosen = find_table_name(spec, table)
    if start is not None and end is not None and end < start:
        raise refuse("end", f"{end} given; allowed: {start} or later", str(end), where="query")
    days = [
        day
        for day in service.lake.days(name, chosen)
        if (start is None or day >= start) and (end is None or day <= end)
    ]
    found = []
    for day in days[offset : offset + limit]:
        stored = service.lake.partition(name, chosen, day)
        if stored is not None:
            found.append(
                {
                    "date": day.isoformat(),
                    "rows": stored.rows,
                    "bytes": stored.bytes,
                    "fingerprint": stored.footer.fingerprint,
                    "revision": stored.footer.revision,
                }
            )
    return {"dataset": name, "table": chosen, "total": len(days), "offset": offset, "partitions": found}
