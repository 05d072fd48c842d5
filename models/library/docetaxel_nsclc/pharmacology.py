"""Docetaxel in plasma and the neutrophils it suppresses, for one twin; time in hours.

Three compartments with a one-hour infusion, and the transit-chain model of neutrophil maturation. The febrile
hazard is integrated beside them, so that the day of a febrile neutropenia solves H(T) = E.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engine import System
from ...engine.math import exp, log, maximum

# Transfer rates, 1/h. Bruno 1996 (J Pharmacokinet Biopharm 24:153); recalled, checked against the label's
# half-lives.
K12, K21 = 1.07, 1.74
K13, K31 = 1.28, 0.0787
V1_TYPICAL = 8.31  # L, same source
# CL = BSA (22.1 - 3.55 AAG - 0.095 age + 0.225 albumin), L/h; same source.
CL_BASE, CL_AAG, CL_AGE, CL_ALBUMIN = 22.1, 3.55, 0.095, 0.225
CL_FLOOR = 3.0  # L/h/m2; chosen: the straight line reaches zero at extreme AAG
CL_LIVER = 0.73  # factor with raised transaminases and alkaline phosphatase; label, read
# Netterberg 2017, DDMODEL00000224, read.
BASE_TYPICAL, MTT_TYPICAL, GAMMA = 5.22, 84.2, 0.1445  # 10^9/L, h, 1
SLOPE_TYPICAL = 15.57 / 0.808  # L/mg: 15.57 L/umol at 808 g/mol, on total plasma concentration
BASE_FEMALE, BASE_ECOG, BASE_PRETREATED = 1 - 0.121, 1.130, 1 - 0.147
AAG_MEDIAN = 1.34  # g/L
BASE_AAG_BELOW, BASE_AAG_ABOVE, SLOPE_AAG = 0.175, 0.495, -0.351  # per g/L from the median
SLOPE_FLOOR = 0.05  # smallest factor of AAG on slope; chosen
SEVERE = 0.5  # 10^9/L, upper limit of grade 4 neutropenia (CTCAE)

STATES = ("A1", "A2", "A3", "Prol", "T1", "T2", "T3", "Circ", "H")
PARAMETERS = ("CL", "V1", "Base", "MTT", "slope", "febrile_hazard")
CIRC, FEBRILE = STATES.index("Circ"), STATES.index("H")


def clearance(
    bsa: np.ndarray, aag: np.ndarray, age: np.ndarray, albumin: np.ndarray, liver_impairment: np.ndarray
) -> np.ndarray:
    """Typical docetaxel clearance of twins with these covariates.

    Parameters
    ----------
    bsa, aag, age, albumin : array, m2, g/L, year, g/L
    liver_impairment : array
        1 where AST or ALT > 1.5 x ULN together with alkaline phosphatase > 2.5 x ULN, else 0.

    Returns
    -------
    array, L/h

    Source
    ------
    Bruno 1996 (recalled); liver factor from the label (read). The floor is chosen.

    >>> round(float(clearance(1.8, 1.34, 56.0, 40.0, 0.0) / 1.8), 1)
    21.0
    """
    per_area = np.maximum(CL_BASE - CL_AAG * aag - CL_AGE * age + CL_ALBUMIN * albumin, CL_FLOOR)
    return np.asarray(bsa * per_area * np.where(liver_impairment > 0, CL_LIVER, 1.0))


def baseline_neutrophils(female: np.ndarray, ecog: np.ndarray, pretreated: np.ndarray, aag: np.ndarray) -> np.ndarray:
    """Typical neutrophil count before treatment of twins with these covariates.

    Parameters
    ----------
    female, pretreated : array, 0 or 1
    ecog, aag : array, 0-4, g/L

    Returns
    -------
    array, 10^9/L

    Source
    ------
    Netterberg 2017, DDMODEL00000224; read.
    """
    per_aag = np.where(aag < AAG_MEDIAN, BASE_AAG_BELOW, BASE_AAG_ABOVE)
    return np.asarray(
        BASE_TYPICAL
        * np.where(female > 0, BASE_FEMALE, 1.0)
        * np.where(ecog >= 1, BASE_ECOG, 1.0)
        * np.where(pretreated > 0, BASE_PRETREATED, 1.0)
        * (1 + per_aag * (aag - AAG_MEDIAN))
    )


def typical_slope(aag: np.ndarray) -> np.ndarray:
    """Typical drug effect on proliferation at an alpha-1 acid glycoprotein (array, g/L); array, L/mg.

    Source: Netterberg 2017, DDMODEL00000224; read. The floor is chosen.
    """
    return np.asarray(SLOPE_TYPICAL * np.maximum(1 + SLOPE_AAG * (aag - AAG_MEDIAN), SLOPE_FLOOR))


def derivatives(t: float, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    """Right-hand side; states in mg (A1-A3), 10^9/L (Prol-Circ) and 1 (H), `u.rate` in mg/h.

    C = A1 / V1,  ktr = 4 / MTT,  Edrug = slope C  (not capped at 1: the source does not)
    Prol' = ktr Prol ((1 - Edrug) (Base / Circ)^gamma - 1),  T1' = ktr (Prol - T1), ...,  Circ' = ktr (T3 -
    Circ) H' = febrile_hazard (0.5 - Circ) / 0.5 while Circ < 0.5, else 0

    Source
    ------
    Friberg 2002 (J Clin Oncol 20:4713), as coded in DDMODEL00000224; read. The form of H' is chosen.
    """
    conc = y.A1 / p.V1
    ktr = 4.0 / p.MTT
    feedback = exp(GAMMA * log(p.Base / maximum(y.Circ, 1e-9)))  # the floor guards a trial step only
    return (
        u.rate - (p.CL / p.V1 + K12 + K13) * y.A1 + K21 * y.A2 + K31 * y.A3,
        K12 * y.A1 - K21 * y.A2,
        K13 * y.A1 - K31 * y.A3,
        ktr * y.Prol * ((1.0 - p.slope * conc) * feedback - 1.0),
        ktr * (y.Prol - y.T1),
        ktr * (y.T1 - y.T2),
        ktr * (y.T2 - y.T3),
        ktr * (y.T3 - y.Circ),
        p.febrile_hazard / 24.0 * maximum(SEVERE - y.Circ, 0.0) / SEVERE,
    )


SYSTEM = System(
    name="docetaxel-neutrophils",
    states=STATES,
    parameters=PARAMETERS,
    inputs=("rate",),
    rhs=derivatives,
    time_unit="hour",
)


def before_treatment(base: np.ndarray) -> np.ndarray:
    """States (twin, state) without drug: the five cell compartments rest at `base` (array, 10^9/L)."""
    rest = np.zeros((base.size, len(STATES)))
    rest[:, STATES.index("Prol") : CIRC + 1] = base[:, None]
    return rest
