"""An HTTP endpoint that takes batches of records and answers what it is told to."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint(ThreadingHTTPServer):
    """Answers with the statuses in `answers` first, then 200; keeps the requests that it accepted."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.heads: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.attempts: list[bytes] = []
        self.drop = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?source=simtom"

    def numbers(self) -> list[int]:
        return [json.loads(line)["n"] for body in self.bodies for line in body.splitlines()]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.attempts.append(body)
        if self.server.drop:
            self.server.drop -= 1
            self.close_connection = True
            return  # no answer at all: what became of the batch nobody knows
        status, headers, text = self.server.answers.pop(0) if self.server.answers else (200, {}, b"ok")
        if status < 300:
            self.server.bodies.append(body)
            self.server.heads.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def running_endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
