"""Cardholders, their cards and their trips: every attribute a function of (entity, day).

A customer is an occupant of a renewing slot; his number is entity * 8 + country. A card is (customer, 0 to 2); a card
lasts for a term of three years and is issued anew when the term ends, when the customer enters, and on the day after a
confirmed compromise. The token belongs to (card, day of issue), so it is known without remembering earlier tokens.

Activity is lambda ~ Gamma(1.3), mean 0.5 rows a day, clipped to [0.01, 6]. The appetite for remote purchases
b = 2 Beta(2.2, 2.2) weighs customers by lambda b in card-not-present rows and by lambda (1 - 0.35 b)/0.65 in
the others.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from generators.entities import BLOCK, I32, I64, EntityPool, Lifetime
from generators.finance.card_shares import TravelShares
from generators.finance.geography import COUNTRIES, areas
from generators.randomness import F64, LANES, hash64, hash_key, hash_lanes, normal_table, pick_table, stream

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]
F32 = NDArray[np.float32]
Tilt = Literal["all", "cp", "cnp", "victim"]

DAILY_ROWS = 0.5
"""Mean rows a day of a customer."""
ACTIVITY_SHAPE, ACTIVITY_RANGE = 1.3, (0.01, 6.0)
LIFETIME = Lifetime(scale=1460.0, minimum=365)
APPETITE_SHAPE = 2.2
REMOTE_WEIGHT = 0.35
"""Share of remote rows that the two weights of a customer are balanced around."""

TERM_DAYS = 1096
ISSUE_OFFSET = 2048
"""Added to days of issue, which may lie before 1970, so that tokens have no negative parts."""

BRANDS = ("visa", "mastercard", "amex", "discover")
TYPES = ("credit", "debit", "prepaid")
CREDIT_ONLY_BRANDS = (2, 3)
BIN_SERIES = 8
BIN_TYPES = ("CR", "DB", "PP")
BIN_GROUPS = tuple(
    f"BIN-{c.code}-{kind}-{n:02d}" for c in COUNTRIES for kind in BIN_TYPES for n in range(1, BIN_SERIES + 1)
)
LIMIT_MEDIAN, LIMIT_SIGMA = 6_000.0, 0.75
AGE_MEAN, AGE_SD, AGE_RANGE = 46.0, 16.0, (18.0, 90.0)
YEAR_DAYS = 365.25
LONGEST_TRIP_WINDOW = 100_000
"""Days of a window with one trip, at most: longer than the calendar."""


@dataclass(frozen=True)
class ActivityPool(EntityPool):
    """A population whose weights are clipped activities, tilted towards a channel or towards fraud's victims.

    Attributes:
        tilt: What the weights are for: all rows, one channel's rows, or compromises (the root of the activity).
    """

    tilt: Tilt = "all"

    @cached_property
    def weights(self) -> F64:
        """(65,536,) weights of a block of slots."""
        activity, appetite = activities(self.seed, self.generator)
        if self.tilt == "cnp":
            return activity * appetite
        if self.tilt == "cp":
            return activity * (1.0 - REMOTE_WEIGHT * appetite) / (1.0 - REMOTE_WEIGHT)
        return np.sqrt(activity) if self.tilt == "victim" else activity


@lru_cache(maxsize=4)
def activities(seed: int, generator: str) -> tuple[F64, F64]:
    """Return (65,536,) mean rows a day and appetites for remote purchases (mean 1) of a block of slots."""
    activity = stream(seed, generator, "activity").standard_gamma(ACTIVITY_SHAPE, BLOCK)
    activity *= DAILY_ROWS / ACTIVITY_SHAPE
    appetite = 2.0 * stream(seed, generator, "appetite").beta(APPETITE_SHAPE, APPETITE_SHAPE, BLOCK)
    return activity.clip(*ACTIVITY_RANGE), appetite


@lru_cache(maxsize=1)
def normals() -> F32:
    """Return (65,536,) standard normal quantiles of 16-bit draws."""
    return normal_table().astype(np.float32)


_PHI_SCALE = 512


@lru_cache(maxsize=1)
def _phi() -> F32:
    """Return the normal distribution function on [-6, 6] in steps of 1/512."""
    law = NormalDist()
    return np.array([law.cdf(i / _PHI_SCALE - 6.0) for i in range(12 * _PHI_SCALE + 1)], np.float32)


@lru_cache(maxsize=1)
def _entry_ages() -> I32:
    """Return (65,536,) ages in days at sign-up by quantile: N(46, 16) truncated to [18, 90]."""
    law = NormalDist(AGE_MEAN, AGE_SD)
    low, high = (law.cdf(a) for a in AGE_RANGE)
    grid = np.linspace(low, high, 2001).clip(1e-9, 1 - 1e-9)
    ages = np.array([law.inv_cdf(p) for p in grid]) * YEAR_DAYS
    return np.interp((np.arange(LANES) + 0.5) / LANES, np.linspace(0, 1, 2001), ages).astype(np.int32)


@lru_cache(maxsize=8)
def _limits() -> NDArray[np.uint32]:
    limits = LIMIT_MEDIAN * np.exp(LIMIT_SIGMA * normal_table())
    return (np.round(limits / 100) * 100).clip(300, 60_000).astype(np.uint32)


@dataclass(frozen=True, eq=False)
class Customers:
    """(n,) customers on a day: one array an attribute."""

    number: I64
    slot: I64
    country: U8
    tenure: I32
    remaining: I32
    """Days until the customer leaves."""

    def take(self, rows: NDArray[Any]) -> Customers:
        """Return the customers of some rows."""
        return Customers(
            self.number[rows], self.slot[rows], self.country[rows], self.tenure[rows], self.remaining[rows]
        )

    def joined(self, other: Customers) -> Customers:
        """Return these customers and others after them."""
        return Customers(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


@dataclass(frozen=True, eq=False)
class Homes:
    """(n,) places of residence.

    Attributes:
        area: Postal areas.
        lat: Latitudes, rounded to four decimals.
        lon: Longitudes, rounded to four decimals.
        version: Which of the customer's addresses: 0 for the first, else 1 + the year as a customer of the last move.
    """

    area: U16
    lat: F64
    lon: F64
    version: U8

    def take(self, rows: NDArray[Any]) -> Homes:
        """Return the residences of some rows."""
        return Homes(self.area[rows], self.lat[rows], self.lon[rows], self.version[rows])

    def joined(self, other: Homes) -> Homes:
        """Return these residences and others after them."""
        return Homes(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


@dataclass(frozen=True, eq=False)
class Cards:
    """(n,) cards on a day.

    Attributes:
        key: Card numbers: customer * 4 + 0, 1 or 2.
        issue: Days of issue since 1970-01-01, the last confirmed compromise not among them.
        remaining: Days until the term ends.
    """

    key: I64
    issue: I32
    remaining: I32


@dataclass(frozen=True, eq=False)
class Cardholders:
    """The customers of one generator under one config.

    Attributes:
        seed: The config's seed.
        generator: Name of the generator.
        daily: Rows on an ordinary day.
        countries: (country code, share of cardholders) pairs.
        brands: Shares of `BRANDS`.
        types: Shares of `TYPES`.
        card_counts: Shares of customers with one, two and three cards.
        travel: How often, how long and how far customers travel.
        moves: Probability of a move in a year as a customer.
    """

    seed: int
    generator: str
    daily: float
    countries: tuple[tuple[int, float], ...]
    brands: tuple[float, ...]
    types: tuple[float, ...]
    card_counts: tuple[float, ...]
    travel: TravelShares
    moves: float

    def slots(self, country: int) -> int:
        """Return the number of a country's customers at any time."""
        share = dict(self.countries)[country]
        return max(1, round(self.daily * share / DAILY_ROWS))

    def pool(self, country: int, tilt: Tilt) -> ActivityPool:
        """Return a country's pool with the weights of a purpose; pools of a country share their slots."""
        pools: dict[tuple[int, str], ActivityPool] = self.__dict__.setdefault("_pools", {})
        if (country, tilt) not in pools:
            pools[country, tilt] = ActivityPool(
                self.seed,
                self.generator,
                f"customer {COUNTRIES[country].code}",
                self.slots(country),
                LIFETIME,
                ACTIVITY_SHAPE,
                tilt,
            )
        return pools[country, tilt]

    def in_slots(self, country: int, slots: I64, day: int | I64) -> Customers:
        """Return the customers in (n,) slots of a country on a day (days since 1970-01-01)."""
        who = self.pool(country, "all").occupants(slots, day)
        number = (who.entity << 3) | country
        return Customers(number, slots, np.full(len(slots), country, np.uint8), who.age, who.lifetime - who.age)

    # -- attributes -----------------------------------------------------------------------------------------------

    def person(self, number: I64) -> U16:
        """Return (4, n) draws: age, persona, amount factor, number of cards."""
        return hash_lanes(self._key("person"), number)

    def addresses(self, number: I64, tenure: I32) -> U8:
        """Return (n,) versions of customers' addresses at their age in the pool.

        A customer moves in year y of his time with the probability of a move, on that year's hashed day.
        """
        version = np.zeros(len(number), np.uint8)
        bound, key = round(self.moves * LANES), self._key("moves")
        for block in range(0, int(tenure.max(initial=0)) // 365 + 1 if bound else 0, 4):
            rows = np.flatnonzero(tenure >= block * 365) if block else np.arange(len(number))
            draws = hash_lanes(key, number[rows] * 64 + block // 4)
            for year in range(4):
                movers = rows[draws[year] < bound]
                day = self._move_days(number[movers], block + year)
                version[movers[day <= tenure[movers]]] = block + year + 1
        return version

    def _move_days(self, number: I64, year: int) -> I32:
        """Return (n,) ages in the pool at which customers move who do in a year."""
        lane = hash_lanes(self._key("move day"), number * 128 + year)[0]
        return np.asarray(year * 365 + (lane.astype(np.int32) * 365 >> 16), np.int32)

    def homes(self, who: Customers) -> Homes:
        """Return where customers live on the day of their tenure; those who move stay in their country."""
        number, country, version = who.number, who.country, self.addresses(who.number, who.tenure)
        place, lanes = areas(), hash_lanes(self._key("home"), number)
        moved = np.flatnonzero(version)
        if len(moved):
            lanes[:, moved] = hash_lanes(self._key("new home"), number[moved] * 128 + version[moved])
        area_lane, lat_lane, lon_lane, _ = lanes
        if len(self.countries) == 1:
            area = place.picks[self.countries[0][0]][area_lane]
        else:
            area = np.stack(place.picks)[country, area_lane]
        south, north, west, east = place.boxes.T
        region = place.region[area]
        lat = place.lat[area] + 0.05 * normals()[lat_lane]
        lon = place.lon[area] + 0.05 * normals()[lon_lane]
        np.clip(lat, south[region], north[region], out=lat)
        np.clip(lon, west[region], east[region], out=lon)
        return Homes(area, np.round(lat, 4), np.round(lon, 4), version)

    def entry_days(self, who: Customers, age_lane: U16) -> I32:
        """Return (n,) ages in days at sign-up; appetite for remote purchases goes with youth (correlation 0.25)."""
        z = self._youth[who.slot % BLOCK] + np.float32(0.968) * normals()[age_lane]
        place = _phi()[((z + 6.0) * _PHI_SCALE).clip(0, 12 * _PHI_SCALE).astype(np.int32)]
        return np.asarray(_entry_ages()[(place * (LANES - 1)).astype(np.int32)], np.int32)

    def ages(self, who: Customers, age_lane: U16) -> U8:
        """Return (n,) completed years on the day, at most 90."""
        days = self.entry_days(who, age_lane) + who.tenure
        years = np.minimum(days * np.float32(1 / YEAR_DAYS), np.float32(90))
        return np.asarray(years.astype(np.uint8))

    def personas(self, age_lane: U16, persona_lane: U16) -> U8:
        """Return (n,) personas; the young are nearer the remote end (correlation 0.3)."""
        z = np.float32(-0.3) * normals()[age_lane] + np.float32(0.954) * normals()[persona_lane]
        place = _phi()[((z + 6.0) * _PHI_SCALE).clip(0, 12 * _PHI_SCALE).astype(np.int32)]
        return np.minimum(place * 256, 255).astype(np.uint8)

    @cached_property
    def _youth(self) -> F32:
        """(65,536,) part of the standard normal age that goes with the appetite of a slot."""
        _, appetite = activities(self.seed, self.generator)
        return np.asarray(-0.25 * (appetite - 1.0) / appetite.std(), np.float32)

    # -- cards ----------------------------------------------------------------------------------------------------

    def cards_held(self, count_lane: U16) -> U8:
        """Return (n,) numbers of cards of customers."""
        return np.asarray(self._card_counts[count_lane], np.uint8)

    @cached_property
    def _card_counts(self) -> U8:
        return pick_table(self.card_counts) + np.uint8(1)

    def cards(self, who: Customers, which: NDArray[Any], day: int | I64) -> Cards:
        """Return (n,) cards of customers on a day: which of the customer's, issued when, and for how long.

        Args:
            who: (n,) customers on the day.
            which: (n,) 0, 1 or 2.
            day: Days since 1970-01-01, one or (n,).
        """
        key = (who.number << 2) | which
        age = (self._phases(key) + day) % TERM_DAYS
        days = np.minimum(age, who.tenure)
        left = np.minimum(TERM_DAYS - age, who.remaining)
        return Cards(key, (day - days).astype(np.int32), left.astype(np.int32))

    def _phases(self, key: I64) -> I64:
        phase = (self.card_words(key) >> np.uint64(48)) * np.uint64(TERM_DAYS) >> np.uint64(16)
        return phase.astype(np.int64)

    def phases(self, key: I64) -> I64:
        """Return (n,) days by which the terms of cards are shifted: a term starts where (day + phase) % 1096 is 0."""
        return self._phases(key)

    def card_words(self, key: I64) -> U64:
        """Return (n,) words of cards: lanes for brand and type, BIN series, credit limit, term phase."""
        return hash64(self._key("card"), key)

    def card_pairs(self, words: U64) -> tuple[U8, U8]:
        """Return (brand, type) codes of (n,) cards from their words."""
        pair = self._pair_table[(words & np.uint64(0xFFFF)).astype(np.intp)]
        return np.asarray(pair // len(TYPES), np.uint8), np.asarray(pair % len(TYPES), np.uint8)

    @staticmethod
    def bin_groups(words: U64, country: U8, kind: U8) -> U8:
        """Return (n,) codes into `BIN_GROUPS`."""
        series = (words >> np.uint64(16)).astype(np.uint8) & np.uint8(BIN_SERIES - 1)
        first = country * np.uint8(len(BIN_TYPES) * BIN_SERIES)
        return np.asarray(first + kind * np.uint8(BIN_SERIES) + series, np.uint8)

    @staticmethod
    def credit_limits(words: U64) -> NDArray[np.uint32]:
        """Return (n,) limits of cards in USD."""
        return _limits()[((words >> np.uint64(32)) & np.uint64(0xFFFF)).astype(np.intp)]

    @cached_property
    def _pair_table(self) -> U8:
        """(65,536,) brand * 3 + type: both margins kept; amex and discover issue credit cards only where they can."""
        brands, types = np.array(self.brands), np.array(self.types)
        closed = brands[list(CREDIT_ONLY_BRANDS)].sum()
        joint = np.outer(brands, types)
        if closed <= types[0] and closed < 1.0:
            rest = types.copy()
            rest[0] -= closed
            joint = np.outer(brands, rest / (1.0 - closed))
            for brand in CREDIT_ONLY_BRANDS:
                joint[brand] = (brands[brand], 0.0, 0.0)
        return pick_table(tuple(joint.ravel()))

    # -- trips ----------------------------------------------------------------------------------------------------

    def trips(self, number: I64, day: NDArray[Any] | int) -> tuple[NDArray[np.bool_], U64]:
        """Return whether (n,) customers travel on a day, and the word of the trip: what hangs on it is constant.

        One trip falls into each window of days, 146 for 2.5 trips a year, whose phase is the customer's.
        """
        if self.travel.trips_per_year == 0.0:
            return np.zeros(len(number), np.bool_), np.zeros(len(number), np.uint64)
        days = min(round(365 / self.travel.trips_per_year), LONGEST_TRIP_WINDOW)
        moment = (hash64(self._key("trip phase"), number) % np.uint64(days)).astype(np.int64) + day + ISSUE_OFFSET
        window, inside = np.divmod(moment, days)
        word = hash64(self._key("trip"), number * 1024 + window)
        low, high = self.travel.trip_days
        length = ((word & np.uint64(0xFF)) * np.uint64(high - low + 1) >> np.uint64(8)).astype(np.int64) + low
        start = ((word >> np.uint64(8) & np.uint64(0xFFFF)) * np.uint64(days - high) >> np.uint64(16)).astype(np.int64)
        return (inside >= start) & (inside < start + length), word

    def _key(self, word: str) -> np.uint64:
        keys: dict[str, np.uint64] = self.__dict__.setdefault("_keys", {})
        if word not in keys:
            keys[word] = hash_key(self.seed, self.generator, "cardholder", word)
        return keys[word]


def trip_abroad(shares: TravelShares, word: U64) -> NDArray[np.bool_]:
    """Return whether (n,) trips go abroad."""
    return np.asarray((word >> np.uint64(24) & np.uint64(0xFF)) < np.uint64(round(shares.abroad * 256)))
