"""Merchants: pools by category and place, Zipf popularity inside a pool, renewal, and names from a vocabulary.

A merchant slot belongs to a country's national and online pool of a category (s = 1.4 over max(40, 6000 x share)) or to
a region's pool (s = 1.0 over max(6, 500 x share)); countries nobody lives in keep a quarter of the national pool. The
merchant in a slot gives way to a new one after six years on average. A row's merchant is one of the customer's two
favourites of the category (visited in proportion to rank ** -0.8) or, with probability 0.25, any merchant. Who moves
finds favourites at his new home; remote ones stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.entities import I64, EntityPool, Lifetime
from generators.finance import mcc
from generators.finance.card_shares import MerchantShares
from generators.finance.geography import COUNTRIES, COUNTRY_CODES, areas
from generators.identifiers import base32_views, permute
from generators.randomness import F64, LANES, hash64, hash_key, hash_lanes, stream

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]

NATIONAL_SIZE, NATIONAL_LEAST, NATIONAL_EXPONENT = 6000, 40, 1.4
REGIONAL_SIZE, REGIONAL_LEAST, REGIONAL_EXPONENT = 500, 6, 1.0
FOREIGN_PART = 0.25
FAVOURITES, FAVOURITE_EXPONENT = 2, 0.8
LIFETIME = Lifetime(scale=1095.0, minimum=365)
"""Gamma(2): six years on average."""
NAMES_PER_CATEGORY = 192

_SUFFIXES: dict[str, tuple[str, ...]] = {
    "grocery": ("Grocers", "Food Market", "Fresh Foods"), "restaurant": ("Kitchen", "Table", "Dining Room"),
    "fast_food": ("Burgers", "Tacos", "Noodle Bar"), "fuel": ("Fuel", "Service Station", "Gas & Go"),
    "convenience": ("Corner Shop", "Mini Mart", "Express Mart"), "pharmacy": ("Pharmacy", "Drug Store", "Apothecary"),
    "department_store": ("Department Store", "Galleries", "Emporium"),
    "discount_store": ("Discounts", "Bargains", "Outlet"),
    "wholesale_club": ("Wholesale Club", "Warehouse Club", "Bulk Buyers"),
    "apparel": ("Clothing", "Outfitters", "Footwear"),
    "electronics": ("Electronics", "Audio & Video", "Devices"),
    "home_improvement": ("Home Supply", "Hardware", "Building Centre"),
    "home_furnishing": ("Furniture", "Interiors", "Home Furnishings"), "books": ("Books", "Bookshop", "Readers"),
    "toys_hobby": ("Toys", "Hobby House", "Games Shop"), "specialty_retail": ("Goods", "Supply Co", "Boutique"),
    "direct_marketing": ("Direct", "Mail Order", "Online Store"), "digital_goods": ("Media", "Play", "Studios"),
    "subscription": ("Streaming", "Cable", "Channels"), "telecom": ("Mobile", "Telecom", "Wireless"),
    "utilities": ("Energy", "Water & Power", "Utilities"), "rideshare": ("Rides", "Taxi", "Cabs"),
    "transit": ("Transit", "Metro Lines", "Bus Lines"), "airline": ("Airways", "Air", "Airlines"),
    "lodging": ("Hotel", "Inn", "Lodge"), "healthcare": ("Medical Group", "Family Practice", "Clinic"),
    "personal_care": ("Salon", "Barbers", "Hair Studio"), "beauty_retail": ("Beauty", "Cosmetics", "Perfumery"),
    "liquor": ("Wine & Spirits", "Liquors", "Bottle Shop"), "bar": ("Tavern", "Taproom", "Bar"),
    "entertainment": ("Cinema", "Pictures", "Playhouse"), "gambling": ("Betting", "Lottery", "Gaming"),
    "insurance": ("Insurance", "Mutual", "Assurance"), "charity": ("Foundation", "Relief Fund", "Trust"),
}  # fmt: skip


@lru_cache(maxsize=4)
def names(seed: int) -> tuple[str, ...]:
    """Return 37 x 192 fictitious merchant names, categories in order: two surnames and a word of the trade."""
    from faker import Faker  # noqa: TID251 - a vocabulary, made once a seed by a seeded instance

    faker = Faker("en_US")
    faker.seed_instance(seed)
    surnames = sorted({faker.last_name() for _ in range(600)})
    picks = stream(seed, "merchant names").integers(0, len(surnames), (mcc.SIZE, NAMES_PER_CATEGORY, 2))
    texts = []
    for number, category in enumerate(mcc.CATEGORIES):
        suffixes = _SUFFIXES[category.group]
        for place in range(NAMES_PER_CATEGORY):
            first, second = (surnames[i] for i in picks[number, place])
            texts.append(f"{first} & {second} {suffixes[place % len(suffixes)]}")
    return tuple(texts)


@dataclass(frozen=True, eq=False)
class Slots:
    """The merchant slots of a config, and where each pool begins.

    Attributes:
        category: (slots,) category numbers.
        country: (slots,) country codes.
        region: (slots,) region codes of the merchant's seat.
        rank: (slots,) place in its pool by popularity, from 1.
        national: (countries, 37) first slot of each national pool.
        regional: (regions, 37) first slot of each regional pool, -1 where nobody lives.
        local: (slots,) whether the pool is a region's.
    """

    category: U8
    country: U8
    region: U8
    rank: U16
    national: NDArray[np.int32]
    regional: NDArray[np.int32]
    local: NDArray[np.bool_]


def pool_sizes(laws: mcc.CategoryLaws, size: int, least: int) -> NDArray[np.int64]:
    """Return (37,) numbers of merchants of the categories' pools."""
    return np.maximum(least, np.round(size * laws.shares)).astype(np.int64)


@lru_cache(maxsize=8)
def _ranks(laws: mcc.CategoryLaws, size: int, least: int, exponent: float) -> U16:
    """Return (37 * 65,536,) places in a pool, from 0, by (category, 16-bit draw): Zipf."""
    tables = []
    middles = (np.arange(LANES) + 0.5) / LANES
    for count in pool_sizes(laws, size, least):
        edges = np.cumsum(np.arange(1, count + 1) ** -exponent)
        tables.append(np.searchsorted(edges / edges[-1], middles).clip(0, count - 1).astype(np.uint16))
    return np.concatenate(tables)


@dataclass(frozen=True, eq=False)
class Merchants:
    """The merchants of one generator under one config.

    Attributes:
        seed: The config's seed.
        generator: Name of the generator.
        homes: Codes of the countries in which cardholders live.
        laws: Shares of the categories.
        shares: How often customers explore, and how often they go to chains.
    """

    seed: int
    generator: str
    homes: tuple[int, ...]
    laws: mcc.CategoryLaws
    shares: MerchantShares

    @cached_property
    def slots(self) -> Slots:
        """All merchant slots."""
        place = areas()
        category, country, region, rank, local = [], [], [], [], []
        national = np.zeros((len(COUNTRIES), mcc.SIZE), np.int32)
        regional = np.full((len(place.boxes), mcc.SIZE), -1, np.int32)
        rng = stream(self.seed, self.generator, "merchant seats")
        region_country = np.zeros(len(place.boxes), np.uint8)
        region_country[place.region] = place.country
        total = 0

        def add(code: int, seats: NDArray[Any], number: int, count: int, of_region: bool) -> int:
            category.append(np.full(count, number, np.uint8))
            country.append(np.full(count, code, np.uint8))
            region.append(seats.astype(np.uint8))
            rank.append(np.arange(1, count + 1, dtype=np.uint16))
            local.append(np.full(count, of_region))
            return total

        for code in range(len(COUNTRIES)):
            own = np.flatnonzero(region_country == code)
            people = place.population[own] / place.population[own].sum()
            for number, count in enumerate(pool_sizes(self.laws, *self._national_size(code))):
                seats = own[rng.choice(len(own), int(count), p=people)]
                national[code, number] = add(code, seats, number, int(count), False)
                total += int(count)
            if code not in self.homes:
                continue
            for seat in own:
                for number, count in enumerate(pool_sizes(self.laws, REGIONAL_SIZE, REGIONAL_LEAST)):
                    regional[seat, number] = add(code, np.full(int(count), seat), number, int(count), True)
                    total += int(count)
        return Slots(
            np.concatenate(category), np.concatenate(country), np.concatenate(region), np.concatenate(rank),
            national, regional, np.concatenate(local),
        )  # fmt: skip

    def _national_size(self, country: int) -> tuple[int, int]:
        if country in self.homes:
            return NATIONAL_SIZE, NATIONAL_LEAST
        return round(NATIONAL_SIZE * FOREIGN_PART), round(NATIONAL_LEAST * FOREIGN_PART)

    @cached_property
    def pool(self) -> EntityPool:
        """The renewing slots; their weights are not used, popularity is a pool's own."""
        return EntityPool(self.seed, self.generator, "merchant", len(self.slots.category), LIFETIME, 1.0)

    def in_country(self, country: NDArray[Any], category: U8, lane: U16) -> NDArray[np.int32]:
        """Return (n,) slots of the national pools of countries."""
        place = (category.astype(np.intp) << 16) + lane
        ranks = _ranks(self.laws, NATIONAL_SIZE, NATIONAL_LEAST, NATIONAL_EXPONENT)
        slot = self.slots.national[country, category] + ranks[place]
        away = np.flatnonzero(~np.isin(country, self.homes))
        if len(away):
            size, least = round(NATIONAL_SIZE * FOREIGN_PART), round(NATIONAL_LEAST * FOREIGN_PART)
            ranks = _ranks(self.laws, size, least, NATIONAL_EXPONENT)
            slot[away] = self.slots.national[country[away], category[away]] + ranks[place[away]]
        return np.asarray(slot, np.int32)

    def in_region(self, region: U8, category: U8, lane: U16) -> NDArray[np.int32]:
        """Return (n,) slots of the regional pools of regions."""
        place = (category.astype(np.intp) << 16) + lane
        ranks = _ranks(self.laws, REGIONAL_SIZE, REGIONAL_LEAST, REGIONAL_EXPONENT)
        return np.asarray(self.slots.regional[region, category] + ranks[place], np.int32)

    def visit_words(
        self, customer: I64, category: U8, explore: U16, fresh: NDArray[np.uint64], address: U8
    ) -> NDArray[np.uint64]:
        """Return (n,) words that decide merchant and terminal: those of a favourite, or fresh ones.

        Args:
            customer: (n,) customer numbers.
            category: (n,) category numbers.
            explore: (n,) 16-bit draws that decide between favourites and exploring.
            fresh: (n,) random words.
            address: (n,) versions of the address near which favourites are; 0 for remote rows and first addresses.
        """
        known = 1.0 - self.shares.explore
        second_from = known / (1.0 + 2.0**-FAVOURITE_EXPONENT)
        choice = (explore >= round(second_from * LANES)).astype(np.int64)
        favourite = (customer * 64 + category) * FAVOURITES + choice
        words = hash64(hash_key(self.seed, self.generator, "favourite"), favourite)
        moved = np.flatnonzero(address)
        if len(moved):
            key = hash_key(self.seed, self.generator, "favourite of mover")
            words[moved] = hash64(key, favourite[moved] * 128 + address[moved])
        return np.where(explore >= round(known * LANES), fresh, words)

    def shown(self, slot: NDArray[np.int32], day: int) -> tuple[U16, U32]:
        """Return (Arrow views of the ids, numbers of the names) of the merchants in (n,) slots on a day."""
        if len(slot) < len(self.slots.category):
            found = self.of(self.pool.occupants(slot.astype(np.int64), day).entity)
            return found.views, found.name
        cache: dict[int, MerchantDay] = self.__dict__.setdefault("_days", {})
        if day not in cache:
            cache.clear()
            cache[day] = self.of(self.pool.occupants(np.arange(len(self.slots.category)), day).entity)
        return cache[day].views[slot], cache[day].name[slot]

    def of(self, entity: I64) -> MerchantDay:
        """Return what is shown of (n,) merchants."""
        lanes = hash_lanes(hash_key(self.seed, self.generator, "merchant"), entity)
        slot = entity % len(self.slots.category)
        name = self.slots.category[slot] * np.int32(NAMES_PER_CATEGORY) + (lanes[0] % NAMES_PER_CATEGORY)
        key = hash_key(self.seed, self.generator, "merchant", "id")
        return MerchantDay(entity, base32_views("mer_", permute(entity, 40, key)), name.astype(np.uint32), lanes)

    def seats(self, slot: NDArray[Any], lanes: U16) -> tuple[F64, F64]:
        """Return (latitude, longitude) of merchants' seats, inside the region's box."""
        south, north, west, east = areas().boxes[self.slots.region[slot]].T
        lat = south + (north - south) * (lanes[1] + 0.5) / LANES
        lon = west + (east - west) * (lanes[2] + 0.5) / LANES
        return np.round(lat, 5), np.round(lon, 5)

    def online(self, slot: NDArray[Any]) -> NDArray[np.bool_]:
        """Return whether merchants sell without the card present: national ones of categories that have such rows."""
        return np.asarray(~self.slots.local[slot] & (self.laws.remotes[self.slots.category[slot]] > 0.0))


@dataclass(frozen=True, eq=False)
class MerchantDay:
    """(n,) merchants: entity numbers, Arrow views of ids, numbers of names, and (4, n) draws of attributes."""

    entity: I64
    views: U16
    name: U32
    lanes: U16


def foreign_country(home: NDArray[Any], lane: U16) -> U8:
    """Return (n,) countries other than the home country, by 16-bit draw and the global mix."""
    table = _foreign_table()
    return np.asarray(table[home, lane.astype(np.intp)], np.uint8)


@lru_cache(maxsize=1)
def _foreign_table() -> U8:
    shares = np.array([c.share for c in COUNTRIES])
    tables = []
    middles = (np.arange(LANES) + 0.5) / LANES
    for home in range(len(COUNTRY_CODES)):
        others = shares.copy()
        others[home] = 0.0
        others = np.sqrt(others)  # the largest market is not the only destination
        edges = np.cumsum(others) / others.sum()
        tables.append(np.searchsorted(edges, middles).clip(0, len(edges) - 1))
    return np.array(tables, np.uint8)
