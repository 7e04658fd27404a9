"""What determines card payments: the config of `credit_cards`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationInfo, field_validator, model_validator

from generators.base import check_day
from generators.config import GeneratorConfig, HolidayProfile
from generators.finance import fraud, mcc
from generators.finance.card_shares import (
    AmountShares,
    AnswerShares,
    CategoryShares,
    CheckResults,
    DeviceShares,
    EntryModes,
    MerchantShares,
    TravelShares,
    VerificationShares,
)
from generators.finance.fraud_shares import FRAUD_TYPES, DisputeShares, EpisodeShares, LabelShares
from generators.finance.geography import COUNTRIES, COUNTRY_CODES
from generators.groups import Mix, Share, named, text_keys

PRESETS = {"realistic": 0.0012, "teaching": 0.005}
"""Fraud rate by preset: share of all authorisations."""


def _zone(values: Mapping[str, Any]) -> str:
    """Return the time zone of a config that gives none: UTC for the global mix, else the country's."""
    if values.get("country_mix") == "global":
        return "UTC"
    zones = {country.code: country.timezone for country in COUNTRIES}
    return zones.get(str(values.get("country")), zones["US"])


CNP_SHARE = 0.35
"""Share of card-not-present rows by default, as the table of categories has it."""


class CreditCardsConfig(GeneratorConfig):
    """What determines card payments."""

    timezone: str = Field(
        default="America/New_York",
        description="IANA zone in which days begin and hours count; not given: the country's, UTC for the global mix.",
    )
    base_daily_volume: int = Field(default=5_000, ge=1, le=100_000_000, description="Rows on an ordinary day.")
    holiday_profile: HolidayProfile = Field(
        default=HolidayProfile.retail, description="Overlap rule of events: retail or seed."
    )
    preset: Literal["realistic", "teaching"] = Field(
        default="realistic", description="Level of fraud: realistic (0.12% of rows) or teaching (0.5%)."
    )
    fraud_rate: float | None = Field(
        default=None, description="Share of rows that are fraud; null: that of the preset.", allow_inf_nan=False
    )
    fraud_mix: Mix = Field(
        default=dict(zip(FRAUD_TYPES, (0.52, 0.14, 0.10, 0.14, 0.06, 0.04), strict=True)),
        description="Fraud type -> share of fraud rows; the shares sum to 1.",
    )
    fraud_drift: float = Field(
        default=0.4, ge=0, le=2, description="Strength of the changes of fraud's tastes every 60 to 120 days."
    )
    fraud_shift: date | None = Field(default=None, description="Day of an abrupt change of fraud; null: none.")
    country_mix: Literal["single", "global"] = Field(
        default="single", description="Cardholders of one country, or of eight."
    )
    country_shares: Mix = Field(
        default={c.code: c.share for c in COUNTRIES},
        description="Country -> share of cardholders in the global mix; the shares sum to 1.",
    )
    brand_shares: Mix = Field(
        default={"visa": 0.52, "mastercard": 0.24, "amex": 0.20, "discover": 0.04},
        description="Network -> share of cards; the shares sum to 1.",
    )
    type_shares: Mix = Field(
        default={"credit": 0.70, "debit": 0.25, "prepaid": 0.05},
        description="Kind of card -> share of cards; the shares sum to 1.",
    )
    card_counts: Mix = Field(
        default={"1": 0.80, "2": 0.15, "3": 0.05}, description="Cards -> share of customers with as many; sum 1."
    )
    moves_per_year: float = Field(
        default=0.0, ge=0, le=0.5, description="Probability that a customer moves within the country in a year."
    )
    sale_days: tuple[date, ...] = Field(
        default=(),
        description="Days of a sale online like Prime Day: the event online_sale, 1.25 for card-not-present.",
    )
    cnp_share: float = Field(
        default=CNP_SHARE, ge=0.15, le=0.85, description="Card-not-present share of ordinary rows."
    )
    cp_decline_rate: Share = Field(default=0.025, description="Declines of card-present rows.")
    cnp_decline_rate: Share = Field(default=0.11, description="Declines of card-not-present rows.")
    recurring_decline_rate: Share = Field(default=0.14, description="Declines of recurring payments.")
    recurring_share: Share = Field(
        default=mcc.TABLE.recurring, description="Share of the rows of 4899, 4814, 4900, 6300 and 5815 that recur."
    )
    foreign_cnp_share: Share = Field(
        default=0.105, description="Share of card-not-present rows at foreign merchants, recurring ones aside."
    )
    credit_only: bool = Field(
        default=False, description="Whether all cards are credit cards, with medians 1.5 times as high."
    )
    contactless_trend: bool = Field(
        default=False, description="Whether contactless grows from 1% in 2018 to 60% in 2025 in the US."
    )
    fx_fee: float = Field(default=0.0, ge=0, le=0.03, description="Fee on bills in another currency.")
    categories: CategoryShares = Field(default=CategoryShares(), description="Changes of the table of categories.")
    amounts: AmountShares = Field(default=AmountShares(), description="Amounts.")
    merchants: MerchantShares = Field(default=MerchantShares(), description="Where customers shop.")
    travel: TravelShares = Field(default=TravelShares(), description="How far customers go to pay.")
    entry_modes: EntryModes = Field(default=EntryModes(), description="How cards are read.")
    verification: VerificationShares = Field(default=VerificationShares(), description="How cardholders are checked.")
    checks: CheckResults = Field(default=CheckResults(), description="What checks of code and address find.")
    devices: DeviceShares = Field(default=DeviceShares(), description="Devices of card-not-present rows.")
    answers: AnswerShares = Field(default=AnswerShares(), description="How authorisations are answered.")
    episodes: EpisodeShares = Field(default=EpisodeShares(), description="What thieves do.")
    disputes: DisputeShares = Field(default=DisputeShares(), description="Genuine purchases that are disputed.")
    labels: LabelShares = Field(default=LabelShares(), description="What a bank learns of fraud.")

    @model_validator(mode="wrap")
    @classmethod
    def _zone_of_the_country(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(values, dict) or "timezone" in values:
            return handler(values)
        config = handler({**values, "timezone": _zone(values)})
        config.model_fields_set.discard("timezone")  # so that another country still brings its own
        return config

    def stated(self) -> dict[str, Any]:
        """Return the fields that a config must give to be equal to this one: New York's zone is, beside a country."""
        fields = super().stated()
        if self.timezone == _zone({}) != _zone(fields):
            fields["timezone"] = self.timezone
        return fields

    @field_validator("country")
    @classmethod
    def _has_calendar(cls, value: str) -> str:
        if value not in COUNTRY_CODES:
            raise ValueError(f"no calendar of card payments is known for it; allowed: {', '.join(COUNTRY_CODES)}")
        return value

    @field_validator("fraud_rate")
    @classmethod
    def _episodes_hold(cls, value: float | None) -> float | None:
        if value is not None and not 0.0 <= value <= fraud.LARGEST_RATE:
            raise ValueError(
                f"allowed: 0 to {fraud.LARGEST_RATE}; above it half of all cards would be compromised every year, "
                "which episodes of single cards cannot hold"
            )
        return value

    @field_validator("fraud_mix", "country_shares", "brand_shares", "type_shares", "card_counts")
    @classmethod
    def _mixes(cls, value: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        return dict(named(cls, value, info))

    @field_validator("card_counts", mode="before")
    @classmethod
    def _numbers_are_text(cls, value: Any) -> Any:
        return text_keys(value)

    @field_validator("sale_days")
    @classmethod
    def _in_calendar(cls, value: tuple[date, ...]) -> tuple[date, ...]:
        for day in value:
            check_day(day)
        return value

    @property
    def rate(self) -> float:
        """Share of rows that are fraud."""
        return PRESETS[self.preset] if self.fraud_rate is None else self.fraud_rate

    @property
    def residents(self) -> tuple[tuple[int, float], ...]:
        """(country code, share of cardholders) of the countries in which cardholders live."""
        if self.country_mix == "single":
            return ((COUNTRY_CODES.index(self.country), 1.0),)
        return tuple((COUNTRY_CODES.index(code), share) for code, share in self.country_shares.items() if share > 0.0)
