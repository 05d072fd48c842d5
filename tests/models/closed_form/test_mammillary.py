"""Closed forms against textbook formulas, high-precision exponentials, the engine, and each other."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.linalg import expm

from twinarm.models.closed_form import Mammillary, linear, mammillary
from twinarm.models.closed_form.kernel import LARGEST, modes
from twinarm.models.dosing import Compartment, Layout, make_events, simulate
from twinarm.models.engine import System
from twinarm.models.model import Status, Tolerance

HOURS = np.linspace(0.0, 96.0, 97)
FULL = {"CL": 5.0, "V": 20.0, "Q": 8.0, "Vp": 60.0, "Q2": 1.5, "Vp2": 200.0, "ka": 0.9, "ke0": 0.4}
BODIES = {
    "one": ("CL", "V"),
    "one oral": ("CL", "V", "ka"),
    "one effect": ("CL", "V", "ke0"),
    "two": ("CL", "V", "Q", "Vp"),
    "two oral effect": ("CL", "V", "Q", "Vp", "ka", "ke0"),
    "three": ("CL", "V", "Q", "Vp", "Q2", "Vp2"),
    "three oral effect": tuple(FULL),
}


def body(name):
    return Mammillary(**{key: FULL[key] for key in BODIES[name]})


def exact(matrix, start, t, digits=60):
    with mpmath.workdps(digits):
        step = mpmath.expm(mpmath.matrix(matrix.tolist()) * mpmath.mpf(t), method="taylor")
        return np.array([float(x) for x in step * mpmath.matrix(start.tolist())])


def test_one_compartment_bolus_infusion_and_oral_are_the_textbook_formulas():
    CL, V, ka, t = 5.0, 50.0, 1.2, HOURS
    k = CL / V
    bolus = mammillary(Mammillary(CL=CL, V=V), make_events(0, 100), t).samples[0, :, 0]
    assert bolus == pytest.approx(100 * np.exp(-k * t), rel=1e-13)
    infusion = mammillary(Mammillary(CL=CL, V=V), make_events(0, 100, rate=25), t).samples[0, :, 0]
    during = 25 / k * -np.expm1(-k * np.minimum(t, 4.0))
    assert infusion == pytest.approx(during * np.exp(-k * np.maximum(t - 4.0, 0)), rel=1e-13)
    oral = mammillary(Mammillary(CL=CL, V=V, ka=ka), make_events(0, 100), t, states=("central",)).samples[0, :, 0]
    assert oral == pytest.approx(100 * ka / (ka - k) * (np.exp(-k * t) - np.exp(-ka * t)), rel=1e-12)


def test_two_compartment_bolus_is_the_textbook_formula():
    CL, V, Q, Vp = 5.0, 20.0, 8.0, 60.0
    k10, k12, k21 = CL / V, Q / V, Q / Vp
    s = k10 + k12 + k21
    alpha, beta = (s + np.sqrt(s * s - 4 * k10 * k21)) / 2, (s - np.sqrt(s * s - 4 * k10 * k21)) / 2
    truth = ((alpha - k21) * np.exp(-alpha * HOURS) + (k21 - beta) * np.exp(-beta * HOURS)) / (alpha - beta)
    found = mammillary(body("two"), make_events(0, 1.0), HOURS, states=("central",))
    assert found.samples[0, :, 0] == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize("name", BODIES)
def test_every_state_is_the_exponential_of_the_matrix(name):
    here = body(name)
    matrix = here.matrix()[0]
    for place in [c.state for c in here.layout.compartments]:
        start = np.array([100.0 * (s == place) for s in here.states])
        truth = np.array([expm(matrix * t) @ start for t in HOURS])
        for found in (
            mammillary(here, make_events(0, 100, cmt=place), HOURS),
            linear(here.matrix(), here.layout, make_events(0, 100, cmt=place), HOURS, here.states),
        ):
            assert np.abs(found.samples[0] - truth).max(axis=0) == pytest.approx(0.0, abs=1e-12 * 100)


@given(
    gap=st.floats(-12, -0.5),
    which=st.sampled_from(["ka", "ke0", "both", "all"]),
    t=st.floats(0.1, 200),
)
@settings(max_examples=60, deadline=None)
def test_rates_that_meet_are_no_special_case(gap, which, t):
    """ka and ke0 approach a disposition rate, and each other, from a factor of 1.3 to the last bits."""
    base = Mammillary(CL=5.0, V=20.0, Q=8.0, Vp=60.0, ka=1.0, ke0=3.0)
    lam, V, W = np.zeros(5), np.zeros((5, 5)), np.zeros((5, 2))
    modes(base.table()[0], 1, 1, 1, lam, V, W)
    near = lam[1] * (1 + 10.0**gap)
    ka = near if which != "ke0" else 1.0
    ke0 = {"ka": 3.0, "ke0": near, "both": lam[0] * (1 - 10.0**gap), "all": lam[1] * (1 - 2 * 10.0**gap)}[which]
    here = Mammillary(CL=5.0, V=20.0, Q=8.0, Vp=60.0, ka=ka, ke0=ke0)
    found = mammillary(here, make_events(0, 1.0), [t])
    truth = exact(here.matrix()[0], np.array([1.0, 0, 0, 0]), t)
    assert found.status[0] == Status.COMPLETED
    scale = np.array([1.0, 1.0, 1.0, 1 / 20.0])
    assert np.abs((found.samples[0, 0] - truth) / scale).max() < 1e-11


def test_exactly_equal_rates_are_the_limit():
    k = 0.1
    found = mammillary(Mammillary(CL=5.0, V=50.0, ka=k), make_events(0, 100), HOURS, states=("central",))
    assert found.samples[0, :, 0] == pytest.approx(100 * k * HOURS * np.exp(-k * HOURS), rel=1e-12)
    twins = Mammillary(CL=1.0, V=10.0, Q=2.0, Vp=20.0, Q2=3.0, Vp2=30.0)  # two peripherals alike
    truth = np.array([expm(twins.matrix()[0] * t)[:, 0] for t in HOURS])
    assert np.abs(mammillary(twins, make_events(0, 1.0), HOURS).samples[0] - truth).max() < 1e-12


rate = st.floats(-2, 1).map(lambda v: 10.0**v)
dose = st.tuples(
    st.floats(0, 60), st.floats(1, 100), st.sampled_from(["depot", "central"]), st.sampled_from([0.0, 3.0, 40.0]),
    st.sampled_from([(0, 0.0, 0), (3, 5.0, 0), (2, 8.0, 1), (1, 12.0, 2), (4, 0.7, 0)]),
    st.sampled_from([1, 1, 1, 4, 5]),
)  # fmt: skip


@given(rates=st.tuples(rate, rate, rate, rate, rate, rate, rate), doses=st.lists(dose, min_size=1, max_size=6))
@settings(max_examples=80, deadline=None)
def test_modes_and_matrix_exponential_agree_on_any_records(rates, doses):
    """Two independent algorithms: bolus, infusion, further doses, both steady states, reset, replacement."""
    k10, k12, k21, k13, k31, ka, ke0 = rates
    V = 10.0
    here = Mammillary(CL=k10 * V, V=V, Q=k12 * V, Vp=k12 * V / k21, Q2=k13 * V, Vp2=k13 * V / k31, ka=ka, ke0=ke0)
    doses = sorted(doses, key=lambda d: d[0])
    time, amt, cmt, given_rate, regular, evid = zip(*doses, strict=True)
    replaces = np.array(evid) == 5
    addl, ii, ss = (np.where(replaces, 0, [r[i] for r in regular]) for i in range(3))
    events = make_events(time, amt, evid=evid, cmt=cmt, rate=np.where(replaces, 0, given_rate), ii=ii, addl=addl, ss=ss)
    fast = mammillary(here, events, HOURS)
    slow = linear(here.matrix(), here.layout, events, HOURS, here.states)
    assert fast.status[0] == slow.status[0] == Status.COMPLETED
    scale = np.abs(slow.samples[0]).max() + 1e-9
    assert np.abs(fast.samples - slow.samples).max() < 1e-9 * scale


def rhs(t, y, p, u):
    k10, k12, k21 = p.CL / p.V, p.Q / p.V, p.Q / p.Vp
    return (
        u.into_depot - p.ka * y.depot,
        u.into_central + p.ka * y.depot - (k10 + k12) * y.central + k21 * y.peripheral,
        k12 * y.central - k21 * y.peripheral,
        p.ke0 * (y.central / p.V - y.effect),
    )


NAMES = ("CL", "V", "Q", "Vp", "ka", "ke0", "F", "tlag", "D")
SYSTEM = System("two oral effect", ("depot", "central", "peripheral", "effect"), NAMES,
                ("into_depot", "into_central"), rhs, "hour")  # fmt: skip
LAYOUT = Layout(
    (
        Compartment("depot", "into_depot", "F", "tlag", "", "D"),
        Compartment("central", "into_central", "", "", "", "D"),
    )
)


def draw_twins(count, seed=5):
    draw = np.random.default_rng(seed)
    typical = np.array([5.0, 50.0, 10.0, 100.0, 1.0, 0.5, 0.8, 0.6, 2.0])
    return typical * np.exp(0.3 * draw.standard_normal((count, 9)))


def closed(p, events, times, **more):
    here = Mammillary(**dict(zip(NAMES[:6], p.T[:6], strict=True)))
    values = dict(zip(NAMES, p.T, strict=True))
    return mammillary(here, events, times, layout=LAYOUT, values=values, **more)


RECORDS = make_events(
    [0, 3, 20, 30, 50, 60, 70], [100, 40, 80, 100, 25, 30, 10], evid=[1, 1, 1, 1, 5, 1, 4],
    cmt=["depot", "central", "central", "depot", "central", "depot", "depot"], rate=[0, 10, -2, 0, 0, -2, 0],
    ii=[12, 0, 6, 8, 0, 24, 0], addl=[2, 0, 3, 2, 0, 1, 0], ss=[1, 0, 0, 2, 0, 2, 0],
)  # fmt: skip


def test_the_engine_and_the_closed_form_agree_on_every_kind_of_record():
    p = draw_twins(4)
    found = closed(p, RECORDS, HOURS)
    engine = simulate(SYSTEM, LAYOUT, RECORDS, p, times=HOURS, tolerance=Tolerance(1e-10, 1e-12))
    assert (found.status == Status.COMPLETED).all() and (engine.status == Status.COMPLETED).all()
    scale = np.abs(engine.samples).max(axis=1, keepdims=True)
    assert (np.abs(found.samples - engine.samples) / scale).max() < 1e-8


@given(
    interval=st.floats(2, 40),
    duration=st.just(0.0) | st.floats(0.05, 90),
    lag=st.just(0.0) | st.floats(0.05, 60),
    place=st.sampled_from(["depot", "central"]),
)
@settings(max_examples=40, deadline=None)
def test_a_steady_state_is_the_long_run(interval, duration, lag, place):
    here = Mammillary(CL=5.0, V=20.0, Q=8.0, Vp=60.0, ka=0.9, ke0=0.4)
    layout = Layout((Compartment(place, "rate", lag="tlag"),))
    before = int(1000 / interval) + 20
    more = {"cmt": place, "rate": 100 / duration if duration else 0.0, "ii": interval}
    values = {"tlag": np.array([lag])}
    times = np.linspace(0, 3 * interval, 25) + 0.0137  # not where rounding decides whether a dose has arrived
    steady = mammillary(here, make_events(0, 100, ss=1, addl=5, **more), times, layout=layout, values=values)
    long = mammillary(here, make_events(0, 100, addl=before + 5, **more), times + before * interval, layout=layout,
                      values=values)  # fmt: skip
    assert np.abs(steady.samples - long.samples).max() < 1e-9 * np.abs(long.samples).max()


@pytest.mark.parametrize("name", BODIES)
def test_exposure_is_dose_over_clearance_and_no_mass_is_lost(name):
    """An eliminated amount and an area under the curve are two further states of a linear system."""
    here = body(name)
    n = len(here.states)
    c = here.states.index("central")
    wide = np.zeros((1, n + 2, n + 2))
    wide[0, :n, :n] = here.matrix()[0]
    wide[0, n, c], wide[0, n + 1, c] = FULL["CL"] / FULL["V"], 1 / FULL["V"]
    names = (*here.states, "gone", "auc")
    events = make_events([0, 7], [100, 60], rate=[0, 12], ii=[12, 0], addl=[3, 0])
    found = linear(wide, here.layout, events, [50.0, 4000.0], names).samples[0]
    inside = [i for i, s in enumerate(names) if s not in ("effect", "auc")]
    assert found[:, inside].sum(axis=1) == pytest.approx([460.0, 460.0], rel=1e-10)
    assert found[1, -1] == pytest.approx(460.0 / FULL["CL"], rel=1e-10)


@pytest.mark.parametrize("own_lag", [False, True])
def test_a_twin_has_the_same_bits_whoever_its_neighbours_are(own_lag):
    p = draw_twins(37)
    if not own_lag:
        p[:, 6:] = p[0, 6:]
    p[11, 4] = p[11, 0] / p[11, 1]  # nearly equal rates somewhere in the block
    p[20, 2] = 0.0
    whole = closed(p, RECORDS, HOURS).samples
    order = np.random.default_rng(1).permutation(37)
    assert closed(p[order], RECORDS, HOURS).samples.tobytes() == whole[order].tobytes()
    for a, b in ((0, 1), (1, 9), (9, 12), (12, 37)):
        assert closed(p[a:b], RECORDS, HOURS).samples.tobytes() == whole[a:b].tobytes()


def test_a_twin_has_the_same_bits_with_more_states_asked_for():
    p = draw_twins(9)
    whole = closed(p, RECORDS, HOURS).samples
    part = closed(p, RECORDS, HOURS, states=("effect", "central")).samples
    assert part.tobytes() == whole[:, :, [3, 1]].tobytes()


def test_bad_parameters_are_a_status_and_leave_neighbours_alone():
    p = draw_twins(8)
    p[1, 0], p[2, 1], p[3, 3], p[4, 4], p[5, 7] = np.nan, 0.0, -1.0, np.inf, -2.0
    found = closed(p, RECORDS, HOURS)
    good = [0, 6, 7]
    bad = [Status.NON_FINITE, Status.CONSTRAINT, Status.CONSTRAINT, Status.NON_FINITE, Status.CONSTRAINT]
    assert found.status[1:6].tolist() == bad and (found.status[good] == Status.COMPLETED).all()
    assert np.isnan(found.samples[1:6]).all()
    assert found.samples[good].tobytes() == closed(p[good], RECORDS, HOURS).samples.tobytes()


def test_a_body_without_elimination_keeps_its_drug_and_has_no_steady_state():
    here = Mammillary(CL=[0.0, 1.0], V=10.0, Q=2.0, Vp=30.0)
    kept = mammillary(here, make_events(0, 100, rate=10), [5.0, 500.0])
    assert kept.samples[0].sum(axis=1) == pytest.approx([50.0, 100.0], rel=1e-12)
    steady = mammillary(here, make_events(0, 100, ii=24, ss=1), [1.0])
    assert steady.status.tolist() == [Status.ROOT_NOT_FOUND, Status.COMPLETED]
    again = linear(here.matrix(), here.layout, make_events(0, 100, ii=24, ss=1), [1.0], here.states)
    assert again.status.tolist() == [Status.ROOT_NOT_FOUND, Status.COMPLETED]


def test_slow_and_fast_rates_stand_together():
    """Rates over eight orders of magnitude, and a sample long after everything fast is gone."""
    here = Mammillary(CL=1e-3, V=10.0, Q=1e3, Vp=20.0, Q2=1.0, Vp2=1e4, ka=50.0)
    found = mammillary(here, make_events(0, 1.0), [1e-3, 1.0, 1e4])
    truth = np.array([exact(here.matrix()[0], np.array([1.0, 0, 0, 0]), t, 400) for t in (1e-3, 1.0)])
    assert found.samples[0, :2] == pytest.approx(truth, rel=1e-9, abs=1e-12)
    assert 0 < found.samples[0, 2].sum() < 1.0


def test_the_guard_is_what_is_documented():
    lam, V, W = np.zeros(5), np.zeros((5, 5)), np.zeros((5, 2))
    one = Mammillary(CL=5.0, V=50.0, ka=0.1 * (1 + 1e-5)).table()[0]
    assert modes(one, 0, 1, 0, lam, V, W) > LARGEST
    assert modes(Mammillary(CL=5.0, V=50.0, ka=0.1 * 1.001).table()[0], 0, 1, 0, lam, V, W) < LARGEST


def test_what_cannot_be_asked_for_is_refused_in_words():
    here = Mammillary(CL=5.0, V=50.0)
    with pytest.raises(ValueError, match="give Q and Vp together"):
        Mammillary(CL=5.0, V=50.0, Q=1.0)
    with pytest.raises(ValueError, match="give the first as Q and Vp"):
        Mammillary(CL=5.0, V=50.0, Q2=1.0, Vp2=2.0)
    with pytest.raises(ValueError, match="no state is called 'effect'; known: central"):
        mammillary(here, make_events(0, 1), [1.0], states=("effect",))
    with pytest.raises(ValueError, match="takes doses into central"):
        mammillary(here, make_events(0, 1), [1.0], layout=Layout((Compartment("depot"),)))
    with pytest.raises(ValueError, match="times must be a sorted list"):
        mammillary(here, make_events(0, 1), [2.0, 1.0])
    with pytest.raises(ValueError, match="one subject on one clock"):
        mammillary(here, make_events([0, 0], 1, id=[1, 2]), [2.0])
