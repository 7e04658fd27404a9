"""Encounters of an integrated health system: clinics, urgent care, the emergency department and the hospital.

Five classes are drawn, each with its own volume and hours. The sixth is derived: inpatient rows are the stays that
begin on the day (`stays`), and the emergency visits that end in one come with them, as rows of `overlay`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property, lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.base import BaseGenerator, Batch, Process
from generators.calendar import LAST_DAY
from generators.days import day_number, day_of
from generators.healthcare import care_volume, patient_dimensions, patient_ids, patient_tables, payers, stays
from generators.healthcare.admissions import Admissions
from generators.healthcare.births import BirthCalendar
from generators.healthcare.care_sites import CareSites
from generators.healthcare.care_volume import CLASSES, DRAWN, EMERGENCY, INPATIENT
from generators.healthcare.diagnoses import DiagnosisMix, class_weights
from generators.healthcare.encounter_columns import EncounterColumns
from generators.healthcare.hospital import Hospital
from generators.healthcare.openings import Openings
from generators.healthcare.patient_config import PatientRecordsConfig
from generators.healthcare.patient_drift import CLINIC_CLASSES, PatientScenario
from generators.healthcare.patients import BIRTH_RATE, PATIENT_YEAR_ROWS, YEAR_DAYS, Population
from generators.healthcare.readmission import KNOWN_AFTER_DAYS
from generators.healthcare.seasons import SOUTHERN, Season, season
from generators.healthcare.stays import INELIGIBLE, YES
from generators.healthcare.use_of_care import UseOfCare, use_of_care
from generators.healthcare.visits import Visits
from generators.intraday import IntradayProfile, day_bounds
from generators.labels import EVENT_DAY, LAG
from generators.randomness import F64, stream
from generators.registry import register_generator
from generators.volume import VolumeModel


def _civil(day: int) -> date:
    """Return the date of a day; chains are opened in whole chunks, which may reach beyond the calendar."""
    return min(day_of(day), LAST_DAY)


@register_generator("patient_records")
class PatientRecordsGenerator(BaseGenerator[PatientRecordsConfig]):
    """Encounters with patients who age, fall ill by season, are admitted and readmitted."""

    domain = "healthcare"
    description = "Healthcare encounters with patients, diagnoses, vital signs, payers, charges and readmissions."
    config_type = PatientRecordsConfig
    revision = 4
    tables = (patient_tables.ENCOUNTERS, patient_tables.READMISSION_OUTCOMES, patient_tables.PATIENTS)
    bin_minutes = 1

    # -- volume ---------------------------------------------------------------------------------------------------

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """One process a class, in the order of `CLASSES`."""
        config = self.config
        scenario = self.scenario if config.drift else None

        def one(name: str) -> Process:
            intraday = IntradayProfile.from_config(
                config, care_volume.HOURS[name], care_volume.weekday_hours(name), minutes=care_volume.GRID.get(name)
            )
            volume = VolumeModel.from_config(
                config,
                generator=self.name,
                calendar=self.calendar,
                process=name,
                tables=care_volume.tables(name, config.saturday_clinic, self._southern),
                share=config.class_shares[name],
                processes=CLASSES,
                intraday=intraday,
                drift=(lambda day: scenario.volume(name, day_number(day))) if scenario else None,
            )
            return Process(name, volume, intraday)

        return tuple(one(name) for name in CLASSES)

    def masses(self, day: date) -> NDArray[np.float64]:
        """Return the mean rows that `draw` makes: no stays, and of emergency visits those that end otherwise."""
        means = super().masses(day)
        deaths = stays.EMERGENCY_DEATH_SHARE * BIRTH_RATE / YEAR_DAYS * self.population.slots
        derived = deaths + stays.EMERGENCY_SHARE * self._stays_mean
        means[INPATIENT] = 0.0
        derived /= self.config.base_daily_volume * self._share(EMERGENCY)
        # Drifts change the visits of the department, not the stays that come through it.
        factor = self.scenario.volume("emergency", day_number(day))
        means[EMERGENCY] *= max(0.0, 1.0 - derived / factor)
        return means

    def _share(self, cls: int) -> float:
        return self.config.class_shares[CLASSES[cls]]

    @property
    def _stays_mean(self) -> float:
        return self.config.base_daily_volume * self._share(INPATIENT)

    @property
    def _southern(self) -> bool:
        return self.config.country in SOUTHERN

    # -- the world ------------------------------------------------------------------------------------------------

    @cached_property
    def payer_shares(self) -> tuple[tuple[float, ...], ...]:
        """Shares of payers by age segment."""
        return tuple(self.config.payer_shares[segment] for segment in payers.SEGMENTS)

    @cached_property
    def scenario(self) -> PatientScenario:
        """What the config's drifts do on each day."""
        clinics = sum(self.config.class_shares[name] for name in CLINIC_CLASSES)
        return PatientScenario(self.config.drift, clinics)

    @cached_property
    def population(self) -> Population:
        """The patients."""
        slots = max(1, round(self.config.base_daily_volume * 365 / PATIENT_YEAR_ROWS))
        births = BirthCalendar.of(self._southern)
        config = self.config
        return Population(
            config.seed, self.name, slots, self.payer_shares, births, self.scenario, by_year=config.safe_harbor
        )

    @cached_property
    def use(self) -> UseOfCare:
        """Who comes how often."""
        return use_of_care(self.payer_shares)

    @cached_property
    def mix(self) -> DiagnosisMix:
        """Diagnoses by class, age, sex and season."""
        return _mix(self.payer_shares, stays.EMERGENCY_SHARE * self._share(INPATIENT) / self._share(EMERGENCY))

    @cached_property
    def hospital(self) -> Hospital:
        """The stays."""
        volume = self.processes[INPATIENT].volume
        openings = Openings(
            self.population,
            self._stays_mean,
            self.config.readmission_rate,
            volume=lambda day: volume.intensity(_civil(day)),
        )
        return Hospital(openings, self.mix, season=lambda day: self.season(_civil(day)))

    @cached_property
    def admissions(self) -> Admissions:
        """The rows that stays make."""
        seed = self.config.seed
        return Admissions(
            self.hospital, self.config.timezone, lambda day, column: stream(seed, self.name, day, "stays", column)
        )

    @cached_property
    def visits(self) -> Visits:
        """The visits that are drawn."""
        return Visits(self.population, self.use, self.mix, self.config.no_show_rate)

    @cached_property
    def sites(self) -> CareSites:
        """Providers and facilities."""
        volumes = {cls: self.config.base_daily_volume * self._share(cls) for cls in (*DRAWN, INPATIENT)}
        return CareSites(self.population, self.mix, volumes, self.config.base_daily_volume)

    @cached_property
    def columns(self) -> EncounterColumns:
        """What makes the columns."""
        config = self.config
        return EncounterColumns(
            self.population,
            self.sites,
            config.timezone,
            config.safe_harbor,
            config.digit_preference,
            config.charge_growth,
        )

    def season(self, day: date) -> Season:
        """Return what the date says about disease."""
        wave = self.scenario.flu(day_number(day))
        return season(day, self.config.seed, self.name, self._southern, self.config.flu_severity, wave)

    def vocabularies(self) -> Mapping[str, tuple[str, ...]]:
        """Return the texts that no identifier format covers."""
        return {"generator": (self.name,), "areas": self.population.area_names}

    # -- rows -----------------------------------------------------------------------------------------------------

    def draw(self, batch: Batch) -> pl.DataFrame:
        """Return the visits of one slice."""
        local = pl.Series(batch.timestamp).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(self.config.timezone)
        hour = local.dt.hour().cast(pl.UInt8).to_numpy()
        rows = self.visits.draw(batch, hour, self.season(batch.day), self._inside(batch.day))
        return self.columns.frame(rows)

    def overlay(self, day: date) -> pl.DataFrame | None:
        """Return the stays that begin on a day and the emergency visits that end in one, or in death."""
        begin, end = day_bounds(day, self.config.timezone)
        if begin == end:  # the zone skipped the day
            return None
        rows = self.admissions.rows(day)
        frame = self.columns.frame(rows)
        return frame.insert_column(0, pl.Series("timestamp", rows.start))

    def _inside(self, day: date) -> NDArray[np.int64]:
        """Return the slots of patients in hospital on a day; slices of one day share them."""
        known: tuple[date, NDArray[np.int64]] | None = self.__dict__.get("_in_hospital")
        if known is None or known[0] != day:
            known = self.__dict__["_in_hospital"] = (day, self.hospital.in_hospital(day_number(day)))
        return known[1]

    # -- labels and dimensions ------------------------------------------------------------------------------------

    def outcomes(self, table: str, day: date) -> pl.DataFrame:
        """Return the outcomes of the index stays that begin on a day: slot, nights, and days to readmission or 0."""
        if table != patient_tables.READMISSION_OUTCOMES.name:
            return super().outcomes(table, day)
        found = self.hospital.on_day(day_number(day)).stays
        index = found.take(np.flatnonzero(found.outcome != INELIGIBLE))
        wait = np.where(index.outcome == YES, index.delay, np.uint8(KNOWN_AFTER_DAYS))
        return pl.DataFrame(
            {"slot": index.slot, "los": index.los, "delay": index.delay, LAG: (index.los + wait).astype(np.uint8)}
        )

    def label_rows(self, table: str, known: pl.DataFrame, day: date) -> pl.DataFrame:
        """Return the outcomes that become known on a day; a readmission becomes known on its own day."""
        seed, slot = self.config.seed, known["slot"].to_numpy()
        days = known[EVENT_DAY].cast(pl.Int32).to_numpy()
        today = day_number(day)
        letter = patient_ids.STAY
        own = patient_ids.stay_numbers(slot, days, seed, self.name)
        next_ = patient_ids.stay_numbers(slot, today, seed, self.name)
        readmitted = pl.col("delay") > 0
        return known.select(
            patient_ids.encounter_text(days, letter, own).alias("encounter_id"),
            (pl.col(EVENT_DAY) + pl.duration(days=pl.col("los").cast(pl.Int64))).alias("discharge_date"),
            readmitted.alias("is_readmitted_30d"),
            pl.when(readmitted).then("delay").alias("days_to_readmission"),
            pl.when(readmitted)
            .then(patient_ids.encounter_text(today, letter, next_).alias("id"))
            .alias("readmission_encounter_id"),
            pl.lit(day).alias("outcome_known_date"),
        )

    def dimension(self, table: str, start: date, through: date) -> Iterator[pl.DataFrame]:
        """Yield the patients with their versions valid from by `through`."""
        if table != patient_tables.PATIENTS.name:
            return super().dimension(table, start, through)
        return patient_dimensions.patients(self.population, self.sites, self.config.safe_harbor, start, through)


@lru_cache(maxsize=8)
def _mix(payer_shares: tuple[tuple[float, ...], ...], derived: float) -> DiagnosisMix:
    """Return the mix of diagnoses; generators with the same payers and classes share its tables.

    Args:
        payer_shares: Shares of payers by age segment.
        derived: Part of emergency visits that end in a stay: they have the diagnoses of stays, and the others make up
            for what these leave of the yearly shares.
    """
    targets: dict[int, F64] = {cls: class_weights(cls) for cls in range(len(CLASSES))}
    rest = np.maximum(targets[EMERGENCY] - derived * targets[INPATIENT], 0.1 * targets[EMERGENCY])
    targets[EMERGENCY] = rest / rest.sum()
    use = use_of_care(payer_shares)
    return DiagnosisMix({cls: use.rows(cls) for cls in targets}, targets)
