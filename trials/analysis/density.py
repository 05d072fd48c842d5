"""The log density of a PyMC model and its gradient as machine code.

PyMC says what the density is, and PyTensor derives its gradient and simplifies both. What is left is a small graph of
element-wise functions and sums, which `loops` writes as machine code in some tenths of a second. PyTensor's own ways
there take 10 to 25 s a model on a cold machine (Numba) or need a C compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import numpy as np

from ...models.engine.compile import cache_folder
from ...models.engine.lanes.machine import function_address
from .loops import function_text

# The last leaves out checks of what cannot be wrong here: scales are positive when they come.
_REWRITES = ("merge", "canonicalize", "stabilize", "local_remove_check_parameter")


@dataclass(frozen=True)
class Density:
    """Compiled functions of an unconstrained point, for data of certain shapes.

    `log_density` is the address of `int64 (uint64 n, double *point, double *gradient, double *value, double **data)`,
    `expand` that of `int64 (uint64 n, uint64 n, double *point, double *parameters, double **data)`, which gives the
    parameters on their own scale. `data` names the arrays in the order of the last argument, `parameters` has the
    shapes of the parameters. `start` gives a point by a seed: the prior's support point, moved by U(-1, 1).
    """

    log_density: int
    expand: int
    data: tuple[str, ...]
    parameters: Mapping[str, tuple[int, ...]]
    start: Callable[[int], np.ndarray]


def compile_density(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> Density:
    """Compile a PyMC model whose shared variables will hold arrays of these shapes."""
    import pytensor.tensor as pt
    from pytensor.gradient import grad
    from pytensor.graph.replace import clone_replace

    shared = {v: pt.tensor(v.name, dtype=v.dtype, shape=shapes[v.name]) for v in model.data_vars}
    values = [model.rvs_to_values[parameter] for parameter in model.free_RVs]
    graphs: Any = [model.logp(), *model.replace_rvs_by_values(model.free_RVs)]
    value, *parameters = _simplified(clone_replace(graphs, replace=shared))
    slopes: Any = grad(value, values)
    value, *rest = _simplified([value, *slopes, *parameters])
    gradient, parameters = rest[: len(values)], rest[len(values) :]
    data = list(shared.values())
    return Density(
        log_density=_address(function_text("_NAME_", 1, values, data, [gradient, [value]])),
        expand=_address(function_text("_NAME_", 2, values, data, [parameters])),
        data=tuple(str(variable.name) for variable in data),
        parameters={rv.name: graph.type.shape for rv, graph in zip(model.free_RVs, parameters, strict=True)},
        start=_start(model, values),
    )


def _simplified(graphs: Any) -> Any:
    from pytensor.graph.rewriting.utils import rewrite_graph

    return rewrite_graph(graphs, include=_REWRITES)


def _start(model: Any, values: list[Any]) -> Callable[[int], np.ndarray]:
    from pymc.initial_point import make_initial_point_fn

    initial_point = make_initial_point_fn(model=model, jitter_rvs=set(model.free_RVs), return_transformed=True)
    lock = Lock()  # chains ask at the same time, and a function of PyTensor keeps what it is called with

    def start(seed: int) -> np.ndarray:
        with lock:
            point = initial_point(seed)
        return np.concatenate([np.ravel(point[value.name]) for value in values]).astype(np.float64)

    return start


@cache
def _address(text: str) -> int:
    return function_address(cache_folder(), text, lambda name: text.replace("_NAME_", name))
