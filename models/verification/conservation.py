"""What must not change: doses, people, energy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import Records, System, solve
from ..model import Tolerance
from .fixed_steps import ALL
from .problems import KEPLER
from .row import Check, Row

# Every method keeps a linear invariant but for rounding: about 1e-16 a step, over some thousand steps.
ROUNDING = 1e-12


def _closed(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    saturable = p.Vmax * y.central / (p.Km + y.central)
    return (
        -p.ka * y.depot,
        u.rate + p.ka * y.depot - (p.k10 + p.k12) * y.central + p.k21 * y.peripheral - saturable,
        p.k12 * y.central - p.k21 * y.peripheral,
        p.k10 * y.central + saturable,
    )


BODY = System(
    "body with its excretion", ("depot", "central", "peripheral", "gone"), ("ka", "k10", "k12", "k21", "Vmax", "Km"),
    ("rate",), _closed, "hour",
)  # fmt: skip


def mass_balance() -> list[Row]:
    """Dose given = what is in the body + what has left it, with linear and saturable elimination."""
    rows = []
    times = np.array([0.0, 1.0, 6.0, 13.0, 26.0, 80.0])
    records = Records(np.array([[0.0, 5.0, 8.0, 24.0]]), np.array([[0, 4, 4, 0]]), np.array([[100.0, 20.0, 0.0, 50.0]]))
    given = np.array([100.0, 100.0, 120.0, 160.0, 210.0, 210.0])
    for method in ALL:
        found = solve(
            BODY, np.zeros((1, 4)), [[0.9, 0.1, 0.4, 0.2, 3.0, 10.0]], 0.0, 80.0, records, times, Tolerance(1e-6, 1e-8),
            method=method,
        )  # fmt: skip
        error = float(np.abs(found.samples[0].sum(axis=1) / given - 1.0).max())
        rows.append(
            Row(f"{method}: doses and an infusion, in the body or gone", "dose given", error, ROUNDING,
                "a linear invariant: rounding alone, at any tolerance")
        )  # fmt: skip
    return rows


def _epidemic(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    infected, recovered = p.beta * y.S * y.I, p.gamma * y.I
    return -infected, infected - recovered, recovered


def population() -> list[Row]:
    """Susceptible, infected and recovered of a closed epidemic add up; and its final size solves its equation."""
    rows = []
    system = System("SIR", ("S", "I", "R"), ("beta", "gamma"), (), _epidemic, "day")
    for method in ALL:
        found = solve(
            system, [[0.99, 0.01, 0.0]], [[0.5, 0.2]], 0.0, 400.0, None, np.linspace(0.0, 400.0, 401),
            Tolerance(1e-9, 1e-12), method=method,
        )  # fmt: skip
        total = float(np.abs(found.samples[0].sum(axis=1) - 1.0).max())
        rows.append(
            Row(f"{method}: people in a closed epidemic", "1", total, ROUNDING, "a linear invariant: rounding alone")
        )
        # d log S / dR = -beta / gamma.
        s, _, r = found.samples[0].T
        error = float(np.abs(s / (0.99 * np.exp(-2.5 * r)) - 1.0).max())
        rows.append(
            Row(f"{method}: susceptibles beside recovered, S = S0 exp(-R0 R)", "first integral of SIR", error, 1e-7,
                "100 rtol (1e-9)")
        )  # fmt: skip
    return rows


def _predators(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    return y.prey * (1.0 - y.hunters), y.hunters * (y.prey - 1.0)


def first_integrals() -> list[Row]:
    """Invariants that no method keeps by itself: the drift is the error of the solution, within the tolerance."""
    rows = []
    tight = Tolerance(1e-10, 1e-12)
    system = System("Lotka-Volterra", ("prey", "hunters"), (), (), _predators, "year")
    orbit = System("orbit", KEPLER.states, (), (), KEPLER.rhs, "second")
    for method in ALL:
        times = np.linspace(0.0, 60.0, 601)  # nine cycles
        found = solve(system, [[2.0, 0.5]], np.zeros((1, 0)), 0.0, 60.0, None, times, tight, method=method)
        prey, hunters = found.samples[0].T
        value = prey - np.log(prey) + hunters - np.log(hunters)
        rows.append(
            Row(f"{method}: first integral of Lotka and Volterra over nine cycles", "x - ln x + y - ln y",
                float(np.abs(value / value[0] - 1.0).max()), 1e-7, "1000 rtol (1e-10): errors add up over nine cycles")
        )  # fmt: skip
        times = np.linspace(0.0, 20.0 * np.pi, 401)
        found = solve(
            orbit, KEPLER.exact(np.zeros(1)), np.zeros((1, 0)), 0.0, times[-1], None, times, tight, method=method
        )
        x, y, vx, vy = found.samples[0].T
        energy = 0.5 * (vx * vx + vy * vy) - 1.0 / np.hypot(x, y)
        momentum = x * vy - y * vx
        drift = max(np.abs(energy / -0.5 - 1.0).max(), np.abs(momentum / momentum[0] - 1.0).max())
        rows.append(
            Row(f"{method}: energy and angular momentum over ten orbits", "-1/2 and sqrt(1 - e^2)", float(drift), 1e-7,
                "1000 rtol (1e-10): errors add up over ten orbits")
        )  # fmt: skip
    return rows


CHECKS = (
    Check("conservation", "mass_balance", mass_balance),
    Check("conservation", "population", population),
    Check("conservation", "first_integrals", first_integrals),
)
