"""The pilot of a cohort with criteria: where in the coordinates those are who meet them.

The twins of a population are a fixed function of independent random streams. Criteria are met in a region of their
joint range. Few coordinates matter: the streams of demography, and for each criterion the direction in the normal
scores along which it changes. Rounds of candidates go towards the region by criteria that are at first relaxed, and
boxes are put around those who are in it.

Source: Au & Beck 2001, Probabilistic Engineering Mechanics 16:263 (subset simulation); the direction of a criterion
by regression on normal scores after Brillinger 1983, A generalized linear model with Gaussian regressor variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from ...models.expressions import ExpressionError, evaluate, names
from ...models.randomness import uniforms
from ..population import BasedOn, Population
from .clauses import all_met, distance, margins, met
from .cover import MARGIN, WIDE, Cover
from .streams import GivenStreams, Space, columns_of, people_of

PILOT = 10_000  # candidates a round
TOWARDS = 0.1  # share of those in a relaxed region that the next one holds
FEWEST = 100  # people in the region that boxes are fitted to
MOST_ROUNDS = 14
MOST_DIRECTIONS = 6
SHORTEST = 0.03  # slope in sd per sd below which a direction is not worth a coordinate: 0.1 % of a variance
REFINED = (PILOT, 2 * PILOT)  # candidates of the rounds after which boxes are fitted anew


@dataclass(frozen=True)
class Reached:
    """What the pilot found: where the region is, and how well the boxes cover it.

    `prevalence` is the share of the population's candidates that meet the criteria, `acceptance` the share of
    proposals that do, `missed` the share of the law that lies outside the boxes, judged by people held back from
    each fit: rather too large, since the boxes are then fitted to all.
    """

    space: Space = field(repr=False)
    cover: Cover = field(repr=False)
    prevalence: float
    acceptance: float
    missed: float


@dataclass(frozen=True)
class Round:
    """Candidates of the pilot: their variables, places, uniform streams and normal scores, each (candidate, ...)."""

    people: dict[str, np.ndarray]
    place: np.ndarray
    flat: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Pilot:
    """What is tried before a cohort is drawn: rounds of candidates of the variables that the criteria read."""

    population: Population
    reading: Population
    clauses: tuple[str, ...]
    seed: int
    space: Space
    scales: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, population: Population, clauses: tuple[str, ...], seed: int) -> Pilot:
        reading = reading_only(population, {name for clause in clauses for name in names(clause)})
        listening = GivenStreams(seed, {})
        people = people_of(reading, np.arange(2), listening)
        for clause in clauses:
            met(clause, people)  # unknown variables are refused before anything is spent
        flat, normal = listening.keys(is_normal=False), listening.keys(is_normal=True)
        return cls(population, reading, clauses, seed, Space(flat, normal, np.empty((0, len(normal)))))

    def round(self, number: int, cover: Cover, count: int) -> Round:
        """Candidates uniform on the boxes."""
        ids = np.arange(count)

        def some(name: str) -> np.ndarray:
            return uniforms(self.seed, f"criteria.pilot.{number}.{name}", ids)[:, 0]

        inside = columns_of([some(f"within.{i}") for i in range(self.space.size)], count)
        place = cover.place(some("box"), inside)
        free = ndtri(columns_of([some(f"{purpose}.{index}") for purpose, index in self.space.normal], count))
        scores = self.space.scores(place, free)
        people = people_of(self.reading, ids, self.space.streams(self.seed, place, scores))
        return Round(people, place, place[:, : len(self.space.flat)], scores)

    def directed(self, people: Mapping[str, np.ndarray], scores: np.ndarray, flat: np.ndarray) -> Pilot:
        """The pilot with the directions in which the clauses change among candidates with these scores and places.

        A least-squares slope in normal scores has the direction of the true one, whatever the shape of the curve.
        """
        found: list[np.ndarray] = []
        scales: dict[str, float] = {}
        known = np.column_stack([np.ones(len(flat)), flat, flat**2, scores])
        for clause in self.clauses:
            sides = [(text, _number(text, people)) for text in margins(clause)]
            measured = [(text, value) for text, value in sides if value is not None and value.std() > 0]
            scales |= {text: float(value.std()) for text, value in measured}
            for value in [value for _, value in measured] or [met(clause, people).astype(float)]:
                if scores.shape[1] and value.std() > 0:
                    found += _new_direction(known, value, scores.shape[1], found)
        directions = np.array(found[:MOST_DIRECTIONS]).reshape(len(found[:MOST_DIRECTIONS]), scores.shape[1])
        return replace(self, space=replace(self.space, directions=directions), scales=scales or self.scales)

    def begun(self) -> tuple[Round, float]:
        """Candidates of the whole population, and the share of them who meet the clauses."""
        start = self.round(0, Cover.whole(self.space.size), PILOT)
        return start, float(all_met(self.clauses, start.people).mean())

    def approach(self, start: Round) -> Reached | None:
        """The region where the clauses are met, from relaxed clauses inwards; None where hardly anybody is found.

        Each relaxed region lies within the one before: only those who are in that one decide on the next.
        `start` are candidates of the whole population, as `begun` gives them.
        """
        pilot = self.directed(start.people, start.scores, start.flat)
        cover, before = Cover.whole(pilot.space.size), np.inf
        for number in range(1, MOST_ROUNDS):
            tried = pilot.round(number, cover, PILOT)
            far = pilot.distance(tried)
            if np.count_nonzero(far < before) < 5 * FEWEST:  # words, or a cover that holds much beside the region
                tried = pilot.round(number, cover, 10 * PILOT)
                far = pilot.distance(tried)
            closer = np.sort(far[far < before])
            if closer.size < FEWEST / 2:
                return None
            limit = float(closer[min(closer.size - 1, max(FEWEST, int(TOWARDS * closer.size)))])
            if np.count_nonzero(far == 0) >= FEWEST:
                return pilot.refined(tried, far == 0, number)
            cover, before = Cover.around(tried.place[far <= limit], WIDE), limit
        return None

    def refined(self, tried: Round, is_in: np.ndarray, number: int) -> Reached:
        """Boxes along directions that fit the region itself, from those who were met in it."""
        pilot = self.directed(tried.people, tried.scores, tried.flat)
        inside = pilot.space.place(tried.flat[is_in], tried.scores[is_in])
        missed = 0.0
        for count in REFINED:
            missed += _missed(inside, WIDE)
            cover, number = Cover.around(inside, WIDE), number + 1
            tried = pilot.round(number, cover, count)
            inside = tried.place[pilot.distance(tried) == 0]
        prevalence = len(inside) / len(tried.place) * float(cover.volumes.sum())
        missed += _missed(inside, MARGIN)
        cover = Cover.around(inside)
        return Reached(pilot.space, cover, prevalence, prevalence / float(cover.volumes.sum()), missed)

    def distance(self, tried: Round) -> np.ndarray:
        return np.maximum.reduce([distance(clause, tried.people, self.scales) for clause in self.clauses])


def _missed(inside: np.ndarray, margin: float) -> float:
    """Share of points outside the boxes around the others: every fourth point is held back."""
    held = np.arange(len(inside)) % 4 == 0
    return 1 - float(Cover.around(inside[~held], margin).holds(inside[held]).mean())


def _number(text: str, people: Mapping[str, np.ndarray]) -> np.ndarray | None:
    try:
        value = np.asarray(evaluate(text, people), dtype=np.float64)
    except (ExpressionError, ValueError, TypeError):
        return None
    return value if value.ndim == 1 and np.isfinite(value).all() else None


def _new_direction(known: np.ndarray, value: np.ndarray, scores: int, found: list[np.ndarray]) -> list[np.ndarray]:
    """The direction in the last columns of `known` along which a value grows, orthogonal to those found."""
    ranked = ndtri(rankdata(value) / (value.size + 1)) if np.unique(value).size > 2 else value
    ranked = (ranked - ranked.mean()) / ranked.std()
    # Sums without BLAS: on a busy machine its threads cost more than they bring.
    moments = np.einsum("ij,ik->jk", known, known) + 1e-9 * np.eye(known.shape[1])
    slope = np.linalg.solve(moments, np.einsum("ij,i->j", known, ranked))[-scores:]
    slope[np.abs(slope) < 4 / np.sqrt(value.size)] = 0.0  # four standard errors from none
    for direction in found:
        slope = slope - direction * float(np.sum(direction * slope))
    length = float(np.sqrt(np.sum(slope**2)))
    # Rounded, so that the last bits of the regression do not reach the twins.
    return [np.round(slope / length, 6)] if length > SHORTEST else []


def reading_only(population: Population, wanted: set[str]) -> Population:
    """The population without the variables that the wanted ones do not depend on, for quick candidates."""
    blocks = population.blocks
    if not wanted <= set(blocks.names):
        return population  # a model derives the rest
    keep = set(wanted)
    needs = blocks.needs
    while more := {name for one in keep for name in needs.get(one, ())} - keep:
        keep |= more
    fields = {name: getattr(population, name) for name in ("format", "name", "title", "period", "method", "limits")}
    keep -= {"age", "sex", "race_ethnicity"} if blocks.demographics else set()
    base = BasedOn(population=population, keep=tuple(sorted(keep)))
    return Population(**fields, sources=population.sources, based_on=base)
