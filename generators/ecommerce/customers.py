"""Customers of an online shop, their devices and payment accounts: every attribute a function of (entity, day).

A customer has one latent credit risk f ~ N(0, 1) that is never exported; ordinal attributes are cut from noisy copies
of it, which gives the correlations that people of the field expect (Spearman of credit and income 0.24, of credit and
limit 0.47).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.days import day_number
from generators.ecommerce.bnpl_drift import HIGHEST_LIMIT_FACTOR, SEGMENT_RISK, BNPLScenario
from generators.entities import I32, I64, EntityPool, Lifetime, Occupants
from generators.randomness import F64, LANES, hash64, hash_key, look_up, normal_table, pick_table

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

CREDIT_RANGES = ("excellent", "good", "fair", "poor")
CREDIT_SHARES = {
    "guide": (0.15, 0.35, 0.35, 0.15),
    "cfpb": (0.07, 0.18, 0.30, 0.45),  # deep subprime 45% and subprime 16% of loans, CFPB 2025
}
INCOME_BRACKETS = ("<25k", "25k-50k", "50k-75k", "75k-100k", "100k+")
INCOME_SHARES = (0.15, 0.28, 0.23, 0.18, 0.16)
VERIFICATION_LEVELS = ("verified", "partial", "unverified")
VERIFICATION_SHARES = (0.60, 0.30, 0.10)
UNVERIFIED = 2
VERIFICATION_STEP_DAYS = 180
"""Tenure at which the unverified have become partially verified."""
ADDRESS_STABILITIES = ("stable", "new", "frequent_mover")
ADDRESS_SHARES = (0.60, 0.20, 0.20)
YEARLY_MOVES = (0.03, 0.06, 0.15)
"""Probability of a move in a customer's year, by address stability; 0.06 on average."""

AGE_BRACKETS = ("18-24", "25-34", "35-44", "45-54", "55+")
AGE_SHARES = (0.12, 0.35, 0.28, 0.15, 0.10)
AGE_EDGES = (18, 25, 35, 45, 55, 80)
YEAR_DAYS = 365.25

STATES = {
    "AL": 5.02, "AK": 0.73, "AZ": 7.15, "AR": 3.01, "CA": 39.54, "CO": 5.77, "CT": 3.61, "DE": 0.99, "DC": 0.69,
    "FL": 21.54, "GA": 10.71, "HI": 1.46, "ID": 1.84, "IL": 12.81, "IN": 6.79, "IA": 3.19, "KS": 2.94, "KY": 4.51,
    "LA": 4.66, "ME": 1.36, "MD": 6.18, "MA": 7.03, "MI": 10.08, "MN": 5.71, "MS": 2.96, "MO": 6.15, "MT": 1.08,
    "NE": 1.96, "NV": 3.10, "NH": 1.38, "NJ": 9.29, "NM": 2.12, "NY": 20.20, "NC": 10.44, "ND": 0.78, "OH": 11.80,
    "OK": 3.96, "OR": 4.24, "PA": 13.00, "RI": 1.10, "SC": 5.12, "SD": 0.89, "TN": 6.91, "TX": 29.15, "UT": 3.27,
    "VT": 0.64, "VA": 8.63, "WA": 7.71, "WV": 1.79, "WI": 5.89, "WY": 0.58,
}  # fmt: skip
"""Resident population in millions, US Census 2020."""

DEVICE_COUNT_SHARES = (0.55, 0.35, 0.10)
DEVICE_LIFETIME_DAYS = (350, 900)
TRUSTED_AFTER_DAYS = 30
DEVICE_TYPES = ("mobile", "desktop", "tablet")
DEVICE_SYSTEMS = ("iOS", "Android", "Windows", "macOS", "Linux")
DEVICE_PAIRS = (
    ("mobile", "iOS"), ("mobile", "Android"), ("desktop", "Windows"), ("desktop", "macOS"), ("desktop", "Linux"),
    ("tablet", "iOS"), ("tablet", "Android"), ("tablet", "Windows"),
)  # fmt: skip
IOS_SHARE = {"US": 0.57}
"""Share of phones that run iOS; 0.30 elsewhere."""

PROVIDERS = ("affirm", "klarna", "afterpay", "sezzle")
SECOND_ACCOUNT_SHARE = 0.20
LIMITS = (500, 1000, 1500, 2500, 5000)
LIMIT_SHARES = (0.30, 0.27, 0.20, 0.15, 0.08)
HIGHEST_LIMIT = round(LIMITS[-1] * HIGHEST_LIMIT_FACTOR)
"""Reached under a drift only; without one it is the last of `LIMITS`."""

CUSTOMER_YEAR_ROWS = 5.5
"""Rows of an average slot in a year."""
CUSTOMER_LIFETIME = Lifetime(scale=484.0, minimum=30)
ACTIVITY_SHAPE = 0.5

PRIMARY_SHARE = 0.85
"""Share of rows on the customer's newest device."""


@lru_cache(maxsize=32)
def cuts(shares: tuple[float, ...]) -> list[float]:
    """Return the standard normal quantiles that cut categories of the given shares, lowest category first."""
    inverse = NormalDist().inv_cdf
    return [inverse(edge) for edge in np.cumsum(shares)[:-1]]


def graded(score: F32, shares: tuple[float, ...]) -> U8:
    """Return (n,) category codes cut from (n,) standard normal scores."""
    code = np.zeros(len(score), np.uint8)
    for cut in cuts(shares):
        code += score >= np.float32(cut)
    return code


@lru_cache(maxsize=1)
def _normals() -> F32:
    return normal_table().astype(np.float32)


@lru_cache(maxsize=1)
def _entry_ages() -> I32:
    """(65536,) ages in days at sign-up by 16-bit draw: uniform inside the brackets."""
    edges = np.concatenate([[0.0], np.cumsum(AGE_SHARES)])
    return np.floor(np.interp((np.arange(LANES) + 0.5) / LANES, edges, np.array(AGE_EDGES) * YEAR_DAYS)).astype(
        np.int32
    )


def _youngest(draws: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return (n,) draws of the age at sign-up moved into the youngest bracket."""
    return (draws * AGE_SHARES[0]).astype(np.uint16)


@lru_cache(maxsize=1)
def _age_codes() -> U8:
    """Bracket code by age in days."""
    return np.searchsorted(np.array(AGE_EDGES[1:-1]) * YEAR_DAYS, np.arange(60_000), side="right").astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Customers:
    """(n,) customers on a day: one array an attribute, codes into the constants of this module."""

    entity: I64
    tenure: I32
    risk: F32
    credit: U8
    income: U8
    income_score: F32
    verification: U8
    address: U8
    age: U8
    entry: U8
    """Age bracket at sign-up."""
    home: NDArray[np.uint16]
    """Draws of the state at sign-up, for `CustomerBase.states`."""


@dataclass(frozen=True, eq=False)
class Devices:
    """(n,) devices in use: number, age in days since first seen."""

    number: NDArray[np.uint64]
    age: I32


@dataclass(frozen=True, eq=False)
class Accounts:
    """(n,) payment accounts in use: which of the customer's (0 or 1), provider code, limit code on that day."""

    which: U8
    provider: U8
    limit: U8


@dataclass(frozen=True, eq=False)
class CustomerBase:
    """The customers of one generator under one config.

    Attributes:
        seed: The config's seed.
        generator: Name of the generator.
        slots: Customers at any time.
        market: Key of `CREDIT_SHARES`.
        country: Decides the share of iOS phones; states are those of the US.
        risk_shift: Added to the latent risk of everyone before the credit range is cut, in standard deviations.
        yearly_miss: (257,) probability of a missed payment in a year, by latent risk on [-4, 4].
        scenario: The drifts.
    """

    seed: int
    generator: str
    slots: int
    market: str
    country: str
    risk_shift: float
    yearly_miss: F64
    scenario: BNPLScenario

    @cached_property
    def pool(self) -> EntityPool:
        """The renewing slots."""
        return EntityPool(self.seed, self.generator, "customer", self.slots, CUSTOMER_LIFETIME, ACTIVITY_SHAPE)

    def on_day(self, slots: I64, day: date) -> Customers:
        """Return the customers in (n,) slots on a day."""
        return self.attributes(self.pool.occupants(slots, day_number(day)))

    def attributes(self, who: Occupants) -> Customers:
        """Return the attributes of occupants at their age in the pool."""
        normal, (r, c, i, v) = _normals(), self.pool.lanes("grades", who.entity)
        a, b, s, _ = self.pool.lanes("person", who.entity)
        segment = self.in_segment(who.entity) if self.scenario.of("new_segment") else None
        risk = self._risk(r)
        if segment is not None:
            risk[segment] += np.float32(SEGMENT_RISK)
            a[segment] = _youngest(a[segment])
        credit_score = np.float32(0.75) * risk + np.float32(0.66) * look_up(normal, c)
        income_score = self._income_score(risk, i)
        verification_score = np.float32(0.30) * risk + np.float32(0.95) * look_up(normal, v)
        entry = look_up(_entry_ages(), a)
        # Young people move more: five years are worth a tenth of a standard deviation.
        address_score = (
            np.float32(0.15) * risk
            + np.float32(0.95) * look_up(normal, b)
            + (np.float32(37.0) - entry * np.float32(1 / YEAR_DAYS)) * np.float32(0.02)
        )
        verification = graded(verification_score, VERIFICATION_SHARES)
        if segment is not None:
            verification[segment] = UNVERIFIED
        verification -= (who.age >= VERIFICATION_STEP_DAYS) & (verification == UNVERIFIED)
        return Customers(
            entity=who.entity,
            tenure=who.age,
            risk=risk,
            credit=graded(credit_score, CREDIT_SHARES[self.market]),
            income=graded(income_score, INCOME_SHARES),
            income_score=income_score,
            verification=verification,
            address=graded(address_score, ADDRESS_SHARES),
            age=look_up(_age_codes(), entry + who.age),
            entry=look_up(_age_codes(), entry),
            home=s,
        )

    def in_segment(self, entities: I64) -> NDArray[np.bool_]:
        """Return whether (n,) customers belong to the new segment: by the day on which they signed up."""
        share = self.scenario.segment(self.pool.entered(entities))
        return np.asarray(self.pool.lanes("segment", entities)[0] < share * LANES)

    def segment_first(self, slots: I64, rng: np.random.Generator, day: date) -> I64:
        """Return (n,) slots of which those of the new segment buy twice as often: of two drawn, they come first."""
        others = self.pool.draw(len(slots), rng)
        return np.where(self.in_segment(self.pool.occupants(others, day_number(day)).entity), others, slots)

    def states(self, who: Customers) -> pl.Series:
        """Return the states in which (n,) customers live: of their sign-up, or their last move; null outside the US."""
        if self.country != "US":
            return pl.repeat(None, len(who.entity), dtype=pl.UInt8, eager=True)
        state = look_up(_state_table(), who.home)
        limit = look_up((np.array(YEARLY_MOVES) * LANES).astype(np.uint16), who.address)
        for block in range(0, int(who.tenure.max(initial=0)) // 365 + 1, 4):
            entity, bound, rows = who.entity, limit, None
            if block:
                rows = np.flatnonzero(who.tenure >= block * 365)
                entity, bound = entity[rows], limit[rows]
            draws = self.pool.lanes(f"moves {block}", entity)
            for year in range(4):
                movers = np.flatnonzero(draws[year] < bound)
                moved = movers if rows is None else rows[movers]
                moved = moved[who.tenure[moved] >= (block + year) * 365]
                if len(moved):
                    day_lane, state_lane, _, _ = self.pool.lanes(f"move {block + year}", who.entity[moved])
                    on_day = (block + year) * 365 + (day_lane.astype(np.int32) * 365 >> 16)
                    done = on_day <= who.tenure[moved]
                    state[moved[done]] = _state_table()[state_lane[done]]
        return pl.Series(state)

    def moves(self, entities: I64, ages: I32) -> tuple[I64, I32]:
        """Return (row, age in days) of every move of (n,) customers up to their ages, in order of row and age."""
        found: list[tuple[I64, I32]] = []
        address = self.attributes(Occupants(entities, np.zeros(len(entities), np.int32), ages)).address
        limit = look_up((np.array(YEARLY_MOVES) * LANES).astype(np.uint16), address)
        for year in range(int(ages.max(initial=0)) // 365 + 1):
            draws = self.pool.lanes(f"moves {year // 4 * 4}", entities)[year % 4]
            lane = self.pool.lanes(f"move {year}", entities)[0]
            on_day = year * 365 + (lane.astype(np.int32) * 365 >> 16)
            rows = np.flatnonzero((draws < limit) & (on_day <= ages))
            found.append((rows, on_day[rows].astype(np.int32)))
        rows = np.concatenate([r for r, _ in found])
        days = np.concatenate([d for _, d in found])
        order = np.lexsort((days, rows))
        return rows[order], days[order]

    # -- devices --------------------------------------------------------------------------------------------------

    def devices(self, who: Customers, draws: NDArray[np.uint16], others: NDArray[np.uint16]) -> Devices:
        """Return the device of each row: the newest with p = 0.85, else one of the customer's others.

        Args:
            who: (n,) customers.
            draws: (n,) 16-bit draws that decide newest or other.
            others: (n,) 16-bit draws that pick among the others.
        """
        count = self.device_slots(who.entity)
        number, age = self._device(who.entity, who.tenure, 0)
        several = np.flatnonzero(count > 1)
        if len(several):
            entity, tenure, slots = who.entity[several], who.tenure[several], count[several]
            held = [(number[several], age[several]), *(self._device(entity, tenure, slot) for slot in (1, 2))]
            ages = [a for _, a in held]
            newest = (ages[1] < ages[0]).astype(np.uint8)
            newest[(slots == 3) & (ages[2] < np.minimum(ages[0], ages[1]))] = 2
            further = (others[several].astype(np.uint32) * (slots - 1) >> 16).astype(np.uint8)
            chosen = np.where(draws[several] < int(PRIMARY_SHARE * LANES), newest, (newest + 1 + further) % slots)
            number[several] = np.choose(chosen, [n for n, _ in held])
            age[several] = np.choose(chosen, ages)
        return Devices(number, age)

    def device_slots(self, entity: I64) -> U8:
        """Return (n,) numbers of devices that customers use at a time: 1, 2 or 3."""
        return np.asarray(look_up(_device_counts(), self.pool.lanes("devices", entity)[0]), np.uint8)

    def device_life(self, entity: I64, slot: U8 | int) -> tuple[I32, I32]:
        """Return (lifetime, phase) in days of device slots: a device gives way when age + phase passes one."""
        words = hash64(self._device_key, self.device_number(entity, slot, 0)).view(np.uint16).reshape(-1, 4)
        low, high = DEVICE_LIFETIME_DAYS
        lifetime = (words[:, 0].astype(np.int32) * (high - low) >> 16) + low
        return lifetime, words[:, 1].astype(np.int32) * lifetime >> 16

    @staticmethod
    def device_number(entity: I64, slot: U8 | int, generation: NDArray[Any] | int) -> NDArray[np.uint64]:
        """Return (n,) numbers of devices: owner, two bits for the slot, six for its generation."""
        number = entity.astype(np.uint64) << np.uint64(8)
        number |= np.asarray(slot, np.uint64) << np.uint64(6)
        number |= np.asarray(generation, np.uint64)
        return number

    def _device(self, entity: I64, tenure: I32, slot: int) -> tuple[NDArray[np.uint64], I32]:
        """Return (number, age) of a slot's device; the first one is first seen at sign-up."""
        lifetime, moment = self.device_life(entity, slot)
        moment += tenure
        generation, age = np.divmod(moment, lifetime)
        return self.device_number(entity, slot, generation), np.minimum(age, tenure)

    def device_pairs(self, number: NDArray[np.uint64], owner: Customers) -> U8:
        """Return (n,) indices into `DEVICE_PAIRS` of devices: by the owner's age at sign-up and income."""
        lane = (hash64(self._pair_key, number) >> np.uint64(52)).astype(np.intp)
        cell = (owner.entry * np.uint8(5) + owner.income).astype(np.intp)
        return np.take(_pair_table(self.country), (cell << 12) + lane)

    def entry_age(self, entity: I64) -> I32:
        """Return (n,) ages in days at sign-up."""
        draws = self.pool.lanes("person", entity)[0]
        if self.scenario.of("new_segment"):
            draws = np.where(self.in_segment(entity), _youngest(draws), draws)
        return np.asarray(look_up(_entry_ages(), draws), np.int32)

    def _risk(self, draws: NDArray[np.uint16]) -> F32:
        risk = look_up(_normals(), draws)
        return risk + np.float32(self.risk_shift) if self.risk_shift else risk

    @staticmethod
    def _income_score(risk: F32, draws: NDArray[np.uint16]) -> F32:
        return np.float32(-0.35) * risk + np.float32(0.94) * look_up(_normals(), draws)

    @cached_property
    def _device_key(self) -> np.uint64:
        return hash_key(self.seed, self.generator, "device", "life")

    @cached_property
    def _pair_key(self) -> np.uint64:
        return hash_key(self.seed, self.generator, "device", "pair")

    # -- accounts -------------------------------------------------------------------------------------------------

    def accounts(self, who: Customers, draws: NDArray[np.uint16], day: date) -> Accounts:
        """Return the payment account of each row: one provider for 80% of customers, two for the others."""
        second, provider, noise, _ = self.pool.lanes("account", who.entity)
        which = (holds_two(second) & (draws >= LANES // 2)).astype(np.uint8)
        return Accounts(which, provider_codes(provider, which), self.limits(who, which, noise, day))

    def limits(self, who: Customers, which: U8, noise: NDArray[np.uint16], day: date) -> U8:
        """Return (n,) limit codes on a day: the opening limit and one step up per full year without a miss.

        A step takes effect on the first day of the next quarter.
        """
        quarter = date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
        years = (who.tenure - np.int32(day_number(day) - day_number(quarter))) // np.int32(365)
        return self.limits_after(who, which, noise, years)

    def limit_amounts(self, day: int) -> tuple[int, ...]:
        """Return the credit limits in USD by code, on a day since 1970-01-01."""
        if not self.scenario.drifts:
            return LIMITS
        (factor,) = self.scenario.limit_factors(np.array([day])).tolist()
        return tuple(round(limit * factor) for limit in LIMITS)

    def limits_after(self, who: Customers, which: U8, noise: NDArray[np.uint16], years: I32) -> U8:
        """Return (n,) limit codes after (n,) full years that count."""
        score = (
            np.float32(-0.55) * who.risk
            + np.float32(0.27) * who.income_score
            + np.float32(0.60) * look_up(_normals(), noise)
        )
        # The sum's standard deviation is that of its three parts and the covariance of risk and income.
        code = graded(score * np.float32(1 / _LIMIT_DEVIATION), LIMIT_SHARES)
        grown = np.flatnonzero(years > 0)
        if len(grown):
            code[grown] += self._steps(who, which, years, grown)
        return np.minimum(code, np.uint8(len(LIMITS) - 1))

    def _steps(self, who: Customers, which: U8, years: I32, rows: I64) -> U8:
        key = hash_key(self.seed, self.generator, "account", "steps")
        words = hash64(key, who.entity[rows] * 2 + which[rows]).view(np.uint8).reshape(-1, 8)
        position = np.clip((who.risk[rows] + 4.0) * 32.0, 0, 256).astype(np.intp)
        kept = np.round((1.0 - self.yearly_miss) * 256).clip(0, 255).astype(np.uint8)[position]
        full_years = np.minimum(years[rows], 8).astype(np.uint8)
        steps = (words < kept[:, None]) & (np.arange(8, dtype=np.uint8) < full_years[:, None])
        return np.asarray(np.bitwise_count(steps.view(np.uint64).ravel()), np.uint8)  # eight flags a word


def holds_two(draws: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return whether (n,) customers hold a second account, by their draw."""
    return draws < int(SECOND_ACCOUNT_SHARE * LANES)


def provider_codes(draws: NDArray[np.uint16], which: U8) -> U8:
    """Return (n,) providers of first (0) or second (1) accounts; the second is never the first one's."""
    first = (draws >> 14).astype(np.uint8)
    return (first + which * (1 + (draws & 0x3FFF) % 3).astype(np.uint8)) % np.uint8(4)


_LIMIT_DEVIATION = float(np.sqrt(0.55**2 + 0.27**2 * (0.35**2 + 0.94**2) + 0.60**2 + 2 * 0.55 * 0.27 * 0.35))


@lru_cache(maxsize=1)
def pair_codes() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the codes of device type and system by index of `DEVICE_PAIRS`."""
    types = np.array([DEVICE_TYPES.index(t) for t, _ in DEVICE_PAIRS], np.uint8)
    return types, np.array([DEVICE_SYSTEMS.index(s) for _, s in DEVICE_PAIRS], np.uint8)


@lru_cache(maxsize=1)
def _state_table() -> U8:
    return pick_table(tuple(STATES.values()))


@lru_cache(maxsize=1)
def _device_counts() -> U8:
    return pick_table(DEVICE_COUNT_SHARES) + np.uint8(1)


@lru_cache(maxsize=8)
def _pair_table(country: str) -> U8:
    """(25 * 4096,) index of `DEVICE_PAIRS` by (age bracket at sign-up, income bracket, 12-bit draw).

    Phones get fewer with age; iOS rises with income, desktops are 70% Windows, tablets 50% iOS.
    """
    mobile = np.array([1.18, 1.10, 0.97, 0.85, 0.75])
    mobile *= 0.55 / (mobile @ np.array(AGE_SHARES))
    rest = 1.0 - mobile
    tilt = np.array([0.70, 0.85, 1.00, 1.15, 1.35])
    tilt /= tilt @ np.array(INCOME_SHARES)
    ios = np.clip(IOS_SHARE.get(country, 0.30) * tilt, 0, 0.95)
    middles = (np.arange(4096) + 0.5) / 4096
    tables = []
    for age in range(5):
        for income in range(5):
            desktop, tablet = rest[age] * 30 / 45, rest[age] * 15 / 45
            shares = [
                mobile[age] * ios[income], mobile[age] * (1 - ios[income]),
                desktop * 0.70, desktop * 0.20, desktop * 0.10,
                tablet * 0.50, tablet * 0.45, tablet * 0.05,
            ]  # fmt: skip
            edges = np.cumsum(shares)
            tables.append(np.searchsorted(edges / edges[-1], middles, side="right").clip(0, 7))
    return np.concatenate(tables).astype(np.uint8)
