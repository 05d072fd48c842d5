"""Carry twins through their timelines: one call of the engine for stage number k of all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..engine import Records, System, solve
from ..model import Status, Tolerance
from .covariates import Covariates
from .events import REPLACE
from .layout import Layout, Modifiers
from .reactive import Reactive
from .steady_state import periodic_state
from .timeline import (
    BOLUS,
    DECISION,
    INFUSION,
    INPUT,
    NOTHING,
    RATE,
    STAGE,
    Doses,
    Rows,
    Timeline,
    doses_of,
    ranges,
)  # fmt: skip

# Any stretch of time does for the periodic state of a constant infusion, which has no period of its own.
STRETCH = {"second": 3600.0, "minute": 60.0, "hour": 24.0, "day": 7.0, "week": 4.0}


@dataclass(frozen=True)
class Plan:
    """What is carried out: twins (twin,) of subjects, their `line` in the timeline, and the rows that are sampled.

    Where doses obey rules, `system` is that of `reacting`. `kept` times of each event are told.
    """

    system: System
    layout: Layout
    rows: Rows
    timeline: Timeline
    covariates: Covariates
    modified: Modifiers
    subject: np.ndarray
    line: np.ndarray
    sampled: np.ndarray
    p: np.ndarray
    initial: np.ndarray
    tolerance: Tolerance | None
    free: tuple[str, ...]
    kept: int = 1
    reacting: Reactive | None = None

    @cached_property
    def infusions(self) -> np.ndarray:
        """Inputs that carry rates."""
        return np.array([self.system.inputs.index(c.infusion) for c in self.layout.compartments if c.infusion], int)

    @cached_property
    def states(self) -> np.ndarray:
        """State of each compartment."""
        return np.array([self.system.states.index(c.state) for c in self.layout.compartments])

    @cached_property
    def rates(self) -> np.ndarray:
        """Input of each compartment, 0 where it takes no infusion (so that none is asked for)."""
        inputs = self.system.inputs
        return np.array([inputs.index(c.infusion) if c.infusion else 0 for c in self.layout.compartments])

    @cached_property
    def targets(self) -> np.ndarray:
        """Target of a record by kind of entry and place, (kind, place); -1 where the entry is no record."""
        places, inputs, states = self.layout.compartments, self.covariates.inputs, len(self.system.states)
        out = np.full((NOTHING + 1, max(len(places), len(inputs))), -1)
        out[INPUT, : len(inputs)] = states + inputs
        out[RATE, : len(places)] = states + self.rates
        out[BOLUS, : len(places)] = self.states
        if self.reacting:
            for i, place in enumerate(places):
                out[DECISION, i], out[BOLUS, i] = self.reacting.decision(place.state), self.reacting.bolus(place.state)
                if place.infusion:
                    out[INFUSION, i] = self.reacting.infusion(place.state)
        return out

    def samples_of_twins(self) -> np.ndarray:
        """How many rows of each twin are sampled."""
        each = np.bincount(self.rows.subject[self.sampled], minlength=len(self.rows.first))
        counts: np.ndarray = each[self.subject]
        return counts

    def sampled_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Twin and row of every sample, one twin after the other."""
        number, twin = ranges(self.samples_of_twins())
        before = np.cumsum(self.sampled) - self.sampled
        first = before[self.rows.first[self.subject]]
        return twin, np.flatnonzero(self.sampled)[first[twin] + number]

    @cached_property
    def responds(self) -> bool:
        """Whether what happens is more than adding amounts and setting inputs."""
        return bool(self.system.events or self.system.actions)


@dataclass
class Carried:
    """State and inputs of each twin where it stands, and what became of it.

    `out` (row, state) holds the sampled rows of one twin after the other; `ended_at` (twin,) where it ended, `ended`
    whether by an event; `event_times` (twin, event, kept), NaN where unused, `event_counts` (twin, event), and `armed`
    (twin, event), which the engine hands on.
    """

    y: np.ndarray
    u: np.ndarray
    status: np.ndarray
    ended_at: np.ndarray
    ended: np.ndarray
    event_times: np.ndarray
    event_counts: np.ndarray
    armed: np.ndarray
    out: np.ndarray

    @classmethod
    def at_start(cls, plan: Plan, samples: int) -> Carried:
        """Twins before their first row."""
        twins, events = len(plan.subject), len(plan.system.events)
        u = np.zeros((twins, len(plan.system.inputs)))
        for name, value in (plan.reacting.memory if plan.reacting else {}).items():
            u[:, plan.system.inputs.index(name)] = value
        first = plan.rows.first[plan.subject]
        u[:, plan.covariates.inputs] = plan.covariates.own[first]
        return cls(
            y=plan.initial.copy(),
            u=u,
            status=np.where(plan.modified.valid, Status.COMPLETED, Status.CONSTRAINT).astype(np.int8),
            ended_at=plan.rows.events.time[first],
            ended=np.zeros(twins, bool),
            event_times=np.full((twins, events, plan.kept), np.nan),
            event_counts=np.zeros((twins, events), np.int64),
            armed=np.full((twins, events), -1.0),
            out=np.full((samples, len(plan.system.states)), np.nan),
        )

    def fail(self, who: np.ndarray, code: np.ndarray, at: np.ndarray) -> None:
        failed = code != Status.COMPLETED
        self.status[who[failed]] = code[failed]
        self.ended_at[who[failed]] = at[failed]

    def happened(self, who: np.ndarray, times: np.ndarray, counts: np.ndarray, ending: np.ndarray) -> None:
        """Keep the events of one stage; those marked in `ending` (event,) end a twin."""
        kept = self.event_times.shape[2]
        for j in range(kept):
            slot = self.event_counts[who] + j
            i, event = np.nonzero((j < counts) & (slot < kept))
            self.event_times[who[i], event, slot[i, event]] = times[i, event, j]
        self.event_counts[who] += counts
        self.ended[who] |= (counts[:, ending] > 0).any(axis=1)


def carry_out(plan: Plan) -> Carried:
    """Carry every twin to its end."""
    rows, subject = plan.rows, plan.subject
    sampled_before = np.r_[0, np.cumsum(plan.sampled)]
    counts = plan.samples_of_twins()
    begin = np.cumsum(counts) - counts  # of each twin in `out`
    now = Carried.at_start(plan, int(counts.sum()))
    line, opened = np.nonzero(plan.timeline.kind == STAGE)
    first_of_line = np.searchsorted(line, np.arange(len(plan.timeline.time) + 1))
    stages = np.diff(rows.stage_first)[subject]
    for number in range(int(stages.max())):
        who = np.flatnonzero((stages > number) & (now.status == Status.COMPLETED) & ~now.ended)
        stage = rows.stage_first[subject[who]] + number
        _open(plan, now, who, stage)
        who, stage = (a[now.status[who] == Status.COMPLETED] for a in (who, stage))
        if who.size == 0:
            continue
        at = first_of_line[plan.line[who]] + number
        last = at + 1 == first_of_line[plan.line[who] + 1]
        following = opened[np.minimum(at + 1, len(opened) - 1)]
        records = _records(plan, who, opened[at] + 1, np.where(last, plan.timeline.time.shape[1], following))
        row = np.r_[rows.stage_row, len(rows.events)]
        asked = sampled_before[row[stage]], sampled_before[row[stage + 1]]
        place = begin[who] - sampled_before[rows.first[subject[who]]]
        _move(plan, now, who, stage, records, asked, place)
    return now


def _open(plan: Plan, now: Carried, who: np.ndarray, stage: np.ndarray) -> None:
    """Change the states as a whole where the first row of the stage does so."""
    rows = plan.rows
    row = rows.stage_row[stage]
    emptied = who[rows.resets[row]]
    now.y[emptied] = plan.initial[emptied]
    now.u[np.ix_(emptied, plan.infusions)] = 0.0
    replaced = rows.events.evid[row] == REPLACE
    now.y[who[replaced], plan.states[rows.compartment[row[replaced]]]] = rows.events.amt[row[replaced]]
    steady = rows.steady[row]
    if steady.any():
        _settle(plan, now, who[steady], row[steady])


def _settle(plan: Plan, now: Carried, who: np.ndarray, row: np.ndarray) -> None:
    """The periodic state of the dose of each row, or that state added to what is there."""
    covariates = plan.covariates
    system = replace(plan.system, events=(), actions=())  # doses alone, without what answers to them
    doses = doses_of(plan.rows, plan.modified, who, row)
    interval = np.where(doses.interval > 0, doses.interval, STRETCH.get(system.time_unit, 1.0))
    quiet = now.u[who]
    quiet[:, plan.infusions] = 0.0
    around = quiet.copy()
    around[:, covariates.inputs] = covariates.own[row]  # a steady state is that of the row's own covariates
    inputs, records = _regular(plan, doses, around)
    found = periodic_state(system, plan.p[who], interval, records, plan.initial[who], inputs, plan.tolerance, plan.free)
    now.fail(who, found.status, plan.rows.events.time[row])
    added = plan.rows.events.ss[row] == 2
    kept = np.isin(system.states, plan.free)
    alone = ~added
    now.y[who[alone]] = np.where(kept, now.y[who[alone]], found.y[alone])
    now.u[who[alone]] = quiet[alone]
    if added.any():
        # What the doses add to a body is the difference from its own state without any.
        twins, none = who[added], Records.empty(int(added.sum()), 0)
        undosed = periodic_state(
            system, plan.p[twins], interval[added], none, plan.initial[twins], around[added], plan.tolerance, plan.free
        )
        good = now.status[twins] == Status.COMPLETED
        now.fail(twins[good], undosed.status[good], plan.rows.events.time[row[added]][good])
        now.y[twins] += found.y[added] - undosed.y


def _regular(plan: Plan, d: Doses, inputs: np.ndarray) -> tuple[np.ndarray, Records]:
    """Inputs at the beginning of an interval of regular doses, and the records within it."""
    twins = np.arange(len(d.rate))
    start, records = inputs.copy(), Records.empty(len(twins), 2)
    bolus, constant = ~d.infused, d.interval == 0
    records.time[bolus, 0], records.target[bolus, 0] = d.phase[bolus], plan.states[d.compartment[bolus]]
    records.value[bolus, 0] = d.amount[bolus]
    rate = plan.rates[d.compartment]
    rate_before = d.rate * np.where(constant, 1.0, d.running)
    start[twins[d.infused], rate[d.infused]] = rate_before[d.infused]
    i = d.infused & ~constant
    base = d.running - d.wraps
    off = d.phase + d.rest - np.where(d.wraps, d.interval, 0.0)
    records.target[i] = len(plan.system.states) + rate[i, None]
    records.time[i] = np.sort(np.stack([d.phase, off], axis=1)[i], axis=1)
    more, fewer = d.rate * (base + 1), d.rate * base
    records.value[i, 0] = np.where(d.wraps, fewer, more)[i]
    records.value[i, 1] = np.where(d.wraps, more, fewer)[i]
    return start, records


def _records(plan: Plan, who: np.ndarray, begin: np.ndarray, end: np.ndarray) -> Records:
    """The entries `begin` to `end` of each twin's line as records of the engine."""
    t = plan.timeline
    width = int((end - begin).max(initial=0))
    at = begin[:, None] + np.arange(width)
    line, clipped = plan.line[who][:, None], np.minimum(at, max(t.time.shape[1] - 1, 0))
    # An entry that is no record has a place of its own, which may lie beyond those of records.
    target = plan.targets[t.kind[line, clipped], np.minimum(t.place[line, clipped], plan.targets.shape[1] - 1)]
    used = (at < end[:, None]) & (target >= 0)
    # Unused entries stand at the beginning or the end of a stage; the former move behind.
    order = np.argsort(~used, axis=1, kind="stable")
    columns = np.where(used, t.time[line, clipped], np.inf), np.where(used, target, 0), t.value[line, clipped]
    return Records(*(np.ascontiguousarray(np.take_along_axis(a, order, axis=1)) for a in columns))


def _move(
    plan: Plan, now: Carried, who: np.ndarray, stage: np.ndarray, records: Records,
    asked: tuple[np.ndarray, np.ndarray], place: np.ndarray,
) -> None:  # fmt: skip
    """Integrate one stage of each twin, carry out what is due at its end, and write its sampled rows."""
    start, stop = plan.rows.stage_start[stage], plan.rows.stage_stop[stage]
    clock = plan.rows.events.time[plan.sampled]
    first, counts = asked[0], asked[1] - asked[0]
    width = int(counts.max(initial=0))
    shared = bool((stage == stage[:1]).all())
    picked = (first[:1, None] if shared else first[:, None]) + np.arange(width)
    valid = np.arange(width) < counts[: len(picked), None]
    times = np.where(valid, clock[np.minimum(picked, max(len(clock) - 1, 0))] if width else 0.0, np.inf)
    due = records.time == stop[:, None]
    # What is due at the end belongs to this stage; where it is more than a sum, the engine goes past it to do it.
    until = np.where(due.any(axis=1) & plan.responds, stop + 2.0 * np.spacing(np.maximum(np.abs(stop), 1.0)), stop)
    found = solve(
        plan.system, now.y[who], plan.p[who], start, until, records, times, plan.tolerance, now.u[who],
        keep_events=plan.kept, armed=now.armed[who],
    )  # fmt: skip
    now.armed[who] = found.armed
    now.ended_at[who] = np.minimum(found.ended_at, stop)
    now.fail(who, found.status, found.failed_at)
    ending = np.array([event.ends is not None for event in plan.system.events], bool)
    now.happened(who, found.event_times, found.event_counts, ending)
    y, u, samples = found.y_end, found.inputs_end, found.samples
    if not plan.responds:
        _add_up(y, u, records, due)
        at_end = times == stop[:, None]
        samples[at_end] = np.broadcast_to(y[:, None, :], samples.shape)[at_end]
    now.y[who], now.u[who] = y, u
    number, twin = ranges(counts)
    now.out[(place + first)[twin] + number] = samples[twin, number]


def _add_up(y: np.ndarray, u: np.ndarray, records: Records, due: np.ndarray) -> None:
    """Carry out the records that are due, in their order; they add amounts and set inputs."""
    states = y.shape[1]
    for column in np.flatnonzero(due.any(axis=0)):
        twin = np.flatnonzero(due[:, column])
        target, value = records.target[twin, column], records.value[twin, column]
        adds = target < states
        y[twin[adds], target[adds]] += value[adds]
        u[twin[~adds], target[~adds] - states] = value[~adds]
