"""What every table of people with weights and missing values needs: who is known, how many they are, quantiles."""

from __future__ import annotations

import numpy as np


def is_known(values: np.ndarray) -> np.ndarray:
    """Where a value is not missing: finite numbers, words that are not empty.

    >>> is_known(np.array([1.0, np.nan])).tolist(), is_known(np.array(["", "male"])).tolist()
    ([True, False], [False, True])
    """
    return np.asarray(values != "" if values.dtype.kind in "UO" else np.isfinite(values))


def effective_number(weights: np.ndarray) -> float:
    """Kish's effective number of rows, (sum w)^2 / sum w^2; 0 of none, or where no weight is above 0.

    Source: Kish 1965, Survey Sampling (Wiley), section 11.7.

    >>> effective_number(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    return float(weights.sum() ** 2 / np.sum(weights**2)) if weights.any() else 0.0


def quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles at levels between 0 and 1; a value stands at the middle of its weight.

    >>> quantiles(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), np.array([0.125, 0.5, 1.0])).tolist()
    [1.0, 2.0, 3.0]
    """
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return np.asarray(np.interp(levels, (total - 0.5 * weights[order]) / total[-1], values[order]))
