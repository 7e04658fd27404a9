"""A year of credit_cards against the written bands, and what models can learn from it.

About 3.3 million rows and 4,000 frauds; about eight minutes of processor time on two busy cores, most of it gradient
boosting. The judge of learnability is fixed: histogram gradient boosting, 120 iterations, learning rate 0.05, 8 leaves,
at least 200 rows a leaf, no class weights, split by time (two thirds to learn, one third to judge).
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from generators import get_generator
from tests.generators.finance.test_credit_cards import CNP_HOURS, CP_HOURS, SHARES

pytestmark = pytest.mark.long

FIRST, DAYS, BASE = date(2024, 1, 1), 366, 9_000
CODES = ["card_brand", "card_type", "card_bin_group", "home_region", "mcc", "merchant_country", "channel",
         "pos_entry_mode", "cardholder_verification", "cvv_result", "avs_result", "ip_country"]  # fmt: skip
NUMBERS = ["card_age_days", "customer_age", "home_lat", "home_lon", "merchant_lat", "merchant_lon", "distance_km",
           "amount", "billing_amount"]  # fmt: skip
SHORT = ["billing_amount", "mcc", "hour", "channel", "pos_entry_mode", "merchant_country", "distance_km"]
KEPT = ["timestamp", "transaction_id", "record_id", "customer_id", "card_token", "merchant_id", "device_id", "is_fraud",
        "fraud_type", "fraud_episode_id", "is_approved", "is_recurring", "response_code", "home_country"]  # fmt: skip


@pytest.fixture(scope="module")
def year() -> pl.DataFrame:
    generator = get_generator("credit_cards", base_daily_volume=BASE)
    columns = list(dict.fromkeys(KEPT + CODES + NUMBERS))
    return pl.concat([generator.generate(FIRST + timedelta(n)).select(columns) for n in range(DAYS)], rechunk=True)


@pytest.fixture(scope="module")
def features(year: pl.DataFrame) -> pl.DataFrame:
    return year.select(
        *(pl.col(name).to_physical().cast(pl.Float32).fill_null(-1).alias(name) for name in CODES),
        *(pl.col(name).cast(pl.Float32) for name in NUMBERS),
        pl.col("timestamp").dt.hour().cast(pl.Float32).alias("hour"),
        pl.col("timestamp").dt.weekday().cast(pl.Float32).alias("weekday"),
    )


def judge(x: NDArray[Any], y: NDArray[Any]) -> tuple[float, float, NDArray[Any]]:
    """Return ROC-AUC and average precision on the last third, and its scores."""
    cut = 2 * len(y) // 3
    model = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=200, early_stopping=False, random_state=0
    )
    model.fit(x[:cut], y[:cut])
    scores = model.predict_proba(x[cut:])[:, 1]
    return float(roc_auc_score(y[cut:], scores)), float(average_precision_score(y[cut:], scores)), scores


def mean(series: pl.Series) -> float:
    return float(series.mean())  # type: ignore[arg-type]


def gini(counts: NDArray[Any]) -> float:
    x = np.sort(counts)
    return float((2 * np.arange(1, len(x) + 1) - len(x) - 1) @ x / (len(x) * x.sum()))


# -- levels ------------------------------------------------------------------------------------------------------


def test_levels_of_fraud(year: pl.DataFrame) -> None:
    remote = pl.col("channel") == "card_not_present"
    rate, cnp, cp = (mean(f["is_fraud"]) for f in (year, year.filter(remote), year.filter(~remote)))
    assert 0.0008 <= rate <= 0.0018
    assert 0.002 <= cnp <= 0.005
    assert 0.0002 <= cp <= 0.0006
    assert cnp >= 5 * cp
    frauds, rest = year.filter("is_fraud"), year.filter(~pl.col("is_fraud"))
    assert 1.6 <= mean(frauds["billing_amount"]) / mean(rest["billing_amount"]) <= 3.0
    assert 0.70 <= frauds.filter(remote)["billing_amount"].sum() / frauds["billing_amount"].sum() <= 0.90
    assert mean(~frauds["is_approved"]) == pytest.approx(0.35, abs=0.04)
    hit = frauds["customer_id"].n_unique() / year["customer_id"].n_unique()
    assert 0.04 <= hit <= 0.10  # 5 to 6% of cards, 1.25 cards a customer


def test_shares_over_a_year(year: pl.DataFrame) -> None:
    total = sum(SHARES.values())

    def distance(frame: pl.DataFrame) -> float:
        counts = frame["mcc"].cast(pl.String).value_counts(normalize=True)
        mix = dict(zip(counts["mcc"].to_list(), counts["proportion"].to_list(), strict=True))
        return 0.5 * sum(abs(mix.get(code, 0.0) - value / total) for code, value in SHARES.items())

    assert distance(year) <= 0.02
    remote = year.filter(pl.col("channel") == "card_not_present")
    assert distance(remote) > 0.02  # a mutant: one channel's rows
    assert 0.30 <= remote.height / year.height <= 0.38
    assert 0.35 <= remote["billing_amount"].sum() / year["billing_amount"].sum() <= 0.48
    present = year.filter(pl.col("channel") == "card_present")
    assert 0.02 <= mean(~present["is_approved"]) <= 0.035
    assert 0.08 <= mean(~remote["is_approved"]) <= 0.15
    assert 0.045 <= mean(~year["is_approved"]) <= 0.075
    declined = year.filter(~pl.col("is_approved"))["response_code"].cast(pl.String)
    for code, share in {
        "51": 0.46,
        "05": 0.23,
        "61": 0.05,
        "65": 0.03,
        "14": 0.04,
        "54": 0.05,
        "57": 0.03,
        "59": 0.04,
    }.items():
        assert mean(declined == code) == pytest.approx(share, abs=0.02), code
    assert mean(declined.is_in(["82", "N7"])) == pytest.approx(0.04, abs=0.01)
    assert 0.008 <= mean(declined == "91") <= 0.035
    assert 0.03 <= mean(year["merchant_country"] != year["home_country"]) <= 0.06
    assert 0.008 <= mean(present["merchant_country"] != present["home_country"]) <= 0.016
    assert 0.07 <= mean(remote["merchant_country"] != remote["home_country"]) <= 0.09
    assert 0.02 <= mean(present["distance_km"] > 100) <= 0.05


def test_heavy_tails(year: pl.DataFrame) -> None:
    counts = year.group_by("customer_id").len()["len"].to_numpy()
    assert 0.38 <= gini(counts) <= 0.52
    assert 0.24 <= np.sort(counts)[-len(counts) // 10 :].sum() / counts.sum() <= 0.36
    assert np.quantile(counts, 0.99) / np.median(counts) >= 4
    visits = year.group_by("merchant_id").len()["len"].sort(descending=True).to_numpy()
    ranks = np.arange(3, 301)
    slope = -np.polyfit(np.log(ranks), np.log(visits[2:300]), 1)[0]
    assert 0.8 <= slope <= 1.3
    pairs = year.group_by("customer_id", "merchant_id").len().sort("len", descending=True)
    best = pairs.group_by("customer_id").agg(pl.col("len").head(5).sum().alias("top"), pl.col("len").sum())
    busy = best.filter(pl.col("len") >= 60)
    assert 0.35 <= mean(busy["top"] / busy["len"]) <= 0.65
    logs = (
        year.filter(~pl.col("is_fraud"))
        .group_by("customer_id")
        .agg(pl.col("billing_amount").log().mean().alias("level"), pl.len())
        .filter(pl.col("len") >= 150)
    )
    assert 0.25 <= float(logs["level"].std()) <= 0.45  # type: ignore[arg-type]


def test_hours_over_a_year(year: pl.DataFrame) -> None:
    for channel, curve in (("card_present", CP_HOURS), ("card_not_present", CNP_HOURS)):
        rows = year.filter((pl.col("channel") == channel) & (pl.col("timestamp").dt.weekday() <= 5))
        shares = np.bincount(rows["timestamp"].dt.hour().to_numpy(), minlength=24) / rows.height
        assert np.abs(shares - np.array(curve) / sum(curve)).sum() / 2 <= 0.01


def test_daily_noise_of_each_channel(year: pl.DataFrame) -> None:
    generator = get_generator("credit_cards", base_daily_volume=BASE)
    daily = year.group_by(pl.col("timestamp").dt.date().alias("day"), "channel").len()
    for process in generator.processes:
        rows = daily.filter(pl.col("channel") == process.name)
        expected = np.array([process.volume.expected(day) for day in rows["day"]])
        r = np.log(rows["len"].to_numpy() / expected)
        assert abs(r.mean()) <= 0.027
        assert 0.081 <= r.std() <= 0.119


def test_gaps_within_episodes_are_short(year: pl.DataFrame) -> None:
    frauds = year.filter("is_fraud")
    inside = frauds.select(pl.col("timestamp").diff().over("fraud_episode_id").dt.total_seconds()).drop_nulls()
    cards = frauds.select("card_token").unique()
    genuine = year.filter(~pl.col("is_fraud")).join(cards, on="card_token", how="semi")
    usual = genuine.select(pl.col("timestamp").diff().over("card_token").dt.total_seconds()).drop_nulls()
    ratio = float(inside["timestamp"].median()) / float(usual["timestamp"].median())  # type: ignore[arg-type]
    assert ratio <= 0.3


# -- learnability ------------------------------------------------------------------------------------------------


def test_fraud_is_learnable_but_not_easy(year: pl.DataFrame, features: pl.DataFrame) -> None:
    y = year["is_fraud"].to_numpy()
    cut = 2 * len(y) // 3
    assert y[cut:].sum() >= 800
    auc, precision, scores = judge(features.to_numpy(), y)
    assert 0.80 <= auc <= 0.95, auc
    assert 0.02 <= precision <= 0.30, precision
    top = np.argsort(-scores)[: len(scores) // 100]
    assert y[cut:][top].mean() >= 15 * y[cut:].mean()
    short, _, _ = judge(features.select(SHORT).to_numpy(), y)
    assert 0.78 <= short <= 0.93, short
    logit = np.log(scores.clip(1e-7, 1 - 1e-7) / (1 - scores.clip(1e-7, 1 - 1e-7)))
    sample = np.r_[np.flatnonzero(y[cut:]), np.flatnonzero(~y[cut:])[::10]]
    slope = LogisticRegression(C=1e6).fit(logit[sample, None], y[cut:][sample]).coef_[0, 0]
    assert 0.5 <= slope <= 1.3, slope


def test_fraud_within_remote_rows(year: pl.DataFrame, features: pl.DataFrame) -> None:
    remote = year["channel"] == "card_not_present"
    inside = features.filter(remote).drop("channel", "merchant_lat", "merchant_lon", "distance_km")
    auc, _, _ = judge(inside.to_numpy(), year.filter(remote)["is_fraud"].to_numpy())
    assert 0.72 <= auc <= 0.92, auc


def test_no_single_column_gives_fraud_away(year: pl.DataFrame, features: pl.DataFrame) -> None:
    y = year["is_fraud"].to_numpy()
    cut = 2 * len(y) // 3
    for name in features.columns:
        column = features[name].fill_null(-1).to_numpy()
        # The best use of one column: the fraud rate of its cells on the first two thirds.
        edges = np.unique(np.quantile(column[:cut:50], np.linspace(0, 1, 200)))
        cells = np.searchsorted(edges, column, side="right")
        hits, rows = (np.bincount(cells[:cut], weights=w, minlength=len(edges) + 1) for w in (y[:cut], np.ones(cut)))
        auc = roc_auc_score(y[cut:], (hits / np.maximum(rows, 1))[cells[cut:]])
        assert auc <= 0.85, (name, auc)


def test_shuffled_labels_identifiers_and_order_carry_nothing(year: pl.DataFrame, features: pl.DataFrame) -> None:
    y = year["is_fraud"].to_numpy()
    some = np.arange(0, len(y), 3)
    shuffled = np.random.Generator(np.random.PCG64(1)).permutation(y[some])
    auc, _, _ = judge(features.to_numpy()[some], shuffled)
    assert abs(auc - 0.5) <= 0.05
    # A merchant is its category and country, which tell as much as those columns do; the others must tell nothing.
    codes = {}
    for name in ("transaction_id", "customer_id", "card_token"):
        text = year[name].str.slice(13 if name == "transaction_id" else 4)
        codes[name] = text.rank("dense").cast(pl.Float32).to_numpy()
    # Hours differ between fraud and the rest by design, so the order is judged within hours.
    place = year.select((pl.col("record_id").rank("ordinal") / pl.len()).over(pl.col("timestamp").dt.truncate("1h")))
    codes["order"] = place.to_series().to_numpy().astype(np.float32)
    for name, column in codes.items():
        auc, _, _ = judge(column[some, None], y[some])
        assert abs(auc - 0.5) <= 0.05, (name, auc)


def test_history_adds_a_little(year: pl.DataFrame, features: pl.DataFrame) -> None:
    late = year.with_row_index("row").filter(pl.col("timestamp").dt.month() >= 5)
    ones = late.select(
        "row", "timestamp", "card_token", "merchant_id", "customer_id", "device_id", "is_approved"
    ).with_columns(one=pl.lit(1.0), failed=(~pl.col("is_approved")).cast(pl.Float64))
    history = ones.select(
        pl.col("one").rolling_sum_by("timestamp", "1h").over("card_token").alias("hour"),
        pl.col("one").rolling_sum_by("timestamp", "24h").over("card_token").alias("day"),
        pl.col("failed").rolling_sum_by("timestamp", "24h").over("card_token").alias("failed"),
        (pl.int_range(pl.len()).over("customer_id", "device_id") == 0).cast(pl.Float64).alias("new_device"),
        (pl.int_range(pl.len()).over("customer_id", "merchant_id") == 0).cast(pl.Float64).alias("new_merchant"),
    )
    # The row's own answer is not known before the decision.
    history = history.with_columns(failed=pl.col("failed") - ones["failed"])
    x = features.filter(year["timestamp"].dt.month() >= 5).to_numpy()
    y = late["is_fraud"].to_numpy()
    plain, precision, _ = judge(x, y)
    more, better, _ = judge(np.hstack([x, history.to_numpy().astype(np.float32)]), y)
    assert 0.005 <= more - plain <= 0.09, (plain, more)
    assert better >= 1.5 * precision, (precision, better)


# -- labels ------------------------------------------------------------------------------------------------------


def test_labels_mature_as_in_the_field() -> None:
    generator = get_generator("credit_cards", base_daily_volume=120_000)
    first, days = date(2024, 4, 1), 60
    labels = []
    for number in range(days + 122):
        day = first + timedelta(number)
        frame = generator.derive("fraud_labels", day, start=first)
        labels.append(frame.filter(pl.col("label_event") == "report").with_columns(known=pl.lit(day)))
    table = pl.concat(labels).filter(pl.col("transaction_date") < first + timedelta(days))
    frauds = pl.concat([generator.overlay(first + timedelta(n)).filter("is_fraud") for n in range(days)])  # type: ignore[union-attr]
    approved = frauds.filter("is_approved")
    told = approved.join(table, on="transaction_id", how="left")
    age = (told["known"] - told["transaction_date"]).dt.total_days()
    shares = {limit: mean((age <= limit).fill_null(False)) for limit in (7, 30, 120)}
    assert 0.28 <= shares[7] <= 0.52
    assert 0.70 <= shares[30] <= 0.86
    assert 0.90 <= shares[120] <= 0.94, shares
    known = age.drop_nulls()
    assert 5 <= float(known.median()) <= 14  # type: ignore[arg-type]
    assert 25 <= float(known.quantile(0.9)) <= 60  # type: ignore[arg-type]
    assert known.max() <= 121  # type: ignore[operator]
    everything = table.join(frauds.select("transaction_id", "is_fraud"), on="transaction_id", how="left")
    truth = everything["is_fraud"].fill_null(False)
    assert 0.82 <= mean(truth == everything["label_fraud"]) <= 0.95
    source = told["label_source"].drop_nulls()
    for name, share in {"cardholder": 0.88, "merchant": 0.10, "issuer_model": 0.02}.items():
        assert mean(source == name) == pytest.approx(share, abs=0.05)


def test_attacks_come_every_month() -> None:
    generator = get_generator("credit_cards", base_daily_volume=60_000)
    frames = [generator.overlay(FIRST + timedelta(n)) for n in range(90)]
    rows = pl.concat([f.filter("is_fraud") for f in frames if f is not None])
    cells = (
        rows.filter(pl.col("channel") == 1, pl.col("billing_amount") < 10)
        .group_by("merchant_id", pl.from_epoch("timestamp", "us").dt.truncate("1h").alias("hour"))
        .agg(pl.col("card_id").n_unique(), (~pl.col("is_approved")).mean().alias("declined"))
        .filter((pl.col("card_id") >= 20) & (pl.col("declined") >= 0.40))
    )
    assert cells["hour"].dt.month().n_unique() == 3


def test_rate_of_episodes_is_exact() -> None:
    generator = get_generator("credit_cards", base_daily_volume=60_000)
    days = [FIRST + timedelta(n) for n in range(366)]
    rows = sum(len(generator.fraud_rows.on_day(day).timestamp) for day in days)  # type: ignore[attr-defined]
    n = sum(generator.expected(day) for day in days)
    # Episodes of 2.9 rows; attacks and skimmers are systematic and sized by their expectation.
    assert rows / n == pytest.approx(0.0012, abs=5 * math.sqrt(3.5 * 0.0012 / n) + 0.00004)
