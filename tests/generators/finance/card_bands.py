"""What purchases by card must look like: figures with the bands they must lie in, for a year of rows.

`outside` names those that do not. Answers of issuers and fraud have their figures in files of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from tests.generators.ecommerce.statistics import (
    chi_square,
    gini,
    ks_bound,
    ks_distance,
    shares,
    stability_index,
    top_share,
    total_variation,
)
from tests.generators.finance import card_oracle as table
from tests.generators.finance.card_rules import DOMESTIC, REMOTE, text

Figure = tuple[str, float, float, float]
"""(name, value, low, high)."""
F64 = NDArray[np.float64]
MANY = math.inf
SAMPLE = 20_000
"""Rows or entities of a test with a critical value: with millions, rounding to cents would be found out."""


def mean(series: pl.Series) -> float:
    return float(series.cast(pl.Float64).mean())  # type: ignore[arg-type]


def median(series: pl.Series) -> float:
    return float(series.median())  # type: ignore[arg-type]


def genuine(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what is neither fraud nor a subscription."""
    return rows.filter(~pl.col("is_fraud") & ~pl.col("is_recurring"))


def mix(label: str, column: pl.Series, expected: Mapping[str, float], slack: float) -> Iterator[Figure]:
    """Yield each share, within `slack` and half to twice its value."""
    found = shares(column.drop_nulls())
    for name, value in expected.items():
        low, high = max(value - slack, value / 2), min(value + slack, value * 2)
        yield f"{label} {name}", found.get(name, 0.0), low, high


def critical(label: str, column: pl.Series, expected: Mapping[str, float]) -> Figure:
    statistic, critical = chi_square(column.head(SAMPLE), expected)
    return label, statistic, 0.0, critical


# -- who --------------------------------------------------------------------------------------------------------


def _people(rows: pl.DataFrame) -> Iterator[Figure]:
    cards = rows.unique("card_id", keep="first", maintain_order=True)
    people = rows.unique("customer_id", keep="first", maintain_order=True)
    for name, expected in (("card_brand", table.BRANDS), ("card_type", table.TYPES)):
        yield from mix(name, cards[name], expected, 0.02)
        yield critical(f"chi-square of {name}", cards[name], expected)
    others = {"elsewhere": table.ALL_MILLIONS - sum(table.MILLIONS.values())}
    home = people["home_region"].cast(pl.String)
    home = home.set(~home.is_in(list(table.MILLIONS)), "elsewhere")
    yield critical("chi-square of home_region", home, table.MILLIONS | others)
    busy = rows.group_by("customer_id").agg(pl.len(), pl.col("card_id").n_unique()).filter(pl.col("len") >= 100)
    expected = {str(number): share for number, share in table.CARDS_OF_A_CUSTOMER.items()}
    yield from mix("cards of a customer", busy["card_id"], expected, 0.03)
    remote = rows.select(remote=REMOTE, age="customer_age")
    young, old = (mean(remote.filter(part)["remote"]) for part in (pl.col("age") < 30, pl.col("age") >= 60))
    yield "the young pay remotely", young / old, 1.1, 2.0


def _activity(rows: pl.DataFrame) -> Iterator[Figure]:
    counts = rows.group_by("customer_id").len()["len"].to_numpy().astype(np.float64)
    yield "active customers", len(counts), SAMPLE / 2, MANY
    yield "gini of customers", gini(counts), 0.38, 0.52
    yield "rows of the top tenth", top_share(counts), 0.24, 0.36
    yield "99th percentile over median", float(np.quantile(counts, 0.99) / np.median(counts)), 4.0, MANY


def _shops(rows: pl.DataFrame) -> Iterator[Figure]:
    visits = rows.group_by("merchant_id").len()["len"].sort(descending=True).to_numpy()
    slope = np.polyfit(np.log(np.arange(3, 301)), np.log(visits[2:300]), 1)[0]
    yield "exponent of merchants", -float(slope), 0.8, 1.3
    pairs = rows.group_by("customer_id", "merchant_id").len().sort("len", descending=True)
    best = pairs.group_by("customer_id").agg(pl.col("len").head(5).sum().alias("top"), pl.col("len").sum())
    busy = best.filter(pl.col("len") >= 60)
    yield "rows at the five favourites", mean(busy["top"] / busy["len"]), 0.35, 0.65


# -- what -------------------------------------------------------------------------------------------------------


def _categories(rows: pl.DataFrame) -> Iterator[Figure]:
    yield "distance of categories", total_variation(rows["mcc"], table.SHARES), 0.0, 0.02
    remote, present = rows.filter(REMOTE), rows.filter(~REMOTE)
    of_remote = {code: t.share * t.remote for code, t in table.TRADES.items()}
    of_present = {code: t.share * (1 - t.remote) for code, t in table.TRADES.items()}
    yield "distance of remote categories", total_variation(remote["mcc"], of_remote), 0.0, 0.03
    yield "distance of present categories", total_variation(present["mcc"], of_present), 0.0, 0.03
    yield "remote by number", remote.height / rows.height, 0.30, 0.38
    yield "remote by value", remote["billing_amount"].sum() / rows["billing_amount"].sum(), 0.35, 0.48
    foreign = {name: mean(~part.select(DOMESTIC).to_series()) for name, part in
               {"all": rows, "present": present, "remote": remote}.items()}  # fmt: skip
    yield "foreign", foreign["all"], 0.03, 0.06
    yield "foreign, present", foreign["present"], 0.008, 0.016
    yield "foreign, remote", foreign["remote"], 0.07, 0.09


def within_and_between(level: pl.Series, group: pl.Series) -> float:
    """Return the standard deviation between groups of a one-way layout with random effects."""
    groups = pl.DataFrame({"x": level, "g": group}).group_by("g").agg(pl.len(), pl.mean("x"), pl.var("x").alias("v"))
    groups = groups.filter(pl.col("len") >= 2)
    n, x, v = (groups[name].to_numpy().astype(np.float64) for name in ("len", "x", "v"))
    inside = ((n - 1) @ v) / (n - 1).sum()
    middle = (n @ x) / n.sum()
    between = (n @ (x - middle) ** 2) / (len(n) - 1)
    size = (n.sum() - (n @ n) / n.sum()) / (len(n) - 1)
    return math.sqrt(max(between - inside, 0.0) / size)


def _amounts(rows: pl.DataFrame) -> Iterator[Figure]:
    bill = rows["billing_amount"]
    yield "mean bill", mean(bill), 52, 70
    yield "median bill", median(bill), 26, 36
    yield "99th percentile of bills", float(bill.quantile(0.99)), 330, 560  # type: ignore[arg-type]
    own = rows.filter(~pl.col("is_fraud") & (text("currency") == "USD"))
    logs = own["billing_amount"].log()
    yield "spread of customers' amounts", within_and_between(logs, own["customer_id"]), 0.25, 0.45
    # Subscriptions repeat their amount, and a customer is in all his rows: one row each.
    single = own.select("mcc", "customer_id", "billing_amount").unique(
        ["mcc", "customer_id"], keep="first", maintain_order=True
    )
    for (code,), part in single.partition_by("mcc", as_dict=True, maintain_order=True).items():
        trade = table.TRADES[str(code)]
        sigma = math.hypot(trade.sigma, table.CUSTOMER_SIGMA)
        value = part["billing_amount"].head(SAMPLE)
        yield f"median of {code}", median(value) / trade.median, 0.93, 1.07
        yield f"sigma of {code}", float(value.log().std()) / sigma, 0.95, 1.05  # type: ignore[arg-type]
        if code in table.SHAPED_CENTS:
            yield f"law of {code}", *_grid(value.to_numpy(), trade.median, sigma, 0.25 if code == "4111" else 1.0)
        else:
            level = stats.norm.cdf((value.log().to_numpy() - math.log(trade.median)) / sigma)
            yield f"law of {code}", ks_distance(level), 0.0, ks_bound(len(level))


def _grid(value: F64, middle: float, sigma: float, step: float) -> tuple[float, float, float]:
    """Return (statistic, 0, critical value) of amounts on a grid: fares on quarters, whole units below a .99."""
    shift = 0.5 if step < 1 else 0.0  # fares are rounded, prices cut
    cell = np.floor(value / step + 1e-6).astype(int)
    low = 2 if step < 1 else 1
    edges = np.unique(np.clip(np.quantile(cell, np.linspace(0, 1, 25)[1:-1]).astype(int), low + 1, None))
    bounds = stats.norm.cdf((np.log((edges - shift) * step) - math.log(middle)) / sigma)
    expected = np.diff(np.concatenate([[0.0], bounds, [1.0]])) * len(cell)
    found = np.bincount(np.searchsorted(edges, cell, side="right"), minlength=len(expected))
    return float(((found - expected) ** 2 / expected).sum()), 0.0, float(stats.chi2.isf(1e-6, len(expected) - 1))


def _exchange(rows: pl.DataFrame) -> Iterator[Figure]:
    abroad = rows.filter((text("currency") != "USD") & (pl.col("billing_amount") > 20))
    daily = (
        abroad.group_by("currency", pl.col("timestamp").dt.date().alias("day"))
        .agg((pl.col("billing_amount") / pl.col("amount")).log().median().alias("level"), pl.len())
        .sort("currency", "day")
    )
    steps = daily.select(
        pl.col("level").diff().over("currency"), days=pl.col("day").diff().dt.total_days().over("currency")
    ).filter(pl.col("days") == 1)
    yield "daily step of exchange rates", float(steps["level"].std()), 0.0036, 0.0044  # type: ignore[arg-type]


# -- where and again --------------------------------------------------------------------------------------------


def _places(rows: pl.DataFrame) -> Iterator[Figure]:
    present = rows.filter(~REMOTE & ~pl.col("is_fraud"))
    yield "median distance", median(present["distance_km"]), 4, 9
    yield "beyond 100 km", mean(present["distance_km"] > 100), 0.02, 0.05
    daily = present.group_by("customer_id", pl.col("timestamp").dt.date().alias("day")).agg(
        (pl.col("distance_km") > 250).mean().alias("away"), pl.len()
    )
    several = daily.filter((pl.col("len") >= 2) & (pl.col("away") > 0))
    yield "far rows of a day come together", mean(several["away"]), 0.85, 1.0
    trips = daily.filter(pl.col("away") == 1).sort("customer_id", "day")
    number = ((pl.col("day").diff().dt.total_days() > 9).fill_null(True)).cum_sum().over("customer_id")
    spans = trips.group_by("customer_id", number.alias("trip")).agg(
        (pl.col("day").max() - pl.col("day").min()).dt.total_days().alias("span"), pl.len()
    )
    yield "trips of at most nine days", mean(spans["span"] < 9), 0.93, 1.0
    yield "trips on which several days are seen", mean(spans["len"] > 1), 0.2, 1.0


def _subscriptions(rows: pl.DataFrame) -> Iterator[Figure]:
    five = rows.filter(text("mcc").is_in(list(table.SUBSCRIBED)) & ~pl.col("is_fraud"))
    yield "subscriptions among their categories", mean(five["is_recurring"]), 0.81, 0.89
    paid = five.filter("is_recurring").sort("timestamp")
    series = (
        paid.group_by("customer_id", "merchant_id", "amount")
        .agg(pl.col("timestamp").diff().dt.total_hours().drop_nulls().alias("gap"), pl.len())
        .filter(pl.col("len") >= 6)
    )
    variation = series.select(pl.col("gap").list.std() / pl.col("gap").list.mean()).to_series()
    yield "series", series.height, 1_000, MANY
    # Two subscriptions of a customer to one merchant at one price look like one: one series in four thousand.
    yield "even intervals", mean(variation <= 0.15), 0.999, 1.0
    yield "paid every month", median(series["len"]) / (rows["timestamp"].dt.date().n_unique() / 30.5), 0.85, 1.05


def _steadiness(rows: pl.DataFrame) -> Iterator[Figure]:
    """Population stability of the first quarter and the last: nothing but fraud drifts."""
    day = pl.col("timestamp").dt.date()
    first, last = rows.select(day.min().alias("a"), day.max().alias("b")).row(0)
    quarter = (last - first) / 4
    before, after = rows.filter(day < first + quarter), rows.filter(day > last - quarter)
    for name in ("billing_amount", "distance_km", "card_age_days", "customer_age", "home_lon", "auth_latency_ms"):
        x, y = (part[name].drop_nulls().to_numpy().astype(np.float64) for part in (before, after))
        yield f"stability of {name}", stability_index(x, y), 0.0, 0.02
    for name in ("mcc", "pos_entry_mode", "card_brand", "response_code"):
        p, q = (shares(part[name]) for part in (before, after))
        kinds = [k for k in p if p[k] > 1e-3 and q.get(k, 0.0) > 0]
        yield f"stability of {name}", sum((q[k] - p[k]) * math.log(q[k] / p[k]) for k in kinds), 0.0, 0.02


GROUPS: dict[str, Callable[[pl.DataFrame], Iterator[Figure]]] = {
    "people": _people,
    "activity": _activity,
    "shops": _shops,
    "categories": _categories,
    "amounts": _amounts,
    "exchange": _exchange,
    "places": _places,
    "subscriptions": _subscriptions,
    "steadiness": _steadiness,
}


def outside(figures: Iterator[Figure]) -> list[str]:
    """Return the figures outside their bands as text."""
    return [
        f"{name}: {value:.5g} not in [{low:g}, {high:g}]"
        for name, value, low, high in figures
        if not low <= value <= high
    ]
