"""The command line: simtom generators | schema | generate | materialize | replay | ui.

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
    seed: Annotated[int | None, typer.Option(help="Seed of every draw.")] = None,
    base_daily_volume: Annotated[int | None, typer.Option(help="Rows on an ordinary day.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A config field; the value is read as YAML.")
    ] = None,
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
        spec = replace(spec, config=spec.config.create(**{**spec.config.model_dump(exclude_unset=True), **fields}))
    lake = _lake(config, output)
    interruptible()
    if table.kind == "dimension":
        partition = write_dimension(
            lake, replace(spec, start_date=days[0]), table.name, days[-1], if_exists=if_exists.value
        )
        say(f"{plural(partition.rows, 'row')} in {partition.path}")
        return
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


# -- replay -----------------------------------------------------------------------------------------------------------


@app.command()
def replay(
    name: Annotated[str, typer.Argument(help="Dataset or dataset/table.")],
    start: Annotated[str | None, typer.Option(help="First day or instant; default: the first stored day.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day, inclusive, or the instant to end before.")] = None,
    time_compression: Annotated[float | None, typer.Option(help="Seconds of event time in a second.")] = None,
    day_in: Annotated[str | None, typer.Option(help="Wall time of a day: 10s, 500ms, 2m.")] = None,
    asap: Annotated[bool, typer.Option("--asap", help="As fast as possible, without a schedule.")] = False,
    window: Annotated[str | None, typer.Option(help="Local times that pass, as 09:00-18:00.")] = None,
    loop: Annotated[int, typer.Option(help="Turns; 0: until stopped.")] = 1,
    late: Annotated[LateOption, typer.Option(help="What to do when late.")] = LateOption.burst,
    cursor: Annotated[Path | None, typer.Option(help="File to resume from and keep current.")] = None,
    output: Annotated[str, typer.Option(help="NDJSON file, or - for stdout.")] = "-",
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Pass over days that are not stored.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be replayed, and stop.")] = False,
    lake: LakeOption = None,
) -> None:
    """Replay stored days as a timed stream of JSON records."""
    from simtom_pipelines import replay as engine
    from simtom_pipelines.datasets import find_table

    settings = _load_settings()
    spec, table = find_table(_datasets(settings), name)
    request = engine.ReplayRequest(
        dataset=spec.name,
        table=table.name,
        time_compression=time_compression,
        day_in=engine.parse_duration(day_in) if day_in else None,
        asap=asap,
        start=engine.parse_moment(start) if start else None,
        end=engine.parse_moment(end) if end else None,
        time_of_day=engine.parse_time_of_day(window) if window else None,
        loop=loop,
        late=late.value,
        cursor=cursor,
        allow_missing=allow_missing,
    )
    store = _lake(settings, lake)
    if dry_run:
        _print_plan(engine.plan(request, store))
        return
    _run_replay(request, store, output)


def _run_replay(request: Any, store: ParquetLake, output: str) -> None:
    import threading

    from simtom_pipelines import replay as engine

    stop = threading.Event()
    sink = engine.StdoutSink() if output == "-" else engine.FileSink(output)
    on_progress = (lambda report: say(report.line())) if sys.stderr.isatty() else None
    try:
        with engine.stop_on_signals(stop):
            report = engine.replay(request, sink, lake=store, on_progress=on_progress, stop=stop, owns_process=True)
    except engine.SinkClosed as error:
        close_stdout()
        say(f"simtom: {error}")
        raise typer.Exit(FAILED) from None
    say(report.line())
    if stop.is_set():
        raise typer.Exit(INTERRUPTED)


def _print_plan(plan: Any) -> None:
    wall = "as fast as possible" if plan.wall_seconds is None else f"{plan.wall_seconds:,.1f} s"
    typer.echo(
        f"{plan.dataset}/{plan.table}: {plan.rows:,} records of {len(plan.days)} days, {plan.first} to {plan.last}"
    )
    typer.echo(f"span {plan.span}, wall time {wall}, turns {plan.loop or 'without end'}")
    if plan.peak_rate is not None:
        typer.echo(f"peak {plan.peak_rate:,.0f} records a second at compression {plan.compression:,.6g}")
    for warning in plan.warnings:
        say(f"warning: {warning}")


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
