from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from generators.labels import EVENT_DAY, LAG, OutcomeStore
from tests.generators.two_processes import days

WINDOW = 10
FIRST = date(2024, 1, 1)
LONG_AGO = date(2000, 1, 1)


class Maker:
    """Outcomes of forty events a day with lags that differ from day to day; counts what was asked for."""

    def __init__(self, rows: int = 40) -> None:
        self.rows, self.made = rows, Counter[date]()

    def __call__(self, day: date) -> pl.DataFrame:
        self.made[day] += 1
        return self.frame(day)

    def frame(self, day: date) -> pl.DataFrame:
        number = np.arange(self.rows)
        return pl.DataFrame({"number": number, LAG: ((number * 7 + day.toordinal()) % (WINDOW + 1)).astype(np.uint8)})

    def known_on(self, day: date, first: date = LONG_AGO) -> list[tuple[date, int]]:
        """The same by looking at every event of every day."""
        found = []
        for event_day in days(day - timedelta(WINDOW), WINDOW + 1):
            if event_day < first:
                continue
            frame = self.frame(event_day)
            found += [
                (event_day, n) for n, lag in frame.select("number", LAG).rows() if event_day + timedelta(lag) == day
            ]
        return found


def shown(frame: pl.DataFrame) -> list[tuple[date, int]]:
    return frame.select(EVENT_DAY, "number").rows()


ORDERS = {
    "forwards": list(range(30)),
    "backwards": list(range(30))[::-1],
    "to and fro": [5, 20, 6, 19, 7, 18, 7, 5, 29, 0],
}


@pytest.mark.parametrize("order", list(ORDERS))
@pytest.mark.parametrize("limit", [10**9, 2_000, 0])
def test_known_on_is_the_same_in_any_order_and_whatever_fits(order: str, limit: int) -> None:
    maker = Maker()
    store = OutcomeStore(maker, WINDOW, limit)
    for offset in ORDERS[order]:
        day = FIRST + timedelta(offset)
        assert shown(store.known_on(day, LONG_AGO)) == maker.known_on(day)


def test_range_makes_each_event_day_once() -> None:
    maker = Maker()
    store = OutcomeStore(maker, WINDOW)
    for day in days(FIRST, 25):
        store.known_on(day, LONG_AGO)
    assert set(maker.made.values()) == {1}
    assert len(maker.made) == 25 + WINDOW


def test_what_does_not_fit_is_made_again_and_the_rest_is_not() -> None:
    maker = Maker()
    one = int(maker.frame(FIRST).estimated_size())
    store = OutcomeStore(maker, WINDOW, limit=3 * one)
    for day in days(FIRST, 40):
        store.known_on(day, LONG_AGO)
        assert store._bytes <= 3 * one
    # A store that drops what was used longest ago would make all of the window again on every day.
    assert sum(maker.made.values()) < 0.75 * 40 * (WINDOW + 1)


def test_rows_that_are_known_are_let_go() -> None:
    store = OutcomeStore(Maker(), WINDOW)
    for day in days(FIRST, 60):
        store.known_on(day, LONG_AGO)
    whole = int(Maker().frame(FIRST).estimated_size())
    assert store._bytes < 0.8 * whole * (WINDOW + 1)


def test_events_before_the_first_day_are_left_out() -> None:
    maker = Maker()
    store = OutcomeStore(maker, WINDOW)
    first = FIRST - timedelta(4)
    assert shown(store.known_on(FIRST, first)) == maker.known_on(FIRST, first)
    assert min(maker.made) == first
    nothing = store.known_on(FIRST, FIRST + timedelta(1))
    assert nothing.height == 0
    assert nothing.schema == store.known_on(FIRST, FIRST).schema


@pytest.mark.parametrize("lag", [-1, WINDOW + 1])
def test_lag_outside_the_window_is_refused(lag: int) -> None:
    store = OutcomeStore(lambda day: pl.DataFrame({"number": [1], LAG: [lag]}), WINDOW)
    with pytest.raises(ValueError, match="window of 10 days"):
        store.known_on(FIRST, LONG_AGO)
