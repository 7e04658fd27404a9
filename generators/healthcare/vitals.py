"""Vital signs by age, sex, diagnosis and severity, in line with NHANES means and paediatric reference ranges."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.healthcare.care_volume import EMERGENCY, URGENT
from generators.healthcare.diagnoses import INDEX, INFECTIONS, INJURIES, RESPIRATORY
from generators.healthcare.encounters import Encounters
from generators.healthcare.nullable import nullable
from generators.healthcare.patients import YEAR_DAYS, Flags
from generators.randomness import LANES, hash_key, hash_lanes, normal_table

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

MISSING = {
    #               inpatient, ambulatory, wellness, virtual, urgent, emergency
    "pressure": (0.02, 0.05, 0.05, 0.92, 0.06, 0.04),
    "heart_rate_bpm": (0.02, 0.06, 0.06, 0.92, 0.06, 0.06),
    "respiratory_rate": (0.04, 0.12, 0.12, 0.95, 0.12, 0.12),
    "temperature_c": (0.03, 0.10, 0.10, 0.97, 0.10, 0.10),
    "spo2_pct": (0.04, 0.15, 0.15, 0.97, 0.15, 0.15),
    "height_cm": (0.35, 0.35, 0.35, 0.95, 0.35, 0.35),
    "weight_kg": (0.20, 0.20, 0.20, 0.92, 0.20, 0.20),
}
"""Share of rows without a measurement by class."""
TODDLER_PRESSURE_MISSING = 0.60
"""Share of children under 3 years whose blood pressure is not taken."""

SYSTOLIC_SD, DIASTOLIC_SD = 15.0, 7.0
DIGIT_PREFERENCE = 0.28
"""Share of readings rounded to tens, so that 35% end in 0."""
FEVER_SHARE, FEVER_MEAN, FEVER_SD = 0.45, 38.4, 0.55
PAINLESS = 0.25
PAIN_MEANS = (3.5, 5.5)
"""Mean pain score of others and of the injured."""

_HEIGHTS = (
    (0, 50.0, 49.5), (1, 75.7, 74.0), (2, 87.1, 85.7), (4, 102.5, 101.6), (6, 115.7, 115.0), (8, 127.5, 126.5),
    (10, 138.0, 138.0), (12, 149.0, 151.2), (14, 163.8, 159.5), (16, 172.9, 161.5), (18, 175.5, 162.0),
)  # fmt: skip
"""(age, male, female) mean height in cm."""
_HEIGHT_SD = (7.3 / 175.5, 6.8 / 162.0)
_BMI = (
    (0, 13.5), (1, 17.0), (5, 15.4), (10, 17.0), (15, 20.8), (18, 24.0), (25, 26.8), (35, 28.6), (60, 29.2),
    (75, 28.2), (104, 25.5),
)  # fmt: skip
"""(age, median body mass index)."""
_BMI_SIGMA, _BMI_YEARLY_SD = (0.12, 0.22), 0.5

_COPD, _SEPSIS, _HYPERTENSION = INDEX["J44.1"], INDEX["A41.9"], INDEX["I10"]


@lru_cache(maxsize=1)
def _normal() -> F32:
    return normal_table().astype(np.float32)


@lru_cache(maxsize=1)
def _oxygen_loss() -> F32:
    """Return Gamma(3, 0.85) quantiles by 16-bit draw; 1 - (1 + x + x²/2) exp(-x) inverted on a fine grid."""
    x = np.linspace(0.0, 30.0, 300_001)
    cdf = 1.0 - (1.0 + x + x * x / 2) * np.exp(-x)
    return (0.85 * np.interp((np.arange(LANES) + 0.5) / LANES, cdf, x)).astype(np.float32)


@lru_cache(maxsize=1)
def _pain() -> U8:
    """Return (2 * 65536,) pain scores of others and of the injured: none, or 1 + binomial(9)."""
    pieces = []
    for mean in PAIN_MEANS:
        p = (mean / (1 - PAINLESS) - 1) / 9
        k = np.arange(10)
        choose = np.array([1, 9, 36, 84, 126, 126, 84, 36, 9, 1])
        edges = np.cumsum(np.concatenate([[PAINLESS], (1 - PAINLESS) * choose * p**k * (1 - p) ** (9 - k)]))
        pieces.append(np.searchsorted(edges, (np.arange(LANES) + 0.5) / LANES).clip(0, 10))
    return np.concatenate(pieces).astype(np.uint8)


@lru_cache(maxsize=1)
def _growth() -> tuple[F32, F32]:
    """Return ((2, 1000) mean heights of males and females, (1000,) median BMI) by tenths of years."""
    tenths = np.arange(1_100) / 10
    age, male, female = zip(*_HEIGHTS, strict=True)
    heights = np.array([np.interp(tenths, age, male), np.interp(tenths, age, female)])
    ages, medians = zip(*_BMI, strict=True)
    return heights.astype(np.float32), np.interp(tenths, ages, medians).astype(np.float32)


def columns(rows: Encounters, seed: int, generator: str, digit_preference: bool) -> dict[str, pl.Series]:
    """Return the vital signs of (n,) encounters; null where not measured or where nobody came."""
    there, years = rows.finished, rows.who.years.astype(np.float32)
    pain = _pain()[INJURIES[rows.diagnosis].astype(np.intp) * LANES + rows.lanes("pain_score")]
    asked = there & ((rows.cls == EMERGENCY) | (rows.cls == URGENT))
    temperature = _temperature(rows)
    found = {
        "temperature_c": nullable(temperature / 10.0, _taken(rows, "temperature_c", there)),
        "heart_rate_bpm": nullable(
            _heart_rate(rows, years, temperature, pain, asked), _taken(rows, "heart_rate_bpm", there)
        ),
        "respiratory_rate": nullable(_breaths(rows, years), _taken(rows, "respiratory_rate", there)),
        "spo2_pct": nullable(_oxygen(rows), _taken(rows, "spo2_pct", there)),
        "pain_score": nullable(pain, asked),
    }
    return found | _pressure(rows, years, there, digit_preference) | _body(rows, seed, generator, there)


def _taken(rows: Encounters, name: str, there: Flags, young: Flags | None = None) -> Flags:
    limit = (np.array(MISSING[name]) * LANES).astype(np.uint16)[rows.cls]
    if young is not None:
        limit = np.where(young, np.maximum(limit, np.uint16(TODDLER_PRESSURE_MISSING * LANES)), limit)
    return np.asarray(there & (rows.lanes(f"{name} taken") >= limit))


def _whole(values: F32, low: int, high: int, kind: Any) -> NDArray[Any]:
    return np.clip(np.rint(values), low, high).astype(kind)


def _temperature(rows: Encounters) -> NDArray[np.int32]:
    """Return tenths of degrees Celsius."""
    z = _normal()[rows.lanes("temperature_c")]
    fever = INFECTIONS[rows.diagnosis] & (rows.lanes("fever") < int(FEVER_SHARE * LANES))
    degrees = np.where(
        fever, np.float32(FEVER_MEAN) + np.float32(FEVER_SD) * z, np.float32(36.7) + np.float32(0.32) * z
    )
    return _whole(degrees * np.float32(10), 330, 420, np.int32)


def _heart_rate(rows: Encounters, years: F32, tenths: NDArray[np.int32], pain: U8, asked: Flags) -> NDArray[np.uint8]:
    mean = np.where(years < 12, np.float32(138) - np.float32(5.2) * years, np.float32(76))
    rate = mean + np.float32(11) * _normal()[rows.lanes("heart_rate_bpm")]
    rate += np.float32(0.9) * np.maximum(tenths - 372, 0)
    rate += np.float32(12) * (asked & (pain >= 7)) + np.float32(20) * (rows.esi == 1)
    return _whole(rate, 30, 220, np.uint8)


def _breaths(rows: Encounters, years: F32) -> NDArray[np.uint8]:
    mean = np.where(years < 12, np.float32(36) - np.float32(1.5) * years, np.float32(16.5))
    rate = mean + np.float32(2) * _normal()[rows.lanes("respiratory_rate")]
    rate += np.float32(5) * RESPIRATORY[rows.diagnosis] + np.float32(6) * (rows.esi == 1)
    return _whole(rate, 6, 70, np.uint8)


def _oxygen(rows: Encounters) -> NDArray[np.uint8]:
    value = np.float32(100) - _oxygen_loss()[rows.lanes("spo2_pct")]
    copd = rows.diagnosis == _COPD
    value -= np.float32(4) * copd + np.float32(2.5) * (RESPIRATORY[rows.diagnosis] & ~copd)
    return _whole(value, 60, 100, np.uint8)


def _pressure(rows: Encounters, years: F32, there: Flags, digit_preference: bool) -> dict[str, pl.Series]:
    normal, female = _normal(), rows.who.female
    adult = np.where(
        female, np.float32(107) + np.float32(0.45) * (years - 20), np.float32(114) + np.float32(0.35) * (years - 20)
    )
    adult += np.float32(9) * (rows.diagnosis == _HYPERTENSION)
    child = np.where(years < 1, np.float32(75), np.float32(90) + 2 * years)
    grown = years >= 18
    systolic = np.where(grown, adult, child)
    systolic += np.where(grown, np.float32(SYSTOLIC_SD), np.float32(8)) * normal[rows.lanes("systolic_bp")]
    systolic -= np.float32(22) * ((rows.diagnosis == _SEPSIS) | (rows.esi == 1))
    diastolic = (
        np.float32(0.42) * systolic + np.float32(22) + np.float32(DIASTOLIC_SD) * normal[rows.lanes("diastolic_bp")]
    )
    upper = _reading(systolic, rows, "systolic_bp", digit_preference, 50, 260).astype(np.uint16)
    lower = _reading(diastolic, rows, "diastolic_bp", digit_preference, 25, 150)
    lower = np.minimum(lower, upper - 10).astype(np.uint8)
    taken = _taken(rows, "pressure", there, years < 3)
    return {"systolic_bp": nullable(upper, taken), "diastolic_bp": nullable(lower, taken)}


def _reading(value: F32, rows: Encounters, name: str, preference: bool, low: int, high: int) -> NDArray[np.int32]:
    exact = _whole(value, low, high, np.int32)
    if not preference:
        return exact
    rounded = (exact + 5) // 10 * 10
    liked = rows.lanes(f"{name} digit") < int(DIGIT_PREFERENCE * LANES)
    return np.asarray(np.clip(np.where(liked, rounded, exact), low, high), np.int32)


def _body(rows: Encounters, seed: int, generator: str, there: Flags) -> dict[str, pl.Series]:
    """Return height, weight and body mass index: a patient's own, moving a little with the year."""
    normal, who = _normal(), rows.who
    tall, heavy, _, _ = hash_lanes(hash_key(seed, generator, "patient", "body"), who.entity)
    yearly = hash_lanes(hash_key(seed, generator, "patient", "weight year"), who.entity * 256 + who.years)[0]
    heights, medians = _growth()
    tenth = np.minimum(who.age_days * np.float32(10 / YEAR_DAYS), 1_099).astype(np.intp)
    female = who.female.astype(np.intp)
    spread = np.array(_HEIGHT_SD, np.float32)[female]
    height = heights[female, tenth] * (np.float32(1) + spread * normal[tall])
    height += rows.lanes("height_cm") * np.float32(1 / LANES) - np.float32(0.5)
    low, high = _BMI_SIGMA
    sigma = np.clip(low + (high - low) * (tenth - 50) / 130, low, high).astype(np.float32)
    index = medians[tenth] * np.exp(sigma * normal[heavy]) + np.float32(_BMI_YEARLY_SD) * normal[yearly]
    index = np.clip(index, 11.5, 70)
    millimetres = _whole(height * np.float32(10), 400, 2150, np.int32)
    metres = millimetres * np.float32(0.001)
    hectograms = np.maximum(np.rint(index * metres * metres * np.float32(10)), 1).astype(np.int32)
    weighed, measured = _taken(rows, "weight_kg", there), _taken(rows, "height_cm", there)
    square = (millimetres / 1000.0) ** 2
    return {
        "height_cm": nullable(millimetres / 10.0, measured),
        "weight_kg": nullable(hectograms / 10.0, weighed),
        "bmi": nullable(np.round(hectograms / 10.0 / square, 1), weighed & measured),
    }
