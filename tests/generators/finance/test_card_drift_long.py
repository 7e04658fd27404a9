"""Fraud changes its tastes, everything else stays: how models age, and what is stable; about two minutes.

Two models of equal size, of the first quarter and of the last, each judge both quarters. What a model loses is the mean
of both comparisons, (own quarter - other quarter) of the one and of the other, so that a lucky fit and an easy quarter
cancel. One such comparison still moves by 2% of average precision without drift (once in twelve by 5%), so each half of
the episodes teaches in turn and the mean of both counts: in six of them ROC-AUC moved by less than 0.001 and average
precision by at most 2.5%. Seasons are switched off, since the genuine purchases of December are strange to a model of
March as well; attacks and skimmers are left out, because a quarter has only six attacks, whose categories are a matter
of luck. Genuine rows are the same for all.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from generators import get_generator
from generators.finance.regimes import Regimes
from tests.generators.ecommerce.statistics import shares
from tests.generators.finance import card_oracle as table
from tests.generators.finance.card_frames import compact, days, payments, spelt_out
from tests.generators.finance.card_judge import CODES, F32, NUMBERS, features, fitted
from tests.generators.finance.card_rules import text

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

BASE, GENUINE, SPAN = 300_000, 30_000, 56
QUARTERS = (date(2024, 1, 1), date(2024, 10, 1))
STILL = {"month_factors": "off", "include_holiday_patterns": False}


def stolen(first: date, count: int, base: int = BASE, **fields: Any) -> pl.DataFrame:
    """Return the fraud rows of a range of days, those of attacks and skimmers left out."""
    generator: Any = get_generator("credit_cards", base_daily_volume=base, **STILL, **fields)
    sales = [(day, generator.fraud_rows.sales(day)) for day in days(first, count)]
    rows = pl.concat([generator.renderer.frame(sale, day, with_time=True) for day, sale in sales if len(sale)])
    local = pl.col("timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone("America/New_York")
    rows = spelt_out(generator, rows).with_columns(local, pl.col("fraud_episode_id").hash(0))
    rows = rows.filter(~text("fraud_type").is_in(list(table.CLUSTERS)))
    return rows.select("timestamp", "fraud_type", "fraud_episode_id", *CODES, *NUMBERS)


@dataclass(frozen=True)
class Ageing:
    """What a model loses from the first quarter to the last: ROC-AUC, and a part of average precision."""

    auc: float
    precision: float


def ageing(genuine: F32, drift: float | None) -> Ageing:
    fields = {} if drift is None else {"fraud_drift": drift}
    quarters = [stolen(first, 91, **fields) for first in QUARTERS]
    found = [_compared(genuine, quarters, half) for half in (0, 1)]
    auc, lost = np.mean(found, axis=0).tolist()
    return Ageing(auc, 1 - math.exp(-lost))


def _compared(genuine: F32, quarters: list[pl.DataFrame], half: int) -> tuple[float, float]:
    """Return what ROC-AUC and the logarithm of average precision lose where one half of the episodes teaches."""
    rows = [features(frame).to_numpy() for frame in quarters]
    learn = [(frame["fraud_episode_id"] % 2 == half).to_numpy() for frame in quarters]
    own = np.arange(len(genuine)) % 3 == 0
    # Half of the episodes of 91 days at BASE stand beside a part of SPAN days at GENUINE.
    true_rows = BASE / 2 * 91 / (GENUINE * SPAN)

    def weights(genuine_rows: int, share: float, frauds: int) -> np.ndarray[Any, Any]:
        return np.r_[np.full(genuine_rows, true_rows / share), np.ones(frauds)]

    models = []
    for x, part in zip(rows, learn, strict=True):
        x_all = np.concatenate([genuine[own], x[part]])
        y_all = np.arange(len(x_all)) >= own.sum()
        models.append(fitted(x_all, y_all, leaf=100, weight=weights(own.sum(), own.mean(), part.sum())))
    auc, precision = np.zeros((2, 2)), np.zeros((2, 2))
    for m, model in enumerate(models):
        honest = model.predict_proba(genuine[~own])[:, 1]
        for q, (x, part) in enumerate(zip(rows, learn, strict=True)):
            score = np.concatenate([honest, model.predict_proba(x[~part])[:, 1]])
            y = np.arange(len(score)) >= len(honest)
            w = weights(len(honest), 1 - own.mean(), (~part).sum())
            auc[m, q] = roc_auc_score(y, score, sample_weight=w)
            precision[m, q] = average_precision_score(y, score, sample_weight=w)
    lost = np.log(precision[0, 0] * precision[1, 1] / (precision[0, 1] * precision[1, 0])) / 2
    return (auc[0, 0] - auc[0, 1] + auc[1, 1] - auc[1, 0]) / 2, lost


def a_model_ages(found: Ageing) -> None:
    assert found.auc >= 0.01 or found.precision >= 0.10, found
    assert found.auc <= 0.06, found


@pytest.fixture(scope="module")
def genuine(year: pl.DataFrame) -> F32:
    """Genuine rows of eight weeks without an event."""
    inside = pl.col("day").is_between(date(2024, 2, 16), date(2024, 2, 16) + timedelta(SPAN - 1))
    return features(year.filter(inside & ~pl.col("is_fraud"))).to_numpy()


def test_a_model_of_the_first_quarter_ages(genuine: F32) -> None:
    found = ageing(genuine, None)
    a_model_ages(found)
    # Five times what twins without drift differ by.
    assert found.auc >= 0.0025
    assert found.precision >= 0.10


def test_a_model_does_not_age_without_drift(genuine: F32) -> None:
    found = ageing(genuine, 0.0)
    with pytest.raises(AssertionError):
        a_model_ages(found)
    assert abs(found.auc) <= 0.0025, found
    assert abs(found.precision) <= 0.05, found


# -- what changes, and when -------------------------------------------------------------------------------------


def stability(before: pl.Series, after: pl.Series) -> float:
    """Return the population stability index of a categorical column over the first one's values above 0.5%."""
    p, q = shares(before), shares(after)
    return sum((q.get(k, 1e-4) - v) * math.log(q.get(k, 1e-4) / v) for k, v in p.items() if v >= 0.005)


def test_tastes_of_fraud_drift() -> None:
    def drifted(**fields: Any) -> float:
        before, after = (
            stolen(first, 91, **fields).filter(text("fraud_type") == "cnp_stolen_credentials")["mcc"]
            for first in QUARTERS
        )
        assert min(len(before), len(after)) >= 15_000
        return stability(before, after)

    assert drifted() >= 0.10
    steady = drifted(fraud_drift=0.0)
    assert steady <= 0.02
    assert drifted(fraud_drift=0.0, fraud_shift=date(2024, 7, 1)) >= 0.10


def test_regimes_last_two_to_four_months() -> None:
    for seed in range(20):
        regimes = Regimes(seed, "credit_cards", 0.4, None)
        lengths = Counter(regimes.number(day) for day in range(18_000, 18_000 + 3_650))
        inner = [lengths[n] for n in sorted(lengths)[1:-1]]
        assert min(inner) >= 60
        assert max(inner) <= 120


def test_contactless_grows_with_the_preset() -> None:
    modes = {}
    for year, share in table.CONTACTLESS.items():
        rows = compact(
            get_generator("credit_cards", base_daily_volume=32_000, contactless_trend=True).generate(date(year, 6, 4))
        )
        modes[year] = rows.filter(text("channel") == "card_present")["pos_entry_mode"]
        assert (modes[year] == "07").mean() == pytest.approx(share, abs=0.02), year
    assert stability(modes[2018], modes[2025]) >= 0.10
    plain = [payments(date(year, 6, 4), 1, 32_000).filter(text("channel") == "card_present") for year in (2018, 2025)]
    assert stability(*(part["pos_entry_mode"] for part in plain)) <= 0.02
