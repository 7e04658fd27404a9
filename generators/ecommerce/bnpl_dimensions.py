"""The dimension tables of bnpl: who and what the purchases refer to, with the versions of what changes.

Every table is a function of (config, start, through): the entities in the pool on some day of [start, through], with
the versions valid from a day not after `through`. Later facts are not in it: a version that ends later is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.calendar import FIRST_DAY
from generators.days import dates, day_number
from generators.ecommerce import bnpl_tables
from generators.ecommerce.bnpl_ids import account_text, customer_views, device_text, id_keys
from generators.ecommerce.catalogue import Catalogue
from generators.ecommerce.customers import (
    AGE_EDGES,
    UNVERIFIED,
    VERIFICATION_STEP_DAYS,
    YEAR_DAYS,
    CustomerBase,
    holds_two,
    pair_codes,
    provider_codes,
)
from generators.entities import I32, I64, Occupants
from generators.identifiers import inline_text

LIMIT_YEARS = 8
"""Full years that can raise a credit limit."""

Maker = Callable[[CustomerBase, Catalogue, str, date, date], Iterator[pl.DataFrame]]


class _Alive:
    """A block of customers alive on some day of [start, through], and the ages up to which facts are shown."""

    def __init__(self, base: CustomerBase, entity: I64, first: I64, through: int) -> None:
        self.entity, self.first, self.through = entity, first, through
        self.lifetime = base.pool.lifetime_of(entity)
        self.last_age: I32 = np.minimum(through - first, self.lifetime - 1).astype(np.int32)

    def occupants(self, row: I64, age: I32) -> Occupants:
        return Occupants(self.entity[row], age, self.lifetime[row])

    def versions(self, row: I64, age: I32) -> tuple[I64, I32, pl.Series, pl.Series]:
        """Sort breaks by (row, age), drop doubles and those after the last age; add valid_from and valid_to."""
        keep = age <= self.last_age[row]
        code = np.unique(row[keep] << 32 | age[keep].astype(np.int64))
        row, age = code >> 32, (code & 0xFFFFFFFF).astype(np.int32)
        end = np.append(self.first[row[1:]] + age[1:], 0)
        final = np.append(row[1:] != row[:-1], True)
        end = np.where(final, self.first[row] + self.lifetime[row], end)
        return row, age, dates(self.first[row] + age), dates(end, end <= self.through)


def _blocks(base: CustomerBase, start: date, through: date) -> Iterator[_Alive]:
    last = day_number(through)
    for entity, first in base.pool.alive(day_number(start), last):
        yield _Alive(base, entity, first, last)


def customers(base: CustomerBase, _shop: Catalogue, country: str, start: date, through: date) -> Iterator[pl.DataFrame]:
    """Yield customers with a version for each verification step, age bracket and address."""
    keys = id_keys(base.seed, base.generator)
    for alive in _blocks(base, start, through):
        rows = np.arange(len(alive.entity))
        entered = base.attributes(alive.occupants(rows, np.zeros(len(rows), np.int32)))
        stepped = rows[entered.verification == UNVERIFIED]
        entry_age = base.entry_age(alive.entity)
        birthdays = [np.ceil(edge * YEAR_DAYS).astype(np.int32) - entry_age for edge in AGE_EDGES[1:-1]]
        moved, moved_at = base.moves(alive.entity, alive.last_age)
        row = np.concatenate([rows, stepped, *(rows[b > 0] for b in birthdays), moved])
        age = np.concatenate(
            [
                np.zeros(len(rows)),
                np.full(len(stepped), VERIFICATION_STEP_DAYS),
                *(b[b > 0] for b in birthdays),
                moved_at,
            ]
        ).astype(np.int32)
        row, age, since, until = alive.versions(row, age)
        who = base.attributes(alive.occupants(row, age))
        yield bnpl_tables.CUSTOMERS.frame(
            {
                "customer_id": inline_text(customer_views(who.entity, keys)),
                "valid_from": since,
                "valid_to": until,
                "signup_date": dates(alive.first[row]),
                "customer_age_bracket": who.age,
                "customer_income_bracket": who.income,
                "customer_credit_score_range": who.credit,
                "customer_verification_level": who.verification,
                "customer_address_stability": who.address,
                "customer_state": base.states(who),
            },
        )


def products(
    _base: CustomerBase, shop: Catalogue, _country: str, _start: date, _through: date
) -> Iterator[pl.DataFrame]:
    """Yield the catalogue."""
    size = len(shop.price)
    yield bnpl_tables.PRODUCTS.frame(
        {
            "product_id": inline_text(shop.id_views),
            "valid_from": pl.repeat(FIRST_DAY, size, dtype=pl.Date, eager=True),
            "valid_to": pl.repeat(None, size, dtype=pl.Date, eager=True),
            "product_category": shop.category,
            "product_subcategory": shop.subcategory,
            "product_brand": shop.brand,
            "product_price": shop.price,
            "product_bnpl_eligible": shop.eligible,
            "product_risk_category": shop.risk,
        },
    )


def devices(base: CustomerBase, _shop: Catalogue, _country: str, start: date, through: date) -> Iterator[pl.DataFrame]:
    """Yield the devices of customers, from the day a device is first seen to the day it is replaced."""
    keys = id_keys(base.seed, base.generator)
    types, systems = pair_codes()
    for alive in _blocks(base, start, through):
        slots = base.device_slots(alive.entity)
        row = np.repeat(np.arange(len(slots)), slots)
        slot = (np.arange(len(row)) - np.repeat(np.cumsum(slots) - slots, slots)).astype(np.uint8)
        lifetime, phase = base.device_life(alive.entity[row], slot)
        count = (phase + alive.last_age[row]) // lifetime + 1
        owner = np.repeat(np.arange(len(row)), count)
        generation = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        row, slot, lifetime, phase = row[owner], slot[owner], lifetime[owner], phase[owner]
        since = np.maximum(generation * lifetime - phase, 0)
        until = np.minimum((generation + 1) * lifetime - phase, alive.lifetime[row])
        number = base.device_number(alive.entity[row], slot, generation)
        ends = alive.first[row] + until
        pair = base.device_pairs(number, base.attributes(alive.occupants(row, since.astype(np.int32))))
        yield bnpl_tables.DEVICES.frame(
            {
                "device_id": device_text(number, keys),
                "customer_id": inline_text(customer_views(alive.entity[row], keys)),
                "valid_from": dates(alive.first[row] + since),
                "valid_to": dates(ends, ends <= alive.through),
                "device_type": types[pair],
                "device_os": systems[pair],
            },
        )


def accounts(base: CustomerBase, _shop: Catalogue, _country: str, start: date, through: date) -> Iterator[pl.DataFrame]:
    """Yield payment accounts with a version for each step of the credit limit."""
    keys = id_keys(base.seed, base.generator)
    changes = _limit_changes(base, day_number(through))
    for alive in _blocks(base, start, through):
        second, provider, noise, _ = base.pool.lanes("account", alive.entity)
        for which in (0, 1):
            holder = np.flatnonzero(holds_two(second)) if which else np.arange(len(second))
            breaks = [np.zeros(len(holder), np.int32)] + [
                (_quarter_on_or_after(alive.first[holder] + 365 * year) - alive.first[holder]).astype(np.int32)
                for year in range(1, LIMIT_YEARS + 1)
            ]
            breaks += [np.maximum(day - alive.first[holder], 0).astype(np.int32) for day in changes]
            row, age = np.tile(holder, len(breaks)), np.concatenate(breaks)
            row, age, _, _ = alive.versions(row, age)
            limit = _limits(base, alive, row, age, which, noise, changes)
            changed = np.append(True, (row[1:] != row[:-1]) | (limit[1:] != limit[:-1]))
            row, age, since, until = alive.versions(row[changed], age[changed])
            views = customer_views(alive.entity[row], keys)
            account = np.full(len(row), which, np.uint8)
            yield bnpl_tables.ACCOUNTS.frame(
                {
                    "payment_method_id": account_text(views, account),
                    "customer_id": inline_text(views),
                    "valid_from": since,
                    "valid_to": until,
                    "payment_provider": provider_codes(provider[row], account),
                    "payment_credit_limit": limit[changed],
                },
            )


def _limit_changes(base: CustomerBase, through: int) -> list[int]:
    """Return the days up to one on which all limits change: none without a drift."""
    starts = [drift.first for drift in base.scenario.of("policy_change")]
    if not starts:
        return []
    days = np.arange(min(starts) - 1, max(through, min(starts)) + 1)
    factors = base.scenario.limit_factors(days)
    return [day for day in days[1:][factors[1:] != factors[:-1]].tolist() if day <= through]


def _limits(
    base: CustomerBase,
    alive: _Alive,
    row: I64,
    age: I32,
    which: int,
    noise: NDArray[np.uint16],
    changes: list[int],
) -> NDArray[np.uint16]:
    """Return (n,) limits in USD of accounts at an age; amounts change on the days of `changes` alone."""
    who = base.attributes(alive.occupants(row, age))
    day = alive.first[row] + age
    years = ((_quarter_on_or_before(day) - alive.first[row]) // 365).astype(np.int32)
    code = base.limits_after(who, np.full(len(row), which, np.uint8), noise[row], years)
    between = [changes[0] - 1, *changes] if changes else [0]
    amounts = np.array([base.limit_amounts(some) for some in between], np.uint16)
    return np.asarray(amounts[np.searchsorted(changes, day, side="right"), code])


def _quarter_on_or_before(days: I64) -> I64:
    month = days.astype("M8[D]").astype("M8[M]").astype(np.int64)
    return (month // 3 * 3).astype("M8[M]").astype("M8[D]").astype(np.int64)


def _quarter_on_or_after(days: I64) -> I64:
    start = _quarter_on_or_before(days)
    later = (start.astype("M8[D]").astype("M8[M]") + 3).astype("M8[D]").astype(np.int64)
    return np.where(start == days, start, later)


MAKERS: dict[str, Maker] = {"customers": customers, "products": products, "devices": devices, "accounts": accounts}
