"""Rules of patient_records written down a second time, by hand: tests compare the generator with these."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

ANY = (0, 200)
DIAGNOSES: dict[str, tuple[set[str], tuple[int, int], str]] = {
    # code: (classes, ages, sex)
    "I10": ({"ambulatory", "virtual", "urgent_care", "emergency"}, (25, 200), "any"),
    "E11.9": ({"ambulatory", "virtual", "emergency"}, (25, 200), "any"),
    "E78.5": ({"ambulatory", "virtual"}, (25, 200), "any"),
    "Z00.00": ({"wellness"}, (18, 200), "any"),
    "Z00.129": ({"wellness"}, (0, 17), "any"),
    "Z23": ({"ambulatory", "wellness"}, ANY, "any"),
    "Z12.31": ({"ambulatory", "wellness"}, (40, 200), "female"),
    "Z01.419": ({"ambulatory", "wellness"}, (16, 200), "female"),
    "Z34.90": ({"ambulatory", "virtual"}, (14, 48), "female"),
    "F41.1": ({"ambulatory", "virtual", "emergency"}, (10, 200), "any"),
    "F32.A": ({"ambulatory", "virtual", "emergency", "inpatient"}, (10, 200), "any"),
    "F32.9": ({"ambulatory", "virtual", "emergency", "inpatient"}, (10, 200), "any"),
    "M54.50": ({"ambulatory", "virtual", "urgent_care", "emergency"}, (15, 200), "any"),
    "M54.5": ({"ambulatory", "virtual", "urgent_care", "emergency"}, (15, 200), "any"),
    "M25.561": ({"ambulatory", "virtual", "urgent_care", "emergency"}, (10, 200), "any"),
    "M17.11": ({"ambulatory", "virtual", "inpatient"}, (45, 200), "any"),
    "J06.9": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "J02.9": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "H66.90": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "J20.9": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "J10.1": ({"ambulatory", "virtual", "urgent_care", "emergency", "inpatient"}, ANY, "any"),
    "U07.1": ({"ambulatory", "virtual", "urgent_care", "emergency", "inpatient"}, ANY, "any"),
    "J21.0": ({"ambulatory", "urgent_care", "emergency", "inpatient"}, (0, 2), "any"),
    "J18.9": ({"ambulatory", "virtual", "urgent_care", "emergency", "inpatient"}, ANY, "any"),
    "J45.909": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "J30.2": ({"ambulatory", "virtual", "urgent_care", "emergency"}, (4, 200), "any"),
    "J44.1": ({"ambulatory", "virtual", "urgent_care", "emergency", "inpatient"}, (45, 200), "any"),
    "A08.4": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "K52.9": ({"ambulatory", "virtual", "urgent_care", "emergency", "inpatient"}, ANY, "any"),
    "R11.2": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "R10.9": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "R07.9": ({"ambulatory", "virtual", "urgent_care", "emergency", "inpatient"}, (18, 200), "any"),
    "R51.9": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "R51": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "R05.9": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "R05": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "R50.9": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "R55": ({"ambulatory", "urgent_care", "emergency", "inpatient"}, ANY, "any"),
    "N39.0": ({"ambulatory", "virtual", "urgent_care", "emergency", "inpatient"}, ANY, "any"),
    "L03.90": ({"ambulatory", "virtual", "urgent_care", "emergency", "inpatient"}, ANY, "any"),
    "L30.9": ({"ambulatory", "virtual", "urgent_care", "emergency"}, ANY, "any"),
    "K21.9": ({"ambulatory", "virtual", "emergency"}, ANY, "any"),
    "S93.401A": ({"ambulatory", "urgent_care", "emergency"}, (8, 55), "any"),
    "S61.419A": ({"ambulatory", "urgent_care", "emergency"}, ANY, "any"),
    "S52.501A": ({"ambulatory", "urgent_care", "emergency", "inpatient"}, ANY, "any"),
    "S09.90XA": ({"ambulatory", "urgent_care", "emergency"}, ANY, "any"),
    "S72.001A": ({"emergency", "inpatient"}, (65, 200), "any"),
    "T67.5XXA": ({"urgent_care", "emergency"}, ANY, "any"),
    "F10.129": ({"emergency", "inpatient"}, (16, 200), "any"),
    "A41.9": ({"emergency", "inpatient"}, ANY, "any"),
    "I50.9": ({"ambulatory", "virtual", "emergency", "inpatient"}, (55, 200), "any"),
    "I21.4": ({"emergency", "inpatient"}, (40, 200), "any"),
    "I48.91": ({"ambulatory", "virtual", "emergency", "inpatient"}, (50, 200), "any"),
    "I63.9": ({"ambulatory", "emergency", "inpatient"}, (45, 200), "any"),
    "N17.9": ({"emergency", "inpatient"}, (50, 200), "any"),
    "K35.80": ({"emergency", "inpatient"}, (5, 50), "any"),
    "O80": ({"inpatient"}, (14, 48), "female"),
    "Z38.00": ({"inpatient"}, (0, 0), "any"),
}
"""Codes of the 54 diagnoses and of the four that were renamed, where and in whom they occur."""

VALID: dict[str, tuple[date, date]] = {
    "F32.A": (date(2021, 10, 1), date(2999, 1, 1)),
    "F32.9": (date(1900, 1, 1), date(2021, 9, 30)),
    "M54.50": (date(2021, 10, 1), date(2999, 1, 1)),
    "M54.5": (date(1900, 1, 1), date(2021, 9, 30)),
    "R51.9": (date(2020, 10, 1), date(2999, 1, 1)),
    "R51": (date(1900, 1, 1), date(2020, 9, 30)),
    "R05.9": (date(2021, 10, 1), date(2999, 1, 1)),
    "R05": (date(1900, 1, 1), date(2021, 9, 30)),
    "U07.1": (date(2020, 4, 1), date(2999, 1, 1)),
}

CLOSED_2023 = [date(2023, *d) for d in ((1, 1), (1, 2), (5, 29), (7, 4), (9, 4), (11, 23), (12, 25))]
CLOSED_2024 = [date(2024, *d) for d in ((1, 1), (5, 27), (7, 4), (9, 2), (11, 28), (12, 25))]
FEDERAL_2024 = [date(2024, *d) for d in ((1, 15), (2, 19), (6, 19), (10, 14), (11, 11))]

FHIR = {
    "ambulatory": "AMB", "wellness": "AMB", "urgent_care": "AMB", "virtual": "VR", "emergency": "EMER",
    "inpatient": "IMP",
}  # fmt: skip

DEPARTMENTS: dict[str, set[str]] = {
    "ambulatory": {
        "primary_care", "pediatrics", "internal_medicine", "ob_gyn", "cardiology", "orthopedics", "dermatology",
        "behavioral_health", "ophthalmology",
    },
    "wellness": {"primary_care", "pediatrics", "internal_medicine", "ob_gyn"},
    "virtual": {
        "primary_care", "pediatrics", "internal_medicine", "ob_gyn", "cardiology", "orthopedics", "dermatology",
        "behavioral_health",
    },
    "urgent_care": {"primary_care", "pediatrics"},
    "emergency": {"emergency"},
    "inpatient": {"med_surg", "icu", "surgery", "maternity", "newborn"},
}  # fmt: skip

HOURS: dict[str, list[float]] = {
    "ambulatory": [
        0, 0, 0, 0, 0, 0, 0.002, 0.020, 0.095, 0.125, 0.132, 0.110, 0.050, 0.100, 0.120, 0.112, 0.084, 0.036, 0.010,
        0.004, 0, 0, 0, 0,
    ],
    "wellness": [
        0, 0, 0, 0, 0, 0, 0.002, 0.020, 0.095, 0.125, 0.132, 0.110, 0.050, 0.100, 0.120, 0.112, 0.084, 0.036, 0.010,
        0.004, 0, 0, 0, 0,
    ],
    "virtual": [
        0.003, 0.002, 0.001, 0.001, 0.001, 0.002, 0.008, 0.030, 0.085, 0.108, 0.110, 0.098, 0.063, 0.088, 0.096, 0.090,
        0.074, 0.050, 0.032, 0.024, 0.016, 0.010, 0.005, 0.003,
    ],
    "urgent_care": [
        0, 0, 0, 0, 0, 0, 0, 0.006, 0.070, 0.095, 0.100, 0.096, 0.084, 0.078, 0.074, 0.074, 0.080, 0.092, 0.086, 0.052,
        0.013, 0, 0, 0,
    ],
    "emergency": [
        0.0254, 0.0205, 0.0176, 0.0156, 0.0146, 0.0156, 0.0195, 0.0283, 0.0420, 0.0547, 0.0625, 0.0635, 0.0605, 0.0576,
        0.0557, 0.0547, 0.0547, 0.0557, 0.0566, 0.0557, 0.0518, 0.0459, 0.0391, 0.0322,
    ],
}  # fmt: skip

SHARES = {
    "ambulatory": 0.560, "wellness": 0.120, "virtual": 0.080, "urgent_care": 0.098, "emergency": 0.115,
    "inpatient": 0.027,
}  # fmt: skip

# -- volume: an ordinary day is 1 -------------------------------------------------------------------------------

CLASSES = ("ambulatory", "wellness", "virtual", "urgent_care", "emergency", "inpatient")
FULL_WEEK: dict[str, list[float]] = {
    "ambulatory": [1.43, 1.51, 1.43, 1.40, 1.23, 0, 0],
    "wellness": [1.43, 1.51, 1.43, 1.40, 1.23, 0, 0],
    "virtual": [1.30, 1.32, 1.28, 1.25, 1.15, 0.40, 0.30],
    "urgent_care": [1.15, 1.02, 0.98, 0.95, 0.95, 1.00, 0.95],
    "emergency": [1.10, 1.02, 0.99, 0.98, 0.97, 0.96, 0.98],
    "inpatient": [1.15, 1.13, 1.10, 1.08, 1.04, 0.76, 0.74],
}
"""From Monday to Sunday."""
MONTHS: dict[str, list[float]] = {
    "ambulatory": [1.03, 1.01, 1.05, 1.01, 1.00, 0.99, 0.95, 1.00, 0.99, 1.03, 0.98, 0.96],
    "wellness": [1.03, 1.01, 1.05, 1.01, 1.00, 0.99, 0.95, 1.00, 0.99, 1.03, 0.98, 0.96],
    "virtual": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "urgent_care": [1.10, 1.07, 1.03, 0.98, 0.96, 0.93, 0.92, 0.93, 0.97, 1.00, 1.02, 1.09],
    "emergency": [1.03, 1.01, 1.01, 0.99, 1.00, 1.00, 1.00, 0.99, 0.99, 0.98, 0.98, 1.02],
    "inpatient": [1.03, 1.02, 1.01, 1.00, 1.00, 0.99, 0.99, 0.99, 0.98, 0.99, 0.99, 1.01],
}
WEEKS: dict[str, list[float]] = {kind: [1.0] * 4 for kind in CLASSES} | {"emergency": [1.01, 1, 1, 0.99]}
"""Days 1 to 7, 8 to 14, 15 to 21 and 22 to the end."""

NO: None = None
EVENTS: dict[str, list[float | None]] = {
    #                           ambulatory wellness virtual urgent emergency inpatient
    "new_years_day":            [0,    0,    0.15, 0.75, 1.00, 0.70],
    "other public holiday":     [0.55, 0.55, 0.70, 1.02, 1.00, 0.90],
    "observed holiday":         [0,    0,    0.25, 0.95, 1.00, 0.80],
    "mothers_day":              [NO,   NO,   NO,   0.95, 0.97, NO],
    "fathers_day":              [NO,   NO,   NO,   0.95, 0.97, NO],
    "memorial_day":             [0,    0,    0.25, 0.95, 1.02, 0.80],
    "labor_day":                [0,    0,    0.25, 0.95, 1.02, 0.80],
    "independence_day":         [0,    0,    0.20, 0.90, 1.05, 0.75],
    "back_to_school":           [NO,   NO,   NO,   1.02, NO,   NO],
    "halloween":                [NO,   NO,   NO,   NO,   1.01, NO],
    "day before Thanksgiving":  [0.85, 0.85, 0.85, 0.98, 0.97, 0.85],
    "thanksgiving":             [0,    0,    0.10, 0.60, 0.86, 0.65],
    "black_friday":             [0.20, 0.20, 0.35, 1.10, 1.00, 0.80],
    "black_friday_week":        [NO,   NO,   NO,   NO,   0.98, NO],
    "cyber_monday":             [1.05, 1.05, 1.05, 1.10, 1.08, 1.05],
    "christmas_shopping":       [0.97, 0.97, NO,   1.03, NO,   0.98],
    "christmas_eve":            [0.30, 0.30, 0.35, 0.65, 0.88, 0.65],
    "christmas_day":            [0,    0,    0.05, 0.30, 0.80, 0.55],
    "christmas_week":           [0.65, 0.65, 0.70, 1.12, 1.06, 0.85],
    "post_christmas":           [NO,   NO,   NO,   1.12, 1.08, 0.90],
    "new_years_eve":            [0.40, 0.40, 0.45, 0.80, 0.95, 0.70],
    "first working day":        [1.10, 1.10, 1.15, 1.12, 1.08, 1.10],
}  # fmt: skip
"""Factors of the events by class, None where an event has no say.

Observed days close the clinics and take the factors of Memorial and Labor Day elsewhere; emergencies do not notice.
"""
DAYS: dict[str, str] = {
    "new_years_day": "2023-01-01 2024-01-01",
    "other public holiday": (
        "2023-01-16 2023-02-20 2023-06-19 2023-10-09 2023-11-11 2024-01-15 2024-02-19 2024-06-19 2024-10-14 2024-11-11"
    ),
    "observed holiday": "2023-01-02 2023-11-10",
    "mothers_day": "2023-05-14 2024-05-12",
    "fathers_day": "2023-06-18 2024-06-16",
    "memorial_day": "2023-05-29 2024-05-27",
    "labor_day": "2023-09-04 2024-09-02",
    "independence_day": "2023-07-04 2024-07-04",
    "halloween": "2023-10-31 2024-10-31",
    "day before Thanksgiving": "2023-11-22 2024-11-27",
    "thanksgiving": "2023-11-23 2024-11-28",
    "black_friday": "2023-11-24 2024-11-29",
    "cyber_monday": "2023-11-27 2024-12-02",
    "christmas_eve": "2023-12-24 2024-12-24",
    "christmas_day": "2023-12-25 2024-12-25",
    "new_years_eve": "2023-12-31 2024-12-31",
    "first working day": (
        "2023-01-03 2023-01-17 2023-02-21 2023-05-30 2023-06-20 2023-09-05 2023-10-10 2023-11-13 2023-12-26 2024-01-02 "
        "2024-01-16 2024-02-20 2024-05-28 2024-09-03 2024-10-15 2024-11-12"
    ),
}
"""Named days, read off printed calendars."""
PERIODS: list[tuple[str, str]] = [
    ("black_friday_week", "2023-11-22 2023-11-27"), ("black_friday_week", "2024-11-27 2024-12-02"),
    ("post_christmas", "2022-12-26 2023-01-02"), ("post_christmas", "2023-12-26 2024-01-02"),
    ("post_christmas", "2024-12-26 2025-01-02"), ("christmas_week", "2022-12-24 2023-01-01"),
    ("christmas_week", "2023-12-24 2024-01-01"), ("christmas_week", "2024-12-24 2025-01-01"),
    ("christmas_shopping", "2023-12-01 2023-12-23"), ("christmas_shopping", "2024-12-01 2024-12-23"),
    ("back_to_school", "2023-08-15 2023-09-15"), ("back_to_school", "2024-08-15 2024-09-15"),
]  # fmt: skip
"""First and last day of the periods, from short to long."""


def events_on(day: date) -> list[str]:
    """Return the events of a day of 2023 or 2024, the named day first, then the periods from short to long."""
    text = day.isoformat()
    named = [name for name, days in DAYS.items() if text in days.split()]
    return named + [name for name, span in PERIODS if span.split()[0] <= text <= span.split()[1]]


def age_on(born: date, day: date) -> int:
    """Return completed years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def share(frame: pl.DataFrame, column: str) -> dict[str, float]:
    """Return the shares of a column's values, nulls left out."""
    counts = frame[column].drop_nulls().cast(pl.String).value_counts(normalize=True)
    return dict(zip(counts[column].to_list(), counts["proportion"].to_list(), strict=True))


def of_class(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Return the rows of some classes."""
    return frame.filter(pl.col("encounter_class").cast(pl.String).is_in(names))


def gini(counts: NDArray[np.int64]) -> float:
    """Return the Gini coefficient of positive counts."""
    x = np.sort(counts).astype(float)
    return float((2 * np.arange(1, len(x) + 1) - len(x) - 1) @ x / (len(x) * x.sum()))


def spearman(frame: pl.DataFrame, a: str, b: str) -> float:
    """Return the rank correlation of two columns where both are known."""
    return float(frame.drop_nulls([a, b]).select(pl.corr(a, b, method="spearman")).item())


def stays(frame: pl.DataFrame) -> pl.DataFrame:
    """Return inpatient rows with their civil days and the patient's next stay."""
    found = of_class(frame, "inpatient").with_columns(
        begins=pl.col("timestamp").dt.date(), ends=pl.col("encounter_end").dt.date()
    )
    found = found.sort("patient_id", "timestamp")
    later = found.with_columns(
        next_id=pl.col("encounter_id").shift(-1).over("patient_id"),
        next_begins=pl.col("begins").shift(-1).over("patient_id"),
        next_start=pl.col("timestamp").shift(-1).over("patient_id"),
    )
    return later.with_columns(gap=(pl.col("next_begins") - pl.col("ends")).dt.total_days())


def readmission_violations(frame: pl.DataFrame, last: date) -> dict[str, int]:
    """Count index stays whose label and later rows contradict each other; windows that leave the range are left out."""
    index = stays(frame).filter(
        pl.col("is_readmitted_30d").is_not_null() & (pl.col("ends") + pl.duration(days=30) <= last)
    )
    within = pl.col("gap").is_between(0, 30).fill_null(False)
    label = pl.col("is_readmitted_30d")
    return {
        "index stays": index.height,
        "true without a stay": index.filter(label & ~within).height,
        "false with a stay": index.filter(~label & within).height,
        "days differ": index.filter(label & (pl.col("gap") != pl.col("days_to_readmission"))).height,
        "days without label": index.filter(label != pl.col("days_to_readmission").is_not_null()).height,
    }


def overlapping(frame: pl.DataFrame) -> int:
    """Count stays that begin before the patient's stay before them has ended."""
    return stays(frame).filter(pl.col("next_start") <= pl.col("encounter_end")).height


def after_death(frame: pl.DataFrame) -> int:
    """Count encounters that begin after their patient's death."""
    deaths = frame.filter(pl.col("discharge_disposition") == "exp").select("patient_id", died="encounter_end")
    return frame.join(deaths, on="patient_id").filter(pl.col("timestamp") > pl.col("died")).height


def inside_stays(frame: pl.DataFrame) -> int:
    """Count visits that begin during a stay of the same patient."""
    spans = of_class(frame, "inpatient").select("patient_id", begins="timestamp", ends="encounter_end")
    visits = frame.filter((pl.col("encounter_class") != "inpatient") & ~pl.col("is_admitted").fill_null(False))
    return (
        visits.join(spans, on="patient_id")
        .filter((pl.col("timestamp") >= pl.col("begins")) & (pl.col("timestamp") <= pl.col("ends")))
        .height
    )
