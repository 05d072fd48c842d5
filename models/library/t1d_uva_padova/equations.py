"""UVA/Padova-type glucose-insulin model: the equations, in minutes, mg/kg, pmol/kg and pmol/L.

Source: Dalla Man 2007, IEEE Trans Biomed Eng 54:1740 (meal model); Dalla Man 2014, J Diabetes Sci Technol 8:26 (S2013,
insulin sensitivity within and between days); subcutaneous insulin and glucose as in Kovatchev 2009. This is no
FDA-accepted simulator: its 300 subjects are proprietary.

`eaten` is no physiological state: it carries Dbar, the stomach content at the start of the meal plus what has been
eaten since, so that gastric emptying needs no memory outside the state. It is reset when a meal begins.
"""

from __future__ import annotations

from typing import Any

from ...engine import System
from ...engine.math import maximum, tanh, where

STATES = (
    "stomach_solid",  # mg
    "stomach_liquid",  # mg
    "gut",  # mg
    "Gp",  # mg/kg, plasma glucose
    "Gt",  # mg/kg, tissue glucose
    "Ip",  # pmol/kg, plasma insulin
    "X",  # pmol/L, insulin action on utilisation, from basal
    "I1",  # pmol/L, delayed insulin
    "Id",  # pmol/L, delayed insulin acting on the liver
    "Il",  # pmol/kg, liver insulin
    "isc1",  # pmol/kg, subcutaneous insulin
    "isc2",  # pmol/kg, subcutaneous insulin
    "Gs",  # mg/kg, subcutaneous glucose
    "eaten",  # mg, Dbar
)

PARAMETERS = (
    "BW", "Ib", "kabs", "kmax", "kmin", "b", "d", "f", "Vg", "Vi", "Vmx", "Km0", "k1", "k2", "p2u", "m1", "m2", "m4",
    "m30", "ki", "kp1", "kp2", "kp3", "ke1", "ke2", "Fsnc", "Vm0", "kd", "ksc", "ka1", "ka2", "kcounter", "Gcounter",
)  # fmt: skip

INPUTS = (
    "carbs",  # mg/min eaten
    "insulin",  # pmol/kg/min into the subcutis
    "sensitivity",  # 1, factor on insulin action (1 at the typical hour of the typical day)
)


def rhs(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    """Derivatives per minute, in the order of `STATES`."""
    stomach = y.stomach_solid + y.stomach_liquid
    full = maximum(y.eaten, 1.0)  # 1 mg: keeps the slopes finite before the first meal, where kempt is kmax anyway
    alpha = 5.0 / (2.0 * full * (1.0 - p.b))
    beta = 5.0 / (2.0 * full * p.d)
    emptying = p.kmin + 0.5 * (p.kmax - p.kmin) * (
        tanh(alpha * (stomach - p.b * full)) - tanh(beta * (stomach - p.d * full)) + 2.0
    )
    kempt = where(y.eaten > 0.0, emptying, p.kmax)

    appearance = p.f * p.kabs * y.gut / p.BW
    action = u.sensitivity * (y.Id - p.Ib)
    defence = p.kcounter * maximum(p.Gcounter - y.Gp / p.Vg, 0.0)  # counter-regulation; kcounter is 0 unless asked for
    production = maximum(p.kp1 - p.kp2 * y.Gp - p.kp3 * (p.Ib + action), 0.0) + defence
    excretion = p.ke1 * maximum(y.Gp - p.ke2, 0.0)
    uptake = (p.Vm0 + u.sensitivity * p.Vmx * y.X) * y.Gt / (p.Km0 + y.Gt)
    insulin = y.Ip / p.Vi

    return (
        -p.kmax * y.stomach_solid + u.carbs,
        p.kmax * y.stomach_solid - kempt * y.stomach_liquid,
        kempt * y.stomach_liquid - p.kabs * y.gut,
        production + appearance - p.Fsnc - excretion - p.k1 * y.Gp + p.k2 * y.Gt,
        -uptake + p.k1 * y.Gp - p.k2 * y.Gt,
        -(p.m2 + p.m4) * y.Ip + p.m1 * y.Il + p.ka1 * y.isc1 + p.ka2 * y.isc2,
        p.p2u * (insulin - p.Ib - y.X),
        p.ki * (insulin - y.I1),
        p.ki * (y.I1 - y.Id),
        p.m2 * y.Ip - (p.m1 + p.m30) * y.Il,
        u.insulin - (p.ka1 + p.kd) * y.isc1,
        p.kd * y.isc1 - p.ka2 * y.isc2,
        p.ksc * (y.Gp - y.Gs),
        u.carbs,
    )


SYSTEM = System("t1d-uva-padova", STATES, PARAMETERS, INPUTS, rhs, "minute")
