"""What single days do to card payments: hours of Christmas Eve, the last shopping days, sales, and categories."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from generators import get_generator
from generators.finance import mcc
from tests.generators.finance.test_credit_cards import CP_HOURS

EVE_TUESDAY, EVE_SUNDAY = date(2024, 12, 24), date(2023, 12, 24)
PRESENT, REMOTE = 0, 1
WEEKEND_HOURS = [*CP_HOURS[-1:], *CP_HOURS[:-1]]


def calm(**fields: object) -> Any:
    return get_generator("credit_cards", **{"volume_noise": 0.0, **fields})


def event(day: date, process: int, **fields: object) -> float:
    return float(calm(**fields).processes[process].volume.factors(day)["event"])


def mean_of(hours: list[float], factors: list[float]) -> float:
    return sum(w * f for w, f in zip(hours, factors, strict=True)) / sum(hours)


@pytest.mark.parametrize(
    "day, present, remote",
    [
        (date(2024, 12, 18), 1.12, 1.20),
        (date(2024, 12, 19), 1.12, 1.0),
        (date(2024, 12, 21), 1.12, 1.0),
        (date(2024, 12, 22), 1.30, 1.0),
        (date(2024, 12, 23), 1.30, 1.0),
        (EVE_TUESDAY, mean_of(CP_HOURS, [1.10] * 17 + [0.30] * 7), 0.75),
        (EVE_SUNDAY, mean_of(WEEKEND_HOURS, [1.10] * 17 + [0.30] * 7), 0.75),
        (date(2024, 12, 25), 0.20, 0.60),
        (date(2024, 2, 11), mean_of(WEEKEND_HOURS, [1.0] * 17 + [1.05] * 6 + [1.0]), 1.04),
        (date(2024, 11, 27), 1.30, 1.10),
        (date(2024, 11, 28), 0.45, 1.15),
        (date(2024, 11, 29), 1.35, 1.80),
        (date(2024, 7, 16), 1.0, 1.0),
    ],
)
def test_factor_of_the_day(day: date, present: float, remote: float) -> None:
    assert event(day, PRESENT) == pytest.approx(present)
    assert event(day, REMOTE) == pytest.approx(remote)


@pytest.mark.parametrize("name, day", [
    ("christmas_eve", EVE_TUESDAY), ("last_shopping_days", date(2024, 12, 22)), ("super_bowl", date(2024, 2, 11)),
    ("late_christmas_shopping", date(2024, 12, 20)), ("online_sale", date(2024, 7, 16)),
])  # fmt: skip
def test_every_event_can_be_overridden(name: str, day: date) -> None:
    sale = {"sale_days": (date(2024, 7, 16),)}
    assert event(day, PRESENT, holiday_multipliers={name: 0.5}, **sale) == 0.5
    assert event(day, REMOTE, holiday_multipliers={"card_not_present": {name: 2.0}}, **sale) == 2.0
    flat = calm(holiday_multipliers={name: 1.0}, **sale)
    assert flat.processes[PRESENT].volume.hours(day) is None
    assert calm(include_holiday_patterns=False, **sale).processes[PRESENT].volume.hours(day) is None
    assert event(day, PRESENT, include_holiday_patterns=False, **sale) == 1.0


def test_sale_days_are_those_of_the_config() -> None:
    fields: dict[str, object] = {"sale_days": ("2024-07-16", "2024-07-17", "2025-07-08")}
    for day in (date(2024, 7, 16), date(2024, 7, 17), date(2025, 7, 8)):
        assert (event(day, PRESENT, **fields), event(day, REMOTE, **fields)) == (1.0, 1.25)
    assert event(date(2024, 7, 18), REMOTE, **fields) == 1.0
    abroad = calm(country_mix="global", **fields)
    assert all(p.volume.factors(date(2024, 7, 16))["event"] == (1.25 if n % 2 else 1.0)
               for n, p in enumerate(abroad.processes))  # fmt: skip


def present_hours(frame: pl.DataFrame) -> np.ndarray[Any, Any]:
    hours = frame.filter(pl.col("channel") == "card_present")["timestamp"].dt.hour().to_numpy()
    return np.bincount(hours, minlength=24)


def test_shops_close_early_on_christmas_eve() -> None:
    generator = calm(base_daily_volume=30_000)
    frame = generator.generate(EVE_TUESDAY)
    counts, factors = present_hours(frame), generator.processes[PRESENT].volume.factors(EVE_TUESDAY)
    ordinary = 30_000 * 0.65 * math.prod(v for k, v in factors.items() if k != "event")

    def distance(late: float) -> float:
        shares = np.array(CP_HOURS) / sum(CP_HOURS) * np.where(np.arange(24) < 17, 1.10, late)
        return float(((counts - ordinary * shares) ** 2 / (ordinary * shares)).sum())

    assert distance(0.30) < 72.0  # chi-square with 24 degrees at one in a million
    assert distance(1.10) > 72.0  # the mutant: the cut in the volume alone
    assert frame.height == pytest.approx(generator.expected(EVE_TUESDAY), abs=5 * math.sqrt(frame.height))
    # What is bought keeps the shares of the day, whatever its hours.
    genuine = frame.filter((pl.col("channel") == "card_present") & ~pl.col("is_fraud"))
    found = np.bincount(genuine["mcc"].to_physical().to_numpy(), minlength=mcc.SIZE) / genuine.height
    expected = mcc.day_shares(mcc.TABLE, mcc.CP, EVE_TUESDAY.weekday(), None)
    assert np.abs(found - expected).sum() / 2 < 0.025
    assert counts.sum() == pytest.approx(ordinary * factors["event"], rel=0.04)


def test_flat_patterns_keep_the_volume_of_christmas_eve() -> None:
    flat = calm(base_daily_volume=4_000, arrival_pattern="poisson")
    assert flat.expected(EVE_TUESDAY) == calm(base_daily_volume=4_000).expected(EVE_TUESDAY)
    late = flat.generate(EVE_TUESDAY).filter(pl.col("timestamp").dt.hour() >= 17)
    assert late.height > 0.25 * flat.expected(EVE_TUESDAY)


@pytest.mark.parametrize(
    "day, name, codes, factor",
    [
        (date(2024, 11, 27), "thanksgiving_eve", ("5411",), 1.58),
        (date(2024, 11, 28), "thanksgiving", ("5541", "5542"), 0.82),
        (date(2024, 11, 29), "black_friday", ("5311", "5310", "5651", "5661", "5732", "5942", "5945"), 1.70),
    ],
)
def test_categories_have_factors_of_their_own(day: date, name: str, codes: tuple[str, ...], factor: float) -> None:
    """In card-present rows, and without changing what the day amounts to."""
    own, level = mcc.indices(*codes), event(day, PRESENT)
    ordinary, special = (mcc.day_shares(mcc.TABLE, mcc.CP, day.weekday(), e) for e in (None, name))
    assert special[own] * level / ordinary[own] == pytest.approx(factor)
    assert special.sum() == pytest.approx(1.0)
    sold = np.setdiff1d(np.flatnonzero(ordinary), mcc.indices(*mcc.EVENT_TILTS[name]))
    assert special[sold] / ordinary[sold] == pytest.approx(special[sold[0]] / ordinary[sold[0]])
    remote = [mcc.day_shares(mcc.TABLE, mcc.CNP, day.weekday(), e) for e in (None, name)]
    assert (remote[0] == remote[1]).all()


@pytest.mark.long
@pytest.mark.parametrize(
    "day, usual, codes, factor",
    [
        (date(2024, 11, 27), date(2024, 10, 9), ["5411"], 1.58),
        (date(2024, 11, 28), date(2024, 10, 10), ["5541", "5542"], 0.82),
        (
            date(2024, 11, 29),
            date(2024, 10, 11),
            ["5311", "5310", "5651", "5661", "5732", "5942", "5945", "5999"],
            1.70,
        ),
    ],
)
def test_categories_move_as_much_as_they_should(day: date, usual: date, codes: list[str], factor: float) -> None:
    generator = calm(base_daily_volume=1_000_000)
    volume = generator.processes[PRESENT].volume

    def rows(of: date) -> float:
        wanted = (pl.col("channel") == "card_present") & pl.col("mcc").is_in(codes) & ~pl.col("is_fraud")
        found = sum(frame.filter(wanted).height for frame in generator.batches(of))
        return found / math.prod(v for k, v in volume.factors(of).items() if k != "event")

    special, ordinary = rows(day), rows(usual)
    slack = 5 * factor * math.sqrt(1 / special + 1 / ordinary)
    assert slack < 0.08
    assert special / ordinary == pytest.approx(factor, abs=slack)
    assert abs(special / ordinary - volume.factors(day)["event"]) > slack  # the mutant: the day's factor for all
