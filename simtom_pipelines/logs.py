"""Log lines of the service and of the commands: structlog as JSON or as text for people, on stderr."""

from __future__ import annotations

import logging
import sys

import structlog

from simtom_pipelines.settings import LogFormat, Settings

QUIET = ("uvicorn.access",)
"""Loggers whose lines the service writes itself, with more in them."""


def configure(settings: Settings) -> None:
    """Send the log of the process, libraries included, through one format to stderr."""
    chosen = settings.log_format or (LogFormat.console if sys.stderr.isatty() else LogFormat.json)
    level = getattr(logging, settings.log_level.value.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    ends: list[structlog.typing.Processor] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if chosen is LogFormat.json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ends],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", *QUIET):
        library = logging.getLogger(name)
        library.handlers[:], library.propagate = [], name not in QUIET
