"""What a bank learns of fraud, and when: reports by cardholders, merchants and its own model, and chargebacks.

A report comes on max(report of the episode, day after the purchase); declined fraud is confirmed by the issuer's model
at once. A chargeback follows an approved, reported purchase by 3 to 15 days, unless it is below $15 and written off.
Cardholders also dispute purchases of their own, which then carry the label of fraud: noise that real labels have.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.days import day_number
from generators.finance import fraud, mcc
from generators.finance.card_ids import FRAUD, GENUINE, CardIds
from generators.finance.card_tables import SOURCES
from generators.finance.checks_at_sale import mix_table
from generators.finance.fraud_rows import FraudRows
from generators.finance.genuine import FIRST_PARTY, Genuine
from generators.labels import EVENT_DAY
from generators.randomness import stream

CARDHOLDER, MERCHANT, MODEL = range(3)
FRAUD_CNP, FRAUD_CP, NOT_RECEIVED, DUPLICATE = range(4)
REPORT, CHARGEBACK = 0, 1


def outcomes(rows: FraudRows, slices: Iterable[Genuine], day: date, seed: int, generator: str) -> pl.DataFrame:
    """Return the compact outcomes of a day's payments: reports and chargebacks with their lag."""
    parts = [_of_fraud(rows, day, seed, generator)]
    parts += [_of_disputes(genuine, day) for genuine in slices]
    return pl.concat([_with_chargebacks(part) for part in parts])


def _of_fraud(rows: FraudRows, day: date, seed: int, generator: str) -> dict[str, NDArray[Any]]:
    found, number = rows.on_day(day), day_number(day)
    n = len(found.timestamp)

    def rng(column: str) -> np.random.Generator:
        return stream(seed, generator, day, "fraud label", column)

    shares = rows.config.labels
    source = mix_table(shares.sources, SOURCES)[rng("source").integers(0, 65_536, n, dtype=np.uint16)]
    source = np.where(found.declined, np.uint8(MODEL), source)
    at_once = rng("model").integers(0, 2, n)
    lag = np.maximum(found.episodes.report - number, 1)
    lag = np.where(source == MODEL, at_once, lag)
    dollars = np.asarray(rows.dollars(day))
    written_off = (dollars < shares.write_off_below) & (rng("written off").random(n) < shares.write_off)
    low, high = shares.chargeback_days
    known = found.episodes.report < fraud.NO_REPORT
    return {
        "number": np.arange(n, dtype=np.uint32)[known],
        "source_code": np.full(int(known.sum()), FRAUD, np.uint8),
        "lag": lag[known].astype(np.int16),
        "after": rng("chargeback").integers(low, high + 1, n)[known].astype(np.int16),
        "charged": ~(found.declined | written_off)[known],
        "reason": np.where(found.channel == mcc.CNP, FRAUD_CNP, FRAUD_CP)[known].astype(np.uint8),
        "reporter": source[known].astype(np.uint8),
        "label": np.ones(int(known.sum()), np.bool_),
    }


def _of_disputes(genuine: Genuine, day: date) -> dict[str, NDArray[Any]]:
    batch, shares, disputes = genuine.batch, genuine.config.labels, genuine.config.disputes
    row, kind, _, category, person = genuine.disputes()
    dollars = genuine.dollars(category, person[2], row) * disputes.amount_factor
    n, rng = len(row), batch.rng("dispute_label")
    delay = np.floor(np.exp(np.log(disputes.report_days) + fraud.REPORT_SIGMA * rng.standard_normal(n)))
    lag = 1 + np.minimum(delay, fraud.REPORT_CAP)
    low, high = shares.chargeback_days
    written_off = (dollars < shares.write_off_below) & (rng.random(n) < shares.write_off)
    other = np.where(rng.random(n) < disputes.not_received, NOT_RECEIVED, DUPLICATE)
    own = kind == FIRST_PARTY
    return {
        "number": (batch.first + row).astype(np.uint32),
        "source_code": np.full(n, GENUINE, np.uint8),
        "lag": lag.astype(np.int16),
        "after": rng.integers(low, high + 1, n).astype(np.int16),
        "charged": ~written_off,
        "reason": np.where(own, FRAUD_CNP, other).astype(np.uint8),
        "reporter": np.full(n, CARDHOLDER, np.uint8),
        "label": own,
    }


def _with_chargebacks(part: dict[str, NDArray[Any]]) -> pl.DataFrame:
    """Return a row for each report and one for each chargeback."""
    reports = pl.DataFrame(part).with_columns(event=pl.lit(REPORT, pl.UInt8), report_lag=pl.col("lag"))
    charged = reports.filter("charged").with_columns(
        event=pl.lit(CHARGEBACK, pl.UInt8), lag=pl.col("lag") + pl.col("after")
    )
    return pl.concat([reports, charged]).drop("charged", "after")


def rows(known: pl.DataFrame, day: date, ids: CardIds) -> pl.DataFrame:
    """Return the columns of `fraud_labels` from the outcomes that become known on a day, event days in order."""
    pieces = []
    for (event_day,), part in known.group_by(EVENT_DAY, maintain_order=True):
        text = ids.transactions(part["source_code"].to_numpy(), part["number"].to_numpy(), event_day)
        pieces.append(part.with_columns(transaction_id=text))
    if not pieces:
        pieces = [known.with_columns(transaction_id=pl.lit(None, pl.String))]
    charged = pl.col("event") == CHARGEBACK
    report = pl.col(EVENT_DAY) + pl.duration(days=pl.col("report_lag"))
    return pl.concat(pieces).select(
        "transaction_id",
        label_event="event",
        transaction_date=EVENT_DAY,
        report_date=report.cast(pl.Date),
        chargeback_date=pl.when(charged).then(pl.lit(day, pl.Date)),
        chargeback_reason=pl.when(charged).then("reason"),
        label_source="reporter",
        label_fraud="label",
    )
