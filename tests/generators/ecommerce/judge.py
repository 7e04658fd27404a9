"""The model that judges whether labels can be learned, and no more than that: its settings are fixed."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

F64 = NDArray[np.float64]
Labels = NDArray[np.bool_]

IDENTIFIERS = ("transaction_id", "customer_id", "product_id", "device_id", "payment_method_id")
OUTCOMES = ("will_default", "days_to_first_missed_payment")
NOT_FEATURES = {"timestamp", "record_id", "generator", *IDENTIFIERS, *OUTCOMES}


def features(frame: pl.DataFrame) -> dict[str, F64]:
    """Return what is known before the decision: categories as codes, and hour and weekday of the instant."""
    columns = {
        name: frame[name].to_physical().cast(pl.Float64).to_numpy()
        for name in frame.columns
        if name not in NOT_FEATURES and frame[name].n_unique() > 1
    }
    columns["hour"] = frame["timestamp"].dt.hour().cast(pl.Float64).to_numpy()
    columns["weekday"] = frame["timestamp"].dt.weekday().cast(pl.Float64).to_numpy()
    return columns


def identifiers(frame: pl.DataFrame) -> dict[str, F64]:
    """Return the ranks of the identifiers and the row's place in its partition and in the whole."""
    columns = {name: frame[name].rank("dense").cast(pl.Float64).to_numpy() for name in IDENTIFIERS}
    columns["record_id"] = frame["record_id"].cast(pl.Float64).to_numpy()
    return columns


def predict(columns: dict[str, F64], label: Labels, cut: int) -> F64:
    """Return probabilities of the rows from `cut` on, of a tree ensemble fitted on those before."""
    matrix = np.column_stack(list(columns.values()))
    model = HistGradientBoostingClassifier(
        max_iter=130,
        learning_rate=0.055,
        max_leaf_nodes=15,
        min_samples_leaf=150,
        early_stopping=False,
        random_state=0,
    )
    with threadpool_limits(1):
        return np.asarray(model.fit(matrix[:cut], label[:cut]).predict_proba(matrix[cut:])[:, 1])


def calibration_slope(probability: F64, label: Labels) -> float:
    """Return the slope of a logistic fit of the label on the log odds: 1 when probabilities are right."""
    odds = np.log(probability / (1 - probability))[:, None]
    return float(LogisticRegression(C=1e6).fit(odds, label).coef_[0, 0])
