"""How many card payments a day has, and when they come, against tables and dates written by hand; about a minute."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from generators import get_generator
from tests.generators.ecommerce.statistics import dispersion, ks_bound, ks_distance
from tests.generators.finance import card_oracle as table
from tests.generators.finance.card_bands import genuine
from tests.generators.finance.card_frames import days
from tests.generators.finance.card_rules import REMOTE
from tests.generators.finance.conftest import YEAR_ROWS

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

F64 = NDArray[np.float64]
BASE = 60_000
CHANNEL_SHARES = (0.65, 0.35)


def counted(found: Iterable[date], base: int, **fields: Any) -> F64:
    """Return (days, 2) numbers of card-present and card-not-present rows."""
    generator = get_generator("credit_cards", base_daily_volume=base, **fields)
    remote = [generator.generate(day).select(REMOTE).to_series() for day in found]
    return np.array([[(~r).sum(), r.sum()] for r in remote], np.float64)


def expected(day: date, base: int, event: tuple[float, float] = (1.0, 1.0)) -> F64:
    return base * np.array(CHANNEL_SHARES) * np.array(table.factors(day, event))


# -- factors ----------------------------------------------------------------------------------------------------


def factors_hold(ratio: dict[str, F64]) -> None:
    """Check (days, 2) ratios to the tables by group: 2% on the median, noise being off."""
    for name, values in ratio.items():
        assert np.abs(np.median(values, axis=0) - 1).max() <= 0.02, (name, np.median(values, axis=0))


@pytest.fixture(scope="module")
def ordinary() -> tuple[list[date], F64]:
    found = [date.fromisoformat(text) for text in table.ORDINARY]
    counts = counted(found, BASE, volume_noise=0)
    return found, counts / np.array([expected(day, BASE) for day in found])


@pytest.fixture(scope="module")
def events() -> dict[str, F64]:
    found = {}
    for name, (present, remote, texts) in table.EVENTS.items():
        dates = [date.fromisoformat(text) for text in texts]
        counts = counted(dates, BASE, volume_noise=0)
        found[name] = counts / np.array([expected(day, BASE, (present, remote)) for day in dates])
    return found


def _groups(found: list[date], ratio: F64) -> dict[str, F64]:
    kinds = {f"weekday {day}": [d.weekday() == day for d in found] for day in range(7)}
    kinds |= {f"month {month}": [d.month == month for d in found] for month in range(1, 12)}
    kinds |= {f"week {week}": [min((d.day - 1) // 7, 3) == week for d in found] for week in range(4)}
    return {name: ratio[rows] for name, rows in kinds.items()}


def test_weekdays_weeks_and_months_have_their_factor(ordinary: tuple[list[date], F64]) -> None:
    found, ratio = ordinary
    factors_hold(_groups(found, ratio))
    mondays = np.array([day.weekday() == 0 for day in found])
    with pytest.raises(AssertionError, match="weekday 0"):
        factors_hold(_groups(found, np.where(mondays[:, None], ratio * 1.03, ratio)))
    with pytest.raises(AssertionError, match="weekday"):
        factors_hold(_groups(found, ratio[:, ::-1] * np.array([table.CP_WEEK[d.weekday()] for d in found])[:, None]))


def test_events_have_their_factor(events: dict[str, F64]) -> None:
    factors_hold(events)
    with pytest.raises(AssertionError, match="halloween"):
        factors_hold(events | {"halloween": events["halloween"] / [1.04, 1.0]})
    with pytest.raises(AssertionError, match="thanksgiving"):
        factors_hold(events | {"thanksgiving": events["thanksgiving"][:, ::-1] * [1.15 / 0.45, 1.0]})


# -- noise ------------------------------------------------------------------------------------------------------


def noise_is_as_stated(residual: F64) -> None:
    """Check the daily ln(rows / expected) of one channel over a year."""
    assert abs(residual.mean()) <= 0.027, residual.mean()
    assert 0.081 <= residual.std() <= 0.119, residual.std()


def test_level_and_noise_of_each_channel(year: pl.DataFrame) -> None:
    generator = get_generator("credit_cards", base_daily_volume=YEAR_ROWS)
    daily = year.group_by("day", REMOTE.alias("remote")).len().sort("day")
    for remote, process in zip((False, True), generator.processes, strict=True):
        rows = daily.filter(pl.col("remote") == remote)
        mean = np.array([process.volume.expected(day) for day in rows["day"]])
        residual = np.log(rows["len"].to_numpy() / mean)
        noise_is_as_stated(residual)
        counts = rows["len"].to_numpy().astype(np.float64)
        assert 0.65 <= dispersion(counts, mean) / (1 + mean.mean() * (math.exp(0.01) - 1)) <= 1.45
        for mutant in (residual * 1.5, residual * 0.5, residual + 0.05):
            with pytest.raises(AssertionError):
                noise_is_as_stated(mutant)


def counts_are_random(counts: F64, mean: F64) -> None:
    assert 0.67 <= dispersion(counts, mean) <= 1.41, dispersion(counts, mean)


def test_counts_without_noise_are_poisson() -> None:
    base = 1_000
    span = days(date(2023, 1, 1), 365)
    generator = get_generator("credit_cards", base_daily_volume=base, volume_noise=0)
    counts = counted(span, base, volume_noise=0)
    mean = np.array([[process.volume.expected(day) for process in generator.processes] for day in span])
    counts_are_random(counts.sum(axis=1), mean.sum(axis=1))
    counts_are_random(counts[:, 0], mean[:, 0])
    total = mean.sum(axis=1)
    twice = 2 * np.random.Generator(np.random.PCG64(1)).poisson(total / 2)
    for mutant in (np.round(total), twice):
        with pytest.raises(AssertionError):
            counts_are_random(mutant, total)


# -- inside the day ---------------------------------------------------------------------------------------------


def arrivals_are_irregular(level: F64) -> None:
    """Check the share of the day's rows before each row: uniform, and neither even nor in bunches."""
    assert ks_distance(level) < ks_bound(len(level)), ks_distance(level)
    counts = np.bincount(np.minimum((level * 288).astype(int), 287), minlength=288)
    index = dispersion(counts.astype(np.float64), np.full(288, len(level) / 288))
    assert 0.64 <= index <= 1.47, index


@pytest.mark.parametrize("channel,curve", [(~REMOTE, table.CP_HOURS), (REMOTE, table.CNP_HOURS)])
def test_rows_arrive_at_random_along_the_curve(channel: pl.Expr, curve: list[float]) -> None:
    rows = get_generator("credit_cards", base_daily_volume=80_000).generate(date(2024, 6, 5))
    instant = genuine(rows).filter(channel)["timestamp"]
    hours = (instant - instant.dt.truncate("1d")).dt.total_microseconds().to_numpy() / 3.6e9
    shares = np.concatenate([[0.0], np.cumsum(curve)]) / sum(curve)
    level = np.interp(hours, np.arange(25), shares)
    assert len(level) >= 20_000
    arrivals_are_irregular(level)
    for mutant in (
        (np.arange(len(level)) + 0.5) / len(level),
        np.floor(level * 144) / 144,
        np.interp(np.floor(hours), np.arange(25), shares),
    ):
        with pytest.raises(AssertionError):
            arrivals_are_irregular(mutant)
