"""Simulate a problem file with another solver: python benchmarks/peers.py PEER PROBLEM FOLDER

Runs in the environment of the peers, which need not have twinarm. It simulates the first twin, says how much CPU time
that took since the process began, then answers requests, one JSON object a line: {"count": twins, "rtol": .., "atol":
..}. FOLDER keeps what the peer may keep between processes. Every peer is used as its own users would for the best
speed: with a compiled right-hand side, and where the peer allows it, a compiled loop over the records.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Simulate = Callable[[int, float, float], np.ndarray]  # twins, rtol, atol -> (twin, sample, state)


class Problem:
    """What `problem.write_problem` wrote."""

    def __init__(self, path: str, folder: str) -> None:
        held = np.load(path)
        self.words: dict[str, Any] = json.loads(str(held["words"]))
        self.y0, self.pu, self.time, self.target = held["y0"], held["pu"], held["time"], held["target"]
        self.value, self.times, self.stop = held["value"], held["times"], float(held["stop"])
        self.folder = Path(folder)
        self.states: list[str] = self.words["states"]
        self.first_input = len(self.words["parameters"])

    def module(self, text: str) -> Any:
        """A module with this text, in a file so that what it compiles can be kept."""
        name = f"peer_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        path = self.folder / f"{name}.py"
        if not path.exists():
            path.write_text(text)
        sys.path.insert(0, str(self.folder))
        return importlib.import_module(name)


# One twin through its records; `solve(y, grid, pu, rtol, atol)` gives the states on a grid of times.
LOOP = """
def drive(y, pu, first_input, time, target, value, times, stop, rtol, atol):
    t, sample, record, states = 0.0, 0, 0, y.size
    out = np.empty((times.size, states))
    grid = np.empty(times.size + 2)
    while True:
        while record < time.size and time[record] <= t:
            if target[record] < states:
                y[target[record]] += value[record]
            else:
                pu[first_input + target[record] - states] = value[record]
            record += 1
        while sample < times.size and times[sample] <= t:
            out[sample] = y
            sample += 1
        if t >= stop:
            return out
        until = min(time[record], stop) if record < time.size else stop
        count = 1
        grid[0] = t
        while sample < times.size and times[sample] < until:
            grid[count] = times[sample]
            count += 1
            sample += 1
        grid[count] = until
        found = solve(y, grid[: count + 1], pu, rtol, atol)
        for i in range(1, count):
            out[sample - count + i] = found[i]
        y = found[count].copy()
        t = until
"""
COMPILED = """
from numba import njit
rhs = njit(error_model="numpy", cache=True)(rhs)
"""


def looped(problem: Problem, module: Any) -> Simulate:
    """Twin after twin through `module.drive`."""
    q = problem

    def simulate(count: int, rtol: float, atol: float) -> np.ndarray:
        return np.array([
            module.drive(
                q.y0[k].copy(), q.pu[k].copy(), q.first_input, q.time, q.target, q.value[k], q.times, q.stop, rtol, atol
            )
            for k in range(count)
        ])  # fmt: skip

    return simulate


def numbalsoda(problem: Problem, solver: str) -> Simulate:
    """The whole loop over the records is compiled."""
    states, size = len(problem.states), problem.pu.shape[1]
    text = (
        problem.words["python"]
        + COMPILED
        + f"""
import numpy as np
from numba import carray, cfunc
from numbalsoda import {solver}, lsoda_sig

@cfunc(lsoda_sig, cache=True)
def pointed(t, y, dy, pu):
    rhs(t, carray(y, ({states},)), carray(pu, ({size},)), carray(dy, ({states},)))

address = pointed.address

@njit
def solve(y, grid, pu, rtol, atol):
    found, sound = {solver}(address, y, grid, pu, rtol, atol, 1000000)
    if not sound:
        found[:] = np.nan
    return found
{LOOP}
drive = njit(drive)
"""
    )
    return looped(problem, problem.module(text))


def scipy(problem: Problem, call: str) -> Simulate:
    """The right-hand side is compiled, the loop over the records is Python."""
    text = (
        problem.words["python"]
        + COMPILED
        + f"""
import numpy as np
from scipy.integrate import odeint, solve_ivp

@njit(error_model="numpy", cache=True)
def derivatives(t, y, pu):
    dy = np.empty({len(problem.states)})
    rhs(t, y, pu, dy)
    return dy

def solve(y, grid, pu, rtol, atol):
    return {call}
{LOOP}
"""
    )
    return looped(problem, problem.module(text))


ODEINT = "odeint(derivatives, y, grid, args=(pu,), tfirst=True, rtol=rtol, atol=atol, mxstep=100000)"
IVP = 'solve_ivp(derivatives, (grid[0], grid[-1]), y, "{}", t_eval=grid, args=(pu,), rtol=rtol, atol=atol).y.T'


def diffrax(problem: Problem) -> Simulate:
    """All twins in one call (vmap, jit). Inputs that jump are functions of time, the jumps exact stops of the step
    control; doses into a state are a scan over the intervals between them."""
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_compilation_cache_dir", str(problem.folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    import diffrax as dx
    import jax.numpy as jnp

    q = problem
    namespace: dict[str, Any] = {"jnp": jnp}
    exec(q.words["jax"], namespace)
    rhs, states = namespace["rhs"], len(q.states)
    breaks = np.unique(q.time)
    solver = dx.Kvaerno5() if q.words["stiff"] else dx.Tsit5()
    doses = (q.target < states) & (q.value != 0.0).any(axis=0)

    def solve(field: Any, start: Any, stop: Any, y: Any, args: Any, ts: Any, tolerance: Any, jumps: Any = None) -> Any:
        control = dx.PIDController(rtol=tolerance[0], atol=tolerance[1])
        if jumps is not None:
            control = dx.ClipStepSizeController(control, jump_ts=jumps)
        return dx.diffeqsolve(
            dx.ODETerm(field), solver, start, stop, None, y, args=args, saveat=dx.SaveAt(ts=ts),
            stepsize_controller=control, max_steps=200_000,
        ).ys  # fmt: skip

    if doses.any():
        (state,) = set(q.target[doses])
        width = breaks[1] - breaks[0]
        assert doses.all() and np.allclose(np.diff([*breaks, q.stop]), width)
        inside = jnp.asarray(q.times[q.times <= width])

        def one(y: Any, pu: Any, value: Any, tolerance: Any) -> Any:
            def interval(y: Any, dose: Any) -> Any:
                begin, amount = dose
                y = y.at[state].add(amount)
                ys = solve(rhs, begin, begin + width, y, pu, begin + inside, tolerance)
                return ys[-1], ys[:-1]

            y, before = jax.lax.scan(interval, y, (jnp.asarray(breaks), value))
            return jnp.concatenate([before.reshape(-1, states), y[None]])

        held = q.value
    else:
        # Inputs from each break on, and before the first.
        held = np.repeat(q.pu[:, None, q.first_input :], breaks.size + 1, axis=1)
        for j, (t, target) in enumerate(zip(q.time, q.target, strict=True)):
            if target >= states:
                held[:, np.searchsorted(breaks, t) + 1 :, target - states] = q.value[:, j, None]

        def field(t: Any, y: Any, args: Any) -> Any:
            p, table = args
            if not table.shape[1]:
                return rhs(t, y, p)
            now = table[jnp.searchsorted(jnp.asarray(breaks), t, side="right")]
            return rhs(t, y, jnp.concatenate([p, now]))

        def one(y: Any, pu: Any, value: Any, tolerance: Any) -> Any:
            jumps = jnp.asarray(breaks[breaks > 0.0])
            args = (pu[: q.first_input], value)
            return solve(field, 0.0, q.stop, y, args, jnp.asarray(q.times), tolerance, jumps)

    many = jax.jit(jax.vmap(one, in_axes=(0, 0, 0, None)))

    def simulate(count: int, rtol: float, atol: float) -> np.ndarray:
        k = slice(count)
        return np.asarray(many(q.y0[k], q.pu[k], held[k], np.array([rtol, atol])))

    return simulate


def roadrunner(problem: Problem) -> Simulate:
    """An antimony model (rate rules); every record that changes something is an event, found by CVODE's root search."""
    import antimony
    from roadrunner import RoadRunner

    q, words = problem, problem.words
    names = [*(f"p_{n}" for n in words["parameters"]), *(f"u_{n}" for n in words["inputs"])]
    effects = [
        j for j in range(q.time.size) if q.time[j] > 0 and (q.target[j] >= len(q.states) or (q.value[:, j] != 0).any())
    ]
    lines = ["model problem"]
    lines += [f"  {d.replace(' = ', ' := ', 1)};" for d in words["antimony"]["definitions"]]
    lines += [f"  y_{n} = 0; y_{n}' = {d};" for n, d in zip(q.states, words["antimony"]["derivatives"], strict=True)]
    lines += [f"  {n} = 0;" for n in names] + [f"  r_{j} = 0;" for j in effects]
    for t in sorted({q.time[j] for j in effects}):
        changes = []
        for j in effects:
            if q.time[j] == t and q.target[j] < len(q.states):
                changes.append(f"y_{q.states[q.target[j]]} = y_{q.states[q.target[j]]} + r_{j}")
            elif q.time[j] == t:
                changes.append(f"u_{words['inputs'][q.target[j] - len(q.states)]} = r_{j}")
        lines.append(f"  at (time >= {float(t)!r}): {', '.join(changes)};")
    if antimony.loadAntimonyString("\n".join([*lines, "end"])) < 0:
        raise ValueError(antimony.getLastError())
    runner = RoadRunner(antimony.getSBMLString("problem"))
    runner.selections = [f"y_{n}" for n in q.states]
    runner.integrator.stiff = bool(words["stiff"])
    runner.integrator.maximum_num_steps = 1_000_000

    def simulate(count: int, rtol: float, atol: float) -> np.ndarray:
        runner.integrator.relative_tolerance, runner.integrator.absolute_tolerance = rtol, atol
        found = []
        for k in range(count):
            runner.reset()
            y, pu = q.y0[k].copy(), q.pu[k].copy()
            for j in np.flatnonzero(q.time <= 0.0):
                if q.target[j] < y.size:
                    y[q.target[j]] += q.value[k, j]
                else:
                    pu[q.first_input + q.target[j] - y.size] = q.value[k, j]
            for name, number in zip(names, pu, strict=True):
                runner[name] = number
            for j in effects:
                runner[f"r_{j}"] = q.value[k, j]
            for name, number in zip(q.states, y, strict=True):
                runner[f"y_{name}"] = number
            found.append(np.array(runner.simulate(0.0, q.stop, q.times.size)))
        return np.array(found)

    return simulate


def simglucose(problem: Problem) -> Simulate:
    """Its own patients, the day of W2a: what is eaten and infused in each minute. The tolerance is its own."""
    import logging

    logging.disable(logging.CRITICAL)
    from simglucose.patient.t1dpatient import Action, T1DPatient

    q = problem
    carbs, insulin = (q.words["inputs"].index(name) for name in ("carbs", "insulin"))
    weight = q.words["parameters"].index("BW")

    def simulate(count: int, rtol: float, atol: float) -> np.ndarray:
        found = np.empty((count, q.times.size, len(q.states)))
        for k in range(count):
            patient = T1DPatient.withID(k + 1)
            assert abs(patient._params.BW - q.pu[k, weight]) < 1e-9
            now, record = q.pu[k, q.first_input :].copy(), 0
            for minute in range(int(q.stop) + 1):
                while record < q.time.size and q.time[record] <= minute:
                    now[q.target[record] - len(q.states)] = q.value[k, record]
                    record += 1
                found[k, q.times == minute] = patient.state
                if minute < q.stop:
                    patient.step(Action(CHO=now[carbs] / 1000.0, insulin=now[insulin] * q.pu[k, weight] / 6000.0))
        return found

    return simulate


PEERS: dict[str, Callable[[Problem], Simulate]] = {
    "numbalsoda lsoda": lambda q: numbalsoda(q, "lsoda"),
    "numbalsoda dop853": lambda q: numbalsoda(q, "dop853"),
    "diffrax": diffrax,
    "libroadrunner": roadrunner,
    "scipy odeint": lambda q: scipy(q, ODEINT),
    "scipy solve_ivp": lambda q: scipy(q, IVP.format("LSODA" if q.words["stiff"] else "DOP853")),
    "simglucose": simglucose,
}


def main() -> None:
    name, path, folder = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    problem = Problem(path, folder)
    simulate = PEERS[name](problem)
    simulate(1, 1e-6, 1e-8)
    used = resource.getrusage(resource.RUSAGE_SELF)
    answer(first_twin=used.ru_utime + used.ru_stime)
    for line in sys.stdin:
        request = json.loads(line)
        start = time.process_time()
        found = simulate(request["count"], request["rtol"], request["atol"])
        seconds = time.process_time() - start
        if "keep" in request:
            np.save(request["keep"], found[:, :, problem.words["watched"]])
        answer(seconds=seconds)


if __name__ == "__main__":
    main()
