"""RECIST at visits, new lesions, and overall survival; time in days, rates in 1/week."""

from __future__ import annotations

import numpy as np

from .tumour import KG_TYPICAL

PROGRESSION, PROGRESSION_MM = 0.20, 5.0  # RECIST 1.1 (Eisenhauer 2009), target lesions
# Struemper 2025, log-normal accelerated failure time; read.
MU, MU_KG, KG_HALF = 6.94, -6.91, 0.109
MU_TSB, MU_TTG, MU_ALBUMIN, MU_PROTEIN, MU_NLR = -0.00366, 0.0124, 0.0452, 0.0194, -0.0141
TSB_CENTRE, TTG_CENTRE, ALBUMIN_CENTRE, PROTEIN_CENTRE, NLR_CENTRE = 100.0, 39.9, 39.4, 71.0, 4.1
NLR_CAP = 100.0
SIGMA = float(np.exp(-0.331))  # 0.718
EARLY = 42.0  # day: survival sees the mean intensity of the first six weeks; chosen
NEW_LESION_KG_POWER = 0.5  # chosen


def time_to_growth(kg: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Time at which growth overtakes shrinkage: max(ln(KS / KG) / (KG + KS), 0); 1/week, array, week.

    Notes
    -----
    It rises with KS only up to KS = 3.59 KG (where ln x = 1 + 1 / x) and falls beyond: a tumour that shrinks faster
    has its smallest size earlier. Survival of the source, and a dose effect on it, inherit this.
    """
    ratio = np.maximum(ks / kg, 1.0)  # below 1 (also no drug at all) growth has the upper hand from the start
    return np.asarray(np.log(ratio) / (kg + ks))


def log_survival_mean(
    kg: np.ndarray,
    ks: np.ndarray,
    tsb: np.ndarray,
    albumin: np.ndarray,
    total_protein: np.ndarray,
    nlr: np.ndarray,
) -> np.ndarray:
    """Mean of ln(overall survival in days) of each twin.

    Parameters
    ----------
    kg, ks : array, 1/week
        `ks` is that of the twin times the mean dose intensity of the first six weeks.
    tsb, albumin, total_protein, nlr : array, mm, g/L, g/L, 1

    Returns
    -------
    array, ln day

    Source
    ------
    Struemper 2025, read.
    """
    return np.asarray(
        MU
        + MU_KG * kg / (kg + KG_HALF)
        + MU_TSB * (tsb - TSB_CENTRE)
        + MU_TTG * (time_to_growth(kg, ks) - TTG_CENTRE)
        + MU_ALBUMIN * (albumin - ALBUMIN_CENTRE)
        + MU_PROTEIN * (total_protein - PROTEIN_CENTRE)
        + MU_NLR * (np.minimum(nlr, NLR_CAP) - NLR_CENTRE)
    )


def new_lesion_day(exponential: np.ndarray, hazard: float, kg: np.ndarray) -> np.ndarray:
    """Day on which a new lesion appears: hazard (1/week) x (KG / typical KG)^0.5, constant in time; chosen.

    `exponential` holds standard exponentials; no lesion (inf) where the hazard is 0.
    """
    rate = hazard * (kg / KG_TYPICAL) ** NEW_LESION_KG_POWER
    with np.errstate(divide="ignore"):
        return np.asarray(7.0 * exponential / rate)


def progression_day(sizes: np.ndarray, visits: np.ndarray, lesion_day: np.ndarray) -> np.ndarray:
    """Visit at which progression is seen: +20 % and at least 5 mm above the running minimum, or a new lesion.

    Parameters
    ----------
    sizes : array (twin, 1 + visit), mm
        Measured sizes, baseline first.
    visits, lesion_day : array (visit,) and (twin,), day

    Returns
    -------
    array (twin,), day; inf where no visit shows progression

    Source
    ------
    RECIST 1.1 (Eisenhauer 2009, Eur J Cancer 45:228).
    """
    lowest = np.minimum.accumulate(sizes, axis=1)[:, :-1]
    growth = sizes[:, 1:] - lowest
    seen = (growth >= PROGRESSION_MM) & (growth >= PROGRESSION * lowest)
    seen |= lesion_day[:, None] <= visits
    return np.asarray(np.min(np.where(seen, visits, np.inf), axis=1, initial=np.inf))
