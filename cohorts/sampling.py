"""Twins of a population: each a pure function of (population, twin id, seed)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ..models.expressions import evaluate
from ..models.model import find_model
from ..models.randomness import uniforms
from .population import Blocks, Population, Subjects


def sample_twins(population: Population, ids: npt.ArrayLike, seed: int) -> xr.Dataset:
    """The twins with the given candidate ids, plausible or not.

    Parameters
    ----------
    ids : array of int, (twin,)
        Candidate numbers from 0; any order, any subset: a slice of ids gives the same rows of the whole, bit for bit.

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
        from .criteria import law_of  # criteria are drawn for with this module

        found = law_of(population, seed).draw(twin)
        return found.assign_attrs(population_digest=population.digest)
    drawn: dict[str, np.ndarray] = {}
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
    described = _described(blocks)
    twins = xr.Dataset(
        {name: ("twin", values, described[name]) for name, values in drawn.items()},
        coords={"twin": ("twin", twin, {"long_name": "candidate number of the twin"})},
        attrs={"population": population.name, "population_digest": population.digest, "seed": seed},
    )
    return twins if population.model is None else find_model(population.model).derive(twins)


def _rows(subjects: Subjects, twin: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of a table of subjects, in turn."""
    t, row = subjects.table.columns, subjects.chosen[twin % subjects.chosen.size]
    return {v.name: t[v.column or v.name][row] for v in subjects.variables}


def _described(blocks: Blocks) -> Mapping[str, dict[str, Any]]:
    """Attributes of every variable of the population."""
    found: dict[str, dict[str, Any]] = {}
    if (people := blocks.demographics) is not None:
        table = {"source": people.source, "provenance": people.provenance}
        found["age"] = {"units": "year", "long_name": "age, whole years", **table}
        found["sex"] = {"units": "1", "long_name": "sex", **table}
        found["race_ethnicity"] = {"units": "1", "long_name": "race and ethnicity", **table}
        found |= {name: v.attrs for name, v in (("age", people.age), ("sex", people.sex)) if v is not None}
    members = [*(blocks.covariates.described if blocks.covariates else ()), *blocks.independent, *blocks.derived]
    members += blocks.subjects.variables if blocks.subjects else ()
    members += [v for linked in blocks.linked for v in linked.variables]
    found |= {v.name: v.attrs for v in members}
    if blocks.genotypes is not None:
        found |= blocks.genotypes.attrs
    for joint in blocks.joint:
        for v in joint.variables:
            found[v.name] = {
                "units": v.unit,
                "long_name": v.label,
                "source": joint.source,
                "provenance": joint.provenance,
            }
    return found
