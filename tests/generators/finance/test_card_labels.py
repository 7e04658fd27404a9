"""Labels of fraud: known when they say, about transactions that exist, and as noisy as real ones."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from generators import UnknownNameError, get_generator
from generators.base import BaseGenerator

FIRST, EVENTS, WINDOW, BASE = date(2024, 3, 1), 12, 136, 14_000


@pytest.fixture(scope="module")
def generator() -> BaseGenerator:  # type: ignore[type-arg]
    return get_generator("credit_cards", base_daily_volume=BASE)


@pytest.fixture(scope="module")
def events(generator: BaseGenerator) -> pl.DataFrame:  # type: ignore[type-arg]
    columns = ["transaction_id", "timestamp", "is_fraud", "is_approved", "amount", "billing_amount", "channel", "mcc",
               "is_recurring", "fraud_type"]  # fmt: skip
    return pl.concat([generator.generate(FIRST + timedelta(n)).select(columns) for n in range(EVENTS)])


@pytest.fixture(scope="module")
def labels(generator: BaseGenerator) -> pl.DataFrame:  # type: ignore[type-arg]
    """Everything that ever becomes known of twelve days of payments, with the day on which it does."""
    last = FIRST + timedelta(EVENTS - 1)
    found = []
    for number in range(EVENTS + WINDOW):
        day = FIRST + timedelta(number)
        frame = generator.derive("fraud_labels", day, start=FIRST)
        found.append(frame.filter(pl.col("transaction_date") <= last).with_columns(known=pl.lit(day)))
    return pl.concat(found)


def mean(series: pl.Series) -> float:
    return float(series.mean())  # type: ignore[arg-type]


def test_labels_point_at_transactions_that_exist(events: pl.DataFrame, labels: pl.DataFrame) -> None:
    assert labels.join(events, on="transaction_id", how="anti").height == 0
    joined = labels.join(events, on="transaction_id")
    assert (joined["timestamp"].dt.date() == joined["transaction_date"]).all()
    assert labels.select(pl.struct("transaction_id", "label_event").is_duplicated().any()).item() is False
    assert labels.filter(pl.col("label_event") == "report").height > 150


def test_nothing_is_known_before_it_happened(events: pl.DataFrame, labels: pl.DataFrame) -> None:
    reports = labels.filter(pl.col("label_event") == "report")
    charged = labels.filter(pl.col("label_event") == "chargeback")
    assert (reports["known"] == reports["report_date"]).all()
    assert (charged["known"] == charged["chargeback_date"]).all()
    assert reports["chargeback_date"].null_count() == reports.height
    assert reports["chargeback_reason"].null_count() == reports.height
    delay = (labels["report_date"] - labels["transaction_date"]).dt.total_days()
    model = labels["label_source"] == "issuer_model"
    assert delay.filter(model).is_between(0, 1).all()
    assert delay.filter(~model).is_between(1, 121).all()
    wait = (charged["chargeback_date"] - charged["report_date"]).dt.total_days()
    assert wait.is_between(3, 15).all()
    assert ((charged["chargeback_date"] - charged["transaction_date"]).dt.total_days() <= 136).all()
    approved = charged.join(events, on="transaction_id")
    assert approved["is_approved"].all()  # what was declined is not charged back
    paired = charged.join(reports, on="transaction_id", how="left", suffix="_report")
    assert (paired["report_date"] == paired["report_date_report"]).all()


def test_reports_follow_the_kinds_of_fraud(events: pl.DataFrame, labels: pl.DataFrame) -> None:
    reports = labels.filter(pl.col("label_event") == "report")
    told = events.join(reports, on="transaction_id", how="left")
    frauds = told.filter(pl.col("is_fraud"))
    assert mean(frauds["label_event"].is_not_null()) == pytest.approx(0.92, abs=0.09)
    declined = frauds.filter(~pl.col("is_approved"))["label_source"].drop_nulls()
    assert (declined == "issuer_model").all()
    approved = frauds.filter(pl.col("is_approved"))["label_source"].drop_nulls()
    assert mean(approved == "cardholder") == pytest.approx(0.88, abs=0.08)


def test_cardholders_dispute_purchases_of_their_own(events: pl.DataFrame, labels: pl.DataFrame) -> None:
    reports = labels.filter(pl.col("label_event") == "report").join(events, on="transaction_id")
    own = reports.filter(~pl.col("is_fraud") & pl.col("label_fraud"))
    assert 0.5 * 0.0002 <= own.height / events.height <= 2 * 0.0002
    assert set(own["mcc"].unique()) <= {"5815", "5816", "4899", "5999"}
    assert own["is_approved"].all()
    assert not own["is_recurring"].any()
    # 0.84 expected; the fraud of twelve days comes from some 65 episodes, so five standard deviations are 0.15.
    assert mean(reports["is_fraud"] == reports["label_fraud"]) == pytest.approx(0.84, abs=0.15)
    charged = labels.filter(pl.col("label_event") == "chargeback")
    assert set(charged["chargeback_reason"].unique()) >= {"fraud_cnp", "fraud_cp"}
    honest = charged.filter(~pl.col("label_fraud"))
    assert set(honest["chargeback_reason"].unique()) <= {"services_not_received", "duplicate"}


def test_labels_mature(events: pl.DataFrame, labels: pl.DataFrame) -> None:
    def known(age: int, frame: pl.DataFrame) -> float:
        early = frame.filter((pl.col("label_event") == "report") & (pl.col("age") <= age))
        frauds = events.filter(pl.col("is_fraud") & pl.col("is_approved"))
        return frauds.join(early, on="transaction_id", how="semi").height / frauds.height

    aged = labels.with_columns(age=(pl.col("known") - pl.col("transaction_date")).dt.total_days())
    assert 0.22 <= known(7, aged) <= 0.58  # bands of the long suite, widened by the noise of 110 episodes
    assert 0.64 <= known(30, aged) <= 0.92
    assert 0.84 <= known(120, aged) <= 1.0
    at_once = aged.with_columns(age=pl.lit(0, pl.Int64))
    assert known(7, at_once) > 0.58  # the mutant: labels at event time


def test_a_day_alone_equals_the_day_in_a_range(generator: BaseGenerator) -> None:  # type: ignore[type-arg]
    day = FIRST + timedelta(9)
    alone = get_generator("credit_cards", base_daily_volume=2_000)
    ranged = get_generator("credit_cards", base_daily_volume=2_000)
    start = day - timedelta(40)
    frames = {d: ranged.derive("fraud_labels", d, start) for d in (day + timedelta(3), day - timedelta(2), day)}
    assert_frame_equal(alone.derive("fraud_labels", day, start), frames[day])
    assert frames[day].height > 0
    table = alone.table("fraud_labels")
    assert frames[day].schema == table.polars_schema(alone.config.timezone)
    assert table.violations(frames[day]) == []


def test_events_before_the_start_have_no_labels(labels: pl.DataFrame) -> None:
    assert labels["transaction_date"].min() == FIRST


def test_unknown_label_table_is_refused(generator: BaseGenerator) -> None:  # type: ignore[type-arg]
    with pytest.raises(UnknownNameError, match="fraud_labels"):
        generator.outcomes("chargebacks", FIRST)


def test_live_mode_withholds_the_truth() -> None:
    day = date(2024, 6, 5)
    training, live = (
        get_generator("credit_cards", base_daily_volume=3_000, preset="teaching", label_mode=mode).generate(day)
        for mode in ("training", "live")
    )
    hidden = ["is_fraud", "fraud_type", "fraud_episode_id"]
    assert all(live[column].null_count() == live.height for column in hidden)
    assert_frame_equal(live.drop(hidden), training.drop(hidden))
    assert training["is_fraud"].sum() > 0
