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
from .population import Blocks, Demographics, Population, Subjects


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
    drawn: dict[str, np.ndarray] = {}
    if blocks.demographics is not None:
        drawn |= _people(blocks.demographics, twin, seed)
    if blocks.covariates is not None and blocks.kept_covariates:
        factors = _factors(blocks)
        drawn |= blocks.covariates.draw(drawn, factors, blocks.kept_covariates, twin, seed)
    if blocks.subjects is not None:
        drawn |= _rows(blocks.subjects, twin)
    for variable in blocks.independent:
        uniform = uniforms(seed, f"population.{variable.name}", twin)[:, 0]
        drawn[variable.name] = variable.quantile(uniform, drawn)
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


def _people(demographics: Demographics, twin: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Age in whole years, sex and race, each by inversion of its law given those before it."""
    start, end, sexes, races, shares = demographics.shares
    u_age, u_sex, u_race = (
        uniforms(seed, f"population.{name}", twin)[:, 0] for name in ("age", "sex", "race_ethnicity")
    )
    if demographics.age is not None:
        age = np.floor(demographics.age.quantile(u_age, {}))
    else:
        first, last = demographics.ages or (int(start[0]), int(end[-1]))
        years = np.arange(first, last + 1)
        band_of_year = np.searchsorted(start, years, side="right") - 1
        weight = shares.sum(axis=(1, 2))[band_of_year] / (end - start + 1)[band_of_year]
        age = years[_pick(np.tile(weight, (1, 1)), np.zeros(twin.size, np.intp), u_age)].astype(np.float64)
    band = np.clip(np.searchsorted(start, age, side="right") - 1, 0, start.size - 1)
    if demographics.sex is not None:
        sex = demographics.sex.quantile(u_sex, {"age": age})
    else:
        sex = np.array(sexes)[_pick(shares.sum(axis=2), band, u_sex)]
    cell = band * len(sexes) + np.searchsorted(sexes, sex)
    race = np.array(races)[_pick(shares.reshape(-1, len(races)), cell, u_race)]
    return {"age": age, "sex": sex, "race_ethnicity": race}


def _pick(weights: np.ndarray, row: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """For each twin the column of its row of weights (row, column) into which its uniform falls."""
    edges = np.cumsum(weights, axis=1)
    edges = edges / edges[:, -1:]
    column = np.zeros(uniform.size, dtype=np.intp)
    for inner in range(weights.shape[1] - 1):
        column += uniform >= edges[row, inner]
    return column


def _factors(blocks: Blocks) -> dict[tuple[str, float, float], np.ndarray]:
    """Factor of the copula's correlation in each cell of sex and age, with the races' shares there."""
    assert blocks.demographics is not None and blocks.covariates is not None
    start, _, sexes, races, shares = blocks.demographics.shares
    factors = {}
    for sex, first, last in blocks.covariates.correlations:
        inside = (start <= last) & (np.append(start[1:], np.inf) > first)
        of_race = shares[inside][:, sexes.index(sex)].sum(axis=0)
        cell = (sex, first, last)
        factors[cell] = blocks.covariates.factor(cell, dict(zip(races, of_race.tolist(), strict=True)))
    return factors


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
    members = [*(blocks.covariates.variables if blocks.covariates else ()), *blocks.independent, *blocks.derived]
    members += blocks.subjects.variables if blocks.subjects else ()
    found |= {v.name: v.attrs for v in members}
    for joint in blocks.joint:
        for v in joint.variables:
            found[v.name] = {
                "units": v.unit,
                "long_name": v.label,
                "source": joint.source,
                "provenance": joint.provenance,
            }
    return found
