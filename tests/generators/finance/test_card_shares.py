"""The groups of the config: every field in them changes the output, and what is not allowed is refused by name."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from generators import ConfigError, get_generator
from generators.finance import mcc
from generators.finance.card_config import CreditCardsConfig
from generators.groups import leaves

DAY = date(2024, 10, 1)
"""A day with an outage in the morning."""
FRAUD_DAY = date(2024, 9, 16)
"""A day with every kind of fraud, an attack of card testing among them."""
STOLEN, TESTING, TAKEOVER = "lost_stolen", "card_testing", "account_takeover"
CREDENTIALS = "cnp_stolen_credentials"
WAYS: dict[str, dict[str, object]] = {
    "genuine": {"base_daily_volume": 800},
    "answers": {"base_daily_volume": 4_000},
    "fraud": {"base_daily_volume": 5_000, "fraud_rate": 0.01},
    "labels": {"base_daily_volume": 5_000, "fraud_rate": 0.01},
    "disputes": {"base_daily_volume": 3_000, "disputes.first_party": 0.2, "disputes.service": 0.2},
    "abroad": {"base_daily_volume": 800, "country": "GB"},
    "trend": {"base_daily_volume": 800, "contactless_trend": True},
}
"""Where a field shows: drawn rows, overlay rows or outcomes of a config."""
NESTED: dict[str, tuple[str, object]] = {
    "categories.shares": ("genuine", {"5411": 0.3}),
    "categories.remote": ("genuine", {"5411": 0.5}),
    "categories.medians": ("genuine", {"5411": 99.0}),
    "categories.sigmas": ("genuine", {"5411": 0.1}),
    "categories.fraud_appeal": ("fraud", {"5411": 50.0}),
    "amounts.customer_sigma": ("genuine", 0.1),
    "amounts.digital_99": ("genuine", 0.0),
    "amounts.retail_99": ("genuine", 1.0),
    "amounts.whole_with_tip": ("genuine", 1.0),
    "merchants.explore": ("genuine", 0.9),
    "merchants.national": ("genuine", 0.1),
    "travel.trips_per_year": ("genuine", 7.0),
    "travel.trip_days": ("genuine", (9, 30)),
    "travel.abroad": ("genuine", 1.0),
    "travel.trip_km": ("genuine", 900.0),
    "travel.local_km": ("genuine", 2.0),
    "entry_modes.present": ("genuine", {"chip": 1.0}),
    "entry_modes.present_abroad": ("abroad", {"chip": 1.0}),
    "entry_modes.remote": ("genuine", {"on_file": 1.0}),
    "entry_modes.transit_contactless": ("genuine", 0.1),
    "entry_modes.contactless_by_year": ("trend", {2024: 0.95}),
    "verification.present": ("genuine", {"pin": 1.0}),
    "verification.remote": ("genuine", {"3ds_challenge": 1.0}),
    "verification.remote_sca": ("abroad", {"3ds_challenge": 1.0}),
    "checks.cvv": ("genuine", {"P": 1.0}),
    "checks.cvv_unknown": ("fraud", {"P": 1.0}),
    "checks.avs": ("genuine", {"U": 1.0}),
    "checks.avs_unknown": ("fraud", {"U": 1.0}),
    "devices.new": ("genuine", 0.5),
    "devices.second": ("genuine", 0.6),
    "devices.home_ip": ("genuine", 0.5),
    "answers.codes": ("answers", {"65": 1.0}),
    "answers.retry": ("answers", 1.0),
    "answers.retry_declined": ("answers", 0.9),
    "answers.outage_declined": ("answers", 1.0),
    "episodes.declined": ("fraud", {STOLEN: 1.0}),
    "episodes.testing_codes": ("fraud", {"65": 1.0}),
    "episodes.never_reported": ("fraud", 0.9),
    "episodes.report_days": ("fraud", {STOLEN: 90.0}),
    "episodes.reissued": ("fraud", 0.0),
    "episodes.night": ("fraud", 1.0),
    "episodes.careless": ("fraud", 0.9),
    "episodes.remote": ("fraud", 0.0),
    "episodes.foreign": ("fraud", {CREDENTIALS: (0.9, 0.9)}),
    "episodes.new_device": ("fraud", {CREDENTIALS: 0.0}),
    "episodes.home_ip": ("fraud", {TAKEOVER: (0.1, 0.1)}),
    "episodes.unknown_address": ("fraud", {TESTING: (0.9, 0.2)}),
    "episodes.unknown_cvv": ("fraud", {TESTING: (0.9, 0.2)}),
    "episodes.remote_entry": ("fraud", {TESTING: {"keyed": 1.0}}),
    "episodes.present_entry": ("fraud", {STOLEN: {"keyed": 1.0}}),
    "episodes.remote_verification": ("fraud", {"3ds_challenge": 1.0}),
    "episodes.present_verification": ("fraud", {"pin": 1.0}),
    "disputes.first_party": ("disputes", 0.0),
    "disputes.service": ("disputes", 0.0),
    "disputes.not_received": ("disputes", 0.0),
    "disputes.amount_factor": ("disputes", 0.1),
    "disputes.report_days": ("disputes", 60.0),
    "labels.sources": ("labels", {"merchant": 1.0}),
    "labels.chargeback_days": ("labels", (1, 2)),
    "labels.write_off_below": ("labels", 900.0),
    "labels.write_off": ("labels", 0.0),
}
"""Dotted name -> where the field shows, and a value."""

_made: dict[str, pl.DataFrame] = {}


def made(way: str, **changes: object) -> pl.DataFrame:
    """Return what shows a field: made once where nothing is changed."""
    if not changes and way in _made:
        return _made[way]
    generator: Any = get_generator("credit_cards", CreditCardsConfig().changed({**WAYS[way], **changes}))
    if way in ("labels", "disputes"):
        frame = generator.outcomes("fraud_labels", FRAUD_DAY)
    elif way == "fraud":
        frame = generator.overlay(FRAUD_DAY)
    else:
        frame = generator.generate(DAY)
    return frame if changes else _made.setdefault(way, frame)


@pytest.mark.long
@pytest.mark.parametrize("name", NESTED)
def test_every_field_of_a_group_changes_the_output(name: str) -> None:
    way, value = NESTED[name]
    assert not made(way, **{name: value}).equals(made(way))


def test_fields_are_complete() -> None:
    assert {name for name in leaves(CreditCardsConfig) if "." in name} == set(NESTED)


@pytest.mark.parametrize(
    "name, value, named",
    [
        ("answers.codes", {"51": 0.4}, r"answers\.codes.*sum to 0\.4.*sum to 1"),
        ("answers.codes", {"91": 1.0}, r"answers\.codes.*unknown names 91.*51, 05"),
        ("entry_modes.present", {"ecommerce": 1.0}, r"entry_modes\.present.*ecommerce.*contactless, chip"),
        ("entry_modes.contactless_by_year", {2018: 0.1, 2020: 0.2}, "contactless_by_year.*2019.*in a row"),
        ("episodes.declined", {"phishing": 0.5}, r"episodes\.declined.*phishing.*card_testing"),
        ("episodes.declined", {STOLEN: 1.5}, rf"episodes\.declined\.{STOLEN}.*less than or equal to 1.*1\.5"),
        ("episodes.present_entry", {STOLEN: {"chip": 0.5}}, f"present_entry.*{STOLEN}.*sum to 0.5"),
        ("episodes.report_days", {STOLEN: 500.0}, "report_days.*less than or equal to 120"),
        ("travel.trips_per_year", 50.0, r"travel\.trips_per_year.*less than or equal to 7"),
        ("travel.trip_days", (9, 2), r"travel\.trip_days.*9 to 2.*shortest first"),
        ("labels.chargeback_days", (3, 40), r"labels\.chargeback_days.*less than or equal to 15"),
        ("categories.shares", {"0000": 0.1}, r"categories\.shares.*0000.*5411"),
        ("categories.shares", {"5411": 0.7, "5812": 0.7}, r"categories\.shares.*sum to 1\.4.*at most 1"),
        ("categories.remote", dict.fromkeys(mcc.CODES, 1.0), "card-not-present.*0.01 to 0.99"),
        ("card_counts", {"4": 1.0}, "card_counts.*unknown names 4.*1, 2, 3"),
        ("answers.rety", 0.5, "unknown field 'answers.rety'; known: codes, retry"),
        ("fraud_rate.low", 0.5, r"'fraud_rate\.low'.*no fields"),
    ],
)
def test_refusals_name_field_and_range(name: str, value: object, named: str) -> None:
    base = CreditCardsConfig(fraud_rate=0.001)
    with pytest.raises(ConfigError, match=f"(?s){named}"):
        base.changed({name: value})


def test_a_category_takes_the_share_it_is_given() -> None:
    laws = CreditCardsConfig().changed({"categories.shares": {5411: 0.4}}).categories.laws(0.85)
    shares = dict(zip(mcc.CODES, laws.share, strict=True))
    assert shares["5411"] == pytest.approx(0.4)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["5812"] / shares["5814"] == pytest.approx(0.0988 / 0.1136)
    nothing_else = CreditCardsConfig().changed({"categories.shares": {"5411": 1.0}})
    assert nothing_else.categories.laws(0.85).share[mcc.index("5411")] == 1.0


# -- what the fields say is what the rows show --------------------------------------------------------------------

CHANGED: dict[str, object] = {
    "base_daily_volume": 150_000,
    "volume_noise": 0.0,
    "fraud_rate": 0.005,
    "recurring_share": 0.40,
    "card_counts": {"1": 0.5, "2": 0.5},
    "categories.shares": {"5411": 0.30},
    "categories.remote": {"5411": 0.30},
    "categories.medians": {"5542": 60.0},
    "amounts.digital_99": 0.20,
    "amounts.whole_with_tip": 0.60,
    "merchants.national": 0.20,
    "travel.trips_per_year": 0.0,
    "travel.local_km": 2.0,
    "entry_modes.present": {"contactless": 0.2, "chip": 0.7, "stripe": 0.1},
    "entry_modes.remote": {"ecommerce": 0.5, "on_file": 0.4, "keyed": 0.1},
    "verification.present": {"none": 0.3, "pin": 0.7},
    "verification.remote": {"none": 0.5, "3ds_challenge": 0.4, "3ds_frictionless": 0.1},
    "checks.cvv": {"M": 0.8, "N": 0.2},
    "checks.avs": {"Y": 0.5, "U": 0.5},
    "devices.new": 0.30,
    "devices.home_ip": 0.80,
    "answers.codes": {"51": 0.5, "59": 0.5},
    "answers.retry": 0.80,
    "episodes.declined": {CREDENTIALS: 0.05, STOLEN: 0.8},
    "episodes.remote_entry": {CREDENTIALS: {"on_file": 1.0}},
    "episodes.foreign": {CREDENTIALS: (0.6, 0.6)},
    "disputes.first_party": 0.02,
    "disputes.service": 0.01,
    "disputes.not_received": 0.25,
    "labels.sources": {"cardholder": 0.5, "merchant": 0.5},
    "labels.write_off": 0.0,
}


@pytest.fixture(scope="module")
def generator() -> Any:
    return get_generator("credit_cards", CreditCardsConfig().changed(CHANGED))


@pytest.fixture(scope="module")
def rows(generator: Any) -> pl.DataFrame:
    return generator.generate(date(2024, 10, 8))  # type: ignore[no-any-return]


def mean(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).mean())  # type: ignore[arg-type]


@pytest.mark.long
def test_genuine_rows_have_the_shares_of_the_config(rows: pl.DataFrame) -> None:
    genuine = rows.filter(~pl.col("is_fraud"))
    present, remote = (genuine.filter(pl.col("channel") == c) for c in ("card_present", "card_not_present"))
    drawn = remote.filter(~pl.col("is_recurring"))
    five = genuine.filter(pl.col("mcc").is_in(mcc.RECURRING_CODES))
    # Bills come on 28 days of a month of 30.4, and card-not-present rows of this Tuesday are 1.05 times the usual.
    assert mean(five["is_recurring"]) == pytest.approx(0.40 * 30.4 / 28 / 1.05, abs=0.02)
    assert mean(genuine["mcc"] == "5411") == pytest.approx(0.30, abs=0.02)
    for column, mix in (
        ("pos_entry_mode", {"07": 0.2, "05": 0.7, "90": 0.1, "01": 0.0}),
        ("cardholder_verification", {"none": 0.3, "pin": 0.7}),
    ):
        assert all(mean(present[column] == name) == pytest.approx(share, abs=0.015) for name, share in mix.items())
    for column, mix in (
        ("pos_entry_mode", {"81": 0.5, "10": 0.4, "01": 0.1}),
        ("cardholder_verification", {"none": 0.5, "3ds_challenge": 0.4, "3ds_frictionless": 0.1}),
        ("ip_country", {"US": 1 - 0.2 * drawn.height / remote.height}),
    ):
        assert all(mean(remote[column] == name) == pytest.approx(share, abs=0.015) for name, share in mix.items())
    assert mean(drawn["cvv_result"].drop_nulls() == "M") == pytest.approx(0.8, abs=0.02)
    assert mean(remote["avs_result"].drop_nulls() == "Y") == pytest.approx(0.5, abs=0.02)
    assert 1.8 <= float(present["distance_km"].median()) <= 2.2  # type: ignore[arg-type]
    assert mean(present["merchant_country"] != "US") == 0.0  # nobody travels
    fuel = genuine.filter(pl.col("mcc") == "5542")["amount"]
    assert float(fuel.median()) == pytest.approx(60.0, rel=0.04)  # type: ignore[arg-type]
    digital = genuine.filter(pl.col("mcc").is_in(["5815", "5816"]))["amount"]
    assert mean((digital * 100).round(0) % 100 == 99) == pytest.approx(0.21, abs=0.02)
    table = present.filter(pl.col("mcc").is_in(["5812", "5813"]))["amount"]
    assert mean(table == table.round(0)) == pytest.approx(0.604, abs=0.02)
    assert genuine.group_by("customer_id").agg(pl.col("card_id").n_unique())["card_id"].max() == 2
    declined = genuine.filter(~pl.col("is_approved") & (pl.col("response_code") != "91"))
    assert set(declined["response_code"].unique()) == {"51", "59"}
    key = ["card_token", "merchant_id", "amount"]
    wait = declined.join(genuine, on=key, suffix="_later").filter(pl.col("timestamp_later") > pl.col("timestamp"))
    again = wait.filter((pl.col("timestamp_later") - pl.col("timestamp")).dt.total_minutes() < 10)
    assert 0.60 <= again["transaction_id"].n_unique() / declined.height <= 0.85


def test_customers_hold_as_many_cards_as_the_config_says() -> None:
    small = get_generator("credit_cards", base_daily_volume=5_000, card_counts={1: 0.5, 3: 0.5})
    cards = pl.concat(list(small.dimension("cards", DAY, DAY)))
    held = cards.group_by("customer_id").agg(pl.col("card_id").n_unique())["card_id"]
    assert set(held.unique()) == {1, 3}
    assert mean(held == 3) == pytest.approx(0.5, abs=0.025)


@pytest.mark.long
def test_fraud_has_the_shares_of_the_config(rows: pl.DataFrame, generator: Any) -> None:
    days = [generator.overlay(date(2024, 10, 8 + n)).filter("is_fraud") for n in range(8)]
    frauds = pl.concat(days)
    credentials = frauds.filter(pl.col("fraud_type") == 0)
    assert credentials.height > 1_500
    late = mean(
        credentials["response_code"] == generator.events["response_code"].dtype.categories.to_list().index("59")
    )
    assert mean(~credentials["is_approved"]) - late == pytest.approx(0.03, abs=0.03)
    assert set(credentials["pos_entry_mode"].unique()) == {5}
    assert mean(credentials["merchant_country"] != 0) == pytest.approx(0.6, abs=0.05)
    stolen = frauds.filter(pl.col("fraud_type") == 3)
    assert mean(~stolen["is_approved"]) > 0.75


@pytest.mark.long
def test_labels_have_the_shares_of_the_config(generator: Any) -> None:
    days = [generator.outcomes("fraud_labels", date(2024, 10, 8 + n)) for n in range(4)]
    reports = pl.concat(days).filter(pl.col("event") == 0)
    fraud = reports.filter((pl.col("source_code") == 2) & (pl.col("reporter") != 2))
    assert mean(fraud["reporter"] == 0) == pytest.approx(0.5, abs=0.06)
    disputes = reports.filter(pl.col("source_code") == 0)
    own, service = disputes.filter("label"), disputes.filter(~pl.col("label"))
    assert 1.6 < own.height / service.height < 2.4
    assert mean(service["reason"] == 2) == pytest.approx(0.25, abs=0.08)
    charged = pl.concat(days).filter(pl.col("event") == 1)
    genuine = charged.filter(pl.col("source_code") == 0)
    assert genuine.height == disputes.height  # nothing is written off
