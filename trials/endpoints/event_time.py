"""Time from randomisation to an event of the simulation, censored at the end of follow-up; days."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ...models.model import Schedule
from ..protocol import Part

KIND: Literal["time-to-event"] = "time-to-event"
COMBINE: Literal["sum"] = "sum"
PER_VISIT = False
UNIT = "day"


class Settings(Part):
    """Which event: an output of the model that holds a day from randomisation, inf where it never happens."""

    event: str


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.event,)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """Time (day), and 1 where the event was seen or 0 where follow-up ended first; NaN where failed.

    >>> model = xr.Dataset({"death_day": ("twin", [90.0, np.inf])})
    >>> found = compute(model, Schedule(0, 365, (), ()), Settings(event="death_day"))
    >>> found.value.values, found.event.values
    (array([ 90., 365.]), array([1., 0.]))
    """
    day = trajectories[settings.event]
    seen = xr.where(np.isnan(day), np.nan, (day <= schedule.duration).astype(float))
    value = day.clip(max=schedule.duration)
    value.attrs = {"units": "day", "long_name": f"time to {settings.event.removesuffix('_day')}"}
    seen.attrs = {"units": "1", "long_name": f"{settings.event.removesuffix('_day')} seen"}
    return xr.Dataset({"value": value, "event": seen})
