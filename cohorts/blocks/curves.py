"""What a table states along age for a group of people: quantiles of a number, or the share who have a condition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from .tables import Table, TableError

# Beyond the outermost quantiles a value runs on in the normal score, with its slope between these levels and them.
TAIL_LEVELS = (5.0, 95.0)


@dataclass(frozen=True)
class Place:
    """Where people stand on the curves: index of the group and of the age node below, and how far the next one is."""

    group: np.ndarray
    node: np.ndarray
    weight: np.ndarray

    def interpolate(self, table: np.ndarray, level: np.ndarray | int) -> np.ndarray:
        """Value of a table (group, node, level) at each person's age and a level, linear in age."""
        below, above = table[self.group, self.node, level], table[self.group, self.node + 1, level]
        return np.asarray((1 - self.weight) * below + self.weight * above)

    def rows(self, table: np.ndarray) -> np.ndarray:
        """All levels of the table at each person's age: array (person, level)."""
        below, above, weight = table[self.group, self.node], table[self.group, self.node + 1], self.weight[:, None]
        return np.asarray((1 - weight) * below + weight * above)


@dataclass(frozen=True)
class Grid:
    """Groups of people (a sex, or a sex and race) and ages for which every variable of a table has a row."""

    by: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    ages: np.ndarray

    @classmethod
    def of(cls, table: Table, *by: str) -> Grid:
        groups = sorted(set(zip(*(table.columns[name].tolist() for name in by), strict=True)))
        ages = np.unique(table.columns["age"])
        if ages.size < 2:
            raise TableError(f"{table.name} has a single age; give each variable at two ages or more")
        return cls(by, tuple(groups), ages)

    def place(self, age: np.ndarray, *by: np.ndarray) -> Place:
        """Where people of these ages and groups stand; ages are held to the ends of the grid."""
        index = np.zeros(age.size, dtype=np.intp)
        for i, names in enumerate(self.groups):
            index[np.all([column == name for column, name in zip(by, names, strict=True)], axis=0)] = i
        held = np.clip(age, self.ages[0], self.ages[-1])
        node = np.clip(np.searchsorted(self.ages, held, side="right") - 1, 0, self.ages.size - 2)
        return Place(index, node, (held - self.ages[node]) / (self.ages[node + 1] - self.ages[node]))

    def fill(self, table: Table, variables: tuple[str, ...], columns: list[str]) -> np.ndarray:
        """The columns as an array (variable, group, age, column), complete or refused."""
        t, position = table.columns, {name: i for i, name in enumerate(variables)}
        rows = [r for r, name in enumerate(t["variable"]) if name in position]
        values = np.full((len(variables), len(self.groups), self.ages.size, len(columns)), np.nan)
        v = [position[t["variable"][r]] for r in rows]
        number = {group: i for i, group in enumerate(self.groups)}
        g = [number[group] for group in zip(*(t[name][rows].tolist() for name in self.by), strict=True)]
        values[v, g, np.searchsorted(self.ages, t["age"][rows])] = np.stack([t[c][rows] for c in columns], axis=-1)
        if np.isnan(values).any():
            raise TableError(
                f"{table.name} lacks a row of some {' and '.join(self.by)} at an age; give each variable at each"
            )
        return values


@dataclass(frozen=True)
class Prevalence:
    """The normal score above which a person has a condition, as an array (variable, sex, age, 1)."""

    grid: Grid
    thresholds: np.ndarray

    @classmethod
    def of(cls, table: Table, variables: tuple[str, ...]) -> Prevalence:
        grid = Grid.of(table, "sex")
        shares = grid.fill(table, variables, ["share"])
        if not ((shares > 0) & (shares < 1)).all():
            raise TableError(f"{table.name} has a share that is not between 0 and 1; correct it or drop the variable")
        return cls(grid, -ndtri(shares))

    def value(self, variable: int, z: np.ndarray, place: Place) -> np.ndarray:
        """1.0 where the score lies above the threshold of that sex and age, otherwise 0.0."""
        return np.asarray(z > place.interpolate(self.thresholds[variable], 0), dtype=np.float64)


@dataclass(frozen=True)
class Quantiles:
    """Quantile curves as an array (variable, group, age, level), and the normal scores of the levels.

    Between the levels a value is linear in the score. Beyond them ln(value) is (the value itself where the curves of
    the variable reach 0 or below), with the slope of the outer levels in `tails` (variable, group, age, 2).
    """

    grid: Grid
    scores: np.ndarray
    values: np.ndarray
    tails: np.ndarray
    is_log: np.ndarray

    @classmethod
    def of(cls, table: Table, variables: tuple[str, ...], *by: str) -> Quantiles:
        names = [name for name in table.columns if name.startswith("q")]
        levels = [float(name[1:]) for name in names]
        if any(level not in levels for level in TAIL_LEVELS):
            raise TableError(f"{table.name} has no columns q5 and q95; give quantiles down to 5 % and up to 95 %")
        grid = Grid.of(table, *by)
        values = grid.fill(table, variables, names)
        scores = ndtri(np.array(levels) / 100)
        is_log = np.array([bool((curve > 0).all()) for curve in values])
        scale = np.log(np.where(is_log[:, None, None, None], values, 1.0))
        scale[~is_log] = values[~is_log]
        low = max(levels.index(TAIL_LEVELS[0]), 1)
        high = min(levels.index(TAIL_LEVELS[1]), len(levels) - 2)
        below = (scale[..., low] - scale[..., 0]) / (scores[low] - scores[0])
        above = (scale[..., -1] - scale[..., high]) / (scores[-1] - scores[high])
        return cls(grid, scores, values, np.stack([below, above], axis=-1), is_log)

    def value(self, variable: int, z: np.ndarray, place: Place) -> np.ndarray:
        """Value at normal score z."""
        table, tails = self.values[variable], self.tails[variable]
        j = np.clip(np.searchsorted(self.scores, z, side="right") - 1, 0, self.scores.size - 2)
        lower, upper = place.interpolate(table, j), place.interpolate(table, j + 1)
        inside = np.clip(z, self.scores[0], self.scores[-1])
        value = lower + (upper - lower) * ((inside - self.scores[j]) / (self.scores[j + 1] - self.scores[j]))
        beyond = np.where(z < inside, place.interpolate(tails, 0), place.interpolate(tails, 1)) * (z - inside)
        return np.asarray(value * np.exp(beyond) if self.is_log[variable] else value + beyond)

    def score(self, variable: int, value: np.ndarray, place: Place) -> np.ndarray:
        """Normal score at a value: the inverse of `value`, held to what lies within the levels."""
        return score_on(place.rows(self.values[variable]), self.scores, value)

    def spread(self, variable: int, place: Place) -> np.ndarray:
        """Half the distance between the scores -1 and 1 on the curve: the sd where the law is normal."""
        ends = [self.value(variable, np.full(place.group.size, z), place) for z in (-1.0, 1.0)]
        return np.asarray(0.5 * (ends[1] - ends[0]))


def score_on(curve: np.ndarray, scores: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Normal score of each value on its own curve (person, level), held to the outermost levels."""
    j = np.clip((curve <= value[:, None]).sum(axis=1) - 1, 0, scores.size - 2)
    rows = np.arange(value.size)
    lower, upper = curve[rows, j], curve[rows, j + 1]
    share = np.clip((value - lower) / np.where(upper > lower, upper - lower, 1.0), 0.0, 1.0)
    return np.asarray(scores[j] + share * (scores[j + 1] - scores[j]))
