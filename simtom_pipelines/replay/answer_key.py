"""The answer key of injected delivery faults: one JSON line a fault, in the order of delivery, no fault twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from simtom_pipelines.replay.errors import ReplayError


class AnswerKey:
    """Writes the key; use as a context manager.

    A run that resumes goes on with it: what it says of records from `arrived` on is cut off, for they are delivered
    again.

    Args:
        path: The file.
        arrived: Number of the next record that is delivered; 0 begins the key anew.

    Raises:
        ReplayError: The file cannot be written, or is no answer key.
    """

    def __init__(self, path: Path, arrived: int) -> None:
        self.path = path
        self._file = self._open(arrived)

    def _open(self, arrived: int) -> BinaryIO:
        try:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
            try:
                keep = _kept(file, arrived)
                file.seek(keep)
                file.truncate()
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise ReplayError(f"answer_key {self.path} cannot be written: {error}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise ReplayError(
                f"{self.path} exists and is no answer key of a replay; choose another answer_key"
            ) from error
        return file

    def __enter__(self) -> AnswerKey:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, lines: Iterable[str]) -> None:
        """Add lines."""
        try:
            self._file.writelines(line.encode() + b"\n" for line in lines)
        except OSError as error:
            raise ReplayError(f"answer_key {self.path} cannot be written: {error}") from error

    def flush(self) -> None:
        """Hand what was added to the system, so that a cursor never is ahead of the key."""
        try:
            self._file.flush()
        except OSError as error:
            raise ReplayError(f"answer_key {self.path} cannot be written: {error}") from error


def _kept(file: BinaryIO, arrived: int) -> int:
    """Return the bytes of the entries of records before `arrived`; half a line of a killed run is not among them."""
    keep = 0
    for line in file:
        if not line.endswith(b"\n") or int(json.loads(line)["arrived"]) >= arrived:
            break
        keep += len(line)
    return keep
