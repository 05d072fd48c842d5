"""Logistic regression of a binary endpoint, read as a marginal risk difference.

Specification
-------------
1. y_i ~ Bernoulli(p_i),  logit p_i = logit(p0) + a + b t_i + x_i' c;  t = -1/2 in control, +1/2 in experimental.
2. p0 is the pooled risk (events + 1/2) / (n + 1); covariates are centred and divided by their sd.
3. Priors: a ~ N(0, 1.5), b ~ N(0, 1), c ~ N(0, 1), on log odds. The binomial likelihood is kept as it is: a normal
   approximation to log odds is wrong where events are rare.
4. Effect: the marginal risk difference by g-computation: for each draw the risk of every analysed subject is computed
   once in each arm and averaged, experimental minus control. It belongs to the analysed subjects' covariates.
5. Also the odds ratio at equal covariates, exp(b); it is not collapsible and moves with what is adjusted for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..protocol import Analysis, Prior
from .catalogue import Parameters, Prepared, Structure, stack, variable
from .columns import columns_of, grouped, linear_predictor, pad, padded_width, standardised_mean, with_intercept
from .continuous import coefficient_priors, covariate_coefficients, draw_coefficients
from .data import AnalysisData, Array
from .priors import Meaning

if TYPE_CHECKING:
    import pymc as pm

KIND = "binary"


def prepare(data: AnalysisData, analysis: Analysis, priors: Mapping[str, Prior]) -> Prepared:
    columns = columns_of(data)
    rows, totals = grouped(with_intercept(columns.matrix), events=data.y, trials=np.ones(data.n))
    risk = (data.y.sum() + 0.5) / (data.n + 1)
    offset = float(np.log(risk / (1 - risk)))
    width = padded_width(columns.count + 1)
    location, scale = coefficient_priors(priors, "intercept", columns.count - 1)
    arrays = {
        "matrix": pad(rows, width),
        **totals,
        "offset": offset,
        "location": pad(location, width),
        "scale": pad(scale, width, 1.0),
    }
    return Prepared(data, columns, priors, Structure("binary", width), arrays, {"offset": offset})


def build(structure: Structure) -> pm.Model:
    import pymc as pm
    import pytensor.tensor as pt

    k = structure.columns
    with pm.Model() as model:
        matrix, offset = pm.Data("matrix", np.ones((2, k))), pm.Data("offset", 0.0)
        events, trials = pm.Data("events", np.ones(2)), pm.Data("trials", np.full(2, 2.0))
        location, scale = pm.Data("location", np.zeros(k)), pm.Data("scale", np.ones(k))
        b = pm.Normal("coefficients", location, scale, shape=k)
        eta = offset + (matrix * b).sum(axis=1)
        pm.Potential("likelihood", (events * eta - trials * pt.softplus(eta)).sum())
    return model


def quantities(draws: xr.Dataset, prepared: Prepared) -> xr.Dataset:
    b = stack(draws, "coefficients")
    control, experimental = (_risk(b, prepared, arm) for arm in (0, 1))
    named = {
        "effect": variable(experimental - control, draws, "1", "risk difference"),
        "odds_ratio": variable(np.exp(b[:, 1]), draws, "1", "odds ratio at equal covariates"),
        "risk_control": variable(control, draws, "1", "risk with every subject in control"),
        "risk_experimental": variable(experimental, draws, "1", "risk with every subject in experimental"),
    }
    return xr.Dataset({**named, **covariate_coefficients(b[:, 1:], draws, prepared)})


def _risk(b: Array, prepared: Prepared, arm: int) -> Array:
    """Mean risk over the analysed subjects had all been in one arm, (sample,)."""
    rows, totals = grouped(with_intercept(prepared.columns.with_arm(arm)), n=np.ones(prepared.data.n))
    shifted = b[:, : rows.shape[1]].copy()
    shifted[:, 0] += prepared.reference["offset"]
    return standardised_mean(shifted, rows, totals["n"], "logit")


def meanings(prepared: Prepared) -> dict[str, Meaning]:
    return {
        "intercept": Meaning("risk in the middle of the two arms", 1.0, prepared.reference["offset"], "logistic"),
        "treatment": Meaning("odds ratio", link="exp"),
        "covariates": Meaning("odds ratio for one sd of a covariate", link="exp"),
    }


def draw_parameters(prepared: Prepared, rng: np.random.Generator, draws: int) -> Parameters:
    return Parameters(coefficients=draw_coefficients(prepared, rng, draws))


def replicate(parameters: Parameters, prepared: Prepared, rng: np.random.Generator) -> dict[str, Array]:
    from scipy.special import expit

    eta = linear_predictor(parameters["coefficients"], with_intercept(prepared.columns.matrix))
    risk = expit(prepared.reference["offset"] + eta)
    return _summaries((rng.random(risk.shape) < risk).astype(np.float64), prepared.data)


def observed(prepared: Prepared) -> dict[str, float]:
    return {name: float(v[0]) for name, v in _summaries(prepared.data.y[None, :], prepared.data).items()}


def _summaries(y: Array, data: AnalysisData) -> dict[str, Array]:
    """Share of events in each arm, (draw,)."""
    return {f"risk, {name}": y[:, data.treated == arm].mean(axis=1) for arm, name in enumerate(data.arms)}
