"""How an authorisation is answered: declines, their codes, outages, and the customer's second attempt.

Shares of the codes follow table 2.3 of processors' reports ("almost half" of declines are lack of funds). The
probability of a decline depends on channel and day of the month alone, so that who retries is known without knowing
what was bought.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.finance import checks_at_sale, mcc
from generators.finance.card_shares import AnswerShares
from generators.intraday import day_bounds
from generators.randomness import LANES, pick_table, stream

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
I64 = NDArray[np.int64]

RESPONSES = ("00", "05", "14", "1A", "41", "43", "51", "54", "57", "59", "61", "65", "82", "91", "N7")
APPROVED = RESPONSES.index("00")
OUTAGE, STOLEN, LOST, SUSPECTED = (RESPONSES.index(c) for c in ("91", "43", "41", "59"))

LATE_FIRST, LATE_FACTOR, EARLY_FACTOR = 25, 1.138, 0.97
"""From the 25th on declines are more frequent, before that less: the month's mean is kept."""
LATE_FUNDS, EARLY_FUNDS = 1.3, 0.92
"""Factors of code 51 among declines before payday and otherwise."""

RETRY_SECONDS = (15, 240)
"""Delay of a second attempt: uniform; the next row of the channel at least that much later becomes the attempt."""
RETRY_LIMIT = 600
"""Seconds within which a second attempt follows, or none."""

OUTAGE_MEAN, OUTAGE_MOST, OUTAGE_HOURS = 0.8, 2, (0.5, 2.5)

CP_FACTORS = {"51": 0.8, "05": 0.75, "14": 0.1, "54": 0.7, "82": 0.0, "N7": 0.0, "1A": 0.0}
CNP_FACTORS = {"05": 1.1, "14": 1.6, "54": 0.5, "82": 1.95, "N7": 1.95}
RECURRING_FACTORS = {"54": 3.0, "82": 0.0, "N7": 0.0, "65": 0.3, "61": 0.5}
LARGE_FROM, LARGE_FACTOR = 250.0, 5.0
"""Amount in USD from which code 61 is more likely."""
BARRED_FACTOR = 6.0
"""Factor of code 57 in gambling and across borders."""
SCA_FACTOR = 2.1
"""Factor of code 1A in remote rows that are not recurring, where strong customer authentication is the rule. They are
half of the declines there, of which the code is then the table's share."""


def decline_rate(channel_rate: float, day: date) -> float:
    """Return the probability of a decline on a day, outages aside."""
    return channel_rate * (LATE_FACTOR if day.day >= LATE_FIRST else EARLY_FACTOR)


@lru_cache(maxsize=64)
def _code_picks(mix: tuple[tuple[str, float], ...], channel: int, recurring: bool, late: bool, sca: bool) -> U8:
    """Return (4 * 65,536,) response codes by (large * 2 + barred, 16-bit draw)."""
    tables = []
    for large in (False, True):
        for barred in (False, True):
            shares = dict(mix)
            factors = RECURRING_FACTORS if recurring else CNP_FACTORS if channel == mcc.CNP else CP_FACTORS
            for code, factor in factors.items():
                shares[code] *= factor
            shares["51"] *= LATE_FUNDS if late else EARLY_FUNDS
            shares["61"] *= LARGE_FACTOR if large else 0.92
            shares["57"] *= BARRED_FACTOR if barred else 0.8
            if sca and channel == mcc.CNP:
                shares["1A"] *= SCA_FACTOR
            else:
                shares["05"] += shares.pop("1A")
            if not any(shares.values()):  # none of the codes that the mix names is the channel's
                shares["05"] = 1.0
            tables.append(pick_table(tuple(shares.get(code, 0.0) for code in RESPONSES)))
    return np.concatenate(tables)


def codes(
    shares: AnswerShares,
    channel: int,
    recurring: bool,
    day: date,
    sca: bool,
    large: NDArray[np.bool_],
    barred: NDArray[np.bool_],
    lane: U16,
) -> U8:
    """Return (n,) response codes of declined rows of a channel."""
    table = _code_picks(tuple(shares.codes.items()), channel, recurring, day.day >= LATE_FIRST, sca)
    cell = large.astype(np.intp) * 2 + barred
    return np.asarray(table[(cell << 16) + lane], np.uint8)


@lru_cache(maxsize=64)
def outages(seed: int, generator: str, year: int, month: int, timezone: str) -> tuple[tuple[int, int], ...]:
    """Return the windows of a month in which the issuer is unavailable, as UTC microseconds."""
    rng = stream(seed, generator, "outages", year, month)
    first = date(year, month, 1)
    following = date(year + month // 12, month % 12 + 1, 1)
    start = day_bounds(first, timezone)[0]
    end = day_bounds(following - timedelta(1), timezone)[1]
    windows = []
    for _ in range(1 + min(OUTAGE_MOST, int(rng.poisson(OUTAGE_MEAN)))):
        begin = start + int(rng.random() * (end - start))
        windows.append((begin, begin + int(rng.uniform(*OUTAGE_HOURS) * 3_600_000_000)))
    return tuple(windows)


def in_outage(timestamp: I64, day: date, seed: int, generator: str, timezone: str) -> NDArray[np.bool_] | None:
    """Return whether (n,) instants of a day fall into an outage, or None where the day has none.

    A window of the month before may run past midnight of the first.
    """
    before = day.replace(day=1) - timedelta(1)
    found = None
    for year, month in {(day.year, day.month), (before.year, before.month)}:
        for begin, end in outages(seed, generator, year, month, timezone):
            if len(timestamp) and begin <= timestamp.max() and end > timestamp.min():
                inside = (timestamp >= begin) & (timestamp < end)
                found = inside if found is None else found | inside
    return found


def unanswered(
    shares: AnswerShares, timestamp: I64, day: date, seed: int, generator: str, timezone: str, decline: U16
) -> NDArray[np.bool_]:
    """Return which of (n,) rows of a day are declined because the issuer is unavailable.

    Args:
        shares: How many are, while it is unavailable.
        timestamp: (n,) UTC microseconds.
        day: The day.
        seed: The config's seed.
        generator: Name of the generator.
        timezone: Zone in which months begin.
        decline: (n,) 16-bit draws whose lower end decides about other declines.
    """
    outage = in_outage(timestamp, day, seed, generator, timezone)
    return np.zeros(len(timestamp), np.bool_) if outage is None else _struck(shares, outage, decline)


def _struck(shares: AnswerShares, outage: NDArray[np.bool_], decline: U16) -> NDArray[np.bool_]:
    """Return which of (n,) rows an outage declines: the upper end of the draw that decides about declines."""
    return np.asarray(outage & (decline >= LANES - round(shares.outage_declined * LANES)), np.bool_)


def latencies(response: U8, lane: U16) -> U16:
    """Return the milliseconds to (n,) answers: log-normal, and two seconds more where the issuer does not answer."""
    found = checks_at_sale.latencies()[lane]
    found[response == OUTAGE] += np.uint16(checks_at_sale.OUTAGE_MS)
    return found


@dataclass(frozen=True, eq=False)
class Answers:
    """What becomes of the drawn rows of a slice.

    Attributes:
        declined: (n,) whether the row is declined.
        outage: (n,) whether it is declined because the issuer is unavailable, or None.
        retry: Rows that are second attempts, ascending.
        root: For each retry the row whose first attempt it repeats.
    """

    declined: NDArray[np.bool_]
    outage: NDArray[np.bool_] | None
    retry: I64
    root: I64


def answer(
    shares: AnswerShares,
    timestamp: I64,
    process: U8,
    rates: NDArray[np.float64],
    outage: NDArray[np.bool_] | None,
    decline: U16,
    again: U16,
    delay: U16,
) -> Answers:
    """Decide which rows are declined and which rows are second attempts.

    A declined row may be tried again: the next row of its process at least the drawn delay later takes over card,
    merchant and amount. There is no retry within 10 minutes where no row comes, or where an earlier row has taken it.
    Rows depend on earlier rows alone, so passing until nothing changes ends.

    Args:
        shares: How often declined rows are tried again, and how often in vain.
        timestamp: (n,) ascending UTC microseconds.
        process: (n,) processes; a retry stays in its process.
        rates: (processes,) probabilities of a decline.
        outage: (n,) whether the row falls into an outage, or None.
        decline: (n,) 16-bit draws that decide declines.
        again: (n,) 16-bit draws that decide whether a declined row is retried.
        delay: (n,) 16-bit draws of the delay.
    """
    limits = np.round(rates * LANES).clip(0, LANES - 1).astype(np.uint16)
    bound = limits[process]
    hit = None if outage is None else _struck(shares, outage, decline)
    first = decline < bound
    if hit is not None:
        first |= hit
    second = decline < round(shares.retry_declined * LANES)
    if hit is not None:
        second |= hit
    eager = np.flatnonzero((first | second) & (again < round(shares.retry * LANES)))
    target = _targets(timestamp, process, eager, delay[eager], len(rates))
    eager, target = eager[target >= 0], target[target >= 0]
    parent = np.full(len(timestamp), -1, np.int64)
    while True:
        declined = np.where(parent[eager] >= 0, second[eager], first[eager])
        found = np.full(len(timestamp), -1, np.int64)
        # Assigned from the last to the first, so the earliest row keeps its target.
        found[target[declined][::-1]] = eager[declined][::-1]
        if np.array_equal(found, parent):
            break
        parent = found
    retry = np.flatnonzero(parent >= 0)
    declined_all = first
    declined_all[retry] = second[retry]
    root = parent[retry]
    while True:
        above = parent[root]
        deeper = above >= 0
        if not deeper.any():
            break
        root = np.where(deeper, above, root)
    return Answers(declined_all, hit, retry, root)


def _targets(timestamp: I64, process: U8, rows: I64, delay: U16, processes: int) -> I64:
    """Return for each of some rows the first row of its process at least the delay later, -1 beyond ten minutes."""
    low, high = RETRY_SECONDS
    due = timestamp[rows] + (low * 1_000_000 + delay.astype(np.int64) * ((high - low) * 1_000_000) // LANES)
    target = np.full(len(rows), -1, np.int64)
    for number in range(processes):
        own = np.flatnonzero(process == number) if processes > 1 else np.arange(len(timestamp))
        mine = np.flatnonzero(process[rows] == number)
        if not len(own) or not len(mine):
            continue
        place = np.searchsorted(timestamp[own], due[mine])
        inside = place < len(own)
        target[mine[inside]] = own[place[inside]]
    late = target >= 0
    late[late] = timestamp[target[late]] - timestamp[rows[late]] > RETRY_LIMIT * 1_000_000
    target[late] = -1
    return target
