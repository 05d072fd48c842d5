"""Episodes of low glucose: how many begin in each visit period, and how many days the sensor saw.

An episode begins with a run of readings under `below` that lasts `lasting`, and is over after a run of readings at or
over `recovered_at` that lasts `recovered_for`; until then it is one episode, however often glucose crosses. A reading
stands for one sampling interval, so at 5 min a run of 15 min is 3 consecutive readings. An episode belongs to the
period of its first low reading, also where it is still under way at the visit.

A missing reading breaks the run in which it falls: it neither begins nor ends an episode, and an episode under way
when readings stop is still under way when they come back. Gaps can therefore hide episodes and join two into one,
never add one. Exposure is the time of the readings that are there; a period without any is missing.

Source: Danne 2017, Diabetes Care 40:1631 (begins with 15 min under 54 mg/dL, ends with 15 min at or over 70 mg/dL);
Battelino 2019, Diabetes Care 42:1593 (level 2 hypoglycaemia, < 54 mg/dL).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import xarray as xr
from numba import njit
from pydantic import model_validator

from ...models.model import Schedule
from ...models.units import In
from ..protocol import Part
from ._periods import TraceError, by_visit, slices, trace

KIND: Literal["count"] = "count"
COMBINE: Literal["sum"] = "sum"
PER_VISIT = True
UNIT = "episode"

_Glucose = Annotated[float, In("mg/dL")]
_Minutes = Annotated[float, In("minute")]
MINUTES_PER_DAY = 1440.0


class Settings(Part):
    """Level 2 hypoglycaemia by default; durations are held in minutes."""

    output: str = "cgm"
    below: _Glucose = 54.0
    lasting: _Minutes = 15.0
    recovered_at: _Glucose = 70.0
    recovered_for: _Minutes = 15.0

    @model_validator(mode="after")
    def _recovers_above(self) -> Settings:
        if self.recovered_at < self.below:
            raise ValueError(
                f"recovered_at ({self.recovered_at:g} mg/dL) must not lie under below ({self.below:g} mg/dL)"
            )
        if min(self.lasting, self.recovered_for) <= 0:
            raise ValueError("lasting and recovered_for must be over 0 minute")
        return self


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.output,)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """Episodes that begin in each period, and the days of readings in it, both (twin, visit)."""
    readings = trace(trajectories, settings.output, "mg/dL")
    interval = _interval(trajectories["time"].values)
    begins = np.zeros(readings.shape, dtype=np.bool_)
    _mark_beginnings(
        readings,
        settings.below,
        _readings_in(settings.lasting, interval),
        settings.recovered_at,
        _readings_in(settings.recovered_for, interval),
        begins,
    )
    counts, exposures = [], []
    for part in slices(trajectories, schedule).values():
        seen = np.isfinite(readings[:, part]).sum(axis=1)
        counts.append(np.where(seen > 0, begins[:, part].sum(axis=1), np.nan))
        exposures.append(seen * interval / MINUTES_PER_DAY)
    return xr.Dataset(
        {
            "value": by_visit(trajectories, schedule, counts, UNIT, "episodes that begin"),
            "exposure": by_visit(trajectories, schedule, exposures, "day", "time with readings"),
        }
    )


def _interval(time: np.ndarray) -> float:
    """Sampling interval in minutes; it must be the same throughout."""
    steps = np.diff(time) * MINUTES_PER_DAY
    if steps.size == 0 or np.ptp(steps) > 1e-3 * steps[0]:
        raise TraceError(
            "episodes need readings at equal intervals, at least two; a missing reading is NaN at its own time"
        )
    return float((time[-1] - time[0]) * MINUTES_PER_DAY / steps.size)


def _readings_in(minutes: float, interval: float) -> int:
    return max(1, math.ceil(minutes / interval - 1e-6))


@njit(cache=True)
def _mark_beginnings(
    readings: np.ndarray, below: float, n_low: int, recovered_at: float, n_high: int, begins: np.ndarray
) -> None:
    """Sets `begins` at the first low reading of each episode; (twin, time)."""
    for twin in range(readings.shape[0]):
        under_way = False
        run = 0  # of low readings outside an episode, of recovered ones inside
        for i in range(readings.shape[1]):
            x = readings[twin, i]
            if under_way:
                run = run + 1 if x >= recovered_at else 0  # false for NaN
                if run == n_high:
                    under_way, run = False, 0
            else:
                run = run + 1 if x < below else 0
                if run == n_low:
                    begins[twin, i - n_low + 1] = True
                    under_way, run = True, 0
