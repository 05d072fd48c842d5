"""Physiology given age, sex and race: quantile curves in age by sex, joined by a Gaussian copula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from scipy.special import ndtri

from ..models.randomness import normals
from .correlation import lower_factor, mix
from .laws import Described, Part
from .tables import Table, TableError, TableFile

# Beyond the outermost quantiles ln(value) runs on in the normal score, with its slope between these levels and them.
TAIL_LEVELS = (5.0, 95.0)


class Covariate(Described):
    """A variable of the copula; `column` is its name in the tables, `digits` the decimals that people's values have."""

    column: str
    digits: Annotated[int, Field(ge=0, le=9)] | None = None


class Covariates(Part):
    """Physiology given age, sex and race: quantile curves in age by sex, a Gaussian copula, a shift by race.

    z = m[race] + s[race] z0 with z0 ~ N(0, R0[sex, age band]), value = curve[sex](age, z). R0 is the published
    correlation (all races together) less what the race shifts bring:
    R0_ij = (R_ij - cov(m_i, m_j)) / E(s_i s_j) over the races of the band.
    """

    curves: TableFile
    copula: TableFile
    race_shift: TableFile
    variables: Annotated[tuple[Covariate, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _tables_fit(self) -> Self:
        try:
            self.curves.need("sex", "age", "variable")
            self.copula.need("sex", "age_from", "age_to", "variable_1", "variable_2", "correlation")
            self.race_shift.need("sex", "variable", "race_ethnicity", "z_mean", "z_sd")
            for table in (self.curves, self.race_shift):
                missing = sorted({v.column for v in self.variables} - set(table.columns["variable"]))
                if missing:
                    raise TableError(f"{table.name} has no rows of variable {', '.join(missing)}; add them")
            self._copula_is_whole()
            self.quantiles  # noqa: B018 - computed once, and refused here if a curve has gaps
        except TableError as error:
            raise PydanticCustomError("table", "{reason}", {"reason": str(error)}) from None
        return self

    def _copula_is_whole(self) -> None:
        """Every sex of the curves has bands of age that join, and every band every pair of variables."""
        t, columns = self.copula.columns, {v.column for v in self.variables}
        wanted = len(columns) * (len(columns) - 1) // 2
        ours = np.isin(t["variable_1"], list(columns)) & np.isin(t["variable_2"], list(columns))
        for sex in np.unique(self.curves.columns["sex"]).tolist():
            cells = sorted(cell[1:] for cell in self.correlations if cell[0] == sex)
            if not cells or any(left[1] + 1 != right[0] for left, right in pairwise(cells)):
                raise TableError(f"{self.copula.name} has age bands of {sex} that do not join: {cells}; mend them")
            for start, end in cells:
                rows = ours & (t["sex"] == sex) & (t["age_from"] == start) & (t["age_to"] == end)
                if (found := int(rows.sum())) != wanted:
                    band = f"{sex} {start:g} to {end:g}"
                    raise TableError(f"{self.copula.name} has {found} pairs for {band}; give all {wanted}, each once")

    @cached_property
    def quantiles(self) -> Quantiles:
        return Quantiles.of(self.curves, tuple(v.column for v in self.variables))

    @cached_property
    def shifts(self) -> dict[tuple[str, str], np.ndarray]:
        """(sex, race) -> mean and sd of the normal score of every variable, array (2, variable)."""
        t = self.race_shift.columns
        rows = {
            (sex, race, name): (mean, sd)
            for sex, race, name, mean, sd in zip(
                t["sex"], t["race_ethnicity"], t["variable"], t["z_mean"], t["z_sd"], strict=True
            )
        }
        pairs = {(sex, race) for sex, race, _ in rows}
        return {
            (sex, race): np.array([rows.get((sex, race, v.column), (0.0, 1.0)) for v in self.variables]).T
            for sex, race in pairs
        }

    @cached_property
    def correlations(self) -> dict[tuple[str, float, float], np.ndarray]:
        """(sex, age from, age to) -> published correlation of the normal scores given age."""
        position = {v.column: i for i, v in enumerate(self.variables)}
        t = self.copula.columns
        found: dict[tuple[str, float, float], np.ndarray] = {}
        keys = ("sex", "age_from", "age_to", "variable_1", "variable_2", "correlation")
        for sex, start, end, one, two, value in zip(*(t[k] for k in keys), strict=True):
            matrix = found.setdefault((str(sex), float(start), float(end)), np.eye(len(position)))
            if one in position and two in position:
                matrix[position[one], position[two]] = matrix[position[two], position[one]] = value
        return found

    def factor(self, cell: tuple[str, float, float], race_shares: Mapping[str, float]) -> np.ndarray:
        """Lower factor of R0 in one cell of sex and age band, with the shares of the races in it."""
        total = sum(race_shares.values())
        mean = np.zeros(len(self.variables))
        second, product = np.zeros((mean.size, mean.size)), np.zeros((mean.size, mean.size))
        for race, share in race_shares.items():
            m, s = self.shifts.get((cell[0], race), np.array([[0.0], [1.0]]) * np.ones((2, mean.size)))
            mean = mean + share / total * m
            second = second + share / total * np.outer(m, m)
            product = product + share / total * np.outer(s, s)
        within = (self.correlations[cell] - (second - np.outer(mean, mean))) / product
        within = np.clip(within, -0.99, 0.99)
        np.fill_diagonal(within, 1.0)
        return lower_factor(within)

    def draw(
        self,
        people: Mapping[str, np.ndarray],
        factors: Mapping[tuple[str, float, float], np.ndarray],
        wanted: frozenset[str],
        ids: np.ndarray,
        seed: int,
    ) -> dict[str, np.ndarray]:
        """The wanted variables of people with `age`, `sex` and `race_ethnicity`, each (twin,)."""
        last = max(i for i, v in enumerate(self.variables) if v.name in wanted) + 1
        names = [v.name for v in self.variables[:last]]
        own = [normals(seed, f"population.copula.{name}", ids)[:, 0] for name in names]
        scores = [np.zeros(ids.size) for _ in names]
        age = np.asarray(people["age"], dtype=np.float64)
        youngest, oldest = min(start for _, start, _ in factors), max(end for _, _, end in factors)
        for (sex, start, end), factor in factors.items():
            low, top = (-np.inf if start == youngest else start), (np.inf if end == oldest else end + 1)
            rows = np.flatnonzero((people["sex"] == sex) & (age >= low) & (age < top))
            own_rows = [score[rows] for score in own]
            for i in range(last):
                scores[i][rows] = mix(factor, own_rows, i)
        for (sex, race), (m, s) in self.shifts.items():
            rows = np.flatnonzero((people["sex"] == sex) & (people["race_ethnicity"] == race))
            for i in range(last):
                scores[i][rows] = m[i] + s[i] * scores[i][rows]
        bracket = self.quantiles.bracket(people["sex"], age)
        drawn = {}
        for i, variable in enumerate(self.variables[:last]):
            if variable.name in wanted:
                value = self.quantiles.value(i, scores[i], *bracket)
                drawn[variable.name] = value if variable.digits is None else np.round(value, variable.digits)
        return drawn


@dataclass(frozen=True)
class Quantiles:
    """Quantile curves: array (variable, sex, age, level), and the normal scores of the levels."""

    sexes: tuple[str, ...]
    ages: np.ndarray
    scores: np.ndarray
    values: np.ndarray
    tails: np.ndarray  # (variable, sex, age, 2): slopes of ln(value) in the score below and above the levels

    @classmethod
    def of(cls, table: Table, variables: tuple[str, ...]) -> Quantiles:
        t = table.columns
        names = [name for name in t if name.startswith("q")]
        levels = [float(name[1:]) for name in names]
        sexes, ages = tuple(np.unique(t["sex"]).tolist()), np.unique(t["age"])
        values = np.full((len(variables), len(sexes), ages.size, len(levels)), np.nan)
        at = {name: i for i, name in enumerate(variables)}
        rows = [r for r, name in enumerate(t["variable"]) if name in at]
        v = [at[t["variable"][r]] for r in rows]
        s = [sexes.index(t["sex"][r]) for r in rows]
        a = np.searchsorted(ages, t["age"][rows])
        values[v, s, a] = np.stack([t[name][rows] for name in names], axis=-1)
        if np.isnan(values).any():
            raise TableError(f"{table.name} lacks a row of some sex and age of a variable; give every age of each")
        scores = ndtri(np.array(levels) / 100)
        ln = np.log(values)
        low, high = levels.index(TAIL_LEVELS[0]), levels.index(TAIL_LEVELS[1])
        below = (ln[..., low] - ln[..., 0]) / (scores[low] - scores[0])
        above = (ln[..., -1] - ln[..., high]) / (scores[-1] - scores[high])
        return cls(sexes, ages, scores, values, np.stack([below, above], axis=-1))

    def bracket(self, sex: np.ndarray, age: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index of the sex, of the age node below, and how far the age is to the next; held to the curves' ends."""
        s = np.zeros(age.size, dtype=np.intp)
        for i, name in enumerate(self.sexes):
            s[sex == name] = i
        held = np.clip(age, self.ages[0], self.ages[-1])
        a = np.clip(np.searchsorted(self.ages, held, side="right") - 1, 0, self.ages.size - 2)
        return s, a, (held - self.ages[a]) / (self.ages[a + 1] - self.ages[a])

    def value(self, variable: int, z: np.ndarray, s: np.ndarray, a: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Value at normal score z: linear in age and, between the levels, in z; ln(value) linear in z beyond them."""
        table, tails = self.values[variable], self.tails[variable]
        j = np.clip(np.searchsorted(self.scores, z, side="right") - 1, 0, self.scores.size - 2)

        def at(level: np.ndarray) -> np.ndarray:
            return np.asarray((1 - w) * table[s, a, level] + w * table[s, a + 1, level])

        def slope(side: int) -> np.ndarray:
            return np.asarray((1 - w) * tails[s, a, side] + w * tails[s, a + 1, side])

        lower, upper = at(j), at(j + 1)
        inside = np.clip(z, self.scores[0], self.scores[-1])
        value = lower + (upper - lower) * ((inside - self.scores[j]) / (self.scores[j + 1] - self.scores[j]))
        beyond = np.where(z < self.scores[0], slope(0) * (z - self.scores[0]), 0.0)
        beyond = np.where(z > self.scores[-1], slope(1) * (z - self.scores[-1]), beyond)
        return np.asarray(value * np.exp(beyond))
