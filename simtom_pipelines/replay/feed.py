"""A thread that reads and encodes ahead of the pacer, through a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from types import TracebackType

from simtom_pipelines.replay.source import Chunk

_QUEUE_CHUNKS = 6
"""At 2,048 records of 1 kB a chunk: 12 MB read ahead at most."""

_CHECK_SECONDS = 0.05


class Feed:
    """Runs an iterator of chunks in a thread of its own; use as a context manager.

    Args:
        chunks: What to run; a generator is closed in that thread.

    Attributes:
        exhausted: Whether everything was handed out.
    """

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self._queue: queue.Queue[Chunk | BaseException | None] = queue.Queue(_QUEUE_CHUNKS)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="replay-feed", daemon=True)
        self.exhausted = False

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    def get(self) -> Chunk | None:
        """Return the next chunk, or None: at the end, which `exhausted` tells, or after 50 ms without one.

        Raises what the thread raised.
        """
        if self.exhausted:
            return None
        try:
            item = self._queue.get(timeout=_CHECK_SECONDS)
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        self.exhausted = item is None
        return item

    def _produce(self) -> None:
        try:
            for chunk in self._chunks:
                if not self._put(chunk):
                    break
            else:
                self._put(None)
        except BaseException as error:  # polars panics are no Exceptions; all of them are raised in the consumer
            self._put(error)
        finally:
            if isinstance(self._chunks, Generator):
                self._chunks.close()

    def _put(self, item: Chunk | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_CHECK_SECONDS)
                return True
            except queue.Full:
                continue
        return False
