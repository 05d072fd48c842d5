"""Laws of one variable: its distribution function and the inverse, row by row.

Every law answers `cdf(x, variables)` and `ppf(u, variables)`; a parameter is a number or an expression in variables
drawn before. Formulas: Johnson, Kotz & Balakrishnan, Continuous Univariate Distributions (2nd ed., 1994); skew-normal:
Azzalini 1985, Scand J Stat 12:171; sinh-arcsinh: Jones & Pewsey 2009, Biometrika 96:761.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from scipy.special import (
    betainc,
    betaincinv,
    expm1,
    gammainc,
    gammaincinv,
    log1p,
    ndtr,
    ndtri,
    owens_t,
    pdtr,
    pdtrik,
)

from ...models.expressions import names
from .parts import Number, Part, Positive, number

Variables = Mapping[str, Any]
# Halvings of a bracket until it is as narrow as floating point allows.
HALVINGS = 64


class Law(Part):
    """Parameters of a law. Those named in `above_zero` must be; `discrete` laws are not cut off by `within`."""

    above_zero: ClassVar[tuple[str, ...]] = ()
    discrete: ClassVar[bool] = False

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        for name in self.above_zero:
            value = getattr(self, name)
            if isinstance(value, float) and not value > 0:
                raise PydanticCustomError(
                    "positive", "{name} is {value}; it must be above 0", {"name": name, "value": f"{value:g}"}
                )
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """Variables that the law's expressions read."""
        return tuple(name for value in self.fields().values() if isinstance(value, str) for name in names(value))

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        """Probability of a value up to x."""
        raise NotImplementedError

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        """The value below which the share u lies."""
        raise NotImplementedError


class Normal(Law):
    """Mean and standard deviation, in the variable's unit."""

    above_zero: ClassVar[tuple[str, ...]] = ("sd",)
    mean: Number
    sd: Number

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(ndtr((x - number(self.mean, variables)) / number(self.sd, variables)))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(number(self.mean, variables) + number(self.sd, variables) * ndtri(u))


class LogNormal(Law):
    """Median and either coefficient of variation or sd of the logarithm, of what exceeds `shift` (0 unless given)."""

    above_zero: ClassVar[tuple[str, ...]] = ("median",)
    median: Number
    cv: Positive | None = None
    log_sd: Positive | None = None
    shift: Number = 0.0

    @model_validator(mode="after")
    def _one_spread(self) -> Self:
        if (self.cv is None) == (self.log_sd is None):
            raise PydanticCustomError("spread", "give either cv or log_sd, not both and not neither")
        return self

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm; from the coefficient of variation it is sqrt(ln(1 + cv^2))."""
        return float(self.log_sd if self.log_sd is not None else np.sqrt(np.log1p(float(self.cv or 0) ** 2)))

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        above = np.maximum(x - number(self.shift, variables), 0.0)
        with np.errstate(divide="ignore"):
            return np.asarray(ndtr((np.log(above) - np.log(number(self.median, variables))) / self.sigma))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        log_median = np.log(number(self.median, variables))
        return np.asarray(number(self.shift, variables) + np.exp(log_median + self.sigma * ndtri(u)))


class Between(Law):
    """A law between two values."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            text = "runs from {low} to {high}; low must be below high"
            raise PydanticCustomError("between", text, {"low": f"{self.low:g}", "high": f"{self.high:g}"})
        return self


class Uniform(Between):
    """Every value between `low` and `high` is as likely."""

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(self.low + (self.high - self.low) * u)


class Gamma(Law):
    """Shape k and scale; the mean is k scale."""

    above_zero: ClassVar[tuple[str, ...]] = ("shape", "scale")
    shape: Number
    scale: Number

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(gammainc(number(self.shape, variables), np.maximum(x, 0) / number(self.scale, variables)))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(gammaincinv(number(self.shape, variables), u) * number(self.scale, variables))


class Beta(Between):
    """Shapes a and b, between `low` and `high` (0 and 1 unless given)."""

    above_zero: ClassVar[tuple[str, ...]] = ("a", "b")
    a: Number
    b: Number
    low: float = 0.0
    high: float = 1.0

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        share = np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)
        return np.asarray(betainc(number(self.a, variables), number(self.b, variables), share))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        share = betaincinv(number(self.a, variables), number(self.b, variables), u)
        return np.asarray(self.low + (self.high - self.low) * share)


class Weibull(Law):
    """Shape k and scale: survival exp(-(x / scale)^k)."""

    above_zero: ClassVar[tuple[str, ...]] = ("shape", "scale")
    shape: Number
    scale: Number

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        ratio = np.maximum(x, 0.0) / number(self.scale, variables)
        return np.asarray(-expm1(-(ratio ** number(self.shape, variables))))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(number(self.scale, variables) * (-log1p(-u)) ** (1 / number(self.shape, variables)))


class SinhArcsinh(Law):
    """z = sinh(delta asinh((x - xi) / scale) - epsilon) is standard normal: epsilon skews, delta < 1 fattens tails."""

    above_zero: ClassVar[tuple[str, ...]] = ("scale", "delta")
    xi: Number
    scale: Number
    epsilon: Number
    delta: Number

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        y = (x - number(self.xi, variables)) / number(self.scale, variables)
        delta, epsilon = number(self.delta, variables), number(self.epsilon, variables)
        return np.asarray(ndtr(np.sinh(delta * np.arcsinh(y) - epsilon)))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        delta, epsilon = number(self.delta, variables), number(self.epsilon, variables)
        y = np.sinh((np.arcsinh(ndtri(u)) + epsilon) / delta)
        return np.asarray(number(self.xi, variables) + number(self.scale, variables) * y)


class SkewNormal(Law):
    """Location, scale and shape a: density 2 phi(y) Phi(a y) / scale with y = (x - location) / scale."""

    above_zero: ClassVar[tuple[str, ...]] = ("scale",)
    location: Number
    scale: Number
    shape: Number

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        y = (x - number(self.location, variables)) / number(self.scale, variables)
        return np.asarray(np.clip(ndtr(y) - 2 * owens_t(y, number(self.shape, variables)), 0.0, 1.0))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        location, scale = number(self.location, variables), number(self.scale, variables)
        # |N(0, 1)| bounds it: for a -> infinity the law is that of |z|, for a -> -infinity that of -|z|.
        low, high = location + scale * ndtri(u / 2), location + scale * ndtri((1 + u) / 2)
        return invert(lambda x: self.cdf(x, variables), u, low, high)


class Quantiles(Law):
    """A published quantile curve: `levels` in percent and their values.

    Linear in the normal score between the levels and beyond them; the slope beyond is that of the outermost pair.
    """

    levels: Annotated[tuple[Annotated[float, Field(gt=0, lt=100)], ...], Field(min_length=2)]
    values: tuple[float, ...]

    @model_validator(mode="after")
    def _curve_rises(self) -> Self:
        rises = all(np.all(np.diff(column) > 0) for column in (self.levels, self.values))
        if len(self.levels) != len(self.values) or not rises:
            text = "needs as many values as levels, and both must rise; correct them"
            raise PydanticCustomError("quantiles", text)
        return self

    def cdf(self, x: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(ndtr(_through(x, np.array(self.values), self._scores)))

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        return _through(ndtri(u), self._scores, np.array(self.values))

    @property
    def _scores(self) -> np.ndarray:
        return np.asarray(ndtri(np.array(self.levels) / 100))


class Choice(Law):
    """Words or numbers, each with its share; the shares sum to 1."""

    discrete: ClassVar[bool] = True
    values: Annotated[tuple[str, ...] | tuple[float, ...], Field(min_length=1)]
    shares: tuple[Annotated[float, Field(ge=0)], ...]

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if len(self.values) != len(self.shares) or abs(sum(self.shares) - 1) > 1e-6:
            raise PydanticCustomError(
                "shares",
                "{values} values have {shares} shares that sum to {total}; give one share a value, summing to 1",
                {"values": len(self.values), "shares": len(self.shares), "total": f"{sum(self.shares):g}"},
            )
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        return ()

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        edges = np.cumsum(self.shares)
        edges[-1] = 1.0
        return np.array(self.values)[np.searchsorted(edges, u, side="right")]


class Bernoulli(Law):
    """1 with this probability, otherwise 0."""

    discrete: ClassVar[bool] = True
    probability: Number

    @model_validator(mode="after")
    def _is_share(self) -> Self:
        if isinstance(self.probability, float) and not 0 <= self.probability <= 1:
            text = "probability is {value}; it must lie between 0 and 1"
            raise PydanticCustomError("probability", text, {"value": f"{self.probability:g}"})
        return self

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        return np.asarray(u > 1 - number(self.probability, variables), dtype=np.float64)


class Poisson(Law):
    """Counts with this mean."""

    above_zero: ClassVar[tuple[str, ...]] = ("mean",)
    discrete: ClassVar[bool] = True
    mean: Number

    def ppf(self, u: np.ndarray, variables: Variables) -> np.ndarray:
        mean = np.broadcast_to(number(self.mean, variables), u.shape)
        count = np.maximum(np.ceil(pdtrik(u, mean)), 0.0)
        # The inverse in real numbers may miss by a rounding error: step back where one count fewer reaches u too.
        fewer = np.maximum(count - 1, 0.0)
        return np.where(pdtr(fewer, mean) >= u, fewer, count)


def invert(cdf: Callable[[np.ndarray], np.ndarray], u: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The x between low and high where the distribution function reaches u, by halving."""
    low, high = np.broadcast_to(low, u.shape).copy(), np.broadcast_to(high, u.shape).copy()
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        below = cdf(middle) < u
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(0.5 * (low + high))


def _through(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Straight lines through the points, the outermost ones continued."""
    piece = np.clip(np.searchsorted(xs, x, side="right") - 1, 0, xs.size - 2)
    slope = (ys[piece + 1] - ys[piece]) / (xs[piece + 1] - xs[piece])
    return np.asarray(ys[piece] + slope * (x - xs[piece]))
