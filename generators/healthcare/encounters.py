"""What visits and stays have in common before their columns are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.entities import I64
from generators.healthcare.care_volume import EMERGENCY, INPATIENT
from generators.healthcare.patients import Flags, Patients

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]

STATUSES = ("finished", "cancelled", "no_show")
FINISHED, CANCELLED, NO_SHOW = range(3)
DISPOSITIONS = (
    "home", "alt-home", "snf", "rehab", "hosp", "exp", "aadvice", "other-hcf", "admitted", "lwbs",
)  # fmt: skip
"""Codes of HL7 FHIR encounter-discharge-disposition and two local ones: admitted, and left without being seen."""
HOME, HOME_HEALTH, SNF, REHAB, HOSPICE, DIED, AGAINST_ADVICE, OTHER_FACILITY, ADMITTED, LWBS = range(10)
MINUTE = 60_000_000
"""Microseconds."""


@dataclass(frozen=True, eq=False)
class Encounters:
    """(n,) encounters of one day.

    Attributes:
        day: The partition's day.
        rng: Column -> its stream.
        cls: Encounter class.
        who: Patients on the day.
        start: UTC microseconds.
        end: UTC microseconds.
        diagnosis: Position in `DIAGNOSES`.
        status: Position in `STATUSES`.
        esi: Emergency severity 1 to 5; 0 outside the emergency department.
        disposition: Position in `DISPOSITIONS`.
        los: Nights in hospital; 0 outside it.
        source: Position in `stays.SOURCES`, of inpatient rows.
        lead: Days between booking and appointment.
        booked: Whether there was a booking.
        family: Entity whose hospital it is: the mother's for a newborn, else the patient's.
        letter: Kind of the encounter's id.
        number: Number of the id below 2**35, unique among rows of the day with the same letter.
        outcome: Readmission outcome of stays, `stays.INELIGIBLE` elsewhere.
        delay: Days to readmission, 0 without.
    """

    day: date
    rng: Callable[[str], np.random.Generator]
    cls: U8
    who: Patients
    start: I64
    end: I64
    diagnosis: U8
    status: U8
    esi: U8
    disposition: U8
    los: U8
    source: U8
    lead: U16
    booked: Flags
    family: I64
    letter: U8
    number: NDArray[np.uint64]
    outcome: U8
    delay: U8

    def __len__(self) -> int:
        return len(self.cls)

    def lanes(self, column: str) -> U16:
        """Return (n,) 16-bit draws of one column's stream."""
        return lanes(self.rng(column), len(self))

    @property
    def finished(self) -> Flags:
        """(n,) whether the encounter took place."""
        return np.asarray(self.status == FINISHED)

    @property
    def emergency(self) -> Flags:
        """(n,) whether it is in the emergency department."""
        return np.asarray(self.cls == EMERGENCY)

    @property
    def inpatient(self) -> Flags:
        """(n,) whether it is a stay."""
        return np.asarray(self.cls == INPATIENT)

    @staticmethod
    def concat(parts: list[Encounters]) -> Encounters:
        """Return all rows of parts of the same day and streams."""
        names = [n for n in Encounters.__dataclass_fields__ if n not in ("day", "rng", "who")]
        arrays: dict[str, Any] = {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}
        who = {n: np.concatenate([getattr(p.who, n) for p in parts]) for n in Patients.__dataclass_fields__}
        return Encounters(day=parts[0].day, rng=parts[0].rng, who=Patients(**who), **arrays)


def lanes(rng: np.random.Generator, n: int) -> U16:
    """Return (n,) 16-bit draws."""
    return rng.integers(0, 65_536, n, dtype=np.uint16)
