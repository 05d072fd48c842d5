"""Integrate a block of twins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..model import Tolerance
from .compile import cache_folder, shared_driver
from .lanes.function import step_function
from .system import Records, System


@dataclass(frozen=True)
class Solution:
    """What became of each twin; rows of failed twins are NaN.

    `samples` (twin, sample, state), `y_end` (twin, state), `inputs_end` (twin, input), `status` (twin,) int8,
    `failed_at` (twin,) in the system's time unit (NaN where completed), `steps` (twin,).
    """

    samples: np.ndarray
    y_end: np.ndarray
    inputs_end: np.ndarray
    status: np.ndarray
    failed_at: np.ndarray
    steps: np.ndarray


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
    method: Literal["tsit5", "dop853", "rodas5p"] = "tsit5",
    lanes: Literal[1, 4, 8] = 8,
) -> Solution:
    """Integrate every twin from `start` to `stop` in the system's time unit, each with its own adaptive step.

    Parameters
    ----------
    y0 : array (twin, state)
    p : array (twin, parameter)
    start, stop : array (twin,) or number
    records : sorted by time; those at or after `start` and before `stop` are applied, and landed on exactly;
        one at `stop` is left to the next call, which begins there.
    sample_times : array (sample,) or (twin, sample), sorted; a sample at a record's time reads the state after it, one
        outside [start, stop] is NaN.
    inputs0 : array (twin, input), 0 where not given.
    lanes : twins that one core carries at a time; changes the speed, never a bit of the result.

    Raises
    ------
    ValueError
        Shapes that do not fit, unsorted records or samples.
    """
    tolerance = tolerance or Tolerance()
    y = np.array(y0, dtype=np.float64, ndmin=2)
    twins = y.shape[0]
    parameters = np.ascontiguousarray(p, dtype=np.float64).reshape(twins, len(system.parameters))
    if y.shape[1] != len(system.states):
        raise ValueError(f"y0 has {y.shape[1]} states, {system.name!r} has {len(system.states)}")
    u = np.zeros((twins, len(system.inputs))) if inputs0 is None else np.array(inputs0, np.float64)
    begin = np.broadcast_to(np.asarray(start, np.float64), (twins,)).copy()
    end = np.broadcast_to(np.asarray(stop, np.float64), (twins,)).copy()
    samples = _ended(sample_times)
    if len(samples) not in (1, twins):
        raise ValueError(f"sample_times has {len(samples)} rows for {twins} twins; give one row, or one for each")
    records = records or Records.empty(twins, 0)
    if any((a[:, 1:] < a[:, :-1]).any() for a in (records.time, samples)):
        raise ValueError("records and sample times must be sorted; use Records.sorted()")
    out = np.full((twins, samples.shape[1] - 1, len(system.states)), np.nan)
    status = np.zeros(twins, np.int8)
    failed_at = np.full(twins, np.nan)
    steps = np.zeros(twins)
    step = step_function(system, method, lanes, cache_folder())
    block = np.zeros((step.layout.rows, lanes))
    sizes = np.array([len(system.states), len(system.parameters), len(system.inputs)])
    settings = np.array([tolerance.rtol, tolerance.atol, float(tolerance.max_steps)])
    shared_driver().drive(
        step.address, block, block.view(np.int64), sizes, settings, np.arange(twins), y, parameters, u, begin, end,
        records.time, records.target, records.value, samples, out, status, failed_at, steps,
    )  # fmt: skip
    failed = status != 1
    y[failed] = np.nan
    out[failed] = np.nan
    return Solution(out, y, u, status, failed_at, steps)


def _ended(sample_times: npt.ArrayLike | None) -> np.ndarray:
    """Rows of sample times, each followed by inf: the driver looks for the end there."""
    times = np.atleast_2d(np.empty(0) if sample_times is None else np.asarray(sample_times, np.float64))
    return np.concatenate([times, np.full((len(times), 1), np.inf)], axis=1)
