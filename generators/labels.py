"""Labels that become known later than their event: re-derived from the events of earlier days, never remembered.

A label table is partitioned by the day on which a fact became known. Its day is a pure function of (config, day): the
rows of the event days in its window whose lag ends on it. `OutcomeStore` keeps the compact outcomes of recent event
days, so that a range of label days makes each event day's outcomes once and a single one costs its window.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

STORE_BYTES = 256 * 2**20
"""Outcomes that a store holds at most; the event day used longest ago leaves first."""

LAG = "lag"
"""Column of outcomes: days from the event's day to the day on which the row becomes known."""

EVENT_DAY = "event_day"
"""Column that `OutcomeStore.known_on` adds: the event's civil day."""


@dataclass(frozen=True, eq=False)
class _Outcomes:
    """The outcomes of one event day, sorted by lag: rows [bounds[k], bounds[k + 1]) become known k days later."""

    frame: pl.DataFrame
    bounds: NDArray[np.int64]
    bytes: int


class OutcomeStore:
    """Outcomes by event day, made on demand and bounded in bytes.

    Args:
        make: Returns the outcomes of an event day: compact columns and ``lag``, in any order.
        window: Largest lag, in days.
        limit: Bytes to hold.
    """

    def __init__(self, make: Callable[[date], pl.DataFrame], window: int, limit: int = STORE_BYTES) -> None:
        self._make, self._window, self._limit = make, window, limit
        self._days: OrderedDict[date, _Outcomes] = OrderedDict()
        self._bytes = 0

    def known_on(self, day: date, first: date) -> pl.DataFrame:
        """Return the outcomes that become known on a day, of the events of [first, day], with their ``event_day``.

        Rows come in the order of (event day, order of `make`).
        """
        pieces = []
        for lag in range(min(self._window, (day - first).days), -1, -1):
            event_day = day - timedelta(lag)
            outcomes = self._outcomes(event_day)
            low, high = outcomes.bounds[lag : lag + 2]
            if low < high:
                piece = outcomes.frame.slice(low, high - low)
                pieces.append(piece.with_columns(pl.lit(event_day).alias(EVENT_DAY)))
        if pieces:
            return pl.concat(pieces, rechunk=True)
        return self._outcomes(day).frame.clear().with_columns(pl.lit(None, pl.Date).alias(EVENT_DAY))

    def _outcomes(self, day: date) -> _Outcomes:
        found = self._days.get(day)
        if found is not None:
            self._days.move_to_end(day)
            return found
        frame = self._make(day).sort(LAG, maintain_order=True)
        lags = frame[LAG].to_numpy()
        if len(lags) and not 0 <= lags[0] <= lags[-1] <= self._window:
            raise ValueError(f"lags of {day}: {lags[0]} to {lags[-1]}; allowed: 0 to the window of {self._window} days")
        bounds = np.searchsorted(lags, np.arange(self._window + 2))
        found = self._days[day] = _Outcomes(frame, bounds, int(frame.estimated_size()))
        self._bytes += found.bytes
        while self._bytes > self._limit and len(self._days) > 1:
            self._bytes -= self._days.popitem(last=False)[1].bytes
        return found
