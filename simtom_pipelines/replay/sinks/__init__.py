"""Places that records can go to."""

from __future__ import annotations

from simtom_pipelines.replay.sinks.base import Sink
from simtom_pipelines.replay.sinks.file import FileSink
from simtom_pipelines.replay.sinks.stdout import StdoutSink

__all__ = ["FileSink", "Sink", "StdoutSink"]
