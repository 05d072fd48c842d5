"""The workloads on which the engine is timed, each with its own twins, records and samples.

- W1: two-compartment oral pharmacokinetics with an effect compartment, 28 daily doses, 672 h, 225 samples.
- W2a: UVA/Padova-type glucose and insulin, the 30 public subjects, one-minute inputs, three meals, 24 h, 289 samples.
- W2b: docetaxel-like pharmacokinetics with neutrophils and tumour, 8 infusions, 180 days, 361 samples; stiff.
- W3: closed-loop circulation of eight volumes, four beating chambers, four valves, 30 beats, 601 samples; kinked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinarm.models.engine import Records, System
from twinarm.models.engine.math import cos, exp, floor, log, maximum, tanh, where


@dataclass(frozen=True)
class Workload:
    """A system with everything that `solve` needs; `watched` are the states whose error is reported."""

    name: str
    system: System
    y0: np.ndarray
    p: np.ndarray
    inputs0: np.ndarray
    records: Records
    times: np.ndarray
    stop: float
    watched: tuple[str, ...]
    method: str


def _spread(typical: list[float], bsv: list[float], twins: int, seed: int) -> np.ndarray:
    """Log-normal parameters, shape (twin, parameter)."""
    return np.array(typical) * np.exp(np.array(bsv) * np.random.default_rng(seed).standard_normal((twins, len(bsv))))


def _records(rows: list[tuple[float, int, Any]], twins: int) -> Records:
    """Records (time, target, value) that every twin has; the value may be an array over twins."""
    records = Records.empty(twins, len(rows))
    for slot, (time, target, value) in enumerate(rows):
        records.time[:, slot], records.target[:, slot], records.value[:, slot] = time, target, value
    return records.sorted()


def _oral(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    absorbed = p.ka * y.depot
    return (
        -absorbed,
        absorbed - (p.CL / p.V1 + p.Q / p.V1) * y.central + p.Q / p.V2 * y.peripheral,
        p.Q / p.V1 * y.central - p.Q / p.V2 * y.peripheral,
        p.ke0 * (y.central / p.V1 - y.effect),
    )


W1 = System(
    "w1-oral", ("depot", "central", "peripheral", "effect"), ("CL", "V1", "Q", "V2", "ka", "ke0"), (), _oral, "hour"
)


def w1(twins: int, seed: int = 1) -> Workload:
    p = _spread([5.0, 50.0, 10.0, 100.0, 1.0, 0.5], [0.3, 0.2, 0.2, 0.2, 0.4, 0.3], twins, seed)
    doses = _records([(24.0 * day, 0, 100.0) for day in range(28)], twins)
    times = np.arange(0.0, 673.0, 3.0)
    return Workload(
        "W1", W1, np.zeros((twins, 4)), p, np.zeros((twins, 0)), doses, times, 672.0, W1.states[1:], "dop853"
    )


def _glucose(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    stomach = y.solid + y.liquid
    eaten = maximum(u.eaten, 1.0)
    slow, fast = 2.5 / (eaten * (1.0 - p.b)), 2.5 / (eaten * p.d)
    bend = tanh(slow * (stomach - p.b * eaten)) - tanh(fast * (stomach - p.d * eaten)) + 2.0
    kempt = where(u.eaten > 0.0, p.kmin + 0.5 * (p.kmax - p.kmin) * bend, p.kmax)
    produced = maximum(p.kp1 - p.kp2 * y.Gp - p.kp3 * y.Id, 0.0)
    excreted = p.ke1 * maximum(y.Gp - p.ke2, 0.0)
    insulin = y.Ip / p.Vi
    return (
        -p.kmax * y.solid + u.carbs,
        p.kmax * y.solid - y.liquid * kempt,
        kempt * y.liquid - p.kabs * y.gut,
        produced + p.f * p.kabs * y.gut / p.BW - p.Fsnc - excreted - p.k1 * y.Gp + p.k2 * y.Gt,
        -(p.Vm0 + p.Vmx * y.X) * y.Gt / (p.Km0 + y.Gt) + p.k1 * y.Gp - p.k2 * y.Gt,
        -(p.m2 + p.m4) * y.Ip + p.m1 * y.Il + p.ka1 * y.isc1 + p.ka2 * y.isc2,
        p.p2u * (insulin - p.Ib - y.X),
        -p.ki * (y.I1 - insulin),
        -p.ki * (y.Id - y.I1),
        -(p.m1 + p.m30) * y.Il + p.m2 * y.Ip,
        u.insulin - (p.ka1 + p.kd) * y.isc1,
        p.kd * y.isc1 - p.ka2 * y.isc2,
        p.ksc * (y.Gp - y.Gs),
    )


W2A = System(
    "w2a-glucose",
    ("solid", "liquid", "gut", "Gp", "Gt", "Ip", "X", "I1", "Id", "Il", "isc1", "isc2", "Gs"),
    (
        "BW", "kabs", "kmax", "kmin", "b", "d", "Vi", "Vmx", "Km0", "k2", "k1", "p2u", "m1", "m2", "m4", "m30", "ki",
        "kp2", "kp3", "f", "ke1", "ke2", "Fsnc", "Vm0", "kd", "ksc", "ka1", "ka2", "kp1", "Ib",
    ),
    ("carbs", "insulin", "eaten"),
    _glucose,
    "minute",
)  # fmt: skip
MEALS = ((420.0, 45.0), (720.0, 70.0), (1080.0, 80.0))  # minute, g


def w2a(twins: int) -> Workload:
    """Copies beyond the 30 subjects vary by 10 % in kabs, Vmx, kp3 and p2u."""
    # Here, as the time to a first twin is measured with this module imported.
    from twinarm.cohorts.population_file import load_population
    from twinarm.cohorts.sampling import sample_twins
    from twinarm.models.library.t1d_uva_padova import subject

    people = sample_twins(load_population("t1d-public-30"), np.arange(twins), seed=1)
    v = subject.values_of(people)
    z = 0.1 * np.random.default_rng(2).standard_normal((twins, 4))
    z[:30] = 0.0
    for j, name in enumerate(("kabs", "Vmx", "kp3", "p2u")):
        v[name] = v[name] * np.exp(z[:, j])
    v |= subject.identities(v)
    zero, basal = np.zeros(twins), v["u2ss"]
    start = {
        "Gp": v["Gpb"], "Gt": v["Gtb"], "Ip": v["Ipb"], "I1": v["Ib"], "Id": v["Ib"], "Il": v["Ilb"],
        "isc1": v["isc1ss"], "isc2": v["isc2ss"], "Gs": v["Gpb"],
    }  # fmt: skip
    carbs, insulin, eaten = (W2A.input_target(name) for name in W2A.inputs)
    rows: list[tuple[float, int, Any]] = []
    for minute, grams in MEALS:
        rows += [(minute, insulin, basal + grams / 15.0 * 6000.0 / v["BW"]), (minute + 1, insulin, basal)]
        for k in range(int(grams / 5)):
            rows += [(minute + k, carbs, 5000.0), (minute + k, eaten, 5000.0 * (k + 1))]
        rows.append((minute + grams / 5, carbs, 0.0))
    return Workload(
        "W2a", W2A, np.column_stack([start.get(name, zero) for name in W2A.states]),
        np.column_stack([v[name] for name in W2A.parameters]), np.column_stack([zero, basal, zero]),
        _records(rows, twins), np.arange(0.0, 1441.0, 5.0), 1440.0, ("Gp", "Ip", "Gs"), "tsit5",
    )  # fmt: skip


def _docetaxel(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    free = y.a1 / p.V1 * 1.2378  # umol/L
    ktr = 4.0 / p.MTT
    feedback = exp(p.gamma * log(p.circ0 / maximum(y.circ, 1e-9)))
    growing = p.l0 / p.l1 * (y.x1 + y.x2 + y.x3 + y.x4)
    brake = exp(-0.05 * log(1.0 + exp(20.0 * log(maximum(growing, 1e-9)))))
    killed = p.kd2 * free * y.x1
    return (
        u.rate - (p.CL / p.V1 + p.k12 + p.k13) * y.a1 + p.k21 * y.a2 + p.k31 * y.a3,
        p.k12 * y.a1 - p.k21 * y.a2,
        p.k13 * y.a1 - p.k31 * y.a3,
        ktr * y.prol * ((1.0 - p.slope * free) * feedback - 1.0),
        ktr * (y.prol - y.tr1),
        ktr * (y.tr1 - y.tr2),
        ktr * (y.tr2 - y.tr3),
        ktr * (y.tr3 - y.circ),
        p.l0 * y.x1 * brake - killed,
        killed - p.kd1 * y.x2,
        p.kd1 * (y.x2 - y.x3),
        p.kd1 * (y.x3 - y.x4),
    )


W2B = System(
    "w2b-docetaxel",
    ("a1", "a2", "a3", "prol", "tr1", "tr2", "tr3", "circ", "x1", "x2", "x3", "x4"),
    ("CL", "V1", "k12", "k21", "k13", "k31", "circ0", "MTT", "gamma", "slope", "l0", "l1", "kd1", "kd2"),
    ("rate",),
    _docetaxel,
    "hour",
)


def w2b(twins: int) -> Workload:
    p = _spread(
        [36.0, 8.3, 1.07, 1.74, 1.28, 0.0787, 5.05, 88.7, 0.161, 8.58, 0.002, 0.02, 0.02, 0.05],
        [0.3, 0.2, 0.15, 0.15, 0.15, 0.15, 0.3, 0.15, 0.1, 0.3, 0.3, 0.3, 0.2, 0.3], twins, seed=3,
    )  # fmt: skip
    y0 = np.zeros((twins, 12))
    y0[:, 3:8] = p[:, 6:7]
    y0[:, 8] = 1.0
    rate = W2B.input_target("rate")
    doses = [row for k in range(8) for row in ((504.0 * k, rate, 180.0), (504.0 * k + 1.0, rate, 0.0))]
    return Workload(
        "W2b", W2B, y0, p, np.zeros((twins, 1)), _records(doses, twins), np.arange(0.0, 4321.0, 12.0), 4320.0,
        ("a1", "circ", "x1"), "rodas5p",
    )  # fmt: skip


def _circulation(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    phase = t * p.rate
    phase = phase - floor(phase)
    rising, falling = (
        0.5 * (1.0 - cos(10.471975511965978 * phase)),
        0.5 * (1.0 + cos(20.943951023931955 * (phase - 0.3))),
    )
    ventricle = where(phase < 0.3, rising, where(phase < 0.45, falling, 0.0))
    kick = where(phase < 0.97, 0.5 * (1.0 - cos(36.95991357164463 * (phase - 0.8))), 0.0)
    atrium = where(phase > 0.8, kick, 0.0)
    lv = (p.min_lv + (p.max_lv - p.min_lv) * ventricle) * (y.lv - p.V0)
    rv = (p.min_rv + (p.max_rv - p.min_rv) * ventricle) * (y.rv - p.V0)
    la = (p.min_la + (p.max_la - p.min_la) * atrium) * (y.la - 4.0)
    ra = (p.min_ra + (p.max_ra - p.min_ra) * atrium) * (y.ra - 4.0)
    sa, sv, pa, pv = y.sa / p.Csa, y.sv / p.Csv, y.pa / p.Cpa, y.pv / p.Cpv
    mitral, tricuspid = maximum(la - lv, 0.0) / p.Rav, maximum(ra - rv, 0.0) / p.Rav
    aortic, pulmonary = maximum(lv - sa, 0.0) / p.Rao, maximum(rv - pa, 0.0) / p.Rpa
    systemic, lungs = (sa - sv) / p.Rsys, (pa - pv) / p.Rpul
    to_right, to_left = (sv - ra) / p.Rsv, (pv - la) / p.Rpv
    return (
        mitral - aortic,
        to_left - mitral,
        tricuspid - pulmonary,
        to_right - tricuspid,
        aortic - systemic,
        systemic - to_right,
        pulmonary - lungs,
        lungs - to_left,
    )


W3 = System(
    "w3-circulation",
    ("lv", "la", "rv", "ra", "sa", "sv", "pa", "pv"),
    (
        "rate", "max_lv", "min_lv", "max_rv", "min_rv", "max_la", "min_la", "max_ra", "min_ra", "Csa", "Csv", "Cpa",
        "Cpv", "Rsys", "Rpul", "Rav", "Rao", "Rpa", "Rsv", "Rpv", "V0",
    ),
    (),
    _circulation,
    "second",
)  # fmt: skip


def w3(twins: int) -> Workload:
    p = _spread(
        [
            1.25, 2.5, 0.08, 0.6, 0.05, 0.25, 0.15, 0.25, 0.15, 1.5, 70.0, 4.0, 10.0, 1.0, 0.08, 0.005, 0.008, 0.008,
            0.02, 0.01, 5.0,
        ],
        [0.0, 0.2, 0.15, 0.2, 0.15, *[0.1] * 4, 0.2, 0.1, 0.2, 0.1, 0.2, 0.2, *[0.1] * 5, 0.0], twins, seed=4,
    )  # fmt: skip
    y0 = np.tile([120.0, 60.0, 120.0, 60.0, 140.0, 420.0, 60.0, 90.0], (twins, 1))
    beats = _records([(0.8 * beat, 0, 0.0) for beat in range(1, 30)], twins)  # a restart at every beat
    return Workload(
        "W3", W3, y0, p, np.zeros((twins, 0)), beats, np.linspace(0.0, 24.0, 601), 24.0, ("lv", "sa", "pa"), "tsit5"
    )


WORKLOADS: dict[str, Callable[[int], Workload]] = {"W1": w1, "W2a": w2a, "W2b": w2b, "W3": w3}
