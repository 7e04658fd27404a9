"""Arrivals: instants against their intensity on days of 23, 24 and 25 hours, in slices and in bursts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from generators.config import GeneratorConfig
from generators.errors import ConfigError
from generators.intraday import B2B_CURVE, FLAT, DayArrivals, IntradayProfile, appointment_grid, day_bounds
from generators.randomness import stream

I64 = NDArray[np.int64]
HOUR = 3_600_000_000
SPRING, SUMMER, AUTUMN = date(2024, 3, 10), date(2024, 7, 2), date(2024, 11, 3)
LENGTHS = {SPRING: 23, SUMMER: 24, AUTUMN: 25}
ZONES = ["America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "Asia/Tokyo"]


def arrivals(day: date, curve: Any = B2B_CURVE, masses: tuple[float, ...] = (1.0,), **fields: Any) -> DayArrivals:
    config = GeneratorConfig.create(**fields)
    profiles = [IntradayProfile.from_config(config, curve) for _ in masses]
    return DayArrivals.from_profiles(day, config, "test", profiles, np.array(masses))


def drawn(plan: DayArrivals, n: int, pieces: int = 1, seed: int = 1) -> I64:
    sizes = plan.slice_sizes(n, pieces)
    parts = [plan.instants(int(size), k, pieces, stream(seed, k), total=n) for k, size in enumerate(sizes)]
    return np.concatenate(parts)


def local_weights(day: date, curve: tuple[float, ...], zone: str) -> NDArray[np.float64]:
    """Weights of the minutes of a day by an independent walk through its UTC minutes."""
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    minutes = []
    while (local := start.astimezone(ZoneInfo(zone))).date() == day:
        minutes.append(curve[local.hour])
        start += timedelta(minutes=1)
    weights = np.array(minutes)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def kolmogorov(instants: I64, start: int, weights: NDArray[np.float64]) -> float:
    """Kolmogorov-Smirnov distance times sqrt(n) from an intensity given by the minute."""
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    levels = np.interp((np.sort(instants) - start) / 60e6, np.arange(len(cumulative)), cumulative)
    n = len(instants)
    ranks = np.arange(n)
    return float(max((levels - ranks / n).max(), ((ranks + 1) / n - levels).max()) * np.sqrt(n))


def dispersion(instants: I64, start: int, weights: NDArray[np.float64]) -> float:
    """Mean of (count - expectation)^2 / expectation over 200 cells of equal expectation."""
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    levels = np.interp((instants - start) / 60e6, np.arange(len(cumulative)), cumulative)
    counts = np.histogram(levels, bins=np.linspace(0, 1, 201))[0]
    return float(((counts - counts.mean()) ** 2 / counts.mean()).mean())


@pytest.mark.parametrize("day", LENGTHS)
@pytest.mark.parametrize("n", [9_000, 40_000])
def test_instants_follow_the_local_hour_curve(day: date, n: int) -> None:
    plan = arrivals(day)
    weights = local_weights(day, B2B_CURVE, "America/New_York")
    assert len(weights) == 60 * LENGTHS[day] == (plan.end - plan.start) / 60e6
    times = drawn(plan, n)
    assert kolmogorov(times, plan.start, weights) < 1.95
    assert 0.67 < dispersion(times, plan.start, weights) < 1.41
    # Wrong models are caught: a flat day, the hours of UTC, and evenly spread rows.
    assert kolmogorov(times, plan.start, np.full(len(weights), 1 / len(weights))) > 5
    assert kolmogorov(times, plan.start, np.roll(weights, 240)) > 5
    even = np.interp((np.arange(n) + 0.5) / n, np.append(0, np.cumsum(weights)), np.arange(len(weights) + 1) * 60e6)
    assert dispersion(even.astype(np.int64) + plan.start, plan.start, weights) < 0.67


def test_hour_curve_by_civil_clock_is_wrong_on_days_that_change_clocks() -> None:
    for day, shift in ((SPRING, -60), (AUTUMN, 60)):
        plan, hours = arrivals(day), LENGTHS[day]
        naive = np.repeat(np.array([*B2B_CURVE, B2B_CURVE[-1]])[:hours], 60)  # hours counted from midnight
        times = drawn(plan, 40_000)
        assert kolmogorov(times, plan.start, naive / naive.sum()) > 5
        nine = datetime(day.year, day.month, day.day, 9, tzinfo=ZoneInfo("America/New_York"))
        assert int(nine.timestamp() * 1e6) == plan.start + 9 * HOUR + shift * 60_000_000


@pytest.mark.parametrize("pattern", ["poisson", "uniform"])
@pytest.mark.parametrize("day", LENGTHS)
def test_flat_patterns_ignore_the_curve(pattern: str, day: date) -> None:
    plan = arrivals(day, arrival_pattern=pattern)
    times, flat = drawn(plan, 20_000), np.full(60 * LENGTHS[day], 1 / (60 * LENGTHS[day]))
    assert kolmogorov(times, plan.start, flat) < 1.95
    index = dispersion(times, plan.start, flat)
    assert index < 0.05 if pattern == "uniform" else 0.67 < index < 1.41


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [1, 3, 10, 10_001])
def test_uniform_is_evenly_spaced_whatever_the_slices(n: int, pieces: int) -> None:
    plan = arrivals(SPRING, arrival_pattern="uniform")
    length = plan.end - plan.start
    exact = [plan.start + (2 * i + 1) * length // (2 * n) for i in range(n)]
    assert np.abs(drawn(plan, n, pieces) - np.array(exact)).max() <= 1
    assert plan.slice_sizes(n, pieces).max() - plan.slice_sizes(n, pieces).min() <= 1


def test_uniform_needs_the_rows_of_the_day() -> None:
    with pytest.raises(ValueError, match="total"):
        arrivals(SUMMER, arrival_pattern="uniform").instants(5, 0, 2, stream(0))


@pytest.mark.parametrize("pattern", ["uniform", "poisson", "nhpp", "burst"])
@pytest.mark.parametrize("day", LENGTHS)
def test_slices_lie_in_their_windows_and_add_up(pattern: str, day: date) -> None:
    plan, pieces, n = arrivals(day, arrival_pattern=pattern, burst_probability=0.5), 5, 60_001
    edges, sizes = plan.edges(pieces), plan.slice_sizes(n, pieces)
    assert sizes.sum() == n
    assert edges[0] == plan.start
    assert edges[-1] == plan.end
    assert (np.diff(edges) > 0).all()
    for k, size in enumerate(sizes):
        times = plan.instants(int(size), k, pieces, stream(k), total=n)
        assert edges[k] <= times[0]
        assert times[-1] < edges[k + 1]
        assert (np.diff(times) >= 0).all()


def test_slices_together_are_the_same_process_as_one_piece() -> None:
    plan = arrivals(AUTUMN)
    weights = local_weights(AUTUMN, B2B_CURVE, "America/New_York")
    times = drawn(plan, 90_000, pieces=4)
    assert kolmogorov(times, plan.start, weights) < 1.95
    assert 0.67 < dispersion(times, plan.start, weights) < 1.41


def test_slice_sizes_are_multinomial_and_one_piece_needs_no_draw() -> None:
    days = [date(2024, 1, 1) + timedelta(i) for i in range(300)]
    sizes = np.array([arrivals(day, volume_noise=0).slice_sizes(10_000, 4) for day in days])
    assert (sizes.sum(axis=1) == 10_000).all()
    chi = ((sizes - 2500.0) ** 2 / 2500).sum(axis=1).mean()  # three degrees of freedom
    assert 2.4 < chi < 3.6
    assert arrivals(SUMMER).slice_sizes(77, 1).tolist() == [77]


def test_mapping_by_runs_equals_interpolation() -> None:
    plan = arrivals(SPRING, arrival_pattern="burst", burst_probability=1.0)
    levels = np.sort(stream(3).random(50_000))
    expected = np.interp(levels, plan.cumulative, plan.knots)
    assert np.abs(plan._inverse(levels.copy()) - expected).max() < 1.0


def test_peak_hours_raise_the_pattern_nhpp_only() -> None:
    share: Callable[[DayArrivals], float] = lambda plan: float(  # noqa: E731
        np.diff(np.interp([20 * HOUR, 21 * HOUR], plan.knots, plan.cumulative))[0]
    )
    fields: dict[str, Any] = {"peak_hours": (20,), "peak_multiplier": 3.0}
    assert share(arrivals(SUMMER, FLAT, arrival_pattern="nhpp", **fields)) == pytest.approx(3 / 26)
    assert share(arrivals(SUMMER, FLAT, arrival_pattern="poisson", **fields)) == pytest.approx(1 / 24)
    assert share(arrivals(SUMMER, FLAT, arrival_pattern="burst", burst_probability=0, **fields)) == pytest.approx(
        1 / 24
    )


def _bursts(plan: DayArrivals) -> NDArray[np.float64]:
    """Rate of each knot interval relative to a flat day."""
    rates: NDArray[np.float64] = np.diff(plan.cumulative) / np.diff(plan.knots) * plan.knots[-1]
    return rates


def test_burst_rate_inside_is_the_intensity_times_the_rate_outside() -> None:
    ratios = []
    for i in range(200):
        plan = arrivals(SUMMER + timedelta(i), FLAT, arrival_pattern="burst", burst_probability=0.05, burst_intensity=5)
        rates = _bursts(plan) / _bursts(plan).min()
        ratios += [float(rate) for rate in rates if 1.001 < rate < 5.001]
    assert len(ratios) > 100
    assert np.median(ratios) == pytest.approx(5.0, rel=1e-6)


def test_burst_number_follows_its_probability() -> None:
    days = [date(2024, 1, 1) + timedelta(i) for i in range(500)]
    hours = sum((day_bounds(d, "America/New_York")[1] - day_bounds(d, "America/New_York")[0]) / HOUR for d in days)
    added = [len(arrivals(d, arrival_pattern="burst", burst_probability=0.1).knots) for d in days]
    plain = [len(arrivals(d).knots) for d in days]
    bursts = (sum(added) - sum(plain)) / 2  # each burst adds two knots, save those cut at midnight
    assert abs(bursts / (0.1 * hours) - 1) < 4.5 / np.sqrt(0.1 * hours) + 0.01


def test_bursts_keep_the_volume_and_overdisperse_the_day() -> None:
    n, weights = 30_000, local_weights(SUMMER, B2B_CURVE, "America/New_York")
    plan = arrivals(SUMMER, arrival_pattern="burst", burst_probability=0.5, burst_intensity=8)
    times = drawn(plan, n)
    assert len(times) == n
    assert plan.cumulative[0] == 0.0
    assert plan.cumulative[-1] == 1.0
    assert dispersion(times, plan.start, weights) > 1.41
    quiet: tuple[dict[str, Any], ...] = ({"burst_probability": 0.0}, {"burst_intensity": 1.0, "burst_probability": 0.5})
    for off in quiet:
        calm = arrivals(SUMMER, arrival_pattern="burst", **off)
        assert kolmogorov(drawn(calm, n), calm.start, weights) < 1.95


def test_processes_follow_their_own_hours() -> None:
    config = GeneratorConfig.create()
    morning, evening = (tuple(float(h in hours) for h in range(24)) for hours in (range(6, 12), range(10, 20)))
    profiles = [IntradayProfile.from_config(config, curve) for curve in (morning, evening)]
    plan = DayArrivals.from_profiles(SPRING, config, "test", profiles, np.array([3000.0, 1000.0]))
    times = drawn(plan, 40_000)
    codes = plan.processes(times, stream(5))
    hours = (times - plan.start) / HOUR + 1  # after the change of clocks
    assert codes.dtype == np.uint8
    assert (codes[hours < 10] == 0).all()
    assert (codes[hours >= 12] == 1).all()
    assert abs((codes == 0).mean() - 0.75) < 4.5 * np.sqrt(0.75 * 0.25 / 40_000)
    both = codes[(hours >= 10) & (hours < 12)]
    assert abs((both == 0).mean() - 500 / 600) < 4.5 * np.sqrt(0.14 / len(both))
    assert (arrivals(SUMMER).processes(times, stream(5)) == 0).all()


def test_processes_of_flat_patterns_follow_the_masses() -> None:
    plan = arrivals(SUMMER, masses=(1.0, 0.0, 3.0), arrival_pattern="poisson")
    codes = plan.processes(drawn(plan, 20_000), stream(5))
    assert set(codes.tolist()) == {0, 2}
    assert abs((codes == 2).mean() - 0.75) < 4.5 * np.sqrt(0.1875 / 20_000)


def test_profile_in_a_zone_of_its_own() -> None:
    config = GeneratorConfig.create(timezone="UTC")
    noon = tuple(float(hour == 12) for hour in range(24))
    profile = IntradayProfile.from_config(config, noon, timezone="Asia/Kathmandu")  # +05:45
    plan = DayArrivals.from_profiles(SUMMER, config, "test", [profile], np.array([1.0]))
    times = drawn(plan, 1000) - plan.start
    assert times.min() >= 6.25 * HOUR
    assert times.max() < 7.25 * HOUR


def test_weekday_curves_take_the_place_of_the_curve() -> None:
    config = GeneratorConfig.create()
    night = tuple(float(hour == 3) for hour in range(24))
    profile = IntradayProfile.from_config(config, B2B_CURVE, {6: night})
    for day in (date(2024, 7, 7), date(2024, 7, 14), date(2024, 7, 8)):
        plan = DayArrivals.from_profiles(day, config, "test", [profile], np.array([1.0]))
        hours = (drawn(plan, 500) - plan.start) // HOUR
        assert (set(hours.tolist()) == {3}) == (day.weekday() == 6)


def test_hours_of_a_day_scale_the_curve_and_say_its_level() -> None:
    closing = tuple(1.0 if hour < 17 else 0.25 for hour in range(24))
    config = GeneratorConfig.create()
    profile = IntradayProfile.from_config(config, B2B_CURVE)
    for day, length in LENGTHS.items():
        bounds = day_bounds(day, config.timezone)
        ordinary, changed = profile.shares(*bounds), profile.shares(*bounds, hours=closing)
        late = np.arange(length * 4) >= (length - 7) * 4
        expected = ordinary * np.where(late, 0.25, 1.0)
        assert changed == pytest.approx(expected / expected.sum())
        assert profile.level(day, config.timezone, closing) == pytest.approx(expected.sum())
    nothing = profile.shares(*day_bounds(SUMMER, config.timezone), hours=(0.0,) * 24)
    assert nothing.sum() == pytest.approx(1.0)  # no row is expected, and one that comes falls anywhere


def test_hours_belong_to_the_local_day_that_the_datasets_day_is_mostly() -> None:
    config, closed = GeneratorConfig.create(timezone="UTC"), (0.0,) * 24
    profile = IntradayProfile.from_config(config, FLAT, timezone="America/New_York")  # UTC-4 in summer
    assert profile.level(SUMMER, "UTC", closed) == pytest.approx(4 / 24)
    shares = profile.shares(*day_bounds(SUMMER, "UTC"), hours=closed)
    assert (np.flatnonzero(shares) == np.arange(16)).all()  # the evening before


def test_hours_that_a_short_day_lost_fall_anywhere() -> None:
    plan = arrivals(SPRING, tuple(float(hour == 2) for hour in range(24)))
    assert len(np.unique((drawn(plan, 2000) - plan.start) // HOUR)) == 23


def test_day_that_a_zone_skipped_has_no_rows() -> None:
    plan = arrivals(date(2011, 12, 30), timezone="Pacific/Apia")
    assert plan.start == plan.end
    assert plan.slice_sizes(1000, 1).tolist() == [0]
    assert len(plan.instants(0, 0, 1, stream(0))) == 0


def test_no_expected_rows_leave_a_plan_without_nan() -> None:
    plan = arrivals(SUMMER, masses=(0.0, 0.0))
    assert np.isfinite(plan.cumulative).all()
    assert plan.slice_sizes(0, 1).tolist() == [0]


@pytest.mark.parametrize(
    "day, zone, hours",
    [
        (SPRING, "America/New_York", 23), (AUTUMN, "America/New_York", 25), (date(2024, 3, 31), "Europe/London", 23),
        (date(2024, 4, 7), "Australia/Lord_Howe", 24.5), (date(2018, 11, 4), "America/Sao_Paulo", 23),
        (date(2018, 2, 17), "America/Sao_Paulo", 25), (date(2024, 11, 3), "America/Havana", 25),
    ],
)  # fmt: skip
def test_lengths_of_days(day: date, zone: str, hours: float) -> None:
    start, end = day_bounds(day, zone)
    assert (end - start) / HOUR == hours
    assert datetime.fromtimestamp(start / 1e6, ZoneInfo(zone)).date() == day
    assert datetime.fromtimestamp(start / 1e6 - 1, ZoneInfo(zone)).date() == day - timedelta(1)


@pytest.mark.parametrize("curve", [(1.0,) * 23, (0.0,) * 24, (-1.0, *[1.0] * 23)])
def test_wrong_curves_are_refused(curve: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="24 weights"):
        IntradayProfile(curve)


def test_wrong_weekday_is_refused() -> None:
    with pytest.raises(ConfigError, match="weekday 7"):
        IntradayProfile(FLAT, {7: FLAT})


def test_b2b_curve_is_of_working_hours() -> None:
    assert sum(B2B_CURVE) == pytest.approx(1.0)
    assert sum(B2B_CURVE[8:17]) > 0.85


@settings(max_examples=80, deadline=None)
@given(
    st.dates(date(1970, 1, 1), date(2099, 12, 30)),
    st.sampled_from(ZONES),
    st.sampled_from(["uniform", "poisson", "nhpp", "burst"]),
    st.integers(1, 3000),
    st.integers(1, 4),
)
def test_instants_lie_in_their_local_day(day: date, zone: str, pattern: str, n: int, pieces: int) -> None:
    plan = arrivals(day, timezone=zone, arrival_pattern=pattern, burst_probability=0.3)
    times = drawn(plan, n, pieces)
    assert len(times) == n
    assert (np.diff(times) >= 0).all()
    for instant in (times[0], times[-1]):
        assert datetime.fromtimestamp(int(instant) / 1e6, ZoneInfo(zone)).date() == day
    assert plan.end == day_bounds(day + timedelta(1), zone)[0]


@pytest.mark.parametrize("day", [SPRING, SUMMER, AUTUMN])
def test_appointment_grid_keeps_the_mass_of_hours(day: date) -> None:
    config = GeneratorConfig.create()
    plain, grid = (
        IntradayProfile.from_config(config, B2B_CURVE, minutes=minutes) for minutes in (None, appointment_grid(15, 2.0))
    )
    bounds = day_bounds(day, config.timezone)
    flat, waved = plain.shares(*bounds, 1), grid.shares(*bounds, 1)
    assert len(flat) == LENGTHS[day] * 60
    np.testing.assert_allclose(waved.reshape(-1, 60).sum(axis=1), flat.reshape(-1, 60).sum(axis=1), atol=1e-12)
    relative = (waved / flat).reshape(-1, 60)
    # Appointments at minutes 0, 15, 30 and 45, the law of arrivals around them N(0, 2 min).
    at, between = relative[:, 0], relative[:, 7]
    middle = (np.arange(60) + 0.5)[:, None] - 15 * np.arange(-8, 13)[None, :]
    density = np.exp(-0.5 * (middle / 2.0) ** 2).sum(axis=1)
    np.testing.assert_allclose(relative, np.broadcast_to(density / density.mean(), relative.shape), rtol=1e-6)
    assert (at > 10 * between).all()


def test_appointment_grid_blurs_with_the_jitter() -> None:
    assert max(appointment_grid(15, 6.0)) < 1.1
    assert np.mean(appointment_grid(10, 1.0)) == pytest.approx(1.0)
