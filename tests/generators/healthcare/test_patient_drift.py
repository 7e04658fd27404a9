"""Drift of patient records: what each preset does, that all tables tell the same story, and how far the mixes move."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from generators import get_generator
from generators.base import BaseGenerator
from tests.generators.ecommerce.statistics import mix_index
from tests.generators.healthcare.oracle import (
    after_death,
    inside_stays,
    of_class,
    overlapping,
    readmission_violations,
    share,
    stays,
)

START = date(2024, 2, 7)
ALL = ("flu_wave", "pandemic", "coding_change", "payer_shift", "new_clinic")


def make(rows: int, *presets: str, start: date = START, noise: float = 0.1, **fields: Any) -> BaseGenerator[Any]:
    drift = [{"preset": preset, "start": start, **fields} for preset in presets]
    return get_generator("patient_records", base_daily_volume=rows, volume_noise=noise, drift=drift)


def days(first: date, count: int, step: int = 1) -> list[date]:
    return [first + timedelta(step * n) for n in range(count)]


def rows_of(generator: BaseGenerator[Any], when: list[date]) -> pl.DataFrame:
    return pl.concat([generator.generate(day).with_columns(day=pl.lit(day)) for day in when])


# -- what happens -------------------------------------------------------------------------------------------------

PANDEMIC = {"ambulatory": 0.4, "wellness": 0.4, "virtual": 6.0, "emergency": 0.6, "urgent_care": 1.0, "inpatient": 1.0}


def test_pandemic_turns_visits_away_and_they_come_back() -> None:
    plain, drifted = make(5_000, noise=0), make(5_000, "pandemic", noise=0)
    day = START + timedelta(14)
    before, now = (generator.generate(day) for generator in (plain, drifted))
    for name, factor in PANDEMIC.items():
        usual, found = of_class(before, name).height, of_class(now, name).height
        assert abs(found - factor * usual) < 6 * (factor * factor * usual + factor * usual) ** 0.5, name
    assert drifted.expected(day) == pytest.approx(now.height, rel=0.03)
    half, after = START + timedelta(56 + 91), START + timedelta(56 + 182)
    assert 0.4 < drifted.expected(half) / plain.expected(half) < 1.3
    assert drifted.expected(half) != pytest.approx(plain.expected(half), rel=0.01)
    assert drifted.expected(after) == plain.expected(after)


def test_clinic_is_in_the_data_while_it_is_open() -> None:
    end = START + timedelta(20)
    plain, drifted = make(3_000, noise=0), make(3_000, "new_clinic", end=end, noise=0)
    when = days(START - timedelta(1), 2) + days(end, 2)
    shown = {day: share(drifted.generate(day), "facility_id").get("FAC-900", 0.0) for day in when}
    assert [value > 0 for value in shown.values()] == [False, True, True, False]
    assert shown[START] == pytest.approx(0.12 / 1.12, abs=0.03)
    rows = drifted.generate(START)
    assert rows.height == pytest.approx(1.12 * plain.generate(START).height, rel=0.05)
    there = rows.filter(pl.col("facility_id") == "FAC-900")
    assert set(there["fhir_class_code"].unique()) == {"AMB", "VR"}
    areas = there["postal3"].value_counts(normalize=True)["proportion"].sort(descending=True)
    assert areas.head(3).sum() > 0.5  # most of its patients live nearby
    homes = there.select("patient_id").unique().join(rows, on="patient_id")
    elsewhere = (homes["facility_id"] != "FAC-900") & ~homes["encounter_class"].is_in(["emergency", "inpatient"])
    assert not elsewhere.any()


def test_coders_change_over_at_once_or_little_by_little() -> None:
    day = START + timedelta(9)
    plain, half, whole = (
        make(2_000, *drift, **fields).generate(day)
        for drift, fields in (((), {}), (("coding_change",), {"ramp_days": 20}), (("coding_change",), {}))
    )
    pairs = {
        "I10": "I11.9", "E11.9": "E11.65", "E78.5": "E78.2", "Z00.00": "Z00.01", "F41.1": "F41.9", "J20.9": "J20.8",
        "R10.9": "R10.84", "R07.9": "R07.89",
    }  # fmt: skip
    code = pl.col("primary_diagnosis_code").cast(pl.String)
    expected = plain.select(code.replace(pairs)).to_series()
    assert whole.select(code).to_series().eq_missing(expected).all()
    old = plain.select(code.is_in(list(pairs)).fill_null(False)).to_series()
    assert old.sum() > 250
    assert half.filter(old).select(code.is_in(list(pairs.values())).mean()).item() == pytest.approx(0.5, abs=0.16)
    assert whole.drop("primary_diagnosis_code", "primary_diagnosis_text").equals(
        plain.drop("primary_diagnosis_code", "primary_diagnosis_text")
    )
    texts = whole.select("primary_diagnosis_code", "primary_diagnosis_text").unique()
    assert texts["primary_diagnosis_code"].is_unique().all()


# -- the tables agree ---------------------------------------------------------------------------------------------


def test_patients_agree_with_events_under_every_drift() -> None:
    generator = make(120, *ALL, end=START + timedelta(60), strength=3.0)
    frame = rows_of(generator, days(START - timedelta(7), 12, 11))
    table = pl.concat(list(generator.dimension("patients", frame["day"].min(), frame["day"].max())))  # type: ignore[arg-type]
    assert generator.table("patients").violations(table) == []
    assert table.select(pl.struct("patient_id", "valid_from").is_unique().all()).item()
    joined = frame.join(table, on="patient_id", suffix="_dim").filter(
        (pl.col("valid_from") <= pl.col("day")) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("day")))
    )
    assert joined.height == frame.height
    assert (joined["payer_type"] == joined["payer_type_dim"]).all()
    lost = table.sort("patient_id", "valid_from").filter(
        (pl.col("payer_type").shift(1).over("patient_id") == "medicaid_chip")
        & pl.col("payer_type").is_in(["private", "self_pay"])
        & pl.col("valid_from").is_between(START, START + timedelta(89))
    )
    assert lost["valid_from"].n_unique() > 40  # each on a day of their own


@pytest.mark.long
def test_readmissions_and_their_labels_hold_under_every_drift() -> None:
    first, count = START - timedelta(40), 110
    last = first + timedelta(count - 1)
    frame = rows_of(make(600, *ALL, strength=2.0), days(first, count))
    found = readmission_violations(frame, last)
    assert found.pop("index stays") > 700
    assert found == dict.fromkeys(found, 0)
    assert overlapping(frame) == after_death(frame) == inside_stays(frame) == 0
    generator = make(600, *ALL, strength=2.0)
    labels = pl.concat([generator.derive("readmission_outcomes", day, first) for day in days(first, count)])
    index = stays(frame).filter(pl.col("is_readmitted_30d").is_not_null())
    joined = index.join(labels, on="encounter_id", suffix="_label")
    assert joined.height == labels.height > 700
    assert (joined["is_readmitted_30d"] == joined["is_readmitted_30d_label"]).all()
    followed = joined.filter("is_readmitted_30d")
    assert followed.height > 80
    assert (followed["readmission_encounter_id"] == followed["next_id"]).all()


# -- how far the mixes move ---------------------------------------------------------------------------------------

SAME, MOVED = 0.02, 0.10
SPRING, YEAR = date(2023, 3, 15), timedelta(364)


@pytest.fixture(scope="module")
def spring() -> pl.DataFrame:
    """Four weeks of a spring before any drift, 85,000 rows."""
    return rows_of(make(3_000), days(SPRING, 28))


def indices(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, float]:
    assert min(before.height, after.height) >= 20_000
    found = {
        name: mix_index(before[name], after[name])
        for name in ("encounter_class", "primary_diagnosis_code", "payer_type", "facility_id", "sex", "race")
    }
    emergency = (of_class(frame, "emergency")["payer_type"] for frame in (before, after))
    return found | {"payer_type in emergency": mix_index(*emergency)}


@pytest.mark.long
def test_mixes_of_the_same_months_stay_without_a_drift(spring: pl.DataFrame) -> None:
    found = indices(spring, rows_of(make(3_000), days(SPRING + YEAR, 28)))
    assert max(found.values()) <= SAME, found


MOVES: dict[str, tuple[date, set[str], set[str], dict[str, Any]]] = {
    "flu_wave": (date(2024, 2, 28), {"primary_diagnosis_code"}, set(), {}),
    "pandemic": (date(2024, 3, 1), {"encounter_class", "primary_diagnosis_code"}, set(), {}),
    "coding_change": (date(2023, 10, 1), {"primary_diagnosis_code"}, set(), {}),
    "payer_shift": (date(2023, 11, 1), {"payer_type in emergency"}, {"payer_type"}, {"strength": 3.0}),
    "new_clinic": (date(2023, 11, 1), {"facility_id"}, set(), {}),
}
"""Preset -> its start, what it must move in spring, what it may move besides, its fields; the rest must stay."""


@pytest.mark.long
@pytest.mark.parametrize("preset", list(MOVES))
def test_preset_moves_what_it_says_and_nothing_else(spring: pl.DataFrame, preset: str) -> None:
    start, moved, allowed, fields = MOVES[preset]
    found = indices(spring, rows_of(make(3_000, preset, start=start, **fields), days(SPRING + YEAR, 28)))
    still = {name: value for name, value in found.items() if name not in moved | allowed}
    assert all(found[name] >= MOVED for name in moved), found
    assert max(still.values()) <= SAME, found


@pytest.mark.long
def test_drifts_have_the_size_they_say() -> None:
    when = days(SPRING + YEAR, 21)
    plain = rows_of(make(12_000), when)
    covered = rows_of(make(12_000, "payer_shift", start=date(2023, 11, 1)), when)
    medicaid = [float((frame["payer_type"] == "medicaid_chip").mean()) for frame in (plain, covered)]  # type: ignore[arg-type]
    assert medicaid[1] / medicaid[0] == pytest.approx(0.85, abs=0.02)
    wave = rows_of(make(12_000, "flu_wave", start=date(2024, 2, 28)), when)
    ill, others = (
        [frame.filter((pl.col("primary_diagnosis_code") == "J10.1") == yes).height for frame in (plain, wave)]
        for yes in (True, False)
    )
    assert ill[1] > 3 * ill[0]
    assert others[1] == pytest.approx(others[0], rel=0.03)  # the ill come on top
