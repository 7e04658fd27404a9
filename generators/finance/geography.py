"""Countries, regions and three-digit postal areas of cardholders and merchants; currencies and their daily rates.

Positions are rough on purpose: a region is a box, its postal areas are scattered inside it. Populations weigh regions
(US Census 2020, other countries' census offices, in millions); postal codes outside the US are fictitious.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.calendar import FIRST_DAY, LAST_DAY
from generators.randomness import F64, LANES, hash_key, hash_uniform, stream

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]


@dataclass(frozen=True)
class Country:
    """A country in which cardholders may live.

    Attributes:
        code: ISO 3166-1 alpha-2.
        currency: ISO 4217.
        rate: Units of the currency for one US dollar, the level around which the daily rate moves.
        timezone: Zone of the country's local hours.
        share: Share of cardholders in the global mix.
        sca: Whether strong customer authentication is the rule (EEA and UK).
        no_cvm: Highest contactless amount without a check of the cardholder, in the currency.
    """

    code: str
    currency: str
    rate: float
    timezone: str
    share: float
    sca: bool
    no_cvm: float


COUNTRIES = (
    Country("US", "USD", 1.00, "America/New_York", 0.55, False, 100),
    Country("GB", "GBP", 0.79, "Europe/London", 0.12, True, 100),
    Country("DE", "EUR", 0.92, "Europe/Berlin", 0.08, True, 50),
    Country("FR", "EUR", 0.92, "Europe/Paris", 0.07, True, 50),
    Country("CA", "CAD", 1.36, "America/Toronto", 0.06, False, 250),
    Country("ES", "EUR", 0.92, "Europe/Madrid", 0.04, True, 50),
    Country("AU", "AUD", 1.52, "Australia/Sydney", 0.04, False, 200),
    Country("BR", "BRL", 5.00, "America/Sao_Paulo", 0.04, False, 200),
)
COUNTRY_CODES = tuple(c.code for c in COUNTRIES)
CURRENCY_CODES = tuple(dict.fromkeys(c.currency for c in COUNTRIES))
CURRENCY_OF: U8 = np.array([CURRENCY_CODES.index(c.currency) for c in COUNTRIES], np.uint8)
"""Currency code by country code."""

# Region: population in millions, box (south, north, west, east), US: first and last three-digit postal area.
_US: dict[str, tuple[float, float, float, float, float, int, int]] = {
    "AL": (5.02, 30.9, 34.7, -88.2, -85.2, 350, 369), "AK": (0.73, 59.0, 66.0, -155.0, -142.0, 995, 999),
    "AZ": (7.15, 31.7, 36.6, -114.3, -109.4, 850, 865), "AR": (3.01, 33.2, 36.3, -94.3, -90.2, 716, 729),
    "CA": (39.54, 32.9, 39.8, -121.9, -116.6, 900, 961), "CO": (5.77, 37.2, 40.8, -108.6, -102.4, 800, 816),
    "CT": (3.61, 41.2, 42.0, -73.4, -71.9, 60, 69), "DE": (0.99, 38.5, 39.8, -75.7, -75.2, 197, 199),
    "DC": (0.69, 38.82, 38.98, -77.10, -76.93, 200, 205), "FL": (21.54, 26.0, 30.7, -82.5, -80.3, 320, 349),
    "GA": (10.71, 30.8, 34.8, -85.2, -81.4, 300, 319), "HI": (1.46, 19.3, 21.7, -158.2, -155.2, 967, 968),
    "ID": (1.84, 42.2, 47.5, -116.9, -111.6, 832, 838), "IL": (12.81, 37.4, 42.4, -90.5, -87.7, 600, 629),
    "IN": (6.79, 38.2, 41.6, -87.4, -84.9, 460, 479), "IA": (3.19, 40.8, 43.3, -96.0, -90.6, 500, 528),
    "KS": (2.94, 37.2, 39.8, -101.8, -94.8, 660, 679), "KY": (4.51, 36.7, 38.8, -88.7, -82.6, 400, 427),
    "LA": (4.66, 29.8, 32.8, -93.7, -89.8, 700, 714), "ME": (1.36, 43.5, 46.8, -70.6, -68.0, 39, 49),
    "MD": (6.18, 38.2, 39.6, -79.0, -75.6, 206, 219), "MA": (7.03, 41.8, 42.8, -73.2, -70.7, 10, 27),
    "MI": (10.08, 41.9, 45.5, -86.2, -82.9, 480, 499), "MN": (5.71, 43.7, 48.2, -96.3, -92.0, 550, 567),
    "MS": (2.96, 30.6, 34.8, -91.0, -88.4, 386, 397), "MO": (6.15, 36.7, 40.4, -95.2, -89.8, 630, 658),
    "MT": (1.08, 45.2, 48.7, -114.7, -104.3, 590, 599), "NE": (1.96, 40.2, 42.8, -102.9, -96.0, 680, 693),
    "NV": (3.10, 35.8, 41.7, -119.6, -114.6, 889, 898), "NH": (1.38, 42.8, 44.9, -72.2, -70.9, 30, 38),
    "NJ": (9.29, 39.3, 41.2, -75.2, -74.1, 70, 89), "NM": (2.12, 32.2, 36.7, -108.7, -103.4, 870, 884),
    "NY": (20.20, 40.6, 44.6, -79.0, -73.6, 100, 149), "NC": (10.44, 34.5, 36.4, -83.4, -76.8, 270, 289),
    "ND": (0.78, 46.2, 48.8, -103.7, -97.0, 580, 588), "OH": (11.80, 38.8, 41.6, -84.6, -80.8, 430, 459),
    "OK": (3.96, 34.2, 36.7, -99.7, -94.7, 730, 749), "OR": (4.24, 42.3, 45.9, -123.8, -117.2, 970, 979),
    "PA": (13.00, 39.9, 41.9, -80.2, -75.1, 150, 196), "RI": (1.10, 41.4, 42.0, -71.8, -71.3, 28, 29),
    "SC": (5.12, 32.6, 35.0, -82.7, -79.2, 290, 299), "SD": (0.89, 43.0, 45.7, -103.7, -96.7, 570, 577),
    "TN": (6.91, 35.1, 36.5, -89.8, -82.2, 370, 385), "TX": (29.15, 26.5, 35.5, -102.5, -94.2, 750, 799),
    "UT": (3.27, 37.2, 41.7, -113.8, -109.4, 840, 847), "VT": (0.64, 42.9, 44.8, -73.2, -71.8, 50, 59),
    "VA": (8.63, 36.7, 38.9, -81.8, -76.3, 220, 246), "WA": (7.71, 45.8, 48.8, -123.8, -117.3, 980, 994),
    "WV": (1.79, 37.5, 40.2, -82.2, -78.2, 247, 268), "WI": (5.89, 42.6, 46.3, -92.2, -87.9, 530, 549),
    "WY": (0.58, 41.2, 44.8, -110.7, -104.2, 820, 831),
}  # fmt: skip
_OTHERS: dict[str, dict[str, tuple[float, float, float, float, float]]] = {
    "GB": {
        "LND": (8.8, 51.35, 51.65, -0.4, 0.2), "SEE": (9.2, 50.9, 51.8, -1.2, 1.0), "EAE": (6.3, 51.8, 52.8, -0.3, 1.5),
        "SWE": (5.7, 50.4, 51.8, -4.5, -1.9), "WMD": (6.0, 52.1, 53.0, -2.8, -1.5),
        "EMD": (4.9, 52.4, 53.5, -1.6, -0.1),
        "YHU": (5.5, 53.4, 54.4, -2.2, -0.1), "NWE": (7.4, 53.3, 54.8, -3.0, -2.0),
        "NEE": (2.6, 54.6, 55.4, -2.2, -1.3),
        "SCT": (5.5, 55.6, 57.5, -4.4, -2.2), "WLS": (3.1, 51.5, 53.2, -4.2, -3.1),
        "NIR": (1.9, 54.2, 55.0, -7.4, -5.8),
    },
    "DE": {
        "NW": (17.9, 50.8, 52.2, 6.4, 9.0), "BY": (13.2, 47.8, 50.2, 10.0, 13.0), "BW": (11.1, 47.8, 49.6, 8.0, 10.2),
        "NI": (8.0, 52.0, 53.6, 7.4, 10.8), "HE": (6.3, 49.6, 51.4, 8.3, 9.9), "SN": (4.0, 50.5, 51.5, 12.2, 14.6),
        "RP": (4.1, 49.2, 50.7, 6.5, 8.2), "BE": (3.7, 52.40, 52.62, 13.15, 13.65), "SH": (2.9, 53.6, 54.7, 8.9, 10.9),
        "BB": (2.5, 51.7, 53.2, 12.3, 14.4), "ST": (2.2, 51.1, 52.8, 11.0, 12.7), "TH": (2.1, 50.5, 51.4, 10.1, 12.2),
        "HH": (1.9, 53.45, 53.68, 9.8, 10.25), "MV": (1.6, 53.4, 54.3, 11.0, 13.9), "SL": (1.0, 49.2, 49.6, 6.6, 7.3),
        "HB": (0.7, 53.03, 53.20, 8.6, 8.95),
    },
    "FR": {
        "IDF": (12.3, 48.3, 49.1, 1.7, 3.2), "ARA": (8.1, 44.6, 46.4, 3.0, 6.3), "HDF": (6.0, 49.2, 50.8, 1.8, 3.9),
        "NAQ": (6.0, 43.5, 46.4, -1.0, 1.8), "OCC": (6.0, 42.9, 44.7, 0.2, 4.4), "GES": (5.6, 47.8, 49.4, 4.0, 7.6),
        "PAC": (5.1, 43.3, 44.6, 4.8, 7.0), "PDL": (3.8, 46.6, 48.2, -1.8, 0.4), "BRE": (3.4, 47.6, 48.7, -4.4, -1.3),
        "NOR": (3.3, 48.5, 49.7, -1.5, 1.6), "BFC": (2.8, 46.5, 48.0, 3.2, 6.8), "CVL": (2.6, 46.7, 48.5, 0.5, 2.8),
        "COR": (0.3, 41.6, 42.8, 8.8, 9.4),
    },
    "CA": {
        "ON": (14.2, 42.5, 45.8, -82.0, -75.0), "QC": (8.5, 45.2, 47.5, -74.5, -70.5),
        "BC": (5.0, 49.1, 51.0, -123.5, -118.0),
        "AB": (4.3, 49.8, 54.0, -114.5, -111.5), "MB": (1.3, 49.3, 51.0, -99.5, -96.5),
        "SK": (1.1, 49.8, 53.0, -107.5, -103.5),
        "NS": (1.0, 44.3, 45.8, -64.8, -61.5), "NB": (0.8, 45.4, 47.3, -67.5, -64.8),
        "NL": (0.5, 47.2, 49.3, -57.5, -53.0),
        "PE": (0.2, 46.1, 46.7, -64.0, -62.4),
    },
    "ES": {
        "AN": (8.5, 36.7, 38.2, -6.5, -2.2), "CT": (7.7, 41.2, 42.2, 0.8, 2.8), "MD": (6.8, 40.1, 40.9, -4.1, -3.2),
        "VC": (5.1, 38.2, 40.3, -1.0, 0.1), "GA": (2.7, 42.1, 43.4, -8.6, -7.1), "CL": (2.4, 40.6, 42.8, -6.2, -2.8),
        "PV": (2.2, 42.6, 43.3, -3.1, -1.9), "CN": (2.2, 27.9, 28.5, -16.7, -14.0), "CM": (2.1, 38.6, 40.6, -5.0, -1.6),
        "MC": (1.5, 37.6, 38.4, -2.0, -0.9), "AR": (1.3, 40.6, 42.3, -1.8, 0.4), "IB": (1.2, 39.3, 39.9, 2.5, 3.3),
        "EX": (1.1, 38.2, 40.1, -6.9, -5.2), "AS": (1.0, 43.2, 43.6, -6.8, -4.8), "NC": (0.7, 42.1, 43.1, -2.2, -1.2),
        "CB": (0.6, 43.0, 43.5, -4.4, -3.4), "RI": (0.3, 42.2, 42.6, -3.0, -1.9),
    },
    "AU": {
        "NSW": (8.1, -34.8, -31.0, 149.0, 152.2), "VIC": (6.6, -38.2, -36.0, 143.5, 146.5),
        "QLD": (5.3, -28.0, -19.5, 146.8, 152.8),
        "WA": (2.8, -33.5, -31.2, 115.7, 117.5), "SA": (1.8, -35.3, -33.0, 138.2, 140.0),
        "TAS": (0.6, -43.0, -41.1, 146.0, 147.8),
        "ACT": (0.5, -35.45, -35.15, 149.0, 149.25), "NT": (0.25, -14.5, -12.4, 130.8, 132.4),
    },
    "BR": {
        "SP": (44.4, -24.0, -20.5, -50.5, -45.5), "MG": (20.5, -21.5, -16.5, -47.0, -41.5),
        "RJ": (16.1, -23.0, -21.6, -44.2, -41.5),
        "BA": (14.1, -16.0, -10.5, -43.0, -38.2), "PR": (11.4, -25.8, -23.0, -53.5, -49.0),
        "RS": (10.9, -31.0, -28.0, -54.5, -50.5),
        "PE": (9.1, -9.2, -7.6, -40.0, -35.0), "CE": (8.8, -6.8, -3.4, -40.5, -38.2),
        "PA": (8.1, -6.5, -1.2, -51.5, -47.5),
        "SC": (7.6, -28.5, -26.2, -52.5, -48.9), "MA": (6.8, -6.5, -2.6, -46.0, -43.2),
        "GO": (7.1, -18.0, -14.5, -51.5, -47.8),
        "DF": (2.8, -16.0, -15.6, -48.2, -47.5), "ES": (3.8, -20.8, -18.5, -41.2, -39.9),
        "PB": (4.0, -7.6, -6.6, -38.0, -34.9),
        "AM": (3.9, -4.0, -2.6, -62.0, -58.5), "RN": (3.3, -6.3, -5.2, -37.8, -35.3),
    },
}  # fmt: skip
_AREAS_PER_MILLION = 1.2
"""Postal areas of a region outside the US: population in millions times this, at least 3."""


def region_codes() -> tuple[str, ...]:
    """Return the ISO 3166-2 style codes of all regions, countries in the order of `COUNTRIES`."""
    return tuple(
        f"{country}-{region}" for country in COUNTRY_CODES for region in (_US if country == "US" else _OTHERS[country])
    )


REGION_CODES = region_codes()


@dataclass(frozen=True, eq=False)
class Areas:
    """The postal areas of all countries: one entry an area.

    Attributes:
        country: (areas,) country codes.
        region: (areas,) region codes.
        postal: (areas,) three-digit numbers.
        lat: (areas,) latitude of the centre, degrees.
        lon: (areas,) longitude of the centre, degrees.
        picks: Country code -> (65,536,) areas by 16-bit draw, in proportion to population.
        boxes: (regions, 4) south, north, west, east of each region.
        population: (regions,) millions.
    """

    country: U8
    region: U8
    postal: U16
    lat: F64
    lon: F64
    picks: tuple[U16, ...]
    boxes: F64
    population: F64


@lru_cache(maxsize=1)
def areas() -> Areas:
    """Return the postal areas: the same for every seed, as places are."""
    country, region, postal, weight, people = [], [], [], [], []
    boxes: list[tuple[float, ...]] = []
    for number, code in enumerate(COUNTRY_CODES):
        table = _US if code == "US" else _OTHERS[code]
        first = 100
        for values in table.values():
            if code == "US":
                low, high = int(values[5]), int(values[6])  # type: ignore[misc]
            else:
                low, high = first, first + max(3, round(values[0] * _AREAS_PER_MILLION)) - 1
                first = high + 1
            count = high - low + 1
            country += [number] * count
            region += [len(boxes)] * count
            postal += list(range(low, high + 1))
            weight += [values[0] / count] * count
            boxes.append(values[1:5])
            people.append(values[0])
    regions, corners = np.array(region), np.array(boxes)
    south, north, west, east = corners[regions].T
    places = [hash_uniform(hash_key(0, "postal areas", axis), np.arange(len(regions))) for axis in ("lat", "lon")]
    owner, weights = np.array(country), np.array(weight)
    middles = (np.arange(LANES) + 0.5) / LANES
    picks = []
    for number in range(len(COUNTRIES)):
        own = np.flatnonzero(owner == number)
        edges = np.cumsum(weights[own]) / weights[own].sum()
        picks.append(own[np.searchsorted(edges, middles).clip(0, len(own) - 1)].astype(np.uint16))
    return Areas(
        owner.astype(np.uint8),
        regions.astype(np.uint8),
        np.array(postal, np.uint16),
        np.round(south + (north - south) * (0.08 + 0.84 * places[0]), 4),
        np.round(west + (east - west) * (0.08 + 0.84 * places[1]), 4),
        tuple(picks),
        corners,
        np.array(people),
    )


RATE_STEP, RATE_PULL = 0.004, 0.999
"""Daily standard deviation of a currency's log rate, and the share of its distance from the level that stays."""


@lru_cache(maxsize=64)
def _log_rates(seed: int, generator: str, currency: str) -> F64:
    """Return the log distance of a currency from its level on every day of the calendar: a walk that is pulled home."""
    days = (LAST_DAY - FIRST_DAY).days + 1
    steps = stream(seed, generator, "fx", currency).standard_normal(days) * RATE_STEP
    walk, level = np.empty(days), 0.0
    for day, step in enumerate(steps.tolist()):
        level = level * RATE_PULL + step
        walk[day] = level
    return walk


def levels() -> F64:
    """Return (countries,) units of each country's currency for one US dollar, the level that the rate walks around."""
    return np.array([country.rate for country in COUNTRIES])


def rates(seed: int, generator: str, day: int) -> F64:
    """Return (countries,) units of each country's currency for one US dollar on a day (days since 1970-01-01)."""
    return np.array(
        [
            1.0 if c.currency == "USD" else c.rate * float(np.exp(_log_rates(seed, generator, c.currency)[day]))
            for c in COUNTRIES
        ]
    )
