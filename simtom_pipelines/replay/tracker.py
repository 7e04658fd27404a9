"""Which position the acknowledged records lead to."""

from __future__ import annotations

from collections import deque

from simtom_pipelines.replay.source import Chunk, Position


class Tracker:
    """Remembers what was sent until it is acknowledged: positions alone, for the records would take much memory.

    Args:
        position: Where the run begins.
    """

    def __init__(self, position: Position) -> None:
        self._position = position
        self._sent = 0
        self._pending: deque[tuple[int, int, Position, int]] = deque()

    @property
    def total(self) -> int:
        """Records that the sink took."""
        return self._sent

    def sent(self, chunk: Chunk, i: int, count: int) -> None:
        """Note that the sink took `count` records of the chunk from record i on."""
        if count:
            self._pending.append((self._sent, count, chunk.begin, i))
            self._sent += count

    def skipped(self, chunk: Chunk, j: int) -> None:
        """Note that the records of the chunk before j need not be sent any more."""
        self._pending.append((self._sent, 0, chunk.begin, j))

    def moved(self, position: Position) -> None:
        """Note that the replay goes on elsewhere."""
        self._pending.append((self._sent, 0, position, 0))

    def position(self, acked: int) -> Position:
        """Return the position after the first `acked` records."""
        reached: tuple[Position, int] | None = None
        while self._pending and self._pending[0][0] + self._pending[0][1] <= acked:
            _, count, place, i = self._pending.popleft()
            reached = place, i + count
        if self._pending and self._pending[0][0] < acked:
            before, _, place, i = self._pending[0]
            reached = place, i + acked - before
        if reached is not None:
            self._position = reached[0].after(reached[1])
        return self._position
