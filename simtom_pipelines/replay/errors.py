"""Errors of a replay: each says what was given, what is allowed and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.errors import SimtomError

if TYPE_CHECKING:
    from simtom_pipelines.replay.statistics import ReplayReport


class ReplayError(SimtomError):
    """A replay that cannot start or go on.

    Attributes:
        report: What was done before the error, where the replay had begun.
    """

    report: ReplayReport | None = None


class MissingDaysError(ReplayError):
    """Days of the asked range that are not in the lake; raised before anything is emitted."""


class CursorError(ReplayError):
    """A cursor file that cannot be used: damaged, of another replay, or of data that changed since."""


class LateError(ReplayError):
    """More records were late than the ``fail`` policy forgives; the cursor was saved."""


class SinkError(ReplayError):
    """A sink that cannot take records, for example because the disk is full."""


class SinkClosed(SinkError):
    """The consumer closed its end, for example ``head`` behind a pipe; the cursor was saved."""
