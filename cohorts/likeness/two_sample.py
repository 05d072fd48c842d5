"""The classifier two-sample test: how well a classifier tells twins from people, and by which variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.randomness import uniforms
from ..weighted import effective_number

FOLDS = 5
TREES = 100
GRID = np.linspace(0, 1, 41)  # of the ROC curve

Array = np.ndarray


@dataclass(frozen=True)
class Telling:
    """Area under the ROC curve over left-out folds, its standard error, and what the classifier lives on.

    `importance` is the loss of AUC when one variable is shuffled among the left-out rows, the largest first. Chance is
    0.5; `error` is Hanley & McNeil's with effective numbers. `curve` is the ROC curve over left-out folds: share of
    twins called people, share of people called people.
    """

    auc: float
    error: float
    importance: tuple[tuple[str, float], ...]
    curve: tuple[tuple[float, float], ...]
    chance_error: float

    @property
    def noticeable(self) -> float:
        """Area from which the test, with so many rows, finds more than chance at 2.5 % error."""
        return 0.5 + 1.96 * self.chance_error

    @property
    def is_above_chance(self) -> bool:
        return self.auc - 1.96 * self.error > 0.5


def tell_apart(
    features: dict[str, tuple[Array, Array]], weights: tuple[Array, Array], seed: int, with_importance: bool = True
) -> Telling:
    """Gradient-boosted trees, five-fold; both sides have the same total weight in each fit.

    The area is the mean over the left-out folds: scores of different fits are not comparable, and pooling them would
    make the area of two equal samples fall below 0.5.

    Parameters
    ----------
    features : variable -> values of the twins and of the people, (row,), numbers or words, none missing.
    weights : of the twins and of the people, (row,).

    Raises
    ------
    ImportError
        scikit-learn is not installed.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score, roc_curve
    from threadpoolctl import threadpool_limits

    names = tuple(features)
    rows = np.column_stack([_numbers(*features[name]) for name in names])
    label = np.repeat([0, 1], [w.size for w in weights])
    weight = np.concatenate([w / w.sum() * label.size / 2 for w in weights])
    fold = _folds(label, seed)
    found: list[list[float]] = []
    curves: list[Array] = []
    with threadpool_limits(1):  # small tables: threads cost more than they bring
        for k in range(FOLDS):
            seen, left = fold != k, np.flatnonzero(fold == k)
            model = HistGradientBoostingClassifier(max_iter=TREES, learning_rate=0.08, random_state=seed)
            model.fit(rows[seen], label[seen], sample_weight=_balanced(weight[seen], label[seen]))
            tried = [rows[left]]
            order = np.argsort(uniforms(seed, f"compare.shuffle.{k}", np.arange(left.size))[:, 0], kind="stable")
            for j in range(len(names) if with_importance else 0):
                tried.append(rows[left].copy())
                tried[-1][:, j] = tried[0][order, j]
            scores = [model.predict_proba(some)[:, 1] for some in tried]
            found.append([roc_auc_score(label[left], one, sample_weight=weight[left]) for one in scores])
            false, true, _ = roc_curve(label[left], scores[0], sample_weight=weight[left])
            curves.append(np.interp(GRID, false, true))
    auc, *without = np.mean(found, axis=0).tolist()
    pairs = zip(names if with_importance else (), without, strict=True)
    importance = sorted(((name, auc - other) for name, other in pairs), key=lambda pair: -pair[1])
    effective = [effective_number(w) for w in weights]
    curve = tuple(zip(GRID.tolist(), np.mean(curves, axis=0).tolist(), strict=True))
    return Telling(auc, auc_error(auc, *effective), tuple(importance), curve, auc_error(0.5, *effective))


def auc_error(auc: float, one: float, other: float) -> float:
    """Standard error of an AUC; Hanley & McNeil 1982, Radiology 143:29.

    >>> round(auc_error(0.5, 1000, 1000), 4)
    0.0129
    """
    area = max(auc, 1 - auc)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (one - 1) * (q1 - area**2) + (other - 1) * (q2 - area**2)
    return float(np.sqrt(variance / (one * other)))


def _balanced(weight: Array, label: Array) -> Array:
    """Weights under which both sides count the same."""
    return np.asarray(weight / np.bincount(label, weights=weight)[label] * label.size / 2)


def _numbers(twins: Array, people: Array) -> Array:
    both = np.concatenate([twins, people])
    return np.unique(both, return_inverse=True)[1].astype(float) if both.dtype.kind in "UO" else both.astype(float)


def _folds(label: Array, seed: int) -> Array:
    """A fold for each row, each side spread evenly over them."""
    fold = np.empty(label.size, dtype=int)
    for side in (0, 1):
        rows = np.flatnonzero(label == side)
        order = np.argsort(uniforms(seed, f"compare.fold.{side}", np.arange(rows.size))[:, 0], kind="stable")
        fold[rows[order]] = np.arange(rows.size) % FOLDS
    return fold
