"""The drawn rows of a slice: who buys what where, and what becomes of it; fraud is made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.base import Batch
from generators.entities import I64
from generators.finance import checks_at_sale as check
from generators.finance import mcc, money, responses
from generators.finance.card_ids import GENUINE, KNOWN_DEVICES
from generators.finance.cardholders import Cardholders, Customers, Homes
from generators.finance.geography import COUNTRIES, areas
from generators.finance.merchants import NATIONAL_SHARE, Merchants, foreign_country
from generators.finance.places import destination, local_km, trip_places, word_lanes
from generators.finance.responses import Answers
from generators.finance.sales import NO_EPISODE, Sales, local_hours
from generators.finance.tokens import Reissues
from generators.randomness import F64, LANES

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]

NEW_DEVICE, HOME_IP = 0.10, 0.955
"""Shares of drawn card-not-present rows; subscriptions are paid from home, which makes 0.965 of all."""
SECOND_DEVICE = 0.25
"""Share of rows on the second of a customer's two devices."""
DISPUTES = 0.0033
"""Share of approved first attempts in `DISPUTED_CODES` that the cardholder himself disputes as fraud."""
SERVICE_DISPUTES = 0.0010
"""Share of the same rows disputed for another reason."""
DISPUTED_CODES = ("5815", "5816", "4899", "5999")
DISPUTE_FACTOR = 1.3
FIRST_PARTY, SERVICE = 1, 2


@dataclass(frozen=True)
class Settings:
    """What the config says about drawn rows.

    Attributes:
        decline_rates: Probabilities of a decline, card present and card not present.
        foreign_share: Share of card-not-present rows at foreign merchants.
        contactless: Share of contactless in the US on the day's year, or None for the table's.
        credit_only: Whether amounts are those of credit cards.
        timezone: Zone in which days begin.
        zones: Country code -> zone of local hours.
        curves: Hour curves of the channels on the day.
        event: Event that decides the day's volume, or None.
        recurring_share: Share of recurring rows among card-not-present rows.
    """

    decline_rates: tuple[float, float]
    foreign_share: float
    contactless: float | None
    credit_only: bool
    timezone: str
    zones: tuple[str, ...]
    curves: tuple[tuple[float, ...], tuple[float, ...]]
    event: str | None
    recurring_share: float


class Genuine:
    """The drawn rows of one slice, computed as far as they are asked for.

    Args:
        batch: Instants, processes and streams of the slice; process 2 c + k is channel k of the c-th country.
        cardholders: The population.
        merchants: The merchants.
        settings: What the config says.
    """

    def __init__(self, batch: Batch, cardholders: Cardholders, merchants: Merchants, settings: Settings) -> None:
        self.batch, self.cardholders, self.merchants, self.settings = batch, cardholders, merchants, settings
        self.channel: U8 = batch.process & np.uint8(1)
        self.homes = np.array([code for code, _ in cardholders.countries], np.uint8)
        self.country: U8 = self.homes[batch.process >> 1]

    @cached_property
    def answers(self) -> Answers:
        """Declines and second attempts."""
        batch, day = self.batch, self.batch.day
        rates = [responses.decline_rate(rate, day) for rate in self.settings.decline_rates]
        outage = responses.in_outage(batch.timestamp, day, batch.seed, batch.generator, self.settings.timezone)
        return responses.answer(
            batch.timestamp,
            batch.process,
            np.array(rates * len(self.homes)),
            outage,
            self._raw_lanes("declined"),
            self._raw_lanes("retry"),
            self._raw_lanes("retry_delay"),
        )

    def lanes(self, column: str) -> U16:
        """Return (n,) 16-bit draws of a column; a second attempt has those of the first."""
        return self._repeated(self._raw_lanes(column))

    def _raw_lanes(self, column: str) -> U16:
        return self.batch.rng(column).integers(0, LANES, self.batch.n, dtype=np.uint16)

    def _repeated(self, values: NDArray[Any]) -> NDArray[Any]:
        values[self.answers.retry] = values[self.answers.root]
        return values

    @cached_property
    def slots(self) -> I64:
        """(n,) slots of the customers, drawn by the channel's weights."""
        batch = self.batch
        slots = np.empty(batch.n, np.int64)
        for number, code in enumerate(self.homes.tolist()):
            for channel, tilt in ((mcc.CP, "cp"), (mcc.CNP, "cnp")):
                rows = np.flatnonzero(batch.process == 2 * number + channel)
                pool = self.cardholders.pool(code, tilt)  # type: ignore[arg-type]
                slots[rows] = pool.draw(len(rows), batch.rng(f"customer_id {number} {tilt}"))
        return np.asarray(self._repeated(slots), np.int64)

    def customers(self, rows: I64 | None = None) -> Customers:
        """Return the customers of all or of some rows."""
        slots, country = (self.slots, self.country) if rows is None else (self.slots[rows], self.country[rows])
        if len(self.homes) == 1:
            return self.cardholders.in_slots(int(self.homes[0]), slots, self.batch.day_number)
        n = len(slots)
        found = Customers(np.empty(n, np.int64), slots, country, np.empty(n, np.int32), np.empty(n, np.int32))
        for code in self.homes.tolist():
            own = np.flatnonzero(country == code)
            part = self.cardholders.in_slots(code, slots[own], self.batch.day_number)
            found.number[own], found.tenure[own], found.remaining[own] = part.number, part.tenure, part.remaining
        return found

    @cached_property
    def hours(self) -> NDArray[np.intp]:
        """(n,) local hours of the first attempts."""
        batch, hours = self.batch, None
        if len(self.homes) == 1:
            hours = local_hours(batch.timestamp, self.settings.zones[self.homes[0]])
        else:
            hours = np.empty(batch.n, np.intp)
            for code in self.homes.tolist():
                own = np.flatnonzero(self.country == code)
                hours[own] = local_hours(batch.timestamp[own], self.settings.zones[code])
        return np.asarray(self._repeated(hours), np.intp)

    def categories(self, who: Customers, person: U16, rows: I64 | None = None) -> U8:
        """Return the categories of all or of some rows, given their customers and personal draws."""
        batch, settings = self.batch, self.settings
        persona = self.cardholders.personas(person[0], person[1])
        first, second = self.lanes("mcc"), self.lanes("mcc_second")
        hour, channel = self.hours, self.channel
        if rows is not None:
            first, second, hour, channel = first[rows], second[rows], hour[rows], channel[rows]
        category = np.empty(len(first), np.uint8)
        for number in (mcc.CP, mcc.CNP):
            own = np.flatnonzero(channel == number)
            tables = mcc.category_tables(
                batch.seed, batch.generator, number, batch.day.weekday(), settings.event, settings.curves[number]
            )
            category[own] = tables.pick(hour[own], persona[own], first[own], second[own])
        return category

    def disputes(self) -> tuple[I64, U8, Customers, U8, U16]:
        """Return (row, kind, customer, category, personal draws) of genuine purchases that will be disputed."""
        draw = self.lanes("dispute")
        bound = round(DISPUTES * LANES)
        candidate = (draw < bound + round(SERVICE_DISPUTES * LANES)) & (self.channel == mcc.CNP)
        candidate &= ~self.answers.declined
        candidate[self.answers.retry] = False
        rows = np.flatnonzero(candidate)
        who = self.customers(rows)
        person = self.cardholders.person(who.number)
        category = self.categories(who, person, rows)
        fits = np.flatnonzero(np.isin(category, mcc.indices(*DISPUTED_CODES)))
        kind = np.where(draw[rows[fits]] < bound, FIRST_PARTY, SERVICE).astype(np.uint8)
        return rows[fits], kind, who.take(fits), category[fits], person[:, fits]

    def dollars(self, category: U8, factor: U16, rows: I64 | None = None) -> NDArray[np.float32]:
        """Return the amounts of all or of some rows in USD, before disputes and cents."""
        lane = self.lanes("amount")
        return money.raw_amounts(category, factor, lane if rows is None else lane[rows], self.settings.credit_only)

    # -- the whole row --------------------------------------------------------------------------------------------

    def sales(self, reissues: Reissues) -> Sales:
        """Return all rows of the slice."""
        batch, people = self.batch, self.cardholders
        who = self.customers()
        person = people.person(who.number)
        category = self.categories(who, person)
        home, _ = people.homes(who.number, who.country)
        which = (self.lanes("card_token").astype(np.uint32) * people.card_counts(person[3]) >> 16).astype(np.uint8)
        cards = people.cards(who, which, batch.day_number)
        merchant, lat, lon, distance = self._places(who, home, category)
        dollars = self.dollars(category, person[2])
        disputed, kind, *_ = self.disputes()
        dollars[disputed[kind == FIRST_PARTY]] *= np.float32(DISPUTE_FACTOR)
        entry = self._entry(category)
        where = self.merchants.slots.country[merchant]
        domestic = where == who.country
        n = batch.n
        lane_avs = self.lanes("avs_result")
        avs = np.where((self.channel == mcc.CNP) & domestic, check.avs_table(False)[lane_avs], np.uint8(check.NULL))
        cvv = check.cvv_table(False)[self.lanes("cvv_result")]
        cvv[check.cvv_null(self.channel, entry)] = check.NULL
        response = self._responses(category, dollars, ~domestic)
        latency = check.latencies()[self._raw_lanes("auth_latency_ms")]
        latency[response == responses.OUTAGE] += np.uint16(check.OUTAGE_MS)
        return Sales(
            batch.timestamp, np.full(n, GENUINE, np.uint8), batch.row, who, home, person, cards.key,
            reissues.issue(cards.key, cards.issue, batch.day_number), category, self.channel, merchant, lat, lon,
            distance, dollars, self.lanes("cents"), entry, self._verification(), cvv, avs, self._devices(who),
            self._addresses(where, who.country), np.zeros(n, np.bool_), response, latency,
            np.full(n, check.NULL, np.uint8), np.full(n, NO_EPISODE, np.int64),
        )  # fmt: skip

    def _places(self, who: Customers, home: Homes, category: U8) -> tuple[NDArray[np.int32], F64, F64, F64]:
        """Return (merchant slot, latitude, longitude, distance): favourites and new places, trips, foreign shops."""
        n, batch = self.batch.n, self.batch
        fresh = np.asarray(self._repeated(batch.rng("merchant_id").integers(0, 2**64, n, dtype=np.uint64)), np.uint64)
        words = self.merchants.visit_words(who.number, category, self.lanes("explore"), fresh)
        pool, rank, far, bearing = word_lanes(words)
        merchant = np.empty(n, np.int32)
        lat, lon, distance = np.zeros(n), np.zeros(n), np.zeros(n)
        remote, present = np.flatnonzero(self.channel == mcc.CNP), np.flatnonzero(self.channel == mcc.CP)
        country = who.country[remote].copy()
        away = np.flatnonzero(self.lanes("foreign")[remote] < self._foreign_bound)
        # Foreign shops are found anew each time: the home country's favourite does not decide about them.
        country[away] = foreign_country(country[away], word_lanes(fresh[remote[away]])[0])
        merchant[remote] = self.merchants.in_country(country, category[remote], rank[remote])
        here = Homes(home.area[present], home.lat[present], home.lon[present])
        km = local_km(far[present])
        lat_p, lon_p = destination(here, km, bearing[present])
        distance_p = km.astype(np.float64)
        kinds, ranks = category[present], rank[present]
        national = pool[present] < round(NATIONAL_SHARE * LANES)
        where = who.country[present].copy()
        travels, trip = self.cardholders.trips(who.number[present], batch.day_number)
        rows = np.flatnonzero(travels)
        if len(rows):
            there = Homes(here.area[rows], here.lat[rows], here.lon[rows])
            lat_p[rows], lon_p[rows], distance_p[rows], where[rows] = trip_places(
                there, where[rows], trip[rows], fresh[present[rows]]
            )
            national[rows] = True
        slot = np.empty(len(present), np.int32)
        chains, locals_ = np.flatnonzero(national), np.flatnonzero(~national)
        slot[chains] = self.merchants.in_country(where[chains], kinds[chains], ranks[chains])
        region = areas().region[here.area[locals_]]
        slot[locals_] = self.merchants.in_region(region, kinds[locals_], ranks[locals_])
        merchant[present] = slot
        lat[present], lon[present], distance[present] = lat_p, lon_p, distance_p
        return merchant, lat, lon, distance

    @property
    def _foreign_bound(self) -> int:
        return min(round(self.settings.foreign_share * LANES), LANES - 1)

    def _entry(self, category: U8) -> U8:
        lane = self.lanes("pos_entry_mode")
        entry = check.remote_entry(self.settings.recurring_share)[lane]
        transit = category == mcc.index("4111")
        for us in (True, False):
            homes = np.array([c.code == "US" for c in COUNTRIES])[self.country] == us
            rows = np.flatnonzero((self.channel == mcc.CP) & homes)
            if len(rows):
                entry[rows] = check.card_present_entry(us, self.settings.contactless, transit[rows], lane[rows])
        return entry

    def _verification(self) -> U8:
        lane = self.lanes("cardholder_verification")
        sca = np.array([c.sca for c in COUNTRIES])[self.country]
        part = self.settings.recurring_share
        tables = np.stack([check.verification(channel, strong, part) for channel in (0, 1) for strong in (False, True)])
        return np.asarray(tables[self.channel * 2 + sca, lane], np.uint8)

    def _devices(self, who: Customers) -> U64:
        """Return numbers of devices: one of the customer's two, or one never seen before or after."""
        lane = self.lanes("device_id")
        known = who.number.astype(np.uint64) << np.uint64(1)
        known |= (lane < round(SECOND_DEVICE * LANES)).astype(np.uint64)
        new = np.flatnonzero((lane >= round((1.0 - NEW_DEVICE) * LANES)) & (self.channel == mcc.CNP))
        strangers = self.batch.rng("new_device").integers(0, 1 << 39, len(new), dtype=np.uint64)
        known[new] = strangers | KNOWN_DEVICES
        return np.asarray(self._repeated(known), np.uint64)

    def _addresses(self, where: U8, home: U8) -> U8:
        """Return countries of devices' addresses: home, else the merchant's country or any other."""
        address = home.copy()
        lane = self.lanes("ip_country")
        away = np.flatnonzero((lane >= round(HOME_IP * LANES)) & (self.channel == mcc.CNP))
        other = foreign_country(home[away], lane[away] * np.uint16(29))
        address[away] = np.where(where[away] != home[away], where[away], other)
        return address

    def _responses(self, category: U8, dollars: NDArray[np.float32], abroad: NDArray[np.bool_]) -> U8:
        day = self.batch.day
        response = np.zeros(self.batch.n, np.uint8)
        rows = np.flatnonzero(self.answers.declined)
        lane = self._raw_lanes("response_code")[rows]
        large = dollars[rows] >= responses.LARGE_FROM
        barred = abroad[rows] | (category[rows] == mcc.index("7995"))
        sca = np.array([c.sca for c in COUNTRIES])[self.country[rows]]
        channel = self.channel[rows]
        for number in (mcc.CP, mcc.CNP):
            for strong in (False, True):
                own = np.flatnonzero((channel == number) & (sca == strong))
                if len(own):
                    response[rows[own]] = responses.codes(
                        number, False, day, strong, large[own], barred[own], lane[own]
                    )
        if self.answers.outage is not None:
            response[self.answers.outage & self.answers.declined] = responses.OUTAGE
        return response


def contactless_in(year: int) -> float:
    """Return the US share of contactless in a year: the first and last year's beyond the table."""
    table = check.CONTACTLESS_BY_YEAR
    return table[min(max(year, min(table)), max(table))]
