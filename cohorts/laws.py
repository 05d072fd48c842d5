"""One variable's law: the inverse of its distribution function, row by row, from a uniform or a standard normal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from scipy.special import expit, logit, ndtr, ndtri

from ..models.expressions import ExpressionError, evaluate, names
from ..models.model import Provenance

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=60)]
Positive = Annotated[float, Field(gt=0)]
# A number, or an expression in the variables that come before it ("1.34 * (1 + 0.01 * (age - 60))").
Number = float | str
Scale = Literal["identity", "log", "logit"]


class Part(BaseModel):
    """What every block of a population file is: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def fields(self) -> dict[str, Any]:
        """What a file states, by name; `dict` would add what has been computed since."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def changed(self, **fields: Any) -> Self:
        """A new value with other fields, checked like the first (`model_copy` checks nothing and keeps old results)."""
        return type(self)(**{**self.fields(), **fields})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.fields() == other.fields()

    def __hash__(self) -> int:
        return hash((type(self), *self.fields().values()))


class Described(Part):
    """What every variable states: its name, what it is, its unit ("1" for words and pure numbers), its source."""

    name: VariableName
    label: str
    unit: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    provenance: Provenance

    @property
    def attrs(self) -> dict[str, str]:
        """The same as attributes of an xarray variable."""
        return {
            "units": self.unit,
            "long_name": self.label,
            "source": self.source,
            "provenance": self.provenance,
        }


class Normal(Part):
    """Mean and standard deviation, in the variable's unit."""

    mean: Number
    sd: Number


class LogNormal(Part):
    """Median in the variable's unit, and either the coefficient of variation or the sd of the logarithm."""

    median: Number
    cv: Positive | None = None
    log_sd: Positive | None = None

    @model_validator(mode="after")
    def _one_spread(self) -> Self:
        if (self.cv is None) == (self.log_sd is None):
            raise PydanticCustomError("spread", "give either cv or log_sd, not both and not neither")
        return self

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm; from the coefficient of variation it is sqrt(ln(1 + cv^2))."""
        return float(self.log_sd if self.log_sd is not None else np.sqrt(np.log1p(float(self.cv or 0) ** 2)))


class Uniform(Part):
    low: float
    high: float


class Choice(Part):
    """Words or numbers, each with its share; the shares sum to 1."""

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


class Variable(Described):
    """A variable that is independent of the others given what its expressions read.

    Exactly one law. `within` cuts a normal or log-normal law off at two values (a truncated law, not a clipped one).
    """

    normal: Normal | None = None
    lognormal: LogNormal | None = None
    uniform: Uniform | None = None
    choice: Choice | None = None
    within: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _one_law(self) -> Self:
        laws = [law for law in (self.normal, self.lognormal, self.uniform, self.choice) if law is not None]
        if len(laws) != 1:
            raise PydanticCustomError(
                "law", "has {count} laws; give exactly one of normal, lognormal, uniform, choice", {"count": len(laws)}
            )
        if fault := self._fault():
            raise PydanticCustomError("law", "{fault}", {"fault": fault})
        return self

    def _fault(self) -> str:
        """What is wrong with the law's numbers, in words; empty when nothing is."""
        if self.within is not None and self.normal is None and self.lognormal is None:
            return "within cuts a normal or lognormal law; drop it here"
        if self.within is not None and not self.within[0] < self.within[1]:
            return f"within is {list(self.within)}; write [low, high] with low below high"
        if self.lognormal is not None and self.within is not None and self.within[0] <= 0:
            return f"within starts at {self.within[0]:g}; a log-normal variable is positive, start above 0"
        if self.uniform is not None and not self.uniform.low < self.uniform.high:
            return f"uniform runs from {self.uniform.low:g} to {self.uniform.high:g}; low must be below high"
        positive = {
            "normal.sd": self.normal and self.normal.sd,
            "lognormal.median": self.lognormal and self.lognormal.median,
        }
        for name, number in positive.items():
            if isinstance(number, float) and number <= 0:
                return f"{name} is {number:g}; it must be above 0"
        try:
            self.reads  # noqa: B018 - expressions that cannot be read are refused here
        except ExpressionError as error:
            return str(error)
        return ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Variables that the law's expressions read."""
        numbers = [*vars(self.normal).values()] if self.normal else [self.lognormal.median] if self.lognormal else []
        return tuple(name for number in numbers if isinstance(number, str) for name in names(number))

    def quantile(self, uniform: np.ndarray, variables: Mapping[str, Any]) -> np.ndarray:
        """The value at each uniform, (twin,); `variables` are those the expressions read."""
        if self.choice is not None:
            return _choose(self.choice, uniform)
        if self.uniform is not None:
            return self.uniform.low + (self.uniform.high - self.uniform.low) * uniform
        if self.normal is not None:
            centre, spread = _number(self.normal.mean, variables), _number(self.normal.sd, variables)
            bounds = self.within
        else:
            assert self.lognormal is not None
            centre, spread = np.log(_number(self.lognormal.median, variables)), self.lognormal.sigma
            bounds = self.within and (float(np.log(self.within[0])), float(np.log(self.within[1])))
        if bounds is not None:
            low, high = ndtr((bounds[0] - centre) / spread), ndtr((bounds[1] - centre) / spread)
            uniform = low + (high - low) * uniform
        value = centre + spread * ndtri(uniform)
        return np.asarray(value if self.normal is not None else np.exp(value))


def to_normal_scale(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Values on the scale on which they are normal."""
    return np.asarray({"identity": np.positive, "log": np.log, "logit": logit}[scale](values))


def from_normal_scale(values: np.ndarray, scale: Scale) -> np.ndarray:
    """The inverse of `to_normal_scale`."""
    return np.asarray({"identity": np.positive, "log": np.exp, "logit": expit}[scale](values))


def _number(number: Number, variables: Mapping[str, Any]) -> Any:
    return evaluate(number, variables) if isinstance(number, str) else number


def _choose(choice: Choice, uniform: np.ndarray) -> np.ndarray:
    edges = np.cumsum(choice.shares)
    edges[-1] = 1.0
    return np.array(choice.values)[np.searchsorted(edges, uniform, side="right")]
