"""The rules of encounters that hold in every row, the options and the refusals."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from functools import lru_cache

import polars as pl
import pytest

import generators.base
from generators import ConfigError, generator_class, get_generator
from generators.groups import leaves
from generators.healthcare.patient_config import PatientRecordsConfig
from generators.sanitize import scan
from simtom_pipelines.data_guide import FOLDER, guide
from tests.generators.healthcare.oracle import (
    CLOSED_2023,
    CLOSED_2024,
    DEPARTMENTS,
    DIAGNOSES,
    FEDERAL_2024,
    FHIR,
    VALID,
    age_on,
    of_class,
)

SCHEDULED = ("ambulatory", "wellness", "virtual")
DAY = date(2024, 11, 27)


def text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String)


# -- patients ---------------------------------------------------------------------------------------------------


def test_age_is_completed_years_of_the_birth_date(sample: pl.DataFrame) -> None:
    rows = sample.select("birth_date", "age_years", day=pl.col("timestamp").dt.date()).unique()
    ages = [age_on(born, day) for born, day in zip(rows["birth_date"], rows["day"], strict=True)]
    assert rows["age_years"].to_list() == ages
    assert max(ages) <= 105


def test_age_on_leap_days() -> None:
    generator = get_generator("patient_records", base_daily_volume=3_000)
    for day in (date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)):
        rows = generator.generate(day)
        assert rows["age_years"].to_list() == [age_on(born, day) for born in rows["birth_date"]]


def test_one_patient_is_one_person(run: pl.DataFrame) -> None:
    fixed = ["mrn", "birth_date", "sex", "race", "ethnicity", "postal3"]
    kinds = run.group_by("patient_id").agg(pl.col(fixed).n_unique())
    assert all(kinds[column].max() == 1 for column in fixed)
    assert run["mrn"].n_unique() == run["patient_id"].n_unique() == kinds.height
    order = run.sort("patient_id", "timestamp")
    grown = order.select(pl.col("chronic_count").cast(pl.Int32).diff().over("patient_id").min())
    assert grown.item() >= 0


def test_adult_height_is_constant(run: pl.DataFrame) -> None:
    adults = run.filter((pl.col("age_years") >= 18) & pl.col("height_cm").is_not_null())
    spread = adults.group_by("patient_id").agg(pl.col("height_cm").max() - pl.col("height_cm").min())
    assert spread["height_cm"].max() <= 1.0 + 1e-9  # type: ignore[operator]


# -- diagnoses --------------------------------------------------------------------------------------------------


def diagnosis_violations(frame: pl.DataFrame) -> int:
    """Count rows whose code does not fit class, age, sex or date."""
    rules = pl.DataFrame(
        [(code, c, low, high, sex) for code, (classes, (low, high), sex) in DIAGNOSES.items() for c in classes],
        schema=["code", "encounter_class", "low", "high", "only"],
        orient="row",
    )
    rows = frame.drop_nulls("primary_diagnosis_code").select(
        text("primary_diagnosis_code").alias("code"), text("encounter_class"), "age_years", text("sex"),
        day=pl.col("timestamp").dt.date(),
    )  # fmt: skip
    joined = rows.join(rules, on=["code", "encounter_class"], how="left")
    fits = (
        pl.col("low").is_not_null()
        & pl.col("age_years").is_between(pl.col("low"), pl.col("high"))
        & ((pl.col("only") == "any") | (pl.col("sex") == pl.col("only")))
    )
    broken = joined.filter(~fits.fill_null(False)).height
    for code, (first, last) in VALID.items():
        broken += rows.filter((pl.col("code") == code) & ~pl.col("day").is_between(first, last)).height
    return broken


def test_diagnoses_fit_class_age_sex_and_date(sample: pl.DataFrame, run: pl.DataFrame) -> None:
    assert diagnosis_violations(sample) == 0
    assert diagnosis_violations(run) == 0
    assert set(sample["primary_diagnosis_code"].drop_nulls().cast(pl.String)) == {
        code for code in DIAGNOSES if VALID.get(code, (date(2023, 1, 1),))[0] >= date(2020, 1, 1) or code not in VALID
    }
    mutant = sample.with_columns(pl.col("age_years").reverse())
    assert diagnosis_violations(mutant) > 1_000


@pytest.mark.parametrize("day", [date(2020, 3, 31), date(2020, 4, 1), date(2021, 9, 30), date(2021, 10, 1)])
def test_codes_change_on_their_day(day: date) -> None:
    rows = get_generator("patient_records", base_daily_volume=8_000).generate(day)
    assert diagnosis_violations(rows) == 0
    found = set(rows["primary_diagnosis_code"].drop_nulls().cast(pl.String))
    expected = {code for code, (first, last) in VALID.items() if first <= day <= last}
    assert found & set(VALID) == expected


def test_one_text_a_code(sample: pl.DataFrame) -> None:
    pairs = sample.select("primary_diagnosis_code", "primary_diagnosis_text").unique()
    assert pairs["primary_diagnosis_code"].is_unique().all()
    assert pairs["primary_diagnosis_text"].is_unique().all()
    known = dict(zip(pairs["primary_diagnosis_code"], pairs["primary_diagnosis_text"], strict=True))
    assert known["I10"] == "Essential (primary) hypertension"
    assert known["U07.1"] == "COVID-19"


# -- encounters -------------------------------------------------------------------------------------------------


def test_columns_are_null_exactly_where_they_mean_nothing(sample: pl.DataFrame) -> None:
    kind = text("encounter_class")
    emergency, stay, finished = kind == "emergency", kind == "inpatient", pl.col("encounter_status") == "finished"
    present = {
        "length_of_stay_days": stay, "admit_source": stay, "esi_level": emergency, "is_admitted": emergency,
        "arrival_mode": emergency, "pain_score": kind.is_in(["emergency", "urgent_care"]),
        "reason_code": kind.is_in(["emergency", "urgent_care", "ambulatory"]),
        "reason_text": kind.is_in(["emergency", "urgent_care", "ambulatory"]),
        "scheduled_lead_days": kind.is_in(SCHEDULED) | (pl.col("admit_source") == "elective").fill_null(False),
        "total_charge": finished, "total_paid": finished, "payment_date": finished, "diagnosis_count": finished,
        "primary_diagnosis_code": finished, "primary_diagnosis_text": finished, "discharge_disposition": finished,
    }  # fmt: skip
    for column, where in present.items():
        assert sample.select((pl.col(column).is_not_null() == where).all()).item(), column
    missed = sample.filter(~finished)
    assert set(missed["encounter_class"].cast(pl.String)) == set(SCHEDULED)
    vitals = ["temperature_c", "heart_rate_bpm", "systolic_bp", "spo2_pct", "height_cm", "weight_kg", "bmi"]
    assert missed.select(pl.col(vitals).is_null().all()).row(0) == (True,) * len(vitals)
    assert sample.select(pl.col("encounter_end", "length_minutes").is_null().any()).row(0) == (False, False)


def test_class_decides_fhir_code_and_department(sample: pl.DataFrame) -> None:
    codes = sample.select(text("encounter_class"), text("fhir_class_code")).unique()
    assert dict(codes.rows()) == FHIR
    pairs = sample.select(text("encounter_class"), text("department")).unique()
    assert all(department in DEPARTMENTS[kind] for kind, department in pairs.rows())
    assert sample.filter(pl.col("department") == "pediatrics")["age_years"].max() < 18  # type: ignore[operator]
    maternity = sample.filter(pl.col("department") == "maternity")
    assert maternity["sex"].unique().to_list() == ["female"]
    assert maternity["age_years"].is_between(12, 54).all()
    assert sample.filter(pl.col("department") == "newborn")["age_years"].max() == 0


def test_times_and_money_add_up(sample: pl.DataFrame) -> None:
    minutes = (sample["encounter_end"] - sample["timestamp"]).dt.total_minutes()
    assert (minutes == sample["length_minutes"]).all()
    assert (sample["encounter_end"] > sample["timestamp"]).all()
    billed = sample.drop_nulls("total_charge")
    assert (billed["total_paid"] <= billed["total_charge"]).all()
    for column in ("total_charge", "total_paid"):
        assert (billed[column].round(2) == billed[column]).all()
    wait = (billed["payment_date"] - billed["encounter_end"].dt.date()).dt.total_days()
    assert (wait.min(), wait.max()) == (20, 90)


def test_vitals_fit_together(sample: pl.DataFrame) -> None:
    assert sample.select((pl.col("systolic_bp").cast(pl.Int32) - pl.col("diastolic_bp") >= 10).all()).item()
    body = sample.drop_nulls(["bmi"])
    error = (body["weight_kg"] / (body["height_cm"] / 100) ** 2 - body["bmi"]).abs()
    assert error.max() <= 0.1  # type: ignore[operator]
    assert sample.select((pl.col("systolic_bp").is_null() == pl.col("diastolic_bp").is_null()).all()).item()


def test_provider_sees_at_most_forty_ambulatory_patients_a_day(sample: pl.DataFrame) -> None:
    rows = of_class(sample, "ambulatory", "wellness", "virtual")
    counts = rows.group_by("provider_id", pl.col("timestamp").dt.date()).len()["len"]
    assert counts.max() <= 40  # type: ignore[operator]
    assert 8 <= counts.mean() <= 22  # type: ignore[operator]


@pytest.mark.parametrize("day", [*CLOSED_2023, *CLOSED_2024, date(2024, 6, 8), date(2024, 6, 9)])
def test_clinics_are_closed(day: date) -> None:
    rows = small().generate(day)
    assert of_class(rows, "ambulatory", "wellness").height == 0
    assert of_class(rows, "emergency").height > 10


def test_clinics_see_fewer_patients_on_federal_holidays() -> None:
    generator = get_generator("patient_records", base_daily_volume=2_000, volume_noise=0)
    for day in FEDERAL_2024:
        usual = of_class(generator.generate(day + timedelta(14)), "ambulatory").height
        assert 0.40 < of_class(generator.generate(day), "ambulatory").height / usual < 0.70


# -- privacy ----------------------------------------------------------------------------------------------------


def test_no_text_looks_like_a_real_identifier(sample: pl.DataFrame) -> None:
    generator = get_generator("patient_records", base_daily_volume=50)
    dimension = next(generator.dimension("patients", DAY, DAY))
    for frame in (sample, dimension, generator.derive("readmission_outcomes", DAY)):
        for column in frame.columns:
            if frame[column].dtype == pl.String or isinstance(frame[column].dtype, pl.Enum):
                assert scan(frame[column]) == {}, column
    assert scan(["123-45-6789"])
    assert scan(["1234567893"])


def test_safe_harbor_cuts_dates_and_ages() -> None:
    plain, safe = (get_generator("patient_records", safe_harbor=flag).generate(DAY) for flag in (False, True))
    assert (plain["age_years"] >= 90).sum() > 5
    old = safe["age_years"] == safe["age_years"].max()
    assert safe.filter(old)["age_years"].unique().to_list() == [90]
    assert safe.filter(old)["birth_date"].null_count() == old.sum() > 5
    known = safe.filter(~old)
    assert (known["birth_date"].dt.ordinal_day() == 1).all()
    assert (known["age_years"] == DAY.year - known["birth_date"].dt.year()).all()
    assert safe["postal3"].str.contains(r"^\d{3}$").all()


def test_live_mode_hides_what_is_known_later() -> None:
    training, live = (
        get_generator("patient_records", base_daily_volume=2_000, label_mode=mode).generate(DAY)
        for mode in ("training", "live")
    )
    ended = training["encounter_end"].dt.date() == DAY
    at_discharge = [
        "encounter_end", "length_minutes", "length_of_stay_days", "is_admitted", "total_charge",
        "discharge_disposition",
    ]  # fmt: skip
    later = ["total_paid", "payment_date", "is_readmitted_30d", "days_to_readmission"]
    assert 0 < (~ended).sum() < ended.sum()
    for column in at_discharge:
        assert live.filter(~ended)[column].null_count() == (~ended).sum(), column
        assert live.filter(ended)[column].eq_missing(training.filter(ended)[column]).all(), column
    assert all(live[column].null_count() == live.height for column in later)
    assert live.drop(at_discharge + later).equals(training.drop(at_discharge + later))


# -- purity -----------------------------------------------------------------------------------------------------


def test_slices_share_stays_and_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generators.base, "SLICE_ROWS", 200)
    rows = small().generate(DAY)
    assert rows["encounter_id"].is_unique().all()
    assert rows["timestamp"].is_sorted()
    assert inside_one_day(rows)


def inside_one_day(rows: pl.DataFrame) -> bool:
    return rows["timestamp"].dt.date().unique().to_list() == [DAY]


@pytest.mark.parametrize("day", [date(2024, 3, 10), date(2024, 11, 3)])
def test_days_of_23_and_25_hours(day: date) -> None:
    generator = small()
    rows = pl.concat([generator.generate(day + timedelta(n)) for n in (-1, 0, 1)])
    assert (rows["encounter_end"] > rows["timestamp"]).all()
    assert generator.events.violations(rows) == []


def test_first_and_last_day_of_the_calendar() -> None:
    generator = small()
    for day in (date(1970, 1, 1), date(2099, 12, 31)):
        assert generator.events.violations(generator.generate(day)) == []
        assert generator.derive("readmission_outcomes", day).height >= 0


def test_tiny_volume_is_served() -> None:
    generator = get_generator("patient_records", base_daily_volume=1)
    rows = pl.concat([generator.generate(date(2024, 1, 1) + timedelta(n)) for n in range(20)])
    assert generator.events.violations(rows) == []


GOLDEN = "d36fe6119ad7de1f"


def test_golden_day_is_unchanged() -> None:
    rows = get_generator("patient_records", base_daily_volume=150, seed=7).generate(DAY)
    assert hashlib.sha256(rows.write_csv().encode()).hexdigest()[:16] == GOLDEN, (
        "the data of an unchanged config changed: raise the revision and say so in CHANGELOG.md"
    )


# -- options ----------------------------------------------------------------------------------------------------

SATURDAY = date(2024, 11, 30)
SHARES = {"ambulatory": 0.5, "wellness": 0.18, "virtual": 0.08, "urgent_care": 0.098, "emergency": 0.115}
KNOBS: list[tuple[str, object]] = [
    ("seed", 1), ("base_daily_volume", 250), ("volume_basis", "yearly_mean"), ("country", "GB"), ("timezone", "UTC"),
    ("include_holiday_patterns", False), ("holiday_profile", "seed"),
    ("holiday_multipliers", {"emergency": {"thanksgiving_eve": 3.0}}), ("day_of_week", "off"),
    ("weekend_multiplier", 2.0), ("week_of_month", "off"), ("month_factors", "off"), ("volume_noise", 0.0),
    ("poisson_counts", False), ("arrival_pattern", "poisson"), ("peak_hours", (12,)), ("label_mode", "live"),
    ("class_shares", {**SHARES, "inpatient": 0.027}),
    ("payer_shares", {"under_18": (1, 0, 0, 0, 0), "18_to_64": (0.7, 0.1, 0.1, 0.1, 0), "65_plus": (0, 1, 0, 0, 0)}),
    ("saturday_clinic", True), ("no_show_rate", 0.3), ("flu_severity", 4.0), ("readmission_rate", 0.24),
    ("charge_growth", 0.2), ("digit_preference", False), ("safe_harbor", True),
    ("drift", [{"preset": "pandemic", "start": "2024-11-01"}]),
]  # fmt: skip
MODIFIERS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "peak_multiplier": ({"peak_hours": (12,)}, {"peak_hours": (12,), "peak_multiplier": 5.0}),
    "burst_intensity": ({"arrival_pattern": "burst"}, {"arrival_pattern": "burst", "burst_intensity": 50.0}),
    "burst_probability": ({"arrival_pattern": "burst"}, {"arrival_pattern": "burst", "burst_probability": 0.9}),
}
"""Knobs that act under another one only: the config without and with them."""

ACTS_ON: dict[str, tuple[date, int]] = {
    "saturday_clinic": (SATURDAY, 300),
    "weekend_multiplier": (SATURDAY, 300),
    "holiday_profile": (date(2025, 1, 1), 300),
    "readmission_rate": (DAY, 3_000),
}
"""Days and volumes on which a knob shows."""


def small(**fields: object) -> generators.base.BaseGenerator:  # type: ignore[type-arg]
    return get_generator("patient_records", **{"base_daily_volume": 300, **fields})


@lru_cache(maxsize=2)
def plain(day: date, rows: int) -> pl.DataFrame:
    return small(base_daily_volume=rows).generate(day)


@pytest.mark.parametrize("name,value", KNOBS)
def test_every_knob_changes_the_output(name: str, value: object) -> None:
    day, rows = ACTS_ON.get(name, (DAY, 300))
    changed = small(**{"base_daily_volume": rows, name: value}).generate(day)
    assert not changed.equals(plain(day, rows))


@pytest.mark.parametrize("name", list(MODIFIERS))
def test_every_modifier_changes_the_output(name: str) -> None:
    without, changed = MODIFIERS[name]
    assert not small(**without).generate(DAY).equals(small(**changed).generate(DAY))


def test_knobs_are_complete() -> None:
    assert {name for name, _ in KNOBS} | set(MODIFIERS) == set(leaves(PatientRecordsConfig))


def test_knobs_do_what_they_say(run: pl.DataFrame) -> None:
    saturday = of_class(small(saturday_clinic=True, base_daily_volume=3_000).generate(SATURDAY), "ambulatory")
    assert 0 < saturday.height < 400
    missed = of_class(small(no_show_rate=0.3, base_daily_volume=3_000).generate(DAY), "ambulatory")
    assert (missed["encounter_status"] == "no_show").mean() == pytest.approx(0.3, abs=0.06)
    exact = small(digit_preference=False, base_daily_volume=3_000).generate(DAY)
    assert (exact["systolic_bp"] % 10 == 0).mean() < 0.15  # type: ignore[operator]
    assert (run["systolic_bp"] % 10 == 0).mean() > 0.30  # type: ignore[operator]
    kids = small(
        payer_shares={"under_18": (0, 0, 1, 0, 0), "18_to_64": (1, 0, 0, 0, 0), "65_plus": (0, 1, 0, 0, 0)}
    ).generate(DAY)
    segment = (pl.col("age_years") >= 18).cast(pl.Int8) + (pl.col("age_years") >= 65)
    pairs = kids.select(segment, text("payer_type")).unique()
    assert sorted(pairs["payer_type"].to_list()) == ["medicaid_chip", "medicare", "private"]


def test_southern_seasons_are_turned() -> None:
    def flu(country: str, day: date) -> int:
        rows = get_generator("patient_records", base_daily_volume=4_000, country=country).generate(day)
        return int((rows["primary_diagnosis_code"] == "J10.1").sum())

    assert flu("US", date(2024, 1, 23)) > 5 * flu("US", date(2024, 7, 23))
    assert flu("AU", date(2024, 7, 23)) > 5 * flu("AU", date(2024, 1, 23))


@pytest.mark.parametrize(
    "field,value,allowed",
    [
        ("base_daily_volume", 0, "greater than or equal to 1"),
        ("country", "ZZ", "ISO 3166-1"),
        ("timezone", "Mars/Olympus", "IANA"),
        ("class_shares", {**SHARES, "inpatient": 0.030}, "a sum of 1"),
        ("class_shares", {"ambulatory": 1.0}, "a share for each"),
        ("class_shares", {**SHARES, "ambulatory": 0.3, "inpatient": 0.227}, "0.015 to 0.04"),
        ("class_shares", {**SHARES, "emergency": 0.03, "ambulatory": 0.585, "inpatient": 0.027}, "twice the inpatient"),
        ("payer_shares", {"under_18": (1, 0, 0, 0, 0)}, "18_to_64"),
        (
            "payer_shares",
            {"under_18": (1, 0, 0, 0, 0), "18_to_64": (1, 0, 0, 0, 0), "65_plus": (0, 0.9, 0, 0, 0)},
            "a sum of 1",
        ),
        ("no_show_rate", 0.9, "less than or equal to 0.4"),
        ("readmission_rate", 0.5, "less than or equal to 0.25"),
        ("flu_severity", -1, "greater than or equal to 0"),
        ("holiday_multipliers", {"dentist": {"thanksgiving": 2.0}}, "emergency"),
        ("nonsense", 1, "known"),
    ],
)
def test_refusals_name_field_and_range(field: str, value: object, allowed: str) -> None:
    with pytest.raises(ConfigError, match=field) as refusal:
        small(**{field: value}).generate(DAY)
    assert re.search(allowed, str(refusal.value)), str(refusal.value)


def test_data_guide_is_current() -> None:
    assert (FOLDER / "patient_records.md").read_text() == guide(generator_class("patient_records")), "run: make docs"


def test_day_that_a_zone_skipped_is_empty() -> None:
    rows = small(timezone="Pacific/Apia").generate(date(2011, 12, 30))
    assert rows.height == 0
    assert small(timezone="Pacific/Apia").generate(date(2011, 12, 31)).height > 20
