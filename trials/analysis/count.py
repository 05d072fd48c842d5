"""Negative binomial regression of counts with unequal follow-up, read as a rate ratio.

Specification
-------------
1. y_i ~ Poisson(g_i mu_i),  log mu_i = log exposure_i + log r0 + a + b t_i + x_i' c,
   g_i ~ Gamma(mean 1, sd phi), integrated out: y_i is negative binomial with variance mu + phi^2 mu^2.
2. r0 is the pooled rate (events + 1/2) / exposure; covariates are centred and divided by their sd; t = -1/2 or +1/2.
3. Priors: a ~ N(0, 2), b ~ N(0, 1), c ~ N(0, 1) on log rates; phi ~ half-normal(1).
4. log Gamma(y + 1/phi^2) - log Gamma(1/phi^2) is summed as log(1 + k phi^2), k = 0 .. y - 1, over the subjects with
   more than k events: exact, and stable where phi goes to 0 (Poisson) and the difference of two log Gammas is not.
5. Effect: rate ratio exp(b), experimental over control, at equal covariates. With a log link and no interaction the
   ratio of the standardised rates is the same number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..protocol import Analysis, Prior
from .catalogue import Parameters, Prepared, Structure, stack, variable
from .columns import columns_of, grouped, linear_predictor, pad, padded_width, standardised_mean, with_intercept
from .continuous import coefficient_priors, covariate_coefficients, draw_coefficients, positive
from .data import AnalysisData, Array
from .priors import Meaning, draw_prior, tail_and_scale

if TYPE_CHECKING:
    import pymc as pm

KIND = "count"
_DAYS_A_YEAR = 365.25


def prepare(data: AnalysisData, analysis: Analysis, priors: Mapping[str, Prior]) -> Prepared:
    exposure = np.ones(data.n) if data.exposure is None else data.exposure
    columns = columns_of(data)
    width = padded_width(columns.count + 1)
    rate = float((data.y.sum() + 0.5) / exposure.sum())
    location, scale = coefficient_priors(priors, "intercept", columns.count - 1)
    tail, phi_scale = tail_and_scale(priors["overdispersion"])
    most = int(data.y.max())
    counts = np.bincount(data.y.astype(np.int64), minlength=most + 1)
    more_than = (data.n - np.cumsum(counts))[:most].astype(np.float64) if most else np.zeros(1)
    arrays = {
        "matrix": pad(with_intercept(columns.matrix), width),
        "y": data.y,
        "expected": exposure * rate,
        "k": np.arange(len(more_than)),
        "more_than": more_than,
        "location": pad(location, width),
        "scale": pad(scale, width, 1.0),
        "overdispersion_scale": phi_scale,
    }
    structure = Structure("count", width, tail=tail)
    return Prepared(data, columns, priors, structure, arrays, {"rate": rate})


def build(structure: Structure) -> pm.Model:
    import pymc as pm
    import pytensor.tensor as pt

    k = structure.columns
    with pm.Model() as model:
        matrix, y = pm.Data("matrix", np.ones((2, k))), pm.Data("y", np.ones(2))
        expected = pm.Data("expected", np.ones(2))
        events, more_than = pm.Data("k", np.ones(2)), pm.Data("more_than", np.ones(2))
        location, scale = pm.Data("location", np.zeros(k)), pm.Data("scale", np.ones(k))
        b = pm.Normal("coefficients", location, scale, shape=k)
        v = positive("overdispersion", structure.tail) ** 2
        eta = (matrix * b).sum(axis=1)
        gammas = (more_than * pt.log1p(v * events)).sum()
        rest = (y * eta - (y + 1 / v) * pt.log1p(v * expected * pt.exp(eta))).sum()
        pm.Potential("likelihood", gammas + rest)
    return model


def quantities(draws: xr.Dataset, prepared: Prepared) -> xr.Dataset:
    b = stack(draws, "coefficients")
    yearly = prepared.reference["rate"] * _DAYS_A_YEAR
    control, experimental = (yearly * _relative_rate(b, prepared, arm) for arm in (0, 1))
    named = {
        "effect": variable(np.exp(b[:, 1]), draws, "1", "rate ratio"),
        "rate_control": variable(control, draws, "1/year", "rate with every subject in control"),
        "rate_experimental": variable(experimental, draws, "1/year", "rate with every subject in experimental"),
        "overdispersion": variable(stack(draws, "overdispersion"), draws, "1", "sd of the subjects' relative rates"),
    }
    return xr.Dataset({**named, **covariate_coefficients(b[:, 1:], draws, prepared)})


def _relative_rate(b: Array, prepared: Prepared, arm: int) -> Array:
    """Mean rate over the analysed subjects had all been in one arm, relative to the pooled rate, (sample,)."""
    rows, totals = grouped(with_intercept(prepared.columns.with_arm(arm)), n=np.ones(prepared.data.n))
    return standardised_mean(b[:, : rows.shape[1]], rows, totals["n"], "log")


def meanings(prepared: Prepared) -> dict[str, Meaning]:
    location = float(np.log(prepared.reference["rate"] * _DAYS_A_YEAR))
    return {
        "intercept": Meaning("rate in the middle of the two arms", 1.0, location, "exp", "1/year"),
        "treatment": Meaning("rate ratio", link="exp"),
        "covariates": Meaning("rate ratio for one sd of a covariate", link="exp"),
        "overdispersion": Meaning("sd of the subjects' relative rates"),
    }


def draw_parameters(prepared: Prepared, rng: np.random.Generator, draws: int) -> Parameters:
    b = draw_coefficients(prepared, rng, draws)
    return Parameters(coefficients=b, overdispersion=draw_prior(prepared.priors["overdispersion"], rng, (draws,)))


def replicate(parameters: Parameters, prepared: Prepared, rng: np.random.Generator) -> dict[str, Array]:
    eta = linear_predictor(parameters["coefficients"], with_intercept(prepared.columns.matrix))
    phi = np.maximum(parameters["overdispersion"], 1e-4)[:, None]  # a gamma of smaller sd is 1 for any count here
    frailty = rng.gamma(1 / phi**2, phi**2, size=eta.shape)
    mean = np.minimum(frailty * prepared.arrays["expected"] * np.exp(eta), 1e15)  # above, NumPy cannot draw
    return _summaries(rng.poisson(mean).astype(np.float64), prepared.data)


def observed(prepared: Prepared) -> dict[str, float]:
    return {name: float(v[0]) for name, v in _summaries(prepared.data.y[None, :], prepared.data).items()}


def _summaries(y: Array, data: AnalysisData) -> dict[str, Array]:
    """Mean count, its sd and the share of subjects without an event in each arm, (draw,)."""
    found: dict[str, Array] = {}
    for arm, name in enumerate(data.arms):
        own = y[:, data.treated == arm]
        found |= {f"mean count, {name}": own.mean(axis=1), f"share of zeros, {name}": (own == 0).mean(axis=1)}
        if own.shape[1] > 1:
            found[f"sd of counts, {name}"] = own.std(axis=1, ddof=1)
    return found
