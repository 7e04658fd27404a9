"""When purchases arrive inside the day: hour curve, blocks, and the four arrival patterns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.generators.ecommerce.bnpl_world import HOURS, World
from tests.generators.ecommerce.statistics import F64, chi_square, dispersion, ks_bound, ks_distance

DAY = date(2024, 6, 5)
ROWS = 20_000
SMOOTH = {str(hour): share for hour, share in enumerate(HOURS)}
BLOCK = {str(hour): 0.7 / 9 if 9 <= hour < 18 else 0.04 if 18 <= hour < 23 else 0.01 for hour in range(24)}
CURVE = np.concatenate([[0.0], np.cumsum(HOURS)])


def arrivals(world: World, **fields: Any) -> pl.Series:
    """Return the instants of a day of some 20,000 rows."""
    return world.make(21_000, volume_noise=0, **fields).generate(DAY)["timestamp"]


def levels(instants: pl.Series, by_hour: bool) -> F64:
    """Return each row's cumulative share of the day, by the hour curve or by an even clock."""
    local = instants.dt.replace_time_zone(None)
    elapsed = (local - local.dt.truncate("1d")).dt.total_microseconds().to_numpy() / 3.6e9
    return np.interp(elapsed, np.arange(25), CURVE / CURVE[-1]) if by_hour else elapsed / 24


def index(level: F64) -> float:
    """Return the dispersion of counts in 288 stretches of the day that expect equal numbers."""
    counts = np.bincount(np.minimum((level * 288).astype(int), 287), minlength=288)
    return dispersion(counts, np.full(288, len(level) / 288))


def hours_follow(instants: pl.Series, curve: dict[str, float]) -> None:
    statistic, critical = chi_square(instants.dt.hour(), curve)
    assert statistic < critical, statistic


def irregular(instants: pl.Series, by_hour: bool) -> None:
    """Rows come at random, at the pace of the curve."""
    level = levels(instants, by_hour)
    assert ks_distance(level) < ks_bound(len(level))
    assert 0.64 <= index(level) <= 1.47, index(level)


def blocks(frame: pl.DataFrame) -> None:
    hour = frame["timestamp"].dt.hour()
    day, evening = float(hour.is_between(9, 17).mean()), float(hour.is_between(18, 22).mean())  # type: ignore[arg-type]
    assert abs(day - 0.70) <= 0.005, day
    assert abs(evening - 0.20) <= 0.005, evening
    assert abs(1 - day - evening - 0.10) <= 0.005


def test_hours_follow_the_smooth_curve(world: World) -> None:
    instants = arrivals(world)
    assert len(instants) >= ROWS
    hours_follow(instants, SMOOTH)


def test_hours_follow_the_block_curve(world: World) -> None:
    hours_follow(arrivals(world, hour_curve="block"), BLOCK)


def test_wrong_hours_are_caught(world: World) -> None:
    instants = arrivals(world)
    mutants = [
        instants.dt.convert_time_zone("UTC"),
        instants.dt.offset_by("1h"),
        arrivals(world, hour_curve="block"),
        arrivals(world, arrival_pattern="poisson"),
    ]
    for mutant in mutants:
        with pytest.raises(AssertionError):
            hours_follow(mutant, SMOOTH)


def test_hours_are_seventy_twenty_ten(world: World) -> None:
    blocks(world.spread)
    blocks(world.year)


def test_wrong_blocks_are_caught(world: World) -> None:
    for shift in ("10m", "-1h"):
        with pytest.raises(AssertionError):
            blocks(world.spread.with_columns(pl.col("timestamp").dt.offset_by(shift)))


def test_nhpp_is_random_at_the_pace_of_the_curve(world: World) -> None:
    irregular(arrivals(world), by_hour=True)


def test_poisson_is_random_at_an_even_pace(world: World) -> None:
    irregular(arrivals(world, arrival_pattern="poisson"), by_hour=False)


def test_uniform_is_evenly_spaced(world: World) -> None:
    instants = arrivals(world, arrival_pattern="uniform")
    gaps = instants.diff().drop_nulls().dt.total_microseconds()
    assert gaps.max() - gaps.min() <= 1  # type: ignore[operator]
    assert index(levels(instants, by_hour=False)) < 0.05
    with pytest.raises(AssertionError):
        irregular(instants, by_hour=False)


def test_bursts_crowd_a_day_and_keep_its_rows(world: World) -> None:
    calm, crowded = arrivals(world), arrivals(world, arrival_pattern="burst", burst_intensity=6.0)
    assert len(crowded) == len(calm)
    assert index(levels(crowded, by_hour=True)) > 2
    with pytest.raises(AssertionError):
        irregular(crowded, by_hour=True)


def test_bursts_keep_the_hours_of_many_days(world: World) -> None:
    """Bursts start by the hour curve, so the mean over days is the curve."""
    generator = world.make(300, volume_noise=0, arrival_pattern="burst")
    hours = pl.concat([generator.generate(date(2024, 4, 1 + n))["timestamp"].dt.hour() for n in range(30)])
    found = np.bincount(hours.to_numpy(), minlength=24) / len(hours)
    assert np.abs(found - np.array(HOURS)).sum() / 2 < 0.06


def on_the_clock(instants: pl.Series) -> pl.Series:
    """Five minutes out of every ten are empty."""
    return instants.dt.truncate("10m")


def spaced(instants: pl.Series) -> pl.Series:
    """The curve's quantiles instead of draws."""
    level = (np.arange(len(instants)) + 0.5) / len(instants)
    elapsed = np.interp(level, CURVE / CURVE[-1], np.arange(25)) * 3.6e9
    first = instants[0].replace(hour=0, minute=0, second=0, microsecond=0)
    return pl.Series([first] * len(instants)).dt.cast_time_unit("us") + pl.Series(elapsed.astype(np.int64)).cast(
        pl.Duration("us")
    )


def twice(instants: pl.Series) -> pl.Series:
    """Half of the rows are copies of the others."""
    return pl.concat([instants.sample(len(instants) // 2, seed=1)] * 2)


def late(instants: pl.Series) -> pl.Series:
    return instants.dt.offset_by("15m").filter(instants.dt.hour() < 23)


@pytest.mark.parametrize("mutant", [on_the_clock, spaced, twice, late], ids=lambda mutant: mutant.__name__)
def test_mutants_of_the_arrivals_are_caught(mutant: Callable[[pl.Series], pl.Series], world: World) -> None:
    with pytest.raises(AssertionError):
        irregular(mutant(arrivals(world)), by_hour=True)


@pytest.mark.long
def test_arrivals_with_other_seeds(large_world: World) -> None:
    """Three seconds for all seeds."""
    hours_follow(arrivals(large_world), SMOOTH)
    irregular(arrivals(large_world), by_hour=True)
    irregular(arrivals(large_world, arrival_pattern="poisson"), by_hour=False)
    blocks(large_world.spread)
