"""POST /datasets/{name}/replay: stored days as a timed stream, with faults and their answer key on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from generators import ConfigError
from simtom_pipelines.replay.clock import MonotonicClock
from simtom_pipelines.replay.errors import ReplayError
from simtom_pipelines.replay.faults import DELAY_SECONDS, LARGEST_SEED, Faults
from simtom_pipelines.replay.request import ReplayRequest, parse_duration, parse_moment, parse_time_of_day
from simtom_pipelines.replay.source import Position
from simtom_pipelines.replay.stored import StoredSource
from simtom_pipelines.service.catalogue_routes import find_dataset, find_table_name
from simtom_pipelines.service.context import Context, Service, authorised, framing_for
from simtom_pipelines.service.framing import NDJSON, place_after
from simtom_pipelines.service.live_routes import STREAM_ANSWER, LastEventId
from simtom_pipelines.service.problems import json_object, refuse, validated
from simtom_pipelines.service.requests import hold_limits, inlined
from simtom_pipelines.service.streams import StreamAnswer

router = APIRouter(tags=["streams"], dependencies=[Depends(authorised)])

Text = Annotated[str, Field(max_length=200)]
T = TypeVar("T")

CHUNK_ROWS = 2_048
"""Rows of a chunk as fast as possible: what a slow client makes the service hold is two of them."""


Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class FaultsBody(BaseModel):
    """Delivery faults, to test a consumer: shares of the records; one suffers one fault at most."""

    model_config = ConfigDict(extra="forbid")

    late: Rate = Field(default=0.0, description="Held back by up to `delay`, so that others overtake it.")
    duplicate: Rate = Field(default=0.0, description="Delivered in its place, and once more within `delay`.")
    out_of_order: Rate = Field(default=0.0, description="Delivered up to `places` records later.")
    corrupt: Rate = Field(default=0.0, description="Cut off, or with a byte that is no text; still one line.")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="Equal seeds give equal faults.")
    delay: Text | None = Field(default=None, description="Longest delay of event time, as 1h; default: 10m.")
    places: int = Field(
        default=Faults.places, ge=1, le=1_000, description="Most places that an out-of-order record moves."
    )


class ReplayBody(BaseModel):
    """What to replay and how fast; the names are those of `simtom replay`."""

    model_config = ConfigDict(extra="forbid")

    table: Text | None = Field(default=None, description="Table; default: the event table.")
    also: list[Text] = Field(
        default_factory=list, max_length=63, description="Further tables as dataset/table, merged by event time."
    )
    start: Text | None = Field(default=None, description="First day or instant; default: the first stored day.")
    end: Text | None = Field(default=None, description="Last day, inclusive, or the instant to end before.")
    duration: Text | None = Field(default=None, description="Event time from the start on, as 6h; instead of an end.")
    window: Text | None = Field(default=None, description="Local times that pass, as 09:00-18:00.")
    filter: list[Annotated[str, Field(max_length=2_000)]] = Field(
        default_factory=list, max_length=20, description="SQL expressions; rows pass where all are true."
    )
    loop: int = Field(default=1, ge=0, le=1_000_000, description="Turns; 0: until stopped.")
    allow_missing: bool = Field(default=False, description="Pass over days that are not stored.")
    time_compression: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Seconds of event time in a second; default: 1."
    )
    day_in: Text | None = Field(default=None, description="Wall time of a day, as 10s; another way to give the speed.")
    asap: bool = Field(default=False, description="As fast as the client takes it, without a schedule.")
    max_gap: Text | None = Field(default=None, description="Longest silence of event time, as 1h.")
    rebase: bool = Field(default=False, description="Shift instants so that the first record is now.")
    dataset_field: Text | None = Field(
        default=None, description="Field that names a record's table; default: _dataset for several tables."
    )
    total_records: int | None = Field(default=None, ge=1, description="Records after which the stream ends.")
    faults: FaultsBody | None = Field(
        default=None, description="Delivery faults; POST /datasets/{name}/answer-key with the same body lists them."
    )


FAULTS_EXAMPLE = {"day_in": "1m", "faults": {"late": 0.01, "duplicate": 0.01, "seed": 7}}

EXAMPLES: dict[str, dict[str, Any]] = {
    "day": {"summary": "A day in a minute", "value": {"start": "2024-11-29", "end": "2024-11-29", "day_in": "1m"}},
    "asap": {"summary": "Everything, as fast as it goes", "value": {"asap": True}},
    "filtered": {
        "summary": "Office hours of large amounts",
        "value": {"window": "09:00-18:00", "filter": ["amount > 200"], "time_compression": 600},
    },
    "faults": {"summary": "One record in a hundred late, one twice", "value": FAULTS_EXAMPLE},
}


def _body(examples: dict[str, dict[str, Any]], *, required: bool) -> dict[str, Any]:
    """Return what the OpenAPI document says of a body that is parsed by hand."""
    content = {"schema": inlined(ReplayBody.model_json_schema()), "examples": examples}
    return {"requestBody": {"content": {"application/json": content}, "required": required}}


@router.post(
    "/datasets/{name}/replay",
    summary="Replay stored days",
    response_class=Response,
    responses={**STREAM_ANSWER, 409: {"description": "A stored file cannot be read."}},
    openapi_extra=_body(EXAMPLES, required=False),
)
async def replay(name: str, request: Request, service: Service, last_event_id: LastEventId = None) -> Response:
    """Deliver the stored rows of a dataset in the order of their event times, with the arrival shape kept."""
    spec = find_dataset(service, name)
    sent = await json_object(request)
    body = validated(ReplayBody, sent)
    hold_limits(service.settings, None, None, body.total_records)
    asked = _request(name, body, service)
    source = await run_in_threadpool(StoredSource, asked, service.lake)
    framing = framing_for(request, source.identity, in_compat=False)
    if last_event_id and framing.events:
        position = _resumed(last_event_id, source)
    else:
        position = await run_in_threadpool(source.beginning, MonotonicClock())
    delivery = service.streams.open(
        source,
        framing,
        kind="replay",
        generator=spec.generator,
        name=", ".join(asked.tables),
        paced_by="time",
        speed=asked.compression,
        origin=None,
        position=position,
        total=body.total_records,
        asked=sent,
    )
    return StreamAnswer(service.streams, delivery)


@router.post(
    "/datasets/{name}/answer-key",
    summary="List the faults of a replay",
    response_class=Response,
    responses={
        200: {"description": "One JSON object a fault.", "content": {NDJSON: {"schema": {"type": "string"}}}},
        409: {"description": "A stored file cannot be read."},
    },
    openapi_extra=_body({"faults": EXAMPLES["faults"]}, required=True),
)
async def answer_key(name: str, request: Request, service: Service) -> Response:
    """Return what the replay of the same body does wrong, in the order of delivery; its speed makes no difference."""
    find_dataset(service, name)
    body = validated(ReplayBody, await json_object(request))
    hold_limits(service.settings, None, None, body.total_records)
    if body.faults is None:
        raise refuse("faults", "no faults are asked for, so there is nothing to list; give rates, as late: 0.01", None)
    source = await run_in_threadpool(StoredSource, _request(name, body, service), service.lake)
    return StreamingResponse(_key(source, body.total_records or service.settings.max_records), media_type=NDJSON)


def _key(source: StoredSource, total: int) -> Iterator[str]:
    """Yield the lines of the answer key of the first `total` records; 0: of all."""
    for chunk in source.chunks(Position()):
        first = chunk.begin.arrived
        yield "".join(text + "\n" for record, text in chunk.notes if not total or first + record < total)
        if total and first + len(chunk) >= total:
            return


def _request(name: str, body: ReplayBody, service: Context) -> ReplayRequest:
    """Return the replay of a body.

    Raises:
        RequestValidationError: A text is no duration, moment or window; names the field.
        UnknownNameError: No such dataset or table.
        ReplayError: Fields that do not go together.
    """
    also = []
    for other in body.also:
        dataset, _, table = other.partition("/")
        spec = find_dataset(service, dataset)
        also.append(f"{dataset}/{find_table_name(spec, table or None)}")
    return ReplayRequest(
        dataset=name,
        table=find_table_name(find_dataset(service, name), body.table),
        also=tuple(also),
        time_compression=body.time_compression,
        day_in=_parsed("day_in", body.day_in, parse_duration),
        asap=body.asap,
        start=_parsed("start", body.start, parse_moment),
        end=_parsed("end", body.end, parse_moment),
        duration=_parsed("duration", body.duration, parse_duration),
        time_of_day=_parsed("window", body.window, parse_time_of_day),
        filters=tuple(body.filter),
        max_gap=_parsed("max_gap", body.max_gap, parse_duration),
        rebase=body.rebase,
        dataset_field=body.dataset_field,
        loop=body.loop,
        faults=_faults(body.faults),
        allow_missing=body.allow_missing,
        chunk_rows=CHUNK_ROWS if body.asap else None,
    )


def _faults(body: FaultsBody | None) -> Faults | None:
    """Return the faults of a body; ``RequestValidationError`` where they do not go together."""
    if body is None:
        return None
    delay = _parsed("faults.delay", body.delay, parse_duration)
    try:
        return Faults(**body.model_dump(exclude={"delay"}), delay=DELAY_SECONDS if delay is None else delay)
    except ReplayError as error:
        raise refuse("faults", str(error), body.model_dump()) from None


def _parsed(field: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    if text is None:
        return None
    try:
        return parse(text)
    except ReplayError as error:
        raise refuse(field, str(error), text) from None


def _resumed(event_id: str, source: StoredSource) -> Position:
    """Return the position after an event; 422 where the id is none of this replay."""
    try:
        position = place_after(event_id, source.identity)
        if [mark.table for mark in position.marks] != list(source.request.tables):
            raise ValueError("it names other tables")
        for mark in position.marks:
            if mark.day is not None:
                date.fromisoformat(mark.day)
            if not 0 <= mark.row < 2**31:
                raise ValueError("it names a row that cannot be")
    except (ConfigError, ValueError) as error:
        raise refuse("Last-Event-ID", str(error), event_id, where="header") from None
    return position
