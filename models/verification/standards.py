"""The standard problems of stiff and non-stiff solvers, beside their published reference solutions.

Source of the digits: Mazzia & Magherini, Test Set for Initial Value Problem Solvers (release 2.4, Bari, 2008), made
there at tolerances of 1e-18 (Cray, Alpha); read in the test set's own Fortran files for HIRES, van der Pol and OREGO,
in ports of them that agree (R package deTestSet, Drake) for Robertson and Pleiades. The problems are those of Hairer,
Norsett & Wanner I, II.10 and Hairer & Wanner II, IV.10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Solution, System, solve
from ..engine.math import sqrt
from ..engine.solve import Method
from ..model import Tolerance
from .fixed_steps import RightHandSide
from .problems import FOLLOWER
from .row import Check, Row


@dataclass(frozen=True)
class Standard:
    """A problem and its published solution at `stop`; `atol` suits the size of the smallest state."""

    name: str
    states: tuple[str, ...]
    rhs: RightHandSide
    y0: tuple[float, ...]
    stop: float
    published: tuple[float, ...]
    atol: float
    methods: tuple[Method, ...] = ("rodas5p", "auto")


def _robertson(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    slow, fast = 0.04 * y.a - 1e4 * y.b * y.c, 3e7 * y.b * y.b
    return -slow, slow - fast, fast


def _van_der_pol(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    return y.b, ((1.0 - y.a * y.a) * y.b - y.a) / 1e-6


def _oregonator(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    return (
        77.27 * (y.b + y.a * (1.0 - 8.375e-6 * y.a - y.b)),
        (y.c - (1.0 + y.a) * y.b) / 77.27,
        0.161 * (y.a - y.c),
    )


def _hires(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    bound = 280.0 * y.f * y.h - 1.81 * y.g
    return (
        -1.71 * y.a + 0.43 * y.b + 8.32 * y.c + 0.0007,
        1.71 * y.a - 8.75 * y.b,
        -10.03 * y.c + 0.43 * y.d + 0.035 * y.e,
        8.32 * y.b + 1.71 * y.c - 1.12 * y.d,
        -1.745 * y.e + 0.43 * y.f + 0.43 * y.g,
        -280.0 * y.f * y.h + 0.69 * y.d + 1.71 * y.e - 0.43 * y.f + 0.69 * y.g,
        bound,
        -bound,
    )


STIFFNESSES = (1.0, 1e2, 1e4, 1e6, 1e8)
STIFF: tuple[Method, ...] = ("rodas5p", "auto")
STARS = range(1, 8)


def _pleiades(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    pull: dict[tuple[str, int], Any] = {(axis, i): 0.0 for axis in "xy" for i in STARS}
    for i in STARS:
        for j in range(i + 1, 8):
            x, z = getattr(y, f"x{j}") - getattr(y, f"x{i}"), getattr(y, f"y{j}") - getattr(y, f"y{i}")
            square = x * x + z * z
            near = 1.0 / (square * sqrt(square))
            for axis, apart in (("x", x * near), ("y", z * near)):
                pull[axis, i] = pull[axis, i] + j * apart
                pull[axis, j] = pull[axis, j] - i * apart
    speeds = [getattr(y, f"v{axis}{i}") for axis in "xy" for i in STARS]
    return (*speeds, *pull.values())


STANDARDS = (
    Standard(
        "Robertson at 1e11", ("a", "b", "c"), _robertson, (1.0, 0.0, 0.0), 1e11,
        (0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050), 1e-22,
    ),
    Standard(
        "van der Pol, 1e-6, at 2", ("a", "b"), _van_der_pol, (2.0, 0.0), 2.0,
        (1.706167732170483, -0.8928097010247975), 1e-10,
    ),
    Standard(
        "OREGO at 360", ("a", "b", "c"), _oregonator, (1.0, 2.0, 3.0), 360.0,
        (1.000814870318523, 1228.178521549917, 132.0554942846706), 1e-10,
    ),
    Standard(
        "HIRES at 321.8122", tuple("abcdefgh"), _hires, (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0057), 321.8122,
        (
            0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2,
            0.2386356198831331e-2, 0.6238968252742796e-2, 0.2849998395185769e-2, 0.2850001604814231e-2,
        ), 1e-14, ("rodas5p", "auto", "tsit5", "dop853"),
    ),
    Standard(
        "Pleiades at 3",
        tuple(f"{kind}{i}" for kind in ("x", "y", "vx", "vy") for i in STARS), _pleiades,
        (
            3, 3, -1, -3, 2, -2, 2, 3, -3, 2, 0, 0, -4, 4, 0, 0, 0, 0, 0, 1.75, -1.5, 0, 0, 0, -1.25, 1, 0, 0,
        ), 3.0,
        (
            0.3706139143970502, 3.237284092057233, -3.222559032418324, 0.6597091455775310, 0.3425581707156584,
            1.562172101400631, -0.7003092922212495, -3.943437585517392, -3.271380973972550, 5.225081843456543,
            -2.590612434977470, 1.198213693392275, -0.2429682344935824, 1.091449240428980, 3.417003806314313,
            1.354584501625501, -2.590065597810775, 2.025053734714242, -1.155815100160448, -0.8072988170223021,
            0.5952396354208710, -3.741244961234010, 0.3773459685750630, 0.9386858869551073, 0.3667922227200571,
            -0.3474046353808490, 2.344915448180937, -1.947020434263292,
        ), 1e-12, ("dop853", "auto", "tsit5"),
    ),
)  # fmt: skip


def _error(found: np.ndarray, published: tuple[float, ...]) -> float:
    truth = np.array(published)
    return float(np.max(np.abs(found / truth - 1.0)))


def published_solutions() -> list[Row]:
    """Largest relative error of a state at the end, at rtol 1e-6 and 1e-10."""
    rows = []
    for problem in STANDARDS:
        system = System(problem.name, problem.states, (), (), problem.rhs, "second")
        for method in problem.methods:
            achieved = {}
            for rtol in (1e-6, 1e-10):
                atol = problem.atol * min(1.0, rtol / 1e-10)
                found = solve(
                    system, [problem.y0], np.zeros((1, 0)), 0.0, problem.stop, None, None, Tolerance(rtol, atol),
                    method=method,
                )  # fmt: skip
                achieved[rtol] = _error(found.y_end[0], problem.published), int(found.steps[0])
            (loose, few), (tight, many) = achieved.values()
            rows.append(
                Row(
                    f"{method}: {problem.name}", "Test Set for IVP Solvers", tight, 1e-7,
                    "1000 rtol (1e-10): the problems amplify errors", "read",
                    note=f"{many} steps; rtol 1e-6: {loose:.1e} in {few} steps",
                )
            )  # fmt: skip
    return rows


def independent_solutions() -> list[Row]:
    """The published digits themselves beside another program (SciPy: Radau, DOP853), as they came here by copy."""
    from types import SimpleNamespace

    from scipy.integrate import solve_ivp

    rows = []
    for problem in STANDARDS:

        def slopes(t: float, state: np.ndarray, problem: Standard = problem) -> list[float]:
            named = SimpleNamespace(**dict(zip(problem.states, state.tolist(), strict=True)))
            return list(problem.rhs(t, named, None, None))

        stiff = problem.methods[0] == "rodas5p"
        found = solve_ivp(
            slopes, (0.0, problem.stop), problem.y0, method="Radau" if stiff else "DOP853",
            rtol=1e-10 if stiff else 1e-13, atol=problem.atol * 1e-2,
        )  # fmt: skip
        rows.append(
            Row(
                f"published digits: {problem.name}", f"SciPy's {'Radau' if stiff else 'DOP853'}",
                _error(found.y[:, -1], problem.published), 1e-6, "a wrong digit would show", "read",
            )
        )  # fmt: skip
    return rows


def _followed(stiffness: float, x0: float, times: np.ndarray, rtol: float, method: Method) -> Solution:
    tolerance = Tolerance(rtol, 0.01 * rtol)
    return solve(FOLLOWER, [[x0]], [[stiffness]], 0.0, 10.0, None, times, tolerance, method=method)


def prothero_robinson() -> list[Row]:
    """Ends of runs, from a stiffness of 1 to 1e8."""
    rows = []
    for method in STIFF:
        for stiffness in STIFFNESSES:
            found = _followed(stiffness, 0.0, np.empty(0), 1e-8, method)
            rows.append(
                Row(
                    f"{method}: Prothero and Robinson's problem at 10, stiffness {stiffness:g}", "sin(t)",
                    abs(float(found.y_end[0, 0]) - float(np.sin(10.0))), 1e-6, "100 rtol (1e-8)",
                    note=f"{int(found.steps[0])} steps",
                )
            )  # fmt: skip
    return rows


def between_long_steps() -> list[Row]:
    """The same, read at 401 times: most of them fall inside steps far longer than the fast time."""
    rows, times = [], np.linspace(0.0, 10.0, 401)
    for method in STIFF:
        for stiffness in STIFFNESSES:
            found = _followed(stiffness, 0.0, times, 1e-8, method)
            rows.append(
                Row(
                    f"{method}: Prothero and Robinson's problem at 401 times, stiffness {stiffness:g}", "sin(t)",
                    float(np.abs(found.samples[0, :, 0] - np.sin(times)).max()), 1e-6, "100 rtol (1e-8)",
                    note=f"{int(found.steps[0])} steps",
                )
            )  # fmt: skip
    return rows


def after_a_transient() -> list[Row]:
    """Samples within a fast transient and inside the long steps that follow it."""
    rows = []
    for method in STIFF:
        for stiffness in (1e2, 1e4, 1e6, 1e8):
            times = np.unique(np.concatenate([[0.0], np.geomspace(1e-3 / stiffness, 10.0, 2001)]))
            found = _followed(stiffness, 1.0, times, 1e-6, method)
            error = np.abs(found.samples[0, :, 0] - np.sin(times) - np.exp(-stiffness * times))
            rows.append(
                Row(
                    f"{method}: a fast transient of rate {stiffness:g} and what follows, 2001 samples",
                    "sin(t) + exp(-k t)", float(error.max()), 1e-4, "100 rtol (1e-6)",
                    note=f"worst at t = {times[error.argmax()]:.2g}; {int(found.steps[0])} steps",
                )
            )  # fmt: skip
    return rows


CHECKS = (
    Check("standards", "published_solutions", published_solutions, slow=True),
    Check("standards", "independent_solutions", independent_solutions, slow=True),
    Check("standards", "prothero_robinson", prothero_robinson),
    Check("standards", "between_long_steps", between_long_steps),
    Check("standards", "after_a_transient", after_a_transient),
)
