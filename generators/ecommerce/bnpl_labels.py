"""What becomes known of a purchase after its day: instalments paid, missed or charged off, and how the loan ends.

An instalment falls due every 14 days from the purchase on. A purchase that defaults pays none from its first missed
instalment on and is charged off 60 days after that one was due. Others may pay one instalment late, with a probability
that rises with the purchase's own risk, so that lateness and default go together. An instalment that is unpaid the day
after it was due is `missed`, whether it will be cured or not: its status tells nothing of what comes later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.base import Batch
from generators.days import dates, day_number
from generators.ecommerce.bnpl_ids import number_views, transaction_ids
from generators.ecommerce.bnpl_tables import PAYMENT_STATUSES
from generators.ecommerce.default_model import normal_cdf
from generators.identifiers import inline_text
from generators.labels import EVENT_DAY, LAG
from generators.randomness import F64, LANES, hash64, hash_key

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

EVERY_DAYS = 14
"""Days between instalments."""
CHARGE_OFF_DAYS = 60
"""Days from the due date of the first missed instalment to the charge-off."""
AUTOPAY_SHARE = 0.85
EARLY_DAYS = 4
"""Without autopay an instalment is paid 0 to 3 days before it is due; two bits hold them."""
CURE = 0.18
"""Late payments come 1 + G days after the due date, G geometric with this parameter, at most `LATEST` days."""
LATEST = 45
FEE, FEE_SHARE, FEE_AFTER_DAYS = 700, 4, 10
"""Late fee in cents, at most a quarter of the instalment, when it is more than 10 days past due."""

SCHEDULED, ON_TIME, MISSED, LATE, CHARGED_OFF = range(len(PAYMENT_STATUSES))


def late_probability(quantile: F64) -> F64:
    """Return (n,) probabilities that a loan pays an instalment late, by the quantile of its risk: 0.08 on average."""
    return 0.02 + 0.18 * quantile**2


@dataclass(frozen=True, eq=False)
class Loans:
    """(n,) purchases and how they are paid.

    Attributes:
        number: Numbers that name them within their day.
        customer: Numbers that the customers show in their ids.
        cents: Amounts.
        first_cents: What is paid at checkout.
        count: Instalments.
        missed: Position of the first instalment that stays unpaid, the one at checkout being 0; 0: all are paid.
        late: Position of the instalment that is paid late; 0: none.
        delay: Days past due of the late payment.
        early: Words whose bits 2k and 2k + 1 say how many days before it is due instalment k is paid.
        autopay: Whether the account is debited on the due date.
    """

    number: U32
    customer: U64
    cents: U32
    first_cents: U32
    count: U8
    missed: U8
    late: U8
    delay: U8
    early: U64
    autopay: NDArray[np.bool_]

    @property
    def charge_off(self) -> U16:
        """(n,) days from the purchase to the charge-off of those that miss an instalment."""
        return self.missed * np.uint16(EVERY_DAYS) + np.uint16(CHARGE_OFF_DAYS)

    @property
    def parts(self) -> tuple[U32, U32]:
        """(n,) cents of each instalment after the first, and what the last one is due beyond them."""
        return np.divmod(self.cents - self.first_cents, self.count - np.uint8(1))

    def advance(self, rows: I64, position: U8) -> U8:
        """Return (m,) days by which instalments are paid before they are due."""
        bits = self.early.take(rows) >> (position.astype(np.uint64) * np.uint64(2))
        return (bits & np.uint64(EARLY_DAYS - 1)).astype(np.uint8)


def loans(
    batch: Batch,
    *,
    number: U64,
    customer: I64,
    shown: U64,
    account: U8,
    cents: U32,
    first_cents: U32,
    installments: U8,
    missed: U16,
    linear: NDArray[np.float32],
) -> Loans:
    """Return how the purchases of a slice are paid.

    Args:
        batch: The slice; its streams ``late``, ``late_installment``, ``late_days`` and ``early_days`` are drawn from.
        number: (n,) numbers of the transactions.
        customer: (n,) entity numbers.
        shown: (n,) numbers that the customers show in their ids.
        account: (n,) which of the customer's accounts pays, 0 or 1.
        cents: (n,) amounts.
        first_cents: (n,) first payments.
        installments: (n,) numbers of instalments.
        missed: (n,) positions of the first missed instalment, 0 without default.
        linear: (n,) standardised risks, the l of `default_model`.
    """

    def lanes(column: str) -> U16:
        return batch.rng(column).integers(0, LANES, batch.n, dtype=np.uint16)

    step = np.clip(linear * np.float32(4_095 / 12) + np.float32(4_096 / 2), 0, 4_095).astype(np.uint16)
    is_late = lanes("late") < _late_table()[step]
    position = 1 + (lanes("late_installment").astype(np.uint32) * (installments - np.uint8(1)) >> 16).astype(np.uint8)
    # A loan that defaults pays none from the first missed instalment on.
    late = np.where(is_late & ((missed == 0) | (position < missed)), position, 0).astype(np.uint8)
    autopay = _autopay(batch, customer, account)
    early = batch.rng("early_days").integers(0, 2**64, batch.n, dtype=np.uint64)
    early[autopay] = 0
    delay = _delay_table()[lanes("late_days")]
    return Loans(
        number.astype(np.uint32),
        shown,
        cents,
        first_cents,
        installments,
        missed.astype(np.uint8),
        late,
        delay,
        early,
        autopay,
    )


def _autopay(batch: Batch, customer: I64, account: U8) -> NDArray[np.bool_]:
    key = hash_key(batch.seed, batch.generator, "account", "autopay")
    share = np.uint64(int(AUTOPAY_SHARE * LANES))
    return hash64(key, customer * 2 + account) >> np.uint64(48) < share


@lru_cache(maxsize=1)
def _late_table() -> U16:
    """(4,096,) thresholds of 16-bit draws by standardised risk over [-6, 6]."""
    return (late_probability(normal_cdf(np.linspace(-6.0, 6.0, 4_096))) * LANES).astype(np.uint16)


@lru_cache(maxsize=1)
def _delay_table() -> U8:
    """(65,536,) days past due by 16-bit draw: min(1 + G, 45), G >= 1 geometric."""
    middles = (np.arange(LANES) + 0.5) / LANES
    geometric = np.ceil(np.log1p(-middles) / np.log1p(-CURE))
    return np.asarray(np.minimum(1 + geometric, LATEST), np.uint8)


# -- compact outcomes ---------------------------------------------------------------------------------------------


def installment_outcomes(given: Loans) -> pl.DataFrame:
    """Return a row for each status that each instalment takes, by its lag: a loan's first rows stand together.

    Those of the day of the purchase, more than half, are a chunk of their own: it is let go as a whole.
    """
    return pl.concat([_first_statuses(given), _later_statuses(given)])


def _first_statuses(given: Loans) -> pl.DataFrame:
    """Return the rows of the day of the purchase: the schedule, and the payment at checkout."""
    rows = given.count + np.uint8(1)
    position = _turns(rows)
    ends = np.cumsum(rows, dtype=np.int64)
    paid = ends - 1
    position[paid] = 0
    status = np.full(len(position), SCHEDULED, np.uint8)
    status[paid] = ON_TIME
    part, over = given.parts
    cents = np.repeat(part, rows)
    cents[paid - 1] += over
    cents[paid] = cents[ends - rows] = given.first_cents
    return pl.DataFrame(
        {
            "number": np.repeat(given.number, rows),
            "customer": np.repeat(given.customer, rows),
            "cents": cents,
            "position": position,
            "status": status,
            "autopay": np.repeat(given.autopay, rows),
            LAG: np.zeros(len(position), np.uint16),
        }
    )


def _later_statuses(given: Loans) -> pl.DataFrame:
    """Return the rows of what follows, in order of lag: paid, missed, charged off."""
    rows = given.count - np.uint8(1)
    loan = np.repeat(np.arange(len(rows)), rows)
    position = _turns(rows)
    position += np.uint8(1)
    due = position * np.uint16(EVERY_DAYS)
    missed = given.missed.take(loan)
    unpaid = np.flatnonzero((missed > 0) & (position >= missed))
    late = np.flatnonzero(given.late.take(loan) == position)
    lag = due - given.advance(loan, position)
    lag[late] = due[late] + given.delay[loan[late]]
    status = np.full(len(loan), ON_TIME, np.uint8)
    status[late] = LATE
    charged = given.charge_off[loan[unpaid]]
    lag[unpaid], status[unpaid] = charged, CHARGED_OFF
    part, over = given.parts
    cents = part.take(loan)
    cents[np.cumsum(rows, dtype=np.int64) - 1] += over
    overdue = np.sort(np.concatenate([unpaid[due[unpaid] < charged], late]))
    lag = np.concatenate([lag, due[overdue] + np.uint16(1)])
    status = np.concatenate([status, np.full(len(overdue), MISSED, np.uint8)])
    order = np.argsort(lag, kind="stable")
    row = np.concatenate([np.arange(len(loan)), overdue]).take(order)
    loan = loan.take(row)
    return pl.DataFrame(
        {
            "number": given.number.take(loan),
            "customer": given.customer.take(loan),
            "cents": cents.take(row),
            "position": position.take(row),
            "status": status.take(order),
            "autopay": given.autopay.take(loan),
            LAG: lag.take(order),
        }
    )


def _turns(counts: U8) -> U8:
    """Return the number of each of sum(counts) rows within its owner."""
    ends = np.cumsum(counts, dtype=np.uint32)
    return (np.arange(counts.sum(dtype=np.int64), dtype=np.uint32) - np.repeat(ends - counts, counts)).astype(np.uint8)


def loan_outcomes(given: Loans) -> pl.DataFrame:
    """Return a row for each purchase with the day on which its end is known."""
    last = given.count - np.uint8(1)
    rows = np.arange(len(last))
    late = given.late > 0
    # The last payment is the last instalment's, or the one that is paid late.
    paid = last * np.uint16(EVERY_DAYS) - given.advance(rows, last)
    cured = given.late * np.uint16(EVERY_DAYS) + given.delay
    paid = np.where(late, np.where(given.late == last, cured, np.maximum(paid, cured)), paid)
    return pl.DataFrame(
        {
            "number": given.number,
            "missed": given.missed,
            LAG: np.where(given.missed > 0, given.charge_off, paid).astype(np.uint16),
        }
    )


OUTCOMES: dict[str, Callable[[Loans], pl.DataFrame]] = {
    "installments": installment_outcomes,
    "outcomes": loan_outcomes,
}


# -- rows -----------------------------------------------------------------------------------------------------------


def installment_rows(known: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return the columns of `installments`."""
    position, status, cents = (known[name].to_numpy() for name in ("position", "status", "cents"))
    number, customer = known["number"].to_numpy(), known["customer"].to_numpy()
    bought = known[EVENT_DAY].to_physical().to_numpy()
    # Rows of one loan stand together where there are several: ids are rendered once for each run of them.
    starts = np.flatnonzero(np.append(True, (number[1:] != number[:-1]) | (bought[1:] != bought[:-1])))[: len(number)]
    runs = np.diff(np.append(starts, len(number)))
    nth = position + np.uint8(1)
    transaction, installment = transaction_ids(bought[starts], number[starts], runs, nth)
    today = np.full(len(known), day_number(day), np.int32)
    due = bought + position * np.int32(EVERY_DAYS)
    amount = cents / 100
    paid = (status == ON_TIME) | (status == LATE)
    ended = np.flatnonzero(status >= LATE)
    overdue = ended[(today - due)[ended] > FEE_AFTER_DAYS]
    fee = np.zeros(len(known))
    fee[overdue] = np.minimum(FEE, cents[overdue] // FEE_SHARE) / 100
    return pl.DataFrame(
        {
            "installment_id": installment,
            "transaction_id": transaction,
            "customer_id": inline_text(np.repeat(number_views(customer[starts]).view(np.complex128), runs)),
            "installment_number": nth,
            "due_date": dates(due),
            "amount_due": amount,
            "autopay": known["autopay"],
            "payment_status": status,
            "paid_date": dates(today, paid),
            "amount_paid": np.where(paid, amount, 0.0),
            "late_fee_amount": fee,
            "status_date": dates(today),
        }
    )


def loan_rows(known: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return the columns of `outcomes`."""
    missed = pl.col("missed").cast(pl.UInt16)
    transaction, _ = transaction_ids(known[EVENT_DAY].to_physical().to_numpy(), known["number"].to_numpy())
    return known.select(
        transaction.alias("transaction_id"),
        pl.col(EVENT_DAY).alias("purchase_date"),
        (missed > 0).alias("will_default"),
        pl.when(missed > 0).then(missed * EVERY_DAYS).alias("days_to_first_missed_payment"),
        pl.lit(day).alias("outcome_known_date"),
        (missed > 0).cast(pl.UInt8).alias("outcome"),
    )


ROWS: dict[str, Callable[[pl.DataFrame, date], pl.DataFrame]] = {
    "installments": installment_rows,
    "outcomes": loan_rows,
}

# -- snapshots ------------------------------------------------------------------------------------------------------


def standing(rows: pl.LazyFrame, day: date) -> pl.LazyFrame:
    """Return how the instalments of each purchase stand at the end of a day.

    Args:
        rows: Rows of `installments` up to the day.
        day: The day; days past due are counted to it.
    """
    # The categories of payment_status stand in the order of an instalment's life, so the latest is the largest.
    status = pl.col("payment_status").to_physical()
    each = rows.group_by("transaction_id", "installment_number").agg(
        status.max().alias("status"),
        pl.col("due_date").first(),
        pl.col("status_date").max(),
        pl.col("amount_paid").max(),
        pl.col("late_fee_amount").max(),
    )
    due = pl.col("due_date") <= day
    paid = pl.col("status").is_in([ON_TIME, LATE])
    unpaid_since = pl.col("due_date").filter(due & ~paid).min()
    changed = pl.col("status_date").max()
    newest = pl.col("status").filter(pl.col("status_date") == changed).max()
    return each.group_by("transaction_id").agg(
        due.sum().cast(pl.UInt8).alias("installments_due"),
        paid.sum().cast(pl.UInt8).alias("installments_paid"),
        (pl.col("status") == LATE).sum().cast(pl.UInt8).alias("installments_paid_late"),
        pl.col("amount_paid").sum().round(2),
        pl.col("late_fee_amount").sum().round(2).alias("late_fees"),
        (pl.lit(day) - unpaid_since).dt.total_days().fill_null(0).cast(pl.UInt16).alias("days_past_due"),
        newest.cat.to(pl.Enum(PAYMENT_STATUSES)).alias("payment_status"),
        changed,
    )
