"""The periodic state of a system that is dosed at a regular interval, linear or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..engine import Records, System, solve
from ..model import Status, Tolerance

WARM_UP = 3  # plain intervals before the first Newton step: nonlinear systems come near enough
MAX_NEWTON = 30
FAR = 1e6  # times the state after these intervals: no periodic state lies beyond
STEP = 1e-6  # of the perturbations that give the derivative of the map, relative to the size of the state


@dataclass(frozen=True)
class PeriodicState:
    """`y` (twin, state) at the start of an interval, NaN where none was found; `status` (twin,) int8.

    `intervals` is the number of intervals that were integrated for each twin.
    """

    y: np.ndarray
    status: np.ndarray
    intervals: int


def periodic_state(
    system: System,
    p: np.ndarray,
    interval: npt.ArrayLike,
    records: Records,
    y0: np.ndarray,
    inputs0: np.ndarray | None = None,
    tolerance: Tolerance | None = None,
    free: tuple[str, ...] = (),
) -> PeriodicState:
    """The state y with Phi(y) = y, where Phi carries a state through one dosing interval.

    Phi is integrated by the engine and the root is found by Newton's method on it, with the derivative from one
    perturbed run a state; where Newton makes matters worse the interval is simply repeated. A linear system is done in
    one step. A twin stands alone: its steps never depend on its neighbours.

    Parameters
    ----------
    p : array (twin, parameter); y0 : array (twin, state), where the search starts
    interval : array (twin,) or number, in the system's time unit
    records : of one interval, from time 0 on
    inputs0 : array (twin, input), inputs at the start of the interval
    tolerance : the Newton step ends below `10 rtol |y| + atol` of each state; Phi is integrated a hundred times finer
    free : states that need not return (integrals such as AUC or a hazard); they keep their value of `y0`

    Notes
    -----
    The right-hand side must not depend on time beyond the interval. A state that only grows has no periodic value:
    the twin gets `Status.ROOT_NOT_FOUND`, unless the state is named in `free`.
    """
    tolerance = tolerance or Tolerance()
    fine = Tolerance(max(1e-2 * tolerance.rtol, 1e-12), max(1e-2 * tolerance.atol, 1e-14), tolerance.max_steps)
    start = np.array(y0, dtype=np.float64, ndmin=2)
    twins = len(start)
    bound = np.array([i for i, name in enumerate(system.states) if name not in free])
    period = np.broadcast_to(np.asarray(interval, np.float64), (twins,))
    u0 = np.zeros((twins, len(system.inputs))) if inputs0 is None else inputs0
    # Below this size a state is held to the absolute tolerance.
    small = max(tolerance.atol / max(tolerance.rtol, 1e-12), 1e-150)
    done = 0

    def phi(y: np.ndarray, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = solve(
            system, y, p[who], 0.0, period[who],
            Records(records.time[who], records.target[who], records.value[who]), None, fine, u0[who],
        )  # fmt: skip
        end = start[who].copy()
        end[:, bound] = found.y_end[:, bound]
        return end, found.status

    y, status = start.copy(), np.full(twins, Status.NOT_COMPUTED, np.int8)
    active = np.arange(twins)
    for _ in range(WARM_UP):
        y[active], code = phi(y[active], active)
        done += 1
        status[active[code != Status.COMPLETED]] = code[code != Status.COMPLETED]
        active = active[code == Status.COMPLETED]
    last = np.full(twins, np.inf)  # size of the last Newton step, in units of the tolerance
    # Where nothing bounds the state Newton runs far away, and beside such a state what an interval changes looks small.
    warm = np.abs(y).max(axis=1, initial=0.0)
    rest = 100.0 * tolerance.rtol * warm + 10.0 * tolerance.atol
    for _ in range(MAX_NEWTON):
        if active.size == 0:
            break
        image, jacobian, code = _linearise(phi, y[active], active, bound, small)
        done += 1 + len(bound)
        status[active[code != Status.COMPLETED]] = code[code != Status.COMPLETED]
        kept = code == Status.COMPLETED
        active, image, jacobian = active[kept], image[kept], jacobian[kept]
        step = _newton_steps(jacobian, (image - y[active])[:, bound])
        scale = 10.0 * tolerance.rtol * np.abs(y[active][:, bound] + step) + tolerance.atol
        size = np.max(np.abs(step) / scale, axis=1, initial=0.0)
        useful = np.isfinite(size) & (size < last[active])
        returns = np.abs((image - y[active])[:, bound]).max(axis=1, initial=0.0) <= rest[active]
        returns &= np.abs(image[:, bound]).max(axis=1, initial=0.0) <= FAR * warm[active]
        moved = image.copy()
        moved[:, bound] = np.where(useful[:, None], y[active][:, bound] + step, image[:, bound])
        y[active] = moved
        last[active] = np.where(useful, size, np.inf)
        finished = useful & (size <= 1.0) & returns
        status[active[finished]] = Status.COMPLETED
        active = active[~finished]
    status[active] = Status.ROOT_NOT_FOUND
    y[status != Status.COMPLETED] = np.nan
    return PeriodicState(y, status, done)


_Phi = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _linearise(phi: _Phi, y: np.ndarray, who: np.ndarray, bound: np.ndarray, small: float) -> tuple[np.ndarray, ...]:
    """Phi at y, its derivative by forward differences, and the worst status of the runs."""
    image, code = phi(y, who)
    jacobian = np.empty((len(who), len(bound), len(bound)))
    size = np.maximum(1e-3 * np.abs(y).max(axis=1, initial=0.0), small)
    for column, i in enumerate(bound):
        bumped = y.copy()
        delta = STEP * np.maximum(np.abs(y[:, i]), size)
        bumped[:, i] += delta
        delta = bumped[:, i] - y[:, i]
        there, other = phi(bumped, who)
        jacobian[:, :, column] = (there - image)[:, bound] / delta[:, None]
        code = np.where(code == Status.COMPLETED, other, code)
    return image, jacobian, code


def _newton_steps(jacobian: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """(I - J) step = residual of each twin by itself; NaN where there is no unique step."""
    steps = np.full_like(residual, np.nan)
    identity = np.eye(residual.shape[1])
    for k in range(len(residual)):
        try:
            steps[k] = np.linalg.solve(identity - jacobian[k], residual[k])
        except np.linalg.LinAlgError:
            continue
    return steps
