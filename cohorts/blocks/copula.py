"""Physiology given age, sex and race: curves in age by sex, joined by a Gaussian copula that changes with age."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from scipy.special import ndtri

from ...models.randomness import Seed, normals
from .correlation import lower_factor, mix
from .curves import Prevalence, Quantiles
from .parts import Described, Part
from .tables import Table, TableError, TableFile

# Equally likely normal scores, for moments of a margin.
SCORES = ndtri((np.arange(201) + 0.5) / 201)
# Share of every race among people of a sex and age.
RaceShares = Callable[[str, float], Mapping[str, float]]
# A reading error takes up at most this share of the observed sd.
LARGEST_ERROR_SHARE = 0.9
# What the races leave of a correlation is a quotient of estimates, which noise may carry to 1 and beyond.
LARGEST_WITHIN = 0.99


class Covariate(Described):
    """A variable of the copula; `column` is its name in the tables.

    `steps_per_unit` is how finely people's values are reported: 10 for one decimal, 3 for the mean of three readings.
    """

    column: str
    steps_per_unit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Condition(Described):
    """A condition that a person has (1) or not (0): a threshold on a variable of the copula.

    With `words` it is one of several, in their order, with a threshold before each but the first. The table's rows are
    then called COLUMN:WORD, the share of people at that word or beyond.
    """

    column: str
    words: Annotated[tuple[str, ...], Field(max_length=50)] = ()

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of its rows in the table of prevalence."""
        return tuple(f"{self.column}:{word}" for word in self.words[1:]) or (self.column,)


class TrueValue(Described):
    """What an observed variable shows without its reading error.

    The figures are of observed values, so it is drawn given them: observed - sd e, corr(e, z) = sd / sd_observed.
    Where the observed value is normal, error and true value are then independent, as in observed = true + error.
    """

    observed: str
    error_sd: Annotated[float, Field(gt=0)]


class Covariates(Part):
    """Physiology given age, sex and race: curves in age by sex, a Gaussian copula, a shift by race.

    z = g(z0) with z0 ~ N(0, R0[sex, age]) and g the margin of that sex, race and age on the scale of normal scores of
    all races together. A variable is its quantile curve at z, a condition is z above a threshold in age by sex. R0 is
    the published correlation (all races together), linear in age between the middles of its bands, less what the races
    bring: R0_ij = (R_ij - cov(m_i, m_j)) / E(s_i s_j) over the races of that age, m = E g(z0), s = E z0 g(z0).
    """

    curves: TableFile
    prevalence: TableFile | None = None
    copula: TableFile
    race_margins: TableFile | None = None
    variables: Annotated[tuple[Covariate, ...], Field(min_length=1)]
    conditions: tuple[Condition, ...] = ()
    true_values: tuple[TrueValue, ...] = ()

    @model_validator(mode="after")
    def _tables_fit(self) -> Self:
        try:
            self.curves.need("sex", "age", "variable")
            self.copula.need("sex", "age_from", "age_to", "variable_1", "variable_2", "correlation")
            _has_rows(self.curves, [v.column for v in self.variables])
            if self.conditions and self.prevalence is None:
                raise TableError("has conditions but no table of prevalence; give one")
            if self.prevalence is not None:
                self.prevalence.need("sex", "age", "variable", "share")
                _has_rows(self.prevalence, self.prevalence_rows)
            if self.race_margins is not None:
                self.race_margins.need("sex", "race_ethnicity", "age", "variable")
                _has_rows(self.race_margins, self.columns)
            self._copula_is_whole()
            self.quantiles  # noqa: B018 - computed once, and refused here if a curve has gaps
            self.thresholds, self.races  # noqa: B018 - the same
        except TableError as error:
            raise PydanticCustomError("table", "{reason}", {"reason": str(error)}) from None
        known = [v.name for v in self.variables]
        for i, true in enumerate(self.true_values):
            if true.observed not in known:
                text = "true_values[{i}].observed is {name}, which is no variable here; write one of {known}"
                context = {"i": i, "name": repr(true.observed), "known": ", ".join(known)}
                raise PydanticCustomError("observed", text, context)
        return self

    def _copula_is_whole(self) -> None:
        """Every sex of the curves has bands of age that join, and every band every pair of variables."""
        t, wanted = self.copula.columns, len(self.columns) * (len(self.columns) - 1) // 2
        ours = np.isin(t["variable_1"], self.columns) & np.isin(t["variable_2"], self.columns)
        for sex in np.unique(self.curves.columns["sex"]).tolist():
            cells = sorted(cell[1:] for cell in self.correlations if cell[0] == sex)
            if not cells or any(left[1] + 1 != right[0] for left, right in pairwise(cells)):
                raise TableError(f"{self.copula.name} has age bands of {sex} that do not join: {cells}; mend them")
            for start, end in cells:
                rows = ours & (t["sex"] == sex) & (t["age_from"] == start) & (t["age_to"] == end)
                if (found := int(rows.sum())) != wanted:
                    band = f"{sex} {start:g} to {end:g}"
                    raise TableError(f"{self.copula.name} has {found} pairs for {band}; give all {wanted}, each once")

    @property
    def members(self) -> tuple[Covariate | Condition, ...]:
        """What the copula joins, in its order."""
        return (*self.variables, *self.conditions)

    @property
    def columns(self) -> list[str]:
        """Names in the tables of all that the copula joins, in its order."""
        return [v.column for v in self.members]

    @property
    def described(self) -> tuple[Described, ...]:
        """Every variable that can be kept, in the order in which they stand in a cohort."""
        return (*self.variables, *self.conditions, *self.true_values)

    @cached_property
    def quantiles(self) -> Quantiles:
        return Quantiles.of(self.curves, tuple(v.column for v in self.variables), "sex")

    @property
    def prevalence_rows(self) -> list[str]:
        """Names of the rows in the table of prevalence, in the order of the conditions."""
        return [row for condition in self.conditions for row in condition.rows]

    @cached_property
    def thresholds(self) -> Prevalence | None:
        return None if self.prevalence is None else Prevalence.of(self.prevalence, tuple(self.prevalence_rows))

    @cached_property
    def races(self) -> Quantiles | None:
        """Margins by sex and race on the scale of the normal scores of all races together."""
        if self.race_margins is None:
            return None
        return Quantiles.of(self.race_margins, tuple(self.columns), "sex", "race_ethnicity")

    @cached_property
    def _race_moments(self) -> np.ndarray:
        """E g(z0) and E z0 g(z0), z0 standard normal: array (moment, group of sex and race, age node, variable)."""
        assert self.races is not None
        grid, columns = self.races.grid, range(len(self.columns))
        moments = np.empty((2, len(grid.groups), grid.ages.size, len(columns)))
        for g, group in enumerate(grid.groups):
            for a, age in enumerate(grid.ages):
                place = grid.place(np.full(SCORES.size, age), *(np.full(SCORES.size, name) for name in group))
                margin = np.array([self.races.value(i, SCORES, place) for i in columns])
                moments[0, g, a] = margin.mean(axis=1)
                moments[1, g, a] = (margin * SCORES).mean(axis=1) / float((SCORES**2).mean())
        return moments

    @cached_property
    def correlations(self) -> dict[tuple[str, float, float], np.ndarray]:
        """(sex, age from, age to) -> published correlation of the normal scores given age."""
        position = {column: i for i, column in enumerate(self.columns)}
        t = self.copula.columns
        found: dict[tuple[str, float, float], np.ndarray] = {}
        keys = ("sex", "age_from", "age_to", "variable_1", "variable_2", "correlation")
        for sex, start, end, one, two, value in zip(*(t[k] for k in keys), strict=True):
            matrix = found.setdefault((str(sex), float(start), float(end)), np.eye(len(position)))
            if one in position and two in position:
                matrix[position[one], position[two]] = matrix[position[two], position[one]] = value
        return found

    def correlation(self, sex: str, age: float) -> np.ndarray:
        """Published correlation at an age: linear between the middles of bands, which keeps it positive definite."""
        bands = sorted((start, end, cell) for (s, start, end), cell in self.correlations.items() if s == sex)
        middles = [(start + end) / 2 for start, end, _ in bands]
        last = len(bands) - 1
        place = float(np.interp(age, middles, range(last + 1)))
        low = min(int(place), max(last - 1, 0))
        return np.asarray((1 - (place - low)) * bands[low][2] + (place - low) * bands[min(low + 1, last)][2])

    def factor(self, sex: str, age: float, race_shares: Mapping[str, float]) -> np.ndarray:
        """Lower factor of R0 at a sex and age, with the shares of the races there."""
        if self.races is None:
            return lower_factor(self.correlation(sex, age))
        share = np.array(list(race_shares.values())) / sum(race_shares.values())
        races = np.array(list(race_shares))
        place = self.races.grid.place(np.full(races.size, age), np.full(races.size, sex), races)
        m, s = (place.rows(moment) for moment in self._race_moments)
        mean = share @ m
        between, product = (m.T * share) @ m - np.outer(mean, mean), (s.T * share) @ s
        within = np.clip((self.correlation(sex, age) - between) / product, -LARGEST_WITHIN, LARGEST_WITHIN)
        np.fill_diagonal(within, 1.0)
        return lower_factor(within)

    def draw(
        self,
        people: Mapping[str, np.ndarray],
        factors: Factors,
        wanted: frozenset[str],
        ids: np.ndarray,
        seed: Seed,
    ) -> dict[str, np.ndarray]:
        """The wanted variables of people with `age`, `sex` and `race_ethnicity`, each (twin,)."""
        true_of = {true.observed: true for true in self.true_values if true.name in wanted}
        needed = [v.name in wanted or v.name in true_of for v in self.members]
        last = max(i for i, is_needed in enumerate(needed) if is_needed) + 1
        members = self.members[:last]
        sex, age = people["sex"], np.asarray(people["age"], dtype=np.float64)
        own = [normals(seed, f"population.copula.{v.name}", ids)[:, 0] for v in members]
        cell, place = factors.cell(sex, age), self.quantiles.grid.place(age, sex)
        of_race = None if self.races is None else self.races.grid.place(age, sex, people["race_ethnicity"])
        drawn: dict[str, np.ndarray] = {}
        for i, member in enumerate(members):
            if not needed[i]:
                continue
            z = mix(factors.lower, own, i, cell)
            if self.races is not None and of_race is not None:
                z = self.races.value(i, z, of_race)
            if isinstance(member, Condition):
                drawn[member.name] = self._condition(member, z, people)
                continue
            value = self.quantiles.value(i, z, place)
            if (true := true_of.get(member.name)) is not None:
                share = np.minimum(true.error_sd / self.quantiles.spread(i, place), LARGEST_ERROR_SHARE)
                rest = normals(seed, f"population.error.{true.name}", ids)[:, 0]
                drawn[true.name] = value - true.error_sd * (share * z + np.sqrt(1 - share**2) * rest)
            steps = member.steps_per_unit
            drawn[member.name] = value if steps is None else np.round(value * steps) / steps
        return {v.name: drawn[v.name] for v in self.described if v.name in wanted}

    def _condition(self, condition: Condition, z: np.ndarray, people: Mapping[str, np.ndarray]) -> np.ndarray:
        """0 or 1, or a word, of people with these normal scores."""
        assert self.thresholds is not None
        place = self.thresholds.grid.place(people["age"], people["sex"])
        first = self.prevalence_rows.index(condition.rows[0])
        beyond = [self.thresholds.value(first + k, z, place) for k in range(len(condition.rows))]
        if not condition.words:
            return beyond[0]
        return np.asarray(np.array(condition.words)[np.sum(beyond, axis=0).astype(np.intp)])


@dataclass(frozen=True)
class Factors:
    """Lower factors of R0 at every sex and year of age: array (row, column, cell), a cell a sex and year in turn."""

    sexes: tuple[str, ...]
    first: int
    years: int
    lower: np.ndarray

    @classmethod
    def of(cls, covariates: Covariates, first: int, last: int, race_shares: RaceShares) -> Factors:
        """Those for the years first .. last; `race_shares(sex, age)` gives the share of every race there."""
        sexes = tuple(sex for (sex,) in covariates.quantiles.grid.groups)
        years = range(first, last + 1)
        cells = [covariates.factor(sex, age, race_shares(sex, age)) for sex in sexes for age in years]
        return cls(sexes, first, len(years), np.moveaxis(np.array(cells), 0, -1).copy())

    def cell(self, sex: np.ndarray, age: np.ndarray) -> np.ndarray:
        """The cell of each person; ages beyond the ends belong to the cell at the end."""
        year = np.clip(np.floor(age).astype(np.intp) - self.first, 0, self.years - 1)
        return np.asarray(np.searchsorted(self.sexes, sex) * self.years + year)


def _has_rows(table: Table, columns: list[str]) -> None:
    missing = sorted(set(columns) - set(table.columns["variable"]))
    if missing:
        raise TableError(f"{table.name} has no rows of variable {', '.join(missing)}; add them")
