"""What encounters cost: list prices by class, severity and length, and what payers pay of them later."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import numpy as np
import polars as pl

from generators.days import day_number
from generators.healthcare import payers
from generators.healthcare.care_volume import INPATIENT
from generators.healthcare.diagnoses import DIAGNOSES
from generators.healthcare.encounters import LWBS, Encounters
from generators.healthcare.nullable import nullable
from generators.randomness import F64, normal_table

#          inpatient, ambulatory, wellness, virtual, urgent, emergency
MEDIANS = (13_000.0, 240.0, 310.0, 140.0, 230.0, 1_900.0)
SIGMAS = (0.60, 0.65, 0.45, 0.45, 0.50, 0.95)
BY_ESI = (1.0, 2.6, 1.8, 1.2, 0.7, 0.45)
"""Factor by emergency severity; the first one is for other classes."""
LOS_POWER = 0.75
UNSEEN = 0.25
"""Factor of those who left without being seen."""
BASE_DAY = date(2024, 1, 1)
_BY_DIAGNOSIS = {
    "M17.11": 2.2, "K35.80": 1.6, "S72.001A": 1.5, "I21.4": 1.6, "A41.9": 1.2, "I63.9": 1.2, "O80": 0.75,
    "Z38.00": 0.35, "F32.A": 0.5, "F10.129": 0.6,
}  # fmt: skip
"""Factor of stays by diagnosis."""


@lru_cache(maxsize=1)
def _stay_factors() -> F64:
    return np.array([_BY_DIAGNOSIS.get(d.code, 1.0) for d in DIAGNOSES])


def columns(rows: Encounters, growth: float) -> dict[str, pl.Series]:
    """Return charge, payment and the day of payment of (n,) encounters, null where nobody came.

    Args:
        rows: The encounters.
        growth: Yearly growth of list prices, relative to 2024-01-01.
    """
    normal = normal_table()
    level = (1.0 + growth) ** ((day_number(rows.day) - day_number(BASE_DAY)) / 365.25)
    charge = np.exp(np.array(SIGMAS)[rows.cls] * normal[rows.lanes("total_charge")])
    charge *= level * np.array(MEDIANS)[rows.cls]
    charge *= np.array(BY_ESI)[rows.esi]
    charge[rows.disposition == LWBS] *= UNSEEN
    stays = np.flatnonzero(rows.cls == INPATIENT)
    if len(stays):
        charge[stays] *= rows.los[stays] ** LOS_POWER * _stay_factors()[rows.diagnosis[stays]]
    charge = np.round(charge, 2)
    rate = np.array(payers.PAID_RATES)[rows.who.payer]
    rate *= np.exp(payers.PAID_SIGMA * normal[rows.lanes("total_paid")])
    paid = np.minimum(np.round(charge * rate, 2), charge)
    low, high = payers.PAID_AFTER_DAYS
    wait = (rows.lanes("payment_date").astype(np.uint32) * (high - low + 1) >> 16).astype(np.int32) + low
    there = rows.finished
    return {
        "total_charge": nullable(charge, there),
        "total_paid": nullable(paid, there),
        "payment_wait": nullable(wait, there),
    }
