"""The command line of simtom: data made, materialized, looked at, replayed, streamed and served.

Nothing heavy is imported before a command runs, so that ``simtom --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from simtom_pipelines.cli_options import (
    CursorOption,
    FieldOptions,
    SeedOption,
    SinkOptions,
    TargetOption,
    VolumeOption,
)
from simtom_pipelines.cli_service import add_commands
from simtom_pipelines.console import FAILED, INTERRUPTED, close_stdout, counting, interruptible, plural, run, say

if TYPE_CHECKING:
    from simtom_pipelines.lake import ParquetLake
    from simtom_pipelines.settings import Settings

app = typer.Typer(
    name="simtom",
    help="Synthetic business data: generate it, materialize it through Dagster, replay it as a timed stream.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class IfExistsOption(StrEnum):
    """What to do with a partition that holds other data."""

    error = "error"
    keep = "keep"
    overwrite = "overwrite"


class LateOption(StrEnum):
    """What to do when the stream is late."""

    burst = "burst"
    slip = "slip"
    drop = "drop"
    fail = "fail"


Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day as YYYY-MM-DD.")]
Start = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day, YYYY-MM-DD.")]
End = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day, inclusive, YYYY-MM-DD.")]
LakeOption = Annotated[str | None, typer.Option("--lake", help="Root of the lake; default: SIMTOM_LAKE or ./lake.")]


def main() -> NoReturn:
    """Run the command line; every refusal is one line on stderr."""
    run(app)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Synthetic business data: generate it, materialize it through Dagster, replay it as a timed stream."""
    if version:
        import simtom_pipelines

        typer.echo(simtom_pipelines.__version__)
        raise typer.Exit


# -- what there is ----------------------------------------------------------------------------------------------------


@app.command("generators")
def show_generators(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the generators, and plugins that could not be imported."""
    from dataclasses import asdict

    from generators import list_generators, registry

    found = list_generators()
    if as_json:
        _print_json(
            {"generators": [asdict(i) for i in found], "broken": [asdict(f) for f in registry.failures.values()]}
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "domain", "revision", "tables", "description")
    for info in found:
        table.add_row(info.name, info.domain, str(info.revision), ", ".join(info.tables), info.description)
    Console().print(table)
    for failure in registry.failures.values():
        say(f"broken plugin {failure.name}: {failure.error}")


@app.command("schema")
def show_schema(
    name: Annotated[str, typer.Argument(help="Generator.")],
    table: Annotated[str | None, typer.Option(help="Only this table, without the config.")] = None,
) -> None:
    """Print a generator's tables and its config as JSON schema."""
    from generators import generator_class

    cls = generator_class(name)
    if table is not None:
        _print_json(cls.table(table).json_schema())
        return
    _print_json(
        {
            "generator": name,
            "description": cls.description,
            "config": cls.config_type.model_json_schema(),
            "tables": {table.name: table.json_schema() for table in cls.tables},
        }
    )


def _print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))


# -- making data ------------------------------------------------------------------------------------------------------


@app.command()
def generate(
    name: Annotated[str, typer.Argument(help="Generator, dataset or dataset/table.")],
    start: Start,
    end: End,
    seed: SeedOption = None,
    base_daily_volume: VolumeOption = None,
    settings: FieldOptions = None,
    output: Annotated[str | None, typer.Option(help="Root of the lake; default: SIMTOM_LAKE or ./lake.")] = None,
    if_exists: Annotated[IfExistsOption, typer.Option(help="What to do with other data.")] = IfExistsOption.error,
) -> None:
    """Write days straight to Parquet, without an orchestrator."""
    from dataclasses import replace

    from simtom_pipelines.datasets import find_table
    from simtom_pipelines.materialize import write_days, write_dimension

    days = _days(start, end)
    config = _load_settings()
    spec, table = find_table(_datasets(config), name)
    fields = _fields(settings or [], seed, base_daily_volume)
    if fields:
        spec = replace(spec, config=spec.config.changed(fields))
    lake = _lake(config, output)
    interruptible()
    if table.kind == "dimension":
        spec = replace(spec, start_date=days[0])
        partition = write_dimension(lake, spec, table.name, days[-1], if_exists=if_exists.value)
        say(f"{plural(partition.rows, 'row')} in {partition.path}")
        return
    if table.kind == "labels":  # of the dataset's events, or of those that were generated from an earlier day on
        spec = replace(spec, start_date=min(spec.start_date, days[0]))
    stored = written = rows = 0
    with counting(f"{spec.name}/{table.name}", len(days)) as advance:
        try:
            for partition in write_days(lake, spec, table.name, days, if_exists=if_exists.value):
                stored += 1
                written += partition.generated
                rows += partition.rows
                advance()
        finally:
            if stored:
                where = lake.table_path(spec.name, table.name)
                kept = f", {stored - written:,} kept" if written < stored else ""
                say(f"{plural(rows, 'row')}: {written:,} of {plural(len(days), 'day')} written to {where}{kept}")


@app.command()
def materialize(
    dataset: Annotated[str, typer.Argument(help="Dataset or dataset/table.")], start: Start, end: End
) -> None:
    """Materialize partitions through Dagster, in the instance that the UI shows."""
    from simtom_pipelines.datasets import find_table

    days = _days(start, end)
    settings = _load_settings()
    spec, table = find_table(_datasets(settings), dataset)
    from simtom_pipelines.run import materialize_range

    total = len(days) if table.kind != "dimension" else 1
    interruptible()
    stored = 0

    def count() -> None:
        nonlocal stored
        stored += 1
        advance()

    with counting(f"{spec.name}/{table.name}", total) as advance:
        try:
            stored = materialize_range(settings, spec, table, days, count)
        finally:
            if stored:
                say(f"{stored:,} of {plural(total, 'partition')} of {spec.name}/{table.name} stored")


@app.command()
def snapshot(
    dataset: Annotated[str, typer.Argument(help="Dataset.")],
    as_of: Annotated[
        datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Date by whose end things are known, YYYY-MM-DD.")
    ],
    start: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day of events.")] = None,
    end: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day of events, inclusive.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="File that ends in .parquet or .csv; default: DATASET-as-of-DATE.parquet.")
    ] = None,
    lake: LakeOption = None,
) -> None:
    """Write events with the labels that were known on a date, one row an event, ready to train on."""
    from simtom_pipelines.snapshot import as_of as known_by
    from simtom_pipelines.snapshot import write_snapshot

    settings = _load_settings()
    day = as_of.date()
    target = output or Path(f"{dataset}-as-of-{day}.parquet")
    frame = known_by(
        dataset,
        day,
        start=start and start.date(),
        end=end and end.date(),
        lake=_lake(settings, lake),
        datasets=_datasets(settings),
    )
    rows = write_snapshot(frame, target)
    say(f"{plural(rows, 'row')} as known on {day} in {target}")


# -- replay -----------------------------------------------------------------------------------------------------------


@app.command()
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

    settings = _load_settings()
    found = [find_table(_datasets(settings), name) for name in names]
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
    store = _lake(settings, lake)
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
                _refuse("--start-paused waits for a key, and standard input is no terminal in the foreground")
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


# -- live streams and the service -------------------------------------------------------------------------------------

add_commands(app)


# -- the UI -----------------------------------------------------------------------------------------------------------


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port of the web server.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI and its daemon on the project's own storage."""
    from simtom_pipelines.instance import PROJECT, dagster_home

    home = dagster_home()
    say(f"DAGSTER_HOME {home}; open http://{host}:{port}")
    workspace = PROJECT / "workspace.yaml"
    code = ["-w", str(workspace)] if workspace.is_file() else ["-m", "simtom_pipelines.definitions"]
    command = [sys.executable, "-m", "dagster", "dev", *code, "-h", host, "-p", str(port)]
    if workspace.is_file():
        os.chdir(PROJECT)
    os.execv(sys.executable, command)


# -- shared -----------------------------------------------------------------------------------------------------------


def _refuse(text: str) -> NoReturn:
    from generators.errors import ConfigError

    raise ConfigError(text)


def _days(start: datetime, end: datetime) -> list[date]:
    from datetime import timedelta

    from generators.base import check_day

    first, last = start.date(), end.date()
    if last < first:
        _refuse(f"--end {last} is before --start {first}; the end is inclusive and must not be earlier")
    for option, day in (("--start", first), ("--end", last)):
        try:
            check_day(day)
        except ValueError as error:
            _refuse(f"{option}: {error}")
    return [first + timedelta(n) for n in range((last - first).days + 1)]


def _fields(pairs: list[str], seed: int | None, base_daily_volume: int | None) -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            _refuse(f"--set {pair!r}: expected key=value")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            _refuse(f"--set {pair!r}: the value is no YAML: {getattr(error, 'problem', error)}")
    for key, number in (("seed", seed), ("base_daily_volume", base_daily_volume)):
        if number is not None:
            found[key] = number
    return found


def _load_settings() -> Settings:
    from simtom_pipelines.settings import load_settings

    return load_settings()


def _datasets(settings: Settings) -> Any:
    from simtom_pipelines.datasets import load_datasets

    if not settings.datasets.exists() and "SIMTOM_DATASETS" not in os.environ:
        return {}  # outside a project, generators stand for datasets of their own
    return load_datasets(settings.datasets)


def _lake(settings: Settings, root: str | None) -> ParquetLake:
    from simtom_pipelines.lake import ParquetLake

    return ParquetLake(root or settings.lake, settings.storage_options)


if __name__ == "__main__":
    main()
