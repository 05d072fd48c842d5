"""Variables that are jointly normal on a transformed scale, with moments that are given or computed from a table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from ...models.expressions import ExpressionError, evaluate
from ...models.model import Provenance
from ...models.randomness import Seed, normals
from .correlation import lower_factor, mix
from .laws import Scale, from_normal_scale, to_normal_scale
from .parts import Part, VariableName
from .tables import TableFile


class JointVariable(Part):
    """One member of a joint law; `scale` is where it is normal, `column` its name in a table of subjects."""

    name: VariableName
    label: str
    unit: str
    scale: Scale = "log"
    column: str | None = None


class Given(Part):
    """A variable drawn before, on which the others are conditioned; `column` is its name in the table of subjects."""

    variable: str
    column: str
    scale: Scale = "log"


class Estimate(Part):
    """Moments computed from the rows of a table of subjects; `shrink` moves correlations towards none."""

    table: TableFile
    rows: str | None = None
    shrink: Annotated[float, Field(ge=0, le=1)] = 0.0
    given: tuple[Given, ...] = ()

    def values(self, column: str, scale: Scale) -> np.ndarray:
        """The column's values on the scale where they are normal, in the rows that count."""
        t = self.table.columns
        chosen = np.ones(self.table.rows, bool) if self.rows is None else evaluate(self.rows, t)
        return to_normal_scale(t[column][chosen], scale)


class Joint(Part):
    """Variables that are jointly normal on their scales, conditional on `given`.

    Either `mean` and `covariance` on those scales, in the order of the variables, or `estimate` from a table. With
    `occasions` all of them are drawn anew at each occasion (inter-occasion variability): NAME_1, NAME_2 and so on.
    """

    name: str
    variables: Annotated[tuple[JointVariable, ...], Field(min_length=1)]
    source: str
    provenance: Provenance
    mean: tuple[float, ...] | None = None
    covariance: tuple[tuple[float, ...], ...] | None = None
    estimate: Estimate | None = None
    occasions: Annotated[int, Field(ge=1, le=1000)] | None = None

    @model_validator(mode="after")
    def _moments_fit(self) -> Self:
        try:
            self.moments  # noqa: B018 - computed once, and refused here if it cannot be
        except (ValueError, np.linalg.LinAlgError) as error:
            raise PydanticCustomError("moments", "{reason}", {"reason": str(error)}) from None
        return self

    @property
    def given(self) -> tuple[Given, ...]:
        return self.estimate.given if self.estimate else ()

    @property
    def slots(self) -> tuple[tuple[str, int], ...]:
        """What is added to the names at each occasion, and its number from 0."""
        return (("", 0),) if self.occasions is None else tuple((f"_{o + 1}", o) for o in range(self.occasions))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that is drawn, occasion by occasion."""
        return tuple(v.name + end for end, _ in self.slots for v in self.variables)

    @property
    def attrs(self) -> dict[str, dict[str, str]]:
        """Attributes of every variable that is drawn."""
        of_all = {"source": self.source, "provenance": self.provenance}
        return {
            v.name + end: {
                "units": v.unit,
                "long_name": v.label if self.occasions is None else f"{v.label}, occasion {slot + 1}",
                **of_all,
            }
            for end, slot in self.slots
            for v in self.variables
        }

    @property
    def typical(self) -> dict[str, float]:
        """Each member where its normal score is 0."""
        mean = self.moments[0][len(self.given) :]
        return {
            v.name: float(from_normal_scale(np.asarray(m), v.scale)) for v, m in zip(self.variables, mean, strict=True)
        }

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, sd and lower factor of the correlation of (given..., variables...), on their scales."""
        if self.estimate is not None:
            if self.mean is not None or self.covariance is not None:
                raise ValueError("has both an estimate and a mean or covariance; keep one")
            members = [(g.column, g.scale) for g in self.given]
            members += [(v.column or v.name, v.scale) for v in self.variables]
            self.estimate.table.need(*(column for column, _ in members))
            try:
                data = np.array([self.estimate.values(*member) for member in members])
            except ExpressionError as error:
                raise ValueError(f"rows: {error}") from None
            if data.shape[1] < 3:
                raise ValueError(f"rows leaves {data.shape[1]} subjects of {self.estimate.table.name}; give at least 3")
            keep = 1 - self.estimate.shrink
            correlation = keep * np.corrcoef(data) + (1 - keep) * np.eye(len(members))
            return data.mean(axis=1), data.std(axis=1, ddof=1), lower_factor(correlation)
        size, covariance = len(self.variables), np.array(self.covariance or ())
        if self.mean is None or covariance.shape != (size, size) or len(self.mean) != size:
            raise ValueError(f"needs a mean of {size} numbers and a covariance of as many rows and columns")
        if not np.allclose(covariance, covariance.T) or np.linalg.eigvalsh(covariance)[0] <= 0:
            raise ValueError("covariance is not symmetric and positive definite; check its rows")
        sd = np.sqrt(np.diag(covariance))
        return np.array(self.mean), sd, np.asarray(np.linalg.cholesky(covariance / np.outer(sd, sd)))

    def draw(self, variables: Mapping[str, Any], ids: np.ndarray, seed: Seed) -> dict[str, np.ndarray]:
        """The members of twins `ids`, each (twin,), given what has been drawn before."""
        mean, sd, factor = self.moments
        scores: list[np.ndarray] = []
        for i, given in enumerate(self.given):
            z = (to_normal_scale(np.asarray(variables[given.variable]), given.scale) - mean[i]) / sd[i]
            # The independent score that, mixed with those before it, gives this z.
            known = mix(factor, [*scores, np.zeros_like(z)], i)
            scores.append((z - known) / factor[i, i])
        slots = self.slots
        own = [normals(seed, f"population.{v.name}", ids, len(slots)) for v in self.variables]
        drawn = {}
        for end, slot in slots:
            known_first = [*scores, *(z[:, slot] for z in own)]
            for i, variable in enumerate(self.variables, start=len(self.given)):
                z = mix(factor, known_first, i)
                drawn[variable.name + end] = from_normal_scale(mean[i] + sd[i] * z, variable.scale)
        return drawn
