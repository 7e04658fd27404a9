"""The rules of bnpl, recomputed from their description with code of this file alone."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from generators import ConfigError, get_generator
from generators.base import BaseGenerator
from generators.ecommerce.bnpl import BNPLConfig
from generators.sanitize import scan

DAYS = [date(2024, 1, 15) + timedelta(13 * n) for n in range(12)]
ROWS = 20_000


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """A quarter of a million rows spread over half a year, before the season of the default model."""
    generator = get_generator("bnpl", base_daily_volume=ROWS)
    return pl.concat([generator.generate(day) for day in DAYS])


def share(frame: pl.DataFrame, column: str) -> dict[str, float]:
    counts = frame[column].cast(pl.String).value_counts(normalize=True)
    return dict(zip(counts[column].to_list(), counts["proportion"].to_list(), strict=True))


def customers(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.unique("customer_id", keep="first", maintain_order=True)


# -- the seed's fourteen faults --------------------------------------------------------------------------------


def test_utilisation_is_amount_over_limit_in_every_row(rows: pl.DataFrame) -> None:
    expected = (rows["amount"] / rows["payment_credit_limit"]).round(4)
    assert (rows["credit_utilization"] - expected).abs().max() <= 1e-4 + 1e-12  # type: ignore[operator]
    assert rows["credit_utilization"].null_count() == 0
    assert 0.10 <= rows["credit_utilization"].mean() <= 0.20  # type: ignore[operator]
    assert 0.04 <= (rows["credit_utilization"] > 0.30).mean() <= 0.20  # type: ignore[operator]


def test_tenure_differs_by_the_days_between_two_rows() -> None:
    generator = get_generator("bnpl", base_daily_volume=5_000)
    first, second = generator.generate(date(2024, 3, 1)), generator.generate(date(2024, 3, 8))
    pairs = customers(first).join(customers(second), on="customer_id", suffix="_later")
    assert pairs.height > 100
    gained = pairs["customer_tenure_days_later"].cast(pl.Int32) - pairs["customer_tenure_days"].cast(pl.Int32)
    assert gained.unique().to_list() == [7]


def test_ages_follow_the_guide_and_never_fall() -> None:
    generator = get_generator("bnpl", base_daily_volume=2_000)
    table = pl.concat(list(generator.dimension("customers", date(2024, 1, 1), date(2024, 12, 31))))
    entered = table.filter(pl.col("valid_from") == pl.col("signup_date"))
    mix = share(entered, "customer_age_bracket")
    for bracket, expected in {"18-24": 0.12, "25-34": 0.35, "35-44": 0.28, "45-54": 0.15, "55+": 0.10}.items():
        assert mix[bracket] == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / entered.height))
    steps = table.sort("customer_id", "valid_from").select(
        pl.col("customer_age_bracket").to_physical().cast(pl.Int32).diff().over("customer_id").min()
    )
    assert steps.item() >= 0


def test_product_risk_follows_category_price_and_brand(rows: pl.DataFrame) -> None:
    mix = share(rows, "product_risk_category")
    assert mix["low"] == pytest.approx(0.50, abs=0.05)
    assert mix["medium"] == pytest.approx(0.35, abs=0.05)
    assert mix["high"] == pytest.approx(0.15, abs=0.05)
    high = {
        category: (part["product_risk_category"] == "high").mean()
        for (category,), part in rows.group_by("product_category")
    }
    assert high["electronics"] > high["beauty"]  # type: ignore[operator]


def test_brands_and_subcategories_belong_to_their_category(rows: pl.DataFrame) -> None:
    allowed = {
        "electronics": {"Apple", "Samsung", "Nordvik"},
        "clothing": {"Nike", "Adidas", "Zara", "H&M"},
        "home": {"IKEA", "Hearthwell", "Lumora"},
        "beauty": {"Sephora", "Velmara", "Purelle Lane"},
        "sports": {"Nike", "Adidas", "Ridgepeak"},
    }
    for (category,), part in rows.group_by("product_category"):
        assert set(part["product_brand"].unique()) <= allowed[str(category)]


def test_first_missed_payment_is_a_due_date_of_the_plan(rows: pl.DataFrame) -> None:
    missed = rows.filter(pl.col("will_default"))
    days = missed["days_to_first_missed_payment"].cast(pl.Int32)
    assert (rows["days_to_first_missed_payment"].is_null() == ~rows["will_default"]).all()
    assert (days % 14 == 0).all()
    assert (days >= 14).all()
    assert (days <= 14 * (missed["installment_count"].cast(pl.Int32) - 1)).all()


def test_default_knobs_change_the_level() -> None:
    def rate(day: date = date(2024, 6, 5), **fields: object) -> float:
        frame = get_generator("bnpl", base_daily_volume=60_000, **fields).generate(day)
        return float(frame["will_default"].mean())  # type: ignore[arg-type]

    plain = rate()
    assert rate(base_default_rate=0.06) > 1.5 * plain
    assert 1.25 <= rate(economic_stress=1.0) / plain <= 1.70
    assert rate(economic_stress={"2024-06": 1.0}) > 1.2 * plain
    season, off_season = rate(date(2024, 12, 4)), rate(date(2024, 12, 4), seasonal_multiplier=1.0)
    assert 1.05 <= season / off_season <= 1.35


def test_limit_rises_with_income_and_credit(rows: pl.DataFrame) -> None:
    people = customers(rows).with_columns(
        credit=-pl.col("customer_credit_score_range").to_physical().cast(pl.Int32),
        income=pl.col("customer_income_bracket").to_physical().cast(pl.Int32),
    )
    limit_credit = people.select(pl.corr("payment_credit_limit", "credit", method="spearman")).item()
    credit_income = people.select(pl.corr("income", "credit", method="spearman")).item()
    assert 0.31 <= limit_credit <= 0.62
    assert 0.11 <= credit_income <= 0.36
    per_account = rows.filter(pl.col("timestamp").dt.quarter() == 1).group_by("payment_method_id")
    constant = per_account.agg(pl.col("payment_credit_limit").n_unique(), pl.col("payment_provider").n_unique())
    assert constant["payment_credit_limit"].max() == 1
    assert constant["payment_provider"].max() == 1


def test_one_customer_has_one_personality(rows: pl.DataFrame) -> None:
    fixed = ["customer_income_bracket", "customer_credit_score_range", "customer_address_stability"]
    kinds = rows.group_by("customer_id").agg(pl.col(fixed).n_unique())
    assert all(kinds[column].max() == 1 for column in fixed)
    products = rows.group_by("product_id").agg(
        pl.col("product_category", "product_subcategory", "product_brand", "product_price").n_unique()
    )
    assert all(products[column].max() == 1 for column in products.columns[1:])
    assert products.height > 4_500


def test_amount_equals_price_and_parts_are_exact(rows: pl.DataFrame) -> None:
    assert (rows["amount"] == rows["product_price"]).all()
    amounts = rows["amount"].to_numpy()
    assert (np.round(amounts, 2) == amounts).all()
    assert ((rows["first_payment_amount"] - rows["amount"] * 0.25).abs() <= 0.005 + 1e-9).all()


def test_trust_follows_the_devices_age() -> None:
    generator = get_generator("bnpl", base_daily_volume=2_000)
    day = date(2024, 6, 5)
    frame = generator.generate(day)
    devices = pl.concat(list(generator.dimension("devices", date(2024, 6, 1), day)))
    known = frame.join(devices, on="device_id", how="left", suffix="_dim")
    assert known["valid_from"].null_count() == 0
    assert (known["customer_id"] == known["customer_id_dim"]).all()
    age = pl.Series([(day - since).days for since in known["valid_from"]])
    assert (known["device_is_trusted"] == (age > 30)).all()
    assert (known["device_type"] == known["device_type_dim"]).all()
    assert 0.10 <= (~frame["device_is_trusted"]).mean() <= 0.16  # type: ignore[operator]
    assert devices.filter(pl.col("valid_to").is_null()).group_by("customer_id").len()["len"].max() <= 3  # type: ignore[operator]


# -- the rest of the table --------------------------------------------------------------------------------


def test_risk_score_is_recomputable(rows: pl.DataFrame) -> None:
    factors = {
        "customer_credit_score_range": (0.30, {"excellent": 0.1, "good": 0.3, "fair": 0.6, "poor": 0.9}),
        "customer_verification_level": (0.20, {"verified": 0.1, "partial": 0.4, "unverified": 0.8}),
        "customer_income_bracket": (
            0.20,
            {"<25k": 0.8, "25k-50k": 0.6, "50k-75k": 0.3, "75k-100k": 0.2, "100k+": 0.1},
        ),
        "product_risk_category": (0.10, {"low": 0.1, "medium": 0.3, "high": 0.6}),
        "risk_scenario": (
            0.10,
            {"low_risk_purchase": 0.1, "impulse_purchase": 0.4, "credit_stretched": 0.7, "high_risk_behavior": 0.9},
        ),
    }
    score = np.where(rows["device_is_trusted"].to_numpy(), 0.2, 0.7) * 0.10
    for column, (weight, values) in factors.items():
        score = score + weight * np.array([values[v] for v in rows[column].to_list()])
    assert np.abs(score - rows["risk_score"].to_numpy()).max() < 1e-9
    assert 0.33 <= score.mean() <= 0.37
    assert 0.11 <= score.std() <= 0.135
    level = np.select(
        [score < 0.3 - 1e-9, score < 0.6 - 1e-9, score < 0.8 - 1e-9], ["low", "medium", "high"], "very_high"
    )
    assert (pl.Series(level) == rows["risk_level"].cast(pl.String)).all()


def test_behaviour_stays_in_its_scenarios_ranges(rows: pl.DataFrame) -> None:
    seconds = {
        "low_risk_purchase": (180, 900, 60, 300),
        "impulse_purchase": (120, 300, 0, 60),
        "credit_stretched": (300, 600, 60, 300),
        "high_risk_behavior": (30, 120, 0, 30),
    }
    context = {"impulse_purchase": "impulse", "high_risk_behavior": "rushed"}
    for (scenario,), part in rows.group_by("risk_scenario"):
        low, high, least, most = seconds[str(scenario)]
        assert part["time_on_site_seconds"].min() >= low  # type: ignore[operator]
        assert part["time_on_site_seconds"].max() <= high  # type: ignore[operator]
        assert part["price_comparison_time"].min() >= least  # type: ignore[operator]
        assert part["price_comparison_time"].max() <= most  # type: ignore[operator]
        assert part["purchase_context"].unique().to_list() == [context.get(str(scenario), "normal")]
    assert (rows["price_comparison_time"] <= rows["time_on_site_seconds"]).all()
    stretched = rows.filter(pl.col("risk_scenario") == "credit_stretched")["credit_utilization"].mean()
    assert stretched >= 1.5 * rows["credit_utilization"].mean()  # type: ignore[operator]


def test_marginals(rows: pl.DataFrame) -> None:
    scenario = share(rows, "risk_scenario")
    for name, expected in {
        "low_risk_purchase": 0.60,
        "impulse_purchase": 0.20,
        "credit_stretched": 0.15,
        "high_risk_behavior": 0.05,
    }.items():
        assert scenario[name] == pytest.approx(expected, abs=0.03)
    category = share(rows, "product_category")
    for name, expected in {"electronics": 0.35, "clothing": 0.25, "home": 0.20, "beauty": 0.12, "sports": 0.08}.items():
        assert category[name] == pytest.approx(expected, abs=0.02)
    assert 0.025 <= rows["will_default"].mean() <= 0.045  # type: ignore[operator]
    assert 0.70 <= share(rows, "installment_count")["4"] <= 0.80
    assert 115 <= rows["amount"].mean() <= 150  # type: ignore[operator]
    assert 0.68 <= rows["product_bnpl_eligible"].mean() <= 0.75  # type: ignore[operator]
    state = share(customers(rows), "customer_state")
    assert 0.10 <= state["CA"] <= 0.14
    assert 0.07 <= state["TX"] <= 0.11


def test_default_rate_falls_with_credit(rows: pl.DataFrame) -> None:
    rate = {
        str(name): float(part["will_default"].mean())  # type: ignore[arg-type]
        for (name,), part in rows.group_by("customer_credit_score_range")
    }
    assert rate["poor"] >= 3 * rate["excellent"]
    shuffled = rows.with_columns(pl.col("will_default").reverse())
    flat = [float(p["will_default"].mean()) for _, p in shuffled.group_by("customer_credit_score_range")]  # type: ignore[arg-type]
    assert max(flat) < 3 * min(flat)  # the mutant that this test must catch


def test_hours_are_seventy_twenty_ten(rows: pl.DataFrame) -> None:
    hour = rows["timestamp"].dt.hour()
    assert hour.is_between(9, 17).mean() == pytest.approx(0.70, abs=0.005)
    assert hour.is_between(18, 22).mean() == pytest.approx(0.20, abs=0.005)


def test_history_is_stationary() -> None:
    generator = get_generator("bnpl", base_daily_volume=40_000, volume_noise=0)
    early, late = (generator.generate(date(year, 6, 5)) for year in (2015, 2024))
    for column in ("customer_tenure_days", "risk_score"):
        assert early[column].mean() == pytest.approx(late[column].mean(), rel=0.08)  # type: ignore[arg-type]
    rates = [float(frame["will_default"].mean()) for frame in (early, late)]  # type: ignore[arg-type]
    assert abs(rates[0] - rates[1]) < 5 * math.sqrt(2 * 0.03 * 0.97 / 45_000) * 1.5


def test_live_mode_hides_what_is_known_later() -> None:
    training, live = (
        get_generator("bnpl", base_daily_volume=2_000, label_mode=mode).generate(date(2024, 6, 5))
        for mode in ("training", "live")
    )
    assert live["will_default"].null_count() == live.height
    assert live["days_to_first_missed_payment"].null_count() == live.height
    hidden = ["will_default", "days_to_first_missed_payment"]
    assert live.drop(hidden).equals(training.drop(hidden))


def test_no_text_looks_like_a_real_identifier(rows: pl.DataFrame) -> None:
    for column in rows.columns:
        if rows[column].dtype in (pl.String, pl.Enum) or isinstance(rows[column].dtype, pl.Enum):
            assert scan(rows[column].head(50_000)) == {}, column


def test_references_hold() -> None:
    generator = get_generator("bnpl", base_daily_volume=2_000)
    day = date(2024, 6, 5)
    frame = generator.generate(day)
    on_day = (pl.col("valid_from") <= day) & (pl.col("valid_to").is_null() | (pl.col("valid_to") > day))
    keys = {
        "customers": "customer_id",
        "products": "product_id",
        "devices": "device_id",
        "accounts": "payment_method_id",
    }
    for table, key in keys.items():
        dimension = pl.concat(list(generator.dimension(table, date(2024, 6, 1), date(2024, 6, 20)))).filter(on_day)
        assert dimension[key].n_unique() == dimension.height
        joined = frame.join(dimension, on=key, how="left", suffix="_dim")
        assert joined["valid_from"].null_count() == 0
        for column in set(dimension.columns) & set(frame.columns) - {key}:
            assert (joined[column] == joined[f"{column}_dim"]).all(), (table, column)


# -- options ------------------------------------------------------------------------------------------

KNOBS: list[tuple[str, object]] = [
    ("seed", 1), ("base_daily_volume", 900), ("volume_basis", "yearly_mean"), ("country", "GB"), ("timezone", "UTC"),
    ("include_holiday_patterns", False), ("holiday_profile", "retail"), ("holiday_multipliers", {"black_friday": 3.0}),
    ("day_of_week", "off"), ("weekend_multiplier", 2.0), ("week_of_month", "off"), ("month_factors", "off"),
    ("volume_noise", 0.0), ("poisson_counts", False), ("arrival_pattern", "poisson"), ("peak_hours", (12,)),
    ("label_mode", "live"), ("hour_curve", "block"), ("market", "cfpb"), ("price_law", "uniform"),
    ("base_default_rate", 0.12), ("seasonal_multiplier", 4.0), ("economic_stress", 0.5), ("credit_risk_shift", 1.0),
    ("scenario_noise", 0.0), ("status_mode", "lifecycle"), ("eligible_categories", ("home",)), ("minimum_price", 100.0),
    ("enforce_eligibility", True),
]  # fmt: skip
MODIFIERS: dict[str, dict[str, object]] = {
    "peak_multiplier": {"peak_hours": (12,), "peak_multiplier": 5.0},
    "burst_intensity": {"arrival_pattern": "burst", "burst_intensity": 50.0},
    "burst_probability": {"arrival_pattern": "burst", "burst_probability": 0.9},
}
"""Knobs that act under another one only."""
BASES: dict[str, dict[str, object]] = {
    "peak_multiplier": {"peak_hours": (12,)},
    "burst_intensity": {"arrival_pattern": "burst"},
    "burst_probability": {"arrival_pattern": "burst"},
}


def fresh(**fields: object) -> BaseGenerator:  # type: ignore[type-arg]
    return get_generator("bnpl", **fields)


@pytest.mark.parametrize("name,value", KNOBS)
def test_every_knob_changes_the_output(name: str, value: object) -> None:
    days = [date(2024, 11, 29), date(2024, 11, 30)]
    changed = fresh(**{name: value})
    assert any(not changed.generate(day).equals(fresh().generate(day)) for day in days)


@pytest.mark.parametrize("name", list(MODIFIERS))
def test_every_modifier_changes_the_output(name: str) -> None:
    day = date(2024, 11, 29)
    assert not fresh(**MODIFIERS[name]).generate(day).equals(fresh(**BASES[name]).generate(day))


def test_knobs_are_complete() -> None:
    assert {name for name, _ in KNOBS} | set(MODIFIERS) == set(BNPLConfig.model_fields)


@pytest.mark.parametrize(
    "field,value",
    [
        ("base_daily_volume", 0),
        ("country", "ZZ"),
        ("timezone", "Mars/Olympus"),
        ("base_default_rate", 0.9),
        ("economic_stress", {"2024": 0.5}),
        ("eligible_categories", ("cars",)),
        ("volume_noise", float("nan")),
        ("nonsense", 1),
    ],
)
def test_refusals_name_the_field(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        fresh(**{field: value})


def test_enforced_eligibility_sells_nothing_else() -> None:
    frame = fresh(enforce_eligibility=True, base_daily_volume=3_000).generate(date(2024, 6, 5))
    assert frame["product_bnpl_eligible"].all()
