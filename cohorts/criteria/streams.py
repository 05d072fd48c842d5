"""The random streams behind twins, and the coordinates in which the twins that meet criteria lie close together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr, ndtri

from ...models.randomness import Streams, normals, uniforms
from ..population import Population
from ..sampling import sample_twins

Key = tuple[str, int]
"""A stream: its purpose and its index."""


class GivenStreams(Streams):
    """Streams with given numbers; what is not given comes from a seed. Notes what is asked for."""

    def __init__(self, seed: int, given: Mapping[str, np.ndarray]) -> None:
        self.seed, self.given = seed, given
        self.asked: dict[str, tuple[int, bool]] = {}

    def uniforms(self, purpose: str, units: np.ndarray, count: int) -> np.ndarray:
        self.asked.setdefault(purpose, (count, False))
        found = self.given.get(purpose)
        return uniforms(self.seed, purpose, units, count) if found is None else found[:, :count]

    def normals(self, purpose: str, units: np.ndarray, count: int) -> np.ndarray:
        self.asked.setdefault(purpose, (count, True))
        found = self.given.get(purpose)
        return normals(self.seed, purpose, units, count) if found is None else found[:, :count]

    def keys(self, is_normal: bool) -> tuple[Key, ...]:
        """The uniform or the normal streams that were asked for, in that order."""
        asked = [(purpose, count) for purpose, (count, kind) in self.asked.items() if kind is is_normal]
        return tuple((purpose, index) for purpose, count in asked for index in range(count))


@dataclass(frozen=True)
class Space:
    """The coordinates of the boxes: each uniform stream, then the normal streams along each direction.

    A place is an array (candidate, coordinate) in the unit cube; `flat` and `normal` name the streams, `directions`
    is (direction, normal stream), orthonormal.
    """

    flat: tuple[Key, ...]
    normal: tuple[Key, ...]
    directions: np.ndarray = field(repr=False)

    @property
    def size(self) -> int:
        return len(self.flat) + len(self.directions)

    def scores(self, place: np.ndarray, free: np.ndarray) -> np.ndarray:
        """Normal scores (candidate, normal stream) at a place, from free ones that are kept across the directions."""
        columns = list(free.T)
        for i, direction in enumerate(self.directions):
            step = ndtri(place[:, len(self.flat) + i]) - _along(direction, list(free.T))
            columns = [column + weight * step for column, weight in zip(columns, direction, strict=True)]
        return columns_of(columns, len(place))

    def place(self, flat: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Where candidates with these uniform streams and normal scores are."""
        along = [ndtr(_along(direction, list(scores.T))) for direction in self.directions]
        return np.column_stack([flat, *along])

    def streams(self, seed: int, place: np.ndarray, scores: np.ndarray) -> GivenStreams:
        """The streams of candidates at a place with these normal scores."""
        flat = _by_purpose(self.flat, place)
        return GivenStreams(seed, {**flat, **_by_purpose(self.normal, scores)})


def _by_purpose(keys: tuple[Key, ...], columns: np.ndarray) -> dict[str, np.ndarray]:
    """Columns (candidate, stream) as arrays (candidate, index) by purpose; the indices of a purpose stand together."""
    at: dict[str, list[int]] = {}
    for column, (purpose, _) in enumerate(keys):
        at.setdefault(purpose, []).append(column)
    return {purpose: columns[:, places] for purpose, places in at.items()}


def _along(direction: np.ndarray, scores: list[np.ndarray]) -> np.ndarray:
    """Scores along a direction: a sum in a fixed order, the same bits for any number of rows."""
    total = direction[0] * scores[0]
    for weight, score in zip(direction[1:], scores[1:], strict=True):
        total = total + weight * score
    return np.asarray(total)


def columns_of(arrays: list[np.ndarray], rows: int) -> np.ndarray:
    return np.stack(arrays, axis=1) if arrays else np.empty((rows, 0))


def people_of(population: Population, ids: np.ndarray, streams: GivenStreams) -> dict[str, np.ndarray]:
    twins = sample_twins(population, ids, streams)
    return {str(name): values.to_numpy() for name, values in twins.data_vars.items()}
