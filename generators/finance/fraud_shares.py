"""The shares of fraud, of disputes and of what is learned of them: groups of the config of `credit_cards`."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from generators.groups import Each, FieldGroup, Mix, Share, shortest_first
from generators.randomness import F64

FRAUD_TYPES = (
    "cnp_stolen_credentials", "card_testing", "account_takeover", "lost_stolen", "counterfeit_skimming",
    "application_fraud",
)  # fmt: skip
ChargebackDays = Annotated[int, Field(ge=1, le=15)]
Days = Annotated[float, Field(ge=0.5, le=120, allow_inf_nan=False)]
Pair = tuple[Share, Share]
"""Shares of careful and of careless thieves."""


def by_type(values: dict[str, float], otherwise: float = 0.0) -> F64:
    """Return (6,) values of the fraud types; `otherwise` for those that the field does not know."""
    return np.array([values.get(name, otherwise) for name in FRAUD_TYPES])


def pairs_by_type(values: dict[str, Pair], otherwise: float = 0.0) -> F64:
    """Return (6, 2) shares of the fraud types' careful and careless thieves."""
    return np.array([values.get(name, (otherwise, otherwise)) for name in FRAUD_TYPES])


class EpisodeShares(FieldGroup):
    """Fraud: what thieves do, and what becomes of it."""

    declined: Each[Share] = Field(
        # With the rows after the report 35% of fraud rows are declined.
        default=dict(zip(FRAUD_TYPES, (0.315, 0.55, 0.315, 0.29, 0.315, 0.315), strict=True)),
        description="Fraud type -> share of rows declined before the report.",
    )
    testing_codes: Mix = Field(
        default={"14": 0.30, "82": 0.25, "05": 0.25, "65": 0.20},
        description="Response code -> share of declined card testing; sum 1.",
    )
    never_reported: Share = Field(default=0.08, description="Share of episodes that nobody reports.")
    report_days: Each[Days] = Field(
        default=dict(zip(FRAUD_TYPES, (12.0, 12.0, 5.0, 2.0, 12.0, 60.0), strict=True)),
        description="Fraud type -> median days to the report; rows later than five days after it do not happen, so "
        "short ones lower the share of fraud.",
    )
    reissued: Share = Field(default=0.95, description="Share of reported cards that are issued again.")
    night: Share = Field(default=0.35, description="Share of remote episodes that start at any hour, nights above all.")
    # The traces of a thief come together, which is what models live on.
    careless: Share = Field(default=0.30, description="Share of episodes whose thief takes no care.")
    remote: Share = Field(default=0.55, description="Share of card-not-present rows in application fraud.")
    foreign: Each[Pair] = Field(
        # 0.20 of stolen credentials.
        default={
            "cnp_stolen_credentials": (0.07, 0.50),
            "account_takeover": (0.06, 0.26),
            "application_fraud": (0.05, 0.05),
        },
        description="Fraud type -> share at foreign merchants, of careful and of careless thieves.",
    )
    new_device: Each[Share] = Field(
        default={
            "cnp_stolen_credentials": 0.42, "card_testing": 0.60, "account_takeover": 0.60, "application_fraud": 0.50
        },
        description="Fraud type -> share of episodes whose card-not-present rows come from a device of the thief.",
    )  # fmt: skip
    home_ip: Each[Pair] = Field(
        default={
            "cnp_stolen_credentials": (0.96, 0.43),
            "card_testing": (0.92, 0.42),
            "account_takeover": (0.90, 0.40),
            "application_fraud": (0.96, 0.80),
        },
        description="Fraud type -> share of addresses in the victim's country, of careful and of careless thieves.",
    )
    unknown_address: Each[Pair] = Field(
        default={
            "cnp_stolen_credentials": (0.23, 0.95),
            "card_testing": (0.20, 0.95),
            "account_takeover": (0.05, 0.50),
            "application_fraud": (0.2, 0.6),
        },
        description="Fraud type -> share of rows whose thief does not know the victim's address.",
    )
    unknown_cvv: Each[Pair] = Field(
        default={
            "cnp_stolen_credentials": (0.12, 0.95),
            "card_testing": (0.20, 0.95),
            "application_fraud": (0.05, 0.3),
        },
        description="Fraud type -> share of rows whose thief does not have the code.",
    )
    remote_entry: Each[Mix] = Field(
        default={
            "cnp_stolen_credentials": {"ecommerce": 0.88, "on_file": 0.08, "keyed": 0.04},
            "card_testing": {"ecommerce": 1.0, "on_file": 0.0, "keyed": 0.0},
            "account_takeover": {"ecommerce": 0.5, "on_file": 0.5, "keyed": 0.0},
            "application_fraud": {"ecommerce": 0.7, "on_file": 0.25, "keyed": 0.05},
        },
        description="Fraud type -> entry mode -> share of card-not-present rows; sum 1.",
    )
    present_entry: Each[Mix] = Field(
        default={
            "lost_stolen": {"contactless": 0.66, "chip": 0.20, "stripe": 0.11, "keyed": 0.03},
            "counterfeit_skimming": {"contactless": 0.06, "chip": 0.12, "stripe": 0.80, "keyed": 0.02},
            "application_fraud": {"contactless": 0.50, "chip": 0.42, "stripe": 0.06, "keyed": 0.02},
        },
        description="Fraud type -> entry mode -> share of card-present rows; sum 1.",
    )
    remote_verification: Mix = Field(
        default={"none": 0.80, "3ds_challenge": 0.03, "3ds_frictionless": 0.17},
        description="Check of the cardholder -> share of card-not-present rows; sum 1.",
    )
    present_verification: Mix = Field(
        default={"none": 0.80, "pin": 0.04, "signature": 0.14, "device_biometric": 0.02},
        description="Check of the cardholder -> share of card-present rows; sum 1.",
    )


class DisputeShares(FieldGroup):
    """Genuine purchases that are disputed."""

    first_party: Share = Field(
        default=0.0033,
        le=0.2,
        description="Share of approved first attempts in 5815, 5816, 4899 and 5999, card not present, that the "
        "cardholder himself disputes as fraud.",
    )
    service: Share = Field(default=0.0010, le=0.2, description="Share of them disputed for another reason.")
    not_received: Share = Field(
        default=0.7, description="Share of the latter that were never delivered; duplicates else."
    )
    amount_factor: float = Field(
        default=1.3, gt=0, le=100, description="Factor of amounts that the cardholder disputes as fraud."
    )
    report_days: Days = Field(default=12.0, description="Median days to the dispute.")


class LabelShares(FieldGroup):
    """What a bank learns of fraud."""

    sources: Mix = Field(
        default={"cardholder": 0.88, "merchant": 0.10, "issuer_model": 0.02},
        description="Source -> share of reports of approved fraud; declined rows are the issuer's model's; sum 1.",
    )
    chargeback_days: Annotated[tuple[ChargebackDays, ChargebackDays], AfterValidator(shortest_first)] = Field(
        default=(3, 15), description="Shortest and longest delay of a chargeback after the report."
    )
    write_off_below: float = Field(
        default=15.0,
        ge=0,
        le=100_000,
        description="USD below which reported rows may be written off instead of charged back.",
    )
    write_off: Share = Field(default=0.60, description="Share of those rows that are.")
