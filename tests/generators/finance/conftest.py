"""The year of card payments that the long tests share."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from tests.generators.finance.card_frames import payments

YEAR_ROWS = 30_000


@pytest.fixture(scope="package")
def year() -> pl.DataFrame:
    """2024 at 30,000 rows a day: 11.2 million rows, 13,300 of them fraud in 4,700 episodes."""
    return payments(date(2024, 1, 1), 366, YEAR_ROWS)


@pytest.fixture(scope="package")
def sixth(year: pl.DataFrame) -> pl.DataFrame:
    """All rows of every sixth customer: 1.9 million rows."""
    return year.filter(pl.col("customer_id") % 6 == 0)
