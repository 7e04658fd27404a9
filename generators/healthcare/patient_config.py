"""What determines patient records."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, field_validator

from generators.calendar import HolidayCalendar
from generators.config import GeneratorConfig, HolidayProfile
from generators.errors import CalendarError
from generators.healthcare import payers
from generators.healthcare.care_volume import CLASS_SHARES, CLASSES
from generators.healthcare.patient_drift import PatientDrift
from generators.scenarios import DRIFT_FIELD

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

TOLERANCE = 1e-6
"""Shares sum to one within this."""
INPATIENT_SHARES = (0.015, 0.040)
"""Below, deliveries and births alone fill the hospital; above, patients have no days left to be admitted on."""


class PatientRecordsConfig(GeneratorConfig):
    """What determines patient records."""

    base_daily_volume: int = Field(default=3000, ge=1, le=100_000_000, description="Encounters on an ordinary day.")
    country: str = Field(
        default="US",
        pattern="^[A-Z]{2}$",
        description="ISO 3166-1 alpha-2 code of calendar and seasons; payers, codes and prices stay American.",
    )
    holiday_profile: HolidayProfile = Field(
        default=HolidayProfile.retail,
        description="Overlap rule of events: retail (a single named day beats a period) or seed.",
    )
    class_shares: dict[str, Share] = Field(
        default_factory=lambda: dict(CLASS_SHARES),
        description="Encounter class -> part of the volume; all six, sum 1, inpatient 0.015 to 0.040.",
    )
    payer_shares: dict[str, tuple[Share, Share, Share, Share, Share]] = Field(
        default_factory=lambda: dict(zip(payers.SEGMENTS, payers.SHARES, strict=True)),
        description="Age segment -> shares of patients by private, medicare, medicaid_chip, self_pay and other; sum 1.",
    )
    saturday_clinic: bool = Field(default=False, description="Whether clinics see a few patients on Saturdays.")
    no_show_rate: float = Field(default=0.055, ge=0, le=0.4, description="Share of appointments that are missed.")
    flu_severity: float = Field(default=1.0, ge=0, le=5, description="Factor of influenza, 1 being usual.")
    readmission_rate: float = Field(
        default=0.14, ge=0.05, le=0.25, description="About the share of index stays readmitted within 30 days."
    )
    charge_growth: float = Field(
        default=0.04, ge=-0.2, le=0.5, description="Yearly growth of list prices, relative to 2024-01-01."
    )
    digit_preference: bool = Field(
        default=True, description="Whether a third of blood pressure readings end in 0, as people write them down."
    )
    safe_harbor: bool = Field(
        default=False,
        description="Whether birth dates are cut to the year, people grow older on 1 January, and ages of 90 and over "
        "are shown as 90 without a year; dates of encounters stay, to be read as shifted: they are the partitions.",
    )
    drift: tuple[PatientDrift, ...] = Field(default=(), description=DRIFT_FIELD)

    @field_validator("class_shares")
    @classmethod
    def _classes_sum_to_one(cls, value: dict[str, float]) -> dict[str, float]:
        if set(value) != set(CLASSES):
            raise ValueError(f"allowed: a share for each of {', '.join(CLASSES)}")
        _check_sum(tuple(value.values()))
        low, high = INPATIENT_SHARES
        if not low <= value["inpatient"] <= high:
            raise ValueError(f"inpatient {value['inpatient']:g} given; allowed: {low:g} to {high:g}")
        if value["emergency"] < 2 * value["inpatient"]:
            raise ValueError(
                f"emergency {value['emergency']:g} given; allowed: at least twice the inpatient share, "
                "as most stays come through the emergency department"
            )
        return value

    @field_validator("payer_shares")
    @classmethod
    def _payers_sum_to_one(cls, value: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        if set(value) != set(payers.SEGMENTS):
            raise ValueError(f"allowed: shares for each of {', '.join(payers.SEGMENTS)}")
        for shares in value.values():
            _check_sum(shares)
        return value

    @field_validator("country")
    @classmethod
    def _has_a_calendar(cls, value: str) -> str:
        if value != "US":  # the default needs no look-up
            try:
                HolidayCalendar(value).events(2024)
            except CalendarError:
                raise ValueError(
                    "no public holidays are known for it; allowed: ISO 3166-1 alpha-2 codes that the holidays library "
                    "lists, such as US, GB, CA, AU, DE, FR, ES, IT, NL, SE, PL, BR, MX, IN, JP"
                ) from None
        return value


def _check_sum(shares: tuple[float, ...]) -> None:
    total = math.fsum(shares)
    if abs(total - 1) > TOLERANCE:
        raise ValueError(f"shares sum to {total:g}; allowed: a sum of 1")
