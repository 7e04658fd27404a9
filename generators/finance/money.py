"""Amounts: log-normal a category times the customer's factor, and what is done to the cents."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.finance import mcc
from generators.finance.cardholders import normals

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CUSTOMER_SIGMA = 0.35
"""Standard deviation of a customer's mean log amount."""
CREDIT_ONLY = 1.5
"""Factor of medians with credit cards only (credit averaged $93 a payment in 2012)."""
LEAST, MOST = 0.50, 50_000.0

PLAIN, DIGITAL, FARE, RETAIL = range(4)
_STYLES: dict[str, int] = {
    **dict.fromkeys(("5815", "5816"), DIGITAL),
    "4111": FARE,
    **dict.fromkeys(("5311", "5310", "5651", "5661", "5732", "5712", "5945", "5200", "5977", "5999"), RETAIL),
}
DIGITAL_NINES, RETAIL_NINES = 0.70, 0.25
FARE_STEP = 0.25


@lru_cache(maxsize=1)
def styles() -> U8:
    """Return (37,) what is done to the cents of a category's amounts."""
    return np.array([_STYLES.get(code, PLAIN) for code in mcc.CODES], np.uint8)


@lru_cache(maxsize=4)
def _laws(credit_only: bool) -> tuple[F32, F32]:
    shift = np.log(CREDIT_ONLY) if credit_only else 0.0
    return (mcc.MU + shift).astype(np.float32), mcc.SIGMA.astype(np.float32)


def raw_amounts(category: U8, factor_lane: U16, lane: U16, credit_only: bool) -> F32:
    """Return (n,) amounts in USD before the cents: exp(mu + sigma N + 0.35 g).

    Args:
        category: (n,) category numbers.
        factor_lane: (n,) the customers' 16-bit draws of g.
        lane: (n,) 16-bit draws of N.
        credit_only: Whether medians are those of credit cards.
    """
    mu, sigma = _laws(credit_only)
    amount = sigma[category] * normals()[lane]
    amount += mu[category]
    amount += np.float32(CUSTOMER_SIGMA) * normals()[factor_lane]
    return np.asarray(np.exp(amount, out=amount), np.float32)


def with_cents(amount: NDArray[np.floating], category: U8, lane: U16) -> F64:
    """Return (n,) amounts rounded to cents in the category's manner, in the currency they are in.

    Digital goods end in .99 (70%), fares lie on a grid of 0.25, shops end in .99 (25%), the others are uniform.
    """
    style = styles()[category]
    rounded = amount.astype(np.float64)
    np.clip(rounded, LEAST, MOST, out=rounded)
    special = np.flatnonzero(style)
    kind, draw, value = style[special], lane[special], rounded[special]
    nines = (kind == DIGITAL) & (draw < DIGITAL_NINES * 65_536)
    nines |= (kind == RETAIL) & (draw < RETAIL_NINES * 65_536) & (value >= 10.0)
    value = np.where(nines, np.floor(value) + 0.99, value)
    fare = kind == FARE
    value[fare] = np.maximum(np.round(value[fare] / FARE_STEP) * FARE_STEP, FARE_STEP * 2)
    rounded[special] = value
    rounded *= 100.0
    np.rint(rounded, out=rounded)
    rounded /= 100.0
    return rounded
