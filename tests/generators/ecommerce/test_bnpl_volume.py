"""How many rows a day of bnpl has, against factors and dates written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pytest

from tests.generators.ecommerce.bnpl_world import World, days
from tests.generators.ecommerce.statistics import F64, dispersion

DAY_OF_WEEK = (1.15, 1.10, 1.05, 1.10, 1.25, 0.85, 0.70)
WEEK_OF_MONTH = (1.15, 0.95, 1.10, 0.90)
MONTH = (0.75, 0.85, 0.95, 1.0, 1.0, 1.05, 1.05, 1.05, 1.0, 1.05, 1.10, 1.20)
EVENTS: dict[str, tuple[float, dict[int, tuple[str, str]]]] = {
    "new_years_day": (0.2, {2023: ("01-01", "01-01"), 2024: ("01-01", "01-01")}),
    "valentines_day": (1.15, {2023: ("02-14", "02-14"), 2024: ("02-14", "02-14")}),
    "valentines_week": (1.1, {2023: ("02-11", "02-15"), 2024: ("02-11", "02-15")}),
    "mothers_day": (1.2, {2023: ("05-14", "05-14"), 2024: ("05-12", "05-12")}),
    "mothers_day_week": (1.15, {2023: ("05-11", "05-15"), 2024: ("05-09", "05-13")}),
    "fathers_day": (1.1, {2023: ("06-18", "06-18"), 2024: ("06-16", "06-16")}),
    "independence_day": (0.8, {2023: ("07-04", "07-04"), 2024: ("07-04", "07-04")}),
    "labor_day": (1.05, {2023: ("09-04", "09-04"), 2024: ("09-02", "09-02")}),
    "back_to_school": (1.2, {2023: ("08-15", "09-15"), 2024: ("08-15", "09-15")}),
    "halloween": (1.05, {2023: ("10-31", "10-31"), 2024: ("10-31", "10-31")}),
    "thanksgiving": (0.2, {2023: ("11-23", "11-23"), 2024: ("11-28", "11-28")}),
    "black_friday": (1.6, {2023: ("11-24", "11-24"), 2024: ("11-29", "11-29")}),
    "black_friday_week": (1.3, {2023: ("11-22", "11-27"), 2024: ("11-27", "12-02")}),
    "cyber_monday": (1.4, {2023: ("11-27", "11-27"), 2024: ("12-02", "12-02")}),
    "christmas_shopping": (1.2, {2023: ("12-01", "12-23"), 2024: ("12-01", "12-23")}),
    "christmas_eve": (0.3, {2023: ("12-24", "12-24"), 2024: ("12-24", "12-24")}),
    "christmas_day": (0.1, {2023: ("12-25", "12-25"), 2024: ("12-25", "12-25")}),
    "year_end_before": (0.5, {2023: ("12-20", "12-31"), 2024: ("12-20", "12-31")}),
    "year_end_after": (0.5, {2023: ("01-01", "01-05"), 2024: ("01-01", "01-05")}),
    "post_christmas": (1.3, {2023: ("12-26", "12-31"), 2024: ("12-26", "12-31")}),
    "post_christmas_after": (1.3, {2023: ("01-01", "01-02"), 2024: ("01-01", "01-02")}),
    "new_years_eve": (0.4, {2023: ("12-31", "12-31"), 2024: ("12-31", "12-31")}),
}
"""Factor, and first and last day by year: read off printed calendars."""
YEARS = (2023, 2024)


@lru_cache(maxsize=1000)
def active(day: date) -> dict[str, float]:
    return {
        name: factor
        for name, (factor, spans) in EVENTS.items()
        if spans[day.year][0] <= f"{day:%m-%d}" <= spans[day.year][1]
    }


def event_factor(day: date) -> float:
    """The seed profile: the smallest factor below 1 if there is one, else the largest."""
    factors = list(active(day).values())
    if not factors:
        return 1.0
    return min(factors) if min(factors) < 1 else max(factors)


@dataclass(frozen=True)
class Counts:
    """Rows a day, and what the tables by hand expect."""

    days: list[date]
    rows: F64
    expected: F64

    @property
    def residuals(self) -> F64:
        """ln(rows / expected)."""
        return np.log(self.rows / self.expected)


def count(world: World, volume: int, years: tuple[int, ...] = YEARS, **fields: object) -> Counts:
    generator = world.make(volume, **fields)
    span = days(*years)
    factors = [
        DAY_OF_WEEK[d.weekday()] * WEEK_OF_MONTH[min((d.day - 1) // 7, 3)] * MONTH[d.month - 1] * event_factor(d)
        for d in span
    ]
    rows = np.array([generator.plan(day).rows for day in span], dtype=np.float64)
    return Counts(span, rows, volume * world.scale * np.array(factors))


@pytest.fixture(scope="module")
def noisy(world: World) -> Counts:
    return count(world, 10_000)


@pytest.fixture(scope="module")
def plain(world: World) -> Counts:
    """Without noise; the Poisson part of 100,000 rows is a third of a per cent."""
    return count(world, 100_000, volume_noise=0)


@pytest.fixture(scope="module")
def small(world: World) -> Counts:
    return count(world, 1_000, volume_noise=0)


def test_rows_of_a_day_are_the_rows_of_its_plan(world: World) -> None:
    generator = world.make(1_000)
    assert all(generator.generate(day).height == generator.plan(day).rows for day in days(2024)[:5])


def test_date_tables_agree_on_the_weekdays() -> None:
    """The oracle itself: a date off by one would fall on another weekday."""
    weekday = {"mothers_day": 6, "fathers_day": 6, "labor_day": 0, "thanksgiving": 3, "black_friday": 4}
    for name, expected in weekday.items():
        for year, (first, _) in EVENTS[name][1].items():
            assert date.fromisoformat(f"{year}-{first}").weekday() == expected


def level(counts: Counts) -> None:
    assert abs(counts.residuals.mean()) <= 5 * 0.1 / math.sqrt(len(counts.days)) + 0.005, counts.residuals.mean()


def noise(counts: Counts) -> None:
    tolerance = 0.019 * math.sqrt(365 / len(counts.days))
    assert abs(counts.residuals.std(ddof=1) - 0.10) <= tolerance, counts.residuals.std(ddof=1)


def factors(counts: Counts) -> None:
    """Each factor's groups, once the others are taken out, lie within 2% of what the table says."""
    groups: dict[str, list[bool]] = {f"weekday {w}": [d.weekday() == w for d in counts.days] for w in range(7)}
    groups |= {f"week {w}": [min((d.day - 1) // 7, 3) == w for d in counts.days] for w in range(4)}
    groups |= {f"month {m}": [d.month == m for d in counts.days] for m in range(1, 13)}
    groups |= {name: [name in active(d) for d in counts.days] for name in EVENTS}
    for name, chosen in groups.items():
        assert abs(np.median(counts.residuals[np.array(chosen)])) <= 0.02, name


def poisson(counts: Counts) -> None:
    year = len(counts.days)
    spread = 4.9 * math.sqrt(2 / year)
    assert 1 - spread <= dispersion(counts.rows, counts.expected) <= 1 + spread


def overdispersion(counts: Counts) -> None:
    wanted = 1 + (counts.expected**2).sum() / counts.expected.sum() * (math.exp(0.01) - 1)
    assert 0.65 * wanted <= dispersion(counts.rows, counts.expected) <= 1.45 * wanted


def test_level(noisy: Counts) -> None:
    level(noisy)


def test_noise(noisy: Counts) -> None:
    noise(noisy)
    overdispersion(noisy)


def test_each_factor(plain: Counts) -> None:
    factors(plain)
    level(plain)


def test_counts_are_poisson(small: Counts) -> None:
    poisson(small)


def test_mutants_of_the_level_are_caught(noisy: Counts) -> None:
    for factor in (0.96, 1.04):
        with pytest.raises(AssertionError):
            level(replace(noisy, rows=noisy.rows * factor))


def test_mutants_of_the_noise_are_caught(noisy: Counts, plain: Counts) -> None:
    doubled = noisy.expected * (noisy.rows / noisy.expected) ** 2
    without = noisy.expected * plain.rows / plain.expected
    for rows in (doubled, without):
        with pytest.raises(AssertionError):
            noise(replace(noisy, rows=rows))
        with pytest.raises(AssertionError):
            overdispersion(replace(noisy, rows=rows))


def after_mothers_day(day: date) -> bool:
    return "mothers_day" in active(day - timedelta(1)) if day.month == 5 else False


@pytest.mark.parametrize(
    "changed",
    [
        lambda day: 1.03 if day.weekday() == 5 else 1.0,
        lambda day: 1.03 if day.day <= 7 else 1.0,
        lambda day: 0.97 if day.month == 4 else 1.0,
        lambda day: 1.2 / 1.25 if day.weekday() == 4 else 1.0,
        lambda day: 1 / event_factor(day) if "thanksgiving" in active(day) else 1.0,
        lambda day: 1 / 0.5 if f"{day:%m-%d}" in ("01-02", "01-03", "01-04", "01-05") else 1.0,
        lambda day: 1.3 / 0.5 if f"{day:%m-%d}" in ("12-26", "12-27", "12-28", "12-29", "12-30") else 1.0,
        lambda day: 1.15 / 1.2 if "mothers_day" in active(day) else 1.2 / 1.15 if after_mothers_day(day) else 1.0,
    ],
    ids=["saturday", "first week", "april", "friday", "thanksgiving", "year's turn", "post christmas", "monday"],
)
def test_one_wrong_factor_is_caught(changed: Callable[[date], float], plain: Counts) -> None:
    rows = plain.rows * np.array([changed(day) for day in plain.days])
    with pytest.raises(AssertionError):
        factors(replace(plain, rows=rows))


def test_counts_without_chance_or_doubled_are_caught(small: Counts) -> None:
    for rows in (np.round(small.expected), 2 * small.rows - small.expected):
        with pytest.raises(AssertionError):
            poisson(replace(small, rows=rows))


@pytest.mark.long
def test_volume_with_other_seeds(large_world: World) -> None:
    """Five seconds for all seeds."""
    level(count(large_world, 10_000))
    noise(count(large_world, 10_000))
    overdispersion(count(large_world, 1_000))
    factors(count(large_world, 100_000, volume_noise=0))
    poisson(count(large_world, 1_000, volume_noise=0))
