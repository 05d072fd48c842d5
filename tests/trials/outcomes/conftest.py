"""A small made-up model of glucose and a trial that uses it: outcomes that can be worked out by hand."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import pytest
import xarray as xr
from pydantic import BaseModel, ConfigDict

from twinarm.models.model import Conditions, NoSettings, Output, Status
from twinarm.models.randomness import normals, uniforms
from twinarm.models.units import In
from twinarm.trials.protocol import Protocol
from twinarm.trials.simulate import simulate_block

STEP = 5 / 1440  # day
PLACE = "twinarm_test_glucose.model"


class Treatment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    lowering: Annotated[float, In("mg/dL")] = 0.0
    hazard_ratio: float = 1.0


class GlucoseModel:
    """Glucose = 150 + the twin's level + noise - lowering after randomisation; death with an exponential time.

    Twins 96, 193, ... fail.
    """

    name = PLACE
    title = "Made up"
    time_unit = "day"
    requires = ("level",)
    parameters = ()
    outputs = (Output("cgm", "mg/dL", "sensor glucose"), Output("death_day", "day", "day of death"))
    limits = "for tests"
    Treatment = Treatment
    Settings = NoSettings

    def derive(self, twins: xr.Dataset) -> xr.Dataset:
        return twins

    def simulate(self, twins: xr.Dataset, treatment: Treatment, settings: Any, conditions: Conditions) -> xr.Dataset:
        schedule, ids = conditions.schedule, twins["twin"].values
        time = np.arange(round(-schedule.run_in / STEP), round(schedule.duration / STEP) + 1) * STEP
        noise = 20.0 * normals(conditions.seed, "glucose.noise", ids, time.size)
        cgm = 150.0 + twins["level"].values[:, None] + noise - treatment.lowering * (time > 1e-9)
        death = -np.log(uniforms(conditions.seed, "glucose.death", ids)[:, 0]) * 10.0 / treatment.hazard_ratio
        failed = ids % 97 == 96
        status = np.where(failed, Status.STEP_LIMIT, Status.COMPLETED).astype(np.int8)
        return xr.Dataset(
            {
                "cgm": (("twin", "time"), np.where(failed[:, None], np.nan, cgm), {"units": "mg/dL"}),
                "death_day": ("twin", np.where(failed, np.nan, death), {"units": "day"}),
                "status": ("twin", status),
                "failed_at": ("twin", np.where(failed, 1.0, np.nan), {"units": "day"}),
            },
            coords={"twin": ids, "time": ("time", time, {"units": "day"})},
        )


GLUCOSE = (
    {"name": "time-in-range", "label": "Time in range", "measure": "fraction-of-time", "role": "primary",
     "direction": "higher", "settings": {"at_least": "70 mg/dL", "at_most": "180 mg/dL"}},
    {"name": "lows", "label": "Episodes", "measure": "episodes", "role": "safety", "direction": "lower",
     "settings": {"below": "100 mg/dL", "recovered_at": "120 mg/dL", "lasting": "10 minute"}},
)  # fmt: skip
DEATH = (
    {"name": "survival", "label": "Survival", "measure": "event-time", "role": "secondary", "direction": "higher",
     "settings": {"event": "death_day"}},
    {"name": "alive", "label": "Alive on day 4", "measure": "event-by", "role": "secondary", "direction": "higher",
     "settings": {"event": "death_day", "by": "4 day", "occurs": False}},
)  # fmt: skip


def build_protocol(deaths: bool = False, **changes: Any) -> Protocol:
    """Two arms (2:1), two days of run-in, three visits with periods of 1, 2 and 3 days; with or without deaths."""
    content: dict[str, Any] = {
        "format": 1,
        "name": "glucose-trial",
        "title": "A trial of a made-up model",
        "question": "Does it lower glucose?",
        "seed": 11,
        "model": {"name": PLACE},
        "population": {"name": "nobody", "twins": 40},
        "subjects": 30,
        "arms": (
            {"name": "active", "label": "Active", "role": "experimental",
             "treatment": {"lowering": "20 mg/dL", "hazard_ratio": 0.5}},
            {"name": "usual", "label": "Usual", "role": "control"},
        ),
        "allocation": {"ratio": (2, 1), "block": 6, "strata": ("sex",)},
        "schedule": {
            "run_in": "2 day", "duration": "6 day", "recruitment": "30 day",
            "visits": tuple({"name": f"day {d}", "at": f"{d} day"} for d in (1, 3, 6)),
        },
        "endpoints": (*GLUCOSE, *(DEATH if deaths else ())),
        "estimands": ({"name": "main", "endpoint": "time-in-range", "population": "all",
                       "summary": "difference in means", "none_expected": "made up"},),
        "analyses": ({"endpoint": "time-in-range", "model": "continuous", "adjust": ("baseline", "sex")},),
        **changes,
    }  # fmt: skip
    return Protocol.model_validate(content)


def simulate_bank(protocol: Protocol, cohort: xr.Dataset) -> xr.Dataset:
    """Outcomes of all twins in all arms."""
    arms = [simulate_block(protocol, arm.name, cohort)[0] for arm in protocol.arms]
    names = xr.DataArray([arm.name for arm in protocol.arms], dims="arm", name="arm")
    return xr.concat(arms, names, combine_attrs="override")


def draw_cohort(ids: Any) -> xr.Dataset:
    ids = np.asarray(ids)
    sex = np.where(uniforms(3, "sex", ids)[:, 0] < 0.4, "female", "male")
    level = 10.0 * normals(3, "level", ids)[:, 0]
    return xr.Dataset({"level": ("twin", level, {"units": "mg/dL"}), "sex": ("twin", sex)}, coords={"twin": ids})


@pytest.fixture(scope="session", autouse=True)
def glucose_model() -> GlucoseModel:
    """The model, at the place that the protocol names."""
    module = ModuleType(PLACE)
    module.MODEL = GlucoseModel()  # type: ignore[attr-defined]
    sys.modules[PLACE.split(".")[0]] = ModuleType(PLACE.split(".")[0])
    sys.modules[PLACE] = module
    return module.MODEL  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def build() -> Callable[..., Protocol]:
    """`build(deaths=False, **changes)`: a protocol with changed blocks."""
    return build_protocol


@pytest.fixture
def protocol() -> Protocol:
    return build_protocol()


@pytest.fixture
def cohort() -> xr.Dataset:
    return draw_cohort(np.arange(40) * 2)


@pytest.fixture(scope="session")
def many() -> Callable[[Any], xr.Dataset]:
    """`many(ids)`: a cohort of these candidates."""
    return draw_cohort


@pytest.fixture(scope="session")
def bank() -> Callable[[Protocol, xr.Dataset], xr.Dataset]:
    """`bank(protocol, cohort)`: outcomes of all arms."""
    return simulate_bank
