"""Where care happens: departments by class, diagnosis and age, their providers, and the facilities of an area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.days import day_number
from generators.entities import I64
from generators.healthcare.care_volume import (
    AMBULATORY,
    CLASSES,
    EMERGENCY,
    INPATIENT,
    SCHEDULED,
    URGENT,
    VIRTUAL,
    WELLNESS,
)
from generators.healthcare.diagnoses import BAND_STARTS, DIAGNOSES, SURGICAL, DiagnosisMix, members
from generators.healthcare.encounters import U16, Encounters
from generators.healthcare.patients import AREAS, Flags, Population, area_shares
from generators.healthcare.seasons import Season
from generators.randomness import F64, LANES, hash64, hash_key, hash_lanes, pick_table, stream

U8 = NDArray[np.uint8]

DEPARTMENTS = (
    "primary_care", "pediatrics", "internal_medicine", "ob_gyn", "cardiology", "orthopedics", "dermatology",
    "behavioral_health", "ophthalmology", "emergency", "med_surg", "icu", "surgery", "maternity", "newborn",
)  # fmt: skip
_D = {name: number for number, name in enumerate(DEPARTMENTS)}
PEDIATRICS, MATERNITY = _D["pediatrics"], _D["maternity"]
ADULT_YEARS = 18
PICKS = 256

_SPECIALISTS: Mapping[str, tuple[str, ...]] = {
    "cardiology": ("I10", "I50.9", "I48.91", "I21.4", "R07.9"),
    "orthopedics": ("M54.50", "M25.561", "M17.11", "S93.401A", "S52.501A", "S72.001A"),
    "dermatology": ("L30.9", "L03.90"),
    "behavioral_health": ("F41.1", "F32.A", "F10.129"),
    "ophthalmology": ("E11.9",),
}
_SPECIALIST_SHARE = {
    "cardiology": 0.20, "orthopedics": 0.50, "dermatology": 0.60, "behavioral_health": 0.60, "ophthalmology": 0.12,
}  # fmt: skip
"""Share of clinic visits with one of the codes that a specialist sees."""
_WOMEN = ("Z34.90", "Z01.419", "Z12.31")
_CRITICAL = members("A41.9", "I21.4", "I63.9", "J18.9", "I50.9")
_OPERATED = SURGICAL | members("M17.11")

OFFICE, WALK_IN, EMERGENCY_ROOM, WARD = range(4)
"""Pools of providers; clinics, wellness and virtual visits share one."""
_POOL_OF_CLASS = {
    **dict.fromkeys(SCHEDULED, OFFICE), URGENT: WALK_IN, EMERGENCY: EMERGENCY_ROOM, INPATIENT: WARD,
}  # fmt: skip
PROVIDER_DAY_ROWS = 15.0
"""Encounters of a provider on an average working day; the busiest days have half as many again."""
WORKING_DAY = 1.43
"""Volume of clinics on a working day relative to the mean over all days."""
USUAL_PROVIDER = 0.65
"""Share of clinic visits at the patient's usual provider of the department."""
GOLDEN_RATIO = 0.618034
"""Part of a turn by which facilities begin apart."""
PROVIDERS = 1_000_000
"""Provider numbers have six digits; above 15 million rows a day providers see more patients."""

SPARE_PROVIDERS = 20_000
"""Numbers kept for what facilities' shares are rounded up by."""

HOSPITALS, CLINICS, FACILITIES = 100, 900, 1_000
NEW_CLINIC = 900
"""First number of clinics that open under a drift; without one there are fewer."""
HOME_FACILITY = 0.7
"""Share of an area's patients who go to the area's own facility."""
ZIPF = 0.7


def _departments(cls: int, diagnosis: int, adult: bool) -> dict[str, float]:
    """Return the shares of departments of an encounter."""
    code = DIAGNOSES[diagnosis].code
    if cls == EMERGENCY:
        return {"emergency": 1.0}
    if cls == INPATIENT:
        return _ward(diagnosis, code)
    if not adult and cls != AMBULATORY:
        return {"pediatrics": 1.0}
    general = {"primary_care": 0.6, "internal_medicine": 0.4} if adult else {"pediatrics": 1.0}
    if cls == URGENT:
        return {"primary_care": 1.0}
    if code in _WOMEN and (adult or code != "Z12.31"):
        return {"ob_gyn": 0.8, **{name: 0.2 * share for name, share in general.items()}}
    for name, codes in _SPECIALISTS.items():
        if code in codes and cls != WELLNESS and not (cls == VIRTUAL and name == "ophthalmology"):
            part = _SPECIALIST_SHARE[name]
            return {name: part, **{n: (1 - part) * share for n, share in general.items()}}
    return general


def _ward(diagnosis: int, code: str) -> dict[str, float]:
    if code in ("O80", "Z38.00"):
        return {"maternity" if code == "O80" else "newborn": 1.0}
    if _OPERATED[diagnosis]:
        return {"surgery": 1.0}
    if _CRITICAL[diagnosis]:
        return {"icu": 0.22, "med_surg": 0.78}
    return {"med_surg": 0.97, "icu": 0.03}


@lru_cache(maxsize=1)
def _department_shares() -> F64:
    """Return (6, 54, 2, 15) shares of departments by class, diagnosis and adult."""
    table = np.zeros((len(CLASSES), len(DIAGNOSES), 2, len(DEPARTMENTS)))
    for cls in range(len(CLASSES)):
        for diagnosis in range(len(DIAGNOSES)):
            for adult in (0, 1):
                for name, share in _departments(cls, diagnosis, bool(adult)).items():
                    table[cls, diagnosis, adult, _D[name]] += share
    return table


@lru_cache(maxsize=1)
def _department_picks() -> U8:
    """Return (6 * 54 * 2 * 256,) departments by class, diagnosis, adult and 8-bit draw."""
    edges = np.round(np.cumsum(_department_shares(), axis=-1) * PICKS).astype(np.int64)
    counts = np.diff(edges, axis=-1, prepend=0).reshape(-1, len(DEPARTMENTS))
    codes = np.tile(np.arange(len(DEPARTMENTS), dtype=np.uint8), len(counts))
    return np.repeat(codes, counts.ravel())


def departments(rows: Encounters) -> U8:
    """Return the department of (n,) encounters."""
    cell = rows.cls.astype(np.intp) * len(DIAGNOSES) + rows.diagnosis
    cell = cell * 2 + (rows.who.years >= ADULT_YEARS)
    return np.asarray(_department_picks()[cell << 8 | rows.lanes("department") >> 8], np.uint8)


@dataclass(frozen=True, eq=False)
class CareSites:
    """Providers and facilities of one config.

    Attributes:
        population: The patients.
        mix: Diagnoses by class, which decide how many providers a department needs.
        volumes: Class -> mean rows a day.
        base: Rows on an ordinary day; decides the number of facilities.
    """

    population: Population
    mix: DiagnosisMix
    volumes: Mapping[int, float]
    base: int

    @cached_property
    def _loads(self) -> F64:
        """Return (4, 15) encounters on a working day by pool and department."""
        ordinary = Season(climate=3, month=3, flu=0.6, weekend=False, covid=True)
        load = np.zeros((4, len(DEPARTMENTS)))
        adult = _cell_is_adult()
        for cls, volume in self.volumes.items():
            people = self.mix.masses(cls)
            by_diagnosis = people[:, None] * self.mix.shares(cls, ordinary)
            by_age = np.stack([by_diagnosis[~adult].sum(axis=0), by_diagnosis[adult].sum(axis=0)], axis=1)
            rows = volume * (WORKING_DAY if cls in SCHEDULED else 1.0)
            load[_POOL_OF_CLASS[cls]] += rows * np.einsum("da,dak->k", by_age, _department_shares()[cls])
        load[WARD, [MATERNITY, _D["newborn"]]] = load[WARD].sum() * 0.15
        return load

    @cached_property
    def _pools(self) -> tuple[I64, I64]:
        """Return ((60,000,) first half, (60,000,) halves) of the providers of each (pool, department, facility).

        Time is shared out in halves of providers, at least one to a facility and department: a provider belongs to one
        facility, or to two neighbours in the order of numbers.
        """
        of_facility = np.zeros((4, FACILITIES))
        for pools, (own, far) in zip(((EMERGENCY_ROOM, WARD), (OFFICE, WALK_IN)), self._facility_tables, strict=True):
            share = (1 - HOME_FACILITY) * np.bincount(far, minlength=FACILITIES) / LANES
            share += HOME_FACILITY * np.bincount(own, area_shares(), minlength=FACILITIES)
            of_facility[list(pools)] = share
        needed = self._loads / PROVIDER_DAY_ROWS
        needed *= min(1.0, (PROVIDERS - SPARE_PROVIDERS) / needed.sum())
        # Rounded up from a quarter on: a half that does the work of one and a half would be overrun on busy days.
        halves = np.ceil(2 * needed[:, :, None] * of_facility[:, None, :] - 0.25).astype(np.int64)
        halves = np.where(of_facility[:, None, :] > 0, np.maximum(halves, 1), 0).reshape(-1, FACILITIES)
        size = halves.sum(axis=1)
        size += size % 2  # nobody works in two departments
        first = (np.cumsum(size) - size)[:, None] + np.cumsum(halves, axis=1) - halves
        return first.ravel(), halves.ravel()

    def usual(self, entity: I64, department: U8 | int, facility: U16) -> I64:
        """Return the usual provider of (n,) patients in a department of their clinic: numbers below 10**6."""
        first, halves = self._pools
        place = (OFFICE * len(DEPARTMENTS) + np.asarray(department, np.int64)) * FACILITIES + facility
        words = hash64(self._key("usual provider"), entity * 16 + department) >> np.uint64(32)
        return self._shown((first[place] + (words.astype(np.int64) * halves[place] >> 32)) // 2)

    def providers(self, rows: Encounters, department: U8, facility: U16) -> I64:
        """Return the provider of (n,) encounters: the usual one, or whoever's turn it is in the department.

        Args:
            rows: The encounters.
            department: (n,) departments.
            facility: (n,) facilities of `homes`.
        """
        first, halves = self._pools
        kind = np.array([_POOL_OF_CLASS[cls] for cls in range(len(CLASSES))])[rows.cls]
        rng = rows.rng("provider_id")
        familiar = (kind == OFFICE) & (rng.random(len(rows)) < USUAL_PROVIDER)
        number = np.empty(len(rows), np.int64)
        begin = float(rng.random())
        others = np.flatnonzero(~familiar)
        # Turns go round, so that nobody gets much more than a fair share of the patients without a usual provider.
        place = ((kind[others] * len(DEPARTMENTS) + department[others]) * FACILITIES + facility[others]).astype(
            np.uint16
        )
        order = np.argsort(place, kind="stable")
        of = place[order].astype(np.int64)
        turn: I64 = np.arange(len(of)) - np.searchsorted(of, of)
        turn += ((begin + GOLDEN_RATIO * of) % 1.0 * halves[of]).astype(np.int64)
        number[others[order]] = self._shown((first[of] + turn % halves[of]) // 2)
        known = np.flatnonzero(familiar)
        number[known] = self.usual(rows.who.entity[known], department[known], facility[known])
        return number

    def homes(self, rows: Encounters) -> U16:
        """Return the facility of (n,) encounters before any clinic opens: hospitals 0 to 99, clinics 100 to 999."""
        area = rows.who.area.copy()
        newborn = np.flatnonzero(rows.family != rows.who.entity)
        area[newborn] = self.population.area_of(rows.family[newborn])
        return self._home(rows.family, area, rows.inpatient | rows.emergency)

    def clinics(self, entity: I64, area: U8) -> U16:
        """Return the clinics of (n,) patients before any other opens."""
        return self._home(entity, area, np.zeros(len(entity), np.bool_))

    def _home(self, family: I64, area: U8, hospital: Flags) -> U16:
        home, pick, ward_home, ward_pick = hash_lanes(self._key("facility"), family)
        wards, clinics = self._facility_tables
        near = np.where(hospital, ward_home, home) < int(HOME_FACILITY * LANES)
        own = np.where(hospital, wards[0][area], clinics[0][area])
        far = np.where(hospital, wards[1][ward_pick], clinics[1][pick])
        return np.where(near, own, far).astype(np.uint16)

    def facilities(self, rows: Encounters, homes: U16) -> U16:
        """Return the facility of (n,) encounters: those of `homes`, or a clinic that has opened since.

        Its visits have providers of the patients' old clinics, who come over.
        """
        shares = np.cumsum(self.population.scenario.clinic_shares(day_number(rows.day)))
        if not len(shares):
            return homes
        found = homes.copy()
        number = np.searchsorted(shares, self._way_to_new_clinics(rows), side="right")
        moved = np.flatnonzero((number < len(shares)) & ~(rows.inpatient | rows.emergency))
        found[moved] = NEW_CLINIC + number[moved]
        return found

    def _way_to_new_clinics(self, rows: Encounters) -> F64:
        """Return how far in [0, 1) patients of (n,) encounters are from new clinics, evenly over all patients.

        Most live in areas that are near or far as a whole; where an area is, the seed decides.
        """
        near, inside, anywhere, _ = hash_lanes(self._key("new clinic"), rows.who.entity)
        order = stream(self.population.seed, self.population.generator, "new clinics").permutation(AREAS)
        share = area_shares()
        before = np.empty(AREAS)
        before[order] = np.cumsum(share[order]) - share[order]
        by_area = before[rows.who.area] + share[rows.who.area] * (inside / LANES)
        return np.asarray(np.where(near < int(HOME_FACILITY * LANES), by_area, anywhere / LANES), np.float64)

    @cached_property
    def _facility_tables(self) -> tuple[tuple[U16, U16], tuple[U16, U16]]:
        """Return for hospitals and clinics ((48,) facility of an area, (65,536,) facility by draw)."""
        rng = stream(self.population.seed, self.population.generator, "facilities")
        found = []
        for first, count in (
            (0, int(np.clip(self.base // 1_500, 2, HOSPITALS))),
            (HOSPITALS, int(np.clip(self.base // 250, 3, CLINICS // 4))),
        ):
            shares = np.arange(1, count + 1) ** -ZIPF
            # Large areas have the large facilities: areas come in order of size, their facility by chance nearby.
            place = np.cumsum(area_shares()) - area_shares() / 2
            edges = np.cumsum(shares) / shares.sum()
            near = np.searchsorted(edges, np.clip(place + rng.normal(0, 0.1, AREAS), 0, 0.999999))
            found.append(((first + near).astype(np.uint16), (first + pick_table(shares.tolist())).astype(np.uint16)))
        return found[0], found[1]

    def _shown(self, number: I64) -> I64:
        """Return numbers that do not show pool or department: a bijection of [0, 10**6)."""
        return (number * 618_033 + int(self._key("provider") >> np.uint64(44))) % PROVIDERS

    def _key(self, name: str) -> np.uint64:
        return hash_key(self.population.seed, self.population.generator, "site", name)


def _cell_is_adult() -> NDArray[np.bool_]:
    return np.repeat(np.array(BAND_STARTS) >= ADULT_YEARS, 2)
