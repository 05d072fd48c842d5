"""A fit without age and sex: each variable's own margin, all linked by one Gaussian copula."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri

from ..blocks.correlation import nearest_correlation
from ..weighted import effective_number, quantiles
from .people import People, PeopleError
from .scores import Rows

# A column of at most so many different numbers has them as they are. Chosen: counts and points of a score, between
# which a curve of quantiles would put values that nobody has.
FEW_VALUES = 12
MOST_CORRELATION = 0.98  # chosen: nearer to 1 the matrix is all but singular
# Least shares below a score and below an edge. Chosen to keep both finite: half of one person in 500,000, and the
# density at the edge is next to 0.
LEAST_SCORE, LEAST_EDGE = 1e-6, 1e-9
TIE = 1e-9  # of the range, between quantiles at the same value
LEVELS = (0.5, 1, 2.5, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 97.5, 99, 99.5)


def linked_block(people: People) -> tuple[dict[str, Any], dict[str, Rows]]:
    """Block `linked`, and the table of its correlations.

    The latent correlation of two columns is that of their midrank scores, divided for each by what discreteness takes
    away: sum over its edges t of phi(t) times the step of the score there, over the score's sd (1 for a continuous
    column); Olsson 1982, Psychometrika 47:337, for one discrete variable, an approximation for two.
    """
    columns = list(people.columns)
    if len(columns) < 2:
        raise PeopleError(f"{people.file} has one column to learn from; a population needs two or more")
    scores, kept = np.full((people.rows, len(columns)), np.nan), np.ones(len(columns))
    for i, column in enumerate(columns):
        codes = people.codes(column)
        there = np.isfinite(codes)
        scores[there, i], kept[i] = _midranks(codes[there], people.weights[there])
    matrix = np.eye(len(columns))
    for i in range(len(columns)):
        for j in range(i):
            both = np.isfinite(scores[:, i]) & np.isfinite(scores[:, j])
            r = _correlation(scores[both, i], scores[both, j], people.weights[both]) / (kept[i] * kept[j])
            matrix[i, j] = matrix[j, i] = np.clip(r, -MOST_CORRELATION, MOST_CORRELATION)
    matrix = nearest_correlation(matrix)
    rows = [
        {"variable_1": columns[i], "variable_2": columns[j], "correlation": f"{matrix[i, j]:.4f}"}
        for i in range(len(columns))
        for j in range(i)
    ]
    variables = [people.described(column) | _law(people, column) for column in columns]
    block = {"name": "people", "kind": "normal_score", "table": "", "variables": variables}
    return {"linked": [block]}, {"correlations": rows}


def _law(people: People, column: str) -> dict[str, Any]:
    """The margin of a column: shares of words or of few numbers, else a quantile curve."""
    codes = people.codes(column)
    there = np.isfinite(codes)
    values, number = np.unique(codes[there], return_inverse=True)
    if column in people.words or values.size <= FEW_VALUES:
        weight = np.bincount(number, weights=people.weights[there])
        names = [people.words[column][int(v)] for v in values] if column in people.words else values.tolist()
        return {"choice": {"values": names, "shares": [float(share) for share in weight / weight.sum()]}}
    found = quantiles(codes[there], people.weights[there], np.array(LEVELS) / 100)
    # A curve must rise; where many share a value (no lesions, no alcohol) it rises by next to nothing.
    found = np.maximum.accumulate(found) + TIE * np.ptp(found) * np.arange(found.size)
    return {"quantiles": {"levels": list(LEVELS), "values": found.tolist()}}


def _midranks(codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Normal score at the middle of each value's weight, and the share of a correlation that discreteness leaves."""
    _, number = np.unique(codes, return_inverse=True)
    weight = np.bincount(number, weights=weights) / weights.sum()
    total = np.cumsum(weight)
    score = ndtri(np.clip(total - 0.5 * weight, LEAST_SCORE, 1 - LEAST_SCORE))
    edges = ndtri(np.clip(total[:-1], LEAST_EDGE, 1 - LEAST_EDGE))
    sd = np.sqrt(np.sum(weight * (score - np.sum(weight * score)) ** 2))
    left = float(np.sum(np.exp(-0.5 * edges**2) / np.sqrt(2 * np.pi) * np.diff(score)) / sd)
    return score[number], min(left, 1.0)


def _correlation(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    if effective_number(w) < 3:
        return 0.0
    covariance = np.cov(x, y, aweights=w)
    return float(covariance[0, 1] / np.sqrt(max(covariance[0, 0] * covariance[1, 1], 1e-300)))
