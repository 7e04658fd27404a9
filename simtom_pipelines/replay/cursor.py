"""The cursor: where a replay goes on, written only after the sink acknowledged."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simtom_pipelines.replay.errors import CursorError
from simtom_pipelines.replay.source import Mark, Position

_VERSION = 2
_NUMBERS = ("cycle", "skip", "stored", "arrived", "shift")


@dataclass(frozen=True)
class Cursor:
    """What the file holds.

    Attributes:
        identity: What is replayed (`Source.identity`).
        position: The next record.
        finished: Whether everything was emitted.
    """

    identity: str
    position: Position = field(default_factory=Position)
    finished: bool = False


def load(path: Path) -> Cursor | None:
    """Return the cursor in a file; None where there is no file.

    Raises:
        CursorError: The file is not a cursor.
    """
    try:
        found: Any = json.loads(path.read_bytes())
        if found["version"] != _VERSION:
            raise ValueError(f"its version is {found['version']!r}, not {_VERSION}")
        cursor = Cursor(str(found["identity"]), _position(found["position"]), bool(found["finished"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CursorError(f"cursor {path} cannot be read: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CursorError(f"{path} is not a replay cursor ({error}); remove it to replay from the start") from error
    return cursor


def _position(found: dict[str, Any]) -> Position:
    marks = tuple(Mark(**mark) for mark in found.pop("marks"))
    prints = tuple((str(table), str(day), str(value)) for table, day, value in found.pop("fingerprints"))
    for name, value in [*((name, found[name]) for name in _NUMBERS), *((mark.table, mark.row) for mark in marks)]:
        if isinstance(value, bool) or not isinstance(value, int) or (value < 0 and name != "shift"):
            raise ValueError(f"{name} is {value!r}")
    return Position(marks=marks, fingerprints=prints, **found)


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


def check(cursor: Cursor, identity: str, path: Path) -> None:
    """Raise CursorError where the cursor belongs to another replay."""
    if cursor.identity != identity:
        raise CursorError(
            f"cursor {path} belongs to another replay: it is of {cursor.identity!r}, asked is {identity!r}; "
            "use another cursor file, or remove this one to replay from the start"
        )
