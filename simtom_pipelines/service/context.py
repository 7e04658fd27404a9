"""What the routes share: settings, datasets, lake, streams, and how a request asks for its form."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import ParquetLake
from simtom_pipelines.service import compat
from simtom_pipelines.service.framing import EVENT_STREAM, Framing, data_lines, event_stream, ndjson
from simtom_pipelines.service.problems import Problem, refuse
from simtom_pipelines.service.streams import Streams
from simtom_pipelines.settings import Settings


@dataclass(frozen=True)
class Context:
    """A service's parts."""

    settings: Settings
    datasets: Mapping[str, DatasetSpec]
    lake: ParquetLake
    streams: Streams
    clock: Callable[[], float]
    began: float

    def uptime(self) -> float:
        """Return the seconds since the service began."""
        return self.clock() - self.began


def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Service = Annotated[Context, Depends(_context)]

_bearer = HTTPBearer(auto_error=False, description="The service's SIMTOM_TOKEN, where one is set.")


def authorised(service: Service, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> None:
    """Let a request pass where no token is set, or where it carries it.

    Raises:
        Problem: 401.
    """
    token = service.settings.token
    if token is None:
        return
    given = credentials.credentials if credentials is not None else ""
    if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        text = "a bearer token is needed: send Authorization: Bearer with the value of the service's SIMTOM_TOKEN"
        raise Problem(401, text, {"WWW-Authenticate": "Bearer"})


def _compat(
    service: Service,
    form: Annotated[
        str | None, Query(alias="compat", description="`simtom`: answer in the form of simtom's HTTP API.")
    ] = None,
) -> bool:
    if form is None:
        return service.settings.compat
    if form != compat.NAME:
        raise refuse("compat", f"{form!r} given; allowed: {compat.NAME}", form, where="query")
    return True


Compat = Annotated[bool, Depends(_compat)]


def framing_for(request: Request, identity: str, in_compat: bool) -> Framing:
    """Return the form that the Accept header asks for: server-sent events, or NDJSON."""
    if in_compat:
        return data_lines()
    return event_stream(identity) if EVENT_STREAM in request.headers.get("accept", "") else ndjson()


def wants_page(request: Request) -> bool:
    """Return whether a browser asks: HTML before JSON in the Accept header."""
    accept = request.headers.get("accept", "")
    return "text/html" in accept and not 0 <= accept.find("application/json") < accept.find("text/html")
