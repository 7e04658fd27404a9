"""Materialising a range of partitions in this process, in the instance that the UI shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from generators.errors import SimtomError
from generators.schema import TableSchema
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.instance import open_instance
from simtom_pipelines.materialize import watching
from simtom_pipelines.settings import Settings

START_TAG = "dagster/asset_partition_range_start"
END_TAG = "dagster/asset_partition_range_end"


class RunError(SimtomError):
    """A Dagster run that failed."""


def materialize_range(
    settings: Settings, spec: DatasetSpec, table: TableSchema, days: list[date], advance: Callable[[], None]
) -> int:
    """Materialize the partitions of consecutive days as one run, and return how many partitions there are.

    Args:
        settings: Where the lake is.
        spec: The dataset.
        table: One of its tables; a dimension is materialized as a whole.
        days: Consecutive days.
        advance: Called for every partition that is in the lake, while the run goes on.

    Raises:
        RunError: The run failed; its text is the error of the first step that did.
    """
    with open_instance() as instance:
        import dagster as dg

        from simtom_pipelines.definitions import build_definitions
        from simtom_pipelines.launcher import process_tags

        defs = build_definitions(settings, {spec.name: spec})
        daily = table.kind != "dimension"
        tags = {START_TAG: days[0].isoformat(), END_TAG: days[-1].isoformat()} if daily else {}
        with watching(lambda _: advance()):
            result = dg.materialize(
                [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)],
                selection=[dg.AssetKey([spec.name, table.name])],
                instance=instance,
                resources=dict(defs.resources or {}),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                tags=tags | process_tags(),  # so that the run is found dead after a kill
                raise_on_error=False,
            )
    if not result.success:
        raise RunError(f"run {result.run_id} failed: {_reason(result)}")
    return len(days) if daily else 1


def _reason(result: Any) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error.cause is not None:
                error = error.cause
            return str(error.message).strip().splitlines()[0]
    return "see the run's log in the UI"
