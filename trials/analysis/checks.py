"""Flags, not failures: prior-predictive range, posterior-predictive check, prior-data conflict, dropped covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from .catalogue import CatalogueModel, Parameters, Prepared, stack
from .diagnostics import SAMPLER

REPLICATES = 500
_ODD = 0.005  # a two-sided tail of 1 %: with a handful of summaries a flag is rare when the model is right


@dataclass(frozen=True)
class Check:
    """A summary of the data beside its distribution in replicated data: 95 % range and share of replicates below it."""

    name: str
    observed: float
    low: float
    high: float
    below: float

    @property
    def is_odd(self) -> bool:
        return not _ODD < self.below < 1 - _ODD


def prior_predictive(model: CatalogueModel, prepared: Prepared, seed: int) -> tuple[Check, ...]:
    """The data's summaries in data simulated from the prior alone."""
    rng = np.random.default_rng([seed, 1])
    with np.errstate(over="ignore"):
        parameters = model.draw_parameters(prepared, rng, REPLICATES)
        return _checks(model, prepared, parameters, rng)


def posterior_predictive(model: CatalogueModel, prepared: Prepared, raw: xr.Dataset, seed: int) -> tuple[Check, ...]:
    """The data's summaries in data simulated from the posterior, at draws spread evenly over the chains."""
    rng = np.random.default_rng([seed, 2])
    names = [str(name) for name in raw.data_vars if name not in SAMPLER]
    total = raw.sizes["chain"] * raw.sizes["draw"]
    picked = np.linspace(0, total - 1, min(REPLICATES, total)).astype(int)
    parameters = Parameters({name: stack(raw, name)[picked] for name in names})
    return _checks(model, prepared, parameters, rng)


def _checks(
    model: CatalogueModel, prepared: Prepared, parameters: Parameters, rng: np.random.Generator
) -> tuple[Check, ...]:
    replicated, observed = model.replicate(parameters, prepared, rng), model.observed(prepared)
    found = []
    for name, value in observed.items():
        draws = replicated[name]
        low, high = np.quantile(draws, [0.025, 0.975])
        below = (np.sum(draws < value) + 0.5 * np.sum(draws == value)) / len(draws)
        found.append(Check(name, value, float(low), float(high), float(below)))
    return tuple(found)


def flags_of(
    prepared: Prepared, prior: tuple[Check, ...], posterior: tuple[Check, ...], raw: xr.Dataset
) -> tuple[str, ...]:
    """Sentences for the report about what a reader should look at."""
    found = [f"covariate {name!r} does not vary and was left out" for name in prepared.columns.constant]
    for label, checks in (("prior", prior), ("posterior", posterior)):
        found += [
            f"{label}-predictive check: {c.name} is {c.observed:.4g}, replicated data give "
            f"{c.low:.4g} to {c.high:.4g} (95 %)"
            for c in checks
            if c.is_odd
        ]
    return (*found, *_conflicts(prepared, raw))


def _conflicts(prepared: Prepared, raw: xr.Dataset) -> list[str]:
    """Coefficients of which prior and data say different things, more than two sds of their difference apart.

    What the data alone say is taken from prior and posterior as if both were normal: good enough for a flag. Where the
    posterior is as wide as the prior the data say nothing.
    """
    location, scale = prepared.arrays["location"], prepared.arrays["scale"]
    draws = stack(raw, "coefficients")
    mean, sd = draws.mean(axis=0), draws.std(axis=0)
    has_intercept = prepared.structure.model != "piecewise-exponential"
    names = [*(["intercept"] if has_intercept else []), *prepared.columns.terms]
    found = []
    for i, name in enumerate(names):
        if sd[i] > 0.95 * scale[i]:
            continue
        precision = sd[i] ** -2 - scale[i] ** -2
        estimate = (mean[i] / sd[i] ** 2 - location[i] / scale[i] ** 2) / precision
        distance = abs(estimate - location[i]) / np.sqrt(scale[i] ** 2 + 1 / precision)
        if distance > 2:
            found.append(f"prior-data conflict: prior and data differ by {distance:.1f} sds in {name!r}")
    return found
