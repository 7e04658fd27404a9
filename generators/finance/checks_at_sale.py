"""How a card is read and its holder checked at the sale: entry mode, verification, CVV and AVS results, latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from generators.finance import mcc
from generators.finance.geography import COUNTRIES
from generators.randomness import normal_table, pick_table

if TYPE_CHECKING:
    from generators.finance.card_config import CreditCardsConfig

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

ENTRY_MODES = ("07", "05", "90", "01", "81", "10")
ENTRY_NAMES = ("contactless", "chip", "stripe", "keyed", "ecommerce", "on_file")
"""What the config calls the entry modes; keyed is mail or phone without the card."""
CONTACTLESS, CHIP, STRIPE, KEYED, ECOMMERCE, ON_FILE = range(6)
VERIFICATIONS = ("none", "pin", "signature", "device_biometric", "3ds_challenge", "3ds_frictionless")
CVV_RESULTS = ("M", "N", "P")
AVS_RESULTS = ("Y", "A", "Z", "N", "U")
NULL = 255
"""Code of a null in an enum column."""

LATENCY_MEDIAN, LATENCY_SIGMA, OUTAGE_MS = 320.0, 0.5, 2000


cached_table = lru_cache(maxsize=128)(pick_table)
"""`pick_table` for shares that come again every day."""


def mix_table(mix: Mapping[str, float], names: Sequence[str]) -> U8:
    """Return the (65,536,) table of codes, the places in `names`, with the shares of a mix."""
    return cached_table(tuple(mix.get(name, 0.0) for name in names))


def present_entries(
    config: CreditCardsConfig, laws: mcc.CategoryLaws, day: date, country: U8, category: U8, lane: U16
) -> U8:
    """Return (n,) entry modes of card-present rows.

    Args:
        config: Shares of the entry modes, and whether contactless grows.
        laws: Shares of the categories.
        day: Day of the rows.
        country: (n,) countries of residence.
        category: (n,) category numbers.
        lane: (n,) 16-bit draws.
    """
    modes, transit = config.entry_modes, mcc.index("4111")
    weight = laws.shares[transit] * (1.0 - laws.remotes[transit]) / (1.0 - (laws.shares * laws.remotes).sum())
    tables = []
    for us in (True, False):
        shares = tuple((modes.present if us else modes.present_abroad).values())
        contactless = modes.transit_contactless
        if us and config.contactless_trend:
            share = modes.contactless_in(day.year)
            shares, contactless = _in_year(shares, share), max(share, 0.5)
        tables.append(_present_entry(shares, contactless, min(float(weight), 0.9)))
    place = ((category == transit).astype(np.intp) << 16) + lane
    inside = _IN_US[country]
    entry = tables[0][place] if inside.any() else tables[1][place]
    if not inside.all():
        abroad = np.flatnonzero(~inside)
        entry[abroad] = tables[1][place[abroad]]
    return np.asarray(entry, np.uint8)


_IN_US = np.array([c.code == "US" for c in COUNTRIES])


@lru_cache(maxsize=64)
def _present_entry(shares: tuple[float, ...], transit: float, transit_weight: float) -> U8:
    """Return (2 * 65,536,) entry modes of card-present rows by (transit, 16-bit draw).

    Args:
        shares: Shares of contactless, chip, stripe and keyed.
        transit: Share of contactless in local transport.
        transit_weight: Share of local transport in card-present rows: the others give way so that the shares are kept.
    """
    every = np.array(shares)
    rest = every[1:] if every[1:].sum() > 0 else np.ones(len(every) - 1)
    ticket = np.array([transit, *(rest * (1 - transit) / rest.sum())])
    others = np.clip((every - transit_weight * ticket) / (1 - transit_weight), 0, 1)
    return np.concatenate([pick_table(tuple(others)), pick_table(tuple(ticket))])


def _in_year(shares: tuple[float, ...], contactless: float) -> tuple[float, ...]:
    """Return the shares of card-present entry modes with another one of contactless."""
    rest = np.array(shares[1:]) if sum(shares[1:]) > 0 else np.ones(len(shares) - 1)
    return (contactless, *(rest * (1 - contactless) / rest.sum()).tolist())


@lru_cache(maxsize=8)
def remote_entry(ecommerce: float, on_file: float, keyed: float, recurring_share: float) -> U8:
    """Return (65,536,) entry modes of card-not-present rows that are not recurring, by 16-bit draw.

    Recurring rows are on file; the others make up for them.

    Args:
        ecommerce: Share of all card-not-present rows.
        on_file: Share of credentials on file.
        keyed: Share of mail and phone.
        recurring_share: Share of recurring rows among card-not-present rows.
    """
    rest = np.array([ecommerce, max(on_file - recurring_share, 0.02), keyed])
    shares = np.zeros(6)
    shares[[ECOMMERCE, ON_FILE, KEYED]] = rest / rest.sum()
    return pick_table(tuple(shares))


def remote_verification(mix: Mapping[str, float], recurring_share: float) -> U8:
    """Return (65,536,) checks of the cardholder of card-not-present rows that are not recurring, by 16-bit draw.

    Recurring rows are not checked; the others make up for them.

    Args:
        mix: Shares of all card-not-present rows.
        recurring_share: Share of recurring rows among card-not-present rows.
    """
    return mix_table({**mix, "none": max(mix["none"] - recurring_share, 0.02)}, VERIFICATIONS)


@lru_cache(maxsize=1)
def latencies() -> U16:
    """Return (65,536,) milliseconds by 16-bit draw: log-normal."""
    return np.round(LATENCY_MEDIAN * np.exp(LATENCY_SIGMA * normal_table())).astype(np.uint16)


def cvv_null(channel: U8, entry: U8) -> NDArray[np.bool_]:
    """Return whether (n,) rows have no CVV result: all but card-not-present rows that are not on file."""
    return np.asarray((channel != mcc.CNP) | (entry == ON_FILE), np.bool_)
