"""What fraud must look like: its level among all rows, its six kinds, bursts, attacks, victims and terminals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from tests.generators.finance import card_oracle as table
from tests.generators.finance.card_bands import MANY, Figure, mean, median
from tests.generators.finance.card_rules import DOMESTIC, REMOTE, text

# -- all rows ---------------------------------------------------------------------------------------------------


def level(rows: pl.DataFrame) -> Iterator[Figure]:
    """Yield the figures that compare fraud with everything else, for at least 500,000 rows."""
    frauds, rest = rows.filter("is_fraud"), rows.filter(~pl.col("is_fraud"))
    cnp, cp = (mean(rows.filter(part)["is_fraud"]) for part in (REMOTE, ~REMOTE))
    yield "rate", frauds.height / rows.height, 0.0008, 0.0018
    yield "rate, remote", cnp, 0.002, 0.005
    yield "rate, present", cp, 0.0002, 0.0006
    yield "rate, remote over present", cnp / cp, 5.0, MANY
    yield "mean amount over the rest", mean(frauds["billing_amount"]) / mean(rest["billing_amount"]), 1.6, 3.0
    remote = frauds.filter(REMOTE)["billing_amount"].sum() / frauds["billing_amount"].sum()
    yield "value of remote fraud", remote, 0.70, 0.90
    yield "declined", mean(~frauds["is_approved"]), 0.31, 0.39
    approved = rows.filter("is_approved")
    yield "rate of approved rows", mean(approved["is_fraud"]), 0.0006, 0.0010
    value = approved.filter("is_fraud")["billing_amount"].sum() / approved["billing_amount"].sum()
    yield "basis points of approved value", 1e4 * value, 12, 25
    ages = rows.select("is_fraud", young=pl.col("card_age_days") < 60).group_by("young").agg(pl.mean("is_fraud"))
    rates = dict(ages.iter_rows())
    yield "cards of two months over others", rates[True] / rates[False], 1.0, 2.5
    checks = frauds.filter(REMOTE)
    yield "address at home", mean(checks.select(pl.col("ip_country") == pl.col("home_country")).to_series()), 0.76, 0.86


def victims(rows: pl.DataFrame) -> Iterator[Figure]:
    """Yield who is hit, for a year of rows."""
    hits = rows.filter("is_fraud").filter(~text("fraud_type").is_in(["application_fraud"]))
    episodes = hits.group_by("customer_id").agg(pl.col("fraud_episode_id").n_unique().alias("hits"))
    usual = rows.filter(~pl.col("is_fraud")).group_by("customer_id").len().filter(pl.col("len") >= 50)
    people = usual.join(episodes, on="customer_id", how="left").with_columns(pl.col("hits").fill_null(0))
    bins = people.with_columns(bin=(pl.col("len").log() * 3).floor()).group_by("bin").agg(
        pl.len().alias("n"), pl.mean("len"), pl.mean("hits")).filter((pl.col("n") * pl.col("hits")) >= 30)  # fmt: skip
    x, y, w = (np.log(bins["len"].to_numpy()), np.log(bins["hits"].to_numpy()), bins["n"] * bins["hits"])
    yield "victims by the root of activity", float(np.polyfit(x, y, 1, w=np.sqrt(w.to_numpy()))[0]), 0.35, 0.65
    cards = rows.filter("is_fraud").group_by("card_id").agg(pl.col("fraud_episode_id").n_unique())
    yield "cards hit again", mean(cards["fraud_episode_id"] > 1), 0.0, 0.03
    # Cards in use on a day: of customers seen in the month around it, whose other cards are seen as well.
    middle = rows["timestamp"].dt.date().sort()[rows.height // 2]
    day = pl.col("timestamp").dt.date()
    in_use = rows.filter(day.is_between(middle - pl.duration(days=90), middle + pl.duration(days=90)))
    whole = rows["timestamp"].dt.date().n_unique() / 365
    yield "cards hit in a year", cards.height / in_use["card_id"].n_unique() / whole, 0.045, 0.075


def bursts(rows: pl.DataFrame) -> Iterator[Figure]:
    """Yield how fast the rows of an episode follow each other, beside the genuine rows of the same cards."""
    frauds = rows.filter("is_fraud").sort("timestamp")
    inside = frauds.select(pl.col("timestamp").diff().over("fraud_episode_id").dt.total_seconds()).drop_nulls()
    genuine = rows.filter(~pl.col("is_fraud")).join(frauds.select("card_token").unique(), on="card_token", how="semi")
    usual = genuine.sort("timestamp").select(pl.col("timestamp").diff().over("card_token").dt.total_seconds())
    gap, often = median(inside.to_series()), median(usual.drop_nulls().to_series())
    yield "gap inside an episode over the card's usual one", gap / often, 0.0, 0.3
    # With k quick gaps among n in any order, k (k - 1) / n neighbours are expected to be quick both.
    hit = rows.join(frauds.select("card_token").unique(), on="card_token", how="semi").sort("timestamp")
    quick = hit.select("card_token", quick=pl.col("timestamp").diff().over("card_token").dt.total_hours() < 2)
    runs = (
        quick.drop_nulls()
        .group_by("card_token")
        .agg(
            pl.len().alias("n"),
            pl.sum("quick").alias("k"),
            (pl.col("quick") & pl.col("quick").shift(1)).sum().alias("both"),
        )
        .with_columns(pl.col("n", "k").cast(pl.Float64))
    )
    expected = runs.select((pl.col("k") * (pl.col("k") - 1) / pl.col("n")).sum()).item()
    yield "quick rows come in runs", runs["both"].sum() / expected, 1.15, MANY


ALL_ROWS: dict[str, Callable[[pl.DataFrame], Iterator[Figure]]] = {"level": level, "victims": victims, "bursts": bursts}
"""Figures of fraud among all rows of a year."""

# -- fraud rows alone -------------------------------------------------------------------------------------------


def _of(stolen: pl.DataFrame, kind: str) -> pl.DataFrame:
    return stolen.filter(text("fraud_type") == kind)


def _clusters(stolen: pl.DataFrame, kind: str) -> int:
    """Return how many attacks there are, or about how many skimmers."""
    own = _of(stolen, kind).sort("timestamp")
    if kind == "card_testing":
        return 1 + int((own["timestamp"].diff().dt.total_hours() > 3).sum())
    return max(own.height // 120, 1)


def _mix(stolen: pl.DataFrame) -> Iterator[Figure]:
    for kind, share in table.FRAUD_MIX.items():
        own = _of(stolen, kind)
        slack = 0.05 + (3 * share / math.sqrt(_clusters(stolen, kind)) if kind in table.CLUSTERS else 0.0)
        yield kind, own.height / stolen.height, share - slack, share + slack
        high = table.FRAUD_ROWS[kind][1]
        sizes = own.group_by("fraud_episode_id").len()["len"]
        yield f"rows of {kind}", mean(sizes), 0.80 * MEAN_ROWS[kind], 1.08 * MEAN_ROWS[kind]
        yield f"most rows of {kind}", float(sizes.max() or 0), high, high  # type: ignore[arg-type]
    episodes = stolen.group_by("fraud_episode_id").len()["len"]
    yield "rows of an episode", mean(episodes), 2.4, 3.4


MEAN_ROWS = {
    "cnp_stolen_credentials": 2.4, "card_testing": 6.5, "account_takeover": 1.95, "lost_stolen": 4.0,
    "counterfeit_skimming": 2.85, "application_fraud": 6.5,
}  # fmt: skip
GAP_HOURS = {
    "cnp_stolen_credentials": 10.0, "card_testing": 0.1, "account_takeover": 6.0, "lost_stolen": 3.0,
    "counterfeit_skimming": 12.0,
}  # fmt: skip


def _pace(stolen: pl.DataFrame) -> Iterator[Figure]:
    order = stolen.sort("timestamp")
    gaps = order.select(
        "fraud_type", hours=pl.col("timestamp").diff().over("fraud_episode_id").dt.total_seconds() / 3600
    ).drop_nulls()
    for kind, expected in GAP_HOURS.items():
        yield f"gap of {kind}", mean(_of(gaps, kind)["hours"]) / expected, 0.8, 1.2
    spans = _of(order, "lost_stolen").group_by("fraud_episode_id").agg(
        (pl.col("timestamp").max() - pl.col("timestamp").min()).dt.total_hours().alias("hours"))  # fmt: skip
    yield "lost cards are used within a day", mean(spans["hours"] <= 24), 0.9, 1.0
    credentials = _of(order, "cnp_stolen_credentials").unique("fraud_episode_id", keep="first", maintain_order=True)
    local = credentials["timestamp"].dt.hour()
    # 35% of the starts follow a flat day twice as high before six, the others the curve of remote rows.
    yield "starts before six", mean(local < 6), 0.192 - 0.04, 0.192 + 0.04


def _amounts(stolen: pl.DataFrame) -> Iterator[Figure]:
    middle = pl.col("billing_amount") / text("mcc").replace_strict(
        {code: float(trade.median) for code, trade in table.TRADES.items()}, return_dtype=pl.Float64
    )
    level = stolen.with_columns(level=middle.log())
    for kind, expected, slack in (
        ("cnp_stolen_credentials", 0.45, 0.08), ("account_takeover", 0.9, 0.15), ("counterfeit_skimming", 0.45, 0.25),
    ):  # fmt: skip
        yield f"amounts of {kind}", mean(_of(level, kind)["level"]), expected - slack, expected + slack
    lost = _of(level, "lost_stolen")
    touched = pl.col("pos_entry_mode") == "07"
    yield "amounts of lost_stolen", mean(lost.filter(~touched)["level"]), 0.45 - 0.15, 0.45 + 0.15
    yield "contactless above the limit", mean(lost.filter(touched)["billing_amount"] > 100), 0.0, 0.04
    testing = _of(stolen, "card_testing").sort("timestamp")
    last = pl.int_range(pl.len()).over("fraud_episode_id") == pl.len().over("fraud_episode_id") - 1
    small = testing.filter(~last)["billing_amount"]
    yield "median of card testing", median(small), 2.4, 3.0
    yield "sigma of card testing", float(small.log().std()), 0.65, 0.90  # type: ignore[arg-type]
    yield "last row of card testing", median(testing.filter(last)["billing_amount"]), 120, 180
    opened = _of(level, "application_fraud").sort("timestamp")
    steps = opened.select(pl.col("level").diff().over("fraud_episode_id")).drop_nulls()
    yield "application fraud rises", mean(steps["level"]), 0.08, 0.50


def _traces(stolen: pl.DataFrame) -> Iterator[Figure]:
    def entry(kind: str, mode: str, share: float, slack: float = 0.04) -> Figure:
        own = _of(stolen, kind)
        return f"{kind} by {mode}", mean(own["pos_entry_mode"] == mode), share - slack, share + slack

    yield entry("cnp_stolen_credentials", "81", 0.88, 0.03)
    yield entry("cnp_stolen_credentials", "10", 0.08, 0.03)
    yield entry("cnp_stolen_credentials", "01", 0.04, 0.02)
    yield entry("card_testing", "81", 1.0, 0.0)
    yield entry("account_takeover", "81", 0.5, 0.08)
    yield entry("account_takeover", "10", 0.5, 0.08)
    yield entry("lost_stolen", "07", 0.66, 0.05)
    yield entry("lost_stolen", "05", 0.20, 0.05)
    yield entry("lost_stolen", "90", 0.11, 0.04)
    yield entry("counterfeit_skimming", "90", 0.80, 0.06)
    yield entry("counterfeit_skimming", "05", 0.12, 0.05)
    credentials, takeover = _of(stolen, "cnp_stolen_credentials"), _of(stolen, "account_takeover")
    yield "foreign merchants", mean(~credentials.select(DOMESTIC).to_series()), 0.16, 0.24
    home = pl.col("ip_country") == pl.col("home_country")
    yield "address of credentials", mean(credentials.select(home).to_series()), 0.76, 0.84
    yield "address of takeovers", mean(takeover.select(home).to_series()), 0.70, 0.80
    # 0.42 of the address checks fail by the table: the upper end of its own range, 0.28 to 0.42.
    yield "avs Y", mean(credentials["avs_result"].drop_nulls() == "Y"), 0.58 - 0.04, 0.58 + 0.04
    yield "avs N", mean(credentials["avs_result"].drop_nulls() == "N"), 0.24 - 0.04, 0.24 + 0.04
    yield "avs Y of takeovers", mean(takeover["avs_result"].drop_nulls() == "Y"), 0.60, 0.90
    yield "cvv N", mean(credentials["cvv_result"].drop_nulls() == "N"), 0.08, 0.12
    yield "cvv of takeovers", mean(takeover["cvv_result"].drop_nulls() == "M"), 1.0, 1.0
    testing = _of(stolen, "card_testing")
    yield "codes of card testing", mean(testing["mcc"].cast(pl.String).is_in(["5815", "5816", "8398"])), 1.0, 1.0
    # One attack in an outage is a twentieth of the year's rows: what the issuer did not answer is no answer of it.
    answered = testing.filter(text("response_code") != "91")
    yield "card testing declined", mean(~answered["is_approved"]), 0.51, 0.59
    refused = answered.filter(~pl.col("is_approved"))["response_code"].cast(pl.String)
    yield "declines of card testing", mean(refused.is_in(["14", "82", "05", "65"])), 0.97, 1.0
    lost, copied = _of(stolen, "lost_stolen"), _of(stolen, "counterfeit_skimming")
    yield "distance of lost cards", median(lost["distance_km"]), 8.5, 11.5
    yield "distance of copied cards", median(copied["distance_km"]), 70, 130
    wanted = lost["mcc"].cast(pl.String).is_in(["5732", "5541", "5542", "5411", "5912"])
    yield "lost cards buy fuel, groceries, electronics and medicine", mean(wanted), 0.55, 0.95
    opened = _of(stolen, "application_fraud")
    yield "age of cards opened for fraud", float(opened["card_age_days"].max() or 0), 30, 59  # type: ignore[arg-type]
    stopped = stolen.filter(text("response_code").is_in(["41", "43"]))
    yield "41 and 43 are of lost cards", mean(stopped["fraud_type"] == "lost_stolen"), 1.0, 1.0
    yield "41 and 43", stopped.height / lost.height, 0.01, 0.15


def attacks(stolen: pl.DataFrame) -> pl.DataFrame:
    """Return the (merchant, hour) cells with 20 cards or more and small, mostly declined remote rows."""
    cells = (
        stolen.filter(REMOTE & (pl.col("billing_amount") < 10))
        .group_by("merchant_id", pl.col("timestamp").dt.truncate("1h").alias("hour"))
        .agg(pl.col("card_id").n_unique(), (~pl.col("is_approved")).mean().alias("declined"))
    )
    return cells.filter((pl.col("card_id") >= 20) & (pl.col("declined") >= 0.40))


KINDS: dict[str, Callable[[pl.DataFrame], Iterator[Figure]]] = {
    "mix": _mix,
    "pace": _pace,
    "amounts": _amounts,
    "traces": _traces,
}
"""Figures of at least 10,000 fraud rows."""
