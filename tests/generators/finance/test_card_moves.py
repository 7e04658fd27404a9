"""Cardholders who move: addresses are functions of customer and day, and what they do follows them."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from generators import get_generator
from generators.days import day_number
from generators.finance.fraud_rows import FraudRows

FIRST = date(2024, 3, 4)
HOME = ["home_country", "home_region", "home_postal3", "home_lat", "home_lon"]
YEARLY = 0.3


def moving(**fields: object) -> Any:
    return get_generator("credit_cards", **{"moves_per_year": YEARLY, **fields})


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Five days spread over two years, of customers of whom many move in between."""
    generator = moving(base_daily_volume=6_000, fraud_rate=0.01)
    frames = []
    for number in (0, 2, 4, 6, 7):
        frame = generator.generate(FIRST + timedelta(91 * number))
        frames.append(frame.with_columns(day=pl.col("timestamp").dt.date()))
    return pl.concat(frames)


def test_a_customer_has_one_home_a_day(rows: pl.DataFrame) -> None:
    homes = rows.group_by("customer_id", "day").agg(pl.col(HOME).n_unique())  # fraud and subscriptions among them
    assert all(homes[column].max() == 1 for column in HOME)
    over_time = rows.group_by("customer_id").agg(pl.col("home_lat").n_unique(), pl.col("home_country").n_unique())
    assert over_time["home_lat"].max() > 1  # type: ignore[operator]
    assert over_time["home_country"].max() == 1
    still = get_generator("credit_cards", base_daily_volume=6_000, fraud_rate=0.01)
    frames = [still.generate(FIRST + timedelta(91 * n)) for n in (0, 7)]
    assert pl.concat(frames).group_by("customer_id").agg(pl.col("home_lat").n_unique())["home_lat"].max() == 1


def test_moves_come_at_their_rate_and_are_never_taken_back() -> None:
    people = moving().cardholders
    slots, start = np.arange(people.slots(0)), day_number(FIRST)
    before = people.in_slots(0, slots, start)
    after = people.in_slots(0, slots, start + 365)
    stayed = np.flatnonzero(before.number == after.number)
    assert len(stayed) > 5_000
    days = [people.in_slots(0, slots[stayed], start + n) for n in range(0, 366, 5)]
    versions = np.array([people.homes(who).version for who in days])
    assert (np.diff(versions.astype(int), axis=0) >= 0).all()
    moved = (versions[-1] > versions[0]).mean()
    # A calendar year overlaps two years as a customer, each with one chance to move.
    both = 1.0 - np.mean([(1 - YEARLY * x) * (1 - YEARLY * (1 - x)) for x in np.linspace(0, 1, 101)])
    assert moved == pytest.approx(both, abs=4.9 * math.sqrt(both * (1 - both) / len(stayed)))
    first, last = people.homes(days[0]), people.homes(days[-1])
    assert ((first.lat != last.lat) == (versions[-1] > versions[0])).mean() > 0.999
    # Nobody has moved on the day of his entry, and an address is the same whatever day one asks on.
    fresh = people.homes(before.take(np.flatnonzero(before.tenure < 5)))
    assert (fresh.version > 0).mean() < 0.02
    assert (versions[-1] <= 1 + days[-1].tenure // 365).all()


def test_where_people_move_to_is_where_people_live() -> None:
    people = moving(moves_per_year=0.5).cardholders
    who = people.in_slots(0, np.arange(people.slots(0)), day_number(FIRST))
    homes = people.homes(who)
    moved = homes.version > 0
    assert 0.5 < moved.mean() < 0.9
    regions = np.bincount(homes.area[moved] // 50, minlength=20), np.bincount(homes.area[~moved] // 50, minlength=20)
    shares = [counts / counts.sum() for counts in regions]
    assert np.abs(shares[0] - shares[1]).sum() / 2 < 0.06


def test_the_merchants_follow_the_home(rows: pl.DataFrame) -> None:
    generator = moving(base_daily_volume=6_000, fraud_rate=0.01)
    last = FIRST + timedelta(91 * 7)
    shops = pl.concat(list(generator.dimension("merchants", FIRST, last))).select("merchant_id", "merchant_region")
    near = rows.filter((pl.col("channel") == "card_present") & ~pl.col("is_fraud") & (pl.col("distance_km") < 60))
    near = near.join(shops, on="merchant_id").with_columns(pl.col("merchant_region", "home_region").cast(pl.String))
    ordered = near.sort("timestamp").with_columns(old=pl.col("home_region").first().over("customer_id"))
    away = ordered.filter(pl.col("home_region") != pl.col("old"))
    assert away.height > 500
    # 40% shop at the region's own shops, the others at chains whose seat is there by chance.
    assert 0.38 < float((away["merchant_region"] == away["home_region"]).mean()) < 0.60  # type: ignore[arg-type]
    assert float((away["merchant_region"] == away["old"]).mean()) < 0.15  # type: ignore[arg-type]
    a, b = (np.radians(near[c].to_numpy()) for c in ("home_lat", "merchant_lat"))
    turn = np.radians((near["merchant_lon"] - near["home_lon"]).to_numpy())
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(turn / 2) ** 2
    way = 2 * 6371.0088 * np.arcsin(np.sqrt(half))
    assert (np.abs(way - near["distance_km"].to_numpy()) / way).max() < 0.01


def test_remote_favourites_outlive_a_move(rows: pl.DataFrame) -> None:
    key = ["customer_id", "mcc", "merchant_id"]
    pairs = (
        rows.filter(~pl.col("is_fraud") & ~pl.col("is_recurring"))
        .select(*key, "channel", "home_lat", "merchant_lat", "home_lon")
        .unique()
    )

    def kept(channel: str) -> float:
        """Of merchants and categories of customers with two homes, the share of merchants met at both."""
        own = pairs.filter(pl.col("channel") == channel)
        homes = own.group_by("customer_id", "mcc").agg(pl.col("home_lat").n_unique().alias("homes"))
        both = own.join(homes.filter(pl.col("homes") == 2), on=["customer_id", "mcc"])
        met = both.group_by(key).agg(pl.col("home_lat").n_unique().alias("homes"))
        return float((met["homes"] == 2).mean())  # type: ignore[arg-type]

    assert kept("card_not_present") > 2 * kept("card_present")


def test_a_day_with_moves_alone_equals_the_day_in_a_range() -> None:
    day = FIRST + timedelta(400)
    ranged = moving(base_daily_volume=1_500)
    for number in (3, 1, -2):
        ranged.generate(day + timedelta(number))
    assert ranged.generate(day).equals(moving(base_daily_volume=1_500).generate(day))


def test_a_skimmer_stands_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def places() -> int:
        """The most terminals of one skimmer over two months, of cards that paid there before they were plundered."""
        rows = moving(base_daily_volume=20_000, fraud_rate=0.01, moves_per_year=0.5).fraud_rows
        found: dict[tuple[int, int], set[tuple[float, float]]] = {}
        for number in range(60):
            day = date(2024, 10, 1) + timedelta(number)
            episodes, sales = rows._visits(day)[0], rows.visits(day)
            for number, group, lat, lon in zip(
                episodes.number.tolist(), episodes.group.tolist(), sales.lat.tolist(), sales.lon.tolist(), strict=True
            ):
                found.setdefault((number >> 32, group), set()).add((lat, lon))
        assert len(found) >= 4
        return max(map(len, found.values()))

    assert places() == 1
    monkeypatch.setattr(FraudRows, "_regions", lambda *_: np.array(0))  # the mutant: the terminal follows who moves
    assert places() > 1
