"""Materialising a range of partitions in this process, in the instance that the UI shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

from generators.errors import SimtomError
from generators.schema import TableSchema
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.instance import open_instance
from simtom_pipelines.materialize import watching
from simtom_pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

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
        RunError: A day is no partition, or the run failed; the text is the error of the first step that did.
    """
    with open_instance() as instance:
        import dagster as dg
        from dagster._core.errors import DagsterExecutionInterruptedError

        from simtom_pipelines.definitions import build_definitions
        from simtom_pipelines.launcher import process_tags
        from simtom_pipelines.partitions import daily_partitions

        defs = build_definitions(settings, {spec.name: spec})
        daily = table.kind != "dimension"
        if daily:
            _check_partitions(daily_partitions(spec), spec, days)
        # What compares tables is looked at once, with the dimension that the other tables name.
        checks = [] if daily else list(defs.asset_checks or ())
        tags = {START_TAG: days[0].isoformat(), END_TAG: days[-1].isoformat()} if daily else {}
        try:
            with watching(lambda _: advance()):
                result = dg.materialize(
                    [asset for asset in (*(defs.assets or ()), *checks) if isinstance(asset, dg.AssetsDefinition)],
                    selection=dg.AssetSelection.assets(dg.AssetKey([spec.name, table.name])),
                    instance=instance,
                    resources=dict(defs.resources or {}),
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                    tags=tags | process_tags(),  # so that the run is found dead after a kill
                    raise_on_error=False,
                )
        except DagsterExecutionInterruptedError:  # what Dagster makes of Ctrl-C
            raise KeyboardInterrupt from None
    if not result.success and _interrupted(result):
        raise KeyboardInterrupt
    if not result.success:
        raise RunError(f"run {result.run_id} failed: {_reason(result)}")
    return len(days) if daily else 1


def _check_partitions(partitions: dg.DailyPartitionsDefinition, spec: DatasetSpec, days: list[date]) -> None:
    """Refuse days that the UI would not know: those before the first partition, and those that are not over yet."""
    for option, day in (("--start", days[0]), ("--end", days[-1])):
        if not partitions.has_partition_key(day.isoformat()):
            raise RunError(
                f"{option}: {day} given; allowed: the partitions of {spec.name}, {spec.start_date} to "
                f"{partitions.get_last_partition_key()}; `simtom generate` writes any day of the calendar"
            )


def _interrupted(result: Any) -> bool:
    """Return whether a step ended because of Ctrl-C, which Dagster records as a failure."""
    return any(
        error.cls_name == "DagsterExecutionInterruptedError"
        for event in result.all_events
        if event.is_step_failure
        for error in [event.step_failure_data.error]
    )


def _reason(result: Any) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            if failure is not None and failure.description:  # a refusal, already in words
                return str(failure.description)
            error = event.step_failure_data.error
            while error.cause is not None:
                error = error.cause
            return str(error.message).strip().splitlines()[0]
    return "see the run's log in the UI"
