"""Orders of convergence: from equal steps on problems with known solutions, and from the conditions of order."""

from __future__ import annotations

from functools import cache

import numpy as np

from ..engine.lanes.dop853 import DOP853
from ..engine.lanes.tableau import TSIT5, Tableau
from ..engine.solve import Method
from .fixed_steps import METHODS, fixed_steps, observed_order
from .problems import CHIRP, RIGID_BODY, follow
from .row import Check, Row

ORDER: dict[Method, int] = {"tsit5": 5, "dop853": 8, "rodas5p": 5}
DENSE: dict[Method, int] = {"tsit5": 4, "dop853": 7, "rodas5p": 4}
NEAR = 0.2  # of the order that theory gives
STARTS = np.linspace(0.1, 3.0, 6)
PARTS = np.linspace(0.05, 0.95, 19)
CASES = ((RIGID_BODY, 6.0), (CHIRP, 3.0))

Tree = tuple["Tree", ...]


def _over_starts(errors: np.ndarray) -> np.ndarray:
    """Root mean square over the starts, of errors (start x length, state): one alone may vanish at some length."""
    return np.asarray(np.sqrt((errors**2).sum(axis=-1).reshape(len(STARTS), -1).mean(axis=0)))


def global_orders() -> list[Row]:
    """Error at the end of a span against the length of equal steps."""
    rows = []
    for known, span in CASES:
        for method in METHODS:
            steps = np.unique(np.round(np.geomspace(6, 1024, 60)).astype(int))
            start, count = np.repeat(STARTS, len(steps)), np.tile(steps, len(STARTS))
            found = fixed_steps(known.rhs, known.states, known.exact(start), start, span, count, method)
            error = _over_starts(found.samples[:, -1] - known.exact(start + span))
            order, points = observed_order(span / steps, error, 2e-13, 2e-9)
            rows.append(
                Row(
                    f"{method}: order on {known.name} is {ORDER[method]}", known.source, abs(order - ORDER[method]),
                    NEAR, "theory, to 0.2", note=f"observed {order:.2f} from {points} lengths, errors 2e-13 to 2e-9",
                )
            )  # fmt: skip
    return rows


def dense_orders() -> list[Row]:
    """Largest error at 19 points inside one step, started exactly, against its length; it falls with order + 1."""
    rows = []
    lengths = np.geomspace(0.004, 1.0, 49)
    for known, _ in CASES:
        for method in METHODS:
            start, h = np.repeat(STARTS, len(lengths)), np.tile(lengths, len(STARTS))
            found = fixed_steps(known.rhs, known.states, known.exact(start), start, h, 1, method, list(PARTS))
            truth = known.exact(start[:, None] + h[:, None] * PARTS)
            worst = np.abs(found.samples[:, :-1] - truth).max(axis=1)
            error = _over_starts(worst)
            order, points = observed_order(lengths, error, 2e-14, 2e-8)
            rows.append(
                Row(
                    f"{method}: order between steps on {known.name} is {DENSE[method]}", known.source,
                    abs(order - 1.0 - DENSE[method]), NEAR, "theory, to 0.2",
                    note=f"observed {order - 1.0:.2f} from {points} lengths, errors 2e-14 to 2e-8",
                )
            )  # fmt: skip
    return rows


def stiff_order() -> list[Row]:
    """Rodas5P where steps are longer than the fast time: the worst error over all stiffnesses falls with order 4.

    At one stiffness k the error is C h^3 / k, far below the bound; what counts is the bound over all k.
    """
    span, steps = 6.0, np.unique(np.round(np.geomspace(6, 400, 25)).astype(int))
    stiffness = 10.0 ** np.arange(0.0, 8.5, 0.5)
    k, start, count = (a.ravel() for a in np.meshgrid(stiffness, STARTS, steps, indexing="ij"))
    found = fixed_steps(follow, ("x",), np.sin(start)[:, None], start, span, count, "rodas5p", p={"k": k})
    error = found.samples[:, -1] - np.sin(start + span)[:, None]
    errors = [_over_starts(part) for part in np.split(error, len(stiffness))]
    order, points = observed_order(span / steps, np.max(errors, axis=0), 2e-13, 1e-5)
    return [
        Row(
            "rodas5p: order for whatever stiffness (1 to 1e8)", "sin(t) (Prothero & Robinson 1974)", order, 4.0 - NEAR,
            "the method's order on this problem, to 0.2 (Steinebach 2023)", "recalled", ">=",
            f"observed {order:.2f} from {points} lengths, errors 2e-13 to 1e-5",
        )
    ]  # fmt: skip


@cache
def trees(size: int) -> tuple[Tree, ...]:
    """Rooted trees with `size` nodes; a tree is the sorted tuple of its branches."""
    if size == 1:
        return ((),)
    found: set[Tree] = set()
    for largest in range(1, size):
        for branch in trees(largest):
            for rest in trees(size - largest):
                found.add(tuple(sorted((*rest, branch))))
    return tuple(sorted(found))


def _nodes(tree: Tree) -> int:
    return 1 + sum(_nodes(branch) for branch in tree)


def _density(tree: Tree) -> int:
    product = _nodes(tree)
    for branch in tree:
        product *= _density(branch)
    return product


def _weights(tree: Tree, a: np.ndarray) -> np.ndarray:
    """Elementary weight of every stage."""
    product = np.ones(len(a))
    for branch in tree:
        product = product * (a @ _weights(branch, a))
    return product


def _square(tableau: Tableau) -> np.ndarray:
    rows = (*tableau.a, *tableau.extra_a)
    a = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        a[i, : len(row)] = row
    return a


def _misfit(a: np.ndarray, b: np.ndarray, size: int, part: float) -> float:
    """Largest violation of the conditions of one order, relative to the sum of what is added up."""
    worst = 0.0
    for tree in trees(size):
        terms = b * _weights(tree, a)
        worst = max(worst, abs(terms.sum() - part**size / _density(tree)) / max(1.0, np.abs(terms).sum()))
    return float(worst)


def order_conditions() -> list[Row]:
    """Butcher's conditions over all rooted trees (200 up to order 8), for the step and for the state inside it."""
    rows = []
    for tableau in (TSIT5, DOP853):
        method: Method = "tsit5" if tableau is TSIT5 else "dop853"
        a = _square(tableau)
        end = np.zeros(len(a))
        end[: len(tableau.a[-1])] = tableau.a[-1]
        dense = np.zeros((len(a), len(tableau.dense[0])))
        dense[: len(tableau.dense)] = tableau.dense
        order, inside = ORDER[method], DENSE[method]
        violated = _misfit(a, end, order + 1, 1.0)
        worst = max(_misfit(a, end, size, 1.0) for size in range(1, order + 1))
        source = "Butcher 1963; rooted trees, Hairer, Norsett & Wanner II.2"
        rows.append(
            Row(
                f"{method}: conditions of order 1 to {order}", source, worst, 1e-14, "rounding of printed coefficients",
                note=f"order {order + 1} is missed by {violated:.1e}",
            )
        )  # fmt: skip
        worst = max(
            _misfit(a, dense @ theta ** np.arange(1, dense.shape[1] + 1), size, theta)
            for size in range(1, inside + 1)
            for theta in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
        )
        rows.append(
            Row(
                f"{method}: conditions of order 1 to {inside} between steps", source, worst, 1e-13,
                "rounding of printed coefficients",
            )
        )  # fmt: skip
    return rows


CHECKS = (
    Check("order", "order_conditions", order_conditions),
    Check("order", "global_orders", global_orders),
    Check("order", "dense_orders", dense_orders),
    Check("order", "stiff_order", stiff_order),
)
