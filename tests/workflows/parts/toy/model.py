"""A model in closed form for tests of the executor: a score that drifts, and a drug that lowers it.

score(t) = base + slope t - effect dose (1 - exp(-t / 10)) + noise,   t in days, dose in mg

Its settings name twins that fail, come back as NaN, raise an error, end their process, loop for ever or eat memory.
"""

import os
import time
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import BaseModel

from twinarm.models.model import Output, Parameter, Status
from twinarm.models.randomness import normals
from twinarm.models.units import In


class Treatment(BaseModel, frozen=True, extra="forbid"):
    dose: Annotated[float, In("mg")] = 0.0


class Settings(BaseModel, frozen=True, extra="forbid"):
    seconds_per_twin: float = 0.0
    fails: tuple[int, ...] = ()
    raises: tuple[int, ...] = ()
    kills: tuple[int, ...] = ()
    loops: tuple[int, ...] = ()
    eats: tuple[int, ...] = ()
    nans: tuple[int, ...] = ()


class Toy:
    name = "toy.model"
    title = "Drifting score"
    time_unit = "day"
    requires = ("base", "slope", "effect")
    parameters = tuple(
        Parameter(name, unit, None, "chosen for tests", "chosen")
        for name, unit in (("base", "point"), ("slope", "point/day"), ("effect", "point/mg"))
    )
    outputs = (Output("score", "point", "score", (-1e6, 1e6)), Output("drift", "point", "score without noise"))
    limits = "tests"
    Treatment = Treatment
    Settings = Settings

    def derive(self, twins):
        return twins

    def simulate(self, twins, treatment, settings, conditions):
        ids = twins["twin"].values
        time.sleep(settings.seconds_per_twin * ids.size)
        if np.isin(ids, settings.kills).any():
            os._exit(9)
        while np.isin(ids, settings.loops).any():
            pass
        eaten = []
        while np.isin(ids, settings.eats).any():
            eaten.append(np.ones(1 << 24))
        if np.isin(ids, settings.raises).any():
            raise ValueError(f"poison in {sorted(set(ids.tolist()) & set(settings.raises))}")
        schedule = conditions.schedule
        days = np.arange(-schedule.run_in, schedule.duration + 0.5)
        base, slope, effect = (twins[name].values[:, None] for name in self.requires)
        gone = np.where(days > 0, -np.expm1(-np.maximum(days, 0) / 10.0), 0.0)
        drift = base + slope * days - effect * treatment.dose * conditions.adherence * gone
        score = drift + normals(conditions.seed, "toy.noise", ids, days.size)
        drift[np.isin(ids, settings.nans)] = np.nan
        failed = np.isin(ids, settings.fails)
        status = np.where(failed, Status.STEP_LIMIT, Status.COMPLETED).astype(np.int8)
        score[failed], drift[failed] = np.nan, np.nan
        return xr.Dataset(
            {
                "score": (("twin", "time"), score, {"units": "point"}),
                "drift": (("twin", "time"), drift, {"units": "point"}),
                "status": ("twin", status, {"units": "1"}),
                "failed_at": ("twin", np.where(failed, 1.0, np.nan), {"units": "day"}),
            },
            coords={"twin": ids, "time": ("time", days, {"units": "day"})},
        )


MODEL = Toy()
