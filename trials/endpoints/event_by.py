"""Whether an event of the simulation happened by a time: milestone survival, febrile neutropenia, grade 4."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ...models.model import Schedule
from ...models.units import Days
from ..protocol import Part

KIND: Literal["binary"] = "binary"
COMBINE: Literal["mean"] = "mean"
PER_VISIT = False
UNIT = "1"


class Settings(Part):
    """Which event (an output that holds its day), by when (else the end of follow-up), or that it did not."""

    event: str
    by: Days | None = None
    occurs: bool = True


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.event,)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """1 where the event happened (with `occurs: false`, did not happen) by then, else 0; NaN where failed.

    Raises
    ------
    ValueError
        `by` lies after the end of follow-up.

    >>> model = xr.Dataset({"death_day": ("twin", [90.0, np.inf])})
    >>> alive = Settings(event="death_day", by=180.0, occurs=False)
    >>> compute(model, Schedule(0, 365, (), ()), alive).value.values
    array([0., 1.])
    """
    by = schedule.duration if settings.by is None else settings.by
    if by > schedule.duration:
        raise ValueError(
            f"event-by asks for day {by:g}, follow-up ends on day {schedule.duration:g}; "
            "ask for an earlier day or lengthen the follow-up"
        )
    day = trajectories[settings.event]
    happened = (day <= by) == settings.occurs
    value = xr.where(np.isnan(day), np.nan, happened.astype(float))
    value.attrs = {"units": "1", "long_name": f"{settings.event.removesuffix('_day')} by day {by:g}"}
    return xr.Dataset({"value": value})
