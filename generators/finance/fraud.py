"""Compromises of cards: episodes of six kinds, a pure function of (config, calendar year).

A year's episodes are placed in proportion to its expected rows: F = fraud_rate x expected rows of the year, of which
each kind makes its share. Card testing comes as attacks over many cards at one merchant, skimming as 20 to 60 cards of
one region that used the same terminal 5 to 40 days before. Victims are drawn in proportion to the root of activity.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.calendar import FIRST_DAY, LAST_DAY
from generators.days import day_number
from generators.entities import I32, I64
from generators.finance import mcc
from generators.finance.cardholders import TERM_DAYS, Cardholders
from generators.finance.fraud_shares import EpisodeShares, by_type
from generators.finance.geography import areas
from generators.finance.regimes import Regimes
from generators.finance.tokens import NEVER, Reissues, unpack
from generators.intraday import day_bounds
from generators.randomness import F64, stream

U8 = NDArray[np.uint8]

KINDS = 6
CREDENTIALS, TESTING, TAKEOVER, STOLEN, SKIMMING, APPLICATION = range(KINDS)
ROW_WEIGHTS: tuple[dict[int, float], ...] = (
    {1: 0.25, 2: 0.30, 3: 0.25, 4: 0.20},
    dict.fromkeys(range(4, 10), 1 / 6),
    {1: 0.35, 2: 0.35, 3: 0.30},
    dict.fromkeys(range(2, 7), 0.2),
    {1: 0.15, 2: 0.25, 3: 0.30, 4: 0.20, 5: 0.10},
    dict.fromkeys(range(3, 11), 0.125),
)
"""Kind -> rows of an episode -> weight."""
GAP_HOURS = (10.0, 0.1, 6.0, 3.0, 12.0, 60.0)
"""Mean gap between the rows of an episode."""
KEPT = (1.0, 1.0, 0.993, 1.0, 1.0, 0.978)
"""Share of an episode's rows that happen: those later than five days after the report do not. Measured."""
REPORT_SIGMA, REPORT_CAP = 1.0, 120
AFTER_REPORT_DAYS = 5
"""Days after the report on which declined rows of the episode still come."""
QUICK_DAYS, APPLICATION_DAYS = 10, 45
"""Longest episode; application fraud ends when the card is 45 days old."""
ROOM_DAYS = 60
"""Days that a victim and his card must still have."""
TESTING_ROWS, TESTING_CARDS, TESTING_MINUTES = 6.5, (20, 300), 50
TESTING_CODES = ("5815", "5816", "8398")
SKIMMER_ROWS, SKIMMER_CARDS, SKIMMER_DAYS = 120, (20, 60), 20
VISIT_DAYS = (5, 40)
SKIMMER_CODES = ("5542", "5541", "5411", "5499", "5814")
BLOCK_EPISODES = 131_072
"""Episodes that are placed together."""
LARGEST_RATE = 0.01
"""Fraud rate at which about half of all cards are compromised in a year: more would compromise them again and again."""

MEAN_ROWS = tuple(sum(n * w for n, w in weights.items()) for weights in ROW_WEIGHTS)


@dataclass(frozen=True, eq=False)
class Episodes:
    """(m,) compromises of a year.

    Attributes:
        number: Unique over years.
        kind: Kinds, `CREDENTIALS` to `APPLICATION`.
        country: Codes of the victims' countries.
        slot: The victims' slots.
        which: Which of the victim's cards.
        card: Card numbers.
        day: Days on which episodes start.
        start: Instants of the first row, UTC microseconds.
        rows: Rows that the episode would have.
        report: Days of the report; `NO_REPORT` when it is never reported.
        reissue: Whether the card is issued again on the day after the report.
        group: Number of the attack or skimmer in the year, -1 elsewhere.
    """

    number: I64
    kind: U8
    country: U8
    slot: I64
    which: U8
    card: I64
    day: I32
    start: I64
    rows: U8
    report: I32
    reissue: NDArray[np.bool_]
    group: I32

    def __len__(self) -> int:
        return len(self.number)

    def take(self, rows: NDArray[Any]) -> Episodes:
        """Return some of the episodes."""
        return Episodes(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def concat(cls, parts: list[Episodes]) -> Episodes:
        """Return the episodes of several parts."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


NO_REPORT = NEVER


@dataclass(frozen=True)
class Compromises:
    """The episodes of a generator under one config, year by year.

    Attributes:
        cardholders: The population.
        regimes: What fraud likes, which changes every few months.
        rate: Share of rows that are fraud.
        mix: Shares of fraud rows by kind.
        shares: What else the config says about episodes.
        expected: Returns the expected rows of each day of a year, shape (days,).
        timezone: Zone in which days begin.
        curves: Hour curves of the channels, 24 shares each.
    """

    cardholders: Cardholders
    regimes: Regimes
    rate: float
    mix: tuple[float, ...]
    shares: EpisodeShares
    expected: Callable[[int], F64]
    timezone: str
    curves: tuple[tuple[float, ...], tuple[float, ...]]

    def year(self, year: int) -> Episodes:
        """Return the episodes that start in a year, sorted by start; none outside the calendar."""
        cache: dict[int, Episodes] = self.__dict__.setdefault("_years", {})
        if year not in cache:
            if len(cache) >= 2:
                cache.pop(next(iter(cache)))
            cache[year] = _Year(self, year).episodes()
        return cache[year]

    def reissues(self, year: int) -> Reissues:
        """Return the reissues that decide which tokens are in use on the days of a year."""
        cache: dict[int, Reissues] = self.__dict__.setdefault("_reissues", {})
        if year not in cache:
            if len(cache) >= 2:
                cache.pop(next(iter(cache)))
            packed = np.concatenate([self.reissued_in(y) for y in range(year - 4, year + 1)])
            # Cards issued before the oldest term that a row of the year may look at are out of use.
            oldest = day_number(date(year, 1, 1)) - TERM_DAYS - APPLICATION_DAYS
            cache[year] = Reissues(np.sort(packed[unpack(packed)[1] >= oldest]))
        return cache[year]

    def reissued_in(self, year: int) -> I64:
        """Return the packed reissues that the compromises of a year lead to."""
        cache: dict[int, I64] = self.__dict__.setdefault("_reissues_of_year", {})
        if year not in cache:
            if len(cache) >= 8:
                cache.pop(next(iter(cache)))
            found = self.year(year)
            again = found.reissue & (found.report < NO_REPORT)
            cache[year] = Reissues.pack(found.card[again], found.report[again] + 1)
        return cache[year]


def middle_of(year: int) -> int:
    """Return the day on which the year's skimmers look where their victims live (days since 1970-01-01)."""
    return (day_number(date(year, 1, 1)) + day_number(date(year, 12, 31))) // 2


class _Year:
    """Places the episodes of one year."""

    def __init__(self, whole: Compromises, year: int) -> None:
        self.whole, self.year = whole, year
        self.people = whole.cardholders
        self.inside = FIRST_DAY.year <= year <= LAST_DAY.year
        self.used = np.zeros(0, np.int64)
        """Cards compromised already: a card is compromised once a year."""
        if not self.inside or whole.rate == 0.0:
            return
        self.first, self.last = day_number(date(year, 1, 1)), day_number(date(year, 12, 31))
        days = range(self.last - self.first + 1)
        self.starts = np.array([day_bounds(date(year, 1, 1) + timedelta(d), whole.timezone)[0] for d in days])
        self.weights = whole.expected(year)
        self.fraud_rows = whole.rate * float(self.weights.sum())
        self.tilts = whole.regimes.kind_tilts(self.first, len(self.starts), whole.mix)

    def rng(self, *path: str | int) -> np.random.Generator:
        return stream(self.people.seed, self.people.generator, "fraud", self.year, *path)

    def episodes(self) -> Episodes:
        if not self.inside or self.whole.rate == 0.0 or self.fraud_rows <= 0.0:
            return _empty()
        makers = [self._testing, self._skimming, self._application]
        makers += [partial(self._single, kind) for kind in (CREDENTIALS, TAKEOVER, STOLEN)]
        parts: list[Episodes] = []
        for make in makers:
            parts.append(make())
            self.used = np.union1d(self.used, parts[-1].card)
        found = Episodes.concat(parts)
        found = found.take(np.argsort(found.start, kind="stable"))
        number = (np.int64(self.year) << 32) | np.arange(len(found))
        return replace(found, number=number)

    def _count(self, kind: int) -> float:
        return self.fraud_rows * self.whole.mix[kind] / (MEAN_ROWS[kind] * KEPT[kind])

    def _single(self, kind: int) -> Episodes:
        """Episodes of single cards, a block of them at a time: what is at work is not sized by the year."""
        count = int(self.rng("single", kind).poisson(self._count(kind)))
        blocks = range(0, max(count, 1), BLOCK_EPISODES)
        parts = []
        for block, first in enumerate(blocks):
            parts.append(self._block(kind, min(count - first, BLOCK_EPISODES), self.rng("single", kind, block)))
            if len(blocks) > 1:
                self.used = np.union1d(self.used, parts[-1].card)
        return Episodes.concat(parts)

    def _block(self, kind: int, count: int, rng: np.random.Generator) -> Episodes:
        weights = np.cumsum(self.weights * self.tilts[kind])
        candidates = self._candidates(count)
        day = np.searchsorted(weights / weights[-1], rng.random(candidates), side="right").clip(0, len(weights) - 1)
        curve = self._night() if kind != STOLEN else np.array(self.whole.curves[mcc.CP])
        start = self._instants(day, curve, rng)
        return self._placed(kind, day, start, count, rng)

    def _application(self) -> Episodes:
        """Accounts opened to be plundered: the card was issued in the year, fraud starts within 15 days."""
        rng = self.rng("application")
        count = int(rng.poisson(self._count(APPLICATION)))
        country, slot = self._victims(count * 5 + 50, rng)
        day = np.full(len(slot), self.last)
        card, which, issue = self._cards(country, slot, day, rng)
        begin = issue - self.first + rng.integers(0, 15, len(slot))
        fits = self._fresh(card, (issue >= self.first) & (begin < len(self.starts)))[:count]
        start = self._instants(begin[fits], np.array(self.whole.curves[mcc.CNP]), rng)
        return self._built(APPLICATION, country[fits], slot[fits], which[fits], card[fits], begin[fits], start, rng)

    def _testing(self) -> Episodes:
        """Attacks on a merchant with many cards: systematically placed, so that a year has its share of them."""
        rng = self.rng("testing")
        monthly = self.fraud_rows * self.whole.mix[TESTING] / 12.0
        if monthly <= 0.0:
            return _empty()
        rate = max(min(2.0, monthly / 200.0), monthly / (TESTING_ROWS * TESTING_CARDS[1]))
        attacks = math.floor(12.0 * rate + rng.random())
        mean = np.clip(monthly / (TESTING_ROWS * rate), *TESTING_CARDS)
        cards = np.round(mean * rng.uniform(0.67, 1.33, attacks)).astype(np.int64)
        place = (np.arange(attacks) + rng.random(attacks)) / max(attacks, 1) * len(self.starts)
        group = np.repeat(np.arange(attacks), _candidates_each(cards))
        moment = self._instants(place.astype(np.int64), self._night(), rng)
        day = place.astype(np.int64)[group]
        start = moment[group] + (rng.random(len(group)) * TESTING_MINUTES * 60e6).astype(np.int64)
        country, slot = self._victims(len(group), rng)
        return self._clusters(TESTING, group, cards, country, slot, day, start, rng)

    def _skimming(self) -> Episodes:
        """Skimmers: cards of one region that used one terminal, each plundered on its own."""
        rng = self.rng("skimming")
        rate = self.fraud_rows * self.whole.mix[SKIMMING] / SKIMMER_ROWS
        skimmers = math.floor(rate + rng.random())
        low, high = SKIMMER_CARDS
        cards = rng.integers(low, high + 1, skimmers)
        wanted = _candidates_each(cards)
        country, slot = self._victims(int(2 * wanted.sum()) + 40 * high * min(skimmers, 1), rng)
        region = self._regions(country, slot, np.full(len(slot), middle_of(self.year)))
        order = np.argsort(region, kind="stable")
        chosen = _chunks(region[order], wanted, rng)
        group = np.repeat(np.arange(skimmers), [len(c) for c in chosen])
        rows = order[np.concatenate(chosen)] if chosen else np.zeros(0, np.int64)
        moment = rng.random(skimmers) * (len(self.starts) - SKIMMER_DAYS)
        day = (moment[group] + rng.random(len(group)) * SKIMMER_DAYS).astype(np.int64)
        start = self._instants(day, np.array(self.whole.curves[mcc.CP]), rng)
        return self._clusters(SKIMMING, group, cards, country[rows], slot[rows], day, start, rng)

    def _clusters(
        self, kind: int, group: I64, cards: I64, country: U8, slot: I64, day: I64, start: I64, rng: np.random.Generator
    ) -> Episodes:
        """Keep the first `cards` valid and different victims of each cluster."""
        card, which, _ = self._cards(country, slot, day + self.first, rng)
        rows = self._fresh(card, self._room(country, slot, which, day + self.first))
        bounds = np.searchsorted(group[rows], np.arange(len(cards)))
        place = np.arange(len(rows)) - bounds[group[rows]] if len(rows) else rows
        rows = rows[place < cards[group[rows]]] if len(rows) else rows
        found = self._built(kind, country[rows], slot[rows], which[rows], card[rows], day[rows], start[rows], rng)
        return replace(found, group=group[rows].astype(np.int32))

    def _placed(self, kind: int, day: I64, start: I64, count: int, rng: np.random.Generator) -> Episodes:
        country, slot = self._victims(len(day), rng)
        card, which, _ = self._cards(country, slot, day + self.first, rng)
        rows = self._fresh(card, self._room(country, slot, which, day + self.first))[:count]
        return self._built(kind, country[rows], slot[rows], which[rows], card[rows], day[rows], start[rows], rng)

    def _built(
        self, kind: int, country: U8, slot: I64, which: U8, card: I64, day: I64, start: I64, rng: np.random.Generator
    ) -> Episodes:
        count = len(slot)
        sizes, weights = np.array(list(ROW_WEIGHTS[kind])), np.cumsum(list(ROW_WEIGHTS[kind].values()))
        rows = sizes[np.searchsorted(weights / weights[-1], rng.random(count)).clip(0, len(sizes) - 1)]
        shares = self.whole.shares
        median = by_type(shares.report_days)[kind]
        delay = np.exp(np.log(median) + REPORT_SIGMA * rng.standard_normal(count))
        began = day + self.first
        report = began + 1 + np.minimum(np.floor(delay), REPORT_CAP).astype(np.int64)
        report[rng.random(count) < shares.never_reported] = NO_REPORT
        reissue = rng.random(count) < shares.reissued
        return Episodes(
            np.zeros(count, np.int64), np.full(count, kind, np.uint8), country, slot, which, card,
            began.astype(np.int32), start, rows.astype(np.uint8), report.astype(np.int32), reissue,
            np.full(count, -1, np.int32),
        )  # fmt: skip

    def _fresh(self, card: I64, valid: NDArray[np.bool_]) -> I64:
        """Return the valid rows whose card is compromised for the first time in the year, in order."""
        first = np.zeros(len(card), np.bool_)
        rows = np.flatnonzero(valid & ~np.isin(card, self.used))
        first[rows[np.unique(card[rows], return_index=True)[1]]] = True
        return np.flatnonzero(first)

    def _candidates(self, count: int) -> int:
        """Return how many victims to draw so that enough of them have room and are not compromised yet."""
        return int(count * (1.35 + 120.0 * self.whole.rate)) + 20

    # -- victims and moments --------------------------------------------------------------------------------------

    def _victims(self, count: int, rng: np.random.Generator) -> tuple[U8, I64]:
        """Return (country, slot) of customers drawn in proportion to the root of their activity."""
        people = self.people
        shares = np.cumsum([share for _, share in people.countries])
        pick = np.searchsorted(shares / shares[-1], rng.random(count)).clip(0, len(shares) - 1)
        country = np.array([code for code, _ in people.countries], np.uint8)[pick]
        slot = np.zeros(count, np.int64)
        for code, _ in people.countries:
            rows = np.flatnonzero(country == code)
            slot[rows] = people.pool(code, "victim").draw(len(rows), rng)
        return country, slot

    def _cards(self, country: U8, slot: I64, day: I64, rng: np.random.Generator) -> tuple[I64, U8, I64]:
        """Return (card, which, day of issue) of one card of each victim on the day."""
        lane = rng.random(len(slot))
        card, which, issue = np.zeros(len(slot), np.int64), np.zeros(len(slot), np.uint8), np.zeros(len(slot), np.int64)
        for code, _ in self.people.countries:
            rows = np.flatnonzero(country == code)
            who = self.people.in_slots(code, slot[rows], day[rows])
            counts = self.people.cards_held(self.people.person(who.number)[3])
            which[rows] = (lane[rows] * counts).astype(np.uint8)
            cards = self.people.cards(who, which[rows], day[rows])
            card[rows], issue[rows] = cards.key, cards.issue
        return card, which, issue

    def _room(self, country: U8, slot: I64, which: U8, day: I64) -> NDArray[np.bool_]:
        """Return whether victims and their cards have enough days left for the episode."""
        room = np.zeros(len(slot), np.bool_)
        for code, _ in self.people.countries:
            rows = np.flatnonzero(country == code)
            who = self.people.in_slots(code, slot[rows], day[rows])
            room[rows] = self.people.cards(who, which[rows], day[rows]).remaining > ROOM_DAYS
        return room

    def _regions(self, country: U8, slot: I64, day: I64) -> U8:
        region = np.zeros(len(slot), np.uint8)
        for code, _ in self.people.countries:
            rows = np.flatnonzero(country == code)
            who = self.people.in_slots(code, slot[rows], day[rows])
            region[rows] = areas().region[self.people.homes(who).area]
        return region

    def _night(self) -> F64:
        flat = np.array([2.0 if hour < 6 else 1.0 for hour in range(24)])
        curve = np.array(self.whole.curves[mcc.CNP])
        share = self.whole.shares.night
        return np.asarray(share * flat / flat.sum() + (1.0 - share) * curve / curve.sum())

    def _instants(self, day: I64, curve: F64, rng: np.random.Generator) -> I64:
        """Return instants on days of the year at hours drawn from a curve."""
        edges = np.concatenate([[0.0], np.cumsum(curve / curve.sum())])
        hours = np.interp(rng.random(len(day)), edges, np.arange(25))
        return np.asarray(self.starts[day] + (hours * 3600e6).astype(np.int64), np.int64)


def _candidates_each(cards: I64) -> I64:
    return (cards * 1.4).astype(np.int64) + 8


def _chunks(region: U8, wanted: I64, rng: np.random.Generator) -> list[I64]:
    """Cut runs of sorted (n,) regions into pieces of the wanted lengths, regions drawn by what is left of them."""
    codes, first = np.unique(region, return_index=True)
    left = np.diff(np.append(first, len(region)))
    pieces = []
    for size in wanted.tolist():
        edges = np.cumsum(np.where(left >= size, left, 0))
        if not len(codes) or edges[-1] == 0:
            pieces.append(np.zeros(0, np.int64))
            continue
        place = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
        pieces.append(np.arange(first[place], first[place] + size))
        first[place] += size
        left[place] -= size
    return pieces


def _empty() -> Episodes:
    types: dict[str, Any] = dict.fromkeys(("number", "slot", "card", "start"), np.int64)
    types |= dict.fromkeys(("day", "report", "group"), np.int32) | {"reissue": np.bool_}
    return Episodes(*(np.zeros(0, types.get(f.name, np.uint8)) for f in fields(Episodes)))
