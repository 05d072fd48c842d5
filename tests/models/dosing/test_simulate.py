"""Event records are carried out as NONMEM defines them; expected values are closed forms, identities and long runs."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from twinarm.models.dosing import (
    Compartment,
    DosingError,
    Events,
    Layout,
    make_events,
    parse_regimen,
    predict,
    simulate,
)  # fmt: skip
from twinarm.models.engine import System
from twinarm.models.model import Status, Tolerance

TIGHT = Tolerance(1e-10, 1e-12)


def rhs(t, y, p, u):
    return (
        u.into_gut - p.ka * y.gut,
        u.into_blood + p.ka * y.gut - p.CL * u.factor / p.V * y.blood,
        y.blood / p.V,
    )


PARAMETERS = ("ka", "CL", "V", "F", "tlag", "R", "D")
BODY = System("body", ("gut", "blood", "auc"), PARAMETERS, ("into_gut", "into_blood", "factor"), rhs, "hour")
PLAIN = Layout((Compartment("gut", "into_gut"), Compartment("blood", "into_blood")))
FULL = Layout(
    (
        Compartment("gut", "into_gut", "F", "tlag", "R", "D"),
        Compartment("blood", "into_blood", "F", "tlag", "R", "D"),
    )
)
P = np.array([[1.1, 5.0, 40.0, 0.8, 1.7, 30.0, 2.5], [0.4, 3.0, 30.0, 0.5, 9.0, 12.0, 31.0]])
COLUMNS = ("id", "time", "evid", "amt", "cmt", "rate", "ii", "addl", "ss", "mdv", "dv", "row")
HOURS = np.linspace(0.0, 72.0, 145)


def run(events, layout=PLAIN, times=HOURS, p=P, **more):
    """With a clearance factor of 1 unless the records hold one."""
    if "factor" not in events.covariates:
        events.covariates["factor"] = np.ones(len(events))
    return simulate(BODY, layout, events, p, times=times, tolerance=TIGHT, free=("auc",), **more)


def same(a, b, rel=1e-8):
    scale = np.abs(b.samples[..., :2]).max()
    assert np.abs(a.samples[..., :2] - b.samples[..., :2]).max() < rel * scale


def test_further_doses_are_the_same_doses_written_out():
    short = run(make_events(0, 100, ii=8, addl=5))
    same(short, run(make_events([0, 8, 16, 24, 32, 40], 100)), 1e-14)


@pytest.mark.parametrize("cmt", ["gut", "blood"])
@pytest.mark.parametrize("rate", [0, 25, -1, -2])
@pytest.mark.parametrize("interval", [24.0, 6.0])
def test_a_steady_state_with_lag_is_the_long_run_of_doses(cmt, rate, interval):
    """Also where the infusion outlasts the interval, and where the lag does."""
    before = int(60 * 24 / interval)
    dose = {"cmt": cmt, "rate": rate, "ii": interval}
    long = run(make_events(0, 100, addl=before + 20, **dose), FULL, HOURS + before * interval)
    steady = run(make_events(0, 100, addl=20, ss=1, **dose), FULL)
    assert (steady.status == Status.COMPLETED).all()
    same(steady, long)


def test_morning_and_evening_doses_superpose_as_ss_2():
    long = run(make_events([0, 12], [80, 50], ii=24, addl=60, cmt="gut"), times=HOURS + 50 * 24 + 12)
    steady = run(make_events([0, 0], [80, 50], ii=[24, 24], addl=4, ss=[1, 2], cmt="gut"), times=HOURS)
    assert steady.samples[0, 0, 0] > 0
    late = run(make_events([0, 12], [80, 50], ii=24, addl=4, ss=[1, 2], cmt="gut"), times=HOURS + 12)
    same(late, long)


def test_ss_1_forgets_what_was_before_and_ss_2_keeps_it():
    alone = run(make_events(10, 100, ii=12, addl=9, ss=1), times=HOURS + 10)
    after = run(make_events([0, 10], [500, 100], ii=[2, 12], addl=[50, 9], ss=[0, 1]), times=HOURS + 10)
    same(after, alone)
    kept = run(make_events([0, 10], [500, 100], ii=[2, 12], addl=[50, 9], ss=[0, 2]), times=HOURS + 10)
    first = run(make_events(0, 500, ii=2, addl=50), times=HOURS + 10)
    assert kept.samples[..., 1] == pytest.approx(alone.samples[..., 1] + first.samples[..., 1], rel=1e-8)


def test_a_constant_infusion_is_rate_over_clearance_and_ends_at_its_time():
    found = run(make_events(5, 0, evid=1, cmt="blood", rate=10, ss=1), times=[0.0, 5.0, 9.0])
    CL, V = P[:, 1], P[:, 2]
    assert (found.samples[:, 0, 1] == 0).all()
    assert found.samples[:, 1, 1] == pytest.approx(10 / CL * V, rel=1e-9)
    assert found.samples[:, 2, 1] == pytest.approx(10 / CL * V * np.exp(-CL / V * 4), rel=1e-9)


@pytest.mark.parametrize("ss", [1, 2])
def test_reset_and_steady_dose_is_a_steady_dose_of_an_empty_body(ss):
    both = run(make_events([0, 20], [300, 100], evid=[1, 4], ii=[0, 12], ss=[0, ss]), times=HOURS + 20)
    empty = run(make_events(20, 100, ii=12, ss=1), times=HOURS + 20)
    same(both, empty, 1e-12)


def test_a_reset_cancels_infusions_lagged_and_further_doses():
    events = make_events([0, 0, 6, 10], [100, 600, 50, 0], evid=[1, 1, 1, 3], cmt=["gut", "blood", "gut", "0"],
                         rate=[0, 30, 0, 0], ii=[4, 0, 0, 0], addl=[20, 0, 0, 0])  # fmt: skip
    found = run(events, FULL)
    assert (found.samples[:, HOURS < 10, 1].max(axis=1) > 0).all()
    assert (found.samples[:, HOURS >= 10, :2] == 0).all()


def test_replace_sets_one_amount_and_leaves_the_rest():
    events = make_events([0, 4, 4], [100, 20, 7], evid=[1, 5, 1], cmt=["gut", "gut", "gut"])
    found = run(events, times=[4.0])
    without = run(make_events(0, 100, cmt="gut"), times=[4.0])
    assert found.samples[:, 0, 0] == pytest.approx(27.0, rel=1e-12)
    assert found.samples[:, 0, 1] == pytest.approx(without.samples[:, 0, 1], rel=1e-12)


def test_overlapping_infusions_add_and_leave_no_rate_behind():
    still = P.copy()
    still[:, 1] = 0.0  # no clearance: the amount is what went in
    events = make_events([0, 1, 2, 40], [30, 0.3, 70, 10], cmt="blood", rate=[3, 0.1, 7, 1])
    times = np.array([1.0, 2.0, 4.0, 10.0, 12.0, 40.0, 45.0, 50.0, 60.0])
    given = sum(np.clip(times - t, 0, a / r) * r for t, a, r in [(0, 30, 3), (1, 0.3, 0.1), (2, 70, 7), (40, 10, 1)])
    found = run(events, times=times, p=still)
    assert found.samples[0, :, 1] == pytest.approx(given, rel=1e-12)


def test_modelled_rate_and_duration_are_the_rate_written_out():
    F, tlag, R, D = P[0, 3:]
    for rate, written in ((-1, R), (-2, F * 100 / D)):
        modelled = run(make_events(0, 100, cmt="blood", rate=rate), FULL, p=P[:1])
        plain = run(make_events(tlag, F * 100, cmt="blood", rate=written), p=P[:1])
        same(modelled, plain, 1e-12)


def test_bioavailability_shortens_an_infusion_of_given_rate():
    found = run(make_events(0, 100, cmt="blood", rate=10), FULL, p=P[:1])
    F, tlag = P[0, 3:5]
    same(found, run(make_events(tlag, F * 100, cmt="blood", rate=10), p=P[:1]), 1e-12)


@given(
    doses=st.lists(
        st.tuples(st.floats(0, 30), st.floats(1, 100), st.sampled_from(["gut", "blood"]), st.sampled_from([0.0, 20.0])),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=20, deadline=None)
def test_exposure_is_bioavailable_dose_over_clearance(doses):
    doses = sorted(doses)
    times, amounts, places, rates = zip(*doses, strict=True)
    found = run(make_events(times, amounts, cmt=places, rate=rates), FULL, times=[2000.0])
    F, CL = P[:, 3], P[:, 1]
    assert found.samples[:, 0, 2] == pytest.approx(F * sum(amounts) / CL, rel=1e-8)


def test_an_observation_before_a_dose_of_its_time_reads_the_trough():
    events = make_events([0, 12, 12, 12], [100, 0, 50, 0], evid=[1, 0, 1, 0], cmt="gut")
    found = run(events, times=None)
    before, after = found.samples[:, 1, 0], found.samples[:, 3, 0]
    assert before == pytest.approx(100 * np.exp(-12 * P[:, 0]), rel=1e-8)
    assert after == pytest.approx(before + 50, rel=1e-12)


def test_a_further_dose_is_there_when_a_row_of_its_time_is_read():
    found = run(make_events([0, 12], [100, 0], ii=[12, 0], addl=[1, 0], cmt="gut"), times=None)
    assert found.samples[:, 1, 0] == pytest.approx(100 * (1 + np.exp(-12 * P[:, 0])), rel=1e-8)


def with_factor(factors, **columns):
    return make_events([0, 2, 10, 20], [100, 0, 0, 0], evid=[1, 2, 0, 0], cmt="blood",
                       covariates={"factor": factors}, **columns)  # fmt: skip


@pytest.mark.parametrize(("rule", "lived"), [("locf", (1, 3, 2)), ("nocb", (3, 2, 4))])
def test_a_covariate_is_carried_forward_or_looked_ahead(rule, lived):
    found = run(with_factor([1.0, 3.0, 2.0, 4.0]), times=[20.0], covariates=rule)
    ke = P[:, 1] / P[:, 2]
    spent = lived[0] * 2 + lived[1] * 8 + lived[2] * 10
    assert found.samples[:, 0, 1] == pytest.approx(100 * np.exp(-ke * spent), rel=1e-8)


def test_a_missing_covariate_is_the_one_before_or_the_next():
    gaps = run(with_factor([1.0, np.nan, 2.0, 4.0]), times=[20.0])
    full = run(with_factor([1.0, 1.0, 2.0, 4.0]), times=[20.0])
    assert gaps.samples.tobytes() == full.samples.tobytes()


def test_the_end_of_an_infusion_and_further_doses_change_no_covariate():
    """A row sets the covariate; what a row leads to later does not set it again."""
    events = make_events([0, 3, 30], [60, 0, 0], evid=[1, 2, 0], cmt="blood", rate=[10, 0, 0], ii=[9, 0, 0],
                         addl=[2, 0, 0], covariates={"factor": [1.0, 2.0, 2.0]})  # fmt: skip
    apart = make_events([0, 3, 9, 18, 30], [60, 0, 60, 60, 0], evid=[1, 2, 1, 1, 0], cmt="blood",
                        rate=[10, 0, 10, 10, 0], covariates={"factor": [1.0, 2.0, 2.0, 2.0, 2.0]})  # fmt: skip
    same(run(events), run(apart), 1e-12)


def test_a_lag_or_duration_that_cannot_be_is_a_status_and_leaves_neighbours_alone():
    p = np.repeat(P[:1], 4, axis=0)
    p[1, 4], p[2, 6], p[3, 3] = -1.0, 0.0, np.nan
    events = make_events(0, 100, rate=-2, ii=12, addl=3)
    found = run(events, FULL, p=p)
    assert found.status.tolist() == [Status.COMPLETED, *[Status.CONSTRAINT] * 3]
    assert np.isnan(found.samples[1:]).all()
    assert found.samples[:1].tobytes() == run(events, FULL, p=p[:1]).samples.tobytes()


def test_a_twin_has_the_same_bits_whoever_its_neighbours_are():
    draw = np.random.default_rng(3)
    p = P[0] * draw.uniform(0.5, 1.5, (9, 7))
    events = make_events([0, 5, 30], [100, 40, 100], cmt=["gut", "blood", "gut"], rate=[0, -2, -1], ii=[12, 0, 8],
                         addl=[3, 0, 2], ss=[1, 0, 2])  # fmt: skip
    whole = run(events, FULL, p=p).samples
    order = draw.permutation(9)
    assert run(events, FULL, p=p[order]).samples.tobytes() == whole[order].tobytes()
    parts = [run(events, FULL, p=p[a:b]).samples for a, b in ((0, 4), (4, 9))]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_a_clock_that_starts_anew_needs_a_reset():
    events = make_events([0, 5, 0, 5], [100, 0, 100, 0], evid=[1, 0, 4, 0])
    found = run(events, times=None)
    assert found.samples[:, 1, :2].tobytes() == found.samples[:, 3, :2].tobytes()
    with pytest.raises(ValueError, match="starts anew"):
        run(events)
    with pytest.raises(DosingError, match=r"row 3, column TIME: 0 comes after 5"):
        run(make_events([0, 5, 0], [100, 0, 100]))


def test_a_data_set_has_the_bits_of_its_subjects_one_by_one():
    draw = np.random.default_rng(5)
    tables = []
    for k in range(7):
        time = np.sort(draw.choice(np.arange(0, 60, 2.5), 9))
        evid = draw.choice([0, 1, 1, 2, 3, 4, 5], 9)
        dose = (evid == 1) | (evid == 4)
        rate = np.where(dose, draw.choice([0.0, 20.0, -1.0, -2.0], 9), 0.0)
        ss = np.where(dose, draw.choice([0, 0, 1, 2], 9), 0)
        tables.append(
            make_events(
                time, np.where(dose | (evid == 5), 50.0, 0.0), evid=evid, cmt=draw.choice(["gut", "blood"], 9),
                rate=rate, ii=np.where(dose, 8.0, 0.0), addl=np.where(dose, 3, 0), ss=ss, id=k,
                covariates={"factor": draw.uniform(0.5, 2.0, 9)},
            )
        )  # fmt: skip
    p = P[0] * draw.uniform(0.5, 1.5, (7, 7))
    joined = Events(
        **{name: np.concatenate([getattr(t, name) for t in tables]) for name in COLUMNS},
        covariates={"factor": np.concatenate([t.covariates["factor"] for t in tables])},
    )
    whole = predict(BODY, FULL, joined, p, tolerance=TIGHT, free=("auc",), covariates="nocb")
    assert (whole.status == Status.COMPLETED).all()
    alone = [run(t, FULL, None, p[[k]], covariates="nocb").samples[0] for k, t in enumerate(tables)]
    assert np.concatenate(alone).tobytes() == whole.samples.tobytes()


def test_a_data_set_is_predicted_subject_by_subject():
    events = make_events([0, 5, 0, 5], [100, 0, 50, 0], id=["a", "a", "b", "b"], cmt="blood")
    events.covariates["factor"] = np.ones(4)
    found = predict(BODY, PLAIN, events, P, tolerance=TIGHT)
    ke = P[:, 1] / P[:, 2]
    assert found.samples[[1, 3], 1] == pytest.approx([100, 50] * np.exp(-5 * ke), rel=1e-8)
    with pytest.raises(ValueError, match="1 rows, the records are those of 2 subjects"):
        predict(BODY, PLAIN, events, P[:1])


def test_a_failed_subject_leaves_the_others_their_bits():
    events = make_events([0, 0, 6] * 3, [100, 50, 0] * 3, evid=[1, 4, 0] * 3, id=np.repeat([1, 2, 3], 3))
    events.covariates["factor"] = np.ones(9)
    p = np.repeat(P[:1], 3, axis=0)
    good = predict(BODY, FULL, events, p, tolerance=TIGHT)
    p[1, 4] = np.nan
    found = predict(BODY, FULL, events, p, tolerance=TIGHT)
    assert found.status.tolist() == [Status.COMPLETED, Status.CONSTRAINT, Status.COMPLETED]
    assert found.failed_at[1] == 0.0 and np.isnan(found.samples[3:6]).all()
    assert found.samples[[0, 1, 2, 6, 7, 8]].tobytes() == good.samples[[0, 1, 2, 6, 7, 8]].tobytes()


def test_rows_of_one_time_read_what_stands_before_them():
    found = run(make_events([0, 4, 4, 4, 4], [100, 0, 10, 20, 0], evid=[1, 3, 1, 1, 0], cmt="gut"), times=None)
    assert found.samples[0, :, 0].tolist() == [100.0, 0.0, 10.0, 30.0, 30.0]


def test_looking_ahead_a_steady_state_is_that_of_its_own_row():
    """NONMEM calls PK with the steady-state record itself; only what follows looks ahead to the next row."""
    events = make_events([0, 24], [0, 0], evid=[1, 0], cmt="blood", rate=[10, 0], ss=[1, 0],
                         covariates={"factor": [1.0, 3.0]})  # fmt: skip
    found = run(events, times=[0.0, 24.0], covariates="nocb")
    ke = P[:, 1] / P[:, 2]
    assert found.samples[:, 0, 1] == pytest.approx(10 / ke, rel=1e-8)
    assert found.samples[:, 1, 1] == pytest.approx(10 / ke * np.exp(-3 * ke * 24), rel=1e-8)


@given(
    courses=st.lists(
        st.tuples(
            st.floats(1, 500).map(lambda v: round(v, 2)), 
            st.sampled_from(["oral", "iv", "iv over 30 min", "iv over 9 h"]),
            st.sampled_from(["6h", "12h", "1d", "1wk"]), st.integers(1, 9),
        ),
        min_size=1, max_size=4,
    ),
    part=st.floats(0, 1.2),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_what_a_regimen_gives_is_in_the_body_or_eliminated(courses, part):
    text = " then ".join(f"{a} mg {route} q{every} x {n}" for a, route, every, n in courses)
    regimen = parse_regimen(text)
    events = regimen.events({"oral": "gut", "iv": "blood"}, time_unit="hour")
    F, lag = P[:, 3], P[:, 4]
    last = events.time[-1] + events.ii[-1] * events.addl[-1]
    now = part * (last + 10.0) + 1.0
    given = np.zeros(len(P))
    for time, amt, rate, ii, addl in zip(events.time, events.amt, events.rate, events.ii, events.addl, strict=True):
        for n in range(addl + 1):
            since = now - (time + n * ii + lag)
            given += np.clip(since * rate, 0, F * amt) if rate else np.where(since >= 0, F * amt, 0.0)
    found = run(events, FULL, times=[now])
    eliminated = found.samples[:, 0, 2] * P[:, 1]  # clearance times the area under the concentration
    assert found.samples[:, 0, 0] + found.samples[:, 0, 1] + eliminated == pytest.approx(given, rel=1e-8, abs=1e-8)


def test_what_does_not_fit_is_refused_with_the_cure():
    body = System("body", ("gut",), ("k",), (), lambda t, y, p, u: (-p.k * y.gut,), "hour")
    layout, doses, p = Layout((Compartment("gut"),)), make_events([0.0], [100.0]), [[0.1], [0.2]]
    with pytest.raises(ValueError, match=r"write Layout\(\(Compartment\('gut'\),\)\)"):
        Layout(Compartment("gut"))
    with pytest.raises(TypeError, match=r"events is Regimen; write make_events.*parse_regimen\(text\)\.events"):
        simulate(body, layout, parse_regimen("100 mg oral q24h x 7"), p)
    with pytest.raises(ValueError, match=r"p has the shape \(1, 2\); it needs \(twin, parameter\)"):
        simulate(body, layout, doses, [[0.1, 0.2]])
    with pytest.raises(ValueError, match=r"y0 has the shape \(1, 1\); it needs \(twin, state\) = \(2, 1\)"):
        simulate(body, layout, doses, p, [[1.0]])
    with pytest.raises(ValueError, match="times must be one sorted row"):
        simulate(body, layout, doses, p, times=[3.0, 1.0])
    with pytest.raises(ValueError, match="time_unit is 'hours'; write one of minute, hour, day, week"):
        parse_regimen("100 mg oral q24h x 7").events({"oral": "gut"}, time_unit="hours")
