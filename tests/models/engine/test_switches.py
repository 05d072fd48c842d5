"""Steps end at kinks: the error of a kinked system falls with the tolerance, and no jump holds a twin up for ever."""

import numpy as np
import pytest

from twinarm.models.engine import System, solve
from twinarm.models.engine.math import floor, maximum, where
from twinarm.models.model import Status, Tolerance


def pulses(t, y, p, u):
    return maximum(y.c, 0.0), y.c, -y.s


PULSES = System("pulses", ("x", "s", "c"), (), (), pulses, "second")


def integral(t):
    """Of max(cos, 0) from 0 to t."""
    turns, rest = np.divmod(np.asarray(t) + np.pi / 2, 2 * np.pi)
    return 2.0 * turns + np.where(rest < np.pi, 1.0 - np.cos(rest), 2.0) - 1.0


@pytest.mark.parametrize("method", ["tsit5", "dop853", "rodas5p"])
@pytest.mark.parametrize("rtol", [1e-5, 1e-7, 1e-9])
def test_the_error_of_a_kinked_system_falls_with_the_tolerance(method, rtol):
    times = np.linspace(0.0, 40.0, 81)
    found = solve(
        PULSES, [[0.0, 0.0, 1.0]], np.zeros((1, 0)), 0.0, 40.0, None, times, Tolerance(rtol, rtol), method=method
    )
    assert np.abs(found.samples[0, :, 0] - integral(times)).max() < 30 * rtol


@pytest.mark.parametrize("method", ["tsit5", "dop853", "rodas5p"])
def test_a_jump_is_met_where_it_is(method):
    def sawtooth(t, y, p, u):
        phase = t - floor(t)
        return where(phase < 0.3, 1.0, 0.0), 6.0 * y.c, -6.0 * y.s  # the oscillation keeps steps from leaping over

    system = System("sawtooth", ("x", "s", "c"), (), (), sawtooth, "second")
    tolerance = Tolerance(1e-6, 1e-8, max_steps=20_000)
    found = solve(
        system, np.full((9, 3), [0.0, 0.0, 1.0]), np.zeros((9, 0)), 0.0, 20.0, None, [20.0], tolerance, method=method
    )
    assert (found.status == Status.COMPLETED).all()
    assert found.samples[:, 0, 0] == pytest.approx(np.full(9, 6.0), rel=2e-6)


@pytest.mark.parametrize("method", ["tsit5", "dop853", "rodas5p"])
def test_a_change_there_and_back_within_one_step_is_not_missed(method):
    """A parabola is solved exactly by a step of any length; what rises above zero has area 4/3 top^1.5."""
    top = 0.04

    def hump(t, y, p, u):
        return maximum(y.x, 0.0), y.v, -2.0

    system = System("hump", ("area", "x", "v"), (), (), hump, "second")
    found = solve(
        system,
        [[0.0, top - 25.0, 10.0]],
        np.zeros((1, 0)),
        0.0,
        10.0,
        None,
        [10.0],
        Tolerance(1e-6, 1e-6),
        method=method,
    )
    assert found.samples[0, 0, 0] == pytest.approx(4.0 / 3.0 * top**1.5, rel=1e-3)


def test_solutions_that_slide_along_a_jump_end_as_a_status():
    def sliding(t, y, p, u):
        return (where(y.x > 1.0, -1.0, 1.0),)

    system = System("sliding", ("x",), (), (), sliding, "second")
    found = solve(system, [[0.0], [-9.0]], np.zeros((2, 0)), 0.0, 5.0, tolerance=Tolerance(max_steps=10_000))
    assert found.status.tolist() == [Status.STEP_LIMIT, Status.COMPLETED]
    assert found.failed_at[0] == pytest.approx(1.0, abs=0.1) and found.end_state[1, 0] == pytest.approx(-4.0)
