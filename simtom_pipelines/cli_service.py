"""Commands of live streams, the service and its settings: simtom stream | serve | settings."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simtom_pipelines.cli_common import config_fields, current_settings, known_datasets, refuse
from simtom_pipelines.cli_options import (
    CursorOption,
    FieldOptions,
    SeedOption,
    SinkOptions,
    TargetOption,
    VolumeOption,
)
from simtom_pipelines.console import FAILED, INTERRUPTED, close_stdout, say

if TYPE_CHECKING:
    from simtom_pipelines.replay.live import LiveSource
    from simtom_pipelines.replay.sinks import Sink
    from simtom_pipelines.replay.statistics import ReplayReport
    from simtom_pipelines.settings import Settings


class ArrivalOption(StrEnum):
    """How deliveries at a rate follow each other."""

    uniform = "uniform"
    poisson = "poisson"


def stream(
    name: Annotated[str, typer.Argument(help="Dataset or generator.")],
    rate: Annotated[float | None, typer.Option(help="Records a second, whatever their event times.")] = None,
    arrival: Annotated[
        ArrivalOption, typer.Option(help="Deliveries at a rate: evenly spaced, or a Poisson process.")
    ] = ArrivalOption.uniform,
    time_compression: Annotated[
        float | None, typer.Option(help="Seconds of event time in a second; default: 1, real time.")
    ] = None,
    total_records: Annotated[int | None, typer.Option(help="Records after which the stream ends.")] = None,
    start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day; default: the rows from now on.")
    ] = None,
    end: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day, inclusive.")] = None,
    seed: SeedOption = None,
    base_daily_volume: VolumeOption = None,
    settings: FieldOptions = None,
    cursor: CursorOption = None,
    output: TargetOption = "-",
    sink_options: SinkOptions = None,
) -> None:
    """Make today's rows as today would have them and deliver them as they fall due."""
    from generators import StreamRequest
    from simtom_pipelines import replay as engine
    from simtom_pipelines.datasets import find_table
    from simtom_pipelines.replay.clock import MonotonicClock
    from simtom_pipelines.replay.live import LiveSource
    from simtom_pipelines.replay.statistics import EPOCH

    spec, table = find_table(known_datasets(current_settings()), name)
    if table.kind != "events":
        refuse(f"{spec.name}/{table.name} is a table of {table.kind}; only event tables are streams of their own")
    request = StreamRequest.create(
        rate_per_second=rate,
        arrival=arrival.value,
        time_compression=time_compression,
        total_records=total_records,
        start_date=start.date() if start else None,
        end_date=end.date() if end else None,
    )
    source = LiveSource(
        f"{spec.name}/{table.name}",
        spec.generator,
        spec.config.changed(config_fields(settings or [], seed, base_daily_volume)),
        request,
        now=EPOCH + timedelta(microseconds=MonotonicClock().wall()),
    )
    options = engine.parse_sink_options(sink_options or [])
    zone = str(options.pop("zone", spec.config.timezone))
    _run(source, engine.open_sink(output, zone=zone, **options), cursor)


def _run(source: LiveSource, sink: Sink, cursor: Path | None) -> None:
    import threading

    from simtom_pipelines import replay as engine
    from simtom_pipelines.replay import keyboard
    from simtom_pipelines.replay.following import Following

    stop = threading.Event()
    control = engine.ReplayControl(stop=stop)

    def note(text: str) -> None:
        # At a rate, the engine's schedule is one second a record: what it calls compression is the rate.
        say(text if source.request.compression is not None else text.replace("compression", "rate"))

    def tell(report: ReplayReport) -> None:
        note(report.line())

    try:
        with engine.stop_on_signals(stop), keyboard.keys(control, note) as steered:
            if steered:
                say(keyboard.HELP)
            report = engine.replay_source(
                Following(source, engine.MonotonicClock(), stop),
                sink,
                engine.Pacing(compression=source.speed),
                cursor=cursor,
                control=control,
                on_progress=tell if sys.stderr.isatty() else None,
                owns_process=True,
            )
    except engine.SinkError as error:
        if isinstance(error, engine.SinkClosed):
            close_stdout()
        elif error.report is not None and error.report.emitted:
            tell(error.report)
        say(f"simtom: {error}")
        raise typer.Exit(FAILED) from None
    tell(report)
    if stop.is_set():
        raise typer.Exit(INTERRUPTED)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: SIMTOM_HOST or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0: a free one; default: SIMTOM_PORT or 8000.")] = None,
    compat: Annotated[
        bool | None, typer.Option("--compat/--no-compat", help="Answer in the form of simtom's HTTP API.")
    ] = None,
    lake: Annotated[
        str | None, typer.Option("--lake", help="Root of the lake; default: SIMTOM_LAKE or ./lake.")
    ] = None,
) -> None:
    """Serve generators and stored datasets over HTTP, with a page at /."""
    from simtom_pipelines.service import server

    given = {"host": host, "port": port, "compat": compat, "lake": lake}
    server.serve(_settings_with({key: value for key, value in given.items() if value is not None}))


def show_settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show every setting: its variable, its value, where that comes from, what it means."""
    from dataclasses import asdict

    from simtom_pipelines.settings import load_settings, shown

    rows = shown(load_settings())
    if as_json:
        import json

        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("variable", no_wrap=True)
    for title in ("value", "from", "meaning"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(row.variable, row.value, row.source, row.description)
    Console().print(table)


def _settings_with(given: dict[str, Any]) -> Settings:
    from pydantic import ValidationError

    from generators.strict import explain
    from simtom_pipelines.settings import Settings, load_settings

    load_settings()  # what is wrong in the environment is told as such
    try:
        return Settings(**given)
    except ValidationError as error:
        refuse(explain(error, Settings))


def add_commands(app: typer.Typer) -> None:
    """Add the commands to an app."""
    app.command()(stream)
    app.command()(serve)
    app.command("settings")(show_settings)
