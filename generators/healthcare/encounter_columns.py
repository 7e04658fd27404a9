"""The columns of encounters from what visits and stays have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.days import day_number
from generators.healthcare import charges, complaints, emergency, patient_ids, vitals
from generators.healthcare.care_sites import CareSites, departments
from generators.healthcare.care_volume import CLASSES, FHIR_OF_CLASS, INPATIENT
from generators.healthcare.diagnoses import coded, coded_otherwise
from generators.healthcare.encounters import ADMITTED, MINUTE, U8, Encounters
from generators.healthcare.nullable import nullable
from generators.healthcare.patients import Population
from generators.healthcare.stays import INELIGIBLE, YES
from generators.randomness import F64, LANES

SAFE_HARBOR_AGE = 90
"""Age at which ages are pooled and birth years left out (45 CFR 164.514(b)(2)(i)(C))."""

#                 inpatient, ambulatory, wellness, virtual, urgent, emergency
MORE_DIAGNOSES = (7.0, 0.5, 0.5, 0.5, 0.5, 0.9)
"""Mean number of diagnoses beside the first; of stays times (1 + 0.3 chronic)."""
MORE_IF_CHRONIC = 0.3
MAX_DIAGNOSES = 25
_CHRONIC_LEVELS = 8


@dataclass(frozen=True, eq=False)
class EncounterColumns:
    """Makes columns under one config.

    Attributes:
        population: The patients.
        sites: Providers and facilities.
        zone: The dataset's time zone.
        safe_harbor: Whether ages and birth dates are cut.
        digit_preference: Whether blood pressures are rounded to tens more often.
        charge_growth: Yearly growth of list prices.
    """

    population: Population
    sites: CareSites
    zone: str
    safe_harbor: bool
    digit_preference: bool
    charge_growth: float

    def frame(self, rows: Encounters) -> pl.DataFrame:
        """Return every column of (n,) encounters but timestamp, record_id and generator."""
        seed, name = self.population.seed, self.population.generator
        columns: dict[str, Any] = {
            **self._patient(rows),
            **self._encounter(rows),
            **self._care(rows),
            **vitals.columns(rows, seed, name, self.digit_preference),
            **self._money(rows),
            **_outcomes(rows),
        }
        return pl.DataFrame([v.alias(k) if isinstance(v, pl.Series) else pl.Series(k, v) for k, v in columns.items()])

    def _patient(self, rows: Encounters) -> dict[str, Any]:
        who, seed, name = rows.who, self.population.seed, self.population.generator
        return {
            "patient_id": patient_ids.patient_text(who.entity, seed, name),
            "mrn": patient_ids.mrn_text(who.entity, seed, name),
            "birth_date": birth_dates(day_number(rows.day) - who.age_days, who.years, self.safe_harbor),
            "age_years": np.minimum(who.years, np.uint8(SAFE_HARBOR_AGE)) if self.safe_harbor else who.years,
            "sex": who.sex,
            "race": who.race,
            "ethnicity": who.ethnicity,
            "postal3": self._areas.gather(who.area),
            "chronic_count": who.chronic,
            "payer_type": who.payer,
        }

    @property
    def _areas(self) -> pl.Series:
        return pl.Series(self.population.area_names)

    def _encounter(self, rows: Encounters) -> dict[str, Any]:
        emergency_rows = rows.emergency
        return {
            "encounter_id": patient_ids.encounter_text(day_number(rows.day), rows.letter, rows.number),
            "encounter_class": rows.cls,
            "fhir_class_code": np.array(FHIR_OF_CLASS, np.uint8)[rows.cls],
            "encounter_status": rows.status,
            "scheduled_lead_days": nullable(rows.lead, rows.booked),
            "encounter_end": rows.end,
            "length_minutes": np.maximum((rows.end - rows.start) // MINUTE, 1).astype(np.uint32),
            "length_of_stay_days": nullable(rows.los, rows.inpatient),
            "arrival_mode": nullable(
                emergency.arrivals(rows.lanes("arrival_mode"), rows.esi, rows.who.years), emergency_rows
            ),
            "esi_level": nullable(rows.esi, emergency_rows),
            "is_admitted": nullable(rows.disposition == ADMITTED, emergency_rows),
            "admit_source": nullable(rows.source, rows.inpatient),
            "discharge_disposition": nullable(rows.disposition, rows.finished),
        }

    def _care(self, rows: Encounters) -> dict[str, Any]:
        department, home = departments(rows), self.sites.homes(rows)
        reason, recorded = complaints.reasons(rows)
        shown = coded(rows.day)[rows.diagnosis]
        if share := self.population.scenario.other_codes(day_number(rows.day)):
            other = coded_otherwise(rows.day)[rows.diagnosis]
            shown = np.where(rows.lanes("coding_change") < share * LANES, other, shown)
        return {
            "department": department,
            "provider_id": patient_ids.provider_text(self.sites.providers(rows, department, home)),
            "facility_id": patient_ids.facility_text(self.sites.facilities(rows, home)),
            "reason_code": nullable(reason, recorded),
            "reason_text": nullable(reason, recorded),
            "primary_diagnosis_code": nullable(shown, rows.finished),
            "primary_diagnosis_text": nullable(shown, rows.finished),
            "diagnosis_count": nullable(_diagnosis_counts(rows), rows.finished),
        }

    def _money(self, rows: Encounters) -> dict[str, Any]:
        found = charges.columns(rows, self.charge_growth)
        ends = pl.Series(rows.end).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(self.zone).dt.date()
        wait = found.pop("payment_wait")
        return {**found, "payment_date": (ends.cast(pl.Int32) + wait).cast(pl.Date)}


def birth_dates(born: NDArray[Any], years: U8, safe_harbor: bool) -> pl.Series:
    """Return birth dates of days since 1970-01-01, or their years where `safe_harbor` asks for it."""
    dates = pl.Series(np.asarray(born, np.int32)).cast(pl.Date)
    if not safe_harbor:
        return dates
    cut = dates.dt.truncate("1y").cast(pl.Int32).to_numpy()
    return nullable(cut, years < SAFE_HARBOR_AGE).cast(pl.Date)


def _outcomes(rows: Encounters) -> dict[str, pl.Series]:
    readmitted = rows.outcome == YES
    return {
        "is_readmitted_30d": nullable(readmitted, rows.outcome != INELIGIBLE),
        "days_to_readmission": nullable(rows.delay, readmitted),
    }


@lru_cache(maxsize=1)
def _count_tables() -> U8:
    """Return (6 * 8 * 4096,) numbers of diagnoses by class, chronic conditions and 12-bit draw."""
    middles = (np.arange(4096) + 0.5) / 4096
    k = np.arange(MAX_DIAGNOSES + 40)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, len(k))))])
    tables = []
    for cls in range(len(CLASSES)):
        for chronic in range(_CHRONIC_LEVELS):
            rate = MORE_DIAGNOSES[cls] * (1 + MORE_IF_CHRONIC * chronic if cls == INPATIENT else 1)
            edges: F64 = np.cumsum(np.exp(k * np.log(rate) - rate - log_factorial))
            tables.append(np.minimum(1 + np.searchsorted(edges, middles), MAX_DIAGNOSES))
    return np.concatenate(tables).astype(np.uint8)


def _diagnosis_counts(rows: Encounters) -> U8:
    chronic = np.minimum(rows.who.chronic, _CHRONIC_LEVELS - 1)
    cell = rows.cls.astype(np.intp) * _CHRONIC_LEVELS + chronic
    return np.asarray(_count_tables()[cell << 12 | rows.lanes("diagnosis_count") >> 4], np.uint8)
