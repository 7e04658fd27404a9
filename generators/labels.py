"""Labels that become known later than their event: re-derived from the events of earlier days, never remembered.

A label table is partitioned by the day on which a fact became known. Its day is a pure function of (config, day): the
rows of the event days in its window whose lag ends on it. `OutcomeStore` keeps the compact outcomes of recent event
days, so that a range of label days makes each event day's outcomes once and a single one costs its window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from generators.days import dates

STORE_BYTES = 256 * 2**20
"""Outcomes that a store holds at most."""

LAG = "lag"
"""Column of outcomes: days from the event's day to the day on which the row becomes known."""

EVENT_DAY = "event_day"
"""Column that `OutcomeStore.known_on` adds: the event's civil day."""


@dataclass(frozen=True, eq=False)
class _Outcomes:
    """The outcomes of one event day, sorted by lag: rows [bounds[k], bounds[k + 1]) become known k days later.

    Rows of lags below `floor` have been let go.
    """

    frame: pl.DataFrame
    bounds: list[int]
    floor: int
    bytes: int


class OutcomeStore:
    """Outcomes by event day, made on demand and bounded in bytes.

    A label day reads every event day of its window, so a store that lets go of the one used longest ago would lose all
    of them in turn as soon as they do not fit. What goes first is what a range that moves on never reads again: rows
    that are known already, then event days outside the window. What still does not fit is made again each time.

    Args:
        make: Returns the outcomes of an event day: compact columns and ``lag``, in any order.
        window: Largest lag, in days.
        limit: Bytes to hold.
    """

    def __init__(self, make: Callable[[date], pl.DataFrame], window: int, limit: int = STORE_BYTES) -> None:
        self._make, self._window, self._limit = make, window, limit
        self._days: dict[date, _Outcomes] = {}
        self._bytes = 0

    def known_on(self, day: date, first: date) -> pl.DataFrame:
        """Return the outcomes that become known on a day, of the events of [first, day], with their ``event_day``.

        Rows come in the order of (event day, order of `make`).
        """
        pieces, days, sizes = [], [], []
        for lag in range(min(self._window, (day - first).days), -1, -1):
            event_day = day - timedelta(lag)
            outcomes = self._outcomes(event_day, lag, day)
            low, high = outcomes.bounds[lag], outcomes.bounds[lag + 1]
            if low < high:
                pieces.append(outcomes.frame.slice(low, high - low))
                days.append(event_day)
                sizes.append(high - low)
        self._release(day - timedelta(self._window))  # its last rows are known now
        if not pieces:
            return self._outcomes(day, 0, day).frame.clear().with_columns(pl.lit(None, pl.Date).alias(EVENT_DAY))
        since = np.repeat(np.array(days, "datetime64[D]").view(np.int64).astype(np.int32), sizes)
        return pl.concat(pieces, rechunk=True).hstack([dates(since).alias(EVENT_DAY)])

    def _outcomes(self, event_day: date, lag: int, day: date) -> _Outcomes:
        """Return the outcomes of an event day from a lag on, kept where there is room."""
        found = self._days.get(event_day)
        if found is not None and found.floor <= lag:
            if 2 * found.bounds[lag] <= found.frame.height:
                return found
            made = found  # half of what is held is known already
        else:
            frame = self._make(event_day)
            self._check(event_day, frame)
            made = self._sorted(frame)
        kept = _since(made, lag)
        self._keep(event_day, kept, day)
        return kept

    def _check(self, event_day: date, frame: pl.DataFrame) -> None:
        if frame.is_empty():
            return
        lags = frame[LAG].to_numpy()
        if lags.min() < 0 or lags.max() > self._window:
            raise ValueError(
                f"lags of {event_day}: {lags.min()} to {lags.max()}; allowed: 0 to the window of {self._window} days"
            )

    def _sorted(self, frame: pl.DataFrame) -> _Outcomes:
        if not frame[LAG].is_sorted():
            frame = frame.sort(LAG, maintain_order=True)
        bounds = np.searchsorted(frame[LAG].to_numpy(), np.arange(self._window + 2))
        return _Outcomes(frame, bounds.tolist(), 0, int(frame.estimated_size()))

    def _keep(self, event_day: date, made: _Outcomes, day: date) -> None:
        self._release(event_day)
        if self._bytes + made.bytes > self._limit:
            oldest = day - timedelta(self._window)
            for other in [d for d in self._days if not oldest <= d <= day]:
                self._release(other)
        if self._bytes + made.bytes <= self._limit:
            self._days[event_day] = made
            self._bytes += made.bytes

    def _release(self, event_day: date) -> None:
        gone = self._days.pop(event_day, None)
        if gone is not None:
            self._bytes -= gone.bytes


def _since(made: _Outcomes, lag: int) -> _Outcomes:
    """Return the outcomes from a lag on, in memory of their own."""
    gone = made.bounds[lag]
    if not gone:
        return made
    rest = made.frame.clear().extend(made.frame.slice(gone))  # a slice would hold on to the whole
    return _Outcomes(rest, [max(bound - gone, 0) for bound in made.bounds], lag, int(rest.estimated_size()))
