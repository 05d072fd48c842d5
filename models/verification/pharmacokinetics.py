"""Doses into linear bodies: the closed forms and the integrated ones beside textbook formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..closed_form import Mammillary, mammillary
from ..dosing import Compartment, Events, Layout, make_events, simulate
from ..engine import System
from ..model import Tolerance
from .compartments import exponentials
from .row import Check, Row

FULL = {"CL": 5.0, "V": 20.0, "Q": 8.0, "Vp": 60.0, "Q2": 1.5, "Vp2": 200.0, "ka": 0.9}
BODIES = {"one": 2, "two": 4, "three": 6}
HOURS = np.linspace(0.25, 71.75, 144)
WITHIN = np.linspace(0.25, 11.75, 47)
LIMIT = 1e-8  # of the value itself
TIGHT = Tolerance(1e-11, 1e-14)
DOSE, LASTS, EVERY = 100.0, 3.0, 12.0


def _body(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    k10, k12, k21, k13, k31 = p.CL / p.V, p.Q / p.V, p.Q / p.Vp, p.Q2 / p.V, p.Q2 / p.Vp2
    return (
        -p.ka * y.depot,
        u.rate + p.ka * y.depot - (k10 + k12 + k13) * y.central + k21 * y.peripheral + k31 * y.peripheral_2,
        k12 * y.central - k21 * y.peripheral,
        k13 * y.central - k31 * y.peripheral_2,
    )


SYSTEM = System(
    "compartments", ("depot", "central", "peripheral", "peripheral_2"), tuple(FULL), ("rate",), _body, "hour"
)
LAYOUT = Layout((Compartment("depot"), Compartment("central", infusion="rate")))


Case = tuple[Events, np.ndarray, np.ndarray]


def _cases(name: str, route: str) -> list[Case]:
    """Records, hours and central amount of one body: one dose, six every 12 h, and the steady state of that."""
    curve = exponentials(**_given(name), ka=FULL["ka"] if route == "oral" else 0.0)
    where, rate = ("depot", 0.0) if route == "oral" else ("central", DOSE / LASTS if route == "infusion" else 0.0)
    if route == "infusion":
        single, steady = curve.infusion(HOURS, LASTS), curve.steady_infusion(WITHIN, LASTS, EVERY)
        several = np.sum([curve.infusion(HOURS - EVERY * k, LASTS) for k in range(6)], axis=0)
    else:
        single, steady = curve.bolus(HOURS), curve.steady_bolus(WITHIN, EVERY)
        several = np.sum([curve.bolus(HOURS - EVERY * k) for k in range(6)], axis=0)
    return [
        (make_events(0.0, DOSE, cmt=where, rate=rate), HOURS, DOSE * single),
        (make_events(0.0, DOSE, cmt=where, rate=rate, ii=EVERY, addl=5), HOURS, DOSE * several),
        (make_events(0.0, DOSE, cmt=where, rate=rate, ii=EVERY, ss=1), WITHIN, DOSE * steady),
    ]


def _given(name: str) -> dict[str, float]:
    return {key: FULL[key] for key in list(FULL)[: BODIES[name]]}


def _compared(who: str, amounts: Callable[[str, str, Events, np.ndarray], np.ndarray]) -> list[Row]:
    rows = []
    for name, count in BODIES.items():
        for route in ("bolus", "infusion", "oral"):
            worst = [
                float(np.max(np.abs(amounts(name, route, events, hours) / truth - 1.0)))
                for events, hours, truth in _cases(name, route)
            ]
            rows.append(
                Row(
                    f"{who}, {name} compartment{'s' * (count > 2)}, {route}",
                    "sum of exponentials (Gabrielsson & Weiner)",
                    max(worst), LIMIT, "1e-8 of the value at each time",
                    note="one dose {:.1e}, six {:.1e}, steady state {:.1e}".format(*worst),
                )
            )  # fmt: skip
    return rows


def closed_forms() -> list[Row]:
    """`closed_form.mammillary` beside the textbook."""

    def amounts(name: str, route: str, events: Events, hours: np.ndarray) -> np.ndarray:
        here = Mammillary(**_given(name), ka=FULL["ka"] if route == "oral" else None)
        return np.asarray(mammillary(here, events, hours, states=("central",)).samples[0, :, 0])

    return _compared("closed form", amounts)


def integrated() -> list[Row]:
    """The same doses carried out by the engine (`dosing.simulate`, rtol 1e-11)."""

    def amounts(name: str, route: str, events: Events, hours: np.ndarray) -> np.ndarray:
        given = {"Q": 0.0, "Vp": 1.0, "Q2": 0.0, "Vp2": 1.0, "ka": FULL["ka"]} | _given(name)
        p = np.array([[given[key] for key in SYSTEM.parameters]])
        count = BODIES[name]
        there = (route == "oral", True, count > 2, count > 4)
        # Compartments without flow have no steady state of their own.
        absent = tuple(state for state, has in zip(SYSTEM.states, there, strict=True) if not has)
        found = simulate(SYSTEM, LAYOUT, events, p, times=hours, tolerance=TIGHT, free=absent)
        return np.asarray(found.samples[0, :, 1])

    return _compared("engine", amounts)


def constant_infusion() -> list[Row]:
    """The state of an infusion that has run for ever is rate / CL, whatever the body."""
    rows = []
    for name, count in BODIES.items():
        here = Mammillary(**{key: FULL[key] for key in list(FULL)[:count]})
        events = make_events(0.0, 0.0, evid=1, cmt="central", rate=7.0, ss=1)
        found = mammillary(here, events, [0.0], states=("central",)).samples[0, 0, 0] / FULL["V"]
        rows.append(
            Row(
                f"closed form, {name}: constant infusion at steady state", "rate / CL",
                abs(found * FULL["CL"] / 7.0 - 1.0), LIMIT, "1e-8 of the value",
            )
        )  # fmt: skip
    return rows


CHECKS = (
    Check("pharmacokinetics", "closed_forms", closed_forms),
    Check("pharmacokinetics", "integrated", integrated),
    Check("pharmacokinetics", "constant_infusion", constant_infusion),
)
