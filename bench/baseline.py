"""What a careful engineer writes in an afternoon: the 45 columns straight in numpy and polars, without entities."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

CATEGORIES = ["electronics", "clothing", "home", "beauty", "sports"]
PRICES = np.array([(30, 400), (20, 150), (25, 300), (15, 80), (25, 200)], float)
LIMITS = np.array([500, 1000, 1500, 2500, 5000])


def _pick(rng: np.random.Generator, values: list[str], shares: list[float], n: int) -> pl.Series:
    codes = rng.choice(len(values), n, p=np.array(shares) / sum(shares)).astype(np.uint8)
    return pl.Series(codes).cat.to(pl.Enum(values))


def _ids(prefix: str, numbers: np.ndarray) -> pl.Series:  # type: ignore[type-arg]
    return pl.select(pl.lit(prefix) + pl.Series(numbers).cast(pl.String).str.zfill(8)).to_series()


def day(of: date, n: int, seed: int) -> pl.DataFrame:
    """Return n rows of 45 columns of the same types for a day."""
    rng = np.random.Generator(np.random.PCG64([seed, of.toordinal()]))
    zone = ZoneInfo("America/New_York")
    start = int(datetime.combine(of, time(), zone).timestamp()) * 1_000_000
    hours = rng.choice(24, n, p=np.array([0.01] * 9 + [7 / 90] * 9 + [0.04] * 5 + [0.01]))
    at = np.sort(start + hours * 3_600_000_000 + rng.integers(0, 3_600_000_000, n))
    category = rng.choice(5, n, p=[0.35, 0.25, 0.20, 0.12, 0.08]).astype(np.uint8)
    low, high = PRICES[category].T
    price = np.round(low + rng.beta(2, 2, n) * (high - low), 2)
    limit = rng.choice(LIMITS, n, p=[0.30, 0.27, 0.20, 0.15, 0.08])
    utilisation = np.round(price / limit, 4)
    tenure = rng.exponential(484, n).astype(np.uint16)
    customer = (rng.gamma(0.5, 1.0, n) * 1e7).astype(np.int64)
    score = np.clip(rng.normal(0.35, 0.12, n), 0, 1)
    default = rng.random(n) < np.clip(0.03 + 0.1 * (score - 0.35), 0.005, 0.2)
    count = np.where((price < 100) | (rng.random(n) < 0.5), 4, 6).astype(np.uint8)
    missed = np.where(default, 14 * rng.integers(1, 4, n), 0)
    scenarios = ["low_risk_purchase", "impulse_purchase", "credit_stretched", "high_risk_behavior"]
    return pl.DataFrame(
        {
            "timestamp": pl.Series(at).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("America/New_York"),
            "record_id": np.arange(n, dtype=np.uint32),
            "generator": pl.repeat("bnpl", n, eager=True),
            "transaction_id": _ids(f"txn_{of:%Y%m%d}_", np.arange(n)),
            "customer_id": _ids("cus_", customer),
            "product_id": _ids("prd_", rng.zipf(1.8, n).clip(1, 5000)),
            "device_id": _ids("dv_", customer * 3 + rng.integers(0, 3, n)),
            "payment_method_id": _ids("pm_", customer),
            "amount": price,
            "currency": _pick(rng, ["USD"], [1], n),
            "status": _pick(rng, ["completed"], [1], n),
            "risk_scenario": _pick(rng, scenarios, [60, 20, 15, 5], n),
            "risk_score": score,
            "risk_level": _pick(rng, ["low", "medium", "high", "very_high"], [35, 60, 4, 1], n),
            "installment_count": count,
            "first_payment_amount": np.round(price * 0.25, 2),
            "payment_frequency": _pick(rng, ["bi_weekly"], [1], n),
            "purchase_context": _pick(rng, ["normal", "impulse", "rushed"], [75, 20, 5], n),
            "checkout_speed": _pick(rng, ["very_fast", "fast", "normal", "slow"], [5, 20, 45, 30], n),
            "cart_abandonment_count": rng.poisson(1.1, n).clip(0, 6).astype(np.uint8),
            "price_comparison_time": rng.integers(0, 300, n, dtype=np.uint16),
            "time_on_site_seconds": rng.integers(30, 900, n, dtype=np.uint16),
            "credit_utilization": utilisation,
            "economic_stress_factor": np.zeros(n),
            "will_default": default,
            "days_to_first_missed_payment": pl.select(
                pl.when(pl.Series(default)).then(pl.Series(missed.astype(np.uint16)))
            ).to_series(),
            "customer_age_bracket": _pick(rng, ["18-24", "25-34", "35-44", "45-54", "55+"], [12, 35, 28, 15, 10], n),
            "customer_tenure_days": tenure,
            "customer_income_bracket": _pick(rng, ["a", "b", "c", "d", "e"], [15, 28, 23, 18, 16], n),
            "customer_credit_score_range": _pick(rng, ["excellent", "good", "fair", "poor"], [15, 35, 35, 15], n),
            "customer_verification_level": _pick(rng, ["verified", "partial", "unverified"], [60, 30, 10], n),
            "customer_address_stability": _pick(rng, ["stable", "new", "frequent_mover"], [60, 20, 20], n),
            "customer_state": _pick(rng, [f"S{i}" for i in range(51)], [1.0] * 51, n),
            "product_category": pl.Series(category).cat.to(pl.Enum(CATEGORIES)),
            "product_subcategory": _pick(rng, [f"sub{i}" for i in range(26)], [1.0] * 26, n),
            "product_brand": _pick(rng, [f"brand{i}" for i in range(14)], [1.0] * 14, n),
            "product_price": price,
            "product_bnpl_eligible": (price >= 50) & (category < 3),
            "product_risk_category": _pick(rng, ["low", "medium", "high"], [50, 35, 15], n),
            "device_type": _pick(rng, ["mobile", "desktop", "tablet"], [55, 30, 15], n),
            "device_os": _pick(rng, ["iOS", "Android", "Windows", "macOS", "Linux"], [39, 30, 22, 6, 3], n),
            "device_is_trusted": rng.random(n) < 0.87,
            "payment_provider": _pick(rng, ["affirm", "klarna", "afterpay", "sezzle"], [1.0] * 4, n),
            "payment_type": _pick(rng, ["bnpl_account"], [1], n),
            "payment_credit_limit": limit.astype(np.uint16),
        }
    )
