"""What a fit is drawn towards where people are few: another population's figures of variables of the same name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from .copula import Covariates
from .population import Population

PEOPLE_OF_NO_SHIFT = 20.0  # effective number of people at which a race's shift from all races counts half
PEOPLE_OF_POPULATION = 300.0  # what the figures of a population count as


@dataclass(frozen=True)
class Prior:
    """Figures of a population's covariates; with none, margins of no shift and the correlations that are given.

    `people` is the effective number of people that its curves and correlations count as, `shift_people` the same for
    margins by race.
    """

    covariates: Covariates | None
    people: float
    shift_people: float

    @classmethod
    def of(cls, population: Population | None) -> Prior:
        covariates = None if population is None else population.blocks.covariates
        if covariates is None:
            return cls(None, 0.0, PEOPLE_OF_NO_SHIFT)
        return cls(covariates, PEOPLE_OF_POPULATION, PEOPLE_OF_POPULATION)

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

    def margin(self, column: str, group: tuple[str, str], age: float, scores: np.ndarray) -> np.ndarray:
        """Scores of a group (sex, race) at normal scores."""
        base, i = self.covariates, self._index(column)
        if base is None or i is None or base.races is None or group not in base.races.grid.groups:
            return scores
        here = np.full(scores.size, age), *(np.full(scores.size, name) for name in group)
        return base.races.value(i, scores, base.races.grid.place(*here))

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
