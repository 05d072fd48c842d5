"""Correlated normal scores.

Correlation is done by explicit sums over columns in a fixed order, never by a matrix product over twins: a product's
last bits depend on how many rows it is given.
"""

from __future__ import annotations

import numpy as np

SMALLEST_EIGENVALUE = 1e-3


def mix(factor: np.ndarray, scores: list[np.ndarray], row: int) -> np.ndarray:
    """Row `row` of `factor` times independent scores: the sum over columns 0 .. row, left to right."""
    total = factor[row, 0] * scores[0]
    for column in range(1, row + 1):
        total = total + factor[row, column] * scores[column]
    return np.asarray(total)


def lower_factor(correlation: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor of a correlation matrix, after the smallest repair that makes it positive definite."""
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < SMALLEST_EIGENVALUE:
        repaired = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
        scale = np.sqrt(np.diag(repaired))
        correlation = repaired / np.outer(scale, scale)
    return np.asarray(np.linalg.cholesky(correlation))
