"""Refusals as answers: 404 lists the known names, 422 names the field, and nothing that a client sends is a 5xx."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from generators import CalendarError, ConfigError, UnknownNameError
from generators.strict import known_fields
from simtom_pipelines.lake import LakeError
from simtom_pipelines.replay.errors import ReplayError
from simtom_pipelines.storage import StorageError

ModelT = TypeVar("ModelT", bound=BaseModel)

LARGEST_BODY = 1 << 20
_LONGEST_INPUT = 200

log = structlog.get_logger(__name__)


class Problem(HTTPException):
    """A refusal with a text, an HTTP status and what else helps.

    Args:
        status: HTTP status.
        text: What was given, what is allowed, what to do.
        more: Further members of the answer.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(status, text, dict(headers) if headers else None)
        self.more = more


def refuse(field: str, text: str, given: object = None, *, where: str = "body") -> RequestValidationError:
    """Return the 422 of one field; a field of a field is named with a dot."""
    at = (where, *field.split("."))
    return RequestValidationError([{"type": "value_error", "loc": at, "msg": text, "input": given}])


def validated(model: type[ModelT], fields: Mapping[str, Any], *, where: str = "body") -> ModelT:
    """Build a model; what is wrong with it is a 422 that names the field and the known ones.

    Raises:
        RequestValidationError: A field is unknown or its value is not allowed.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        raise RequestValidationError(list(_located(error, model, where))) from None


def _located(error: ValidationError, model: type[BaseModel], where: str) -> Iterable[dict[str, Any]]:
    for item in error.errors(include_url=False, include_context=False):
        found = {**item, "loc": (where, *item["loc"])}
        if item["type"] == "extra_forbidden":
            found["msg"] = f"unknown field; known: {', '.join(known_fields(model, item['loc'][:-1]))}"
        yield found


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request's body; no body is an empty one.

    Raises:
        Problem: The body is too large, or not said to be JSON.
        RequestValidationError: It is no JSON object.
    """
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > LARGEST_BODY:
            raise Problem(413, f"the body is larger than {LARGEST_BODY:,} bytes")
    if not raw.strip():
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Problem(415, f"Content-Type {kind or 'none'!r} given; send the body as Content-Type: application/json")
    try:
        found = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _body(f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _body(f"the body is a JSON {type(found).__name__}; allowed: an object, as in {{}}")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _body(text: str) -> RequestValidationError:
    return RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": text, "input": None}])


def plain(value: object) -> Any:
    """Return a value that every JSON encoder takes, long texts cut."""
    if isinstance(value, bool | int) or value is None:
        return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)[:_LONGEST_INPUT]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)[:_LONGEST_INPUT]


def answer(status: int, content: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer in ASCII, so that half a surrogate that a client sent can be shown too."""
    text = json.dumps(content, allow_nan=False, default=str)
    return Response(text, status, dict(headers) if headers else None, "application/json")


def install(app: FastAPI) -> None:
    """Turn the library's errors into answers."""

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        items = [
            {
                "type": str(item.get("type", "value_error")),
                "loc": [part if isinstance(part, int) else str(part) for part in item.get("loc", ())],
                "msg": str(item.get("msg", "")).removeprefix("Value error, "),
                "input": plain(item.get("input")),
            }
            for item in error.errors()
        ]
        return answer(422, {"detail": items})

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, UnknownNameError)
        return answer(404, {"detail": str(error), "given": plain(error.given), "known": list(error.known)})

    async def unusable(request: Request, error: Exception) -> Response:
        return answer(422, {"detail": [{"type": "value_error", "loc": ["body"], "msg": str(error), "input": None}]})

    async def conflict(request: Request, error: Exception) -> Response:
        log.warning("the lake cannot be read", error=str(error))
        return answer(409, {"detail": str(error)})

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        more = error.more if isinstance(error, Problem) else {}
        return answer(error.status_code, {"detail": error.detail, **more}, error.headers)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(UnknownNameError, known)
    for cannot_be_used in (ConfigError, CalendarError, ReplayError):
        app.add_exception_handler(cannot_be_used, unusable)
    for cannot_be_read in (LakeError, StorageError):
        app.add_exception_handler(cannot_be_read, conflict)
    app.add_exception_handler(HTTPException, problem)
