"""Who buys how often, and that this never changes: heavy tails, year one and year ten alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import polars as pl
import pytest
from scipy import stats

from tests.generators.ecommerce.bnpl_world import World
from tests.generators.ecommerce.statistics import F64, chi_square, gini, stability_index, top_share

Check = Callable[[World], None]


def counts(frame: pl.DataFrame) -> F64:
    """Return rows a customer."""
    return frame["customer_id"].value_counts()["count"].to_numpy().astype(np.float64)


def month(world: World) -> pl.DataFrame:
    return world.year.filter(pl.col("timestamp").dt.date().is_between(date(2024, 6, 1), date(2024, 6, 30)))


def customers_of_a_year(world: World) -> None:
    rows = counts(world.year)
    assert len(rows) >= 20_000
    assert 4.5 <= rows.mean() <= 9.5
    assert 0.42 <= gini(rows) <= 0.62
    assert 0.28 <= top_share(rows) <= 0.45
    assert np.quantile(rows, 0.99) / np.median(rows) >= 6
    # Activity is Gamma with shape 0.5: among the slots of the pool, the variance of the rate is twice its square.
    assert (rows == 1).mean() > 0.15


def customers_of_a_month(world: World) -> None:
    assert 0.22 <= gini(counts(month(world))) <= 0.42


def devices_a_customer(world: World) -> None:
    count = world.held["device_id"].list.len().head(20_000)
    statistic, critical = chi_square(count, {"1": 0.55, "2": 0.35, "3": 0.10})
    assert statistic < critical


def newest_device_is_used_most(world: World) -> None:
    """Where one device is newer than the others, it is used with 0.85."""
    first_seen = pl.col("valid_from").list
    several = world.held.filter(
        (pl.col("device_id").list.len() > 1) & (first_seen.get(-1) != first_seen.get(-2, null_on_oob=True))
    )
    joined = world.held_day.join(several, on="customer_id", suffix="_held")
    assert joined.select((pl.col("device_id").is_in(pl.col("device_id_held"))).all()).item()
    newest = float((joined["device_id"] == joined["device_id_held"].list.last()).mean())  # type: ignore[arg-type]
    assert abs(newest - 0.85) < 5 * np.sqrt(0.85 * 0.15 / joined.height), (newest, joined.height)


CHECKS: list[Check] = [customers_of_a_year, customers_of_a_month, devices_a_customer, newest_device_is_used_most]


def everyone_alike(world: World) -> World:
    """Customers are drawn uniformly from as many as there are."""
    found = world.year["customer_id"].n_unique()
    drawn = np.random.Generator(np.random.PCG64(3)).integers(0, found, world.year.height)
    return world.altered(year=world.year.with_columns(customer_id=pl.Series(drawn).cast(pl.String)))


def everyone_once(world: World) -> World:
    """Nobody comes back."""
    return world.altered(year=world.year.with_columns(customer_id=pl.int_range(pl.len()).cast(pl.String)))


def one_device_each(world: World) -> World:
    return world.altered(held=world.held.with_columns(pl.col("device_id").list.head(1)))


def any_device(world: World) -> World:
    """The device is drawn evenly."""
    owned = world.held.select(
        "customer_id", pl.col("device_id").list.get(pl.int_range(pl.len()) % pl.col("device_id").list.len())
    )
    return world.altered(held_day=world.held_day.drop("device_id").join(owned, on="customer_id"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_data_keep(check: Check, world: World) -> None:
    check(world)


@pytest.mark.parametrize(
    "check,mutant",
    [
        (customers_of_a_year, everyone_alike),
        (customers_of_a_month, everyone_alike),
        (customers_of_a_year, everyone_once),
        (customers_of_a_month, everyone_once),
        (devices_a_customer, one_device_each),
        (newest_device_is_used_most, any_device),
    ],
)
def test_mutant_is_caught(check: Check, mutant: Callable[[World], World], world: World) -> None:
    with pytest.raises(AssertionError):
        check(mutant(world))


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_data_keep_with_other_seeds(check: Check, large_world: World) -> None:
    """Ten seconds for all checks and seeds."""
    check(large_world)


# -- year one and year ten ----------------------------------------------------------------------------------------


class History:
    """The same month of two years, without noise of the volume."""

    def __init__(self, world: World, volume: int) -> None:
        self._generator = world.make(volume, volume_noise=0)

    def _june(self, year: int) -> pl.DataFrame:
        columns = ["customer_id", "customer_tenure_days", "will_default", "risk_score", "device_is_trusted", "amount"]
        return pl.concat([self._generator.generate(date(year, 6, 1) + timedelta(n)).select(columns) for n in range(30)])

    @cached_property
    def early(self) -> pl.DataFrame:
        """June of year one."""
        return self._june(2015)

    @cached_property
    def late(self) -> pl.DataFrame:
        """June of year ten."""
        return self._june(2024)


def alike(early: pl.DataFrame, late: pl.DataFrame) -> None:
    """Default rate, tenure and activity of two months are those of one stationary process."""
    rates = [float(frame["will_default"].mean()) for frame in (early, late)]  # type: ignore[arg-type]
    per_customer = [counts(frame) for frame in (early, late)]
    # Rows of one customer share a rate: the design effect of a month is the mean of squares over the mean.
    effect = float((per_customer[0] ** 2).sum() / per_customer[0].sum())
    spread = np.sqrt(effect * 0.03 * 0.97 * (1 / early.height + 1 / late.height))
    assert abs(rates[0] - rates[1]) < 5 * spread, rates
    assert stability_index(*(f["customer_tenure_days"].to_numpy() for f in (early, late))) <= 0.02
    assert stability_index(*(f["risk_score"].to_numpy() for f in (early, late))) <= 0.02
    tenure = [f.unique("customer_id", keep="first")["customer_tenure_days"].to_numpy() for f in (early, late)]
    # Tenure is exponential with mean 484 days on every day, whoever is asked.
    for sample in tenure:
        assert stats.kstest(sample, stats.expon(scale=484).cdf).statistic < 0.03, sample.mean()
    assert per_customer[0].mean() == pytest.approx(per_customer[1].mean(), rel=0.02)
    assert gini(per_customer[0]) == pytest.approx(gini(per_customer[1]), abs=0.01)


def test_year_one_and_year_ten_are_alike(world: World) -> None:
    history = History(world, 1_500)
    alike(history.early, history.late)


def test_population_that_accumulates_is_caught(world: World) -> None:
    """Customers who never leave are three years older, and spread the rows over more of them."""
    history = History(world, 1_500)
    older = history.late.with_columns(pl.col("customer_tenure_days") + 400)
    with pytest.raises(AssertionError):
        alike(history.early, older)
    worse = history.late.with_columns(pl.col("will_default") | (pl.int_range(pl.len()) % 70 == 0))
    with pytest.raises(AssertionError):
        alike(history.early, worse)
    thinner = history.late.with_columns(pl.col("customer_id") + (pl.int_range(pl.len()) % 2).cast(pl.String))
    with pytest.raises(AssertionError):
        alike(history.early, thinner)


@pytest.mark.long
def test_year_one_and_year_ten_are_alike_with_other_seeds(large_world: World) -> None:
    """Twenty seconds for all seeds."""
    history = History(large_world, 5_000)
    alike(history.early, history.late)
