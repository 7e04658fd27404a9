"""Where terminals stand: points at a distance from home, and the distance between two points on the sphere."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.finance.card_shares import TravelShares
from generators.finance.cardholders import Homes, normals, trip_abroad
from generators.finance.geography import areas
from generators.finance.merchants import foreign_country
from generators.randomness import LANES, normal_table

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]

EARTH_KM = 6371.0088
DEGREE_KM = EARTH_KM * np.pi / 180
FLAT_KM = 120.0
"""Distance up to which the sphere is taken as flat: the error is below 0.1%."""
LOCAL_SIGMA, LOCAL_RANGE = 1.1, (0.1, 600.0)
TRAVEL_SIGMA, TRAVEL_RANGE = 1.0, (80.0, 3500.0)
SPREAD_DEGREES = 0.03
"""Standard deviation of terminals around the place of a trip."""


@lru_cache(maxsize=16)
def distance_table(median: float, sigma: float, low: float, high: float) -> F32:
    """Return (65,536,) kilometres by 16-bit draw: log-normal, cut to [low, high]."""
    km = np.exp(np.log(median) + sigma * normal_table()).clip(low, high)
    return np.asarray(km, np.float32)


def local_km(shares: TravelShares, lane: U16) -> F32:
    """Return (n,) distances of everyday terminals from home."""
    return distance_table(shares.local_km, LOCAL_SIGMA, *LOCAL_RANGE)[lane]


@lru_cache(maxsize=1)
def _circle() -> tuple[F32, F32]:
    angle = np.arange(LANES) * (2 * np.pi / LANES)
    return np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)


def destination(home: Homes, km: F32, bearing: U16) -> tuple[F64, F64]:
    """Return (latitude, longitude) of (n,) points at a distance from home in a direction, to a ten-millionth degree."""
    sine, cosine = _circle()
    degrees = km / np.float32(DEGREE_KM)
    north = degrees * cosine[bearing]
    lat = home.lat + north
    middle = np.cos(((lat + home.lat) * (np.pi / 360)).astype(np.float32))
    lon = home.lon + degrees * sine[bearing] / middle
    far = np.flatnonzero(km > FLAT_KM)
    if len(far):
        angle, course = np.radians(degrees[far].astype(np.float64)), bearing[far] * (2 * np.pi / LANES)
        start_lat, start_lon = np.radians(home.lat[far]), np.radians(home.lon[far])
        sin_lat = np.sin(start_lat) * np.cos(angle) + np.cos(start_lat) * np.sin(angle) * np.cos(course)
        lat[far] = np.degrees(np.arcsin(sin_lat))
        lon[far] = np.degrees(
            start_lon
            + np.arctan2(
                np.sin(course) * np.sin(angle) * np.cos(start_lat), np.cos(angle) - np.sin(start_lat) * sin_lat
            )
        )
        lon[far] = (lon[far] + 540.0) % 360.0 - 180.0
    return _rounded(lat, 6), _rounded(lon, 6)


def haversine(lat_a: F64, lon_a: F64, lat_b: F64, lon_b: F64) -> F64:
    """Return (n,) great-circle distances in kilometres."""
    a, b = np.radians(lat_a), np.radians(lat_b)
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(lon_b - lon_a) / 2) ** 2
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(half)), np.float64)


def trip_places(shares: TravelShares, home: Homes, country: U8, word: U64, noise: U64) -> tuple[F64, F64, F64, U8]:
    """Return (latitude, longitude, distance, country) of terminals visited on (n,) trips.

    Args:
        shares: How far trips go.
        home: (n,) residences.
        country: (n,) home countries.
        word: (n,) words of the trips: the place is constant during a trip.
        noise: (n,) words of the visits: terminals scatter around the place.
    """
    low, high = _lane(word, 2), _lane(word, 3)
    abroad = trip_abroad(shares, word)
    where = np.where(abroad, foreign_country(country, high), country).astype(np.uint8)
    km = distance_table(shares.trip_km, TRAVEL_SIGMA, *TRAVEL_RANGE)[low]
    lat, lon = destination(home, km, high)
    rows = np.flatnonzero(abroad)
    if len(rows):
        place = areas()
        area = np.stack(place.picks)[where[rows], low[rows]]
        lat[rows], lon[rows] = place.lat[area], place.lon[area]
    lat = np.round((lat + SPREAD_DEGREES * normals()[_lane(noise, 2)]).clip(-89.0, 89.0), 6)
    lon = np.round(lon + SPREAD_DEGREES * normals()[_lane(noise, 3)], 6).clip(-180.0, 180.0)
    return lat, lon, haversine(home.lat, home.lon, lat, lon), where


def _lane(word: U64, number: int) -> U16:
    return (word >> np.uint64(16 * number)).astype(np.uint16)


def _rounded(values: F64, decimals: int) -> F64:
    scale = 10.0**decimals
    values *= scale
    np.rint(values, out=values)
    values /= scale
    return values


def word_lanes(word: U64) -> U16:
    """Return the (4, n) 16-bit parts of (n,) words."""
    return np.ascontiguousarray(word).view(np.uint16).reshape(-1, 4).T
