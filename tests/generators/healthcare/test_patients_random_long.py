"""Patients under a seed that is drawn anew each time: figures and links hold for more than the seed of the other tests.

The environment variable SIMTOM_TEST_SEED repeats a run; every failure names the seed. About a minute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from statistics import stdev

import polars as pl
import pytest

from generators import get_generator
from tests.generators.healthcare.bands import GROUPS, Figure, figures, outside
from tests.generators.healthcare.conftest import RUN_DAYS, RUN_FIRST, RUN_ROWS, SAMPLE_DAYS, SAMPLE_ROWS
from tests.generators.healthcare.oracle import after_death, inside_stays, overlapping, readmission_violations
from tests.generators.healthcare.test_bands import MUTANTS

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

PARTS = 10
ERRORS = 4.9
"""Standard errors of a band's widening: a false alarm in a million figures."""


@pytest.fixture(scope="module")
def seed() -> int:
    return int(os.environ.get("SIMTOM_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))


def standard_errors(rows: pl.DataFrame) -> dict[str, float]:
    """Return the standard errors of the figures, from parts of the rows that have no patient in common."""
    part = rows["patient_id"].str.slice(-6).str.to_integer(base=36) % PARTS
    found: dict[str, list[float]] = {}
    for number in range(PARTS):
        for name, value, _, _ in figures(rows.filter(part == number)):
            found.setdefault(name, []).append(value)
    return {name: stdev(values) / len(values) ** 0.5 for name, values in found.items()}


def widened(found: Iterator[Figure], errors: dict[str, float]) -> Iterator[Figure]:
    """Yield the figures with bands that leave chance its room."""
    for name, value, low, high in found:
        yield name, value, low - ERRORS * errors[name], high + ERRORS * errors[name]


def test_figures_lie_in_their_bands(seed: int) -> None:
    generator = get_generator("patient_records", base_daily_volume=SAMPLE_ROWS, seed=seed)
    rows = pl.concat([generator.generate(day) for day in SAMPLE_DAYS])
    assert outside(widened(figures(rows), standard_errors(rows))) == [], f"SIMTOM_TEST_SEED={seed}"


def test_widened_bands_catch_the_mutants(sample: pl.DataFrame) -> None:
    """All but three, whose effect is no larger than what chance may do; they are caught where the seed is fixed."""
    errors = standard_errors(sample)
    small = {"severity ignores the night", "severity ignores the complaint", "stays a third longer"}
    for name, (group, change, figure) in MUTANTS.items():
        found = outside(widened(GROUPS[group](change(sample)), errors))
        assert name in small or any(figure in line for line in found), name


def test_links_hold(seed: int) -> None:
    generator = get_generator("patient_records", base_daily_volume=RUN_ROWS, seed=seed)
    run = pl.concat([generator.generate(RUN_FIRST + timedelta(n)) for n in range(RUN_DAYS)])
    found = readmission_violations(run, RUN_FIRST + timedelta(RUN_DAYS - 1))
    assert found.pop("index stays") > 2_500, f"SIMTOM_TEST_SEED={seed}"
    found |= {"overlapping": overlapping(run), "after death": after_death(run)}
    assert found == dict.fromkeys(found, 0), f"SIMTOM_TEST_SEED={seed}"
    assert inside_stays(run) <= 0.0005 * run.height, f"SIMTOM_TEST_SEED={seed}"
