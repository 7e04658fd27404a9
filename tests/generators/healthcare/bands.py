"""What data of patient_records must look like: figures with the bands they must lie in.

`violations` returns the figures outside. The fast test runs it on a quarter of a million rows of ten days, the long one
on a year; mutants show that each figure can fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import polars as pl

from tests.generators.healthcare.oracle import of_class, share, spearman

Figure = tuple[str, float, float, float]
"""(name, value, low, high)."""

RACES = {
    "white": 0.63, "black": 0.13, "asian": 0.06, "american_indian": 0.01, "pacific_islander": 0.003, "multiple": 0.09,
    "unknown": 0.077,
}  # fmt: skip
ETHNICITIES = {"hispanic": 0.19, "non_hispanic": 0.76, "unknown": 0.05}
ESI = {"1": 0.010, "2": 0.160, "3": 0.450, "4": 0.310, "5": 0.070}
SOURCES = {"emergency": 0.59, "newborn_obstetric": 0.21, "elective": 0.15, "transfer": 0.05}
PAYERS = {
    ("ambulatory", "wellness", "virtual"): (0.53, 0.28, 0.14, 0.03, 0.02),
    ("urgent_care",): (0.58, 0.14, 0.19, 0.06, 0.03),
    ("emergency",): (0.31, 0.22, 0.35, 0.09, 0.03),
    ("inpatient",): (0.30, 0.41, 0.21, 0.05, 0.03),
}
PAYER_NAMES = ("private", "medicare", "medicaid_chip", "self_pay", "other")
MINUTES = {"ambulatory": 22, "wellness": 28, "virtual": 17, "urgent_care": 48, "emergency": 165}
CHARGES = {"ambulatory": 240, "wellness": 310, "virtual": 140, "urgent_care": 230, "emergency": 1_900}
ED_DISPOSITIONS = {"home": 0.804, "admitted": 0.138, "other-hcf": 0.025, "lwbs": 0.020, "aadvice": 0.012, "exp": 0.001}
STAY_DISPOSITIONS = {
    "home": 0.70, "alt-home": 0.12, "snf": 0.11, "rehab": 0.025, "hosp": 0.015, "exp": 0.019, "aadvice": 0.011,
}  # fmt: skip


def mean(series: pl.Series) -> float:
    return float(series.cast(pl.Float64).mean())  # type: ignore[arg-type]


def figures(rows: pl.DataFrame) -> Iterator[Figure]:
    """Yield every figure of a sample of at least 200,000 rows."""
    for group in GROUPS.values():
        yield from group(rows)


def _around(expected: float, absolute: float) -> tuple[float, float]:
    """Return a band of ± `absolute`, never wider than half to twice the value."""
    return max(expected - absolute, expected / 2), min(expected + absolute, expected * 2)


def _people(rows: pl.DataFrame) -> Iterator[Figure]:
    people = rows.unique("patient_id", keep="first", maintain_order=True)
    # Emergency use tilts race: marginals are looked at among patients of clinics.
    clinic = of_class(rows, "ambulatory").unique("patient_id", keep="first", maintain_order=True)
    for name, expected in RACES.items():
        yield f"race {name}", share(clinic, "race").get(name, 0.0), *_around(expected, 0.02)
    for name, expected in ETHNICITIES.items():
        yield f"ethnicity {name}", share(clinic, "ethnicity").get(name, 0.0), *_around(expected, 0.02)
    for group, of_age, expected in (
        ("under 18", pl.col("age_years") < 18, 0.265),
        ("of 65 and over", pl.col("age_years") >= 65, 0.097),
    ):
        yield (
            f"hispanic {group}",
            share(clinic.filter(of_age), "ethnicity").get("hispanic", 0.0),
            *_around(expected, 0.03),
        )
    yield "chronic conditions rise with age", spearman(people, "chronic_count", "age_years"), 0.45, 0.75
    yield "female", mean(rows["sex"] == "female"), 0.53, 0.60
    for kind, low, high in (("inpatient", 0.38, 0.52), ("emergency", 0.16, 0.26), ("ambulatory", 0.28, 0.38)):
        yield f"65 and over, {kind}", mean(of_class(rows, kind)["age_years"] >= 65), low, high
    black = mean(of_class(rows, "emergency")["race"] == "black") / mean(of_class(rows, "ambulatory")["race"] == "black")
    yield "emergency use of Black patients", black, 1.4, 2.1


def _payers(rows: pl.DataFrame) -> Iterator[Figure]:
    for kinds, expected in PAYERS.items():
        found = share(of_class(rows, *kinds), "payer_type")
        for name, value in zip(PAYER_NAMES, expected, strict=True):
            yield f"{name}, {kinds[0]}", found.get(name, 0.0), *_around(value, 0.04)
    old = pl.col("age_years") >= 65
    yield "medicare of 65 and over", mean(rows.filter(old)["payer_type"] == "medicare"), 0.85, 0.95
    yield "medicare under 65", mean(rows.filter(~old)["payer_type"] == "medicare"), 0.02, 0.06


def _emergency(rows: pl.DataFrame) -> Iterator[Figure]:
    for level, expected in ESI.items():
        yield f"severity {level}", share(rows, "esi_level").get(level, 0.0), *_around(expected, 0.03)
    yield "admitted", mean(rows["is_admitted"]), 0.12, 0.16
    admitted = rows.group_by("esi_level").agg(pl.col("is_admitted").mean()).sort("esi_level")["is_admitted"]
    yield "admitted of severity 1", admitted[0], 0.60, 0.90
    yield "admitted of severity 4", admitted[3], 0.012, 0.028
    yield "admitted of severity 5", admitted[4], 0.0, 0.013
    yield "by ambulance", share(rows, "arrival_mode").get("ambulance", 0.0), 0.13, 0.20
    for name, expected in ED_DISPOSITIONS.items():
        yield f"leaves emergency: {name}", share(rows, "discharge_disposition").get(name, 0.0), *_around(expected, 0.02)
    minutes = rows.group_by("is_admitted").agg(pl.col("length_minutes").mean()).sort("is_admitted")["length_minutes"]
    yield "length of admitted over others", minutes[1] / minutes[0], 1.5, 2.2
    urgent = rows.select(
        severe=pl.col("esi_level") <= 3, night=pl.col("timestamp").dt.hour().is_in([22, 23, 0, 1, 2, 3, 4, 5])
    )
    at_night = urgent.group_by("night").agg(pl.col("severe").mean()).sort("night")["severe"]
    yield "severity at night over day", at_night[1] / at_night[0], 1.04, 1.3
    chest = mean(rows.filter(pl.col("primary_diagnosis_code") == "R07.9")["esi_level"] <= 3)
    sprain = mean(rows.filter(pl.col("primary_diagnosis_code") == "S93.401A")["esi_level"] <= 3)
    yield "severity of chest pain over sprains", chest / sprain, 1.5, 2.6
    code = share(rows, "reason_code")
    yield (
        "leading complaints",
        sum(code.get(k, 0.0) for k in ("abdominal_pain", "chest_pain", "fever", "headache")),
        0.22,
        0.45,
    )


def _stays(rows: pl.DataFrame) -> Iterator[Figure]:
    for name, expected in SOURCES.items():
        yield f"source {name}", share(rows, "admit_source").get(name, 0.0), *_around(expected, 0.04)
    nights = rows["length_of_stay_days"]
    yield "mean length of stay", mean(nights), 4.2, 5.4
    yield "median length of stay", float(nights.median()), 3, 4  # type: ignore[arg-type]
    yield "95th percentile of length of stay", float(nights.quantile(0.95)), 10, 15  # type: ignore[arg-type]
    for name, expected in STAY_DISPOSITIONS.items():
        low, high = (0.012, 0.028) if name == "exp" else _around(expected, 0.03)
        yield f"leaves hospital: {name}", share(rows, "discharge_disposition").get(name, 0.0), low, high
    snf = rows.select("age_years", snf=pl.col("discharge_disposition") == "snf")
    older = mean(snf.filter(pl.col("age_years") >= 80)["snf"])
    yield (
        "nursing facility, 80 and over to 45-64",
        older / max(mean(snf.filter(pl.col("age_years").is_between(45, 64))["snf"]), 1e-9),
        2.5,
        8.0,
    )
    yield "charge rises with length", spearman(rows, "total_charge", "length_of_stay_days"), 0.60, 0.90
    yield "mean charge of stays", mean(rows["total_charge"].drop_nulls()), 35_000, 60_000
    index = rows.filter(pl.col("is_readmitted_30d").is_not_null())
    yield "readmitted", mean(index["is_readmitted_30d"]), 0.125, 0.155
    days = index["days_to_readmission"].drop_nulls()
    yield "readmitted in the first week", mean(days <= 7), 0.35, 0.52
    newborn = mean(rows["primary_diagnosis_code"].is_in(["O80", "Z38.00"]))
    yield "newborn and delivery", newborn, 0.19, 0.27


def _vitals(rows: pl.DataFrame) -> Iterator[Figure]:
    adults = rows.filter(pl.col("age_years") >= 18)
    yield "systolic of adults", mean(adults["systolic_bp"].drop_nulls()), 122, 132
    yield "systolic rises with age", spearman(adults, "systolic_bp", "age_years"), 0.25, 0.50
    both = adults.drop_nulls("systolic_bp").select(pl.corr("systolic_bp", "diastolic_bp")).item()
    yield "systolic and diastolic", both, 0.50, 0.75
    yield "readings that end in 0", mean(adults["systolic_bp"].drop_nulls() % 10 == 0), 0.31, 0.39
    yield "heart rate of adults", mean(adults["heart_rate_bpm"].drop_nulls()), 72, 84
    yield "heart rate of infants", mean(rows.filter(pl.col("age_years") == 0)["heart_rate_bpm"].drop_nulls()), 120, 150
    yield "saturation", float(rows["spo2_pct"].median()), 97, 98  # type: ignore[arg-type]
    yield "body mass index of adults", mean(adults["bmi"].drop_nulls()), 28.5, 30.5
    infections = [
        "J06.9", "J02.9", "H66.90", "J20.9", "J10.1", "U07.1", "J21.0", "J18.9", "A08.4", "R50.9", "N39.0", "L03.90",
        "A41.9",
    ]  # fmt: skip
    ill = pl.col("primary_diagnosis_code").cast(pl.String).is_in(infections)
    warm = rows.drop_nulls("temperature_c")
    yield "fever of infections", mean(warm.filter(ill)["temperature_c"] >= 38), 0.30, 0.50
    yield "fever of others", mean(warm.filter(~ill)["temperature_c"] >= 38), 0.0, 0.01
    pain = rows.filter(pl.col("pain_score").is_not_null()).select(
        "pain_score", hurt=pl.col("primary_diagnosis_code").cast(pl.String).str.starts_with("S")
    )
    yield "pain of the injured", mean(pain.filter("hurt")["pain_score"]), 5.2, 5.8
    yield "pain of others", mean(pain.filter(~pl.col("hurt"))["pain_score"]), 3.3, 3.7
    for kind, column, expected in (
        ("ambulatory", "systolic_bp", 0.05), ("virtual", "temperature_c", 0.97), ("emergency", "heart_rate_bpm", 0.06),
        ("urgent_care", "spo2_pct", 0.15),
    ):  # fmt: skip
        there = of_class(rows, kind).filter((pl.col("encounter_status") == "finished") & (pl.col("age_years") >= 3))
        yield f"missing {column}, {kind}", mean(there[column].is_null()), expected - 0.012, expected + 0.012


def _amounts(rows: pl.DataFrame) -> Iterator[Figure]:
    there = rows.filter(pl.col("encounter_status") == "finished")
    years = (there["timestamp"].dt.epoch("s").cast(pl.Float64) / 86_400 - 19_723) / 365.25
    level = there.with_columns(total_charge=pl.col("total_charge") / 1.04**years)
    for kind, expected in CHARGES.items():
        value = float(of_class(level, kind)["total_charge"].median())  # type: ignore[arg-type]
        yield f"median charge, {kind}", value, expected * 0.92, expected * 1.08
        minutes = float(of_class(there, kind)["length_minutes"].median())  # type: ignore[arg-type]
        yield f"median length, {kind}", minutes, MINUTES[kind] * 0.9, MINUTES[kind] * 1.1
    paid = there.with_columns(rate=pl.col("total_paid") / pl.col("total_charge"))
    for name, expected in zip(PAYER_NAMES, (0.45, 0.28, 0.22, 0.12, 0.35), strict=True):
        value = float(paid.filter(pl.col("payer_type") == name)["rate"].median())  # type: ignore[arg-type]
        yield f"paid by {name}", value, expected * 0.95, expected * 1.05


def _appointments(rows: pl.DataFrame) -> Iterator[Figure]:
    booked = of_class(rows, "ambulatory", "wellness", "virtual")
    status = share(booked, "encounter_status")
    yield "no-show", status.get("no_show", 0.0), 0.045, 0.065
    yield "cancelled", status.get("cancelled", 0.0), 0.028, 0.042
    everyone = share(rows, "encounter_status")
    yield "finished of all", everyone["finished"], 0.91, 0.95
    yield "median lead", float(booked["scheduled_lead_days"].median()), 5, 7  # type: ignore[arg-type]
    missed = booked.select(long=pl.col("scheduled_lead_days") > 14, missed=pl.col("encounter_status") == "no_show")
    by_lead = missed.group_by("long").agg(pl.col("missed").mean()).sort("long")["missed"]
    yield "no-show after long lead", by_lead[1] / by_lead[0], 1.5, 2.3


GROUPS: dict[str, Callable[[pl.DataFrame], Iterator[Figure]]] = {
    "people": _people,
    "payers": _payers,
    "emergency": lambda rows: _emergency(of_class(rows, "emergency")),
    "stays": lambda rows: _stays(of_class(rows, "inpatient")),
    "vitals": _vitals,
    "amounts": _amounts,
    "appointments": _appointments,
}


def outside(found: Iterable[Figure]) -> list[str]:
    """Return the figures outside their bands as text."""
    return [
        f"{name}: {value:.4f} not in [{low:g}, {high:g}]"
        for name, value, low, high in found
        if not low <= value <= high
    ]


def violations(rows: pl.DataFrame) -> list[str]:
    """Return the figures of a sample that lie outside their bands, as text."""
    return outside(figures(rows))


def broken(rows: pl.DataFrame, group: str) -> set[str]:
    """Return the names of the figures of a group that lie outside their bands."""
    return {name for name, value, low, high in GROUPS[group](rows) if not low <= value <= high}
