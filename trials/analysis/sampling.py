"""From prepared data to draws: PyMC model, compiled once for each structure, sampled by nutpie.

This is the only place that knows PyMC, nutpie and what they return. Both stacks (PyMC 5 with InferenceData, PyMC 6 with
DataTree) leave here as the same plain Dataset over (chain, draw). No C compiler is needed: PyTensor compiles by Numba.
"""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from .catalogue import Prepared, Structure, catalogue_model

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

    The same data, seed and numbers of chains and draws give the same bytes on any number of cores.
    """
    compiled = _compiled(prepared.structure).with_data(
        **{name: np.asarray(value, dtype=np.float64) for name, value in prepared.arrays.items()}
    )
    import nutpie

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of ArviZ about itself
        trace = nutpie.sample(
            compiled,
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


@lru_cache(maxsize=16)
def _compiled(structure: Structure) -> Any:
    """The compiled model of a structure: some seconds the first time in a process, then nothing."""
    _set_up_pytensor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import nutpie
        import pymc  # noqa: F401 - its first import warns; the model module imports it again

        model = catalogue_model(structure.model).build(structure)
        names = [rv.name for rv in model.free_RVs]
        return nutpie.compile_pymc_model(model, backend="numba", var_names=names)


def _set_up_pytensor() -> None:
    """No search for a C compiler, and arithmetic as written.

    The flag is read when PyTensor is imported, the setting after it. Fast math lets the compiler regroup sums by the
    order of statements, which PyTensor does not keep from one process to the next: the draws would not be the same.
    """
    if "pytensor" not in sys.modules and "cxx=" not in os.environ.get("PYTENSOR_FLAGS", ""):
        os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, [os.environ.get("PYTENSOR_FLAGS"), "cxx="]))
    import pytensor

    pytensor.config.cxx = ""
    pytensor.config.numba__fastmath = False


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
