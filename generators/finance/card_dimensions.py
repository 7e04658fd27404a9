"""The dimension tables of credit_cards: cards by token and merchants, as known by a day.

A token is valid from its day of issue to the day of the next issue, the end of the
term, or the day the customer leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.days import dates, day_number
from generators.entities import I64
from generators.finance import card_tables
from generators.finance.card_ids import CardIds
from generators.finance.cardholders import TERM_DAYS, Cardholders
from generators.finance.fraud import Compromises
from generators.finance.merchants import Merchants
from generators.finance.tokens import unpack
from generators.identifiers import inline_text

BEFORE_YEARS = 4
"""Years before the first day whose reissues may still be in use."""


def cards(
    people: Cardholders, compromises: Compromises, ids: CardIds, start: date, through: date
) -> Iterator[pl.DataFrame]:
    """Yield the cards in use on some day of [start, through], one row a token."""
    first, last = day_number(start), day_number(through)
    years = range(start.year - BEFORE_YEARS, through.year + 1)
    packed = np.sort(np.concatenate([compromises.reissued_in(year) for year in years]))
    for code, _ in people.countries:
        for entity, entered in people.pool(code, "all").alive(first, last):
            lifetime = people.pool(code, "all").lifetime_of(entity)
            number = (entity << 3) | code
            counts = people.cards_held(people.person(number)[3])
            row = np.repeat(np.arange(len(number)), counts)
            which = np.arange(len(row)) - np.repeat(np.cumsum(counts, dtype=np.int64) - counts, counts)
            key = (number[row] << 2) | which
            yield _tokens(people, ids, packed, key, entered[row], entered[row] + lifetime[row], first, last)


def _tokens(
    people: Cardholders, ids: CardIds, packed: I64, key: I64, entered: I64, leaves: I64, first: int, last: int
) -> pl.DataFrame:
    """Return the tokens of (n,) cards: terms cut by entering, leaving and reissues."""
    phase = people.phases(key)
    begin = np.maximum(entered, first - TERM_DAYS)
    term = (begin + phase) // TERM_DAYS
    count = (np.minimum(leaves - 1, last) + phase) // TERM_DAYS - term + 1
    owner = np.repeat(np.arange(len(key)), count)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    since = np.maximum((term[owner] + step) * TERM_DAYS - phase[owner], entered[owner])
    again_card, again_day = unpack(packed)
    order = np.argsort(key, kind="stable")
    place = np.searchsorted(key[order], again_card).clip(0, max(len(key) - 1, 0))
    mine = key[order][place] == again_card if len(key) else np.zeros(len(again_card), np.bool_)
    holder = order[place[mine]]
    day = again_day[mine]
    inside = (day > entered[holder]) & (day < leaves[holder]) & (day <= last) & (day >= first - TERM_DAYS)
    inside &= (day + phase[holder]) % TERM_DAYS != 0
    owner = np.concatenate([owner, holder[inside]])
    since = np.concatenate([since, day[inside]])
    again = np.concatenate([np.zeros(len(step), np.bool_), np.ones(int(inside.sum()), np.bool_)])
    order = np.lexsort((again, since, owner))
    owner, since, again = owner[order], since[order], again[order]
    keep = np.append(True, (owner[1:] != owner[:-1]) | (since[1:] != since[:-1]))
    owner, since, again = owner[keep], since[keep], again[keep]
    follows = np.append((owner[1:] == owner[:-1]), False)
    term_end = since + TERM_DAYS - (since + phase[owner]) % TERM_DAYS
    until = np.minimum(term_end, leaves[owner])
    until = np.where(follows, np.minimum(until, np.append(since[1:], 0)), until)
    replaced = follows & np.append(again[1:], False)
    alive = np.flatnonzero((until > first) & (since <= last))
    return _card_frame(people, ids, key[owner[alive]], since[alive], until[alive], replaced[alive], last)


def _card_frame(
    people: Cardholders, ids: CardIds, key: I64, since: I64, until: I64, replaced: NDArray[np.bool_], last: int
) -> pl.DataFrame:
    words = people.card_words(key)
    brand, kind = people.card_pairs(words)
    country = (key >> 2 & 7).astype(np.uint8)
    tokens = ids.token_numbers(key, since)
    return card_tables.CARDS.frame(
        {
            "card_token": ids.tokens(tokens),
            "valid_from": dates(since),
            "valid_to": dates(until, until <= last),
            "card_id": ids.cards(key),
            "customer_id": ids.customers(key >> 2),
            "card_brand": brand,
            "card_type": kind,
            "card_last4": ids.last4(tokens),
            "card_bin_group": people.bin_groups(words, country, kind),
            "issue_date": dates(since),
            "replaced_on": dates(until, replaced & (until <= last)),
            "credit_limit": people.credit_limits(words),
        },
    )


def merchants(shops: Merchants, names: pl.Series, start: date, through: date) -> Iterator[pl.DataFrame]:
    """Yield the merchants open on some day of [start, through]."""
    first, last = day_number(start), day_number(through)
    slots = shops.slots
    for entity, opened in shops.pool.alive(first, last):
        shown = shops.of(entity)
        slot = entity % len(slots.category)
        closes = opened + shops.pool.lifetime_of(entity)
        lat, lon = shops.seats(slot, shown.lanes)
        category = slots.category[slot]
        yield card_tables.MERCHANTS.frame(
            {
                "merchant_id": inline_text(shown.views),
                "valid_from": dates(opened),
                "valid_to": dates(closes, closes <= last),
                "merchant_name": names.gather(shown.name),
                "mcc": category,
                "merchant_category": category,
                "merchant_group": card_tables.GROUP_OF[category],
                "merchant_country": slots.country[slot],
                "merchant_region": slots.region[slot],
                "lat": lat,
                "lon": lon,
                "is_online": shops.online(slot),
                "popularity_rank": slots.rank[slot],
            },
        )
