"""What a trial would measure of a cohort before it starts: the run-in simulated, as variables of the cohort.

With them a cohort can be weighted or selected so that its simulated baseline is that of a published trial, and not
only its covariates.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from ..cohorts.screening import SimulatedRules
from ..models.model import find_model
from ..models.problems import listed
from .protocol import BASELINE_PREFIX, Protocol, Visit
from .simulate import simulate_block

BASELINE = "baseline"
AFTER = 1.0  # day; a protocol has follow-up, which is not looked at


class BaselineError(ValueError):
    """A protocol without a baseline to simulate, or a cohort that its model cannot simulate."""


def simulated_rules(protocol: Protocol) -> SimulatedRules | None:
    """A protocol's rules on the simulated baseline, for `screen`; None where it has none."""
    if protocol.population is None or not protocol.population.plausible_baseline:
        return None
    return SimulatedRules(protocol.population.plausible_baseline, partial(with_baseline, protocol, known_only=False))


def with_baseline(protocol: Protocol, cohort: xr.Dataset, known_only: bool = True) -> xr.Dataset:
    """The cohort with `baseline_<endpoint>` for every endpoint that has a value before randomisation, with `known_only`
    for those alone that are known of some twin.

    The run-in is that of the protocol in its first arm: all arms are alike until randomisation. A twin's values depend
    on its number and the protocol's seed alone. Twins that fail in the simulation are NaN.

    Raises
    ------
    BaselineError
        No model or no run-in, no endpoint with a baseline, or a variable that the model requires is not in the cohort.
    """
    timing = protocol.schedule
    if protocol.model is None or timing is None or not timing.run_in > 0:
        lacks = "model" if protocol.model is None else "run-in"
        raise BaselineError(f"protocol {protocol.name!r} has no {lacks}: there is no baseline to simulate")
    missing = [name for name in find_model(protocol.model.name).requires if name not in cohort]
    if missing:
        source = protocol.population.name if protocol.population else "a population of that model"
        raise BaselineError(
            f"the cohort has no {listed(missing)}, which the model {protocol.model.name} requires; "
            f"draw it from {source}"
        )
    schedule = timing.model_copy(update={"duration": AFTER, "visits": (Visit(name="end", at=AFTER),)})
    short = protocol.model_copy(update={"schedule": schedule, "keep": None, "analyses": ()})
    outcomes, _ = simulate_block(short, protocol.arms[0].name, cohort)
    found = {}
    for endpoint, values in outcomes.data_vars.items():
        if "visit" not in values.dims or BASELINE not in values["visit"].values or "endpoint" not in values.attrs:
            continue
        own = values.sel(visit=BASELINE).to_numpy().astype(np.float64)
        if known_only and not np.isfinite(own).any():
            continue
        attrs = {
            "units": values.attrs["units"],
            "long_name": f"{values.attrs.get('label', endpoint)}, simulated at baseline",
            "source": f"simulated by {protocol.model.name} under protocol {protocol.name}",
            "provenance": "derived",
        }
        found[f"{BASELINE_PREFIX}{endpoint}"] = ("twin", own, attrs)
    if not found:
        raise BaselineError(f"no endpoint of protocol {protocol.name!r} has a value at baseline")
    return cohort.assign(found)
