"""What a bank has learnt of a year's fraud, and when, at 75,000 rows a day: 33,000 frauds; about a minute.

Within 120 days 0.912 of approved fraud is known by construction: 0.92 is ever reported, and 1% of those later. At 60
days of 40,000 rows the standard error is 0.012, so the share may be anything from 0.86 to 0.96; here it is 0.003.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import polars as pl
import pytest

from generators import get_generator
from tests.generators.finance import card_oracle as table
from tests.generators.finance.card_bands import Figure, mean, median, outside
from tests.generators.finance.card_frames import days, shuffled
from tests.generators.finance.card_rules import text

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

BASE, FIRST, DAYS, WINDOW = 75_000, date(2023, 9, 1), 366, 137


@pytest.fixture(scope="module")
def generator() -> Any:
    return get_generator("credit_cards", base_daily_volume=BASE)


@pytest.fixture(scope="module")
def frauds(generator: Any) -> pl.DataFrame:
    """The fraud rows of the year."""
    sales = [(day, generator.fraud_rows.sales(day)) for day in days(FIRST, DAYS)]
    columns = ["transaction_id", "is_approved", "fraud_type", "fraud_episode_id", "billing_amount", "response_code"]
    rows = pl.concat(
        [
            generator.renderer.frame(sale, day, with_time=True).select(*columns, day=pl.lit(day))
            for day, sale in sales
            if len(sale)
        ]
    )
    enums = {c.name: c.dtype for c in generator.events if isinstance(c.dtype, pl.Enum) and c.name in columns}
    return rows.with_columns(pl.col(name).cast(pl.UInt8).cat.to(dtype) for name, dtype in enums.items())


@pytest.fixture(scope="module")
def labels(generator: Any) -> pl.DataFrame:
    """All labels of the year's events, with the day on which they became known."""
    known = [
        generator.derive("fraud_labels", day, start=FIRST).with_columns(known=pl.lit(day))
        for day in days(FIRST, DAYS + WINDOW)
    ]
    return pl.concat(known).filter(pl.col("transaction_date").is_between(FIRST, days(FIRST, DAYS)[-1]))


@pytest.fixture(scope="module")
def told(frauds: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Reports and chargebacks, one row a transaction, beside the truth."""
    reports = labels.filter(pl.col("label_event") == "report").drop(
        "label_event", "chargeback_date", "chargeback_reason"
    )
    charged = labels.filter(pl.col("label_event") == "chargeback").select(
        "transaction_id", "chargeback_date", "chargeback_reason", charged_on="known"
    )
    rows = frauds.join(reports, on="transaction_id", how="full", coalesce=True).join(
        charged, on="transaction_id", how="left"
    )
    return rows.with_columns(
        is_fraud=pl.col("fraud_type").is_not_null(),
        lag=(pl.col("known") - pl.col("transaction_date")).dt.total_days(),
        wait=(pl.col("chargeback_date") - pl.col("report_date")).dt.total_days(),
        in_all=(pl.col("charged_on") - pl.col("transaction_date")).dt.total_days(),
    )


def maturity(told: pl.DataFrame) -> Iterator[Figure]:
    approved = told.filter(pl.col("is_fraud") & pl.col("is_approved"))
    lag = approved["lag"]
    for age, low, high in ((7, 0.28, 0.52), (30, 0.70, 0.86), (120, 0.90, 0.94)):
        yield f"known after {age} days", mean((lag <= age).fill_null(False)), low, high
    known = lag.drop_nulls()
    yield "median delay", median(known), 5, 14
    yield "90th percentile of the delay", float(known.quantile(0.9)), 25, 60  # type: ignore[arg-type]
    yield "longest delay", float(known.max()), 100, 121  # type: ignore[arg-type]
    yield "shortest delay of a report", float(_people(told)["lag"].min()), 1, 1  # type: ignore[arg-type]
    for kind, expected in table.REPORT_MEDIANS.items():
        # A report is of the first row: later rows of the episode are known sooner.
        first = _people(approved.filter(text("fraud_type") == kind)).unique("fraud_episode_id", keep="first")
        yield f"median delay of {kind}", median(first["lag"]) / (expected + 0.5), 0.6, 1.35
    ever = told.filter("is_fraud").group_by("fraud_episode_id").agg(pl.col("lag").is_not_null().any())
    yield "episodes ever reported", mean(ever["lag"]), 0.905, 0.935


def _people(told: pl.DataFrame) -> pl.DataFrame:
    """Return what people report, with a delay."""
    return told.filter(text("label_source").is_in(["cardholder", "merchant"])).sort("transaction_date")


def sources(told: pl.DataFrame) -> Iterator[Figure]:
    frauds = told.filter("is_fraud")
    approved = frauds.filter("is_approved")["label_source"].drop_nulls()
    for name, share in table.LABEL_SOURCES.items():
        yield name, mean(approved == name), share - 0.05, share + 0.05
    declined = frauds.filter(~pl.col("is_approved"))
    yield "declined rows are the issuer's", mean(declined["label_source"].drop_nulls() == "issuer_model"), 1.0, 1.0
    model = told.filter(text("label_source") == "issuer_model")["lag"]
    yield "the model answers at once", mean(model.is_between(0, 1)), 1.0, 1.0
    reported = told.filter(pl.col("lag").is_not_null())
    yield "labels agree with the truth", mean(reported["is_fraud"] == reported["label_fraud"]), 0.82, 0.95


def chargebacks(told: pl.DataFrame) -> Iterator[Figure]:
    charged = told.filter(pl.col("wait").is_not_null())
    frauds = told.filter(pl.col("is_fraud") & pl.col("lag").is_not_null())
    yield "wait", float(charged["wait"].min()), 3, 3  # type: ignore[arg-type]
    yield "longest wait", float(charged["wait"].max()), 15, 15  # type: ignore[arg-type]
    yield "mean wait", mean(charged["wait"]), 8.5, 9.5
    yield "days in all", float(charged["in_all"].max()), 110, 136  # type: ignore[arg-type]
    declined = frauds.filter(~pl.col("is_approved"))
    yield "declined rows charged back", mean(declined["wait"].is_not_null()), 0.0, 0.0
    approved = frauds.filter("is_approved")
    small = pl.col("billing_amount") < 14.5
    yield "small amounts written off", mean(approved.filter(small)["wait"].is_null()), 0.55, 0.65
    large = pl.col("billing_amount") > 15.5
    yield "large amounts written off", mean(approved.filter(large)["wait"].is_null()), 0.0, 0.0
    # 0.21 of fraud-coded chargebacks: few disputes are small enough to be written off.
    called = told.filter(pl.col("label_fraud") & pl.col("lag").is_not_null())
    yield "first-party among what is called fraud", mean(~called["is_fraud"]), 0.10, 0.20
    other = charged.filter(~text("chargeback_reason").str.starts_with("fraud"))
    yield "other reasons are no fraud", mean(other["label_fraud"]), 0.0, 0.0
    own = told.filter(~pl.col("is_fraud") & pl.col("label_fraud"))
    yield "first-party disputes in ten thousand rows", 1e4 * own.height / (BASE * DAYS), 1.5, 2.5


def stops(told: pl.DataFrame) -> Iterator[Figure]:
    """Yield what the report does to later rows of the episode."""
    frauds = told.filter("is_fraud")
    # People report the episode's first rows, so its report is the earliest date among them.
    report = _people(frauds).group_by("fraud_episode_id").agg(pl.col("report_date").min().alias("reported"))
    after = frauds.join(report, on="fraud_episode_id").with_columns(
        late=(pl.col("day") - pl.col("reported")).dt.total_days()
    )
    lost = after.filter(text("response_code").is_in(["41", "43"]))
    yield "41 and 43 come after the report", float(lost["late"].min()), 0, 0  # type: ignore[arg-type]
    late = after.filter(pl.col("late") > 0)
    yield "rows after the report are declined", mean(late["is_approved"]), 0.0, 0.0
    yield "days after the report", float(late["late"].max()), 1, 5  # type: ignore[arg-type]


GROUPS: dict[str, Callable[[pl.DataFrame], Iterator[Figure]]] = {
    "maturity": maturity,
    "sources": sources,
    "chargebacks": chargebacks,
    "stops": stops,
}


@pytest.mark.parametrize("group", list(GROUPS))
def test_labels_mature_as_in_the_field(told: pl.DataFrame, group: str) -> None:
    assert outside(GROUPS[group](told)) == []


REPORTED = pl.col("lag").is_not_null()
MUTANTS: dict[str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "reports at event time": ("maturity", lambda f: f.with_columns(lag=pl.when(REPORTED).then(0)), "known after 7"),
    "everything is reported": (
        "maturity", lambda f: f.with_columns(pl.col("lag").fill_null(20)), "known after 120"),
    "a fifth is never reported": (
        "maturity", lambda f: f.with_columns(pl.when(pl.int_range(pl.len()) % 8 > 0).then("lag")), "known after 120"),
    "delays doubled": ("maturity", lambda f: f.with_columns(pl.col("lag") * 2), "longest"),
    "kinds reported alike": ("maturity", lambda f: shuffled(f, "fraud_type", where=pl.col("is_fraud")), "of lost"),
    "sources shuffled": ("sources", lambda f: shuffled(f, "label_source", where=REPORTED), "declined"),
    "no false labels": ("sources", lambda f: f.with_columns(label_fraud="is_fraud"), "agree"),
    "chargebacks at once": ("chargebacks", lambda f: f.with_columns(pl.col("wait") * 0), "wait"),
    "chargebacks shuffled": ("chargebacks", lambda f: shuffled(f, "wait", where=pl.col("is_fraud")), "declined"),
    "no first-party fraud": (
        "chargebacks", lambda f: f.filter(pl.col("is_fraud") | ~pl.col("label_fraud")), "first-party"),
    "stolen cards known early": ("stops", lambda f: shuffled(f, "response_code", where=pl.col("is_fraud")), "41"),
    "approved for ever": ("stops", lambda f: f.with_columns(is_approved=pl.lit(True)), "after the report"),
}  # fmt: skip
"""Name -> (group of figures, what is done to the labels, figure that must notice)."""


@pytest.mark.parametrize("name", list(MUTANTS))
def test_figures_of_labels_catch_mutants(told: pl.DataFrame, name: str) -> None:
    group, change, expected = MUTANTS[name]
    found = outside(GROUPS[group](change(told)))
    assert any(expected in line for line in found), found


def test_every_report_is_of_its_day(labels: pl.DataFrame) -> None:
    reports = labels.filter(pl.col("label_event") == "report")
    assert (reports["known"] == reports["report_date"]).all()
    charged = labels.filter(pl.col("label_event") == "chargeback")
    assert (charged["known"] == charged["chargeback_date"]).all()
    assert labels.select(pl.struct("transaction_id", "label_event").n_unique()).item() == labels.height
