"""From event records to what the solver does: stages of a time axis, each with an opening and sorted records.

A stage begins where the state is changed as a whole (reset, replacement, steady state), or where an observation stands
before a dose of the same time and must not see it. Within a stage everything is an amount added to a compartment or
a rate that is set. The rules, where NONMEM's help leaves them open or where they are easily got wrong:

- rows of one time are carried out in the order in which they stand; a further dose (ADDL) or a lagged one that arrives
  at the time of a row is there before that row is read;
- a reset and a steady state of SS 1 cancel running infusions, doses under way (lag) and further doses (ADDL);
- infusions into one compartment add up; the end of one changes nothing but the rate;
- with a lag the periodic state is that of a long run of doses, all of them lagged: what is still to arrive or still
  runs at TIME does so afterwards;
- bioavailability multiplies the amount, so that at a given RATE it changes how long the infusion lasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .events import (
    MODELLED_DURATION,
    MODELLED_RATE,
    OBSERVATION,
    OTHER,
    REPLACE,
    RESET,
    RESET_AND_DOSE,
    Events,
)  # fmt: skip
from .layout import Layout, Modifiers

BOLUS, RATE = 0, 1


@dataclass(frozen=True)
class Reset:
    """The state becomes the initial one, every infusion stops."""


@dataclass(frozen=True)
class Replace:
    """The amount in one compartment becomes `amount`."""

    compartment: int
    amount: float


@dataclass(frozen=True)
class Steady:
    """The periodic state of one dose every `interval`, taken `lag` before the dose arrives; arrays (twin,).

    `rate` is 0 for a bolus (not `infused`) of `amount`; `interval` 0 is a constant infusion at `rate`. `superpose` adds
    the state to what is there (its difference from the initial state, which is 0 in a body without baseline).
    """

    compartment: int
    amount: np.ndarray
    rate: np.ndarray
    duration: np.ndarray
    lag: np.ndarray
    interval: float
    infused: bool
    superpose: bool


Opening = Reset | Replace | Steady


@dataclass(frozen=True)
class Stage:
    """One stretch of time; a clock that starts anew shows as a `start` before the last stage's `stop`.

    `openings` are done at `start`, in order. `time`, `kind` (BOLUS, RATE), `compartment`, `value` are (twin, record)
    and sorted, time inf where unused; records at `stop` belong to this stage and are done before the next one opens.
    A RATE is the sum of all infusions that run into the compartment from then on.
    """

    start: float
    stop: float
    first_row: int
    openings: tuple[Opening, ...]
    time: np.ndarray
    kind: np.ndarray
    compartment: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class _Doses:
    """What one row gives: `start`, `stop` (twin, dose), start inf where nothing is left to give; others (twin, 1)."""

    row: int
    compartment: int
    start: np.ndarray
    stop: np.ndarray
    amount: np.ndarray
    rate: np.ndarray


def stages(events: Events, layout: Layout, modified: Modifiers, begin: float, end: float) -> list[Stage]:
    """The stages of one subject's checked records, for twins with these modifiers.

    Parameters
    ----------
    begin, end : the first stage starts at `begin` if that is before the first row, the last one reaches `end`.
    """
    starts = _break_rows(events)
    opens = bool(_opens(events, 0))
    spans = []
    for number, row in enumerate(starts):
        following = starts[number + 1] if number + 1 < len(starts) else None
        first = min(begin, float(events.time[0])) if row == 0 and not opens else float(events.time[row])
        last = float(events.time[-1]) if following is None else float(events.time[following])
        if following is None:
            last = max(last, end)
        elif last < first or events.time[following] < events.time[following - 1]:
            last = float(events.time[following - 1])  # the clock starts anew
        spans.append((row, first, max(first, last)))
    epochs = [i for i, row in enumerate(starts) if i == 0 or _cancels(events, row)]
    out: list[Stage] = []
    if opens and begin < events.time[0]:  # time before a first row that changes the state
        none = np.zeros((len(modified.valid), 0))
        whole = none.astype(np.int64)
        out.append(Stage(begin, float(events.time[0]), 0, (), none, whole, whole, none))
    for number, head in enumerate(epochs):
        tail = epochs[number + 1] if number + 1 < len(epochs) else len(starts)
        rows = range(starts[head], starts[tail] if tail < len(starts) else len(events))
        out += _epoch(events, layout, modified, rows, spans[head:tail])
    return out


def _cancels(e: Events, row: int) -> bool:
    return e.evid[row] in (RESET, RESET_AND_DOSE) or (bool(e.is_dose[row]) and e.ss[row] == 1)


def _opens(e: Events, row: int) -> bool:
    """Whether a row changes the state as a whole."""
    return _cancels(e, row) or e.evid[row] == REPLACE or (bool(e.is_dose[row]) and e.ss[row] > 0)


def _break_rows(e: Events) -> list[int]:
    """Rows that begin a stage."""
    found = [0]
    seen_at = None  # time of the last prediction in the stage
    for row in range(len(e)):
        whole = _opens(e, row)
        acts = whole or bool(e.is_dose[row])
        if row > 0 and (whole or (acts and seen_at == e.time[row])):
            found.append(row)
        if whole or acts:
            seen_at = None
        if e.evid[row] in (OBSERVATION, OTHER):
            seen_at = e.time[row]
    return found


def _epoch(
    e: Events, layout: Layout, modified: Modifiers, rows: range, spans: list[tuple[int, float, float]]
) -> list[Stage]:
    """Stages from one reset to the next; `spans` holds first row, start and stop of each."""
    doses: list[_Doses] = []
    openings: dict[int, list[Opening]] = {}
    for row in rows:
        here: list[Opening] = []
        if e.evid[row] in (RESET, RESET_AND_DOSE):
            here.append(Reset())
        if e.evid[row] == REPLACE:
            here.append(Replace(layout.index(str(e.cmt[row])) or 0, float(e.amt[row])))
        if e.is_dose[row]:
            steady, given = _given(e, row, layout, modified)
            here += steady
            doses += given
        if here:
            openings[row] = here
    time, kind, compartment, value, row_of = _records(doses, len(modified.valid), len(layout.compartments))
    breaks = spans[1:]
    number = np.zeros(time.shape, np.int64)  # the stage of each record
    for first_row, start, _ in breaks:
        number += (start < time) | ((start == time) & (first_row <= row_of))
    out = []
    for i, (first_row, start, stop) in enumerate(spans):
        mine = (number == i) & (time <= stop)
        width = int(mine.sum(axis=1).max(initial=0))
        order = np.argsort(~mine, axis=1, kind="stable")[:, :width]
        picked = [np.take_along_axis(a, order, axis=1) for a in (time, kind, compartment, value, mine)]
        out.append(
            Stage(
                start, stop, first_row, tuple(openings.get(first_row, ())),
                np.where(picked[4], picked[0], np.inf), picked[1], picked[2], picked[3],
            )
        )  # fmt: skip
    return out


def _given(e: Events, row: int, layout: Layout, m: Modifiers) -> tuple[list[Opening], list[_Doses]]:
    """What a dose row does: a steady state first where it asks for one, then this dose, the further ones, the past."""
    c = layout.index(str(e.cmt[row])) or 0
    time, interval = float(e.time[row]), float(e.ii[row])
    amount = e.amt[row] * m.bioavailability[:, c]
    rate, duration = np.zeros_like(amount), np.zeros_like(amount)
    if e.rate[row] == MODELLED_DURATION:
        duration = m.duration[:, c]
        rate = amount / duration
    elif e.rate[row] != 0:
        rate = m.rate[:, c] if e.rate[row] == MODELLED_RATE else np.full_like(amount, e.rate[row])
        duration = amount / rate
    lag = m.lag[:, c]
    steady: list[Opening] = []
    first = 0
    if e.ss[row] > 0:
        steady = [Steady(c, amount, rate, duration, lag, interval, bool(e.rate[row] != 0), bool(e.ss[row] == 2))]
        if interval == 0:
            return steady, []  # the constant infusion ends here
        first = -int(np.floor(((lag + duration) / interval).max()))
    number = np.arange(first, int(e.addl[row]) + 1)
    start = time + number * interval + lag[:, None]
    stop = start + duration[:, None]
    if first < 0:  # doses of the past that are still to come, or still running
        under_way = (number >= 0) | np.where(duration[:, None] > 0, stop > time, start >= time)
        start = np.where(under_way, np.maximum(start, time), np.inf)
    return steady, [_Doses(row, c, start, stop, amount[:, None], rate[:, None])]


def _records(doses: list[_Doses], twins: int, compartments: int) -> tuple[np.ndarray, ...]:
    """Sorted boluses and running sums of rates: time, kind, compartment, value, row, each (twin, record)."""
    none = np.zeros((twins, 0))
    parts = [(none, BOLUS, 0, none, none)]  # time, kind, compartment, value, row
    for c in range(compartments):
        mine = [d for d in doses if d.compartment == c]
        for d in mine:
            if (d.rate == 0).any():
                time = np.where(d.rate == 0, d.start, np.inf)
                parts.append((time, BOLUS, c, np.broadcast_to(d.amount, time.shape), np.full_like(time, d.row)))
        infusions = [d for d in mine if (d.rate != 0).any()]
        if infusions:
            parts.append(_running_rates(infusions, c))
    time = np.concatenate([p[0] for p in parts], axis=1)
    kind = np.concatenate([np.full(p[0].shape, p[1]) for p in parts], axis=1)
    compartment = np.concatenate([np.full(p[0].shape, p[2]) for p in parts], axis=1)
    value = np.concatenate([p[3] for p in parts], axis=1)
    row = np.concatenate([p[4] for p in parts], axis=1).astype(np.int64)
    order = np.lexsort((row, time), axis=1)
    return tuple(np.take_along_axis(a, order, axis=1) for a in (time, kind, compartment, value, row))


def _running_rates(infusions: list[_Doses], c: int) -> tuple[np.ndarray, int, int, np.ndarray, np.ndarray]:
    """The summed rate into compartment `c` from each start and end on."""
    edges, steps, rows = [], [], []
    for d in infusions:
        runs = (d.rate != 0) & np.isfinite(d.start)
        pair = np.where(runs[..., None], np.stack([d.start, d.stop], axis=2), np.inf)
        edges.append(pair.reshape(len(d.start), -1))
        steps.append(np.tile(np.concatenate([d.rate, -d.rate], axis=1), d.start.shape[1]))
        rows.append(np.full(2 * d.start.shape[1], float(d.row)))
    time, step, row = np.concatenate(edges, axis=1), np.concatenate(steps, axis=1), np.concatenate(rows)
    order = np.argsort(time, axis=1, kind="stable")
    running = np.cumsum(np.where(order % 2 == 0, 1, -1), axis=1)
    total = np.cumsum(np.take_along_axis(step, order, axis=1), axis=1)
    # Where nothing runs the rate is 0, not what rounding left of the sum.
    return np.take_along_axis(time, order, axis=1), RATE, c, np.where(running == 0, 0.0, total), row[order]
