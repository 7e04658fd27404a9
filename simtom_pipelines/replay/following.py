"""A stream that follows the world's clock: its first record waits for its moment, too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, datetime

from simtom_pipelines.replay.clock import Clock
from simtom_pipelines.replay.live import LiveSource
from simtom_pipelines.replay.source import Chunk, Position


class Following:
    """Holds back the first record of a live source until it is due, where a replay would send it at once.

    A replay's schedule begins with the first record that is ready; that of a stream from now on began when it was asked
    for.

    Args:
        source: What to follow.
        clock: What to sleep on.
        stop: Ends the waiting.
    """

    def __init__(self, source: LiveSource, clock: Clock, stop: threading.Event) -> None:
        self._source, self._clock, self._stop = source, clock, stop
        self._began = clock.now()

    @property
    def identity(self) -> str:
        """The source's."""
        return self._source.identity

    def chunks(self, position: Position) -> Iterator[Chunk]:
        """Yield the source's chunks, the first one when its first record is due."""
        for n, chunk in enumerate(self._source.chunks(position)):
            rest = chunk.tail(min(position.skip, len(chunk) - 1)) if n == 0 else chunk
            origin = self._source.origin
            if n == 0 and origin is not None:
                wait = (int(rest.due[0]) - origin) / (1e6 * self._source.speed)
                self._clock.sleep_until(self._began + wait, self._stop)
                if self._stop.is_set():
                    return
            yield chunk

    def seek(self, moment: date | datetime) -> Position:
        """As the source."""
        return self._source.seek(moment)

    def check(self, position: Position) -> None:
        """As the source."""
        self._source.check(position)
