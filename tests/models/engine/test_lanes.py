"""Twins in lanes: the same bits for any number of lanes, any company and any order; a failed twin is a status."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from twinarm.models.engine import Records, System, solve
from twinarm.models.engine.math import cos, exp, floor, log, maximum, sin, sqrt, tanh, where
from twinarm.models.model import Status, Tolerance


def everything(t, y, p, u):
    """Every operation that a right-hand side may hold."""
    gate = where(y.a > p.edge, 1.0 + y.a - p.edge, 1.0)
    return (
        -p.k * gate * y.a + u.drive * tanh(y.b) + 0.1 * sin(t) * cos(0.3 * t),
        p.k * y.a - y.b**1.7 / (1.0 + y.b**1.7) + sqrt(1.0 + y.a * y.a) * exp(-t) + 0.01 * (t - floor(t)),
        log(1.0 + maximum(y.a, 0.0)) - y.c**2 * p.k + p.burst * y.c**3,
    )


EVERYTHING = System("everything", ("a", "b", "c"), ("k", "edge", "burst"), ("drive",), everything, "hour")
TWINS = 37
TIMES = np.linspace(0.0, 12.0, 31)


def cohort():
    draw = np.random.default_rng(5)
    p = draw.uniform([0.2, 0.1, 0.0], [2.0, 1.0, 0.0], (TWINS, 3))
    p[[3, 4, 20], 2] = 9.0  # these blow up
    p[11, 0] = np.nan
    y0 = draw.uniform(0.5, 2.0, (TWINS, 3))
    records = Records(
        np.sort(draw.uniform(0, 12, (TWINS, 4))), draw.integers(0, 4, (TWINS, 4)), draw.uniform(0, 1, (TWINS, 4))
    )
    return y0, p, records, draw.uniform(8.0, 12.0, TWINS)


def run(rows, lanes, tolerance=None, method="tsit5"):
    y0, p, records, stop = cohort()
    mine = Records(records.time[rows], records.target[rows], records.value[rows])
    return solve(EVERYTHING, y0[rows], p[rows], 0.0, stop[rows], mine, TIMES, tolerance, method=method, lanes=lanes)


def all_bytes(found):
    return [getattr(found, name).tobytes() for name in found.__dataclass_fields__]


METHODS = ["auto", "tsit5", "dop853", "rodas5p"]


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_lanes_changes_no_bit(method, lanes):
    rows = np.arange(TWINS)
    assert all_bytes(run(rows, lanes, method=method)) == all_bytes(run(rows, 8, method=method))


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10_000), size=st.integers(1, TWINS))
@settings(max_examples=25, deadline=None)
def test_company_and_order_change_no_bit_even_beside_twins_that_fail(method, seed, size):
    rows = np.random.default_rng(seed).permutation(TWINS)[:size]
    whole, part = run(np.arange(TWINS), 8, method=method), run(rows, 8, method=method)
    for name in whole.__dataclass_fields__:
        assert getattr(part, name).tobytes() == getattr(whole, name)[rows].tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_only_the_twins_that_blow_up_fail(method):
    found = run(np.arange(TWINS), 8, method=method)
    failed = np.flatnonzero(found.status != Status.COMPLETED)
    assert failed.tolist() == [3, 4, 11, 20]
    assert np.isnan(found.samples[failed]).all() and np.isnan(found.y_end[failed]).all()
    assert found.status[11] == Status.NON_FINITE
    assert np.isfinite(found.samples[0, TIMES <= 8.0]).all()


def test_samples_beyond_the_twins_own_stop_are_not_there():
    found = run(np.arange(TWINS), 8)
    stop = cohort()[3]
    fine = found.status == Status.COMPLETED
    assert (np.isnan(found.samples[fine, :, 0]) == (stop[fine, None] < TIMES)).all()


def test_the_step_limit_is_the_twins_own():
    found = run(np.arange(TWINS), 8, Tolerance(max_steps=60))
    enough = run(np.arange(TWINS), 8)
    beyond = (enough.steps > 60) & (enough.status == Status.COMPLETED)
    assert beyond.any() and (found.status[beyond] == Status.STEP_LIMIT).all()
    assert (found.steps[beyond] == 60).all()


def test_sample_times_may_be_each_twins_own():
    y0, p, _, _ = cohort()
    rows = np.array([0, 1, 2])
    own = np.array([[0.0, 1.0, 2.0], [0.5, 1.5, 2.5], [2.0, 2.0, 3.0]])
    found = solve(EVERYTHING, y0[rows], p[rows], 0.0, 3.0, sample_times=own)
    for k in rows:
        alone = solve(EVERYTHING, y0[k : k + 1], p[k : k + 1], 0.0, 3.0, sample_times=own[k])
        assert found.samples[k].tobytes() == alone.samples.tobytes()
    with pytest.raises(ValueError, match="3 rows for 2 twins"):
        solve(EVERYTHING, y0[:2], p[:2], 0.0, 3.0, sample_times=own)


@pytest.mark.parametrize(("method", "least"), [("tsit5", 4.5), ("dop853", 6.5), ("rodas5p", 4.0)])
def test_the_error_falls_with_the_order_of_the_method(method, least):
    """Over a smooth orbit, from the steps that two tolerances take."""

    def orbit(t, y, p, u):
        cube = (y.x * y.x + y.y * y.y) ** 1.5
        return y.vx, y.vy, -y.x / cube, -y.y / cube

    system = System("orbit", ("x", "y", "vx", "vy"), (), (), orbit, "second")
    steps, errors = [], []
    for rtol in (1e-5, 1e-8):
        start = [[1.0, 0.0, 0.0, 1.0]]
        found = solve(system, start, np.zeros((1, 0)), 0.0, 6.0, None, [6.0], Tolerance(rtol, rtol), method=method)
        steps.append(found.steps[0])
        errors.append(np.hypot(found.samples[0, 0, 0] - np.cos(6.0), found.samples[0, 0, 1] - np.sin(6.0)))
    assert np.log(errors[0] / errors[1]) / np.log(steps[1] / steps[0]) > least


@pytest.mark.parametrize("method", METHODS)
def test_samples_inside_a_step_are_as_good_as_its_ends(method):
    def decay(t, y, p, u):
        return (-p.k * y.x,)

    system = System("decay", ("x",), ("k",), (), decay, "hour")
    times = np.linspace(0.0, 4.0, 401)
    found = solve(system, [[1.0]], [[1.0]], 0.0, 4.0, None, times, Tolerance(1e-9, 1e-12), method=method)
    assert found.steps[0] < 200
    assert np.abs(found.samples[0, :, 0] - np.exp(-times)).max() < 3e-8
