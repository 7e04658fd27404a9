"""The model that judges whether fraud can be learned, and what it may look at.

Histogram gradient boosting with fixed settings: 120 iterations, learning rate 0.05, 8 leaves, at least 200 rows a leaf,
no early stopping, no class weights; it learns on the first two thirds of the time and is judged on the last third.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Labels = NDArray[np.bool_]

CODES = ("card_brand", "card_type", "card_bin_group", "home_region", "mcc", "merchant_country", "channel",
         "pos_entry_mode", "cardholder_verification", "cvv_result", "avs_result", "ip_country")  # fmt: skip
NUMBERS = ("card_age_days", "customer_age", "home_lat", "home_lon", "merchant_lat", "merchant_lon", "distance_km",
           "amount", "billing_amount")  # fmt: skip
SHORT = ("billing_amount", "mcc", "hour", "channel", "pos_entry_mode", "merchant_country", "distance_km")
HOUR, DAY = 3_600, 86_400


def features(rows: pl.DataFrame) -> pl.DataFrame:
    """Return what is known before the decision: categories as codes, hour and weekday; no identifiers, no outcomes."""
    return rows.select(
        *(pl.col(name).to_physical().cast(pl.Float32).fill_null(-1).alias(name) for name in CODES),
        *(pl.col(name).cast(pl.Float32) for name in NUMBERS),
        pl.col("timestamp").dt.hour().cast(pl.Float32).alias("hour"),
        pl.col("timestamp").dt.weekday().cast(pl.Float32).alias("weekday"),
    )


def history(rows: pl.DataFrame) -> dict[str, F32]:
    """Return what a card's earlier rows and the row itself tell before the decision; rows are in order of time."""
    seconds = (rows["timestamp"].to_physical().to_numpy() // 1_000_000).astype(np.int64)
    seconds -= seconds[0] - (1 << 26)  # a window before a card's first row ends after every row of the card before
    card = rows["card_token"].rank("dense").to_numpy().astype(np.int64)
    key = (card << 27) + seconds
    order = np.argsort(key, kind="stable")
    key = key[order]
    here = np.arange(len(key))
    amount = rows["billing_amount"].to_numpy()[order]
    failed = ~rows["is_approved"].to_numpy()[order]
    paid, lost = (np.concatenate([[0.0], np.cumsum(values)]) for values in (amount, failed))

    def back(window: int) -> I64:
        return np.searchsorted(key, key - window, side="left")

    def placed(values: NDArray[np.generic]) -> F32:
        result = np.empty(len(values), np.float32)
        result[order] = values
        return result

    hour, day, week, month = (back(window) for window in (HOUR, DAY, 7 * DAY, 30 * DAY))
    usual = (paid[here + 1] - paid[month]) / (here + 1 - month)
    pair = pl.col("customer_id").hash(1)
    seen = rows.select(
        merchant=(pair ^ pl.col("merchant_id")).is_first_distinct(),
        device=(pair ^ pl.col("device_id")).is_first_distinct() & pl.col("device_id").is_not_null(),
    )
    return {
        "rows_1h": placed(here + 1 - hour),
        "rows_24h": placed(here + 1 - day),
        "rows_7d": placed(here + 1 - week),
        "paid_24h": placed(paid[here + 1] - paid[day]),
        "failed_24h": placed(lost[here] - lost[day]),  # the row's own answer is not known before the decision
        "amount_over_usual": placed(amount / np.maximum(usual, 0.01)),
        "new_merchant": seen["merchant"].to_numpy().astype(np.float32),
        "new_device": seen["device"].fill_null(False).to_numpy().astype(np.float32),
    }


def fitted(x: F32, y: Labels, leaf: int = 200, weight: F64 | None = None) -> HistGradientBoostingClassifier:
    model = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=leaf, early_stopping=False, random_state=0
    )
    return model.fit(x, y, sample_weight=weight)


@dataclass(frozen=True, eq=False)
class Verdict:
    """Scores of rows that a model has not seen.

    Attributes:
        score: (n,) probabilities of fraud.
        label: (n,) whether it is fraud.
    """

    score: F64
    label: Labels

    @property
    def auc(self) -> float:
        return float(roc_auc_score(self.label, self.score))

    @property
    def precision(self) -> float:
        """Average precision."""
        return float(average_precision_score(self.label, self.score))

    @property
    def lift(self) -> float:
        """Fraud rate of the top hundredth over that of all rows."""
        top = np.argpartition(-self.score, len(self.score) // 100)[: len(self.score) // 100]
        return float(self.label[top].mean() / self.label.mean())

    @property
    def odds(self) -> F64:
        """(n,) log odds of the scores; of certain ones, those of nearly certain ones."""
        score = self.score.clip(1e-7, 1 - 1e-7)
        return np.asarray(np.log(score / (1 - score)))

    @property
    def slope(self) -> float:
        """Slope of a logistic fit of the label on the log odds: 1 when probabilities are right."""
        odds = self.odds
        some = np.r_[np.flatnonzero(self.label), np.flatnonzero(~self.label)[::10]]  # moves the intercept only
        return float(LogisticRegression(C=1e6).fit(odds[some, None], self.label[some]).coef_[0, 0])


def judged(x: F32, y: Labels) -> Verdict:
    """Learn on the first two thirds of rows in order of time and return the verdict on the last third."""
    cut = 2 * len(y) // 3
    score = fitted(x[:cut], y[:cut]).predict_proba(x[cut:])[:, 1]
    return Verdict(score, y[cut:])


def single_column(column: NDArray[np.generic], y: Labels) -> float:
    """Return the ROC-AUC on the last third of the best use of one column: the fraud rate of its 200 cells before."""
    cut = 2 * len(y) // 3
    values = np.nan_to_num(np.asarray(column, np.float64), nan=-1.0)
    edges = np.unique(np.quantile(values[:cut:50], np.linspace(0, 1, 200)))
    cells = np.searchsorted(edges, values, side="right")
    hits = np.bincount(cells[:cut], weights=y[:cut], minlength=len(edges) + 1)
    rows = np.bincount(cells[:cut], minlength=len(edges) + 1)
    return float(roc_auc_score(y[cut:], (hits / np.maximum(rows, 1))[cells[cut:]]))
