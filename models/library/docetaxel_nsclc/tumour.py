"""Tumour size under docetaxel: growth and shrinkage at once, shrinkage in proportion to dose; in weeks."""

from __future__ import annotations

import numpy as np

# Struemper 2025 (CPT Pharmacometrics Syst Pharmacol 14:1006), docetaxel arm; read.
TSB_TYPICAL, TSB_PER_LESION, LESIONS_CENTRE = 86.07, 0.288, 3.0  # mm, per target lesion
KG_TYPICAL, KS_TYPICAL = 0.01822, 0.03566  # 1/week
LDH_MEDIAN, KG_LDH = 225.5, 0.474  # IU/L, exponent
RESIDUAL_ADDITIVE, RESIDUAL_PROPORTIONAL = 6.324, 0.01276  # mm2, squared fraction
REFERENCE_DOSE = 75.0  # mg/m2: the dose at which KS was estimated
DOSE_LASTS = 21.0  # day: a dose acts for the interval at which KS was estimated; chosen


def typical_baseline(n_target: np.ndarray) -> np.ndarray:
    """Sum of longest diameters before treatment, array, mm, for a number of target lesions (1-5)."""
    return np.asarray(TSB_TYPICAL * (1 + TSB_PER_LESION * (n_target - LESIONS_CENTRE)))


def typical_growth(ldh: np.ndarray) -> np.ndarray:
    """Growth rate KG, array, 1/week, at a lactate dehydrogenase (array, IU/L)."""
    return np.asarray(KG_TYPICAL * (ldh / LDH_MEDIAN) ** KG_LDH)


def dose_weeks(day: np.ndarray, dose_day: np.ndarray, dose: np.ndarray) -> np.ndarray:
    """Weeks at the reference dose that a course of doses is worth by `day`: the exact integral of r.

    r(t) = sum over doses of dose / 75 mg/m2 for 21 days after each,  R(t) = integral of r from 0 to t

    Parameters
    ----------
    day : array (time,) or (twin, time), day
    dose_day, dose : array (twin, cycle), day and mg/m2
        A dose that is not given has day inf and dose 0.

    Returns
    -------
    array (twin, time), week

    >>> dose_weeks(np.array([10.5, 42.0]), np.array([[0.0, 28.0]]), np.array([[75.0, 37.5]]))
    array([[1.5, 4. ]])
    """
    times = np.broadcast_to(day, (dose.shape[0], np.shape(day)[-1]))
    total = np.zeros(times.shape)
    for cycle in range(dose.shape[1]):  # a loop, so that the order of addition never depends on the block
        acted = np.clip(times - dose_day[:, cycle, None], 0.0, DOSE_LASTS)
        total += dose[:, cycle, None] / REFERENCE_DOSE * acted / 7.0
    return total


def size(day: np.ndarray, weeks: np.ndarray, tsb: np.ndarray, kg: np.ndarray, ks: np.ndarray) -> np.ndarray:
    """Sum of longest diameters; closed form of growth g and shrinkage s with piecewise constant intensity r.

    TS = TSb (g + s - 1),  g' = KG g,  s' = -KS r(t) s,  g(0) = s(0) = 1

    Parameters
    ----------
    day, weeks : array (time,) and (twin, time), day and week
        Time, and `dose_weeks` by then.
    tsb, kg, ks : array (twin,), mm, 1/week, 1/week

    Returns
    -------
    array (twin, time), mm

    Source
    ------
    Struemper 2025 after Stein 2008, read; the intensity r is chosen (shrinkage in proportion to dose).
    """
    grown = np.exp(kg[:, None] * (np.asarray(day) / 7.0))
    return np.asarray(tsb[:, None] * (grown + np.exp(-ks[:, None] * weeks) - 1.0))


def measured(true_size: np.ndarray, z: np.ndarray) -> np.ndarray:
    """What a reader measures: true size (array, mm) plus a residual of standard normals `z`; not below 0."""
    sd = np.sqrt(RESIDUAL_ADDITIVE + RESIDUAL_PROPORTIONAL * true_size**2)
    return np.maximum(true_size + sd * z, 0.0)
