"""Events against closed forms and against SciPy: found where they are, done once, and the same bits in any company."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from twinarm.models.engine import Action, Event, Records, System, hazard, solve
from twinarm.models.engine.math import where
from twinarm.models.engine.reference import reference_course
from twinarm.models.engine.trace import TraceError
from twinarm.models.model import Status, Tolerance
from twinarm.models.randomness import uniforms

METHODS = ["auto", "tsit5", "dop853", "rodas5p"]
SHARP = Tolerance(1e-10, 1e-12)
G = 9.81


def bounce(t, y, p, u):
    return {"height": 0.0, "speed": -p.kept * y.speed}


BALL = System(
    "ball", ("height", "speed"), ("kept",), (), lambda t, y, p, u: (y.speed, -G), "second",
    events=(Event("bounce", lambda t, y, p, u: y.height, "down", effect=bounce),),
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_a_ball_bounces_when_it_must(method):
    kept, height = np.array([0.5, 0.7, 0.9]), 2.0
    y0 = np.column_stack([np.full(3, height), np.zeros(3)])
    found = solve(BALL, y0, kept[:, None], 0.0, 3.0, None, [3.0], SHARP, method=method, keep_events=50)
    fall = np.sqrt(2 * height / G)
    for k, e in enumerate(kept):
        flights = 2 * fall * np.cumsum(e ** np.arange(1, 40))
        expected = fall + np.r_[0.0, flights]
        expected = expected[expected < min(3.0, expected[-1] * (1 - 1e-3))]
        times = found.event_times[k, 0]
        assert times[: expected.size] == pytest.approx(expected, rel=1e-9)
    assert (found.event_counts[1:, 0] >= 3).all()


def test_bounces_that_come_ever_closer_end_as_a_failure_and_not_in_an_endless_loop():
    found = solve(BALL, [[1.0, 0.0]], [[0.3]], 0.0, 10.0, None, [10.0], Tolerance(max_steps=50_000))
    assert found.status[0] in (Status.ROOT_NOT_FOUND, Status.STEP_LIMIT, Status.STEP_TOO_SMALL)
    rest = np.sqrt(2 / G) * (1 + 2 * 0.3 / 0.7)
    assert found.failed_at[0] == pytest.approx(rest, rel=1e-4)
    assert np.isnan(found.y_end).all() and np.isfinite(found.end_state).all()


def falling(t, y, p, u):
    return (-p.k * y.x + u.infusion,)


@pytest.mark.parametrize("method", METHODS)
def test_a_threshold_with_hysteresis_is_a_thermostat(method):
    """The drug falls to 1, a pump runs until 2: both stretches are exponentials."""
    low = Event("start", lambda t, y, p, u: y.x - 1.0, "down", effect=lambda t, y, p, u: {"infusion": p.rate})
    high = Event("stop", lambda t, y, p, u: y.x - 2.0, "up", effect=lambda t, y, p, u: {"infusion": 0.0})
    system = System("pump", ("x",), ("k", "rate"), ("infusion",), falling, "hour", events=(low, high))
    k, rate = 0.5, 3.0
    found = solve(system, [[4.0]], [[k, rate]], 0.0, 20.0, None, [20.0], SHARP, method=method, keep_events=20)
    down, up = np.log(2.0) / k, np.log((rate / k - 1.0) / (rate / k - 2.0)) / k
    starts = np.log(4.0) / k + (down + up) * np.arange(20)
    happened = found.event_counts[0]
    assert happened[0] == (starts <= 20.0).sum() and happened[1] == (starts + up <= 20.0).sum()
    assert found.event_times[0, 0, : happened[0]] == pytest.approx(starts[: happened[0]], rel=1e-8)
    assert found.event_times[0, 1, : happened[1]] == pytest.approx(starts[: happened[1]] + up, rel=1e-8)


def test_an_event_with_hysteresis_happens_again_only_after_the_way_back():
    def wave(t, y, p, u):
        return y.c, -y.s

    def system(hysteresis):
        event = Event("up", lambda t, y, p, u: y.s - 0.5, "up", hysteresis=hysteresis)
        return System("wave", ("s", "c"), (), (), wave, "hour", events=(event,))

    for hysteresis, expected in ((0.0, 4), (1.4, 4), (1.6, 1)):
        found = solve(system(hysteresis), [[0.0, 1.0]], np.zeros((1, 0)), 0.0, 8 * np.pi, None, [1.0], SHARP)
        assert found.event_counts[0, 0] == expected
    assert found.event_times[0, 0, 0] == pytest.approx(np.pi / 6, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_rise_and_fall_within_one_step_is_not_missed(method):
    """A parabola is solved exactly by steps of any length."""
    event = Event("near", lambda t, y, p, u: y.x, "up")
    system = System("arc", ("x", "v"), (), (), lambda t, y, p, u: (y.v, -2.0), "hour", events=(event,))
    top = 0.01
    found = solve(system, [[top - 25.0, 10.0]], np.zeros((1, 0)), 0.0, 10.0, None, [10.0], method=method)
    assert found.event_counts[0, 0] == 1
    assert found.event_times[0, 0, 0] == pytest.approx(5.0 - np.sqrt(top), abs=1e-5)
    assert found.samples[0, 0, 0] == pytest.approx(top - 25.0, abs=1e-4)


def test_the_first_of_two_events_in_a_step_ends_the_twin():
    ends = [Event(n, lambda t, y, p, u, n=n: y.x - getattr(p, n), "up", ends=Status.COMPLETED) for n in ("a", "b")]
    system = System("race", ("x",), ("a", "b"), (), lambda t, y, p, u: (1.0,), "day", events=tuple(ends))
    p = np.array([[5.0, 5.1], [5.1, 5.0], [20.0, 30.0]])
    times = np.array([1.0, 4.9, 5.0, 5.05, 9.0])
    found = solve(system, np.zeros((3, 1)), p, 0.0, 10.0, None, times)
    assert found.event_counts.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert found.ended_at == pytest.approx([5.0, 5.0, 10.0], rel=1e-9)
    assert (found.status == Status.COMPLETED).all() and np.isnan(found.failed_at).all()
    assert np.isnan(found.samples[0, 3:]).all() and np.isfinite(found.samples[0, :2]).all()
    assert np.isfinite(found.samples[2]).all()


def test_a_jump_over_a_threshold_happens_at_the_dose():
    event = Event("toxic", lambda t, y, p, u: y.x - 5.0, "up", effect=lambda t, y, p, u: {"x": 1.0})
    system = System("dose", ("x",), ("k", "rate"), ("infusion",), falling, "hour", events=(event,))
    records = Records(np.array([[0.0, 3.0, 7.0]]), np.zeros((1, 3), np.int64), np.array([[3.0, 9.0, 9.0]]))
    found = solve(system, [[0.0]], [[0.0, 0.0]], 0.0, 10.0, records, [0.0, 2.9, 3.0, 7.0, 10.0], keep_events=3)
    assert found.event_times[0, 0].tolist()[:2] == [3.0, 7.0] and found.event_counts[0, 0] == 2
    assert found.samples[0, :, 0].tolist() == [3.0, 3.0, 1.0, 1.0, 1.0]


def test_a_broken_constraint_fails_its_twin_with_time_and_state_and_no_other():
    limit = Event("negative", lambda t, y, p, u: y.x, "down", ends=Status.CONSTRAINT)
    system = System("drain", ("x",), ("rate",), (), lambda t, y, p, u: (-p.rate,), "hour", events=(limit,))
    free = System("drain", ("x",), ("rate",), (), lambda t, y, p, u: (-p.rate,), "hour")
    rates, y0 = np.array([[0.1], [2.0], [0.1], [0.3]]), np.array([[1.0], [1.0], [-1.0], [1.0]])
    found = solve(system, y0, rates, 0.0, 2.0, None, [2.0])
    assert found.status.tolist() == [1, Status.CONSTRAINT, Status.CONSTRAINT, 1]
    assert found.failed_at[1] == pytest.approx(0.5, rel=1e-9) and found.failed_at[2] == 0.0
    assert found.end_state[:, 0] == pytest.approx([0.8, 0.0, -1.0, 0.4], abs=1e-9)
    assert np.isnan(found.samples[[1, 2]]).all()
    assert found.samples[[0, 3], 0, 0] == pytest.approx(
        solve(free, y0, rates, 0.0, 2.0, None, [2.0]).samples[[0, 3], 0, 0]
    )


@pytest.mark.parametrize("method", METHODS)
def test_event_times_of_a_hazard_have_its_survival_function(method):
    """Weibull and Gompertz: exact inverse of H, and the law of 4,000 twins."""

    def rates(t, y, p, u):
        return (p.shape / p.scale * ((t + 1e-300) / p.scale) ** (p.shape - 1.0), p.a * y.gompertz * 0.0 + 0.0)

    def gompertz(t, y, p, u):
        return y.h, p.b * y.h

    twins = 4000
    ids = np.arange(twins)
    e = -np.log(uniforms(7, "test.hazard", ids, 1))[:, 0]
    a, b = 0.02, 0.4
    system = System("gompertz", ("H", "h"), ("E", "b"), (), gompertz, "year", events=(hazard("death", "H", "E"),))
    p = np.column_stack([e, np.full(twins, b)])
    y0 = np.column_stack([np.zeros(twins), np.full(twins, a)])
    found = solve(system, y0, p, 0.0, 60.0, tolerance=Tolerance(1e-9, 1e-11), method=method)
    exact = np.log1p(e * b / a) / b
    assert found.event_times[:, 0, 0] == pytest.approx(exact, rel=1e-7)
    assert found.ended_at == pytest.approx(exact, rel=1e-7)
    law = stats.gompertz(c=a / b, scale=1 / b)
    assert stats.kstest(found.event_times[:, 0, 0], law.cdf).pvalue > 0.01


def test_a_value_that_is_not_a_number_is_a_root_not_found():
    from twinarm.models.engine.math import log

    event = Event("log", lambda t, y, p, u: log(y.x), "down")
    system = System("nan", ("x",), (), (), lambda t, y, p, u: (-1.0,), "hour", events=(event,))
    found = solve(system, [[-1.0], [5.0]], np.zeros((2, 0)), 0.0, 1.0)
    assert found.status.tolist() == [Status.ROOT_NOT_FOUND, Status.COMPLETED]


def test_events_that_set_each_other_off_for_ever_end_as_a_failure():
    def flip(new):
        return lambda t, y, p, u: {"x": new}

    up = Event("up", lambda t, y, p, u: y.x - 1.0, "up", effect=flip(-2.0))
    down = Event("down", lambda t, y, p, u: y.x + 1.0, "down", effect=flip(2.0))
    system = System("flip", ("x",), (), (), lambda t, y, p, u: (1.0,), "hour", events=(up, down))
    found = solve(system, [[0.0]], np.zeros((1, 0)), 0.0, 5.0)
    assert found.status[0] == Status.ROOT_NOT_FOUND and found.failed_at[0] == pytest.approx(1.0)


def test_an_action_decides_by_the_state_and_remembers():
    """A dose is held while the marker is low, and every held dose halves the next."""

    def dose(t, y, p, u, x):
        low = y.marker < p.limit
        return {
            "drug": y.drug + where(low, 0.0, x * u.factor),
            "factor": where(low, 0.5 * u.factor, u.factor),
            "given": u.given + where(low, 0.0, x * u.factor),
        }

    def body(t, y, p, u):
        return -0.1 * y.drug, 0.2 * (1.0 - y.marker) - 0.05 * y.drug * y.marker

    system = System(
        "clinic", ("drug", "marker"), ("limit",), ("factor", "given"), body, "day", actions=(Action("dose", dose),)
    )
    days = np.arange(0.0, 60.0, 7.0)
    limits = np.array([0.0, 0.4, 0.6])
    records = Records(
        np.tile(days, (3, 1)), np.full((3, days.size), system.action_target("dose")), np.full((3, days.size), 10.0)
    )
    times = np.linspace(0.0, 60.0, 121)
    y0, u0 = np.tile([0.0, 1.0], (3, 1)), np.tile([1.0, 0.0], (3, 1))
    found = solve(system, y0, limits[:, None], 0.0, 60.0, records, times, SHARP, u0)
    assert found.inputs_end[0].tolist() == [1.0, 90.0]
    assert found.inputs_end[2, 0] < found.inputs_end[1, 0] < 1.0
    for k in range(3):
        mine = Records(records.time[[k]], records.target[[k]], records.value[[k]])
        truth = reference_course(system, y0[k], limits[[k]], 0.0, 60.0, mine, times, u0[k])
        assert found.samples[k] == pytest.approx(truth.samples, abs=1e-7)


def body_with_events(t, y, p, u):
    return u.infusion - p.k * y.drug, p.grow * y.size * (1.0 - 0.2 * y.size) - 0.1 * y.drug * y.size, 0.05 * y.size


BUSY = System(
    "busy", ("drug", "size", "H"), ("k", "grow", "low", "high", "E"), ("infusion",), body_with_events, "day",
    events=(
        Event("rescue", lambda t, y, p, u: y.drug - p.low, "down", 0.1, lambda t, y, p, u: {"drug": y.drug + 1.0}),
        Event("pump off", lambda t, y, p, u: y.drug - p.high, "up", 0.0, lambda t, y, p, u: {"infusion": 0.0}),
        Event("progression", lambda t, y, p, u: y.size - 2.5, "up"),
        hazard("death", "H", "E"),
    ),
)  # fmt: skip


def busy(twins, seed):
    draw = np.random.default_rng(seed)
    p = draw.uniform([0.1, 0.2, 0.3, 2.0, 0.5], [0.6, 0.6, 0.9, 3.0, 4.0], (twins, 5))
    records = Records(
        np.sort(draw.uniform(0.0, 20.0, (twins, 5))), np.array([0, 3, 0, 3, 3]) + np.zeros((twins, 5), np.int64),
        draw.uniform(0.0, 2.0, (twins, 5)),
    )  # fmt: skip
    return draw.uniform([0.2, 0.5, 0.0], [2.0, 1.5, 0.0], (twins, 3)), p, records


TIMES = np.linspace(0.0, 25.0, 51)


@pytest.mark.parametrize("method", METHODS)
def test_twins_with_many_events_agree_with_scipy(method):
    y0, p, records = busy(12, seed=3)
    found = solve(BUSY, y0, p, 0.0, 25.0, records, TIMES, SHARP, method=method, keep_events=40)
    assert (found.status == Status.COMPLETED).all() and found.event_counts.sum() > 40
    for k in range(12):
        mine = Records(records.time[[k]], records.target[[k]], records.value[[k]])
        truth = reference_course(BUSY, y0[k], p[k], 0.0, 25.0, mine, TIMES)
        assert found.ended_at[k] == pytest.approx(truth.ended_at, rel=1e-7)
        for i, event in enumerate(BUSY.events):
            times = found.event_times[k, i][: found.event_counts[k, i]]
            assert times == pytest.approx(np.array(truth.event_times[event.name]), rel=1e-7)
        assert found.samples[k] == pytest.approx(truth.samples, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 1000), size=st.integers(1, 40), lanes=st.sampled_from([1, 4, 8]))
@settings(max_examples=15, deadline=None)
def test_company_order_and_lanes_change_no_bit_of_events(method, seed, size, lanes):
    y0, p, records = busy(40, seed=9)
    p[7, 0], p[8, 1] = np.nan, 1e6
    whole = solve(BUSY, y0, p, 0.0, 25.0, records, TIMES, method=method, keep_events=5)
    rows = np.random.default_rng(seed).permutation(40)[:size]
    mine = Records(records.time[rows], records.target[rows], records.value[rows])
    part = solve(BUSY, y0[rows], p[rows], 0.0, 25.0, mine, TIMES, method=method, lanes=lanes, keep_events=5)
    for name in whole.__dataclass_fields__:
        assert getattr(part, name).tobytes() == getattr(whole, name)[rows].tobytes()


def test_an_effect_on_something_unknown_is_said_when_the_system_is_compiled():
    event = Event("odd", lambda t, y, p, u: y.x, "up", effect=lambda t, y, p, u: {"z": 1.0})
    system = System("odd", ("x",), (), (), lambda t, y, p, u: (1.0,), "hour", events=(event,))
    with pytest.raises(TraceError, match="'odd' changes 'z', which is no state or input; known: x"):
        solve(system, [[0.0]], np.zeros((1, 0)), 0.0, 1.0)


def test_a_call_goes_on_from_another_with_what_its_events_wait_for():
    """A cut in the middle of a hysteresis band changes nothing that happens."""
    event = Event("up", lambda t, y, p, u: y.s - 0.5, "up", hysteresis=1.4)
    system = System("wave", ("s", "c"), (), (), lambda t, y, p, u: (y.c, -y.s), "hour", events=(event,))
    none, at = np.zeros((1, 0)), 2.9  # sin is 0.24 there: below the threshold, not yet beyond the band
    whole = solve(system, [[0.0, 1.0]], none, 0.0, 6.0, tolerance=SHARP)
    first = solve(system, [[0.0, 1.0]], none, 0.0, at, tolerance=SHARP)
    second = solve(system, first.y_end, none, at, 6.0, tolerance=SHARP, armed=first.armed)
    assert first.armed[0, 0] == 0.0 and second.armed[0, 0] == whole.armed[0, 0] == 1.0
    assert first.event_counts[0, 0] + second.event_counts[0, 0] == whole.event_counts[0, 0] == 1


@pytest.mark.parametrize("stiffness", [1e2, 1e4, 1e6])
def test_a_twin_with_events_is_handed_over_to_the_stiff_method(stiffness):
    from twinarm.models.engine.math import cos, sin

    def forced(t, y, p, u):
        return (-p.k * (y.x - sin(t)) + cos(t),)

    events = (Event("half", lambda t, y, p, u: y.x - 0.5, "up"), Event("far", lambda t, y, p, u: y.x - 50.0, "up"))
    system = System("forced", ("x",), ("k",), (), forced, "second", events=events)
    found = solve(system, [[0.0]], [[stiffness]], 0.0, 10.0, tolerance=Tolerance(1e-8, 1e-10), keep_events=3)
    assert found.status[0] == Status.COMPLETED and found.event_counts[0].tolist() == [2, 0]
    assert found.event_times[0, 0, :2] == pytest.approx([np.pi / 6, np.pi / 6 + 2 * np.pi], rel=1e-7)
