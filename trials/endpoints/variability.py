"""Coefficient of variation of glucose within each visit period: 100 sd / mean of the readings that are there.

The sd has n - 1 below the line and takes all readings of the period together (total CV, not the mean of daily CVs).
Periods make one number by their duration-weighted mean: the mean within-period CV.

Source: Battelino 2019, Diabetes Care 42:1593, table 1 (%CV, stable up to 36 %); Danne 2017, Diabetes Care 40:1631.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ...models.model import Schedule
from ..protocol import Part
from ._periods import by_visit, ratio, readings_by_visit

KIND: Literal["continuous"] = "continuous"
COMBINE: Literal["mean"] = "mean"
PER_VISIT = True
UNIT = "percent"


class Settings(Part):
    """Which output is measured; one whose zero means none of it (a concentration, not a temperature in Celsius)."""

    output: str = "cgm"


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.output,)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """Coefficient of variation of each period, (twin, visit); NaN with fewer than two readings."""
    columns = []
    for filled, is_there, count in readings_by_visit(trajectories, schedule, settings.output):
        mean = ratio(filled.sum(axis=1), count)
        off = np.where(is_there, filled - mean[:, None], 0.0)  # two passes: no cancellation
        variance = ratio((off * off).sum(axis=1), np.maximum(count - 1, 0))
        columns.append(100.0 * ratio(np.sqrt(variance), mean))
    return xr.Dataset({"value": by_visit(trajectories, schedule, columns, UNIT, "coefficient of variation")})
