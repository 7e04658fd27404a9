"""The label tables of bnpl against their description, with code of this file alone."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest

from generators import get_generator

FIRST = date(2024, 1, 1)
EVENT_DAYS, WINDOW = 60, 130
ROWS = 400


@pytest.fixture(scope="module")
def purchases() -> pl.DataFrame:
    generator = get_generator("bnpl", base_daily_volume=ROWS)
    return pl.concat([generator.generate(FIRST + timedelta(n)) for n in range(EVENT_DAYS)]).with_columns(
        bought=pl.col("timestamp").dt.date()
    )


def labels(table: str, **fields: object) -> pl.DataFrame:
    """All that becomes known of the purchases of sixty days, with the partition's day."""
    generator = get_generator("bnpl", base_daily_volume=ROWS, **fields)
    last = FIRST + timedelta(EVENT_DAYS - 1)
    days = [FIRST + timedelta(n) for n in range(EVENT_DAYS + WINDOW)]
    frames = [generator.derive(table, day, FIRST).with_columns(known=pl.lit(day)) for day in days]
    found = pl.concat(frames)
    bought = pl.col("transaction_id").str.slice(4, 8).str.to_date("%Y%m%d")
    return found.filter(bought <= last)


@pytest.fixture(scope="module")
def outcomes() -> pl.DataFrame:
    return labels("outcomes")


@pytest.fixture(scope="module")
def changes() -> pl.DataFrame:
    return labels("installments")


@pytest.fixture(scope="module")
def instalments(changes: pl.DataFrame) -> pl.DataFrame:
    """One row an instalment: the dates of its statuses, and what was due."""
    order = ["scheduled", "paid_on_time", "paid_late", "missed", "charged_off"]
    wide = changes.pivot("payment_status", index="installment_id", values="status_date")
    return (
        changes.filter(pl.col("payment_status") == "scheduled")
        .select("installment_id", "transaction_id", "installment_number", "due_date", "amount_due", "autopay")
        .join(wide.select("installment_id", *order), on="installment_id")
        .with_columns(paid=pl.coalesce("paid_on_time", "paid_late"))
    )


# -- outcomes -----------------------------------------------------------------------------------------------------


def test_every_purchase_ends_once_and_as_the_events_say(purchases: pl.DataFrame, outcomes: pl.DataFrame) -> None:
    assert outcomes.height == purchases.height
    both = purchases.join(outcomes, on="transaction_id", suffix="_label")
    assert both.height == purchases.height
    assert (both["bought"] == both["purchase_date"]).all()
    assert (both["will_default"] == both["will_default_label"]).all()
    missed = both["days_to_first_missed_payment"], both["days_to_first_missed_payment_label"]
    assert missed[0].eq_missing(missed[1]).all()
    assert ((both["outcome"] == "charged_off") == both["will_default"]).all()


def test_outcome_is_known_on_its_partitions_day_after_the_purchase(outcomes: pl.DataFrame) -> None:
    assert (outcomes["known"] == outcomes["outcome_known_date"]).all()
    assert (outcomes["outcome_known_date"] > outcomes["purchase_date"]).all()
    defaulted = outcomes.filter("will_default")
    expected = defaulted.select(
        pl.col("purchase_date") + pl.duration(days=pl.col("days_to_first_missed_payment").cast(pl.Int32) + 60)
    ).to_series()
    assert (defaulted["outcome_known_date"] == expected).all()


def mature_by_age(purchases: pl.DataFrame, outcomes: pl.DataFrame) -> None:
    age = (outcomes["outcome_known_date"] - outcomes["purchase_date"]).dt.total_days()
    assert age.min() >= 39  # type: ignore[operator]
    assert age.max() <= 130  # type: ignore[operator]
    assert (age <= 30).mean() <= 0.01  # type: ignore[operator]
    assert 0.60 <= (age <= 60).mean() <= 0.80  # type: ignore[operator]
    assert outcomes.filter(age <= 60)["will_default"].sum() == 0  # the trap of immature vintages
    four = purchases.filter(pl.col("will_default") & (pl.col("installment_count") == 4))
    days = outcomes.join(four, on="transaction_id", how="semi")
    delay = (days["outcome_known_date"] - days["purchase_date"]).dt.total_days()
    assert sorted(delay.unique()) == [74, 88, 102]


def test_outcomes_mature_by_age(purchases: pl.DataFrame, outcomes: pl.DataFrame) -> None:
    mature_by_age(purchases, outcomes)
    bought = pl.col("purchase_date")
    for known in (
        bought + timedelta(14),
        pl.when("will_default").then(bought + timedelta(45)).otherwise("outcome_known_date"),
        pl.when("will_default").then(bought + timedelta(88)).otherwise("outcome_known_date"),
    ):
        with pytest.raises(AssertionError):
            mature_by_age(purchases, outcomes.with_columns(outcome_known_date=known))


def test_paid_in_full_is_known_with_the_last_payment(outcomes: pl.DataFrame, instalments: pl.DataFrame) -> None:
    last = instalments.group_by("transaction_id").agg(pl.col("paid").max(), pl.col("charged_off").max())
    both = outcomes.join(last, on="transaction_id")
    assert both.height == outcomes.height
    assert (both["outcome_known_date"] == both["charged_off"].fill_null(both["paid"])).all()


# -- instalments --------------------------------------------------------------------------------------------------


def test_plan_is_complete_and_sums_to_the_cent(purchases: pl.DataFrame, instalments: pl.DataFrame) -> None:
    plans = instalments.group_by("transaction_id").agg(
        pl.len().alias("rows"),
        pl.col("installment_number").sort(),
        (pl.col("amount_due") * 100).round().cast(pl.Int64).sum().alias("cents"),
        pl.col("amount_due").sort_by("installment_number"),
    )
    both = purchases.join(plans, on="transaction_id")
    assert both.height == purchases.height
    assert (both["rows"] == both["installment_count"]).all()
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in both["installment_number"].to_list())
    assert (both["cents"] == (both["amount"] * 100).round().cast(pl.Int64)).all()
    for parts, first in both.select("amount_due", "first_payment_amount").iter_rows():
        assert parts[0] == first
        assert parts[1:-1] == [parts[1]] * (len(parts) - 2)
        assert 0 <= round((parts[-1] - parts[1]) * 100) < len(parts) - 1


def test_instalments_fall_due_every_fortnight(purchases: pl.DataFrame, instalments: pl.DataFrame) -> None:
    both = instalments.join(purchases.select("transaction_id", "bought"), on="transaction_id")
    after = (both["due_date"] - both["bought"]).dt.total_days()
    assert (after == 14 * (both["installment_number"].cast(pl.Int64) - 1)).all()
    assert (both["scheduled"] == both["bought"]).all()


def test_changes_are_dated_by_their_partition_and_happen_once(changes: pl.DataFrame) -> None:
    assert (changes["known"] == changes["status_date"]).all()
    assert changes.select("installment_id", "payment_status").is_unique().all()
    assert (changes["installment_id"].str.slice(0, 21) == changes["transaction_id"]).all()
    assert (changes["installment_id"].str.slice(22).cast(pl.UInt8) == changes["installment_number"]).all()
    paid = changes["payment_status"].is_in(["paid_on_time", "paid_late"])
    assert (changes["paid_date"].is_not_null() == paid).all()
    assert (changes.filter(paid)["paid_date"] == changes.filter(paid)["status_date"]).all()
    assert (
        changes["amount_paid"] == pl.select(pl.when(paid).then(changes["amount_due"]).otherwise(0.0)).to_series()
    ).all()


def test_loan_that_defaults_pays_nothing_from_its_first_missed_instalment_on(
    purchases: pl.DataFrame, instalments: pl.DataFrame
) -> None:
    both = instalments.join(
        purchases.select("transaction_id", "bought", "will_default", "days_to_first_missed_payment"),
        on="transaction_id",
    )
    good = both.filter(~pl.col("will_default"))
    assert good["paid"].null_count() == 0
    assert good["charged_off"].null_count() == good.height
    bad = both.filter("will_default").with_columns(
        first=pl.col("bought") + pl.duration(days=pl.col("days_to_first_missed_payment").cast(pl.Int32))
    )
    unpaid = bad.filter(pl.col("due_date") >= pl.col("first"))
    assert bad.height > unpaid.height > 0
    assert unpaid["paid"].null_count() == unpaid.height
    assert bad.filter(pl.col("due_date") < pl.col("first"))["paid"].null_count() == 0
    end = unpaid["first"] + timedelta(60)
    assert (unpaid["charged_off"] == end).all()
    due_before = unpaid.filter(unpaid["due_date"] < end)
    assert (due_before["missed"] == due_before["due_date"] + timedelta(1)).all()
    assert unpaid.filter(unpaid["due_date"] >= end)["missed"].is_null().all()


def on_their_days(instalments: pl.DataFrame) -> None:
    first = instalments.filter(pl.col("installment_number") == 1)
    assert first["paid_on_time"].eq_missing(first["due_date"]).all()
    early = (instalments["due_date"] - instalments["paid_on_time"]).dt.total_days()
    assert early.drop_nulls().is_in([0, 1, 2, 3]).all()
    assert (early.filter(instalments["autopay"]).drop_nulls() == 0).all()
    by_hand = early.filter(~instalments["autopay"] & (instalments["installment_number"] > 1)).drop_nulls()
    assert by_hand.value_counts(normalize=True)["proportion"].to_list() == pytest.approx([0.25] * 4, abs=0.02)
    late = (instalments["paid_late"] - instalments["due_date"]).dt.total_days().drop_nulls()
    assert late.min() >= 2  # type: ignore[operator]
    assert late.max() <= 45  # type: ignore[operator]
    assert late.mean() == pytest.approx(1 + 1 / 0.18, abs=0.6)
    cured = instalments.filter(pl.col("paid_late").is_not_null())
    assert cured["missed"].eq_missing(cured["due_date"] + timedelta(1)).all()
    assert 0.80 <= instalments.unique("transaction_id")["autopay"].mean() <= 0.90  # type: ignore[operator]


FIRST_OF_LOAN, DUE = pl.col("installment_number") == 1, pl.col("due_date")
BY_HAND = ~pl.col("autopay") & ~FIRST_OF_LOAN
PAYMENTS: dict[str, dict[str, pl.Expr]] = {
    "nobody pays early": {"paid_on_time": pl.when(pl.col("paid_on_time").is_not_null()).then(DUE)},
    "everybody pays early": {"paid_on_time": pl.when(BY_HAND).then(DUE - timedelta(2)).otherwise("paid_on_time")},
    "a week early": {"paid_on_time": pl.when(BY_HAND).then(pl.col("paid_on_time") - timedelta(4)).otherwise(
        "paid_on_time")},
    "autopay early": {"paid_on_time": pl.when(FIRST_OF_LOAN).then("paid_on_time").otherwise(
        pl.col("paid_on_time") - timedelta(1))},
    "late within a day": {"paid_late": pl.col("paid_late") - timedelta(1)},
    "twice as late": {"paid_late": pl.col("paid_late") + (pl.col("paid_late") - DUE)},
    "late payments without a miss": {"missed": pl.when(pl.col("paid_late").is_null()).then("missed")},
    "everyone on autopay": {"autopay": pl.lit(True)},
    "few on autopay": {"autopay": pl.col("autopay") & (pl.col("transaction_id").hash(1) % 8 > 0)},
}  # fmt: skip
"""What is done to the payments -> columns."""


def test_payments_come_when_they_may(instalments: pl.DataFrame) -> None:
    on_their_days(instalments)


@pytest.mark.parametrize("name", PAYMENTS)
def test_payments_at_other_times_are_noticed(instalments: pl.DataFrame, name: str) -> None:
    with pytest.raises(AssertionError):
        on_their_days(instalments.with_columns(**PAYMENTS[name]))


def missed_tells_little(instalments: pl.DataFrame, purchases: pl.DataFrame) -> None:
    missed = instalments.filter(pl.col("missed").is_not_null() & (pl.col("installment_number") == 2))
    ends = missed.join(purchases.select("transaction_id", "will_default"), on="transaction_id")["will_default"]
    assert 0.1 < ends.mean() < 0.9  # type: ignore[operator]


def test_missed_status_does_not_tell_who_will_default(instalments: pl.DataFrame, purchases: pl.DataFrame) -> None:
    missed_tells_little(instalments, purchases)
    defaulted = pl.col("charged_off").is_not_null().any().over("transaction_id")
    for only in (defaulted, ~defaulted):
        with pytest.raises(AssertionError):
            missed_tells_little(instalments.with_columns(missed=pl.when(only).then("missed")), purchases)


def test_fees_follow_ten_days_past_due(changes: pl.DataFrame) -> None:
    past = (changes["status_date"] - changes["due_date"]).dt.total_days()
    settled = changes["payment_status"].is_in(["paid_late", "charged_off"])
    expected = pl.select(
        pl.when(settled & (past > 10))
        .then(pl.min_horizontal(pl.lit(700), (changes["amount_due"] * 100).round().cast(pl.Int64) // 4))
        .otherwise(0)
    ).to_series()
    assert ((changes["late_fee_amount"] * 100).round().cast(pl.Int64) == expected).all()


def late_shares(instalments: pl.DataFrame, purchases: pl.DataFrame) -> dict[str, float]:
    loans = (
        instalments.group_by("transaction_id")
        .agg(
            pl.col("paid_late").is_not_null().any().alias("late"),
            (pl.coalesce("paid_late", "charged_off") - pl.col("due_date")).dt.total_days().gt(10).any().alias("fee"),
        )
        .join(purchases.select("transaction_id", "will_default"), on="transaction_id")
    )
    good = loans.filter(~pl.col("will_default"))
    return {
        "late among good": float(good["late"].mean()),  # type: ignore[arg-type]
        "ever late": float((loans["late"] | loans["will_default"]).mean()),  # type: ignore[arg-type]
        "fee beyond default": float(loans["fee"].fill_null(False).mean() - loans["will_default"].mean()),  # type: ignore[operator]
    }


def late_as_often_as_they_are(instalments: pl.DataFrame, purchases: pl.DataFrame) -> None:
    found = late_shares(instalments, purchases)
    assert found["late among good"] == pytest.approx(0.08, abs=0.01)
    assert 0.10 <= found["ever late"] <= 0.14
    assert 0.005 <= found["fee beyond default"] <= 0.045


def test_lateness_keeps_its_bands(instalments: pl.DataFrame, purchases: pl.DataFrame) -> None:
    late_as_often_as_they_are(instalments, purchases)
    more = (pl.col("transaction_id").hash(1) % 12 == 0) & (pl.col("installment_number") == 2)
    for late in (
        pl.when(more).then(DUE + timedelta(3)).otherwise("paid_late"),  # about twice as many loans
        pl.lit(None, pl.Date),
        pl.when(pl.col("paid_late").is_not_null()).then(DUE + timedelta(11)),  # a fee on every late payment
        pl.when(pl.col("paid_late").is_not_null()).then(DUE + timedelta(10)),  # none
    ):
        with pytest.raises(AssertionError):
            late_as_often_as_they_are(instalments.with_columns(paid_late=late), purchases)


def relative_risk(loans: pl.DataFrame) -> float:
    """Default rate of purchases after a late payment of the customer, over that of the other later purchases.

    Args:
        loans: customer_id, bought, will_default and late_on, the day of a late payment or null.
    """
    late = loans.select("customer_id", "late_on").drop_nulls().group_by("customer_id").agg(pl.col("late_on").min())
    later = loans.with_columns(first=pl.col("bought").min().over("customer_id")).filter(
        pl.col("bought") > pl.col("first") + timedelta(30)
    )
    both = later.drop("late_on").join(late, on="customer_id", how="left")
    after = (both["late_on"] < both["bought"]).fill_null(False)
    return float(both.filter(after)["will_default"].mean() / both.filter(~after)["will_default"].mean())  # type: ignore[operator]


@pytest.mark.long
def test_customers_who_paid_late_default_more_often() -> None:
    """A year of 1,000 purchases a day; standard error of the ratio about 0.06."""
    generator = get_generator("bnpl", base_daily_volume=1_000)
    days = [FIRST + timedelta(n) for n in range(365)]
    columns = ["transaction_id", "customer_id", "will_default"]
    events = pl.concat([generator.generate(day).select(*columns, bought=pl.lit(day)) for day in days])
    late = pl.concat(
        [
            generator.derive("installments", day, FIRST)
            .filter(pl.col("payment_status") == "paid_late")
            .select("transaction_id", late_on="paid_date")
            for day in days
        ]
    )
    loans = events.join(late, on="transaction_id", how="left")
    assert relative_risk(loans) >= 1.3
    shuffled = loans.with_columns(pl.col("late_on").reverse())  # the mutant that this test must catch
    assert relative_risk(shuffled) < 1.3


def test_knobs_of_the_default_model_reach_the_labels() -> None:
    day = FIRST + timedelta(200)
    plain = get_generator("bnpl", base_daily_volume=3_000).derive("outcomes", day)
    risky = get_generator("bnpl", base_daily_volume=3_000, base_default_rate=0.09).derive("outcomes", day)
    assert risky["will_default"].mean() > 1.8 * plain["will_default"].mean()  # type: ignore[operator]


def test_events_in_slices_have_the_same_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generators.base.SLICE_ROWS", 100)
    generator = get_generator("bnpl", base_daily_volume=300)
    day = date(2024, 11, 29)
    assert len(generator.plan(day).sizes) > 3
    events = generator.generate(day)
    found = pl.concat(list(generator.label_batches("installments", day)))
    scheduled = found.filter(pl.col("payment_status") == "scheduled")
    assert set(scheduled["transaction_id"]) == set(events["transaction_id"])
    assert len(list(generator.label_batches("installments", day))) > 3
    ends = pl.concat([generator.derive("outcomes", day + timedelta(n), day) for n in range(WINDOW + 1)])
    both = events.join(ends, on="transaction_id", suffix="_label")
    assert (both["will_default"] == both["will_default_label"]).all()


def test_status_of_a_purchase_is_shown_when_it_is_known() -> None:
    day = date(2024, 6, 5)
    fields = {"base_daily_volume": 2_000, "status_mode": "lifecycle"}
    training, live = (get_generator("bnpl", label_mode=mode, **fields).generate(day) for mode in ("training", "live"))
    assert 0.08 < (training["status"] == "returned").mean() < 0.14  # type: ignore[operator]
    assert live["status"].unique().to_list() == ["completed"]
