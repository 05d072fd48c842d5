"""From sampled parameters to a whole subject: identities, basal state, and therapy settings by simulation.

Source of the identities: Dalla Man 2007 and the parameter definitions of the 30 public subjects (all hold in that
table to 5e-6 relative). Carbohydrate ratio and correction factor are derived per twin: with sampled parameters the
table's own do not transfer.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...engine import Records, solve
from ...model import Tolerance
from .equations import PARAMETERS, STATES, SYSTEM

PMOL_PER_UNIT = 6000.0  # pmol of insulin in one unit
CARBS_PER_MINUTE = 5000.0  # mg/min, eating speed of every meal (Kovatchev 2009)
HEB = 0.6  # basal hepatic extraction
FREE = (
    "Gb", "Ib", "EGPb", "Vg", "Vi", "kabs", "kmax", "kmin", "b", "d", "Vmx", "Km0", "k1", "k2", "p2u", "m1", "m2", "ki",
    "kp2", "kp3", "kd", "ksc", "ka1", "ka2",
)  # fmt: skip
FIXED = {"f": 0.9, "ke1": 0.0005, "ke2": 339.0, "Fsnc": 1.0}

_UNITS = {
    "m30": "1/min", "m4": "1/min", "f": "1", "ke1": "1/min", "ke2": "mg/kg", "Fsnc": "mg/kg/min", "Gpb": "mg/kg",
    "Gtb": "mg/kg", "Vm0": "mg/kg/min", "kp1": "mg/kg/min", "Ipb": "pmol/kg", "Ilb": "pmol/kg", "u2ss": "pmol/kg/min",
    "isc1ss": "pmol/kg", "isc2ss": "pmol/kg", "basal_rate": "U/hour",
}  # fmt: skip


def identities(free: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Dependent parameters and basal state of subjects whose free parameters are given (arrays over twins)."""
    g = free
    fixed = {name: np.full(np.shape(g["Gb"]), value) for name, value in FIXED.items()}
    m30 = g["m1"] * HEB / (1.0 - HEB)
    m4 = 0.4 * g["m2"]
    Gpb = g["Gb"] * g["Vg"]
    Gtb = (fixed["Fsnc"] - g["EGPb"] + g["k1"] * Gpb) / g["k2"]
    Vm0 = (g["EGPb"] - fixed["Fsnc"]) * (g["Km0"] + Gtb) / Gtb
    kp1 = g["EGPb"] + g["kp2"] * Gpb + g["kp3"] * g["Ib"]
    Ipb = g["Ib"] * g["Vi"]
    Ilb = g["m2"] * Ipb / (g["m1"] + m30)
    u2ss = (g["m2"] + m4) * Ipb - g["m1"] * Ilb
    isc1ss = u2ss / (g["ka1"] + g["kd"])
    isc2ss = g["kd"] * isc1ss / g["ka2"]
    return {
        **fixed, "m30": m30, "m4": m4, "Gpb": Gpb, "Gtb": Gtb, "Vm0": Vm0, "kp1": kp1, "Ipb": Ipb, "Ilb": Ilb,
        "u2ss": u2ss, "isc1ss": isc1ss, "isc2ss": isc2ss, "basal_rate": 60.0 * u2ss * g["BW"] / PMOL_PER_UNIT,
    }  # fmt: skip


def basal_state(values: dict[str, np.ndarray]) -> np.ndarray:
    """The fasting steady state, shape (twin, state)."""
    v = values
    zero = np.zeros(np.shape(v["Gpb"]))
    by_name = {
        "Gp": v["Gpb"], "Gt": v["Gtb"], "Ip": v["Ipb"], "I1": v["Ib"], "Id": v["Ib"], "Il": v["Ilb"],
        "isc1": v["isc1ss"], "isc2": v["isc2ss"], "Gs": v["Gpb"],
    }  # fmt: skip
    return np.column_stack([by_name.get(name, zero) for name in STATES])


def parameter_matrix(values: dict[str, np.ndarray], kcounter: float = 0.0, Gcounter: float = 0.0) -> np.ndarray:
    """Parameters in the order of the system, shape (twin, parameter)."""
    size = np.shape(values["Gb"])
    extra = {"kcounter": np.full(size, kcounter), "Gcounter": np.full(size, Gcounter)}
    return np.column_stack([(values | extra)[name] for name in PARAMETERS])


def values_of(twins: xr.Dataset) -> dict[str, np.ndarray]:
    """Arrays of a cohort under the names of the equations: body weight is the demographic `weight`."""
    found = {str(name): np.asarray(twins[name].values) for name in twins.data_vars}
    return found | {"BW": found["weight"].astype(float)}


def excursion(
    values: dict[str, np.ndarray], grams: float, units: np.ndarray, minutes: float, every: float = 5.0
) -> np.ndarray:
    """Plasma glucose (mg/dL) after a meal and a one-minute bolus at the basal state; shape (twin, sample).

    `grams` of carbohydrate are eaten at 5 g/min; `units` (twin,) of insulin are given over the first minute.
    """
    twins = values["Gb"].size
    basal = values["u2ss"]
    records = Records.empty(twins, 4)
    bolus = basal + units * PMOL_PER_UNIT / values["BW"]
    meal = CARBS_PER_MINUTE if grams > 0 else 0.0
    rows = (
        (0.0, "insulin", bolus),
        (0.0, "carbs", np.full(twins, meal)),
        (1.0, "insulin", basal),
        (max(grams * 1000.0 / CARBS_PER_MINUTE, 1.0), "carbs", np.zeros(twins)),
    )
    for slot, (time, name, value) in enumerate(rows):
        records.time[:, slot] = time
        records.target[:, slot] = SYSTEM.input_target(name)
        records.value[:, slot] = value
    inputs = np.column_stack([np.zeros(twins), basal, np.ones(twins)])
    times = np.arange(0.0, minutes + every / 2, every)
    solution = solve(
        SYSTEM, basal_state(values), parameter_matrix(values), 0.0, minutes, records.sorted(), times,
        Tolerance(rtol=1e-6, atol=1e-6, max_steps=100_000), inputs,
    )  # fmt: skip
    return np.asarray(solution.samples[:, :, SYSTEM.state("Gp")] / values["Vg"][:, None])


def correction_factor(values: dict[str, np.ndarray]) -> np.ndarray:
    """Largest fall of plasma glucose after one unit without a meal, mg/dL per U, over ten hours."""
    glucose = excursion(values, 0.0, np.ones(values["Gb"].size), 600.0)
    return np.asarray(values["Gb"] - glucose.min(axis=1))


def carbohydrate_ratio(values: dict[str, np.ndarray], grams: float = 60.0, minutes: float = 300.0) -> np.ndarray:
    """Grams covered by one unit: the bolus for a 60 g meal that brings glucose back to basal at five hours.

    Bisection on the logarithm of the bolus between 0.05 and 100 U, the same 24 halvings for every twin (relative
    width 5e-7), so that a twin's ratio does not depend on its neighbours. No sign change: NaN.
    """
    low = np.full(values["Gb"].size, np.log(0.05))
    high = np.full(values["Gb"].size, np.log(100.0))

    def above(log_units: np.ndarray) -> np.ndarray:
        return excursion(values, grams, np.exp(log_units), minutes, every=minutes)[:, -1] - values["Gb"]

    bracketed = (above(low) > 0) & (above(high) < 0)
    for _ in range(24):
        middle = 0.5 * (low + high)
        is_above = above(middle) > 0
        low, high = np.where(is_above, middle, low), np.where(is_above, high, middle)
    return np.where(bracketed, grams / np.exp(0.5 * (low + high)), np.nan)


def derive(twins: xr.Dataset) -> xr.Dataset:
    """The cohort with its identities, and `drop_1U`, `peak_50g`, `CF`, `CR` by simulation (NaN where impossible)."""
    values = values_of(twins)
    found = identities(values)
    out = twins.copy()
    for name, value in found.items():
        out[name] = _labelled(value, _UNITS[name], name, "identity of the model")
    values |= found
    sound = (found["Gtb"] > 0) & (found["Vm0"] > 0) & (found["u2ss"] > 0)
    names = {
        "drop_1U": ("mg/dL", "largest fall of glucose after 1 U"),
        "peak_50g": ("mg/dL", "glucose peak after 50 g without a bolus"),
        "CF": ("mg/dL/U", "correction factor"),
        "CR": ("g/U", "carbohydrate ratio"),
    }
    results = {name: np.full(sound.size, np.nan) for name in names}
    if sound.any():
        some = {name: value[sound] for name, value in values.items() if np.shape(value) == sound.shape}
        results["drop_1U"][sound] = correction_factor(some)
        results["peak_50g"][sound] = excursion(some, 50.0, np.zeros(int(sound.sum())), 600.0).max(axis=1)
        results["CF"][sound] = results["drop_1U"][sound]
        results["CR"][sound] = carbohydrate_ratio(some)
    for name, (unit, text) in names.items():
        out[name] = _labelled(results[name], unit, text, "simulation of the twin at its basal state")
    return out


def _labelled(values: np.ndarray, unit: str, long_name: str, source: str) -> xr.Variable:
    attrs = {"units": unit, "long_name": long_name, "source": source, "provenance": "derived"}
    return xr.Variable("twin", values, attrs)
