"""Buy-now-pay-later purchases: 45 columns with the correlations, constraints and default risk of the field guide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, field_validator

from generators.base import BaseGenerator, Batch, Process
from generators.config import GeneratorConfig, HolidayProfile
from generators.ecommerce import bnpl_dimensions, bnpl_labels, bnpl_tables
from generators.ecommerce import default_model as model
from generators.ecommerce.bnpl_drift import BNPLDrift, BNPLScenario
from generators.ecommerce.bnpl_ids import account_text, customer_numbers, customer_views, device_text, id_keys
from generators.ecommerce.catalogue import BRAND_NAMES, CATEGORIES, SHARES, Catalogue
from generators.ecommerce.customers import (
    AGE_SHARES,
    CUSTOMER_YEAR_ROWS,
    TRUSTED_AFTER_DAYS,
    Accounts,
    CustomerBase,
    Customers,
    Devices,
    pair_codes,
)
from generators.identifiers import dated_hex, inline_text, permute
from generators.intraday import IntradayProfile
from generators.randomness import LANES, hash_key, look_up, normal_table, pick_table
from generators.registry import register_generator
from generators.scenarios import DRIFT_FIELD
from generators.volume import VolumeModel, VolumeTables

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
U16 = NDArray[np.uint16]
Products = NDArray[np.intp]
"""(n,) product numbers, ready to index with."""

HOURS: dict[str, tuple[float, ...]] = {
    "block": (*[0.01] * 9, *[7 / 90] * 9, *[0.04] * 5, 0.01),
    "smooth": (
        0.012, 0.008, 0.006, 0.005, 0.005, 0.006, 0.009, 0.013, 0.018, 0.068, 0.074, 0.079,
        0.083, 0.081, 0.080, 0.079, 0.078, 0.078, 0.040, 0.041, 0.043, 0.042, 0.034, 0.018,
    ),
}  # fmt: skip
"""Share of rows by local hour: 70% from 09 to 18, 20% from 18 to 23, 10% at night."""

VOLUME = VolumeTables(
    day_of_week=(1.15, 1.10, 1.05, 1.10, 1.25, 0.85, 0.70),
    week_of_month=(1.15, 0.95, 1.10, 0.90),
    month=(0.75, 0.85, 0.95, 1.0, 1.0, 1.05, 1.05, 1.05, 1.0, 1.05, 1.10, 1.20),
    events={
        HolidayProfile.seed: {
            "new_years_day": 0.2, "valentines_day": 1.15, "valentines_week": 1.1, "mothers_day": 1.2,
            "mothers_day_week": 1.15, "fathers_day": 1.1, "labor_day": 1.05, "independence_day": 0.8,
            "back_to_school": 1.2, "halloween": 1.05, "thanksgiving": 0.2, "black_friday": 1.6,
            "black_friday_week": 1.3, "cyber_monday": 1.4, "christmas_shopping": 1.2, "christmas_eve": 0.3,
            "christmas_day": 0.1, "year_end_holidays": 0.5, "post_christmas": 1.3, "new_years_eve": 0.4,
        },
        HolidayProfile.retail: {
            "new_years_day": 0.75, "public_holiday": 1.02, "valentines_day": 1.15, "valentines_week": 1.1,
            "mothers_day": 1.1, "mothers_day_week": 1.15, "fathers_day": 1.1, "memorial_day": 1.05, "labor_day": 1.05,
            "independence_day": 0.85, "back_to_school": 1.10, "halloween": 1.05, "thanksgiving_eve": 1.25,
            "thanksgiving": 1.35, "black_friday": 2.6, "black_friday_week": 1.7, "cyber_monday": 2.8,
            "christmas_shopping": 1.35, "christmas_eve": 0.70, "christmas_day": 0.55, "post_christmas": 1.15,
            "new_years_eve": 0.80, "first_working_day": 1.03,
        },
    },
)  # fmt: skip

CATEGORY_BY_AGE = (
    (1.15, 1.05, 0.60, 1.35, 1.00),
    (1.05, 1.02, 0.90, 1.15, 1.05),
    (0.97, 1.00, 1.08, 0.95, 1.00),
    (0.93, 0.97, 1.15, 0.85, 0.97),
    (0.90, 0.93, 1.25, 0.75, 0.90),
)
"""Relative interest of each age bracket in each category, before both margins are kept."""
HOLIDAY_ELECTRONICS = 1.15
"""Factor of electronics in November and December."""

SPEED_RULE = ((0, 0, 0.5, 0.5), (0, 1, 0, 0), (0, 0, 1, 0), (1, 0, 0, 0))
"""Shares of very_fast, fast, normal, slow by scenario."""
SPEED_MARGINAL = (0.05, 0.20, 0.45, 0.30)
CONTEXT_BY_SCENARIO = (0, 1, 0, 2)
COMPARISON_SECONDS = ((60, 300), (0, 60), (60, 300), (0, 30))
SITE_SECONDS = ((180, 900), (120, 300), (300, 600), (30, 120))
ABANDONED_CARTS, STRETCHED_CARTS = 1.1, 1.6
MAX_CARTS = 6
INSTALLMENT_STEPS = ((100, (4, 4)), (500, (4, 6)), (1000, (6, 12)), (float("inf"), (12, 24)))
"""Amount below which one of two counts applies with equal chance."""
LIFECYCLE = (0.86, 0.11, 0.03)


class BNPLConfig(GeneratorConfig):
    """What determines BNPL purchases."""

    hour_curve: Literal["smooth", "block"] = Field(default="smooth", description="Shape of the day: smooth or block.")
    market: Literal["guide", "cfpb"] = Field(
        default="guide", description="Mix of credit scores and categories: the field guide's, or the CFPB's for the US."
    )
    price_law: Literal["lognormal", "uniform"] = Field(
        default="lognormal", description="Law of prices inside a category's range."
    )
    base_default_rate: float = Field(default=0.03, ge=0.001, le=0.15, description="Level of the default model.")
    seasonal_multiplier: float = Field(
        default=1.2, ge=0, le=5, description="Factor of default probabilities from 15 November to 31 December."
    )
    economic_stress: Share | dict[Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")], Share] = Field(
        default=0.0, description="Stress in [0, 1]: one value, or month (YYYY-MM) -> value, 0 in months not named."
    )
    credit_risk_shift: float = Field(
        default=0.0, ge=-2, le=2, description="Shift of customers' latent credit risk, in standard deviations."
    )
    scenario_noise: Share = Field(
        default=0.08, description="Share of rows whose checkout speed does not follow the scenario."
    )
    status_mode: Literal["completed", "lifecycle"] = Field(
        default="completed", description="lifecycle: 11% of purchases are returned and 3% cancelled."
    )
    eligible_categories: tuple[str, ...] = Field(
        default=("electronics", "clothing", "home"), description="Categories that may be financed."
    )
    minimum_price: float = Field(default=50.0, ge=0, le=400, description="Lowest price that may be financed, USD.")
    enforce_eligibility: bool = Field(default=False, description="Whether only eligible products are sold.")
    drift: tuple[BNPLDrift, ...] = Field(default=(), description=DRIFT_FIELD)

    @field_validator("country")
    @classmethod
    def _has_currency(cls, value: str) -> str:
        if value not in bnpl_tables.CURRENCIES:
            raise ValueError(f"no currency is known for it; allowed: {', '.join(bnpl_tables.CURRENCIES)}")
        return value

    @field_validator("eligible_categories")
    @classmethod
    def _known_categories(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - set(CATEGORIES):
            raise ValueError(f"allowed: one or more of {', '.join(CATEGORIES)}")
        return value

    def stress(self, day: date) -> float:
        """Return the economic stress of a day's month."""
        if isinstance(self.economic_stress, dict):
            return self.economic_stress.get(f"{day:%Y-%m}", 0.0)
        return self.economic_stress


@register_generator("bnpl")
class BNPLGenerator(BaseGenerator[BNPLConfig]):
    """E-commerce purchases paid in instalments."""

    domain = "ecommerce"
    description = "E-commerce buy-now-pay-later purchases with customers, products, devices and default risk."
    config_type = BNPLConfig
    revision = 1
    tables = (
        bnpl_tables.TRANSACTIONS,
        bnpl_tables.INSTALLMENTS,
        bnpl_tables.OUTCOMES,
        bnpl_tables.CUSTOMERS,
        bnpl_tables.PRODUCTS,
        bnpl_tables.DEVICES,
        bnpl_tables.ACCOUNTS,
    )

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """One process: purchases."""
        intraday = IntradayProfile.from_config(self.config, curve=HOURS[self.config.hour_curve])
        volume = VolumeModel.from_config(
            self.config,
            generator=self.name,
            calendar=self.calendar,
            process="purchases",
            tables=VOLUME,
            intraday=intraday,
        )
        return (Process("purchases", volume, intraday),)

    @cached_property
    def scenario(self) -> BNPLScenario:
        """What the config's drifts do on each day."""
        return BNPLScenario(self.config.drift)

    @cached_property
    def customers(self) -> CustomerBase:
        """The population behind the purchases."""
        config = self.config
        return CustomerBase(
            seed=config.seed,
            generator=self.name,
            slots=max(1, round(config.base_daily_volume * 365 / CUSTOMER_YEAR_ROWS)),
            market=config.market,
            country=config.country,
            risk_shift=config.credit_risk_shift,
            yearly_miss=model.yearly_miss(CUSTOMER_YEAR_ROWS, config.base_default_rate / model.REFERENCE_RATE),
            scenario=self.scenario,
        )

    @cached_property
    def catalogue(self) -> Catalogue:
        """The products on sale."""
        config = self.config
        return Catalogue(
            config.seed,
            self.name,
            config.market,
            config.price_law,
            config.eligible_categories,
            config.minimum_price,
            config.enforce_eligibility,
        )

    def vocabularies(self) -> Mapping[str, tuple[str, ...]]:
        """Return the texts that no identifier format covers."""
        return {"generator": (self.name,), "brands": BRAND_NAMES}

    def dimension(self, table: str, start: date, through: date) -> Iterator[pl.DataFrame]:
        """Yield customers, products, devices or accounts with their versions valid from by `through`."""
        makers = bnpl_dimensions.MAKERS
        if table not in makers:
            return super().dimension(table, start, through)
        return makers[table](self.customers, self.catalogue, self.config.country, start, through)

    def draw(self, batch: Batch) -> pl.DataFrame:
        """Return the purchases of one slice."""
        who, device, account, product = self._parties(batch)
        frame = {
            **self._ids(batch, who, device, account, product),
            **self._customer_columns(who),
            **self._product_columns(product),
            **self._device_columns(device),
            **self._behaviour(batch, who, device, account, product),
            "payment_provider": account.provider,
            "payment_credit_limit": look_up(np.array(self._limits(batch), np.uint16), account.limit),
        }
        return self._frame(frame, batch)

    def outcomes(self, table: str, day: date) -> pl.DataFrame:
        """Return the compact outcomes of a day's purchases in `installments` or `outcomes`."""
        if table not in bnpl_labels.OUTCOMES:
            return super().outcomes(table, day)
        plan = self.plan(day)
        slices = [self.batch(plan, number) for number in range(len(plan.sizes))]
        return pl.concat([bnpl_labels.OUTCOMES[table](self._loans(batch)) for batch in slices])

    def label_rows(self, table: str, known: pl.DataFrame, day: date) -> pl.DataFrame:
        """Return the columns of `installments` or `outcomes` for outcomes that become known on a day."""
        return bnpl_labels.ROWS[table](known, day)

    def fold(self, table: str, rows: pl.LazyFrame, day: date) -> pl.LazyFrame:
        """Return the last known row of each purchase; of its instalments, how they stand on the day."""
        return bnpl_labels.standing(rows, day) if table == "installments" else super().fold(table, rows, day)

    def _parties(self, batch: Batch) -> tuple[Customers, Devices, Accounts, Products]:
        """Return who buys what on which device and account."""
        slots = self.customers.pool.draw(batch.n, batch.rng("customer_id"))
        if self.scenario.of("new_segment"):
            slots = self.customers.segment_first(slots, batch.rng("segment"), batch.day)
        who = self.customers.on_day(slots, batch.day)
        device = self.customers.devices(who, lanes(batch, "device_id"), lanes(batch, "other_device"))
        account = self.customers.accounts(who, lanes(batch, "payment_method_id"), batch.day)
        return who, device, account, self._products(batch, who)

    def _loans(self, batch: Batch) -> bnpl_labels.Loans:
        """Return how the purchases of one slice are paid, drawing only what that depends on."""
        who, device, account, product = self._parties(batch)
        risk = self._risk(batch, who, device, account, product)
        return bnpl_labels.loans(
            batch,
            number=self._transactions(batch),
            customer=who.entity,
            shown=customer_numbers(who.entity, self._keys),
            account=account.which,
            cents=_cents(self.catalogue)[product],
            first_cents=_first_cents(self.catalogue)[product],
            installments=risk.installments,
            missed=_missed_positions(batch, risk.defaults, risk.installments),
            linear=risk.linear,
        )

    # -- products -------------------------------------------------------------------------------------------------

    def _products(self, batch: Batch, who: Customers) -> Products:
        interest = self.scenario.interest(batch.day)
        picks = _category_picks(self.config.market, batch.day.month >= 11, self._sold, interest)
        category = picks[(who.age.astype(np.intp) << 16) + lanes(batch, "product_category")]
        index = (category.astype(np.intp) << 16) + lanes(batch, "product_id")
        return np.asarray(self.catalogue.picks[index], np.intp)

    @cached_property
    def _sold(self) -> tuple[bool, ...]:
        """Whether each category is on sale."""
        if not self.config.enforce_eligibility:
            return (True,) * len(CATEGORIES)
        shop = self.catalogue
        return tuple(bool(shop.eligible[shop.category == code].any()) for code in range(len(CATEGORIES)))

    def _product_columns(self, product: Products) -> dict[str, Any]:
        shop = self.catalogue
        price = shop.price[product]
        return {
            "amount": price,
            "product_price": price,
            "first_payment_amount": _first_payment(shop)[product],
            "product_category": shop.category[product],
            "product_subcategory": shop.subcategory[product],
            "product_brand": shop.brand[product],
            "product_bnpl_eligible": shop.eligible[product],
            "product_risk_category": shop.risk[product],
        }

    # -- ids ------------------------------------------------------------------------------------------------------

    @cached_property
    def _keys(self) -> dict[str, np.uint64]:
        return id_keys(self.config.seed, self.name)

    def _ids(
        self, batch: Batch, who: Customers, device: Devices, account: Accounts, product: Products
    ) -> dict[str, pl.Series]:
        customer = customer_views(who.entity, self._keys)
        return {
            "transaction_id": dated_hex("txn_", f"{batch.day:%Y%m%d}", self._transactions(batch)),
            "customer_id": inline_text(customer),
            "product_id": inline_text(self.catalogue.id_views[product]),
            "device_id": device_text(device.number, self._keys),
            "payment_method_id": account_text(customer, account.which),
        }

    @staticmethod
    def _transactions(batch: Batch) -> NDArray[np.uint64]:
        """Return (n,) numbers that name the purchases within their day."""
        return permute(batch.row, 32, hash_key(batch.seed, batch.generator, batch.day, "transaction_id"))

    # -- customers and devices ------------------------------------------------------------------------------------

    def _customer_columns(self, who: Customers) -> dict[str, Any]:
        state = (
            pl.Series(who.state) if self.config.country == "US" else pl.Series([None] * len(who.state), dtype=pl.UInt8)
        )
        return {
            "customer_age_bracket": who.age,
            "customer_tenure_days": who.tenure.astype(np.uint16),
            "customer_income_bracket": who.income,
            "customer_credit_score_range": who.credit,
            "customer_verification_level": who.verification,
            "customer_address_stability": who.address,
            "customer_state": state,
        }

    @staticmethod
    def _device_columns(device: Devices) -> dict[str, Any]:
        types, systems = pair_codes()
        return {
            "device_type": look_up(types, device.pair),
            "device_os": look_up(systems, device.pair),
            "device_is_trusted": device.age > TRUSTED_AFTER_DAYS,
        }

    # -- behaviour and risk ---------------------------------------------------------------------------------------

    def _behaviour(
        self, batch: Batch, who: Customers, device: Devices, account: Accounts, product: Products
    ) -> dict[str, Any]:
        shop, config = self.catalogue, self.config
        risk = self._risk(batch, who, device, account, product)
        scenario, cell, installments, defaults = risk.scenario, risk.cell, risk.installments, risk.defaults
        stress = self._stress(batch.day)
        score = _score_table(stress)
        utilisation = np.round(
            shop.price[product] / look_up(np.array(self._limits(batch), np.float64), account.limit), 4
        )
        site = _between(SITE_SECONDS, scenario, lanes(batch, "time_on_site_seconds"))
        comparison = _between(COMPARISON_SECONDS, scenario, lanes(batch, "price_comparison_time"))
        return {
            "risk_scenario": scenario,
            "risk_score": score[cell],
            "risk_level": np.searchsorted(model.LEVEL_EDGES, score, side="right").astype(np.uint8)[cell],
            "installment_count": installments,
            "purchase_context": look_up(np.array(CONTEXT_BY_SCENARIO, np.uint8), scenario),
            "checkout_speed": _speed_picks(config.scenario_noise)[
                (scenario.astype(np.intp) << 16) + lanes(batch, "checkout_speed")
            ],
            "cart_abandonment_count": _cart_picks()[
                ((scenario == 2).astype(np.intp) << 16) + lanes(batch, "cart_abandonment_count")
            ],
            "time_on_site_seconds": site,
            "price_comparison_time": np.minimum(comparison, site),
            "credit_utilization": utilisation,
            "economic_stress_factor": np.full(batch.n, stress),
            "will_default": defaults,
            "days_to_first_missed_payment": _first_missed(batch, defaults, installments),
            "status": self._status(batch),
        }

    def _risk(self, batch: Batch, who: Customers, device: Devices, account: Accounts, product: Products) -> _Risk:
        """Return what decides whether a purchase is paid, and the plan by which it is."""
        shop = self.catalogue
        trusted = (device.age > TRUSTED_AFTER_DAYS).astype(np.uint8)
        scenario = self._scenario(batch, product, account, trusted)
        cell = who.credit.astype(np.intp)
        for size, code in zip(
            model.SCORE_SHAPE[1:], (who.verification, who.income, trusted, shop.risk[product], scenario), strict=True
        ):
            cell *= size
            cell += code
        count = _installments(shop)[:, product]
        installments = np.where(lanes(batch, "installment_count") < LANES // 2, count[0], count[1])
        score = _score_table(self._stress(batch.day))
        linear = self._linear(batch, who, account, product, score[cell])
        return _Risk(scenario, cell, installments, linear, self._defaults(batch, linear))

    def _scenario(
        self, batch: Batch, product: Products, account: Accounts, trusted: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        # Weights: low 0.60, impulse 0.20, stretched 0.15 exp(1.1 (ln util - mean) - 0.42), high risk 0.05 exp(-0.20),
        # times e on a device that is not trusted.
        pressure = self.scenario.pressure(batch.day)
        stretched = _stretch_by_price(self.catalogue)[product]
        stretched *= look_up(_stretch_by_limit(self._limits(batch), pressure), account.limit)
        high_risk = look_up(_high_risk_by_trust(pressure), trusted)
        point = batch.rng("risk_scenario").random(batch.n, dtype=np.float32) * (np.float32(0.8) + stretched + high_risk)
        scenario = (point >= np.float32(0.6)).astype(np.uint8)
        scenario += point >= np.float32(0.8)
        scenario += point >= np.float32(0.8) + stretched
        return scenario

    def _linear(
        self, batch: Batch, who: Customers, account: Accounts, product: Products, score: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        linear = ((score - model.SCORE_MEAN) / model.SCORE_SD).astype(np.float32)
        linear += _utilisation_by_price(self.catalogue)[product]
        linear += look_up(_utilisation_by_limit(self._limits(batch)), account.limit)
        linear -= look_up(_tenure_table(), who.tenure)
        linear *= np.float32(1 / model.LINEAR_SD)
        linear += np.float32(model.FRAILTY) * who.risk
        linear += np.float32(model.UNOBSERVED) * look_up(_normals(), lanes(batch, "unobserved"))
        linear *= np.float32(1 / model.TOTAL_SD)
        return linear

    def _defaults(self, batch: Batch, linear: NDArray[np.float32]) -> NDArray[np.bool_]:
        config = self.config
        season = config.seasonal_multiplier if model.in_season(batch.day) else 1.0
        p = model.base_probability(linear, config.base_default_rate / model.REFERENCE_RATE * season)
        p += np.float32(0.01) * look_up(_normals(), lanes(batch, "default_noise"))
        np.clip(p, np.float32(0.001), np.float32(0.25), out=p)
        return batch.rng("will_default").random(batch.n, dtype=np.float32) < p

    def _stress(self, day: date) -> float:
        """Return the economic stress of a day, a shock's part included."""
        return min(1.0, self.config.stress(day) + self.scenario.stress(day))

    def _limits(self, batch: Batch) -> tuple[int, ...]:
        """Return the credit limits of the day by code, USD."""
        return self.customers.limit_amounts(batch.day_number)

    def _status(self, batch: Batch) -> NDArray[np.uint8]:
        if self.config.status_mode == "completed":
            return np.zeros(batch.n, np.uint8)
        return look_up(pick_table(LIFECYCLE), lanes(batch, "status"))

    # -- frame ----------------------------------------------------------------------------------------------------

    def _frame(self, columns: dict[str, Any], batch: Batch) -> pl.DataFrame:
        constants = {
            "currency": bnpl_tables.CURRENCY_CODES.index(bnpl_tables.CURRENCIES[self.config.country]),
            "payment_frequency": 0,
            "payment_type": 0,
        }
        arrays = columns | {name: np.full(batch.n, code, np.uint8) for name, code in constants.items()}
        return pl.DataFrame([v.alias(k) if isinstance(v, pl.Series) else pl.Series(k, v) for k, v in arrays.items()])


@dataclass(frozen=True, eq=False)
class _Risk:
    """(n,) purchases: scenario, cell of the score table, instalments, standardised risk l, whether they default."""

    scenario: NDArray[np.uint8]
    cell: NDArray[np.intp]
    installments: NDArray[np.uint8]
    linear: NDArray[np.float32]
    defaults: NDArray[np.bool_]


def lanes(batch: Batch, column: str) -> U16:
    """Return (n,) 16-bit draws of a column, for tables of `LANES` entries."""
    return batch.rng(column).integers(0, LANES, batch.n, dtype=np.uint16)


@lru_cache(maxsize=1)
def _normals() -> NDArray[np.float32]:
    return normal_table().astype(np.float32)


@lru_cache(maxsize=16)
def _category_picks(
    market: str, holiday_season: bool, sold: tuple[bool, ...], interest: tuple[float, ...]
) -> NDArray[np.uint8]:
    """Return (5 * 65536,) category codes by (age bracket, 16-bit draw), with both margins kept by iterative fitting.

    Args:
        market: Key of `SHARES`.
        holiday_season: Whether electronics are a larger part.
        sold: Whether each category is on sale.
        interest: Further factors of the categories; empty: none.
    """
    target = np.array(SHARES[market]) * np.array(sold)
    target /= target.sum()
    table = np.array(CATEGORY_BY_AGE) * target
    for _ in range(50):
        table *= (np.array(AGE_SHARES) / table.sum(axis=1))[:, None]
        table *= np.divide(target, table.sum(axis=0), out=np.ones(len(target)), where=target > 0)
    if holiday_season:
        table[:, CATEGORIES.index("electronics")] *= HOLIDAY_ELECTRONICS
    if interest:
        table *= interest
    return np.concatenate([pick_table(tuple(row)) for row in table])


@lru_cache(maxsize=8)
def _score_table(stress: float) -> NDArray[np.float64]:
    return model.score_table(stress)


@lru_cache(maxsize=8)
def _speed_picks(noise: float) -> NDArray[np.uint8]:
    rules = (1 - noise) * np.array(SPEED_RULE) + noise * np.array(SPEED_MARGINAL)
    return np.concatenate([pick_table(tuple(row)) for row in rules])


@lru_cache(maxsize=1)
def _cart_picks() -> NDArray[np.uint8]:
    """Return (2 * 65536,) abandoned carts by (stretched or not, 16-bit draw): Poisson, the tail at 6."""
    tables = []
    for mean in (ABANDONED_CARTS, STRETCHED_CARTS):
        shares = [float(np.exp(-mean))]
        for k in range(1, MAX_CARTS):
            shares.append(shares[-1] * mean / k)
        tables.append(pick_table((*shares, 1 - sum(shares))))
    return np.concatenate(tables)


def _between(ranges: tuple[tuple[int, int], ...], scenario: NDArray[Any], draws: U16) -> U16:
    """Return (n,) whole seconds uniform in the scenario's closed range."""
    low, high = np.array(ranges, np.uint32).T
    scenario = scenario.astype(np.intp)
    return np.asarray(low[scenario] + (draws * (high - low + 1)[scenario] >> 16), np.uint16)


@lru_cache(maxsize=4)
def _first_payment(shop: Catalogue) -> NDArray[np.float64]:
    return np.round(shop.price * 0.25, 2)


@lru_cache(maxsize=4)
def _installments(shop: Catalogue) -> NDArray[np.uint8]:
    """Return (2, products) the two possible counts of instalments."""
    step = np.searchsorted([edge for edge, _ in INSTALLMENT_STEPS], shop.price, side="right")
    return np.array([counts for _, counts in INSTALLMENT_STEPS], np.uint8)[step].T


@lru_cache(maxsize=4)
def _stretch_by_price(shop: Catalogue) -> NDArray[np.float32]:
    """Return the factors by product which times those by limit are the weights of credit_stretched."""
    by_price = 0.15 * np.exp(-1.1 * model.LOG_UTILISATION_MEAN - 0.42) * shop.price**1.1
    return np.asarray(by_price, np.float32)


@lru_cache(maxsize=16)
def _stretch_by_limit(limits: tuple[int, ...], pressure: float) -> NDArray[np.float32]:
    return np.asarray(pressure * np.array(limits, np.float64) ** -1.1, np.float32)


def _high_risk_by_trust(pressure: float) -> NDArray[np.float32]:
    """Return the weights of high_risk_behavior on devices that are not trusted and on trusted ones."""
    return np.array([pressure * 0.05 * np.exp(0.80), pressure * 0.05 * np.exp(-0.20)], np.float32)


_UTILISATION_SCALE = 0.35 / model.LOG_UTILISATION_SD


@lru_cache(maxsize=4)
def _utilisation_by_price(shop: Catalogue) -> NDArray[np.float32]:
    """Return the terms by product which plus those by limit are 0.35 (ln utilisation - mean) / sd."""
    return np.asarray(_UTILISATION_SCALE * (np.log(shop.price) - model.LOG_UTILISATION_MEAN), np.float32)


@lru_cache(maxsize=16)
def _utilisation_by_limit(limits: tuple[int, ...]) -> NDArray[np.float32]:
    return np.asarray(-_UTILISATION_SCALE * np.log(np.array(limits, np.float64)), np.float32)


@lru_cache(maxsize=1)
def _tenure_table() -> NDArray[np.float32]:
    """Return 0.30 (ln(1 + tenure) - 5.608) / 1.147 by tenure in days."""
    tenure = np.arange(60_000)
    return (0.30 * (np.log1p(tenure) - model.LOG_TENURE_MEAN) / model.LOG_TENURE_SD).astype(np.float32)


@lru_cache(maxsize=4)
def _missed_edges(count: int) -> NDArray[np.float64]:
    """Return the cumulative shares of the first missed instalment's position 1 ... count - 1."""
    if count == 4:
        weights = np.array([0.25, 0.45, 0.30])
    else:
        position = np.arange(1, count)
        weights = np.maximum(np.minimum(position, count - position) / (count / 2), 0.05)
    return np.asarray(np.cumsum(weights) / weights.sum())


def _missed_positions(batch: Batch, defaults: NDArray[np.bool_], installments: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return (n,) positions of the first missed instalment, the one at checkout being 0; 0 without default."""
    rows = np.flatnonzero(defaults)
    uniform = batch.rng("days_to_first_missed_payment").random(len(rows))
    position = np.zeros(len(rows), np.uint16)
    for count in np.unique(installments[rows]):
        chosen = installments[rows] == count
        position[chosen] = 1 + np.searchsorted(_missed_edges(int(count)), uniform[chosen], side="right")
    missed = np.zeros(batch.n, np.uint16)
    missed[rows] = position
    return missed


def _first_missed(batch: Batch, defaults: NDArray[np.bool_], installments: NDArray[np.uint8]) -> pl.Series:
    """Return (n,) days to the first missed instalment, null without default."""
    return pl.Series(values=pa.array(_missed_positions(batch, defaults, installments) * 14, mask=~defaults))


@lru_cache(maxsize=4)
def _cents(shop: Catalogue) -> NDArray[np.uint32]:
    return np.round(shop.price * 100).astype(np.uint32)


@lru_cache(maxsize=4)
def _first_cents(shop: Catalogue) -> NDArray[np.uint32]:
    return np.round(_first_payment(shop) * 100).astype(np.uint32)
