"""Who defaults: level, lift, what a model learns and what must not leak; each bound with a mutant beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from tests.generators.ecommerce.bnpl_world import World, shuffled
from tests.generators.ecommerce.judge import F64, Labels, calibration_slope, features, identifiers, predict
from tests.generators.ecommerce.statistics import area, stability_index


def label_level(frame: pl.DataFrame) -> None:
    assert frame.height >= 100_000
    assert frame["customer_id"].n_unique() >= 2_000
    rate = float(frame["will_default"].mean())  # type: ignore[arg-type]
    assert 0.025 <= rate <= 0.045, rate


def lift(frame: pl.DataFrame) -> None:
    """Default rates rise from decile to decile of the score, sixfold at least from the lowest to the highest."""
    ordered = frame.sort("risk_score")["will_default"]
    size = frame.height // 10
    rates = [float(ordered.slice(n * size, size).mean()) for n in range(10)]  # type: ignore[arg-type]
    assert rates[9] >= 6 * rates[0], rates
    halves = [float(np.mean(rates[n : n + 2])) for n in range(0, 10, 2)]
    assert halves == sorted(halves), rates


def poor_and_excellent(frame: pl.DataFrame) -> None:
    rate = dict(
        frame.group_by(pl.col("customer_credit_score_range").cast(pl.String))
        .agg(pl.col("will_default").mean())
        .iter_rows()
    )
    assert rate["excellent"] < rate["good"] < rate["fair"] < rate["poor"], rate
    assert rate["poor"] >= 3 * rate["excellent"], rate


def first_missed_payment(frame: pl.DataFrame) -> None:
    """Of four instalments the second, third or fourth is the first one missed, in the shares .25, .45, .30."""
    missed = frame.filter(pl.col("will_default") & (pl.col("installment_count") == 4))
    found = missed["days_to_first_missed_payment"].value_counts(normalize=True)
    share = dict(found.cast({"days_to_first_missed_payment": pl.Int64}).iter_rows())
    for days, expected in {14: 0.25, 28: 0.45, 42: 0.30}.items():
        assert abs(share[days] - expected) < 5 * (expected * (1 - expected) / missed.height) ** 0.5, share


ROW_CHECKS = [label_level, lift, poor_and_excellent, first_missed_payment]


def more_defaults(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("will_default") | (pl.int_range(pl.len()) % 50 == 0))


def late_misses(frame: pl.DataFrame) -> pl.DataFrame:
    """Dates up to 14 n: the last one does not exist."""
    return frame.with_columns((pl.col("days_to_first_missed_payment") + 14).cast(pl.UInt16))


def any_miss(frame: pl.DataFrame) -> pl.DataFrame:
    """Instalments are missed evenly."""
    return frame.with_columns(
        pl.when(pl.col("will_default"))
        .then(14 * (1 + pl.int_range(pl.len()) % 3))
        .alias("days_to_first_missed_payment")
    )


def lost_labels(frame: pl.DataFrame) -> pl.DataFrame:
    return shuffled(frame, "will_default")


def flatter(frame: pl.DataFrame) -> pl.DataFrame:
    """Half of the labels say nothing: the lift of the data that nobody could learn from."""
    lost = lost_labels(frame)["will_default"]
    return frame.with_columns(
        will_default=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("will_default")).otherwise(lost)
    )


@pytest.mark.parametrize("check", ROW_CHECKS, ids=lambda check: check.__name__)
def test_rows_keep(check, world: World) -> None:  # type: ignore[no-untyped-def]
    check(world.spread)


@pytest.mark.parametrize(
    "check,mutant",
    [
        (label_level, more_defaults),
        (lift, lost_labels),
        (lift, flatter),
        (poor_and_excellent, lost_labels),
        (first_missed_payment, late_misses),
        (first_missed_payment, any_miss),
    ],
    ids=lambda part: part.__name__,
)
def test_mutant_rows_are_caught(check, mutant, world: World) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises((AssertionError, KeyError)):
        check(mutant(world.spread))


# -- what a model learns ------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Trial:
    """Rows in order of time; a model sees the first two thirds and is judged on the last one."""

    frame: pl.DataFrame

    @property
    def cut(self) -> int:
        return self.frame.height * 2 // 3

    @cached_property
    def columns(self) -> dict[str, F64]:
        return features(self.frame)

    @cached_property
    def label(self) -> Labels:
        return self.frame["will_default"].to_numpy()

    @property
    def later(self) -> Labels:
        return self.label[self.cut :]

    @cached_property
    def probability(self) -> F64:
        return predict(self.columns, self.label, self.cut)

    def with_column(self, name: str, values: F64) -> Trial:
        """Return the trial with one more column known before the decision, and everything to be learned anew."""
        other = Trial(self.frame)
        other.columns = {**self.columns, name: values}
        return other

    def with_label(self, label: Labels) -> Trial:
        other = Trial(self.frame)
        other.columns, other.label = self.columns, label
        return other


def learnable(trial: Trial) -> None:
    auc = area(trial.probability, trial.later)
    assert 0.70 <= auc <= 0.82, auc


def precise(trial: Trial) -> None:
    precision = float(average_precision_score(trial.later, trial.probability))
    assert 2.5 * trial.later.mean() <= precision <= 0.35, precision


def calibrated(trial: Trial) -> None:
    slope = calibration_slope(trial.probability, trial.later)
    assert 0.8 <= slope <= 1.2, slope


def no_column_tells(trial: Trial) -> None:
    for name, values in trial.columns.items():
        auc = area(values[trial.cut :], trial.later)
        assert max(auc, 1 - auc) <= 0.78, (name, auc)


def identifiers_tell_nothing(trial: Trial, columns: dict[str, F64]) -> None:
    auc = area(predict(columns, trial.label, trial.cut), trial.later)
    assert auc <= 0.55, auc


@pytest.fixture(scope="module")
def trial(world: World) -> Trial:
    """130,000 rows of the whole year."""
    return Trial(world.year.gather_every(3))


@pytest.mark.parametrize("check", [learnable, precise, calibrated, no_column_tells], ids=lambda check: check.__name__)
def test_labels_are(check, trial: Trial) -> None:  # type: ignore[no-untyped-def]
    check(trial)


def test_shuffled_labels_are_not_learnable(trial: Trial) -> None:
    mixed = trial.with_label(np.random.Generator(np.random.PCG64(4)).permutation(trial.label))
    assert abs(area(mixed.probability, mixed.later) - 0.5) <= 0.05
    for check in (learnable, precise):
        with pytest.raises(AssertionError):
            check(mixed)


def test_a_column_that_leaks_is_caught(trial: Trial) -> None:
    """The label seen through noise, as an outcome that slipped into the row would show it."""
    noise = np.random.Generator(np.random.PCG64(5)).normal(size=len(trial.label))
    leaky = trial.with_column("balance_after", trial.label * 2.0 + noise)
    for check in (learnable, no_column_tells):
        with pytest.raises(AssertionError):
            check(leaky)


def test_overconfident_probabilities_are_caught(trial: Trial) -> None:
    odds = np.log(trial.probability / (1 - trial.probability))
    for factor in (0.6, 1.6):
        other = Trial(trial.frame)
        other.label, other.probability = trial.label, 1 / (1 + np.exp(-factor * odds))
        with pytest.raises(AssertionError):
            calibrated(other)


def test_identifiers_and_row_order_tell_nothing(trial: Trial) -> None:
    identifiers_tell_nothing(trial, identifiers(trial.frame))


def test_rows_sorted_by_outcome_are_caught(trial: Trial) -> None:
    order = np.argsort(~trial.label, kind="stable").argsort() % 1_000_000
    with pytest.raises(AssertionError):
        identifiers_tell_nothing(trial, {"record_id": order.astype(np.float64)})


# -- drift --------------------------------------------------------------------------------------------------------


def steady(before: pl.DataFrame, after: pl.DataFrame) -> None:
    assert min(before.height, after.height) >= 20_000
    for column in ("risk_score", "amount", "customer_tenure_days", "credit_utilization"):
        index = stability_index(before[column].to_numpy(), after[column].to_numpy())
        assert index <= 0.02, (column, index)


def halves(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return frame.head(frame.height // 2), frame.tail(frame.height // 2)


def test_nothing_drifts_without_a_preset(world: World) -> None:
    steady(*halves(world.year))


def test_drift_is_caught(world: World) -> None:
    """Stress and a riskier population are what drift looks like; each moves the score by 0.10 at least."""
    before, after = halves(world.year)
    day = after["timestamp"][0].date()
    for fields in ({"economic_stress": 1.0}, {"credit_risk_shift": 0.6}):
        drifted = world.make(25_000, **fields).generate(day)
        assert stability_index(before["risk_score"].to_numpy(), drifted["risk_score"].to_numpy()) >= 0.10, fields
        with pytest.raises(AssertionError):
            steady(before, drifted)


def test_stress_raises_defaults(world: World) -> None:
    day = world.spread["timestamp"][0].date()
    plain, stressed = (
        world.make(100_000, economic_stress=stress).generate(day)["will_default"].mean() for stress in (0.0, 1.0)
    )
    assert 1.25 <= stressed / plain <= 1.70, stressed / plain  # type: ignore[operator]


# -- the same with other seeds ------------------------------------------------------------------------------------


@pytest.mark.long
def test_risk_with_other_seeds(large_world: World) -> None:
    """Two minutes for all seeds."""
    for check in ROW_CHECKS:
        check(large_world.spread)
    trial = Trial(large_world.year)
    for judged in (learnable, precise, calibrated, no_column_tells):
        judged(trial)
    identifiers_tell_nothing(trial, identifiers(trial.frame))
    steady(*halves(large_world.year))
    mixed = trial.with_label(np.random.Generator(np.random.PCG64(4)).permutation(trial.label))
    assert abs(area(mixed.probability, mixed.later) - 0.5) <= 0.05
