"""Schemas of the credit_cards tables."""

from __future__ import annotations

import numpy as np
import polars as pl

from generators.finance import cardholders, checks_at_sale, geography, mcc, responses
from generators.finance.fraud import AFTER_REPORT_DAYS
from generators.finance.fraud_shares import FRAUD_TYPES
from generators.schema import INSTANT, Column, TableSchema

CHANNELS = ("card_present", "card_not_present")
GROUPS = tuple(dict.fromkeys(c.group for c in mcc.CATEGORIES))
GROUP_OF = np.array([GROUPS.index(c.group) for c in mcc.CATEGORIES], np.uint8)
"""Group code by category number."""
LABEL_EVENTS = ("report", "chargeback")
REASONS = ("fraud_cnp", "fraud_cp", "services_not_received", "duplicate")
SOURCES = ("cardholder", "merchant", "issuer_model")
LABEL_WINDOW = 136
"""Days from a transaction to the last chargeback: 121 to the last report, 15 more."""

NEVER_KNOWN = "never for sure; what was found out is in fraud_labels"
NEVER = pl.lit(None, pl.Date)
"""The ground truth about fraud is never known as such: what becomes known, and when, is in ``fraud_labels``."""

_TOKEN = "tok_********_********"
_CARD = "crd_********"
_CUSTOMER = "cu_*********"
_MERCHANT = "mer_********"

AUTHORIZATIONS = TableSchema(
    "authorizations",
    "events",
    "1.0",
    description="One row an authorisation request, approved or declined.",
    columns=(
        Column("timestamp", INSTANT, "Instant of the request; shown in the dataset's time zone."),
        Column("record_id", pl.UInt32, "Running number in the partition.", ge=0),
        Column("generator", pl.String, "Name of the generator.", vocabulary=True),
        Column("transaction_id", pl.String, "Transaction key.", unique=True, format="txn_########_%%%%%%%%"),
        Column("utc_offset_minutes", pl.Int16, "Offset of the cardholder's local time.", unit="minutes"),
        Column("card_token", pl.String, "Token of the card; a new one when it is issued again.", format=_TOKEN),
        Column("card_id", pl.String, "Card account: stays when the card is issued again.", format=_CARD),
        Column("customer_id", pl.String, "Cardholder; a few are much more active than most.", format=_CUSTOMER),
        Column("card_brand", pl.Enum(cardholders.BRANDS), "Network of the card."),
        Column("card_type", pl.Enum(cardholders.TYPES), "Kind of card."),
        Column("card_last4", pl.String, "Four random digits; there is no card number behind them.", format="####"),
        Column("card_bin_group", pl.Enum(cardholders.BIN_GROUPS), "Fictitious issuer group: country, kind, series."),
        Column("card_age_days", pl.UInt16, "Days since the card was issued.", unit="days", ge=0, le=1600),
        Column("customer_age", pl.UInt8, "Completed years, at most 90.", unit="years", ge=18, le=90),
        Column("home_country", pl.Enum(geography.COUNTRY_CODES), "Country of residence, ISO 3166-1."),
        Column("home_region", pl.Enum(geography.REGION_CODES), "Region of residence, by population."),
        Column("home_postal3", pl.String, "Three-digit postal area; fictitious outside the US.", format="###"),
        Column("home_lat", pl.Float64, "Latitude of the residence.", unit="degrees", ge=-90, le=90),
        Column("home_lon", pl.Float64, "Longitude of the residence.", unit="degrees", ge=-180, le=180),
        Column("merchant_id", pl.String, "Merchant; popularity is Zipf inside category and place.", format=_MERCHANT),
        Column("merchant_name", pl.String, "Fictitious name, constant per merchant.", vocabulary=True),
        Column("mcc", pl.Enum(mcc.CODES), "Merchant category code.", source="ISO 18245"),
        Column("merchant_country", pl.Enum(geography.COUNTRY_CODES), "Country of the merchant."),
        Column(
            "merchant_lat", pl.Float64, "Latitude of the terminal; null without one.", unit="degrees", nullable=True
        ),
        Column(
            "merchant_lon", pl.Float64, "Longitude of the terminal; null without one.", unit="degrees", nullable=True
        ),
        Column(
            "distance_km", pl.Float64, "Great-circle distance from home to terminal.", unit="km", ge=0, nullable=True
        ),
        Column(
            "amount", pl.Float64, "Amount in the merchant's currency, as charged in the end: tips included.", ge=0.01
        ),
        Column("currency", pl.Enum(geography.CURRENCY_CODES), "Currency of the merchant's country, ISO 4217."),
        Column("billing_amount", pl.Float64, "Amount in the cardholder's currency at the day's rate.", ge=0.0),
        Column("channel", pl.Enum(CHANNELS), "Whether the card was present."),
        Column("pos_entry_mode", pl.Enum(checks_at_sale.ENTRY_MODES), "How the card was read.", source="ISO 8583 DE22"),
        Column("cardholder_verification", pl.Enum(checks_at_sale.VERIFICATIONS), "How the cardholder was checked."),
        Column(
            "cvv_result",
            pl.Enum(checks_at_sale.CVV_RESULTS),
            "Match, no match, not processed; null for card present and credential on file.",
            nullable=True,
        ),
        Column(
            "avs_result",
            pl.Enum(checks_at_sale.AVS_RESULTS),
            "Address check of domestic card-not-present rows; null otherwise.",
            nullable=True,
        ),
        Column(
            "device_id",
            pl.String,
            "Device of a card-not-present row; null otherwise.",
            format="dev_********",
            nullable=True,
        ),
        Column(
            "ip_country",
            pl.Enum(geography.COUNTRY_CODES),
            "Country of the device's address; null for card present.",
            nullable=True,
        ),
        Column("is_recurring", pl.Boolean, "Payment of a subscription: same merchant and amount every month."),
        Column("response_code", pl.Enum(responses.RESPONSES), "Answer of the issuer.", source="ISO 8583 DE39"),
        Column("is_approved", pl.Boolean, "response_code is 00."),
        Column("auth_latency_ms", pl.UInt16, "Time to the answer; two seconds more with code 91.", unit="ms", ge=0),
        Column(
            "is_fraud", pl.Boolean, "Ground truth; null in live mode.", nullable=True, known_at=NEVER, known=NEVER_KNOWN
        ),
        Column(
            "fraud_type",
            pl.Enum(FRAUD_TYPES),
            "Kind of fraud; null without fraud.",
            nullable=True,
            known_at=NEVER,
            known=NEVER_KNOWN,
        ),
        Column(
            "fraud_episode_id",
            pl.String,
            "One compromise of one card; null without fraud.",
            format="fe_*********",
            nullable=True,
            known_at=NEVER,
            known=NEVER_KNOWN,
        ),
    ),
)

_FROM = Column("valid_from", pl.Date, "First day on which the version holds.")
_TO = Column(
    "valid_to", pl.Date, "First day on which it no longer holds; null while it does.", nullable=True,
    known="when the version ends",
)  # fmt: skip

CARDS = TableSchema(
    "cards",
    "dimension",
    "1.0",
    description="Cards by token: one row each time a card is issued.",
    grace=AFTER_REPORT_DAYS,
    columns=(
        Column("card_token", pl.String, "Token of the card.", format=_TOKEN, unique=True),
        _FROM,
        _TO,
        Column("card_id", pl.String, "Card account.", format=_CARD),
        Column("customer_id", pl.String, "Cardholder.", format=_CUSTOMER),
        Column("card_brand", pl.Enum(cardholders.BRANDS), "Network of the card."),
        Column("card_type", pl.Enum(cardholders.TYPES), "Kind of card."),
        Column("card_last4", pl.String, "Four random digits.", format="####"),
        Column("card_bin_group", pl.Enum(cardholders.BIN_GROUPS), "Fictitious issuer group."),
        Column("issue_date", pl.Date, "Day of issue."),
        Column(
            "replaced_on", pl.Date, "Day on which a compromised card gave way to a new one.", nullable=True,
            known="on that day",
        ),
        Column("credit_limit", pl.UInt32, "Limit of the account.", unit="USD", ge=300, le=60_000),
    ),
)  # fmt: skip

MERCHANTS = TableSchema(
    "merchants",
    "dimension",
    "1.0",
    description="Merchants; a slot's merchant gives way to a new one after six years on average.",
    columns=(
        Column("merchant_id", pl.String, "Merchant key.", format=_MERCHANT, unique=True),
        _FROM,
        _TO,
        Column("merchant_name", pl.String, "Fictitious name.", vocabulary=True),
        Column("mcc", pl.Enum(mcc.CODES), "Merchant category code.", source="ISO 18245"),
        Column("merchant_category", pl.Enum([c.name for c in mcc.CATEGORIES]), "Category in words."),
        Column("merchant_group", pl.Enum(GROUPS), "Group of categories."),
        Column("merchant_country", pl.Enum(geography.COUNTRY_CODES), "Country."),
        Column("merchant_region", pl.Enum(geography.REGION_CODES), "Region of the seat."),
        Column("lat", pl.Float64, "Latitude of the seat.", unit="degrees", ge=-90, le=90),
        Column("lon", pl.Float64, "Longitude of the seat.", unit="degrees", ge=-180, le=180),
        Column(
            "is_online",
            pl.Boolean,
            "Whether the merchant also sells online, by mail or phone; others have no card-not-present payments.",
        ),
        Column("popularity_rank", pl.UInt16, "Place in its pool of category and area by popularity, from 1.", ge=1),
    ),
)

FRAUD_LABELS = TableSchema(
    "fraud_labels",
    "labels",
    "1.0",
    description="What a bank learns of fraud, on the day it learns it: a row for each report and each chargeback.",
    key=("transaction_id", "label_event"),
    window=LABEL_WINDOW,
    columns=(
        Column("transaction_id", pl.String, "Transaction that the label is about.", format="txn_########_%%%%%%%%"),
        Column("label_event", pl.Enum(LABEL_EVENTS), "What became known on the partition's day."),
        Column("transaction_date", pl.Date, "Day of the transaction."),
        Column("report_date", pl.Date, "Day on which the transaction was reported."),
        Column("chargeback_date", pl.Date, "Day of the chargeback; null in reports.", nullable=True),
        Column("chargeback_reason", pl.Enum(REASONS), "Reason of the chargeback; null in reports.", nullable=True),
        Column("label_source", pl.Enum(SOURCES), "Who reported it."),
        Column("label_fraud", pl.Boolean, "Whether it is held to be fraud; true for first-party disputes too."),
    ),
)

TABLES = (AUTHORIZATIONS, CARDS, MERCHANTS, FRAUD_LABELS)
