"""The products of an online shop: categories, brands, prices, resale risk.

Product r of a category takes the price quantile frac(u + 0.618 r); the offset u is the one of 1,000 evenly spaced ones
whose popularity-weighted mean price is nearest the law's, so that popular products do not carry the mean by luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.identifiers import base32_views, permute
from generators.randomness import F64, LANES, hash_key, hash_lanes, hash_uniform, normal_table, pick_table

PRODUCTS = 5_000
ZIPF_EXPONENT = 0.8

CATEGORIES = ("electronics", "clothing", "home", "beauty", "sports")
SHARES = {
    "guide": (0.35, 0.25, 0.20, 0.12, 0.08),
    "cfpb": (0.15, 0.44, 0.14, 0.15, 0.12),  # apparel and beauty 59% of value, CFPB market report for 2021
}
RISK_CATEGORIES = ("low", "medium", "high")
RISK_BASE = (0.55, 0.30, 0.25, 0.15, 0.25)
RISK_CUTS = (0.478, 0.754)

SUBCATEGORIES: dict[str, tuple[str, ...]] = {
    "electronics": ("smartphone", "laptop", "headphones", "tablet", "smartwatch", "camera"),
    "clothing": ("shoes", "dress", "jacket", "jeans", "shirt", "accessories"),
    "home": ("furniture", "kitchen", "decor", "bedding", "lighting"),
    "beauty": ("skincare", "makeup", "fragrance", "haircare"),
    "sports": ("fitness", "outdoor", "cycling", "team_sports", "running"),
}
"""By category, the most frequent first: shares follow 1 / rank."""

BRANDS: dict[str, dict[str, float]] = {
    "electronics": {"Apple": 0.30, "Samsung": 0.40, "Nordvik": 0.30},
    "clothing": {"Nike": 0.25, "Adidas": 0.20, "Zara": 0.25, "H&M": 0.30},
    "home": {"IKEA": 0.50, "Hearthwell": 0.30, "Lumora": 0.20},
    "beauty": {"Sephora": 0.50, "Velmara": 0.30, "Purelle Lane": 0.20},
    "sports": {"Nike": 0.40, "Adidas": 0.35, "Ridgepeak": 0.25},
}
LUXURY_BRANDS = frozenset({"Apple", "Sephora"})

SUBCATEGORY_NAMES = tuple(name for names in SUBCATEGORIES.values() for name in names)
BRAND_NAMES = tuple(dict.fromkeys(brand for brands in BRANDS.values() for brand in brands))


@dataclass(frozen=True)
class PriceLaw:
    """A log-normal truncated to [low, high] USD; median and sigma are those before truncation."""

    low: float
    high: float
    median: float
    sigma: float

    def quantiles(self, u: F64, law: str) -> F64:
        """Return prices in USD at probabilities (n,) in (0, 1), under the law ``lognormal`` or ``uniform``."""
        if law == "uniform":
            return self.low + u * (self.high - self.low)
        normal = NormalDist()
        low, high = (normal.cdf(np.log(x / self.median) / self.sigma) for x in (self.low, self.high))
        z = np.array([normal.inv_cdf(p) for p in low + u * (high - low)])
        return np.asarray(np.clip(self.median * np.exp(self.sigma * z), self.low, self.high))


PRICES = (
    PriceLaw(30, 400, 215, 0.80),
    PriceLaw(20, 150, 78, 0.55),
    PriceLaw(25, 300, 140, 0.70),
    PriceLaw(15, 80, 42, 0.45),
    PriceLaw(25, 200, 95, 0.55),
)
"""By category, USD."""


def sizes(market: str) -> NDArray[np.int64]:
    """Return the number of products of each category, summing to `PRODUCTS`."""
    return np.round(np.array(SHARES[market]) * PRODUCTS).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Product attributes by product number, (5000,) arrays; a function of (seed, market, price law).

    Attributes:
        seed: The config's seed.
        generator: Name of the generator that sells the products.
        market: Key of `SHARES`.
        price_law: ``lognormal`` or ``uniform``.
        eligible_categories: Categories that may be financed.
        minimum_price: Lowest financed price, USD.
        only_eligible: Whether products that may not be financed are never drawn.
    """

    seed: int
    generator: str
    market: str
    price_law: str
    eligible_categories: tuple[str, ...]
    minimum_price: float
    only_eligible: bool

    @cached_property
    def category(self) -> NDArray[np.uint8]:
        """(5000,) category codes, ascending."""
        return np.repeat(np.arange(len(CATEGORIES), dtype=np.uint8), sizes(self.market))

    @cached_property
    def price(self) -> F64:
        """(5000,) prices in USD, rounded to cents, inside the category's range."""
        quantiles = [_offset_prices(code, int(size), self.price_law) for code, size in enumerate(sizes(self.market))]
        return self._cents(np.concatenate(quantiles))

    @cached_property
    def percentile(self) -> F64:
        """(5000,) price percentiles inside the category, in (0, 1)."""
        parts = [
            (np.argsort(np.argsort(self.price[self.category == code])) + 0.5) / size
            for code, size in enumerate(sizes(self.market))
        ]
        return np.concatenate(parts)

    @cached_property
    def subcategory(self) -> NDArray[np.uint8]:
        """(5000,) codes into `SUBCATEGORY_NAMES`."""
        tables = [(SUBCATEGORIES[c], [1 / (i + 1) for i in range(len(SUBCATEGORIES[c]))]) for c in CATEGORIES]
        return self._named("subcategory", SUBCATEGORY_NAMES, tables)

    @cached_property
    def brand(self) -> NDArray[np.uint8]:
        """(5000,) codes into `BRAND_NAMES`."""
        return self._named("brand", BRAND_NAMES, [(tuple(BRANDS[c]), list(BRANDS[c].values())) for c in CATEGORIES])

    @cached_property
    def risk(self) -> NDArray[np.uint8]:
        """(5000,) codes into `RISK_CATEGORIES`: resale value from category, price and brand."""
        luxury = np.array([name in LUXURY_BRANDS for name in BRAND_NAMES])[self.brand]
        noise = normal_table()[hash_lanes(self._key("risk"), np.arange(PRODUCTS))[0]]
        score = np.array(RISK_BASE)[self.category] + 0.25 * self.percentile + 0.2 * luxury + 0.08 * noise
        return np.asarray(np.searchsorted(RISK_CUTS, score, side="right"), np.uint8)

    @cached_property
    def eligible(self) -> NDArray[np.bool_]:
        """(5000,) whether a product may be financed."""
        allowed = np.array([name in self.eligible_categories for name in CATEGORIES])
        return allowed[self.category] & (self.price >= self.minimum_price)

    @cached_property
    def id_views(self) -> NDArray[np.uint64]:
        """(5000, 2) Arrow views of the product ids."""
        numbers = permute(np.arange(PRODUCTS), 40, hash_key(self.seed, self.generator, "product", "id"))
        return base32_views("prd_", numbers).view(np.uint64)

    @cached_property
    def picks(self) -> NDArray[np.uint16]:
        """(categories * 65536,) product numbers: category code * 65536 + a 16-bit draw picks by popularity."""
        tables = [self._pick(code) for code in range(len(CATEGORIES))]
        return np.concatenate(tables)

    def _pick(self, code: int) -> NDArray[np.uint16]:
        numbers = np.flatnonzero(self.category == code)
        weights = popularity(len(numbers))
        if self.only_eligible:
            keep = self.eligible[numbers]
            numbers, weights = numbers[keep], weights[keep]
            if not len(numbers):
                return np.zeros(LANES, np.uint16)
        edges = np.cumsum(weights)
        index = np.searchsorted(edges / edges[-1], (np.arange(LANES) + 0.5) / LANES, side="right")
        return np.asarray(numbers[index.clip(0, len(numbers) - 1)], np.uint16)

    def _cents(self, prices: F64) -> F64:
        """Round to the endings that shops use: 45% .99, 15% .95, 15% .00, the rest any cents."""
        numbers = np.arange(PRODUCTS)
        ending = pick_table((0.45, 0.15, 0.15, 0.25))[hash_lanes(self._key("ending"), numbers)[0]]
        any_cents = np.floor(hash_uniform(self._key("cents"), numbers) * 100) / 100
        cents = np.choose(ending, [np.full(PRODUCTS, 0.99), np.full(PRODUCTS, 0.95), np.zeros(PRODUCTS), any_cents])
        # The ending replaces the cents of the nearest dollar amount: a price shifts by half a dollar at most.
        dollars = np.round(prices - cents)
        low = np.array([law.low for law in PRICES])[self.category]
        high = np.array([law.high for law in PRICES])[self.category]
        dollars += (dollars + cents < low) * 1.0
        dollars -= (dollars + cents > high) * 1.0
        return np.asarray(np.round(dollars + cents, 2))

    def _named(
        self, column: str, names: tuple[str, ...], tables: list[tuple[tuple[str, ...], list[float]]]
    ) -> NDArray[np.uint8]:
        draws = hash_lanes(self._key(column), np.arange(PRODUCTS))[0]
        codes = np.zeros(PRODUCTS, np.uint8)
        for code, (members, weights) in enumerate(tables):
            rows = self.category == code
            picked = pick_table(weights)[draws[rows]]
            codes[rows] = np.array([names.index(m) for m in members], np.uint8)[picked]
        return codes

    def _key(self, column: str) -> np.uint64:
        return hash_key(self.seed, self.generator, "product", column)


def popularity(size: int) -> F64:
    """Return (size,) Zipf weights 1 / rank**0.8."""
    return np.asarray((np.arange(size) + 1.0) ** -ZIPF_EXPONENT)


@lru_cache(maxsize=32)
def _offset_prices(code: int, size: int, law: str) -> Any:
    """Return (size,) prices by popularity rank at the best of 1,000 offsets."""
    grid = PRICES[code].quantiles((np.arange(4_000) + 0.5) / 4_000, law)
    weights = popularity(size)
    weights /= weights.sum()
    golden = (np.arange(size) * 0.618) % 1.0
    means = [float(grid[(((u + golden) % 1.0) * 4_000).astype(np.intp)] @ weights) for u in np.arange(1_000) / 1_000]
    best = int(np.argmin(np.abs(np.array(means) - grid.mean()))) / 1_000
    return grid[(((best + golden) % 1.0) * 4_000).astype(np.intp)]
