"""Other solvers on the same workloads, each twin by itself and restarted at every record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from workloads import Workload

from twinarm.models.engine import System
from twinarm.models.engine.trace import trace

Solve = Callable[[np.ndarray, np.ndarray], np.ndarray]  # state, grid of times -> states on the grid


def plain_source(system: System) -> str:
    """The right-hand side as plain Python over arrays: `rhs(t, y, pu, dy)`, parameters and inputs in one array."""
    graph, ends = trace(system)
    first_input = len(system.parameters)
    lines = ["import math", "def rhs(t, y, pu, dy):"]
    for i, (kind, *args) in enumerate(graph.nodes):
        v = [f"v{a}" for a in args]
        text = {
            "constant": lambda a=args: repr(float.fromhex(a[0])),
            "time": lambda: "t",
            "state": lambda a=args: f"y[{a[0]}]",
            "parameter": lambda a=args: f"pu[{a[0]}]",
            "input": lambda a=args: f"pu[{first_input + a[0]}]",
            "neg": lambda v=v: f"-{v[0]}",
            "minimum": lambda v=v: f"min({v[0]}, {v[1]})",
            "maximum": lambda v=v: f"max({v[0]}, {v[1]})",
            "where": lambda v=v: f"{v[1]} if {v[0]} else {v[2]}",
        }.get(kind)
        if text is None:
            is_operator = not kind.isalpha()
            lines.append(f"    v{i} = {v[0]} {kind} {v[1]}" if is_operator else f"    v{i} = math.{kind}({v[0]})")
        else:
            lines.append(f"    v{i} = {text()}")
    return "\n".join(lines + [f"    dy[{i}] = v{end}" for i, end in enumerate(ends)]) + "\n"


def drive(workload: Workload, k: int, pu: np.ndarray, solve: Solve) -> np.ndarray:
    """One twin through its records; `pu` holds its parameters and inputs and is changed in place."""
    w, states = workload, len(workload.system.states)
    first_input = w.p.shape[1]
    pu[:first_input], pu[first_input:] = w.p[k], w.inputs0[k]
    y, t, sample, record = w.y0[k].copy(), 0.0, 0, 0
    times, records = w.times, w.records
    out = np.empty((times.size, states))
    while True:
        while record < records.time.shape[1] and records.time[k, record] <= t:
            target, value = records.target[k, record], records.value[k, record]
            if target < states:
                y[target] += value
            else:
                pu[first_input + target - states] = value
            record += 1
        while sample < times.size and times[sample] <= t:
            out[sample] = y
            sample += 1
        if t >= w.stop:
            return out
        until = min(records.time[k, record], w.stop) if record < records.time.shape[1] else w.stop
        following = int(np.searchsorted(times, until, "left"))
        grid = np.concatenate([[t], times[sample:following], [until]])
        found = solve(y, grid)
        out[sample:following] = found[1:-1]
        y, t, sample = found[-1].copy(), until, following


def installed(workload: Workload, rtol: float, atol: float) -> dict[str, Callable[[int], np.ndarray]]:
    """What simulates twin k, for every peer that can be imported."""
    from numba import njit
    from scipy.integrate import odeint

    namespace: dict[str, Callable[..., None]] = {}
    exec(plain_source(workload.system), namespace)
    plain = njit(error_model="numpy")(namespace["rhs"])
    states, size = len(workload.system.states), workload.p.shape[1] + workload.inputs0.shape[1]
    pu = np.zeros(size)

    @njit
    def allocating(t, y, pu):  # type: ignore[no-untyped-def]
        dy = np.empty(states)
        plain(t, y, pu, dy)
        return dy

    def scipy_odeint(y: np.ndarray, grid: np.ndarray) -> np.ndarray:
        return np.asarray(odeint(allocating, y, grid, args=(pu,), tfirst=True, rtol=rtol, atol=atol, mxstep=100_000))

    solvers: dict[str, Solve] = {"scipy odeint, compiled": scipy_odeint}
    try:
        from numba import carray, cfunc
        from numbalsoda import dop853, lsoda, lsoda_sig
    except ImportError:
        pass
    else:

        @cfunc(lsoda_sig)
        def pointed(t, y, dy, p):  # type: ignore[no-untyped-def]
            plain(t, carray(y, (states,)), carray(p, (size,)), carray(dy, (states,)))

        address = pointed.address
        solvers["numbalsoda lsoda"] = lambda y, grid: lsoda(address, y, grid, pu, rtol=rtol, atol=atol)[0]
        solvers["numbalsoda dop853"] = lambda y, grid: dop853(address, y, grid, pu, rtol=rtol, atol=atol)[0]
    return {name: lambda k, solve=solve: drive(workload, k, pu, solve) for name, solve in solvers.items()}
