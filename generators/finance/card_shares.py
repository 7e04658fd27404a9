"""The shares of genuine card payments, by topic: groups of the config of `credit_cards`."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from generators.finance import mcc
from generators.groups import FieldGroup, Mix, Share, shortest_first, text_keys

Kilometres = Annotated[float, Field(ge=0.2, le=3_000, allow_inf_nan=False)]
TripDays = Annotated[int, Field(ge=1, le=30)]
Positive = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
MOST_TRIPS = 7.0
"""Trips a year: more of them would not leave a window of 50 days to each."""


class CategoryShares(FieldGroup):
    """Changes of the table of merchant categories; what is not named here stays as it is there."""

    shares: dict[str, Share] = Field(
        default={},
        description="Category code -> share of transactions; the other codes share the rest as in the table.",
    )
    remote: dict[str, Share] = Field(
        default={}, description="Category code -> share of its transactions that are card-not-present."
    )
    medians: dict[str, Positive] = Field(
        default={}, description="Category code -> median amount in USD before the customer's factor."
    )
    sigmas: dict[str, Annotated[float, Field(ge=0, le=3)]] = Field(
        default={}, description="Category code -> standard deviation of the log amount before the customer's factor."
    )
    fraud_appeal: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(
        default={}, description="Category code -> appeal to card-not-present fraud."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _codes_are_text(cls, value: object) -> object:
        return text_keys(value)

    @field_validator("*")
    @classmethod
    def _known_codes(cls, value: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(value) - set(mcc.CODES)):
            raise ValueError(f"unknown names {', '.join(unknown)}; allowed: {', '.join(mcc.CODES)}")
        return value

    @field_validator("shares")
    @classmethod
    def _leave_room(cls, value: dict[str, float]) -> dict[str, float]:
        total = sum(value.values())
        if total > 1.0 + 1e-6 or (len(value) == mcc.SIZE and total < 1.0 - 1e-6):
            raise ValueError(
                f"the shares sum to {total:g}; allowed: shares from 0 to 1, at most 1 together, 1 with all codes"
            )
        return value

    @model_validator(mode="after")
    def _both_channels(self) -> Self:
        remote = self.laws(0.0).remote_share
        if not 0.01 <= remote <= 0.99:
            raise ValueError(
                f"shares and remote make {remote:g} of the table's transactions card-not-present; allowed: 0.01 to 0.99"
            )
        return self

    def laws(self, recurring: float) -> mcc.CategoryLaws:
        """Return the laws of the categories with these changes.

        Args:
            recurring: Share of the rows of some codes that are recurring payments.
        """
        return mcc.changed_laws(
            recurring,
            share=self.shares,
            remote=self.remote,
            median=self.medians,
            sigma=self.sigmas,
            fraud=self.fraud_appeal,
        )


class MerchantShares(FieldGroup):
    """Where customers shop."""

    explore: Share = Field(default=0.25, description="Share of rows at a merchant that is none of the favourites.")
    national: Share = Field(
        default=0.60, description="Share of card-present rows at national chains; the others are the region's shops."
    )


class TravelShares(FieldGroup):
    """How far customers go to pay."""

    trips_per_year: float = Field(default=2.5, ge=0, le=MOST_TRIPS, description="Trips of a customer in a year.")
    trip_days: Annotated[tuple[TripDays, TripDays], AfterValidator(shortest_first)] = Field(
        default=(2, 9), description="Shortest and longest trip in days."
    )
    abroad: Share = Field(default=0.32, description="Share of trips that go abroad.")
    trip_km: Kilometres = Field(default=490.0, description="Median distance from home on a trip in the country.")
    local_km: Kilometres = Field(default=5.5, description="Median distance from home to everyday terminals.")


class EntryModes(FieldGroup):
    """How cards are read, by channel."""

    present: Mix = Field(
        default={"contactless": 0.54, "chip": 0.36, "stripe": 0.08, "keyed": 0.02},
        description="Entry mode -> share of card-present rows in the US; sum 1.",  # US tap above 50% in July 2024
    )
    present_abroad: Mix = Field(
        default={"contactless": 0.82, "chip": 0.165, "stripe": 0.005, "keyed": 0.01},
        # 79% of face-to-face payments worldwide are contactless (September 2025).
        description="Entry mode -> share of card-present rows of cardholders outside the US; sum 1.",
    )
    remote: Mix = Field(
        default={"ecommerce": 0.58, "on_file": 0.40, "keyed": 0.02},
        description="Entry mode -> share of card-not-present rows, recurring ones among them; sum 1.",
    )
    transit_contactless: Share = Field(default=0.93, description="Share of contactless in local transport.")
    contactless_by_year: dict[int, Share] = Field(
        default={2018: 0.01, 2019: 0.03, 2020: 0.10, 2021: 0.20, 2022: 0.32, 2023: 0.43, 2024: 0.52, 2025: 0.60},
        min_length=1,
        description="contactless_trend: year -> share of contactless in the US; the nearest year's beyond the ends.",
    )

    @field_validator("contactless_by_year")
    @classmethod
    def _without_gaps(cls, value: dict[int, float]) -> dict[int, float]:
        years = range(min(value), max(value) + 1)
        if missing := [str(year) for year in years if year not in value]:
            raise ValueError(f"years {', '.join(missing)} are missing; allowed: years in a row")
        return {year: value[year] for year in years}

    def contactless_in(self, year: int) -> float:
        """Return the US share of contactless in a year: the first and last year's beyond the table."""
        table = self.contactless_by_year
        return table[min(max(year, min(table)), max(table))]


class VerificationShares(FieldGroup):
    """How cardholders are checked, by channel."""

    present: Mix = Field(
        default={"none": 0.62, "pin": 0.22, "signature": 0.06, "device_biometric": 0.10},
        description="Check -> share of card-present rows; sum 1.",
    )
    remote: Mix = Field(
        default={"none": 0.62, "3ds_challenge": 0.06, "3ds_frictionless": 0.32},
        description="Check -> share of card-not-present rows, recurring ones among them, which are never checked (a "
        "quarter by default: none cannot be less); sum 1.",
    )
    remote_sca: Mix = Field(
        default={"none": 0.28, "3ds_challenge": 0.28, "3ds_frictionless": 0.44},
        description="The same where strong customer authentication is the rule (EEA and UK); sum 1.",
    )


class CheckResults(FieldGroup):
    """What the checks of code and address find."""

    cvv: Mix = Field(
        default={"M": 0.975, "N": 0.015, "P": 0.010}, description="CVV result -> share of genuine rows; sum 1."
    )
    cvv_unknown: Mix = Field(
        # With the thieves who have the code, 10% of stolen credentials do not match.
        default={"M": 0.68, "N": 0.27, "P": 0.05},
        description="CVV result -> share of rows of thieves who do not have the code; sum 1.",
    )
    avs: Mix = Field(
        default={"Y": 0.80, "A": 0.05, "Z": 0.06, "N": 0.06, "U": 0.03},
        description="AVS result -> share of genuine rows; sum 1.",
    )
    avs_unknown: Mix = Field(
        # With the thieves who know the address, 58% of stolen credentials match.
        default={"Y": 0.20, "A": 0.08, "Z": 0.12, "N": 0.55, "U": 0.05},
        description="AVS result -> share of rows of thieves who do not know the address; sum 1.",
    )


class DeviceShares(FieldGroup):
    """Devices of genuine card-not-present rows, recurring ones aside."""

    new: Share = Field(default=0.10, description="Share of rows from a device never seen before.")
    second: Share = Field(default=0.25, description="Share of rows from the second of a customer's two devices.")
    # Subscriptions are paid from home, which makes 0.965 of all.
    home_ip: Share = Field(default=0.955, description="Share of rows whose address is in the country of residence.")


class AmountShares(FieldGroup):
    """Amounts."""

    customer_sigma: float = Field(
        default=0.35, ge=0, le=2, description="Standard deviation of customers' mean log amount."
    )
    digital_99: Share = Field(default=0.70, description="Share of digital goods whose price ends in .99.")
    retail_99: Share = Field(default=0.25, description="Share of shops' amounts from 10 on that end in .99.")
    whole_with_tip: Share = Field(
        default=0.20,
        description="Share of card-present amounts in US and Canadian restaurants and bars that a tip makes whole.",
    )


_DECLINES = {
    "51": 0.46, "05": 0.22, "61": 0.05, "65": 0.03, "14": 0.04, "54": 0.05, "82": 0.02, "N7": 0.02, "57": 0.03,
    "59": 0.04, "1A": 0.01,
}  # fmt: skip
"""Shares of all declines; outages (0.02) and the table's lost and stolen cards (0.01) make up the rest. These, codes 41
and 43, come only after the report of a lost card, on about 0.0002 of declines; the other codes share what is left."""


class AnswerShares(FieldGroup):
    """How authorisations are answered."""

    codes: Mix = Field(
        default={code: share / math.fsum(_DECLINES.values()) for code, share in _DECLINES.items()},
        description="Response code -> share of declines that are neither outages nor stolen cards, before what "
        "channel, day and amount make of it; sum 1.",
    )
    retry: Share = Field(default=0.45, description="Share of declined rows that the customer tries again.")
    retry_declined: Share = Field(default=0.35, description="Share of second attempts that are declined as well.")
    # 2% of all declines: 1.7 windows of 1.5 hours a month.
    outage_declined: Share = Field(default=0.32, description="Share of rows declined while the issuer is unavailable.")
