"""What a protocol may name: models, measures, populations, and the priors of each analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..models.model import Model, UnknownPart, find_model, find_part


class UnusablePart(ValueError):
    """A part that is found, but cannot be loaded or is not what its place asks for; the text says why."""


@dataclass(frozen=True)
class People:
    """What a protocol may ask of a population: its variables, and the model whose parameters it draws."""

    variables: tuple[str, ...]
    model: str | None


def model_named(name: str) -> Model:
    """The model of a protocol.

    Raises
    ------
    UnknownPart, UnusablePart
        No such model; or a module of the user's own that does not import, or holds no `MODEL`.
    """
    model: Model = _loaded(lambda: find_model(name))
    for needed in ("Treatment", "Settings", "outputs", "simulate"):
        if not hasattr(model, needed):
            raise UnusablePart(f"its MODEL has no '{needed}'")
    return model


def measure_named(name: str) -> Any:
    """The module of an endpoint's measure, with `KIND`, `Settings`, `reads` and `compute`.

    Raises
    ------
    UnknownPart, UnusablePart
    """
    module = _loaded(lambda: find_part("measure", f"{__package__}.endpoints", name))
    for needed in ("KIND", "Settings", "reads", "compute"):
        if not hasattr(module, needed):
            raise UnusablePart(f"the module has no '{needed}'")
    return module


def population_named(name: str) -> People:
    """The variables of a population, by short name or by the path of a file.

    Raises
    ------
    UnknownPart, UnusablePart
    """
    from ..cohorts import load_population, population_names

    if not name.endswith((".yaml", ".yml")) and name not in population_names():
        raise UnknownPart("population", name, population_names())

    def read() -> People:
        population = load_population(name)
        return People(tuple(population.variables), population.model)

    people: People = _loaded(read)
    return people


def prior_names(model: str) -> tuple[str, ...] | None:
    """Names of the priors of an analysis model, or None where the catalogue says nothing of it."""
    from .analysis import priors

    return tuple(priors.DEFAULT_PRIORS[model]) if model in priors.DEFAULT_PRIORS else None


def _loaded(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except UnknownPart:
        raise
    except Exception as error:  # a module or file of the user's own may raise anything
        raise UnusablePart(f"{type(error).__name__}: {error}") from error
