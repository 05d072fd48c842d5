"""What a fit is drawn towards where people are few: another population's figures of variables of the same name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from ..blocks.copula import Covariates
from ..population import Population
from .people import People, PeopleError

# Effective number of people at which a race's shift from all races counts half. Chosen: a mean is certain to 0.2 SD.
PEOPLE_OF_NO_SHIFT = 20.0
PEOPLE_OF_POPULATION = 300.0  # what the figures of a population count as; chosen, as for all people (PEOPLE_OF_ALL)


@dataclass(frozen=True)
class Prior:
    """Figures of a population's covariates; with none, margins of no shift and the correlations that are given.

    `people` is the effective number of people that its figures count as.
    """

    covariates: Covariates | None
    people: float

    @classmethod
    def of(cls, people: People, population: Population | None) -> Prior:
        """The prior of a population for people; none without one.

        Raises
        ------
        PeopleError
            The population has no covariates, other words for the sexes, or a variable of the same name in another
            unit; or the people have no age in numbers and sex in words.
        """
        if population is None:
            return cls(None, 0.0)
        base = population.blocks.covariates
        if base is None:
            raise PeopleError(
                f"nothing can be drawn towards {population.name}, which has no covariates; leave --towards out"
            )
        if not people.has_age_and_sex:
            raise PeopleError(
                f"{people.file}: only a table with age in numbers and sex in words can be drawn towards "
                f"{population.name}; recode (--level is for words), or leave --towards out"
            )
        sexes = {sex for (sex,) in base.quantiles.grid.groups}
        if unknown := set(people.words.get("sex", [])) - sexes:
            words = ", ".join(sorted(sexes))
            raise PeopleError(f"{people.file}: sex is {sorted(unknown)[0]!r}; {population.name} has {words}")
        for v in base.members:
            if people.units.get(v.name, "1") not in ("1", v.unit):
                unit = people.units[v.name]
                raise PeopleError(
                    f"{people.file}: {v.name} is in {unit}, {population.name} has it in {v.unit}; convert"
                )
        return cls(base, PEOPLE_OF_POPULATION)

    def curve(self, column: str, sex: str, nodes: np.ndarray, scores: np.ndarray) -> np.ndarray | None:
        """Quantiles (node, level) of a number at normal scores, None where the population has no such number."""
        base, i = self.covariates, self._index(column)
        if base is None or i is None or i >= len(base.variables):
            return None
        age, z = np.repeat(nodes, scores.size), np.tile(scores, nodes.size)
        place = base.quantiles.grid.place(age, np.full(age.size, sex))
        return base.quantiles.value(i, z, place).reshape(nodes.size, scores.size)

    def share(self, column: str, sex: str, nodes: np.ndarray) -> np.ndarray | None:
        """Prevalence (node,) of a condition without words."""
        base = self.covariates
        names = [] if base is None else [c.name for c in base.conditions if not c.words]
        if base is None or base.thresholds is None or column not in names:
            return None
        (row,) = next(c.rows for c in base.conditions if c.name == column)
        place = base.thresholds.grid.place(nodes, np.full(nodes.size, sex))
        return np.asarray(ndtr(-place.interpolate(base.thresholds.thresholds[base.prevalence_rows.index(row)], 0)))

    def margin(self, column: str, group: tuple[str, str], age: float, scores: np.ndarray) -> tuple[np.ndarray, float]:
        """Scores of a group (sex, race) at normal scores, and how many people they count as."""
        base, i = self.covariates, self._index(column)
        if base is None or i is None or base.races is None or group not in base.races.grid.groups:
            return scores, PEOPLE_OF_NO_SHIFT
        here = np.full(scores.size, age), *(np.full(scores.size, name) for name in group)
        return base.races.value(i, scores, base.races.grid.place(*here)), self.people

    def correlation(self, sex: str, age: float, columns: list[str], other: np.ndarray) -> np.ndarray:
        """Correlation of the columns at an age; `other` where the population does not have both of a pair."""
        known = [(i, at) for i, column in enumerate(columns) if (at := self._index(column)) is not None]
        if self.covariates is None or not known:
            return other
        found, (mine, theirs) = other.copy(), np.array(known).T
        found[np.ix_(mine, mine)] = self.covariates.correlation(sex, age)[np.ix_(theirs, theirs)]
        return found

    def _index(self, column: str) -> int | None:
        names = [] if self.covariates is None else [v.name for v in self.covariates.members]
        return names.index(column) if column in names else None
