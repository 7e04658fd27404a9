"""Why people come: chief complaints by diagnosis, in one row of seven another one than the diagnosis suggests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.healthcare.care_volume import AMBULATORY, EMERGENCY, URGENT
from generators.healthcare.diagnoses import DIAGNOSES
from generators.healthcare.encounters import Encounters
from generators.randomness import LANES, pick_table

U8 = NDArray[np.uint8]

REASONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "abdominal_pain": ("Abdominal pain", ("R10.9", "K35.80", "K21.9")),
    "chest_pain": ("Chest pain", ("R07.9", "I21.4", "I48.91")),
    "fever": ("Fever", ("R50.9", "A41.9", "J10.1")),
    "headache": ("Headache", ("R51.9", "I63.9")),
    "cough": ("Cough", ("R05.9", "J06.9", "J20.9", "J18.9", "U07.1")),
    "shortness_of_breath": ("Shortness of breath", ("I50.9", "J44.1", "J45.909", "J21.0")),
    "back_pain": ("Back pain", ("M54.50",)),
    "injury": ("Injury", ("S93.401A", "S61.419A", "S52.501A", "S09.90XA", "S72.001A")),
    "vomiting_diarrhea": ("Vomiting or diarrhea", ("A08.4", "K52.9", "R11.2")),
    "sore_throat": ("Sore throat", ("J02.9",)),
    "earache": ("Earache", ("H66.90",)),
    "urinary_symptoms": ("Urinary symptoms", ("N39.0", "N17.9")),
    "skin_problem": ("Skin problem", ("L03.90", "L30.9")),
    "fainting": ("Fainting or dizziness", ("R55", "T67.5XXA")),
    "mental_health": ("Mental health concern", ("F41.1", "F32.A", "F10.129")),
    "joint_pain": ("Joint pain", ("M25.561", "M17.11")),
    "allergy": ("Allergy symptoms", ("J30.2",)),
    "chronic_follow_up": ("Follow-up of a chronic condition", ("I10", "E11.9", "E78.5")),
    "prevention": ("Preventive service or pregnancy", ("Z00.00", "Z00.129", "Z23", "Z12.31", "Z01.419", "Z34.90")),
}
"""Reason -> (text, diagnoses)."""
NAMES = tuple(REASONS)
TEXTS = tuple(text for text, _ in REASONS.values())
AMBIGUOUS = 0.15
"""Share of rows whose complaint is drawn from all complaints."""
_GENERAL = (12, 8, 8, 7, 8, 6, 6, 8, 5, 3, 2, 4, 4, 3, 3, 4, 1, 5, 3)
"""Relative frequency of complaints in general."""


@lru_cache(maxsize=1)
def _by_diagnosis() -> U8:
    found = {code: number for number, (_, codes) in enumerate(REASONS.values()) for code in codes}
    return np.array([found.get(d.code, NAMES.index("prevention")) for d in DIAGNOSES], np.uint8)


@lru_cache(maxsize=1)
def _general() -> U8:
    return pick_table(_GENERAL)


def reasons(rows: Encounters) -> tuple[U8, NDArray[np.bool_]]:
    """Return the complaint of (n,) encounters and whether one is recorded: emergency, urgent and ambulatory rows."""
    vague = rows.lanes("reason_code") < int(AMBIGUOUS * LANES)
    reason = np.where(vague, _general()[rows.lanes("reason_text")], _by_diagnosis()[rows.diagnosis])
    recorded = (rows.cls == EMERGENCY) | (rows.cls == URGENT) | (rows.cls == AMBULATORY)
    return reason.astype(np.uint8), recorded
