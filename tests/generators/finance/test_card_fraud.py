"""Fraud as episodes: levels, kinds, bursts, attacks on merchants, skimmers, and cards issued again."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from generators import get_generator
from generators.finance import card_labels, fraud, responses
from generators.labels import EVENT_DAY
from tests.generators.finance.card_frames import overlays

MIX = {
    "cnp_stolen_credentials": 0.52, "card_testing": 0.14, "account_takeover": 0.10, "lost_stolen": 0.14,
    "counterfeit_skimming": 0.06, "application_fraud": 0.04,
}  # fmt: skip
CLUSTERS = ("card_testing", "counterfeit_skimming")
MEAN_ROWS = {"cnp_stolen_credentials": 2.4, "card_testing": 6.5, "account_takeover": 1.95, "lost_stolen": 4.0,
             "counterfeit_skimming": 2.85, "application_fraud": 6.5}  # fmt: skip
ROWS = {"cnp_stolen_credentials": 4, "card_testing": 9, "account_takeover": 3, "lost_stolen": 6,
        "counterfeit_skimming": 5, "application_fraud": 10}  # fmt: skip
FIRST, DAYS, BASE = date(2024, 1, 1), 91, 100_000


@pytest.fixture(scope="module")
def extra() -> pl.DataFrame:
    return overlays(get_generator("credit_cards", base_daily_volume=BASE), FIRST, DAYS)


@pytest.fixture(scope="module")
def stolen(extra: pl.DataFrame) -> pl.DataFrame:
    """About 11,000 fraud rows of a quarter at 100,000 rows a day."""
    return extra.filter(pl.col("is_fraud")).sort("fraud_episode_id", "timestamp")


def mean(series: pl.Series) -> float:
    return float(series.mean())  # type: ignore[arg-type]


def test_level_and_mix(stolen: pl.DataFrame) -> None:
    generator = get_generator("credit_cards", base_daily_volume=BASE)
    expected = sum(generator.expected(FIRST + timedelta(n)) for n in range(DAYS))
    rate = stolen.height / expected
    assert 0.0008 <= rate <= 0.0018
    clusters = {
        name: max(1, stolen.filter(pl.col("fraud_type") == name)["merchant_id"].n_unique() // 2) for name in CLUSTERS
    }
    counts = stolen["fraud_type"].cast(pl.String).value_counts()
    mix = dict(zip(counts["fraud_type"].to_list(), (counts["count"] / stolen.height).to_list(), strict=True))
    for name, share in MIX.items():
        slack = 0.05 + (3 * share / math.sqrt(clusters[name]) if name in CLUSTERS else 0.0)
        assert mix[name] == pytest.approx(share, abs=slack), name
    assert mean(~stolen["is_approved"]) == pytest.approx(0.35, abs=0.03)
    remote = stolen.filter(pl.col("channel") == "card_not_present")
    assert 0.70 <= remote["billing_amount"].sum() / stolen["billing_amount"].sum() <= 0.90


def within_the_rate(rows: pl.DataFrame, expected: float) -> None:
    """Check a year's fraud rows against the 0.0012 of all expected rows, attacks and skimmers being one draw each.

    Args:
        rows: episode, place in it, kind and cluster (of an attack or skimmer, else -1) of each fraud row.
        expected: Expected rows of the year, fraud or not.
    """
    alone = rows.filter(pl.col("cluster") < 0)
    sizes = pl.concat(
        [
            alone.group_by("episode").len()["len"],
            rows.filter(pl.col("cluster") >= 0).group_by("year", "kind", "cluster").len()["len"],
        ]
    ).cast(pl.Float64)
    assert sizes.sum() == rows.height
    # A Poisson number of draws of sizes k has the variance sum k^2, whatever the sizes are.
    assert abs(rows.height - 0.0012 * expected) <= 5 * math.sqrt(float((sizes**2).sum()))
    wanted = sum(0.0012 * expected * MIX[name] / MEAN_ROWS[name] for name in MIX if name not in CLUSTERS)
    low, high = stats.poisson.interval(1 - 1e-6, wanted)
    assert low <= alone.filter(pl.col("place") == 0).height <= high


def test_rate_within_its_interval() -> None:
    """A year at 100,000 rows a day: 44,000 frauds, of which 24 attacks and 22 skimmers make most of the variance."""
    generator: Any = get_generator("credit_cards", base_daily_volume=BASE)
    days = [FIRST + timedelta(n) for n in range(366)]
    rows = pl.concat(
        [
            pl.DataFrame(
                {
                    "episode": found.episodes.number,
                    "year": found.episodes.number >> 32,
                    "place": found.place,
                    "kind": found.episodes.kind,
                    "cluster": found.episodes.group,
                }
            )
            for found in map(generator.fraud_rows.on_day, days)
        ]
    )
    expected = sum(generator.expected(day) for day in days)
    within_the_rate(rows, expected)
    for fewer in (
        rows.filter(pl.col("episode") % 4 != 0),
        rows.filter((pl.col("episode") % 4 != 0) | (pl.col("cluster") >= 0)),
    ):
        with pytest.raises(AssertionError):
            within_the_rate(fewer, expected)


def test_an_episode_is_one_card_and_few_rows(stolen: pl.DataFrame) -> None:
    episodes = stolen.group_by("fraud_episode_id").agg(
        pl.len(), pl.col("card_token", "card_id", "fraud_type").n_unique(), pl.col("fraud_type").first().alias("kind")
    )
    assert episodes["card_token"].max() == 1
    assert episodes["fraud_type"].max() == 1
    for (kind,), group in episodes.group_by("kind"):
        assert group["len"].max() <= ROWS[str(kind)]  # type: ignore[operator]
    assert 2.4 <= mean(episodes["len"]) <= 3.4


def test_fraud_comes_in_bursts(stolen: pl.DataFrame) -> None:
    gaps = stolen.select(pl.col("timestamp").diff().over("fraud_episode_id").dt.total_seconds() / 3600).drop_nulls()
    # A genuine customer has 0.5 rows a day on 1.25 cards: 60 hours between the rows of a card, weighted by activity 30.
    assert float(gaps["timestamp"].median()) <= 0.3 * 30  # type: ignore[arg-type]
    scattered = stolen.select(pl.col("timestamp").shuffle(seed=1)).sort("timestamp")  # the mutant: independent rows
    assert stolen.height / DAYS > 0
    independent = scattered.select(pl.col("timestamp").shuffle(seed=2).diff().abs().dt.total_seconds() / 3600)
    assert float(independent["timestamp"].median()) > 0.3 * 30  # type: ignore[arg-type]


def test_card_testing_attacks_a_merchant_with_many_cards(stolen: pl.DataFrame) -> None:
    def attacks(frame: pl.DataFrame) -> int:
        cells = (
            frame.filter((pl.col("channel") == "card_not_present") & (pl.col("billing_amount") < 10))
            .group_by("merchant_id", pl.col("timestamp").dt.truncate("1h"))
            .agg(pl.col("card_id").n_unique(), (~pl.col("is_approved")).mean().alias("declined"))
        )
        return cells.filter((pl.col("card_id") >= 20) & (pl.col("declined") >= 0.40)).height

    assert attacks(stolen) >= 3  # one a month
    alone = stolen.with_columns(
        merchant_id=pl.col("merchant_id").shuffle(seed=1), timestamp=pl.col("timestamp").reverse()
    )
    assert attacks(alone) == 0  # the mutant that this test must catch
    testing = stolen.filter(pl.col("fraud_type") == "card_testing")
    assert set(testing["mcc"].unique()) <= {"5815", "5816", "8398"}
    assert 1.5 <= float(testing["billing_amount"].median()) <= 6  # type: ignore[arg-type]
    assert mean(~testing["is_approved"]) == pytest.approx(0.55, abs=0.06)


def test_skimmed_cards_used_the_same_terminal_before(extra: pl.DataFrame, stolen: pl.DataFrame) -> None:
    visits = extra.filter(~pl.col("is_fraud") & ~pl.col("is_recurring"))
    terminals = visits.group_by("merchant_lat", "merchant_lon").agg(
        pl.col("card_id").n_unique(), pl.col("merchant_id").n_unique(), pl.col("home_region").n_unique()
    )
    shared = terminals.filter(pl.col("card_id") >= 15)
    assert shared.height >= 3
    assert shared["home_region"].max() == 1
    assert 0.0 < mean(~visits["is_approved"]) < 0.06  # answered like other purchases
    first = (
        stolen.filter(pl.col("fraud_type") == "counterfeit_skimming")
        .group_by("card_id")
        .agg(pl.col("timestamp").min().alias("fraud"))
    )
    pairs = visits.select("card_id", visit="timestamp").join(first, on="card_id")
    assert pairs.height > 100
    days = (pairs["fraud"].dt.date() - pairs["visit"].dt.date()).dt.total_days()
    assert days.min() >= 4  # type: ignore[operator]  # 5 local days; a date here is UTC
    assert days.max() <= 41  # type: ignore[operator]


def test_kinds_look_as_described(stolen: pl.DataFrame) -> None:
    def of(kind: str) -> pl.DataFrame:
        return stolen.filter(pl.col("fraud_type") == kind)

    credentials = of("cnp_stolen_credentials")
    assert mean(credentials["pos_entry_mode"] == "81") == pytest.approx(0.88, abs=0.03)
    assert mean(credentials["merchant_country"] != credentials["home_country"]) == pytest.approx(0.20, abs=0.04)
    assert mean(credentials["ip_country"] == credentials["home_country"]) == pytest.approx(0.80, abs=0.04)
    checked = credentials["avs_result"].drop_nulls()
    assert 0.28 <= mean(checked != "Y") <= 0.46
    assert mean(credentials["cvv_result"].drop_nulls() == "N") == pytest.approx(0.10, abs=0.03)
    lost = of("lost_stolen")
    assert mean(lost["pos_entry_mode"] == "07") == pytest.approx(0.66, abs=0.04)
    assert 5 <= float(lost["distance_km"].median()) <= 20  # type: ignore[arg-type]
    within = lost.group_by("fraud_episode_id").agg(
        (pl.col("timestamp").max() - pl.col("timestamp").min()).dt.total_hours()
    )
    assert mean(within["timestamp"] <= 24) > 0.9
    copied = of("counterfeit_skimming")
    assert mean(copied["pos_entry_mode"] == "90") == pytest.approx(0.80, abs=0.05)
    assert 60 <= float(copied["distance_km"].median()) <= 170  # type: ignore[arg-type]
    takeover = of("account_takeover")
    assert set(takeover["cvv_result"].drop_nulls().unique()) == {"M"}
    opened = of("application_fraud")
    assert opened["card_age_days"].max() < 60  # type: ignore[operator]


def test_a_thief_has_one_device(stolen: pl.DataFrame) -> None:
    def devices(frame: pl.DataFrame) -> int:
        """Most devices of an episode."""
        return int(frame.group_by("fraud_episode_id").agg(pl.col("device_id").n_unique())["device_id"].max())  # type: ignore[call-overload]

    remote = stolen.filter(pl.col("channel") == "card_not_present")
    assert devices(remote) == 1
    assert devices(remote.with_columns(pl.col("device_id").shuffle(seed=1))) > 1  # the mutant: a device a row
    # A device of the thief's is seen in one episode alone; a customer's own is his.
    owners = remote.group_by("device_id").agg(pl.col("customer_id").n_unique())
    assert owners["customer_id"].max() == 1


def test_compromised_cards_are_issued_again() -> None:
    generator = get_generator("credit_cards", base_daily_volume=20_000)
    frame = overlays(generator, date(2024, 2, 1), 29).filter(pl.col("is_fraud"))
    cards = pl.concat(list(generator.dimension("cards", date(2024, 2, 1), date(2024, 9, 30))))
    hit = frame.unique("card_token")
    assert hit.height > 150
    after = hit.join(cards, on="card_token", how="left", suffix="_dim")
    assert after["valid_from"].null_count() == 0
    assert mean(after["replaced_on"].is_not_null()) == pytest.approx(0.92 * 0.95, abs=0.10)
    again = after.filter(pl.col("replaced_on").is_not_null()).join(
        cards, left_on=["card_id", "replaced_on"], right_on=["card_id", "issue_date"], how="left", suffix="_next"
    )
    assert again["card_token_next"].null_count() == 0
    assert (again["card_token_next"] != again["card_token"]).all()


def test_transactions_are_unique_whatever_their_source() -> None:
    generator = get_generator("credit_cards", base_daily_volume=4_000, preset="teaching")
    frame = pl.concat([generator.generate(date(2024, 6, 1) + timedelta(n)) for n in range(5)])
    assert frame["transaction_id"].n_unique() == frame.height
    # The sorted ids tell nothing about fraud or subscriptions: ranks are uniform.
    for column in ("is_fraud", "is_recurring"):
        order = frame.filter(pl.col("timestamp").dt.day() == 3).sort("transaction_id")[column]
        places = np.flatnonzero(order.to_numpy()) / order.len()
        spread = np.abs(np.sort(places) - (np.arange(len(places)) + 0.5) / len(places)).max()
        assert spread < 2.69 / math.sqrt(len(places))


def test_fraud_changes_its_tastes() -> None:
    def distance(**fields: object) -> float:
        generator = get_generator("credit_cards", base_daily_volume=100_000, **fields)
        mixes = []
        for first in (date(2024, 2, 1), date(2024, 8, 1)):
            frame = overlays(generator, first, 7)
            frame = frame.filter(pl.col("fraud_type") == "cnp_stolen_credentials")
            counts = np.bincount(frame["mcc"].to_physical().to_numpy(), minlength=37)
            mixes.append(counts / counts.sum())
        return float(np.abs(mixes[0] - mixes[1]).sum() / 2)

    steady = distance(fraud_drift=0.0)
    assert distance(fraud_drift=1.0) > 1.5 * steady
    assert distance(fraud_drift=0.0, fraud_shift=date(2024, 6, 1)) > 1.5 * steady


def test_a_year_is_a_function_of_the_config() -> None:
    one, other = (get_generator("credit_cards", base_daily_volume=2_000) for _ in range(2))
    late = one.compromises.year(2024)  # type: ignore[attr-defined]
    for year in (2022, 2025, 2020, 2024):
        found = other.compromises.year(year)  # type: ignore[attr-defined]
    assert (found.number == late.number).all()
    assert (found.start == late.start).all()
    assert (found.card == late.card).all()
    assert len(np.unique(late.card)) == len(late)
    assert len(one.compromises.year(1969)) == 0  # type: ignore[attr-defined]
    counts = np.bincount(late.kind, minlength=6)
    assert counts[fraud.CREDENTIALS] > counts[fraud.APPLICATION] > 0


def in_windows(generator: Any, year: int, months: range) -> list[tuple[date, tuple[int, int]]]:
    """Return the outages of some months with the days on which they begin."""
    found = []
    for month in months:
        for window in responses.outages(generator.config.seed, generator.name, year, month, generator.config.timezone):
            found.append((datetime.fromtimestamp(window[0] / 1e6, generator.config.zone).date(), window))
    return found


def test_an_outage_spares_nobody() -> None:
    """Purchases, subscriptions, fraud and visits to skimmed terminals fail alike, and failed fraud is no loss."""
    generator: Any = get_generator("credit_cards", base_daily_volume=40_000, fraud_rate=0.01)
    rows, labels = [], []
    for day, (begin, end) in in_windows(generator, 2024, range(1, 9)):
        frame = generator.generate(day)
        rows.append(frame.filter(pl.col("timestamp").dt.epoch("us").is_between(begin, end, closed="left")))
        known = generator.outcomes("fraud_labels", day)
        labels.append(card_labels.rows(known.with_columns(**{EVENT_DAY: pl.lit(day)}), day, generator.ids))
    failed = pl.concat(rows).with_columns(failed=pl.col("response_code") == "91")

    def share(part: pl.Expr, frame: pl.DataFrame = failed) -> tuple[float, float]:
        """Return the share of rows that fail, and five standard deviations of it."""
        own = frame.filter(part)
        assert own.height > 60
        return mean(own["failed"]), 5 * math.sqrt(0.32 * 0.68 / own.height)

    fraud, recurring = pl.col("is_fraud"), pl.col("is_recurring")
    for part in (fraud, recurring, ~fraud & ~recurring):
        found, slack = share(part)
        assert found == pytest.approx(0.32, abs=slack)
        spared, slack = share(part, failed.with_columns(pl.col("failed") & ~part))
        assert abs(spared - 0.32) > slack  # the mutant that this test must catch
    assert (failed.filter("failed")["auth_latency_ms"] >= 2000).all()
    told = failed.filter(fraud & pl.col("failed")).join(pl.concat(labels), on="transaction_id")
    assert told.height > 10
    assert set(told["label_source"]) == {card_labels.MODEL}
    assert told["chargeback_date"].null_count() == told.height
