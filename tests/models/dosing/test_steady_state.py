"""Periodic states of nonlinear systems: a long run of doses, a closed balance, and systems that have none."""

import numpy as np
import pytest

from twinarm.models.dosing import Compartment, Layout, make_events, periodic_state, simulate
from twinarm.models.engine import Records, System
from twinarm.models.model import Status, Tolerance


def saturable(t, y, p, u):
    conc = y.blood / p.V
    return -p.ka * y.gut, p.ka * y.gut - p.Vmax * conc / (p.Km + conc), p.Vmax * conc / (p.Km + conc)


MM = System("saturable", ("gut", "blood", "gone"), ("ka", "Vmax", "Km", "V"), (), saturable, "hour")
LAYOUT = Layout((Compartment("gut"), Compartment("blood")))
P = np.array([[1.0, 10.0, 2.0, 50.0], [0.5, 5.0, 0.3, 20.0], [1.0, 4.0, 1.0, 50.0]])
DAILY = 100.0  # mg; the third twin eliminates at most 96 mg a day


def test_saturable_elimination_reaches_the_state_of_a_long_run():
    steady = simulate(MM, LAYOUT, make_events(0, DAILY, ii=24, ss=1, addl=2), P[:2], times=[0.0, 10.0, 40.0],
                      tolerance=Tolerance(1e-9, 1e-11), free=("gone",))  # fmt: skip
    days = 400
    long = simulate(MM, LAYOUT, make_events(0, DAILY, ii=24, addl=days + 2), P[:2],
                    times=np.array([0.0, 10.0, 40.0]) + 24 * days, tolerance=Tolerance(1e-9, 1e-11))  # fmt: skip
    assert (steady.status == Status.COMPLETED).all()
    assert steady.samples[..., :2] == pytest.approx(long.samples[..., :2], rel=1e-6)


def test_at_steady_state_a_dose_is_eliminated_in_an_interval():
    found = simulate(MM, LAYOUT, make_events(0, DAILY, ii=24, ss=1), P[:2], times=[0.0, 24.0], free=("gone",))
    assert found.samples[:, 1, 2] - found.samples[:, 0, 2] == pytest.approx(DAILY, rel=1e-5)


def test_a_dose_above_the_capacity_to_eliminate_has_no_steady_state():
    found = simulate(MM, LAYOUT, make_events(0, DAILY, ii=24, ss=1), P, times=[0.0, 24.0], free=("gone",))
    assert found.status.tolist() == [Status.COMPLETED, Status.COMPLETED, Status.ROOT_NOT_FOUND]
    assert np.isnan(found.samples[2]).all() and found.failed_at[2] == 0.0


def test_an_integral_that_only_grows_is_said_to_have_no_steady_state():
    found = simulate(MM, LAYOUT, make_events(0, DAILY, ii=24, ss=1), P[:1], times=[0.0])
    assert found.status[0] == Status.ROOT_NOT_FOUND


def test_a_linear_system_is_exact_and_as_cheap_as_a_few_intervals():
    slow = System("slow", ("x",), ("k",), (), lambda t, y, p, u: (-p.k * y.x,), "hour")
    records = Records(np.zeros((2, 1)), np.zeros((2, 1), np.int64), np.full((2, 1), 10.0))
    k = np.array([[1e-4], [0.3]])
    found = periodic_state(slow, k, 24.0, records, np.zeros((2, 1)), tolerance=Tolerance(1e-8, 1e-10))
    decay = np.exp(-24 * k[:, 0])
    assert found.y[:, 0] == pytest.approx(10 * decay / (1 - decay), rel=1e-6)  # 400 doses' worth in the slow one
    assert found.intervals < 20


def baseline(t, y, p, u):
    conc = y.blood / p.V
    return -p.CL * conc, p.kin * (1 - conc / (p.IC50 + conc)) - p.kout * y.response


TURNOVER = System("turnover", ("blood", "response"), ("CL", "V", "kin", "kout", "IC50"), (), baseline, "hour")


def test_a_body_with_a_baseline_starts_from_it():
    p = np.array([[2.0, 20.0, 5.0, 0.1, 1.0]])
    layout, y0 = Layout((Compartment("blood"),)), np.array([[0.0, 50.0]])
    steady = simulate(TURNOVER, layout, make_events(0, 50, ii=12, ss=1, addl=1), p, y0, times=[0.0, 20.0])
    long = simulate(TURNOVER, layout, make_events(0, 50, ii=12, addl=101), p, y0, times=[1200.0, 1220.0])
    assert steady.samples == pytest.approx(long.samples, rel=1e-5)
    back = simulate(TURNOVER, layout, make_events([0, 30], [50, 0], evid=[1, 3]), p, y0, times=[30.0, 60.0])
    assert back.samples[0] == pytest.approx(np.array([[0.0, 50.0], [0.0, 50.0]]), rel=1e-9)


def test_doses_add_to_a_baseline_what_they_add_to_it_alone():
    """SS 2 superposes the doses alone: neither the baseline nor what was left in the body is counted twice."""

    def linear(t, y, p, u):
        return (p.kin - p.k * y.x,)

    made = System("made", ("x",), ("k", "kin"), (), linear, "hour")
    p = np.array([[0.2, 3.0], [0.2, 0.0]])
    y0 = np.array([[15.0], [40.0]])  # the baseline, and an amount left over
    found = simulate(made, Layout((Compartment("x"),)), make_events(5, 10, ii=8, ss=2), p, y0, times=[0.0, 5.0, 9.0])
    peak = 10 / (1 - np.exp(-1.6))
    assert found.samples[0, 1:, 0] == pytest.approx(15 + peak * np.exp([0, -0.8]), rel=1e-6)
    assert found.samples[1, 1:, 0] == pytest.approx((40 * np.exp(-1.0) + peak) * np.exp([0, -0.8]), rel=1e-6)
