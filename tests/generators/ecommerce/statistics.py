"""Statistics of the acceptance tests, with critical values at a false alarm of one in a million."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

F64 = NDArray[np.float64]
ALARM = 1e-6


def shares(column: pl.Series) -> dict[str, float]:
    """Return the share of each value."""
    counts = column.cast(pl.String).value_counts()
    total = len(column)
    return {str(value): count / total for value, count in counts.iter_rows()}


def chi_square(column: pl.Series, expected: Mapping[str, float]) -> tuple[float, float]:
    """Return Pearson's statistic of independent rows against a mix, and its critical value."""
    found = shares(column)
    assert set(found) <= set(expected), f"unknown values {set(found) - set(expected)}"
    weights = np.array(list(expected.values()))
    probabilities = weights / weights.sum()
    observed = np.array([found.get(name, 0.0) for name in expected])
    assert (probabilities * len(column) >= 5).all(), "pool the rare classes"
    statistic = len(column) * float(((observed - probabilities) ** 2 / probabilities).sum())
    return statistic, float(stats.chi2.isf(ALARM, len(expected) - 1))


def total_variation(column: pl.Series, expected: Mapping[str, float]) -> float:
    """Return half the summed distance between a column's shares and a mix."""
    found, total = shares(column), sum(expected.values())
    return sum(abs(found.get(n, 0.0) - expected.get(n, 0.0) / total) for n in {*found, *expected}) / 2


def ks_distance(levels: F64) -> float:
    """Return the Kolmogorov-Smirnov distance of values that should be uniform on [0, 1]."""
    return float(stats.kstest(levels, "uniform").statistic)


def ks_bound(n: int) -> float:
    """Return the critical distance for n independent values."""
    return float(np.sqrt(-np.log(ALARM / 2) / 2 / n))


def gini(counts: Sequence[int] | F64) -> float:
    """Return the Gini coefficient of non-negative counts."""
    ordered = np.sort(np.asarray(counts, dtype=np.float64))
    rank = np.arange(1, len(ordered) + 1)
    return float((2 * rank - len(ordered) - 1) @ ordered / (len(ordered) * ordered.sum()))


def top_share(counts: F64, part: float = 0.1) -> float:
    """Return the share of the total that the largest part of the counts hold."""
    ordered = np.sort(np.asarray(counts, dtype=np.float64))[::-1]
    return float(ordered[: round(part * len(ordered))].sum() / ordered.sum())


def dispersion(counts: F64, expected: F64) -> float:
    """Return the index of dispersion of counts around their expectations: 1 for a Poisson law."""
    return float(((counts - expected) ** 2 / expected).sum() / (len(counts) - 1))


def stability_index(before: F64, after: F64, bins: int = 10) -> float:
    """Return the population stability index over the quantile bins of the first sample."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, bins + 1)[1:-1]))
    p, q = (np.bincount(np.searchsorted(edges, x, side="right"), minlength=len(edges) + 1) for x in (before, after))
    p, q = (np.maximum(x / x.sum(), 1e-6) for x in (p, q))
    return float(((q - p) * np.log(q / p)).sum())


def mix_index(before: pl.Series, after: pl.Series) -> float:
    """Return the population stability index over a column's values, nulls left out."""
    p, q = (shares(column.drop_nulls()) for column in (before, after))
    pairs = [(max(p.get(name, 0.0), 1e-6), max(q.get(name, 0.0), 1e-6)) for name in {*p, *q}]
    return float(sum((y - x) * np.log(y / x) for x, y in pairs))


def spearman(x: pl.Series, y: pl.Series) -> float:
    """Return the rank correlation."""
    return float(pl.DataFrame({"x": x, "y": y}).select(pl.corr("x", "y", method="spearman")).item())


def area(score: F64, label: NDArray[np.bool_]) -> float:
    """Return the ROC-AUC of a score, by ranks."""
    ranks = stats.rankdata(score)
    positive = int(label.sum())
    return float((ranks[label].sum() - positive * (positive + 1) / 2) / (positive * (len(label) - positive)))
