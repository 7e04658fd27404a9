"""Buy-now-pay-later purchases: 45 columns with the correlations, constraints and default risk of the field guide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from generators.base import BaseGenerator, Batch, Process
from generators.ecommerce import bnpl_dimensions, bnpl_labels, bnpl_tables
from generators.ecommerce import bnpl_lookups as lookups
from generators.ecommerce import default_model as model
from generators.ecommerce.bnpl_config import BNPLConfig
from generators.ecommerce.bnpl_drift import BNPLScenario
from generators.ecommerce.bnpl_ids import account_text, customer_numbers, customer_views, device_text, id_keys
from generators.ecommerce.bnpl_volume import HOURS, VOLUME
from generators.ecommerce.catalogue import BRAND_NAMES, CATEGORIES, Catalogue
from generators.ecommerce.customers import (
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
from generators.randomness import LANES, hash_key, look_up, pick_table
from generators.registry import register_generator
from generators.volume import VolumeModel

U16 = NDArray[np.uint16]
Products = NDArray[np.intp]
"""(n,) product numbers, ready to index with."""

LIFECYCLE = (0.86, 0.11, 0.03)
CONTEXT_BY_SCENARIO = (0, 1, 0, 2)


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
            **self._device_columns(who, device),
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
            cents=lookups.price_cents(self.catalogue)[product],
            first_cents=lookups.first_payment_cents(self.catalogue)[product],
            installments=risk.installments,
            missed=_missed_positions(batch, risk.defaults, risk.installments),
            linear=risk.linear,
        )

    # -- products -------------------------------------------------------------------------------------------------

    def _products(self, batch: Batch, who: Customers) -> Products:
        interest = self.scenario.interest(batch.day)
        picks = lookups.category_picks(self.config.market, batch.day.month >= 11, self._sold, interest)
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
            "first_payment_amount": lookups.first_payments(shop)[product],
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
        return {
            "customer_age_bracket": who.age,
            "customer_tenure_days": who.tenure.astype(np.uint16),
            "customer_income_bracket": who.income,
            "customer_credit_score_range": who.credit,
            "customer_verification_level": who.verification,
            "customer_address_stability": who.address,
            "customer_state": self.customers.states(who),
        }

    def _device_columns(self, who: Customers, device: Devices) -> dict[str, Any]:
        types, systems = pair_codes()
        pair = self.customers.device_pairs(device.number, who)
        return {
            "device_type": look_up(types, pair),
            "device_os": look_up(systems, pair),
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
        score = lookups.score_table(stress)
        utilisation = np.round(
            shop.price[product] / look_up(np.array(self._limits(batch), np.float64), account.limit), 4
        )
        site = lookups.between(lookups.SITE_SECONDS, scenario, lanes(batch, "time_on_site_seconds"))
        comparison = lookups.between(lookups.COMPARISON_SECONDS, scenario, lanes(batch, "price_comparison_time"))
        return {
            "risk_scenario": scenario,
            "risk_score": score[cell],
            "risk_level": np.searchsorted(model.LEVEL_EDGES, score, side="right").astype(np.uint8)[cell],
            "installment_count": installments,
            "purchase_context": look_up(np.array(CONTEXT_BY_SCENARIO, np.uint8), scenario),
            "checkout_speed": lookups.speed_picks(config.scenario_noise)[
                (scenario.astype(np.intp) << 16) + lanes(batch, "checkout_speed")
            ],
            "cart_abandonment_count": lookups.cart_picks()[
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
        count = lookups.installment_choices(shop)[:, product]
        installments = np.where(lanes(batch, "installment_count") < LANES // 2, count[0], count[1])
        score = lookups.score_table(self._stress(batch.day))
        linear = self._linear(batch, who, account, product, score[cell])
        return _Risk(scenario, cell, installments, linear, self._defaults(batch, linear))

    def _scenario(
        self, batch: Batch, product: Products, account: Accounts, trusted: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        # Weights: low 0.60, impulse 0.20, stretched 0.15 exp(1.1 (ln util - mean) - 0.42), high risk 0.05 exp(-0.20),
        # times e on a device that is not trusted.
        pressure = self.scenario.pressure(batch.day)
        stretched = lookups.stretch_by_price(self.catalogue)[product]
        stretched *= look_up(lookups.stretch_by_limit(self._limits(batch), pressure), account.limit)
        high_risk = look_up(lookups.high_risk_by_trust(pressure), trusted)
        point = batch.rng("risk_scenario").random(batch.n, dtype=np.float32) * (np.float32(0.8) + stretched + high_risk)
        scenario = (point >= np.float32(0.6)).astype(np.uint8)
        scenario += point >= np.float32(0.8)
        scenario += point >= np.float32(0.8) + stretched
        return scenario

    def _linear(
        self, batch: Batch, who: Customers, account: Accounts, product: Products, score: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        linear = ((score - model.SCORE_MEAN) / model.SCORE_SD).astype(np.float32)
        linear += lookups.utilisation_by_price(self.catalogue)[product]
        linear += look_up(lookups.utilisation_by_limit(self._limits(batch)), account.limit)
        linear -= look_up(lookups.tenure_table(), who.tenure)
        linear *= np.float32(1 / model.LINEAR_SD)
        linear += np.float32(model.FRAILTY) * who.risk
        linear += np.float32(model.UNOBSERVED) * look_up(lookups.normals(), lanes(batch, "unobserved"))
        linear *= np.float32(1 / model.TOTAL_SD)
        return linear

    def _defaults(self, batch: Batch, linear: NDArray[np.float32]) -> NDArray[np.bool_]:
        config = self.config
        season = config.seasonal_multiplier if model.in_season(batch.day) else 1.0
        p = model.base_probability(linear, config.base_default_rate / model.REFERENCE_RATE * season)
        p += np.float32(0.01) * look_up(lookups.normals(), lanes(batch, "default_noise"))
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
