"""Daily partitions of a dataset, range runs, and the one place where Dagster's beta warnings are silenced."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import dagster as dg

from generators.schema import TableSchema
from simtom_pipelines.datasets import DatasetSpec


@contextmanager
def quiet_preview() -> Iterator[None]:
    """Silence what Dagster says about beta and preview interfaces, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        yield


def daily_partitions(spec: DatasetSpec) -> dg.DailyPartitionsDefinition:
    """Return the civil days of the dataset's time zone from its start date: the lake's partitions and Dagster's."""
    return dg.DailyPartitionsDefinition(start_date=spec.start_date.isoformat(), timezone=spec.config.timezone)


def range_policy(spec: DatasetSpec) -> dg.BackfillPolicy:
    """Return how many partitions a run takes: ``partitions_per_run``, or all of a range where that is null."""
    if spec.partitions_per_run is None:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=spec.partitions_per_run)


def window_mapping(table: TableSchema) -> dg.TimeWindowPartitionMapping:
    """Return how a label table's partition hangs on the event partitions of its window, the first ones cut short."""
    return dg.TimeWindowPartitionMapping(start_offset=-table.window, allow_nonexistent_upstream_partitions=True)


def partition_days(context: dg.AssetExecutionContext) -> list[date]:
    """Return the run's days, in order."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)
