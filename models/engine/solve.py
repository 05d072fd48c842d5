"""Integrate a block of twins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..model import Tolerance
from .compile import compiled
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
) -> Solution:
    """Integrate every twin from `start` to `stop` in the system's time unit, each with its own adaptive step.

    Parameters
    ----------
    y0 : array (twin, state)
    p : array (twin, parameter)
    start, stop : array (twin,) or number
    records : sorted by time; those at or after `start` and before `stop` are applied, and landed on exactly.
    sample_times : array (sample,) or (twin, sample), sorted; a sample at a record's time reads the state after it, one
        outside [start, stop] is NaN.
    inputs0 : array (twin, input), 0 where not given.

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
    times = np.empty(0) if sample_times is None else np.asarray(sample_times, np.float64)
    samples = np.array(np.broadcast_to(times, (twins, times.shape[-1])))
    records = records or Records.empty(twins, 0)
    if any((a[:, 1:] < a[:, :-1]).any() for a in (records.time, samples)):
        raise ValueError("records and sample times must be sorted; use Records.sorted()")
    out = np.full((twins, samples.shape[1], len(system.states)), np.nan)
    status = np.zeros(twins, np.int8)
    failed_at = np.full(twins, np.nan)
    steps = np.zeros(twins)
    compiled(system).ensemble.ensemble(
        y, parameters, u, begin, end, records.time, records.target, records.value, samples, out,
        tolerance.rtol, tolerance.atol, float(tolerance.max_steps), status, failed_at, steps,
    )  # fmt: skip
    failed = status != 1
    y[failed] = np.nan
    out[failed] = np.nan
    return Solution(out, y, u, status, failed_at, steps)
