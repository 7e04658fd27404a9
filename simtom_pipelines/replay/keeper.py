"""Keeps the cursor file current while a replay runs."""

from __future__ import annotations

import threading
from pathlib import Path

from simtom_pipelines.replay import cursor as cursors
from simtom_pipelines.replay.cursor import Cursor
from simtom_pipelines.replay.errors import CursorError


class CursorKeeper:
    """Writes cursors in a thread of its own, so that the disk makes no record late; use as a context manager.

    Of several that wait, only the newest is written.

    Args:
        path: The file.
        saved: What it holds.
    """

    def __init__(self, path: Path, saved: Cursor) -> None:
        self._path, self._saved = path, saved
        self._newest = saved
        self._news = threading.Event()
        self._closed = False
        self._error: CursorError | None = None
        self._thread = threading.Thread(target=self._write, name="replay-cursor", daemon=True)

    def __enter__(self) -> CursorKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._news.set()
        self._thread.join()

    def keep(self, cursor: Cursor) -> None:
        """Write this cursor soon.

        Raises:
            CursorError: An earlier one could not be written.
        """
        if self._error is not None:
            raise self._error
        self._newest = cursor
        self._news.set()

    def _write(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            if self._closed:
                return
            newest = self._newest
            if newest == self._saved and self._path.exists():
                continue
            try:
                cursors.save(self._path, newest, durable=False)
            except CursorError as error:
                self._error = error
                return
            self._saved = newest
