"""The cursor: where a replay goes on, written only after the sink acknowledged."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from simtom_pipelines.replay.errors import CursorError

_VERSION = 1


@dataclass(frozen=True)
class Cursor:
    """A position in a replay.

    Attributes:
        dataset: Dataset and
        table: table that it belongs to.
        window: Range and filter of the replay (`ReplayRequest.identity`).
        day: Partition of the next record, ISO; None before the first.
        row: Row number in it of the next record.
        cycle: Turn of the loop.
        fingerprint: Fingerprint of that partition.
        finished: Whether everything was emitted.
    """

    dataset: str
    table: str
    window: str
    day: str | None = None
    row: int = 0
    cycle: int = 0
    fingerprint: str | None = None
    finished: bool = False

    @property
    def date(self) -> date | None:
        """The partition as a date."""
        return None if self.day is None else date.fromisoformat(self.day)


def load(path: Path) -> Cursor | None:
    """Return the cursor in a file; None where there is no file.

    Raises:
        CursorError: The file is not a cursor.
    """
    try:
        found: Any = json.loads(path.read_bytes())
        if found.pop("version") != _VERSION:
            raise ValueError(f"its version is not {_VERSION}")
        cursor = Cursor(**found)
        if cursor.date is not None and not (isinstance(cursor.row, int) and cursor.row >= 0):
            raise ValueError(f"row is {cursor.row!r}")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CursorError(f"cursor {path} cannot be read: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CursorError(f"{path} is not a replay cursor ({error}); remove it to replay from the start") from error
    return cursor


def save(path: Path, cursor: Cursor, *, durable: bool) -> None:
    """Write the cursor beside `path` and rename it into place, so that a kill leaves the old one or the new one.

    Args:
        path: The file.
        cursor: What to write.
        durable: Force it to the disk first, against a power cut; slow, so only at the end of a run.

    Raises:
        CursorError: The file cannot be written.
    """
    text = json.dumps({"version": _VERSION} | asdict(cursor), indent=1)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w") as file:
            file.write(text + "\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CursorError(f"cursor {path} cannot be written: {error}") from error


def check(cursor: Cursor, dataset: str, table: str, window: str, path: Path) -> None:
    """Raise CursorError where the cursor belongs to another replay."""
    for name, mine, asked in (
        ("table", f"{cursor.dataset}/{cursor.table}", f"{dataset}/{table}"),
        ("window", cursor.window, window),
    ):
        if mine != asked:
            raise CursorError(
                f"cursor {path} belongs to another replay: its {name} is {mine!r}, asked is {asked!r}; "
                "use another cursor file, or remove this one to replay from the start"
            )


def check_fingerprint(cursor: Cursor, fingerprint: str, path: Path) -> None:
    """Raise CursorError where the partition was made anew from another configuration since."""
    if cursor.fingerprint is not None and cursor.fingerprint != fingerprint:
        raise CursorError(
            f"the data changed since cursor {path} was saved: day {cursor.day} had fingerprint {cursor.fingerprint}, "
            f"now {fingerprint}; resuming would mix two histories. Materialise the old configuration again, or remove "
            "the cursor to replay from the start"
        )
