"""What is asked for and what is got: the error over ten decades of tolerance.

In theory the error over a fixed span falls in proportion to the tolerance, for every method here: the step follows the
root of the tolerance whose power the global error is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import Records, System, solve
from ..engine.solve import Method
from ..model import Tolerance
from .compartments import exponentials
from .fixed_steps import ALL
from .problems import KEPLER
from .row import Check, Row

ASKED = 10.0 ** -np.arange(3.0, 13.0)
FLOOR = 1e-13  # rounding of a few hundred steps
ORBIT = System("orbit", KEPLER.states, (), (), KEPLER.rhs, "second")


def _oral(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    return (
        -p.ka * y.depot,
        p.ka * y.depot - (p.CL + p.Q) / p.V * y.central + p.Q / p.Vp * y.peripheral,
        p.Q / p.V * y.central - p.Q / p.Vp * y.peripheral,
    )


ORAL = System("oral", ("depot", "central", "peripheral"), ("CL", "V", "Q", "Vp", "ka"), (), _oral, "hour")
BODY = {"CL": 5.0, "V": 20.0, "Q": 8.0, "Vp": 60.0, "ka": 0.9}


def _pharmacokinetic_error(method: Method, asked: float) -> float:
    """Largest error of the central amount over three doses, relative to its peak."""
    hours, doses = np.linspace(0.0, 72.0, 289), (0.0, 24.0, 48.0)
    records = Records(np.array([doses]), np.zeros((1, 3), np.int64), np.full((1, 3), 100.0))
    found = solve(
        ORAL, np.zeros((1, 3)), [list(BODY.values())], 0.0, 72.0, records, hours, Tolerance(asked, asked),
        method=method,
    )  # fmt: skip
    truth = 100.0 * np.sum([exponentials(**BODY).bolus(hours - at) for at in doses], axis=0)
    return float(np.abs(found.samples[0, :, 1] - truth).max() / truth.max())


def _orbit_error(method: Method, asked: float) -> float:
    """Largest error of position over one revolution, relative to the half axis."""
    times = np.linspace(0.0, 2.0 * np.pi, 101)
    found = solve(
        ORBIT, KEPLER.exact(np.zeros(1)), np.zeros((1, 0)), 0.0, times[-1], None, times, Tolerance(asked, asked),
        method=method,
    )  # fmt: skip
    return float(np.abs(found.samples[0] - KEPLER.exact(times))[:, :2].max())


def proportional() -> list[Row]:
    """Slope of log(error) over log(tolerance), and the largest ratio of the two."""
    rows = []
    cases = (("three oral doses", _pharmacokinetic_error, 10.0), ("an eccentric orbit", _orbit_error, 100.0))
    for what, error_of, most in cases:
        for method in ALL:
            error = np.array([error_of(method, asked) for asked in ASKED])
            middle = slice(1, 8)  # 1e-4 to 1e-10: few steps above, rounding below
            slope = float(np.polyfit(np.log(ASKED[middle]), np.log(error[middle]), 1)[0])
            table = " ".join(f"{e:.0e}" for e in error)
            source = "closed form" if error_of is _pharmacokinetic_error else KEPLER.source
            rows.append(
                Row(
                    f"{method}: error of {what} in proportion to the tolerance", source, abs(slope - 1.0), 0.25,
                    "slope 1 in the limit; loose tolerances take few steps, held short by doses and stability",
                    note=f"slope {slope:.2f}; at 1e-3 ... 1e-12: {table}",
                )
            )  # fmt: skip
            rows.append(
                Row(
                    f"{method}: error of {what} over the tolerance", source,
                    float(np.max((error - 10.0 * FLOOR) / ASKED)), most,
                    "ten times what is asked for" if most == 10.0
                    else "ten times, and ten more for an orbit, which carries its errors on",
                )
            )  # fmt: skip
    return rows


def long_decay() -> list[Row]:
    """A body with a fast and a slow rate, read each hour long after the fast one: steps are bounded by stability."""
    rows = []
    hours, start = np.arange(0.0, 31.0), np.array([17.7, 200.5])
    CL, V, Q, Vp = 0.53, 5.26, 11.1, 50.8
    matrix = np.array([[-(CL + Q) / V, Q / Vp], [Q / V, -Q / Vp]])
    rate, vectors = np.linalg.eig(matrix)
    truth = (np.exp(np.outer(hours, rate)) * np.linalg.solve(vectors, start)) @ vectors.T
    y0, p = np.array([[0.0, *start]]), [[CL, V, Q, Vp, 1.0]]
    for method in ALL:
        for asked in (1e-6, 1e-9):
            tolerance = Tolerance(asked, 1e-2 * asked)
            found = solve(ORAL, y0, p, 0.0, 30.0, None, hours, tolerance, method=method)
            error = np.abs(found.samples[0, :, 1:] - truth) / truth.max(axis=0)
            rows.append(
                Row(
                    f"{method}: a long decay read each hour, over the tolerance of {asked:.0e}", "sum of exponentials",
                    float(error.max()) / asked, 10.0, "ten times what is asked for, of the peak",
                    note=f"{int(found.steps[0])} steps",
                )
            )  # fmt: skip
    return rows


def beyond_rounding() -> list[Row]:
    """Tolerances that double precision cannot keep: the run ends, and as well as rounding lets it."""
    rows = []
    for method in ALL:
        for asked in (1e-13, 1e-14, 1e-15):
            error = _pharmacokinetic_error(method, asked)
            rows.append(
                Row(
                    f"{method}: error of three oral doses when {asked:.0e} is asked for", "closed form", error, 1e-11,
                    "below 1e-12 it is rounding that counts: 1e-16 a step, over some thousand",
                )
            )  # fmt: skip
    return rows


CHECKS = (
    Check("tolerance", "proportional", proportional),
    Check("tolerance", "long_decay", long_decay),
    Check("tolerance", "beyond_rounding", beyond_rounding),
)
