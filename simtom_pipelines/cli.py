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

from simtom_pipelines.cli_common import config_fields, current_settings, known_datasets, open_lake, refuse
from simtom_pipelines.cli_options import (
    FieldOptions,
    LakeOption,
    SeedOption,
    VolumeOption,
)
from simtom_pipelines.cli_replay import replay
from simtom_pipelines.cli_service import add_commands
from simtom_pipelines.console import counting, interruptible, plural, run, say

if TYPE_CHECKING:
    pass

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


Start = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day, YYYY-MM-DD.")]
End = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Last day, inclusive, YYYY-MM-DD.")]


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

    table = Table(show_lines=True)
    for heading in ("name", "domain", "revision", "tables"):
        table.add_column(heading, no_wrap=True)  # names are to be copied
    table.add_column("description", overflow="fold")
    for info in found:
        table.add_row(info.name, info.domain, str(info.revision), "\n".join(info.tables), info.description)
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
    config = current_settings()
    spec, table = find_table(known_datasets(config), name)
    fields = config_fields(settings or [], seed, base_daily_volume)
    if fields:
        spec = replace(spec, config=spec.config.changed(fields))
    lake = open_lake(config, output)
    if table.kind == "dimension":
        spec = replace(spec, start_date=days[0])
        with interruptible():
            partition = write_dimension(lake, spec, table.name, days[-1], if_exists=if_exists.value)
        say(f"{plural(partition.rows, 'row')} in {partition.path}")
        return
    if table.kind == "labels":  # of the dataset's events, or of those that were generated from an earlier day on
        spec = replace(spec, start_date=min(spec.start_date, days[0]))
    stored = written = rows = 0
    with interruptible(), counting(f"{spec.name}/{table.name}", len(days)) as advance:
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
    settings = current_settings()
    spec, table = find_table(known_datasets(settings), dataset)
    from simtom_pipelines.run import materialize_range

    total = len(days) if table.kind != "dimension" else 1
    stored = 0

    def count() -> None:
        nonlocal stored
        stored += 1
        advance()

    with interruptible(), counting(f"{spec.name}/{table.name}", total) as advance:
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

    settings = current_settings()
    day = as_of.date()
    target = output or Path(f"{dataset}-as-of-{day}.parquet")
    frame = known_by(
        dataset,
        day,
        start=start and start.date(),
        end=end and end.date(),
        lake=open_lake(settings, lake),
        datasets=known_datasets(settings),
    )
    rows = write_snapshot(frame, target)
    say(f"{plural(rows, 'row')} as known on {day} in {target}")


# -- streams and the service -------------------------------------------------------------------------------------------

app.command()(replay)
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


def _days(start: datetime, end: datetime) -> list[date]:
    from datetime import timedelta

    from generators.base import check_day

    first, last = start.date(), end.date()
    if last < first:
        refuse(f"--end {last} is before --start {first}; the end is inclusive and must not be earlier")
    for option, day in (("--start", first), ("--end", last)):
        try:
            check_day(day)
        except ValueError as error:
            refuse(f"{option}: {error}")
    return [first + timedelta(n) for n in range((last - first).days + 1)]


if __name__ == "__main__":
    main()
