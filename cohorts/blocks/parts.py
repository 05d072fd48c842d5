"""What every block of a population file is made of, and the numbers that may be expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...models.expressions import evaluate
from ...models.model import Provenance

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=60)]
Positive = Annotated[float, Field(gt=0)]
# A number, or an expression in the variables that come before it ("1.34 * (1 + 0.01 * (age - 60))").
Number = float | str


class Part(BaseModel):
    """What every block of a population file is: frozen, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)

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


def number(value: Number, variables: Mapping[str, Any]) -> np.ndarray:
    """A number, or an expression evaluated on variables that each are (twin,)."""
    return np.asarray(evaluate(value, variables) if isinstance(value, str) else value, dtype=np.float64)
