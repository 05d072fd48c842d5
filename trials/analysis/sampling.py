"""From prepared data to draws: PyMC model, compiled by `density`, sampled by nutpie.

This is the only place that knows nutpie and what it returns. Both stacks (PyMC 5 with InferenceData, PyMC 6 with
DataTree) leave here as the same plain Dataset over (chain, draw).
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import xarray as xr

from .catalogue import Prepared, Structure, catalogue_model
from .density import Density, compile_density
from .home import shelter

TARGET_ACCEPT = 0.9
MAX_DEPTH = 10
STATISTICS = {"diverging": "diverging", "depth": "tree_depth", "energy": "energy"}


@dataclass(frozen=True)
class Effort:
    """How much is sampled: kept and warm-up draws of each chain, and the most kept draws of all chains together.

    `cores` (all, where absent) changes the time it takes and nothing else.
    """

    chains: int = 4
    draws: int = 1000
    tune: int = 1000
    most_draws: int = 40_000
    cores: int | None = None


def sample(prepared: Prepared, seed: int, effort: Effort) -> xr.Dataset:
    """Draws of the raw parameters, dims (chain, draw), with `diverging`, `tree_depth` and `energy` of each draw.

    The same data, seed and numbers of chains and draws give the same bytes on any number of cores, in any process.
    """
    arrays = {name: np.array(value, dtype=np.float64, order="C") for name, value in prepared.arrays.items()}
    shapes = tuple((name, array.shape) for name, array in arrays.items())
    density = _compiled(prepared.structure, shapes)
    import nutpie

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of ArviZ about itself
        trace = nutpie.sample(
            _nutpie_model(density, [arrays[name] for name in density.data]),
            draws=effort.draws,
            tune=effort.tune,
            chains=effort.chains,
            cores=min(effort.chains, effort.cores or os.cpu_count() or 1),
            seed=seed,
            save_warmup=False,
            progress_bar=False,
            target_accept=TARGET_ACCEPT,
            maxdepth=MAX_DEPTH,
        )
    return _plain(trace)


@lru_cache(maxsize=64)
def _compiled(structure: Structure, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Density:
    """The density of a structure for data of certain shapes: a few tenths of a second, then nothing."""
    load_libraries()
    return compile_density(catalogue_model(structure.model).build(structure), dict(shapes))


def _nutpie_model(density: Density, arrays: Sequence[np.ndarray]) -> Any:
    """A compiled density and its data as nutpie takes them: addresses, with the signatures of its PyMC models."""
    from nutpie import _lib
    from nutpie.sample import CompiledModel

    addresses = np.array([array.ctypes.data for array in arrays], dtype=np.uintp)
    names, shapes = list(density.parameters), list(density.parameters.values())
    size = sum(prod(shape) for shape in shapes)

    class DensityModel(CompiledModel):
        n_dim = size
        coords: Mapping[str, Any] = {}

        def _make_sampler(self, settings: Any, init_mean: Any, *further: Any) -> Any:
            kept = (addresses, arrays)  # the functions read from them
            sizes: dict[str, int] = {}  # of dimensions, filled in by the next call
            variables = _lib.PyVariable.new_variables(names, ["float64"] * len(names), shapes, sizes, {})
            model = _lib.PyMcModel(
                _lib.LogpFunc(density.log_density, addresses.ctypes.data, kept),
                _lib.ExpandFunc(size, size, density.expand, addresses.ctypes.data, kept),
                variables,
                size,
                sizes,
                {},
                density.start,
                None,
            )
            return _lib.PySampler.from_pymc(settings, further[0], model, *further[1:])

    return DensityModel(dims={})


def load_libraries() -> None:
    """Import PyMC and nutpie, which takes some seconds, and let PyTensor look for no C compiler.

    PyTensor reads the flag when it is imported, the setting after it.
    """
    shelter()
    if "pytensor" not in sys.modules and "cxx=" not in os.environ.get("PYTENSOR_FLAGS", ""):
        os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, [os.environ.get("PYTENSOR_FLAGS"), "cxx="]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of ArviZ about itself
        import nutpie  # noqa: F401  - both are loaded here, for whoever samples next
        import pymc  # noqa: F401
        import pytensor

    pytensor.config.cxx = ""


def _plain(trace: Any) -> xr.Dataset:
    """One Dataset from InferenceData or DataTree, without attributes that name times or versions."""
    posterior, stats = (
        group.to_dataset() if hasattr(group, "to_dataset") else group
        for group in (trace["posterior"], trace["sample_stats"])
    )
    variables = {
        str(name): (("chain", "draw", *(f"{name}_{i}" for i in range(value.ndim - 2))), value.values)
        for name, value in posterior.data_vars.items()
    }
    statistics = {new: (("chain", "draw"), stats[old].values) for old, new in STATISTICS.items()}
    return xr.Dataset(
        {**variables, **statistics},
        coords={"chain": np.arange(posterior.sizes["chain"]), "draw": np.arange(posterior.sizes["draw"])},
    )
