"""The marginal hazard ratio of two groups by Cox's partial likelihood, from counts at risk.

With one 0/1 covariate the partial likelihood needs only, at each event time, how many are at risk and how many events
there are in each group. Efron's terms for ties: events at scan days are tied by the hundred, where Breslow's form is
biased towards 1. Where hazards are not proportional the value is the limit of the Cox estimate under the follow-up at
hand, a weighted average of log hazard ratios over the event times; it is a summary, not a constant of the body.

Source: Efron 1977, JASA 72:557; Struthers & Kalbfleisch 1986, Biometrika 73:363 (its meaning without
proportionality).
"""

from __future__ import annotations

import numpy as np

STEPS = 50


def hazard_ratio(time: np.ndarray, event: np.ndarray, treated: np.ndarray) -> float:
    """exp(beta) of a Cox model with the covariate `treated`; NaN where a group has no events.

    Parameters
    ----------
    time, event, treated : arrays (subject,), in day, 0/1 and 0/1
    """
    at, which = np.unique(time, return_inverse=True)
    groups = [treated == 0, treated == 1]
    events = [np.bincount(which[g], weights=event[g], minlength=at.size) for g in groups]
    leaving = [np.bincount(which[g], minlength=at.size).astype(np.float64) for g in groups]
    at_risk = [np.cumsum(out[::-1])[::-1] for out in leaving]
    if not events[0].any() or not events[1].any():
        return float("nan")
    tied = (events[0] + events[1]).astype(np.int64)
    row = np.repeat(np.arange(at.size), tied)  # one term an event
    place = np.arange(row.size) - np.repeat(np.cumsum(tied) - tied, tied)  # 0, 1, ... within the tied events
    gone = place / tied[row]
    left = [n[row] - gone * d[row] for n, d in zip(at_risk, events, strict=True)]
    return float(np.exp(_log_ratio(left[0], left[1], events[1].sum())))


def _log_ratio(left0: np.ndarray, left1: np.ndarray, events1: float) -> float:
    """Root of the score sum(p) = events1 with p = left1 e^b / (left0 + left1 e^b), by Newton with step halving."""
    beta = 0.0
    for _ in range(STEPS):
        share = left1 * np.exp(beta) / (left0 + left1 * np.exp(beta))
        step = (events1 - share.sum()) / (share * (1.0 - share)).sum()
        beta += float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-12:
            break
    return beta
