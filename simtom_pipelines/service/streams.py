"""The streams of a service: who runs, who is given up, and the answer that carries one."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from generators import SimtomError, UnknownNameError
from simtom_pipelines.replay.lending import Lending
from simtom_pipelines.replay.source import Position, Source
from simtom_pipelines.service import memory
from simtom_pipelines.service.account import Ticket
from simtom_pipelines.service.delivery import FINISHED, Delivery
from simtom_pipelines.service.framing import Framing, note
from simtom_pipelines.service.metrics import Kind, StreamMetrics
from simtom_pipelines.service.problems import Problem
from simtom_pipelines.settings import Settings

THREADS = 4
REMEMBERED = 32
"""Streams that ended and are still told of."""

_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Streams:
    """Opens streams within the limits, knows them by id, and ends those whose client takes nothing.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: dict[str, tuple[Delivery, asyncio.Task[None] | None]] = {}
        self._ended: deque[Delivery] = deque(maxlen=REMEMBERED)
        self._number = 0
        self._closing = False
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stream")
        self.lending = Lending()
        self.metrics = StreamMetrics(lambda: [(d.ticket.kind, d.ticket.generator) for d, _ in self._running.values()])

    def open(
        self,
        source: Source,
        framing: Framing,
        *,
        kind: Kind,
        generator: str,
        name: str,
        paced_by: str,
        speed: float | None,
        origin: int | None,
        position: Position,
        total: int | None,
        asked: dict[str, Any],
    ) -> Delivery:
        """Make a stream, ready to run; without a total it ends at the limit of the service.

        Raises:
            Problem: There are as many streams as are allowed, or the service is ending.
        """
        limit = self._settings.max_streams
        if self._closing:
            raise Problem(503, "the service is ending", {"Retry-After": "5"})
        if limit and len(self._running) >= limit:
            self.metrics.failed(generator, "too many streams")
            text = f"{limit} streams run, as many as SIMTOM_MAX_STREAMS allows; try again when one has ended"
            raise Problem(429, text, {"Retry-After": "5"})
        self._number += 1
        # The number is for people; the rest keeps the controls of a stream with those who were told its id.
        ticket = Ticket(
            f"{self._number}-{os.urandom(6).hex()}", kind, generator, name, paced_by, framing.media_type, asked
        )
        delivery = Delivery(
            ticket,
            source,
            framing,
            speed=speed,
            origin=origin,
            position=position,
            total=total or self._settings.max_records or None,
            when_total=FINISHED if total else f"limit of {self._settings.max_records} records",
            threads=self.threads,
            metrics=self.metrics,
            crowd=lambda: len(self._running),
        )
        self._running[ticket.id] = (delivery, None)
        self.metrics.opened(kind, generator)
        return delivery

    async def run(self, delivery: Delivery, receive: Receive, send: Send) -> None:
        """Deliver a stream to its client and end with it, whoever of the two ends first."""
        ticket = delivery.ticket

        async def write(data: bytes | memoryview) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        runner = asyncio.create_task(delivery.run(write))
        watcher = asyncio.create_task(_gone(receive))
        self._running[ticket.id] = (delivery, runner)
        seconds = self._settings.max_seconds
        timer = (
            asyncio.get_running_loop().call_later(seconds, delivery.stop, f"limit of {seconds} seconds")
            if seconds
            else None
        )
        try:
            await asyncio.wait({runner, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if not runner.done():
                delivery.stop("client disconnected")
                await asyncio.wait({runner}, timeout=_GRACE_SECONDS)
        finally:
            runner.cancel()
            watcher.cancel()
            if timer is not None:
                timer.cancel()
            await asyncio.wait({runner, watcher})
            self._running.pop(ticket.id, None)
            self._ended.append(delivery)
            self._tell(delivery)
        if delivery.reason in ("client disconnected", "client took nothing"):
            return
        if delivery.framing.events:
            text = _failure(delivery) if delivery.failure is not None else delivery.reason
            await write(note("end", reason=text, records=delivery.account.records))
        elif delivery.failure is not None:
            return  # the answer stays incomplete, so that nobody takes it for a whole one
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _tell(self, delivery: Delivery) -> None:
        ticket, failure = delivery.ticket, delivery.failure
        fields = {
            "stream": ticket.id, "kind": ticket.kind, "name": ticket.name, "records": delivery.account.records,
            "bytes": delivery.account.bytes, "reason": delivery.reason,
        }  # fmt: skip
        if failure is None:
            log.info("stream ended", **fields)
        elif isinstance(failure, SimtomError):
            self.metrics.failed(ticket.generator, type(failure).__name__)
            log.warning("stream broke", error=str(failure), **fields)
        else:
            self.metrics.failed(ticket.generator, type(failure).__name__)
            log.error("stream broke", exc_info=failure, **fields)

    async def look_after(self) -> None:
        """Give up clients that take nothing and memory that nobody uses, once a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._running:
                await loop.run_in_executor(None, memory.release)
            for delivery, runner in list(self._running.values()):
                blocked = delivery.blocked_since
                if runner is not None and blocked is not None and loop.time() - blocked > self._settings.client_timeout:
                    delivery.stop("client took nothing")
                    runner.cancel()

    def find(self, stream: str) -> Delivery:
        """Return a stream by id, also one that ended not long ago.

        Raises:
            UnknownNameError: No such stream.
        """
        found = self._running.get(stream)
        if found is not None:
            return found[0]
        for delivery in self._ended:
            if delivery.ticket.id == stream:
                return delivery
        raise UnknownNameError("stream", stream, list(self._running))

    def running(self) -> list[Delivery]:
        """Return the streams that run, in the order in which they began."""
        return [delivery for delivery, _ in self._running.values()]

    def ended(self) -> list[Delivery]:
        """Return the streams that ended last."""
        return list(self._ended)

    def stop_all(self, reason: str) -> None:
        """End every stream and open no other."""
        self._closing = True
        for delivery in self.running():
            delivery.stop(reason)

    def close(self) -> None:
        """Release the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)


def _failure(delivery: Delivery) -> str:
    """Return what may be said of a failure: the library's own errors are made for people, others are for the log."""
    failure = delivery.failure
    return str(failure) if isinstance(failure, SimtomError) else "internal error; see the service's log"


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class StreamAnswer(Response):
    """The answer whose body is a stream.

    Args:
        streams: Where it is registered.
        delivery: The stream.
        headers: Further headers.
    """

    def __init__(self, streams: Streams, delivery: Delivery, headers: Mapping[str, str] | None = None) -> None:
        self._streams, self._delivery = streams, delivery
        self.status_code, self.background = 200, None
        self.media_type, self.body = delivery.framing.media_type, b""
        fixed = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", "X-Stream-Id": delivery.ticket.id}
        if delivery.total is not None:
            fixed["X-Record-Limit"] = str(delivery.total)
        self.init_headers({**fixed, **(headers or {})})
        with suppress(KeyError):
            del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then the stream."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._streams.run(self._delivery, receive, send)
