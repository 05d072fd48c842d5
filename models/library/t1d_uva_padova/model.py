"""The model as a protocol sees it: what an arm may say, what all arms share, and how a block of twins is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field

from ...engine.compile import compiled
from ...engine.follow import follow
from ...model import Conditions, Output, Parameter, Status
from ...randomness import key_words
from ...units import In
from . import subject
from .equations import SYSTEM
from .provenance import PARAMETERS

_MODULES = tuple(Path(__file__).parent / name for name in ("daily_life.py", "controllers.py", "sensor.py"))
_CONTROLLERS = ("open-loop", "low-glucose-suspend", "hybrid-closed-loop")

Minutes = Annotated[float, In("minute"), Field(gt=0)]
Glucose = Annotated[float, In("mg/dL"), Field(ge=20, le=600)]
Grams = Annotated[float, In("g"), Field(ge=0, le=500)]
Share = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(ge=0, le=2)]


class Treatment(BaseModel):
    """What an arm does: its controller and the controller's thresholds.

    Defaults are the manufacturer's published thresholds of a hybrid closed loop (read) and our law between them
    (chosen); `open-loop` and `low-glucose-suspend` use only what they need.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    controller: Literal["open-loop", "low-glucose-suspend", "hybrid-closed-loop"]
    horizon: Minutes = 30.0
    suspend_below: Glucose = 80.0
    stop_at: Glucose = 70.0
    reduce_below: Glucose = 112.5
    increase_above: Glucose = 160.0
    rise_per_mg_dl: Annotated[float, Field(ge=0, le=0.2)] = 0.0125
    highest_factor: Annotated[float, Field(ge=1, le=5)] = 2.0
    correct_above: Glucose = 180.0
    correction_share: Share = 0.6
    correction_target: Glucose = 110.0
    correction_wait: Minutes = 60.0
    correction_cf_factor: Annotated[float, Field(gt=0, le=5)] = 1.5
    bolus_target: Glucose = 120.0


class Meal(BaseModel):
    """One of the six daily meals: time of day and carbohydrate before scaling."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    at: Annotated[float, In("minute"), Field(ge=0, lt=1440)]
    carbs: Grams


class Settings(BaseModel):
    """Daily life and sensor, shared by all arms. All chosen or calibrated: see `provenance`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    meals: Annotated[tuple[Meal, ...], Field(min_length=6, max_length=6)] = (
        Meal(at=420.0, carbs=55.0),
        Meal(at=600.0, carbs=15.0),
        Meal(at=750.0, carbs=70.0),
        Meal(at=960.0, carbs=15.0),
        Meal(at=1140.0, carbs=80.0),
        Meal(at=1290.0, carbs=12.0),
    )
    meal_scale: Annotated[float, Field(gt=0, le=5)] = 1.2
    meal_cv: Spread = 0.25
    meal_jitter: Annotated[float, In("minute"), Field(ge=0, le=30)] = 20.0
    missed_bolus: Share = 0.25
    missed_snack_bolus: Share = 0.5
    carb_estimate_bias: Annotated[float, Field(gt=0, le=3)] = 0.8
    carb_estimate_sd: Spread = 0.4
    basal_bias: Annotated[float, Field(gt=0, le=3)] = 0.85
    basal_sd: Spread = 0.2
    carb_ratio_sd: Spread = 0.2
    sensitivity_day_sd: Spread = 0.3
    sensitivity_block_sd: Spread = 0.44
    sensitivity_circadian: Annotated[float, Field(ge=0, lt=1)] = 0.3
    sensitivity_peak: Annotated[float, In("hour"), Field(ge=0, lt=24)] = 16.0
    rescue_below: Glucose = 65.0
    rescue_carbs: Grams = 16.0
    rescue_wait: Minutes = 15.0
    symptoms_below: Glucose = 54.0
    correct_high_above: Glucose = 300.0
    correct_high_wait: Minutes = 180.0
    counter_regulation: Annotated[float, Field(ge=0, le=1)] = 0.0
    counter_regulation_below: Glucose = 60.0
    sensor_error: Annotated[float, Field(ge=0, le=5)] = 1.5
    sensor_gaps: Annotated[float, Field(ge=0, lt=1)] = 0.03


@dataclass(frozen=True)
class T1DModel:
    """UVA/Padova-type model with daily life. Time unit of the equations: minute; of the outputs: day."""

    name: str = "t1d-uva-padova"
    title: str = "Type 1 diabetes: UVA/Padova-type glucose-insulin model with pump, sensor and daily life"
    time_unit: Literal["minute", "hour", "day", "week"] = "minute"
    limits: str = (
        "Not the FDA-accepted simulator: parameters come from the 30 public subjects only. No exercise, illness, "
        "alcohol, ketones or infusion-set failure. Behaviour and the closed-loop law are imitations; "
        "counter-regulation is a switch without a published source. "
        "Severe hypoglycaemia is a clinical event and is not simulated."
    )
    lanes: Literal[1, 4, 8] = 8  # twins that a core carries at a time; changes the speed, never a bit
    requires: tuple[str, ...] = ("weight", *subject.FREE)
    parameters: tuple[Parameter, ...] = PARAMETERS
    outputs: tuple[Output, ...] = (
        Output("cgm", "mg/dL", "sensor glucose", (39.0, 600.0)),
        Output("glucose", "mg/dL", "plasma glucose", (10.0, 1000.0)),
        Output("insulin", "U", "insulin delivered in five minutes", (0.0, 80.0)),
    )
    Treatment: ClassVar[type[BaseModel]] = Treatment
    Settings: ClassVar[type[BaseModel]] = Settings

    def derive(self, twins: xr.Dataset) -> xr.Dataset:
        """Identities, carbohydrate ratio and correction factor of every twin."""
        return subject.derive(twins)

    def simulate(self, twins: xr.Dataset, treatment: Any, settings: Any, conditions: Conditions) -> xr.Dataset:
        """Five-minute readings from the start of the run-in to the end of follow-up; see `Model.simulate`."""
        kernel, start, world = prepare(twins, treatment, settings, conditions)
        follow(kernel, SYSTEM, start, world, conditions.tolerance, lanes=self.lanes)
        status = world.people["status"].astype(np.int8)
        failed_at = np.where(status == Status.COMPLETED, np.nan, world.people["ended_at"])
        run_in, ticks = (int(world.plan[name][0]) for name in ("run_in", "ticks"))
        time = (np.arange(1, ticks + 1) - run_in) / 288.0
        units = {output.name: output for output in self.outputs}
        out = xr.Dataset(
            {
                name: (("twin", "time"), world.readings[i], {"units": unit.unit, "long_name": unit.long_name})
                for i, (name, unit) in enumerate(units.items())
            },
            coords={"twin": twins["twin"].values, "time": ("time", time, {"units": "day"})},
        )
        out["status"] = ("twin", status, {"units": "1", "long_name": "status", "flag_values": [int(s) for s in Status]})
        out["failed_at"] = ("twin", failed_at / 1440.0 - conditions.schedule.run_in, {"units": "day"})
        return out


def prepare(
    twins: xr.Dataset, treatment: Treatment, settings: Settings, conditions: Conditions
) -> tuple[ModuleType, np.ndarray, Any]:
    """What `follow` needs for one arm: the compiled package, the twins' start, and their `daily_life.World`."""
    kernel = compiled(SYSTEM, *_MODULES)
    life, values, count = kernel.daily_life, subject.values_of(twins), twins.sizes["twin"]
    run_in = round(conditions.schedule.run_in * 288)
    ticks = run_in + round(conditions.schedule.duration * 288)
    hours = np.arange(288) / 12.0 - settings.sensitivity_peak
    plan = _record(
        life.PLAN,
        behaviour=_behaviour(life.BEHAVIOUR, settings, MODEL.outputs[1]),
        device=_device(life.DEVICE, treatment, conditions.adherence),
        keys=[key_words(conditions.seed, purpose) for purpose in life.PURPOSES],
        meals=[(meal.at, meal.carbs) for meal in settings.meals],
        circadian=1.0 + settings.sensitivity_circadian * np.cos(2.0 * np.pi * hours / 24.0),
        run_in=run_in, ticks=ticks,
    )  # fmt: skip
    people = np.zeros(count, life.PERSON)
    people["id"] = twins["twin"].values
    for name, column in (("need", "basal_rate"), ("cr", "CR"), ("cf", "CF"), ("weight", "BW")):
        people[name] = values[column]
    start = np.column_stack(
        [
            subject.basal_state(values),
            subject.parameter_matrix(values, settings.counter_regulation, settings.counter_regulation_below),
            np.zeros((count, len(SYSTEM.inputs))),
        ]
    )
    return kernel, start, life.World(plan, people, np.empty((3, count, ticks), np.float32))


def _behaviour(kind: np.dtype, s: Settings, glucose: Output) -> np.ndarray:
    lowest, highest = glucose.plausible or (0.0, np.inf)
    return _record(
        kind,
        meal_scale=s.meal_scale, meal_cv=s.meal_cv, meal_jitter=s.meal_jitter, missed=s.missed_bolus,
        snack_missed=s.missed_snack_bolus, estimate_bias=s.carb_estimate_bias, estimate_sd=s.carb_estimate_sd,
        basal_bias=s.basal_bias, basal_sd=s.basal_sd, cr_sd=s.carb_ratio_sd, day_sd=s.sensitivity_day_sd,
        block_sd=s.sensitivity_block_sd, rescue_below=s.rescue_below, rescue_grams=s.rescue_carbs,
        rescue_wait=s.rescue_wait, symptoms_below=s.symptoms_below, correct_high_above=s.correct_high_above,
        correct_high_wait=s.correct_high_wait, sensor_error=s.sensor_error, sensor_gap=s.sensor_gaps,
        lowest=lowest, highest=highest,
    )  # fmt: skip


def _device(kind: np.dtype, t: Treatment, in_use: float) -> np.ndarray:
    return _record(
        kind,
        horizon=t.horizon, suspend_below=t.suspend_below, stop_at=t.stop_at, reduce_below=t.reduce_below,
        increase_above=t.increase_above, gain=t.rise_per_mg_dl, highest_factor=t.highest_factor,
        correct_above=t.correct_above, correction_share=t.correction_share, correction_target=t.correction_target,
        correction_wait=t.correction_wait, cf_factor=t.correction_cf_factor, bolus_target=t.bolus_target,
        in_use=in_use, controller=_CONTROLLERS.index(t.controller),
    )  # fmt: skip


def _record(kind: np.dtype, **values: Any) -> np.ndarray:
    """An array of one record, with a value for every field."""
    assert set(values) == set(kind.names or ())
    record = np.zeros(1, kind)
    for name, value in values.items():
        record[name] = value
    return record


MODEL = T1DModel()
