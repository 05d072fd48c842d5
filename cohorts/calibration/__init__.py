"""Weights or a selection that make a cohort match published statistics.

Weights are those nearest to equal ones (maximum entropy) among all that match: w_i ~ exp(sum_j l_j f_j(x_i)), where
f_j is the function whose weighted mean is statistic j; l by Newton's method on the dual. A target that no weights
reach, without counting one twin more than MOST_WEIGHT times, is left unmatched and said to be unreachable: the
fewest and smallest misses by linear programming. The weights of maximum entropy have no such bound: `largest` says
how often they count one twin. A selection accepts twin i with probability w_i / max w: the ratio
of the target's density to the cohort's, as in Allen 2016, with the maximum-entropy weight for the ratio.

Source: Jaynes 1957, Phys Rev 106:620; Hainmueller 2012, Political Analysis 20:25 (entropy balancing); Allen, Rieger &
Musante 2016, CPT Pharmacometrics Syst Pharmacol 5:140 (acceptance into a virtual population), doi 10.1002/psp4.12063.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from ...models.expressions import ExpressionError, evaluate, names
from ...models.problems import did_you_mean, listed
from ...models.randomness import uniforms
from ...models.units import UnitsError, affine
from ..weighted import effective_number, is_known, quantiles
from .targets import Target, Targets, TargetsError

MOST_WEIGHT = 50.0  # chosen: a mean that rests on one twin so much says little of the others
MOST_MISS = 1e-3  # of a statistic's scale, up to which it is matched; chosen: below what a published table shows
WEIGHT = "calibration_weight"
_ROUNDS, _STEPS = 100, 200

Array = np.ndarray


@dataclass(frozen=True)
class Statistic:
    """One number to match: the weighted mean of `values(weights)` is to be `goal(weights)`.

    Both may depend on the weights, where a spread or a correlation needs a mean that is no target itself. `shown`
    is the statistic as it was published, computed for any weights; `scale` the size of a difference that matters.
    """

    label: str
    unit: str
    published: float
    values: Callable[[Array], Array]
    goal: Callable[[Array], float]
    shown: Callable[[Array], float]
    scale: float


@dataclass(frozen=True)
class Match:
    """A statistic before and after; `is_matched` is false where the target cannot be reached, or was not found."""

    label: str
    unit: str
    published: float
    before: float
    after: float
    is_matched: bool


@dataclass(frozen=True)
class Calibration:
    """Weights of the twins, summing to their number, and how the statistics came out with them.

    `effective` is Kish's effective sample size (sum w)^2 / sum w^2.
    """

    weights: Array
    matches: tuple[Match, ...]

    @property
    def effective(self) -> float:
        return effective_number(self.weights)

    @property
    def largest(self) -> float:
        """How many times the twin with the largest weight counts."""
        return float(self.weights.max())

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Labels of the targets that are left unmatched."""
        return tuple(m.label for m in self.matches if not m.is_matched)


def calibrate(cohort: xr.Dataset, targets: Targets) -> Calibration:
    """Weights with which a cohort matches published statistics as far as they can be reached.

    Raises
    ------
    TargetsError
        A target names an unknown variable, one that is missing in some twins, a word that the cohort does not have, or
        a unit that does not convert; or a rule is not true or false.
    """
    statistics = [one for i, target in enumerate(targets.targets) for one in statistics_of(cohort, target, i)]
    count = cohort.sizes["twin"]
    equal = np.full(count, 1 / count)
    weights, reached = _matching(statistics, equal)
    matches = tuple(
        Match(s.label, s.unit, s.published, s.shown(equal), s.shown(weights), bool(ok))
        for s, ok in zip(statistics, reached, strict=True)
    )
    return Calibration(weights * count, matches)


def _matching(statistics: list[Statistic], equal: Array) -> tuple[Array, Array]:
    """Weights of maximum entropy, and which statistics they match: a fixed point where these depend on the weights."""
    at, reached, before = equal, np.ones(len(statistics), dtype=bool), None
    for _ in range(_ROUNDS):
        rows = np.array([(s.values(at) - s.goal(at)) / s.scale for s in statistics])
        if before is not None and np.array_equal(rows, before):
            break  # means, shares and quantiles have the same rows for any weights
        reached &= _reachable(rows, reached)
        weights, before = _nearest_to_equal(rows[reached]), rows
        if np.abs(weights - at).sum() < 1e-9:
            break
        at = (weights + at) / 2  # undamped, large spreads and correlations swing for ever
    misses = np.array([np.sum(weights * s.values(weights)) - s.goal(weights) for s in statistics])
    return weights, reached & (np.abs(misses) <= MOST_MISS * np.array([s.scale for s in statistics]))


def select(cohort: xr.Dataset, weights: Array, seed: int) -> xr.Dataset:
    """Twins accepted with probability weight over largest weight, each by a random number of its own (seed, id)."""
    chance = uniforms(seed, "calibration.accept", cohort["twin"].to_numpy())[:, 0]
    return cohort.isel(twin=np.flatnonzero(chance * weights.max() < weights))


def rematched(found: Calibration, selected: xr.Dataset, targets: Targets) -> tuple[Match, ...]:
    """The matches with `after` as it came out in the selected twins, each counted once."""
    statistics = [one for i, target in enumerate(targets.targets) for one in statistics_of(selected, target, i)]
    equal = np.full(selected.sizes["twin"], 1 / selected.sizes["twin"])
    return tuple(replace(m, after=s.shown(equal)) for m, s in zip(found.matches, statistics, strict=True))


def _reachable(rows: Array, among: Array) -> Array:
    """Which of the statistics (statistic, twin), centred on their goals, can have mean zero together."""
    from scipy.optimize import linprog

    found = among.copy()
    chosen, count = rows[among], rows.shape[1]
    if not len(chosen):
        return found
    size = len(chosen)
    slack = np.hstack([np.eye(size), -np.eye(size)])
    equal = np.vstack([np.hstack([chosen, slack]), np.r_[np.ones(count), np.zeros(2 * size)]])
    most = min(1.0, MOST_WEIGHT / count)
    bounds = [(0, most)] * count + [(0, None)] * (2 * size)
    cost = np.r_[np.zeros(count), np.ones(2 * size)]
    answer = linprog(cost, A_eq=equal, b_eq=np.r_[np.zeros(size), 1.0], bounds=bounds, method="highs")
    missed = answer.x[count : count + size] + answer.x[count + size :]
    found[np.flatnonzero(among)[missed > 1e-7]] = False
    return found


def _nearest_to_equal(rows: Array) -> Array:
    """Weights (twin,) of maximum entropy under which every row has mean zero; damped Newton on the dual."""
    multiplier = np.zeros(len(rows))

    def dual(at: Array) -> tuple[float, Array]:
        exponent = np.sum(at[:, None] * rows, axis=0)
        top = exponent.max(initial=0.0)
        density = np.exp(exponent - top)
        return float(np.log(density.sum()) + top), density / density.sum()

    value, weights = dual(multiplier)
    for _ in range(_STEPS):
        gradient = np.sum(rows * weights, axis=1)
        if np.abs(gradient).max(initial=0.0) < 1e-10:
            break
        centred = rows - gradient[:, None]
        curvature = np.einsum("it,jt->ij", centred * weights, centred) + 1e-10 * np.eye(len(rows))
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while size > 1e-8:
            tried, tried_weights = dual(multiplier - size * step)
            if tried <= value - 1e-4 * size * float(np.sum(gradient * step)):
                break
            size /= 2
        else:
            break
        multiplier, value, weights = multiplier - size * step, tried, tried_weights
    return np.asarray(weights)


def statistics_of(cohort: xr.Dataset, target: Target, number: int = 0) -> list[Statistic]:
    """The numbers that one target asks for, each with the function whose mean it is."""
    where = f"targets[{number}]"
    if target.rule is not None:
        return [_share(target.rule, _met(cohort, target.rule, where), float(target.share or 0.0))]
    if target.pair is not None:
        x, y = (_numbers(cohort, name, where) for name in target.pair)
        return [_correlation(f"correlation of {' and '.join(target.pair)}", x, y, float(target.correlation or 0.0))]
    assert target.variable is not None
    if target.shares:
        values = _complete(cohort, target.variable, where)
        words = values.astype(str) if values.dtype.kind in "UO" else np.array([f"{v:g}" for v in values])
        unknown = sorted(set(target.shares) - set(words.tolist()))
        if unknown:
            known = ", ".join(sorted(set(words.tolist()))[:12])
            raise TargetsError(f"{where}: {target.variable} is never {', '.join(unknown)} in the cohort; it is {known}")
        return [
            _share(f"{target.variable} {word}", (words == word).astype(float), share)
            for word, share in target.shares.items()
        ]
    x = _numbers(cohort, target.variable, where)
    unit = str(cohort[target.variable].attrs.get("units") or target.unit)
    return _moments(target, x, unit, _factor(cohort, target, where))


def _met(cohort: xr.Dataset, rule: str, where: str) -> Array:
    """1 where a rule is met, 0 where it is not."""
    try:
        met = np.asarray(evaluate(rule, {str(name): values.to_numpy() for name, values in cohort.data_vars.items()}))
    except ExpressionError as error:
        raise TargetsError(f"{where}: rule {rule!r}: {error}") from None
    if met.dtype != bool or met.shape != (cohort.sizes["twin"],):
        raise TargetsError(f"{where}: rule {rule!r} is not true or false of a twin; write a comparison")
    for name in names(rule):
        _complete(cohort, name, where)
    return met.astype(np.float64)


def _complete(cohort: xr.Dataset, name: str, where: str) -> Array:
    """The values of a variable that every twin has."""
    if name not in cohort:
        hint = did_you_mean(name, map(str, cohort.data_vars), f"it has {listed(cohort.data_vars)}")
        raise TargetsError(f"{where}: the cohort has no variable {name!r}; {hint}")
    values = np.asarray(cohort[name].to_numpy())
    if missing := int(np.count_nonzero(~is_known(values))):
        raise TargetsError(f"{where}: {name} is missing in {missing} of {values.size} twins; leave them out first")
    return values


def _numbers(cohort: xr.Dataset, name: str, where: str) -> Array:
    values = _complete(cohort, name, where)
    if values.dtype.kind in "UO":
        raise TargetsError(f"{where}: {name} holds words; give shares of them")
    return values.astype(np.float64)


def _factor(cohort: xr.Dataset, target: Target, where: str) -> Callable[[float], float]:
    """Published values in the unit of the cohort."""
    unit = str(cohort[str(target.variable)].attrs.get("units", ""))
    if unit in ("", target.unit):
        return lambda value: value
    try:
        zero, slope = affine(target.unit, unit)
    except UnitsError:
        message = (
            f"{where}: {target.variable} is published in {target.unit}, the cohort has {unit}, which does not convert"
        )
        raise TargetsError(f"{message}; give the target in {unit}") from None
    return lambda value: zero + slope * value


def _moments(target: Target, x: Array, unit: str, convert: Callable[[float], float]) -> list[Statistic]:
    """Mean, sd and quantiles of one variable."""
    name, found = str(target.variable), list[Statistic]()
    spread = float(x.std()) or 1.0

    def mean(weights: Array) -> float:
        return float(np.sum(weights * x))

    def centre(weights: Array) -> float:
        return mean(weights) if target.mean is None else convert(target.mean)

    if target.mean is not None:
        goal = convert(target.mean)
        found.append(Statistic(f"{name} mean", unit, goal, lambda w: x, lambda w: goal, mean, spread))
    if target.sd is not None:
        sd = convert(target.sd) - convert(0.0)

        def square(weights: Array) -> Array:
            return np.asarray((x - centre(weights)) ** 2)

        def shown(weights: Array) -> float:
            return float(np.sqrt(np.sum(weights * (x - mean(weights)) ** 2)))

        found.append(Statistic(f"{name} sd", unit, sd, square, lambda w: sd**2, shown, spread**2))
    quantiles_of = [_quantile(name, unit, x, level, convert(value)) for level, value in target.quantiles]
    return [*found, *quantiles_of]


def _quantile(name: str, unit: str, x: Array, level: float, at: float) -> Statistic:
    # Halves for ties: published quantiles of rounded values lie in the middle of a step.
    below = 0.5 * ((x < at) + (x <= at).astype(float))

    def shown(weights: Array) -> float:
        return float(quantiles(x, weights, np.array(level)))

    return Statistic(f"{name} {100 * level:g} % quantile", unit, at, lambda w: below, lambda w: level, shown, 0.5)


def _share(label: str, met: Array, share: float) -> Statistic:
    return Statistic(
        f"share of {label}", "1", share, lambda w: met, lambda w: share, lambda w: float(np.sum(w * met)), 0.5
    )


def _correlation(label: str, x: Array, y: Array, goal: float) -> Statistic:
    def standard(values: Array, weights: Array) -> Array:
        centred = values - np.sum(weights * values)
        return np.asarray(centred / np.sqrt(np.sum(weights * centred**2)))

    def product(weights: Array) -> Array:
        return standard(x, weights) * standard(y, weights)

    return Statistic(label, "1", goal, product, lambda w: goal, lambda w: float(np.sum(w * product(w))), 1.0)
