"""Docetaxel in plasma and neutrophils: label values, conservation, a typical subject, an independent solver."""

import numpy as np
import pytest

from twinarm.models.engine import Records, solve
from twinarm.models.engine.reference import reference_solution
from twinarm.models.library.docetaxel_nsclc import pharmacology as pk
from twinarm.models.model import Tolerance

BSA, INFUSION = 1.8, 1.0


def typical(CL=37.8, febrile_hazard=0.0):
    return np.array([[CL, pk.V1_TYPICAL, pk.BASE_TYPICAL, pk.MTT_TYPICAL, pk.SLOPE_TYPICAL, febrile_hazard]])


def infusion(per_area):
    records = Records.empty(1, 2)
    records.time[:] = [0.0, INFUSION]
    records.target[:] = pk.SYSTEM.input_target("rate")
    records.value[:, 0] = per_area * BSA / INFUSION
    return records


def after_dose(per_area, times, p, rtol=1e-8):
    start = pk.before_treatment(np.array([pk.BASE_TYPICAL]))
    tolerance = Tolerance(rtol=rtol, atol=rtol * 1e-2)
    return solve(pk.SYSTEM, start, p, 0.0, float(times[-1]), infusion(per_area), times, tolerance).samples[0]


def concentration(states):
    return states[:, pk.SYSTEM.state("A1")] / pk.V1_TYPICAL


# Label (Swiss text): CL 21 L/h/m2; Cmax 3.7 mg/L and AUC 4.6 mg h/L after 100 mg/m2; tolerances of the model sheet.
def test_label_values():
    typical_cl = pk.clearance(BSA, 1.34, 56.0, 40.0, 0.0)
    assert typical_cl / BSA == pytest.approx(21.0, rel=0.05)
    times = np.linspace(0.0, 240.0, 24_001)
    conc = concentration(after_dose(100.0, times, typical(CL=float(typical_cl))))
    assert conc.max() == pytest.approx(3.7, rel=0.10)
    assert np.trapezoid(conc, times) == pytest.approx(4.6, rel=0.10)
    late = (times > 60) & (times < 120)
    slope = np.polyfit(times[late], np.log(conc[late]), 1)[0]
    assert -np.log(2) / slope == pytest.approx(11.1, rel=0.10)


@pytest.mark.parametrize("CL", [20.0, 37.8, 60.0])
def test_exposure_is_dose_over_clearance(CL):
    times = np.concatenate([np.linspace(0, 2, 4001), np.linspace(2, 400, 40_001)[1:]])
    conc = concentration(after_dose(75.0, times, typical(CL=CL)))
    assert np.trapezoid(conc, times) == pytest.approx(75.0 * BSA / CL, rel=1e-4)


# Own measurement of the model sheet with another program, typical subject: DDMODEL00000224.
@pytest.mark.parametrize(("per_area", "nadir", "day", "below"), [(100.0, 0.21, 8.5, 4.6), (75.0, 0.43, 7.9, 2.0)])
def test_typical_neutrophils(per_area, nadir, day, below):
    hours = np.arange(0.0, 21 * 24 + 0.5, 1.0)
    anc = after_dose(per_area, hours, typical())[:, pk.CIRC]
    assert anc.min() == pytest.approx(nadir, abs=0.006)
    assert hours[anc.argmin()] / 24 == pytest.approx(day, abs=0.1)
    assert (anc < 0.5).sum() / 24 == pytest.approx(below, abs=0.15)


def test_typical_peak_and_overshoot():
    hours = np.arange(0.0, 21 * 24 + 0.5, 1.0)
    states = after_dose(100.0, hours, typical())
    assert concentration(states).max() == pytest.approx(3.53, abs=0.01)
    assert states[-1, pk.CIRC] == pytest.approx(6.8, abs=0.05)


def test_rest_without_drug():
    states = after_dose(0.0, np.array([0.0, 504.0]), typical(febrile_hazard=0.035))
    assert np.array_equal(states[0], states[1])


def test_against_another_solver():
    times = np.array([0.0, 0.5, 1.0, 5.0, 48.0, 192.0, 204.0, 504.0])
    p = typical(febrile_hazard=0.035)
    start = pk.before_treatment(np.array([pk.BASE_TYPICAL]))
    expected = reference_solution(pk.SYSTEM, start[0], p[0], 0.0, 504.0, infusion(100.0), times, rtol=1e-10)
    found = after_dose(100.0, times, p, rtol=1e-6)
    assert np.max(np.abs(found - expected) / (np.abs(expected) + 1e-3)) < 1e-4


def test_febrile_hazard_is_the_integral_of_the_deficit():
    hours = np.arange(0.0, 505.0, 0.25)
    states = after_dose(100.0, hours, typical(febrile_hazard=0.035))
    deficit = np.maximum(0.5 - states[:, pk.CIRC], 0.0) / 0.5
    assert states[-1, pk.FEBRILE] == pytest.approx(np.trapezoid(0.035 / 24 * deficit, hours), rel=1e-5)


# Factors of Netterberg 2017 (DDMODEL00000224) as read in the model sheet.
def test_covariates_of_neutrophils():
    base = pk.baseline_neutrophils(
        female=np.array([0, 1, 0, 0, 0, 0]),
        ecog=np.array([0, 0, 2, 0, 0, 0]),
        pretreated=np.array([0, 0, 0, 1, 0, 0]),
        aag=np.array([1.34, 1.34, 1.34, 1.34, 0.34, 2.34]),
    )
    assert base / 5.22 == pytest.approx([1, 0.879, 1.130, 0.853, 0.825, 1.495])
    assert pk.typical_slope(np.array([1.34, 2.34, 9.0])) / 19.27 == pytest.approx([1, 0.649, 0.05], rel=1e-3)


def test_liver_impairment_lowers_clearance():
    assert pk.clearance(1.8, 1.34, 60, 40, 1.0) / pk.clearance(1.8, 1.34, 60, 40, 0.0) == pytest.approx(0.73)
