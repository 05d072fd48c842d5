"""Speed and error of the closed forms beside the ensemble engine: python benchmarks/closed_form.py [twins]

Two compartments with oral absorption and an effect compartment, 28 daily doses, 225 samples of three states over
672 h; variability of 20-40 % on every parameter. CPU time of one core, best of five, without compilation; the block
is solved as a user would, records to samples. The error is the largest over twins and samples, relative to the largest
value of its state, against the same recursion in 40 digits (mpmath).
"""

import sys
import time
from collections.abc import Callable

import mpmath
import numpy as np

from twinarm.models.closed_form import Mammillary, linear, mammillary
from twinarm.models.dosing import Compartment, Layout, make_events, simulate
from twinarm.models.engine import System
from twinarm.models.model import Tolerance

NAMES = ("CL", "V", "Q", "Vp", "ka", "ke0")
TYPICAL = np.array([5.0, 50.0, 10.0, 100.0, 1.0, 0.5])  # L/h, L, L/h, L, 1/h, 1/h
SPREAD = np.array([0.3, 0.2, 0.2, 0.2, 0.4, 0.3])
STATES = ("central", "peripheral", "effect")
HOURS = np.arange(0.0, 673.0, 3.0)
DOSES = make_events(0.0, 100.0, ii=24.0, addl=27)  # mg
CHECKED = 8  # twins whose error is measured


def rhs(t, y, p, u):  # type: ignore[no-untyped-def]
    absorbed = p.ka * y.depot
    return (
        -absorbed,
        absorbed - (p.CL + p.Q) / p.V * y.central + p.Q / p.Vp * y.peripheral,
        p.Q / p.V * y.central - p.Q / p.Vp * y.peripheral,
        p.ke0 * (y.central / p.V - y.effect),
    )


SYSTEM = System("two-compartment oral", ("depot", *STATES), NAMES, (), rhs, "hour")
LAYOUT = Layout((Compartment("depot"), Compartment("central")))


def draw(twins: int) -> np.ndarray:
    return np.asarray(TYPICAL * np.exp(SPREAD * np.random.default_rng(1).standard_normal((twins, len(NAMES)))))


def body(p: np.ndarray) -> Mammillary:
    return Mammillary(**dict(zip(NAMES, p.T, strict=True)))


def truth(p: np.ndarray) -> np.ndarray:
    """States of each twin at HOURS: one step of 3 h is one matrix, a dose falls on every eighth sample."""
    out = np.empty((len(p), HOURS.size, 4))
    with mpmath.workdps(40):
        for k, matrix in enumerate(body(p).matrix()):
            step = mpmath.expm(mpmath.matrix(matrix.tolist()) * 3, method="taylor")
            y = mpmath.matrix(4, 1)
            for s in range(HOURS.size):
                y = step * y if s else y
                if s % 8 == 0 and s < 28 * 8:
                    y[0] += 100
                out[k, s] = [float(x) for x in y]
    return out[..., 1:]


def measure(name: str, solve: Callable[[np.ndarray], np.ndarray], p: np.ndarray, exact: np.ndarray) -> None:
    found = solve(p[:CHECKED])
    error = np.max(np.abs(found - exact) / np.abs(exact).max(axis=1, keepdims=True))
    best = np.inf
    for _ in range(5):
        begin = time.process_time()
        solve(p)
        best = min(best, time.process_time() - begin)
    print(f"{name:42s} {len(p) / best:12,.0f} twins/s/core   error {error:.1e}")


def main(twins: int) -> None:
    p = draw(twins)
    exact = truth(p[:CHECKED])
    per_twin = Layout((Compartment("depot", lag="tlag"), Compartment("central")))
    measure(
        "closed form, one schedule for all",
        lambda q: mammillary(body(q), DOSES, HOURS, states=STATES).samples,
        p,
        exact,
    )
    measure(
        "closed form, a schedule for every twin",
        lambda q: (
            mammillary(
                body(q), DOSES, HOURS, states=STATES, layout=per_twin, values={"tlag": 1e-12 * np.arange(len(q))}
            ).samples
        ),
        p[: twins // 4],
        exact,
    )
    measure(
        "matrix exponential",
        lambda q: linear(body(q).matrix(), LAYOUT, DOSES, HOURS, SYSTEM.states, states=STATES).samples,
        p[: twins // 4],
        exact,
    )
    for rtol in (1e-6, 1e-10):
        measure(
            f"engine, rtol {rtol:g}",
            lambda q, rtol=rtol: simulate(  # type: ignore[misc]
                SYSTEM, LAYOUT, DOSES, q, times=HOURS, tolerance=Tolerance(rtol, 1e-2 * rtol)
            ).samples[..., 1:],
            p[: twins // 8],
            exact,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
