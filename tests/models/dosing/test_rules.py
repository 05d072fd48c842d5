"""Doses that answer to the state: by hand, against a plain loop through SciPy, and the same bits in any company."""

from functools import partial

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from twinarm.models.dosing import (
    Compartment,
    DosingError,
    Layout,
    RuleError,
    carry,
    make_events,
    predict,
    read_rules,
    simulate,
)
from twinarm.models.engine import Event, System, solve
from twinarm.models.model import Status, Tolerance

TIGHT = Tolerance(1e-10, 1e-12)


def decay(t, y, p, u):
    return (u.rate - p.k * y.x,)


BODY = System("body", ("x",), ("k", "F", "lag"), ("rate",), decay, "hour")
PLAIN, LAGGED = Layout((Compartment("x", "rate"),)), Layout((Compartment("x", "rate", "F", "lag"),))
DAILY = make_events(0, 100, ii=24, addl=7)
P = np.array([[0.05, 0.8, 2.0]])
SLOW = np.array([[0.01, 0.8, 2.0]])


def rule(do, when, **more):
    return {"name": do, "do": do, "when": when, **more}


def run(*rules, events=DAILY, p=P, layout=PLAIN, times=(200.0,), system=BODY, **more):
    return simulate(
        system, layout, events, p, times=times, rules=read_rules(rules), units={"x": "mg"}, tolerance=TIGHT, **more
    )


def by_hand(decide, k=0.05, doses=8):
    """Amounts of daily doses of 100 into a body that forgets at rate k; decide(x, memory) gives the share."""
    x, amounts, memory = 0.0, [], {"factor": 1.0}
    for _ in range(doses):
        share = decide(x, memory)
        amounts.append(100 * share)
        x = (x + amounts[-1]) * np.exp(-24 * k)
    return amounts


def test_without_a_rule_that_holds_everything_is_given_as_planned():
    found = run(rule("hold", "x > 1e6"), times=[0.0, 10.0, 200.0])
    bare = simulate(BODY, PLAIN, DAILY, P, times=[0.0, 10.0, 200.0], tolerance=TIGHT)
    assert found.samples == pytest.approx(bare.samples, rel=1e-9)
    assert found.given.amount.tolist() == [100.0] * 8 and found.given.time.tolist() == (24.0 * np.arange(8)).tolist()
    assert set(found.given.compartment) == {"x"} and set(found.given.rule) == {""} and bare.given is None


def test_a_dose_is_left_out_while_the_condition_holds():
    def decide(x, memory):
        return 0.0 if x > 60 else 1.0

    found = run(rule("hold", "x > 60"), p=SLOW)
    assert found.given.amount.tolist() == by_hand(decide, 0.01)
    assert found.given.amount.tolist() == [100, 0, 0, 100, 0, 0, 0, 100]


def test_reductions_add_up_to_the_least_and_last():
    def decide(x, memory):
        if x > 50:
            memory["factor"] = max(memory["factor"] * 0.75, 0.5)
        return memory["factor"]

    found = run(rule("reduce", "x > 50", by="25 %", at_least="50 %"), p=SLOW)
    assert found.given.amount == pytest.approx(by_hand(decide, 0.01))
    assert found.given.amount[:4] == pytest.approx([100, 75, 56.25, 50])


def test_a_dose_is_raised_until_the_trough_reaches_its_target_or_the_most_is_given():
    def decide(x, memory):
        if x < 60 and memory.get("begun"):
            memory["factor"] = min(memory["factor"] * 1.1, 1.3)
        memory["begun"] = True
        return memory["factor"]

    found = run(rule("raise", "x < 60 and doses_given > 0", by="10 %", up_to="130 %"))
    assert found.given.amount == pytest.approx(by_hand(decide))
    assert found.given.amount.max() == pytest.approx(130)


def test_a_stop_is_for_good():
    found = run(rule("stop", "doses_given >= 3 and x > 10"))
    assert found.given.amount.tolist() == [100, 100, 100, 0, 0, 0, 0, 0]


def test_rules_are_asked_in_their_order_about_the_state_before_the_dose():
    """A dose that is held still sees the reduction of the same moment; the next one is smaller."""
    found = run(rule("hold", "x > 50"), rule("reduce", "x > 50", by="50 %"), p=SLOW)
    assert found.given.amount[:3].tolist() == [100, 0, 0]
    later = found.given.amount[found.given.amount > 0][1]
    assert later == pytest.approx(100 * 0.5 ** (1 + found.given.amount.tolist().index(later) - 2), rel=1e-12)


def fall(t, y, p, u):
    return (-1.0, 0.0)


SUGAR = System("sugar", ("glucose", "gut"), (), (), fall, "hour")


def test_a_rescue_is_given_each_time_the_limit_is_reached():
    """It falls by 1 an hour from 10 to 3.9 at 6.1 h, is raised by 2, and so on every 2 h."""
    found = simulate(
        SUGAR, Layout((Compartment("glucose"),)), make_events([0.0], evid=2), np.zeros((1, 0)), [[10.0, 0.0]],
        [6.0, 6.1, 7.0, 20.0],
        rules=read_rules([{**rule("give", "glucose < 3.9", amount="2000 mg", to="glucose"), "name": "low"}]),
        units={"glucose": "g"}, tolerance=TIGHT,
    )  # fmt: skip
    times = 6.1 + 2.0 * np.arange(7)
    assert found.events == ("low",) and found.event_counts[0, 0] == 7
    assert found.given.time == pytest.approx(times, abs=1e-6) and set(found.given.rule) == {"low"}
    assert found.given.amount.tolist() == [2.0] * 7 and found.given.planned.tolist() == [0.0] * 7
    assert found.samples[0, 3, 0] == pytest.approx(10 - 20 + 14, abs=1e-9)


def test_a_rescue_waits_until_the_limit_has_been_left_by_enough():
    """Raised by 0.3 it has not been 0.5 beyond, so nothing more is given before the meal at 10 h."""
    low = {"name": "low", "do": "give", "when": "glucose < 3.9", "again_beyond": "0.5 g", "amount": "0.3 g",
           "to": "glucose"}  # fmt: skip
    found = simulate(
        SUGAR, Layout((Compartment("glucose"),)), make_events([0.0, 10.0], [0.0, 7.0]), np.zeros((1, 0)),
        [[10.0, 0.0]], [30.0], rules=read_rules([low]), units={"glucose": "g"}, tolerance=TIGHT,
    )  # fmt: skip
    assert found.given.time[found.given.rule == "low"] == pytest.approx([6.1, 10 + 7 + 0.3 - 3.9], abs=1e-6)


def test_rescues_are_counted_on_after_a_reset_and_all_are_told():
    events = make_events([0, 20], 0.0, evid=[2, 3])
    found = simulate(
        SUGAR, Layout((Compartment("glucose"),)), events, np.zeros((1, 0)), [[10.0, 0.0]], [40.0],
        rules=read_rules([rule("give", "glucose < 3.9", amount="2 g", to="glucose")]), units={"glucose": "g"},
        tolerance=TIGHT, keep_events=2,
    )  # fmt: skip
    once = 6.1 + 2.0 * np.arange(7)
    assert found.event_counts[0, 0] == 14 and found.given.time == pytest.approx([*once, *(20 + once)], abs=1e-6)


def dip(t, y, p, u):
    return -0.5 * y.x, 0.2 * (1.0 - y.count) - 0.05 * y.x * y.count


COUNT = System("count", ("x", "count"), (), (), dip, "hour")


def test_a_dip_between_doses_is_seen_at_the_next():
    """The count falls below 0.65 hours after a dose and is long back above it when the next one is due."""
    events, place = make_events(0, 10, ii=48, addl=5), Layout((Compartment("x"),))
    y0, p, times = [[0.0, 1.0]], np.zeros((1, 0)), np.arange(0.0, 240.5, 0.5)
    reduce = rule("reduce", "count < 0.65", by="40 %")
    now = simulate(COUNT, place, events, p, y0, times, rules=read_rules([reduce]), tolerance=TIGHT)
    assert now.given.amount.tolist() == [10.0] * 6 and now.samples[0, :90, 1].min() < 0.65 < now.samples[0, 95, 1]
    back = read_rules([{**reduce, "looks": "since the last dose"}])
    found = simulate(COUNT, place, events, p, y0, times, rules=back, tolerance=TIGHT)
    expected, factor = [], 1.0
    for k in range(5):
        expected.append(10 * factor)
        cycle = (times >= 48 * k) & (times < 48 * (k + 1))
        factor *= 0.6 if found.samples[0, cycle, 1].min() < 0.65 else 1.0
    assert found.given.amount[:5] == pytest.approx(expected) and expected[1] == 6.0 and expected[4] == expected[3]


def test_a_stop_at_any_time_ends_treatment_between_doses_too():
    growth = System("growth", ("x", "size"), ("g",), (), lambda t, y, p, u: (-0.1 * y.x, p.g), "day")
    end = {"name": "progression", "do": "stop", "at": "any time", "when": "size > 12"}
    found = simulate(
        growth, Layout((Compartment("x"),)), make_events(0, 5, ii=7, addl=9), [[0.25], [0.0], [0.0]],
        [[0.0, 10.0], [0.0, 10.0], [0.0, 13.0]], [70.0], rules=read_rules([end]), tolerance=TIGHT,
    )  # fmt: skip
    amounts = found.given.amount.reshape(3, 10)
    assert amounts[0].tolist() == [5.0, 5.0, *[0.0] * 8] and (amounts[1] == 5.0).all()
    assert found.event_times[0, 0, 0] == pytest.approx(8.0, abs=1e-6)
    assert (amounts[2] == 0).all()  # what holds from the start is asked at the first dose


def test_an_infusion_keeps_its_duration_and_ends_under_a_rule():
    still = np.array([[0.0, 0.8, 2.0]])
    events = make_events([0, 24, 48], 60, rate=[10, 10, 2.5], cmt="x")
    reduce = rule("reduce", "doses_given == 1", by="50 %")
    times = np.array([3.0, 6.0, 24.0, 27.0, 40.0, 48.0, 60.0, 72.0])
    found = run(reduce, events=events, p=still, times=times)
    assert found.given.amount.tolist() == [60, 30, 30]
    assert found.samples[0, :, 0] == pytest.approx([30, 60, 60, 75, 90, 90, 105, 120])
    after = run(reduce, events=make_events(0, 48, rate=2, ii=24, addl=2, cmt="x"), p=still, times=[24.0, 48.0, 72.0])
    assert after.samples[0, :, 0] == pytest.approx([48, 72, 96])  # one after the other without a gap


def test_the_decision_stands_at_the_time_of_the_dose_and_not_when_it_arrives():
    """Two hours of lag: the body that is asked is the one before the lag, and bioavailability applies to the share."""
    found = run(rule("hold", "x > 33"), layout=LAGGED, times=[1.0, 3.0, 24.0, 25.0, 27.0])
    x24 = 80 * np.exp(-0.05 * 22)
    assert x24 < 33
    assert found.given.amount[:2].tolist() == [100, 100] and found.given.time[:2].tolist() == [0, 24]
    assert found.samples[0, :, 0] == pytest.approx(
        [0, 80 * np.exp(-0.05), x24, x24 * np.exp(-0.05), (x24 * np.exp(-0.1) + 80) * np.exp(-0.05)]
    )
    soon = run(rule("hold", "x > 26"), layout=LAGGED)
    assert soon.given.amount[1] == 0  # 26.6 at 24 h, though 24.1 when it would arrive


def test_what_rules_remember_outlasts_a_reset_of_the_body():
    events = make_events([0, 30, 40], [100, 0, 100], evid=[1, 3, 1], ii=[12, 0, 12], addl=[1, 0, 1])
    found = run(rule("reduce", "x > 10", by="50 %"), events=events)
    assert found.given.amount.tolist() == [100, 50, 50, 25] and found.given.time.tolist() == [0, 12, 40, 52]


def test_two_drugs_are_decided_upon_apart():
    two = System("two", ("a", "b"), (), (), lambda t, y, p, u: (-0.05 * y.a, -0.01 * y.b), "hour")
    layout = Layout((Compartment("a"), Compartment("b")))
    events = make_events([0, 0], 100, ii=24, addl=3, cmt=["a", "b"])
    rules = read_rules(
        [rule("reduce", "b > 50", by="50 %", into="b"), {**rule("stop", "a > 1", into="a"), "name": "s"}]
    )
    found = simulate(two, layout, events, np.zeros((1, 0)), times=[100.0], rules=rules, tolerance=TIGHT)
    by = {c: found.given.amount[found.given.compartment == c].tolist() for c in ("a", "b")}
    assert by == {"a": [100, 0, 0, 0], "b": [100, 50, 25, 25]} or by["b"][:2] == [100, 50]
    assert by["a"] == [100, 0, 0, 0]


def test_doses_at_the_very_end_are_decided_upon_and_given():
    reduce = rule("reduce", "x > 10", by="50 %")
    found = run(reduce, events=make_events([0, 24, 24, 24], [100, 0, 100, 0], evid=[1, 0, 1, 1]), times=None, p=SLOW)
    left = 100 * np.exp(-0.24)
    assert found.samples[0, :, 0] == pytest.approx([100, left, left + 50, left + 50]) and len(found.given.amount) == 3
    alone = run(reduce, events=make_events(0, 100), times=None)
    assert alone.samples[0, 0, 0] == 100.0 and alone.given.amount.tolist() == [100.0]


def test_doses_of_one_time_are_one_decision():
    events = make_events([0, 0, 24, 24], [100, 50, 100, 50], cmt="x", rate=[0, 25, 0, 25])
    found = run(rule("reduce", "x > 10", by="50 %"), events=events)
    assert found.given.amount.tolist() == [100, 50, 50, 25]


def test_a_twin_that_ends_is_given_nothing_more():
    death = Event("death", lambda t, y, p, u: y.size - 12.0, "up", ends=Status.COMPLETED)
    body = System("mortal", ("x", "size"), ("g",), (), lambda t, y, p, u: (-0.1 * y.x, p.g), "day", events=(death,))
    found = simulate(
        body, Layout((Compartment("x"),)), make_events([0, 30], [5, 5], ii=7, addl=[2, 3], evid=[1, 4]),
        [[0.25], [0.01]], [[0.0, 10.0]] * 2, [1.0, 9.0, 40.0], rules=read_rules([rule("hold", "x > 1e9")]),
        tolerance=TIGHT,
    )  # fmt: skip
    assert found.status.tolist() == [Status.COMPLETED] * 2
    assert found.ended_at == pytest.approx([8.0, 40.0])
    assert found.given.time[found.given.twin == 0].tolist() == [0.0, 7.0]
    assert np.isfinite(found.samples[0, 0]).all() and np.isnan(found.samples[0, 1:]).all()
    assert found.given.time[found.given.twin == 1].tolist() == [0.0, 7.0, 14.0, 30.0, 37.0]


# Against SciPy -----------------------------------------------------------------------------------------------------

NAMES = ("ka", "Vmax", "Km", "V", "kin", "kout", "slope")


def hard(t, y, p, u):
    c = y.blood / p.V
    return (
        -p.ka * y.gut,
        u.rate + p.ka * y.gut - p.Vmax * c / (p.Km + c),
        p.kin - p.kout * (1.0 + p.slope * c) * y.count,
    )


HARD = System("hard", ("gut", "blood", "count"), NAMES, ("rate",), hard, "hour")
HARD_LAYOUT = Layout((Compartment("gut"), Compartment("blood", "rate")))
HARD_RULES = read_rules([
    {"name": "low", "do": "hold", "when": "count < low_count", "into": "gut"},
    {"name": "toxic", "do": "reduce", "when": "count < 0.6 * kin / kout or blood / V > 4", "by": "20 %",
     "at_least": "40 %"},
    {"name": "titrate", "do": "raise", "when": "blood / V < 1.5 and not count < 0.8 * kin / kout", "by": "15 %",
     "up_to": "180 %"},
    {"name": "end", "do": "stop", "when": "doses_given > 12 and blood / V > 5"},
    {"name": "boost", "do": "give", "when": "blood < 20", "again_beyond": 5, "amount": "30 mg", "to": "blood"},
])  # fmt: skip


def plain_loop(p, low, doses, until):
    """Amounts of the doses, times of boosts and the last state, by SciPy from dose to dose."""
    ka, Vmax, Km, V, kin, kout, slope = p

    def rhs(t, y):
        c = y[1] / V
        return [-ka * y[0], ka * y[0] - Vmax * c / (Km + c), kin - kout * (1 + slope * c) * y[2]]

    y, factor, given, stopped = np.array([0.0, 0.0, kin / kout]), 1.0, 0, False
    amounts, boosts, armed = [], [], False
    for k, (time, amount) in enumerate(doses):
        c, count = y[1] / V, y[2]
        held = count < low
        if count < 0.6 * kin / kout or c > 4:
            factor = min(factor, max(factor * 0.8, 0.4))
        if c < 1.5 and count >= 0.8 * kin / kout:
            factor = max(factor, min(factor * 1.15, 1.8))
        stopped = stopped or (given > 12 and c > 5)
        share = 0.0 if held or stopped else factor
        given += share > 0
        amounts.append(amount * share)
        y[0] += amounts[-1]
        end = doses[k + 1][0] if k + 1 < len(doses) else until
        while time < end:

            def down(t, y):
                return y[1] - 20

            def beyond(t, y):
                return y[1] - 25

            watch = down if armed else beyond
            # Armed from 20 upwards at the very start, from 25 upwards after a boost.
            if not armed and not boosts:
                watch = lambda t, y: y[1] - 20  # noqa: E731  (the same shape as its two neighbours)
            watch.terminal, watch.direction = True, -1 if armed else 1
            found = solve_ivp(rhs, (time, end), y, method="DOP853", rtol=1e-11, atol=1e-12, events=watch)
            time, y = found.t[-1], found.y[:, -1].copy()
            if found.t_events[0].size and time < end:
                if armed:
                    boosts.append(time)
                    y[1] += 30
                    armed = y[1] > 25
                else:
                    armed = True
    return amounts, boosts, y


def test_random_courses_are_those_of_a_plain_loop():
    draw = np.random.default_rng(11)
    twins = 12
    p = np.column_stack([
        *(draw.uniform(low, high, twins) for low, high in (
            (0.3, 1.5), (8, 25), (0.5, 3), (20, 40), (0.2, 0.5), (0.05, 0.1), (0.05, 0.6)
        ))
    ])  # fmt: skip
    low = 0.35 * p[:, 4] / p[:, 5]
    times = np.cumsum(draw.choice([8.0, 12.0, 24.0], 20))
    events = make_events(times, 150.0, cmt="gut")
    wide = System("hard", HARD.states, (*NAMES, "low_count"), ("rate",), hard, "hour")
    y0 = np.column_stack([np.zeros(twins), np.zeros(twins), p[:, 4] / p[:, 5]])
    until = times[-1] + 30
    found = simulate(
        wide, HARD_LAYOUT, events, np.column_stack([p, low]), y0, [until], rules=HARD_RULES, units={"blood": "mg"},
        tolerance=Tolerance(1e-11, 1e-12),
    )  # fmt: skip
    assert (found.status == Status.COMPLETED).all()
    seen = set()
    for k in range(twins):
        amounts, boosts, y = plain_loop(p[k], low[k], [(t, 150.0) for t in times], until)
        regimen = (found.given.twin == k) & (found.given.rule == "")
        assert found.given.amount[regimen] == pytest.approx(amounts, rel=1e-9)
        mine = found.given.time[(found.given.twin == k) & (found.given.rule == "boost")]
        assert mine == pytest.approx(boosts, abs=1e-6)
        assert found.samples[k, 0] == pytest.approx(y, rel=1e-6, abs=1e-6)
        seen |= {round(a / 150, 3) for a in amounts} | ({"boost"} if boosts else set())
    assert len(seen) > 8 and "boost" in seen and 0.0 in seen


def test_the_same_bits_for_any_lanes_and_neighbours(monkeypatch):
    draw = np.random.default_rng(2)
    p = np.column_stack([draw.uniform(0.01, 0.08, 9), np.full(9, 0.8), draw.uniform(0, 3, 9)])
    rules = (rule("hold", "x > 70"), rule("raise", "x < 20", by="10 %", up_to="150 %"),
             rule("give", "x < 15", again_beyond=3.0, amount="30 mg", to="x"))  # fmt: skip

    def results(p):
        found = run(*rules, p=p, layout=LAGGED, times=np.linspace(0, 200, 31))
        return found.samples.tobytes(), found.given.amount.tobytes(), found.given.time.tobytes()

    whole, halves = results(p), [results(p[:4]), results(p[4:])]
    assert all(whole[i] == halves[0][i] + halves[1][i] for i in range(3))
    monkeypatch.setattr(carry, "solve", partial(solve, lanes=1))
    assert results(p) == whole


def test_a_data_set_under_rules_is_that_of_its_subjects():
    events = make_events([0, 10, 50, 0, 40, 0, 9], [100, 0, 0, 80, 0, 90, 0], id=[1, 1, 1, 2, 2, 3, 3],
                         evid=[1, 0, 0, 1, 0, 1, 0], ii=[8, 0, 0, 10, 0, 4, 0],
                         addl=[5, 0, 0, 3, 0, 9, 0])  # fmt: skip
    p = np.array([[0.02, 0.8, 2.0], [0.05, 0.9, 1.0], [0.01, 0.7, 0.5]])
    rules = read_rules([rule("hold", "x > 70"), rule("reduce", "x > 40", by="20 %")])
    whole = predict(BODY, LAGGED, events, p, rules=rules, tolerance=TIGHT)
    parts = [simulate(BODY, LAGGED, s, p[[k]], rules=rules, tolerance=TIGHT) for k, s in enumerate(events.subjects())]
    assert whole.samples.tobytes() == b"".join(part.samples.tobytes() for part in parts)
    assert whole.given.amount.tolist() == [a for part in parts for a in part.given.amount.tolist()]
    assert (whole.given.amount == 0).any() and whole.given.time.max() == 40.0 - 0.0


# What is refused ---------------------------------------------------------------------------------------------------

REFUSED = [
    (rule("hold", "ank < 1"), r"rules.hold.when: got 'ank < 1'; .*no state, parameter or input is called 'ank'"),
    (rule("hold", "lagg > 1"), r"rules.hold.when: .*did you mean 'lag'\?"),
    (rule("hold", "x >"), r"rules.hold.when: got 'x >'; .*is no expression"),
    (rule("hold", "x == 'high'"), r"'high' is a word; conditions of dose rules compare numbers"),
    (rule("hold", "x in (1, 2)"), r"'in' compares words"),
    (rule("give", "x < 1 and k > 0", amount="5 mg", to="x"), r"rules.give.when: .*no single comparison"),
    (rule("stop", "x != 1", at="any time"), r"rules.stop.when: .*write 'a < b' or 'a > b'"),
    (rule("give", "doses_given < 1", amount="5 mg", to="x"), r"no state, parameter or input is called 'doses_given'"),
    (rule("give", "x < 1", amount="5 mL", to="x"), r"rules.give.amount: got '5 mL'; .*cannot be read in mg"),
    (rule("give", "x < 1", amount="5", to="x"), r"rules.give.amount: got '5'; .*has no unit; write '5 mg'"),
    (rule("give", "x < 1", amount="-5 mg", to="x"), r"rules.give.amount: .*write an amount above 0"),
    (rule("give", "x < 1", amount="5 mg", to="y"), r"rules.give.to: got 'y'; expected a state of the model; known: x"),
    (rule("give", "x < 1", amount="5 mg", to="x", again_beyond="2 L"), r"rules.give.again_beyond: got '2 L'"),
    (rule("give", "x < 1", amount="5 mg", to="x", again_beyond=-1.0), r"again_beyond: got -1.0; .*write 0 or more"),
    (rule("hold", "x < 1", into="z"), r"rules.hold.into: got 'z'; expected a compartment that is dosed; known: x"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_a_rule_that_the_model_cannot_carry_out_is_one_clear_error(given, message):
    with pytest.raises(RuleError, match=message) as caught:
        run(given)
    assert len(caught.value.problems) == 1


MALFORMED = [
    ({"name": "a", "when": "x < 1"}, r"rules.a.do: got nothing; expected hold, reduce, raise, stop or give"),
    (rule("holt", "x < 1"), r"rules.holt.do: got 'holt'; .*did you mean 'hold'\?"),
    (rule("hold", "x < 1", intoo="x"), r"rules.hold.intoo: got intoo; .*did you mean 'into'\?"),
    ({"name": "a", "do": "reduce", "when": "x < 1"}, r"rules.a.by: got nothing; expected a value; add 'by:'"),
    (rule("reduce", "x < 1", by=0.25), r"rules.reduce.by: got 0.25; .*has no unit"),
    (rule("reduce", "x < 1", by="25 mg"), r"rules.reduce.by: got '25 mg'; .*cannot be read in dimensionless"),
    (rule("reduce", "x < 1", by="125 %"), r"rules.reduce.by: got '125 %'; .*less than or equal to 1"),
    (rule("stop", "x < 1", at="noon"), r"rules.stop.at: got 'noon'; .*'a dose' or 'any time'"),
]


@pytest.mark.parametrize(("given", "message"), MALFORMED)
def test_a_malformed_rule_names_rule_field_value_and_what_to_do(given, message):
    with pytest.raises(RuleError, match=message):
        read_rules([given])


def test_a_rule_may_not_have_the_name_of_an_event():
    body = System(
        "b", ("x",), ("k", "F", "lag"), ("rate",), decay, "hour", events=(Event("hold", lambda t, y, p, u: y.x, "up"),)
    )
    with pytest.raises(RuleError, match=r"rules.hold.name: got 'hold'; .*'b' has an event of that name"):
        run(rule("hold", "x > 1"), system=body)


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(RuleError, match=r"rules.hold.name: got 'hold'; expected a name of its own"):
        read_rules([rule("hold", "x < 1"), rule("hold", "x > 2")])


def test_doses_that_overlap_cannot_be_decided_upon_one_by_one():
    with pytest.raises(DosingError, match="row 1: a dose into compartment x overlaps the infusion before it"):
        run(rule("hold", "x > 1"), events=make_events(0, 100, rate=10, ii=6, addl=3, cmt="x"))
    with pytest.raises(DosingError, match=r"row 1: a dose .* comes before an earlier one has arrived"):
        run(rule("hold", "x > 1"), events=make_events(0, 100, ii=1.5, addl=3), layout=LAGGED)
