"""Frames that the tests of patient_records share."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from generators import get_generator

RUN_FIRST = date(2023, 12, 1)
RUN_DAYS = 130
RUN_ROWS = 1_500
SAMPLE_ROWS = 16_000
SAMPLE_DAYS = [date(2023, 9, 1) + timedelta(n) for n in (5, 34, 67, 98, 124, 160, 191, 221, 256, 280)]
"""Working days of ten months."""


@pytest.fixture(scope="session")
def run() -> pl.DataFrame:
    """130 days on end: what links rows of different days."""
    generator = get_generator("patient_records", base_daily_volume=RUN_ROWS)
    return pl.concat([generator.generate(RUN_FIRST + timedelta(n)) for n in range(RUN_DAYS)])


@pytest.fixture(scope="session")
def sample() -> pl.DataFrame:
    """A quarter of a million rows of ten working days of different months."""
    generator = get_generator("patient_records", base_daily_volume=SAMPLE_ROWS)
    return pl.concat([generator.generate(day) for day in SAMPLE_DAYS])
