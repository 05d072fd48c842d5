"""Population parameters that are uncertain themselves: one value a population draw, shared by all twins of that draw.

The spread between draws is what is not known of the population (epistemic), the spread between twins within a draw is
how people differ. The same twin has the same random numbers in every draw.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from ...models.randomness import Seed, uniforms
from .joint import Joint
from .laws import Variable
from .parts import Part


class Uncertain(Part):
    """Parameters with their laws: `variables` one by one, `joint` with the covariance of their estimates.

    Without population draws each has its typical value: the median of its law.
    """

    variables: tuple[Variable, ...] = ()
    joint: tuple[Joint, ...] = ()

    @model_validator(mode="after")
    def _stand_alone(self) -> Self:
        if any(j.given or j.occasions for j in self.joint):
            text = "a joint law of population parameters has no given variables and no occasions; drop them"
            raise PydanticCustomError("uncertain", text)
        if words := [v.name for v in self.variables if v.choice is not None and isinstance(v.choice.values[0], str)]:
            raise PydanticCustomError("uncertain", "{name} has words; a parameter is a number", {"name": words[0]})
        known = {name for j in self.joint for name in j.names}
        for v in self.variables:
            if unknown := set(v.reads) - known:
                text = "{name} reads {other}, which is no parameter that stands before it here"
                raise PydanticCustomError("uncertain", text, {"name": v.name, "other": sorted(unknown)[0]})
            known.add(v.name)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return (*(name for j in self.joint for name in j.names), *(v.name for v in self.variables))

    def keeping(self, keep: set[str]) -> Self:
        """The parameters of these names; a joint law is kept whole or not at all."""
        joint = tuple(j for j in self.joint if set(j.names) <= keep)
        return self.changed(variables=tuple(v for v in self.variables if v.name in keep), joint=joint)

    def draw(self, population_draw: int | None, seed: Seed) -> dict[str, float]:
        """The parameters of one draw (numbered from 0), or their typical values."""
        found: dict[str, float] = {}
        ids = np.array([population_draw or 0])
        for joint in self.joint:
            drawn = joint.draw({}, ids, seed) if population_draw is not None else joint.typical
            found |= {name: float(np.ravel(value)[0]) for name, value in drawn.items()}
        for v in self.variables:
            known = {name: np.array([value]) for name, value in found.items()}
            place = np.array([0.5]) if population_draw is None else uniforms(seed, f"population.{v.name}", ids)[:, 0]
            found[v.name] = float(v.quantile(place, known)[0])
        return found
