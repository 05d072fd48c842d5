"""A variable and its law: one of the laws of `margins` or a mixture of them, cut off where the file says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from scipy.special import expit, logit

from ...models.expressions import ExpressionError
from .margins import (
    Bernoulli,
    Beta,
    Choice,
    Gamma,
    Law,
    LogNormal,
    Normal,
    Poisson,
    Quantiles,
    SinhArcsinh,
    SkewNormal,
    Uniform,
    Weibull,
    invert,
)
from .parts import Described, Part, number

Scale = Literal["identity", "log", "logit"]
LAWS = (
    "normal", "lognormal", "uniform", "gamma", "beta", "weibull", "sinh_arcsinh", "skew_normal", "quantiles",
    "mixture", "choice", "bernoulli", "poisson",
)  # fmt: skip
# `within` must hold at least this share of a law: below it the far tail is all that is left.
LEAST_MASS = 1e-6


class Continuous(Part):
    """Exactly one continuous law, by its name."""

    normal: Normal | None = None
    lognormal: LogNormal | None = None
    uniform: Uniform | None = None
    gamma: Gamma | None = None
    beta: Beta | None = None
    weibull: Weibull | None = None
    sinh_arcsinh: SinhArcsinh | None = None
    skew_normal: SkewNormal | None = None
    quantiles: Quantiles | None = None

    @model_validator(mode="after")
    def _one_law(self) -> Self:
        if (count := len(self.laws)) != 1:
            known = [name for name in type(self).model_fields if name in LAWS]
            text = "has {count} laws; give exactly one of {laws}"
            raise PydanticCustomError("law", text, {"count": count, "laws": ", ".join(known)})
        if fault := self._fault():
            raise PydanticCustomError("law", "{fault}", {"fault": fault})
        return self

    def _fault(self) -> str:
        """What is wrong with the law's numbers, in words; empty when nothing is."""
        try:
            self.reads  # noqa: B018 - expressions that cannot be read are refused here
        except ExpressionError as error:
            return str(error)
        return ""

    @property
    def laws(self) -> list[Law]:
        return [value for value in self.fields().values() if isinstance(value, Law)]

    @property
    def law(self) -> Law:
        return self.laws[0]

    @property
    def reads(self) -> tuple[str, ...]:
        """Variables that the law's expressions read."""
        return self.law.reads


class Mixture(Law):
    """Continuous laws with their shares, which sum to 1."""

    shares: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=2)]
    laws: Annotated[tuple[Continuous, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if len(self.laws) != len(self.shares) or abs(sum(self.shares) - 1) > 1e-6:
            raise PydanticCustomError("shares", "needs one share for each of its laws, summing to 1; correct them")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(name for one in self.laws for name in one.reads)

    def cdf(self, x: np.ndarray, variables: Mapping[str, Any]) -> np.ndarray:
        return np.asarray(
            sum(share * one.law.cdf(x, variables) for share, one in zip(self.shares, self.laws, strict=True))
        )

    def ppf(self, u: np.ndarray, variables: Mapping[str, Any]) -> np.ndarray:
        # The mixture's quantile lies between the smallest and the largest of its laws'.
        ends = np.array([np.broadcast_to(one.law.ppf(u, variables), u.shape) for one in self.laws])
        return invert(lambda x: self.cdf(x, variables), u, ends.min(axis=0), ends.max(axis=0))


class Variable(Described, Continuous):
    """A variable that is independent of the others given what its expressions read.

    Exactly one law. `within` cuts a continuous one off at two values (truncated, not clipped).
    """

    mixture: Mixture | None = None
    choice: Choice | None = None
    bernoulli: Bernoulli | None = None
    poisson: Poisson | None = None
    within: tuple[float, float] | None = None

    def _fault(self) -> str:
        if (fault := super()._fault()) or self.within is None:
            return fault
        if self.law.discrete:
            return "within cuts a continuous law; drop it here"
        low, high = self.within
        if not low < high:
            return f"within is {[low, high]}; write [low, high] with low below high"
        if self.lognormal is not None and low < 0 and self.lognormal.shift == 0:
            return f"within starts at {low:g}; a log-normal variable is positive, start at 0 or above"
        if not self.reads and (mass := float(np.diff(self.law.cdf(np.array([low, high]), {}))[0])) < LEAST_MASS:
            return f"within [{low:g}, {high:g}] holds {mass:.1g} of the law; widen it or correct the law"
        return ""

    def quantile(self, uniform: np.ndarray, variables: Mapping[str, Any]) -> np.ndarray:
        """The value at each uniform, (twin,); `variables` are those the expressions read.

        Raises
        ------
        ExpressionError
            An expression gives a parameter that the law cannot have, like a standard deviation below 0.
        """
        self._refuse(variables)
        if self.within is None:
            return self.law.ppf(uniform, variables)
        low, high = (np.asarray(self.law.cdf(np.asarray(end), variables)) for end in self.within)
        value = self.law.ppf(low + (high - low) * uniform, variables)
        return np.asarray(np.clip(value, *self.within))

    def _refuse(self, variables: Mapping[str, Any]) -> None:
        """Refuse what an expression gives; what stands as a number was checked when the file was read."""
        for law in [one.law for one in self.law.laws] if isinstance(self.law, Mixture) else [self.law]:
            for name, value in law.fields().items():
                if not isinstance(value, str):
                    continue
                given = number(value, variables)
                if name == "probability":
                    good, wanted = (given >= 0) & (given <= 1), "it must lie between 0 and 1"
                elif name in law.above_zero:
                    good, wanted = (given > 0) & np.isfinite(given), "it must be above 0 and finite"
                else:
                    good, wanted = np.isfinite(given), "it must be a finite number"
                if not good.all():
                    shown = float(given[~good].flat[0]) if given.shape else float(given)
                    raise ExpressionError(f"{self.name}: {name} {value!r} is {shown:g} for some people; {wanted}")


def to_normal_scale(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Values on the scale on which they are normal."""
    return np.asarray({"identity": np.positive, "log": np.log, "logit": logit}[scale](values))


def from_normal_scale(values: np.ndarray, scale: Scale) -> np.ndarray:
    """The inverse of `to_normal_scale`."""
    return np.asarray({"identity": np.positive, "log": np.exp, "logit": expit}[scale](values))
