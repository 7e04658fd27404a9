"""A year of patient_records and four months of follow-up, 1.4 million rows: two to three minutes on an idle machine.

Checks at the sizes at which their bands were stated: shares and shapes over a year, seasons, volume, heavy tails, the
population in other decades, and what a model learns about readmission.
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from generators import get_generator
from generators.base import BaseGenerator
from tests.generators.healthcare.bands import violations
from tests.generators.healthcare.oracle import (
    SHARES,
    after_death,
    gini,
    inside_stays,
    of_class,
    overlapping,
    readmission_violations,
    share,
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

ROWS = 3_000
FIRST, DAYS = date(2023, 1, 1), 365 + 121
LAST = FIRST + timedelta(DAYS - 1)


@pytest.fixture(scope="module")
def generator() -> BaseGenerator[Any]:
    return get_generator("patient_records", base_daily_volume=ROWS)


@pytest.fixture(scope="module")
def all_rows(generator: BaseGenerator[Any]) -> pl.DataFrame:
    """2023 and the first four months of 2024."""
    return pl.concat([generator.generate(FIRST + timedelta(n)) for n in range(DAYS)])


@pytest.fixture(scope="module")
def year(all_rows: pl.DataFrame) -> pl.DataFrame:
    """2023."""
    return all_rows.filter(pl.col("timestamp").dt.year() == 2023)


def test_figures_of_a_year_lie_in_their_bands(year: pl.DataFrame) -> None:
    assert year.height > 1_000_000
    assert violations(year) == []


def class_violations(rows: pl.DataFrame) -> set[str]:
    """Return the classes whose share is more than a tenth off."""
    found = share(rows, "encounter_class")
    return {name for name, expected in SHARES.items() if abs(found[name] / expected - 1) > 0.10}


def test_class_shares_of_a_year(year: pl.DataFrame) -> None:
    rows = year.select("encounter_class", "record_id")
    assert class_violations(rows) == set()
    for name in SHARES:  # the mutants: one row in four lost, every other one twice
        of_name = pl.col("encounter_class") == name
        lost = rows.filter(~(of_name & (pl.col("record_id") % 4 == 0)))
        twice = pl.concat([rows, rows.filter(of_name & (pl.col("record_id") % 2 == 0))])
        assert name in class_violations(lost) & class_violations(twice), name


def test_links_hold_over_the_year(all_rows: pl.DataFrame) -> None:
    found = readmission_violations(all_rows, LAST)
    assert found.pop("index stays") > 25_000
    assert found == dict.fromkeys(found, 0)
    assert overlapping(all_rows) == 0
    assert after_death(all_rows) == 0
    assert inside_stays(all_rows) <= 0.0005 * all_rows.height


def test_heavy_users(year: pl.DataFrame) -> None:
    counts = year.group_by("patient_id").len()["len"].to_numpy()
    assert 0.40 <= gini(counts) <= 0.60
    emergency = of_class(year, "emergency").group_by("patient_id").len()["len"]
    assert 0.03 <= (emergency >= 4).mean() <= 0.08  # type: ignore[operator]
    uniform = np.random.Generator(np.random.PCG64(1)).poisson(counts.mean(), len(counts))
    assert gini(uniform[uniform > 0]) < 0.40  # the mutant: everyone alike


def test_providers_are_not_overrun(year: pl.DataFrame) -> None:
    counts = (
        of_class(year, "ambulatory", "wellness", "virtual").group_by("provider_id", pl.col("timestamp").dt.date()).len()
    )
    assert counts["len"].max() <= 40  # type: ignore[operator]


# -- diagnoses and seasons --------------------------------------------------------------------------------------


def months(rows: pl.DataFrame, *codes: str) -> NDArray[np.int64]:
    """Return counts of codes by month."""
    of_codes = rows.filter(pl.col("primary_diagnosis_code").cast(pl.String).is_in(codes))
    return np.bincount(of_codes["timestamp"].dt.month().to_numpy(), minlength=13)[1:]


def season_figures(rows: pl.DataFrame) -> dict[str, bool]:
    flu, rsv = months(rows, "J10.1"), months(rows, "J21.0")
    injuries = months(rows, "S93.401A", "S61.419A", "S52.501A", "S09.90XA")
    heat = months(rows, "T67.5XXA")
    return {
        "flu": flu[0] >= 8 * flu[6],
        "rsv": rsv[10] >= 8 * rsv[5],
        "injuries": 1.15 <= injuries[6] / injuries[0] <= 1.9,
        "heat": heat[4:9].sum() >= 0.85 * heat.sum(),
    }


def test_seasons(year: pl.DataFrame) -> None:
    assert all(season_figures(year).values())
    flat = year.with_columns(primary_diagnosis_code=year["primary_diagnosis_code"].shuffle(seed=1))
    assert not any(season_figures(flat).values())


TABLES: dict[str, dict[str, float]] = {
    "ambulatory": {"I10": 9.0, "E11.9": 5.0, "E78.5": 4.5, "J06.9": 3.5, "F32.A": 3.0, "Z34.90": 3.0, "M17.11": 2.0},
    "virtual": {"F41.1": 14, "F32.A": 13, "I10": 9, "E11.9": 6, "J06.9": 6, "E78.5": 4, "N39.0": 3},
    "urgent_care": {"J06.9": 16, "J02.9": 9, "H66.90": 6, "J20.9": 6, "J10.1": 5, "N39.0": 5, "S93.401A": 4},
    "emergency": {"R10.9": 6.0, "R07.9": 5.5, "J06.9": 4.0, "R51.9": 2.9, "S09.90XA": 2.8, "N39.0": 2.7},
    "wellness": {"Z00.00": 45, "Z00.129": 33, "Z23": 8, "Z12.31": 7, "Z01.419": 7},
    "inpatient": {"A41.9": 8.0, "O80": 7.0, "Z38.00": 7.0, "I50.9": 4.6, "J18.9": 4.0, "J44.1": 3.2, "M17.11": 3.0},
}
SUMS = {
    "ambulatory": 67.9, "virtual": 81.9, "urgent_care": 94.3, "emergency": 69.95, "wellness": 100.0, "inpatient": 61.2,
}  # fmt: skip
"""Weights of the most frequent codes, and sums of all weights of the class."""


def diagnosis_violations(rows: pl.DataFrame, kind: str) -> set[str]:
    """Return the codes of a class whose share is off: 15%, and influenza, whose winters differ, by half."""
    found = share(rows, "primary_diagnosis_code")
    expected = {code: weight / SUMS[kind] for code, weight in TABLES[kind].items()}
    return {code for code, part in expected.items() if abs(found[code] / part - 1) > (0.5 if code == "J10.1" else 0.15)}


@pytest.mark.parametrize("kind", list(TABLES))
def test_frequent_diagnoses_have_their_share(year: pl.DataFrame, kind: str) -> None:
    rows = of_class(year, kind).select("primary_diagnosis_code", "record_id").drop_nulls()
    assert diagnosis_violations(rows, kind) == set()
    for code in TABLES[kind]:  # the mutants: half of a code's rows lost, all of them twice
        of_code = pl.col("primary_diagnosis_code") == code
        lost = rows.filter(~(of_code & (pl.col("record_id") % 2 == 0)))
        twice = pl.concat([rows, rows.filter(of_code)])
        assert code in diagnosis_violations(lost, kind) & diagnosis_violations(twice, kind), code


# -- volume -----------------------------------------------------------------------------------------------------


def noise_is_as_stated(residual: NDArray[np.float64]) -> None:
    """Check the daily ln(rows / expected) of a class: mean -0.005, standard deviation 0.10."""
    assert abs(residual.mean() + 0.005) <= 5 * 0.1 / math.sqrt(len(residual)), residual.mean()
    assert 0.081 <= residual.std() <= 0.119, residual.std()


def test_noise_of_a_class_is_log_normal_with_mean_one(year: pl.DataFrame, generator: BaseGenerator[Any]) -> None:
    (ambulatory,) = [p for p in generator.processes if p.name == "ambulatory"]
    daily = of_class(year, "ambulatory").group_by(day=pl.col("timestamp").dt.date()).len().sort("day")
    expected = np.array([ambulatory.volume.expected(day) for day in daily["day"]])
    ratio = np.log(daily["len"].to_numpy() / expected)[expected > 500]
    assert len(ratio) > 230
    noise_is_as_stated(ratio)
    for mutant in (ratio * 1.5, ratio * 0.5, ratio + 0.05, ratio - 0.05):
        with pytest.raises(AssertionError):
            noise_is_as_stated(mutant)


def counts_are_random(counts: NDArray[Any], expected: NDArray[np.float64]) -> None:
    index = ((counts - expected) ** 2 / expected).sum() / (len(counts) - 1)
    assert 0.67 <= index <= 1.41, index


def test_counts_without_noise_are_poisson() -> None:
    generator = get_generator("patient_records", base_daily_volume=1_000, volume_noise=0)
    days = [FIRST + timedelta(n) for n in range(365)]
    expected = np.array([generator.expected(day) for day in days])
    counts = np.array([generator.generate(day).height for day in days])
    assert counts.sum() == pytest.approx(expected.sum(), rel=0.02)
    counts_are_random(counts, expected)
    twice = 2 * np.random.Generator(np.random.PCG64(1)).poisson(expected / 2)
    for mutant in (np.round(expected), twice):
        with pytest.raises(AssertionError):
            counts_are_random(mutant, expected)


# -- population -------------------------------------------------------------------------------------------------

PYRAMID = (0.013, 0.051, 0.165, 0.215, 0.187, 0.179, 0.106, 0.060, 0.023)
AGES = (0, 1, 5, 18, 35, 50, 65, 75, 85, 200)


def test_pyramid_and_births_are_the_same_in_every_decade() -> None:
    generator = get_generator("patient_records", base_daily_volume=1_500)
    for at in (date(1975, 7, 1), date(2024, 7, 1), date(2095, 7, 1)):
        table = pl.concat(list(generator.dimension("patients", at, at)))
        last = table.sort("valid_from").unique("patient_id", keep="last")
        ages = np.array([(at - born).days / 365.25 for born in last["birth_date"]])
        counts = np.histogram(ages, AGES)[0]
        n = counts.sum()
        for found, expected in zip(counts / n, PYRAMID, strict=True):
            assert abs(found - expected) < 0.001 + 5 * math.sqrt(expected / n)
        born = (ages < 1).sum() / n
        assert born == pytest.approx(0.0128, abs=5 * math.sqrt(0.0128 / n))


def test_rows_of_another_decade_look_alike() -> None:
    generator = get_generator("patient_records", base_daily_volume=20_000, volume_noise=0)
    early, late = (generator.generate(day) for day in (date(2025, 5, 7), date(2065, 5, 6)))
    for column in ("age_years", "chronic_count", "systolic_bp"):
        assert early[column].mean() == pytest.approx(late[column].mean(), rel=0.03)  # type: ignore[arg-type]
    assert late["total_charge"].median() / early["total_charge"].median() == pytest.approx(1.04**40, rel=0.15)  # type: ignore[operator]


# -- the judge --------------------------------------------------------------------------------------------------

HIDDEN = {
    "encounter_id", "timestamp", "record_id", "generator", "patient_id", "mrn", "birth_date", "encounter_end",
    "provider_id", "facility_id", "postal3", "payment_date", "total_paid", "is_readmitted_30d", "days_to_readmission",
    "primary_diagnosis_text", "reason_text",
}  # fmt: skip
"""Identifiers, instants and what is known later: not for a model that judges at discharge."""


class Judge:
    """Index stays in order of time; the first two thirds are learnt from, the rest is judged."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.stays = of_class(rows, "inpatient").filter(pl.col("is_readmitted_30d").is_not_null()).sort("timestamp")
        self.label = self.stays["is_readmitted_30d"].to_numpy().astype(int)
        self.cut = len(self.label) * 2 // 3
        self.names = [n for n in self.stays.columns if n not in HIDDEN and self.stays[n].n_unique() > 1]
        codes = self.stays.select(pl.col(self.names).to_physical().cast(pl.Float64))
        hour = self.stays["timestamp"].dt.hour().cast(pl.Float64)
        weekday = self.stays["timestamp"].dt.weekday().cast(pl.Float64)
        self.features = codes.with_columns(hour=hour, weekday=weekday).to_numpy()

    @property
    def later(self) -> NDArray[np.int64]:
        return np.asarray(self.label[self.cut :])

    def scores(self, features: NDArray[np.float64], label: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(
            max_iter=130, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=150, early_stopping=False,
            random_state=0,
        )  # fmt: skip
        model.fit(features[: self.cut], (self.label if label is None else label)[: self.cut])
        return np.asarray(model.predict_proba(features[self.cut :])[:, 1])

    def auc(self, scores: NDArray[np.float64]) -> float:
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(self.later, scores))


@pytest.fixture(scope="module")
def judge(all_rows: pl.DataFrame) -> Judge:
    return Judge(all_rows)


def test_readmission_can_be_learnt_but_not_guessed(judge: Judge) -> None:
    from sklearn.metrics import average_precision_score

    assert judge.later.sum() >= 1_400
    scores = judge.scores(judge.features)
    assert 0.62 <= judge.auc(scores) <= 0.74
    assert 0.20 <= average_precision_score(judge.later, scores) <= 0.38
    order = np.argsort(scores)
    tenth = len(order) // 10
    assert judge.later[order[-tenth:]].mean() >= 3 * judge.later[order[:tenth]].mean()
    prior = judge.stays.with_columns(prior=pl.int_range(pl.len()).over("patient_id"))["prior"].to_numpy()
    gain = judge.auc(judge.scores(np.column_stack([judge.features, prior]))) - judge.auc(scores)
    assert -0.01 <= gain <= 0.04


def test_shuffled_labels_teach_nothing(judge: Judge) -> None:
    shuffled = np.random.Generator(np.random.PCG64(3)).permutation(judge.label)
    assert judge.auc(judge.scores(judge.features, shuffled)) == pytest.approx(0.5, abs=0.05)


def test_no_single_column_gives_it_away(judge: Judge) -> None:
    found = {}
    for place, name in enumerate(judge.names):
        column = judge.features[:, place]
        if isinstance(judge.stays[name].dtype, pl.Enum):
            early = column[: judge.cut]
            rates = {v: judge.label[: judge.cut][early == v].mean() for v in np.unique(early)}
            score = np.array([rates.get(v, 0.14) for v in column[judge.cut :]])
        else:
            score = np.nan_to_num(column[judge.cut :], nan=float(np.nanmedian(column)))
        auc = judge.auc(score)
        found[name] = max(auc, 1 - auc)
    assert max(found.values()) <= 0.68, found
    assert found["primary_diagnosis_code"] >= 0.60


def test_identifiers_and_row_order_carry_nothing(judge: Judge) -> None:
    ranks = [judge.stays[n].rank().to_numpy() for n in ("encounter_id", "patient_id", "mrn")]
    assert judge.auc(judge.scores(np.column_stack(ranks))) <= 0.55
    order = judge.stays["record_id"].to_numpy().astype(float)
    assert judge.auc(judge.scores(order[:, None])) <= 0.55


def test_calibration_holds_later(judge: Judge) -> None:
    from sklearn.linear_model import LogisticRegression

    x = judge.features
    scale = np.where(np.nanstd(x, axis=0) > 0, np.nanstd(x, axis=0), 1.0)
    x = np.nan_to_num((x - np.nanmean(x, axis=0)) / scale)
    codes = judge.stays["primary_diagnosis_code"].to_physical().to_numpy()
    x = np.column_stack([x, np.eye(int(codes.max()) + 1)[codes]])
    model = LogisticRegression(max_iter=1_000, C=0.1).fit(x[: judge.cut], judge.label[: judge.cut])
    logit = model.decision_function(x[judge.cut :])
    slope = LogisticRegression(C=1e6).fit(logit[:, None], judge.later).coef_[0, 0]
    assert 0.8 <= slope <= 1.2


# -- readmission by group ---------------------------------------------------------------------------------------

GROUPS: dict[str, tuple[pl.Expr, float, float]] = {
    "deliveries": (pl.col("primary_diagnosis_code") == "O80", 0.046, 0.01),
    "heart failure and COPD": (pl.col("primary_diagnosis_code").is_in(["I50.9", "J44.1"]), 0.22, 0.03),
    "sepsis": (pl.col("primary_diagnosis_code") == "A41.9", 0.20, 0.03),
    "new knees": (pl.col("primary_diagnosis_code") == "M17.11", 0.055, 0.03),
    "medicare": (pl.col("payer_type") == "medicare", 0.17, 0.03),
    "medicaid": (pl.col("payer_type") == "medicaid_chip", 0.12, 0.03),
    "private": (pl.col("payer_type") == "private", 0.115, 0.03),
    "self-pay": (pl.col("payer_type") == "self_pay", 0.10, 0.03),
    "everyone": (pl.lit(True), 0.14, 0.015),
}
"""Who, share readmitted, tolerance."""


def group_violations(index: pl.DataFrame) -> dict[str, float]:
    """Return the shares readmitted of the groups that lie outside."""
    found = {name: index.filter(who)["is_readmitted_30d"].mean() for name, (who, _, _) in GROUPS.items()}
    return {name: rate for name, rate in found.items() if abs(rate - GROUPS[name][1]) > GROUPS[name][2]}  # type: ignore[operator, misc]


def test_readmission_by_group() -> None:
    """A year of 12,000 rows a day: 98,000 index stays, 14,000 of them deliveries, whose standard error is 0.0018."""
    large = get_generator("patient_records", base_daily_volume=12_000)
    days = [FIRST + timedelta(n) for n in range(365)]
    stays = pl.concat([of_class(large.generate(day), "inpatient") for day in days])
    index = stays.filter(pl.col("is_readmitted_30d").is_not_null())
    assert index.height > 90_000
    assert group_violations(index) == {}
    shuffled = index.with_columns(pl.col("is_readmitted_30d").shuffle(seed=1))
    assert {"deliveries", "sepsis", "new knees", "heart failure and COPD"} <= set(group_violations(shuffled))
