"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SeedOption = Annotated[int | None, typer.Option(help="Seed of every draw.")]
VolumeOption = Annotated[int | None, typer.Option(help="Rows on an ordinary day.")]
FieldOptions = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A config field, or group.field; the value is read as YAML."),
]
TargetOption = Annotated[
    str,
    typer.Option(
        "--output",
        "--to",
        help="Where to: - for stdout, a file, kafka://, redis://, nats://, http://; see docs/sinks.",
    ),
]
SinkOptions = Annotated[
    list[str] | None, typer.Option("--sink-option", metavar="KEY=VALUE", help="An option of the sink; repeatable.")
]
CursorOption = Annotated[Path | None, typer.Option(help="File to resume from and keep current.")]
LakeOption = Annotated[str | None, typer.Option("--lake", help="Root of the lake; default: SIMTOM_LAKE or ./lake.")]
