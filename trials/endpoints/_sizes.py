"""Measured tumour sizes at baseline and visits, for the endpoints of response."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...models.model import Schedule
from ...models.units import UnitsError

WINDOW = 7.0  # day: a measurement belongs to the nearest visit within a week


def sizes_at_visits(trajectories: xr.Dataset, schedule: Schedule, output: str) -> np.ndarray:
    """Sizes (mm) at randomisation and at each visit, (twin, 1 + visit); NaN where none was measured.

    Raises
    ------
    UnitsError
        The output is not in mm.
    """
    values = trajectories[output]
    if values.attrs.get("units") != "mm":
        raise UnitsError(
            f"{output!r} is in {values.attrs.get('units')!r}, this endpoint needs 'mm'; name another output"
        )
    days = [0.0, *schedule.visits]
    found = values.sel(time=days, method="nearest", tolerance=WINDOW)
    return np.asarray(found.transpose("twin", "time").values, dtype=np.float64)
