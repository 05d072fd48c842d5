"""From event records to the flat arrays that the closed-form kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..dosing import timeline as dosing
from ..dosing.events import Events, with_rows_at
from ..dosing.layout import Layout, Modifiers
from ..dosing.timeline import Rows, doses_of, read_rows, timeline
from .kernel import BOLUS, NOTHING, RATE, REPLACE, RESET, STEADY, merge

# The kernel's number of what a timeline shows; the openings of stages mean nothing to it.
_KIND = np.full(dosing.NOTHING + 1, NOTHING)
_KIND[[dosing.EMPTIED, dosing.REPLACED, dosing.STEADY, dosing.BOLUS, dosing.RATE]] = RESET, REPLACE, STEADY, BOLUS, RATE


@dataclass(frozen=True)
class Schedule:
    """Events and the lengths of time between them and the samples; one row for all twins, or one a twin.

    `kind`, `where` (compartment), `value` and `event_gap` are (row, event); `steady` (row, steady dose, 6) holds
    amount, rate, duration, lag, interval, superpose. `gap` (row, gap) holds lengths of time, each needed once;
    `event_gap` points to the one before an event (-1: none). Block b holds the samples after b events:
    `block_first[b]` to `block_first[b + 1]`, at the gaps from `block_gap[b]` on.
    """

    kind: np.ndarray
    where: np.ndarray
    value: np.ndarray
    steady: np.ndarray
    gap: np.ndarray
    event_gap: np.ndarray
    block_first: np.ndarray
    block_gap: np.ndarray
    has_infusions: bool


def make_schedule(events: Events, layout: Layout, modified: Modifiers, times: np.ndarray) -> Schedule:
    """The schedule of one subject's checked records at sorted `times`.

    Twins whose doses are modified alike share one row; what a row holds does not depend on who shares it.
    """
    if modified.alike():
        modified = modified.take(slice(1))
    lines = len(modified.valid)
    begin = min(float(events.time[0]), float(times[0]))
    table, _ = with_rows_at(events, times[-1:], np.zeros(1, np.int64))  # doses are laid out until then
    rows = read_rows(table, layout, np.zeros(len(table), bool))
    shown = timeline(rows, modified, np.zeros(lines, np.int64))
    unused = shown.kind == dosing.NOTHING
    time = np.where(unused, table.time[-1], shown.time)
    kind = np.where(unused, NOTHING, _KIND[shown.kind])
    value, steady = shown.value.copy(), _steady_doses(rows, modified)
    is_steady = shown.kind == dosing.STEADY
    value[is_steady] = np.searchsorted(np.flatnonzero(rows.steady), shown.row[is_steady])
    applied = np.zeros((lines, times.size), np.int64)
    merge(time, times, 0, times.size, 0, applied)
    if lines == 1:
        found = [a[None] for a in _shared_gaps(time[0], applied[0], times, begin)]
    else:
        found = _own_gaps(time, applied, times, begin)
    gap, event_gap, block_first, block_gap = found
    has_infusions = bool(((kind == RATE) & (value != 0)).any())
    return Schedule(kind, shown.place, value, steady, gap, event_gap, block_first, block_gap, has_infusions)


def _steady_doses(rows: Rows, modified: Modifiers) -> np.ndarray:
    """Amount, rate, duration, lag, interval and superpose of every steady dose, (line, steady dose, 6)."""
    which, lines = np.flatnonzero(rows.steady), len(modified.valid)
    d = doses_of(rows, modified, np.repeat(np.arange(lines), len(which)), np.tile(which, lines))
    superpose = np.tile(rows.events.ss[which] == 2, lines).astype(np.float64)
    columns = (d.amount, d.rate, d.duration, d.lag, d.interval, superpose)
    return np.stack(columns, axis=1).reshape(lines, len(which), 6)


def _own_gaps(time: np.ndarray, applied: np.ndarray, times: np.ndarray, begin: float) -> list[np.ndarray]:
    """Gaps of a row for every twin: one for each sample, then one for each event."""
    rows, events = time.shape
    previous = np.concatenate([np.full((rows, 1), begin), time], axis=1)
    between = np.diff(previous, axis=1)
    gap = np.concatenate([times - np.take_along_axis(previous, applied, axis=1), between], axis=1)
    event_gap = np.where(between > 0, times.size + np.arange(events), -1)
    slot = (np.arange(rows)[:, None] * (events + 1) + applied).ravel()
    sizes = np.bincount(slot, minlength=rows * (events + 1)).reshape(rows, events + 1)
    block_first = np.concatenate([np.zeros((rows, 1), np.int64), np.cumsum(sizes, axis=1)], axis=1)
    return [gap, event_gap, block_first, block_first[:, :-1]]


def _shared_gaps(time: np.ndarray, applied: np.ndarray, times: np.ndarray, begin: float) -> list[np.ndarray]:
    """Gaps of the one row of all twins: runs of equal lengths stand once; the values are those of `_own_gaps`."""
    first = np.searchsorted(applied, np.arange(time.size + 2), "left")
    previous = np.r_[begin, time]
    lengths = times - previous[applied]
    between = np.diff(previous)
    runs = sorted((tuple(lengths[a:b].tolist()) for a, b in pairwise(first)), key=len)
    table: list[float] = []
    start: dict[tuple[float, ...], int] = {}
    for run in reversed(runs):  # the longest first: shorter ones are often their beginning
        if run not in start:
            start[run] = len(table)
            table += run
            for size in range(1, len(run)):
                start.setdefault(run[:size], start[run])
    at: dict[float, int] = {}
    for i, length in enumerate(table):
        at.setdefault(length, i)
    for length in between.tolist():
        if length > 0 and length not in at:
            at[length] = len(table)
            table.append(length)
    event_gap = np.array([at[length] if length > 0 else -1 for length in between.tolist()], dtype=np.int64)
    block_gap = np.array([start[tuple(lengths[a:b].tolist())] for a, b in pairwise(first)])
    return [np.array(table, dtype=np.float64), event_gap, first, block_gap.astype(np.int64)]
