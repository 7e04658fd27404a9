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
from generators.finance import mcc, responses
from generators.finance.card_config import CreditCardsConfig
from generators.finance.card_ids import GENUINE, KNOWN_DEVICES
from generators.finance.cardholders import Cardholders, Customers, Homes
from generators.finance.geography import COUNTRIES, areas
from generators.finance.merchants import Merchants, foreign_country
from generators.finance.money import Amounts
from generators.finance.places import destination, local_km, trip_places, word_lanes
from generators.finance.responses import Answers
from generators.finance.sales import NO_EPISODE, Sales, local_hours
from generators.finance.tokens import Reissues
from generators.randomness import F64, LANES

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]

DISPUTED_CODES = ("5815", "5816", "4899", "5999")
FIRST_PARTY, SERVICE = 1, 2


@dataclass(frozen=True)
class DayCourse:
    """What kind of day it is for one process.

    Attributes:
        event: Event that moves categories apart, or None.
        curve: Weights of the 24 hours.
    """

    event: str | None
    curve: tuple[float, ...]


@dataclass(frozen=True)
class Settings:
    """What the config says about the drawn rows of a day.

    Attributes:
        config: The config.
        amounts: Laws of the amounts.
        zones: Country code -> zone of local hours.
        courses: What kind of day it is, one a process.
        recurring_share: Share of recurring rows among card-not-present rows.
    """

    config: CreditCardsConfig
    amounts: Amounts
    zones: tuple[str, ...]
    courses: tuple[DayCourse, ...]
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
        self.config = settings.config
        self.channel: U8 = batch.process & np.uint8(1)
        self.homes = np.array([code for code, _ in cardholders.countries], np.uint8)
        self.country: U8 = self.homes[batch.process >> 1]

    @cached_property
    def answers(self) -> Answers:
        """Declines and second attempts."""
        batch, day = self.batch, self.batch.day
        rates = [responses.decline_rate(r, day) for r in (self.config.cp_decline_rate, self.config.cnp_decline_rate)]
        outage = responses.in_outage(batch.timestamp, day, batch.seed, batch.generator, self.config.timezone)
        return responses.answer(
            self.config.answers,
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
        hour, process = self.hours, batch.process
        if rows is not None:
            first, second, hour, process = first[rows], second[rows], hour[rows], process[rows]
        category = np.empty(len(first), np.uint8)
        for channel in (mcc.CP, mcc.CNP):
            courses = settings.courses[channel::2]
            for course in dict.fromkeys(courses):
                alike = [2 * number + channel for number, other in enumerate(courses) if other == course]
                own = np.flatnonzero(process == alike[0] if len(alike) == 1 else np.isin(process, alike))
                tables = mcc.category_tables(
                    batch.seed,
                    batch.generator,
                    settings.amounts.laws,
                    channel,
                    batch.day.weekday(),
                    course.event,
                    course.curve,
                )
                category[own] = tables.pick(hour[own], persona[own], first[own], second[own])
        return category

    def disputes(self) -> tuple[I64, U8, Customers, U8, U16]:
        """Return (row, kind, customer, category, personal draws) of genuine purchases that will be disputed."""
        draw = self.lanes("dispute")
        shares = self.config.disputes
        bound = round(shares.first_party * LANES)
        candidate = (draw < bound + round(shares.service * LANES)) & (self.channel == mcc.CNP)
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
        return self.settings.amounts.raw(category, factor, lane if rows is None else lane[rows])

    # -- the whole row --------------------------------------------------------------------------------------------

    def sales(self, reissues: Reissues) -> Sales:
        """Return all rows of the slice."""
        batch, people = self.batch, self.cardholders
        who = self.customers()
        person = people.person(who.number)
        category = self.categories(who, person)
        home = people.homes(who)
        which = (self.lanes("card_token").astype(np.uint32) * people.cards_held(person[3]) >> 16).astype(np.uint8)
        cards = people.cards(who, which, batch.day_number)
        merchant, lat, lon, distance = self._places(who, home, category)
        dollars = self.dollars(category, person[2])
        disputed, kind, *_ = self.disputes()
        dollars[disputed[kind == FIRST_PARTY]] *= np.float32(self.config.disputes.amount_factor)
        entry = self._entry(category)
        where = self.merchants.slots.country[merchant]
        domestic = where == who.country
        n = batch.n
        avs = check.mix_table(self.config.checks.avs, check.AVS_RESULTS)[self.lanes("avs_result")]
        avs = np.where((self.channel == mcc.CNP) & domestic, avs, np.uint8(check.NULL))
        cvv = check.mix_table(self.config.checks.cvv, check.CVV_RESULTS)[self.lanes("cvv_result")]
        cvv[check.cvv_null(self.channel, entry)] = check.NULL
        response = self._responses(category, dollars, ~domestic)
        latency = responses.latencies(response, self._raw_lanes("auth_latency_ms"))
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
        address = home.version * (self.channel == mcc.CP)
        words = self.merchants.visit_words(who.number, category, self.lanes("explore"), fresh, address)
        pool, rank, far, bearing = word_lanes(words)
        merchant = np.empty(n, np.int32)
        lat, lon, distance = np.zeros(n), np.zeros(n), np.zeros(n)
        remote, present = np.flatnonzero(self.channel == mcc.CNP), np.flatnonzero(self.channel == mcc.CP)
        country = who.country[remote].copy()
        away = np.flatnonzero(self.lanes("foreign")[remote] < self._foreign_bound)
        # Foreign shops are found anew each time: the home country's favourite does not decide about them.
        country[away] = foreign_country(country[away], word_lanes(fresh[remote[away]])[0])
        merchant[remote] = self.merchants.in_country(country, category[remote], rank[remote])
        here, travel = home.take(present), self.config.travel
        km = local_km(travel, far[present])
        lat_p, lon_p = destination(here, km, bearing[present])
        distance_p = km.astype(np.float64)
        kinds, ranks = category[present], rank[present]
        national = pool[present] < round(self.config.merchants.national * LANES)
        where = who.country[present].copy()
        travels, trip = self.cardholders.trips(who.number[present], batch.day_number)
        rows = np.flatnonzero(travels)
        if len(rows):
            lat_p[rows], lon_p[rows], distance_p[rows], where[rows] = trip_places(
                travel, here.take(rows), where[rows], trip[rows], fresh[present[rows]]
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
        return min(round(self.config.foreign_cnp_share * LANES), LANES - 1)

    def _entry(self, category: U8) -> U8:
        lane = self.lanes("pos_entry_mode")
        entry = check.remote_entry(*self.config.entry_modes.remote.values(), self.settings.recurring_share)[lane]
        rows = np.flatnonzero(self.channel == mcc.CP)
        laws, day = self.settings.amounts.laws, self.batch.day
        entry[rows] = check.present_entries(self.config, laws, day, self.country[rows], category[rows], lane[rows])
        return entry

    def _verification(self) -> U8:
        lane = self.lanes("cardholder_verification")
        sca = np.array([c.sca for c in COUNTRIES])[self.country]
        shares, part = self.config.verification, self.settings.recurring_share
        present = check.mix_table(shares.present, check.VERIFICATIONS)
        remote = (check.remote_verification(mix, part) for mix in (shares.remote, shares.remote_sca))
        tables = np.stack([present, present, *remote])
        return np.asarray(tables[self.channel * 2 + sca, lane], np.uint8)

    def _devices(self, who: Customers) -> U64:
        """Return numbers of devices: one of the customer's two, or one never seen before or after."""
        lane = self.lanes("device_id")
        known = who.number.astype(np.uint64) << np.uint64(1)
        known |= (lane < round(self.config.devices.second * LANES)).astype(np.uint64)
        new = np.flatnonzero((lane >= round((1.0 - self.config.devices.new) * LANES)) & (self.channel == mcc.CNP))
        strangers = self.batch.rng("new_device").integers(0, 1 << 39, len(new), dtype=np.uint64)
        known[new] = strangers | KNOWN_DEVICES
        return np.asarray(self._repeated(known), np.uint64)

    def _addresses(self, where: U8, home: U8) -> U8:
        """Return countries of devices' addresses: home, else the merchant's country or any other."""
        address = home.copy()
        lane = self.lanes("ip_country")
        away = np.flatnonzero((lane >= round(self.config.devices.home_ip * LANES)) & (self.channel == mcc.CNP))
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
                        self.config.answers, number, False, day, strong, large[own], barred[own], lane[own]
                    )
        if self.answers.outage is not None:
            response[self.answers.outage & self.answers.declined] = responses.OUTAGE
        return response
