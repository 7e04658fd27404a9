"""Births over the day, where patients go after a stay, and who works where."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from generators import get_generator
from tests.generators.healthcare.oracle import of_class, stays

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


# -- where patients go --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def discharged() -> pl.DataFrame:
    """Stays of 20 days over a year that end neither in birth nor in death, in groups of age."""
    generator = get_generator("patient_records", base_daily_volume=30_000)
    days = [date(2024, 1, 6) + timedelta(18 * n) for n in range(20)]
    found = pl.concat([of_class(generator.generate(day), "inpatient") for day in days])
    code, left = (pl.col(name).cast(pl.String) for name in ("primary_diagnosis_code", "discharge_disposition"))
    return found.filter(~code.is_in(["O80", "Z38.00"]) & (left != "exp")).select(
        code.alias("code"),
        left.alias("left"),
        nights=pl.col("length_of_stay_days"),
        age=sum(pl.col("age_years") >= edge for edge in (45, 65, 80)),
    )


def relative(rows: pl.DataFrame, codes: list[str], who: pl.Expr, others: pl.Expr) -> float:
    """Return how often one group goes to some places relative to another one of the same ages."""
    went = pl.col("left").is_in(codes).cast(pl.Float64)
    by_age = rows.group_by("age").agg(
        n=who.sum(), one=went.filter(who).mean(), other=went.filter(others).mean(), m=others.sum()
    )
    by_age = by_age.filter((pl.col("n") > 0) & (pl.col("m") > 50))
    return float((by_age["one"] * by_age["n"]).sum() / (by_age["other"] * by_age["n"]).sum())


def leaving_violations(rows: pl.DataFrame) -> list[str]:
    """Return which of the documented associations of the disposition are not there."""
    disabled, knee = pl.col("code").is_in(["S72.001A", "I63.9"]), pl.col("code") == "M17.11"
    usual = ~disabled & ~knee
    short, long = pl.col("nights") < 4, pl.col("nights") >= 8
    middle = ~short & ~long
    # Weights are scaled to one, so ratios of shares lie nearer to one than the factors 2.5, 2, 0.7 and 1.6.
    found = {
        "facility after hip fracture or stroke": (relative(rows, ["snf", "rehab"], disabled, usual), 1.7, 2.6),
        "care at home after a new knee": (relative(rows, ["alt-home"], knee, usual), 1.5, 2.6),
        "facility after short stays": (relative(rows, ["snf", "rehab"], usual & short, usual & middle), 0.6, 0.9),
        "facility after long stays": (relative(rows, ["snf", "rehab"], usual & long, usual & middle), 1.2, 1.7),
        "hospice after long stays": (relative(rows, ["hosp"], usual & long, usual & ~long), 0.6, 1.4),
    }
    return [name for name, (value, low, high) in found.items() if not low <= value <= high]


def test_disposition_hangs_on_diagnosis_and_length(discharged: pl.DataFrame) -> None:
    assert discharged.height > 10_000
    assert discharged.filter(pl.col("code").is_in(["S72.001A", "I63.9"])).height > 400
    assert leaving_violations(discharged) == []
    # The mutant: dispositions that hang on age alone.
    by_age = discharged.with_columns(pl.col("left").shuffle(seed=1).over("age"))
    assert len(leaving_violations(by_age)) >= 4


# -- providers ----------------------------------------------------------------------------------------------------


def places(rows: pl.DataFrame) -> pl.Series:
    """Return at how many facilities each provider works."""
    return rows.group_by("provider_id").agg(pl.col("facility_id").n_unique())["facility_id"]


def test_provider_belongs_to_one_facility_or_two(sample: pl.DataFrame, run: pl.DataFrame) -> None:
    for rows in (sample, run):
        assert places(rows).max() <= 2  # type: ignore[operator]
        assert (places(rows) == 1).mean() > 0.6  # type: ignore[operator]
        assert rows.group_by("provider_id").agg(pl.col("department").n_unique())["department"].max() == 1
    elsewhere = sample.with_columns(pl.col("facility_id").shuffle(seed=1).over("encounter_class"))
    assert places(elsewhere).mean() > 5  # type: ignore[operator]


def test_every_provider_has_about_a_day_of_visits(sample: pl.DataFrame) -> None:
    clinics = of_class(sample, "ambulatory", "wellness", "virtual")
    by_place = clinics.group_by("facility_id", pl.col("timestamp").dt.date()).agg(
        rows=pl.len(), providers=pl.col("provider_id").n_unique()
    )
    load = by_place.group_by("facility_id").agg(pl.col("rows").sum() / pl.col("providers").sum())["rows"]
    assert len(load) > 50
    assert load.min() > 3  # type: ignore[operator]  # doctors of the smallest have a second clinic
    assert load.max() < 22  # type: ignore[operator]


def test_new_clinic_has_providers_of_the_old_ones() -> None:
    generator = get_generator(
        "patient_records", base_daily_volume=3_000, drift=[{"preset": "new_clinic", "start": "2024-01-01"}]
    )
    rows = pl.concat([generator.generate(date(2024, 3, 4) + timedelta(n)) for n in range(3)])
    assert (rows["facility_id"] == "FAC-900").mean() > 0.05  # type: ignore[operator]
    assert places(rows).max() <= 3  # type: ignore[operator]
    assert places(rows.filter(pl.col("facility_id") != "FAC-900")).max() <= 2  # type: ignore[operator]
