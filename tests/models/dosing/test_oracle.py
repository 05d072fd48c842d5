"""Random event tables: the engine and a plain reading of NONMEM's rules (`oracle`) agree on every row."""

import numpy as np
import pytest

from tests.models.dosing.oracle import Body, Row, predictions
from twinarm.models.dosing import Compartment, Events, Layout, make_events, predict, simulate
from twinarm.models.engine import System
from twinarm.models.model import Status, Tolerance

TIGHT = Tolerance(1e-9, 1e-11)
AGREE = 1e-6  # of the largest amount in a state over all rows of a subject
STATES = ("depot", "central", "peripheral")
MODIFIERS = tuple(f"{what}{i}" for what in ("F", "lag", "R", "D") for i in (1, 2, 3))


def rhs(t, y, p, u):
    there, back = p.Q / p.V * y.central, p.Q / p.Vp * y.peripheral
    return (
        u.in1 - p.ka * y.depot,
        u.in2 + p.kin + p.ka * y.depot - p.CL * u.factor / p.V * y.central - there + back,
        u.in3 + there - back,
    )


PARAMETERS = ("ka", "CL", "V", "Q", "Vp", "kin", *MODIFIERS)
SYSTEM = System("oracle", STATES, PARAMETERS, ("in1", "in2", "in3", "factor"), rhs, "hour")
LAYOUT = Layout(
    tuple(
        Compartment(s, f"in{i}", f"F{i}", f"lag{i}", f"R{i}", f"D{i}") for i, s in enumerate(STATES, 1)
    )
)  # fmt: skip


def random_body(draw: np.random.Generator) -> Body:
    """Times are quarters of an hour and amounts whole, so that arrivals really meet rows."""
    lag = draw.choice([0.0, 0.0, 0.25, 1.5, 4.0, 13.0, draw.uniform(0, 9)], 3)
    V, Vp = draw.uniform(5, 60, 2)
    CL, kin = draw.uniform(1, 10), draw.choice([0.0, 0.0, 3.0])
    start = (0.0, kin / CL * V, kin / CL * Vp) if draw.random() < 0.7 else tuple(draw.uniform(0, 50, 3))
    return Body(
        ka=draw.uniform(0.2, 2.5), CL=CL, V=V, Q=draw.choice([0.0, 1.0]) * draw.uniform(1, 20) or 1e-3, Vp=Vp, kin=kin,
        F=tuple(draw.choice([1.0, 0.5, draw.uniform(0.1, 1)], 3)), lag=tuple(lag),
        R=tuple(draw.choice([4.0, 16.0, draw.uniform(2, 40)], 3)),
        D=tuple(draw.choice([0.5, 2.0, 30.0, draw.uniform(0.1, 20)], 3)), start=start,
    )  # fmt: skip


def random_row(draw: np.random.Generator, time: float, evid: int) -> Row:
    factor = draw.choice([1.0, 0.5, 2.0, np.nan])
    covariate = None if np.isnan(factor) else float(factor)
    common = {"time": time, "evid": evid, "cmt": int(draw.integers(1, 4)), "factor": covariate}
    if evid == 5:
        return Row(**common, amt=float(draw.integers(0, 100)))
    if evid not in (1, 4):
        return Row(**common)
    rate = float(draw.choice([0.0, 0.0, 8.0, 32.0, -1.0, -2.0]))
    ss = int(draw.choice([0, 0, 0, 1, 2]))
    if ss and rate not in (0.0, -2.0) and draw.random() < 0.2:
        return Row(**common, rate=rate, ss=ss)
    addl = int(draw.choice([0, 0, 1, 3, 8]))
    ii = float(draw.choice([0.5, 2.0, 6.0, 12.0, 24.0])) if addl or ss else 0.0
    amt = float(draw.choice([16.0, 64.0, 100.0]))
    return Row(**common, amt=amt, rate=rate, ii=ii, addl=addl, ss=ss)


def random_rows(draw: np.random.Generator) -> list[Row]:
    rows: list[Row] = []
    time = float(draw.choice([0.0, -3.0, 2.5]))
    for _ in range(draw.integers(2, 14)):
        evid = int(draw.choice([0, 0, 0, 1, 1, 1, 2, 3, 4, 5]))
        time += float(draw.choice([0.0, 0.0, 0.25, 1.5, 6.0, draw.uniform(0, 20)]))
        if rows and evid in (3, 4) and draw.random() < 0.3:
            time = float(draw.choice([0.0, 1.25]))
        rows.append(random_row(draw, time, evid))
    if all(row.factor is None for row in rows):
        rows[0] = Row(**{**vars(rows[0]), "factor": 1.0})
    return rows


def table(subjects: list[list[Row]]) -> Events:
    flat = [(k, row) for k, rows in enumerate(subjects) for row in rows]

    def column(name: str) -> list:
        return [getattr(row, name) for _, row in flat]

    factor = [np.nan if row.factor is None else row.factor for _, row in flat]
    names = [("1", "2", "3", *STATES)[row.cmt - 1 + 3 * (i % 2)] for i, (_, row) in enumerate(flat)]
    return make_events(
        column("time"), column("amt"), evid=column("evid"), cmt=names, rate=column("rate"), ii=column("ii"),
        addl=column("addl"), ss=column("ss"), id=[k for k, _ in flat], covariates={"factor": factor},
    )  # fmt: skip


def parameters(bodies: list[Body]) -> np.ndarray:
    return np.array([[b.ka, b.CL, b.V, b.Q, b.Vp, b.kin, *b.F, *b.lag, *b.R, *b.D] for b in bodies])


def disagreement(found: np.ndarray, exact: np.ndarray) -> float:
    """The largest difference of a state, of its largest amount."""
    return float((np.abs(found - exact) / (np.abs(exact).max(axis=0) + 1.0)).max())


def compare(seed: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    bodies = [random_body(draw) for _ in range(count)]
    subjects = [random_rows(draw) for _ in range(count)]
    events, p = table(subjects), parameters(bodies)
    y0 = np.array([b.start for b in bodies])
    for rule in ("locf", "nocb"):
        found = predict(SYSTEM, LAYOUT, events, p, y0, covariates=rule, tolerance=TIGHT)
        assert (found.status == Status.COMPLETED).all()
        at = 0
        for k, (body, rows) in enumerate(zip(bodies, subjects, strict=True)):
            mine = found.samples[at : at + len(rows)]
            at += len(rows)
            apart = disagreement(mine, predictions(body, rows, rule))
            assert apart < AGREE, f"seed {seed}, subject {k}, {rule}: {apart:.2e}\n{body}\n" + "\n".join(map(str, rows))


@pytest.mark.parametrize("seed", range(3))
def test_random_tables_are_carried_out_as_their_rules_say(seed):
    compare(seed, 50)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1020))
def test_ten_thousand_random_tables_are_carried_out_as_their_rules_say(seed):
    """Twenty seeds of 500 tables, each with covariates carried forward and looked ahead."""
    compare(seed, 500)


@pytest.mark.parametrize("rule", ["locf", "nocb"])
def test_many_twins_of_one_table_are_read_at_any_time(rule):
    draw = np.random.default_rng(7)
    for _ in range(12):
        rows = [row for row in random_rows(draw) if row.time >= 2.5]
        rows = sorted(rows, key=lambda row: row.time)
        if all(row.factor is None for row in rows):
            continue
        bodies = [random_body(draw) for _ in range(4)]
        times = np.sort(np.r_[draw.uniform(0, 90, 9), [row.time for row in rows[:3]]])
        y0 = np.array([b.start for b in bodies])
        found = simulate(SYSTEM, LAYOUT, table([rows]), parameters(bodies), y0, times, covariates=rule, tolerance=TIGHT)
        asked = [Row(time=t, evid=2, factor=None) for t in times.tolist()]
        both = sorted(rows + asked, key=lambda row: row.time)
        for body, samples in zip(bodies, found.samples, strict=True):
            exact = predictions(body, both, rule)[[any(row is a for a in asked) for row in both]]
            assert disagreement(samples, exact) < AGREE
