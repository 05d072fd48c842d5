"""The readings of each visit's period, for endpoints that reduce a sensor trace.

A period is start < t <= end in days from randomisation: a reading on a visit belongs to the period that ends there, and
the reading at randomisation to the run-in. Edges are compared with a tolerance of `EDGE`, never by float equality.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from ...models.model import Schedule
from ...models.units import UnitsError

EDGE = 1e-6  # day (0.09 s): far above the rounding of a time axis, far below the interval of any sensor


class TraceError(ValueError):
    """A trajectory that cannot be divided into visit periods."""


def periods(schedule: Schedule) -> dict[str, tuple[float, float]]:
    """(start, end) of each visit, in days; `baseline` only where there is a run-in."""
    windows = schedule.windows()
    if schedule.run_in <= 0:
        del windows["baseline"]
    return windows


def trace(trajectories: xr.Dataset, output: str, unit: str | None = None) -> np.ndarray:
    """Readings of one output as floats, C-contiguous (twin, time), so that sums are taken in one fixed order.

    Raises
    ------
    UnitsError
        The output is not in `unit`; the model has to convert it.
    TraceError
        The times do not increase.
    """
    values = trajectories[output]
    if unit is not None and values.attrs.get("units") != unit:
        raise UnitsError(
            f"{output!r} is in {values.attrs.get('units')!r}, this endpoint needs {unit!r}; name another output"
        )
    if np.any(np.diff(trajectories["time"].values) <= 0):
        raise TraceError("the times of a trajectory must increase; sort the trajectory before it is measured")
    return np.ascontiguousarray(values.transpose("twin", "time").values, dtype=np.float64)


def slices(trajectories: xr.Dataset, schedule: Schedule) -> dict[str, slice]:
    """The columns of `trace` that lie in each period."""
    time = trajectories["time"].values
    windows = periods(schedule)
    return {
        name: slice(*(int(np.searchsorted(time, edge + EDGE, side="right")) for edge in window))
        for name, window in windows.items()
    }


def readings_by_visit(
    trajectories: xr.Dataset, schedule: Schedule, output: str, unit: str | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each period: readings with 0 where missing and which are there (both (twin, time)), and their number."""
    values = trace(trajectories, output, unit)
    for part in slices(trajectories, schedule).values():
        readings = values[:, part]
        is_there = np.isfinite(readings)
        yield np.where(is_there, readings, 0.0), is_there, is_there.sum(axis=1)


def by_visit(
    trajectories: xr.Dataset, schedule: Schedule, columns: list[np.ndarray], unit: str, long_name: str
) -> xr.DataArray:
    """One column (twin,) a period, as a labelled array (twin, visit)."""
    return xr.DataArray(
        np.stack(columns, axis=1),
        dims=("twin", "visit"),
        coords={"twin": trajectories["twin"].values, "visit": list(periods(schedule))},
        attrs={"units": unit, "long_name": long_name},
    )


def mean_by_visit(
    trajectories: xr.Dataset, schedule: Schedule, output: str, unit: str | None = None
) -> list[np.ndarray]:
    """Mean of the readings of each period, (twin,); NaN where a period has none."""
    return [
        ratio(filled.sum(axis=1), count) for filled, _, count in readings_by_visit(trajectories, schedule, output, unit)
    ]


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """`above / below`, NaN where `below` is 0."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)
