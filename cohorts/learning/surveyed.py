"""A fit with age and sex: curves and prevalences in age by sex, a copula that changes with age, margins by race."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import ndtri

from ...models.randomness import uniforms
from ..blocks.correlation import nearest_correlation
from ..blocks.curves import score_on
from ..weighted import effective_number
from .people import People, PeopleError
from .prior import Prior
from .scores import (
    LEVELS,
    Rows,
    Scores,
    between_nodes,
    both_sexes,
    condition_slope,
    curve,
    levelled,
    prevalence,
    steps_of,
)

# Standard deviation of the kernel in age, as a share of the range: 5 years for adults of 20 to 80. Chosen: a narrower
# one leaves few people behind the outer quantiles, a wider one flattens what changes with age.
WIDTH = 0.09
BANDS = 3
# Effective people of one sex; with fewer there is one band for all ages. Chosen: a correlation is certain to 0.06.
FEWEST_A_BAND = 250.0
FEWEST_VALUES = 30  # of one sex, for a curve in age
# What a sex's correlations count as against a band's, and both sexes' against one's. Chosen: about one band's people.
PEOPLE_OF_ALL = 300.0
LEVEL_SCORES = ndtri(np.array(LEVELS) / 100)
MARGIN_LEVELS = (5.0, 25.0, 75.0, 95.0)
# Times the people of a usual year: the last age stands for everybody above it. Chosen: far above how years differ,
# and far below the ten years and more that such an age holds.
TOP_CODED = 2.5
WHO = ("age", "sex", "race_ethnicity")


@dataclass(frozen=True)
class Table:
    """The people, with race/ethnicity and levelled weights, and the members of the copula: numbers first."""

    people: People
    race: np.ndarray
    weights: np.ndarray
    nodes: np.ndarray
    numbers: list[str]
    members: list[str]

    @classmethod
    def of(cls, people: People) -> Table:
        age, sex = people.columns["age"], people.columns["sex"]
        race = people.columns.get("race_ethnicity", np.full(people.rows, "all"))
        if race.dtype.kind == "f":
            raise PeopleError(
                f"{people.file}: race_ethnicity holds numbers; write words (white, black, …) or name the others in "
                "--only"
            )
        race = np.where(race == "", "unknown", race)
        first, last = int(age.min()), int(age.max())
        nodes = np.unique(np.append(np.arange(first, last, 2), last)).astype(float)
        numbers = [c for c in people.numbers if c not in WHO]
        others = [c for c in (*people.conditions, *people.words) if c not in WHO]
        if nodes.size < 2 or not numbers:
            raise PeopleError(f"{people.file}: needs people of two years of age or more, and one number beside age")
        return cls(people, race, levelled(people.weights, [sex, race, age // 10]), nodes, numbers, [*numbers, *others])

    @property
    def width(self) -> float:
        """Standard deviation of the kernel in age."""
        return float(WIDTH * (self.nodes[-1] - self.nodes[0]))


def people_blocks(people: People, prior: Prior) -> tuple[dict[str, Any], dict[str, Rows]]:
    """Blocks `demographics` and `covariates`, and their tables by kind."""
    table = Table.of(people)
    tables: dict[str, Rows] = {kind: [] for kind in ("curves", "prevalence", "copula", "margins")}
    scores: dict[str, Scores] = {}
    for sex in np.unique(people.columns["sex"]).tolist():
        scores[sex], curves, shares = _scores_of(table, sex, prior)
        tables["curves"] += curves
        tables["prevalence"] += shares
    both = both_sexes(list(scores.values()))
    for sex, own in scores.items():
        everyone = own.shrunk(-np.inf, np.inf, both, PEOPLE_OF_ALL)
        for start, end in _bands(table, effective_number(own.weights)):
            known = prior.correlation(sex, (start + end) / 2, table.members, everyone)
            matrix = own.shrunk(start, end, known, max(prior.people, PEOPLE_OF_ALL))
            tables["copula"] += _pair_rows(sex, (start, end), table.members, nearest_correlation(matrix))
        tables["margins"] += _margin_rows(table, sex, own, prior)
    tables["demographics"] = _demographics(table)
    block: dict[str, Any] = {"curves": "", "copula": "", "race_margins": ""}
    block["variables"] = [people.described(c) | {"column": c} | _steps(people.columns[c]) for c in table.numbers]
    if conditions := [_condition(people, c) for c in table.members[len(table.numbers) :]]:
        block |= {"prevalence": "", "conditions": conditions}
    who = {"table": "", "source": people.file, "provenance": "derived"}
    return {"demographics": who, "covariates": block}, {kind: rows for kind, rows in tables.items() if rows}


def _scores_of(table: Table, sex: str, prior: Prior) -> tuple[Scores, Rows, Rows]:
    """Normal scores of the people of one sex, and the rows of its curves and prevalences."""
    people, nodes, members = table.people, table.nodes, table.members
    rows = np.flatnonzero(people.columns["sex"] == sex)
    age, weights = people.columns["age"][rows], table.weights[rows]
    scores, slope = np.full((rows.size, len(members)), np.nan), np.ones(len(members))
    curves: Rows = []
    shares: Rows = []
    for i, column in enumerate(members):
        values = people.codes(column)[rows]
        there = np.isfinite(values)
        if there.sum() < FEWEST_VALUES:
            raise PeopleError(
                f"{people.file}: column {column} has {there.sum()} values of {sex}, at least {FEWEST_VALUES} are "
                "needed; name the others in --only, or add people"
            )
        if i < len(table.numbers):
            values = dithered(people.columns[column], column)[rows]
            known = prior.curve(column, sex, nodes, LEVEL_SCORES)
            found = np.sort(curve(age, values, weights, nodes, table.width).towards(known, prior.people), axis=1)
            on_curves = between_nodes(age[there], nodes).rows(found[None])
            scores[there, i] = score_on(on_curves, LEVEL_SCORES, values[there])
            slope[i] = np.sqrt(np.average(scores[there, i] ** 2, weights=weights[there]))
            curves += [
                _row(sex, node, column) | {f"q{q:g}": f"{x:.6g}" for q, x in zip(LEVELS, line, strict=True)}
                for node, line in zip(nodes, found, strict=True)
            ]
            continue
        # Presence less prevalence, summed over the thresholds between the words.
        scores[there, i], slope[i] = 0.0, 0.0
        for code, row in enumerate(_rows_of(people, column), start=1):
            has = np.where(there, values >= code, np.nan)
            known = prior.share(column, sex, nodes)
            found = prevalence(age, has, weights, nodes, table.width).towards(known, prior.people)
            expected = np.interp(age, nodes, found)
            scores[:, i] += has - expected
            slope[i] += condition_slope(expected, weights)
            shares += [_row(sex, node, row) | {"share": f"{x:.6g}"} for node, x in zip(nodes, found, strict=True)]
    return Scores(age, weights, scores, slope), curves, shares


def dithered(values: np.ndarray, column: str) -> np.ndarray:
    """Values spread evenly over the step to which they were rounded, so that ties do not hide dependence."""
    steps = steps_of(values)
    if steps is None:
        return values
    return np.asarray(values + (uniforms(0, f"fit.{column}", np.arange(values.size))[:, 0] - 0.5) / steps)


def _bands(table: Table, people: float) -> list[tuple[int, int]]:
    """Bands of age of one sex: thirds of the range where there are people enough."""
    first, last = int(table.nodes[0]), int(table.nodes[-1])
    count = BANDS if people >= BANDS * FEWEST_A_BAND and last - first >= BANDS else 1
    starts = [first + round((last + 1 - first) * i / count) for i in range(count + 1)]
    return [(start, end - 1) for start, end in pairwise(starts)]


def _row(sex: str, age: float, variable: str) -> dict[str, str]:
    return {"sex": sex, "age": f"{age:g}", "variable": variable}


def _rows_of(people: People, column: str) -> list[str]:
    """Names of a condition's rows in the table of prevalence."""
    return [f"{column}:{word}" for word in people.words[column][1:]] if column in people.words else [column]


def _pair_rows(sex: str, band: tuple[int, int], members: list[str], matrix: np.ndarray) -> Iterator[dict[str, str]]:
    for i, one in enumerate(members):
        for j, two in enumerate(members[:i]):
            cell = {"sex": sex, "age_from": f"{band[0]}", "age_to": f"{band[1]}"}
            yield {**cell, "variable_1": one, "variable_2": two, "correlation": f"{matrix[i, j]:.4f}"}


def _margin_rows(table: Table, sex: str, scores: Scores, prior: Prior) -> Iterator[dict[str, str]]:
    """Scores of each race at a few levels: its mean and sd, drawn towards the prior by its number of people."""
    levels, of_race = ndtri(np.array(MARGIN_LEVELS) / 100), table.race[table.people.columns["sex"] == sex]
    ages = table.nodes[0] + np.array([0.17, 0.5, 0.83]) * (table.nodes[-1] - table.nodes[0])
    for race in np.unique(table.race).tolist():
        for i, column in enumerate(table.members):
            inside = (of_race == race) & np.isfinite(scores.values[:, i])
            x, w = scores.values[inside, i] / scores.slope[i], scores.weights[inside]
            own, people = levels, 0.0
            if x.size > 1:
                people, mean = effective_number(w), float(np.average(x, weights=w))
                # The latent score of a condition is not seen, only its threshold: its sd stays 1.
                is_number = i < len(table.numbers)
                own = mean + levels * (float(np.sqrt(np.average((x - mean) ** 2, weights=w))) if is_number else 1.0)
            for age in ages:
                known, worth = prior.margin(column, (sex, race), age, levels)
                found = (people * own + worth * known) / (people + worth)
                cell = {"sex": sex, "race_ethnicity": race, "age": f"{age:g}", "variable": column}
                yield cell | {f"q{p:g}": f"{z:.4f}" for p, z in zip(MARGIN_LEVELS, found, strict=True)}


def _demographics(table: Table) -> Rows:
    """Weighted shares by ten-year band, sex and race; an age that stands for all above it is a band of its own."""
    people, last = table.people, int(table.nodes[-1])
    age, sex, weights = np.floor(people.columns["age"]), people.columns["sex"], people.weights
    starts = list(range(int(table.nodes[0]), last + 1, 10))
    usual = weights[(age >= last - 5) & (age < last)].sum() / 5
    if weights[age == last].sum() > TOP_CODED * usual and last not in starts:
        starts.append(last)
    rows = []
    for start, end in zip(starts, [*(s - 1 for s in starts[1:]), last], strict=True):
        for one in np.unique(sex).tolist():
            for group in np.unique(table.race).tolist():
                inside = (age >= start) & (age <= end) & (sex == one) & (table.race == group)
                cell = {"age_from": f"{start}", "age_to": f"{end}", "sex": one, "race_ethnicity": group}
                rows.append(cell | {"share": f"{float(weights[inside].sum() / weights.sum()):.6g}"})
    return rows


def _condition(people: People, column: str) -> dict[str, Any]:
    words = {"words": people.words[column]} if column in people.words else {}
    return people.described(column) | {"column": column} | words


def _steps(values: np.ndarray) -> dict[str, int]:
    steps = steps_of(values)
    return {} if steps is None else {"steps_per_unit": steps}
