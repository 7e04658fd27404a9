"""Places that records can go to."""

from __future__ import annotations

from simtom_pipelines.replay.sinks.base import Sink
from simtom_pipelines.replay.sinks.file import FileSink, Rotation
from simtom_pipelines.replay.sinks.kafka import KafkaSink
from simtom_pipelines.replay.sinks.stdout import StdoutSink
from simtom_pipelines.replay.sinks.targets import open_sink, parse_options, register_sink

__all__ = ["FileSink", "KafkaSink", "Rotation", "Sink", "StdoutSink", "open_sink", "parse_options", "register_sink"]
