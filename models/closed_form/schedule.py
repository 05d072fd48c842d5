"""From event records to the flat arrays that the closed-form kernels read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..dosing.events import Events
from ..dosing.layout import Layout, Modifiers
from ..dosing.timeline import Replace, Reset, Stage, Steady, stages
from .kernel import NOTHING, REPLACE, RESET, STEADY, merge


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
    arrays = (modified.bioavailability, modified.lag, modified.rate, modified.duration)
    if all(np.array_equal(a, np.broadcast_to(a[:1], a.shape), equal_nan=True) for a in arrays):
        modified = Modifiers(arrays[0][:1], arrays[1][:1], arrays[2][:1], arrays[3][:1], modified.valid[:1])
    rows = len(modified.valid)
    begin = min(float(events.time[0]), float(times[0]))
    plan = stages(events, layout, modified, begin, float(times[-1]))
    time, kind, where, value, steady = _flatten(plan, rows)
    applied = _applied(plan, time, times, rows)
    if rows == 1:
        found = [a[None] for a in _shared_gaps(time[0], applied[0], times, begin)]
    else:
        found = _own_gaps(time, applied, times, begin)
    gap, event_gap, block_first, block_gap = found
    has_infusions = bool(((kind == 1) & (value != 0)).any())
    return Schedule(kind, where, value, steady, gap, event_gap, block_first, block_gap, has_infusions)


def _flatten(plan: list[Stage], rows: int) -> tuple[np.ndarray, ...]:
    time, kind, where, value = [], [], [], []
    steady: list[np.ndarray] = []

    def append(at: float, what: int, compartment: int, number: float) -> None:
        time.append(np.full((rows, 1), at))
        kind.append(np.full((rows, 1), what))
        where.append(np.full((rows, 1), compartment))
        value.append(np.full((rows, 1), number))

    for stage in plan:
        for opening in stage.openings:
            match opening:
                case Reset():
                    append(stage.start, RESET, 0, 0.0)
                case Replace(compartment, amount):
                    append(stage.start, REPLACE, compartment, amount)
                case Steady():
                    append(stage.start, STEADY, opening.compartment, len(steady))
                    o = opening
                    numbers: list[npt.ArrayLike] = [o.amount, o.rate, o.duration, o.lag, o.interval, float(o.superpose)]
                    steady.append(np.stack([np.broadcast_to(v, (rows,)) for v in numbers], axis=1))
        unused = np.isinf(stage.time)
        time.append(np.where(unused, stage.stop, stage.time))
        kind.append(np.where(unused, NOTHING, stage.kind))
        where.append(stage.compartment)
        value.append(stage.value)
    table = np.stack(steady, axis=1) if steady else np.zeros((rows, 0, 6))
    flat = [np.concatenate(a, axis=1) for a in (time, kind, where, value)]
    return flat[0], flat[1].astype(np.int64), flat[2].astype(np.int64), flat[3].astype(np.float64), table


def _applied(plan: list[Stage], time: np.ndarray, times: np.ndarray, rows: int) -> np.ndarray:
    """How many events each sample comes after, (row, sample): those of its stage up to its time, and all before."""
    out = np.zeros((rows, times.size), np.int64)
    offset = 0
    for i, stage in enumerate(plan):
        count = len(stage.openings) + stage.time.shape[1]
        first = int(np.searchsorted(times, stage.start))
        last = int(np.searchsorted(times, stage.stop)) if i + 1 < len(plan) else times.size
        merge(time[:, offset : offset + count], times, first, last, offset, out)
        offset += count
    return out


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
