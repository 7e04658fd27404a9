"""Replay of stored history as a timed stream."""

from __future__ import annotations

from simtom_pipelines.replay.clock import Clock, MonotonicClock, VirtualClock
from simtom_pipelines.replay.engine import replay
from simtom_pipelines.replay.errors import CursorError, MissingDaysError, ReplayError, SinkClosed, SinkError
from simtom_pipelines.replay.interrupts import stop_on_signals
from simtom_pipelines.replay.planning import ReplayPlan, plan
from simtom_pipelines.replay.request import ReplayRequest, parse_duration, parse_moment, parse_time_of_day
from simtom_pipelines.replay.sinks import FileSink, Sink, StdoutSink, open_sink
from simtom_pipelines.replay.sinks import parse_options as parse_sink_options
from simtom_pipelines.replay.sinks.frames import replay_frames
from simtom_pipelines.replay.statistics import ReplayReport

__all__ = [
    "Clock",
    "CursorError",
    "FileSink",
    "MissingDaysError",
    "MonotonicClock",
    "ReplayError",
    "ReplayPlan",
    "ReplayReport",
    "ReplayRequest",
    "Sink",
    "SinkClosed",
    "SinkError",
    "StdoutSink",
    "VirtualClock",
    "open_sink",
    "parse_duration",
    "parse_moment",
    "parse_sink_options",
    "parse_time_of_day",
    "plan",
    "replay",
    "replay_frames",
    "stop_on_signals",
]
