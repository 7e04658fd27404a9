"""What to replay and how fast."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simtom_pipelines.replay.errors import ReplayError
from simtom_pipelines.replay.faults import Faults
from simtom_pipelines.replay.statistics import EPOCH
from simtom_pipelines.replay.timeline import LatePolicy, Pacing, Times

DAY_SECONDS = 86_400.0
DATASET_FIELD = "_dataset"
LARGEST_SOURCES = 64
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": DAY_SECONDS}


def parse_duration(text: str) -> float:
    """Return the seconds of a text such as ``"10s"``, ``"500ms"``, ``"1.5m"``, ``"2h"`` or ``"1d"``."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*", text)
    if found is None or float(found[1]) <= 0.0:
        raise ReplayError(f"duration {text!r} is not a positive number with a unit of {', '.join(_UNITS)}, as in 10s")
    return float(found[1]) * _UNITS[found[2]]


def parse_moment(text: str) -> date | datetime:
    """Return a date for ``2024-11-29`` and an instant for ``2024-11-29T14:00`` with or without an offset."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip()):
            return date.fromisoformat(text.strip())
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ReplayError(f"{text!r} is neither a date (2024-11-29) nor an instant (2024-11-29T14:00:00Z)") from error


def parse_time_of_day(text: str) -> tuple[time, time]:
    """Return the bounds of a text such as ``"09:00-18:00"``."""
    try:
        first, last = (time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError as error:
        raise ReplayError(f"time of day {text!r} is not two times, as in 09:00-18:00") from error
    return first, last


@dataclass(frozen=True)
class ReplayRequest:
    """A replay of one table or several. Without any of the three speeds it runs in real time.

    Attributes:
        dataset: Dataset in the lake.
        table: Its event table.
        also: Further tables as ``dataset/table``, merged with the first by (event time, place in this list, row).
        time_compression: Seconds of event time in a second of wall time.
        day_in: Wall seconds that a day of 24 hours takes; another way to give the compression.
        asap: As fast as the sink takes it; no schedule.
        start: First date or instant; default: the first stored day. Without a zone: in the table's own.
        end: Last date, inclusive, or the instant before which to end; default: the last stored day.
        duration: Seconds of event time from the start on; instead of an end.
        time_of_day: Local times ``[from, to)`` that pass; ``to`` before ``from`` crosses midnight.
        filters: SQL expressions over a table's columns; rows pass where all of them are true. ``dataset: expression``
            or ``dataset/table: expression`` holds for that table alone.
        max_gap: Seconds of event time; longer silences are shortened to it on the schedule.
        rebase: The instants in the records are shifted by one span, so that the first record's is the present; what the
            event time was before stands in the field ``original_<time column>``.
        dataset_field: Field that names the table of a record, as ``dataset/table``; default: ``_dataset`` for several
            tables, none for one. An empty text: none.
        loop: How many times; 0: until stopped. Turns follow each other at the length of the window.
        late: What to do when late, `late_after`: from when on, `late_budget`: how many are forgiven; see `Pacing`.
        faults: Delivery faults to inject, to test a consumer.
        answer_key: File that lists every injected fault.
        cursor: File to resume from where it exists, and to keep current.
        allow_missing: Days missing from the lake are passed over instead of being an error.
        chunk_rows: Rows encoded at a time; default: chosen by the rate. It never changes the output.
        time_column: The column of event times.
    """

    dataset: str
    table: str
    also: tuple[str, ...] = ()
    time_compression: float | None = None
    day_in: float | None = None
    asap: bool = False
    start: date | datetime | None = None
    end: date | datetime | None = None
    duration: float | None = None
    time_of_day: tuple[time, time] | None = None
    filters: tuple[str, ...] = ()
    max_gap: float | None = None
    rebase: bool = False
    dataset_field: str | None = None
    loop: int = 1
    late: LatePolicy = "burst"
    late_after: float = 0.1
    late_budget: int = 0
    faults: Faults | None = None
    answer_key: Path | None = None
    cursor: Path | None = None
    allow_missing: bool = False
    chunk_rows: int | None = None
    time_column: str = "timestamp"

    def __post_init__(self) -> None:
        if (self.time_compression is not None) + (self.day_in is not None) + self.asap > 1:
            raise ReplayError("give one of time_compression, day_in and asap, not several")
        for name in ("time_compression", "day_in", "late_after", "chunk_rows", "duration", "max_gap"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise ReplayError(f"{name} is {value!r}; it must be positive")
        if self.duration is not None and self.end is not None:
            raise ReplayError("give one of end and duration, not both")
        if self.loop < 0:
            raise ReplayError(f"loop is {self.loop}; allowed: 1 or more turns, or 0 for no end")
        if self.time_of_day is not None and self.time_of_day[0] == self.time_of_day[1]:
            raise ReplayError(
                "time_of_day begins and ends at the same time, so nothing passes; leave it out for all day"
            )
        for name in self.also:
            if name.count("/") != 1 or name.startswith("/") or name.endswith("/"):
                raise ReplayError(f"also names {name!r}; expected dataset/table")
        if len(set(self.tables)) < len(self.tables):
            raise ReplayError(f"tables {', '.join(self.tables)}: one of them is asked for twice; name each once")
        if len(self.tables) > LARGEST_SOURCES:
            raise ReplayError(f"{len(self.tables)} tables are asked for; at most {LARGEST_SOURCES} can be merged")
        if self.answer_key is not None and self.faults is None:
            raise ReplayError(
                "answer_key is given without faults, so there is nothing to list; give fault rates as well"
            )
        if self.pacing.compression is None and self.late != "burst":
            raise ReplayError(
                f"late is {self.late!r} and asap is on; without a schedule nothing is late: leave one out"
            )

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables as ``dataset/table``; their places are their ranks in the order of equal event times."""
        return f"{self.dataset}/{self.table}", *self.also

    @property
    def compression(self) -> float | None:
        """Seconds of event time in a second of wall time; None: as fast as possible."""
        if self.asap:
            return None
        if self.day_in is not None:
            return DAY_SECONDS / self.day_in
        return 1.0 if self.time_compression is None else self.time_compression

    @property
    def pacing(self) -> Pacing:
        """Speed and late policy."""
        return Pacing(self.compression, self.late, self.late_after, self.late_budget)

    @property
    def tag(self) -> str | None:
        """The field that names a record's table; None: no field."""
        if self.dataset_field is None:
            return DATASET_FIELD if self.also else None
        return self.dataset_field or None

    def identity(self) -> str:
        """Return what a cursor must agree on: the rows and their order, not the speed."""
        parts = [",".join(self.tables), f"start={self.start}", f"end={self.end}", f"loop={self.loop}"]
        if self.duration is not None:
            parts.append(f"duration={self.duration:g}s")
        if self.time_of_day is not None:
            parts.append(f"time_of_day={self.time_of_day[0]}-{self.time_of_day[1]}")
        parts += [f"filter={text}" for text in self.filters]
        if self.max_gap is not None:
            parts.append(f"max_gap={self.max_gap:g}s")
        if self.rebase:
            parts.append("rebase")
        if self.faults is not None:
            parts.append(f"faults={self.faults}")
        return " ".join(parts)


def micros(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware instant, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Window:
    """A request resolved against the stored days.

    Attributes:
        days: Stored partitions to read, in order.
        missing: Days of the range that are not stored.
        begin: First instant that passes, UTC microseconds.
        until: Instant before which events pass.
        zone: Time zone of the dataset.
        time_of_day: As in the request.
    """

    days: tuple[date, ...]
    missing: tuple[date, ...]
    begin: int
    until: int
    zone: ZoneInfo
    time_of_day: tuple[time, time] | None

    def until_at_most(self, until: int) -> Window:
        """Return the window cut off at an instant in UTC microseconds, which need not be inside."""
        if until >= self.until:
            return self
        inside = tuple(day for day in self.days if micros(instant(day, self.zone)) < until)
        return replace(self, days=inside, until=max(until, self.begin))

    def mask(self, times: Times) -> NDArray[np.bool_]:
        """Return which event times pass, shape (n,)."""
        passing: NDArray[np.bool_] = (times >= self.begin) & (times < self.until)
        if self.time_of_day is not None:
            first, last = (_clock_micros(t) for t in self.time_of_day)
            instants = pl.Series(times).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(self.zone.key)
            clock = instants.dt.time().cast(pl.Int64).to_numpy() // 1_000
            inside = (clock >= first) & (clock < last) if first < last else (clock >= first) | (clock < last)
            passing &= inside
        return passing


def _clock_micros(moment: time) -> int:
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1_000_000 + moment.microsecond


def resolve(request: ReplayRequest, stored: Sequence[date], zone: ZoneInfo) -> Window:
    """Return the window of a request over the stored days of one table; its `duration` is not looked at.

    Raises:
        ReplayError: The end is not after the start.
    """
    begin = instant(request.start if request.start is not None else stored[0], zone)
    last = request.end if request.end is not None else stored[-1]
    until = instant(last if isinstance(last, datetime) else last + timedelta(days=1), zone)
    if micros(until) <= micros(begin):  # aware datetimes of one zone compare by their wall clocks
        if request.end is None:
            raise ReplayError(
                f"start: {request.start} given; allowed: days up to {stored[-1]}, the last that is stored"
            )
        if request.start is None:
            raise ReplayError(f"end: {last} given; allowed: days from {stored[0]} on, the first that is stored")
        raise ReplayError(f"end {last} is not after start {request.start}")
    first_day, last_day = begin.date(), (until - timedelta(microseconds=1)).date()
    asked = [first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1)]
    known = set(stored)
    days = tuple(day for day in asked if day in known)
    missing = tuple(day for day in asked if day not in known)
    return Window(days, missing, micros(begin), micros(until), zone, request.time_of_day)


def instant(moment: date | datetime, zone: ZoneInfo) -> datetime:
    """Return an aware instant in `zone`: local midnight of a date."""
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
    return datetime(moment.year, moment.month, moment.day, tzinfo=zone)
