"""Best change of tumour size from baseline, percent: the height of one bar of a waterfall plot."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ...models.model import Schedule
from ..protocol import Part
from ._sizes import sizes_at_visits

KIND: Literal["continuous"] = "continuous"
COMBINE: Literal["mean"] = "mean"
PER_VISIT = False
UNIT = "percent"


class Settings(Part):
    """The output that holds measured sizes."""

    size: str = "tumour_measured"


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.size,)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """Lowest size at a visit over the size at baseline, minus 1, in percent.

    NaN for a twin without a measurement after baseline (dead before the first visit) and for a failed twin.
    """
    sizes = sizes_at_visits(trajectories, schedule, settings.size)
    lowest = np.fmin.reduce(sizes[:, 1:], axis=1, initial=np.nan)
    attrs = {"units": "percent", "long_name": "best change of tumour size from baseline"}
    value = 100.0 * (lowest / sizes[:, 0] - 1.0)
    return xr.Dataset({"value": ("twin", value, attrs)}, coords={"twin": trajectories["twin"].values})
