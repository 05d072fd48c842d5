# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The engine: lanes, events and what is promised
#
# Differential equations of a model are written once, for one twin. The engine solves them for a hundred thousand, each
# with its own doses, its own events and its own steps. This page shows how, and tries every promise it makes. The drug
# and its numbers are invented.

# %%
import hashlib
import inspect
import sys
import time
from dataclasses import fields
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, "notebooks")  # the page is executed from the root of the project

from clinic import turnover

from twinarm import (
    Compartment,
    Event,
    Layout,
    Records,
    Solution,
    Status,
    System,
    Tolerance,
    hazard,
    parse_regimen,
    solve,
)
from twinarm.models.dosing import simulate
from twinarm.models.engine.math import exp
from twinarm.models.engine.reference import reference_solution
from twinarm.models.randomness import normals, uniforms

# %% [markdown]
# ## A model is a file of twenty lines
#
# An oral drug inhibits the production of a biomarker. `rates` returns the derivatives in the order of the states. It is
# called once, with symbols for numbers, to write the equations down and compile them; so it may not branch on a value
# (write `where(condition, a, b)`), and takes `exp` and `log` from `twinarm.models.engine.math`.

# %%
print(inspect.getsource(turnover))

# %% [markdown]
# A week of once-daily doses for 100,000 twins, each with its own clearance and sensitivity:

# %%
TYPICAL = np.array([1.0, 5.0, 50.0, 0.9, 0.5, 0.1])  # in the order of PARAMETERS


def parameters(twins: int) -> np.ndarray:
    """Parameters (twin, parameter); CL and IC50 vary by about 30 %. A draw belongs to the twin's number."""
    p = np.tile(TYPICAL, (twins, 1))
    for name in ("CL", "ic50"):
        column = turnover.PARAMETERS.index(name)
        p[:, column] *= np.exp(0.3 * normals(1, f"turnover.{name}", np.arange(twins))[:, 0])
    return p


p = parameters(100_000)
untreated = np.tile([0.0, 0.0, 100.0], (len(p), 1))
regimen = parse_regimen("100 mg oral q24h x 7").events({"oral": "gut"}, time_unit="hour")
layout = Layout((Compartment("gut"),))
hours = np.arange(0.0, 169.0, 24.0)
simulate(turnover.TURNOVER, layout, regimen, p[:1], untreated[:1], hours)  # the first call compiles
begin = time.perf_counter()
week = simulate(turnover.TURNOVER, layout, regimen, p, untreated, hours)
seconds = time.perf_counter() - begin
assert (week.status == Status.COMPLETED).all()
marker = np.percentile(week.samples[:, -1, 2], [5, 50, 95])
print(f"{len(p):,} twins in {seconds:.1f} s; biomarker after a week: {marker.round(1)} % of its start (5, 50, 95 %)")

# %% [markdown]
# ## Events
#
# An event is where a quantity crosses zero. The engine finds the moment, ends a step just there, and does what the
# model says: new values of states (a rescue), or the end of the twin, as a result (it leaves, it dies) or as a failure
# (the model no longer holds). A hazard is integrated as a state H; the event comes when H reaches the twin's own
# threshold E, drawn from the standard exponential distribution.
#
# Below, a rescue lifts a biomarker that falls under 50 % by 8 points. It happens again only after the biomarker has
# been above 50 % by more than the *hysteresis*. At 2 the rescue's own 8 points are enough for that; at 12 the twin must
# recover, so there is one rescue an episode.


# %%
def rates(t, y, p, u):
    """Those of the file, and a hazard of leaving that grows as the biomarker falls."""
    return *turnover.rates(t, y, p, u), p.h0 * exp(0.05 * (100.0 - y.marker))


def above_low(t, y, p, u):
    return y.marker - 50.0


def lift(t, y, p, u):
    return {"marker": y.marker + 8.0}


def production(t, y, p, u):
    conc = y.drug / p.V
    return 1.0 - p.imax * conc / (p.ic50 + conc)


def trial(hysteresis: float) -> System:
    """The model of the file with a rescue, a way to leave, and a bound within which it makes sense."""
    events = (
        Event("rescue", above_low, "down", hysteresis, lift),
        hazard("leaves", "H", "E"),
        Event("negative production", production, "down", ends=Status.CONSTRAINT),
    )
    states, names = (*turnover.STATES, "H"), (*turnover.PARAMETERS, "h0", "E")
    return System("rescue", states, names, (), rates, "hour", events=events)


ids, stop = np.arange(24), 120.0
p = np.column_stack([parameters(24), np.full(24, 5e-4), -np.log(uniforms(1, "turnover.E", ids, 1)[:, 0])])
y0 = np.tile([0.0, 0.0, 100.0, 0.0], (24, 1))
# Each twin takes its doses when it likes: a record adds its value to a state, and a step ends on every record.
doses = Records(
    time=24.0 * np.arange(5) + 6.0 * uniforms(1, "turnover.delay", ids, 5),
    target=np.full((24, 5), trial(0.0).state("gut")),
    value=np.full((24, 5), 120.0),
)
for hysteresis in (2.0, 12.0):
    found = solve(trial(hysteresis), y0, p, 0.0, stop, doses, keep_events=20)
    rescues, leaving, _ = found.event_counts.sum(axis=0)
    print(f"hysteresis {hysteresis:2.0f}: {rescues} rescues, {leaving} of 24 twins leave before the end")

# %% [markdown]
# ## Lanes
#
# One core carries eight twins at a time, in the eight *lanes* of its vector instructions: one instruction does the same
# sum for eight twins. Only the instruction is shared. Every lane has its own twin, time, step length, doses and events,
# and a lane whose twin is done takes the next one from the queue.
#
# A solution tells how many steps a twin took, not when. To see the steps themselves, the same twins are solved with a
# limit of 1, 2, 3, ... steps: the status is then "step limit reached", and `ended_at` the time to which they came. (A
# step that the error control refused does not move it, and one that ends on a dose is followed by one more.) Which twin
# ran in which lane follows from the numbers of steps: in every round each lane takes one.

# %%
SYSTEM = trial(hysteresis=12.0)
whole = solve(SYSTEM, y0, p, 0.0, stop, doses, keep_events=20)
limits = np.arange(1, int(whole.steps.max()) + 1)
limited = [solve(SYSTEM, y0, p, 0.0, stop, doses, tolerance=Tolerance(max_steps=int(k))) for k in limits]
reached = np.array([found.ended_at for found in limited])  # (limit, twin)
one_more = np.array(
    [(found.status == Status.STEP_LIMIT) & (found.steps > k) for k, found in zip(limits, limited, strict=True)]
)

free_at, lane_of, first_round = np.zeros(8, int), np.zeros(24, int), np.zeros(24, int)
for twin in ids:
    lane_of[twin] = np.argmin(free_at)
    first_round[twin] = free_at[lane_of[twin]]
    free_at[lane_of[twin]] += whole.steps[twin]

BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
figure, (upper, lower) = plt.subplots(2, figsize=(9, 7.5), layout="constrained")
for twin in ids:
    lane, wide = lane_of[twin], whole.steps[twin]
    upper.barh(lane, wide, left=first_round[twin], height=0.72, color="#a9cde8", ec="white", lw=2)
    upper.text(first_round[twin] + wide / 2, lane, f"{twin}", ha="center", va="center", fontsize=8)
upper.set(xlabel="round: every lane takes one step in each", ylabel="lane", title="24 twins pass through 8 lanes")
upper.set(yticks=range(8), xlim=(0, free_at.max()), ylim=(7.6, -0.6))
for row, twin in enumerate(ids[:8]):
    end, left = whole.ended_at[twin], whole.event_counts[twin, 1] > 0
    taken, rescues = doses.time[twin][doses.time[twin] < end], whole.event_times[twin, 0]
    steps = np.unique(np.append(reached[:, twin], taken))
    lower.plot([0, end], [row, row], color="0.8", lw=0.8, zorder=0)
    lower.plot(steps, np.full(steps.size, row), "|", color=BLUE, ms=11, mew=0.8, label="end of a step")
    lower.plot(taken, np.full(taken.size, row), "v", color=ORANGE, ms=6, label="dose")
    lower.plot(rescues, np.full(rescues.size, row), "o", color=GREEN, ms=6, label="rescue")
    lower.plot(
        end, row, "x" if left else "|", color=RED if left else BLUE, ms=9, mew=2, label="leaves" if left else None
    )
lower.set(xlabel="the twin's own time, hours", ylabel="twin", title="The first eight twins, each with its own steps")
lower.set(yticks=range(8), xlim=(-1, stop + 1), ylim=(7.6, -0.6))
known = dict(zip(*reversed(lower.get_legend_handles_labels()), strict=True))
figure.legend(known.values(), known.keys(), loc="outside lower center", ncols=4, frameon=False)
for axes in (upper, lower):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# *Simulated; no person took part. Above: the lanes; a number is a twin, and where one bar ends and the next begins the
# lane was refilled. At the end, with an empty queue, lanes run dry; with thousands of twins that end is short. Below:
# every accepted step of the first eight twins. Steps are short after a dose and long where little happens; they end
# exactly on each dose and on each event.*

# %%
for twin in ids:
    rescues = whole.event_times[twin, 0, : whole.event_counts[twin, 0]]
    assert np.isin(rescues, reached[:, twin]).all()
    assert one_more[:, twin].sum() == (doses.time[twin] < whole.ended_at[twin]).sum()
print("every rescue is the end of a step, and as many steps end on a dose as there are doses, in all 24 twins")

# %% [markdown]
# ## A twin that fails
#
# Twin 5 now has a maximal inhibition of 150 %, as a careless draw may give. The model makes no sense there, and its
# third event says so. The twin ends with a reason, a time and the state at that time; its results are NaN and cannot be
# taken for numbers. Nobody else notices.

# %%
careless = p.copy()
careless[5, turnover.PARAMETERS.index("imax")] = 1.5
failing = solve(SYSTEM, y0, careless, 0.0, stop, doses, keep_events=20)
assert (failing.status == Status.COMPLETED).sum() == 23 and np.isnan(failing.y_end[5]).all()
state = ", ".join(f"{name} {x:.3g}" for name, x in zip(SYSTEM.states, failing.end_state[5], strict=True))
print(f"twin 5: {Status(failing.status[5]).reason} at {failing.failed_at[5]:.2f} h; there {state}")

# %% [markdown]
# ## The method is chosen for each twin
#
# A drug that binds to its target fast makes a model *stiff*: an ordinary (explicit) method must take tiny steps though
# nothing happens any more. The engine starts with an explicit method, watches each twin, and carries it on with a stiff
# one where that pays. Steps of the same three twins:


# %%
def binding(t, y, p, u):
    bound = p.kon * y.free * y.target - 0.01 * p.kon * y.complex
    return -0.1 * y.free - bound, 1.0 - 0.1 * y.target - bound, bound - 0.05 * y.complex


BINDING = System("binding", ("free", "target", "complex"), ("kon",), (), binding, "hour")
speeds = np.array([[0.1], [10.0], [1000.0]])
print("association rate      " + "".join(f"{k:8g}" for k in speeds[:, 0]))
for method in ("tsit5", "rodas5p", "auto"):
    found = solve(BINDING, np.tile([100.0, 10.0, 0.0], (3, 1)), speeds, 0.0, 500.0, method=method)
    print(f"steps with {method:11}" + "".join(f"{n:8.0f}" for n in found.steps))

# %% [markdown]
# ## What is asked for and what is got
#
# A tolerance is asked of every step; what a user wants to know is the error of the result. Here it is, against SciPy's
# DOP853 at 1e-12, over six twins with their rescues, every two hours. (From 1e-6 on a
# method of higher order is used on smooth models: fewer steps for more digits.)

# %%
times = np.arange(0.0, stop + 1.0, 2.0)
truth = []
for k in range(6):
    mine = Records(doses.time[[k]], doses.target[[k]], doses.value[[k]])
    truth.append(reference_solution(SYSTEM, y0[k], p[k], 0.0, stop, mine, times, rtol=1e-12, atol=1e-13))
print("tolerance   largest error of the biomarker   steps a twin")
for rtol in (1e-3, 1e-5, 1e-7, 1e-9):
    found = solve(SYSTEM, y0[:6], p[:6], 0.0, stop, Records(doses.time[:6], doses.target[:6], doses.value[:6]), times,
                  Tolerance(rtol, 0.01 * rtol))  # fmt: skip
    assert (np.isnan(found.samples) == np.isnan(truth)).all()  # nobody leaves earlier or later
    error = np.nanmax(np.abs(found.samples[:, :, 2] - np.array(truth)[:, :, 2]))
    print(f"{rtol:9.0e}   {error:20.1e} % points   {found.steps.mean():12.0f}")

# %% [markdown]
# ## The same bits
#
# A twin's result depends on the twin alone: not on the number of lanes, its place in the queue, or its neighbours. So a
# cohort may be cut into any blocks on any number of workers, and one twin can be simulated again by itself, bit for bit
# on one family of processors. Compared are SHA-256 digests of every number of the solution.


# %%
def digest(found: Solution, rows: np.ndarray) -> str:
    """Of all arrays of a solution, for these rows in this order."""
    return hashlib.sha256(b"".join(getattr(found, f.name)[rows].tobytes() for f in fields(found))).hexdigest()[:16]


def again(rows: np.ndarray, p: np.ndarray = p, lanes: Literal[1, 4, 8] = 8) -> Solution:
    mine = Records(doses.time[rows], doses.target[rows], doses.value[rows])
    return solve(SYSTEM, y0[rows], p[rows], 0.0, stop, mine, times, lanes=lanes, keep_events=20)


others = np.delete(ids, 5)  # all but the twin that failed above
shuffled = np.random.default_rng(0).permutation(ids)
alone = [digest(again(ids[[k]]), np.array([0])) for k in ids]
first = again(ids)
digests = {f"{lanes} lanes" if lanes > 1 else "1 lane": digest(again(ids, lanes=lanes), others) for lanes in (1, 4, 8)}
digests["shuffled"] = digest(again(shuffled), np.argsort(shuffled)[others])
digests["beside a twin that fails"] = digest(again(ids, careless), others)
for how, value in digests.items():
    print(f"{how:26}{value}")
assert len(set(digests.values())) == 1
assert alone == [digest(first, np.array([k])) for k in ids]
print("each twin alone: the same bits, too")
