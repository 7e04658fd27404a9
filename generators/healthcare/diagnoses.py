"""Diagnoses: ICD-10-CM codes with shares of each encounter class, season, ages and sexes, and dates of validity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from generators.healthcare.care_volume import (
    AMBULATORY,
    CLASSES,
    EMERGENCY,
    INPATIENT,
    URGENT,
    VIRTUAL,
    WELLNESS,
)
from generators.healthcare.patients import MAX_YEARS
from generators.healthcare.seasons import Season
from generators.randomness import F64

U8 = NDArray[np.uint8]

Steps = tuple[tuple[int, float], ...]
"""((from this age in completed years, factor), ...), ascending, the first from 0."""


@dataclass(frozen=True)
class Diagnosis:
    """A diagnosis.

    Attributes:
        code: ICD-10-CM code in use today.
        text: Its short description.
        weights: Relative weights in (ambulatory, virtual, urgent care, emergency, inpatient, wellness).
        season: Group of `seasons`.
        ages: Factors by completed years; 0 where the code cannot occur.
        female: Factor of women and girls.
        male: Factor of everyone else.
    """

    code: str
    text: str
    weights: tuple[float, float, float, float, float, float]
    season: str = "flat"
    ages: Steps = ((0, 1.0),)
    female: float = 1.0
    male: float = 1.0


def _from(age: int) -> Steps:
    return ((0, 0.0), (age, 1.0))


def _between(low: int, high: int) -> Steps:
    return ((0, 0.0), (low, 1.0), (high + 1, 0.0))


_HYPERTENSION = ((0, 0.0), *((age, 1.05 ** (age + 2.5 - 25)) for age in range(25, 105, 5)))
_YOUNG = ((0, 1.8), (18, 1.0), (40, 0.7))
_D = Diagnosis
DIAGNOSES = (
    _D("I10", "Essential (primary) hypertension", (9.0, 9, 1, 1.0, 0, 0), ages=_HYPERTENSION),
    _D("E11.9", "Type 2 diabetes mellitus without complications", (5.0, 6, 0, 0.4, 0, 0), ages=_from(25)),
    _D("E78.5", "Hyperlipidemia, unspecified", (4.5, 4, 0, 0, 0, 0), ages=_from(25)),
    _D("Z00.00", "General adult medical exam without abnormal findings", (0, 0, 0, 0, 0, 45), "jan_plus", _from(18)),
    _D("Z00.129", "Routine child health exam without abnormal findings", (0, 0, 0, 0, 0, 33), "school",
       _between(0, 17)),
    _D("Z23", "Encounter for immunization", (1.0, 0, 0, 0, 0, 8), "flu_shot"),
    _D("Z12.31", "Screening mammogram", (1.5, 0, 0, 0, 0, 7), "oct_plus", _from(40), male=0),
    _D("Z01.419", "Gynecological exam without abnormal findings", (0.8, 0, 0, 0, 0, 7), ages=_from(16), male=0),
    _D("Z34.90", "Supervision of normal pregnancy, unspecified", (3.0, 0.5, 0, 0, 0, 0), ages=_between(14, 48), male=0),
    _D("F41.1", "Generalized anxiety disorder", (3.0, 14, 0, 0.6, 0, 0), ages=_from(10)),
    _D("F32.A", "Depression, unspecified", (3.0, 13, 0, 0.7, 0.6, 0), "winter_mild", _from(10)),
    _D("M54.50", "Low back pain, unspecified", (3.0, 2, 3, 2.6, 0, 0), ages=_from(15)),
    _D("M25.561", "Pain in right knee", (2.0, 0.5, 2, 0.8, 0, 0), ages=_from(10)),
    _D("M17.11", "Unilateral primary osteoarthritis, right knee", (2.0, 0.3, 0, 0, 3.0, 0), "weekday", _from(45)),
    _D("J06.9", "Acute upper respiratory infection", (3.5, 6, 16, 4.0, 0, 0), "uri", _YOUNG),
    _D("J02.9", "Acute pharyngitis", (2.0, 3, 9, 1.8, 0, 0), "uri", ((0, 0.4), (3, 1.6), (46, 0.5))),
    _D("H66.90", "Otitis media, unspecified", (2.0, 0.8, 6, 1.4, 0, 0), "uri", ((0, 8.0), (12, 1.0))),
    _D("J20.9", "Acute bronchitis", (1.5, 2, 6, 1.3, 0, 0), "uri"),
    _D("J10.1", "Influenza due to other identified virus, respiratory", (0.9, 1.5, 5, 1.5, 0.6, 0), "flu"),
    _D("U07.1", "COVID-19", (0.9, 2.5, 4, 1.6, 1.6, 0), "covid"),
    _D("J21.0", "Acute bronchiolitis due to RSV", (0.3, 0, 0.5, 0.6, 0.8, 0), "rsv", _between(0, 2)),
    _D("J18.9", "Pneumonia, unspecified organism", (0.6, 0.2, 1, 1.3, 4.0, 0), "uri", ((0, 3.0), (5, 0.7), (65, 2.5))),
    _D("J45.909", "Asthma, unspecified, uncomplicated", (1.5, 1, 1.5, 1.2, 0, 0), "allergy"),
    _D("J30.2", "Other seasonal allergic rhinitis", (2.0, 2.5, 3, 0.2, 0, 0), "allergy", _from(4)),
    _D("J44.1", "COPD with acute exacerbation", (0.5, 0.2, 0.6, 1.0, 3.2, 0), "uri", _from(45)),
    _D("A08.4", "Viral intestinal infection", (0.6, 1, 3.5, 1.7, 0, 0), "gi"),
    _D("K52.9", "Noninfective gastroenteritis", (0.5, 0.8, 2, 1.8, 1.0, 0), "gi"),
    _D("R11.2", "Nausea with vomiting", (0.3, 0.5, 1.5, 2.2, 0, 0), "gi"),
    _D("R10.9", "Unspecified abdominal pain", (1.0, 0.5, 1.5, 6.0, 0, 0)),
    _D("R07.9", "Chest pain, unspecified", (0.8, 0.3, 0.8, 5.5, 1.2, 0), ages=_from(18)),
    _D("R51.9", "Headache, unspecified", (0.8, 1, 1.5, 2.9, 0, 0)),
    _D("R05.9", "Cough, unspecified", (0.8, 1.2, 4, 1.6, 0, 0), "uri"),
    _D("R50.9", "Fever, unspecified", (0.4, 0.5, 2.5, 2.3, 0, 0), "uri", ((0, 4.0), (12, 1.0))),
    _D("R55", "Syncope and collapse", (0.2, 0, 0.2, 1.5, 0.8, 0), "summer_mild"),
    _D("N39.0", "Urinary tract infection", (1.2, 3, 5, 2.7, 2.4, 0), "summer_mild", female=4.0),
    _D("L03.90", "Cellulitis, unspecified", (0.6, 0.5, 1.8, 1.6, 2.2, 0), "injury"),
    _D("L30.9", "Dermatitis, unspecified", (2.0, 2.5, 2.5, 0.6, 0, 0)),
    _D("K21.9", "GERD without esophagitis", (1.5, 1.5, 0, 0.4, 0, 0)),
    _D("S93.401A", "Sprain of unspecified ligament of right ankle, initial", (0.6, 0, 4, 2.0, 0, 0), "injury",
       _between(8, 55)),
    _D("S61.419A", "Laceration without foreign body of unspecified hand, initial", (0.2, 0, 3.5, 2.2, 0, 0), "injury",
       male=1.7),
    _D("S52.501A", "Unspecified fracture of lower end of right radius, initial closed", (0.6, 0, 1.5, 1.2, 0.3, 0),
       "injury", ((0, 2.5), (16, 0.6), (60, 2.5))),
    _D("S09.90XA", "Unspecified injury of head, initial", (0.2, 0, 1.0, 2.8, 0, 0), "injury",
       ((0, 3.0), (6, 0.8), (70, 3.0))),
    _D("S72.001A", "Fracture of unspecified part of neck of right femur, initial closed", (0, 0, 0, 0.5, 1.6, 0),
       "winter_mild", _from(65)),
    _D("T67.5XXA", "Heat exhaustion, unspecified, initial", (0, 0, 0.3, 0.35, 0, 0), "heat"),
    _D("F10.129", "Alcohol abuse with intoxication, unspecified", (0, 0, 0, 1.6, 0.8, 0), "weekend", _from(16)),
    _D("A41.9", "Sepsis, unspecified organism", (0, 0, 0, 1.1, 8.0, 0), "winter_mild", ((0, 1.0), (50, 4.0))),
    _D("I50.9", "Heart failure, unspecified", (1.0, 0.5, 0, 1.2, 4.6, 0), "winter_mild", _from(55)),
    _D("I21.4", "Non-ST elevation (NSTEMI) myocardial infarction", (0, 0, 0, 0.6, 2.4, 0), "winter_mild", _from(40)),
    _D("I48.91", "Unspecified atrial fibrillation", (1.3, 0.5, 0, 0.7, 1.8, 0), ages=_from(50)),
    _D("I63.9", "Cerebral infarction, unspecified", (0.2, 0, 0, 0.7, 2.6, 0), ages=_from(45)),
    _D("N17.9", "Acute kidney failure, unspecified", (0, 0, 0, 0.5, 2.4, 0), ages=_from(50)),
    _D("K35.80", "Unspecified acute appendicitis", (0, 0, 0, 0.4, 1.1, 0), ages=_between(5, 50)),
    _D("O80", "Encounter for full-term uncomplicated delivery", (0, 0, 0, 0, 7.0, 0), ages=_between(14, 48), male=0),
    _D("Z38.00", "Single liveborn infant, delivered vaginally", (0, 0, 0, 0, 7.0, 0), ages=_between(0, 0)),
)  # fmt: skip
"""Every diagnosis; codes of the library are positions in this tuple."""

INDEX: Mapping[str, int] = {d.code: number for number, d in enumerate(DIAGNOSES)}
DELIVERY, NEWBORN, KNEE, ALCOHOL = INDEX["O80"], INDEX["Z38.00"], INDEX["M17.11"], INDEX["F10.129"]

EARLIER: tuple[tuple[str, str, str, date], ...] = (
    ("F32.A", "F32.9", "Major depressive disorder, single episode, unspecified", date(2021, 10, 1)),
    ("M54.50", "M54.5", "Low back pain", date(2021, 10, 1)),
    ("R51.9", "R51", "Headache", date(2020, 10, 1)),
    ("R05.9", "R05", "Cough", date(2021, 10, 1)),
)
"""(code, code before, its description, first day of the code): updates of ICD-10-CM of the years 2021 and 2022."""
OTHER: tuple[tuple[str, str, str], ...] = (
    ("I10", "I11.9", "Hypertensive heart disease without heart failure"),
    ("E11.9", "E11.65", "Type 2 diabetes mellitus with hyperglycemia"),
    ("E78.5", "E78.2", "Mixed hyperlipidemia"),
    ("Z00.00", "Z00.01", "Encounter for general adult medical exam with abnormal findings"),
    ("F41.1", "F41.9", "Anxiety disorder, unspecified"),
    ("J20.9", "J20.8", "Acute bronchitis due to other specified organisms"),
    ("R10.9", "R10.84", "Generalized abdominal pain"),
    ("R07.9", "R07.89", "Other chest pain"),
)
"""(code, another one that coders use for the same patients, its description), under the drift `coding_change` only."""
CODES = (*(d.code for d in DIAGNOSES), *(old for _, old, _, _ in EARLIER), *(new for _, new, _ in OTHER))
TEXTS = (*(d.text for d in DIAGNOSES), *(text for _, _, text, _ in EARLIER), *(text for _, _, text in OTHER))
"""Codes and texts of the columns, in the same order."""


def coded(day: date) -> U8:
    """Return (54,) positions in `CODES` of the diagnoses on a day: which code was valid."""
    shown = np.arange(len(DIAGNOSES), dtype=np.uint8)
    for number, (code, _, _, since) in enumerate(EARLIER):
        if day < since:
            shown[INDEX[code]] = len(DIAGNOSES) + number
    return shown


def coded_otherwise(day: date) -> U8:
    """Return (54,) positions in `CODES` of the diagnoses on a day after a change of coding."""
    shown = coded(day)
    for number, (code, _, _) in enumerate(OTHER):
        shown[INDEX[code]] = len(DIAGNOSES) + len(EARLIER) + number
    return shown


def members(*codes: str) -> NDArray[np.bool_]:
    """Return (54,) whether each diagnosis is among some codes."""
    return np.isin([d.code for d in DIAGNOSES], codes)


RESPIRATORY = members("J06.9", "J02.9", "J20.9", "J10.1", "U07.1", "J21.0", "J18.9", "J45.909", "J44.1", "R05.9")
INFECTIONS = members(
    "J06.9", "J02.9", "H66.90", "J20.9", "J10.1", "U07.1", "J21.0", "J18.9", "A08.4", "R50.9", "N39.0", "L03.90",
    "A41.9",
)  # fmt: skip
INJURIES = members("S93.401A", "S61.419A", "S52.501A", "S09.90XA", "S72.001A")
SURGICAL = members("K35.80", "S72.001A", "S52.501A")

_WEIGHT_OF_CLASS = {AMBULATORY: 0, VIRTUAL: 1, URGENT: 2, EMERGENCY: 3, INPATIENT: 4, WELLNESS: 5}
BAND_STARTS = sorted({age for d in DIAGNOSES for age, _ in d.ages} | {12, 55})
"""First age, in completed years, of each band inside which every factor is constant."""
BANDS = len(BAND_STARTS)
CELLS = BANDS * 2
"""Age band x 2 + female: inside a cell everyone has the same mix."""
DRAW_BITS = 14
_LANES = 1 << DRAW_BITS


def band_of_age() -> U8:
    """Return the age band by completed years."""
    return np.searchsorted(BAND_STARTS, np.arange(256), side="right").astype(np.uint8) - np.uint8(1)


def cells(years: U8, female: NDArray[np.bool_]) -> U8:
    """Return (n,) cells of completed years and sex."""
    return np.asarray(_BAND_OF_AGE[years] * np.uint8(2) + female.view(np.uint8), np.uint8)


_BAND_OF_AGE = band_of_age()


def _factors() -> F64:
    """Return (cells, 54) factors by age and sex."""
    table = np.zeros((BANDS, 2, len(DIAGNOSES)))
    for column, d in enumerate(DIAGNOSES):
        steps, values = zip(*d.ages, strict=True)
        by_band = np.array(values)[np.searchsorted(steps, BAND_STARTS, side="right") - 1]
        table[:, 0, column], table[:, 1, column] = by_band * d.male, by_band * d.female
    return table.reshape(CELLS, -1)


def class_weights(cls: int) -> F64:
    """Return (54,) shares of a class's diagnoses over a year, those of stays without deliveries and newborns."""
    weights = np.array([d.weights[_WEIGHT_OF_CLASS[cls]] for d in DIAGNOSES])
    weights[[DELIVERY, NEWBORN]] = 0.0
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True, eq=False)
class DiagnosisMix:
    """Mixes of diagnoses by class, cell and season.

    Attributes:
        people: Class -> (106, 2) shares of its rows by completed years and (not female, female).
        targets: Class -> (54,) yearly shares.
    """

    people: Mapping[int, F64]
    targets: Mapping[int, F64]

    @cached_property
    def weights(self) -> Mapping[int, F64]:
        """Class -> (cells, 54) weights: factors times a constant a code, so that restrictions do not shrink its share.

        Iterative fitting: shares over the class's ages and sexes become the targets.
        """
        factors = _factors()
        found = {}
        for cls, target in self.targets.items():
            mass = self.masses(cls)
            weights = factors * target
            for _ in range(60):
                totals = weights.sum(axis=1, keepdims=True)
                shares = mass @ np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
                weights *= np.where(shares > 0, target / np.maximum(shares, 1e-12), 1.0)
            found[cls] = weights
        return found

    def masses(self, cls: int) -> F64:
        """Return (cells,) shares of a class's rows."""
        mass = np.zeros((BANDS, 2))
        np.add.at(mass, _BAND_OF_AGE[:MAX_YEARS], self.people[cls])
        return mass.ravel()

    def shares(self, cls: int, season: Season) -> F64:
        """Return (cells, 54) shares of diagnoses in a season; a cell that allows none is 0."""
        # Clinics are closed on weekends anyway: only admissions for surgery move to weekdays.
        groups = ["flat" if d.season == "weekday" and cls != INPATIENT else d.season for d in DIAGNOSES]
        factor = np.array([season.factor(group) for group in groups])
        weights = self.weights[cls] * factor
        totals = weights.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0))

    def picks(self, cls: int, season: Season) -> U8:
        """Return (cells * 2**14,) diagnoses by (cell, 14-bit draw)."""
        cache: dict[tuple[int, Season], U8] = self.__dict__.setdefault("_picks", {})
        key = (cls, season)
        if key not in cache:
            if len(cache) >= 24 * len(CLASSES):
                cache.clear()
            edges = np.round(np.cumsum(self.shares(cls, season), axis=1) * _LANES).astype(np.int64)
            counts = np.diff(edges, axis=1, prepend=0)
            # A cell without any diagnosis is never drawn from; its table holds the class's most common one.
            counts[edges[:, -1] == 0, int(np.argmax(self.targets[cls]))] = _LANES
            codes = np.tile(np.arange(len(DIAGNOSES), dtype=np.uint8), CELLS)
            cache[key] = np.repeat(codes, counts.ravel())
        return cache[key]
