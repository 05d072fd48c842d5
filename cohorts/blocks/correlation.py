"""Correlated normal scores.

Correlation is done by explicit sums over columns in a fixed order, never by a matrix product over twins: a product's
last bits depend on how many rows it is given.
"""

from __future__ import annotations

import numpy as np

SMALLEST_EIGENVALUE = 1e-3


def mix(factor: np.ndarray, scores: list[np.ndarray], row: int, cell: np.ndarray | None = None) -> np.ndarray:
    """Row `row` of a lower factor times independent scores: the sum over columns 0 .. row, left to right.

    `factor` is (row, column), or with a `cell` for each twin (row, column, cell).
    """
    coefficients = factor[row] if cell is None else [by_cell[cell] for by_cell in factor[row, : row + 1]]
    total = coefficients[0] * scores[0]
    for column in range(1, row + 1):
        total = total + coefficients[column] * scores[column]
    return np.asarray(total)


def nearest_correlation(matrix: np.ndarray) -> np.ndarray:
    """A positive definite correlation matrix near `matrix`: small eigenvalues raised, the diagonal scaled back to 1."""
    try:
        np.linalg.cholesky(matrix - SMALLEST_EIGENVALUE * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
    else:
        return matrix
    repaired = (vectors * np.maximum(values, SMALLEST_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(repaired))
    return np.asarray(repaired / np.outer(scale, scale))


def lower_factor(correlation: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor of a correlation matrix, after the smallest repair that makes it positive definite."""
    return np.asarray(np.linalg.cholesky(nearest_correlation(correlation)))
