"""Two compartments, oral doses once a day and an effect compartment, solved by the engine: the trial of `executor.py`.

d depot/dt = -ka depot,   d central/dt = ka depot - (CL + Q) / V central + Q / Vp peripheral
d peripheral/dt = Q / V central - Q / Vp peripheral,   d effect/dt = ke0 (central / V - effect)

Time is in days. The numbers are those of workload W1 of `engine.py`: chosen, not read.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import BaseModel

from twinarm import Output, Parameter, Records, System, solve
from twinarm.models.model import Conditions, NoSettings
from twinarm.models.units import In

UNITS = {"CL": "L/day", "V": "L", "Q": "L/day", "Vp": "L", "ka": "1/day", "ke0": "1/day"}
SAMPLE_HOURS = 3.0


def rates(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    """Derivatives of the amounts (mg) and of the concentration at the site of the effect (mg/L), per day."""
    absorbed = p.ka * y.depot
    return (
        -absorbed,
        absorbed - (p.CL + p.Q) / p.V * y.central + p.Q / p.Vp * y.peripheral,
        p.Q / p.V * y.central - p.Q / p.Vp * y.peripheral,
        p.ke0 * (y.central / p.V - y.effect),
    )


SYSTEM = System("pk", ("depot", "central", "peripheral", "effect"), tuple(UNITS), (), rates, "day")


class Treatment(BaseModel, frozen=True, extra="forbid"):
    """One dose every morning."""

    dose: Annotated[float, In("mg")] = 0.0


class OnceDaily:
    """The model contract: every parameter is a variable of the population."""

    name = "pk.model"
    title = "Two compartments, once a day"
    time_unit = "day"
    requires = tuple(UNITS)
    parameters = tuple(Parameter(name, unit, None, "workload W1", "chosen") for name, unit in UNITS.items())
    outputs = (
        Output("conc", "mg/L", "plasma concentration", plausible=(-1e-3, 1e3)),
        Output("effect_site", "mg/L", "concentration at the site of the effect", plausible=(-1e-3, 1e3)),
    )
    limits = "a benchmark"
    Treatment = Treatment
    Settings = NoSettings

    def derive(self, twins: xr.Dataset) -> xr.Dataset:
        return twins

    def simulate(self, twins: xr.Dataset, treatment: Any, settings: Any, conditions: Conditions) -> xr.Dataset:
        """Both concentrations every three hours."""
        ids, schedule = twins["twin"].values, conditions.schedule
        p = np.column_stack([twins[name].values for name in self.requires])
        mornings = np.arange(0.0, schedule.duration)
        doses = np.full((ids.size, mornings.size), treatment.dose)
        times = np.arange(0.0, schedule.duration * 24.0 + 1e-6, SAMPLE_HOURS) / 24.0
        solution = solve(
            SYSTEM,
            y0=np.zeros((ids.size, len(SYSTEM.states))),
            p=p,
            start=0.0,
            stop=schedule.duration,
            records=Records(np.tile(mornings, (ids.size, 1)), np.zeros_like(doses, dtype=np.int64), doses),
            sample_times=times,
            tolerance=conditions.tolerance,
        )
        plasma = solution.samples[:, :, SYSTEM.state("central")] / p[:, [1]]
        return xr.Dataset(
            {
                "conc": (("twin", "time"), plasma, {"units": "mg/L"}),
                "effect_site": (("twin", "time"), solution.samples[:, :, SYSTEM.state("effect")], {"units": "mg/L"}),
                "status": ("twin", solution.status, {"units": "1"}),
                "failed_at": ("twin", solution.failed_at, {"units": "day"}),
            },
            coords={"twin": ids, "time": ("time", times, {"units": "day"})},
        )


MODEL = OnceDaily()
