"""Subscriptions: the same merchant and amount every month, on a fixed day with a jitter of two days.

Subscription q of a country's Q falls due on day 1 + q mod 28 of each month, moved by up to two days, so the payments of
a day are found by counting in steps of 28, without a table. Everything else hangs on (q, customer in the slot).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from generators.days import day_number
from generators.entities import I64
from generators.finance import checks_at_sale as check
from generators.finance import mcc, responses
from generators.finance.card_ids import RECURRING
from generators.finance.card_shares import AnswerShares
from generators.finance.cardholders import Cardholders
from generators.finance.merchants import Merchants
from generators.finance.money import Amounts
from generators.finance.places import word_lanes
from generators.finance.sales import NO_EPISODE, Sales
from generators.finance.tokens import Reissues
from generators.randomness import F64, LANES, hash64, hash_key, pick_table, stream

BILLING_DAYS = 28
JITTER = (0.10, 0.20, 0.40, 0.20, 0.10)
"""Shares of payments two days early to two days late."""
PER_CUSTOMER = 1.25
"""Subscriptions of a customer at the table's share of recurring rows."""


@dataclass(frozen=True)
class Subscriptions:
    """The subscriptions of a generator under one config.

    Attributes:
        cardholders: The population.
        merchants: The merchants.
        amounts: Laws of the amounts, and of the categories of subscriptions.
        share: Share of all rows that are recurring payments.
        decline_rate: Share of payments that are declined.
        avs: Shares of the address check's results.
        answers: Shares of the response codes, and how often an outage declines.
        timezone: Zone in which days begin.
    """

    cardholders: Cardholders
    merchants: Merchants
    amounts: Amounts
    share: float
    decline_rate: float
    avs: Mapping[str, float]
    answers: AnswerShares
    timezone: str

    def count(self, country: int) -> int:
        """Return a country's number of subscriptions, in proportion to the share of rows that are recurring."""
        part = self.share / float(mcc.TABLE.recurring_shares.sum())
        return max(1, round(self.cardholders.slots(country) * PER_CUSTOMER * part)) if part else 0

    def expected(self, country: int, day: date) -> float:
        """Return the mean number of a country's payments on a day."""
        total = 0.0
        for step, share in enumerate(JITTER, start=-2):
            due = day - timedelta(step)
            if due.day <= BILLING_DAYS:
                total += share * len(range(due.day - 1, self.count(country), BILLING_DAYS))
        return total

    def due(self, country: int, day: date) -> I64:
        """Return the numbers of a country's subscriptions that are paid on a day."""
        found = []
        for step in range(-2, 3):
            due = day - timedelta(step)
            if due.day > BILLING_DAYS:
                continue
            numbers = np.arange(due.day - 1, self.count(country), BILLING_DAYS)
            key = hash_key(self._seed, self._generator, "billing", country, due.year * 12 + due.month)
            jitter = check.cached_table(JITTER)[(hash64(key, numbers) >> np.uint64(48)).astype(np.intp)]
            found.append(numbers[jitter == step + 2])
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def sales(self, day: date, cumulative: dict[int, tuple[F64, F64]], reissues: Reissues) -> Sales:
        """Return the payments of a day.

        Args:
            day: The day.
            cumulative: Country code -> (share of the day's rows before, instants): when payments arrive.
            reissues: Reissues that decide about tokens on the day.
        """
        number = day_number(day)
        numbers, slots, countries, times = [], [], [], []
        for code, _ in self.cardholders.countries:
            due = self.due(code, day)
            numbers.append(due)
            slots.append(
                (hash64(self._key("slot", code), due) % np.uint64(self.cardholders.slots(code))).astype(np.int64)
            )
            countries.append(np.full(len(due), code, np.uint8))
            level = self._rng(day, f"timestamp {code}").random(len(due))
            times.append(np.interp(level, *cumulative[code]).astype(np.int64))
        who = None
        for (code, _), own in zip(self.cardholders.countries, slots, strict=True):
            part = self.cardholders.in_slots(code, own, number)
            who = part if who is None else who.joined(part)
        assert who is not None
        q, n = np.concatenate(numbers), len(who.number)
        key = self._key("subscription", 0)
        words = hash64(key, who.number * np.int64(1 << 24) + q)
        category_lane, merchant_lane, amount_lane, cents_lane = word_lanes(words)
        category = self._categories[category_lane]
        person = self.cardholders.person(who.number)
        home = self.cardholders.homes(who)
        which = (words % np.uint64(251)).astype(np.int64) * self.cardholders.cards_held(person[3]) // 251
        cards = self.cardholders.cards(who, which, number)
        dollars = self.amounts.raw(category, person[2], amount_lane)
        instants = np.concatenate(times)
        response = self._responses(day, instants, dollars)
        return Sales(
            instants, np.full(n, RECURRING, np.uint8), np.arange(n), who, home, person, cards.key,
            reissues.issue(cards.key, cards.issue, number), category, np.full(n, mcc.CNP, np.uint8),
            self.merchants.in_country(who.country, category, merchant_lane), np.zeros(n), np.zeros(n), np.zeros(n),
            dollars, cents_lane, np.full(n, check.ON_FILE, np.uint8), np.zeros(n, np.uint8),
            np.full(n, check.NULL, np.uint8), check.mix_table(self.avs, check.AVS_RESULTS)[self._lanes(day, "avs", n)],
            who.number.astype(np.uint64) * np.uint64(2), who.country, np.ones(n, np.bool_), response,
            responses.latencies(response, self._lanes(day, "latency", n)), np.full(n, check.NULL, np.uint8),
            np.full(n, NO_EPISODE, np.int64),
        )  # fmt: skip

    def _responses(self, day: date, timestamp: I64, dollars: NDArray[np.float32]) -> NDArray[np.uint8]:
        n, decline = len(dollars), self._lanes(day, "declined", len(dollars))
        rows = np.flatnonzero(decline < round(responses.decline_rate(self.decline_rate, day) * LANES))
        lane = self._lanes(day, "response", n)[rows]
        large, barred = dollars[rows] >= responses.LARGE_FROM, np.zeros(len(rows), np.bool_)
        code = np.zeros(n, np.uint8)
        code[rows] = responses.codes(self.answers, mcc.CNP, True, day, False, large, barred, lane)
        failed = responses.unanswered(self.answers, timestamp, day, self._seed, self._generator, self.timezone, decline)
        code[failed] = responses.OUTAGE
        return code

    @cached_property
    def _categories(self) -> NDArray[np.uint8]:
        """(65,536,) categories of subscriptions by 16-bit draw."""
        shares = self.amounts.laws.recurring_shares
        return pick_table(tuple(shares if shares.sum() > 0.0 else mcc.TABLE.recurring_shares))

    @property
    def _seed(self) -> int:
        return self.cardholders.seed

    @property
    def _generator(self) -> str:
        return self.cardholders.generator

    def _key(self, word: str, country: int) -> np.uint64:
        return hash_key(self._seed, self._generator, word, country)

    def _rng(self, day: date, column: str) -> np.random.Generator:
        return stream(self._seed, self._generator, day, "recurring", column)

    def _lanes(self, day: date, column: str, n: int) -> NDArray[np.uint16]:
        return self._rng(day, column).integers(0, LANES, n, dtype=np.uint16)
