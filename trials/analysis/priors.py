"""Default priors of the catalogue, on standardised scales, and their text on the scale of the endpoint.

Every number here is chosen (weakly informative: it rules out the absurd and leaves the rest to the data); a protocol
that states a prior replaces the default of the same name, and the report prints every one that was used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..protocol import Prior
from .data import Array

_TREATMENT = Prior(normal=(0.0, 1.0))
_COVARIATES = Prior(normal=(0.0, 1.0))

DEFAULT_PRIORS: Mapping[str, Mapping[str, Prior]] = {
    "continuous": {  # in units of the outcome's sd
        "intercept": Prior(normal=(0.0, 2.5)),
        "treatment": _TREATMENT,
        "covariates": Prior(normal=(0.0, 2.5)),
        "sigma": Prior(half_student_t=(3.0, 1.0)),
    },
    "binary": {  # log odds; the intercept is measured from the logit of the pooled risk
        "intercept": Prior(normal=(0.0, 1.5)),
        "treatment": _TREATMENT,
        "covariates": _COVARIATES,
    },
    "count": {  # log rate; the intercept is measured from the log of the pooled rate
        "intercept": Prior(normal=(0.0, 2.0)),
        "treatment": _TREATMENT,
        "covariates": _COVARIATES,
        "overdispersion": Prior(half_normal=1.0),
    },
    "piecewise-exponential": {  # log hazard, measured from the log of the pooled hazard
        "log_hazard": Prior(normal=(0.0, 2.0)),
        "walk": Prior(half_normal=0.5),
        "treatment": _TREATMENT,
        "covariates": _COVARIATES,
    },
    "weibull": {  # log hazard at the mean time, measured from the log of the pooled hazard
        "intercept": Prior(normal=(0.0, 2.0)),
        "log_shape": Prior(normal=(0.0, 0.5)),
        "treatment": _TREATMENT,
        "covariates": _COVARIATES,
    },
}


class PriorError(ValueError):
    """A stated prior that the analysis does not have, or of a family that does not fit."""


def merged_priors(model: str, stated: Mapping[str, Prior]) -> dict[str, Prior]:
    """The catalogue's priors of a model, with those that the protocol states in their place.

    Raises
    ------
    PriorError
        A name the model does not have; a real-valued parameter without `normal`; a positive one with it.
    """
    defaults = DEFAULT_PRIORS[model]
    for name, prior in stated.items():
        if name not in defaults:
            raise PriorError(f"{model} has no parameter {name!r}; its priors are {', '.join(defaults)}")
        wants_normal = defaults[name].normal is not None
        if (prior.normal is not None) != wants_normal:
            wanted = "normal: [mean, sd]" if wants_normal else "half_normal: sd or half_student_t: [nu, scale]"
            raise PriorError(f"{model}: the prior of {name!r} must be {wanted}")
    return {**defaults, **stated}


def normal_of(prior: Prior) -> tuple[float, float]:
    """Mean and sd of a normal prior."""
    if prior.normal is None:
        raise PriorError("expected a prior of the form normal: [mean, sd]")
    return prior.normal


def tail_and_scale(prior: Prior) -> tuple[float | None, float]:
    """Degrees of freedom (None: half-normal) and scale of a prior on a positive parameter."""
    if prior.half_student_t is not None:
        return prior.half_student_t
    if prior.half_normal is not None:
        return None, prior.half_normal
    raise PriorError("expected a prior of the form half_normal: sd or half_student_t: [nu, scale]")


def draw_prior(prior: Prior, rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Independent draws of one prior."""
    if prior.normal is not None:
        return rng.normal(prior.normal[0], prior.normal[1], size)
    tail, scale = tail_and_scale(prior)
    return np.abs(rng.standard_normal(size) if tail is None else rng.standard_t(tail, size)) * scale


@dataclass(frozen=True)
class Meaning:
    """What a standardised parameter is in the endpoint's own words: natural = link(location + factor * parameter)."""

    what: str
    factor: float = 1.0
    location: float = 0.0
    link: Literal["identity", "exp", "logistic"] = "identity"
    unit: str = ""

    def natural(self, parameter: float) -> float:
        """A value of the standardised parameter on the natural scale."""
        value = self.location + self.factor * parameter
        if self.link == "identity":
            return value
        return float(np.exp(value) if self.link == "exp" else 1 / (1 + np.exp(-value)))


def prior_text(prior: Prior, meaning: Meaning) -> str:
    """The prior in words, with the range that holds 95 % of it on the natural scale."""
    from scipy.special import ndtri, stdtrit

    if prior.normal is not None:
        mean, sd = prior.normal
        law, ends = f"Normal({mean:g}, {sd:g})", [mean - 1.959964 * sd, mean + 1.959964 * sd]
    elif prior.half_student_t is not None:
        tail, scale = prior.half_student_t
        law, ends = f"Half-Student-t({tail:g}, {scale:g})", [0.0, float(stdtrit(tail, 0.975)) * scale]
    else:
        _, scale = tail_and_scale(prior)
        law, ends = f"Half-Normal({scale:g})", [0.0, float(ndtri(0.975)) * scale]
    low, high = (meaning.natural(end) for end in ends)
    return f"{law}; {meaning.what} 95 % between {low:.3g} and {high:.3g} {meaning.unit}".rstrip()
