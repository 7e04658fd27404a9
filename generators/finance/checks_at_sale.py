"""How a card is read and its holder checked at the sale: entry mode, verification, CVV and AVS results, latency."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.finance import mcc
from generators.randomness import normal_table, pick_table

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

ENTRY_MODES = ("07", "05", "90", "01", "81", "10")
CONTACTLESS, CHIP, STRIPE, KEYED, ECOMMERCE, ON_FILE = range(6)
CP_ENTRY = (0.54, 0.36, 0.08, 0.02)
"""Contactless, chip, magnetic stripe, keyed in the US (US tap above 50% in July 2024)."""
CP_ENTRY_ABROAD = (0.82, 0.165, 0.005, 0.01)
"""Outside the US (79% of face-to-face payments worldwide are contactless, September 2025)."""
CNP_ENTRY = (0.58, 0.40, 0.02)
"""E-commerce, credential on file, mail or phone: of all card-not-present rows, recurring ones among them."""
CONTACTLESS_BY_YEAR = {
    2018: 0.01, 2019: 0.03, 2020: 0.10, 2021: 0.20, 2022: 0.32, 2023: 0.43, 2024: 0.52, 2025: 0.60,
}  # fmt: skip
"""US share of contactless in a year, for the trend."""
TRANSIT_CONTACTLESS = 0.93

VERIFICATIONS = ("none", "pin", "signature", "device_biometric", "3ds_challenge", "3ds_frictionless")
CP_VERIFICATION = (0.62, 0.22, 0.06, 0.10, 0.0, 0.0)
CNP_VERIFICATION = (0.62, 0.0, 0.0, 0.0, 0.06, 0.32)
SCA_VERIFICATION = (0.18, 0.0, 0.0, 0.0, 0.32, 0.50)
CVV_RESULTS = ("M", "N", "P")
CVV = (0.975, 0.015, 0.010)
CVV_FRAUD = (0.68, 0.27, 0.05)
"""Results of a thief who does not have the code: with those who do, 10% of stolen credentials do not match."""
AVS_RESULTS = ("Y", "A", "Z", "N", "U")
AVS = (0.80, 0.05, 0.06, 0.06, 0.03)
AVS_FRAUD = (0.20, 0.08, 0.12, 0.55, 0.05)
"""Results of a thief who does not know the address: with those who do, 58% of stolen credentials match."""
NULL = 255
"""Code of a null in an enum column."""

LATENCY_MEDIAN, LATENCY_SIGMA, OUTAGE_MS = 320.0, 0.5, 2000


cached_table = lru_cache(maxsize=128)(pick_table)
"""`pick_table` for shares that come again every day."""


@lru_cache(maxsize=64)
def _cp_entry(us: bool, contactless: float | None) -> U8:
    """Return (2 * 65,536,) entry modes of card-present rows by (transit, 16-bit draw)."""
    shares = np.array(CP_ENTRY if us else CP_ENTRY_ABROAD)
    if contactless is not None and us:
        shares = np.array([contactless, *(shares[1:] * (1 - contactless) / shares[1:].sum())])
    transit = min(TRANSIT_CONTACTLESS, 1.0) if contactless is None else max(contactless, 0.5)
    ticket = np.array([transit, *(shares[1:] * (1 - transit) / shares[1:].sum())])
    # Transit is 2.6% of card-present rows: the others give way so that the share of all is kept.
    weight = float(mcc.SHARES[mcc.index("4111")] * 0.9 / (1 - (mcc.SHARES * mcc.REMOTE).sum()))
    others = np.clip((shares - weight * ticket) / (1 - weight), 0, 1)
    return np.concatenate([pick_table(tuple(others)), pick_table(tuple(ticket))])


def card_present_entry(us: bool, contactless: float | None, transit: NDArray[np.bool_], lane: U16) -> U8:
    """Return (n,) entry modes of card-present rows.

    Args:
        us: Whether the cardholders live in the US.
        contactless: Share of contactless in the US; None: that of `CP_ENTRY`.
        transit: (n,) whether the row is local transport.
        lane: (n,) 16-bit draws.
    """
    return np.asarray(_cp_entry(us, contactless)[(transit.astype(np.intp) << 16) + lane], np.uint8)


@lru_cache(maxsize=8)
def remote_entry(recurring_share: float) -> U8:
    """Return (65,536,) entry modes of card-not-present rows that are not recurring, by 16-bit draw.

    Recurring rows are on file; the others make up for them.

    Args:
        recurring_share: Share of recurring rows among card-not-present rows.
    """
    ecommerce, on_file, phone = CNP_ENTRY
    rest = np.array([ecommerce, max(on_file - recurring_share, 0.02), phone])
    shares = np.zeros(6)
    shares[[ECOMMERCE, ON_FILE, KEYED]] = rest / rest.sum()
    return pick_table(tuple(shares))


@lru_cache(maxsize=16)
def verification(channel: int, sca: bool, recurring_share: float) -> U8:
    """Return (65,536,) checks of the cardholder of rows that are not recurring, by 16-bit draw.

    Recurring rows are not checked; the other card-not-present rows make up for them.

    Args:
        channel: Channel of the rows.
        sca: Whether strong customer authentication is the rule.
        recurring_share: Share of recurring rows among card-not-present rows.
    """
    if channel == mcc.CP:
        return pick_table(CP_VERIFICATION)
    shares = np.array(SCA_VERIFICATION if sca else CNP_VERIFICATION)
    shares[0] = max(shares[0] - recurring_share, 0.02)
    return pick_table(tuple(shares))


@lru_cache(maxsize=4)
def cvv_table(fraud: bool) -> U8:
    """Return (65,536,) CVV results by 16-bit draw."""
    return pick_table(CVV_FRAUD if fraud else CVV)


@lru_cache(maxsize=4)
def avs_table(fraud: bool) -> U8:
    """Return (65,536,) AVS results by 16-bit draw."""
    return pick_table(AVS_FRAUD if fraud else AVS)


@lru_cache(maxsize=1)
def latencies() -> U16:
    """Return (65,536,) milliseconds by 16-bit draw: log-normal."""
    return np.round(LATENCY_MEDIAN * np.exp(LATENCY_SIGMA * normal_table())).astype(np.uint16)


def cvv_null(channel: U8, entry: U8) -> NDArray[np.bool_]:
    """Return whether (n,) rows have no CVV result: all but card-not-present rows that are not on file."""
    return np.asarray((channel != mcc.CNP) | (entry == ON_FILE), np.bool_)
