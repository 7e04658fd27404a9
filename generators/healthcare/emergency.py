"""The emergency department: severity, how patients arrive and leave."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from generators.healthcare.diagnoses import members
from generators.healthcare.encounters import AGAINST_ADVICE, HOME, LWBS, OTHER_FACILITY, U8, U16
from generators.randomness import LANES, pick_table

SEVERITY = {
    True: (0.0075, 0.0608, 0.063, 0.0062, 0.00035),
    False: (0.0025, 0.0992, 0.387, 0.3038, 0.0697),
}
"""Relative shares of severity 1 to 5 among the admitted and the others: together the yearly mix, by Bayes' rule."""
_MILD_LEVEL = {True: 2.05, False: 1.0}
"""Factor of severity 4 and 5: the admitted are older and have what may be dangerous, which would halve these shares."""
_AGE_EDGES = (18, 75)
_URGENT_BY_AGE = (0.80, 1.0, 1.5)
_URGENT_AT_NIGHT = 1.4
"""Odds of severity 1 to 3 relative to 4 and 5: children, others, 75 and over; from 22 to 6 h."""
_URGENT_BY_DIAGNOSIS = (0.40, 1.10, 2.20)
"""Odds of minor complaints, others, and those that may be dangerous."""
_MINOR = members(
    "J06.9", "J02.9", "H66.90", "J30.2", "L30.9", "S93.401A", "S61.419A", "M25.561", "M54.50", "J20.9", "K21.9",
)  # fmt: skip
_DANGEROUS = members(
    "R07.9", "I21.4", "I63.9", "A41.9", "I50.9", "I48.91", "J44.1", "J18.9", "J21.0", "N17.9", "K35.80", "R55",
    "S72.001A", "F10.129",
)  # fmt: skip
_GRAVITY = (1 + _DANGEROUS.astype(np.int8) - _MINOR.astype(np.int8)).astype(np.uint8)
"""Position in `_URGENT_BY_DIAGNOSIS` of each diagnosis."""
NIGHT = (22, 6)

MINUTES_BY_ESI = (1.0, 1.6, 1.35, 1.1, 0.7, 0.5)
"""Factor of the length of a visit by severity; the first one is for other classes."""

ARRIVALS = ("walk_in", "ambulance", "police", "transfer")
_BY_AMBULANCE = (0.0, 0.75, 0.32, 0.14, 0.06, 0.03)
_OLD_BY_AMBULANCE = 1.6
_POLICE, _TRANSFER = 0.008, 0.012

_NOT_ADMITTED = {OTHER_FACILITY: 0.025, LWBS: 0.020, AGAINST_ADVICE: 0.012}
_ADMITTED_OR_DEAD = 0.139
"""Shares of all emergency rows; the rest of those who are not admitted go home."""


@lru_cache(maxsize=1)
def _severity_picks() -> U8:
    """Return severity by (admitted, gravity, age group, night, 16-bit draw), flat."""
    tables = []
    for admitted in (False, True):
        for by_diagnosis, by_age, by_night in product(_URGENT_BY_DIAGNOSIS, _URGENT_BY_AGE, (1.0, _URGENT_AT_NIGHT)):
            odds = np.array([by_diagnosis * by_age * by_night] * 3 + [_MILD_LEVEL[admitted]] * 2)
            tables.append(pick_table((np.array(SEVERITY[admitted]) * odds).tolist()) + np.uint8(1))
    return np.concatenate(tables)


def severities(draws: U16, years: U8, hour: U8, diagnosis: U8, admitted: bool) -> U8:
    """Return (n,) severities 1 to 5 by age, hour and diagnosis."""
    group = np.searchsorted(_AGE_EDGES, years, side="right")
    night = (hour >= NIGHT[0]) | (hour < NIGHT[1])
    cell = int(admitted) * len(_URGENT_BY_DIAGNOSIS) + _GRAVITY[diagnosis].astype(np.intp)
    cell = (cell * len(_URGENT_BY_AGE) + group) * 2 + night
    return np.asarray(_severity_picks()[cell << 16 | draws], np.uint8)


@lru_cache(maxsize=1)
def _disposition_picks() -> U8:
    codes = np.array([HOME, *_NOT_ADMITTED], np.uint8)
    others = tuple(_NOT_ADMITTED.values())
    return codes[pick_table((1 - _ADMITTED_OR_DEAD - sum(others), *others))]


def dispositions(draws: U16) -> U8:
    """Return (n,) dispositions of visits that end neither in admission nor in death."""
    return np.asarray(_disposition_picks()[draws], np.uint8)


def arrivals(draws: U16, esi: U8, years: U8) -> U8:
    """Return (n,) positions in `ARRIVALS` by severity and age."""
    ambulance = np.array(_BY_AMBULANCE)[esi] * np.where(years >= _AGE_EDGES[1], _OLD_BY_AMBULANCE, 1.0)
    ambulance = np.minimum(ambulance, 0.95)
    level: NDArray[np.float64] = draws / LANES
    mode: U8 = (level < ambulance).astype(np.uint8)
    rest = level >= 1 - _POLICE - _TRANSFER
    mode[rest] = np.where(level[rest] >= 1 - _TRANSFER, 3, 2)
    return mode
