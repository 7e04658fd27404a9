"""Fourteen faults of the published BNPL generator, each with a test that the rule in its place holds."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from generators import get_generator
from tests.generators.ecommerce import bnpl_world as guide
from tests.generators.ecommerce.bnpl_world import World, codes
from tests.generators.ecommerce.statistics import area, gini, shares, spearman

DAY = date(2024, 6, 5)


@pytest.fixture(scope="module")
def rows(world: World) -> pl.DataFrame:
    return world.spread


def test_fault_01_utilisation_only_in_some_rows_from_another_limit(rows: pl.DataFrame) -> None:
    used = rows["credit_utilization"]
    assert used.null_count() == 0
    exact = rows["amount"] / rows["payment_credit_limit"]
    assert (used - exact).abs().max() <= 0.00005 + 1e-12  # type: ignore[operator]
    assert ((used * 10_000).round() / 10_000 - used).abs().max() < 1e-12  # type: ignore[operator]
    assert 0.10 <= used.mean() <= 0.20  # type: ignore[operator]
    assert 0.04 <= (used > 0.30).mean() <= 0.20  # type: ignore[operator]
    assert used.max() <= 1  # type: ignore[operator]


def test_fault_02_tenure_and_age_by_the_clock_of_the_machine(world: World) -> None:
    """Tenure is counted from the sign-up to the row's own day, so a week later it is seven days more."""
    generator = world.make(2_000)
    first, second = generator.generate(DAY), generator.generate(DAY + timedelta(7))
    people = pl.concat(list(generator.dimension("customers", DAY, DAY)))
    signup = people.unique("customer_id").select("customer_id", "signup_date")
    known = first.join(signup, on="customer_id", how="left")
    elapsed = (pl.lit(DAY) - known["signup_date"]).dt.total_days()
    assert known.select(elapsed.eq(known["customer_tenure_days"]).all()).item()
    assert known.select(elapsed.min()).item() >= 0
    pairs = first.unique("customer_id").join(second.unique("customer_id"), on="customer_id", suffix="_later")
    assert pairs.height > 30
    gained = pairs["customer_tenure_days_later"].cast(pl.Int32) - pairs["customer_tenure_days"].cast(pl.Int32)
    assert gained.unique().to_list() == [7]


def test_fault_03_ages_drawn_evenly(world: World) -> None:
    """The mix itself is tested in test_bnpl_mixes; an even draw from 18 to 70 would put 0.13 at 18-24, 0.31 at 55+."""
    mix = shares(world.people["customer_age_bracket"])
    for bracket, expected in guide.AGE.items():
        assert mix[bracket] == pytest.approx(expected, abs=0.015)
    table = pl.concat(list(world.make(400).dimension("customers", date(2024, 1, 1), date(2024, 12, 31))))
    steps = table.sort("customer_id", "valid_from").select(
        pl.col("customer_age_bracket").to_physical().cast(pl.Int32).diff().over("customer_id")
    )
    assert steps.to_series().min() == 0
    assert steps.to_series().max() == 1


def test_fault_04_resale_risk_drawn_at_random(world: World) -> None:
    products = world.products
    for (category,), part in products.group_by("product_category"):
        if category in ("clothing", "home", "sports"):
            assert spearman(codes(part["product_risk_category"]), part["product_price"]) > 0.2, category
    electronics = products.filter(pl.col("product_category") == "electronics")
    high = {
        brand == "Apple": float((part["product_risk_category"] == "high").mean())  # type: ignore[arg-type]
        for (brand,), part in electronics.group_by(pl.col("product_brand").cast(pl.String) == "Apple")
        for brand in ["Apple" if brand else "other"]
    }
    assert high[True] > 1.5 * high[False]


def test_fault_05_brands_of_other_categories(rows: pl.DataFrame) -> None:
    brands = {
        "electronics": {"Apple", "Samsung", "Nordvik"},
        "clothing": {"Nike", "Adidas", "Zara", "H&M"},
        "home": {"IKEA", "Hearthwell", "Lumora"},
        "beauty": {"Sephora", "Velmara", "Purelle Lane"},
        "sports": {"Nike", "Adidas", "Ridgepeak"},
    }
    kinds = {
        "electronics": {"smartphone", "laptop", "headphones", "tablet", "smartwatch", "camera"},
        "clothing": {"shoes", "dress", "jacket", "jeans", "shirt", "accessories"},
        "home": {"furniture", "kitchen", "decor", "bedding", "lighting"},
        "beauty": {"skincare", "makeup", "fragrance", "haircare"},
        "sports": {"fitness", "outdoor", "cycling", "team_sports", "running"},
    }
    for (category,), part in rows.group_by("product_category"):
        assert set(part["product_brand"].unique()) == brands[str(category)]
        assert set(part["product_subcategory"].unique()) == kinds[str(category)]


def test_fault_06_missed_dates_that_the_plan_does_not_have(rows: pl.DataFrame) -> None:
    assert (rows["days_to_first_missed_payment"].is_null() == ~rows["will_default"]).all()
    missed = rows.filter(pl.col("will_default"))
    days, count = (missed[c].cast(pl.Int32) for c in ("days_to_first_missed_payment", "installment_count"))
    assert (days % 14 == 0).all()
    assert days.min() == 14
    assert (days <= 14 * (count - 1)).all()
    assert missed.filter(days == 14 * (count - 1)).height > 0


def test_fault_07_knobs_of_the_default_model_that_nobody_reads(world: World) -> None:
    def rate(day: date = DAY, **fields: object) -> float:
        return float(world.make(60_000, **fields).generate(day)["will_default"].mean())  # type: ignore[arg-type]

    plain = rate()
    assert 1.5 * plain < rate(base_default_rate=0.06) < 2.1 * plain
    assert 1.25 <= rate(economic_stress=1.0) / plain <= 1.70
    assert rate(economic_stress={"2024-06": 1.0}) > 1.2 * plain
    assert rate(economic_stress={"2024-07": 1.0}) == plain
    december = date(2024, 12, 4)
    assert 1.10 <= rate(december) / rate(december, seasonal_multiplier=1.0) <= 1.25
    for last_before, first_in in ((date(2024, 11, 14), date(2024, 11, 15)),):
        assert rate(last_before) == rate(last_before, seasonal_multiplier=1.0)
        assert rate(first_in) > rate(first_in, seasonal_multiplier=1.0)


def test_fault_08_labels_that_nobody_can_learn(rows: pl.DataFrame) -> None:
    """The published score reaches a ROC-AUC of 0.60 at a default rate of 4.9%; test_bnpl_risk judges with a model."""
    label = rows["will_default"].to_numpy()
    assert 0.025 <= label.mean() <= 0.045
    assert 0.70 <= area(rows["risk_score"].to_numpy(), label) <= 0.78


def test_fault_09_limits_and_methods_at_random(world: World, rows: pl.DataFrame) -> None:
    held = world.accounts
    assert spearman(held["payment_credit_limit"], -codes(held["customer_credit_score_range"])) > 0.35
    assert set(held["payment_credit_limit"].unique()) == {500, 1000, 1500, 2500, 5000}
    method = rows["payment_method_id"]
    assert (method.str.replace(r"_pm_[12]$", "") == rows["customer_id"]).all()
    quarter = rows.filter(pl.col("timestamp").dt.quarter() == 1).group_by("payment_method_id")
    constant = quarter.agg(pl.col("payment_credit_limit", "payment_provider").n_unique())
    assert constant["payment_credit_limit"].max() == 1
    assert constant["payment_provider"].max() == 1
    both = rows.group_by("customer_id").agg(
        pl.col("payment_provider").n_unique().alias("providers"),
        pl.col("payment_method_id").n_unique().alias("methods"),
    )
    assert (both["providers"] == both["methods"]).all()
    assert both["methods"].max() == 2


def test_fault_10_no_heavy_users_and_entities_that_change(world: World, rows: pl.DataFrame) -> None:
    per_customer = world.year["customer_id"].value_counts()["count"]
    assert 0.42 <= gini(per_customer.to_numpy()) <= 0.62
    fixed = ["customer_income_bracket", "customer_credit_score_range", "customer_address_stability"]
    kinds = rows.group_by("customer_id").agg(pl.col(fixed).n_unique())
    assert all(kinds[column].max() == 1 for column in fixed)
    product = ["product_category", "product_subcategory", "product_brand", "product_price", "product_risk_category"]
    kinds = rows.group_by("product_id").agg(pl.col(product).n_unique())
    assert all(kinds[column].max() == 1 for column in product)
    assert kinds.height > 4_500


def test_fault_11_wrong_calendar() -> None:
    """Volumes around the days that were wrong, against the factors of the table; the rest is in test_bnpl_volume."""
    generator = get_generator("bnpl", day_of_week="off", week_of_month="off", month_factors="off")
    (process,) = generator.processes

    def factor(text: str) -> float:
        return process.volume.expected(date.fromisoformat(text)) / 1000

    assert factor("2024-05-12") == pytest.approx(1.2)  # Mother's Day is a Sunday
    assert factor("2024-05-13") == pytest.approx(1.15)
    assert factor("2024-06-16") == pytest.approx(1.1)  # so is Father's Day
    assert factor("2024-06-17") == pytest.approx(1.0)
    for day in ("2024-01-02", "2024-01-05", "2023-12-31"):  # the year's end goes on in January
        assert factor(day) < 1
    assert factor("2024-01-06") == pytest.approx(1.0)
    retail = get_generator(
        "bnpl", holiday_profile="retail", day_of_week="off", week_of_month="off", month_factors="off"
    )
    (process,) = retail.processes
    assert factor("2024-12-28") == pytest.approx(1.15)  # after Christmas acts
    assert factor("2024-12-21") == pytest.approx(1.35)  # and so does Christmas shopping


def test_fault_12_constants_that_cannot_be_anything_else(rows: pl.DataFrame) -> None:
    for column, value in {"status": "completed", "payment_type": "bnpl_account", "currency": "USD"}.items():
        assert rows[column].unique().to_list() == [value]
    assert get_generator("bnpl", country="GB").generate(DAY)["currency"].unique().to_list() == ["GBP"]
    lifecycle = get_generator("bnpl", status_mode="lifecycle", base_daily_volume=40_000).generate(DAY)
    found = shares(lifecycle["status"])
    for status, share in {"completed": 0.86, "returned": 0.11, "cancelled": 0.03}.items():
        assert abs(found[status] - share) < 5 * math.sqrt(share * (1 - share) / lifecycle.height)


def test_fault_13_noise_that_breaks_money(rows: pl.DataFrame) -> None:
    assert (rows["amount"] == rows["product_price"]).all()
    for column in ("amount", "first_payment_amount"):
        money = rows[column].to_numpy()
        assert (np.round(money, 2) == money).all()
    assert ((rows["first_payment_amount"] - rows["amount"] * 0.25).abs() <= 0.005 + 1e-9).all()


def test_fault_14_trust_by_the_clock_of_the_machine(world: World) -> None:
    generator = world.make(4_000)
    first, second = generator.generate(DAY), generator.generate(DAY + timedelta(20))
    devices = pl.concat(list(generator.dimension("devices", DAY, DAY + timedelta(20))))
    for day, frame in ((DAY, first), (DAY + timedelta(20), second)):
        known = frame.join(devices, on="device_id", how="left", suffix="_own")
        age = (pl.lit(day) - known["valid_from"]).dt.total_days()
        assert known.select((age > 30).eq(known["device_is_trusted"]).all()).item()
        for column in ("customer_id", "device_type", "device_os"):
            assert (known[column] == known[f"{column}_own"]).all()
    pairs = first.unique("device_id").join(second.unique("device_id"), on="device_id", suffix="_later")
    assert pairs.height > 100
    assert not (pairs["device_is_trusted"] & ~pairs["device_is_trusted_later"]).any()
    assert 0.10 <= (~first["device_is_trusted"]).mean() <= 0.16  # type: ignore[operator]
