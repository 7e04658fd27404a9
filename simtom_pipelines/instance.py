"""The Dagster instance of this project: its home folder, made on first use, without a wall of logs."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from generators.errors import SimtomError

if TYPE_CHECKING:
    from dagster import DagsterInstance

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that holds workspace.yaml, dagster.yaml and datasets.yaml."""

TEMPLATE = PROJECT / "dagster.yaml"


class InstanceError(SimtomError):
    """A DAGSTER_HOME that cannot be used."""


def dagster_home(home: str | Path | None = None) -> Path:
    """Return DAGSTER_HOME, made and filled with dagster.yaml where it was missing, and exported to this process.

    Args:
        home: The folder; default: the environment's DAGSTER_HOME, or ``.dagster_home`` inside the project (in the
            current folder where the package is installed away from its project).

    Raises:
        InstanceError: The folder cannot be made or written.
    """
    project = PROJECT if TEMPLATE.is_file() else Path.cwd()
    given = home or os.environ.get("DAGSTER_HOME") or project / ".dagster_home"
    folder = Path(given).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / "dagster.yaml"
        if not target.exists():
            if TEMPLATE.is_file():
                shutil.copyfile(TEMPLATE, target)
            else:  # installed as a wheel, away from the project's files
                target.write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n")
    except OSError as error:
        raise InstanceError(
            f"DAGSTER_HOME: {str(folder)!r} given, which cannot be written ({error.strerror}); "
            "allowed: a folder that this user may write; set DAGSTER_HOME to one"
        ) from error
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def open_instance(home: str | Path | None = None, *, quiet: bool = True) -> DagsterInstance:
    """Return the instance that the UI shows too; use it as a context manager.

    Args:
        home: See `dagster_home`.
        quiet: Keep Dagster's event log off the terminal; errors stay.

    Raises:
        InstanceError: The folder cannot be used.
    """
    dagster_home(home)
    from dagster import DagsterInstance

    if quiet:
        logging.getLogger("dagster").setLevel(logging.ERROR)
    return DagsterInstance.get()
