"""The stiff method: its order, stiff problems with known solutions, forcing in time, and pivots that vanish."""

import math

import numpy as np
import pytest

from twinarm.models.engine import System, solve
from twinarm.models.engine.math import cos, sin
from twinarm.models.engine.reference import reference_solution
from twinarm.models.model import Status, Tolerance


def robertson(t, y, p, u):
    slow, fast = 0.04 * y.a - 1e4 * y.b * y.c, 3e7 * y.b * y.b
    return -slow, slow - fast, fast


ROBERTSON = System("robertson", ("a", "b", "c"), (), (), robertson, "second")


def test_robertson_matches_its_published_solution():
    """Hairer & Wanner, Solving Ordinary Differential Equations II, and the IVP test set: values at t = 40 and 4e5."""
    found = solve(
        ROBERTSON, [[1.0, 0.0, 0.0]], np.zeros((1, 0)), 0.0, 4e5, None, [40.0, 4e5], Tolerance(1e-8, 1e-14),
        method="rodas5p",
    )  # fmt: skip
    assert found.samples[0, 0] == pytest.approx([0.7158270688, 9.185534765e-6, 0.2841637457], rel=1e-6)
    assert found.samples[0, 1] == pytest.approx([4.938270e-3, 1.984984e-8, 0.9950617], rel=1e-4)
    assert found.samples[0].sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-9)
    assert found.steps[0] < 1000  # an explicit method needs tens of millions


def forced(t, y, p, u):
    """Prothero and Robinson 1974: y follows sin(t), however stiff."""
    return (-p.k * (y.x - sin(t)) + cos(t),)


FORCED = System("forced", ("x",), ("k",), (), forced, "second")


@pytest.mark.parametrize("k", [1.0, 1e3, 1e6])
def test_a_stiff_system_driven_in_time_follows_its_known_solution(k):
    times = np.linspace(0.0, 10.0, 41)
    found = solve(FORCED, [[0.0]], [[k]], 0.0, 10.0, None, times, Tolerance(1e-8, 1e-10), method="rodas5p")
    assert np.abs(found.samples[0, :, 0] - np.sin(times)).max() < 1e-5
    assert found.steps[0] < 1000


def test_the_error_falls_with_the_fifth_power_of_the_step():
    """A tolerance a thousand times smaller takes about 1000 ** (1 / 5) = 4 times the steps of a smooth problem."""

    def pendulum(t, y, p, u):
        return y.v, -sin(y.x) + 0.1 * cos(t)

    system = System("pendulum", ("x", "v"), (), (), pendulum, "second")
    truth = reference_solution(system, np.array([1.0, 0.0]), np.empty(0), 0.0, 20.0, None, np.array([20.0]), rtol=1e-12)
    steps, errors = [], []
    for rtol in (1e-6, 1e-9):
        found = solve(
            system, [[1.0, 0.0]], np.zeros((1, 0)), 0.0, 20.0, None, [20.0], Tolerance(rtol, rtol), method="rodas5p"
        )
        steps.append(found.steps[0])
        errors.append(np.abs(found.samples[0] - truth).max())
    order = math.log(errors[0] / errors[1]) / math.log(steps[1] / steps[0])
    assert 4.0 < order < 7.0


def test_a_vanishing_pivot_shortens_the_step_and_is_no_failure():
    """1 / (gamma h) - k is zero for one length of step; growth at the rate k passes through it."""
    gamma = 0.21193756319429014

    def saddle(t, y, p, u):
        return p.k * y.a + y.b, y.a - y.b

    system = System("saddle", ("a", "b"), ("k",), (), saddle, "second")
    rates = np.array([[1.0 / (gamma * h)] for h in np.linspace(0.5, 4.0, 64)])
    found = solve(system, np.full((64, 2), 1e-3), rates, 0.0, 1.0, None, [1.0], Tolerance(1e-7, 1e-9), method="rodas5p")
    assert (found.status == Status.COMPLETED).all()
    explicit = solve(system, np.full((64, 2), 1e-3), rates, 0.0, 1.0, None, [1.0], Tolerance(1e-9, 1e-11))
    assert found.samples == pytest.approx(explicit.samples, rel=1e-4)
