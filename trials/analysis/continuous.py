"""Normal ANCOVA of a continuous endpoint.

Specification
-------------
1. y_i = a + b t_i + x_i' c + e_i,  e_i ~ Normal(0, sigma);  t = -1/2 in control, +1/2 in the experimental arm.
2. y is centred and divided by its sd over all subjects; covariates (the baseline among them) by theirs.
3. Priors: a ~ N(0, 2.5), b ~ N(0, 1), c ~ N(0, 2.5), sigma ~ half-t(3, 0, 1), all in units of the sd of y.
4. The likelihood is computed from the cross products of (1, t, x) and y, which are sufficient for it: no approximation,
   and its cost does not grow with the number of subjects.
5. Effect: b times the sd of y, the difference in means at equal covariates (experimental minus control), in the
   endpoint's unit. In a linear model this is the marginal difference as well.

Assumes one residual sd for both arms and no interaction; the posterior-predictive check looks at sd and median by arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..protocol import Analysis, Prior
from .catalogue import Parameters, Prepared, Structure, stack, variable
from .columns import columns_of, linear_predictor, pad, padded_width, with_intercept
from .data import AnalysisData, Array, DataError
from .priors import Meaning, draw_prior, normal_of, tail_and_scale

if TYPE_CHECKING:
    import pymc as pm

KIND = "continuous"


def prepare(data: AnalysisData, analysis: Analysis, priors: Mapping[str, Prior]) -> Prepared:
    """Cross products of the standardised columns and outcome.

    Raises
    ------
    DataError
        All outcomes are equal, so there is no scale to standardise with.
    """
    mean, sd = float(np.mean(data.y)), float(np.std(data.y))
    if sd <= 1e-12 * max(1.0, abs(mean)):
        raise DataError(f"{data.endpoint}: all {data.n} outcomes are {mean:g} {data.unit}; there is nothing to analyse")
    columns = columns_of(data)
    matrix, y = with_intercept(columns.matrix), (data.y - mean) / sd
    # Sums over subjects without a BLAS product: its bits depend on the number of threads.
    gram = (matrix[:, :, None] * matrix[:, None, :]).sum(axis=0)
    width = padded_width(columns.count + 1)
    location, scale = coefficient_priors(priors, "intercept", columns.count - 1)
    tail, sigma_scale = tail_and_scale(priors["sigma"])
    arrays = {
        "gram": pad(pad(gram, width).T, width),
        "cross": pad((matrix * y[:, None]).sum(axis=0), width),
        "square": float((y * y).sum()),
        "n": float(data.n),
        "location": pad(location, width),
        "scale": pad(scale, width, 1.0),
        "sigma_scale": sigma_scale,
    }
    structure = Structure("continuous", width, tail=tail)
    return Prepared(data, columns, priors, structure, arrays, {"mean": mean, "sd": sd})


def coefficient_priors(priors: Mapping[str, Prior], first: str, covariates: int) -> tuple[Array, Array]:
    """Means and sds of the priors of (first, treatment, covariates...); `first` may be empty."""
    names = [*([first] if first else []), "treatment"] + ["covariates"] * covariates
    pairs = np.array([normal_of(priors[name]) for name in names])
    return pairs[:, 0], pairs[:, 1]


def build(structure: Structure) -> pm.Model:
    import pymc as pm
    import pytensor.tensor as pt

    k = structure.columns
    with pm.Model() as model:
        gram, cross = pm.Data("gram", np.eye(k)), pm.Data("cross", np.zeros(k))
        square, n = pm.Data("square", 1.0), pm.Data("n", 1.0)
        location, scale = pm.Data("location", np.zeros(k)), pm.Data("scale", np.ones(k))
        b = pm.Normal("coefficients", location, scale, shape=k)
        sigma = positive("sigma", structure.tail)
        rss = square - 2 * (b * cross).sum() + (b * (gram * b).sum(axis=1)).sum()
        pm.Potential("likelihood", -n * pt.log(sigma) - 0.5 * rss / sigma**2)
    return model


def positive(name: str, tail: float | None) -> pm.Distribution:
    """A positive parameter with a half-normal or half-Student-t prior whose scale enters as data."""
    import pymc as pm

    scale = pm.Data(f"{name}_scale", 1.0)
    return pm.HalfNormal(name, scale) if tail is None else pm.HalfStudentT(name, tail, scale)


def quantities(draws: xr.Dataset, prepared: Prepared) -> xr.Dataset:
    b, sd, unit = stack(draws, "coefficients"), prepared.reference["sd"], prepared.data.unit
    control, experimental = (prepared.reference["mean"] + sd * (b[:, 0] + sign * 0.5 * b[:, 1]) for sign in (-1, 1))
    named = {
        "effect": variable(sd * b[:, 1], draws, unit, "difference in means"),
        "mean_control": variable(control, draws, unit, "mean in control at average covariates"),
        "mean_experimental": variable(experimental, draws, unit, "mean in experimental at average covariates"),
        "sigma": variable(sd * stack(draws, "sigma"), draws, unit, "residual sd"),
    }
    return xr.Dataset({**named, **covariate_coefficients(b[:, 1:], draws, prepared, sd, unit)})


def covariate_coefficients(
    b: Array, draws: xr.Dataset, prepared: Prepared, factor: float = 1.0, unit: str = "1"
) -> dict[str, xr.DataArray]:
    """Coefficients of the covariates, per sd of each; `b` holds (treatment, covariates..., padding)."""
    terms = prepared.columns.terms[1:]
    if not terms:
        return {}
    values = variable(factor * b[:, 1 : len(terms) + 1], draws, unit, "coefficient for one sd", "covariate")
    return {"coefficient": values.assign_coords(covariate=list(terms))}


def meanings(prepared: Prepared) -> dict[str, Meaning]:
    mean, sd, unit = prepared.reference["mean"], prepared.reference["sd"], prepared.data.unit
    return {
        "intercept": Meaning("mean of the two arms", sd, mean, unit=unit),
        "treatment": Meaning("difference in means", sd, unit=unit),
        "covariates": Meaning("change for one sd of a covariate", sd, unit=unit),
        "sigma": Meaning("residual sd", sd, unit=unit),
    }


def draw_parameters(prepared: Prepared, rng: np.random.Generator, draws: int) -> Parameters:
    b = draw_coefficients(prepared, rng, draws)
    return Parameters(coefficients=b, sigma=draw_prior(prepared.priors["sigma"], rng, (draws,)))


def draw_coefficients(prepared: Prepared, rng: np.random.Generator, draws: int) -> Array:
    """Coefficients of all columns from their priors, (draw, column)."""
    location, scale = prepared.arrays["location"], prepared.arrays["scale"]
    return location + scale * rng.standard_normal((draws, len(location)))


def replicate(parameters: Parameters, prepared: Prepared, rng: np.random.Generator) -> dict[str, Array]:
    mean = linear_predictor(parameters["coefficients"], with_intercept(prepared.columns.matrix))
    y = mean + parameters["sigma"][:, None] * rng.standard_normal(mean.shape)
    return _summaries(prepared.reference["mean"] + prepared.reference["sd"] * y, prepared.data)


def observed(prepared: Prepared) -> dict[str, float]:
    return {name: float(v[0]) for name, v in _summaries(prepared.data.y[None, :], prepared.data).items()}


def _summaries(y: Array, data: AnalysisData) -> dict[str, Array]:
    """Mean, sd and median of each arm, (draw,)."""
    found: dict[str, Array] = {}
    for arm, name in enumerate(data.arms):
        own = y[:, data.treated == arm]
        found |= {f"mean, {name}": own.mean(axis=1), f"median, {name}": np.median(own, axis=1)}
        if own.shape[1] > 1:
            found[f"sd, {name}"] = own.std(axis=1, ddof=1)
    return found
