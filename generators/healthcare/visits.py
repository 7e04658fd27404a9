"""Visits that are drawn: who comes to clinics, calls, urgent care and the emergency department, and how it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.base import Batch
from generators.entities import I64
from generators.healthcare import emergency, patient_ids, payers, stays
from generators.healthcare.care_volume import AMBULATORY, DRAWN, EMERGENCY, VIRTUAL, WELLNESS
from generators.healthcare.diagnoses import ALCOHOL, DRAW_BITS, DiagnosisMix, cells
from generators.healthcare.encounters import (
    CANCELLED,
    FINISHED,
    HOME,
    MINUTE,
    NO_SHOW,
    U8,
    U16,
    Encounters,
    lanes,
)
from generators.healthcare.patients import WEIGHT_BLOCK, Patients, Population
from generators.healthcare.seasons import Season
from generators.healthcare.use_of_care import EVENING_CHILDREN, UseOfCare, cell_of
from generators.randomness import LANES, AliasTable, normal_table

EVENING = (17, 24)
"""Hours in which children are a larger part of emergency arrivals."""
NIGHT = (22, 4)
NIGHT_ALCOHOL = 3.0
"""Factor of alcohol intoxication among emergency arrivals from 22 to 4 h."""

#          inpatient, ambulatory, wellness, virtual, urgent, emergency
MINUTES = (0.0, 22.0, 28.0, 17.0, 48.0, 165.0)
MINUTES_SIGMA = (0.0, 0.45, 0.35, 0.40, 0.45, 0.62)
"""Median and log standard deviation of the length of visits in minutes."""

LEAD_MEDIAN, LEAD_SIGMA, MAX_LEAD = 6.0, 1.3, 365
CANCELLED_SHARE = 0.035
"""Share of appointments that are cancelled late."""
NO_SHOW_LEAD = (14, 0.8, 1.5)
"""Days of lead, factor of missed appointments up to it, factor beyond."""
NO_SHOW_YOUNG, NO_SHOW_MEDICAID = 1.4, 1.6
_YOUNG = (18, 35)
_NO_SHOW_MEAN = 1.16
"""Mean of the product of these factors over appointments."""


@dataclass(frozen=True, eq=False)
class Visits:
    """What drawing visits needs of a config.

    Attributes:
        population: The patients.
        use: Their use of care.
        mix: Diagnoses by class.
        no_show: Share of appointments that are missed.
    """

    population: Population
    use: UseOfCare
    mix: DiagnosisMix
    no_show: float

    def draw(self, batch: Batch, hour: U8, season: Season, inside: I64) -> Encounters:
        """Return the visits of a slice.

        Args:
            batch: Instants, classes and streams.
            hour: (n,) local hours.
            season: The day's season.
            inside: Sorted slots of patients who are in hospital on the day.
        """
        cls = np.maximum(batch.process, np.uint8(1))
        who = self._patients(batch, cls, hour, inside)
        diagnosis = self._diagnoses(batch, cls, who, hour, season)
        lead, booked = self._leads(batch, cls)
        status = self._statuses(batch, who, lead, booked)
        ed = np.flatnonzero(cls == EMERGENCY)
        esi, disposition = np.zeros(batch.n, np.uint8), np.full(batch.n, HOME, np.uint8)
        esi[ed] = emergency.severities(
            lanes(batch.rng("esi_level"), len(ed)), who.years[ed], hour[ed], diagnosis[ed], False
        )
        disposition[ed] = emergency.dispositions(lanes(batch.rng("discharge_disposition"), len(ed)))
        minutes = self._minutes(batch, cls, esi)
        blank = np.zeros(batch.n, np.uint8)
        return Encounters(
            day=batch.day,
            rng=batch.rng,
            cls=cls,
            who=who,
            start=batch.timestamp,
            end=batch.timestamp + minutes.astype(np.int64) * MINUTE,
            diagnosis=diagnosis,
            status=status,
            esi=esi,
            disposition=disposition,
            los=blank,
            source=blank,
            lead=lead,
            booked=booked,
            family=who.entity,
            letter=blank + np.uint8(patient_ids.VISIT),
            number=patient_ids.visit_numbers(batch.row, batch.day, batch.seed, batch.generator),
            outcome=blank + np.uint8(stays.INELIGIBLE),
            delay=blank,
        )

    # -- who ------------------------------------------------------------------------------------------------------

    def _patients(self, batch: Batch, cls: U8, hour: U8, inside: I64) -> Patients:
        """Return who comes: slots by activity weight, accepted by their use of the class, none who is in hospital."""
        order: list[NDArray[Any]] = []
        found: list[I64] = []
        for group in DRAWN:
            rows = np.flatnonzero(cls == group)
            late = hour[rows] >= EVENING[0] if group == EMERGENCY else np.zeros(len(rows), np.bool_)
            for children, part in ((1.0, rows[~late]), (EVENING_CHILDREN, rows[late])):
                if len(part):
                    order.append(part)
                    found.append(self._accepted(batch, group, children, len(part), inside))
        slots = np.empty(batch.n, np.int64)
        slots[np.concatenate(order)] = np.concatenate(found)
        return self.population.on_day(slots, batch.day_number)

    def _accepted(self, batch: Batch, cls: int, children: float, n: int, inside: I64) -> I64:
        """Return (n,) accepted slots: rounds of candidates, as many as are expected to do."""
        thresholds, share = self.use.acceptance(cls, children)
        rng = batch.rng(f"patient {cls} {children}")
        # A newborn's first days belong to the hospital.
        missing, found = n, []
        while missing > 0:
            count = int(missing / share * 1.03 + 4 * math.sqrt(missing) / share) + 16
            slots = draw_slots(self.population, count, rng)
            who = self.population.on_day(slots, batch.day_number)
            kept = lanes(rng, count) < thresholds[cell_of(who)]
            kept &= who.age_days > 0
            slots = slots[kept]
            if len(inside):
                place = np.minimum(np.searchsorted(inside, slots), len(inside) - 1)
                slots = slots[inside[place] != slots]
            found.append(slots[:missing])
            missing -= len(found[-1])
        return np.concatenate(found)

    # -- what -----------------------------------------------------------------------------------------------------

    def _diagnoses(self, batch: Batch, cls: U8, who: Patients, hour: U8, season: Season) -> U8:
        cell = cells(who.years, who.female).astype(np.intp)
        index = cell << DRAW_BITS | lanes(batch.rng("primary_diagnosis_code"), batch.n) >> (16 - DRAW_BITS)
        found = np.empty(batch.n, np.uint8)
        for group in DRAWN:
            rows = np.flatnonzero(cls == group)
            if len(rows):
                found[rows] = self.mix.picks(group, season)[index[rows]]
        night = np.flatnonzero((cls == EMERGENCY) & ((hour >= NIGHT[0]) | (hour < NIGHT[1])))
        if len(night):
            # Three times as many among n rows: of the others a part 2 s / (1 + 2 s) becomes intoxication.
            share = self.mix.shares(EMERGENCY, season)[:, ALCOHOL]
            more = (NIGHT_ALCOHOL - 1) * share / (1 + (NIGHT_ALCOHOL - 1) * share)
            turned = lanes(batch.rng("night"), len(night)) < (more * LANES)[cell[night]]
            found[night[turned]] = ALCOHOL
        return found

    def _leads(self, batch: Batch, cls: U8) -> tuple[U16, NDArray[np.bool_]]:
        booked = (cls == AMBULATORY) | (cls == WELLNESS) | (cls == VIRTUAL)
        return lead_days()[lanes(batch.rng("scheduled_lead_days"), batch.n)], booked

    def _statuses(self, batch: Batch, who: Patients, lead: U16, booked: NDArray[np.bool_]) -> U8:
        days, near, far = NO_SHOW_LEAD
        odds = np.where(lead > days, np.float32(far), np.float32(near))
        odds *= np.where((who.years >= _YOUNG[0]) & (who.years < _YOUNG[1]), np.float32(NO_SHOW_YOUNG), np.float32(1))
        odds *= np.where(who.payer == payers.MEDICAID, np.float32(NO_SHOW_MEDICAID), np.float32(1))
        missed = odds * np.float32(self.no_show * LANES / _NO_SHOW_MEAN)
        draw = lanes(batch.rng("encounter_status"), batch.n).astype(np.float32)
        status = np.where(draw < missed, np.uint8(NO_SHOW), np.uint8(FINISHED))
        status[(draw >= missed) & (draw < missed + np.float32(CANCELLED_SHARE * LANES))] = CANCELLED
        status[~booked] = FINISHED
        return status.astype(np.uint8)

    def _minutes(self, batch: Batch, cls: U8, esi: U8) -> NDArray[np.float64]:
        sigma = np.array(MINUTES_SIGMA)[cls]
        minutes = np.exp(sigma * normal_table()[lanes(batch.rng("length_minutes"), batch.n)])
        minutes *= np.array(MINUTES)[cls] * np.array(emergency.MINUTES_BY_ESI)[esi]
        return np.clip(np.rint(minutes), 3, 2_000)


def draw_slots(population: Population, n: int, rng: np.random.Generator) -> I64:
    """Return (n,) slots drawn in proportion to their activity weights, which repeat in blocks."""
    full, rest = divmod(population.slots, WEIGHT_BLOCK)
    weights = population.weights
    whole, part = full * float(weights.sum()), float(weights[:rest].sum()) if rest else 0.0
    uniform = rng.random(n)
    if not full:
        return _alias(population, rest).draw(uniform)
    uniform *= (whole + part) / whole
    inside = uniform < 1.0
    uniform *= full
    block = uniform.astype(np.int64)
    slots = _alias(population, WEIGHT_BLOCK).draw(uniform - block)
    slots += block * WEIGHT_BLOCK
    if rest:
        outside = np.flatnonzero(~inside)
        slots[outside] = full * WEIGHT_BLOCK + _alias(population, rest).draw(rng.random(len(outside)))
    return slots


def _alias(population: Population, size: int) -> AliasTable:
    tables: dict[int, AliasTable] = population.__dict__.setdefault("_alias_tables", {})
    if size not in tables:
        tables[size] = AliasTable(population.weights[:size])
    return tables[size]


@lru_cache(maxsize=1)
def lead_days() -> U16:
    """Return days between booking and appointment by 16-bit draw: log-normal, median 6."""
    days = np.rint(LEAD_MEDIAN * np.exp(LEAD_SIGMA * normal_table()))
    return np.minimum(days, MAX_LEAD).astype(np.uint16)
