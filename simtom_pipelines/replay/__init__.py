"""Replay of stored history as a timed stream."""

from __future__ import annotations

from simtom_pipelines.replay.clock import Clock, MonotonicClock, VirtualClock
from simtom_pipelines.replay.control import ReplayControl
from simtom_pipelines.replay.engine import replay, replay_source
from simtom_pipelines.replay.errors import (
    CursorError,
    LateError,
    MissingDaysError,
    ReplayError,
    SinkClosed,
    SinkError,
)
from simtom_pipelines.replay.faults import Faults, parse_faults
from simtom_pipelines.replay.interrupts import stop_on_signals
from simtom_pipelines.replay.planning import ReplayPlan, plan
from simtom_pipelines.replay.request import ReplayRequest, parse_duration, parse_moment, parse_time_of_day
from simtom_pipelines.replay.sinks import FileSink, Sink, StdoutSink, open_sink
from simtom_pipelines.replay.sinks import parse_options as parse_sink_options
from simtom_pipelines.replay.sinks.frames import replay_frames
from simtom_pipelines.replay.source import Chunk, Mark, Position, Source
from simtom_pipelines.replay.statistics import ReplayReport
from simtom_pipelines.replay.timeline import Pacing

__all__ = [
    "Chunk",
    "Clock",
    "CursorError",
    "Faults",
    "FileSink",
    "LateError",
    "Mark",
    "MissingDaysError",
    "MonotonicClock",
    "Pacing",
    "Position",
    "ReplayControl",
    "ReplayError",
    "ReplayPlan",
    "ReplayReport",
    "ReplayRequest",
    "Sink",
    "SinkClosed",
    "SinkError",
    "Source",
    "StdoutSink",
    "VirtualClock",
    "open_sink",
    "parse_duration",
    "parse_faults",
    "parse_moment",
    "parse_sink_options",
    "parse_time_of_day",
    "plan",
    "replay",
    "replay_frames",
    "replay_source",
    "stop_on_signals",
]
