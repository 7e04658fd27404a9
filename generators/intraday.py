"""When in the day rows arrive: hour curves, daylight saving, arrival patterns and slices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from generators.config import ArrivalPattern, GeneratorConfig
from generators.errors import ConfigError
from generators.randomness import stream

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

BIN_MINUTES = 15
"""Width of the pieces on which intensity is constant."""
BURST_MINUTES = 10.0
"""Mean length of a burst; lengths are Gamma(2)."""

FLAT = (1.0 / 24,) * 24
B2B_CURVE = (
    0.002, 0.001, 0.001, 0.001, 0.002, 0.005, 0.015, 0.045, 0.095, 0.118, 0.120, 0.108,
    0.072, 0.096, 0.108, 0.100, 0.066, 0.026, 0.008, 0.004, 0.003, 0.002, 0.001, 0.001,
)  # fmt: skip
"""Share of rows by local hour of orders between businesses."""

_MINUTE = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIRECT_ROWS = 16_384
"""Below this many rows np.interp is faster than mapping piece by piece."""


@dataclass(frozen=True, eq=False)
class IntradayProfile:
    """Intensity of one process over the local hours of a day.

    Attributes:
        curve: 24 weights, of hours 0 to 23; normalised when used.
        weekday_curves: Weekday (Monday 0) -> 24 weights that take the curve's place; None: every day alike.
        timezone: IANA zone of the hours, which may differ from the zone in which the dataset's days begin.
        minutes: 60 weights of mean 1 by minute of the hour, such as `appointment_grid`; None: hours are flat inside.
    """

    curve: tuple[float, ...] = FLAT
    weekday_curves: Mapping[int, tuple[float, ...]] | None = None
    timezone: str = "UTC"
    minutes: tuple[float, ...] | None = None
    _shares: dict[object, F64] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for curve in (self.curve, *(self.weekday_curves or {}).values()):
            if len(curve) != 24 or not all(math.isfinite(w) and w >= 0 for w in curve) or sum(curve) <= 0:
                raise ConfigError(f"hour curve: {curve!r} given; allowed: 24 weights of 0 or more, not all 0")
        for weekday in self.weekday_curves or {}:
            if weekday not in range(7):
                raise ConfigError(f"weekday_curves: weekday {weekday!r} given; allowed: 0 (Monday) to 6 (Sunday)")

    @classmethod
    def from_config(
        cls,
        config: GeneratorConfig,
        curve: Sequence[float] | None = None,
        weekday_curves: Mapping[int, Sequence[float]] | None = None,
        timezone: str | None = None,
        minutes: tuple[float, ...] | None = None,
    ) -> IntradayProfile:
        """Build a profile in the dataset's zone; with the pattern nhpp, peak hours raise their weights.

        Args:
            config: Zone, arrival pattern, peak hours and their factor.
            curve: 24 weights; None: flat.
            weekday_curves: Weekday -> 24 weights, for days with a curve of their own.
            timezone: Zone of the hours when it is not the dataset's.
            minutes: 60 weights by minute of the hour, for generators with bins finer than a quarter of an hour.

        Raises:
            ConfigError: A curve has not 24 weights, or none above 0.
        """
        peaks = frozenset(config.peak_hours) if config.arrival_pattern is ArrivalPattern.nhpp else frozenset()

        def raised(weights: Sequence[float]) -> tuple[float, ...]:
            return tuple(w * config.peak_multiplier if hour in peaks else w for hour, w in enumerate(weights))

        own = None if weekday_curves is None else {day: raised(weights) for day, weights in weekday_curves.items()}
        return cls(raised(FLAT if curve is None else curve), own, timezone or config.timezone, minutes)

    def shares(self, start: int, end: int, bin_minutes: int = BIN_MINUTES, hours: Sequence[float] | None = None) -> F64:
        """Return the share of the rows in each bin of [start, end) UTC microseconds, shape (bins,), sum 1.

        Args:
            start: First instant of the day.
            end: First instant after it.
            bin_minutes: Width of the bins.
            hours: 24 factors of the intensity by local hour on a day that differs from its like; None: none.
        """
        shares = self._ordinary(start, end, bin_minutes)
        if hours is None:
            return shares
        changed = shares * self._by_bin(start, end, bin_minutes, hours)
        total = changed.sum()
        return np.asarray(changed / total) if total > 0 else shares

    def level(self, day: date, timezone: str, hours: Sequence[float]) -> float:
        """Return the factor of a day's rows that follows from 24 factors of its hours.

        Args:
            day: Civil day.
            timezone: Zone in which the dataset's days begin.
            hours: 24 factors of the intensity by local hour.
        """
        start, end = day_bounds(day, timezone)
        if start == end:
            return 1.0
        shares = self._ordinary(start, end, BIN_MINUTES)
        return float(shares @ self._by_bin(start, end, BIN_MINUTES, hours))

    def _by_bin(self, start: int, end: int, bin_minutes: int, hours: Sequence[float]) -> F64:
        """Return the factor of each bin, shape (bins,).

        Of a day that begins at another midnight than the profile's zone does, the smaller part lies on a neighbouring
        local date: those bins keep their ordinary weight.
        """
        minute = self._local_minutes(start, end, bin_minutes)
        date_of = minute // 1440
        middle = date_of[len(date_of) // 2]
        return np.where(date_of == middle, np.array(hours)[minute // 60 % 24], 1.0)

    def _ordinary(self, start: int, end: int, bin_minutes: int) -> F64:
        first, last = _offset(self.timezone, start), _offset(self.timezone, end - 1)
        if first != last:  # daylight saving begins or ends: rare enough to be computed afresh
            return self._computed(start, end, bin_minutes)
        local = start + first
        key = ((local // (1440 * _MINUTE) + 3) % 7, local % (1440 * _MINUTE), end - start, bin_minutes)
        shares = self._shares.get(key)
        if shares is None:
            shares = self._shares[key] = self._computed(start, end, bin_minutes)
            shares.setflags(write=False)
        return shares

    def _local_minutes(self, start: int, end: int, bin_minutes: int) -> I64:
        """Return the local minute in which each bin begins, counted from 1970-01-01, shape (bins,)."""
        instants = start + _bounds(start, end, bin_minutes)[:-1].astype(np.int64)
        first, last = _offset(self.timezone, start), _offset(self.timezone, end - 1)
        if first == last:
            local = instants + first
        else:
            local = instants + np.array([_offset(self.timezone, instant) for instant in instants.tolist()])
        return np.asarray(local // _MINUTE, np.int64)

    def _computed(self, start: int, end: int, bin_minutes: int) -> F64:
        bounds = _bounds(start, end, bin_minutes)
        minute = self._local_minutes(start, end, bin_minutes)
        weights = np.array(self.curve)[minute // 60 % 24]
        for weekday, curve in (self.weekday_curves or {}).items():
            special = (minute // 1440 + 3) % 7 == weekday  # 1970-01-01 was a Thursday
            weights[special] = np.array(curve)[minute[special] // 60 % 24]
        if self.minutes is not None:
            within = np.array(self.minutes * 2)
            weights *= np.array([within[m : m + bin_minutes].mean() for m in range(60)])[minute % 60]
        weights *= np.diff(bounds)
        total = weights.sum()
        # A short day may have lost the only hours with any weight: its rows then fall anywhere.
        shares: F64 = weights / total if total > 0 else np.diff(bounds) / bounds[-1]
        return shares


def appointment_grid(spacing: int, jitter: float) -> tuple[float, ...]:
    """Return 60 weights of mean 1 by minute of the hour: appointments on a grid, arrivals early or late.

    A comb of the spacing convolved with N(0, jitter): 1 + 2 Σ_k exp(-2 (π k jitter / spacing)²) cos(2 π k t / spacing).

    Args:
        spacing: Minutes between appointments, a divisor of 60.
        jitter: Standard deviation of arrivals around their appointment, in minutes.
    """
    middle = np.arange(60) + 0.5
    wave = np.ones(60)
    for k in range(1, 20):
        wave += 2 * math.exp(-2 * (math.pi * k * jitter / spacing) ** 2) * np.cos(2 * math.pi * k * middle / spacing)
    return tuple((wave.clip(0) / wave.clip(0).mean()).tolist())


@dataclass(frozen=True, eq=False)
class DayArrivals:
    """The arrival intensity of one day, and the instants of its rows.

    Attributes:
        start: UTC microseconds of the day's local midnight.
        end: UTC microseconds of the next local midnight.
        even: Whether instants are evenly spaced instead of drawn.
        knots: (k,) ascending microseconds since start at which the cumulative intensity bends.
        cumulative: (k,) share of the day's rows before each knot, from 0 to 1.
        mixture: (bins, processes) cumulative probability of each process in each bin; None with one process.
        bin_minutes: Width of the bins.
    """

    day: date
    seed: int
    generator: str
    start: int
    end: int
    even: bool
    knots: F64
    cumulative: F64
    mixture: F64 | None
    bin_minutes: int = BIN_MINUTES

    @classmethod
    def from_profiles(
        cls,
        day: date,
        config: GeneratorConfig,
        generator: str,
        profiles: Sequence[IntradayProfile],
        masses: F64,
        bin_minutes: int = BIN_MINUTES,
        hours: Sequence[Sequence[float] | None] | None = None,
    ) -> DayArrivals:
        """Add up the processes of a day.

        Args:
            day: Civil day in the config's zone.
            config: Zone, arrival pattern, burst parameters and seed.
            generator: The generator's name; keys the streams.
            profiles: P profiles.
            masses: (P,) expected rows of each process on the day.
            bin_minutes: Width of the bins on which intensity is constant.
            hours: For each profile 24 factors of the day's hours, or None; None: no profile has any.
        """
        start, end = day_bounds(day, config.timezone)
        bounds = _bounds(start, end, bin_minutes)
        pattern = config.arrival_pattern
        weights = np.asarray(masses, dtype=np.float64)
        if weights.sum() <= 0.0:
            weights = np.ones(len(profiles))
        mixture = None
        if len(bounds) == 1:  # the zone skipped the day
            return cls(day, config.seed, generator, start, end, False, np.zeros(2), np.array([0.0, 1.0]), None)
        if pattern in (ArrivalPattern.uniform, ArrivalPattern.poisson):
            knots, cumulative = np.array([0.0, bounds[-1]]), np.array([0.0, 1.0])
            if len(profiles) > 1:
                mixture = np.broadcast_to(np.cumsum(weights) / weights.sum(), (len(bounds) - 1, len(profiles)))
        else:
            knots = bounds
            factors = hours if hours is not None else [None] * len(profiles)
            if len(profiles) == 1:
                shares = profiles[0].shares(start, end, bin_minutes, factors[0])
            else:
                courses = [p.shares(start, end, bin_minutes, h) for p, h in zip(profiles, factors, strict=True)]
                parts = np.array(courses) * weights[:, None]
                summed = parts.sum(axis=0)
                shares = summed / weights.sum()
                mixture = (np.cumsum(parts, axis=0) / np.where(summed > 0, summed, 1.0)).T
            cumulative = np.concatenate([[0.0], np.cumsum(shares)])
            cumulative /= cumulative[-1]
            if pattern is ArrivalPattern.burst:
                knots, cumulative = _with_bursts(
                    knots, cumulative, config, stream(config.seed, generator, day, "bursts")
                )
        even = pattern is ArrivalPattern.uniform
        return cls(day, config.seed, generator, start, end, even, knots, cumulative, mixture, bin_minutes)

    def slice_sizes(self, n: int, pieces: int) -> I64:
        """Return how many of the day's n rows each of its slices holds, shape (pieces,), sum n.

        Slices are equally probable, so sizes are multinomial; with evenly spaced rows a slice holds the rows whose
        instants lie in its window. A day that the zone skipped holds no rows.
        """
        if self.end == self.start:
            return np.zeros(pieces, dtype=np.int64)
        if pieces == 1:
            return np.array([n], dtype=np.int64)
        if self.even:
            return np.diff([_first_row(number, n, pieces) for number in range(pieces + 1)]).astype(np.int64)
        return stream(self.seed, self.generator, self.day, "slices").multinomial(n, np.full(pieces, 1.0 / pieces))

    def edges(self, pieces: int) -> I64:
        """Return the UTC microseconds between slices, shape (pieces + 1,): slice k is [edges[k], edges[k + 1])."""
        inner = np.interp(np.arange(pieces + 1) / pieces, self.cumulative, self.knots)
        edges = inner.astype(np.int64) + self.start
        edges[0], edges[-1] = self.start, self.end
        return edges

    def instants(self, n: int, number: int, pieces: int, rng: np.random.Generator, total: int | None = None) -> I64:
        """Return the instants of a slice's rows, shape (n,): ascending UTC microseconds inside its window.

        Args:
            n: Rows of the slice.
            number: Number of the slice, from 0.
            pieces: Slices of the day.
            rng: The slice's stream; evenly spaced rows leave it alone.
            total: Rows of the whole day, which the pattern uniform needs when the day has several slices.

        Raises:
            ValueError: The pattern is uniform, the day has several slices, and `total` is missing.
        """
        if n == 0:
            return np.empty(0, dtype=np.int64)
        if self.even:
            if total is None and pieces > 1:
                raise ValueError("total: None given; the pattern uniform needs the rows of the whole day")
            whole = n if total is None else total
            times = np.arange(n, dtype=np.float64)
            times += _first_row(number, whole, pieces) + 0.5
            times *= (self.end - self.start) / whole
        else:
            gaps = rng.standard_exponential(n + 1)
            levels = np.cumsum(gaps, out=gaps)
            levels /= levels[-1] * pieces
            levels += number / pieces
            times = self._inverse(levels[:n])
        instants = times.astype(np.int64)
        instants += self.start
        low, high = self.edges(pieces)[number : number + 2]
        return np.clip(instants, low, high - 1, out=instants)

    def processes(self, instants: I64, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the process of each row given its instant, shape (n,): in proportion to intensities in its bin."""
        codes = np.zeros(len(instants), dtype=np.uint8)
        if self.mixture is None or not len(instants):
            return codes
        bins = (instants - self.start) // (self.bin_minutes * _MINUTE)
        levels = rng.random(len(instants))
        for column in range(self.mixture.shape[1] - 1):
            codes += levels >= self.mixture[bins, column]
        return codes

    def _inverse(self, levels: F64) -> F64:
        """Map ascending cumulative shares to microseconds since start."""
        if len(levels) < _DIRECT_ROWS:
            return np.interp(levels, self.cumulative, self.knots)
        # Sorted levels fall into runs, one a knot interval: each run is one multiplication and one addition.
        cuts = np.searchsorted(levels, self.cumulative[1:-1]).tolist()
        times = levels
        for piece, (i, j) in enumerate(zip([0, *cuts], [*cuts, len(levels)], strict=True)):
            if i < j:
                low, high = self.cumulative[piece], self.cumulative[piece + 1]
                run = times[i:j]
                run -= low
                run *= (self.knots[piece + 1] - self.knots[piece]) / (high - low)
                run += self.knots[piece]
        return times


def _with_bursts(knots: F64, cumulative: F64, config: GeneratorConfig, rng: np.random.Generator) -> tuple[F64, F64]:
    """Move a part b of the day's rows into bursts; how many rows the day has is left alone.

    With p = burst_probability and r = burst_intensity: the number of bursts is Poisson with mean p times the day's
    hours, starts are drawn from the hour curve C, lengths are Gamma(2) with mean `BURST_MINUTES`, cut at midnight. A
    burst over [s, e) of mass m = C(e) - C(s) gets (r - 1) m on top of its own rows, and everything is scaled back to
    1: with x = (r - 1) sum(m) that is b = x / (1 + x) and sizes m / sum(m). So the mean rate inside a burst is r times
    the rate that the rest of the day would lead one to expect there; where bursts overlap, they add up.
    """
    length = knots[-1]
    number = int(rng.poisson(config.burst_probability * length / (60 * _MINUTE)))
    if number == 0:
        return knots, cumulative
    starts = np.floor(np.interp(rng.random(number), cumulative, knots))
    ends = np.ceil(starts + rng.standard_gamma(2.0, number) * (BURST_MINUTES / 2 * _MINUTE))
    ends = np.minimum(np.maximum(ends, starts + 1), length)
    extra = (config.burst_intensity - 1.0) * (np.interp(ends, knots, cumulative) - np.interp(starts, knots, cumulative))
    merged = np.unique(np.concatenate([knots, starts, ends]))
    burst = np.interp(merged, knots, cumulative)
    for start, end, mass in zip(starts, ends, extra, strict=True):
        burst += mass * np.clip((merged - start) / (end - start), 0.0, 1.0)
    burst /= burst[-1]
    return merged, burst


def _first_row(number: int, n: int, pieces: int) -> int:
    """Return the first of n evenly spaced rows, at (i + 1/2)/n of the day, that lies at or after number/pieces."""
    return max(0, -((pieces - 2 * number * n) // (2 * pieces)))


@lru_cache(maxsize=64)
def _regular_bounds(length: int, bin_minutes: int) -> F64:
    bounds = np.append(np.arange(0.0, length, bin_minutes * _MINUTE), length) if length else np.zeros(1)
    bounds.setflags(write=False)
    return bounds


def _bounds(start: int, end: int, bin_minutes: int) -> F64:
    """Return the bin borders in microseconds since start: 92, 96 or 100 quarter hours, the last one perhaps short."""
    return _regular_bounds(end - start, bin_minutes)


@lru_cache(maxsize=4096)
def day_bounds(day: date, timezone: str) -> tuple[int, int]:
    """Return the UTC microseconds of a day's local midnight and of the next one, 23, 24 or 25 hours later.

    A midnight that daylight saving skips is the instant of the change; of two midnights the first one counts, unless
    the clock was still on the day before between them. A day that a zone never had begins and ends at one instant.
    """
    return _midnight(day, timezone), _midnight(day + timedelta(1), timezone)


@lru_cache(maxsize=4096)
def _midnight(day: date, timezone: str) -> int:
    zone = ZoneInfo(timezone)
    first, second = (_microseconds(datetime(day.year, day.month, day.day, fold=fold, tzinfo=zone)) for fold in (0, 1))
    if second > first:
        before = (_EPOCH + timedelta(microseconds=second - 1)).astimezone(zone)
        return second if before.date() < day else first
    return first


def _microseconds(instant: datetime) -> int:
    return (instant.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _offset(timezone: str, instant: int) -> int:
    """Return the zone's offset from UTC at an instant, both in microseconds."""
    offset = (_EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo(timezone)).utcoffset()
    return (offset or timedelta(0)) // timedelta(microseconds=1)
