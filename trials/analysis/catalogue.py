"""What every analysis model of the catalogue provides; a model is found by its place, `trials/analysis/<name>.py`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import xarray as xr

from ..protocol import Analysis, Prior
from .columns import Columns
from .data import AnalysisData, Array, Kind
from .priors import Meaning


@dataclass(frozen=True)
class Structure:
    """What a compiled model depends on: everything else enters as data, so analyses of one structure share it.

    `tail` is the degrees of freedom of the prior on the positive parameter; None is half-normal.
    """

    model: str
    columns: int
    intervals: int = 0
    tail: float | None = None


@dataclass(frozen=True)
class Prepared:
    """Data and priors of one analysis in the form that its compiled model takes.

    `arrays` go into the compiled model by name; `reference` are the numbers by which the outcome was standardised.
    """

    data: AnalysisData
    columns: Columns
    priors: Mapping[str, Prior]
    structure: Structure
    arrays: Mapping[str, Any]
    reference: Mapping[str, Any]


class Parameters(dict[str, Array]):
    """Draws of the parameters of a model by name, the draw first: from the posterior or from the prior."""


class CatalogueModel(Protocol):
    """One module of the catalogue."""

    KIND: Kind

    def prepare(self, data: AnalysisData, analysis: Analysis, priors: Mapping[str, Prior]) -> Prepared:
        """Standardise the data and take the priors along."""
        ...

    def build(self, structure: Structure) -> Any:
        """The PyMC model of a structure, with place-holders for data and priors."""
        ...

    def quantities(self, draws: xr.Dataset, prepared: Prepared) -> xr.Dataset:
        """Named quantities from the raw draws (chain, draw); `effect` is the estimand's summary in its unit."""
        ...

    def meanings(self, prepared: Prepared) -> dict[str, Meaning]:
        """What each prior is about, in the words and on the scale of the endpoint."""
        ...

    def draw_parameters(self, prepared: Prepared, rng: np.random.Generator, draws: int) -> Parameters:
        """Raw parameters from the prior, named as `build` names them."""
        ...

    def replicate(self, parameters: Parameters, prepared: Prepared, rng: np.random.Generator) -> dict[str, Array]:
        """Summaries of outcomes simulated at each draw of the parameters, by name; (draw,)."""
        ...

    def observed(self, prepared: Prepared) -> dict[str, float]:
        """The same summaries of the data."""
        ...


def catalogue_model(name: str) -> CatalogueModel:
    """The module of a model by the name it has in a protocol."""
    return cast(CatalogueModel, importlib.import_module(f"{__package__}.{name.replace('-', '_')}"))


def stack(draws: xr.Dataset, name: str) -> Array:
    """One variable with chain and draw made one axis, (sample, ...)."""
    values = draws[name].values
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=np.float64)


def variable(values: Array, draws: xr.Dataset, unit: str, long_name: str, dim: str = "") -> xr.DataArray:
    """A quantity (sample, ...) back over (chain, draw[, dim]) with its unit and name."""
    shape = (draws.sizes["chain"], draws.sizes["draw"])
    dims = ("chain", "draw", *([dim] if dim else []))
    return xr.DataArray(
        values.reshape(*shape, *values.shape[1:]), dims=dims, attrs={"units": unit, "long_name": long_name}
    )
