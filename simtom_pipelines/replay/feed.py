"""A thread that reads and encodes ahead of the pacer, through a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType

from simtom_pipelines.replay.encoder import Chunk

_QUEUE_CHUNKS = 6
"""At 8,192 records of 1 kB a chunk: 50 MB read ahead at most."""

_CHECK_SECONDS = 0.05


class Feed:
    """Runs an iterator of chunks in a thread of its own; use as a context manager.

    Args:
        chunks: What to run.
        stop: Ends the iteration of the consumer.
    """

    def __init__(self, chunks: Iterator[Chunk], stop: threading.Event) -> None:
        self._chunks, self._stop = chunks, stop
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

    def __iter__(self) -> Iterator[Chunk]:
        """Yield the chunks; end early when the stop event is set; raise what the thread raised."""
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_CHECK_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                self.exhausted = True
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def _produce(self) -> None:
        try:
            for chunk in self._chunks:
                if not self._put(chunk):
                    return
            self._put(None)
        except BaseException as error:  # polars panics are no Exceptions; all of them are raised in the consumer
            self._put(error)

    def _put(self, item: Chunk | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_CHECK_SECONDS)
                return True
            except queue.Full:
                continue
        return False
