"""Tumour size, RECIST and survival of the docetaxel model: closed forms against integration, limits, worked cases."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from twinarm.models.library.docetaxel_nsclc import survival, tumour

NEVER = np.inf


def test_size_solves_its_differential_equation():
    dose_day = np.array([[0.0, 21.0, 49.0, NEVER]])  # the third dose a week late
    dose = np.array([[100.0, 75.0, 55.0, 0.0]])
    tsb, kg, ks = np.array([90.0]), np.array([0.02]), np.array([0.05])

    def intensity(day):
        acting = (dose_day[0] <= day) & (day < dose_day[0] + 21)
        return (dose[0] * acting).sum() / 75

    g, s, found = 1.0, 1.0, []
    edges = [0.0, 21.0, 42.0, 49.0, 70.0, 120.0]
    for start, end in pairwise(edges):
        r = intensity(start)
        step = solve_ivp(
            lambda _, y, r=r: [0.02 / 7 * y[0], -0.05 / 7 * r * y[1]], (start, end), [g, s], rtol=1e-11, atol=1e-13
        )
        g, s = step.y[:, -1]
        found.append(90.0 * (g + s - 1))
    days = np.array(edges[1:])
    weeks = tumour.dose_weeks(days, dose_day, dose)
    assert tumour.size(days, weeks, tsb, kg, ks)[0] == pytest.approx(found, rel=1e-8)


def test_constant_intensity_is_the_published_form():
    dose_day, dose = 21.0 * np.arange(10)[None, :], np.full((1, 10), 75.0)
    days = np.array([0.0, 10.0, 100.0, 210.0])
    size = tumour.size(
        days, tumour.dose_weeks(days, dose_day, dose), np.array([86.0]), np.array([0.018]), np.array([0.036])
    )
    week = days / 7
    assert size[0] == pytest.approx(86 * (np.exp(0.018 * week) + np.exp(-0.036 * week) - 1), rel=1e-12)


def test_time_to_growth():
    kg, ks = np.array([0.01822, 0.02, 0.02]), np.array([0.03566, 0.01, 0.0])
    assert survival.time_to_growth(kg, ks) == pytest.approx([12.464, 0, 0], abs=1e-3)
    # There the growth of the size is zero.
    t = survival.time_to_growth(kg[:1], ks[:1])
    assert kg[0] * np.exp(kg[0] * t) == pytest.approx(ks[0] * np.exp(-ks[0] * t), rel=1e-12)


VISITS = np.array([42.0, 84.0, 126.0])


@pytest.mark.parametrize(
    ("sizes", "lesion", "expected"),
    [
        ([100, 80, 60, 71], NEVER, NEVER),  # +18 % over 60
        ([100, 80, 60, 72], NEVER, 126.0),  # +20 % and 12 mm
        ([20, 18, 20, 22], NEVER, NEVER),  # +22 % but 4 mm
        ([100, 121, 60, 60], NEVER, 42.0),  # above baseline
        ([100, 80, 60, 60], 43.0, 84.0),  # a new lesion is seen at the next visit
        ([100, 80, 60, 60], 42.0, 42.0),
        ([100, 80, 60, 60], 127.0, NEVER),  # nobody looks any more
    ],
)
def test_progression(sizes, lesion, expected):
    found = survival.progression_day(np.array([sizes], float), VISITS, np.array([lesion]))
    assert found[0] == expected


def test_no_new_lesion_without_hazard():
    assert np.isinf(survival.new_lesion_day(np.array([1.0]), 0.0, np.array([0.02])))


def test_residual_of_measurements():
    z = np.random.default_rng(3).standard_normal(200_000)
    sizes = tumour.measured(np.full(z.size, 100.0), z)
    expected = np.sqrt(6.324 + 0.01276 * 100**2)
    assert sizes.std() == pytest.approx(expected, abs=4 * expected / np.sqrt(2 * z.size))
    assert tumour.measured(np.array([2.0]), np.array([-9.0])) == 0
