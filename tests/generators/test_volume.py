"""Volume: every factor against hand computation, the two random parts against their distributions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.calendar import HolidayCalendar
from generators.config import GeneratorConfig
from generators.errors import CalendarError, ConfigError
from generators.intraday import IntradayProfile
from generators.volume import B2B_EVENTS, B2B_TABLES, VolumeModel, VolumeTables, by_hour

US = HolidayCalendar("US")
TABLES = VolumeTables(
    day_of_week=(1.1, 1.2, 1.3, 1.4, 1.5, 0.6, 0.7),
    week_of_month=(1.01, 1.02, 1.03, 1.04),
    month=tuple(0.5 + m / 10 for m in range(12)),
    events={"seed": {"christmas_day": 0.1, "year_end_holidays": 0.5}, "retail": {"christmas_day": 0.55}},
)
FRIDAY_29 = date(2024, 3, 29)


def model(tables: VolumeTables | None = TABLES, curve: Sequence[float] | None = None, **fields: Any) -> VolumeModel:
    config = GeneratorConfig.create(**fields)
    intraday = IntradayProfile.from_config(config, curve)
    return VolumeModel.from_config(config, generator="test", calendar=US, tables=tables, intraday=intraday)


def span(first: date, days: int) -> list[date]:
    return [first + timedelta(i) for i in range(days)]


def test_base_class_week_is_flat_with_weekends_at_085() -> None:
    assert [model(None).expected(day) for day in span(date(2024, 3, 4), 7)] == [1000.0] * 5 + [850.0] * 2


@pytest.mark.parametrize(
    "day, factors",
    [
        (FRIDAY_29, (1.5, 1.04, 0.7, 1.0)),
        (date(2024, 1, 7), (0.7, 1.01, 0.5, 1.0)),
        (date(2024, 1, 8), (1.1, 1.02, 0.5, 1.0)),
        (date(2024, 6, 21), (1.5, 1.03, 1.0, 1.0)),
        (date(2024, 6, 22), (0.6, 1.04, 1.0, 1.0)),
        (date(2024, 12, 25), (1.3, 1.04, 1.6, 0.1)),
        (date(2025, 1, 3), (1.5, 1.01, 0.5, 0.5)),
    ],
)
def test_factors_and_their_product(day: date, factors: tuple[float, ...]) -> None:
    assert tuple(model().factors(day).values()) == pytest.approx(factors)
    assert model().expected(day) == pytest.approx(1000 * math.prod(factors))


@pytest.mark.parametrize(
    "fields, factor",
    [
        ({"day_of_week": "off"}, 1.04 * 0.7),
        ({"week_of_month": "off"}, 1.5 * 0.7),
        ({"month_factors": "off"}, 1.5 * 1.04),
        ({"day_of_week": "off", "week_of_month": "off", "month_factors": "off"}, 1.0),
        ({"day_of_week": (1, 1, 1, 1, 2, 1, 1)}, 2 * 1.04 * 0.7),
        ({"week_of_month": (1, 1, 1, 3)}, 1.5 * 3 * 0.7),
        ({"month_factors": (1, 1, 4, *[1] * 9)}, 1.5 * 1.04 * 4),
        ({"holiday_multipliers": {"public_holiday": 9.0}}, 1.5 * 1.04 * 0.7),
        ({"holiday_multipliers": {"quarter_end": 9.0}}, 1.5 * 1.04 * 0.7 * 9),
        ({"holiday_multipliers": {"events": {"quarter_end": 8.0}, "quarter_end": 9.0}}, 1.5 * 1.04 * 0.7 * 8),
        (
            {"holiday_multipliers": {"quarter_end": 9.0}, "include_holiday_patterns": False},
            1.5 * 1.04 * 0.7,
        ),
        ({"base_daily_volume": 10}, 1.5 * 1.04 * 0.7 / 100),
    ],
)
def test_each_factor_off_or_overridden(fields: dict[str, Any], factor: float) -> None:
    assert model(**fields).expected(FRIDAY_29) == pytest.approx(1000 * factor)


def test_holiday_patterns_off_and_profile() -> None:
    christmas = date(2024, 12, 25)
    plain = 1000 * 1.3 * 1.04 * 1.6
    assert model(include_holiday_patterns=False).expected(christmas) == pytest.approx(plain)
    assert model(holiday_profile="retail").expected(christmas) == pytest.approx(plain * 0.55)
    assert model(holiday_multipliers={"christmas_day": 0.0}).expected(christmas) == 0.0


@pytest.mark.parametrize("multiplier", [0.0, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("week", [None, "off", (1.1, 1.2, 1.3, 1.4, 1.5, 0.0, 0.0)])
def test_weekend_multiplier_is_the_ratio_of_means(multiplier: float, week: Any) -> None:
    values = model(
        weekend_multiplier=multiplier, day_of_week=week, month_factors="off", week_of_month="off", volume_noise=0
    )
    days = [values.expected(day) for day in span(date(2024, 3, 4), 7)]
    assert np.mean(days[5:]) / np.mean(days[:5]) == pytest.approx(multiplier)
    weekdays = TABLES.day_of_week[:5] if week is None else week[:5] if week != "off" else (1.0,) * 5
    assert days[:5] == pytest.approx([1000 * w for w in weekdays])


def test_weekend_multiplier_keeps_the_ratio_of_saturday_to_sunday() -> None:
    week = model(weekend_multiplier=1.2).tables.day_of_week
    assert week[5] / week[6] == pytest.approx(0.6 / 0.7)


@pytest.mark.parametrize("year", [2023, 2024])
def test_yearly_mean_is_the_base_volume(year: int) -> None:
    days = span(date(year, 1, 1), 365 + (year == 2024))
    expected = [model(volume_basis="yearly_mean").expected(day) for day in days]
    assert np.mean(expected) == pytest.approx(1000)
    assert np.mean([model().expected(day) for day in days]) != pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize(
    "multipliers, text",
    [
        ({"crhistmas_day": 0.1}, "unknown event 'crhistmas_day'.*christmas_day"),
        ({"events": {"boxing": 0.1}}, "unknown event 'boxing'.*christmas_day"),
        ({"purchases": {"christmas_day": 0.1}}, "unknown process 'purchases'.*events"),
    ],
)
def test_unknown_names_are_refused_and_known_ones_listed(multipliers: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        model(holiday_multipliers=multipliers)


def test_multipliers_of_another_process_do_not_act_here() -> None:
    config = GeneratorConfig.create(holiday_multipliers={"b": {"christmas_day": 7.0}})
    a, b = (
        VolumeModel.from_config(config, generator="test", calendar=US, process=name, processes=("a", "b"))
        for name in ("a", "b")
    )
    assert (a.expected(date(2024, 12, 25)), b.expected(date(2024, 12, 25))) == (1000.0, 7000.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"day_of_week": (1.0,) * 6},
        {"month": (1.0,) * 11 + (-1.0,)},
        {"week_of_month": (1.0, 1.0, 1.0, math.nan)},
        {"events": {"seed": {"xmas": 1.0}}},
    ],
)
def test_wrong_tables_are_refused(fields: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigError, match="volume table"):
        VolumeTables(**fields)


def test_days_outside_the_calendar_are_refused() -> None:
    with pytest.raises(CalendarError, match="1970-01-01 to 2099-12-31"):
        model().expected(date(2100, 1, 1))


EARLY = VolumeTables(events={"seed": {"christmas_eve": by_hour((0, 1.1), (17, 0.3)), "christmas_week": 0.9}})
"""Shops close early on Christmas Eve."""
AFTERNOONS = tuple(1.0 if hour >= 12 else 0.0 for hour in range(24))


def test_factor_of_an_event_with_hours_follows_from_the_course_of_the_day() -> None:
    eve = date(2024, 12, 24)
    assert model(EARLY).factors(eve)["event"] == pytest.approx((17 * 1.1 + 7 * 0.3) / 24)
    assert model(EARLY, AFTERNOONS).factors(eve)["event"] == pytest.approx((5 * 1.1 + 7 * 0.3) / 12)
    assert model(EARLY).hours(eve) == by_hour((0, 1.1), (17, 0.3))
    assert model(EARLY).hours(date(2024, 12, 27)) is None
    assert model(EARLY, include_holiday_patterns=False).hours(eve) is None
    # What a day amounts to decides about overlaps: here the period is the smaller one.
    assert model(EARLY, tuple(reversed(AFTERNOONS))).event(eve) == "christmas_week"


def test_a_given_factor_takes_the_place_of_an_events_hours() -> None:
    eve = date(2024, 12, 24)
    flat = model(EARLY, AFTERNOONS, holiday_multipliers={"christmas_eve": 0.5})
    assert (flat.factors(eve)["event"], flat.hours(eve)) == (0.5, None)
    late = model(EARLY, AFTERNOONS, holiday_multipliers={"christmas_eve": [0.0] * 12 + [0.5] * 12})
    assert (late.factors(eve)["event"], late.hours(eve)) == (pytest.approx(0.5), (0.0,) * 12 + (0.5,) * 12)
    # A federal holiday takes the hours of public_holiday.
    night = model(EARLY, holiday_multipliers={"public_holiday": [1.0] * 12 + [0.0] * 12})
    assert night.factors(date(2024, 1, 15))["event"] == pytest.approx(0.5)
    assert night.hours(date(2024, 1, 15)) == (1.0,) * 12 + (0.0,) * 12


def test_hours_that_are_not_24_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"volume table.*'halloween' has 3 factors; allowed: one, or 24"):
        VolumeTables(events={"seed": {"halloween": (1.0, 2.0, 3.0)}})
    with pytest.raises(ConfigError, match=r"holiday_multipliers\.halloween.*24 items"):
        model(holiday_multipliers={"halloween": [1.0, 2.0]})


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_noise_has_mean_one_and_the_given_sigma(sigma: float) -> None:
    values = model(volume_noise=sigma)
    noise = np.array([values.noise(day) for day in span(date(1980, 1, 1), 20_000)])
    deviation = math.sqrt(math.expm1(sigma**2))
    assert abs(noise.mean() - 1) < 4.5 * deviation / math.sqrt(len(noise))
    logs = np.log(noise)
    assert abs(logs.std() / sigma - 1) < 4.5 / math.sqrt(2 * len(noise))
    # The wrong model exp(N(0, sigma)), whose mean is above 1, is told apart by its median.
    assert abs(logs.mean() + sigma**2 / 2) < 4.5 * sigma / math.sqrt(len(noise)) < sigma**2 / 2
    assert abs(np.corrcoef(logs[1:], logs[:-1])[0, 1]) < 4.5 / math.sqrt(len(noise))


def test_noise_differs_by_process_seed_and_generator_only() -> None:
    config, other = GeneratorConfig.create(), GeneratorConfig.create(seed=1)
    day = date(2024, 3, 5)

    def noise(config: GeneratorConfig, generator: str, process: str) -> float:
        return VolumeModel.from_config(config, generator=generator, calendar=US, process=process).noise(day)

    drawn = [noise(config, "g", "p"), noise(config, "g", "q"), noise(config, "h", "p"), noise(other, "g", "p")]
    assert len(set(drawn)) == 4
    assert noise(config, "g", "p") == drawn[0]


def _index(counts: list[int], means: list[float]) -> float:
    return float(np.mean([(c - m) ** 2 / m for c, m in zip(counts, means, strict=True)]))


def test_counts_are_poisson_around_their_intensity() -> None:
    values, days = model(), span(date(2024, 1, 1), 366)
    means = [values.intensity(day) for day in days]
    assert 0.67 < _index([values.sample(day) for day in days], means) < 1.41
    # Wrong models: counts without Poisson, and counts around the expectation as if there were no noise.
    assert _index([round(mean) for mean in means], means) < 0.67
    assert _index([values.sample(day) for day in days], [values.expected(day) for day in days]) > 1.41


def test_both_random_parts_off_leave_the_rounded_expectation() -> None:
    values = model(volume_noise=0, poisson_counts=False)
    for day in span(date(2024, 12, 1), 31):
        assert values.noise(day) == 1.0
        assert values.sample(day) == round(values.expected(day))


def test_b2b_rests_when_shops_are_full() -> None:
    b2b = model(B2B_TABLES, holiday_profile="retail")
    assert b2b.factors(date(2024, 11, 29))["event"] == 0.7
    assert b2b.factors(date(2024, 12, 27))["event"] == 0.3
    assert b2b.factors(date(2024, 1, 15))["event"] == B2B_EVENTS["public_holiday"]
    assert b2b.expected(date(2024, 3, 9)) < 0.15 * b2b.expected(date(2024, 3, 8))
    assert np.mean(B2B_TABLES.day_of_week) == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(st.dates(date(1970, 1, 1), date(2099, 12, 31)), st.integers(1, 10**8), st.floats(0.01, 1))
def test_expected_is_share_times_base_times_factors(day: date, base: int, share: float) -> None:
    config = GeneratorConfig.create(base_daily_volume=base)
    values = VolumeModel.from_config(config, generator="test", calendar=US, tables=TABLES, share=share)
    assert values.expected(day) == pytest.approx(base * share * math.prod(values.factors(day).values()))
