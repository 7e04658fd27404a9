"""The data that the statistical tests of bnpl look at, made once, and what the field guide says of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from generators import get_generator
from generators.base import BaseGenerator

CREDIT = {"excellent": 0.15, "good": 0.35, "fair": 0.35, "poor": 0.15}
INCOME = {"<25k": 0.15, "25k-50k": 0.28, "50k-75k": 0.23, "75k-100k": 0.18, "100k+": 0.16}
AGE = {"18-24": 0.12, "25-34": 0.35, "35-44": 0.28, "45-54": 0.15, "55+": 0.10}
VERIFICATION = {"verified": 0.60, "partial": 0.30, "unverified": 0.10}
ADDRESS = {"stable": 0.60, "new": 0.20, "frequent_mover": 0.20}
SCENARIO = {"low_risk_purchase": 0.60, "impulse_purchase": 0.20, "credit_stretched": 0.15, "high_risk_behavior": 0.05}
CATEGORY = {"electronics": 0.35, "clothing": 0.25, "home": 0.20, "beauty": 0.12, "sports": 0.08}
RESALE = {"low": 0.50, "medium": 0.35, "high": 0.15}
PROVIDER = dict.fromkeys(("affirm", "klarna", "afterpay", "sezzle"), 0.25)
LIMIT = {"500": 0.30, "1000": 0.27, "1500": 0.20, "2500": 0.15, "5000": 0.08}
DEVICE = {"mobile": 0.55, "desktop": 0.30, "tablet": 0.15}
SYSTEM = {
    "iOS": 0.55 * 0.57 + 0.15 * 0.50,
    "Android": 0.55 * 0.43 + 0.15 * 0.45,
    "Windows": 0.30 * 0.70 + 0.15 * 0.05,
    "macOS": 0.30 * 0.20,
    "Linux": 0.30 * 0.10,
}
RESIDENTS = {"CA": 39.54, "TX": 29.15, "FL": 21.54, "NY": 20.20, "PA": 13.00, "IL": 12.81, "other": 195.21}
"""Millions, US Census 2020; 331.45 in all states and DC."""

HOURS = (
    0.012, 0.008, 0.006, 0.005, 0.005, 0.006, 0.009, 0.013, 0.018, 0.068, 0.074, 0.079,
    0.083, 0.081, 0.080, 0.079, 0.078, 0.078, 0.040, 0.041, 0.043, 0.042, 0.034, 0.018,
)  # fmt: skip
"""Share of rows by local hour."""

PRICES = {
    "electronics": (30, 400, 215, 0.80),
    "clothing": (20, 150, 78, 0.55),
    "home": (25, 300, 140, 0.70),
    "beauty": (15, 80, 42, 0.45),
    "sports": (25, 200, 95, 0.55),
}
"""Lowest and highest price, median and sigma before truncation, USD."""
MEAN_PRICES = {"electronics": 187, "clothing": 76, "home": 136, "beauty": 42, "sports": 96}


@dataclass(eq=False)
class World:
    """Frames of one seed.

    Attributes:
        seed: Seed of the config.
        scale: Factor of every base volume.
    """

    seed: int = 0
    scale: int = 1

    def make(self, volume: int, **fields: Any) -> BaseGenerator[Any]:
        """Return a generator of this seed."""
        return get_generator("bnpl", seed=self.seed, base_daily_volume=volume * self.scale, **fields)

    def altered(self, **frames: Any) -> Self:
        """Return the world with some of its data replaced: a mutant."""
        other = copy.copy(self)
        other.__dict__.update(frames)
        return other

    @cached_property
    def spread(self) -> pl.DataFrame:
        """A quarter of a million rows on twelve days from January to June, before the season of the default model."""
        generator = self.make(20_000)
        return pl.concat([generator.generate(date(2024, 1, 15) + timedelta(13 * n)) for n in range(12)])

    @cached_property
    def year(self) -> pl.DataFrame:
        """Every day of 2024, some 385,000 rows."""
        generator = self.make(1_000)
        return pl.concat([generator.generate(day) for day in days(2024)])

    @cached_property
    def people(self) -> pl.DataFrame:
        """Distinct customers as they signed up, with their age, income, credit, checks and state of that day."""
        table = pl.concat(list(self.make(400).dimension("customers", date(2024, 1, 1), date(2024, 12, 31))))
        return table.filter(pl.col("valid_from") == pl.col("signup_date"))

    @cached_property
    def accounts(self) -> pl.DataFrame:
        """Distinct first accounts as they were opened, with their holder."""
        table = pl.concat(list(self.make(400).dimension("accounts", date(2024, 1, 1), date(2024, 12, 31))))
        opened = table.sort("payment_method_id", "valid_from").unique("payment_method_id", keep="first")
        return opened.filter(pl.col("payment_method_id").str.ends_with("_1")).join(
            self.people.rename({"valid_from": "signup"}), on="customer_id"
        )

    @cached_property
    def devices(self) -> pl.DataFrame:
        """Distinct devices, one a customer, with the owner's age and income at sign-up."""
        table = pl.concat(list(self.make(400).dimension("devices", date(2024, 1, 1), date(2024, 12, 31))))
        one = table.sort("device_id").unique("customer_id", keep="first", maintain_order=True)
        return one.join(self.people, on="customer_id")

    @cached_property
    def held(self) -> pl.DataFrame:
        """Every customer's devices on one day, the newest last."""
        day = date(2024, 6, 5)
        table = pl.concat(list(self.make(4_000).dimension("devices", day, day)))
        in_use = table.filter(
            (pl.col("valid_from") <= day) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > day))
        )
        ordered = in_use.sort("customer_id", "valid_from").group_by("customer_id", maintain_order=True)
        return ordered.agg("device_id", "valid_from")

    @cached_property
    def held_day(self) -> pl.DataFrame:
        """The device of every row of that day and of no other."""
        return self.make(4_000).generate(date(2024, 6, 5)).select("customer_id", "device_id")

    @cached_property
    def products(self) -> pl.DataFrame:
        """The catalogue."""
        return pl.concat(list(self.make(400).dimension("products", date(2024, 1, 1), date(2024, 12, 31))))

    @cached_property
    def buyers(self) -> pl.DataFrame:
        """One row a customer of `spread`: independent rows."""
        return self.spread.unique("customer_id", keep="first", maintain_order=True)


def days(*years: int) -> list[date]:
    """Return the days of some years."""
    return [day for year in years for n in range(366) if (day := date(year, 1, 1) + timedelta(n)).year == year]


def codes(column: pl.Series) -> pl.Series:
    """Return an enum column's codes, whose order is that of its grades."""
    return column.to_physical().cast(pl.Int32)


def shuffled(frame: pl.DataFrame, column: str, seed: int = 1) -> pl.DataFrame:
    """Return a frame with one column's values in another order: what carries no information."""
    order = np.random.Generator(np.random.PCG64(seed)).permutation(frame.height)
    return frame.with_columns(frame[column].gather(order))
