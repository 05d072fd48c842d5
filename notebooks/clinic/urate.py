"""A drug that lowers uric acid: absorption, elimination and an inhibited turnover, solved by the engine.

Time is in days. The numbers are chosen so that the example looks like a xanthine oxidase inhibitor; none was read.

d gut/dt = -ka gut,   d drug/dt = ka gut - CL / V drug
d urate/dt = kout (urate0 (1 - imax C / (ic50 + C)) - urate),   C = drug / V
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import BaseModel

from twinarm import Output, Parameter, Records, System, solve
from twinarm.models.model import Conditions, NoSettings
from twinarm.models.randomness import normals, uniforms
from twinarm.models.units import In


def rates(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
    """Derivatives, for numbers and for the symbols from which the engine compiles them."""
    conc = y.drug / p.V
    inhibited = p.imax * conc / (p.ic50 + conc)
    return -p.ka * y.gut, p.ka * y.gut - p.CL / p.V * y.drug, p.kout * (p.urate0 * (1.0 - inhibited) - y.urate)


TYPICAL = {"ka": 24.0, "CL": 60.0, "V": 50.0, "imax": 0.7, "ic50": 0.5, "kout": 0.7}
CV = {"CL": 0.3, "ic50": 0.5}  # log-normal, approximate coefficient of variation
UNITS = {"ka": "1/day", "CL": "L/day", "V": "L", "imax": "1", "ic50": "mg/L", "kout": "1/day"}
SYSTEM = System("urate", ("gut", "drug", "urate"), (*TYPICAL, "urate0"), (), rates, "day")


class Treatment(BaseModel, frozen=True, extra="forbid"):
    """One dose every morning; a control has none."""

    dose: Annotated[float, In("mg")] = 0.0


class Urate:
    """The model contract: what is declared first, then a block of twins becomes trajectories."""

    name = "clinic.urate"
    title = "Inhibited production of uric acid"
    time_unit = "day"
    requires = ("uric_acid",)
    parameters = tuple(
        Parameter(name, UNITS[name], value, "chosen for this example", "chosen") for name, value in TYPICAL.items()
    )
    outputs = (Output("urate", "mg/dL", "serum urate", plausible=(0.0, 30.0)),)
    limits = "An example: no renal function, no diet, no flares, no assay error."
    Treatment = Treatment
    Settings = NoSettings

    def derive(self, twins: xr.Dataset) -> xr.Dataset:
        """Nothing in these twins depends on anything else in them."""
        return twins

    def simulate(self, twins: xr.Dataset, treatment: Any, settings: Any, conditions: Conditions) -> xr.Dataset:
        """Serum urate once a day, before the dose; a morning's dose is missed with probability 1 - adherence."""
        ids, schedule, seed = twins["twin"].values, conditions.schedule, conditions.seed
        p = np.tile([*TYPICAL.values(), 0.0], (ids.size, 1))
        for name, cv in CV.items():
            column = SYSTEM.parameters.index(name)
            p[:, column] *= np.exp(cv * normals(seed, f"urate.{name}", ids)[:, 0])
        p[:, -1] = twins["uric_acid"].values
        mornings = np.arange(0.0, schedule.duration)
        is_taken = uniforms(seed, "urate.dose", ids, mornings.size) < conditions.adherence
        days = np.arange(-schedule.run_in, schedule.duration + 0.5)
        solution = solve(
            SYSTEM,
            y0=np.column_stack([np.zeros((ids.size, 2)), p[:, -1]]),
            p=p,
            start=days[0],
            stop=days[-1],
            records=Records(
                np.tile(mornings, (ids.size, 1)),
                np.full((ids.size, mornings.size), SYSTEM.state("gut")),
                np.where(is_taken, treatment.dose, 0.0),
            ),
            sample_times=days,
            tolerance=conditions.tolerance,
        )
        return xr.Dataset(
            {
                "urate": (("twin", "time"), solution.samples[:, :, SYSTEM.state("urate")], {"units": "mg/dL"}),
                "status": ("twin", solution.status, {"units": "1"}),
                "failed_at": ("twin", solution.failed_at, {"units": "day"}),
            },
            coords={"twin": ids, "time": ("time", days, {"units": "day"})},
        )


MODEL = Urate()
