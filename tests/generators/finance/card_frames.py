"""Frames of card payments for tests: long ranges kept compactly, and ways to spoil a frame."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from generators import get_generator
from generators.base import BaseGenerator

GROUPED = ("customer_id", "card_id", "card_token", "merchant_id", "device_id", "fraud_episode_id")
"""Identifiers that are only compared with each other: their hash does for them."""
PLACES = ("home_lat", "home_lon", "merchant_lat", "merchant_lon", "distance_km")
KEPT = ("timestamp", "record_id", "card_brand", "card_type", "card_bin_group", "card_age_days", "customer_age",
        "home_country", "home_region", "mcc", "merchant_country", "amount", "currency", "billing_amount", "channel",
        "pos_entry_mode", "cardholder_verification", "cvv_result", "avs_result", "ip_country", "is_recurring",
        "response_code", "is_approved", "auth_latency_ms", "is_fraud", "fraud_type")  # fmt: skip


def compact(frame: pl.DataFrame) -> pl.DataFrame:
    """Return what the checks look at, identifiers as numbers.

    The numbers `*_order` sort as the texts do, for models that look for leaks in identifiers.
    """
    return frame.select(
        *KEPT,
        *(pl.when(pl.col(name).is_not_null()).then(pl.col(name).hash(0)).alias(name) for name in GROUPED),
        *(pl.col(name).cast(pl.Float32) for name in PLACES),
        pl.col("timestamp").dt.date().alias("day"),
        pl.col("transaction_id").str.slice(13).str.to_integer(base=16, dtype=pl.UInt32).alias("transaction_order"),
        *(
            pl.col(name).str.slice(start, 8).cast(pl.Binary).bin.reinterpret(dtype=pl.UInt64, endianness="big")
            .alias(f"{name}_order")
            for name, start in (("customer_id", 3), ("card_token", 4), ("card_id", 4), ("device_id", 4))
        ),
    )  # fmt: skip


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(n) for n in range(count)]


def payments(first: date, count: int, base: int, **fields: Any) -> pl.DataFrame:
    """Return the compact rows of a range of days."""
    generator = get_generator("credit_cards", base_daily_volume=base, **fields)
    return pl.concat([compact(generator.generate(day)) for day in days(first, count)], rechunk=True)


def spelt_out(generator: BaseGenerator[Any], rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows as a generator makes them with enum codes as their names, and times as instants."""
    enums = [
        pl.col(c.name).cast(pl.UInt8).cat.to(c.dtype)
        for c in generator.events
        if isinstance(c.dtype, pl.Enum) and rows.schema[c.name].is_integer()
    ]
    return rows.with_columns(*enums, pl.from_epoch("timestamp", "us"))


def overlays(generator: BaseGenerator[Any], first: date, count: int) -> pl.DataFrame:
    """Return recurring payments, fraud and skimmed visits."""
    frames = [generator.overlay(day) for day in days(first, count)]
    return spelt_out(generator, pl.concat([f for f in frames if f is not None]))


# -- mutants ----------------------------------------------------------------------------------------------------


def shuffled(frame: pl.DataFrame, *names: str, where: pl.Expr | None = None) -> pl.DataFrame:
    """Return a frame some of whose columns are permuted together, among all rows or among those of a condition."""
    rows = (
        np.arange(frame.height) if where is None else np.flatnonzero(frame.select(where.fill_null(False)).to_series())
    )
    order = np.arange(frame.height)
    order[rows] = np.random.Generator(np.random.PCG64(1)).permutation(rows)
    return frame.with_columns(frame[name][order] for name in names)


def swapped(frame: pl.DataFrame, name: str, one: str, other: str) -> pl.DataFrame:
    """Return a frame in which two values of a column have changed places."""
    values = pl.col(name).cast(pl.String).replace({one: other, other: one})
    return frame.with_columns(values.cast(frame.schema[name]))
