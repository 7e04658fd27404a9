"""Assets: one daily-partitioned asset an event or label table, one asset a dimension, made from datasets.yaml."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import dagster as dg

from generators.errors import SimtomError
from generators.registry import generator_class
from generators.schema import TableSchema
from simtom_pipelines.checks import TABLE_CHECKS, CheckLedger, check_specs
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.interrupts import patient_interrupts
from simtom_pipelines.lake import LakeError, Partition
from simtom_pipelines.materialize import write_days, write_dimension
from simtom_pipelines.metadata import column_schema, partition_metadata
from simtom_pipelines.partitions import daily_partitions, partition_days, quiet_preview, range_policy, window_mapping
from simtom_pipelines.resources import LakeResource

OWNERS = ["team:data-platform"]
IO_MANAGER = "lake_io_manager"


@contextmanager
def refusals() -> Iterator[None]:
    """Show what a user can cause as one sentence; trying again would not help."""
    try:
        yield
    except SimtomError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _asset(**fields: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return `dg.asset` with fields that a dict holds; its own overloads need them spelled out."""
    decorate: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(**fields)
    return decorate


class RangeRecord:
    """What a run of one or many partitions tells Dagster: metadata by partition, checks once."""

    def __init__(self, context: dg.AssetExecutionContext, table: TableSchema) -> None:
        self._context, self._checks = context, CheckLedger(context, tuple(TABLE_CHECKS[table.kind]))

    def add(self, partition: Partition) -> None:
        """Take a stored partition."""
        if partition.day is None:
            raise LakeError(f"{partition.path} holds no day")
        key = partition.day.isoformat()
        self._context.add_asset_metadata(partition_metadata(partition), partition_key=key)
        self._checks.add(partition, key)

    def result(self) -> dg.MaterializeResult:  # type: ignore[type-arg]
        """Return the run's one result: one a partition would mark the whole range at the first."""
        return dg.MaterializeResult(check_results=self._checks.results())


def _common(spec: DatasetSpec, table: TableSchema) -> dict[str, Any]:
    generator = generator_class(spec.generator)
    return {
        "key": dg.AssetKey([spec.name, table.name]),
        "group_name": spec.name,
        "tags": {"domain": generator.domain, "generator": generator.name, "kind": table.kind},
        "kinds": {"polars", "parquet"},
        "owners": OWNERS,
        "description": table.description or generator.description,
        "code_version": str(generator.revision),
        "metadata": {
            "dagster/column_schema": column_schema(table, spec.config.timezone),
            "generator": generator.name,
            "schema_version": table.version,
            "config": spec.config.canonical(),
            **({"window_days": table.window} if table.window else {}),
        },
        "io_manager_key": IO_MANAGER,
    }


def daily_asset(spec: DatasetSpec, table: TableSchema, events: TableSchema) -> dg.AssetsDefinition:
    """Return the daily-partitioned asset of an event table, or of a label table downstream of its events."""
    common = _common(spec, table)
    with quiet_preview():
        upstream = dg.AssetKey([spec.name, events.name])
        deps = [dg.AssetDep(upstream, partition_mapping=window_mapping(table))] if table.kind == "labels" else []

        @_asset(
            **common,
            deps=deps,
            partitions_def=daily_partitions(spec),
            backfill_policy=range_policy(spec),
            check_specs=check_specs(common["key"], TABLE_CHECKS[table.kind]),
        )
        def daily(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
            record = RangeRecord(context, table)
            days = partition_days(context)
            with refusals(), patient_interrupts() as deliver_lost:
                partitions = write_days(lake.open(), spec, table.name, days, if_exists="overwrite")
                with closing(partitions):  # an interrupt leaves whole files: closing stops the writer
                    for partition in partitions:
                        record.add(partition)
                        deliver_lost()
            return record.result()

    return daily


def dimension_asset(spec: DatasetSpec, table: TableSchema, events: TableSchema) -> dg.AssetsDefinition:
    """Return the unpartitioned asset of a dimension: the entities up to the last materialised event partition."""
    common = _common(spec, table)

    @_asset(
        **common,
        deps=[dg.AssetKey([spec.name, events.name])],
        check_specs=check_specs(common["key"], TABLE_CHECKS[table.kind]),
    )
    def dimension(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with refusals(), patient_interrupts():
            store = lake.open()
            days = store.days(spec.name, events.name)
            if not days:
                raise LakeError(f"{spec.name}/{events.name} has no partition yet; materialise one before {table.name}")
            written = write_dimension(store, spec, table.name, days[-1], if_exists="overwrite")
        checks = CheckLedger(context, tuple(TABLE_CHECKS[table.kind]))
        checks.add(written, "")
        metadata = partition_metadata(written) | {"through": days[-1].isoformat()}
        return dg.MaterializeResult(metadata=metadata, check_results=checks.results())

    return dimension


def dataset_assets(spec: DatasetSpec) -> list[dg.AssetsDefinition]:
    """Return the assets of all tables of a dataset."""
    tables = generator_class(spec.generator).tables
    events = tables[0]
    return [
        dimension_asset(spec, table, events) if table.kind == "dimension" else daily_asset(spec, table, events)
        for table in tables
    ]
