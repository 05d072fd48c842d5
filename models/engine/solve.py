"""Integrate a block of twins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..model import Status, Tolerance
from .checks import check_choice, check_records, check_sorted, period, table
from .compile import cache_folder, shared_driver
from .kernel.twins import HANDED_OVER, Lanes, Orders, Sizes, Twins
from .lanes.equations import Program
from .lanes.events import FIRST_LOOK, FROM_THE_START
from .lanes.function import StepFunction, step_function
from .system import Records, System

Method = Literal["auto", "tsit5", "dop853", "rodas5p"]
SHARP = 1e-6  # relative tolerance from which the method of order 8 is faster on smooth systems than that of order 5


@dataclass(frozen=True)
class Solution:
    """What became of each twin; rows of failed twins are NaN, but for `end_state`.

    `samples` (twin, sample, state), `y_end` (twin, state), `inputs_end` (twin, input), `status` (twin,) int8,
    `failed_at` (twin,) in the system's time unit (NaN where completed), `steps` (twin,).

    `ended_at` (twin,) is the stop, or the time of the event or the failure that ended the twin, and `end_state`
    (twin, state) the state there. `event_times` (twin, event, kept) are the first times of each event, NaN where it
    did not happen so often, `event_counts` (twin, event) how often it did; `armed` (twin, event) is 1 where it may
    happen, 0 where it must first go back beyond its hysteresis.
    """

    samples: np.ndarray
    y_end: np.ndarray
    inputs_end: np.ndarray
    status: np.ndarray
    failed_at: np.ndarray
    steps: np.ndarray
    ended_at: np.ndarray
    end_state: np.ndarray
    event_times: np.ndarray
    event_counts: np.ndarray
    armed: np.ndarray


def solve(
    system: System,
    y0: npt.ArrayLike,
    p: npt.ArrayLike,
    start: npt.ArrayLike,
    stop: npt.ArrayLike,
    records: Records | None = None,
    sample_times: npt.ArrayLike | None = None,
    tolerance: Tolerance | None = None,
    inputs0: npt.ArrayLike | None = None,
    method: Method = "auto",
    lanes: Literal[1, 4, 8] = 8,
    keep_events: int = 1,
    armed: npt.ArrayLike | None = None,
) -> Solution:
    """Integrate every twin from `start` to `stop` in the system's time unit, each with its own adaptive step.

    Parameters
    ----------
    y0 : array (twin, state)
    p : array (twin, parameter)
    start, stop : array (twin,) or number
    records : sorted by time; those at or after `start` and before `stop` are carried out, and landed on exactly;
        one at `stop` is left to the next call, which begins there.
    sample_times : array (sample,) or (twin, sample), sorted; a sample at the time of a record or an event reads the
        state after it, one outside [start, stop] or after an event that ends the twin is NaN.
    inputs0 : array (twin, input), 0 where not given.
    method : "auto" begins with an explicit method (`tsit5`, or `dop853` where nothing has a kink and the relative
        tolerance is 1e-6 or less) and carries each twin on with `rodas5p` where its own steps are held short by
        stability and that method's are longer by more than they cost.
    lanes : twins that one core carries at a time; changes the speed, never a bit of the result.
    keep_events : times kept of each event.
    armed : `Solution.armed` of the call that this one goes on from; -1 where it goes on from none.

    Raises
    ------
    ValueError
        Shapes that do not fit, unsorted records or samples, a record that names nothing, an unknown method.
    TraceError
        A function of the system that cannot be compiled.
    """
    tolerance = tolerance or Tolerance()
    check_choice(method, Method, lanes, tolerance)
    y = table("y0", y0, None, "state", system.states)
    count = len(y)
    parameters = table("p", p, count, "parameter", system.parameters)
    none = np.zeros((count, len(system.inputs)))
    inputs = table("inputs0", none if inputs0 is None else inputs0, count, "input", system.inputs)
    begin, end = period(start, stop, count)
    samples = _ended(sample_times)
    if samples.ndim != 2 or len(samples) not in (1, count):
        raise ValueError(f"sample_times has {len(samples)} rows for {count} twins; give one row, or one for each")
    check_sorted("samples", samples)
    records = records or Records.empty(count, 0)
    check_records(system, records, count)
    events = len(system.events)
    waits = np.array([FROM_THE_START if event.fails else FIRST_LOOK for event in system.events])
    known = np.broadcast_to(-1.0 if armed is None else np.asarray(armed, np.float64), (count, events))
    twins = Twins(
        y=y,
        p=parameters,
        u=inputs,
        start=begin,
        stop=end,
        pace=np.zeros((count, 4)),
        armed=np.where(known < 0.0, waits.reshape(1, events), known),
        status=np.zeros(count, np.int8),
        ended=np.full(count, np.nan),
        steps=np.zeros(count),
        times=np.full((count, events, keep_events), np.nan),
        counts=np.zeros((count, events), np.int64),
    )
    orders = Orders(
        time=np.ascontiguousarray(records.time, np.float64),
        target=np.ascontiguousarray(records.target, np.int64),
        value=np.ascontiguousarray(records.value, np.float64),
        samples=samples,
        out=np.full((count, samples.shape[1] - 1, len(system.states)), np.nan),
        ends=np.array([event.ends or 0 for event in system.events], np.int64),
    )
    program, queue = Program.of(system), np.arange(count)
    methods = _methods(program, method, tolerance)
    while queue.size:
        step = step_function(system, program, next(methods), lanes, cache_folder())
        _drive(step, system, tolerance, queue, twins, orders)
        queue = np.flatnonzero(twins.status == HANDED_OVER)
    failed = twins.status != Status.COMPLETED
    end_state = y.copy()
    y[failed] = np.nan
    orders.out[failed] = np.nan
    failed_at = np.where(failed, twins.ended, np.nan)
    return Solution(
        orders.out,
        y,
        twins.u,
        twins.status,
        failed_at,
        twins.steps,
        twins.ended,
        end_state,
        twins.times,
        twins.counts,
        twins.armed,
    )


def _methods(program: Program, method: Method, tolerance: Tolerance) -> Iterator[str]:
    """The methods by which twins are carried on, one after the other."""
    if method != "auto":
        return iter([method])
    explicit = "dop853" if not program.kinks and tolerance.rtol <= SHARP else "tsit5"
    return cycle([f"{explicit}, watching", "rodas5p, watching"])


def _drive(
    step: StepFunction, system: System, tolerance: Tolerance, queue: np.ndarray, twins: Twins, orders: Orders
) -> None:
    layout = step.layout
    events = len(system.events)
    sizes = Sizes(
        len(system.states), len(system.parameters), len(system.inputs), events,
        layout.first("armed") if events else 0, layout.first("fired") if events else 0,
    )  # fmt: skip
    block = np.zeros((layout.rows, step.lanes))
    settings = np.array([tolerance.rtol, tolerance.atol, float(tolerance.max_steps)])
    held = Lanes(
        np.full(step.lanes, -1), np.zeros(step.lanes, np.int64), np.zeros(step.lanes), np.zeros(step.lanes, np.int64)
    )
    shared_driver()(step.address, block, block.view(np.int64), sizes, settings, queue, twins, orders, held)


def _ended(sample_times: npt.ArrayLike | None) -> np.ndarray:
    """Rows of sample times, each followed by inf: the driver looks for the end there."""
    times = np.atleast_2d(np.empty(0) if sample_times is None else np.asarray(sample_times, np.float64))
    return np.concatenate([times, np.full((len(times), 1), np.inf)], axis=1)
