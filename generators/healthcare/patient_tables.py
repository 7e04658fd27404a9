"""The tables of patient_records."""

from __future__ import annotations

import polars as pl

from generators.healthcare import complaints, emergency, payers, stays
from generators.healthcare.care_sites import DEPARTMENTS
from generators.healthcare.care_volume import CLASSES, FHIR_CODES
from generators.healthcare.diagnoses import CODES, TEXTS
from generators.healthcare.encounters import DISPOSITIONS, STATUSES
from generators.healthcare.patient_ids import (
    ENCOUNTER_FORMAT,
    FACILITY_FORMAT,
    MRN_FORMAT,
    PATIENT_FORMAT,
    PROVIDER_FORMAT,
)
from generators.healthcare.patients import ETHNICITIES, RACES, SEXES
from generators.healthcare.readmission import KNOWN_AFTER_DAYS
from generators.schema import INSTANT, Column, TableSchema

AT_DISCHARGE = "at the end of the encounter"
AT_READMISSION = "on the readmission, else 31 days after discharge"
DISCHARGED = pl.col("encounter_end").dt.date()
"""Day on which an encounter ends."""
READMISSION_KNOWN = DISCHARGED + pl.duration(
    days=pl.when(pl.col("is_readmitted_30d"))
    .then(pl.col("days_to_readmission").cast(pl.Int64))
    .otherwise(KNOWN_AFTER_DAYS)
)
"""Day of the readmission, or the 31st day after discharge without one."""
LABEL_WINDOW = stays.MAX_LOS - 1 + KNOWN_AFTER_DAYS

FHIR = "HL7 FHIR Encounter"
ICD = "ICD-10-CM"
NHANES = "in line with NHANES means"

_PATIENT = Column("patient_id", pl.String, "Patient.", format=PATIENT_FORMAT)
_MRN = Column(
    "mrn", pl.String,
    "Medical record number of the patient: SYN, nine base-32 characters; eight digits would not hold all patients of "
    "large volumes.",
    format=MRN_FORMAT,
)  # fmt: skip
_BIRTH = Column(
    "birth_date",
    pl.Date,
    "Date of birth; with safe_harbor 1 January of the year, null from 90 years on.",
    nullable=True,
)
_SEX = Column("sex", pl.Enum(SEXES), "Administrative sex.", source="HL7 AdministrativeGender")
_RACE = Column("race", pl.Enum(RACES), "Race.", source="US Core, US Census 2020")
_ETHNICITY = Column(
    "ethnicity", pl.Enum(ETHNICITIES), "Ethnicity; more of the younger are Hispanic.", source="US Core, US Census 2020"
)
_POSTAL = Column(
    "postal3", pl.String, "Three-digit area; 000 for those with fewer than 20,000 people.", format="###",
    source="45 CFR 164.514(b)(2)",
)  # fmt: skip
_PAYER = Column("payer_type", pl.Enum(payers.PAYERS), "Payer on the day: by age, with changes over the years.")


def _vital(name: str, dtype: type[pl.DataType], text: str, unit: str, low: float, high: float) -> Column:
    return Column(name, dtype, text, unit=unit, ge=low, le=high, nullable=True, source=NHANES)


ENCOUNTERS = TableSchema(
    "encounters",
    "events",
    "2.0",
    description="Encounters of patients with clinics, urgent care, the emergency department and the hospital. Fully "
    "synthetic: no real person, not derived from patient data.",
    columns=(
        Column(
            "encounter_id", pl.String, "Key of the encounter; i stay, v any other.",
            unique=True, format=ENCOUNTER_FORMAT,
        ),
        Column("timestamp", INSTANT, "Start of the encounter."),
        Column("record_id", pl.UInt32, "Running number of the row in its partition.", ge=0),
        Column("generator", pl.String, "Name of the generator.", vocabulary=True),
        _PATIENT,
        _MRN,
        _BIRTH,
        Column(
            "age_years", pl.UInt8,
            "Completed years at the start; with safe_harbor calendar years since that of birth, at most 90.",
            unit="years", ge=0, le=105,
        ),
        _SEX,
        _RACE,
        _ETHNICITY,
        _POSTAL,
        Column("encounter_class", pl.Enum(CLASSES), "Class of care."),
        Column(
            "fhir_class_code", pl.Enum(FHIR_CODES), "AMB, VR, EMER or IMP by class.", source="HL7 v3 ActEncounterCode"
        ),
        Column(
            "encounter_status", pl.Enum(STATUSES), "finished; of appointments also cancelled and no_show.", source=FHIR
        ),
        Column(
            "scheduled_lead_days", pl.UInt16, "Days from booking to appointment; null where nothing was booked.",
            unit="days", ge=0, le=365, nullable=True,
        ),
        Column(
            "encounter_end", INSTANT, "End of the encounter; of appointments that did not take place, the planned one.",
            nullable=True, known_at=DISCHARGED, known=AT_DISCHARGE,
        ),
        Column(
            "length_minutes", pl.UInt32, "Minutes from start to end.", unit="minutes", ge=1, nullable=True,
            known_at=DISCHARGED, known=AT_DISCHARGE,
        ),
        Column(
            "length_of_stay_days", pl.UInt8, "Nights of a stay; null outside the hospital.", unit="days", ge=1, le=60,
            nullable=True, known_at=DISCHARGED, known=AT_DISCHARGE,
        ),
        Column(
            "arrival_mode", pl.Enum(emergency.ARRIVALS), "How an emergency patient came; null elsewhere.", nullable=True
        ),
        Column("department", pl.Enum(DEPARTMENTS), "Department by class, diagnosis and age."),
        Column(
            "provider_id", pl.String,
            "Provider, of one facility or two: the patient's usual one in 65% of clinic visits.",
            format=PROVIDER_FORMAT,
        ),
        Column(
            "facility_id", pl.String, "Hospital (below 100) or clinic, near the patient in 70%.",
            format=FACILITY_FORMAT,
        ),
        Column(
            "reason_code", pl.Enum(complaints.NAMES), "Chief complaint; null for wellness, virtual and stays.",
            nullable=True,
        ),
        Column("reason_text", pl.Enum(complaints.TEXTS), "Text of the complaint.", nullable=True),
        Column(
            "primary_diagnosis_code", pl.Enum(CODES), "Diagnosis, valid on the date; null where nobody came.",
            nullable=True, source=ICD,
        ),
        Column("primary_diagnosis_text", pl.Enum(TEXTS), "Description of the code.", nullable=True, source=ICD),
        Column(
            "diagnosis_count", pl.UInt8, "Diagnoses: 1 + Poisson, at most 25; null where nobody came.", ge=1, le=25,
            nullable=True,
        ),
        Column("chronic_count", pl.UInt8, "Chronic conditions of the patient; never falls.", ge=0, le=19),
        Column(
            "esi_level", pl.UInt8, "Emergency severity, 1 the most urgent; null elsewhere.", ge=1, le=5, nullable=True,
            source="Emergency Severity Index",
        ),
        Column(
            "is_admitted", pl.Boolean, "Whether an emergency visit ends in a stay; null elsewhere.", nullable=True,
            known_at=DISCHARGED, known=AT_DISCHARGE,
        ),
        Column("admit_source", pl.Enum(stays.SOURCES), "Where a stay comes from; null elsewhere.", nullable=True),
        _vital("temperature_c", pl.Float64, "Body temperature.", "°C", 33, 42),
        _vital("heart_rate_bpm", pl.UInt8, "Heart rate.", "1/min", 30, 220),
        _vital("respiratory_rate", pl.UInt8, "Breaths.", "1/min", 6, 70),
        _vital("systolic_bp", pl.UInt16, "Systolic blood pressure; 35% of readings end in 0.", "mmHg", 50, 260),
        _vital("diastolic_bp", pl.UInt8, "Diastolic blood pressure, at least 10 below.", "mmHg", 25, 150),
        _vital("spo2_pct", pl.UInt8, "Oxygen saturation.", "%", 60, 100),
        _vital("height_cm", pl.Float64, "Height.", "cm", 40, 215),
        _vital("weight_kg", pl.Float64, "Weight.", "kg", 0.5, 350),
        _vital("bmi", pl.Float64, "weight / height² where both were taken.", "kg/m²", 11, 75),
        _vital("pain_score", pl.UInt8, "Pain reported in emergency and urgent care.", "0-10", 0, 10),
        _PAYER,
        Column(
            "total_charge", pl.Float64, "List price; null where nobody came.", unit="USD", ge=0, nullable=True,
            known_at=DISCHARGED, known=AT_DISCHARGE,
        ),
        Column(
            "total_paid", pl.Float64, "What the payer pays, at most the charge.", unit="USD", ge=0, nullable=True,
            known_at=pl.col("payment_date"), known="on the day of payment",
        ),
        Column(
            "payment_date", pl.Date, "Day of payment, 20 to 90 days after the end.", nullable=True,
            known_at=pl.col("payment_date"), known="on the day of payment",
        ),
        Column(
            "discharge_disposition", pl.Enum(DISPOSITIONS), "Where the patient went; null where nobody came.",
            nullable=True, known_at=DISCHARGED, known=AT_DISCHARGE, source="HL7 FHIR encounter-discharge-disposition",
        ),
        Column(
            "is_readmitted_30d", pl.Boolean,
            "Whether another stay begins 1 to 30 days after discharge; null unless an index stay (aged 1 or more, "
            "discharged alive, under 60 days).",
            nullable=True, known_at=READMISSION_KNOWN, known=AT_READMISSION,
        ),
        Column(
            "days_to_readmission", pl.UInt8, "Days from discharge to readmission; null without one.", unit="days", ge=1,
            le=30, nullable=True, known_at=READMISSION_KNOWN, known=AT_READMISSION,
        ),
    ),
)  # fmt: skip

READMISSION_OUTCOMES = TableSchema(
    "readmission_outcomes",
    "labels",
    "1.0",
    description="Outcomes of index stays, partitioned by the day on which they became known.",
    window=LABEL_WINDOW,
    key=("encounter_id",),
    columns=(
        Column("encounter_id", pl.String, "The index stay.", unique=True, format=ENCOUNTER_FORMAT),
        Column("discharge_date", pl.Date, "Day of discharge."),
        Column("is_readmitted_30d", pl.Boolean, "Whether another stay begins 1 to 30 days after discharge."),
        Column(
            "days_to_readmission", pl.UInt8, "Days from discharge to readmission; null without one.", unit="days", ge=1,
            le=30, nullable=True,
        ),
        Column(
            "readmission_encounter_id", pl.String, "The stay that follows; null without one.", nullable=True,
            format=ENCOUNTER_FORMAT, refers_to="encounters",
        ),
        Column("outcome_known_date", pl.Date, "Day of the readmission, or 31 days after discharge."),
    ),
)  # fmt: skip

PATIENTS = TableSchema(
    "patients",
    "dimension",
    "1.0",
    description="Patients and their versions: a new one where the payer changes.",
    key=("patient_id", "valid_from"),
    columns=(
        _PATIENT,
        Column("valid_from", pl.Date, "First day on which the version holds."),
        Column(
            "valid_to", pl.Date, "First day on which it no longer holds; null while it does.", nullable=True,
            known="when the version ends",
        ),
        _MRN,
        _BIRTH,
        _SEX,
        _RACE,
        _ETHNICITY,
        _POSTAL,
        Column("usual_provider_id", pl.String, "The patient's usual provider of primary care.", format=PROVIDER_FORMAT),
        _PAYER,
    ),
)  # fmt: skip
