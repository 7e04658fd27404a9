"""Rows on their way to the table: compact arrays of what was bought where with which card, and their rendering."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, reduce
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from generators.days import day_number
from generators.entities import I32, I64
from generators.finance import geography, mcc, money, responses
from generators.finance.card_ids import CardIds, postal_text
from generators.finance.card_shares import AmountShares
from generators.finance.cardholders import Cardholders, Customers, Homes
from generators.finance.checks_at_sale import NULL
from generators.finance.geography import areas
from generators.finance.merchants import Merchants
from generators.identifiers import inline_text
from generators.intraday import BIN_MINUTES
from generators.randomness import F64

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]

NO_EPISODE = -1
_BIN = BIN_MINUTES * 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class Sales:
    """(n,) authorisation requests before they are rendered: one array a fact.

    Attributes:
        timestamp: UTC microseconds.
        source: Where rows come from (see `card_ids`).
        number: Numbers of rows in their source.
        who: Cardholders.
        home: Their residences.
        person: (4, n) draws of the customers' attributes.
        card: Card numbers.
        issue: Days on which the cards in use were issued.
        category: Category numbers.
        channel: Channel codes.
        merchant: Merchant slots.
        lat: Latitudes of terminals, 0 without one.
        lon: Longitudes of terminals.
        distance: Kilometres from home to the terminal.
        dollars: Amounts in USD before the cents.
        cents: 16-bit draws that decide about the cents.
        entry: Entry modes.
        verification: Checks of the cardholder.
        cvv: CVV results, `NULL` where there is none.
        avs: AVS results, `NULL` where there is none.
        device: Numbers of devices; used where the card is not present.
        ip: Countries of devices' addresses.
        recurring: Whether rows are recurring payments.
        response: Response codes.
        latency: Milliseconds to the answer.
        fraud: Fraud types, `NULL` without fraud.
        episode: Episode numbers, -1 without fraud.
    """

    timestamp: I64
    source: U8
    number: I64
    who: Customers
    home: Homes
    person: U16
    card: I64
    issue: I32
    category: U8
    channel: U8
    merchant: NDArray[np.int32]
    lat: F64
    lon: F64
    distance: F64
    dollars: NDArray[Any]
    cents: U16
    entry: U8
    verification: U8
    cvv: U8
    avs: U8
    device: U64
    ip: U8
    recurring: NDArray[np.bool_]
    response: U8
    latency: U16
    fraud: U8
    episode: I64

    def in_order(self) -> Sales:
        """Return the rows by instant; rows of one instant keep their order."""
        order = np.argsort(self.timestamp, kind="stable")
        return self._made(
            value.take(order) if isinstance(value, Customers | Homes) else value[..., order] for value in self._values()
        )

    def __len__(self) -> int:
        return len(self.timestamp)

    def rows(self, first: int, last: int) -> Sales:
        """Return the rows [first, last), without copying where that is possible."""
        part = slice(first, last)
        return self._made(
            value.take(np.arange(first, min(last, len(self))))
            if isinstance(value, Customers | Homes)
            else value[..., part]
            for value in self._values()
        )

    def joined(self, *others: Sales) -> Sales:
        """Return these rows and others after them."""
        return self._made(
            reduce(type(parts[0]).joined, parts)
            if isinstance(parts[0], Customers | Homes)
            else np.concatenate(parts, axis=-1)
            for parts in zip(self._values(), *(other._values() for other in others), strict=True)
        )

    def _values(self) -> Iterator[Any]:
        return (getattr(self, f.name) for f in fields(self))

    @staticmethod
    def _made(values: Iterable[Any]) -> Sales:
        return Sales(*values)


@dataclass(frozen=True, eq=False)
class Renderer:
    """Turns sales into columns of the event table.

    Attributes:
        cardholders: The population.
        merchants: The merchants.
        ids: How numbers are shown.
        zones: Country code -> zone of the cardholders' clocks.
        fx_fee: Share of the amount added to bills in another currency.
        amounts: What is done to the cents.
        names: Series of the merchants' names.
    """

    cardholders: Cardholders
    merchants: Merchants
    ids: CardIds
    zones: tuple[str, ...]
    fx_fee: float
    amounts: AmountShares
    names: pl.Series

    def frame(self, sales: Sales, day: date, with_time: bool) -> pl.DataFrame:
        """Return the columns of (n,) sales of a day.

        Args:
            sales: The rows; in order of their instants where the frame shall have them.
            day: The partition's day.
            with_time: Whether the frame has the column ``timestamp``.
        """
        number = day_number(day)
        columns: dict[str, Any] = {"timestamp": pl.Series(sales.timestamp).set_sorted()} if with_time else {}
        columns |= self._cards(sales, number) | self._places(sales, number) | self._money(sales, number)
        remote = sales.channel == mcc.CNP
        columns |= {
            "transaction_id": self.ids.transactions(sales.source, sales.number, day),
            "utc_offset_minutes": self._offsets(sales),
            "mcc": sales.category,
            "channel": sales.channel,
            "pos_entry_mode": sales.entry,
            "cardholder_verification": sales.verification,
            "cvv_result": _nullable(sales.cvv, sales.cvv != NULL),
            "avs_result": _nullable(sales.avs, sales.avs != NULL),
            "device_id": self.ids.devices(sales.device, remote),
            "ip_country": _nullable(sales.ip, remote),
            "is_recurring": sales.recurring,
            "response_code": sales.response,
            "is_approved": sales.response == responses.APPROVED,
            "auth_latency_ms": sales.latency,
            "is_fraud": sales.fraud != NULL,
            "fraud_type": _nullable(sales.fraud, sales.fraud != NULL),
            "fraud_episode_id": self.ids.episodes(sales.episode),
        }
        return pl.DataFrame([v.alias(k) if isinstance(v, pl.Series) else pl.Series(k, v) for k, v in columns.items()])

    def _cards(self, sales: Sales, day: int) -> dict[str, Any]:
        words = self.cardholders.card_words(sales.card)
        brand, kind = self.cardholders.card_pairs(words)
        tokens = self.ids.token_numbers(sales.card, sales.issue)
        return {
            "card_token": self.ids.tokens(tokens),
            "card_id": self.ids.cards(sales.card),
            "customer_id": self.ids.customers(sales.who.number),
            "card_brand": brand,
            "card_type": kind,
            "card_last4": self.ids.last4(tokens),
            "card_bin_group": self.cardholders.bin_groups(words, sales.who.country, kind),
            "card_age_days": (day - sales.issue).astype(np.uint16),
            "customer_age": self.cardholders.ages(sales.who, sales.person[0]),
        }

    def _places(self, sales: Sales, day: int) -> dict[str, Any]:
        place, slots = areas(), self.merchants.slots
        views, name = self.merchants.shown(sales.merchant, day)
        present = sales.channel == mcc.CP
        return {
            "home_country": sales.who.country,
            "home_region": place.region[sales.home.area],
            "home_postal3": postal_text(place.postal[sales.home.area]),
            "home_lat": sales.home.lat,
            "home_lon": sales.home.lon,
            "merchant_id": inline_text(views),
            "merchant_name": self.names.gather(name),
            "merchant_country": slots.country[sales.merchant],
            "merchant_lat": _nullable(sales.lat, present),
            "merchant_lon": _nullable(sales.lon, present),
            "distance_km": _nullable(np.round(sales.distance, 3), present),
        }

    def _money(self, sales: Sales, day: int) -> dict[str, Any]:
        rates = geography.rates(self.cardholders.seed, self.cardholders.generator, day)
        where = self.merchants.slots.country[sales.merchant]
        # A subscription costs the same every month in the merchant's currency; only a bill in another one moves.
        level = np.where(sales.recurring, geography.levels()[where], rates[where]).astype(np.float32)
        at_table = (sales.channel == mcc.CP) & money.tipping()[where]
        amount = money.with_cents(self.amounts, sales.dollars * level, sales.category, sales.cents, at_table)
        home, there = geography.CURRENCY_OF[sales.who.country], geography.CURRENCY_OF[where]
        billing = amount.copy()
        rows = np.flatnonzero(home != there)
        factor = rates[sales.who.country[rows]] / rates[where[rows]] * (1.0 + self.fx_fee)
        billing[rows] = np.round(amount[rows] * factor, 2)
        return {"amount": amount, "currency": there, "billing_amount": billing}

    def _offsets(self, sales: Sales) -> NDArray[np.int16]:
        if len(sales.timestamp) == 0:
            return np.zeros(0, np.int16)
        offsets = np.empty(len(sales.timestamp), np.int16)
        for country in np.unique(sales.who.country).tolist():
            rows = slice(None) if len(self.cardholders.countries) == 1 else sales.who.country == country
            offsets[rows] = offset_minutes(sales.timestamp[rows], self.zones[country])
        return offsets


def _nullable(values: NDArray[Any], valid: NDArray[np.bool_]) -> pl.Series:
    """Return a series that is null where (n,) `valid` is false."""
    return pl.Series(values=pa.array(np.where(valid, values, values.dtype.type(0)), mask=~valid))


@lru_cache(maxsize=65_536)
def _bin_offset(bin_number: int, timezone: str) -> int:
    instant = _EPOCH + timedelta(microseconds=bin_number * _BIN)
    return (instant.astimezone(ZoneInfo(timezone)).utcoffset() or timedelta(0)) // timedelta(minutes=1)


def offset_minutes(timestamp: I64, timezone: str) -> NDArray[np.int16]:
    """Return the zone's offset from UTC at (n,) instants, in minutes; zones change at quarter hours."""
    if len(timestamp) == 0:
        return np.zeros(0, np.int16)
    low, high = int(timestamp.min()) // _BIN, int(timestamp.max()) // _BIN
    first, last = _bin_offset(low, timezone), _bin_offset(high, timezone)
    if first == last and high - low <= 110:
        return np.full(len(timestamp), first, np.int16)
    table = np.array([_bin_offset(number, timezone) for number in range(low, high + 1)], np.int16)
    return np.asarray(table[timestamp // _BIN - low], np.int16)


def local_hours(timestamp: I64, timezone: str) -> NDArray[np.intp]:
    """Return the local hours of (n,) instants."""
    offsets = offset_minutes(timestamp, timezone)
    if len(offsets) and (offsets == offsets[0]).all():
        return ((timestamp // 60_000_000 + int(offsets[0])) // 60 % 24).astype(np.intp)
    return ((timestamp // 60_000_000 + offsets) // 60 % 24).astype(np.intp)
