"""Stays, readmissions, births, deaths and the labels that come of them: exact, over a range of days."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from generators import get_generator
from tests.generators.healthcare.conftest import RUN_DAYS, RUN_FIRST, RUN_ROWS
from tests.generators.healthcare.oracle import (
    after_death,
    inside_stays,
    of_class,
    overlapping,
    readmission_violations,
    stays,
)

RUN_LAST = RUN_FIRST + timedelta(RUN_DAYS - 1)
OUTCOMES = "readmission_outcomes"


@pytest.fixture(scope="module")
def labels() -> pl.DataFrame:
    """The labels that became known in the days of `run`, about stays of these days."""
    generator = get_generator("patient_records", base_daily_volume=RUN_ROWS)
    return pl.concat([generator.derive(OUTCOMES, RUN_FIRST + timedelta(n), RUN_FIRST) for n in range(RUN_DAYS)])


# -- readmission ------------------------------------------------------------------------------------------------


def test_readmission_holds_in_both_directions(run: pl.DataFrame) -> None:
    found = readmission_violations(run, RUN_LAST)
    assert found.pop("index stays") > 2_500
    assert found == dict.fromkeys(found, 0)


def test_readmission_check_catches_mutants(run: pl.DataFrame) -> None:
    readmitted = pl.col("is_readmitted_30d")
    turned = readmission_violations(run.with_columns(~readmitted), RUN_LAST)
    assert turned["true without a stay"] > 100
    assert turned["false with a stay"] > 100
    early = pl.col("is_readmitted_30d") & (pl.col("ends") < RUN_FIRST + timedelta(60))
    second = stays(run).filter(early & pl.col("is_readmitted_30d").shift(-1).not_())["next_id"].head(1)
    lost = readmission_violations(run.filter(~pl.col("encounter_id").is_in(second.implode())), RUN_LAST)
    assert lost["true without a stay"] == 1
    shifted = run.with_columns(pl.col("days_to_readmission") + 1)
    assert readmission_violations(shifted, RUN_LAST)["days differ"] > 100


def test_only_index_stays_have_an_outcome(run: pl.DataFrame) -> None:
    index = (
        (pl.col("encounter_class") == "inpatient")
        & (pl.col("age_years") >= 1)
        & (pl.col("discharge_disposition") != "exp")
        & (pl.col("length_of_stay_days") < 60)
    )
    assert run.select((index == pl.col("is_readmitted_30d").is_not_null()).all()).item()


def test_stays_never_overlap(run: pl.DataFrame) -> None:
    assert overlapping(run) == 0
    longer = run.with_columns(pl.col("encounter_end") + pl.duration(days=40))
    assert overlapping(longer) > 50  # the mutant that this check must catch


def test_nobody_visits_from_a_hospital_bed(run: pl.DataFrame) -> None:
    assert inside_stays(run) == 0
    # The mutants: one visit on the second day of somebody's stay; stays that begin three days earlier.
    stay = of_class(run, "inpatient").filter(pl.col("length_of_stay_days") > 1).head(1)
    visit = of_class(run, "ambulatory").head(1)
    moved = visit.with_columns(stay["patient_id"], timestamp=stay["timestamp"] + timedelta(days=1))
    assert inside_stays(pl.concat([run, moved])) == 1
    earlier = pl.when(pl.col("encounter_class") == "inpatient").then(pl.duration(days=3)).otherwise(pl.duration(days=0))
    assert inside_stays(run.with_columns(pl.col("timestamp") - earlier)) > 50


def test_nobody_comes_after_death(run: pl.DataFrame) -> None:
    assert run.filter(pl.col("discharge_disposition") == "exp").height > 80
    assert after_death(run) == 0
    # The mutants: one visit a day after somebody's death; deaths that are dated half a year too early.
    died = run.filter(pl.col("discharge_disposition") == "exp").head(1)
    visit = of_class(run, "ambulatory").head(1)
    late = visit.with_columns(died["patient_id"], timestamp=died["encounter_end"] + timedelta(days=1))
    assert after_death(pl.concat([run, late])) == 1
    dead = pl.col("discharge_disposition") == "exp"
    early = pl.when(dead).then(pl.col("encounter_end") - pl.duration(days=180)).otherwise("encounter_end")
    assert after_death(run.filter(~dead | (pl.col("encounter_class") == "inpatient")).with_columns(early)) > 80


# -- births and emergency ---------------------------------------------------------------------------------------


def test_births_come_in_pairs_of_one_hospital_and_day(run: pl.DataFrame) -> None:
    found = stays(run)
    newborn = found.filter(pl.col("primary_diagnosis_code") == "Z38.00")
    mother = found.filter(pl.col("primary_diagnosis_code") == "O80")
    assert newborn.height > 500
    assert (newborn["birth_date"] == newborn["begins"]).all()
    assert (newborn["age_years"] == 0).all()
    assert (mother["sex"] == "female").all()
    assert mother["age_years"].is_between(15, 47).all()

    def pairs(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.group_by("begins", "facility_id").len().sort("begins", "facility_id")

    assert_frame_equal(pairs(newborn), pairs(mother))


def summer_births(country: str, months: tuple[int, ...]) -> tuple[float, int]:
    """Return the share of a day's patients who were born in some months, and their number."""
    generator = get_generator("patient_records", base_daily_volume=1_500, country=country)
    table = pl.concat(list(generator.dimension("patients", RUN_FIRST, RUN_FIRST)))
    born = table.unique("patient_id")["birth_date"].dt.month()
    return float(born.is_in(months).mean()), len(born)  # type: ignore[arg-type]


@pytest.mark.parametrize("country,months", [("US", (7, 8, 9)), ("AU", (1, 2, 3))])
def test_more_children_are_born_in_late_summer(country: str, months: tuple[int, ...]) -> None:
    days = sum(31 if month != 9 else 30 for month in months) - 2.75 * (2 in months)
    expected = 1.05 * days / (1.05 * days + 0.983 * (365.25 - days))
    found, n = summer_births(country, months)
    tolerance = 5 * (expected * (1 - expected) / n) ** 0.5
    assert found == pytest.approx(expected, abs=tolerance)
    assert abs(days / 365.25 - expected) > 1.5 * tolerance  # births spread evenly would be caught


def test_births_are_as_many_in_every_year() -> None:
    population = get_generator("patient_records").population  # type: ignore[attr-defined]
    first = [(date(year, 1, 1) - date(1970, 1, 1)).days for year in range(1970, 2100, 10)]
    counts = [population.birth_counts(day, day + 3_652).sum() for day in first]
    mean = sum(counts) / len(counts)
    assert mean == pytest.approx(10 * 0.0128 * population.slots, rel=0.01)
    assert max(abs(count - mean) for count in counts) < 5 * mean**0.5


def test_emergency_stays_begin_when_their_visit_ends(run: pl.DataFrame) -> None:
    found = stays(run).filter((pl.col("admit_source") == "emergency") & (pl.col("begins") > RUN_FIRST))
    visits = of_class(run, "emergency").filter(pl.col("is_admitted"))
    joined = found.join(
        visits.select("patient_id", "facility_id", arrived="timestamp", timestamp="encounter_end"),
        on=["patient_id", "timestamp", "facility_id"],
        how="left",
    )
    assert joined["arrived"].null_count() == 0
    waited = joined["timestamp"] - joined["arrived"]
    assert timedelta(0) < waited.min() <= waited.max() < timedelta(hours=24)  # type: ignore[operator]
    ended = visits.filter(pl.col("encounter_end").dt.date().is_between(RUN_FIRST + timedelta(1), RUN_LAST))
    assert ended.height == found.height
    dispositions = of_class(run, "emergency").with_columns(
        admitted=(pl.col("discharge_disposition") == "admitted") == pl.col("is_admitted")
    )
    assert dispositions["admitted"].all()


def test_length_of_stay_counts_midnights(run: pl.DataFrame) -> None:
    found = stays(run)
    assert ((found["ends"] - found["begins"]).dt.total_days() == found["length_of_stay_days"]).all()
    others = run.filter(pl.col("encounter_class") != "inpatient")
    assert others["length_of_stay_days"].null_count() == others.height


# -- labels -----------------------------------------------------------------------------------------------------


def test_labels_are_the_events_outcomes(run: pl.DataFrame, labels: pl.DataFrame) -> None:
    schema = get_generator("patient_records").table(OUTCOMES)
    assert schema.violations(labels) == []
    assert labels["encounter_id"].is_unique().all()
    index = stays(run).filter(pl.col("is_readmitted_30d").is_not_null())
    known = pl.when("is_readmitted_30d").then(pl.col("days_to_readmission").cast(pl.Int64)).otherwise(31)
    index = index.with_columns(expected=pl.col("ends") + pl.duration(days=known))
    due = index.filter(pl.col("expected") <= RUN_LAST)
    joined = due.join(labels, on="encounter_id", how="full", suffix="_label")
    assert joined.height == due.height == labels.height
    assert (joined["is_readmitted_30d"] == joined["is_readmitted_30d_label"]).all()
    assert joined["days_to_readmission"].eq_missing(joined["days_to_readmission_label"]).all()
    assert (joined["ends"] == joined["discharge_date"]).all()
    assert (joined["expected"] == joined["outcome_known_date"]).all()
    followed = joined.filter("is_readmitted_30d")
    assert (followed["readmission_encounter_id"] == followed["next_id"]).all()
    assert joined.filter(~pl.col("is_readmitted_30d"))["readmission_encounter_id"].null_count() == joined.height - (
        followed.height
    )


def test_labels_are_known_within_31_days_and_never_before_discharge(labels: pl.DataFrame) -> None:
    age = (labels["outcome_known_date"] - labels["discharge_date"]).dt.total_days()
    assert age.min() >= 1  # type: ignore[operator]
    assert age.max() == 31
    assert (age.filter(labels["is_readmitted_30d"]) <= 30).all()


def test_label_day_alone_equals_label_day_in_a_range() -> None:
    generator = get_generator("patient_records", base_daily_volume=600)
    days = [date(2024, 6, 1) + timedelta(n) for n in range(4)]
    forward = [generator.derive(OUTCOMES, day) for day in days]
    generator = get_generator("patient_records", base_daily_volume=600)
    backward = [generator.derive(OUTCOMES, day) for day in reversed(days)]
    alone = get_generator("patient_records", base_daily_volume=600).derive(OUTCOMES, days[2])
    assert alone.height > 2
    assert_frame_equal(alone, forward[2])
    for one, other in zip(forward, reversed(backward), strict=True):
        assert_frame_equal(one, other)


def test_labels_know_no_event_before_the_start() -> None:
    generator = get_generator("patient_records", base_daily_volume=2_000)
    start, day = date(2024, 6, 8), date(2024, 7, 10)
    cut, whole = generator.derive(OUTCOMES, day, start), generator.derive(OUTCOMES, day)
    first = whole["encounter_id"].str.slice(4, 8).str.to_date("%Y%m%d")
    assert 0 < cut.height < whole.height
    assert_frame_equal(cut, whole.filter(first >= start))


# -- dimension --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("safe_harbor", [False, True])
def test_every_event_finds_its_patient_as_of_its_day(safe_harbor: bool) -> None:
    generator = get_generator("patient_records", base_daily_volume=300, safe_harbor=safe_harbor)
    days = [date(2024, 5, 1) + timedelta(n) for n in range(0, 60, 6)]
    frame = pl.concat([generator.generate(day) for day in days]).with_columns(day=pl.col("timestamp").dt.date())
    table = pl.concat(list(generator.dimension("patients", days[0], days[-1])))
    assert generator.table("patients").violations(table) == []
    assert table.select(pl.struct("patient_id", "valid_from").is_unique().all()).item()
    assert (table["valid_from"] <= days[-1]).all()
    joined = frame.join(table, on="patient_id", how="left", suffix="_dim").filter(
        (pl.col("valid_from") <= pl.col("day")) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("day")))
    )
    assert joined.height == frame.height
    for column in ("mrn", "birth_date", "sex", "race", "ethnicity", "postal3", "payer_type"):
        assert joined[column].eq_missing(joined[f"{column}_dim"]).all(), column
    later = joined.filter((pl.col("department") == "primary_care") & (pl.col("encounter_class") == "ambulatory"))
    usual = (later["provider_id"] == later["usual_provider_id"]).mean()
    assert 0.55 < usual < 0.80  # type: ignore[operator]


def test_versions_of_a_patient_follow_each_other() -> None:
    generator = get_generator("patient_records", base_daily_volume=50)
    table = pl.concat(list(generator.dimension("patients", date(2015, 1, 1), date(2024, 12, 31))))
    table = table.sort("patient_id", "valid_from").with_columns(
        follows=pl.col("valid_from").shift(-1).over("patient_id"),
        payer_next=pl.col("payer_type").shift(-1).over("patient_id"),
    )
    inner = table.filter(pl.col("follows").is_not_null())
    assert (inner["valid_to"] == inner["follows"]).all()
    assert (inner["payer_type"] != inner["payer_next"]).all()
    born = table.group_by("patient_id").agg(pl.col("valid_from").min(), pl.col("birth_date").first())
    assert (born["valid_from"] == born["birth_date"]).all()


def test_stays_do_not_depend_on_how_many_days_are_made_at_once() -> None:
    days = [date(2024, 5, 1) + timedelta(n) for n in range(6)]
    usual, single = (get_generator("patient_records", base_daily_volume=200) for _ in range(2))
    single.hospital.__dict__["_step"] = 1  # type: ignore[attr-defined]
    forward = [single.generate(day) for day in days]
    backward = [single.generate(day) for day in reversed(days)]
    far = single.generate(date(2024, 11, 1))
    again = [single.generate(day) for day in days]
    for number, day in enumerate(days):
        expected = usual.generate(day)
        assert_frame_equal(forward[number], expected)
        assert_frame_equal(backward[-1 - number], expected)
        assert_frame_equal(again[number], expected)
    assert_frame_equal(far, usual.generate(date(2024, 11, 1)))
