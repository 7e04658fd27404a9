"""The streams that run, and their controls: pause, resume, step, speed, seek, stop."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from generators import SimtomError
from simtom_pipelines.replay.request import parse_moment
from simtom_pipelines.replay.timeline import FASTEST, SLOWEST
from simtom_pipelines.service.context import Context, Service, authorised
from simtom_pipelines.service.delivery import Delivery
from simtom_pipelines.service.problems import Problem, json_object, refuse, validated
from simtom_pipelines.service.requests import hold_limits

router = APIRouter(prefix="/streams", tags=["control"], dependencies=[Depends(authorised)])

_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"description": "Unknown stream; those that run are listed."},
    409: {"description": "The stream has ended."},
    413: {"description": "The body is too large."},
    415: {"description": "The body is not said to be JSON."},
}


class Speed(BaseModel):
    """A new speed; one of the two, as the stream is paced."""

    model_config = ConfigDict(extra="forbid")

    rate_per_second: float | None = Field(default=None, ge=SLOWEST, le=FASTEST, description="Records a second.")
    time_compression: float | None = Field(
        default=None, ge=SLOWEST, le=FASTEST, description="Seconds of event time in a second."
    )
    asap: bool = Field(default=False, description="Replays only: as fast as the client takes it.")


class Moment(BaseModel):
    """Where to go on."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(max_length=64, description="A day, or an instant; without an offset in the zone of the data.")


class Steps(BaseModel):
    """How many records."""

    model_config = ConfigDict(extra="forbid")

    records: int = Field(default=1, ge=1, le=1_000_000, description="Records to send at once.")


def _body(model: type[BaseModel], example: dict[str, Any], required: bool = True) -> dict[str, Any]:
    schema = model.model_json_schema()
    return {
        "requestBody": {"content": {"application/json": {"schema": schema, "example": example}}, "required": required}
    }


def _running(service: Context, stream: str) -> Delivery:
    found = service.streams.find(stream)
    if not found.running:
        raise Problem(409, f"stream {stream} has ended: {found.reason}")
    return found


@router.get("", summary="List streams")
async def streams(service: Service) -> dict[str, Any]:
    """Return the streams that run, and those that ended last."""
    return {
        "running": [delivery.snapshot() for delivery in service.streams.running()],
        "ended": [delivery.snapshot() for delivery in service.streams.ended()],
    }


@router.get("/{stream}", summary="State of a stream", responses=_UNKNOWN)
async def state(stream: str, service: Service) -> dict[str, Any]:
    """Return clock, speed, counts and lateness of a stream."""
    return service.streams.find(stream).snapshot()


@router.post("/{stream}/pause", summary="Pause", responses=_UNKNOWN)
async def pause(stream: str, service: Service) -> dict[str, Any]:
    """Stand still after the write at hand; the schedule stands still too, so no record becomes late."""
    found = _running(service, stream)
    found.pause()
    return found.snapshot()


@router.post("/{stream}/resume", summary="Resume", responses=_UNKNOWN)
async def resume(stream: str, service: Service) -> dict[str, Any]:
    """Go on where the stream stood."""
    found = _running(service, stream)
    found.resume()
    return found.snapshot()


@router.post(
    "/{stream}/step",
    summary="Step",
    responses=_UNKNOWN,
    openapi_extra=_body(Steps, {"records": 3}, required=False),
)
async def step(stream: str, request: Request, service: Service) -> dict[str, Any]:
    """Send the next records at once and stay paused."""
    steps = validated(Steps, await json_object(request))
    found = _running(service, stream)
    found.step(steps.records)
    return found.snapshot()


@router.post(
    "/{stream}/speed", summary="Change speed", responses=_UNKNOWN, openapi_extra=_body(Speed, {"time_compression": 600})
)
@router.post("/{stream}/rate", summary="Change speed", responses=_UNKNOWN, include_in_schema=False)
async def speed(stream: str, request: Request, service: Service) -> dict[str, Any]:
    """Change the speed from this moment on, without a jump."""
    asked = validated(Speed, await json_object(request))
    found = _running(service, stream)
    field = "rate_per_second" if found.ticket.paced_by == "rate" else "time_compression"
    if asked.asap and found.ticket.kind == "live":
        raise refuse("asap", "a generated stream has a speed; only replays run as fast as possible", True)
    value = getattr(asked, field)
    others = {"rate_per_second", "time_compression"} - {field}
    if any(getattr(asked, other) is not None for other in others) or (value is None) == (not asked.asap):
        raise refuse(field, f"this stream is paced by {field}: give that alone", value)
    if found.ticket.kind == "live":
        hold_limits(service.settings, asked.rate_per_second, asked.time_compression, None)
    found.set_speed(value)
    return found.snapshot()


@router.post(
    "/{stream}/seek", summary="Seek", responses=_UNKNOWN, openapi_extra=_body(Moment, {"to": "2024-11-29T18:00"})
)
async def seek(stream: str, request: Request, service: Service) -> dict[str, Any]:
    """Go on with the first record at or after a moment, forwards or backwards; paused stays paused."""
    asked = validated(Moment, await json_object(request))
    found = _running(service, stream)
    try:
        await found.seek(_moment(asked.to))
    except (SimtomError, ValueError, OverflowError) as error:
        raise refuse("to", str(error), asked.to) from None
    return found.snapshot()


def _moment(text: str) -> date | datetime:
    return parse_moment(text)


@router.delete("/{stream}", summary="Stop", responses=_UNKNOWN)
@router.post("/{stream}/stop", summary="Stop", responses=_UNKNOWN, include_in_schema=False)
async def stop(stream: str, service: Service) -> dict[str, Any]:
    """End the stream after the write at hand; the client's answer is complete."""
    found = _running(service, stream)
    found.stop("stopped")
    return found.snapshot()
