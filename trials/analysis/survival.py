"""Kaplan-Meier curves, log-rank test and restricted mean survival time, beside the Bayesian analysis.

SciPy does the estimation; it is imported where it is used, because its statistics are slow to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .data import Array


@dataclass(frozen=True)
class KaplanMeier:
    """Survival of one group: `survival[i]` holds from `time[i]` on; pointwise interval of `ci_prob` (log-log)."""

    time: Array
    survival: Array
    low: Array
    high: Array
    ci_prob: float
    subjects: int
    events: int

    def at(self, time: Array) -> Array:
        """Survival at any times; 1 before the first event."""
        place = np.searchsorted(self.time, time, side="right")
        return np.concatenate([[1.0], self.survival])[place]

    @property
    def median(self) -> float:
        """First time at which survival is 0.5 or less; inf where it never is."""
        reached = np.flatnonzero(self.survival <= 0.5 + 1e-12)
        return float(self.time[reached[0]]) if reached.size else np.inf


def _censored(time: Array, event: Array) -> Any:
    from scipy.stats import CensoredData

    return CensoredData.right_censored(np.asarray(time, dtype=float), np.asarray(event) == 0)


def kaplan_meier(time: Array, event: Array, ci_prob: float = 0.95) -> KaplanMeier:
    """Product-limit estimate with a log-log pointwise interval (Kalbfleisch & Prentice 1980).

    Where the curve stands at 1 or 0 the interval has no width.
    """
    import warnings

    from scipy.stats import ecdf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the interval is undefined where survival is 0 or 1
        curve = ecdf(_censored(time, event)).sf
        interval = curve.confidence_interval(ci_prob, method="log-log")
    survival = np.asarray(curve.probabilities, dtype=np.float64)
    low, high = (np.asarray(side.probabilities, dtype=np.float64) for side in (interval.low, interval.high))
    return KaplanMeier(
        time=np.asarray(curve.quantiles, dtype=np.float64),
        survival=survival,
        low=np.where(np.isnan(low), survival, low),
        high=np.where(np.isnan(high), survival, high),
        ci_prob=ci_prob,
        subjects=int(np.size(time)),
        events=int(np.sum(event)),
    )


def numbers_at_risk(time: Array, at: Array) -> np.ndarray:
    """Subjects followed at least to each time of `at`."""
    return (np.asarray(time)[None, :] >= np.asarray(at)[:, None]).sum(axis=1)


def restricted_mean(curve: KaplanMeier, horizon: float) -> float:
    """Area under the curve from 0 to `horizon`, in the unit of time.

    Beyond the last time of a group the curve is not known; choose a horizon within the follow-up of both arms.
    """
    inner = curve.time[(curve.time > 0) & (curve.time < horizon)]
    edges = np.concatenate([[0.0], inner, [horizon]])
    return float((np.diff(edges) * curve.at(edges[:-1])).sum())


@dataclass(frozen=True)
class LogRank:
    """Two-sided log-rank test of two groups; `statistic` is positive where the first dies later."""

    statistic: float
    p_value: float


def log_rank(time: Array, event: Array, treated: Array) -> LogRank:
    """Log-rank test of experimental (`treated` 1) against control (0)."""
    from scipy.stats import logrank

    groups = [_censored(time[treated == arm], event[treated == arm]) for arm in (1, 0)]
    result = logrank(*groups)
    return LogRank(float(result.statistic), float(result.pvalue))
