"""Steps of a chosen length, through the solver's public door.

After a record the solver chooses its step anew, and with a tolerance so wide that neither state nor derivative counts
it tries 0.001 time units, or what is left until the next record if that is less. So a system whose clock runs fast
enough, with a record that adds nothing at the end of each step, is integrated in exactly these steps; the number of
steps that the solver reports proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine import Records, Solution, System, solve
from ..engine.solve import Method
from ..model import Tolerance

METHODS: tuple[Method, ...] = ("tsit5", "dop853", "rodas5p")
ALL: tuple[Method, ...] = ("auto", *METHODS)
FASTER = 2.0**13  # a power of two: it changes no bit of a step
WIDE = Tolerance(1e12, 1e12)

RightHandSide = Callable[[Any, Any, Any, Any], tuple[Any, ...]]


def fixed_steps(
    rhs: RightHandSide,
    states: tuple[str, ...],
    y0: npt.ArrayLike,
    start: npt.ArrayLike,
    span: npt.ArrayLike,
    steps: npt.ArrayLike,
    method: Method,
    within: Sequence[float] = (),
    p: Mapping[str, npt.ArrayLike] | None = None,
) -> Solution:
    """Integrate each run from `start` over `span` in `steps` equal steps.

    Parameters
    ----------
    rhs : of a system without inputs
    y0 : array (run, state) or (state,)
    start, span, steps : array (run,) or number
    within : parts of the first step at which samples are taken; the last sample of a run is at its end
    p : parameters by name, array (run,)

    Raises
    ------
    ValueError
        Steps longer than can be forced.
    RuntimeError
        The solver took other steps than those asked for.
    """
    begin, length, count = np.broadcast_arrays(np.atleast_1d(start), span, steps)
    given = {name: np.broadcast_to(np.asarray(value, float), begin.shape) for name, value in (p or {}).items()}
    h = np.asarray(length, float) / FASTER / count
    if h.max() > 1e-3:
        raise ValueError("steps of more than 8 time units cannot be forced; scale the system")

    def fast(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
        return tuple(FASTER * slope for slope in rhs(p.start + FASTER * t, y, p, u))

    system = System("fixed steps", states, ("start", *given), (), fast, "second")
    runs = len(count)
    records = Records.empty(runs, int(count.max()))
    number = np.arange(1, int(count.max()) + 1)
    records.time[:] = np.where(number < count[:, None], number * h[:, None], np.inf)
    times = np.column_stack([h[:, None] * np.asarray(within, float), h * count])
    found = solve(
        system, np.broadcast_to(np.asarray(y0, float), (runs, len(states))),
        np.column_stack([begin, *given.values()]), 0.0, h * count, records, times, WIDE, method=method,
    )  # fmt: skip
    if (found.steps != count).any():
        raise RuntimeError(f"asked for {count.tolist()} steps, the solver took {found.steps.astype(int).tolist()}")
    return found


def observed_order(length: np.ndarray, error: np.ndarray, lowest: float, highest: float) -> tuple[float, int]:
    """Slope of log(error) over log(step) by least squares, from the errors between two bounds, and their number.

    Below `lowest` it is rounding that is seen, above `highest` the terms of higher order.
    """
    seen = (error > lowest) & (error < highest)
    slope = np.polyfit(np.log(length[seen]), np.log(error[seen]), 1)[0]
    return float(slope), int(seen.sum())
