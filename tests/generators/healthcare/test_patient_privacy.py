"""What must not be read off the data: birth dates under safe_harbor, outcomes from ids."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from generators import get_generator
from tests.generators.healthcare.oracle import of_class

START, THROUGH = date(2019, 1, 1), date(2024, 3, 10)
DRIFT = [{"preset": "payer_shift", "start": "2023-02-01"}]


def patients(safe_harbor: bool, start: date = START, through: date = THROUGH, **fields: object) -> pl.DataFrame:
    """Return the patients of a small dataset with whether a version is their last one."""
    generator = get_generator("patient_records", base_daily_volume=150, safe_harbor=safe_harbor, **fields)
    table = pl.concat(list(generator.dimension("patients", start, through))).sort("patient_id", "valid_from")
    return table.with_columns(last=pl.col("patient_id").is_last_distinct())


@pytest.fixture(scope="module")
def safe() -> pl.DataFrame:
    return patients(True)


@pytest.fixture(scope="module")
def born() -> pl.DataFrame:
    """True birth dates."""
    return patients(False).unique("patient_id").select("patient_id", born="birth_date")


def telling_dates(table: pl.DataFrame, born: pl.DataFrame) -> int:
    """Count dates on which versions begin or change that are birth dates or birthdays of their patients."""
    changes = pl.concat(
        [
            table.select("patient_id", day="valid_from"),
            table.filter(~pl.col("last")).select("patient_id", day="valid_to"),
        ]
    ).join(born, on="patient_id")
    same = (pl.col("day").dt.month() == pl.col("born").dt.month()) & (pl.col("day").dt.day() == pl.col("born").dt.day())
    return changes.filter(same & (pl.col("born").dt.ordinal_day() > 1)).height


def test_safe_harbor_dimension_shows_no_birthday(safe: pl.DataFrame, born: pl.DataFrame) -> None:
    assert telling_dates(safe, born) == 0
    assert telling_dates(patients(False), born) > 10_000  # exact versions are caught
    days = safe.filter(pl.col("valid_from") > START)["valid_from"]
    assert (days.dt.ordinal_day() == 1).all()
    assert days.dt.year().n_unique() == 5
    assert safe["valid_from"].min() == START
    assert safe.filter(~pl.col("last"))["valid_to"].dt.ordinal_day().unique().to_list() == [1]


def test_safe_harbor_versions_differ_from_those_before(safe: pl.DataFrame) -> None:
    shown = safe.with_columns(old=pl.col("birth_date").is_null()).filter(~pl.col("patient_id").is_first_distinct())
    before = safe.with_columns(old=pl.col("birth_date").is_null()).filter(~pl.col("last"))
    assert shown.height == before.height > 500
    assert ((shown["payer_type"] != before["payer_type"]) | (shown["old"] != before["old"])).all()
    assert (before["valid_to"].to_numpy() == shown["valid_from"].to_numpy()).all()


def test_safe_harbor_patients_of_a_year_appear_together(safe: pl.DataFrame) -> None:
    """A dimension of a later day of the year has the same patients, and theirs is the same past."""
    later = patients(True, through=THROUGH + timedelta(200))
    assert later["patient_id"].n_unique() == safe["patient_id"].n_unique()
    known = later.filter(pl.col("valid_from") <= THROUGH)
    assert known.drop("last", "valid_to").equals(safe.drop("last", "valid_to"))
    without = get_generator("patient_records", base_daily_volume=150)
    exact = [
        pl.concat(list(without.dimension("patients", START, day)))["patient_id"].n_unique()
        for day in (THROUGH, THROUGH + timedelta(200))
    ]
    assert exact[0] < exact[1]


def test_safe_harbor_hides_birthdays_from_those_who_lose_cover() -> None:
    """Who is born after a drift took effect has no version that begins on the day of birth."""
    table = patients(True, start=date(2023, 1, 1), through=date(2024, 12, 31), drift=DRIFT)
    exact = patients(False, start=date(2023, 1, 1), through=date(2024, 12, 31), drift=DRIFT)
    young = exact.filter(pl.col("birth_date") > date(2023, 6, 1)).unique("patient_id")
    first = table.group_by("patient_id").agg(pl.col("valid_from").min())
    joined = first.join(young.select("patient_id", "birth_date"), on="patient_id")
    assert joined.height > 150
    assert (joined["valid_from"].dt.ordinal_day() == 1).all()
    assert (joined["valid_from"].dt.year() == joined["birth_date"].dt.year()).all()


def test_safe_harbor_events_agree_with_the_dimension_around_new_year() -> None:
    generator = get_generator("patient_records", base_daily_volume=1_000, safe_harbor=True, drift=DRIFT)
    days = [date(2023, 12, 30) + timedelta(n) for n in range(5)]
    frame = pl.concat([generator.generate(day) for day in days]).with_columns(day=pl.col("timestamp").dt.date())
    table = pl.concat(list(generator.dimension("patients", days[0], days[-1])))
    joined = frame.join(table, on="patient_id", suffix="_dim").filter(
        (pl.col("valid_from") <= pl.col("day")) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("day")))
    )
    assert joined.height == frame.height
    for column in ("mrn", "birth_date", "sex", "race", "ethnicity", "postal3", "payer_type"):
        assert joined[column].eq_missing(joined[f"{column}_dim"]).all(), column
    known = joined.drop_nulls("birth_date")
    assert (known["age_years"] == known["day"].dt.year() - known["birth_date"].dt.year()).all()
    both = frame.group_by("patient_id").agg(pl.col("age_years").max() - pl.col("age_years").min(), pl.col("day").max())
    grown = both.filter(pl.col("age_years") > 0)
    assert grown.height > 0
    assert (grown["day"] >= date(2024, 1, 1)).all()


# -- ids ----------------------------------------------------------------------------------------------------------


def area_under_curve(score: NDArray[np.int64], label: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the AUC of a score and its standard error where the score says nothing."""
    rank = pl.Series(score).rank().to_numpy()
    yes, no = int(label.sum()), int((~label).sum())
    return float((rank[label].sum() - yes * (yes + 1) / 2) / (yes * no)), float(
        ((yes + no + 1) / (12 * yes * no)) ** 0.5
    )


def telling_characters(visits: pl.DataFrame) -> list[str]:
    """Return what of the ids of emergency visits says whether a visit ends in a stay: characters or the whole."""
    admitted = visits["is_admitted"].to_numpy()
    texts = visits["encounter_id"].str.slice(13).to_list()
    scores = {f"character {n}": np.array([ord(t[n]) for t in texts]) for n in range(8)}
    scores["id"] = np.array([int(t[1:], 36) for t in texts])
    found = {name: area_under_curve(score, admitted) for name, score in scores.items()}
    return [f"{name}: {area:.3f}" for name, (area, error) in found.items() if abs(area - 0.5) > 5 * error]


def test_id_of_an_emergency_visit_does_not_say_how_it_ends(sample: pl.DataFrame) -> None:
    visits = of_class(sample, "emergency")
    assert visits["is_admitted"].sum() > 2_000
    assert telling_characters(visits) == []
    assert visits["encounter_id"].str.slice(13, 1).unique().to_list() == ["v"]
    letter = pl.when("is_admitted").then(pl.lit("e")).otherwise(pl.lit("v"))
    marked = visits.with_columns(
        encounter_id=pl.col("encounter_id").str.slice(0, 13) + letter + pl.col("encounter_id").str.slice(14)
    )
    assert telling_characters(marked)  # the mutant: a letter of their own


def test_stays_have_a_letter_of_their_own_and_visits_share_one(sample: pl.DataFrame) -> None:
    letters = sample.select(pl.col("encounter_class").cast(pl.String), letter=pl.col("encounter_id").str.slice(13, 1))
    found = dict(letters.unique().rows())
    assert found.pop("inpatient") == "i"
    assert set(found.values()) == {"v"}
    assert len(found) == 5 == letters.unique().height - 1
    assert sample["encounter_id"].is_unique().all()
