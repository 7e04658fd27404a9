"""What a replay asks of the place that its records go to."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Sink(Protocol):
    """Takes encoded records in order and says when they are safe.

    Errors are `SinkError`; `SinkClosed` where the consumer went away. The replay calls everything from one thread.
    """

    def open(self, stop: threading.Event) -> None:
        """Get ready. Once `stop` is set, a blocked `send` or `flush` returns within half a second."""
        ...

    def send(self, buffer: memoryview, offsets: NDArray[np.int64], i: int, j: int) -> int:
        """Take the records i to j - 1; record k is ``buffer[offsets[k]:offsets[k + 1]]``. Blocks under back-pressure.

        Returns:
            How many records were taken: j - i, or fewer where the stop event was set meanwhile.
        """
        ...

    def flush(self) -> None:
        """Make everything taken safe, and acknowledge it."""
        ...

    def acked(self) -> int:
        """Return how many records since `open` are safe with the consumer: the cursor never passes them."""
        ...

    def close(self) -> None:
        """Release everything; never raises for a consumer that is gone."""
        ...
