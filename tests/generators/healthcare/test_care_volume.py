"""How many encounters of each class a day is meant to have, against the tables and dates written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from generators import get_generator
from tests.generators.healthcare import oracle
from tests.generators.healthcare.oracle import CLASSES, SHARES, events_on

F64 = NDArray[np.float64]
SPAN = [date(2023, 1, 1) + timedelta(n) for n in range(731)]
"""2023 and 2024."""
ACTIVE = [events_on(day) for day in SPAN]
TOLERANCE = 0.002
"""Relative; the smallest step of a table, 0.01, is three times as much."""


class Tables(NamedTuple):
    """Factors of a class."""

    week: list[float]
    weeks: list[float]
    months: list[float]
    events: dict[str, float]


def by_hand(kind: str) -> Tables:
    place = CLASSES.index(kind)
    events = {name: row[place] for name, row in oracle.EVENTS.items()}
    known = {name: factor for name, factor in events.items() if factor is not None}
    return Tables(oracle.FULL_WEEK[kind], oracle.WEEKS[kind], oracle.MONTHS[kind], known)


def decided(active: list[str], events: dict[str, float], rule: str) -> float:
    """Return the factor of a day: the first event that has a say, or by the seed's rule the smallest below 1."""
    found = [events[name] for name in active if name in events]
    if not found:
        return 1.0
    if rule == "retail":
        return found[0]
    return min(found) if min(found) < 1 else max(found)


def expected(tables: Tables, rule: str = "retail") -> F64:
    """Return the factor of each day of `SPAN`."""
    return np.array([
        tables.week[day.weekday()] * tables.weeks[min((day.day - 1) // 7, 3)] * tables.months[day.month - 1]
        * decided(active, tables.events, rule)
        for day, active in zip(SPAN, ACTIVE, strict=True)
    ])  # fmt: skip


def generated(**fields: Any) -> dict[str, F64]:
    """Return the factor of each day of `SPAN` by class, as the generator has them."""
    generator = get_generator("patient_records", base_daily_volume=1_000, volume_noise=0, **fields)
    return {
        process.name: np.array([process.volume.intensity(day) for day in SPAN]) / (1_000 * SHARES[process.name])
        for process in generator.processes
    }


def differences(found: F64, wanted: F64) -> dict[date, tuple[float, float]]:
    """Return the days on which two courses differ."""
    wrong = np.flatnonzero(np.abs(found - wanted) > TOLERANCE * wanted)
    return {SPAN[n]: (float(found[n]), float(wanted[n])) for n in wrong}


@pytest.fixture(scope="module")
def factors() -> dict[str, F64]:
    return generated()


def test_dates_by_hand_fall_on_their_weekdays() -> None:
    """The oracle itself: a date off by one would fall on another weekday."""
    weekdays = {
        "mothers_day": 6, "fathers_day": 6, "memorial_day": 0, "labor_day": 0, "day before Thanksgiving": 2,
        "thanksgiving": 3, "black_friday": 4, "cyber_monday": 0,
    }  # fmt: skip
    for name, weekday in weekdays.items():
        assert {date.fromisoformat(day).weekday() for day in oracle.DAYS[name].split()} == {weekday}, name
    assert set(oracle.DAYS) | {name for name, _ in oracle.PERIODS} == set(oracle.EVENTS)
    assert {date.fromisoformat(day).weekday() for day in oracle.DAYS["first working day"].split()} == {0, 1}


@pytest.mark.parametrize("kind", CLASSES)
def test_every_day_of_two_years_has_its_factor(factors: dict[str, F64], kind: str) -> None:
    assert differences(factors[kind], expected(by_hand(kind))) == {}


@pytest.mark.parametrize("kind", CLASSES)
def test_overlaps_by_the_rule_of_the_seed(kind: str) -> None:
    found = generated(holiday_profile="seed")[kind]
    assert differences(found, expected(by_hand(kind), "seed")) == {}


def mutants(tables: Tables) -> Iterator[tuple[str, Tables]]:
    """Yield the tables of a class with one wrong value each: a hundredth more."""
    for name, factor in tables.events.items():
        yield name, tables._replace(events={**tables.events, name: factor + 0.01})
    for field in ("week", "weeks", "months"):
        values = getattr(tables, field)
        for place in range(len(values)):
            changed: dict[str, Any] = {field: [value + 0.01 * (n == place) for n, value in enumerate(values)]}
            yield f"{field} {place}", tables._replace(**changed)


@pytest.mark.parametrize("kind", CLASSES)
def test_one_wrong_value_is_caught(factors: dict[str, F64], kind: str) -> None:
    missed = [name for name, wrong in mutants(by_hand(kind)) if not differences(factors[kind], expected(wrong))]
    # Where the days after Christmas have a factor of their own, each day of the longer period has a shorter one.
    assert missed == (["christmas_week"] if "post_christmas" in by_hand(kind).events else [])


MUTANTS: dict[str, tuple[dict[str, object], set[str]]] = {
    "halloween": ({"holiday_multipliers": {"emergency": {"halloween": 1.03}}}, {"2023-10-31", "2024-10-31"}),
    "observed days are open": (
        {"holiday_multipliers": {"ambulatory": {"observed_holiday": 1.0}}}, {"2023-01-02", "2023-11-10"}),
    "smallest factor wins": ({"holiday_profile": "seed"}, {"2023-12-26", "2024-12-02"}),
    "saturdays": ({"saturday_clinic": True}, {"2023-03-04", "2024-06-08"}),
}  # fmt: skip
"""Name -> (what the generator is told, days on which somebody must notice)."""


@pytest.mark.parametrize("name", list(MUTANTS))
def test_wrong_generators_are_caught(name: str) -> None:
    fields, days = MUTANTS[name]
    found = generated(**fields)
    noticed = {day.isoformat() for kind in CLASSES for day in differences(found[kind], expected(by_hand(kind)))}
    assert days <= noticed
    assert len(noticed) < 120, "the others must stay as they are"


def test_classes_differ_in_every_table(factors: dict[str, F64]) -> None:
    """Swapped classes would be noticed; clinics and wellness share their tables."""
    for one, other in product(CLASSES, CLASSES):
        alike = one == other or {one, other} == {"ambulatory", "wellness"}
        assert (not differences(factors[one], expected(by_hand(other)))) == alike, (one, other)
