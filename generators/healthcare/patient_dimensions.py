"""The dimension of patient_records: patients, with a version for each change of cover."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from generators.days import dates, day_number
from generators.entities import I64
from generators.healthcare import patient_ids, patient_tables
from generators.healthcare.care_sites import DEPARTMENTS, CareSites
from generators.healthcare.encounter_columns import SAFE_HARBOR_AGE, birth_dates
from generators.healthcare.patients import Patients, Population
from generators.healthcare.payers import SPAN_EDGES

BLOCK = 65_536
"""Slots a frame."""


def patients(
    population: Population, sites: CareSites, safe_harbor: bool, start: date, through: date
) -> Iterator[pl.DataFrame]:
    """Yield everyone alive on some day of [start, through], from birth, with the versions valid from by `through`.

    With `safe_harbor` versions begin on 1 January of the year of birth, not before `start`, and those born later in the
    year of `through` are there too: neither a version nor its appearance gives a birth date away.
    """
    first, last = day_number(start), day_number(through)
    for begin in range(0, population.slots, BLOCK):
        slots = np.arange(begin, min(begin + BLOCK, population.slots))
        yield _block(population, sites, safe_harbor, slots, first, last)


def _block(
    population: Population, sites: CareSites, safe_harbor: bool, slots: I64, first: int, last: int
) -> pl.DataFrame:
    earliest, _ = population.occupy(slots, first)
    latest, _ = population.occupy(slots, _year_end(last) if safe_harbor else last)
    count = (latest - earliest) // population.slots + 1
    owner = np.repeat(np.arange(len(slots)), count)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    slot = slots[owner]
    entity = earliest[owner] + step * population.slots
    born = population.born(slot, entity).astype(np.int64)
    begins = np.maximum(new_year(born, 0), first) if safe_harbor else born
    # Cover changes where age does: on a birthday, or on 1 January.
    edges, older = ((*SPAN_EDGES, SAFE_HARBOR_AGE), new_year) if safe_harbor else (SPAN_EDGES, birthday)
    days = [begins, *(older(born, years) for years in sorted(edges))]
    lost, _ = population.loss_draws(entity)
    days += population.scenario.payer_days(lost, last)
    breaks = np.sort(np.maximum(np.stack(days, axis=1), begins[:, None]), axis=1)
    exits = population.born(slot, entity + population.slots).astype(np.int64)
    kept = (breaks < exits[:, None]) & (breaks <= last)
    row, since = np.nonzero(kept)[0], breaks[kept]
    who = population.describe(slot[row], entity[row], (since - born[row]).astype(np.int32), since)
    row, since, who = _changes(row, since, who, safe_harbor)
    until = np.append(since[1:], 0)
    final = np.append(row[1:] != row[:-1], True)
    until = np.where(final, exits[row], until)
    return _frame(population, sites, safe_harbor, who, since, until, born[row], last)


def _changes(row: I64, since: I64, who: Patients, safe_harbor: bool) -> tuple[I64, I64, Patients]:
    """Return the versions that differ from the one before."""
    shown = who.payer.astype(np.int64)
    if safe_harbor:
        shown += 16 * (who.years >= SAFE_HARBOR_AGE)
    changed = np.append(True, (row[1:] != row[:-1]) | (shown[1:] != shown[:-1]))
    return row[changed], since[changed], who.take(changed)


def birthday(born: I64, years: int) -> I64:
    """Return the days on which people complete some years; those of 29 February do on 1 March of a common year."""
    days = born.astype("M8[D]")
    month = days.astype("M8[M]")
    place = days - month.astype("M8[D]")
    return np.asarray((month + 12 * years).astype("M8[D]") + place, "M8[D]").astype(np.int64)


def new_year(born: I64, years: int) -> I64:
    """Return 1 January of the years of birth and some years after."""
    return np.asarray((born.astype("M8[D]").astype("M8[Y]") + years).astype("M8[D]"), "M8[D]").astype(np.int64)


def _year_end(day: int) -> int:
    return int(new_year(np.array([day]), 1)[0]) - 1


def _frame(
    population: Population,
    sites: CareSites,
    safe_harbor: bool,
    who: Patients,
    since: I64,
    until: I64,
    born: I64,
    last: int,
) -> pl.DataFrame:
    seed, name = population.seed, population.generator
    usual = sites.usual(who.entity, DEPARTMENTS.index("primary_care"), sites.clinics(who.entity, who.area))
    columns: dict[str, Any] = {
        "patient_id": patient_ids.patient_text(who.entity, seed, name),
        "valid_from": dates(since),
        "valid_to": dates(until, until <= last),
        "mrn": patient_ids.mrn_text(who.entity, seed, name),
        "birth_date": birth_dates(born, who.years, safe_harbor),
        "sex": who.sex,
        "race": who.race,
        "ethnicity": who.ethnicity,
        "postal3": pl.Series(population.area_names).gather(who.area),
        "usual_provider_id": patient_ids.provider_text(usual),
        "payer_type": who.payer,
    }
    return patient_tables.PATIENTS.frame(columns)
