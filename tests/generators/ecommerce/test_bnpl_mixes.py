"""Mixes, prices and correlations of bnpl against the field guide; every check has mutants that it must catch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests.generators.ecommerce import bnpl_world as guide
from tests.generators.ecommerce.bnpl_world import World, codes, shuffled
from tests.generators.ecommerce.statistics import chi_square, ks_bound, ks_distance, shares, spearman, total_variation

Check = Callable[[World], None]
Mutant = Callable[[World], World]
PEOPLE = 20_000

# -- distinct entities --------------------------------------------------------------------------------------------


def _mix(frame: pl.DataFrame, column: str, expected: dict[str, float]) -> None:
    statistic, critical = chi_square(frame[column].head(PEOPLE), expected)
    assert statistic < critical, f"{column}: {shares(frame[column])}"


def mix_of_ages(world: World) -> None:
    _mix(world.people, "customer_age_bracket", guide.AGE)


def mix_of_incomes(world: World) -> None:
    _mix(world.people, "customer_income_bracket", guide.INCOME)


def mix_of_credit_scores(world: World) -> None:
    _mix(world.people, "customer_credit_score_range", guide.CREDIT)


def mix_of_verification(world: World) -> None:
    _mix(world.people, "customer_verification_level", guide.VERIFICATION)


def mix_of_addresses(world: World) -> None:
    _mix(world.people, "customer_address_stability", guide.ADDRESS)


def mix_of_states(world: World) -> None:
    large = [name for name in guide.RESIDENTS if name != "other"]
    state = pl.col("customer_state").cast(pl.String)
    pooled = world.people.select(customer_state=pl.when(state.is_in(large)).then(state).otherwise(pl.lit("other")))
    _mix(pooled, "customer_state", guide.RESIDENTS)
    assert world.people["customer_state"].n_unique() == 51


def mix_of_devices(world: World) -> None:
    _mix(world.devices, "device_type", guide.DEVICE)


def mix_of_systems(world: World) -> None:
    _mix(world.devices, "device_os", guide.SYSTEM)
    pairs = set(world.devices.select("device_type", "device_os").cast(pl.String).unique().iter_rows())
    assert pairs <= {
        ("mobile", "iOS"), ("mobile", "Android"), ("desktop", "Windows"), ("desktop", "macOS"), ("desktop", "Linux"),
        ("tablet", "iOS"), ("tablet", "Android"), ("tablet", "Windows"),
    }  # fmt: skip


def mix_of_providers(world: World) -> None:
    _mix(world.accounts, "payment_provider", guide.PROVIDER)


def mix_of_opening_limits(world: World) -> None:
    _mix(world.accounts, "payment_credit_limit", guide.LIMIT)


def mix_of_resale_risk(world: World) -> None:
    found = shares(world.products["product_risk_category"])
    assert all(abs(found[name] - share) <= 0.05 for name, share in guide.RESALE.items()), found
    high = {
        str(name): part["product_risk_category"].cast(pl.String).eq("high").mean()
        for (name,), part in world.products.group_by("product_category")
    }
    assert high["electronics"] > 2 * high["beauty"]  # type: ignore[operator]
    clothes = world.products.filter(pl.col("product_category") == "clothing")
    assert spearman(codes(clothes["product_risk_category"]), clothes["product_price"]) > 0.3


# -- rows ---------------------------------------------------------------------------------------------------------

ROW_MIXES: dict[str, tuple[dict[str, float], float]] = {
    "product_category": (guide.CATEGORY, 0.02),
    "risk_scenario": (guide.SCENARIO, 0.03),
    "customer_credit_score_range": (guide.CREDIT, 0.02),
    "customer_income_bracket": (guide.INCOME, 0.02),
    "payment_provider": (guide.PROVIDER, 0.02),
    "device_type": (guide.DEVICE, 0.03),
}
"""Mix and largest total variation; 0.03 where another column tilts it."""


def row_mix(column: str) -> Check:
    expected, bound = ROW_MIXES[column]

    def check(world: World) -> None:
        assert world.spread.height >= 200_000
        assert total_variation(world.spread[column], expected) <= bound, shares(world.spread[column])

    check.__name__ = f"rows_by_{column}"
    return check


def electronics_rise_before_christmas(world: World) -> None:
    month = pl.col("timestamp").dt.month()
    part = {
        late: shares(world.year.filter((month >= 11) == late)["product_category"])["electronics"]
        for late in (False, True)
    }
    ratio = (part[True] / (1 - part[True])) / (part[False] / (1 - part[False]))
    assert 1.09 <= ratio <= 1.21, part


# -- prices -------------------------------------------------------------------------------------------------------


def price_level(category: str, price: np.ndarray) -> np.ndarray:
    """Return the truncated log-normal's distribution function."""
    low, high, median, sigma = guide.PRICES[category]
    z = stats.norm.cdf(np.log(np.array([low, high]) / median) / sigma)
    return np.asarray((stats.norm.cdf(np.log(price / median) / sigma) - z[0]) / (z[1] - z[0]))


def prices_follow_their_law(world: World) -> None:
    for (name,), part in world.products.group_by("product_category"):
        price = part["product_price"].to_numpy()
        low, high, *_ = guide.PRICES[str(name)]
        assert low <= price.min() <= price.max() <= high
        distance = ks_distance(np.clip(price_level(str(name), price), 0, 1))
        # Products are strata of their law, so only the shops' endings of prices are left: less than the bound by far.
        assert distance < min(0.03, ks_bound(len(price))), (name, distance)


def mean_prices(world: World) -> None:
    means = world.spread.group_by(pl.col("product_category").cast(pl.String)).agg(pl.col("amount").mean())
    for name, mean in means.iter_rows():
        assert abs(mean / guide.MEAN_PRICES[name] - 1) <= 0.08, (name, mean)
    assert 115 <= world.spread["amount"].mean() <= 150  # type: ignore[operator]


def prices_end_as_in_shops(world: World) -> None:
    cents = (world.products["product_price"] * 100).round().cast(pl.Int64) % 100
    expected = {"99": 0.45, "95": 0.15, "0": 0.15, "other": 0.25}
    found = {name: float((cents == int(name)).mean()) for name in ("99", "95", "0")}  # type: ignore[arg-type]
    found["other"] = 1 - sum(found.values())
    assert all(abs(found[n] - share) <= 0.03 for n, share in expected.items()), found


def eligible_share(world: World) -> None:
    rule = (pl.col("product_price") >= 50) & pl.col("product_category").is_in(["electronics", "clothing", "home"])
    assert world.products.select((rule == pl.col("product_bnpl_eligible")).all()).item()
    assert 0.68 <= world.spread["product_bnpl_eligible"].mean() <= 0.75  # type: ignore[operator]


def popularity_is_zipf(world: World) -> None:
    sold = world.spread.filter(pl.col("product_category") == "electronics")
    counts = np.sort(sold["product_id"].value_counts()["count"].to_numpy())[::-1][2:300]
    slope = np.polyfit(np.log(np.arange(3, 301)), np.log(counts), 1)[0]
    assert -0.9 <= slope <= -0.7, slope


def instalments_by_amount(world: World) -> None:
    allowed = {4: (0.0, 500.0), 6: (100.0, 1000.0)}
    for (count,), part in world.spread.group_by("installment_count"):
        low, high = allowed[int(count)]  # type: ignore[call-overload]
        assert low <= part["amount"].min() <= part["amount"].max() < high  # type: ignore[operator]
    assert 0.70 <= (world.spread["installment_count"] == 4).mean() <= 0.80  # type: ignore[operator]


def abandoned_carts(world: World) -> None:
    carts = world.spread.select("cart_abandonment_count", stretched=pl.col("risk_scenario") == "credit_stretched")
    assert 0.9 <= carts["cart_abandonment_count"].mean() <= 1.5  # type: ignore[operator]
    mean = dict(carts.group_by("stretched").agg(pl.col("cart_abandonment_count").mean()).iter_rows())
    assert 0.4 <= mean[True] - mean[False] <= 0.6


def checkout_speed_follows_the_scenario(world: World) -> None:
    """All but 8% of rows; those are drawn from the marginal, so that the scenario is not readable from one column."""
    expected = {
        "high_risk_behavior": {"very_fast": 1.0},
        "impulse_purchase": {"fast": 1.0},
        "credit_stretched": {"normal": 1.0},
        "low_risk_purchase": {"normal": 0.5, "slow": 0.5},
    }
    marginal = {"very_fast": 0.05, "fast": 0.20, "normal": 0.45, "slow": 0.30}
    for (scenario,), part in world.spread.group_by("risk_scenario"):
        rule = expected[str(scenario)]
        mixed = {speed: 0.92 * rule.get(speed, 0.0) + 0.08 * share for speed, share in marginal.items()}
        assert total_variation(part["checkout_speed"], mixed) <= 0.01, scenario


def risk_levels(world: World) -> None:
    found = shares(world.spread["risk_level"])
    bands = {"low": (0.28, 0.42), "medium": (0.54, 0.70), "high": (0.01, 0.06), "very_high": (0, 0.001)}
    assert all(low <= found.get(name, 0.0) <= high for name, (low, high) in bands.items()), found


# -- correlations -------------------------------------------------------------------------------------------------


def _band(low: float, value: float, high: float) -> None:
    assert low <= value <= high, f"{value:.3f} outside [{low}, {high}]"


def credit_rises_with_income(world: World) -> None:
    people = world.people.head(PEOPLE)
    _band(0.15, spearman(-codes(people["customer_credit_score_range"]), codes(people["customer_income_bracket"])), 0.32)


def limit_rises_with_credit(world: World) -> None:
    held = world.accounts.head(PEOPLE)
    _band(0.35, spearman(held["payment_credit_limit"], -codes(held["customer_credit_score_range"])), 0.58)


def limit_rises_with_income(world: World) -> None:
    held = world.accounts.head(PEOPLE)
    _band(0.25, spearman(held["payment_credit_limit"], codes(held["customer_income_bracket"])), 0.60)


def limit_rises_with_tenure(world: World) -> None:
    _band(0.05, spearman(world.buyers["payment_credit_limit"], world.buyers["customer_tenure_days"]), 0.40)


def ios_rises_with_income(world: World) -> None:
    phones = world.devices.filter(pl.col("device_type") == "mobile")
    ios = phones["device_os"].cast(pl.String).eq("iOS").cast(pl.Int8)
    _band(0.08, spearman(ios, codes(phones["customer_income_bracket"])), 0.30)


def phones_fall_with_age(world: World) -> None:
    mobile = world.devices["device_type"].cast(pl.String).eq("mobile").cast(pl.Int8)
    _band(-0.25, spearman(mobile, codes(world.devices["customer_age_bracket"])), -0.05)


def the_young_buy_electronics_and_beauty(world: World) -> None:
    def part(ages: list[str], categories: list[str]) -> float:
        rows = world.spread.filter(pl.col("customer_age_bracket").is_in(ages))
        return float(rows["product_category"].is_in(categories).mean())  # type: ignore[arg-type]

    assert part(["18-24"], ["electronics", "beauty"]) > 1.15 * part(["45-54", "55+"], ["electronics", "beauty"])


def the_young_move(world: World) -> None:
    mover = world.people["customer_address_stability"].cast(pl.String).ne("stable").cast(pl.Int8)
    _band(-0.35, spearman(mover, codes(world.people["customer_age_bracket"])), -0.10)


def stretched_purchases_use_the_limit(world: World) -> None:
    used = world.spread.filter(pl.col("risk_scenario") == "credit_stretched")["credit_utilization"].mean()
    assert used >= 1.5 * world.spread["credit_utilization"].mean()  # type: ignore[operator]


def risky_behaviour_on_new_devices(world: World) -> None:
    risky = {
        bool(trusted): float((part["risk_scenario"] == "high_risk_behavior").mean())  # type: ignore[arg-type]
        for (trusted,), part in world.spread.group_by("device_is_trusted")
    }
    assert 2.0 <= risky[False] / risky[True] <= 2.8, risky
    assert 0.10 <= (~world.spread["device_is_trusted"]).mean() <= 0.16  # type: ignore[operator]


def several_lenders(world: World) -> None:
    second = world.buyers.filter(pl.col("payment_method_id").str.ends_with("_2")).height / world.buyers.height
    assert abs(second - 0.10) < 5 * (0.1 * 0.9 / world.buyers.height) ** 0.5


# -- the suite ----------------------------------------------------------------------------------------------------

CHECKS: list[Check] = [
    mix_of_ages, mix_of_incomes, mix_of_credit_scores, mix_of_verification, mix_of_addresses, mix_of_states,
    mix_of_devices, mix_of_systems, mix_of_providers, mix_of_opening_limits, mix_of_resale_risk,
    *map(row_mix, ROW_MIXES), electronics_rise_before_christmas,
    prices_follow_their_law, mean_prices, prices_end_as_in_shops, eligible_share, popularity_is_zipf,
    instalments_by_amount, abandoned_carts, checkout_speed_follows_the_scenario, risk_levels,
    credit_rises_with_income, limit_rises_with_credit, limit_rises_with_income, limit_rises_with_tenure,
    ios_rises_with_income, phones_fall_with_age, the_young_buy_electronics_and_beauty, the_young_move,
    stretched_purchases_use_the_limit, risky_behaviour_on_new_devices, several_lenders,
]  # fmt: skip


def swapped(frame: str, column: str, one: str, other: str) -> Mutant:
    """Two categories change places."""

    def mutant(world: World) -> World:
        value = pl.col(column).cast(pl.String)
        switched = pl.when(value == one).then(pl.lit(other)).when(value == other).then(pl.lit(one)).otherwise(value)
        dtype = getattr(world, frame)[column].dtype
        return world.altered(**{frame: getattr(world, frame).with_columns(switched.cast(dtype).alias(column))})

    return mutant


def moved(frame: str, column: str, one: str, other: str, share: float) -> Mutant:
    """A share of all rows goes from one category to another."""

    def mutant(world: World) -> World:
        rows = getattr(world, frame)
        chosen = np.random.Generator(np.random.PCG64(2)).random(rows.height) < share / shares(rows[column])[one]
        value = pl.col(column).cast(pl.String)
        drawn = pl.when((value == one) & pl.lit(pl.Series(chosen))).then(pl.lit(other)).otherwise(value)
        return world.altered(**{frame: rows.with_columns(drawn.cast(rows[column].dtype).alias(column))})

    return mutant


def unrelated(frame: str, column: str) -> Mutant:
    """A column is shuffled: its mix stays, what it goes with is lost."""

    def mutant(world: World) -> World:
        return world.altered(**{frame: shuffled(getattr(world, frame), column)})

    return mutant


def rewritten(frame: str, **columns: pl.Expr) -> Mutant:
    """Columns are computed anew."""

    def mutant(world: World) -> World:
        return world.altered(**{frame: getattr(world, frame).with_columns(**columns)})

    return mutant


def uniform_prices(world: World) -> World:
    low = pl.col("product_category").replace_strict({k: v[0] for k, v in guide.PRICES.items()}, return_dtype=pl.Float64)
    high = pl.col("product_category").replace_strict(
        {k: v[1] for k, v in guide.PRICES.items()}, return_dtype=pl.Float64
    )
    level = (pl.int_range(pl.len()) * 0.618) % 1.0
    return rewritten("products", product_price=low + level * (high - low))(world)


def uniform_products(world: World) -> World:
    number = pl.int_range(pl.len()) % 1_750
    return rewritten("spread", product_id=number.cast(pl.String))(world)


MUTANTS: list[tuple[Check, Mutant]] = [
    (mix_of_ages, moved("people", "customer_age_bracket", "25-34", "35-44", 0.03)),
    (mix_of_ages, swapped("people", "customer_age_bracket", "18-24", "55+")),
    (mix_of_incomes, moved("people", "customer_income_bracket", "25k-50k", "100k+", 0.03)),
    (mix_of_credit_scores, moved("people", "customer_credit_score_range", "good", "fair", 0.03)),
    (mix_of_verification, moved("people", "customer_verification_level", "partial", "verified", 0.03)),
    (mix_of_addresses, moved("people", "customer_address_stability", "stable", "new", 0.03)),
    (mix_of_states, rewritten("people", customer_state=pl.lit("CA"))),
    (mix_of_states, swapped("people", "customer_state", "TX", "FL")),
    (mix_of_devices, moved("devices", "device_type", "mobile", "tablet", 0.03)),
    (mix_of_systems, swapped("devices", "device_os", "iOS", "Android")),
    (mix_of_providers, moved("accounts", "payment_provider", "affirm", "klarna", 0.03)),
    (mix_of_opening_limits, moved("accounts", "payment_credit_limit", "500", "1000", 0.03)),
    (mix_of_resale_risk, swapped("products", "product_risk_category", "low", "medium")),
    (mix_of_resale_risk, unrelated("products", "product_risk_category")),
    (row_mix("product_category"), swapped("spread", "product_category", "clothing", "home")),
    (row_mix("risk_scenario"), moved("spread", "risk_scenario", "low_risk_purchase", "impulse_purchase", 0.05)),
    (row_mix("customer_credit_score_range"), swapped("spread", "customer_credit_score_range", "good", "poor")),
    (row_mix("customer_income_bracket"), swapped("spread", "customer_income_bracket", "<25k", "25k-50k")),
    (row_mix("payment_provider"), moved("spread", "payment_provider", "affirm", "klarna", 0.05)),
    (row_mix("device_type"), swapped("spread", "device_type", "desktop", "tablet")),
    (electronics_rise_before_christmas, unrelated("year", "product_category")),
    (prices_follow_their_law, rewritten("products", product_price=pl.col("product_price") * 1.07)),
    (prices_follow_their_law, uniform_prices),
    (prices_follow_their_law, swapped("products", "product_category", "clothing", "sports")),
    (mean_prices, unrelated("spread", "amount")),
    (prices_end_as_in_shops, rewritten("products", product_price=pl.col("product_price").round(1))),
    (eligible_share, rewritten("products", product_bnpl_eligible=pl.col("product_price") >= 50)),
    (eligible_share, unrelated("products", "product_bnpl_eligible")),
    (popularity_is_zipf, uniform_products),
    (instalments_by_amount, unrelated("spread", "installment_count")),
    (abandoned_carts, unrelated("spread", "cart_abandonment_count")),
    (checkout_speed_follows_the_scenario, unrelated("spread", "checkout_speed")),
    (risk_levels, swapped("spread", "risk_level", "low", "medium")),
    (credit_rises_with_income, unrelated("people", "customer_income_bracket")),
    (limit_rises_with_credit, unrelated("accounts", "payment_credit_limit")),
    (limit_rises_with_income, unrelated("accounts", "payment_credit_limit")),
    (limit_rises_with_tenure, unrelated("buyers", "payment_credit_limit")),
    (ios_rises_with_income, unrelated("devices", "customer_income_bracket")),
    (phones_fall_with_age, unrelated("devices", "device_type")),
    (the_young_buy_electronics_and_beauty, unrelated("spread", "product_category")),
    (the_young_move, unrelated("people", "customer_address_stability")),
    (stretched_purchases_use_the_limit, unrelated("spread", "risk_scenario")),
    (risky_behaviour_on_new_devices, unrelated("spread", "device_is_trusted")),
    (several_lenders, rewritten("buyers", payment_method_id=pl.col("customer_id") + "_pm_1")),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_data_keep(check: Check, world: World) -> None:
    check(world)


@pytest.mark.parametrize("check,mutant", MUTANTS, ids=lambda part: part.__name__)
def test_mutant_is_caught(check: Check, mutant: Mutant, world: World) -> None:
    with pytest.raises(AssertionError):
        check(mutant(world))


def test_every_check_has_a_mutant() -> None:
    assert {check.__name__ for check, _ in MUTANTS} == {check.__name__ for check in CHECKS}


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_data_keep_with_other_seeds(check: Check, large_world: World) -> None:
    """Half a minute for all checks and seeds."""
    check(large_world)
