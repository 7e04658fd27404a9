"""The model of 30-day readmission.

logit p = a + b(diagnosis) + 0.10 chronic + 0.20 emergency + 0.25 ln(LOS) + 0.33 ln(1 + admissions before)
          + 0.12 (medicare or medicaid) + 0.006 (age - 60) + N(0, 0.55)

"Admissions before" are those of the chain and the patient's expected openings a year. Delays are
1 + Geometric(0.065) days, cut at 30.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.healthcare import payers
from generators.healthcare.diagnoses import DELIVERY, DIAGNOSES, INDEX, KNEE, NEWBORN, SURGICAL
from generators.randomness import F64, LANES

U8 = NDArray[np.uint8]

REFERENCE_RATE = 0.14
"""Share of index stays that are followed by another within 30 days, at which the constant was fitted."""
REFERENCE_INTERCEPT = -2.92
SIGMA = 0.55
WINDOW_DAYS = 30
KNOWN_AFTER_DAYS = 31
"""Days after discharge on which "not readmitted" is known."""
SAME_DIAGNOSIS = 0.35
"""Share of readmissions for the diagnosis of the stay before."""
SEPSIS = INDEX["A41.9"]

_DELAY_P = 0.065
# Mothers are young and stay two days: with -1.3, which is often quoted, 2% of them would come back instead of 4.6%.
_EFFECT = {"O80": -0.4, "M17.11": -0.75, "I50.9": 0.5, "J44.1": 0.5, "A41.9": 0.42}
_SURGICAL, _MEDICAL = -0.15, 0.05
EFFECTS: F64 = np.array(
    [_EFFECT.get(d.code, _SURGICAL if SURGICAL[number] else _MEDICAL) for number, d in enumerate(DIAGNOSES)]
)
"""b by diagnosis."""

RETURNS: NDArray[np.bool_] = np.array([not s for s in SURGICAL])
"""Diagnoses that can be those of the next stay as well; ages that end between two stays are left out."""
RETURNS[[DELIVERY, NEWBORN, KNEE, INDEX["J21.0"]]] = False


def intercept(rate: float) -> float:
    """Return the constant of the model at which about `rate` of index stays are readmitted."""

    def odds(p: float) -> float:
        return math.log(p / (1 - p))

    return REFERENCE_INTERCEPT + odds(rate) - odds(REFERENCE_RATE)


def logit(diagnosis: U8, chronic: U8, emergency: NDArray[np.bool_], los: U8, before: F64, payer: U8, years: U8) -> F64:
    """Return (n,) log odds without the constant and the noise."""
    public = (payer == payers.MEDICARE) | (payer == payers.MEDICAID)
    return np.asarray(
        EFFECTS[diagnosis]
        + 0.10 * chronic
        + 0.20 * emergency
        + 0.25 * np.log(los)
        + 0.33 * np.log1p(before)
        + 0.12 * public
        + 0.006 * (years.astype(np.float64) - 60.0)
    )


@lru_cache(maxsize=1)
def delays() -> U8:
    """Return days from discharge to readmission, 1 to 30, by 16-bit draw."""
    days = np.arange(1, WINDOW_DAYS + 1)
    edges = np.cumsum((1 - _DELAY_P) ** (days - 1))
    return days[np.searchsorted(edges / edges[-1], (np.arange(LANES) + 0.5) / LANES)].astype(np.uint8)
