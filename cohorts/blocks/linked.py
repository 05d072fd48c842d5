"""Variables of any law, linked by a Gaussian copula: every margin is kept as it is stated.

A margin that is cut off by `within` is a truncated law under the same normal score, so that the cut changes no rank
correlation: they are kept exactly where nobody is turned away.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from scipy.special import ndtr

from ...models.model import Provenance
from ...models.problems import did_you_mean
from ...models.randomness import Seed, normals
from .correlation import mix, nearest_correlation
from .laws import Variable
from .parts import Part
from .tables import TableError, TableFile

Pair = tuple[str, str, Annotated[float, Field(gt=-1, lt=1)]]
# A matrix read from figures of three decimals may miss positive definiteness by this much and is repaired.
ROUNDING = 0.02


class Linked(Part):
    """Variables with their laws, and correlations: of ranks (`spearman`) or of the normal scores.

    Correlations stand in `pairs` or in a `table` (variable_1, variable_2, correlation); other pairs have none.
    `source` and `provenance` are theirs.
    """

    name: str
    variables: Annotated[tuple[Variable, ...], Field(min_length=2)]
    kind: Literal["spearman", "normal_score"]
    pairs: tuple[Pair, ...] = ()
    table: TableFile | None = None
    source: str | None = None
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _correlations_fit(self) -> Self:
        try:
            self.factor  # noqa: B018 - computed once, and refused here if it cannot be
        except (TableError, ValueError) as error:
            raise PydanticCustomError("correlation", "{reason}", {"reason": str(error)}) from None
        return self

    @property
    def stated(self) -> tuple[Pair, ...]:
        """Every correlation that the file or its table gives."""
        if self.table is None:
            return self.pairs
        self.table.need("variable_1", "variable_2", "correlation")
        t = self.table.columns
        rows = zip(t["variable_1"].tolist(), t["variable_2"].tolist(), t["correlation"].tolist(), strict=True)
        return (*self.pairs, *rows)

    @cached_property
    def factor(self) -> np.ndarray:
        """Lower factor of the correlation of the normal scores.

        A rank correlation r of two normal variables is that of 2 sin(pi r / 6) (Pearson 1907).
        """
        position = {v.name: i for i, v in enumerate(self.variables)}
        matrix = np.eye(len(position))
        for one, two, value in self.stated:
            for name in (one, two):
                if name not in position:
                    hint = did_you_mean(name, list(position), f"its variables are {', '.join(position)}")
                    raise ValueError(f"correlates {name!r}, which is no variable of {self.name}; {hint}")
            if one == two or matrix[position[one], position[two]] != 0:
                raise ValueError(f"gives {one} and {two} twice, or a variable with itself; give each pair once")
            score = 2 * np.sin(np.pi * value / 6) if self.kind == "spearman" else value
            matrix[position[one], position[two]] = matrix[position[two], position[one]] = score
        nearest = nearest_correlation(matrix)
        if (far := float(np.abs(nearest - matrix).max())) > ROUNDING:
            i, j = np.unravel_index(np.abs(nearest - matrix).argmax(), matrix.shape)
            names = list(position)
            raise ValueError(
                f"has correlations that cannot all hold (not positive definite): the nearest that can has "
                f"{nearest[i, j]:.2f} for {names[i]} and {names[j]} in place of {matrix[i, j]:.2f}; "
                f"change that pair or its neighbours by about {far:.2f}"
            )
        return np.asarray(np.linalg.cholesky(nearest))

    @property
    def reads(self) -> tuple[str, ...]:
        """Variables that the laws' expressions read; those of this block come one after the other."""
        own = [v.name for v in self.variables]
        return tuple(name for i, v in enumerate(self.variables) for name in v.reads if name not in own[:i])

    def draw(self, variables: Mapping[str, Any], ids: np.ndarray, seed: Seed) -> dict[str, np.ndarray]:
        """The members of twins `ids`, each (twin,), given what has been drawn before."""
        scores = [normals(seed, f"population.linked.{v.name}", ids)[:, 0] for v in self.variables]
        drawn: dict[str, np.ndarray] = {}
        for i, variable in enumerate(self.variables):
            uniform = ndtr(mix(self.factor, scores, i))
            drawn[variable.name] = variable.quantile(uniform, {**variables, **drawn})
        return drawn
