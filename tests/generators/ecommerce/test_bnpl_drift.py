"""Drift of purchases: what each preset does, that all tables tell the same story, and how far it moves the data."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from generators import get_generator
from generators.base import BaseGenerator
from tests.generators.ecommerce.statistics import mix_index, stability_index

START = date(2024, 1, 20)


def make(rows: int, *presets: str, **fields: Any) -> BaseGenerator[Any]:
    drift = [{"preset": preset, "start": START, **fields} for preset in presets]
    return get_generator("bnpl", base_daily_volume=rows, drift=drift)


ALL = ("seasonal", "economic_shock", "new_segment", "policy_change")


def test_stress_of_a_shock_grows_over_thirty_days() -> None:
    generator = get_generator(
        "bnpl", base_daily_volume=50, economic_stress=0.1, drift=[{"preset": "economic_shock", "start": START}]
    )
    for after, expected in {-1: 0.1, 0: 0.12, 14: 0.4, 29: 0.7, 200: 0.7}.items():
        stress = generator.generate(START + timedelta(after))["economic_stress_factor"].unique().to_list()
        assert stress == pytest.approx([expected]), after


def dated(generator: BaseGenerator[Any], days: list[date]) -> pl.DataFrame:
    return pl.concat([generator.generate(day).with_columns(day=pl.lit(day)) for day in days])


@pytest.mark.parametrize("fields", [{}, {"ramp_days": 60}, {"end": START + timedelta(40)}])
def test_dimensions_agree_with_events_under_every_drift(fields: dict[str, Any]) -> None:
    generator = make(300, *ALL, **fields)
    frame = dated(generator, [START + timedelta(n) for n in (-1, 0, 12, 25, 41, 90)])
    keys = {"customers": "customer_id", "devices": "device_id", "accounts": "payment_method_id"}
    for table, key in keys.items():
        dimension = pl.concat(list(generator.dimension(table, frame["day"].min(), frame["day"].max())))  # type: ignore[arg-type]
        assert generator.table(table).violations(dimension) == []
        joined = frame.join(dimension, on=key, suffix="_dim").filter(
            (pl.col("valid_from") <= pl.col("day"))
            & (pl.col("valid_to").is_null() | (pl.col("valid_to") > pl.col("day")))
        )
        assert joined.height == frame.height, table
        for column in set(dimension.columns) & set(frame.columns) - {key}:
            assert (joined[column] == joined[f"{column}_dim"]).all(), (table, column)


def test_credit_limits_rise_by_half_on_the_day() -> None:
    plain, drifted = make(2_000), make(2_000, "policy_change")
    for after, factor in {-1: 1.0, 0: 1.5}.items():
        day = START + timedelta(after)
        before, now = (generator.generate(day) for generator in (plain, drifted))
        assert (now["payment_credit_limit"] == before["payment_credit_limit"] * factor).all()
        used = (now["amount"] / now["payment_credit_limit"] - now["credit_utilization"]).abs()
        assert used.max() <= 0.00005 + 1e-12  # type: ignore[operator]


def segment_share(table: pl.DataFrame, before: bool) -> float:
    signed_up = table.filter(
        (pl.col("valid_from") == pl.col("signup_date")) & ((pl.col("signup_date") < START) == before)
    )
    assert signed_up.height > 2_000
    young = pl.col("customer_age_bracket") == "18-24"
    return float(signed_up.select((young & (pl.col("customer_verification_level") == "unverified")).mean()).item())


def test_new_segment_is_a_fifth_of_those_who_sign_up_from_its_day_on() -> None:
    table = pl.concat(list(make(400, "new_segment").dimension("customers", START, START + timedelta(200))))
    usual = 0.12 * 0.10
    # Five standard deviations of some 5,400 customers.
    assert segment_share(table, before=False) == pytest.approx(0.2 + 0.8 * usual, abs=0.028)
    assert segment_share(table, before=True) == pytest.approx(usual, abs=0.006)


@pytest.mark.long
def test_labels_agree_with_events_under_every_drift() -> None:
    """Labels are derived anew from the events of earlier days, on both sides of the drifts' first day."""
    generator = make(400, *ALL, strength=2.0)
    first, days = START - timedelta(4), 9
    events = dated(generator, [first + timedelta(n) for n in range(days)])
    assert events["will_default"].sum() > 50

    def known(table: str) -> pl.DataFrame:
        labels = [generator.derive(table, first + timedelta(n), first) for n in range(days + 130)]
        return pl.concat(labels).join(events, on="transaction_id", suffix="_event")

    outcomes = known("outcomes")
    assert outcomes.height == events.height
    assert (outcomes["will_default"] == outcomes["will_default_event"]).all()
    missed = outcomes["days_to_first_missed_payment"], outcomes["days_to_first_missed_payment_event"]
    assert missed[0].eq_missing(missed[1]).all()
    changes = known("installments")
    charged = changes.filter(pl.col("payment_status") == "charged_off")["transaction_id"]
    assert set(charged) == set(events.filter("will_default")["transaction_id"])
    planned = changes.filter(pl.col("payment_status") == "scheduled").group_by("transaction_id").len()
    both = planned.join(events, on="transaction_id")
    assert both.height == events.height
    assert (both["len"] == both["installment_count"]).all()


# -- how far the data move ----------------------------------------------------------------------------------------

SAME, MOVED = 0.02, 0.10
ROWS = 2_000


def weekly(generator: BaseGenerator[Any], first: date, weeks: int) -> pl.DataFrame:
    return pl.concat([generator.generate(first + timedelta(7 * n)) for n in range(weeks)])


@pytest.fixture(scope="module")
def reference() -> pl.DataFrame:
    """A year of Wednesdays before any drift."""
    return weekly(make(ROWS), date(2023, 1, 4), 52)


def indices(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, float]:
    assert min(before.height, after.height) >= 20_000
    numbers = ("risk_score", "amount", "credit_utilization", "customer_tenure_days")
    found = {n: stability_index(before[n].to_numpy(), after[n].to_numpy()) for n in numbers}
    mixes = (
        "product_category", "payment_credit_limit", "customer_age_bracket", "customer_verification_level",
        "risk_scenario", "customer_state", "device_type",
    )  # fmt: skip
    return found | {name: mix_index(before[name], after[name]) for name in mixes}


@pytest.mark.long
def test_nothing_moves_without_a_drift(reference: pl.DataFrame) -> None:
    found = indices(reference, weekly(make(ROWS), date(2024, 1, 3), 52))
    assert max(found.values()) <= SAME, found


MOVES: dict[str, tuple[date, set[str], set[str]]] = {
    "economic_shock": (date(2024, 2, 21), {"risk_score"}, {"risk_scenario"}),
    "new_segment": (date(2025, 1, 22), {"risk_score", "customer_age_bracket", "customer_verification_level"},
                    {"payment_credit_limit", "credit_utilization"}),
    "policy_change": (date(2024, 1, 24), {"credit_utilization", "payment_credit_limit"}, {"risk_scenario"}),
    "seasonal": (date(2024, 11, 6), {"product_category"}, {"amount", "credit_utilization"}),
}  # fmt: skip
"""Preset -> first day looked at, what it must move, what it may move besides; everything else must stay."""


@pytest.mark.long
@pytest.mark.parametrize("preset", list(MOVES))
def test_preset_moves_what_it_says_and_nothing_else(reference: pl.DataFrame, preset: str) -> None:
    first, moved, allowed = MOVES[preset]
    weeks = 8 if preset == "seasonal" else 40
    found = indices(reference, weekly(make(ROWS * 2, preset), first, weeks))
    still = {name: value for name, value in found.items() if name not in moved | allowed}
    assert all(found[name] >= MOVED for name in moved), found
    assert max(still.values()) <= SAME, found
    calm = indices(reference, weekly(make(ROWS * 2), first, weeks))  # the mutant: no drift at all
    assert all(calm[name] < MOVED / 2 for name in moved), calm


@pytest.mark.long
def test_shock_and_segment_raise_defaults_and_higher_limits_lower_them() -> None:
    """Half a million rows a side, 15,000 defaults: the standard error of a ratio is 1%, less as draws are shared."""

    def rate(*presets: str) -> float:
        rows = weekly(make(12_000, *presets), date(2024, 2, 21), 36)
        assert rows.height > 400_000
        return float(rows["will_default"].mean())  # type: ignore[arg-type]

    plain = rate()
    assert rate("economic_shock") / plain == pytest.approx(1.3, abs=0.06)
    assert 0.90 <= rate("policy_change") / plain <= 0.98
    assert rate("new_segment") / plain > 1.1
    assert 0.97 <= rate("seasonal") / plain <= 1.03


@pytest.mark.long
def test_drifts_of_several_presets_act_together(reference: pl.DataFrame) -> None:
    found = indices(reference, weekly(make(ROWS, *ALL), date(2024, 11, 6), 8))
    for name in ("risk_score", "product_category", "payment_credit_limit", "customer_age_bracket"):
        assert found[name] >= MOVED, found
    score = weekly(make(ROWS, "economic_shock"), date(2024, 11, 6), 8)["risk_score"].to_numpy()
    assert found["risk_score"] > stability_index(reference["risk_score"].to_numpy(), np.asarray(score))
