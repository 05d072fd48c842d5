"""The engine solves to its stated tolerance, lands on events, says what failed, and twins never touch each other."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from twinarm.models.engine import Records, System, solve
from twinarm.models.engine.math import exp, maximum, minimum, tanh, where
from twinarm.models.engine.reference import reference_solution
from twinarm.models.engine.trace import TraceError, trace
from twinarm.models.model import Status, Tolerance


def oral(t, y, p, u):
    return u.rate - p.ka * y.gut, p.ka * y.gut - p.CL / p.V * y.central


ORAL = System("oral", ("gut", "central"), ("ka", "CL", "V"), ("rate",), oral, "hour")


def blow_up(t, y, p, u):
    return (p.a * y.x * y.x,)


BLOW_UP = System("blow-up", ("x",), ("a",), (), blow_up, "hour")


def dose_at(times_and_amounts, twins=1):
    records = Records.empty(twins, len(times_and_amounts))
    for i, (time, amount) in enumerate(times_and_amounts):
        records.time[:, i], records.value[:, i] = time, amount
    return records.sorted()


def bateman(time, dose, ka, CL, V):
    """Amount in the central compartment after an oral dose, closed form (ka != CL / V)."""
    ke = CL / V
    after = np.maximum(np.asarray(time), 0.0)
    return np.where(np.asarray(time) >= 0, dose * ka / (ka - ke) * (np.exp(-ke * after) - np.exp(-ka * after)), 0.0)


@pytest.mark.parametrize(("rtol", "bound"), [(1e-4, 1e-3), (1e-6, 1e-5), (1e-9, 1e-8)])
def test_two_oral_doses_match_their_closed_form_within_ten_times_the_tolerance(rtol, bound):
    times = np.linspace(0, 48, 193)
    p = np.array([[1.1, 5.0, 40.0], [0.4, 2.0, 60.0]])
    records = dose_at([(0.0, 100.0), (13.7, 50.0)], twins=2)
    found = solve(ORAL, np.zeros((2, 2)), p, 0.0, 48.0, records, times, Tolerance(rtol, rtol * 1e-2))
    for twin, (ka, CL, V) in enumerate(p):
        truth = bateman(times, 100.0, ka, CL, V) + bateman(times - 13.7, 50.0, ka, CL, V)
        assert np.abs(found.samples[twin, :, 1] - truth).max() < bound * truth.max()


def test_an_infusion_is_started_and_stopped_exactly():
    records = Records.empty(1, 2)
    records.time[0] = [2.0, 5.3]
    records.target[0] = ORAL.input_target("rate")
    records.value[0] = [10.0, 0.0]
    found = solve(ORAL, np.zeros((1, 2)), [[0.0, 0.0, 1.0]], 0.0, 9.0, records, [1.9, 5.3, 9.0])
    assert found.samples[0, :, 0] == pytest.approx([0.0, 33.0, 33.0], rel=1e-12)


def test_a_sample_at_a_dose_reads_the_state_after_it():
    found = solve(ORAL, np.zeros((1, 2)), [[0.0, 0.0, 1.0]], 0.0, 4.0, dose_at([(2.0, 7.0)]), [1.0, 2.0, 3.0])
    assert found.samples[0, :, 0].tolist() == [0.0, 7.0, 7.0]


def test_two_calls_in_a_row_give_a_dose_between_them_once():
    p, records = [[0.0, 0.0, 1.0]], dose_at([(0.0, 1.0), (2.0, 7.0), (4.0, 3.0)])
    first = solve(ORAL, np.zeros((1, 2)), p, 0.0, 2.0, records)
    assert first.y_end[0, 0] == 1.0
    second = solve(ORAL, first.y_end, p, 2.0, 4.0, records)
    assert second.y_end[0, 0] == 8.0


def wiggly(t, y, p, u):
    gate = where(y.a > p.edge, 1.0, 0.5)
    return (
        -p.k * gate * y.a + u.drive * tanh(y.b),
        p.k * y.a - minimum(y.b, 3.0) * exp(-0.1 * y.a) + maximum(0.2 - y.a, 0.0) + 0.01 * t,
    )


WIGGLY = System("wiggly", ("a", "b"), ("k", "edge"), ("drive",), wiggly, "hour")


def test_compiled_system_matches_the_uncompiled_reference_at_1e_10():
    records = Records.empty(1, 2)
    records.time[0], records.target[0], records.value[0] = [1.0, 4.0], [0, 2], [2.0, 0.7]
    times = np.linspace(0, 10, 41)
    p = np.array([0.8, -1.0])
    found = solve(WIGGLY, [[1.0, 0.5]], [p], 0.0, 10.0, records, times, Tolerance(1e-8, 1e-10))
    truth = reference_solution(WIGGLY, np.array([1.0, 0.5]), p, 0.0, 10.0, records, times)
    assert np.abs(found.samples[0] - truth).max() < 1e-6


finite = st.floats(-3.0, 3.0)


@given(a=finite, b=finite, k=finite, edge=finite, drive=finite, t=finite)
@settings(max_examples=60, deadline=None)
def test_traced_operations_compute_what_the_plain_function_computes(a, b, k, edge, drive, t):
    from types import SimpleNamespace

    graph, ends = trace(WIGGLY)
    source = {"time": [t], "state": [a, b], "parameter": [k, edge], "input": [drive]}
    values = []
    for kind, *args in graph.nodes:
        v = [values[i] for i in args] if kind not in ("constant", *source) else []
        match kind:
            case "constant":
                values.append(float.fromhex(args[0]))
            case "time":
                values.append(t)
            case "state" | "parameter" | "input":
                values.append(source[kind][args[0]])
            case "neg":
                values.append(-v[0])
            case "where":
                values.append(v[1] if v[0] else v[2])
            case "minimum" | "maximum" | "exp" | "tanh":
                functions = {"minimum": min, "maximum": max, "exp": math.exp, "tanh": math.tanh}
                values.append(functions[kind](*v))
            case operator:
                values.append(eval(f"x {operator} y", {}, {"x": v[0], "y": v[1]}))
    plain = wiggly(t, SimpleNamespace(a=a, b=b), SimpleNamespace(k=k, edge=edge), SimpleNamespace(drive=drive))
    assert [values[i] for i in ends] == list(plain)


@given(split=st.integers(1, 39), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_a_twin_has_the_same_bits_whoever_its_neighbours_are(split, seed):
    draw = np.random.default_rng(seed)
    p = draw.uniform([0.2, 1, 20], [2, 9, 90], (40, 3))
    times = np.linspace(0, 24, 13)
    records = dose_at([(0.0, 100.0), (7.1, 30.0)], twins=40)

    def run(rows):
        part = Records(records.time[rows], records.target[rows], records.value[rows])
        return solve(ORAL, np.zeros((len(rows), 2)), p[rows], 0.0, 24.0, part, times).samples

    whole = run(np.arange(40))
    parts = np.concatenate([run(np.arange(split)), run(np.arange(split, 40))])
    assert whole.tobytes() == parts.tobytes()
    order = draw.permutation(40)
    assert run(order).tobytes() == whole[order].tobytes()


def test_a_solution_that_blows_up_is_a_status_and_leaves_its_neighbours_alone():
    y0, p = np.ones((3, 1)), np.array([[-1.0], [1.0], [-0.5]])
    found = solve(BLOW_UP, y0, p, 0.0, 2.0, sample_times=[0.5, 2.0])  # twin 1: x = 1 / (1 - t), infinite at t = 1
    assert found.status[1] in (Status.NON_FINITE, Status.STEP_TOO_SMALL)
    assert found.failed_at[1] == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(found.samples[1]).all() and np.isnan(found.y_end[1]).all()
    alone = solve(BLOW_UP, y0[[0, 2]], p[[0, 2]], 0.0, 2.0, sample_times=[0.5, 2.0])
    assert found.samples[[0, 2]].tobytes() == alone.samples.tobytes()
    assert found.samples[0, :, 0] == pytest.approx([1 / 1.5, 1 / 3], rel=1e-5)


def test_a_parameter_that_is_not_a_number_is_a_non_finite_state():
    found = solve(BLOW_UP, [[1.0]], [[np.nan]], 0.0, 2.0)
    assert found.status[0] == Status.NON_FINITE and found.failed_at[0] == 0.0


def test_too_many_steps_is_a_status_with_its_time():
    found = solve(ORAL, [[1.0, 0.0]], [[500.0, 1.0, 1.0]], 0.0, 1000.0, tolerance=Tolerance(max_steps=20))
    assert found.status[0] == Status.STEP_LIMIT and 0 < found.failed_at[0] < 1000


@given(doses=st.lists(st.tuples(st.floats(0, 20), st.floats(0.1, 50)), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_a_linear_system_superposes_its_doses(doses):
    p, times = [[0.9, 4.0, 30.0]], np.linspace(0, 24, 7)
    tight = Tolerance(1e-9, 1e-11)
    together = solve(ORAL, np.zeros((1, 2)), p, 0.0, 24.0, dose_at(doses), times, tight).samples
    apart = sum(solve(ORAL, np.zeros((1, 2)), p, 0.0, 24.0, dose_at([d]), times, tight).samples for d in doses)
    assert together == pytest.approx(apart, rel=1e-6, abs=1e-7)


def test_branching_on_a_value_is_refused_in_words():
    def branching(t, y, p, u):
        return (1.0 if y.x > 0 else 2.0,)

    with pytest.raises(TraceError, match="write where"):
        solve(System("b", ("x",), (), (), branching, "hour"), [[1.0]], np.zeros((1, 0)), 0.0, 1.0)


def test_a_missing_derivative_is_refused_by_name():
    with pytest.raises(TraceError, match="2 derivatives, one for each of a, b"):
        trace(System("c", ("a", "b"), (), (), lambda t, y, p, u: (y.a,), "hour"))


def test_unsorted_records_are_refused():
    records = Records(np.array([[2.0, 1.0]]), np.zeros((1, 2), np.int64), np.ones((1, 2)))
    with pytest.raises(ValueError, match="sorted"):
        solve(ORAL, np.zeros((1, 2)), [[1.0, 1.0, 1.0]], 0.0, 3.0, records)
