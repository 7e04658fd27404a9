"""One stream on its way to one client: made and framed in threads, paced by the event loop, steered while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from simtom_pipelines.replay.source import Chunk, Position, Source
from simtom_pipelines.service.account import Account, Ticket
from simtom_pipelines.service.framing import KEEP_ALIVE, Framing
from simtom_pipelines.service.metrics import StreamMetrics
from simtom_pipelines.service.schedule import Schedule

LARGEST_SEND = 1 << 18
"""Bytes of one write: what a slow client makes the server hold beside its chunks."""

QUANTUM_SECONDS = 0.0005
"""Between two writes of one stream at least; one write carries every record that is due."""

QUANTUM_PER_STREAM = 0.000_2
"""Added to the quantum for every stream that runs: the writes a second are bounded, whatever the number of clients."""

AHEAD_SECONDS = 1.5
"""The next chunk is made this long before the last record of the one at hand is due."""

FINISHED = "finished"
"""Why a stream ended that delivered everything."""

_KEEP_ALIVE_SECONDS = 15.0

Write = Callable[[bytes | memoryview], Awaitable[None]]

log = structlog.get_logger(__name__)


class Delivery:
    """Paces a source to a client.

    Everything but `_next` runs in the event loop. The next chunk is made shortly before it is due, and a write waits
    for the client, so a slow client holds two chunks and one write, and its source stands still.

    Args:
        ticket: What the stream is.
        source: Where chunks come from.
        framing: Form of the records.
        speed: Seconds of the schedule in a second; None: as fast as possible.
        origin: Place on the schedule that is due at the beginning; None: that of the first record.
        position: Where to begin.
        total: Records after which the stream ends, those before `position` counted; None: when the source does.
        when_total: The reason that is told when it ends so.
        threads: Where chunks are made.
        metrics: Counters to fill.
        crowd: Returns the number of streams that run, for the quantum.
    """

    def __init__(
        self,
        ticket: Ticket,
        source: Source,
        framing: Framing,
        *,
        speed: float | None,
        origin: int | None,
        position: Position,
        total: int | None,
        when_total: str = FINISHED,
        threads: Executor,
        metrics: StreamMetrics,
        crowd: Callable[[], int],
    ) -> None:
        self.ticket, self.framing, self.total = ticket, framing, total
        self._source, self._threads, self._crowd, self._when_total = source, threads, crowd, when_total
        self._loop = asyncio.get_running_loop()
        self._schedule = Schedule(self._loop.time(), speed, origin)
        self.account = Account(ticket, metrics, self._loop.time())
        self._position, self._before = position, position.arrived
        self._chunks: Iterator[Chunk] = iter(())
        self._pending: asyncio.Future[Chunk | None] | None = None
        self._steps = 0
        self._jump: Position | None = None
        self._reason: str | None = None
        self._failure: BaseException | None = None
        self._alarm: asyncio.Future[None] | None = None
        self._wake = float("-inf")
        self.blocked_since: float | None = None

    # -- controls -------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stand still; the schedule stands still with it."""
        self._schedule.pause(self._loop.time())
        self._ring()

    def resume(self) -> None:
        """Go on where it stood: the pause makes no record late. Steps not yet made are forgotten."""
        self._schedule.resume(self._loop.time())
        self._steps = 0
        self._ring()

    def step(self, records: int) -> None:
        """Send the next records at once, and stay paused."""
        self.pause()
        self._steps += records
        self._ring()

    def set_speed(self, speed: float | None) -> None:
        """Change the speed from this moment on; None: as fast as possible."""
        self._schedule.set_speed(self._loop.time(), speed)
        self._ring()

    async def seek(self, moment: date | datetime) -> None:
        """Go on with the first record at or after a moment.

        Raises:
            ReplayError: The moment is outside the source.
        """
        found = await self._loop.run_in_executor(self._threads, self._source.seek, moment)
        done = self._position.arrived
        self._jump = replace(found, stored=done, arrived=done + found.skip)
        self._ring()

    def stop(self, reason: str) -> None:
        """End the stream after the write at hand; the first reason counts."""
        if self._reason is None:
            self._reason = reason
            self._ring()

    @property
    def running(self) -> bool:
        """Whether the stream has not ended."""
        return self.account.ended is None

    @property
    def state(self) -> str:
        """``running``, ``paused`` or ``ended``."""
        if not self.running:
            return "ended"
        return "paused" if self._schedule.paused else "running"

    @property
    def reason(self) -> str | None:
        """Why it ended."""
        return self._reason

    @property
    def failure(self) -> BaseException | None:
        """What broke it."""
        return self._failure

    def snapshot(self) -> dict[str, Any]:
        """Return the state for people and programs."""
        now = self._loop.time()
        place = self._schedule.reached(now) if self.running and self.ticket.paced_by == "time" else None
        state = {"state": self.state, "reason": self._reason, "speed": self._schedule.speed}
        return self.account.told(now, place) | state

    # -- delivering -----------------------------------------------------------------------------------------------

    async def run(self, write: Write) -> None:
        """Deliver until the source ends, a control stops it, or something breaks; never raises but on cancellation."""
        try:
            while self._reason is None and await self._pass(write):
                pass
            self._reason = self._reason or FINISHED
        except asyncio.CancelledError:
            self._reason = self._reason or "cancelled"
            raise
        except Exception as error:
            self._failure, self._reason = error, "failed"
        finally:
            self.account.ended = self._loop.time()
            self.account.settle()

    async def _pass(self, write: Write) -> bool:
        """Deliver from the position on; return whether to go on at another one."""
        self._chunks = self._source.chunks(self._position)
        skip = self._position.skip
        try:
            while not self._interrupted():
                chunk = await self._made(self._ahead())
                if chunk is None:  # the end, or a control while the next chunk is still being made
                    break
                self._pending = None
                if skip:
                    passed = min(skip, len(chunk))
                    skip, chunk = skip - passed, chunk.tail(passed)
                if len(chunk):
                    await self._deliver(chunk, write)
        finally:
            _keep(asyncio.ensure_future(self._close(self._chunks, self._pending)))
            self._pending = None
        return self._reason is None and self._jumped()

    def _jumped(self) -> bool:
        """Move to where a seek pointed; return whether there was one."""
        if self._jump is None:
            return False
        self._position, self._jump = self._jump, None
        self._schedule.restart()
        return True

    def _interrupted(self) -> bool:
        return self._reason is not None or self._jump is not None

    def _ahead(self) -> asyncio.Future[Chunk | None]:
        """Begin to make the next chunk, unless that has begun."""
        if self._pending is None:
            self._pending = self._loop.run_in_executor(self._threads, self._next, self._chunks)
        return self._pending

    def _next(self, chunks: Iterator[Chunk]) -> Chunk | None:
        """Make and frame the next chunk; runs in a thread."""
        try:
            chunk = next(chunks, None)
        except BaseException as error:  # a panic of polars is no Exception, and an executor lets it pass
            if isinstance(error, Exception):
                raise
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        return None if chunk is None else self.framing.frame(chunk)

    async def _made(self, ahead: asyncio.Future[Chunk | None]) -> Chunk | None:
        """Wait for a chunk, or for a control that makes it unnecessary."""
        while not ahead.done():
            alarm = self._set_alarm(None)
            ahead.add_done_callback(partial(_ring_it, alarm))
            await alarm
            if self._interrupted():
                return None
        return ahead.result()

    async def _close(self, chunks: Iterator[Chunk], pending: asyncio.Future[Chunk | None] | None) -> None:
        if pending is not None:
            with suppress(Exception):
                await pending
        close = getattr(chunks, "close", None)
        if close is None:
            return
        try:
            await self._loop.run_in_executor(self._threads, close)
        except Exception as error:
            log.warning("a source could not be closed", stream=self.ticket.id, exc_info=error)

    async def _deliver(self, chunk: Chunk, write: Write) -> None:
        i, count = 0, len(chunk)
        if self.total is not None:
            count = min(count, self.total - self._done)
        due, known = self._schedule.due(chunk.due, 0, self._loop.time()), self._schedule.changes
        while i < count and not self._interrupted():
            now = self._loop.time()
            if self._schedule.changes != known:
                due, known = self._schedule.due(chunk.due, i, now), self._schedule.changes
            if due is None or due[-1] - now < AHEAD_SECONDS:
                self._ahead()
            j = self._until(chunk, due, i, count, now)
            if j == i:
                await self._sleep(None if due is None or self._schedule.paused else self._next_wake(due[i]), write)
                continue
            stepped = self._schedule.paused
            await self._send(chunk, i, j, write)
            # A write that could not carry everything due, at the end of a chunk, is followed by the next at once.
            self._wake = now if due is not None and j < count and due[j] > now else float("-inf")
            if due is not None and not stepped:
                self.account.late(self._loop.time(), due[i:j])
            i = j
        if self.total is not None and self._done >= self.total:
            self.stop(self._when_total)

    @property
    def _done(self) -> int:
        return self._before + self.account.records

    def _until(self, chunk: Chunk, due: NDArray[np.float64] | None, i: int, count: int, now: float) -> int:
        """Return the record before which to stop now: everything due, a step, or nothing."""
        if self._schedule.paused:
            j = min(i + self._steps, count)
        elif due is None:
            j = count
        elif now < self._wake + self._quantum():
            j = i
        else:
            j = min(int(np.searchsorted(due, now, "right")), count)
        if j > i + 1:
            limit = int(np.searchsorted(chunk.offsets, chunk.offsets[i] + LARGEST_SEND, "right")) - 1
            j = max(i + 1, min(j, limit))
        if self._schedule.paused:
            self._steps -= j - i
        return max(i, j)

    def _next_wake(self, due: float) -> float:
        return max(float(due), self._wake + self._quantum())

    def _quantum(self) -> float:
        return QUANTUM_SECONDS + QUANTUM_PER_STREAM * self._crowd()

    async def _send(self, chunk: Chunk, i: int, j: int, write: Write) -> None:
        piece = chunk.buffer[int(chunk.offsets[i]) : int(chunk.offsets[j])]
        await self._written(bytes(piece), write)
        self._position = chunk.position(j)
        self.account.sent(j - i, len(piece), int(chunk.times[j - 1]))
        if self._schedule.speed is None:
            await asyncio.sleep(0)  # a client that keeps up never makes a write wait: the others have their turn

    async def _written(self, data: bytes, write: Write) -> None:
        self.blocked_since = self._loop.time()
        await write(data)
        self.blocked_since = None

    # -- sleeping -------------------------------------------------------------------------------------------------

    def _set_alarm(self, when: float | None) -> asyncio.Future[None]:
        alarm: asyncio.Future[None] = self._loop.create_future()
        if when is not None:
            self._loop.call_at(when, _ring_it, alarm)
        self._alarm = alarm
        return alarm

    def _ring(self) -> None:
        if self._alarm is not None:
            _ring_it(self._alarm)

    async def _sleep(self, when: float | None, write: Write) -> None:
        """Sleep to a moment or a control, at most until it is time for a sign of life."""
        limit = self._loop.time() + _KEEP_ALIVE_SECONDS
        await self._set_alarm(limit if when is None else min(when, limit))
        if self.framing.events and self._loop.time() >= limit and self._reason is None:
            await self._written(KEEP_ALIVE, write)


def _ring_it(alarm: asyncio.Future[None], _: object = None) -> None:
    if not alarm.done():
        alarm.set_result(None)


_closing: set[asyncio.Future[None]] = set()


def _keep(task: asyncio.Future[None]) -> None:
    """Hold a task until it is done: the loop itself keeps only weak references."""
    _closing.add(task)
    task.add_done_callback(_closing.discard)
