"""A block in one arm: layout, failed twins, contract checks, kept trajectories."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from twinarm.models.model import Status
from twinarm.trials.measures import find_measures, outcome_coords, outcome_layout
from twinarm.trials.simulate import OutcomeError, measure_block, simulate_block


def test_outcomes_are_as_laid_out(protocol: Any, cohort: xr.Dataset):
    outcomes, kept = simulate_block(protocol, "active", cohort)
    layout = outcome_layout(protocol)
    assert kept is None
    assert list(outcomes.data_vars) == list(layout)
    for name, plan in layout.items():
        assert outcomes[name].dims == tuple(dim for dim in plan.dims if dim != "arm")
        assert str(outcomes[name].dtype) == plan.dtype
        assert outcomes[name].attrs == dict(plan.attrs)
    assert layout["lows_exposure"].attrs["units"] == "day"
    assert layout["time_in_range"].attrs["direction"] == "higher"
    assert outcome_coords(protocol)["arm"].tolist() == ["active", "usual"]
    assert outcome_coords(protocol)["visit"].tolist() == ["baseline", "day 1", "day 3", "day 6"]


def test_a_block_may_be_cut_anywhere(protocol: Any, cohort: xr.Dataset):
    whole, _ = simulate_block(protocol, "active", cohort)
    for rows in (slice(0, 1), slice(7, 23)):
        part, _ = simulate_block(protocol, "active", cohort.isel(twin=rows))
        xr.testing.assert_identical(part, whole.isel(twin=rows))


def test_a_failed_twin_keeps_its_row_and_nothing_else(build: Any):
    protocol = build(deaths=True)
    cohort = xr.Dataset({"level": ("twin", np.zeros(3))}, coords={"twin": [95, 96, 97]})
    outcomes, _ = simulate_block(protocol, "usual", cohort)
    assert outcomes["status"].values.tolist() == [Status.COMPLETED, Status.STEP_LIMIT, Status.COMPLETED]
    assert outcomes["failed_at"].values[1] == 1.0
    for name in ("time_in_range", "lows", "lows_exposure", "survival", "survival_event"):
        assert np.isnan(outcomes[name].sel(twin=96)).all()
        assert np.isfinite(outcomes[name].sel(twin=[95, 97])).all()


def trajectories_of(protocol: Any, glucose_model: Any, twins: int = 4) -> xr.Dataset:
    from twinarm.models.model import Conditions

    cohort = xr.Dataset({"level": ("twin", np.zeros(twins))}, coords={"twin": np.arange(twins)})
    conditions = Conditions(protocol.schedule.schedule(), protocol.seed)
    result: xr.Dataset = glucose_model.simulate(cohort, glucose_model.Treatment(), glucose_model.Settings(), conditions)
    return result


def test_a_number_that_is_no_result_becomes_a_status(build: Any, glucose_model: Any):
    protocol = build(deaths=True)
    schedule = protocol.schedule.schedule()
    trajectories = trajectories_of(protocol, glucose_model)
    trajectories["cgm"][1] = np.nan  # said to be completed, but nothing was ever seen
    trajectories["death_day"][2] = np.nan  # said to be completed, but the event has no time
    trajectories["cgm"][3, 600:900] = np.nan  # a gap: the values that remain are results
    outcomes = measure_block(protocol, trajectories, schedule)
    assert outcomes["status"].values.tolist() == [1, Status.NON_FINITE, Status.NON_FINITE, 1]
    assert outcomes["failed_at"].values[1:3].tolist() == [6.0, 6.0]
    assert np.isnan(outcomes["survival"].values[1:3]).all()
    assert np.isfinite(outcomes["survival"].values[[0, 3]]).all()


def test_a_period_without_readings_is_missing_and_no_failure(protocol: Any, glucose_model: Any):
    trajectories = trajectories_of(protocol, glucose_model)
    day_1 = (trajectories["time"] > 1e-6) & (trajectories["time"] < 1 + 1e-6)
    trajectories["cgm"][0] = trajectories["cgm"][0].where(~day_1)
    outcomes = measure_block(protocol, trajectories, protocol.schedule.schedule())
    assert outcomes["status"].values.tolist() == [1, 1, 1, 1]
    assert np.isnan(outcomes["time_in_range"].sel(visit="day 1").values).tolist() == [True, False, False, False]
    assert outcomes["lows_exposure"].sel(visit="day 1").values[0] == 0


def test_an_endpoint_that_breaks_its_contract_is_a_bug(protocol: Any, glucose_model: Any, monkeypatch: Any):
    from twinarm.trials import simulate

    trajectories, schedule = trajectories_of(protocol, glucose_model), protocol.schedule.schedule()
    tir, lows = find_measures(protocol)
    for change, match in (
        ({"compute": lambda *a: tir.compute(*a).drop_vars("value")}, "returned no 'value'"),
        ({"compute": lambda *a: tir.compute(*a).isel(visit=0)}, "declared are"),
        ({"compute": lambda *a: tir.compute(*a).assign_attrs().map(lambda v: v * 1.0, keep_attrs=False)}, "is in None"),
    ):
        broken = replace(tir, **change)
        monkeypatch.setattr(simulate, "find_measures", lambda p, broken=broken: (broken, lows))
        with pytest.raises(OutcomeError, match=match):
            measure_block(protocol, trajectories, schedule)


def test_kept_trajectories_are_thinned(build: Any, cohort: xr.Dataset):
    keep = {"twins": 2, "outputs": ("cgm", "death_day"), "every": "6 hour", "start": "-1 day", "end": "2 day"}
    protocol = build(keep=keep)
    _, kept = simulate_block(protocol, "active", cohort, keep_ids=[4, 10, 9999])
    assert kept is not None
    assert kept["twin"].values.tolist() == [4, 10]
    assert kept["time"].values == pytest.approx(np.arange(-1, 2.01, 0.25))
    assert kept["cgm"].attrs["units"] == "mg/dL"
    assert set(kept.data_vars) == {"cgm", "death_day"}
    assert simulate_block(protocol, "active", cohort, keep_ids=[9999])[1] is None
