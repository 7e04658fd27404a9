"""POST /stream/{name}: rows made on the fly, at their due time or at a rate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from generators import ConfigError, generator_class
from simtom_pipelines.replay.live import LiveSource
from simtom_pipelines.replay.source import Position
from simtom_pipelines.service import compat
from simtom_pipelines.service.context import Compat, Service, authorised, framing_for
from simtom_pipelines.service.framing import EVENT_STREAM, NDJSON, PLAIN, place_after
from simtom_pipelines.service.problems import json_object, refuse
from simtom_pipelines.service.requests import BODY_EXAMPLES, Wanted, body_schema, understood
from simtom_pipelines.service.streams import StreamAnswer

router = APIRouter(tags=["streams"], dependencies=[Depends(authorised)])

LastEventId = Annotated[
    str | None, Header(description="Id of the last event received: the stream goes on with the next one.")
]

STREAM_ANSWER: dict[int | str, dict[str, object]] = {
    200: {
        "description": "One record a line, at its due time. X-Stream-Id names the stream in /streams, X-Record-Limit "
        "is the number of records after which it ends.",
        "content": {
            NDJSON: {"example": '{"timestamp":"2024-11-29T05:00:11.120394Z","record_id":0,"generator":"bnpl"}\n'},
            EVENT_STREAM: {"example": 'id: WyJh.1\ndata: {"timestamp":"2024-11-29T05:00:11.120394Z"}\n\n'},
            PLAIN: {"example": 'data: {"_timestamp":"2024-11-29T00:00:11.120394-05:00","_record_id":0}\n\n'},
        },
    },
    404: {"description": "Unknown name; the known ones are listed."},
    413: {"description": "The body is too large."},
    415: {"description": "The body is not said to be JSON."},
    422: {"description": "A field is unknown or its value is not allowed; the answer names it."},
    429: {"description": "As many streams run as are allowed."},
}


@router.post(
    "/stream/{name}",
    summary="Stream a generator's rows",
    response_class=Response,
    responses=STREAM_ANSWER,
    openapi_extra={
        "requestBody": {
            "content": {"application/json": {"schema": body_schema(), "examples": BODY_EXAMPLES}},
            "required": False,
        }
    },
)
async def stream(
    name: str, request: Request, service: Service, in_compat: Compat, last_event_id: LastEventId = None
) -> Response:
    """Make rows as the generator's config determines them and deliver them while they fall due.

    Without dates: today's rows from now on, in real time or compressed. With `rate_per_second` the rows come at that
    rate, whatever their event times. Columns that become known later are null unless `label_mode` says otherwise.
    """
    cls = generator_class(name)
    body = await json_object(request)
    wanted = (
        compat.translated(body, name, cls.config_type, service.settings)
        if in_compat
        else understood(body, cls.config_type, service.settings)
    )
    source = await run_in_threadpool(_source, name, wanted, service)
    framing = framing_for(request, source.identity, in_compat)
    position = Position()
    if last_event_id and framing.events:
        try:
            position = place_after(last_event_id, source.identity)
        except ConfigError as error:
            raise refuse("Last-Event-ID", str(error), last_event_id, where="header") from None
        if not source.holds(position):
            raise refuse("Last-Event-ID", "it names a place that this stream has not", last_event_id, where="header")
    delivery = service.streams.open(
        source,
        framing,
        kind="live",
        generator=name,
        name=name,
        paced_by="time" if wanted.request.compression is not None else "rate",
        speed=source.speed,
        origin=source.origin,
        position=position,
        total=wanted.request.total_records,
        asked=wanted.asked,
    )
    headers = {compat.IGNORED_HEADER: ", ".join(wanted.ignored)} if wanted.ignored else {}
    return StreamAnswer(service.streams, delivery, headers)


def _source(name: str, wanted: Wanted, service: Service) -> LiveSource:
    now = datetime.now(UTC)  # noqa: TID251 (the service is where the clock is)
    table = f"{name}/{generator_class(name).tables[0].name}"
    try:
        return LiveSource(
            table,
            name,
            wanted.config,
            wanted.request,
            now=now,
            lending=service.streams.lending,
            decorate=wanted.decorate,
        )
    except (ConfigError, ValueError) as error:
        raise refuse("end_date" if "end_date" in str(error) else "start_date", str(error)) from None
