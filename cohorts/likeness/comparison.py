"""How like real people a cohort is: margins, correlations, and whether a classifier can tell the two apart.

Both sides may carry weights (a survey's, or those of a calibration). People's values come in steps (a height to
0.1 cm); twins are rounded to the same step first, since otherwise the digits alone give them away.

Limits: the classifier sees the variables that both sides have and that most people have a value for; what is not
measured is not compared. That it fails to tell them apart is no proof that they are alike.

Source: Lopez-Paz & Oquab 2017, Revisiting classifier two-sample tests (ICLR); Austin 2009, Stat Med 28:3083
(standardised mean differences).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np
import xarray as xr

from ...models.problems import listed
from ..weighted import effective_number, is_known
from .two_sample import Telling, tell_apart

MOST_MISSING = 0.2  # of people without a value, from which a variable is left to the margins
FEWEST = 100  # complete rows on each side of a subgroup
FEWEST_ROWS = 20  # on each side, and people with a value of every variable
AGE_BANDS = ((0, 17), (18, 39), (40, 59), (60, 200))
MOSTLY = 0.99  # share of people whose values fit a step
_STEPS = (1.0, 0.5, 1 / 3, 0.1, 0.05, 0.01)

Array = np.ndarray


class ComparisonError(ValueError):
    """Two tables that cannot be compared; the message says why and what to do."""


@dataclass(frozen=True)
class Sample:
    """Variables (twin,) of one side, NaN or an empty word where missing, and weights with mean 1."""

    values: dict[str, Array]
    weights: Array

    @property
    def count(self) -> int:
        return self.weights.size

    @property
    def effective(self) -> float:
        """Kish's effective sample size."""
        return effective_number(self.weights)

    def where(self, rows: Array) -> Sample:
        """The part of the side in some rows, weights scaled anew."""
        weights = self.weights[rows]
        return Sample({name: v[rows] for name, v in self.values.items()}, weights / (weights.mean() or 1.0))

    def known(self, name: str) -> tuple[Array, Array]:
        """Values that are not missing, and their weights."""
        values = self.values[name]
        rows = is_known(values)
        return values[rows], self.weights[rows]


@dataclass(frozen=True)
class Margin:
    """One variable on both sides. For words `level` is the word and the means are shares."""

    name: str
    level: str
    unit: str
    twins: tuple[float, float]
    people: tuple[float, float]
    people_count: int
    smd: float
    ks: float

    @property
    def label(self) -> str:
        return f"{self.name}: {self.level}" if self.level else self.name


@dataclass(frozen=True)
class Correlations:
    """Rank correlations (variable, variable) of both sides."""

    names: tuple[str, ...]
    twins: Array
    people: Array

    @property
    def pairs(self) -> tuple[tuple[str, str, float, float], ...]:
        """Each pair once: names, twins' and people's correlation, the furthest apart first."""
        i, j = np.triu_indices(len(self.names), 1)
        order = np.argsort(-np.abs(self.twins - self.people)[i, j], kind="stable")
        return tuple(
            (self.names[a], self.names[b], float(self.twins[a, b]), float(self.people[a, b]))
            for a, b in zip(i[order], j[order], strict=True)
        )

    @property
    def errors(self) -> Array:
        """Absolute differences, each pair once."""
        return np.array([abs(t - p) for *_, t, p in self.pairs])


@dataclass(frozen=True)
class Subgroup:
    """The comparison inside one group of people; `twins` and `people` have a value of every variable compared."""

    label: str
    twins: int
    people: int
    mean_ks: float
    telling: Telling


@dataclass(frozen=True)
class Comparison:
    """Everything that is known of how a cohort differs from people."""

    twins: Sample
    people: Sample
    units: dict[str, str]
    margins: tuple[Margin, ...]
    correlations: Correlations
    telling: Telling
    left_out: tuple[str, ...]
    subgroups: tuple[Subgroup, ...]

    @property
    def ks(self) -> Array:
        """KS distances of the variables that are numbers."""
        return np.array([m.ks for m in self.margins if not m.level])

    @property
    def chance_ks(self) -> float:
        """KS distance that 5 % of variables exceed where both sides have the same law (Smirnov 1948, large samples)."""
        return float(np.sqrt(-np.log(0.025) / 2 * (1 / self.twins.effective + 1 / self.people.effective)))

    @property
    def chance_smd(self) -> float:
        """Standardised difference that 5 % of means exceed by chance where both sides have the same law."""
        return float(1.96 * np.sqrt(1 / self.twins.effective + 1 / self.people.effective))


def compare(twins: xr.Dataset, people: xr.Dataset, weights: tuple[Array | None, Array | None], seed: int) -> Comparison:
    """Compare the variables that both sides have.

    Parameters
    ----------
    weights : weights of the twins and of the people, None where each counts once.

    Raises
    ------
    ComparisonError
        Fewer than two numbers in common, a variable that is words on one side and numbers on the other, too few
        rows, or too few people with a value of every variable; scikit-learn is missing (it says how to install it).
    """
    _need_classifier()
    names = [str(name) for name in twins.data_vars if name in people]
    if len(names) < 2:
        had = ", ".join(map(str, list(people.data_vars)[:12]))
        raise ComparisonError(
            f"{len(names)} variables are in both tables; the data have {had}. Say which column is which variable"
        )
    left = _sample(twins, names, weights[0])
    right = _sample(people, names, weights[1])
    for name in names:
        kinds = {values[name].dtype.kind in "UO" for values in (left.values, right.values)}
        if len(kinds) == 2:
            raise ComparisonError(f"{name} is words on one side and numbers on the other; recode one, or leave it out")
    if min(left.count, right.count) < FEWEST_ROWS:
        counted = f"{left.count} twins and {right.count} people"
        raise ComparisonError(f"{counted} are too few to compare; give at least {FEWEST_ROWS}")
    _need_two_numbers(left, right)
    left = replace(left, values={name: rounded(v, right.values[name]) for name, v in left.values.items()})
    right = replace(right, values={name: rounded(v, v) for name, v in right.values.items()})
    units = {name: str(twins[name].attrs.get("units", "")) for name in names}
    missing = {name: 1 - float(np.average(is_known(right.values[name]), weights=right.weights)) for name in names}
    features = tuple(name for name in names if missing[name] <= MOST_MISSING)
    _need_complete_rows(left, right, missing, features)
    return Comparison(
        twins=left,
        people=right,
        units=units,
        margins=tuple(margin for name in names for margin in margins_of(left, right, name, units[name])),
        correlations=correlations_of(left, right),
        telling=_telling(left, right, features, seed),
        left_out=tuple(name for name in names if name not in features),
        subgroups=tuple(_subgroups(left, right, features, seed)),
    )


def _sample(table: xr.Dataset, names: list[str], weights: Array | None) -> Sample:
    given = np.ones(table.sizes["twin"]) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(given).all() and (given >= 0).all() and given.sum() > 0):
        raise ComparisonError("weights must be numbers of at least 0 in every row, not all 0; correct the column")
    sample = Sample({name: table[name].to_numpy() for name in names}, given)
    return sample.where(np.flatnonzero(given > 0))


def step_of(values: Array) -> float | None:
    """The step in which values were reported, the largest of a few that nearly all of them fit; None for fine values.

    Nearly: some people have the mean of two readings where the others have that of three, and the last digit of the
    many must not tell them from twins for it.

    >>> step_of(np.array([170.1, 182.4, 165.0])), step_of(np.array([93.333, 67.0, 70.667]))
    (0.1, 0.3333333333333333)
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    # Thirds are reported to three digits; and what varies by less than a step does not come in such steps.
    near = min(6e-4, 0.01 * float(known.std()))
    for step in _STEPS:
        places = known / step
        if np.mean(np.abs(places - np.round(places)) * step <= near) > MOSTLY:
            return step
    return None


def rounded(values: Array, like: Array) -> Array:
    """Values rounded to the step in which others were reported."""
    if values.dtype.kind in "UO":
        return values
    step = step_of(like)
    return values if step is None else np.round(np.round(values / step) * step, 6)


def margins_of(twins: Sample, people: Sample, name: str, unit: str) -> Iterator[Margin]:
    """Mean and spread, standardised difference and KS distance of a variable; a margin a word for words."""
    (x, wx), (y, wy) = twins.known(name), people.known(name)
    if not x.size or not y.size:
        return
    if x.dtype.kind in "UO":
        for word in np.unique(np.concatenate([x, y])):
            p, q = float(np.average(x == word, weights=wx)), float(np.average(y == word, weights=wy))
            spread = np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
            smd = (p - q) / spread if spread else 0.0
            yield Margin(name, str(word), "1", (p, np.nan), (q, np.nan), y.size, float(smd), np.nan)
        return
    left, right = _mean_sd(x, wx), _mean_sd(y, wy)
    spread = np.sqrt((left[1] ** 2 + right[1] ** 2) / 2)
    smd = (left[0] - right[0]) / spread if spread else 0.0
    yield Margin(name, "", unit, left, right, y.size, float(smd), ks_distance(x, wx, y, wy))


def _mean_sd(values: Array, weights: Array) -> tuple[float, float]:
    mean = float(np.average(values, weights=weights))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def ks_distance(x: Array, wx: Array, y: Array, wy: Array) -> float:
    """Largest difference of two weighted distribution functions."""
    at = np.unique(np.concatenate([x, y]))

    def function(values: Array, weights: Array) -> Array:
        order = np.argsort(values, kind="stable")
        total = np.concatenate([[0.0], np.cumsum(weights[order])])
        return np.asarray(total[np.searchsorted(values[order], at, side="right")] / total[-1])

    return float(np.abs(function(x, wx) - function(y, wy)).max())


def correlations_of(twins: Sample, people: Sample) -> Correlations:
    """Spearman's correlations of the variables that are numbers, of those who have both."""
    names = tuple(name for name, values in twins.values.items() if values.dtype.kind not in "UO")
    return Correlations(names, _spearman(twins, names), _spearman(people, names))


def _spearman(sample: Sample, names: tuple[str, ...]) -> Array:
    matrix = np.eye(len(names))
    known = [is_known(sample.values[name]) for name in names]
    for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
        rows = known[i] & known[j]
        weights = sample.weights[rows]
        x, y = (_ranks(sample.values[names[k]][rows], weights) for k in (i, j))
        spread = np.sqrt(np.average(x**2, weights=weights) * np.average(y**2, weights=weights)) if rows.any() else 0
        matrix[i, j] = matrix[j, i] = np.average(x * y, weights=weights) / spread if spread else 0.0
    return matrix


def _ranks(values: Array, weights: Array) -> Array:
    """Weighted mid-ranks about their mean."""
    _, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, weights=weights)
    rank = (np.cumsum(mass) - mass / 2)[place]
    return np.asarray(rank - np.average(rank, weights=weights))


def _telling(
    twins: Sample, people: Sample, features: tuple[str, ...], seed: int, with_importance: bool = True
) -> Telling:
    left, right = (side.where(np.flatnonzero(_complete(side, features))) for side in (twins, people))
    columns = {name: (left.values[name], right.values[name]) for name in features}
    return tell_apart(columns, (left.weights, right.weights), seed, with_importance)


def _complete(sample: Sample, names: tuple[str, ...]) -> Array:
    """Rows with a value of every one of these variables."""
    known = [is_known(sample.values[name]) for name in names]
    return np.logical_and.reduce(known) if known else np.ones(sample.count, dtype=bool)


def _need_classifier() -> None:
    if find_spec("sklearn") is None:
        raise ComparisonError("the classifier test needs scikit-learn: `pip install 'twinarm[compare]'`")


def _need_two_numbers(twins: Sample, people: Sample) -> None:
    """Correlations and distances are of numbers."""
    numbers = [name for name, values in twins.values.items() if values.dtype.kind not in "UO"]
    numbers = [name for name in numbers if twins.known(name)[0].size and people.known(name)[0].size]
    if len(numbers) < 2:
        raise ComparisonError(
            f"{len(numbers)} variables with numbers ({listed(numbers)}) are in both tables, at least 2 are needed; "
            "name more columns (--column)"
        )


def _need_complete_rows(twins: Sample, people: Sample, missing: dict[str, float], features: tuple[str, ...]) -> None:
    """The classifier sees rows that have every variable."""
    most = sorted(missing, key=lambda name: -missing[name])
    shares = listed((f"{name} ({100 * missing[name]:.0f} %)" for name in most if missing[name]), 6)
    if not features:
        raise ComparisonError(
            f"every variable is missing in more than {100 * MOST_MISSING:.0f} % of people: {shares}; choose people "
            "who have values (--rows), or fill the table"
        )
    for label, side in (("twins", twins), ("people", people)):
        if (found := int(_complete(side, features).sum())) < FEWEST_ROWS:
            raise ComparisonError(
                f"{found} of {side.count} {label} have a value of every variable, at least {FEWEST_ROWS} are needed; "
                f"leave out what most people lack (--leave-out): {shares}"
            )


def _subgroups(twins: Sample, people: Sample, features: tuple[str, ...], seed: int) -> Iterator[Subgroup]:
    complete = _complete(twins, features), _complete(people, features)
    for label, of_twins, of_people in groups_of(twins, people):
        counts = int(np.sum(of_twins & complete[0])), int(np.sum(of_people & complete[1]))
        if min(counts) < FEWEST:
            continue
        left, right = twins.where(np.flatnonzero(of_twins)), people.where(np.flatnonzero(of_people))
        inside = tuple(name for name in features if np.unique(left.values[name]).size > 1)
        distances = [m.ks for name in left.values for m in margins_of(left, right, name, "") if not m.level]
        if inside and distances:
            telling = _telling(left, right, inside, seed, with_importance=False)
            yield Subgroup(label, *counts, float(np.mean(distances)), telling)


def groups_of(twins: Sample, people: Sample) -> Iterator[tuple[str, Array, Array]]:
    """Each sex, age band and race/ethnicity that both sides know: its label, and its rows on both sides."""
    for name in ("sex", "race_ethnicity"):
        if name in twins.values and twins.values[name].dtype.kind in "UO":
            for word in np.unique(people.known(name)[0]):
                yield f"{name}: {word}", twins.values[name] == word, people.values[name] == word
    if "age" in twins.values and twins.values["age"].dtype.kind not in "UO":
        for low, high in AGE_BANDS:
            bands = [(v >= low) & (v < high + 1) for v in (twins.values["age"], people.values["age"])]
            yield f"age: {low} to {high}" if high < 200 else f"age: {low} and over", bands[0], bands[1]
