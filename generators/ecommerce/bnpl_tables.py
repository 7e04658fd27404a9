"""Schemas of the bnpl tables."""

from __future__ import annotations

import polars as pl

from generators.ecommerce import catalogue, customers, default_model
from generators.schema import INSTANT, Column, TableSchema

SCENARIOS = ("low_risk_purchase", "impulse_purchase", "credit_stretched", "high_risk_behavior")
CONTEXTS = ("normal", "impulse", "rushed")
SPEEDS = ("very_fast", "fast", "normal", "slow")
STATUSES = ("completed", "returned", "cancelled")
PAYMENT_STATUSES = ("scheduled", "paid_on_time", "missed", "paid_late", "charged_off")
"""In the order in which an instalment can pass through them."""
LOAN_OUTCOMES = ("paid_in_full", "charged_off")
CURRENCIES = {
    "US": "USD", "GB": "GBP", "DE": "EUR", "FR": "EUR", "ES": "EUR", "IT": "EUR", "NL": "EUR", "AT": "EUR", "BE": "EUR",
    "IE": "EUR", "FI": "EUR", "PT": "EUR", "CA": "CAD", "AU": "AUD", "NZ": "NZD", "SE": "SEK", "NO": "NOK", "DK": "DKK",
    "PL": "PLN", "CH": "CHF", "BR": "BRL", "MX": "MXN", "IN": "INR", "JP": "JPY",
}  # fmt: skip
RETURN_DAYS = 30
"""Days after a purchase on which it is known whether it was returned or cancelled."""
CURRENCY_CODES = tuple(dict.fromkeys(CURRENCIES.values()))

_DAY = pl.col("timestamp").dt.date()
OUTCOME_KNOWN = (
    pl.when(pl.col("will_default"))
    .then(_DAY + pl.duration(days=pl.col("days_to_first_missed_payment").cast(pl.Int32) + 60))
    .otherwise(_DAY + pl.duration(days=(pl.col("installment_count").cast(pl.Int32) - 1) * 14))
)
"""Date on which an outcome is known: 60 days after the first missed instalment, else the last instalment's due date."""

GUIDE = "simtom BNPL field guide"

TRANSACTIONS = TableSchema(
    "transactions",
    "events",
    "1.0",
    description="One row a purchase that is paid in instalments.",
    columns=(
        Column("timestamp", INSTANT, "Instant of the purchase; shown in the dataset's time zone."),
        Column("record_id", pl.UInt32, "Running number in the partition.", ge=0),
        Column("generator", pl.String, "Name of the generator.", vocabulary=True),
        Column("transaction_id", pl.String, "Transaction key.", unique=True, format="txn_########_%%%%%%%%"),
        Column("customer_id", pl.String, "Customer; a few are much more active than most.", format="cu_*********"),
        Column("product_id", pl.String, "Product; popularity is Zipf with exponent 0.8.", format="prd_********"),
        Column(
            "device_id",
            pl.String,
            "Device of the customer: one to three, the newest used most.",
            format="dev_********_***",
        ),
        Column("payment_method_id", pl.String, "Payment account of the customer.", format="cu_*********_pm_#"),
        Column(
            "amount",
            pl.Float64,
            "Amount of the purchase; equals product_price.",
            unit="USD",
            ge=15,
            le=400,
            source=GUIDE,
        ),
        Column("currency", pl.Enum(CURRENCY_CODES), "ISO 4217 code of the country's currency."),
        Column(
            "status",
            pl.Enum(STATUSES),
            "completed, or with status_mode 'lifecycle' also returned and cancelled.",
            known_at=pl.when(pl.col("status") == "completed")
            .then(_DAY)
            .otherwise(_DAY + pl.duration(days=RETURN_DAYS)),
            known=f"returned and cancelled {RETURN_DAYS} days after the purchase, completed until then",
            initial="completed",
        ),
        Column("risk_scenario", pl.Enum(SCENARIOS), "Behaviour behind the purchase.", source=GUIDE),
        Column("risk_score", pl.Float64, "Weighted sum of six risk factors.", ge=0, le=1, source=GUIDE),
        Column("risk_level", pl.Enum(default_model.LEVELS), "low < 0.3 <= medium < 0.6 <= high < 0.8 <= very_high."),
        Column("installment_count", pl.UInt8, "Instalments: 4 below 100, 4 or 6 below 500.", ge=4, le=24, source=GUIDE),
        Column("first_payment_amount", pl.Float64, "A quarter of the amount, paid at checkout.", unit="USD", ge=0),
        Column("payment_frequency", pl.Enum(["bi_weekly"]), "An instalment falls due every 14 days."),
        Column("purchase_context", pl.Enum(CONTEXTS), "impulse, rushed (high_risk_behavior) or normal."),
        Column("checkout_speed", pl.Enum(SPEEDS), "very_fast < 30 s, fast 30-60 s, normal 1-5 min, slow > 5 min."),
        Column("cart_abandonment_count", pl.UInt8, "Carts abandoned before: Poisson, at most 6.", ge=0, le=6),
        Column("price_comparison_time", pl.UInt16, "Time spent comparing prices.", unit="seconds", ge=0, le=300),
        Column("time_on_site_seconds", pl.UInt16, "Time on the site.", unit="seconds", ge=30, le=900),
        Column("credit_utilization", pl.Float64, "round(amount / payment_credit_limit, 4).", ge=0, le=1),
        Column(
            "economic_stress_factor",
            pl.Float64,
            "Stress of the economy in the month, and on the day of a shock.",
            ge=0,
            le=1,
        ),
        Column(
            "will_default",
            pl.Boolean,
            "Whether an instalment will stay unpaid for 60 days.",
            nullable=True,
            known_at=OUTCOME_KNOWN,
            known="60 days after the first missed instalment was due, else when the last one is",
        ),
        Column(
            "days_to_first_missed_payment",
            pl.UInt16,
            "14 j days to the first missed instalment; null without default.",
            unit="days",
            ge=14,
            le=322,
            nullable=True,
            known_at=OUTCOME_KNOWN,
            known="60 days after the first missed instalment was due, else when the last one is",
        ),
        Column("customer_age_bracket", pl.Enum(customers.AGE_BRACKETS), "Age on the day.", unit="years"),
        Column("customer_tenure_days", pl.UInt16, "Days since sign-up.", unit="days", ge=0),
        Column("customer_income_bracket", pl.Enum(customers.INCOME_BRACKETS), "Yearly income.", unit="USD"),
        Column("customer_credit_score_range", pl.Enum(customers.CREDIT_RANGES), "Credit score range."),
        Column(
            "customer_verification_level",
            pl.Enum(customers.VERIFICATION_LEVELS),
            "Identity check; one step up after 180 days.",
        ),
        Column("customer_address_stability", pl.Enum(customers.ADDRESS_STABILITIES), "How often the customer moves."),
        Column(
            "customer_state",
            pl.Enum(list(customers.STATES)),
            "US state or DC by population; null outside the US.",
            nullable=True,
            source="US Census 2020",
        ),
        Column("product_category", pl.Enum(catalogue.CATEGORIES), "Category; electronics rise by 15% in Nov and Dec."),
        Column("product_subcategory", pl.Enum(catalogue.SUBCATEGORY_NAMES), "Subcategory of the category."),
        Column("product_brand", pl.Enum(catalogue.BRAND_NAMES), "Brand that sells in the category."),
        Column("product_price", pl.Float64, "Price: truncated log-normal a category.", unit="USD", ge=15, le=400),
        Column("product_bnpl_eligible", pl.Boolean, "price >= 50 and category electronics, clothing or home."),
        Column("product_risk_category", pl.Enum(catalogue.RISK_CATEGORIES), "Resale risk of the product."),
        Column("device_type", pl.Enum(customers.DEVICE_TYPES), "Type of device."),
        Column("device_os", pl.Enum(customers.DEVICE_SYSTEMS), "Operating system of the device."),
        Column("device_is_trusted", pl.Boolean, "Whether the device was first seen more than 30 days ago."),
        Column("payment_provider", pl.Enum(customers.PROVIDERS), "Provider of the payment account."),
        Column("payment_type", pl.Enum(["bnpl_account"]), "Type of payment."),
        Column(
            "payment_credit_limit",
            pl.UInt16,
            "Limit of the account in the quarter; above 5000 under policy_change only.",
            unit="USD",
            ge=500,
            le=customers.HIGHEST_LIMIT,
        ),
    ),
)

WINDOW = 130
"""Days from a purchase to the charge-off of six instalments whose last one is missed, the latest that becomes known.

Six is what amounts up to 400 reach; plans of 24 would need 382 days.
"""

INSTALLMENTS = TableSchema(
    "installments",
    "labels",
    "1.0",
    description="One row for each change of an instalment's status, on the day of the change.",
    key=("installment_id", "payment_status"),
    window=WINDOW,
    columns=(
        Column(
            "installment_id", pl.String, "Transaction and number of the instalment.", format="txn_########_%%%%%%%%_##"
        ),
        Column("transaction_id", pl.String, "Purchase.", format="txn_########_%%%%%%%%"),
        Column("customer_id", pl.String, "Customer.", format="cu_*********"),
        Column("installment_number", pl.UInt8, "1 is paid at checkout.", ge=1, le=24),
        Column("due_date", pl.Date, "Day of the purchase + 14 (installment_number - 1).", source="CFPB 2022"),
        Column(
            "amount_due",
            pl.Float64,
            "A quarter of the amount at checkout, the rest in equal parts; cents left over are due last.",
            unit="USD",
            ge=0,
        ),
        Column(
            "autopay", pl.Boolean, "Whether the account is debited by itself (85% of accounts).", source="CFPB 2022"
        ),
        Column(
            "payment_status",
            pl.Enum(PAYMENT_STATUSES),
            "scheduled at the purchase; paid_on_time by the due date; missed the day after it; paid_late 2 to 45 days "
            "after it; charged_off 60 days after the first unpaid one was due.",
        ),
        Column("paid_date", pl.Date, "Day of payment; null while unpaid.", nullable=True),
        Column("amount_paid", pl.Float64, "amount_due once paid, else 0.", unit="USD", ge=0),
        Column(
            "late_fee_amount",
            pl.Float64,
            "7, at most a quarter of the instalment, where more than 10 days pass from the due date to the payment or "
            "the charge-off.",
            unit="USD",
            ge=0,
            le=7,
            source="CFPB 2022",
        ),
        Column("status_date", pl.Date, "Day on which payment_status became true: the partition."),
    ),
)

OUTCOMES = TableSchema(
    "outcomes",
    "labels",
    "1.0",
    description="One row a purchase, on the day on which it is known whether it was paid in full or charged off.",
    window=WINDOW,
    columns=(
        Column("transaction_id", pl.String, "Purchase.", unique=True, format="txn_########_%%%%%%%%"),
        Column("purchase_date", pl.Date, "Day of the purchase."),
        Column("will_default", pl.Boolean, "Whether an instalment stayed unpaid for 60 days."),
        Column(
            "days_to_first_missed_payment",
            pl.UInt16,
            "14 j days to the first missed instalment; null without default.",
            unit="days",
            ge=14,
            le=322,
            nullable=True,
        ),
        Column(
            "outcome_known_date",
            pl.Date,
            "60 days after the first missed instalment was due, else the day of the last payment: the partition.",
        ),
        Column("outcome", pl.Enum(LOAN_OUTCOMES), "paid_in_full or charged_off."),
    ),
)

_FROM = Column("valid_from", pl.Date, "First day on which the version holds.")
_TO = Column(
    "valid_to", pl.Date, "First day on which it no longer holds; null while it does.", nullable=True,
    known="when the version ends",
)  # fmt: skip

CUSTOMERS = TableSchema(
    "customers",
    "dimension",
    "1.0",
    description="Customers and their versions: a new one at each move, birthday into a bracket or verification step.",
    key=("customer_id", "valid_from"),
    columns=(
        Column("customer_id", pl.String, "Customer key.", format="cu_*********"),
        _FROM,
        _TO,
        Column("signup_date", pl.Date, "Day of sign-up."),
        Column("customer_age_bracket", pl.Enum(customers.AGE_BRACKETS), "Age in this version.", unit="years"),
        Column("customer_income_bracket", pl.Enum(customers.INCOME_BRACKETS), "Yearly income.", unit="USD"),
        Column("customer_credit_score_range", pl.Enum(customers.CREDIT_RANGES), "Credit score range."),
        Column("customer_verification_level", pl.Enum(customers.VERIFICATION_LEVELS), "Identity check."),
        Column("customer_address_stability", pl.Enum(customers.ADDRESS_STABILITIES), "How often the customer moves."),
        Column(
            "customer_state", pl.Enum(list(customers.STATES)), "US state or DC; null outside the US.", nullable=True
        ),
    ),
)

PRODUCTS = TableSchema(
    "products",
    "dimension",
    "1.0",
    description="The catalogue; products never change.",
    columns=(
        Column("product_id", pl.String, "Product key.", format="prd_********", unique=True),
        _FROM,
        _TO,
        Column("product_category", pl.Enum(catalogue.CATEGORIES), "Category."),
        Column("product_subcategory", pl.Enum(catalogue.SUBCATEGORY_NAMES), "Subcategory."),
        Column("product_brand", pl.Enum(catalogue.BRAND_NAMES), "Brand."),
        Column("product_price", pl.Float64, "Price.", unit="USD", ge=15, le=400),
        Column("product_bnpl_eligible", pl.Boolean, "Whether the product may be financed."),
        Column("product_risk_category", pl.Enum(catalogue.RISK_CATEGORIES), "Resale risk."),
    ),
)

DEVICES = TableSchema(
    "devices",
    "dimension",
    "1.0",
    description="Devices of customers; one replaced gives way to the next.",
    columns=(
        Column("device_id", pl.String, "Device key.", format="dev_********_***", unique=True),
        Column("customer_id", pl.String, "Owner.", format="cu_*********"),
        _FROM,
        _TO,
        Column("device_type", pl.Enum(customers.DEVICE_TYPES), "Type of device."),
        Column("device_os", pl.Enum(customers.DEVICE_SYSTEMS), "Operating system."),
    ),
)

ACCOUNTS = TableSchema(
    "accounts",
    "dimension",
    "1.0",
    description="Payment accounts and the versions of their credit limit.",
    key=("payment_method_id", "valid_from"),
    columns=(
        Column("payment_method_id", pl.String, "Account key.", format="cu_*********_pm_#"),
        Column("customer_id", pl.String, "Holder.", format="cu_*********"),
        _FROM,
        _TO,
        Column("payment_provider", pl.Enum(customers.PROVIDERS), "Provider."),
        Column(
            "payment_credit_limit", pl.UInt16, "Limit in this version.", unit="USD", ge=500, le=customers.HIGHEST_LIMIT
        ),
    ),
)
