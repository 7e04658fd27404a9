"""Births over the day, where patients go after a stay, and who works where."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from tests.generators.healthcare.oracle import stays

# -- births -------------------------------------------------------------------------------------------------------

BIRTHS = [
    0.030, 0.030, 0.030, 0.030, 0.030, 0.031, 0.032, 0.044, 0.058, 0.049, 0.047, 0.048, 0.056, 0.050, 0.049, 0.049,
    0.049, 0.049, 0.045, 0.042, 0.040, 0.039, 0.038, 0.035,
]  # fmt: skip


def chi_square(hours: pl.Series) -> float:
    expected = len(hours) * np.array(BIRTHS)
    return float(((np.bincount(hours.to_numpy(), minlength=24) - expected) ** 2 / expected).sum())


def test_births_come_at_all_hours(run: pl.DataFrame) -> None:
    hours = stays(run).filter(pl.col("primary_diagnosis_code") == "Z38.00")["timestamp"].dt.hour()
    assert len(hours) > 500
    assert chi_square(hours) < 70.5  # one in a million of 23 degrees of freedom
    assert 0.10 < (hours < 6).mean() < 0.26  # type: ignore[operator]
    mutant = pl.Series(np.minimum(hours.to_numpy() // 2 + 12, 23))  # no births at night, many late
    assert chi_square(mutant) > 200


def test_mothers_are_admitted_before_the_birth(run: pl.DataFrame) -> None:
    where = ["begins", "facility_id"]
    found = stays(run).select(*where, "timestamp", "primary_diagnosis_code").sort(*where, "timestamp")
    place = pl.int_range(pl.len()).over(where)
    mothers, newborns = (
        found.filter(pl.col("primary_diagnosis_code") == code).with_columns(place=place, n=pl.len().over(where))
        for code in ("O80", "Z38.00")
    )
    # The first to come are before the first to be born, the second before the second, and so on.
    both = mothers.join(newborns, on=[*where, "place"], suffix="_birth")
    assert both.height == mothers.height == newborns.height
    assert (both["timestamp"] < both["timestamp_birth"]).all()
    alone = both.filter(pl.col("n") == 1).select(
        wait=pl.col("timestamp_birth") - pl.col("timestamp"), hour=pl.col("timestamp_birth").dt.hour()
    )
    assert alone.height > 50
    assert alone["wait"].max() <= timedelta(hours=8)  # type: ignore[operator]
    assert alone.filter(pl.col("hour") >= 1)["wait"].min() >= timedelta(minutes=30)  # type: ignore[operator]
    by_day = alone.filter(pl.col("hour") >= 8)["wait"].mean()
    assert timedelta(hours=2.5) < by_day < timedelta(hours=4.5)  # type: ignore[operator]
