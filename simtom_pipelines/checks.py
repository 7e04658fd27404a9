"""Asset checks: every partition is looked at; a range run records each check once, and its failures day by day."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from generators.schema import TableSchema
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake, Partition
from simtom_pipelines.partitions import quiet_preview
from simtom_pipelines.resources import LakeResource

EVENT_CHECKS = {
    "schema": "Columns are as declared; nothing is null, out of bounds or out of its format against the declaration.",
    "keys": "Columns declared unique hold no value twice in the partition.",
    "order_and_bounds": "Rows are sorted by timestamp and lie inside the partition's civil day.",
    "volume": "The rows of the day lie inside the band around what the volume model expects.",
    "hour_shares": "Every row has a local hour, and no hour holds nearly all of a day.",
}
"""Checks of event tables; their results come from the partition's footer."""

DIMENSION_CHECKS = {name: EVENT_CHECKS[name] for name in ("schema", "keys")}

REFERENCE_DAYS = 60
"""Event partitions that the reference check reads at most, spread evenly and with both ends."""

MAX_LISTED = 100


def check_specs(key: dg.AssetKey, names: dict[str, str]) -> list[dg.AssetCheckSpec]:
    """Return the specs of checks that run inside the asset's own step."""
    return [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in names.items()]


class CheckLedger:
    """Collects the check results of a run's partitions and turns them into few events.

    Args:
        context: The run's context.
        names: The checks that the asset declares.
    """

    def __init__(self, context: dg.AssetExecutionContext, names: Sequence[str]) -> None:
        self._context, self._names = context, tuple(names)
        self._results: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)

    def add(self, partition: Partition, key: str) -> None:
        """Take a partition's results; a failure in a range is recorded by itself as well."""
        for name in self._names:
            result = partition.footer.statistics.get("checks", {}).get(name)
            if result is not None:
                self._results[name].append((key, result))

    def results(self) -> list[dg.AssetCheckResult]:
        """Return one result a check: as it is for one partition, summed up for several."""
        for name in self._names:
            if len(self._results[name]) > 1:
                self._record_failures(name)
        return [_result(name, self._results[name]) for name in self._names]

    def _record_failures(self, name: str) -> None:
        for key, result in self._results[name]:
            if not result["passed"]:
                event = dg.AssetCheckEvaluation(
                    asset_key=self._context.asset_key,
                    check_name=name,
                    passed=False,
                    partition=key,
                    metadata=_metadata(result),
                )
                self._context.log_event(event)


def _result(name: str, results: list[tuple[str, dict[str, Any]]]) -> dg.AssetCheckResult:
    if not results:  # a file of an older version that did not look
        return dg.AssetCheckResult(passed=False, check_name=name, description="the file holds no result of this check")
    if len(results) == 1:
        return dg.AssetCheckResult(
            passed=bool(results[0][1]["passed"]), check_name=name, metadata=_metadata(results[0][1])
        )
    failed = [key for key, result in results if not result["passed"]]
    metadata: dict[str, Any] = {"partitions": len(results), "failed_partitions": len(failed)}
    if failed:
        metadata["failed"] = failed[:MAX_LISTED]
    metadata |= _worst(results)
    return dg.AssetCheckResult(passed=not failed, check_name=name, metadata=metadata)


def _metadata(result: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in result.items() if k != "passed" and v is not None}


def _worst(results: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return the extremes of every number in the results, with the partition of the one farthest from the median."""
    found: dict[str, Any] = {}
    numbers = [k for k, v in results[0][1].items() if isinstance(v, int | float) and not isinstance(v, bool)]
    for name in numbers:
        values = [(float(r[name]), key) for key, r in results if isinstance(r.get(name), int | float)]
        ordered = sorted(v for v, _ in values)
        middle = ordered[len(ordered) // 2]
        worst, key = max(values, key=lambda pair: abs(pair[0] - middle))
        found |= {
            f"{name}_min": ordered[0],
            f"{name}_max": ordered[-1],
            f"{name}_worst_partition": key,
            f"{name}_worst": worst,
        }
    return found


def reference_check(spec: DatasetSpec, dimension: TableSchema, events: TableSchema) -> dg.AssetChecksDefinition | None:
    """Return the check that every event's entity is in a dimension, or None where no event column points there."""
    entity = dimension.primary_key[0]
    if entity not in events.names:
        return None

    with quiet_preview():

        @dg.asset_check(
            asset=dg.AssetKey([spec.name, dimension.name]),
            name="references",
            description=f"Every {entity} of {spec.name}/{events.name} is in the dimension; no event is later than it.",
            additional_deps=[dg.AssetKey([spec.name, events.name])],
        )
        def references(lake: LakeResource) -> dg.AssetCheckResult:
            return compare_references(lake.open(), spec.name, dimension.name, events.name, entity)

    return references


def compare_references(
    lake: ParquetLake, dataset: str, dimension: str, events: str, entity: str
) -> dg.AssetCheckResult:
    """Look for events whose entity the dimension lacks, and for events later than the dimension."""
    stored = lake.partition(dataset, dimension, None)
    days = lake.days(dataset, events)
    if stored is None or not days:
        missing = f"{dataset}/{dimension if stored is None else events}"
        return dg.AssetCheckResult(passed=False, description=f"{missing} is not in the lake; materialise it first")
    through = date.fromisoformat(stored.footer.day)
    known = lake.scan(dataset, dimension).select(entity).unique()
    looked = list(_spread([day for day in days if day <= through]))
    pieces = [lake.scan(dataset, events, day, day).select(entity).unique() for day in looked]
    lost = (
        pl.concat(pieces).unique().join(known, on=entity, how="anti").collect()
        if pieces
        else pl.DataFrame({entity: []})
    )
    later = [day for day in days if day > through]
    metadata: dict[str, Any] = {
        "through": through.isoformat(),
        "last_event": days[-1].isoformat(),
        "partitions_later_than_dimension": len(later),
        "partitions_looked_at": len(looked),
        "entities_missing": lost.height,
    }
    if lost.height:
        metadata["missing"] = lost[entity].head(MAX_LISTED).to_list()
    hint = f"events go on after {through}; materialise {dataset}/{dimension} again" if later else None
    return dg.AssetCheckResult(passed=not lost.height and not later, metadata=metadata, description=hint)


def _spread(days: list[date]) -> Iterator[date]:
    step = max(1, -(-(len(days) - 1) // (REFERENCE_DAYS - 1))) if len(days) > 1 else 1
    yield from days[:-1:step]
    yield from days[-1:]
