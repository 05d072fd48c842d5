"""The models that ship, beside SciPy at a tolerance of 1e-12."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import xarray as xr

from ..engine import Records, System, solve
from ..engine.reference import reference_solution
from ..library.docetaxel_nsclc import pharmacology, tumour
from ..library.t1d_uva_padova import equations, subject
from ..library.t1d_uva_padova.model import MODEL as T1D, Settings, Treatment
from ..model import Conditions, Schedule, Tolerance
from .row import Check, Row

REFERENCE = 1e-12
EATING = 5000.0  # mg/min
TICK = 5.0  # min
PULSE = 0.05 / 12.0  # U: every delivery of five minutes is a whole number of these


def _typical() -> xr.Dataset:
    """One twin with the typical value of every free parameter."""
    typical = {p.name: p.typical for p in T1D.parameters}
    free = {name: ("twin", np.array([typical[name]], float)) for name in subject.FREE}
    return T1D.derive(xr.Dataset({**free, "weight": ("twin", np.array([75.0]))}, coords={"twin": np.arange(1)}))


def _a_day(tolerance: Tolerance) -> xr.Dataset:
    """A day of closed loop with meals on time and insulin of constant effect, so that its inputs are all known."""
    settings = Settings(
        meal_scale=1.0, meal_cv=0.0, meal_jitter=0.0, missed_bolus=0.0, missed_snack_bolus=0.0, sensitivity_day_sd=0.0,
        sensitivity_block_sd=0.0, sensitivity_circadian=0.0, rescue_carbs=0.0,
    )  # fmt: skip
    schedule = Schedule(0.0, 1.0, (1.0,), ("end",))
    treatment = Treatment(controller="hybrid-closed-loop")
    return T1D.simulate(_typical(), treatment, settings, Conditions(schedule, 4, 1.0, tolerance))


def _replayed(insulin: np.ndarray) -> np.ndarray:
    """Plasma glucose at the end of every five minutes, from the insulin delivered in each and the meals of the day."""
    from scipy.integrate import solve_ivp

    values = subject.values_of(_typical())
    p = SimpleNamespace(
        **dict(zip(equations.PARAMETERS, subject.parameter_matrix(values, 0.0, 60.0)[0].tolist(), strict=True))
    )
    y = subject.basal_state(values)[0]
    meals = [(meal.at, meal.at + 1000.0 * meal.carbs / EATING) for meal in Settings().meals]
    breaks = sorted({TICK * k for k in range(len(insulin) + 1)} | {edge for meal in meals for edge in meal})
    solid, liquid, eaten = (equations.STATES.index(name) for name in ("stomach_solid", "stomach_liquid", "eaten"))
    out = []
    for begin, end in pairwise(breaks):
        if begin in [first for first, _ in meals]:
            y[eaten] = y[solid] + y[liquid]
        u = SimpleNamespace(
            carbs=EATING if any(first <= begin < last for first, last in meals) else 0.0,
            insulin=insulin[int(begin // TICK)] / TICK * subject.PMOL_PER_UNIT / p.BW, sensitivity=1.0,
        )  # fmt: skip

        def slopes(t: float, state: np.ndarray, u: SimpleNamespace = u) -> tuple[Any, ...]:
            named = SimpleNamespace(**dict(zip(equations.STATES, state.tolist(), strict=True)))
            return equations.rhs(t, named, p, u)

        found = solve_ivp(slopes, (begin, end), y, method="DOP853", rtol=REFERENCE, atol=1e-9)
        y = found.y[:, -1].copy()
        if end % TICK == 0.0:
            out.append(y[equations.STATES.index("Gp")] / p.Vg)
    return np.array(out)


def glucose() -> list[Row]:
    """t1d-uva-padova: a closed-loop day, and the same deliveries and meals replayed through SciPy."""
    rows = []
    for tolerance, limit, reason in (
        (Tolerance(1e-9, 1e-9), 2e-7, "100 rtol (1e-9), and readings kept as float32 (6e-8)"),
        (Tolerance(1e-4, 1e-4), 1e-3, "10 rtol (1e-4), that of the shipped trial"),
    ):
        found = _a_day(tolerance)
        insulin = np.round(found["insulin"].values[0].astype(float) / PULSE) * PULSE
        truth = _replayed(insulin)
        error = np.abs(found["glucose"].values[0].astype(float) - truth).max()
        rows.append(
            Row(
                f"t1d-uva-padova: glucose of a closed-loop day at rtol {tolerance.rtol:g}", "SciPy's DOP853 at 1e-12",
                float(error / truth.max()), limit, reason,
                note=f"{error:.1e} mg/dL; glucose {truth.min():.0f} to {truth.max():.0f}, {insulin.sum():.1f} U",
            )
        )  # fmt: skip
    return rows


def neutrophils() -> list[Row]:
    """docetaxel-nsclc: drug, neutrophils and febrile hazard over four cycles; a typical twin and a sensitive one."""
    pk = pharmacology
    p = np.array(
        [
            [37.8, pk.V1_TYPICAL, pk.BASE_TYPICAL, pk.MTT_TYPICAL, pk.SLOPE_TYPICAL, 0.035],
            [20.0, pk.V1_TYPICAL, 3.0, 60.0, 1.5 * pk.SLOPE_TYPICAL, 0.035],
        ]
    )
    cycles, hours = 4, np.arange(0.0, 4 * 504.0 + 1.0, 6.0)
    records = Records.empty(2, 2 * cycles)
    records.time[:] = np.array([504.0 * k + part for k in range(cycles) for part in (0.0, 1.0)])
    records.target[:] = pk.SYSTEM.input_target("rate")
    records.value[:] = np.array([135.0, 0.0] * cycles)
    y0 = pk.before_treatment(p[:, 2])
    own = [Records(*(a[k : k + 1] for a in (records.time, records.target, records.value))) for k in range(2)]
    truth = np.array(
        [
            reference_solution(
                pk.SYSTEM, y0[k], p[k], 0.0, hours[-1], own[k], hours, rtol=REFERENCE, atol=1e-15, method="DOP853"
            )
            for k in range(2)
        ]
    )
    rows = []
    for rtol, limit, reason in (
        (1e-9, 1e-7, "100 rtol (1e-9)"),
        (1e-6, 1e-5, "10 rtol (1e-6), that of the shipped trial"),
    ):
        found = solve(pk.SYSTEM, y0, p, 0.0, hours[-1], records, hours, Tolerance(rtol, 1e-2 * rtol))
        error = np.abs(found.samples - truth) / np.abs(truth).max(axis=1, keepdims=True)
        worst = dict(zip(pk.STATES, error.max(axis=(0, 1)), strict=True))
        rows.append(
            Row(
                f"docetaxel-nsclc: nine states over four cycles at rtol {rtol:g}", "SciPy's DOP853 at 1e-12",
                float(error.max()), limit, reason, note=", ".join(f"{n} {e:.0e}" for n, e in worst.items()),
            )
        )  # fmt: skip
    return rows


def tumour_size() -> list[Row]:
    """docetaxel-nsclc: the closed form of tumour size beside the integrated equations it solves."""

    def growth(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
        return p.KG / 7.0 * y.g, -p.KS / 7.0 * u.r * y.s

    system = System("tumour", ("g", "s"), ("KG", "KS"), ("r",), growth, "day")
    dose_day, dose = np.array([[0.0, 21.0, 49.0]]), np.array([[75.0, 60.0, 75.0]])
    days = np.linspace(0.0, 120.0, 121)
    acts = ((0.0, 1.0), (21.0, 0.8), (42.0, 0.0), (49.0, 1.0), (70.0, 0.0))
    records = Records(
        np.array([[at for at, _ in acts]]), np.full((1, len(acts)), system.input_target("r")),
        np.array([[r for _, r in acts]]),
    )  # fmt: skip
    found = solve(
        system,
        [[1.0, 1.0]],
        [[tumour.KG_TYPICAL, tumour.KS_TYPICAL]],
        0.0,
        120.0,
        records,
        days,
        Tolerance(1e-11, 1e-12),
    )
    weeks = tumour.dose_weeks(days, dose_day, dose)
    rate = np.array([tumour.KG_TYPICAL]), np.array([tumour.KS_TYPICAL])
    size = tumour.size(days, weeks, np.array([80.0]), *rate)[0]
    error = np.abs(size / (80.0 * (found.samples[0].sum(axis=1) - 1.0)) - 1.0).max()
    return [
        Row(
            "docetaxel-nsclc: tumour size in closed form, three doses", "its equations, integrated at 1e-11",
            float(error), 1e-9, "100 rtol (1e-11)",
        )
    ]  # fmt: skip


CHECKS = (
    Check("library", "glucose", glucose),
    Check("library", "neutrophils", neutrophils),
    Check("library", "tumour_size", tumour_size),
)
