"""The rows of a day that belong to compromises: fraud itself, and the visits at which cards were skimmed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.days import day_number, day_of
from generators.entities import I32, I64
from generators.finance import checks_at_sale as check
from generators.finance import fraud, mcc, responses
from generators.finance.card_config import CreditCardsConfig
from generators.finance.card_ids import FRAUD, KNOWN_DEVICES, VISIT
from generators.finance.cardholders import TERM_DAYS, Cardholders, Customers, Homes
from generators.finance.fraud import Compromises, Episodes
from generators.finance.fraud_shares import FRAUD_TYPES, EpisodeShares, by_type, pairs_by_type
from generators.finance.geography import COUNTRIES, areas
from generators.finance.merchants import Merchants, foreign_country
from generators.finance.money import Amounts
from generators.finance.places import destination, distance_table, haversine
from generators.finance.sales import NO_EPISODE, Sales
from generators.intraday import day_bounds
from generators.randomness import LANES, hash64, hash_key, stream

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
F64 = NDArray[np.float64]

AMOUNT_SHIFT = (0.45, 0.0, 0.9, 0.45, 0.45, 0.6)
"""Mean of the log of the factor on the category's amount; standard deviation 0.5."""
TESTING_MEDIAN, TESTING_SIGMA, TESTING_LAST = 2.7, 0.8, 148.0
SHIFTED_FOREIGN = 0.20
"""Added to the foreign share of stolen credentials after the abrupt shift."""
KM = {fraud.STOLEN: (10.0, 1.1), fraud.SKIMMING: (100.0, 1.2), fraud.APPLICATION: (8.0, 1.1)}
CARD_PRESENT_CODES: dict[str, float] = {"5732": 4.0, "5541": 2.0, "5542": 2.0, "5912": 2.5, "5411": 1.0, "5311": 1.2}
"""Factors of the categories in which stolen and copied cards are used; 0.25 elsewhere."""
BUST_OUT = 0.28
"""Growth of the log amount from row to row of application fraud."""
NO_CVM_SHARE = 0.92
"""Share of contactless rows above the limit without a check that give way to an amount below it."""


@dataclass(frozen=True, eq=False)
class FraudDay:
    """The fraud rows of a day, ordered by instant.

    Attributes:
        episodes: (n,) the episode of each row.
        place: (n,) number of the row in its episode, from 0.
        timestamp: (n,) UTC microseconds.
        late: (n,) whether the row comes on the day of the report or after it, or when the card was replaced.
        failed: (n,) whether it is declined because the issuer is unavailable.
        declined: (n,) whether the row is declined.
        channel: (n,) channel codes.
    """

    episodes: Episodes
    place: I64
    timestamp: I64
    late: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    declined: NDArray[np.bool_]
    channel: U8


@dataclass(frozen=True)
class FraudRows:
    """Turns compromises into rows.

    Attributes:
        compromises: The episodes, year by year.
        cardholders: The population.
        merchants: The merchants.
        config: What it says about fraud, checks at the sale and answers.
        amounts: Laws of the amounts.
    """

    compromises: Compromises
    cardholders: Cardholders
    merchants: Merchants
    config: CreditCardsConfig
    amounts: Amounts

    @property
    def shares(self) -> EpisodeShares:
        """What the config says about episodes."""
        return self.config.episodes

    def on_day(self, day: date) -> FraudDay:
        """Return the fraud rows of a day, without what they bought."""
        cache: dict[date, FraudDay] = self.__dict__.setdefault("_days", {})
        if day not in cache:
            if len(cache) >= 4:
                cache.pop(next(iter(cache)))
            cache[day] = self._on_day(day)
        return cache[day]

    def counts(self, day: date) -> NDArray[np.int64]:
        """Return (countries, 2) numbers of overlay rows by home country and channel, visits among them."""
        found, (visits, _) = self.on_day(day), self._visits(day)
        counts = np.zeros((len(COUNTRIES), 2), np.int64)
        np.add.at(counts, (found.episodes.country, found.channel), 1)
        np.add.at(counts, (visits.country, np.full(len(visits), mcc.CP)), 1)
        return counts

    def _rng(self, day: date, column: str) -> np.random.Generator:
        return stream(self.cardholders.seed, self.cardholders.generator, day, "fraud", column)

    def _on_day(self, day: date) -> FraudDay:
        low, high = day_bounds(day, self.config.timezone)
        number = day_number(day)
        reissues = self.compromises.reissues(day.year)
        found, place, times, ends = [], [], [], []
        for quick, reach in ((True, fraud.QUICK_DAYS), (False, fraud.APPLICATION_DAYS)):
            episodes = self._starting(number - reach, number, quick)
            offsets = self._offsets(episodes)
            instants = episodes.start[:, None] + offsets
            last = (reach if quick else fraud.APPLICATION_DAYS) * 86_400_000_000
            inside = (instants >= low) & (instants < high) & (offsets < last)
            inside &= np.arange(offsets.shape[1]) < episodes.rows[:, None]
            # The card of an episode that began late in a year may be compromised again, and replaced, in the next.
            end = np.minimum(episodes.report, reissues.following(episodes.card, episodes.day) - 1)
            inside &= (number - end)[:, None] <= fraud.AFTER_REPORT_DAYS
            if not quick:
                inside &= (number - self._issued(episodes) <= fraud.APPLICATION_DAYS)[:, None]
            row, k = np.nonzero(inside)
            found.append(episodes.take(row))
            place.append(k)
            times.append(instants[row, k])
            ends.append(end[row])
        timestamp = np.concatenate(times)
        order = np.argsort(timestamp, kind="stable")
        episodes = Episodes.concat(found).take(order)
        late = np.concatenate(ends)[order] <= number
        decline = self._lanes(day, "declined", len(order))
        failed = self._unanswered(day, timestamp[order], decline)
        declined = late | failed | (decline < np.round(by_type(self.shares.declined) * LANES)[episodes.kind])
        remote = np.isin(episodes.kind, (fraud.CREDENTIALS, fraud.TESTING, fraud.TAKEOVER))
        remote |= (episodes.kind == fraud.APPLICATION) & (
            self._rng(day, "channel").random(len(order)) < self.shares.remote
        )
        return FraudDay(
            episodes, np.concatenate(place)[order], timestamp[order], late, failed, declined, remote.astype(np.uint8)
        )

    def _unanswered(self, day: date, timestamp: I64, decline: U16) -> NDArray[np.bool_]:
        """Return which of (n,) rows are declined because the issuer is unavailable."""
        people = self.cardholders
        return responses.unanswered(
            self.config.answers, timestamp, day, people.seed, people.generator, self.config.timezone, decline
        )

    def _starting(self, first: int, last: int, quick: bool) -> Episodes:
        """Return the episodes that start on days [first, last], application fraud or the other kinds."""
        parts = []
        for year in sorted({day_of(first).year, day_of(last).year}):
            episodes = self.compromises.year(year)
            low, high = np.searchsorted(episodes.day, [first, last + 1])
            piece = episodes.take(slice(low, high))  # type: ignore[arg-type]
            parts.append(piece.take(np.flatnonzero((piece.kind != fraud.APPLICATION) == quick)))
        return Episodes.concat(parts)

    def _offsets(self, episodes: Episodes) -> I64:
        """Return (m, most rows) microseconds from the first row of each episode to its rows."""
        most = max(max(weights) for weights in fraud.ROW_WEIGHTS)
        key = hash_key(self.cardholders.seed, self.cardholders.generator, "fraud gaps")
        words = hash64(key, (episodes.number * 16)[:, None] + np.arange(most))
        gaps = -np.log(((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)
        gaps *= np.array(fraud.GAP_HOURS)[episodes.kind][:, None] * 3_600_000_000.0
        gaps[:, 0] = 0.0
        return np.cumsum(gaps, axis=1).astype(np.int64)

    def _issued(self, episodes: Episodes) -> I32:
        age = (self.cardholders.phases(episodes.card) + episodes.day) % TERM_DAYS
        issued = np.asarray(episodes.day - age, np.int32)
        for code, _ in self.cardholders.countries:
            rows = np.flatnonzero(episodes.country == code)
            who = self.cardholders.in_slots(code, episodes.slot[rows], episodes.day[rows].astype(np.int64))
            issued[rows] = np.maximum(issued[rows], episodes.day[rows] - who.tenure)
        return issued

    # -- what was bought ------------------------------------------------------------------------------------------

    def dollars(self, day: date) -> NDArray[np.float32]:
        """Return (n,) amounts in USD of the day's fraud rows, before the cents."""
        return self._bought(day)[1]

    def _bought(self, day: date) -> tuple[U8, NDArray[np.float32]]:
        """Return (category, amount in USD) of the day's fraud rows."""
        cache: dict[date, Any] = self.__dict__.setdefault("_bought_days", {})
        if day not in cache:
            if len(cache) >= 4:
                cache.pop(next(iter(cache)))
            cache[day] = self._purchases(day)
        return cache[day]  # type: ignore[no-any-return]

    def _purchases(self, day: date) -> tuple[U8, NDArray[np.float32]]:
        found = self.on_day(day)
        kind, n = found.episodes.kind, len(found.timestamp)
        lane = self._lanes(day, "category", n)
        tilts = self.compromises.regimes.category_tilts(day_number(day))
        laws = self.amounts.laws
        remote = check.cached_table(tuple(laws.shares * laws.remotes * (0.35 + np.array(laws.fraud)) * tilts))
        factors = np.array([CARD_PRESENT_CODES.get(code, 0.25) for code in mcc.CODES])
        present = check.cached_table(tuple(laws.shares * (1.0 - laws.remotes) * factors))
        category = np.where(found.channel == mcc.CNP, remote[lane], present[lane])
        testing = np.flatnonzero(kind == fraud.TESTING)
        category[testing] = self._attacked(found.episodes.take(testing))[0]
        person = self._people(found, day)[2]
        dollars = self.amounts.raw(category, person[2], self._lanes(day, "amount", n))
        noise = self._rng(day, "factor").standard_normal(n)
        dollars *= np.exp(np.array(AMOUNT_SHIFT)[kind] + 0.5 * noise).astype(np.float32)
        shared = np.log(TESTING_MEDIAN) + TESTING_SIGMA * noise
        final = found.place == found.episodes.rows.astype(np.int64) - 1
        dollars[testing] = np.exp(shared)[testing]
        last = testing[final[testing]]
        dollars[last] *= TESTING_LAST / TESTING_MEDIAN
        rising = kind == fraud.APPLICATION
        dollars[rising] *= np.exp(BUST_OUT * found.place[rising]).astype(np.float32)
        limits = self.cardholders.credit_limits(self.cardholders.card_words(found.episodes.card))
        np.minimum(dollars, limits, out=dollars, where=rising)
        return category.astype(np.uint8), dollars

    def _attacked(self, episodes: Episodes) -> tuple[U8, U16]:
        """Return (category, popularity draw) of the merchants that attacks use: one or two merchants an attack."""
        key = hash_key(self.cardholders.seed, self.cardholders.generator, "attacked merchant")
        year = episodes.number >> 32
        second = (episodes.number & 3) == 0
        words = hash64(key, year * 1_000_000 + episodes.group * 2 + second)
        codes = mcc.indices(*fraud.TESTING_CODES)
        category = codes[(hash64(key, year * 1_000_000 + episodes.group) % np.uint64(len(codes))).astype(np.intp)]
        return category.astype(np.uint8), (words >> np.uint64(48)).astype(np.uint16)

    def _people(self, found: FraudDay, day: date) -> tuple[Customers, Homes, U16, I32]:
        """Return (customers, homes, personal draws, day of issue) of a day's rows.

        The card is the one of the episode's first day, whatever became of it since.
        """
        who, person, issue = self._victims(found.episodes, found.episodes.day.astype(np.int64))
        who = replace(who, tenure=who.tenure + (day_number(day) - found.episodes.day))
        return who, self.cardholders.homes(who), person, issue

    def _victims(self, episodes: Episodes, day: I64) -> tuple[Customers, U16, I32]:
        """Return (customers, personal draws, day of issue) of episodes' victims on (n,) days."""
        who = self._customers(episodes, day)
        cards = self.cardholders.cards(who, episodes.which, day)
        return who, self.cardholders.person(who.number), self._issue(cards.key, cards.issue, day)

    def _customers(self, episodes: Episodes, day: I64) -> Customers:
        """Return the customers in the victims' slots on (n,) days."""
        n = len(episodes)
        number, tenure, remaining = np.zeros(n, np.int64), np.zeros(n, np.int32), np.zeros(n, np.int32)
        for code, _ in self.cardholders.countries:
            rows = np.flatnonzero(episodes.country == code)
            who = self.cardholders.in_slots(code, episodes.slot[rows], day[rows])
            number[rows], tenure[rows], remaining[rows] = who.number, who.tenure, who.remaining
        return Customers(number, episodes.slot, episodes.country, tenure, remaining)

    def _issue(self, card: I64, issue: I32, day: I64) -> I32:
        """Return the day of issue of the token in use on (n,) days, which may lie in different years."""
        result = issue.copy()
        years = (day.astype("M8[D]").astype("M8[Y]").astype(np.int64) + 1970) if len(day) else day
        for year in np.unique(years).tolist():
            rows = np.flatnonzero(years == year)
            result[rows] = self.compromises.reissues(year).issue(card[rows], issue[rows], day[rows])
        return result

    def _lanes(self, day: date, column: str, n: int) -> U16:
        return self._rng(day, column).integers(0, LANES, n, dtype=np.uint16)

    def sales(self, day: date) -> Sales:
        """Return the fraud rows of a day."""
        found = self.on_day(day)
        kind, n = found.episodes.kind, len(found.timestamp)
        who, home, person, issue = self._people(found, day)
        category, dollars = self._bought(day)
        entry = self._entry(found, self._lanes(day, "entry", n))
        limit = np.array([c.no_cvm / c.rate for c in COUNTRIES], np.float32)[who.country]
        above = (kind == fraud.STOLEN) & (entry == check.CONTACTLESS) & (dollars > limit)
        above &= self._lanes(day, "limit", n) < NO_CVM_SHARE * LANES
        dollars = np.where(above, limit * (0.15 + 0.85 * self._rng(day, "below").random(n)), dollars)
        merchant = self._merchants(found, day, category, home, who.country)
        lat, lon, distance = self._terminals(found, day, home)
        remote = found.channel == mcc.CNP
        where = self.merchants.slots.country[merchant]
        careless = self._careless(found.episodes)
        shares, results = self.shares, self.config.checks
        avs_bad = self._rng(day, "address").random(n) < pairs_by_type(shares.unknown_address)[kind, careless]
        cvv_bad = self._rng(day, "known").random(n) < pairs_by_type(shares.unknown_cvv)[kind, careless]
        avs_lane, cvv_lane = self._lanes(day, "avs", n), self._lanes(day, "cvv", n)
        bad, good = (check.mix_table(mix, check.AVS_RESULTS)[avs_lane] for mix in (results.avs_unknown, results.avs))
        avs = np.where(avs_bad, bad, good)
        bad, good = (check.mix_table(mix, check.CVV_RESULTS)[cvv_lane] for mix in (results.cvv_unknown, results.cvv))
        cvv = np.where(cvv_bad, bad, good)
        cvv = np.where((kind == fraud.TAKEOVER) & (cvv != 0), np.uint8(0), cvv)
        home_ip = self._rng(day, "ip").random(n) < pairs_by_type(shares.home_ip, 1.0)[kind, careless]
        other = np.where(where != who.country, where, self._preferred(day, who.country))
        numbers = np.arange(n)
        response = self._responses(found, day, category, dollars, where != who.country)
        lane = self._lanes(day, "verification", n)
        verification = np.where(
            remote,
            check.mix_table(shares.remote_verification, check.VERIFICATIONS)[lane],
            check.mix_table(shares.present_verification, check.VERIFICATIONS)[lane],
        )
        return Sales(
            found.timestamp, np.full(n, FRAUD, np.uint8), numbers, who, home, person, found.episodes.card, issue,
            category, found.channel, merchant, lat, lon, distance, dollars, self._lanes(day, "cents", n), entry,
            verification.astype(np.uint8),
            np.where(check.cvv_null(found.channel, entry), np.uint8(check.NULL), cvv).astype(np.uint8),
            np.where(remote & (where == who.country), avs, np.uint8(check.NULL)).astype(np.uint8),
            self._devices(found, who.number), np.where(home_ip, who.country, other).astype(np.uint8),
            np.zeros(n, np.bool_), response, responses.latencies(response, self._lanes(day, "latency", n)), kind,
            found.episodes.number - (np.int64(1970) << 32),
        )  # fmt: skip

    def _careless(self, episodes: Episodes) -> NDArray[np.intp]:
        """Return 1 for episodes of careless thieves, else 0."""
        key = hash_key(self.cardholders.seed, self.cardholders.generator, "careless")
        return (
            (hash64(key, episodes.number) >> np.uint64(48)) < np.uint64(round(self.shares.careless * LANES))
        ).astype(np.intp)

    def _entry(self, found: FraudDay, lane: U16) -> U8:
        entry = np.zeros(len(lane), np.uint8)
        for channel, mixes in ((mcc.CNP, self.shares.remote_entry), (mcc.CP, self.shares.present_entry)):
            for name, mix in mixes.items():
                kind = FRAUD_TYPES.index(name)
                rows = np.flatnonzero((found.episodes.kind == kind) & (found.channel == channel))
                entry[rows] = check.mix_table(mix, check.ENTRY_NAMES)[lane[rows]]
        return entry

    def _merchants(self, found: FraudDay, day: date, category: U8, home: Any, country: U8) -> NDArray[np.int32]:
        n, kind = len(found.timestamp), found.episodes.kind
        lane = self._lanes(day, "merchant", n)
        testing = np.flatnonzero(kind == fraud.TESTING)
        lane[testing] = self._attacked(found.episodes.take(testing))[1]
        share = pairs_by_type(self.shares.foreign)
        if self.compromises.regimes.shifted(day_number(day)):
            share[fraud.CREDENTIALS] += SHIFTED_FOREIGN
        foreign = self._rng(day, "foreign").random(n) < share[kind, self._careless(found.episodes)]
        foreign &= found.channel == mcc.CNP
        where = np.where(foreign, self._preferred(day, country), country).astype(np.uint8)
        # An attack runs against one merchant, whatever the victims' countries.
        where[testing] = self.cardholders.countries[0][0]
        slot = self.merchants.in_country(where, category, lane)
        local = (found.channel == mcc.CP) & (kind != fraud.SKIMMING) & (self._rng(day, "local").random(n) < 0.4)
        rows = np.flatnonzero(local)
        slot[rows] = self.merchants.in_region(areas().region[home.area[rows]], category[rows], lane[rows])
        return slot

    def _preferred(self, day: date, country: U8) -> U8:
        """Return (n,) foreign countries: the regime's favourite or any other."""
        n = len(country)
        where = foreign_country(country, self._lanes(day, "country", n))
        draw = self._rng(day, "favourite").random(n)
        for code in np.unique(country).tolist():
            favourite, share = self.compromises.regimes.favourite(day_number(day), int(code))
            where[(country == code) & (draw < share)] = favourite
        return where

    def _terminals(self, found: FraudDay, day: date, home: Any) -> tuple[F64, F64, F64]:
        n = len(found.timestamp)
        km, bearing = np.full(n, 1.0, np.float32), self._lanes(day, "bearing", n)
        lane = self._lanes(day, "distance", n)
        for kind, (median, sigma) in KM.items():
            rows = np.flatnonzero(found.episodes.kind == kind)
            km[rows] = distance_table(median, sigma, 0.1, 2500.0)[lane[rows]]
        lat, lon = destination(home, km, bearing)
        return lat, lon, haversine(home.lat, home.lon, lat, lon)

    def _devices(self, found: FraudDay, customer: I64) -> NDArray[np.uint64]:
        """Return numbers of devices: throughout an episode the thief's, or throughout the customer's own."""
        seed, name, number = self.cardholders.seed, self.cardholders.generator, found.episodes.number
        lane = hash64(hash_key(seed, name, "thief has a device"), number) >> np.uint64(48)
        new = lane < np.round(by_type(self.shares.new_device) * LANES)[found.episodes.kind]
        stranger = (hash64(hash_key(seed, name, "thief device"), number) >> np.uint64(25)) | KNOWN_DEVICES
        return np.where(new, stranger, customer.astype(np.uint64) * np.uint64(2))

    def _responses(self, found: FraudDay, day: date, category: U8, dollars: Any, abroad: NDArray[np.bool_]) -> U8:
        n = len(category)
        code = np.zeros(n, np.uint8)
        lane = self._lanes(day, "response", n)
        barred = abroad | (category == mcc.index("7995"))
        large = dollars >= responses.LARGE_FROM
        strong = np.array([c.sca for c in COUNTRIES])[found.episodes.country]
        for channel, sca in ((mcc.CP, False), (mcc.CP, True), (mcc.CNP, False), (mcc.CNP, True)):
            rows = np.flatnonzero(found.declined & (found.channel == channel) & (strong == sca))
            code[rows] = responses.codes(
                self.config.answers, channel, False, day, sca, large[rows], barred[rows], lane[rows]
            )
        testing = np.flatnonzero(found.declined & (found.episodes.kind == fraud.TESTING))
        code[testing] = check.mix_table(self.shares.testing_codes, responses.RESPONSES)[lane[testing]]
        stopped = np.where(found.episodes.kind == fraud.STOLEN, responses.STOLEN, responses.SUSPECTED)
        stopped = np.where((found.episodes.kind == fraud.STOLEN) & (lane % 2 == 0), responses.LOST, stopped)
        code = np.where(found.late, stopped, code)
        return np.where(found.failed, responses.OUTAGE, code).astype(np.uint8)

    # -- visits to skimmed terminals ------------------------------------------------------------------------------

    def _visits(self, day: date) -> tuple[Episodes, I64]:
        """Return the episodes whose card uses a skimmed terminal on the day, and the instants of the visits."""
        number = day_number(day)
        low, high = fraud.VISIT_DAYS
        episodes = self._starting(number + low, number + high, True)
        episodes = episodes.take(np.flatnonzero(episodes.kind == fraud.SKIMMING))
        key = hash_key(self.cardholders.seed, self.cardholders.generator, "skimmed visit")
        words = hash64(key, episodes.number)
        before = low + (words % np.uint64(high - low + 1)).astype(np.int64)
        start, end = day_bounds(day, self.config.timezone)
        curve = np.array(self.compromises.curves[mcc.CP])
        edges = np.concatenate([[0.0], np.cumsum(curve / curve.sum())])
        share = np.interp((words >> np.uint64(40)).astype(np.float64) * 2.0**-24, edges, np.arange(25) / 24)
        instant = start + (share * (end - start)).astype(np.int64)
        rows = np.flatnonzero((episodes.day - before == number) & (instant < end))
        found = episodes.take(rows)
        # Who came after the visit, or lived elsewhere then, was skimmed elsewhere.
        who = self._customers(found, np.full(len(found), number, np.int64))
        there = (who.number << 2) | found.which == found.card
        there &= self._regions(who) == self._regions(self._chosen(found))
        return found.take(np.flatnonzero(there)), instant[rows[there]]

    def _regions(self, who: Customers) -> U8:
        return np.asarray(areas().region[self.cardholders.homes(who).area], np.uint8)

    def _chosen(self, episodes: Episodes) -> Customers:
        """Return whose region made (n,) victims of skimmers: the customers in their slots in the middle of the year."""
        middles = {year: fraud.middle_of(year) for year in np.unique(episodes.number >> 32).tolist()}
        day = np.array([middles[year] for year in (episodes.number >> 32).tolist()], np.int64)
        return self._customers(episodes, day)

    def visits(self, day: date) -> Sales:
        """Return the genuine purchases of a day at terminals that copied the card."""
        episodes, instants = self._visits(day)
        n = len(episodes)
        who, person, issue = self._victims(episodes, np.full(n, day_number(day), np.int64))
        home = self.cardholders.homes(who)
        cards = self.cardholders.cards(who, episodes.which, day_number(day))
        key = hash_key(self.cardholders.seed, self.cardholders.generator, "skimmer")
        words = hash64(key, (episodes.number >> 32) * 1_000_000 + episodes.group)
        codes = mcc.indices(*fraud.SKIMMER_CODES)
        category = codes[(words % np.uint64(len(codes))).astype(np.intp)].astype(np.uint8)
        place = areas()
        region = place.region[home.area]
        south, north, west, east = place.boxes[region].T
        lat = np.round(south + (north - south) * (words >> np.uint64(48)).astype(np.float64) / LANES, 6)
        lon = np.round(
            west + (east - west) * (words >> np.uint64(32) & np.uint64(0xFFFF)).astype(np.float64) / LANES, 6
        )
        merchant = self.merchants.in_region(region, category, (words >> np.uint64(16)).astype(np.uint16))

        def lanes(column: str) -> U16:
            return self._lanes(day, f"visit {column}", n)

        dollars = self.amounts.raw(category, person[2], lanes("amount"))
        response = self._visit_responses(day, instants, dollars)
        return Sales(
            instants, np.full(n, VISIT, np.uint8), np.arange(n), who, home, person, cards.key, issue, category,
            np.full(n, mcc.CP, np.uint8), merchant, lat, lon, haversine(home.lat, home.lon, lat, lon),
            dollars, lanes("cents"),
            check.present_entries(self.config, self.amounts.laws, day, who.country, category, lanes("entry")),
            check.mix_table(self.config.verification.present, check.VERIFICATIONS)[lanes("verification")],
            np.full(n, check.NULL, np.uint8), np.full(n, check.NULL, np.uint8), np.zeros(n, np.uint64), who.country,
            np.zeros(n, np.bool_), response, responses.latencies(response, lanes("latency")),
            np.full(n, check.NULL, np.uint8), np.full(n, NO_EPISODE, np.int64),
        )  # fmt: skip

    def _visit_responses(self, day: date, timestamp: I64, dollars: NDArray[np.float32]) -> U8:
        """Return the answers to visits: as to any purchase, for a card is copied whether it is accepted or not."""
        n = len(timestamp)
        code, decline = np.zeros(n, np.uint8), self._lanes(day, "visit declined", n)
        rows = np.flatnonzero(decline < round(responses.decline_rate(self.config.cp_decline_rate, day) * LANES))
        large, barred = dollars[rows] >= responses.LARGE_FROM, np.zeros(len(rows), np.bool_)
        lane = self._lanes(day, "visit response", n)[rows]
        code[rows] = responses.codes(self.config.answers, mcc.CP, False, day, False, large, barred, lane)
        code[self._unanswered(day, timestamp, decline)] = responses.OUTAGE
        return code
