"""Who defaults on a purchase: a documented risk score, a latent frailty and an unobservable part.

    z   = (risk_score - SCORE_MEAN) / SCORE_SD
    l   = z + 0.35 (ln utilisation - LOG_UTILISATION_MEAN) / LOG_UTILISATION_SD
            - 0.30 (ln(1 + tenure) - LOG_TENURE_MEAN) / LOG_TENURE_SD
    l   = (l / LINEAR_SD + 0.35 f + 0.45 N(0, 1)) / 1.345
    p   = clip(BetaPPF(Phi(l); 0.6, 18) * base_default_rate / 0.033 * season, 0.005, 0.20)
    p_i = clip(p + N(0, 0.01), 0.001, 0.25),  default = U < p_i

The constants standardise by the reference population, never by a batch, so that days may differ.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generators.randomness import F64

SCORE_MEAN, SCORE_SD = 0.3504, 0.1232
LOG_UTILISATION_MEAN, LOG_UTILISATION_SD = -2.64, 1.03
LOG_TENURE_MEAN, LOG_TENURE_SD = 5.608, 1.147
LINEAR_SD, TOTAL_SD = 1.243, 1.345
FRAILTY, UNOBSERVED = 0.35, 0.45
REFERENCE_RATE = 0.033

CREDIT_FACTORS = (0.1, 0.3, 0.6, 0.9)
VERIFICATION_FACTORS = (0.1, 0.4, 0.8)
INCOME_FACTORS = (0.8, 0.6, 0.3, 0.2, 0.1)
DEVICE_FACTORS = (0.7, 0.2)
"""Untrusted, trusted."""
PRODUCT_FACTORS = (0.1, 0.3, 0.6)
SCENARIO_FACTORS = (0.1, 0.4, 0.7, 0.9)
SCORE_SHAPE = (4, 3, 5, 2, 3, 4)
"""Categories of credit, verification, income, device trust, product risk, scenario."""
LEVELS = ("low", "medium", "high", "very_high")
LEVEL_EDGES = (0.3, 0.6, 0.8)

SEASON_START = (11, 15)
"""The season runs from 15 November to 31 December."""


def score_table(stress: float) -> F64:
    """Return (1440,) risk scores in C order of `SCORE_SHAPE`, at an economic stress in [0, 1]."""
    weighted = (
        0.30 * np.array(CREDIT_FACTORS)[:, None, None, None, None, None]
        + 0.20 * np.array(VERIFICATION_FACTORS)[:, None, None, None, None]
        + 0.20 * np.array(INCOME_FACTORS)[:, None, None, None]
        + 0.10 * np.array(DEVICE_FACTORS)[:, None, None]
        + 0.10 * np.array(PRODUCT_FACTORS)[:, None]
        + 0.10 * np.array(SCENARIO_FACTORS)
    )
    return np.asarray(np.round(np.minimum(weighted * (1 + 0.2 * stress), 1.0), 10).ravel(), np.float64)


def in_season(day: date) -> bool:
    """Return whether the seasonal multiplier applies to purchases of a day."""
    return (day.month, day.day) >= SEASON_START


@lru_cache(maxsize=1)
def beta_quantiles() -> NDArray[np.float32]:
    """Return BetaPPF(Phi(l); 0.6, 18) at 65,536 even steps of l over [-6, 6]."""
    a, b = 0.6, 18.0
    # With y = x**a the density (1 - y**(1/a))**(b-1) has no pole, so the trapezoid rule is exact enough.
    y = np.linspace(0.0, 1.0, 200_001)
    x = y ** (1 / a)
    density = (1 - x) ** (b - 1)
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    l = np.linspace(-6.0, 6.0, 65_536)  # noqa: E741 - the model's own name
    return np.interp(normal_cdf(l), cumulative / cumulative[-1], x).astype(np.float32)


def normal_cdf(x: F64) -> F64:
    """Return the standard normal distribution function at (n,) points of [-8, 8] (trapezoid rule on a fine grid)."""
    grid = np.linspace(-8.0, 8.0, 160_001)
    density = np.exp(-grid * grid / 2)
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.asarray(np.interp(x, grid, cumulative / cumulative[-1]))


def base_probability(linear: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Return (n,) level-1 probabilities for the standardised linear predictor."""
    position = linear * np.float32(65_535 / 12.0)
    position += np.float32(65_535 / 2.0 + 0.5)
    np.clip(position, 0, 65_535, out=position)
    p = beta_quantiles()[position.astype(np.intp)]
    p *= np.float32(scale)
    return np.clip(p, np.float32(0.005), np.float32(0.20), out=p)


@lru_cache(maxsize=8)
def yearly_miss(rows_a_year: float, scale: float) -> F64:
    """Return (257,) probability of a missed or late payment within a year by latent risk on [-4, 4].

    A purchase is paid late with probability 0.02 + 0.18 u**2 (mean 0.08), u being the quantile of its risk, and not at
    all with the model's default probability.

    Args:
        rows_a_year: Purchases of an average customer in a year.
        scale: base_default_rate / 0.033.
    """
    risk = np.linspace(-4, 4, 257)[:, None]
    rest = np.linspace(-4, 4, 161)[None, :]
    weight = np.exp(-rest * rest / 2)
    # Half of the observable predictor follows the latent risk; frailty adds to it, the rest is independent.
    linear = ((0.5 + FRAILTY) * risk + np.sqrt(0.75 + UNOBSERVED**2) * rest) / TOTAL_SD
    p = base_probability(linear.astype(np.float32), scale).astype(np.float64)
    p += 0.02 + 0.18 * normal_cdf(linear) ** 2
    mean = (p * weight).sum(axis=1) / weight.sum()
    return np.asarray(1 - np.exp(-rows_a_year * mean))
