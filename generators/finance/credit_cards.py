"""Card payment authorisations: genuine purchases, subscriptions, and fraud as episodes on single cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from generators.base import BaseGenerator, Batch, Process
from generators.calendar import Event, HolidayCalendar
from generators.config import ArrivalPattern, EventFactor, HolidayProfile
from generators.finance import card_dimensions, card_labels, card_tables, geography, mcc, merchants
from generators.finance.card_config import CNP_SHARE, CreditCardsConfig
from generators.finance.card_ids import CardIds
from generators.finance.cardholders import Cardholders
from generators.finance.fraud import Compromises
from generators.finance.fraud_rows import FraudRows
from generators.finance.genuine import DayCourse, Genuine, Settings
from generators.finance.merchants import Merchants
from generators.finance.money import Amounts
from generators.finance.recurring import Subscriptions
from generators.finance.regimes import Regimes
from generators.finance.sales import Renderer, Sales
from generators.intraday import IntradayProfile, day_bounds
from generators.randomness import F64
from generators.registry import register_generator
from generators.volume import VolumeModel, VolumeTables, by_hour

OVERLAY_ROWS = 65_536
"""Rows of the overlay that are rendered at a time."""

CP_HOURS = (
    0.006, 0.004, 0.003, 0.0025, 0.004, 0.0099, 0.0218, 0.0387, 0.0496, 0.0536, 0.0596, 0.0695,
    0.0833, 0.0764, 0.0695, 0.0705, 0.0744, 0.0794, 0.0754, 0.0586, 0.0407, 0.0258, 0.0149, 0.0089,
)  # fmt: skip
"""Share of card-present rows by local hour: lunch and the way home."""
CNP_HOURS = (
    0.0232, 0.0151, 0.0111, 0.0091, 0.0091, 0.0121, 0.0202, 0.0313, 0.0424, 0.0515, 0.0565, 0.0585,
    0.0585, 0.0555, 0.0535, 0.0525, 0.0525, 0.0525, 0.0545, 0.0585, 0.0626, 0.0634, 0.0555, 0.0404,
)  # fmt: skip
"""Share of card-not-present rows by local hour: evenings."""
WEEKEND_CP_HOURS = CP_HOURS[-1:] + CP_HOURS[:-1]
"""An hour later on Saturdays and Sundays."""
SATURDAY, SUNDAY = 5, 6

_CP_EVENTS: dict[str, EventFactor] = {
    "new_years_day": 0.55, "public_holiday": 1.00, "valentines_day": 1.08, "valentines_week": 1.02,
    "mothers_day": 1.12, "mothers_day_week": 1.04, "fathers_day": 1.06, "memorial_day": 0.98, "labor_day": 0.98,
    "independence_day": 0.85, "back_to_school": 1.03, "halloween": 1.04, "thanksgiving_eve": 1.30,
    "thanksgiving": 0.45, "black_friday": 1.35, "black_friday_week": 1.15, "cyber_monday": 1.00,
    "christmas_shopping": 1.12, "last_shopping_days": 1.30, "christmas_eve": by_hour((0, 1.10), (17, 0.30)),
    "christmas_day": 0.20, "christmas_week": 1.02, "post_christmas": 1.08, "new_years_eve": 0.95,
    "super_bowl": by_hour((17, 1.05), (23, 1.0)), "first_working_day": 0.98,
}  # fmt: skip
_CNP_EVENTS: dict[str, EventFactor] = {
    "new_years_day": 0.80, "public_holiday": 1.00, "valentines_day": 1.08, "valentines_week": 1.04,
    "mothers_day": 1.0, "mothers_day_week": 1.06, "fathers_day": 1.02, "memorial_day": 1.03, "labor_day": 1.03,
    "independence_day": 0.85, "back_to_school": 1.05, "halloween": 1.0, "thanksgiving_eve": 1.10,
    "thanksgiving": 1.15, "black_friday": 1.80, "black_friday_week": 1.40, "cyber_monday": 1.90,
    "christmas_shopping": 1.20, "late_christmas_shopping": 1.0, "christmas_eve": 0.75, "christmas_day": 0.60,
    "christmas_week": 1.00, "post_christmas": 1.05, "new_years_eve": 0.80, "online_sale": 1.25,
    "first_working_day": 1.04,
}  # fmt: skip
_WEEKS = (1.04, 0.99, 1.01, 0.97)


def _profiles(events: dict[str, EventFactor]) -> dict[str, dict[str, EventFactor]]:
    return {HolidayProfile.seed: events, HolidayProfile.retail: events}


VOLUMES = (
    VolumeTables(
        day_of_week=(0.93, 0.94, 0.97, 1.01, 1.14, 1.14, 0.87),
        week_of_month=_WEEKS,
        month=(0.95, 0.95, 0.99, 0.99, 1.02, 1.02, 1.02, 1.02, 0.99, 1.01, 1.00, 1.04),
        events=_profiles(_CP_EVENTS),
    ),
    VolumeTables(
        day_of_week=(1.06, 1.05, 1.04, 1.03, 1.02, 0.90, 0.90),
        week_of_month=_WEEKS,
        month=(0.96, 0.94, 0.97, 0.97, 0.98, 0.98, 1.01, 1.00, 0.98, 1.01, 1.09, 1.11),
        events=_profiles(_CNP_EVENTS),
    ),
)
"""Relative volume of the channels."""
CHANNEL_HOURS = (CP_HOURS, CNP_HOURS)


@register_generator("credit_cards")
class CreditCardsGenerator(BaseGenerator[CreditCardsConfig]):
    """Authorisations of cards at merchants, with fraud whose labels mature."""

    domain = "finance"
    description = "Card payment authorisations with cards, merchants, subscriptions, and fraud whose labels mature."
    config_type = CreditCardsConfig
    revision = 4
    tables = card_tables.TABLES

    @cached_property
    def calendar(self) -> HolidayCalendar:
        """The events of the config's country, and its sales."""
        return self._calendar(self.config.country)

    def _calendar(self, country: str) -> HolidayCalendar:
        return HolidayCalendar(country, tuple(Event("online_sale", d, d, "day") for d in self.config.sale_days))

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Two processes a country of residence: card present and card not present, by the country's calendar."""
        config, single = self.config, self.config.country_mix == "single"
        names = [self._process_name(code, channel) for code, _ in config.residents for channel in (0, 1)]
        found = []
        for code, share in config.residents:
            country = geography.COUNTRIES[code]
            zone = config.timezone if single else country.timezone
            for channel, part in enumerate((1.0 - config.cnp_share, config.cnp_share)):
                weekend = {SATURDAY: WEEKEND_CP_HOURS, SUNDAY: WEEKEND_CP_HOURS} if channel == mcc.CP else None
                profile = IntradayProfile.from_config(config, CHANNEL_HOURS[channel], weekend, zone)
                volume = VolumeModel.from_config(
                    config,
                    generator=self.name,
                    calendar=self.calendar if single else self._calendar(country.code),
                    process=self._process_name(code, channel),
                    tables=VOLUMES[channel],
                    share=share * part,
                    processes=names,
                    intraday=profile,
                )
                found.append(Process(self._process_name(code, channel), volume, profile))
        return tuple(found)

    def _process_name(self, code: int, channel: int) -> str:
        name = card_tables.CHANNELS[channel]
        return name if self.config.country_mix == "single" else f"{geography.COUNTRY_CODES[code]}_{name}"

    # -- who and where --------------------------------------------------------------------------------------------

    @cached_property
    def cardholders(self) -> Cardholders:
        """The population behind the payments."""
        config = self.config
        types = (1.0, 0.0, 0.0) if config.credit_only else tuple(config.type_shares.values())
        return Cardholders(
            config.seed,
            self.name,
            config.base_daily_volume,
            config.residents,
            tuple(config.brand_shares.values()),
            types,
            tuple(config.card_counts.values()),
            config.travel,
            config.moves_per_year,
        )

    @cached_property
    def merchants(self) -> Merchants:
        """Where they pay."""
        config = self.config
        homes = tuple(code for code, _ in config.residents)
        return Merchants(config.seed, self.name, homes, self.amounts.laws, config.merchants)

    @cached_property
    def amounts(self) -> Amounts:
        """What they pay for, and how much."""
        config = self.config
        return Amounts(config.categories.laws(config.recurring_share), config.amounts, config.credit_only)

    @cached_property
    def ids(self) -> CardIds:
        """How numbers are shown."""
        return CardIds(self.config.seed, self.name)

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """Zone of the cardholders' clocks by country code."""
        if self.config.country_mix == "single":
            return (self.config.timezone,) * len(geography.COUNTRIES)
        return tuple(country.timezone for country in geography.COUNTRIES)

    @cached_property
    def renderer(self) -> Renderer:
        """Turns rows into columns."""
        names = pl.Series(merchants.names(self.config.seed))
        config = self.config
        return Renderer(self.cardholders, self.merchants, self.ids, self.zones, config.fx_fee, config.amounts, names)

    @cached_property
    def compromises(self) -> Compromises:
        """Fraud, year by year."""
        config = self.config
        return Compromises(
            self.cardholders,
            Regimes(config.seed, self.name, config.fraud_drift, config.fraud_shift),
            config.rate,
            tuple(config.fraud_mix.values()),
            config.episodes,
            self._expected_days,
            config.timezone,
            CHANNEL_HOURS,
        )

    @cached_property
    def fraud_rows(self) -> FraudRows:
        """The rows of fraud."""
        return FraudRows(self.compromises, self.cardholders, self.merchants, self.config, self.amounts)

    @cached_property
    def recurring_share(self) -> float:
        """Share of all rows that are recurring payments: that of the table, as often as its codes come."""
        laws = self.amounts.laws
        often = self.config.cnp_share / CNP_SHARE * (mcc.TABLE.remote_share / laws.remote_share)
        return float(laws.recurring_shares.sum()) * often

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """Recurring payments."""
        config = self.config
        return Subscriptions(
            self.cardholders,
            self.merchants,
            self.amounts,
            self.recurring_share,
            config.recurring_decline_rate,
            config.checks.avs,
            config.answers,
            config.timezone,
        )

    def _expected_days(self, year: int) -> F64:
        days = (date(year, 12, 31) - date(year, 1, 1)).days + 1
        first = date(year, 1, 1).toordinal()
        return np.array([self.expected(date.fromordinal(first + n)) for n in range(days)])

    def vocabularies(self) -> Mapping[str, tuple[str, ...]]:
        """Return the texts that no identifier format covers."""
        return {"generator": (self.name,), "merchant_name": merchants.names(self.config.seed)}

    # -- events ---------------------------------------------------------------------------------------------------

    def masses(self, day: date) -> NDArray[np.float64]:
        """Return the means of the drawn rows: the processes' less what subscriptions and fraud make of them."""
        means = super().masses(day)
        counts = self.fraud_rows.counts(day)
        for number, (code, _) in enumerate(self.config.residents):
            means[2 * number : 2 * number + 2] -= counts[code]
            means[2 * number + 1] -= self.subscriptions.expected(code, day)
        return np.maximum(means, 0.0)

    def genuine(self, batch: Batch) -> Genuine:
        """Return the drawn rows of a slice, to be computed as far as they are needed."""
        return Genuine(batch, self.cardholders, self.merchants, self._settings(batch.day))

    def draw(self, batch: Batch) -> pl.DataFrame:
        """Return the purchases of one slice."""
        sales = self.genuine(batch).sales(self.compromises.reissues(batch.day.year))
        return self.renderer.frame(sales, batch.day, with_time=False)

    def overlay(self, day: date) -> pl.DataFrame | None:
        """Return the recurring payments of a day, its fraud, and visits at terminals that copied the card."""
        frames = list(self.overlay_frames(day))
        return pl.concat(frames) if frames else None

    def overlay_frames(self, day: date) -> Iterator[pl.DataFrame]:
        """Yield the rows of `overlay` in order of time."""
        start, end = day_bounds(day, self.config.timezone)
        if start == end:
            return
        sales = self._overlay_sales(day, start, end)
        for first in range(0, len(sales), OVERLAY_ROWS):
            yield self.renderer.frame(sales.rows(first, first + OVERLAY_ROWS), day, with_time=True)

    def _overlay_sales(self, day: date, start: int, end: int) -> Sales:
        cumulative = {
            code: self._arrivals(self.processes[2 * number + 1], day, start, end)
            for number, (code, _) in enumerate(self.config.residents)
        }
        reissues = self.compromises.reissues(day.year)
        recurring = self.subscriptions.sales(day, cumulative, reissues)
        return recurring.joined(self.fraud_rows.sales(day), self.fraud_rows.visits(day)).in_order()

    def _arrivals(self, process: Process, day: date, start: int, end: int) -> tuple[F64, F64]:
        if self.config.arrival_pattern in (ArrivalPattern.uniform, ArrivalPattern.poisson):
            return np.array([0.0, 1.0]), np.array([start, end - 1], np.float64)
        shares = process.intraday.shares(start, end, hours=process.volume.hours(day))
        edges = np.append(start + np.arange(len(shares)) * 900e6, end - 1)
        return np.concatenate([[0.0], np.cumsum(shares)]), edges

    def _settings(self, day: date) -> Settings:
        courses = tuple(self._course(process, n & 1, day) for n, process in enumerate(self.processes))
        return Settings(
            self.config, self.amounts, self.zones, courses, min(self.recurring_share / self.config.cnp_share, 0.9)
        )

    @staticmethod
    def _course(process: Process, channel: int, day: date) -> DayCourse:
        curve: tuple[float, ...] = (
            WEEKEND_CP_HOURS if channel == mcc.CP and day.weekday() >= SATURDAY else CHANNEL_HOURS[channel]
        )
        hours = process.volume.hours(day)
        if hours is not None:
            curve = tuple(weight * factor for weight, factor in zip(curve, hours, strict=True))
        event = process.volume.event(day)
        return DayCourse(event if event in mcc.EVENT_TILTS else None, curve)

    # -- what belongs to the events -------------------------------------------------------------------------------

    def dimension(self, table: str, start: date, through: date) -> Iterator[pl.DataFrame]:
        """Yield cards or merchants with their versions valid from by `through`."""
        if table == "cards":
            return card_dimensions.cards(self.cardholders, self.compromises, self.ids, start, through)
        if table == "merchants":
            return card_dimensions.merchants(self.merchants, self.renderer.names, start, through)
        return super().dimension(table, start, through)

    def outcomes(self, table: str, day: date) -> pl.DataFrame:
        """Return what the payments of a day will make known in `fraud_labels`."""
        if table != "fraud_labels":
            return super().outcomes(table, day)
        plan = self.plan(day)
        slices = (self.genuine(self.batch(plan, n)) for n in range(len(plan.sizes)) if plan.sizes[n])
        return card_labels.outcomes(self.fraud_rows, slices, day, self.config.seed, self.name)

    def label_rows(self, table: str, known: pl.DataFrame, day: date) -> pl.DataFrame:
        """Return the labels that become known on a day."""
        if table != "fraud_labels":
            return super().label_rows(table, known, day)
        return card_labels.rows(known, day, self.ids)
