"""Whether twins of a population that was learned from people give those people away.

The people are parted in two: those it was learned from, and a half held back. A twin may be no closer to the first
than to the second, and an attacker who says "was in the table" of people with a twin close by must do no better
than chance.

Limits: one attack (distance to the closest twin); that it fails is no proof that none succeeds, and it says nothing of
a single unusual person: look at the closest pairs.

Source: Yale 2020, Neurocomputing 416:244 (nearest-neighbour adversarial accuracy); Chen 2020, GAN-Leaks (ACM CCS),
doi 10.1145/3372297.3417238 (membership inference by distance to the closest record).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ...models.randomness import uniforms
from ..weighted import is_known
from .two_sample import auc_error

# Of the attack's area under the curve; chance is 0.5. Chosen: little above what chance brings (3 errors of 600 people).
LIMIT = 0.55
FEWEST = 20  # complete rows of twins, and of either group of people

Array = np.ndarray


class PrivacyError(ValueError):
    """Tables that cannot be compared; the message says why and what to do."""


@dataclass(frozen=True)
class Privacy:
    """Distances in standard deviations a variable (root mean square over variables), and the attack.

    `to_training` and `to_held_out` are 5 %, 50 % and 95 % quantiles of a twin's distance to the closest person;
    `closer` the share of twins that are closer to a person learned from (0.5 when nothing was copied); `copies` counts
    twins identical to such a person; `attack` is the area under the curve of membership inference with its error.
    """

    variables: tuple[str, ...]
    people: int
    to_training: tuple[float, ...]
    to_held_out: tuple[float, ...]
    closer: float
    copies: int
    attack: float
    error: float

    @property
    def passes(self) -> bool:
        """Whether the attack stays within its limit."""
        return self.attack <= LIMIT


def privacy(twins: xr.Dataset, training: xr.Dataset, held_out: xr.Dataset, seed: int) -> Privacy:
    """How close twins come to the people they were learned from, against people held back.

    Both groups of people are cut to the same number at random, since the closest of more people is closer.

    Raises
    ------
    PrivacyError
        Fewer than two variables in common, or fewer than 20 complete rows.
    """
    names = tuple(str(name) for name in twins.data_vars if name in training and name in held_out)
    if len(names) < 2:
        raise PrivacyError(f"{len(names)} variables are in all three tables; name the columns alike")
    tables = [_complete(table, names) for table in (twins, training, held_out)]
    counts = [len(table[names[0]]) for table in tables]
    for label, found in zip(("twins", "the people learned from", "the people held back"), counts, strict=True):
        if found < FEWEST:
            raise PrivacyError(f"{label} have {found} complete rows, at least {FEWEST} are needed; give more of them")
    count = min(counts[1:])
    kept = [tables[0], *(_some(table, count, seed, which) for which, table in enumerate(tables[1:]))]
    places = _places(kept, names)
    return _judged(places, names, count)


def _judged(places: list[Array], names: tuple[str, ...], count: int) -> Privacy:
    from scipy.spatial import cKDTree

    twins, training, held_out = places
    near, far = (cKDTree(people).query(twins)[0] for people in (training, held_out))
    by_twin = cKDTree(twins)
    members, others = by_twin.query(training)[0], by_twin.query(held_out)[0]
    attack = _area(-members, -others)
    scale = np.sqrt(len(names))
    return Privacy(
        names,
        count,
        tuple(np.quantile(near / scale, (0.05, 0.5, 0.95)).tolist()),
        tuple(np.quantile(far / scale, (0.05, 0.5, 0.95)).tolist()),
        float(np.mean((near < far) + 0.5 * (near == far))),
        int(np.count_nonzero(near == 0)),
        attack,
        auc_error(attack, count, count),
    )


def _area(high: Array, low: Array) -> float:
    """Probability that one of the first is above one of the second, ties halved (Mann-Whitney)."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([high, low]))[: high.size]
    return float((ranks.sum() - high.size * (high.size + 1) / 2) / (high.size * low.size))


def _complete(table: xr.Dataset, names: tuple[str, ...]) -> dict[str, Array]:
    columns = {name: table[name].to_numpy() for name in names}
    known = np.logical_and.reduce([is_known(column) for column in columns.values()])
    return {name: column[known] for name, column in columns.items()}


def _some(columns: dict[str, Array], count: int, seed: int, which: int) -> dict[str, Array]:
    size = len(next(iter(columns.values())))
    rows = np.sort(np.argsort(uniforms(seed, f"privacy.people.{which}", np.arange(size))[:, 0], kind="stable")[:count])
    return {name: column[rows] for name, column in columns.items()}


def _places(tables: list[dict[str, Array]], names: tuple[str, ...]) -> list[Array]:
    """Rows as points: numbers in standard deviations of the people, words as coordinates a distance of 1 apart."""
    columns: list[list[Array]] = [[] for _ in tables]
    for name in names:
        parts = [table[name] for table in tables]
        kinds = {part.dtype.kind in "UO" for part in parts}
        if len(kinds) == 2:
            raise PrivacyError(f"{name} is words in one table and numbers in another; recode one of them")
        if kinds == {True}:
            for word in np.unique(np.concatenate(parts)):
                for column, part in zip(columns, parts, strict=True):
                    column.append((part == word) / np.sqrt(2))
            continue
        spread = float(np.concatenate(parts[1:]).std()) or 1.0
        for column, part in zip(columns, parts, strict=True):
            column.append(part / spread)
    return [np.column_stack(column) for column in columns]
