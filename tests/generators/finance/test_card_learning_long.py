"""What models can learn of fraud from a year at 30,000 rows a day: neither nothing nor everything.

Five models on up to 7.4 million rows: about four minutes on an idle machine with two cores. The last third holds 4,600
frauds in 1,650 episodes, and every bound is at least four standard errors away (draws of episodes with replacement:
ROC-AUC 0.004, average precision 0.004 without history and 0.009 with it, calibration slope 0.013). A third of the rows
is too few: eight leaves of 200 rows then follow single attacks, and the slope is anything from 0.5 to 1.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from tests.generators.finance import card_judge
from tests.generators.finance.card_judge import F32, Labels, Verdict, fitted, judged, single_column

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def features(year: pl.DataFrame) -> pl.DataFrame:
    return card_judge.features(year)


@pytest.fixture(scope="module")
def label(year: pl.DataFrame) -> Labels:
    return year["is_fraud"].to_numpy()


@pytest.fixture(scope="module")
def plain(features: pl.DataFrame, label: Labels) -> Verdict:
    return judged(features.to_numpy(), label)


def shuffled(values: NDArray[Any]) -> NDArray[Any]:
    return np.random.Generator(np.random.PCG64(1)).permutation(values)


# -- checks -----------------------------------------------------------------------------------------------------


def learnable(verdict: Verdict) -> None:
    assert verdict.label.sum() >= 800
    assert 0.80 <= verdict.auc <= 0.95, verdict.auc
    assert 0.02 <= verdict.precision <= 0.30, verdict.precision


def ranked_within(verdict: Verdict, low: float, high: float) -> None:
    """Check the ROC-AUC, and that a judge who knows nothing and one who knows most answers are found out."""
    assert low <= verdict.auc <= high, verdict.auc
    most = verdict.label & (np.arange(len(verdict.label)) % 4 > 0)
    for score in (shuffled(verdict.score), verdict.score + most):
        assert not low <= replace(verdict, score=score).auc <= high


def top_scores_are_fraud(verdict: Verdict) -> None:
    assert verdict.lift >= 15, verdict.lift


def calibrated(verdict: Verdict) -> None:
    assert 0.7 <= verdict.slope <= 1.3, verdict.slope


def history_helps(plain: Verdict, better: Verdict) -> None:
    assert 0.005 <= better.auc - plain.auc <= 0.09, (plain.auc, better.auc)
    assert better.precision >= 1.5 * plain.precision, (plain.precision, better.precision)
    assert 0.10 <= better.precision <= 0.50, better.precision


def no_column_gives_fraud_away(columns: dict[str, NDArray[Any]], label: Labels, most: float = 0.85) -> None:
    for name, column in columns.items():
        auc = single_column(column, label)
        assert auc <= most, (name, auc)


# -- the year ---------------------------------------------------------------------------------------------------


def test_fraud_is_learnable_but_not_easy(plain: Verdict) -> None:
    learnable(plain)
    top_scores_are_fraud(plain)
    chance = replace(plain, score=shuffled(plain.score))
    oracle = replace(plain, score=0.001 + 0.5 * plain.label + 0.1 * plain.score)
    for mutant in (chance, oracle):
        with pytest.raises(AssertionError):
            learnable(mutant)
    with pytest.raises(AssertionError):
        top_scores_are_fraud(chance)


def test_probabilities_are_calibrated_later(plain: Verdict) -> None:
    calibrated(plain)
    for factor in (0.6, 1.6):  # an overconfident judge has a slope below 1
        with pytest.raises(AssertionError):
            calibrated(replace(plain, score=1 / (1 + np.exp(-plain.odds / factor))))


def test_few_columns_tell_nearly_as_much(features: pl.DataFrame, label: Labels) -> None:
    ranked_within(judged(features.select(card_judge.SHORT).to_numpy(), label), 0.78, 0.93)


def test_fraud_within_remote_rows(year: pl.DataFrame, features: pl.DataFrame, label: Labels) -> None:
    remote = (year["channel"] == "card_not_present").to_numpy()
    inside = features.drop("channel", "merchant_lat", "merchant_lon", "distance_km").filter(remote)
    ranked_within(judged(inside.to_numpy(), label[remote]), 0.72, 0.92)


def test_history_adds_a_little(year: pl.DataFrame, features: pl.DataFrame, label: Labels, plain: Verdict) -> None:
    past = card_judge.history(year)
    x: F32 = np.column_stack([features.to_numpy(), *past.values()])
    cut = 2 * len(label) // 3
    model = fitted(x[:cut], label[:cut])
    history_helps(plain, Verdict(model.predict_proba(x[cut:])[:, 1], label[cut:]))
    for number in range(features.width, x.shape[1]):  # the mutant: the history of another row
        x[cut:, number] = shuffled(x[cut:, number])
    with pytest.raises(AssertionError):
        history_helps(plain, Verdict(model.predict_proba(x[cut:])[:, 1], label[cut:]))


def test_no_single_column_gives_fraud_away(features: pl.DataFrame, label: Labels) -> None:
    no_column_gives_fraud_away({name: features[name].to_numpy() for name in features.columns}, label)
    leak = label ^ (np.arange(len(label)) % 50 == 0)
    with pytest.raises(AssertionError):
        no_column_gives_fraud_away({"leak": leak}, label)


def test_shuffled_labels_teach_nothing(features: pl.DataFrame, label: Labels) -> None:
    some = features.gather_every(3).to_numpy()
    auc = judged(some, shuffled(label[::3])).auc
    assert abs(auc - 0.5) <= 0.05, auc


def test_identifiers_and_order_tell_nothing(year: pl.DataFrame, label: Labels) -> None:
    # A merchant is its category and country, which tell as much as those columns do.
    names = ("transaction_order", "customer_id_order", "card_token_order", "card_id_order")
    columns: dict[str, NDArray[Any]] = {name: year[name].to_numpy() for name in names}
    # Hours differ between fraud and the rest by design, so the order is judged within hours.
    hour = pl.col("timestamp").dt.truncate("1h")
    columns["order"] = year.select((pl.col("record_id").rank("ordinal") / pl.len()).over(hour)).to_series().to_numpy()
    no_column_gives_fraud_away(columns, label, 0.55)
    remote = year.select(pl.col("device_id_order"), "is_fraud").drop_nulls()
    no_column_gives_fraud_away({"device": remote["device_id_order"].to_numpy()}, remote["is_fraud"].to_numpy(), 0.55)
    with pytest.raises(AssertionError):  # the mutant: rows of fraud numbered after the others
        no_column_gives_fraud_away({"sources": columns["transaction_order"] // 2 + label * 2**30}, label, 0.55)
