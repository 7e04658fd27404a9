"""Tables that purchases are looked up in: by product, limit, tenure, scenario or a 16-bit draw, made once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.ecommerce import default_model as model
from generators.ecommerce.catalogue import CATEGORIES, SHARES, Catalogue
from generators.ecommerce.customers import AGE_SHARES
from generators.randomness import normal_table, pick_table

U16 = NDArray[np.uint16]

CATEGORY_BY_AGE = (
    (1.15, 1.05, 0.60, 1.35, 1.00),
    (1.05, 1.02, 0.90, 1.15, 1.05),
    (0.97, 1.00, 1.08, 0.95, 1.00),
    (0.93, 0.97, 1.15, 0.85, 0.97),
    (0.90, 0.93, 1.25, 0.75, 0.90),
)
"""Relative interest of each age bracket in each category, before both margins are kept."""
HOLIDAY_ELECTRONICS = 1.15
"""Factor of electronics in November and December."""

SPEED_RULE = ((0, 0, 0.5, 0.5), (0, 1, 0, 0), (0, 0, 1, 0), (1, 0, 0, 0))
"""Shares of very_fast, fast, normal, slow by scenario."""
SPEED_MARGINAL = (0.05, 0.20, 0.45, 0.30)
COMPARISON_SECONDS = ((60, 300), (0, 60), (60, 300), (0, 30))
SITE_SECONDS = ((180, 900), (120, 300), (300, 600), (30, 120))
ABANDONED_CARTS, STRETCHED_CARTS = 1.1, 1.6
MAX_CARTS = 6
INSTALLMENT_STEPS = ((100, (4, 4)), (500, (4, 6)), (1000, (6, 12)), (float("inf"), (12, 24)))
"""Amount below which one of two counts applies with equal chance."""
_UTILISATION_SCALE = 0.35 / model.LOG_UTILISATION_SD


@lru_cache(maxsize=1)
def normals() -> NDArray[np.float32]:
    """Return (65536,) standard normals by a 16-bit draw."""
    return normal_table().astype(np.float32)


@lru_cache(maxsize=16)
def category_picks(
    market: str, holiday_season: bool, sold: tuple[bool, ...], interest: tuple[float, ...]
) -> NDArray[np.uint8]:
    """Return (5 * 65536,) category codes by (age bracket, 16-bit draw), with both margins kept by iterative fitting.

    Args:
        market: Key of `SHARES`.
        holiday_season: Whether electronics are a larger part.
        sold: Whether each category is on sale.
        interest: Further factors of the categories; empty: none.
    """
    target = np.array(SHARES[market]) * np.array(sold)
    target /= target.sum()
    table = np.array(CATEGORY_BY_AGE) * target
    for _ in range(50):
        table *= (np.array(AGE_SHARES) / table.sum(axis=1))[:, None]
        table *= np.divide(target, table.sum(axis=0), out=np.ones(len(target)), where=target > 0)
    if holiday_season:
        table[:, CATEGORIES.index("electronics")] *= HOLIDAY_ELECTRONICS
    if interest:
        table *= interest
    return np.concatenate([pick_table(tuple(row)) for row in table])


@lru_cache(maxsize=8)
def score_table(stress: float) -> NDArray[np.float64]:
    """Return the risk scores by cell of the score table, under a stress in [0, 1]."""
    return model.score_table(stress)


@lru_cache(maxsize=8)
def speed_picks(noise: float) -> NDArray[np.uint8]:
    """Return (4 * 65536,) checkout speeds by (scenario, 16-bit draw); a share `noise` ignores the scenario."""
    rules = (1 - noise) * np.array(SPEED_RULE) + noise * np.array(SPEED_MARGINAL)
    return np.concatenate([pick_table(tuple(row)) for row in rules])


@lru_cache(maxsize=1)
def cart_picks() -> NDArray[np.uint8]:
    """Return (2 * 65536,) abandoned carts by (stretched or not, 16-bit draw): Poisson, the tail at 6."""
    tables = []
    for mean in (ABANDONED_CARTS, STRETCHED_CARTS):
        shares = [float(np.exp(-mean))]
        for k in range(1, MAX_CARTS):
            shares.append(shares[-1] * mean / k)
        tables.append(pick_table((*shares, 1 - sum(shares))))
    return np.concatenate(tables)


def between(ranges: tuple[tuple[int, int], ...], scenario: NDArray[Any], draws: U16) -> U16:
    """Return (n,) whole seconds uniform in the scenario's closed range."""
    low, high = np.array(ranges, np.uint32).T
    scenario = scenario.astype(np.intp)
    return np.asarray(low[scenario] + (draws * (high - low + 1)[scenario] >> 16), np.uint16)


@lru_cache(maxsize=4)
def first_payments(shop: Catalogue) -> NDArray[np.float64]:
    """Return (products,) what is paid at checkout: a quarter, to the cent."""
    return np.round(shop.price * 0.25, 2)


@lru_cache(maxsize=4)
def installment_choices(shop: Catalogue) -> NDArray[np.uint8]:
    """Return (2, products) the two possible counts of instalments."""
    step = np.searchsorted([edge for edge, _ in INSTALLMENT_STEPS], shop.price, side="right")
    return np.array([counts for _, counts in INSTALLMENT_STEPS], np.uint8)[step].T


@lru_cache(maxsize=4)
def stretch_by_price(shop: Catalogue) -> NDArray[np.float32]:
    """Return the factors by product which times those by limit are the weights of credit_stretched."""
    by_price = 0.15 * np.exp(-1.1 * model.LOG_UTILISATION_MEAN - 0.42) * shop.price**1.1
    return np.asarray(by_price, np.float32)


@lru_cache(maxsize=16)
def stretch_by_limit(limits: tuple[int, ...], pressure: float) -> NDArray[np.float32]:
    """Return (limits,) factors which times those by product are the weights of credit_stretched."""
    return np.asarray(pressure * np.array(limits, np.float64) ** -1.1, np.float32)


def high_risk_by_trust(pressure: float) -> NDArray[np.float32]:
    """Return the weights of high_risk_behavior on devices that are not trusted and on trusted ones."""
    return np.array([pressure * 0.05 * np.exp(0.80), pressure * 0.05 * np.exp(-0.20)], np.float32)


@lru_cache(maxsize=4)
def utilisation_by_price(shop: Catalogue) -> NDArray[np.float32]:
    """Return the terms by product which plus those by limit are 0.35 (ln utilisation - mean) / sd."""
    return np.asarray(_UTILISATION_SCALE * (np.log(shop.price) - model.LOG_UTILISATION_MEAN), np.float32)


@lru_cache(maxsize=16)
def utilisation_by_limit(limits: tuple[int, ...]) -> NDArray[np.float32]:
    """Return (limits,) terms which plus those by product are 0.35 (ln utilisation - mean) / sd."""
    return np.asarray(-_UTILISATION_SCALE * np.log(np.array(limits, np.float64)), np.float32)


@lru_cache(maxsize=1)
def tenure_table() -> NDArray[np.float32]:
    """Return 0.30 (ln(1 + tenure) - 5.608) / 1.147 by tenure in days."""
    tenure = np.arange(60_000)
    return (0.30 * (np.log1p(tenure) - model.LOG_TENURE_MEAN) / model.LOG_TENURE_SD).astype(np.float32)


@lru_cache(maxsize=4)
def price_cents(shop: Catalogue) -> NDArray[np.uint32]:
    """Return (products,) prices in cents."""
    return np.round(shop.price * 100).astype(np.uint32)


@lru_cache(maxsize=4)
def first_payment_cents(shop: Catalogue) -> NDArray[np.uint32]:
    """Return (products,) what is paid at checkout, in cents."""
    return np.round(first_payments(shop) * 100).astype(np.uint32)
