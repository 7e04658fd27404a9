"""How many encounters of each class a day has, and when in the day they start.

Each class has its own week, months, holidays and hours: clinics are closed on weekends and on closed holidays, the
emergency department never is. Months of the classes that follow respiratory infections turn by half a year south of
the equator.
"""

from __future__ import annotations

from collections.abc import Mapping

from generators.config import HolidayProfile
from generators.intraday import appointment_grid
from generators.volume import VolumeTables

CLASSES = ("inpatient", "ambulatory", "wellness", "virtual", "urgent_care", "emergency")
"""Encounter classes in the order of the arrival processes; codes of the column ``encounter_class``."""
INPATIENT, AMBULATORY, WELLNESS, VIRTUAL, URGENT, EMERGENCY = range(6)
DRAWN = (AMBULATORY, WELLNESS, VIRTUAL, URGENT, EMERGENCY)
"""Classes whose rows are drawn; inpatient rows are stays that began on the day."""
SCHEDULED = (AMBULATORY, WELLNESS, VIRTUAL)
FHIR_CODES = ("AMB", "VR", "EMER", "IMP")
FHIR_OF_CLASS = (3, 0, 0, 1, 0, 2)
"""Code of `FHIR_CODES` by class (HL7 v3 ActEncounterCode)."""

CLASS_SHARES: Mapping[str, float] = {
    "ambulatory": 0.560, "wellness": 0.120, "virtual": 0.080, "urgent_care": 0.098, "emergency": 0.115,
    "inpatient": 0.027,
}  # fmt: skip
"""Part of ``base_daily_volume`` of each class."""

SATURDAY_CLINIC = 0.07
"""Saturday's factor of clinics with the option ``saturday_clinic``."""

_CLINIC_EVENTS = {
    "new_years_day": 0.0, "public_holiday": 0.55, "observed_holiday": 0.0, "memorial_day": 0.0, "labor_day": 0.0,
    "independence_day": 0.0, "thanksgiving_eve": 0.85, "thanksgiving": 0.0, "black_friday": 0.20, "cyber_monday": 1.05,
    "christmas_shopping": 0.97, "christmas_eve": 0.30, "christmas_day": 0.0, "christmas_week": 0.65,
    "new_years_eve": 0.40, "first_working_day": 1.10,
}  # fmt: skip
_EVENTS: Mapping[str, Mapping[str, float]] = {
    "ambulatory": _CLINIC_EVENTS,
    "wellness": _CLINIC_EVENTS,
    "virtual": {
        "new_years_day": 0.15, "public_holiday": 0.70, "observed_holiday": 0.25, "memorial_day": 0.25,
        "labor_day": 0.25, "independence_day": 0.20, "thanksgiving_eve": 0.85, "thanksgiving": 0.10,
        "black_friday": 0.35, "cyber_monday": 1.05, "christmas_eve": 0.35, "christmas_day": 0.05,
        "christmas_week": 0.70, "new_years_eve": 0.45, "first_working_day": 1.15,
    },
    "urgent_care": {
        "new_years_day": 0.75, "public_holiday": 1.02, "observed_holiday": 0.95, "mothers_day": 0.95,
        "fathers_day": 0.95, "memorial_day": 0.95, "labor_day": 0.95, "independence_day": 0.90,
        "back_to_school": 1.02, "thanksgiving_eve": 0.98, "thanksgiving": 0.60, "black_friday": 1.10,
        "cyber_monday": 1.10, "christmas_shopping": 1.03, "christmas_eve": 0.65, "christmas_day": 0.30,
        "christmas_week": 1.12, "post_christmas": 1.12, "new_years_eve": 0.80, "first_working_day": 1.12,
    },
    "emergency": {
        "new_years_day": 1.00, "public_holiday": 1.00, "observed_holiday": 1.00, "mothers_day": 0.97,
        "fathers_day": 0.97, "memorial_day": 1.02, "labor_day": 1.02, "independence_day": 1.05, "halloween": 1.01,
        "thanksgiving_eve": 0.97, "thanksgiving": 0.86, "black_friday": 1.00, "black_friday_week": 0.98,
        "cyber_monday": 1.08, "christmas_eve": 0.88, "christmas_day": 0.80, "christmas_week": 1.06,
        "post_christmas": 1.08, "new_years_eve": 0.95, "first_working_day": 1.08,
    },
    "inpatient": {
        "new_years_day": 0.70, "public_holiday": 0.90, "observed_holiday": 0.80, "memorial_day": 0.80,
        "labor_day": 0.80, "independence_day": 0.75, "thanksgiving_eve": 0.85, "thanksgiving": 0.65,
        "black_friday": 0.80, "cyber_monday": 1.05, "christmas_shopping": 0.98, "christmas_eve": 0.65,
        "christmas_day": 0.55, "christmas_week": 0.85, "post_christmas": 0.90, "new_years_eve": 0.70,
        "first_working_day": 1.10,
    },
}  # fmt: skip

_WEEK: Mapping[str, tuple[float, ...]] = {
    "ambulatory": (1.43, 1.51, 1.43, 1.40, 1.23, 0.0, 0.0),
    "wellness": (1.43, 1.51, 1.43, 1.40, 1.23, 0.0, 0.0),
    "virtual": (1.30, 1.32, 1.28, 1.25, 1.15, 0.40, 0.30),
    "urgent_care": (1.15, 1.02, 0.98, 0.95, 0.95, 1.00, 0.95),
    "emergency": (1.10, 1.02, 0.99, 0.98, 0.97, 0.96, 0.98),
    "inpatient": (1.15, 1.13, 1.10, 1.08, 1.04, 0.76, 0.74),
}
"""Factors from Monday to Sunday."""
_CLINIC_MONTHS = (1.03, 1.01, 1.05, 1.01, 1.00, 0.99, 0.95, 1.00, 0.99, 1.03, 0.98, 0.96)
_MONTHS: Mapping[str, tuple[float, ...]] = {
    "ambulatory": _CLINIC_MONTHS,
    "wellness": _CLINIC_MONTHS,
    "virtual": (1.0,) * 12,
    "urgent_care": (1.10, 1.07, 1.03, 0.98, 0.96, 0.93, 0.92, 0.93, 0.97, 1.00, 1.02, 1.09),
    "emergency": (1.03, 1.01, 1.01, 0.99, 1.00, 1.00, 1.00, 0.99, 0.99, 0.98, 0.98, 1.02),
    "inpatient": (1.03, 1.02, 1.01, 1.00, 1.00, 0.99, 0.99, 0.99, 0.98, 0.99, 0.99, 1.01),
}
"""Factors from January to December in the north."""
_SEASONAL = frozenset({"urgent_care", "emergency", "inpatient"})
_WEEKS_OF_MONTH: Mapping[str, tuple[float, ...]] = {"emergency": (1.01, 1.00, 1.00, 0.99)}

_CLINIC_HOURS = (
    0, 0, 0, 0, 0, 0, 0.002, 0.020, 0.095, 0.125, 0.132, 0.110,
    0.050, 0.100, 0.120, 0.112, 0.084, 0.036, 0.010, 0.004, 0, 0, 0, 0,
)  # fmt: skip
HOURS: Mapping[str, tuple[float, ...]] = {
    "ambulatory": _CLINIC_HOURS,
    "wellness": _CLINIC_HOURS,
    "virtual": (
        0.003, 0.002, 0.001, 0.001, 0.001, 0.002, 0.008, 0.030, 0.085, 0.108, 0.110, 0.098,
        0.063, 0.088, 0.096, 0.090, 0.074, 0.050, 0.032, 0.024, 0.016, 0.010, 0.005, 0.003,
    ),
    "urgent_care": (
        0, 0, 0, 0, 0, 0, 0, 0.006, 0.070, 0.095, 0.100, 0.096,
        0.084, 0.078, 0.074, 0.074, 0.080, 0.092, 0.086, 0.052, 0.013, 0, 0, 0,
    ),
    "emergency": (
        0.0254, 0.0205, 0.0176, 0.0156, 0.0146, 0.0156, 0.0195, 0.0283, 0.0420, 0.0547, 0.0625, 0.0635,
        0.0605, 0.0576, 0.0557, 0.0547, 0.0547, 0.0557, 0.0566, 0.0557, 0.0518, 0.0459, 0.0391, 0.0322,
    ),
    "inpatient": (
        0.028, 0.024, 0.021, 0.019, 0.018, 0.032, 0.056, 0.060, 0.046, 0.042, 0.043, 0.046,
        0.049, 0.051, 0.053, 0.054, 0.054, 0.053, 0.050, 0.047, 0.044, 0.041, 0.037, 0.032,
    ),
}  # fmt: skip
"""Share of a class's rows by local hour of their start."""

GRID: Mapping[str, tuple[float, ...]] = {
    "ambulatory": appointment_grid(15, 6.0),
    "wellness": appointment_grid(15, 6.0),
    "virtual": appointment_grid(10, 2.0),  # nobody is stuck in traffic
}
"""Appointments every 15 or 10 minutes, patients early or late by a normal number of minutes."""

_MONDAY, _SATURDAY, _SUNDAY = 0, 5, 6


def emergency_hours(weekday: int) -> tuple[float, ...]:
    """Return 24 weights of emergency arrivals: Monday 10-12 h x 1.2, nights of the weekend 0-4 h x 1.25."""
    curve = list(HOURS["emergency"])
    if weekday == _MONDAY:
        curve[10:12] = [w * 1.2 for w in curve[10:12]]
    if weekday in (_SATURDAY, _SUNDAY):
        curve[0:4] = [w * 1.25 for w in curve[0:4]]
    return tuple(curve)


def weekday_hours(name: str) -> Mapping[int, tuple[float, ...]] | None:
    """Return the curves of weekdays that differ from a class's own, or None."""
    if name != "emergency":
        return None
    return {day: emergency_hours(day) for day in (_MONDAY, _SATURDAY, _SUNDAY)}


def tables(name: str, saturday_clinic: bool, southern: bool) -> VolumeTables:
    """Return the volume factors of a class."""
    week, months = _WEEK[name], _MONTHS[name]
    if saturday_clinic and name in ("ambulatory", "wellness"):
        week = (*week[:5], SATURDAY_CLINIC, week[6])
    if southern and name in _SEASONAL:
        months = (*months[6:], *months[:6])
    events = {profile.value: _EVENTS[name] for profile in HolidayProfile}
    return VolumeTables(week, _WEEKS_OF_MONTH.get(name, (1.0,) * 4), months, events)
