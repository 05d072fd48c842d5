"""Percent of sensor readings within bounds, by visit period: time in range, time below, time above.

Of the readings that are there; a missing one counts neither above nor below the line. A period with few readings is
computed all the same (the consensus asks for 70 % of 14 days before one person's figure is used in the clinic); one
without any is missing.

Source: Battelino 2019, Diabetes Care 42:1593 (international consensus on time in range), table 2: in range is
70-180 mg/dL with both ends; below is < 70 and < 54, above is > 180 and > 250 mg/dL. doi 10.2337/dci19-0028.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from ...models.model import Schedule
from ...models.units import In
from ..protocol import Part
from ._periods import by_visit, ratio, readings_by_visit

KIND: Literal["continuous"] = "continuous"
COMBINE: Literal["mean"] = "mean"
PER_VISIT = True
UNIT = "percent"

_Glucose = Annotated[float, In("mg/dL")]


class Settings(Part):
    """Bounds on a reading; `at_least` and `at_most` include the bound, `above` and `below` do not."""

    output: str = "cgm"
    at_least: _Glucose | None = None
    above: _Glucose | None = None
    at_most: _Glucose | None = None
    below: _Glucose | None = None

    @model_validator(mode="after")
    def _has_bounds(self) -> Settings:
        low = [bound for bound in (self.at_least, self.above) if bound is not None]
        high = [bound for bound in (self.at_most, self.below) if bound is not None]
        if len(low) > 1 or len(high) > 1 or not low + high:
            raise ValueError(
                "give one lower bound (at_least or above), one upper bound (at_most or below), or one of each"
            )
        if low and high and low[0] >= high[0]:
            raise ValueError(f"the lower bound {low[0]:g} mg/dL must lie under the upper bound {high[0]:g} mg/dL")
        return self

    def holds(self, readings: np.ndarray) -> np.ndarray:
        """Which readings lie within the bounds."""
        inside = np.ones(readings.shape, dtype=bool)
        for bound, compare in (
            (self.at_least, np.greater_equal),
            (self.above, np.greater),
            (self.at_most, np.less_equal),
            (self.below, np.less),
        ):
            if bound is not None:
                inside &= compare(readings, bound)
        return inside


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.output,)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """Percent of readings within the bounds, (twin, visit)."""
    columns = [
        100.0 * ratio((settings.holds(filled) & is_there).sum(axis=1).astype(np.float64), count)
        for filled, is_there, count in readings_by_visit(trajectories, schedule, settings.output, "mg/dL")
    ]
    return xr.Dataset({"value": by_visit(trajectories, schedule, columns, UNIT, "readings within bounds")})
