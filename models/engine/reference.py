"""The same equations, uncompiled, through SciPy at a tight tolerance: what the engine is checked against."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from .system import Records, System


def reference_solution(
    system: System,
    y0: np.ndarray,
    p: np.ndarray,
    start: float,
    stop: float,
    records: Records | None,
    sample_times: np.ndarray,
    inputs0: np.ndarray | None = None,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    method: str = "DOP853",
) -> np.ndarray:
    """States of one twin at `sample_times`, shape (sample, state), by a method of SciPy restarted at every record.

    DOP853 is the sharpest where nothing is stiff; between its steps it loses digits on stiff systems, where LSODA at
    a smaller tolerance does not.
    """
    from scipy.integrate import solve_ivp

    parameters = SimpleNamespace(**dict(zip(system.parameters, map(float, p), strict=True)))
    u = np.zeros(len(system.inputs)) if inputs0 is None else np.array(inputs0, float)
    y = np.array(y0, float)
    records = records or Records.empty(1, 0)
    events = [
        (t, k, v)
        for t, k, v in zip(records.time[0], records.target[0], records.value[0], strict=True)
        if start <= t < stop
    ]
    out = np.full((len(sample_times), len(system.states)), np.nan)
    breaks = [start, *sorted({t for t, _, _ in events if t > start}), stop]
    for t0, t1 in pairwise(breaks):
        for t, k, v in events:
            if t == t0:
                if k < len(system.states):
                    y[k] += v
                else:
                    u[k - len(system.states)] = v
        inputs = SimpleNamespace(**dict(zip(system.inputs, u.tolist(), strict=True)))

        def derivatives(t: float, state: np.ndarray, inputs: SimpleNamespace = inputs) -> tuple[float, ...]:
            named = SimpleNamespace(**dict(zip(system.states, state.tolist(), strict=True)))
            return system.rhs(t, named, parameters, inputs)

        inside = (sample_times >= t0) & ((sample_times < t1) | (t1 == stop))
        times = np.union1d(sample_times[inside], [t1])
        found = solve_ivp(derivatives, (t0, t1), y, method=method, t_eval=times, rtol=rtol, atol=atol)
        values = dict(zip(found.t.tolist(), found.y.T, strict=True))
        for i in np.flatnonzero(inside):
            out[i] = values[float(sample_times[i])]
        y = found.y[:, -1].copy()
    return out
