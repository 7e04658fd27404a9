"""When in the day rows arrive: hour curves in local time, mapped to instants on days of 23, 24 and 25 hours.

The day's cumulative intensity C is piecewise linear over the quarter hours, in UTC, between local midnight and local
midnight, each weighted by its local hour. Instants are sorted uniforms mapped through the inverse of C, so nothing is
sorted. A day of n rows in K slices gives slice k the instants C^-1((k + U) / K).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from generators.config import ArrivalPattern, GeneratorConfig
from generators.randomness import F64, stream

I64 = NDArray[np.int64]

BIN_MINUTES = 15
MICROSECONDS = 1_000_000
_BIN = BIN_MINUTES * 60 * MICROSECONDS
BURST_HOURS = 0.5
"""Mean length of a burst."""
FLAT = (1 / 24,) * 24


@dataclass(frozen=True)
class IntradayProfile:
    """Relative intensity by local hour.

    Attributes:
        curve: 24 weights.
        weekday_curves: Weekday (Monday 0) -> 24 weights, where a day differs from `curve`.
        timezone: Zone in which hours count.
    """

    curve: tuple[float, ...]
    weekday_curves: tuple[tuple[int, tuple[float, ...]], ...]
    timezone: str

    @classmethod
    def from_config(
        cls,
        config: GeneratorConfig,
        curve: Sequence[float] | None = None,
        weekday_curves: Mapping[int, Sequence[float]] | None = None,
        timezone: str | None = None,
    ) -> IntradayProfile:
        """Build a profile with the config's peak hours raised (pattern nhpp), in the config's zone unless given."""

        def raised(weights: Sequence[float]) -> tuple[float, ...]:
            peaks = config.peak_hours if config.arrival_pattern is ArrivalPattern.nhpp else ()
            factors = [config.peak_multiplier if hour in peaks else 1.0 for hour in range(24)]
            return tuple(w * f for w, f in zip(weights, factors, strict=True))

        by_weekday = tuple((day, raised(c)) for day, c in sorted((weekday_curves or {}).items()))
        return cls(raised(curve or FLAT), by_weekday, timezone or config.timezone)

    def on(self, day: date) -> tuple[float, ...]:
        """Return the day's 24 weights."""
        return dict(self.weekday_curves).get(day.weekday(), self.curve)


@lru_cache(maxsize=8192)
def day_bounds(day: date, timezone: str) -> tuple[int, int]:
    """Return the UTC microseconds of a civil day's local midnights, half-open."""
    zone = ZoneInfo(timezone)

    def midnight(of: date) -> int:
        local = datetime(of.year, of.month, of.day, tzinfo=zone)
        return round(local.timestamp()) * MICROSECONDS

    return midnight(day), midnight(day + timedelta(1))


@lru_cache(maxsize=256)
def _local_hours(offsets: tuple[int, ...], start_hour_seconds: int) -> NDArray[np.intp]:
    seconds = np.arange(len(offsets)) * BIN_MINUTES * 60 + np.array(offsets) + start_hour_seconds
    return (seconds // 3600 % 24).astype(np.intp)


def _hours(start: int, end: int, timezone: str) -> NDArray[np.intp]:
    """Return the local hour of each quarter hour in [start, end)."""
    zone, bins = ZoneInfo(timezone), -(-(end - start) // _BIN)
    first = datetime.fromtimestamp(start // MICROSECONDS, UTC)
    last = datetime.fromtimestamp(end // MICROSECONDS - 1, UTC)
    offset = _offset(first, zone)
    if offset == _offset(last, zone):
        offsets: tuple[int, ...] = (offset,) * bins
    else:
        offsets = tuple(_offset(first + timedelta(minutes=BIN_MINUTES * i), zone) for i in range(bins))
    return _local_hours(offsets, start // MICROSECONDS % 86_400)


def _offset(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


@dataclass(frozen=True, eq=False)
class DayArrivals:
    """The arrival process of one day, all its processes together.

    Attributes:
        day: Civil day.
        start: UTC microseconds of its first local midnight.
        end: UTC microseconds of the next one.
        pattern: How instants arise.
        masses: (P, bins) expected rows of each process in each quarter hour.
        knots: UTC microseconds at which the cumulative intensity bends, ascending from start to end.
        cumulative: Normalised cumulative intensity at the knots, from 0 to 1.
        key: (seed, generator), for the day's own draws.
    """

    day: date
    start: int
    end: int
    pattern: ArrivalPattern
    masses: F64
    knots: F64
    cumulative: F64
    key: tuple[int, str]

    @classmethod
    def from_profiles(
        cls, day: date, config: GeneratorConfig, generator: str, profiles: Sequence[IntradayProfile], masses: F64
    ) -> DayArrivals:
        """Build the day's arrivals from each process's profile and expected rows (P,)."""
        start, end = day_bounds(day, config.timezone)
        flat = config.arrival_pattern in (ArrivalPattern.uniform, ArrivalPattern.poisson)
        weights = np.stack([_weights(day, start, end, p, flat) * m for p, m in zip(profiles, masses, strict=True)])
        total = weights.sum(axis=0)
        if total.sum() <= 0:
            total = np.ones(len(total))
        knots = np.minimum(start + np.arange(len(total) + 1) * _BIN, end).astype(np.float64)
        cumulative = np.concatenate([[0.0], np.cumsum(total)])
        cumulative /= cumulative[-1]
        if config.arrival_pattern is ArrivalPattern.burst:
            rng = stream(config.seed, generator, day, "bursts")
            knots, cumulative = _with_bursts(knots, cumulative, config, rng)
        return cls(day, start, end, config.arrival_pattern, weights, knots, cumulative, (config.seed, generator))

    def slice_sizes(self, n: int, pieces: int) -> I64:
        """Return (pieces,) numbers of rows: multinomial with equal chances (uniform: as even as rows allow)."""
        if pieces == 1:
            return np.array([n])
        if self.pattern is ArrivalPattern.uniform:
            borders = -(-np.arange(pieces + 1) * n // pieces)
            return np.diff(borders)
        seed, generator = self.key
        return stream(seed, generator, self.day, "slices").multinomial(n, np.full(pieces, 1 / pieces))

    def edges(self, pieces: int) -> I64:
        """Return (pieces + 1,) UTC microseconds: slice k holds the instants of [edge k, edge k + 1)."""
        edges = self._inverse(np.arange(pieces + 1) / pieces)
        edges[0], edges[-1] = self.start, self.end
        return edges

    def instants(self, sizes: I64, number: int, rng: np.random.Generator) -> I64:
        """Return the ascending UTC microseconds of slice `number` of a day whose slices have the given sizes."""
        n, pieces = int(sizes[number]), len(sizes)
        if self.pattern is ArrivalPattern.uniform:
            ranks = int(sizes[:number].sum()) + np.arange(n)
            return self.start + (2 * ranks + 1) * (self.end - self.start) // (2 * int(sizes.sum()))
        gaps = rng.standard_exponential(n + 1)
        np.cumsum(gaps, out=gaps)
        u = gaps[:-1]
        u *= 1.0 / (gaps[-1] * pieces)
        u += number / pieces
        low, high = self.edges(pieces)[[number, number + 1]] if pieces > 1 else (self.start, self.end)
        return np.clip(self._inverse(u), low, high - 1)

    def processes(self, instants: I64, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return (n,) process numbers, drawn in proportion to the intensities at each instant."""
        count = len(self.masses)
        if count == 1:
            return np.zeros(len(instants), np.uint8)
        total = self.masses.sum(axis=0)
        shares = np.cumsum(self.masses, axis=0) / np.where(total > 0, total, 1.0)
        quarter = np.minimum((instants - self.start) // _BIN, self.masses.shape[1] - 1)
        uniform = rng.random(len(instants))
        process = np.zeros(len(instants), np.uint8)
        for border in shares[:-1]:
            process += uniform >= border[quarter]
        return process

    def _inverse(self, u: F64) -> I64:
        return np.interp(u, self.cumulative, self.knots).astype(np.int64)


def _weights(day: date, start: int, end: int, profile: IntradayProfile, flat: bool) -> F64:
    """Return the normalised weight of each quarter hour of the day."""
    bins = -(-(end - start) // _BIN)
    weights = np.ones(bins) if flat else np.array(profile.on(day))[_hours(start, end, profile.timezone)]
    return weights / weights.sum()


def _with_bursts(
    knots: F64, cumulative: F64, config: GeneratorConfig, rng: np.random.Generator
) -> tuple[F64, F64]:
    """Return C_b = (1 - b) C + b times the bursts' own cumulative intensity; the day's volume is untouched.

    A Poisson number of bursts with mean ``burst_probability`` x hours begins where C says, each lasting Gamma(2) with mean
    half an hour, cut at midnight. With f the share of the day inside bursts, a rate inside of I times the rate outside needs
    b = f (I - 1) / (1 + f (I - 1)); each burst takes the part of b that its length is of all bursts' lengths.
    """
    start, end = knots[0], knots[-1]
    hours = (end - start) / (3600 * MICROSECONDS)
    count = int(rng.poisson(config.burst_probability * hours))
    begins = np.interp(rng.random(count), cumulative, knots)
    lengths = rng.standard_gamma(2.0, count) * (BURST_HOURS / 2 * 3600 * MICROSECONDS)
    ends = np.minimum(begins + np.maximum(lengths, 60 * MICROSECONDS), end)
    spans = ends - begins
    if count == 0 or config.burst_intensity <= 1 or spans.sum() <= 0:
        return knots, cumulative
    covered = spans.sum() / (end - start) * (config.burst_intensity - 1)
    share = covered / (1 + covered)
    points = np.unique(np.concatenate([knots, begins, ends]))
    ramps = np.clip((points[:, None] - begins) / np.maximum(spans, 1), 0, 1) @ (spans / spans.sum())
    mixed = (1 - share) * np.interp(points, knots, cumulative) + share * ramps
    return points, mixed / mixed[-1]
