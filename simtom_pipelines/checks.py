"""Asset checks: every partition is looked at; a range run records each check once, and its failures day by day."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from generators.schema import Reference, TableSchema
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.interrupts import patient_interrupts
from simtom_pipelines.lake import ParquetLake, Partition
from simtom_pipelines.partitions import quiet_preview
from simtom_pipelines.references import (
    LOOKED_AT_ROWS,
    Finding,
    attributes_agree,
    entities_exist,
    incoming,
    labels_have_events,
    outgoing,
    shared_columns,
)
from simtom_pipelines.resources import LakeResource

EVENT_CHECKS = {
    "schema": "Columns are as declared; nothing is null, out of bounds or out of its format against the declaration.",
    "keys": "Columns declared unique, and keys of several columns, hold no value twice in the partition.",
    "order_and_bounds": "Rows are sorted by timestamp and lie inside the partition's civil day.",
    "volume": "The rows of the day lie inside the band around what the volume model expects.",
    "hour_shares": "Every row has a local hour, and no hour holds nearly all of a day.",
}
"""Checks of event tables; their results come from the partition's footer."""

TABLE_CHECKS = {"events": EVENT_CHECKS} | {
    kind: {name: EVENT_CHECKS[name] for name in ("schema", "keys")} for kind in ("labels", "dimension")
}
"""Checks by kind of table that run inside the asset's own step."""

MAX_LISTED = 100

SAMPLED = f"Of tables of more than about {LOOKED_AT_ROWS:,} rows some partitions are looked at."


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


def dataset_checks(spec: DatasetSpec) -> list[dg.AssetChecksDefinition]:
    """Return the checks that compare a dataset's tables with each other: references, and attributes of entities."""
    tables = spec.tables
    events, found = tables[0], []
    for table in tables:
        if table.kind == "dimension":
            sources = incoming(tables, table)
            if sources:
                found.append(_entities_check(spec, table, sources))
            if table.primary_key[0] in events.names and shared_columns(events, table):
                found.append(_attributes_check(spec, table))
        elif table.kind == "labels":
            found.append(_labels_check(spec, table, outgoing(tables, table)))
    return found


def _comparison(
    spec: DatasetSpec, table: TableSchema, name: str, text: str, others: list[str], compare: Callable[..., Finding]
) -> dg.AssetChecksDefinition:
    """Return a check of a table against others of its dataset; it runs after all of them."""
    with quiet_preview():

        @dg.asset_check(
            asset=dg.AssetKey([spec.name, table.name]),
            name=name,
            description=text,
            additional_deps=[dg.AssetKey([spec.name, other]) for other in dict.fromkeys(others) if other != table.name],
        )
        def check(lake: LakeResource) -> dg.AssetCheckResult:
            with patient_interrupts():
                found = compare(lake.open(), spec.name)
            return dg.AssetCheckResult(passed=found.passed, metadata=found.metadata, description=found.description)

    return check


def _entities_check(spec: DatasetSpec, table: TableSchema, sources: list[Reference]) -> dg.AssetChecksDefinition:
    events = spec.tables[0]
    named = ", ".join(f"{source.table.name}.{source.column}" for source in sources)

    def compare(lake: ParquetLake, dataset: str) -> Finding:
        return entities_exist(lake, dataset, table, sources, events)

    text = f"Every value of {named} is in the dimension; no event is later than it. {SAMPLED}"
    others = [events.name, *(source.table.name for source in sources)]
    return _comparison(spec, table, "references", text, others, compare)


def _attributes_check(spec: DatasetSpec, table: TableSchema) -> dg.AssetChecksDefinition:
    events = spec.tables[0]

    def compare(lake: ParquetLake, dataset: str) -> Finding:
        return attributes_agree(lake, dataset, table, events)

    text = f"What {events.name} says of {table.name} equals the dimension's version of that day. {SAMPLED}"
    return _comparison(spec, table, "attributes", text, [events.name], compare)


def _labels_check(spec: DatasetSpec, table: TableSchema, sources: list[Reference]) -> dg.AssetChecksDefinition:
    events = spec.tables[0]

    def compare(lake: ParquetLake, dataset: str) -> Finding:
        return labels_have_events(lake, dataset, table, sources, events)

    text = f"Every label's event is in {spec.name}/{events.name}, where all events of the window are stored. {SAMPLED}"
    return _comparison(spec, table, "references", text, [events.name], compare)
