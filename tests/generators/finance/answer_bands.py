"""How purchases by card are made and answered: hours, entry modes, checks, devices, declines, outages, retries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from tests.generators.ecommerce.statistics import total_variation
from tests.generators.finance import card_oracle as table
from tests.generators.finance.card_bands import MANY, SAMPLE, Figure, critical, genuine, mean, median, mix
from tests.generators.finance.card_rules import DOMESTIC, REMOTE, text


def _hours(rows: pl.DataFrame) -> Iterator[Figure]:
    clock = genuine(rows).select("mcc", "timestamp", remote=REMOTE, hour=pl.col("timestamp").dt.hour(),
                                 weekday=pl.col("timestamp").dt.weekday())  # fmt: skip
    weekend = pl.col("weekday") >= 6
    for name, part, curve in (
        ("present", ~pl.col("remote") & ~weekend, table.CP_HOURS),
        ("present, weekend", ~pl.col("remote") & weekend, table.WEEKEND_CP_HOURS),
        ("remote", pl.col("remote"), table.CNP_HOURS),
    ):
        hours = clock.filter(part)["hour"]
        expected = {str(hour): share for hour, share in enumerate(curve)}
        yield f"distance of hours, {name}", total_variation(hours, expected), 0.0, 0.02
        # A day's noise is in every hour alike, so rows are independent given their day.
        yield critical(f"chi-square of hours, {name}", hours.gather_every(max(hours.len() // SAMPLE, 1)), expected)

    def among(code: str, *hours: int, days: pl.Expr | bool = True) -> float:
        return mean(clock.filter((text("mcc") == code) & days)["hour"].is_in(hours))

    everyone = clock.filter(~pl.col("remote"))["hour"]
    work = pl.col("weekday") <= 5
    yield "doctors by day", among("8011", *range(8, 18)), 0.95, 1.0
    yield "bars by night", among("5813", 20, 21, 22, 23, 0, 1, 2), 0.35, 0.8
    for name, code, hours, days in (
        ("fast food at noon", "5814", (12,), True), ("fast food at six", "5814", (18,), True),
        ("restaurants in the evening", "5812", (18, 19, 20), True), ("groceries at five", "5411", (17,), True),
        ("fuel in the morning", "5541", (7, 8), work), ("pumps at five", "5542", (17,), work),
        ("transport in the morning", "4111", (7, 8, 9), work), ("transport after work", "4111", (16, 17, 18), work),
    ):  # fmt: skip
        usual = mean(everyone.is_in(hours))
        yield name, among(code, *hours, days=days) / usual, 1.10, 4.0
    remote = mean(clock.filter("remote")["hour"].is_in((20, 21, 22, 23, 0, 1)))
    for code in ("5815", "5816", "7995"):
        yield f"{code} at night", among(code, 20, 21, 22, 23, 0, 1) / remote, 1.15, 2.0
    week = clock.filter(~pl.col("remote")).group_by("weekday").agg(
        (text("mcc") == "5813").mean().alias("bars"), (text("mcc") == "8011").mean().alias("doctors"))  # fmt: skip
    bars, doctors = (week.sort("weekday")[name].to_numpy() for name in ("bars", "doctors"))
    yield "bars on Friday and Saturday", bars[4:6].mean() / bars[[0, 1, 2, 3, 6]].mean(), 1.5, 2.1
    yield "doctors at weekends", doctors[5:].mean() / doctors[:5].mean(), 0.0, 0.15


def _reading(rows: pl.DataFrame) -> Iterator[Figure]:
    present, remote = rows.filter(~REMOTE), rows.filter(REMOTE)
    yield from mix("present, entry", present["pos_entry_mode"], table.CP_ENTRY, 0.02)
    yield from mix("remote, entry", remote["pos_entry_mode"], table.CNP_ENTRY, 0.02)
    yield from mix("present, verified by", present["cardholder_verification"], table.CP_VERIFICATION, 0.02)
    yield from mix("remote, verified by", remote["cardholder_verification"], table.CNP_VERIFICATION, 0.02)
    honest = remote.filter(~pl.col("is_fraud"))
    yield from mix("cvv", honest["cvv_result"], table.CVV, 0.005)
    yield from mix("avs", honest["avs_result"], table.AVS, 0.01)
    yield (
        "address at home",
        mean(remote.select(pl.col("ip_country") == pl.col("home_country")).to_series()),
        0.955,
        0.975,
    )
    transit = rows.filter(~REMOTE & (text("mcc") == "4111"))
    yield "contactless transport", mean(transit["pos_entry_mode"] == "07"), 0.85, 1.0


def _devices(rows: pl.DataFrame) -> Iterator[Figure]:
    """Devices seen once in a year, of customers who use their own ones often."""
    remote = genuine(rows).filter(REMOTE)
    busy = remote.filter(pl.len().over("customer_id") >= 20)
    yield "new devices", mean(busy.select(pl.len().over("customer_id", "device_id") == 1).to_series()), 0.08, 0.13


def _answers(rows: pl.DataFrame) -> Iterator[Figure]:
    refused = ~pl.col("is_approved")
    for name, part, low, high in (
        ("present", ~REMOTE, 0.02, 0.035), ("remote", REMOTE, 0.08, 0.15), ("all", pl.lit(True), 0.045, 0.075),
        ("recurring", pl.col("is_recurring"), 0.125, 0.155),
    ):  # fmt: skip
        yield f"declined, {name}", mean(rows.filter(part).select(refused).to_series()), low, high
    declined = rows.filter(refused & ~pl.col("is_fraud")).with_columns(code=text("response_code"))
    yield from mix("declined with", declined["code"], table.DECLINES, 0.02)
    yield "declined with 82 or N7", mean(declined["code"].is_in(["82", "N7"])), 0.03, 0.05
    yield "declined with 91", mean(declined["code"] == "91"), 0.008, 0.035

    def of(code: str, part: pl.Expr) -> float:
        return mean(declined.filter(part)["code"] == code)

    late = pl.col("timestamp").dt.day() >= 25
    yield "lack of funds before payday", of("51", late) / of("51", ~late), 1.10, 1.30
    for name, code, part, low, high in (
        ("do not honour, remote", "05", REMOTE, 1.01, 2.0),
        ("wrong number, remote", "14", REMOTE, 5.0, MANY),
        ("expired, recurring", "54", pl.col("is_recurring"), 2.0, 6.0),
        ("too large", "61", pl.col("billing_amount") >= 250, 3.0, 7.0),
        ("not permitted abroad", "57", ~DOMESTIC, 3.0, 9.0),
        ("not permitted to bet", "57", text("mcc") == "7995", 3.0, 9.0),
    ):  # fmt: skip
        yield name, of(code, part) / of(code, ~part), low, high
    yield "wrong CVV of remote rows only", mean(declined.filter(~REMOTE)["code"].is_in(["82", "N7"])), 0.0, 0.0
    yield "latency", median(rows["auth_latency_ms"]), 250, 450
    quick = rows.filter(text("response_code") != "91")["auth_latency_ms"].log()
    yield "sigma of latency", float(quick.std()), 0.47, 0.53  # type: ignore[arg-type]


def _outages(rows: pl.DataFrame) -> Iterator[Figure]:
    failed = rows.filter(text("response_code") == "91").sort("timestamp")["timestamp"]
    begins = failed.filter((failed.diff().dt.total_minutes() > 60).fill_null(True))
    months = begins.dt.strftime("%Y-%m").value_counts()
    whole = rows["timestamp"].dt.date().n_unique() / 30.5
    yield "months with an outage", months.height / whole, 0.95, 1.2
    yield "outages of a month", float(months["count"].max()), 1, 4  # type: ignore[arg-type]
    yield "hours with an outage", failed.dt.truncate("1h").n_unique() / whole, 0.5, 12


def retried(rows: pl.DataFrame) -> float:
    """Return the share of declined purchases whose card, merchant and amount come again within ten minutes."""
    key = ["card_token", "merchant_id", "amount"]
    own = genuine(rows).filter(text("response_code") != "91").sort("timestamp")
    later = own.with_columns(wait=(pl.col("timestamp").shift(-1).over(key) - pl.col("timestamp")).dt.total_seconds())
    # By night there may be no row that could be the second attempt.
    early = later.filter(pl.col("timestamp").dt.hour().is_between(7, 22) & ~pl.col("is_approved"))
    return mean((early["wait"] <= 600).fill_null(False))


def _retries(rows: pl.DataFrame) -> Iterator[Figure]:
    yield "retried", retried(rows), 0.33, 0.50


GROUPS: dict[str, Callable[[pl.DataFrame], Iterator[Figure]]] = {
    "hours": _hours,
    "reading": _reading,
    "devices": _devices,
    "answers": _answers,
    "outages": _outages,
    "retries": _retries,
}
