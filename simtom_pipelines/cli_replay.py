"""The command of stored days as a stream: simtom replay."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simtom_pipelines.cli_common import current_settings, known_datasets, open_lake, refuse
from simtom_pipelines.cli_options import CursorOption, LakeOption, SinkOptions, TargetOption
from simtom_pipelines.console import FAILED, INTERRUPTED, close_stdout, say

if TYPE_CHECKING:
    from simtom_pipelines.lake import ParquetLake


class LateOption(StrEnum):
    """What to do when the stream is late."""

    burst = "burst"
    slip = "slip"
    drop = "drop"
    fail = "fail"


def replay(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Datasets or dataset/table, merged by time.")],
    # what
    start: Annotated[str | None, typer.Option(help="First day or instant; default: the first stored day.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day, inclusive, or the instant to end before.")] = None,
    duration: Annotated[
        str | None, typer.Option(help="Event time from the start on: 6h, 90m; instead of --end.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Local times that pass, as 09:00-18:00.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="[NAME:]SQL", help="Rows that pass, as 'amount > 100'; may stand several times."
        ),
    ] = None,
    loop: Annotated[int, typer.Option(help="Turns; 0: until stopped.")] = 1,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Pass over days that are not stored.")] = False,
    # how fast
    time_compression: Annotated[float | None, typer.Option(help="Seconds of event time in a second.")] = None,
    day_in: Annotated[str | None, typer.Option(help="Wall time of a day: 10s, 500ms, 2m.")] = None,
    asap: Annotated[bool, typer.Option("--asap", help="As fast as possible, without a schedule.")] = False,
    max_gap: Annotated[str | None, typer.Option(help="Longest silence of event time, as 1h.")] = None,
    start_paused: Annotated[
        bool, typer.Option("--start-paused", help="Wait for a key before the first record.")
    ] = False,
    late: Annotated[LateOption, typer.Option(help="What to do when late.")] = LateOption.burst,
    late_after: Annotated[str, typer.Option(help="Wall time from which a record is late.")] = "100ms",
    late_budget: Annotated[int, typer.Option(help="Late records that --late fail forgives.")] = 0,
    # what a record looks like
    rebase: Annotated[bool, typer.Option("--rebase", help="Shift instants so that the first record is now.")] = False,
    dataset_field: Annotated[
        str | None, typer.Option(help="Field naming a record's table; default: _dataset for several.")
    ] = None,
    # faults
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="KIND=RATE", help="late, duplicate, out-of-order or corrupt, as late=0.01."),
    ] = None,
    fault_seed: Annotated[int, typer.Option(help="Seed of the faults.")] = 0,
    fault_delay: Annotated[str, typer.Option(help="Longest delay of late and duplicate, event time.")] = "10m",
    answer_key: Annotated[Path | None, typer.Option(help="File that lists every injected fault.")] = None,
    # where to
    output: TargetOption = "-",
    sink_options: SinkOptions = None,
    cursor: CursorOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be replayed, and stop.")] = False,
    lake: LakeOption = None,
) -> None:
    """Replay stored days as a timed stream of JSON records."""
    from simtom_pipelines import replay as engine
    from simtom_pipelines.datasets import find_table

    settings = current_settings()
    found = [find_table(known_datasets(settings), name) for name in names]
    tables = [f"{spec.name}/{table.name}" for spec, table in found]
    request = engine.ReplayRequest(
        dataset=found[0][0].name,
        table=found[0][1].name,
        also=tuple(tables[1:]),
        time_compression=time_compression,
        day_in=engine.parse_duration(day_in) if day_in else None,
        asap=asap,
        start=engine.parse_moment(start) if start else None,
        end=engine.parse_moment(end) if end else None,
        duration=engine.parse_duration(duration) if duration else None,
        time_of_day=engine.parse_time_of_day(window) if window else None,
        filters=tuple(filters or ()),
        max_gap=engine.parse_duration(max_gap) if max_gap else None,
        rebase=rebase,
        dataset_field=dataset_field,
        loop=loop,
        late=late.value,
        late_after=engine.parse_duration(late_after),
        late_budget=late_budget,
        faults=engine.parse_faults(faults or (), fault_seed, engine.parse_duration(fault_delay)),
        answer_key=answer_key,
        cursor=cursor,
        allow_missing=allow_missing,
    )
    store = open_lake(settings, lake)
    if dry_run:
        _print_plan(engine.plan(request, store))
        return
    options = engine.parse_sink_options(sink_options or [])
    zone = str(options.pop("zone", found[0][0].config.timezone))
    _run_replay(request, store, engine.open_sink(output, zone=zone, **options), start_paused)


def _run_replay(request: Any, store: ParquetLake, sink: Any, paused: bool) -> None:
    import threading

    from simtom_pipelines import replay as engine
    from simtom_pipelines.replay import keyboard

    stop = threading.Event()
    control = engine.ReplayControl(paused=paused, stop=stop)
    on_progress = (lambda report: say(report.line())) if sys.stderr.isatty() else None
    try:
        with engine.stop_on_signals(stop), keyboard.keys(control, say) as steered:
            if steered:
                say(keyboard.HELP)
            elif paused:
                refuse("--start-paused waits for a key, and standard input is no terminal in the foreground")
            report = engine.replay(
                request, sink, lake=store, control=control, on_progress=on_progress, owns_process=True
            )
    except engine.SinkError as error:
        if isinstance(error, engine.SinkClosed):
            close_stdout()
        elif error.report is not None and error.report.emitted:
            say(error.report.line())
        say(f"simtom: {error}")
        raise typer.Exit(FAILED) from None
    say(report.line())
    if report.finished and not report.emitted and not report.resumed:
        say("no stored row is inside the range and the times of day and passes the filters")
    if stop.is_set():
        raise typer.Exit(INTERRUPTED)


def _print_plan(plan: Any) -> None:
    wall = "as fast as possible" if plan.wall_seconds is None else f"{plan.wall_seconds:,.1f} s"
    typer.echo(f"{', '.join(plan.tables)}: {plan.rows:,} records of {len(plan.days)} days, {plan.first} to {plan.last}")
    typer.echo(f"span {plan.span}, wall time {wall}, turns {plan.loop or 'without end'}")
    if plan.peak_rate is not None:
        typer.echo(f"peak {plan.peak_rate:,.0f} records a second at compression {plan.compression:,.6g}")
    for warning in plan.warnings:
        say(f"warning: {warning}")
