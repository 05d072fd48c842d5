"""Weibull proportional hazards: the check of the piecewise exponential model.

Specification
-------------
1. H_i(s) = exp(l + a + b t_i + x_i' c) (s / s0)^k, s0 the mean time;  t = -1/2 in control, +1/2 in experimental.
2. l is the log of the pooled cumulative hazard at s0, (events + 1/2) s0 / total time; covariates are standardised.
3. Priors: a ~ N(0, 2), log k ~ N(0, 0.5), b ~ N(0, 1), c ~ N(0, 1).
4. Effect: hazard ratio exp(b) at equal covariates, experimental over control.

Assumes proportional hazards and a monotone hazard, increasing where k > 1; censoring at random given covariates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..protocol import Analysis, Prior
from .catalogue import Parameters, Prepared, Structure, stack, variable
from .columns import columns_of, linear_predictor, pad, padded_width, with_intercept
from .continuous import coefficient_priors, covariate_coefficients, draw_coefficients
from .data import AnalysisData, Array, DataError
from .piecewise_exponential import drawn_events, events_of, median_event_time, observed_events
from .priors import Meaning, draw_prior, normal_of

if TYPE_CHECKING:
    import pymc as pm

KIND = "time-to-event"


def prepare(data: AnalysisData, analysis: Analysis, priors: Mapping[str, Prior]) -> Prepared:
    """Sums over the events, which are sufficient for their part of the likelihood, and one row a subject for the rest.

    Raises
    ------
    DataError
        An event at time 0, which has no Weibull likelihood.
    """
    event, columns = events_of(data), columns_of(data)
    at_zero = int(((event == 1) & (data.y == 0)).sum())
    if at_zero:
        raise DataError(
            f"{data.endpoint}: {at_zero} events are at time 0, where a Weibull hazard is 0 or infinite; "
            "use the piecewise-exponential model, or record the time more finely"
        )
    matrix, width = with_intercept(columns.matrix), padded_width(columns.count + 1)
    location, scale = coefficient_priors(priors, "intercept", columns.count - 1)
    reference = float(data.y.mean())
    offset = float(np.log((event.sum() + 0.5) / data.n))
    log_time = np.log(np.maximum(data.y / reference, 1e-12))
    shape_location, shape_scale = normal_of(priors["log_shape"])
    arrays = {
        "matrix": pad(matrix, width),
        "log_time": log_time,
        "offset": offset,
        "events": float(event.sum()),
        "event_log_time": float((event * log_time).sum()),
        "event_columns": pad((matrix * event[:, None]).sum(axis=0), width),
        "location": pad(location, width),
        "scale": pad(scale, width, 1.0),
        "shape_location": shape_location,
        "shape_scale": shape_scale,
    }
    structure = Structure("weibull", width)
    return Prepared(data, columns, priors, structure, arrays, {"time": reference, "offset": offset})


def build(structure: Structure) -> pm.Model:
    import pymc as pm
    import pytensor.tensor as pt

    k = structure.columns
    with pm.Model() as model:
        matrix, log_time = pm.Data("matrix", np.ones((2, k))), pm.Data("log_time", np.zeros(2))
        events, event_log_time = pm.Data("events", 1.0), pm.Data("event_log_time", 0.0)
        event_columns, offset = pm.Data("event_columns", np.ones(k)), pm.Data("offset", 0.0)
        location, scale = pm.Data("location", np.zeros(k)), pm.Data("scale", np.ones(k))
        b = pm.Normal("coefficients", location, scale, shape=k)
        log_shape = pm.Normal("log_shape", pm.Data("shape_location", 0.0), pm.Data("shape_scale", 1.0))
        shape = pt.exp(log_shape)
        seen = events * log_shape + event_log_time * shape + (event_columns * b).sum()
        cumulative = pt.exp(offset + (matrix * b).sum(axis=1) + shape * log_time)
        pm.Potential("likelihood", seen - cumulative.sum())
    return model


def quantities(draws: xr.Dataset, prepared: Prepared) -> xr.Dataset:
    b = stack(draws, "coefficients")
    named = {
        "effect": variable(np.exp(b[:, 1]), draws, "1", "hazard ratio"),
        "shape": variable(np.exp(stack(draws, "log_shape")), draws, "1", "Weibull shape"),
        "intercept": variable(b[:, 0], draws, "1", "log cumulative hazard at the mean time, from the pooled one"),
    }
    return xr.Dataset({**named, **covariate_coefficients(b[:, 1:], draws, prepared)})


def meanings(prepared: Prepared) -> dict[str, Meaning]:
    time = f"{prepared.reference['time']:.4g} {prepared.data.unit}"
    return {
        "intercept": Meaning(f"cumulative hazard at {time}", 1.0, prepared.reference["offset"], "exp"),
        "log_shape": Meaning("Weibull shape", link="exp"),
        "treatment": Meaning("hazard ratio", link="exp"),
        "covariates": Meaning("hazard ratio for one sd of a covariate", link="exp"),
    }


def draw_parameters(prepared: Prepared, rng: np.random.Generator, draws: int) -> Parameters:
    b = draw_coefficients(prepared, rng, draws)
    return Parameters(coefficients=b, log_shape=draw_prior(prepared.priors["log_shape"], rng, (draws,)))


def replicate(parameters: Parameters, prepared: Prepared, rng: np.random.Generator) -> dict[str, Array]:
    """Events drawn from the days at risk that were observed (Poisson)."""
    data, split = prepared.data, median_event_time(prepared.data)
    eta = linear_predictor(parameters["coefficients"], with_intercept(prepared.columns.matrix))
    shape = np.exp(parameters["log_shape"])[:, None]
    early, total = (
        np.exp(prepared.reference["offset"] + eta) * (time / prepared.reference["time"]) ** shape
        for time in (np.minimum(data.y, split), data.y)
    )
    return drawn_events([early, np.maximum(total - early, 0.0)], data, split, rng)


def observed(prepared: Prepared) -> dict[str, float]:
    return observed_events(prepared.data)
