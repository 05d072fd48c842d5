"""Mean of a sampled output over each visit period, of the readings that are there, in the output's own unit."""

from __future__ import annotations

from typing import Literal

import xarray as xr

from ...models.model import Schedule
from ..protocol import Part
from ._periods import by_visit, mean_by_visit

KIND: Literal["continuous"] = "continuous"
COMBINE: Literal["mean"] = "mean"
PER_VISIT = True
UNIT = None  # the output's own


class Settings(Part):
    """Which output is averaged."""

    output: str = "cgm"


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.output,)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """Mean of the readings of each period, (twin, visit); NaN where a period has none."""
    columns = mean_by_visit(trajectories, schedule, settings.output)
    unit = trajectories[settings.output].attrs["units"]
    return xr.Dataset({"value": by_visit(trajectories, schedule, columns, unit, f"mean {settings.output}")})
