"""Amounts: log-normal a category times the customer's factor, and what is done to the cents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.finance import mcc
from generators.finance.card_shares import AmountShares
from generators.finance.cardholders import normals
from generators.finance.geography import COUNTRY_CODES

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

CREDIT_ONLY = 1.5
"""Factor of medians with credit cards only (credit averaged $93 a payment in 2012)."""
LEAST, MOST = 0.50, 50_000.0

PLAIN, DIGITAL, FARE, RETAIL, TIPPED = range(5)
_STYLES: dict[str, int] = {
    **dict.fromkeys(("5815", "5816"), DIGITAL),
    "4111": FARE,
    **dict.fromkeys(("5812", "5813"), TIPPED),
    **dict.fromkeys(("5311", "5310", "5651", "5661", "5732", "5712", "5945", "5200", "5977", "5999"), RETAIL),
}
FARE_STEP = 0.25
TIPPING_COUNTRIES = ("US", "CA")
"""Where the amount of a restaurant or bar is the bill and a tip that the guest chooses."""


@lru_cache(maxsize=1)
def styles() -> U8:
    """Return (37,) what is done to the cents of a category's amounts."""
    return np.array([_STYLES.get(code, PLAIN) for code in mcc.CODES], np.uint8)


@lru_cache(maxsize=1)
def tipping() -> NDArray[np.bool_]:
    """Return (countries,) whether guests tip on the card."""
    return np.array([code in TIPPING_COUNTRIES for code in COUNTRY_CODES])


@dataclass(frozen=True)
class Amounts:
    """The laws of amounts under one config.

    Attributes:
        laws: Medians and deviations of the categories.
        shares: The customers' deviation, and how often cents are .99 or .00.
        credit_only: Whether medians are those of credit cards.
    """

    laws: mcc.CategoryLaws
    shares: AmountShares
    credit_only: bool

    @cached_property
    def _mu(self) -> F32:
        shift = np.log(CREDIT_ONLY) if self.credit_only else 0.0
        return (np.array([math.log(median) for median in self.laws.median]) + shift).astype(np.float32)

    @cached_property
    def _sigma(self) -> F32:
        return np.array(self.laws.sigma).astype(np.float32)

    def raw(self, category: U8, factor_lane: U16, lane: U16) -> F32:
        """Return (n,) amounts in USD before the cents: exp(mu + sigma N + 0.35 g).

        Args:
            category: (n,) category numbers.
            factor_lane: (n,) the customers' 16-bit draws of g.
            lane: (n,) 16-bit draws of N.
        """
        amount = self._sigma[category] * normals()[lane]
        amount += self._mu[category]
        amount += np.float32(self.shares.customer_sigma) * normals()[factor_lane]
        return np.asarray(np.exp(amount, out=amount), np.float32)


def with_cents(
    shares: AmountShares, amount: NDArray[np.floating], category: U8, lane: U16, at_table: NDArray[np.bool_]
) -> F64:
    """Return (n,) amounts rounded to cents in the category's manner, in the currency they are in.

    Digital goods end in .99 (70%), fares lie on a grid of 0.25, shops end in .99 (25%). A fifth of the tips at table
    make the amount a whole one; those of a percentage leave its cents uniform, as the others' are.

    Args:
        shares: How often.
        amount: (n,) amounts, tips included.
        category: (n,) category numbers.
        lane: (n,) 16-bit draws.
        at_table: (n,) whether a guest of a restaurant or bar would tip on the card.
    """
    style = styles()[category]
    rounded = amount.astype(np.float64)
    np.clip(rounded, LEAST, MOST, out=rounded)
    special = np.flatnonzero(style)
    kind, draw, value = style[special], lane[special], rounded[special]
    nines = (kind == DIGITAL) & (draw < shares.digital_99 * 65_536)
    nines |= (kind == RETAIL) & (draw < shares.retail_99 * 65_536) & (value >= 10.0)
    value = np.where(nines, np.floor(value) + 0.99, value)
    whole = (kind == TIPPED) & (draw < shares.whole_with_tip * 65_536) & at_table[special]
    value[whole] = np.maximum(np.rint(value[whole]), 1.0)
    fare = kind == FARE
    value[fare] = np.maximum(np.round(value[fare] / FARE_STEP) * FARE_STEP, FARE_STEP * 2)
    rounded[special] = value
    rounded *= 100.0
    np.rint(rounded, out=rounded)
    rounded /= 100.0
    return rounded
