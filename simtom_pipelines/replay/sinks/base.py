"""What a replay asks of the place that its records go to."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

GRACE_SECONDS = 0.4
"""After a stop, how long records that are on their way may take to be acknowledged."""


class Sink(Protocol):
    """Takes encoded records in order and says when they are safe.

    Errors are `SinkError`; `SinkClosed` where the consumer went away. The replay calls everything from one thread.

    Records are all that a sink is given. One that needs a field (a key, the event time) reads it from the record with
    `simtom_pipelines.replay.sinks.record.Field`: so it goes by what the consumer will see, whatever was done to the
    record on its way, and a replay of several tables needs no further agreement.
    """

    def open(self, stop: threading.Event) -> None:
        """Get ready. Once `stop` is set, a blocked `send` or `flush` returns within half a second."""
        ...

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        """Take the records i to j - 1; record k is ``buffer[offsets[k]:offsets[k + 1]]``. Blocks under back-pressure.

        The newline at the end belongs to the record. Buffer and offsets never change afterwards, so a sink may keep
        them instead of a copy.

        Returns:
            How many records were taken: j - i, or fewer where the stop event was set meanwhile.
        """
        ...

    def poll(self) -> None:
        """Acknowledge what became safe, without waiting for a consumer; called four times a second.

        A consumer over a network would make records late if each call waited for it. A disk is waited for.
        """
        ...

    def flush(self) -> None:
        """Make everything taken safe, and acknowledge it; waits. Called at the end of a run."""
        ...

    def acked(self) -> int:
        """Return how many records since `open` are safe with the consumer, all before them too.

        The cursor never passes them.
        """
        ...

    def close(self) -> None:
        """Release everything; never raises for a consumer that is gone."""
        ...
