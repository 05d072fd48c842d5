"""Objective response by RECIST: partial or complete, of the target lesions, confirmed at the next visit."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from ...models.model import Schedule
from ...models.units import In
from ..protocol import Part
from ._sizes import sizes_at_visits

KIND: Literal["binary"] = "binary"
COMBINE: Literal["mean"] = "mean"
PER_VISIT = False
UNIT = "1"


class Settings(Part):
    """The outputs it reads, how much smaller than at baseline, and whether the next visit must confirm it."""

    size: str = "tumour_measured"
    progression: str = "progression_day"
    shrinkage: Annotated[float, In("percent"), Field(gt=0, lt=100)] = 30.0
    confirmed: bool = True


def reads(settings: Settings) -> tuple[str, ...]:
    return (settings.size, settings.progression)


def compute(trajectories: xr.Dataset, schedule: Schedule, settings: Settings) -> xr.Dataset:
    """1 for a responder, else 0 (also without any measurement after baseline); NaN for a failed twin.

    Both visits of a confirmed response must come before progression is seen.

    Source
    ------
    RECIST 1.1, Eisenhauer 2009, Eur J Cancer 45:228.
    """
    sizes = sizes_at_visits(trajectories, schedule, settings.size)
    progression = trajectories[settings.progression].values[:, None]
    limit = (1 - settings.shrinkage / 100) * sizes[:, :1]
    small = (sizes[:, 1:] <= limit) & (np.array(schedule.visits) < progression)
    response = small[:, :-1] & small[:, 1:] if settings.confirmed else small
    value = np.where(np.isnan(sizes[:, 0]), np.nan, response.any(axis=1).astype(float))
    attrs = {"units": "1", "long_name": "objective response"}
    return xr.Dataset({"value": ("twin", value, attrs)}, coords={"twin": trajectories["twin"].values})
