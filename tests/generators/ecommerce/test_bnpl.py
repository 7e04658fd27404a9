"""The rules of bnpl, recomputed from their description with code of this file alone."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from generators import ConfigError, get_generator
from generators.base import BaseGenerator
from generators.ecommerce.bnpl_config import BNPLConfig
from generators.groups import leaves
from generators.sanitize import scan
from tests.generators.ecommerce.bnpl_world import World


@pytest.fixture(scope="module")
def rows(world: World) -> pl.DataFrame:
    return world.spread


# -- the rules of the table ---------------------------------------------------------------------------------------


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


# -- options ------------------------------------------------------------------------------------------------------

KNOBS: list[tuple[str, object]] = [
    ("seed", 1), ("base_daily_volume", 900), ("volume_basis", "yearly_mean"), ("country", "GB"), ("timezone", "UTC"),
    ("include_holiday_patterns", False), ("holiday_profile", "retail"), ("holiday_multipliers", {"black_friday": 3.0}),
    ("day_of_week", "off"), ("weekend_multiplier", 2.0), ("week_of_month", "off"), ("month_factors", "off"),
    ("volume_noise", 0.0), ("poisson_counts", False), ("arrival_pattern", "poisson"), ("peak_hours", (12,)),
    ("label_mode", "live"), ("hour_curve", "block"), ("market", "cfpb"), ("price_law", "uniform"),
    ("base_default_rate", 0.12), ("seasonal_multiplier", 4.0), ("economic_stress", 0.5), ("credit_risk_shift", 1.0),
    ("scenario_noise", 0.0), ("status_mode", "lifecycle"), ("eligible_categories", ("home",)), ("minimum_price", 100.0),
    ("enforce_eligibility", True), ("drift", [{"preset": "economic_shock", "start": "2024-11-01"}]),
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
    assert {name for name, _ in KNOBS} | set(MODIFIERS) == set(leaves(BNPLConfig))


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
