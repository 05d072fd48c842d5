"""The columns of a regression on standardised scales, the same for every model of the catalogue.

Treatment is coded -1/2 (control) and +1/2 (experimental), so that the intercept is the middle of the two arms and is
nearly uncorrelated with the effect. A covariate is centred and divided by its sd, so that one prior fits all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .data import AnalysisData, Array

WIDTH = 4  # models are compiled for 4, 8, 12 ... columns; analyses of one such width share one compiled model


@dataclass(frozen=True)
class Columns:
    """Design matrix (subject, term): treatment first, then covariates; no intercept."""

    matrix: Array
    terms: tuple[str, ...]
    constant: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.terms)

    def with_arm(self, arm: int) -> Array:
        """The same subjects, all of them in one arm."""
        matrix = self.matrix.copy()
        matrix[:, 0] = arm - 0.5
        return matrix


def columns_of(data: AnalysisData) -> Columns:
    """Standardised columns; a covariate that does not vary is left out and named in `constant`."""
    columns, terms, constant = [data.treated - 0.5], ["treatment"], []
    for name, values in data.covariates.items():
        sd = float(np.std(values))
        if sd <= 1e-12 * max(1.0, float(np.max(np.abs(values)))):
            constant.append(name)
            continue
        columns.append((values - np.mean(values)) / sd)
        terms.append(name)
    return Columns(np.stack(columns, axis=1), tuple(terms), tuple(constant))


def with_intercept(matrix: Array) -> Array:
    """A column of ones before the others."""
    return np.concatenate([np.ones((len(matrix), 1)), matrix], axis=1)


def padded_width(count: int) -> int:
    """Columns of the compiled model that takes `count` columns."""
    return -(-count // WIDTH) * WIDTH


def pad(array: Array, width: int, fill: float = 0.0) -> Array:
    """`array` with its last axis filled up to `width`. A column of zeros leaves its coefficient at the prior."""
    missing = width - array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)], constant_values=fill)


def grouped(matrix: Array, **sums: Array) -> tuple[Array, dict[str, Array]]:
    """Unique rows of `matrix`, and every array of `sums` (subject, ...) added up over the subjects of each row."""
    rows, place = np.unique(matrix, axis=0, return_inverse=True)
    totals = {}
    for name, values in sums.items():
        total = np.zeros((len(rows), *values.shape[1:]))
        np.add.at(total, place.reshape(-1), values)
        totals[name] = total
    return rows, totals


def linear_predictor(coefficients: Array, matrix: Array) -> Array:
    """Sum of coefficient times column, dims (draw, subject); column by column, so bits do not depend on a BLAS."""
    total = np.zeros((len(coefficients), len(matrix)))
    for k in range(matrix.shape[1]):
        total += coefficients[:, k, None] * matrix[None, :, k]
    return total


def standardised_mean(coefficients: Array, rows: Array, weights: Array, link: str) -> Array:
    """Mean over subjects of the inverse link of the linear predictor, one number a draw (g-computation).

    `rows` are unique covariate rows and `weights` the subjects on each. `link` is "logit" or "log".
    """
    from scipy.special import expit

    inverse = expit if link == "logit" else np.exp
    step = max(1, 4_000_000 // len(rows))  # 32 MB at a time
    parts = [
        (inverse(linear_predictor(coefficients[i : i + step], rows)) * weights).sum(axis=1) / weights.sum()
        for i in range(0, len(coefficients), step)
    ]
    return np.concatenate(parts)
