"""One block of twins in one arm: simulate, measure every endpoint, check, and leave the trajectories behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..models.model import Conditions, Schedule, Status, find_model
from .measures import LayoutError, Measure, find_measures, outcome_coords, outcome_layout, read_settings, schedule_of
from .protocol import Keep, Protocol


class OutcomeError(RuntimeError):
    """A model or an endpoint broke its contract: a fault of the program, not of a twin."""


def simulate_block(
    protocol: Protocol, arm_name: str, twins: xr.Dataset, keep_ids: Sequence[int] | np.ndarray = ()
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Outcomes of a block of twins in one arm, and the trajectories that the protocol keeps.

    Returns
    -------
    outcomes : Dataset, dims (twin[, visit])
        The variables of `outcome_layout` without the arm. A twin that failed is NaN everywhere, with its status.
    kept : Dataset, dims (twin, time), or None
        `protocol.keep.outputs` of those twins of the block whose ids are in `keep_ids`.

    Raises
    ------
    OutcomeError
        Rows, dims or units are not those that the model and the endpoints declare.
    """
    if protocol.model is None:
        raise LayoutError(f"protocol {protocol.name!r} names no model; a trial that is simulated needs one")
    model = find_model(protocol.model.name)
    arm = protocol.arm(arm_name)
    schedule = schedule_of(protocol)
    trajectories = model.simulate(
        twins,
        read_settings(model.Treatment, arm.treatment),
        read_settings(model.Settings, protocol.model.settings),
        Conditions(schedule, protocol.seed, arm.adherence, protocol.solver.tolerance()),
    )
    if not np.array_equal(trajectories["twin"].values, twins["twin"].values):
        raise OutcomeError(f"{model.name!r} returned other twins than it was given in arm {arm_name!r}")
    outcomes = measure_block(protocol, trajectories, schedule)
    kept = None
    if protocol.keep is not None:
        kept = decimate(trajectories, protocol.keep, schedule, np.asarray(keep_ids, dtype=np.int64))
    return outcomes, kept


def measure_block(protocol: Protocol, trajectories: xr.Dataset, schedule: Schedule) -> xr.Dataset:
    """Every endpoint of one arm's trajectories, checked and with failed twins left blank; dims (twin[, visit])."""
    layout = outcome_layout(protocol)
    status = trajectories["status"].values.astype(np.int8)
    failed_at = trajectories["failed_at"].values.astype(np.float64)
    values: dict[str, np.ndarray] = {}
    for measure in find_measures(protocol):
        result = measure.compute(trajectories, schedule, measure.settings)
        for variable, part in measure.parts.items():
            dims = tuple(dim for dim in layout[variable].dims if dim != "arm")
            values[variable] = _checked(result, measure, part, dims)
        broken = (status == Status.COMPLETED) & _is_broken(measure, values)
        status = np.where(broken, np.int8(Status.NON_FINITE), status).astype(np.int8)
        failed_at = np.where(broken, schedule.duration, failed_at)
    completed = status == Status.COMPLETED
    data: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}
    for name, value in (*values.items(), ("status", status), ("failed_at", failed_at)):
        if name in values:
            value = np.where(completed.reshape(-1, *[1] * (value.ndim - 1)), value, np.nan)
        dims = tuple(dim for dim in layout[name].dims if dim != "arm")
        data[name] = (dims, value, dict(layout[name].attrs))
    coords = {"twin": trajectories["twin"].values}
    if any("visit" in dims for dims, _, _ in data.values()):
        coords["visit"] = outcome_coords(protocol)["visit"]
    return xr.Dataset(data, coords=coords)


def decimate(trajectories: xr.Dataset, keep: Keep, schedule: Schedule, ids: np.ndarray) -> xr.Dataset | None:
    """The kept outputs of the twins in `ids`, at the sampled time nearest to each multiple of `keep.every`."""
    is_kept = np.isin(trajectories["twin"].values, ids)
    if not is_kept.any():
        return None
    chosen = trajectories[list(keep.outputs)].isel(twin=np.flatnonzero(is_kept))
    if "time" not in chosen.dims:
        return chosen
    end = schedule.duration if keep.end is None else keep.end
    wanted = keep.start + keep.every * np.arange(int(np.floor((end - keep.start) / keep.every + 1e-9)) + 1)
    time = chosen["time"].values
    after = np.clip(np.searchsorted(time, wanted), 1, time.size - 1)
    nearest = np.where(wanted - time[after - 1] <= time[after] - wanted, after - 1, after)
    close = np.abs(time[nearest] - wanted) <= keep.every / 2
    return chosen.isel(time=np.unique(nearest[close]))


def _checked(result: xr.Dataset, measure: Measure, part: str, dims: tuple[str, ...]) -> np.ndarray:
    """One variable of an endpoint, after dims and unit were compared with the layout."""
    name = measure.endpoint.measure
    if part not in result:
        raise OutcomeError(f"endpoint {name!r} is of kind {measure.kind!r} but returned no {part!r}")
    value = result[part]
    if set(value.dims) != set(dims):
        raise OutcomeError(f"endpoint {name!r}: {part!r} has dims {value.dims}, declared are {dims}; set PER_VISIT")
    units = measure.units[measure.variable if part == "value" else f"{measure.variable}_{part}"]
    if value.attrs.get("units") != units:
        raise OutcomeError(
            f"endpoint {name!r}: {part!r} is in {value.attrs.get('units')!r}, declared is {units!r}; set UNIT"
        )
    return np.asarray(value.transpose(*dims).values, dtype=np.float64)


def _is_broken(measure: Measure, values: dict[str, np.ndarray]) -> np.ndarray:
    """Twins whose outcome is no result, (twin,): infinite, or nothing at all where something must have been seen.

    A single NaN is a missing value (a period without readings, a tumour never measured again) and stays one.
    """
    broken = np.zeros(values[measure.variable].shape[0], dtype=bool)
    for variable in measure.units:
        value = values[variable].reshape(broken.size, -1)
        broken |= np.isinf(value).any(axis=1)
        if measure.kind == "time-to-event" or variable != measure.variable:
            broken |= np.isnan(value).any(axis=1)
        elif measure.per_visit:
            broken |= np.isnan(value).all(axis=1)
    return broken
