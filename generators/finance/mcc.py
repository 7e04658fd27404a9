"""Merchant categories: shares, amounts, and which category a row has given its channel, hour and customer.

Shares and medians are table assumptions shaped by the Diary of Consumer Payment Choice (43% of payments are grocery,
gas and shopping) and calibrated to a mean general-purpose card payment of $63.7 (Federal Reserve Payments Study 2022);
codes are those of ISO 18245.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.randomness import F64, stream

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]


@dataclass(frozen=True)
class Category:
    """One merchant category code.

    Attributes:
        code: ISO 18245 code.
        name: Category for people.
        group: Short name of a few related codes.
        share: Share of transactions.
        median: Median amount in USD, before the customer factor.
        sigma: Standard deviation of the log amount, before the customer factor.
        remote: Share of the category's transactions that are card-not-present.
        fraud: Appeal to card-not-present fraud.
    """

    code: str
    name: str
    group: str
    share: float
    median: float
    sigma: float
    remote: float
    fraud: float


CATEGORIES = tuple(
    Category(*row)
    for row in (
        ("5411", "Grocery stores, supermarkets", "grocery", 0.1484, 36, 0.90, 0.09, 0.25),
        ("5812", "Eating places, restaurants", "restaurant", 0.0988, 34, 0.70, 0.10, 0.2),
        ("5814", "Fast food restaurants", "fast_food", 0.1136, 13, 0.55, 0.18, 0.25),
        ("5541", "Service stations", "fuel", 0.0356, 33, 0.60, 0.00, 0),
        ("5542", "Automated fuel dispensers", "fuel", 0.0593, 42, 0.40, 0.00, 0),
        ("5499", "Misc. food, convenience stores", "convenience", 0.0395, 13, 0.70, 0.05, 0.1),
        ("5912", "Drug stores, pharmacies", "pharmacy", 0.0375, 22, 0.80, 0.08, 0.3),
        ("5311", "Department stores", "department_store", 0.0198, 58, 0.80, 0.45, 1.2),
        ("5310", "Discount stores", "discount_store", 0.0316, 38, 0.80, 0.28, 0.6),
        ("5300", "Wholesale clubs", "wholesale_club", 0.0168, 105, 0.70, 0.14, 0.2),
        ("5651", "Family clothing stores", "apparel", 0.0227, 58, 0.75, 0.50, 1),
        ("5661", "Shoe stores", "apparel", 0.0074, 88, 0.50, 0.55, 1.5),
        ("5732", "Electronics stores", "electronics", 0.0109, 105, 1.05, 0.65, 3.5),
        ("5200", "Home supply warehouse stores", "home_improvement", 0.0208, 54, 1.05, 0.20, 0.5),
        ("5712", "Furniture, home furnishings", "home_furnishing", 0.0040, 280, 0.95, 0.50, 1),
        ("5942", "Book stores", "books", 0.0074, 24, 0.70, 0.75, 0.8),
        ("5945", "Hobby, toy and game shops", "toys_hobby", 0.0074, 40, 0.80, 0.65, 1.2),
        ("5999", "Misc. and specialty retail", "specialty_retail", 0.0474, 38, 0.95, 0.85, 1.3),
        ("5969", "Direct marketing, other", "direct_marketing", 0.0267, 50, 0.90, 1.00, 1.6),
        ("5815", "Digital goods: media", "digital_goods", 0.0375, 12, 0.55, 1.00, 1.2),
        ("5816", "Digital goods: games", "digital_goods", 0.0208, 15, 0.90, 1.00, 2.5),
        ("4899", "Cable, satellite, streaming", "subscription", 0.0257, 21, 0.70, 1.00, 0.3),
        ("4814", "Telecommunication services", "telecom", 0.0148, 75, 0.55, 0.96, 0.8),
        ("4900", "Utilities", "utilities", 0.0119, 125, 0.55, 0.96, 0.1),
        ("4121", "Taxicabs, ride share", "rideshare", 0.0296, 21, 0.55, 0.96, 1),
        ("4111", "Local commuter transport", "transit", 0.0188, 3.2, 0.45, 0.10, 0),
        ("4511", "Airlines", "airline", 0.0059, 310, 0.70, 0.96, 2.5),
        ("7011", "Hotels, motels", "lodging", 0.0074, 195, 0.70, 0.60, 1.2),
        ("8011", "Doctors, physicians", "healthcare", 0.0094, 65, 0.95, 0.25, 0.1),
        ("7230", "Beauty and barber shops", "personal_care", 0.0104, 55, 0.60, 0.12, 0.1),
        ("5977", "Cosmetic stores", "beauty_retail", 0.0064, 46, 0.65, 0.55, 1.5),
        ("5921", "Package stores (beer, wine, liquor)", "liquor", 0.0109, 30, 0.60, 0.08, 0.2),
        ("5813", "Drinking places (bars)", "bar", 0.0148, 32, 0.70, 0.00, 0),
        ("7832", "Motion picture theaters", "entertainment", 0.0049, 29, 0.50, 0.60, 0.4),
        ("7995", "Betting, lottery, gaming", "gambling", 0.0044, 45, 1.00, 1.00, 2),
        ("6300", "Insurance", "insurance", 0.0049, 145, 0.55, 0.97, 0.05),
        ("8398", "Charitable organisations", "charity", 0.0059, 32, 0.90, 0.88, 2),
    )
)
CODES = tuple(c.code for c in CATEGORIES)
SIZE = len(CATEGORIES)

CP, CNP = 0, 1
"""Codes of the channels card present and card not present."""

RECURRING_CODES = ("4899", "4814", "4900", "6300", "5815")
"""Codes whose rows are mostly recurring payments."""

PERSONAS = 256
CONCENTRATION = 15.0
"""Concentration of the Dirichlet law of customers' categories."""


def index(code: str) -> int:
    """Return the number of a category code."""
    return CODES.index(code)


def indices(*codes: str) -> NDArray[np.intp]:
    """Return the numbers of several category codes."""
    return np.array([CODES.index(c) for c in codes], np.intp)


@dataclass(frozen=True)
class CategoryLaws:
    """What a config makes of `CATEGORIES`: one number a category; laws of equal numbers are equal.

    Attributes:
        share: Shares of transactions; their sum is 1.
        remote: Shares of card-not-present rows.
        median: Median amounts in USD.
        sigma: Standard deviations of the log amount.
        fraud: Appeal to card-not-present fraud.
        recurring: Share of the rows of `RECURRING_CODES` that are recurring payments.
    """

    share: tuple[float, ...]
    remote: tuple[float, ...]
    median: tuple[float, ...]
    sigma: tuple[float, ...]
    fraud: tuple[float, ...]
    recurring: float

    @cached_property
    def shares(self) -> F64:
        """(37,) shares of transactions."""
        return np.array(self.share)

    @cached_property
    def remotes(self) -> F64:
        """(37,) shares of card-not-present rows."""
        return np.array(self.remote)

    @cached_property
    def remote_share(self) -> float:
        """Share of transactions that are card-not-present as the table has it; about 0.35 by default."""
        return float(self.shares @ self.remotes)

    @cached_property
    def recurring_shares(self) -> F64:
        """(37,) shares of all rows that are recurring payments as the table has it; their sum is about 0.081."""
        rows = np.zeros(SIZE)
        rows[indices(*RECURRING_CODES)] = self.recurring
        return np.asarray(rows * self.shares)

    def drawn_shares(self, channel: int) -> F64:
        """Return (37,) shares of the categories among a channel's rows that are not recurring; their sum is 1."""
        shares = self.shares * (self.remotes if channel == CNP else 1.0 - self.remotes)
        if channel == CNP:
            shares = np.maximum(shares - self.recurring_shares, 0.02 * shares)
        return np.asarray(shares / shares.sum())


def changed_laws(recurring: float, **changes: Mapping[str, float]) -> CategoryLaws:
    """Return the laws of the table with some numbers changed.

    Args:
        recurring: Share of the rows of `RECURRING_CODES` that are recurring payments.
        changes: Attribute of `CategoryLaws` -> category code -> number. Categories without a new share keep their
            proportions and share what is left.
    """
    columns = {
        name: np.array([changes.get(name, {}).get(c.code, getattr(c, name)) for c in CATEGORIES], np.float64)
        for name in ("share", "remote", "median", "sigma", "fraud")
    }
    share, fixed = columns["share"], np.array([code in changes.get("share", {}) for code in CODES])
    given, rest = float(share[fixed].sum()), float(share[~fixed].sum())
    share[~fixed] *= max(1.0 - given, 0.0) / rest if given else 1.0
    columns["share"] = share / sum(share.tolist())
    return CategoryLaws(**{name: tuple(values.tolist()) for name, values in columns.items()}, recurring=recurring)


_EVENING = dict.fromkeys((19, 20, 21, 22, 23), 1.5) | {0: 1.7, 1: 1.6, 2: 1.4}
HOUR_TILTS: dict[str, dict[int, float]] = {
    "5814": {11: 1.4, 12: 1.9, 13: 1.5, 17: 1.4, 18: 1.8, 19: 1.5},
    "5812": dict.fromkeys(range(5, 11), 0.5) | {12: 1.3, 13: 1.2, 17: 1.3, 18: 2.0, 19: 2.2, 20: 1.9, 21: 1.5},
    "5813": dict.fromkeys(range(3, 16), 0.15) | dict.fromkeys((20, 21, 22, 23), 4.0) | {0: 6.0, 1: 6.0, 2: 5.0},
    "5411": {16: 1.2, 17: 1.5, 18: 1.3},
    "5541": {7: 1.6, 8: 1.6, 16: 1.2, 17: 1.6},
    "5542": {7: 1.6, 8: 1.6, 16: 1.2, 17: 1.6},
    "4111": {7: 3.0, 8: 3.0, 9: 2.0, 16: 2.2, 17: 2.5, 18: 2.0},
    "5815": _EVENING,
    "5816": _EVENING,
    "7995": _EVENING,
    "8011": dict.fromkeys((*range(8), *range(18, 24)), 0.02),
}
"""Relative interest by local hour; 1 in hours that are not named."""
DAY_TILTS: dict[str, tuple[float, ...]] = {
    "8011": (1.36, 1.36, 1.36, 1.36, 1.36, 0.10, 0.10),
    "5813": (0.73, 0.73, 0.73, 0.73, 1.31, 1.31, 0.73),
    "4111": (1.22, 1.22, 1.22, 1.22, 1.22, 0.50, 0.40),
}
"""Relative interest from Monday to Sunday, mean 1."""
_RETAIL = ("5311", "5310", "5651", "5661", "5732", "5942", "5945", "5999", "5977", "5969")
EVENT_TILTS: dict[str, dict[str, float]] = {
    "thanksgiving_eve": {"5411": 1.58 / 1.30},
    "thanksgiving": {"5541": 0.82 / 0.45, "5542": 0.82 / 0.45},
    "black_friday": dict.fromkeys(_RETAIL, 1.70 / 1.35),
}
"""Factors of card-present categories beside the day's own (card spending trackers: grocery + 58%, fuel - 18%).

They hold exactly: the other categories make room for them, so that the day's factor is kept.
"""


TABLE = changed_laws(0.85)
"""The laws of the table as it stands."""


@dataclass(frozen=True, eq=False)
class CategoryTables:
    """Alias tables of the category by (hour, persona): (24 * 256, 37) each, flattened.

    Attributes:
        keep: Thresholds of a 16-bit draw below which a cell keeps its own category.
        alias: Category that a cell gives otherwise.
    """

    keep: NDArray[np.int32]
    alias: U8

    def pick(self, hour: NDArray[np.intp], persona: U8, first: U16, second: U16) -> U8:
        """Return (n,) category numbers from (n,) hours, personas and two 16-bit draws."""
        cell = ((first.astype(np.uint32) * np.uint32(SIZE)) >> np.uint32(16)).astype(np.uint8)
        place = (hour * PERSONAS + persona) * SIZE + cell
        return np.where(second < self.keep[place], cell, self.alias[place])


@lru_cache(maxsize=4)
def personas(seed: int, generator: str, laws: CategoryLaws) -> F64:
    """Return (256, 37) factors of the categories, mean 1 a category, ordered by their appetite for remote shopping."""
    gammas = stream(seed, generator, "personas").standard_gamma(CONCENTRATION * laws.shares, (PERSONAS, SIZE))
    gammas += 1e-4
    gammas /= gammas.mean(axis=0)
    appetite = (gammas * laws.shares * laws.remotes).sum(axis=1) / (gammas * laws.shares).sum(axis=1)
    return np.asarray(gammas[np.argsort(appetite, kind="stable")])


@lru_cache(maxsize=32)
def category_tables(
    seed: int,
    generator: str,
    laws: CategoryLaws,
    channel: int,
    weekday: int,
    event: str | None,
    curve: tuple[float, ...],
) -> CategoryTables:
    """Return the alias tables of a channel on a kind of day.

    The hour curve and the category shares of the day are both kept by iterative fitting over (category, hour); the
    personas then multiply the categories, weighed so that their mean is kept in every hour.
    """
    shares = day_shares(laws, channel, weekday, event)
    weights_of_hours = [max(weight, 1e-9) for weight in curve]
    hours = np.array(weights_of_hours) / sum(weights_of_hours)
    joint = shares[:, None] * hours * np.array([_hours_of(c, weekday) for c in CODES])
    for _ in range(60):
        joint *= np.divide(shares, joint.sum(axis=1), out=np.zeros(SIZE), where=shares > 0)[:, None]
        joint *= (hours / joint.sum(axis=0))[None, :]
    target = joint.T / joint.sum(axis=0)[:, None]
    persona, weights = personas(seed, generator, laws), target
    for _ in range(6):
        shares_of = weights[:, None, :] * persona[None, :, :]
        shares_of /= shares_of.sum(axis=2, keepdims=True)
        mean = shares_of.mean(axis=1)
        weights = weights * np.divide(target, mean, out=np.zeros_like(mean), where=mean > 0)
    return _alias_tables((weights[:, None, :] * persona[None, :, :]).reshape(-1, SIZE))


def day_shares(laws: CategoryLaws, channel: int, weekday: int, event: str | None) -> F64:
    """Return (37,) shares of the categories among a channel's rows of a day that are not recurring; their sum is 1."""
    shares = laws.drawn_shares(channel)
    for code, week in DAY_TILTS.items():
        shares[index(code)] *= week[weekday]
    shares /= shares.sum()
    tilts = EVENT_TILTS.get(event or "", {}) if channel == CP else {}
    if tilts:
        moved = indices(*tilts)
        tilted = shares[moved] * np.array(list(tilts.values()))
        shares *= max(1.0 - tilted.sum(), 0.0) / (1.0 - shares[moved].sum())
        shares[moved] = tilted
        shares /= shares.sum()
    return np.asarray(shares)


def _hours_of(code: str, weekday: int) -> list[float]:
    tilt = HOUR_TILTS.get(code, {}) if code != "4111" or weekday < 5 else {}
    return [tilt.get(hour, 1.0) for hour in range(24)]


def _alias_tables(weights: F64) -> CategoryTables:
    """Build the alias tables of (tables, cells) weights together: one sweep over sorted cells, all tables a step."""
    tables, cells = weights.shape
    scaled = weights * (cells / weights.sum(axis=1, keepdims=True))
    order = np.argsort(scaled, axis=1)
    left = np.take_along_axis(scaled, order, axis=1)
    keep, alias = np.ones((tables, cells)), np.tile(np.arange(cells), (tables, 1))
    rows = np.arange(tables)
    low, high, current = np.zeros(tables, np.intp), np.full(tables, cells - 1), np.zeros(tables, np.intp)
    for _ in range(cells - 1):
        active = low < high
        here, donor = current[active], high[active]
        r = rows[active]
        keep[r, order[r, here]] = left[r, here]
        alias[r, order[r, here]] = order[r, donor]
        left[r, donor] -= 1.0 - left[r, here]
        spent = left[r, donor] < 1.0
        low[active] = np.where(spent, low[active], low[active] + 1)
        high[active] = np.where(spent, donor - 1, donor)
        current[active] = np.where(spent, donor, low[active])
    thresholds = np.round(keep.clip(0, 1) * 65_536).astype(np.int32)
    return CategoryTables(thresholds.ravel(), alias.astype(np.uint8).ravel())
