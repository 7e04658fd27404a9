"""A year of card payments at 30,000 rows a day against the written bands, and mutants that each figure must catch.

11.2 million rows, about two minutes on an idle machine with two cores, half of it to make the rows. Rules and the level
of fraud are checked on all of them, the other figures on every sixth customer's 1.9 million rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from tests.generators.finance import answer_bands, card_bands, fraud_bands
from tests.generators.finance.card_bands import outside
from tests.generators.finance.card_frames import shuffled, swapped
from tests.generators.finance.card_rules import REMOTE, broken, text

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

Mutant = Callable[[pl.DataFrame], pl.DataFrame]
GROUPS = {**card_bands.GROUPS, **answer_bands.GROUPS}
FRAUD = {**fraud_bands.ALL_ROWS, **fraud_bands.KINDS}


def test_rules_hold_in_every_row(year: pl.DataFrame) -> None:
    assert broken(year) == {}


@pytest.mark.parametrize("group", list(GROUPS))
def test_figures_lie_in_their_bands(year: pl.DataFrame, sixth: pl.DataFrame, group: str) -> None:
    # Amounts need 20,000 customers of as many categories as have them.
    assert outside(GROUPS[group](year if group == "amounts" else sixth)) == []


@pytest.mark.parametrize("group", list(FRAUD))
def test_figures_of_fraud_lie_in_their_bands(year: pl.DataFrame, group: str) -> None:
    rows = year if group in fraud_bands.ALL_ROWS else year.filter("is_fraud")
    assert outside(FRAUD[group](rows)) == []


# -- mutants ----------------------------------------------------------------------------------------------------


def _number(modulus: int) -> pl.Expr:
    """Return row numbers without order, below a modulus."""
    return pl.int_range(pl.len(), dtype=pl.UInt64).hash(3) % modulus


def _value(name: str, value: str, where: pl.Expr) -> Mutant:
    """Return a mutant with one value of an enum in some of the rows."""
    return lambda f: f.with_columns(
        pl.when(where).then(pl.lit(value)).otherwise(text(name)).cast(f.schema[name]).alias(name)
    )


def _at(seconds: pl.Expr) -> pl.Expr:
    return pl.col("timestamp").dt.truncate("1d") + pl.duration(seconds=seconds)


def _narrower(frame: pl.DataFrame) -> pl.DataFrame:
    level = pl.col("billing_amount").log()
    middle = level.median().over("mcc")
    return frame.with_columns(billing_amount=(middle + 0.85 * (level - middle)).exp())


WEEKEND = pl.col("timestamp").dt.weekday() >= 6
LATE = pl.col("timestamp").dt.month() >= 10
OFTEN = pl.int_range(pl.len()) % 5 == 0
REFUSED = ~pl.col("is_approved")

MUTANTS: dict[str, tuple[str, Mutant, str]] = {
    "brands swapped": ("people", lambda f: swapped(f, "card_brand", "visa", "mastercard"), "card_brand visa"),
    "kinds of cards swapped": ("people", lambda f: swapped(f, "card_type", "credit", "debit"), "card_type credit"),
    "a region too large": ("people", _value("home_region", "US-CA", pl.col("customer_id") % 20 == 0), "home_region"),
    "one card each": ("people", lambda f: f.with_columns(card_id="customer_id"), "cards of a customer"),
    "ages shuffled": ("people", lambda f: shuffled(f, "customer_age"), "the young"),
    "customers alike": ("activity", lambda f: f.with_columns(customer_id=_number(12_000)), "gini"),
    "merchants alike": ("shops", lambda f: f.with_columns(merchant_id=_number(20_000)), "exponent"),
    "no favourites": ("shops", lambda f: shuffled(f, "merchant_id"), "favourites"),
    "categories swapped": ("categories", lambda f: swapped(f, "mcc", "5411", "5812"), "distance of categories"),
    "channels shuffled": ("categories", lambda f: shuffled(f, "channel"), "distance of remote"),
    "countries shuffled": ("categories", lambda f: shuffled(f, "merchant_country"), "foreign, present"),
    "groceries dearer": ("amounts", lambda f: f.with_columns(pl.when(text("mcc") == "5411").then(
        pl.col("billing_amount") * 1.12).otherwise("billing_amount")), "median of 5411"),
    "amounts narrower": ("amounts", _narrower, "sigma of 5411"),
    "amounts on a grid of 5": ("amounts", lambda f: f.with_columns(
        (pl.col("billing_amount") / 5).ceil() * 5), "law of 5411"),
    "fares on a grid of 1": ("amounts", lambda f: f.with_columns(pl.when(text("mcc") == "4111").then(
        pl.col("billing_amount").ceil()).otherwise("billing_amount")), "law of 4111"),
    "customers without a level": ("amounts", lambda f: shuffled(f, "customer_id"), "spread of customers"),
    "fixed exchange rates": ("exchange", lambda f: f.with_columns(pl.when(text("currency") == "USD").then(
        "billing_amount").otherwise(pl.col("amount") * 1.25)), "daily step"),
    "far rows alone": ("places", lambda f: shuffled(f, "distance_km", where=~REMOTE), "come together"),
    "far from home": ("places", lambda f: f.with_columns(pl.col("distance_km") * 2), "median distance"),
    "trips of any length": ("places", lambda f: f.with_columns(pl.when(pl.col("customer_id") % 4 == 0).then(
        300.0).otherwise("distance_km").alias("distance_km")), "nine days"),
    "subscriptions at any time": (
        "subscriptions", lambda f: shuffled(f, "timestamp", where=pl.col("is_recurring")), "even intervals"),
    "subscriptions cancelled": (
        "subscriptions", lambda f: f.with_columns(pl.col("is_recurring") & OFTEN), "among their"),
    "amounts that grow": ("steadiness", lambda f: f.with_columns(pl.when(LATE).then(
        pl.col("billing_amount") * 1.3).otherwise("billing_amount")), "billing_amount"),
    "chips that vanish": (
        "steadiness", _value("pos_entry_mode", "07", LATE & (text("pos_entry_mode") == "05")), "entry"),
    "hours uniform": ("hours", lambda f: f.with_columns(timestamp=_at(_number(86_400))), "hours, present"),
    "weekends like weekdays": ("hours", lambda f: f.with_columns(
        pl.when(WEEKEND).then(pl.col("timestamp") - pl.duration(hours=1)).otherwise("timestamp")), "weekend"),
    "categories at any hour": ("hours", lambda f: shuffled(f, "mcc", where=~REMOTE), "bars by night"),
    "games at any hour": ("hours", lambda f: shuffled(f, "mcc", where=REMOTE), "5816 at night"),
    "tapped and inserted swapped": ("reading", lambda f: swapped(f, "pos_entry_mode", "07", "05"), "entry 07"),
    "entry modes of remote rows swapped": ("reading", lambda f: swapped(f, "pos_entry_mode", "81", "10"), "entry 81"),
    "everyone signs": ("reading", lambda f: swapped(f, "cardholder_verification", "pin", "signature"), "by pin"),
    "no frictionless checks": ("reading", lambda f: swapped(
        f, "cardholder_verification", "3ds_challenge", "3ds_frictionless"), "by 3ds"),
    "codes that do not match": ("reading", _value(
        "cvv_result", "N", pl.col("cvv_result").is_not_null() & OFTEN), "cvv"),
    "addresses that do not match": ("reading", lambda f: swapped(f, "avs_result", "Y", "N"), "avs"),
    "addresses always at home": ("reading", lambda f: f.with_columns(ip_country="home_country"), "address"),
    "transport like the rest": ("reading", lambda f: shuffled(f, "pos_entry_mode", where=~REMOTE), "transport"),
    "never a new device": ("devices", lambda f: f.with_columns(device_id="customer_id"), "new devices"),
    "always a new device": ("devices", lambda f: f.with_columns(device_id=_number(2**60)), "new devices"),
    "answers shuffled": ("answers", lambda f: shuffled(f, "response_code", "is_approved"), "declined, present"),
    "codes swapped": ("answers", lambda f: swapped(f, "response_code", "51", "05"), "declined with 51"),
    "reasons shuffled": ("answers", lambda f: shuffled(f, "response_code", where=REFUSED), "expired"),
    "payday forgotten": ("answers", lambda f: shuffled(f, "response_code", where=REFUSED), "lack of funds"),
    "answers slower": ("answers", lambda f: f.with_columns(pl.col("auth_latency_ms") * 2), "latency"),
    "outages scattered": ("outages", lambda f: shuffled(f, "timestamp"), "outages of a month"),
    "retries elsewhere": ("retries", lambda f: shuffled(f, "merchant_id"), "retried"),
}  # fmt: skip
"""Name -> (group of figures, what is done to the rows, figure that must notice)."""


@pytest.mark.parametrize("name", list(MUTANTS))
def test_figures_catch_mutants(sixth: pl.DataFrame, name: str) -> None:
    group, change, expected = MUTANTS[name]
    found = outside(GROUPS[group](change(sixth)))
    assert any(expected in line for line in found), found


def test_every_group_of_figures_has_a_mutant() -> None:
    assert {group for group, _, _ in MUTANTS.values()} == set(GROUPS)
    assert {group for group, _, _ in FRAUD_MUTANTS.values()} == set(FRAUD)


def _hit(frame: pl.DataFrame, evenly: bool) -> pl.DataFrame:
    """Return victims drawn evenly or in proportion to activity."""
    others = frame["customer_id"].unique(maintain_order=True) if evenly else frame["customer_id"]
    places = np.random.Generator(np.random.PCG64(1)).integers(0, len(others), frame.height)
    return frame.with_columns(pl.when("is_fraud").then(others[places]).otherwise("customer_id").alias("customer_id"))


def _relabelled(frame: pl.DataFrame) -> pl.DataFrame:
    return shuffled(frame, "is_fraud", "fraud_type", "fraud_episode_id")


FRAUD_MUTANTS: dict[str, tuple[str, Mutant, str]] = {
    "labels shuffled": ("level", _relabelled, "remote over present"),
    "fraud doubled": ("level", lambda f: pl.concat([f, f.filter("is_fraud")]), "rate"),
    "amounts of fraud shuffled": ("level", lambda f: shuffled(f, "billing_amount"), "mean amount"),
    "fraud never declined": ("level", lambda f: f.with_columns(pl.col("is_approved") | pl.col("is_fraud")), "declined"),
    "victims alike": ("victims", lambda f: _hit(f, True), "root of activity"),
    "victims by activity": ("victims", lambda f: _hit(f, False), "root of activity"),
    "cards hit again": ("victims", lambda f: f.with_columns(
        pl.when("is_fraud").then(pl.col("card_id") % 1000).otherwise("card_id")), "hit again"),
    "episodes scattered": ("bursts", lambda f: shuffled(f, "timestamp", where=pl.col("is_fraud")), "gap inside"),
    "rows of hit cards scattered": ("bursts", lambda f: shuffled(f, "timestamp"), "runs"),
    "kinds shuffled": ("mix", lambda f: shuffled(f, "fraud_type"), "rows of card_testing"),
    "kinds swapped": (
        "mix", lambda f: swapped(f, "fraud_type", "cnp_stolen_credentials", "lost_stolen"), "lost_stolen"),
    "frauds at any time": ("pace", lambda f: shuffled(f, "timestamp"), "gap of lost_stolen"),
    "thieves by day": ("pace", lambda f: f.with_columns(timestamp=_at(
        28_800 + pl.col("timestamp").dt.hour().cast(pl.Int64) * 1_800)), "starts before six"),
    "amounts shuffled": ("amounts", lambda f: shuffled(f, "billing_amount"), "median of card testing"),
    "takeovers without a rise": ("amounts", lambda f: f.with_columns(pl.col("billing_amount") * 0.6), "takeover"),
    "application fraud at once": ("amounts", lambda f: f.with_columns(billing_amount=pl.col("billing_amount").reverse(
        ).over("fraud_episode_id")), "rises"),
    "traces shuffled": ("traces", lambda f: shuffled(f, "pos_entry_mode"), "counterfeit_skimming by 90"),
    "always at home": ("traces", lambda f: f.with_columns(merchant_country="home_country"), "foreign"),
    "the address is known": ("traces", _value("avs_result", "Y", pl.col("avs_result").is_not_null()), "avs N"),
    "no network abroad": ("traces", lambda f: f.with_columns(ip_country="home_country"), "address of credentials"),
    "copied cards near home": ("traces", lambda f: shuffled(f, "distance_km", where=~REMOTE), "copied"),
    "answers of fraud shuffled": ("traces", lambda f: shuffled(f, "response_code", where=REFUSED), "41 and 43"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(FRAUD_MUTANTS))
def test_figures_of_fraud_catch_mutants(year: pl.DataFrame, sixth: pl.DataFrame, name: str) -> None:
    group, change, expected = FRAUD_MUTANTS[name]
    rows = sixth if group in fraud_bands.ALL_ROWS else year.filter("is_fraud")
    found = outside(FRAUD[group](change(rows)))
    assert any(expected in line for line in found), found


def _null(name: str, where: pl.Expr) -> Mutant:
    return lambda f: f.with_columns(pl.when(~where).then(name).alias(name))


ROW_MUTANTS: dict[str, tuple[Mutant, str]] = {
    "terminal unknown": (_null("merchant_lat", pl.col("record_id") == 7), "merchant_lat"),
    "device unknown": (_null("device_id", pl.col("record_id") == 7), "device_id"),
    "address unchecked": (_null("avs_result", OFTEN), "avs_result"),
    "code unchecked": (_null("cvv_result", OFTEN), "cvv_result"),
    "channels shuffled": (lambda f: shuffled(f, "channel"), "entry mode"),
    "checks shuffled": (lambda f: shuffled(f, "cardholder_verification"), "verification"),
    "subscriptions shuffled": (lambda f: shuffled(f, "is_recurring"), "recurring"),
    "categories shuffled": (lambda f: shuffled(f, "mcc"), "without remote"),
    "approvals shuffled": (lambda f: shuffled(f, "is_approved"), "00 is approval"),
    "stolen cards of the honest": (lambda f: shuffled(f, "response_code"), "lost and stolen"),
    "outages answer quickly": (lambda f: shuffled(f, "auth_latency_ms"), "outage"),
    "currencies shuffled": (lambda f: shuffled(f, "currency"), "currency"),
    "a fee at home": (lambda f: f.with_columns(pl.col("billing_amount") * 1.01), "own currency"),
    "tenths of a cent": (lambda f: f.with_columns(pl.col("amount") + 0.001), "whole cents"),
    "labels shuffled": (lambda f: shuffled(f, "is_fraud"), "type and an episode"),
    "old cards": (lambda f: f.with_columns(pl.col("card_age_days") + 800), "age of the card"),
    "homes shuffled": (lambda f: shuffled(f, "home_lat", "home_lon"), "inside the state"),
    "cards shuffled": (lambda f: shuffled(f, "card_id"), "customer_id of a card_id"),
    "tokens shuffled": (lambda f: shuffled(f, "card_token"), "card_id of a card_token"),
    "merchants shuffled": (lambda f: shuffled(f, "merchant_id"), "mcc of a merchant_id"),
    "rows twice": (lambda f: pl.concat([f, f.head(1)]), "transaction ids"),
    "distances shuffled": (lambda f: shuffled(f, "distance_km", where=~REMOTE), "distance"),
    "ages shuffled": (lambda f: shuffled(f, "customer_age"), "grow older"),
    "customers shuffled": (lambda f: shuffled(f, "customer_id"), "three cards"),
    "episodes joined": (lambda f: f.with_columns(
        pl.when("is_fraud").then(pl.col("fraud_episode_id") % 50)), "rows of an episode"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ROW_MUTANTS))
def test_rules_catch_mutants(sixth: pl.DataFrame, name: str) -> None:
    change, expected = ROW_MUTANTS[name]
    found = broken(change(sixth.head(300_000)))
    assert any(expected in rule for rule in found), found
