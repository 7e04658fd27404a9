"""Rules of card payments that hold in every row, with code of the tests alone: `broken` counts what breaks them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from tests.generators.finance.card_oracle import (
    CNP_ENTRY,
    CNP_VERIFICATION,
    CP_ENTRY,
    CP_VERIFICATION,
    CURRENCY,
    FRAUD_ROWS,
    PLACES,
    SUBSCRIBED,
    TRADES,
)

REMOTE = pl.col("channel") == "card_not_present"
DOMESTIC = pl.col("merchant_country") == pl.col("home_country")


def text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String)


def _one_of(name: str, present: dict[str, float], remote: dict[str, float]) -> pl.Expr:
    return ~pl.when(REMOTE).then(text(name).is_in(list(remote))).otherwise(text(name).is_in(list(present)))


def _whole_cents(name: str) -> pl.Expr:
    return ((pl.col(name) * 100 - (pl.col(name) * 100).round()).abs() > 1e-4) | (pl.col(name) < 0)


ROW_RULES: dict[str, pl.Expr] = {
    **{f"{name} without a terminal": pl.col(name).is_null() != REMOTE
       for name in ("merchant_lat", "merchant_lon", "distance_km")},
    **{f"{name} of a present card": pl.col(name).is_null() == REMOTE for name in ("device_id", "ip_country")},
    "avs_result of domestic remote rows": pl.col("avs_result").is_not_null() != (REMOTE & DOMESTIC),
    "cvv_result of typed rows": (
        pl.col("cvv_result").is_not_null() != (REMOTE & text("pos_entry_mode").is_in(["81", "01"]))),
    "entry mode of the channel": _one_of("pos_entry_mode", CP_ENTRY, CNP_ENTRY),
    "verification of the channel": _one_of("cardholder_verification", CP_VERIFICATION, CNP_VERIFICATION),
    "recurring rows are remote and on file": (
        pl.col("is_recurring") & ~(REMOTE & (text("pos_entry_mode") == "10") & text("mcc").is_in(list(SUBSCRIBED)))),
    "categories without remote rows": (
        REMOTE & ~pl.col("is_fraud") & text("mcc").is_in([c for c, t in TRADES.items() if t.remote == 0])),
    "categories without present rows": (
        ~REMOTE & ~pl.col("is_fraud") & text("mcc").is_in([c for c, t in TRADES.items() if t.remote == 1])),
    "00 is approval": (text("response_code") == "00") != pl.col("is_approved"),
    "the US knows no strong customer authentication": text("response_code") == "1A",
    "lost and stolen are fraud": text("response_code").is_in(["41", "43"]) & ~pl.col("is_fraud"),
    "an outage takes two seconds": (text("response_code") == "91") & (pl.col("auth_latency_ms") < 2000),
    "currency of the merchant's country": (
        text("currency") != text("merchant_country").replace_strict(CURRENCY, return_dtype=pl.String)),
    "own currency is billed as it is": (text("currency") == "USD") & (pl.col("amount") != pl.col("billing_amount")),
    "amounts are whole cents": _whole_cents("amount") | (pl.col("amount") < 0.01),
    "bills are whole cents": _whole_cents("billing_amount"),
    "fraud has a type and an episode": (
        (pl.col("fraud_type").is_null() == pl.col("is_fraud"))
        | (pl.col("fraud_episode_id").is_null() == pl.col("is_fraud"))),
    "age of the card": (pl.col("card_age_days") < 0) | (pl.col("card_age_days") > 1_600),
    "age of the customer": ~pl.col("customer_age").is_between(18, 90),
    "inside the state": pl.any_horizontal(
        (text("home_region") == code)
        & ~(pl.col("home_lat").is_between(south, north) & pl.col("home_lon").is_between(west, east))
        for code, (south, north, west, east) in PLACES.items()),
}  # fmt: skip
"""Name -> whether a row breaks the rule."""

CONSTANT = {
    "customer_id": ("home_country", "home_region", "home_lat", "home_lon"),
    "card_id": ("customer_id", "card_brand", "card_type", "card_bin_group"),
    "card_token": ("card_id",),
    "merchant_id": ("mcc", "merchant_country"),
    "fraud_episode_id": ("card_token", "card_id", "fraud_type"),
}
"""Entity -> what it has for ever."""


def _repeated(rows: pl.DataFrame) -> int:
    """Return how many rows carry a transaction id that another row of the day has."""
    key = ["day", "transaction_order"] if "transaction_order" in rows.columns else ["transaction_id"]
    return rows.height - rows.select(pl.struct(key).n_unique()).item()


def _far_off(rows: pl.DataFrame) -> int:
    """Return how many distances are not the way from home to the terminal, ± 1% or ten metres."""
    present = rows.filter(~REMOTE)
    a, b = (np.radians(present[c].to_numpy().astype(np.float64)) for c in ("home_lat", "merchant_lat"))
    turn = np.radians((present["merchant_lon"].cast(pl.Float64) - present["home_lon"].cast(pl.Float64)).to_numpy())
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(turn / 2) ** 2
    way, told = 2 * 6371.0088 * np.arcsin(np.sqrt(half)), present["distance_km"].to_numpy()
    return int((np.abs(way - told) > np.maximum(0.01 * way, 0.01)).sum())


def _counts(rows: pl.DataFrame) -> Iterator[tuple[str, int]]:
    sums = rows.select(rule.sum().alias(name) for name, rule in ROW_RULES.items())
    yield from zip(sums.columns, map(int, sums.row(0)), strict=True)
    for key, names in CONSTANT.items():
        found = rows.drop_nulls(key).group_by(key).agg(pl.col(names).n_unique())
        for name in names:
            yield f"{name} of a {key}", int((found[name] > 1).sum())
    yield "transaction ids", _repeated(rows)
    yield "distance", _far_off(rows)
    aged = rows.select("customer_id", "timestamp", "customer_age").sort("timestamp", maintain_order=True)
    younger = aged.select((pl.col("customer_age").cast(pl.Int16).diff() < 0).over("customer_id").sum())
    yield "customers grow older", int(younger.item())
    cards = rows.group_by("customer_id").agg(pl.col("card_id").n_unique())
    yield "three cards at most", int((cards["card_id"] > 3).sum())
    episodes = rows.filter("is_fraud").group_by("fraud_episode_id").agg(pl.len(), pl.col("fraud_type").first())
    most = {kind: high for kind, (_, high) in FRAUD_ROWS.items()}
    limit = text("fraud_type").replace_strict(most, return_dtype=pl.Int64)
    yield "rows of an episode", episodes.filter(pl.col("len") > limit).height


def broken(rows: pl.DataFrame) -> dict[str, int]:
    """Return the rules that rows break, and how often."""
    return {name: count for name, count in _counts(rows) if count}
