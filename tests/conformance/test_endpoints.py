"""Every endpoint of the library, found by its place: contract, units, missing in and out, same bits in any block."""

import json
from typing import Any, get_args

import numpy as np
import pytest
import xarray as xr

from twinarm.models.model import Schedule, find_part, library_names
from twinarm.trials.measures import Kind
from twinarm.trials.protocol import Part

PACKAGE = "twinarm.trials.endpoints"
SCHEDULE = Schedule(run_in=2.0, duration=63.0, visits=(21.0, 42.0, 63.0), visit_names=("week 3", "week 6", "week 9"))
# Settings of the endpoints that have no complete defaults.
SETTINGS: dict[str, dict[str, Any]] = {
    "fraction-of-time": {"at_least": "70 mg/dL", "at_most": "180 mg/dL"},
    "event-time": {"event": "event_day"},
    "event-by": {"event": "event_day", "by": "21 day"},
}
EXTRA = {"count": {"exposure": "day"}, "time-to-event": {"event": "1"}}
names = pytest.mark.parametrize("name", library_names(PACKAGE))


def settings_of(name: str) -> Any:
    module = find_part("measure", PACKAGE, name)
    return module.Settings.model_validate_json(json.dumps(SETTINGS.get(name, {})))


def block(name: str, twins: int = 7) -> xr.Dataset:
    """Trajectories with everything the endpoint reads: days for outputs called `..._day`, a trace for all others."""
    rng = np.random.default_rng(1)
    module = find_part("measure", PACKAGE, name)
    time = np.arange(-2 * 96, 63 * 96 + 1) / 96  # every 15 min
    data: dict[str, Any] = {}
    for output in module.reads(settings_of(name)):
        if output.endswith("_day"):
            day = np.where(rng.random(twins) < 0.3, np.inf, rng.uniform(1, 80, twins))
            data[output] = ("twin", day, {"units": "day"})
        else:
            unit = "mm" if "tumour" in output else "mg/dL"
            trace = 150 * np.exp(0.3 * rng.normal(size=(twins, time.size)))
            trace[rng.random(trace.shape) < 0.05] = np.nan
            trace[:, time == 0.0] = 100.0
            data[output] = (("twin", "time"), trace, {"units": unit})
    return xr.Dataset(data, coords={"twin": np.arange(twins), "time": time})


def computed(name: str, trajectories: xr.Dataset) -> xr.Dataset:
    result: xr.Dataset = find_part("measure", PACKAGE, name).compute(trajectories, SCHEDULE, settings_of(name))
    return result


@names
def test_the_module_keeps_the_contract(name: str):
    module = find_part("measure", PACKAGE, name)
    assert module.KIND in get_args(Kind)
    assert module.COMBINE in ("mean", "sum")
    assert isinstance(module.PER_VISIT, bool)
    assert module.UNIT is None or isinstance(module.UNIT, str)
    assert issubclass(module.Settings, Part)
    assert module.__doc__ and module.compute.__doc__
    assert all(isinstance(output, str) for output in module.reads(settings_of(name)))


@names
def test_outputs_have_the_declared_dims_and_units(name: str):
    module = find_part("measure", PACKAGE, name)
    result = computed(name, block(name))
    assert set(result.data_vars) == {"value", *EXTRA.get(module.KIND, {})}
    dims = ("twin", "visit") if module.PER_VISIT else ("twin",)
    for variable in result.data_vars.values():
        assert variable.dims == dims
        assert variable.attrs["units"]
    if module.PER_VISIT:
        assert list(result["visit"].values) == ["baseline", *SCHEDULE.visit_names]
    if module.UNIT is not None:
        assert result["value"].attrs["units"] == module.UNIT
    for extra, unit in EXTRA.get(module.KIND, {}).items():
        assert result[extra].attrs["units"] == unit


@names
def test_values_are_of_their_kind(name: str):
    module = find_part("measure", PACKAGE, name)
    result = computed(name, block(name))
    value = result["value"].values
    assert np.isfinite(value).all()
    if module.KIND == "binary":
        assert np.isin(value, (0.0, 1.0)).all()
    if module.KIND == "count":
        assert (value == np.round(value)).all() and (value >= 0).all()
    if module.KIND == "time-to-event":
        assert np.isin(result["event"].values, (0.0, 1.0)).all()
        assert ((value > 0) & (value <= SCHEDULE.duration)).all()


@names
def test_nothing_in_is_missing_out(name: str):
    empty = block(name)
    for variable in empty.data_vars.values():
        variable.values[...] = np.nan
    assert np.isnan(computed(name, empty)["value"].values).all()


@names
def test_a_block_gives_the_same_bits_however_it_is_cut(name: str):
    whole_block = block(name)
    whole = computed(name, whole_block)
    for rows in (slice(0, 1), slice(3, 4), slice(2, 7), slice(None, None, 3)):
        xr.testing.assert_identical(computed(name, whole_block.isel(twin=rows)), whole.isel(twin=rows))
    turned = whole_block.transpose("time", "twin") if "time" in whole_block.dims else whole_block
    turned = turned.copy(deep=True)
    xr.testing.assert_identical(computed(name, turned), whole)
