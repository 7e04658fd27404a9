"""Hospital stays as columns, and the laws of their length and source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.entities import I32, I64
from generators.healthcare.diagnoses import DELIVERY, DIAGNOSES, KNEE, NEWBORN
from generators.healthcare.patients import Flags, Patients, Population
from generators.randomness import F64, LANES, normal_table

U8 = NDArray[np.uint8]

MAX_LOS = 60
DEATH_SHARE = 0.165
"""Share of exits that are deaths in hospital."""
EMERGENCY_DEATH_SHARE = 0.037
"""Share of exits that are deaths in the emergency department."""

SOURCES = ("emergency", "newborn_obstetric", "elective", "transfer")
FROM_EMERGENCY, OBSTETRIC, ELECTIVE, TRANSFER = range(4)
_SOURCE_EDGES = (0.82, 0.94)
"""Cumulative shares of emergency and elective among medical stays; the rest are transfers."""
EMERGENCY_SHARE = 0.59
"""Share of all stays that come through the emergency department."""

NO, YES, INELIGIBLE = 0, 1, 2
"""Outcome of a stay: not readmitted, readmitted, no index stay."""


@dataclass(frozen=True, eq=False)
class Stays:
    """(n,) stays: one array a fact.

    Attributes:
        slot: The patient's slot.
        admitted: Day of admission, from 1970-01-01.
        number: Position in its chain, from 1; 0 for newborns and deaths.
        diagnosis: Position in `DIAGNOSES`.
        los: Length of stay: midnights, 1 to 60.
        source: Position in `SOURCES`.
        outcome: `NO`, `YES` or `INELIGIBLE`.
        delay: Days from discharge to readmission, 0 without.
        since: Days from the chain's last discharge to this admission, 0 for its first stay.
    """

    slot: I64
    admitted: I32
    number: U8
    diagnosis: U8
    los: U8
    source: U8
    outcome: U8
    delay: U8
    since: U8

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, rows: NDArray[Any] | slice) -> Stays:
        """Return some of the stays."""
        return Stays(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def key(self) -> I64:
        """(n,) numbers of the stays: unique over all patients and days."""
        return self.slot << 17 | self.admitted

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(getattr(self, name).nbytes for name in self.__dataclass_fields__)

    @staticmethod
    def concat(parts: list[Stays]) -> Stays:
        """Return all stays of some parts."""
        return Stays(*(np.concatenate([getattr(p, name) for p in parts]) for name in Stays.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class DayStays:
    """The stays that begin on a day, and who is with whom.

    Attributes:
        stays: Openings, deliveries, readmissions, newborns and stays that end in death, in order of slots.
        who: (n,) patients on the day.
        mother: (n,) position of a newborn's mother among the stays, the stay's own position for others.
        dies: (n,) whether the stay ends in death.
    """

    stays: Stays
    who: Patients
    mother: I64
    dies: Flags


@dataclass(frozen=True, eq=False)
class Exits:
    """(n,) patients who leave their slot for good: slot, entity, day, day of birth, and draws that say how."""

    slot: I64
    entity: I64
    day: I64
    born: I32
    how: F64
    los: U8
    """Nights before the exit, where it is a death in hospital."""
    dx: NDArray[np.uint16]
    source: NDArray[np.uint16]

    @property
    def in_hospital(self) -> Flags:
        """(n,) whether the exit is a death in hospital."""
        return np.asarray(self.how < int(DEATH_SHARE * LANES))

    @property
    def in_emergency(self) -> Flags:
        """(n,) whether the patient dies in the emergency department, on the day before."""
        return ~self.in_hospital & (self.how < int((DEATH_SHARE + EMERGENCY_DEATH_SHARE) * LANES))

    def take(self, rows: NDArray[Any]) -> Exits:
        """Return some of them."""
        return Exits(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def patients(self, population: Population, day: int) -> Patients:
        """Return their attributes on an earlier day."""
        return population.describe(self.slot, self.entity, np.int32(day) - self.born, day)


_LOS_FACTOR = {"A41.9": 1.5, "I63.9": 1.4, "R07.9": 0.55, "R55": 0.65, "K52.9": 0.75, "F10.129": 0.8, "K35.80": 0.7}
_LOS_MU, _LOS_SIGMA, _LOS_CHRONIC = 1.05, 0.80, 0.06


@lru_cache(maxsize=1)
def _los_factors() -> F64:
    return np.array([_LOS_FACTOR.get(d.code, 1.0) for d in DIAGNOSES])


def lengths(diagnosis: U8, chronic: U8, draws: NDArray[np.uint16]) -> U8:
    """Return (n,) lengths of stay: ceil(lognormal(1.05, 0.80) x exp(0.06 chronic) x factor), 1 to 60.

    Deliveries stay 2 or 3 days, newborns 2, new knees 2.
    """
    mean = np.exp(_LOS_MU + _LOS_SIGMA * normal_table()[draws] + _LOS_CHRONIC * chronic)
    los = np.clip(np.ceil(mean * _los_factors()[diagnosis]), 1, MAX_LOS).astype(np.uint8)
    los = np.where(diagnosis == DELIVERY, 2 + (draws >= 0.7 * LANES).astype(np.uint8), los)
    return np.where((diagnosis == KNEE) | (diagnosis == NEWBORN), np.uint8(2), los).astype(np.uint8)


@lru_cache(maxsize=1)
def death_lengths() -> U8:
    """Return lengths of stays that end in death by 16-bit draw."""
    return np.clip(np.ceil(np.exp(1.35 + 0.95 * normal_table())), 1, MAX_LOS).astype(np.uint8)


def sources(diagnosis: U8, draws: NDArray[np.uint16]) -> U8:
    """Return (n,) sources of admission: obstetric by diagnosis, new knees elective, others mostly emergency."""
    kind = np.searchsorted([int(edge * LANES) for edge in _SOURCE_EDGES], draws, side="right")
    kind = np.array([FROM_EMERGENCY, ELECTIVE, TRANSFER])[kind]
    kind = np.where(diagnosis == KNEE, ELECTIVE, kind)
    return np.where((diagnosis == DELIVERY) | (diagnosis == NEWBORN), OBSTETRIC, kind).astype(np.uint8)
