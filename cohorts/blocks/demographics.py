"""Who the people are: age in whole years, sex, and race or ethnicity."""

from __future__ import annotations

from functools import cached_property
from typing import Self

import numpy as np
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from ...models.model import Provenance
from ...models.randomness import Seed, key_of, plain, uniforms
from .laws import Variable
from .parts import Part
from .shares import Shares, margin_rows, raked
from .tables import TableError, TableFile

# Steps whose fractional parts fill the cube evenly, whatever their number: inverse powers of the root of x^4 = x + 1
# (Roberts 2018, the R3 sequence).
EVEN_STEPS = tuple(1.2207440846057596**-power for power in (1, 2, 3))


class Demographics(Part):
    """Age in whole years, sex and race/ethnicity.

    `table` gives the joint shares of age band, sex and race; within a band every year of age is as likely. `ages`
    narrows it to whole years from .. to. `age` and `sex` replace the table's laws (age is cut to whole years); race is
    always the table's given age and sex. `margins` (variable, group, age_from, age_to, share; of a `target` where the
    file holds several) move the table to other shares of age bands, sexes or races, as of another country or a trial's
    plan: the nearest joint shares that have them (iterative proportional fitting, Deming & Stephan 1940).

    With `quota` the people of any run of ids have the shares as nearly as their number allows (their places in the laws
    step evenly instead of at random), as when a trial recruits to a plan.
    """

    table: TableFile | None = None
    ages: tuple[int, int] | None = None
    age: Variable | None = None
    sex: Variable | None = None
    quota: bool = False
    margins: TableFile | None = None
    target: str | None = None
    source: str | None = None
    provenance: Provenance | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.table is not None:
            try:
                self.table.need("age_from", "age_to", "sex", "race_ethnicity", "share")
            except TableError as error:
                raise PydanticCustomError("table", "{reason}", {"reason": str(error)}) from None
            if self.source is None or self.provenance is None:
                raise PydanticCustomError("source", "has a table without source or provenance; give both")
            if not (self.table.columns["share"] >= 0).all() or self.table.columns["share"].sum() <= 0:
                raise PydanticCustomError("share", "has shares below 0 or all 0 in its table; correct them")
        if self.age is not None and (self.age.name != "age" or self.age.choice is not None or self.age.reads):
            raise PydanticCustomError("age", "age must be named age, have numbers, and read no other variable")
        if self.sex is not None and (self.sex.name != "sex" or self.sex.choice is None):
            raise PydanticCustomError("sex", "sex must be named sex and be a choice of words")
        if self.ages is not None and (self.age is not None or self.ages[0] > self.ages[1]):
            raise PydanticCustomError("ages", "ages must be [from, to] with from <= to, and not stand beside age")
        if self.margins is not None and (self.age is not None or self.sex is not None):
            raise PydanticCustomError("margins", "margins cannot stand beside a law of age or sex; drop one of them")
        if self.table is not None and self.target is not None and self.margins is None:
            text = "target is {target}, but there are no margins that hold it; give margins, or drop it"
            raise PydanticCustomError("target", text, {"target": repr(self.target)})
        if self.table is not None and self.margins is not None:
            try:
                self.shares  # noqa: B018 - computed once, and refused here if the margins do not fit the table
            except TableError as error:
                raise PydanticCustomError("margins", "{reason}", {"reason": str(error)}) from None
        return self

    @cached_property
    def shares(self) -> Shares:
        """Joint shares of the people to be drawn: those of the table, moved to the margins where there are some."""
        shares = self.table_shares
        if self.margins is None:
            return shares
        return raked(shares, self.ages, margin_rows(self.margins, self.target))

    @cached_property
    def table_shares(self) -> Shares:
        """Joint shares of the table."""
        assert self.table is not None
        t = self.table.columns
        start, band = np.unique(t["age_from"], return_inverse=True)
        sexes, sex = np.unique(t["sex"], return_inverse=True)
        races, race = np.unique(t["race_ethnicity"], return_inverse=True)
        shares = np.zeros((start.size, sexes.size, races.size))
        shares[band, sex, race] = t["share"]
        end = np.zeros(start.size)
        end[band] = t["age_to"]
        return Shares(start, end, tuple(sexes.tolist()), tuple(races.tolist()), shares / shares.sum())

    def draw(self, twin: np.ndarray, seed: Seed) -> dict[str, np.ndarray]:
        """Age in whole years, sex and race of twins, each (twin,) and by inversion of its law given those before it."""
        start, end, sexes, races, shares = self.shares.parts
        u_age, u_sex, u_race = self._places(twin, seed)
        if self.age is not None:
            age = np.floor(self.age.quantile(u_age, {}))
        else:
            first, last = self.ages or (int(start[0]), int(end[-1]))
            years = np.arange(first, last + 1)
            band_of_year = np.searchsorted(start, years, side="right") - 1
            weight = shares.sum(axis=(1, 2))[band_of_year] / (end - start + 1)[band_of_year]
            age = years[_pick(np.tile(weight, (1, 1)), np.zeros(twin.size, np.intp), u_age)].astype(np.float64)
        band = np.clip(np.searchsorted(start, age, side="right") - 1, 0, start.size - 1)
        if self.sex is not None:
            sex = self.sex.quantile(u_sex, {"age": age})
        else:
            sex = np.array(sexes)[_pick(shares.sum(axis=2), band, u_sex)]
        cell = band * len(sexes) + np.searchsorted(sexes, sex)
        race = np.array(races)[_pick(shares.reshape(-1, len(races)), cell, u_race)]
        return {"age": age, "sex": sex, "race_ethnicity": race}

    def _places(self, twin: np.ndarray, seed: Seed) -> list[np.ndarray]:
        """Where each twin stands in the laws of age, sex and race, between 0 and 1."""
        names = [f"population.{name}" for name in ("age", "sex", "race_ethnicity")]
        if not self.quota:
            return [uniforms(seed, name, twin)[:, 0] for name in names]
        offsets = [key_of(plain(seed), f"{name}.quota") / 2**128 for name in names]
        return [(offset + step * twin) % 1.0 for offset, step in zip(offsets, EVEN_STEPS, strict=True)]


def _pick(weights: np.ndarray, row: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """For each twin the column of its row of weights (row, column) into which its uniform falls."""
    edges = np.cumsum(weights, axis=1)
    edges = np.divide(edges, edges[:, -1:], out=np.zeros_like(edges), where=edges[:, -1:] > 0)  # rows of nobody: 0
    column = np.zeros(uniform.size, dtype=np.intp)
    for inner in range(weights.shape[1] - 1):
        column += uniform >= edges[row, inner]
    return column
