"""The service as a process: uvicorn with sockets that notice clients which vanished."""

from __future__ import annotations

import asyncio
import signal
import socket
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from generators import SimtomError
from simtom_pipelines import logs
from simtom_pipelines.service.app import create_app
from simtom_pipelines.settings import Settings

GRACE_SECONDS = 10
"""Seconds that open streams have to end when the service is stopped."""

_PROBE_SECONDS, _PROBES = 10, 3

log = structlog.get_logger(__name__)


class ServerError(SimtomError):
    """The service cannot start."""


class Server(uvicorn.Server):
    """Uvicorn that ends the streams when it is told to stop; they would hold it up otherwise."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self.loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until stopped."""
        self.loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams on SIGINT and SIGTERM; a second SIGINT ends the process at once."""
        super().handle_exit(sig, frame)
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._end_streams, signal.Signals(sig).name)

    def _end_streams(self, name: str) -> None:
        log.info("stopping", signal=name)
        self._app.state.context.streams.stop_all("the service is ending")


def serve(settings: Settings) -> None:
    """Run the service until it is stopped.

    Raises:
        ServerError: The address cannot be listened on.
        DatasetsError: datasets.yaml cannot be used.
    """
    logs.configure(settings)
    app = create_app(settings)
    listening = listen(settings)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    log.info(
        "listening",
        url=f"http://{shown}:{port}",
        lake=settings.lake,
        compat=settings.compat,
        token=settings.token is not None,
    )
    config = uvicorn.Config(
        app,
        loop="asyncio",  # uvloop's timers wake early
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
    Server(config, app).run([listening])


def listen(settings: Settings) -> socket.socket:
    """Return a listening socket whose connections end when their client has vanished without a word."""
    listening: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", _PROBE_SECONDS),
            ("TCP_KEEPINTVL", _PROBE_SECONDS),
            ("TCP_KEEPCNT", _PROBES),
            ("TCP_USER_TIMEOUT", int((settings.client_timeout + _PROBE_SECONDS) * 1000)),
        ):
            if hasattr(socket, option):
                listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        listening.bind(address)
        listening.listen(2_048)
    except OSError as error:
        if listening is not None:
            listening.close()
        where = f"SIMTOM_HOST {settings.host!r} and SIMTOM_PORT {settings.port}"
        raise ServerError(f"{where} cannot be listened on: {error.strerror or error}") from None
    return listening
