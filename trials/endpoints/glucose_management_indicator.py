"""Glucose management indicator of each visit period: the HbA1c that the mean sensor glucose stands for.

GMI = 3.31 + 0.02392 mean,   GMI in percent (NGSP), mean in mg/dL

Source: Bergenstal 2018, Diabetes Care 41:2275, doi 10.2337/dc18-1581.
"""

from __future__ import annotations

from typing import Literal

import xarray as xr

from ...models.model import Schedule
from ..protocol import Part
from ._periods import by_visit, mean_by_visit

KIND: Literal["continuous"] = "continuous"
COMBINE: Literal["mean"] = "mean"
PER_VISIT = True
UNIT = "percent"

INTERCEPT = 3.31  # percent; Bergenstal 2018
SLOPE = 0.02392  # percent per mg/dL; Bergenstal 2018


class Settings(Part):
    """Which glucose output is averaged."""

    output: str = "cgm"


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.output,)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """GMI of each period, (twin, visit); NaN where a period has no reading."""
    columns = [INTERCEPT + SLOPE * mean for mean in mean_by_visit(trajectories, schedule, settings.output, "mg/dL")]
    return xr.Dataset({"value": by_visit(trajectories, schedule, columns, UNIT, "glucose management indicator")})
