"""Twins of a population: each a pure function of (population, twin id, seed)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from ..models.expressions import evaluate
from ..models.model import find_model
from ..models.randomness import Seed, plain, uniforms
from .blocks import Subjects
from .population import Population


def sample_twins(
    population: Population, ids: npt.ArrayLike, seed: Seed, population_draw: int | None = None
) -> xr.Dataset:
    """The twins with the given candidate ids, plausible or not.

    Parameters
    ----------
    ids : array of int, (twin,)
        Candidate numbers from 0; any order, any subset: a slice of ids gives the same rows of the whole, bit for bit.
    population_draw : int, optional
        Which draw of the uncertain population parameters, from 0; their typical values unless given.

    Returns
    -------
    Dataset, dims (twin,), coord `twin` (int64, the id)
        Every variable with `units`, `long_name`, `source`, `provenance`. Where the population names a model, its
        dependent parameters are derived too.
    """
    twin = np.asarray(ids, dtype=np.int64)
    if twin.ndim != 1 or (twin.size and twin.min() < 0):
        raise ValueError("ids must be a list of twin ids from 0; a twin's id is the number of a sampled candidate")
    blocks = population.blocks
    if blocks.where:
        from .criteria import CriteriaError, law_of  # criteria are drawn for with this module

        if population_draw is not None:
            raise CriteriaError(
                f"{population.name} is stated with criteria (where); draws of parameters need one without"
            )
        found = law_of(population, plain(seed)).draw(twin)
        return found.assign_attrs(population_digest=population.digest)
    drawn: dict[str, np.ndarray] = {}
    for uncertain in blocks.uncertain:
        drawn |= {name: np.full(twin.size, x) for name, x in uncertain.draw(population_draw, seed).items()}
    if blocks.demographics is not None:
        drawn |= blocks.demographics.draw(twin, seed)
    if blocks.covariates is not None and blocks.kept_covariates:
        drawn |= blocks.covariates.draw(drawn, blocks.factors, blocks.kept_covariates, twin, seed)
    if blocks.genotypes is not None and blocks.kept_genotypes:
        drawn |= blocks.genotypes.draw(drawn, blocks.kept_genotypes, twin, seed)
    if blocks.subjects is not None:
        drawn |= _rows(blocks.subjects, twin)
    for variable in blocks.independent:
        uniform = uniforms(seed, f"population.{variable.name}", twin)[:, 0]
        drawn[variable.name] = variable.quantile(uniform, drawn)
    for linked in blocks.linked:
        drawn |= linked.draw(drawn, twin, seed)
    for joint in blocks.joint:
        drawn |= joint.draw(drawn, twin, seed)
    for derived in blocks.derived:
        value = np.asarray(evaluate(derived.expression, drawn), dtype=np.float64)
        drawn[derived.name] = np.broadcast_to(value, twin.shape).copy()
    described = blocks.described
    twins = xr.Dataset(
        {name: ("twin", values, described[name]) for name, values in drawn.items()},
        coords={"twin": ("twin", twin, {"long_name": "candidate number of the twin"})},
        attrs={"population": population.name, "population_digest": population.digest, "seed": seed},
    )
    return twins if population.model is None else find_model(population.model).derive(twins)


def sample_draws(population: Population, ids: npt.ArrayLike, seed: int, draws: int) -> xr.Dataset:
    """The same twins under `draws` draws of the uncertain population parameters: dims (population_draw, twin)."""
    each = [sample_twins(population, ids, seed, draw) for draw in range(draws)]
    return xr.concat(each, dim=xr.Variable("population_draw", np.arange(draws)), combine_attrs="override")


def _rows(subjects: Subjects, twin: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of a table of subjects, in turn."""
    t, row = subjects.table.columns, subjects.chosen[twin % subjects.chosen.size]
    return {v.name: t[v.column or v.name][row] for v in subjects.variables}
