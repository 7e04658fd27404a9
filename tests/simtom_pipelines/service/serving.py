"""A service in a thread, on a port of its own, and clients that read it as users do."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from simtom_pipelines.service import create_app
from simtom_pipelines.service.server import Server, listen
from simtom_pipelines.service.streams import Streams
from simtom_pipelines.settings import Settings

DAY = "2024-11-28"
SMALL = {"base_daily_volume": 60, "seed": 3, "start_date": DAY}

DATASETS = f"""\
datasets:
  - name: bnpl
    start_date: {DAY}
    config: {{base_daily_volume: 60, seed: 3}}
  - name: calm
    generator: bnpl
    start_date: {DAY}
    config: {{include_holiday_patterns: false}}
"""


@dataclass
class Service:
    """A running service."""

    port: int
    client: httpx.Client
    streams: Streams
    loop: asyncio.AbstractEventLoop

    def end(self) -> None:
        """End the streams, as a signal does."""
        self.loop.call_soon_threadsafe(self.streams.stop_all, "the service is ending")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.client.post(path, json={} if body is None else body, **more)

    def running(self) -> list[dict[str, Any]]:
        return list(self.get("/streams").json()["running"])

    @contextmanager
    def opened(self, path: str, body: dict[str, Any], **more: Any) -> Iterator[tuple[str, Iterator[str]]]:
        """Open a stream; gives its id and its lines."""
        with self.client.stream("POST", path, json=body, **more) as answer:
            assert answer.status_code == 200, answer.read()
            yield answer.headers["X-Stream-Id"], answer.iter_lines()


@contextmanager
def serving(folder: Path, datasets: str = DATASETS, **fields: Any) -> Iterator[Service]:
    """Run a service over a folder."""
    (folder / "datasets.yaml").write_text(datasets)
    paths = {"lake": str(folder / "lake"), "datasets": folder / "datasets.yaml"}
    settings = Settings(**{"port": 0, **paths, **fields})
    app = create_app(settings)
    listening = listen(settings)
    port = listening.getsockname()[1]
    config = uvicorn.Config(app, loop="asyncio", lifespan="on", log_config=None, timeout_graceful_shutdown=3)
    server = Server(config, app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    wait(lambda: server.started, 30, "the service answers")
    token = {"Authorization": f"Bearer {fields['token']}"} if "token" in fields else {}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=token, timeout=30) as client:
            assert server.loop is not None
            service = Service(port, client, app.state.context.streams, server.loop)
            yield service
    finally:
        service.end()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def records(lines: Iterator[str] | str) -> list[dict[str, Any]]:
    """Return the records of NDJSON lines."""
    found = lines.splitlines() if isinstance(lines, str) else lines
    return [json.loads(line) for line in found]


def events(text: str) -> list[dict[str, str]]:
    """Return server-sent events as a browser reads them."""
    found = []
    for block in text.split("\n\n"):
        fields = [line.partition(": ") for line in block.splitlines() if line and not line.startswith(":")]
        if fields:
            found.append({name: value for name, _, value in fields})
    return found


def raw(port: int, path: str, body: dict[str, Any]) -> socket.socket:
    """Return a connection on which a stream was asked for, for clients that misbehave."""
    connection = socket.create_connection(("127.0.0.1", port))
    content = json.dumps(body)
    head = ["POST " + path + " HTTP/1.1", "Host: test", "Content-Type: application/json"]
    connection.sendall("\r\n".join([*head, f"Content-Length: {len(content)}", "", content]).encode())
    return connection
