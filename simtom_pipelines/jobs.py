"""Jobs and schedules: a dataset's day, and the replay of stored days as a timed stream."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import dagster as dg
from dagster import DagsterExecutionInterruptedError
from pydantic import Field

from generators.errors import SimtomError
from generators.registry import generator_class
from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.replay import (
    ReplayReport,
    ReplayRequest,
    Sink,
    open_sink,
    parse_duration,
    parse_faults,
    parse_moment,
    parse_time_of_day,
    replay,
)
from simtom_pipelines.resources import LakeResource

Parsed = TypeVar("Parsed")

SCHEDULE_HOUR = 1
"""Local hour at which the schedule makes the day that ended."""


def materialize_job(spec: DatasetSpec) -> Any:
    """Return the job of a dataset's partitions of one day, or of a range: events, then labels and dimensions."""
    return dg.define_asset_job(
        f"{spec.name}_materialize",
        selection=dg.AssetSelection.groups(spec.name),
        description=f"Make partitions of every table of {spec.name}.",
    )


def daily_schedule(spec: DatasetSpec, job: Any) -> Any:
    """Return the schedule that makes yesterday's partition every day, in the dataset's time zone; off by default."""

    @dg.schedule(
        job=job,
        name=f"{spec.name}_daily",
        cron_schedule=f"0 {SCHEDULE_HOUR} * * *",
        execution_timezone=spec.config.timezone,
        description=f"Make the day of {spec.name} that ended, at {SCHEDULE_HOUR:02d}:00 {spec.config.timezone}.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.astimezone(spec.config.zone).date() - timedelta(days=1)
        if day < spec.start_date:
            return dg.SkipReason(f"{day} is before the first partition, {spec.start_date}")
        return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat())

    return daily


class ReplayConfig(dg.Config):
    """A replay as run config; the fields are those of `simtom replay`."""

    dataset: str = Field(description="Dataset, for example bnpl, or table, for example bnpl/transactions.")
    also: list[str] = Field(default=[], description="Further datasets or tables, merged with the first by event time.")
    output: str = Field(
        description="NDJSON file that records are appended to, or kafka://, redis://, nats://, http:// (docs/sinks)."
    )
    if_exists: Literal["append", "overwrite", "error"] = Field(
        default="append", description="What to do with an output file that exists."
    )
    sink_options: dict[str, str] = Field(default={}, description="Options of the sink, for example key: customer_id.")
    start: str | None = Field(default=None, description="First date or instant; default: the first stored day.")
    end: str | None = Field(
        default=None,
        description="Last date, inclusive, or the instant before which to end; default: the last stored day.",
    )
    duration: str | None = Field(default=None, description="Event time from the start on, for example 6h; no end then.")
    time_of_day: str | None = Field(default=None, description="Local times that pass, for example 09:00-18:00.")
    filters: list[str] = Field(default=[], description="SQL conditions that rows must fulfil, as amount > 100.")
    loop: int = Field(default=1, description="How many times; 0: until terminated.")
    allow_missing: bool = Field(default=False, description="Pass over days that are not in the lake.")
    time_compression: float | None = Field(
        default=None, description="Seconds of event time in a second; default: 1, real time."
    )
    day_in: str | None = Field(
        default=None, description="How long a day takes, for example 10s; instead of a compression."
    )
    asap: bool = Field(default=False, description="As fast as the output takes it, without a schedule.")
    max_gap: str | None = Field(default=None, description="Longest silence of event time, for example 1h.")
    late: Literal["burst", "slip", "drop", "fail"] = Field(
        default="burst", description="When late: catch up, move the schedule, skip and count, or end the run."
    )
    late_after: float = Field(default=0.1, description="Seconds from which a record is late.")
    late_budget: int = Field(default=0, description="Late records that late: fail forgives.")
    rebase: bool = Field(default=False, description="Shift the instants so that the first record is now.")
    dataset_field: str | None = Field(
        default=None, description="Field that names a record's table; default: _dataset for several, none for one."
    )
    faults: dict[str, float] = Field(
        default={}, description="Rates of late, duplicate, out-of-order and corrupt records, to test a consumer."
    )
    fault_seed: int = Field(default=0, description="Seed of the faults.")
    fault_delay: str = Field(default="10m", description="Longest delay of late and duplicate records, event time.")
    answer_key: str | None = Field(default=None, description="File that lists every injected fault.")
    cursor: str | None = Field(
        default=None, description="Cursor file: resume from it where it exists, keep it current."
    )
    chunk_rows: int | None = Field(default=None, description="Rows encoded at a time; default: chosen by the rate.")

    def sink(self) -> Sink:
        """Return the sink; SinkError where the output or an option cannot be used."""
        if_exists = None if self.if_exists == "append" else self.if_exists  # the default, and not every sink's option
        return open_sink(self.output, **{"if_exists": if_exists, **self.sink_options})  # type: ignore[arg-type]

    def request(self, events: dict[str, str]) -> ReplayRequest:
        """Return the request.

        Args:
            events: Event table of every known dataset.

        Raises:
            SimtomError: A field cannot be used.
        """
        first, *others = (_table(name, events) for name in (self.dataset, *self.also))
        return ReplayRequest(
            dataset=first[0],
            table=first[1],
            also=tuple(f"{dataset}/{table}" for dataset, table in others),
            start=_read(parse_moment, self.start),
            end=_read(parse_moment, self.end),
            duration=_read(parse_duration, self.duration),
            time_of_day=_read(parse_time_of_day, self.time_of_day),
            filters=tuple(self.filters),
            loop=self.loop,
            allow_missing=self.allow_missing,
            time_compression=self.time_compression,
            day_in=_read(parse_duration, self.day_in),
            asap=self.asap,
            max_gap=_read(parse_duration, self.max_gap),
            late=self.late,
            late_after=self.late_after,
            late_budget=self.late_budget,
            rebase=self.rebase,
            dataset_field=self.dataset_field,
            faults=parse_faults(
                [f"{kind}={rate}" for kind, rate in self.faults.items()],
                self.fault_seed,
                parse_duration(self.fault_delay),
            ),
            answer_key=_read(Path, self.answer_key),
            cursor=_read(Path, self.cursor),
            chunk_rows=self.chunk_rows,
        )


def _table(name: str, events: dict[str, str]) -> tuple[str, str]:
    """Return dataset and table of a name; a dataset alone means its event table."""
    dataset, _, table = name.partition("/")
    return dataset, table or events.get(dataset, "events")


def _read(parse: Callable[[str], Parsed], text: str | None) -> Parsed | None:
    return None if text is None else parse(text)


def report_metadata(report: ReplayReport) -> dict[str, Any]:
    """Return a replay's statistics as metadata."""
    found: dict[str, Any] = {
        "emitted": report.emitted,
        "bytes": report.bytes,
        "seconds": round(report.elapsed, 3),
        "rate": report.rate,
        "achieved_compression": report.achieved_compression,
        "late": report.late,
        "dropped": report.dropped,
        "slipped_seconds": report.slipped,
        "starved_seconds": report.starved,
        "blocked_seconds": report.blocked,
        "paused_seconds": report.paused,
        "cycle": report.cycle,
        "resumed": report.resumed,
        "finished": report.finished,
    }
    if report.asked_compression is not None:
        found["asked_compression"] = report.asked_compression
    if report.position is not None:
        found["position"] = dg.MetadataValue.timestamp(report.position)
    return found | {f"lateness_{name}_ms": seconds * 1e3 for name, seconds in report.lateness.items()}


def replay_job(specs: dict[str, DatasetSpec]) -> dg.JobDefinition:
    """Return the job ``replay`` with its one op."""
    events = {name: generator_class(spec.generator).tables[0].name for name, spec in specs.items()}

    @dg.op(name="replay_stream", description="Replay stored days as a timed stream into a file or a message system.")
    def replay_op(context: dg.OpExecutionContext, config: ReplayConfig, lake: LakeResource) -> None:
        try:
            report = replay(
                config.request(events),
                config.sink(),
                lake=lake.open(),
                on_progress=lambda progress: context.log.info(progress.line()),
            )
        except SimtomError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except DagsterExecutionInterruptedError as error:
            # The sink was flushed and the cursor saved on the way here. A plain re-raise would be retried by a policy.
            kept = f"; the cursor {config.cursor} goes on from here" if config.cursor else ""
            raise dg.Failure(f"the replay was interrupted{kept}", allow_retries=False) from error
        context.add_output_metadata(report_metadata(report))

    @dg.job(name="replay", description="Replay stored days as a timed stream.", executor_def=dg.in_process_executor)
    def job() -> None:
        replay_op()

    return job
