"""Shares, shapes and correlations on a quarter of a million rows, and mutants that each check must catch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from generators import get_generator
from generators.base import BaseGenerator
from tests.generators.healthcare.bands import Figure, broken, figures, outside
from tests.generators.healthcare.oracle import HOURS, SHARES, of_class, share


@pytest.fixture(scope="module")
def measured(sample: pl.DataFrame) -> list[Figure]:
    return list(figures(sample))


def test_figures_lie_in_their_bands(measured: list[Figure]) -> None:
    assert outside(measured) == []


def _shuffled(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    order = np.random.Generator(np.random.PCG64(1)).permutation(frame.height)
    return frame.with_columns(frame[name][order] for name in columns)


def _shuffled_where_known(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    known = pl.col(column).is_not_null()
    return pl.concat([_shuffled(frame.filter(known), column), frame.filter(~known)])


def _mixed_up(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return the rows with the values of a column renamed: each takes the share of one half the list away."""
    names = frame[column].drop_nulls().cast(pl.String).value_counts(sort=True)[column].to_list()
    other = names[len(names) // 2 :] + names[: len(names) // 2]
    mixed = pl.col(column).cast(pl.String).replace_strict(names, other, default=None)
    return frame.with_columns(mixed.cast(frame[column].dtype))


FILLED = {"systolic_bp": 125, "temperature_c": 36.7, "heart_rate_bpm": 76, "spo2_pct": 98}
OUT_OF_TRUE = {"heart_rate_bpm": 12, "spo2_pct": -2, "bmi": 3}

MUTANTS: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "race of everyone alike": ("people", lambda f: f.with_columns(
        race=pl.when(pl.col("record_id") % 5 == 0).then(pl.lit("asian")).otherwise("race")), "race"),
    "sexes swapped": (
        "people", lambda f: f.with_columns(sex=f["sex"].replace_strict(["female", "male"], ["male", "female"],
        default="unknown")), "female"),
    "ages shuffled": ("people", lambda f: _shuffled(f, "age_years"), "chronic"),
    "payer ignores age": ("payers", lambda f: _shuffled(f, "payer_type"), "medicare"),
    "admission ignores severity": (
        "emergency", lambda f: _shuffled(of_class(f, "emergency"), "is_admitted"), "admitted of severity 1"),
    "severity ignores the night": (
        "emergency", lambda f: _shuffled(of_class(f, "emergency"), "esi_level"), "severity at night"),
    "severity ignores the complaint": (
        "emergency", lambda f: _shuffled(of_class(f, "emergency"), "esi_level"), "severity of chest pain"),
    "stays a third longer": ("stays", lambda f: f.with_columns(pl.col("length_of_stay_days") * 4 // 3), "length of"),
    "dispositions shuffled": ("stays", lambda f: _shuffled(f, "discharge_disposition"), "leaves"),
    "readmission halved": (
        "stays", lambda f: f.with_columns(
            is_readmitted_30d=pl.col("is_readmitted_30d") & (pl.col("record_id") % 2 == 0)), "readmitted"),
    "pressure shuffled": ("vitals", lambda f: _shuffled(f, "systolic_bp"), "systolic"),
    "temperature shuffled": ("vitals", lambda f: _shuffled(f, "temperature_c"), "fever"),
    "readings never rounded": (
        "vitals", lambda f: f.with_columns(
            pl.col("systolic_bp") + pl.col("record_id").cast(pl.UInt16) % 7), "end in 0"),
    "lengths shuffled": ("amounts", lambda f: _shuffled(f, "length_minutes"), "median length"),
    "charges shuffled": ("amounts", lambda f: _shuffled(f, "total_charge"), "median charge"),
    "lead shuffled": ("appointments", lambda f: _shuffled(f, "scheduled_lead_days"), "lead"),
    "races mixed up": ("people", lambda f: _mixed_up(f, "race"), "race pacific_islander"),
    "ethnicities mixed up": ("people", lambda f: _mixed_up(f, "ethnicity"), "ethnicity unknown"),
    "ethnicity ignores age": ("people", lambda f: _shuffled(f, "ethnicity"), "hispanic"),
    "mild cases seldom admitted": (
        "emergency", lambda f: f.with_columns(
            pl.col("is_admitted") & ((pl.col("esi_level") < 4) | (pl.col("record_id") % 10 == 0))),
        "admitted of severity 4"),
    "the least urgent admitted like others": (
        "emergency", lambda f: f.with_columns(
            pl.col("is_admitted") | ((pl.col("esi_level") == 5) & (pl.col("record_id") % 50 == 0))),
        "admitted of severity 5"),
    "race ignores the class": ("people", lambda f: _shuffled(f, "race"), "emergency use of Black"),
    "payers mixed up": ("payers", lambda f: _mixed_up(f, "payer_type"), "other, ambulatory"),
    "severities mixed up": ("emergency", lambda f: _mixed_up(f, "esi_level"), "severity 1"),
    "one more in ten admitted": (
        "emergency", lambda f: f.with_columns(pl.col("is_admitted") | (pl.col("record_id") % 10 == 0)), "admitted"),
    "ways to arrive mixed up": ("emergency", lambda f: _mixed_up(f, "arrival_mode"), "by ambulance"),
    "ways to leave emergency mixed up": (
        "emergency", lambda f: _mixed_up(of_class(f, "emergency"), "discharge_disposition"), "leaves emergency: exp"),
    "complaints mixed up": (
        "emergency", lambda f: _mixed_up(of_class(f, "emergency"), "reason_code"), "leading complaints"),
    "sources mixed up": ("stays", lambda f: _mixed_up(f, "admit_source"), "source transfer"),
    "deliveries left out": (
        "stays", lambda f: f.filter((pl.col("primary_diagnosis_code") != "O80").fill_null(True)), "newborn and"),
    "readmitted a week later": (
        "stays", lambda f: f.with_columns(pl.col("days_to_readmission") + 7), "readmitted in the first week"),
    "charges of stays shuffled": (
        "stays", lambda f: _shuffled(of_class(f, "inpatient"), "total_charge"), "charge rises with length"),
    "charges in another currency": ("stays", lambda f: f.with_columns(pl.col("total_charge") * 1.4), "mean charge"),
    "nights counted without the last": (
        "stays", lambda f: f.with_columns(pl.col("length_of_stay_days") - 1), "median length of stay"),
    "instruments out of true": (
        "vitals", lambda f: f.with_columns(pl.col(name) + add for name, add in OUT_OF_TRUE.items()), "saturation"),
    "nothing missing": (
        "vitals", lambda f: f.with_columns(pl.col(name).fill_null(value) for name, value in FILLED.items()),
        "missing spo2_pct"),
    "pain ignores the injury": (
        "vitals", lambda f: _shuffled_where_known(f, "pain_score"), "pain of the"),
    "payers pay a tenth more": ("amounts", lambda f: f.with_columns(pl.col("total_paid") * 1.1), "paid by other"),
    "lengths in another unit": ("amounts", lambda f: f.with_columns(pl.col("length_minutes") * 5 // 4), "wellness"),
    "half of the missed turn up": ("appointments", lambda f: f.with_columns(
        encounter_status=pl.when(pl.col("record_id") % 2 == 0).then(pl.lit("finished")).otherwise("encounter_status")),
        "cancelled"),
    "leads in half days": ("appointments", lambda f: f.with_columns(pl.col("scheduled_lead_days") * 2), "median lead"),
}  # fmt: skip
"""Name -> (group of figures, what is done to the rows, figure that must notice)."""


@pytest.fixture(scope="module")
def noticed(sample: pl.DataFrame) -> Callable[[str], set[str]]:
    """The figures that a mutant breaks; each mutant is made once."""
    return lru_cache(maxsize=None)(lambda name: broken(MUTANTS[name][1](sample), MUTANTS[name][0]))


@pytest.mark.parametrize("name", list(MUTANTS))
def test_figures_catch_mutants(noticed: Callable[[str], set[str]], name: str) -> None:
    assert any(MUTANTS[name][2] in figure for figure in noticed(name)), noticed(name)


def test_every_figure_is_broken_by_a_mutant(measured: list[Figure], noticed: Callable[[str], set[str]]) -> None:
    assert {name for name, *_ in measured} - set().union(*map(noticed, MUTANTS)) == set()


def test_every_band_can_be_left_on_either_side(measured: list[Figure]) -> None:
    """But for two shares that are small because they should be."""
    small = {"admitted of severity 5", "fever of others"}
    assert {name for name, _, low, _ in measured if low <= 0} == small


# -- charges ----------------------------------------------------------------------------------------------------


def distance(values: NDArray[np.float64], mean: float, sigma: float) -> float:
    """Return the Kolmogorov-Smirnov distance to N(mean, sigma)."""
    law = np.array([NormalDist(mean, sigma).cdf(v) for v in np.sort(values).tolist()])
    steps = np.arange(len(law) + 1) / len(law)
    return float(max((law - steps[:-1]).max(), (steps[1:] - law).max()))


@pytest.mark.parametrize(
    "kind,median,sigma", [("ambulatory", 240, 0.65), ("wellness", 310, 0.45), ("virtual", 140, 0.45)]
)
def test_charges_are_log_normal(wednesday: pl.DataFrame, kind: str, median: float, sigma: float) -> None:
    charges = of_class(wednesday, kind)["total_charge"].drop_nulls().head(20_000).log().to_numpy()
    years = (date(2024, 4, 10) - date(2024, 1, 1)).days / 365.25
    mean = np.log(median) + years * np.log(1.04)
    limit = 2.69 / np.sqrt(len(charges))  # false alarm 1e-6
    assert distance(charges, mean, sigma) < limit
    assert distance(charges, mean + 0.15, sigma) > limit
    assert distance(charges, mean, sigma * 1.2) > limit


# -- hours ------------------------------------------------------------------------------------------------------


def chi_square(hours: pl.Series, curve: list[float]) -> float:
    """Return Pearson's statistic of 24 hourly counts; bins without weight must be empty."""
    counts = np.bincount(hours.to_numpy(), minlength=24)
    expected = np.array(curve) / sum(curve) * counts.sum()
    assert counts[expected == 0].sum() == 0
    return float((((counts - expected) ** 2)[expected > 0] / expected[expected > 0]).sum())


@pytest.fixture(scope="module")
def large() -> BaseGenerator[Any]:
    return get_generator("patient_records", base_daily_volume=60_000)


@pytest.fixture(scope="module")
def wednesday(large: BaseGenerator[Any]) -> pl.DataFrame:
    """An ordinary Wednesday: its curves have no tilt."""
    return large.generate(date(2024, 4, 10))


@pytest.mark.parametrize("kind", list(HOURS))
def test_hours_follow_the_curve(wednesday: pl.DataFrame, kind: str) -> None:
    hours = of_class(wednesday, kind)["timestamp"].dt.hour()
    assert len(hours) > 4_000
    # 70.5 is the quantile of 23 degrees of freedom at 1 - 1e-6.
    assert chi_square(hours, HOURS[kind]) < 70.5
    flat = pl.Series(np.arange(len(hours)) % 13 + 7, dtype=pl.Int8)
    busy = [w if 7 <= h < 20 else 0.0 for h, w in enumerate(HOURS[kind])]
    assert chi_square(flat, busy) > 70.5


def test_hours_of_emergency_and_clinics(sample: pl.DataFrame) -> None:
    hours = of_class(sample, "emergency")["timestamp"].dt.hour()
    assert 0.115 <= hours.is_between(10, 11).mean() <= 0.137  # type: ignore[operator]
    assert 0.14 <= (hours < 8).mean() <= 0.175  # type: ignore[operator]
    counts = np.bincount(hours.to_numpy(), minlength=24)
    assert 3.5 <= counts.max() / counts.min() <= 5.5
    clinic = of_class(sample, "ambulatory")["timestamp"].dt.hour()
    assert clinic.is_between(7, 17).mean() >= 0.97  # type: ignore[operator]


@pytest.fixture(scope="module")
def monday(large: BaseGenerator[Any]) -> pl.DataFrame:
    return of_class(large.generate(date(2024, 4, 8)), "emergency")


@pytest.fixture(scope="module")
def sunday(large: BaseGenerator[Any]) -> pl.DataFrame:
    return of_class(large.generate(date(2024, 4, 14)), "emergency")


def test_mondays_are_busier_at_ten_and_weekend_nights_longer(monday: pl.DataFrame, sunday: pl.DataFrame) -> None:
    curve = HOURS["emergency"]
    busy = [w * (1.2 if hour in (10, 11) else 1.0) for hour, w in enumerate(curve)]
    long = [w * (1.25 if hour < 4 else 1.0) for hour, w in enumerate(curve)]
    assert chi_square(monday["timestamp"].dt.hour(), busy) < 70.5
    assert chi_square(sunday["timestamp"].dt.hour(), long) < 70.5
    late = monday["timestamp"].dt.hour().is_between(10, 11).mean()
    assert late > sum(curve[10:12]) * 1.08  # type: ignore[operator]
    assert (sunday["timestamp"].dt.hour() < 4).mean() > sum(curve[:4]) * 1.10  # type: ignore[operator]


@pytest.fixture(scope="module")
def arrivals(sample: pl.DataFrame, monday: pl.DataFrame, wednesday: pl.DataFrame, sunday: pl.DataFrame) -> pl.DataFrame:
    """40,000 emergency visits that did not end in a stay: their hours decide who comes, and why."""
    emergency = [of_class(rows, "emergency") for rows in (sample, monday, wednesday, sunday)]
    columns = ["age_years", "primary_diagnosis_code", pl.col("timestamp").dt.hour().alias("hour")]
    return pl.concat([rows.filter(~pl.col("is_admitted")).select(columns) for rows in emergency])


def odds_ratio(rows: pl.DataFrame, what: pl.Expr, when: pl.Expr) -> tuple[float, float]:
    """Return how much likelier something is at some hours than at others: ratio of odds, standard error of its log."""
    cells = rows.select(what=what, when=when).group_by("what", "when").len()
    n = {(row["what"], row["when"]): row["len"] for row in cells.iter_rows(named=True)}
    ratio = n[True, True] * n[False, False] / (n[True, False] * n[False, True])
    return ratio, sum(1 / count for count in n.values()) ** 0.5


TILTS: dict[str, tuple[pl.Expr, pl.Expr, pl.Expr, float]] = {
    "alcohol from 22 to 4 h": (
        pl.col("age_years") >= 16, pl.col("primary_diagnosis_code") == "F10.129",
        (pl.col("hour") >= 22) | (pl.col("hour") < 4), 3.0),
    "children from 17 h on": (pl.lit(True), pl.col("age_years") < 18, pl.col("hour") >= 17, 1.25),
}  # fmt: skip
"""Name -> (among whom, what, when, how many times as likely)."""


@pytest.mark.parametrize("name", list(TILTS))
def test_hours_tilt_who_comes_to_emergency(arrivals: pl.DataFrame, name: str) -> None:
    among, what, when, expected = TILTS[name]
    rows = arrivals.filter(among)
    found, error = odds_ratio(rows, what, when)
    assert abs(np.log(found / expected)) < 4.9 * error  # false alarm 1e-6
    assert np.log(expected) > 6 * error
    hours_shuffled, error = odds_ratio(_shuffled(rows, "hour"), what, when)
    assert abs(np.log(hours_shuffled / expected)) > 4.9 * error


def test_appointments_stand_on_a_grid(wednesday: pl.DataFrame) -> None:
    minute = of_class(wednesday, "ambulatory")["timestamp"].dt.minute().to_numpy() % 15
    wave = np.cos(2 * np.pi * (minute + 0.5) / 15).mean()
    # The comb convolved with N(0, 6 min) keeps exp(-2 (6 pi / 15)²) of its first harmonic.
    expected = np.exp(-2 * (np.pi * 6 / 15) ** 2)
    assert wave == pytest.approx(expected, abs=5 / np.sqrt(2 * len(minute)))
    assert expected > 5 / np.sqrt(2 * len(minute))
    arrivals = of_class(wednesday, "emergency")["timestamp"].dt.minute().to_numpy() % 15
    assert abs(np.cos(2 * np.pi * (arrivals + 0.5) / 15).mean()) < 5 / np.sqrt(2 * len(arrivals))


# -- volume -----------------------------------------------------------------------------------------------------


def test_classes_keep_their_volume_without_noise() -> None:
    generator = get_generator("patient_records", base_daily_volume=12_000, volume_noise=0)
    days = [date(2024, 4, 3) + timedelta(7 * n) for n in range(6)]
    rows = pl.concat([generator.generate(day) for day in days])
    expected = {process.name: sum(process.volume.expected(day) for day in days) for process in generator.processes}
    for name, mean in expected.items():
        # Readmissions come in chains: stays scatter a little more than Poisson.
        assert abs(of_class(rows, name).height - mean) < 6 * np.sqrt(mean) + 0.03 * mean, name
    total = share(rows, "encounter_class")
    assert set(total) == set(SHARES)


def test_sundays_are_a_quarter_and_mostly_emergency() -> None:
    generator = get_generator("patient_records", base_daily_volume=10_000, volume_noise=0)
    sunday = generator.generate(date(2024, 4, 14))
    assert 0.20 <= sunday.height / 10_000 <= 0.30
    assert 0.38 <= share(sunday, "encounter_class")["emergency"] <= 0.52


# -- seasons ----------------------------------------------------------------------------------------------------


def test_influenza_peaks_move_and_vary_with_the_winter() -> None:
    generator = get_generator("patient_records", base_daily_volume=500)
    peaks, sizes = [], []
    for year in range(2000, 2024):
        days = [date(year, 10, 1) + timedelta(n) for n in range(210)]
        flu = [generator.season(day).flu for day in days]  # type: ignore[attr-defined]
        peaks.append(int(np.argmax(flu)))
        sizes.append(max(flu))
    assert 10 < np.std(peaks) < 32
    assert 0.2 < np.std(np.log(sizes)) < 0.55
    assert (
        get_generator("patient_records", seed=1).season(date(2024, 1, 10)).flu
        != generator.season(  # type: ignore[attr-defined]
            date(2024, 1, 10)
        ).flu
    )
