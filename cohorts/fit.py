"""Learn a population from a table of people: margins and dependence, with survey weights and missing values.

A table with age and sex becomes demographics and covariates, the structure of `adult-us`: quantile curves and
prevalences in age by sex, correlations that change with age, and a shift by race/ethnicity where the table has it. Any
other table becomes variables linked by a Gaussian copula. Missing values are taken to be missing at random.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from scipy.special import ndtri

from ..models.randomness import uniforms
from .correlation import nearest_correlation
from .curves import score_on
from .fit_linked import linked_block
from .fit_scores import (
    LEVELS,
    Scores,
    between_nodes,
    both_sexes,
    condition_slope,
    curve,
    effective,
    levelled,
    prevalence,
    steps_of,
)
from .people import People, PeopleError
from .population import Population
from .prior import Prior

# Standard deviation of the kernel in age, as a share of the range: 5 years for adults of 20 to 80.
WIDTH = 0.09
BANDS = 3
FEWEST_A_BAND = 250.0  # effective people of one sex; with fewer there is one band for all ages
FEWEST_VALUES = 30  # of one sex, for a curve in age
FEWEST = 100  # rows below which no margin can be stated
PEOPLE_OF_NO_SHIFT = 20.0  # effective number of people at which a race's shift counts half
PEOPLE_OF_ALL = 300.0  # the same for a sex's correlations against both sexes', a band's against those of all ages
PEOPLE_OF_PRIOR = 300.0  # what another population's figures count as
LEVEL_SCORES = ndtri(np.array(LEVELS) / 100)
MARGIN_LEVELS = (5.0, 25.0, 75.0, 95.0)
TOP_CODED = 2.5  # times the people of a usual year: the last age stands for everybody above it
BEYOND = 0.1  # of the range of the table's values, on either side
ROW = dict[str, str]


@dataclass(frozen=True)
class Fit:
    """Scores of one sex: of `members`, the first `numbers` of which are numbers and the rest conditions."""

    members: list[str]
    numbers: int
    rows: np.ndarray
    scores: Scores


@dataclass(frozen=True)
class Fitted:
    """A population file and the tables that stand beside it, as text by file name."""

    name: str
    document: dict[str, Any]
    tables: dict[str, list[ROW]]

    def write(self, folder: Path) -> Path:
        """Write `NAME.yaml` and its tables to a folder; the path of the population file."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.tables.items():
            lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
            (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        text = io.StringIO()
        writer = YAML()
        writer.width, writer.default_flow_style = 120, None
        writer.dump(self.document, text)
        path = folder / f"{self.name}.yaml"
        path.write_text(text.getvalue(), encoding="utf-8")
        return path


def fit_population(people: People, name: str, towards: Population | None = None) -> Fitted:
    """A population whose twins are like the people of the table.

    Where people are few the figures are drawn `towards` those of another population, for variables of the same name.

    Raises
    ------
    PeopleError
        Fewer than 100 rows, or a column that cannot be used; the message says which and what to do.
    """
    if people.rows < FEWEST:
        raise PeopleError(f"{people.file} has {people.rows} rows; at least {FEWEST} are needed to state margins")
    head: dict[str, Any] = {
        "format": 1,
        "name": name,
        "title": f"People like those of {people.file}",
        "period": "that of the table",
        "method": "Learned from the rows of a table: weighted margins and pairwise (Gaussian) dependence.",
        "limits": (
            f"The {people.rows} people of the table and whom they stand for; values missing there are taken to be missing "
            "at random. Dependence is pairwise. Figures of few people are uncertain, and nothing here says so."
        ),
        "sources": [{"citation": f"{people.file}, sha256 {people.sha256}", "licence": "that of the table"}],
    }
    base = towards.blocks.covariates if towards is not None else None
    prior = Prior(base, PEOPLE_OF_PRIOR if base is not None else PEOPLE_OF_NO_SHIFT)
    if towards is not None:
        head["method"] += f" Drawn towards {towards.name}, which counts as {PEOPLE_OF_PRIOR:g} people."
        head["sources"].append({"citation": f"population {towards.name}, and its sources", "licence": "as there"})
    if people.has_age_and_sex:
        document, tables = _covariates(people, name, prior)
    else:
        document, tables = linked_block(people, name)
    rules = [_range_rule(people, column) for column in people.numbers]
    return Fitted(name, {**head, **document, "plausibility": rules}, tables)


def _covariates(people: People, name: str, prior: Prior) -> tuple[dict[str, Any], dict[str, list[ROW]]]:
    """Blocks `demographics` and `covariates`, and their tables."""
    age, sex = people.columns["age"], people.columns["sex"]
    race = people.columns.get("race_ethnicity", np.full(people.rows, "all"))
    race = np.where(race == "", "unknown", race)
    weights = levelled(people.weights, [sex, race, age // 10])
    numbers = [c for c in people.numbers if c != "age"]
    members = [*numbers, *people.conditions]
    first, last = int(age.min()), int(age.max())
    nodes = np.unique(np.append(np.arange(first, last, 2), last)).astype(float)
    tables: dict[str, list[ROW]] = {f"{name}-{kind}.csv": [] for kind in TABLES}
    curves, shares, copula, margins = (tables[f"{name}-{kind}.csv"] for kind in TABLES[:4])
    fits: dict[str, Fit] = {}
    thirds = [first + share * (last - first) for share in (0.17, 0.5, 0.83)]
    for one in np.unique(sex).tolist():
        rows = np.flatnonzero(sex == one)
        scores, slope = np.full((rows.size, len(members)), np.nan), np.ones(len(members))
        width = WIDTH * (last - first)
        for i, column in enumerate(numbers):
            values = _dithered(people.columns[column], column)[rows]
            there = np.flatnonzero(np.isfinite(values))
            if there.size < FEWEST_VALUES:
                raise PeopleError(
                    f"{people.file}: column {column} has {there.size} values of {one}; drop it or add people"
                )
            own = curve(age[rows], values, weights[rows], nodes, width)
            found = np.sort(own.towards(prior.curve(column, one, nodes, LEVEL_SCORES), prior.people), axis=1)
            curves.extend(_curve_rows(one, nodes, column, found))
            scores[there, i] = _scores(found, nodes, age[rows][there], values[there])
            slope[i] = np.sqrt(np.average(scores[there, i] ** 2, weights=weights[rows][there]))
        for i, column in enumerate(people.conditions, start=len(numbers)):
            has = people.columns[column][rows]
            own = prevalence(age[rows], has, weights[rows], nodes, width)
            found = own.towards(prior.share(column, one, nodes), prior.people)
            shares.extend(_share_rows(one, nodes, column, found))
            expected = np.interp(age[rows], nodes, found)
            scores[:, i] = has - expected
            slope[i] = condition_slope(expected, weights[rows])
        fits[one] = Fit(members, len(numbers), rows, Scores(age[rows], weights[rows], scores, slope))
    both = both_sexes([fit.scores for fit in fits.values()])
    for one, fit in fits.items():
        everyone = fit.scores.shrunk(-np.inf, np.inf, both, PEOPLE_OF_ALL)
        for start, end in _bands(first, last, effective(fit.scores.weights)):
            known = prior.correlation(one, (start + end) / 2, members, everyone)
            matrix = fit.scores.shrunk(start, end, known, max(prior.people, PEOPLE_OF_ALL))
            copula.extend(_pair_rows(one, start, end, members, nearest_correlation(matrix)))
        for group in np.unique(race).tolist():
            margins.extend(_margin_rows((one, group), thirds, fit, race[fit.rows] == group, prior))
    tables[f"{name}-demographics.csv"] = _demographics(people, race, first, last)
    block: dict[str, Any] = {"curves": f"{name}-curves.csv", "copula": f"{name}-copula.csv"}
    block["race_margins"] = f"{name}-margins.csv"
    block["variables"] = [_described(people, c) | _steps(people, c) for c in numbers]
    if people.conditions:
        block["prevalence"] = f"{name}-prevalence.csv"
        block["conditions"] = [_described(people, c) for c in people.conditions]
    who = {"table": f"{name}-demographics.csv", "source": people.file, "provenance": "derived"}
    words = [c for c in people.words if c not in ("sex", "race_ethnicity")]
    independent = [people.described(c) | {"choice": people.shares(c)} for c in words]
    document = {"demographics": who, "covariates": block, "independent": independent}
    return document, {name: rows for name, rows in tables.items() if rows}


TABLES = ("curves", "prevalence", "copula", "margins", "demographics")


def _dithered(values: np.ndarray, column: str) -> np.ndarray:
    """Values spread evenly over the step to which they were rounded, so that ties do not hide dependence."""
    steps = steps_of(values)
    if steps is None:
        return values
    return np.asarray(values + (uniforms(0, f"fit.{column}", np.arange(values.size))[:, 0] - 0.5) / steps)


def _scores(found: np.ndarray, nodes: np.ndarray, age: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Normal scores of values on the curve of their age."""
    return score_on(between_nodes(age, nodes).rows(found[None]), LEVEL_SCORES, values)


def _bands(first: int, last: int, people: float) -> list[tuple[int, int]]:
    """Bands of age of one sex: thirds of the range where there are people enough."""
    count = BANDS if people >= BANDS * FEWEST_A_BAND else 1
    starts = [first + round((last + 1 - first) * i / count) for i in range(count + 1)]
    return [(start, end - 1) for start, end in zip(starts, starts[1:], strict=False)]


def _curve_rows(sex: str, nodes: np.ndarray, column: str, found: np.ndarray) -> Iterable[ROW]:
    for age, values in zip(nodes, found, strict=True):
        quantiles = {f"q{level:g}": f"{value:.6g}" for level, value in zip(LEVELS, values, strict=True)}
        yield {"sex": sex, "age": f"{age:g}", "variable": column, **quantiles}


def _share_rows(sex: str, nodes: np.ndarray, column: str, found: np.ndarray) -> Iterable[ROW]:
    for age, share in zip(nodes, found, strict=True):
        yield {"sex": sex, "age": f"{age:g}", "variable": column, "share": f"{share:.6g}"}


def _pair_rows(sex: str, start: int, end: int, members: list[str], matrix: np.ndarray) -> Iterable[ROW]:
    for i, one in enumerate(members):
        for j, two in enumerate(members[:i]):
            band = {"sex": sex, "age_from": f"{start}", "age_to": f"{end}"}
            yield {**band, "variable_1": one, "variable_2": two, "correlation": f"{matrix[i, j]:.4f}"}


def _margin_rows(who: tuple[str, str], ages: list[float], fit: Fit, inside: np.ndarray, prior: Prior) -> Iterable[ROW]:
    """Scores of a race at a few levels: its mean and sd, drawn towards the prior by its number of people."""
    levels, scores, (sex, race) = ndtri(np.array(MARGIN_LEVELS) / 100), fit.scores, who
    for i, column in enumerate(fit.members):
        x, w = scores.values[inside, i] / scores.slope[i], scores.weights[inside]
        x, w = x[np.isfinite(x)], w[np.isfinite(x)]
        own, people = levels, 0.0
        if x.size > 1:
            people, mean = effective(w), float(np.average(x, weights=w))
            # The latent score of a condition is not seen, only its threshold: its sd stays 1.
            sd = float(np.sqrt(np.average((x - mean) ** 2, weights=w))) if i < fit.numbers else 1.0
            own = mean + sd * levels
        for age in ages:
            known = prior.margin(column, sex, race, age, levels)
            found = (people * own + prior.people * known) / (people + prior.people)
            quantiles = {f"q{p:g}": f"{z:.4f}" for p, z in zip(MARGIN_LEVELS, found, strict=True)}
            yield {"sex": sex, "race_ethnicity": race, "age": f"{age:g}", "variable": column, **quantiles}


def _demographics(people: People, race: np.ndarray, first: int, last: int) -> list[ROW]:
    """Weighted shares by ten-year band, sex and race; an age that stands for all above it is a band of its own."""
    age, sex, weights = people.columns["age"], people.columns["sex"], people.weights
    starts = list(range(first, last + 1, 10))
    usual = weights[(age >= last - 5) & (age < last)].sum() / 5
    if weights[age == last].sum() > TOP_CODED * usual and last not in starts:
        starts.append(last)
    ends = [start - 1 for start in starts[1:]] + [last]
    rows = []
    for start, end in zip(starts, ends, strict=True):
        for one in np.unique(sex).tolist():
            for group in np.unique(race).tolist():
                inside = (np.floor(age) >= start) & (np.floor(age) <= end) & (sex == one) & (race == group)
                share = float(weights[inside].sum() / weights.sum())
                cell = {"age_from": f"{start}", "age_to": f"{end}", "sex": one, "race_ethnicity": group}
                rows.append(cell | {"share": f"{share:.6g}"})
    return rows


def _described(people: People, column: str) -> dict[str, Any]:
    return people.described(column) | {"column": column}


def _steps(people: People, column: str) -> dict[str, int]:
    steps = steps_of(people.columns[column])
    return {} if steps is None else {"steps_per_unit": steps}


def _range_rule(people: People, column: str) -> dict[str, str]:
    """Values far beyond what the table shows are extrapolated tails."""
    low, high = float(np.nanmin(people.columns[column])), float(np.nanmax(people.columns[column]))
    beyond = BEYOND * (high - low)
    bottom = low - beyond if low < 0 else max(low - beyond, 0.5 * low)
    rule = f"{bottom:.6g} <= {column} <= {high + beyond:.6g}"
    return {"rule": rule, "reason": f"{column.replace('_', ' ')} far beyond the values of the table"}
