"""Who pays: payers by age, race and ethnicity, what they pay, and how they change use of care."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.randomness import F64

U8 = NDArray[np.uint8]

PAYERS = ("private", "medicare", "medicaid_chip", "self_pay", "other")
PRIVATE, MEDICARE, MEDICAID, SELF_PAY, OTHER = range(5)
SEGMENTS = ("under_18", "18_to_64", "65_plus")
SHARES = (
    (0.58, 0.002, 0.368, 0.035, 0.015),
    (0.715, 0.055, 0.145, 0.06, 0.025),
    (0.05, 0.90, 0.03, 0.01, 0.01),
)
"""Shares of patients by age segment (rows) and payer."""
SEGMENT_EDGES = (18, 65)

SPAN_EDGES = (6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 65, 72, 80, 88, 96)
"""Ages in completed years at which a patient's cover may change."""
NEW_COVER = 0.3
"""Share of spans in which cover is drawn anew instead of following the patient's usual draw."""

GROUPS = 4
_MEDICAID_TILT = (1.0, 1.6, 1.6, 2.0)
_UNINSURED_TILT = (1.0, 1.2, 2.2, 2.2)
_GROUP_SHARES = ((0.612, 0.123, 0.258, 0.007), (0.680, 0.125, 0.190, 0.005), (0.770, 0.1275, 0.100, 0.0025))
"""(neither, Black, Hispanic, both): odds of Medicaid and of no cover, shares of patients by age in the 2020s."""

PAID_RATES = (0.45, 0.28, 0.22, 0.12, 0.35)
"""Part of the charge that each payer pays, in the middle."""
PAID_SIGMA = 0.2
PAID_AFTER_DAYS = (20, 90)

USE: dict[str, tuple[float, ...]] = {
    "emergency": (0.55, 1.6, 2.2, 2.0, 1.3),
    "urgent_care": (1.0, 1.0, 1.15, 1.5, 1.2),
    "inpatient": (0.60, 1.4, 1.9, 1.4, 1.3),
    "delivery": (0.62, 1.5, 2.1, 0.8, 1.0),
}
"""Relative use of care under 65 by payer."""


@lru_cache(maxsize=1)
def segment_of_age() -> U8:
    """Return the segment by completed years."""
    return np.searchsorted(SEGMENT_EDGES, np.arange(256), side="right").astype(np.uint8)


@lru_cache(maxsize=1)
def span_of_age() -> U8:
    """Return the span of cover by completed years."""
    return np.searchsorted(SPAN_EDGES, np.arange(256), side="right").astype(np.uint8)


def group(black: NDArray[np.bool_], hispanic: NDArray[np.bool_]) -> U8:
    """Return (n,) groups of the tilts above."""
    return black.view(np.uint8) + hispanic.view(np.uint8) * np.uint8(2)


@lru_cache(maxsize=8)
def table(shares: tuple[tuple[float, ...], ...]) -> U8:
    """Return (3 * 4 * 4096,) payers by (segment, group, 12-bit draw); each segment's margins hold in the 2020s."""
    middles = (np.arange(4096) + 0.5) / 4096
    pieces = []
    for row, group_shares in zip(shares, _GROUP_SHARES, strict=True):
        people = np.array(group_shares)
        joint: F64 = np.outer(people, row)
        joint[:, MEDICAID] *= _MEDICAID_TILT
        joint[:, SELF_PAY] *= _UNINSURED_TILT
        for _ in range(200):
            joint *= (people / joint.sum(axis=1))[:, None]
            joint *= np.array(row) / np.maximum(joint.sum(axis=0), 1e-300)
        for cell in joint:
            edges = np.cumsum(cell) / cell.sum()
            pieces.append(np.searchsorted(edges, middles, side="right").clip(0, 4))
    return np.concatenate(pieces).astype(np.uint8)
