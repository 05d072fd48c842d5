"""Cohorts of people who meet criteria, however rare they are.

A candidate is a uniform draw from boxes that cover the region where the criteria are met (`pilot`), repeated until
it meets them: an independent draw from the conditional law, with no weight. It is not exact where the boxes miss a
part of the region: `missed` is the share of people, held back from the fit of the boxes, who lie outside them.

Source: the conflict among criteria by the deletion filter of Chinneck & Dravnieks 1991, ORSA J Comput 3:157.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import xarray as xr
from scipy.special import ndtri

from ...models.randomness import uniforms
from ..blocks import Rule
from ..population import Population
from ..sampling import sample_twins
from ..screening import Screening, screen
from .clauses import CriteriaError, all_met, clauses_of, exclude, ranges, smallest_conflict
from .cover import Cover
from .pilot import PILOT, Pilot, Reached, Round
from .streams import columns_of, people_of

OFTEN = 0.06  # from this prevalence in the pilot on, candidates of the population itself are screened
USED_UP = 0.01  # share of candidates that find nobody in all waves and take another turn of them
MOST_ATTEMPTS = 20_000
MOST_PROPOSALS = 500_000  # held at a time, so that memory does not grow as criteria become rare


@dataclass(frozen=True)
class Conditional:
    """The law of a population's twins given criteria; `draw` gives candidate k for every k, like `sample_twins`."""

    population: Population
    reading: Population = field(repr=False)
    clauses: tuple[str, ...]
    seed: int
    reached: Reached

    @property
    def waves(self) -> tuple[int, ...]:
        """How many proposals are tried together, one wave after another; few candidates use up all (USED_UP)."""
        acceptance = min(self.reached.acceptance, 1 - USED_UP)  # one proposal is enough from there on
        enough = int(np.ceil(np.log(USED_UP) / np.log1p(-acceptance)))
        sizes = [1]
        while sum(sizes) < enough:
            sizes.append(2 * sizes[-1])
        return tuple(sizes)

    def draw(self, ids: np.ndarray) -> xr.Dataset:
        """The candidates with the given ids, each meeting the criteria; a function of (seed, criteria, id) alone.

        Raises
        ------
        CriteriaError
            Hardly any proposal meets the criteria.
        """
        ids, space = np.asarray(ids, dtype=np.int64), self.reached.space
        parts = np.array_split(ids, max(1, -(-ids.size * sum(self.waves) // MOST_PROPOSALS)))
        place, scores = (np.concatenate(found) for found in zip(*map(self._found, parts), strict=True))
        twins = sample_twins(self.population, ids, space.streams(self.seed, place, scores))
        return twins.assign_attrs(seed=self.seed, criteria=" and ".join(self.clauses))

    def _found(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first proposal of each candidate that meets the criteria: its place and its normal scores."""
        space, waves = self.reached.space, self.waves
        place, scores = np.empty((ids.size, space.size)), np.empty((ids.size, len(space.normal)))
        pending, turn = np.arange(ids.size), 0
        while pending.size:
            if turn * sum(waves) > MOST_ATTEMPTS:
                raise CriteriaError(f"{' and '.join(self.clauses)}: hardly anybody meets this; loosen a criterion")
            proposals, first = self._proposals(ids[pending], turn, sum(waves)), 0
            left = np.arange(pending.size)
            for size in waves:
                if not left.size:
                    break
                at, free = (part[left, first : first + size].reshape(left.size * size, -1) for part in proposals)
                tried = space.scores(at, free)
                streams = space.streams(self.seed, at, tried)
                people = people_of(self.reading, np.repeat(ids[pending[left]], size), streams)
                good = all_met(self.clauses, people)
                chosen = good.reshape(-1, size).argmax(axis=1) + size * np.arange(left.size)
                found = good[chosen]
                place[pending[left[found]]], scores[pending[left[found]]] = at[chosen[found]], tried[chosen[found]]
                left, first = left[~found], first + size
            pending, turn = pending[left], turn + 1
        return place, scores

    def _proposals(self, ids: np.ndarray, turn: int, attempts: int) -> tuple[np.ndarray, np.ndarray]:
        """Places (candidate, attempt, coordinate) and free normal scores (candidate, attempt, stream)."""

        def numbers(name: str) -> np.ndarray:
            return uniforms(self.seed, f"criteria.{turn}.{name}", ids, attempts).reshape(-1)

        space, cover, rows = self.reached.space, self.reached.cover, ids.size * attempts
        inside = columns_of([numbers(f"within.{i}") for i in range(space.size)], rows)
        free = columns_of([numbers(f"{purpose}.{index}") for purpose, index in space.normal], rows)
        place = cover.place(numbers("box"), inside)
        return place.reshape(ids.size, attempts, -1), ndtri(free).reshape(ids.size, attempts, -1)


@dataclass(frozen=True)
class CriteriaCohort:
    """Twins that meet criteria, and how they were found.

    `law` is the conditional law that they were drawn from, None where candidates of the population were screened;
    `prevalence` the share of the population's candidates that meet the criteria. The twins are independent draws
    without weights, so that their effective number is their number.
    """

    screening: Screening
    clauses: tuple[str, ...]
    prevalence: float
    law: Conditional | None

    @property
    def cohort(self) -> xr.Dataset:
        return self.screening.cohort

    @property
    def effective(self) -> float:
        """Effective sample size, less the share of the law that the boxes miss."""
        return self.cohort.sizes["twin"] * (1 - self.law.reached.missed if self.law else 1.0)


def sample_criteria(population: Population, where: Sequence[str], twins: int, seed: int) -> CriteriaCohort:
    """The first `twins` plausible candidates among those who meet criteria, however few they are.

    Where less than 6 % (OFTEN) of the population's candidates meet them, candidate k is drawn from the conditional law;
    where more do, candidate k is the population's own and those who do not meet them fail screening. The cohort states
    the digest of the population as it was given, and all criteria: these and its own (`where`).

    Raises
    ------
    CriteriaError
        As `condition`.
    ScreeningError
        Nearly all who meet the criteria are implausible; the message names the rule.
    """
    clauses = clauses_of(where)
    law = condition(population, where, seed)
    every = " and ".join(clauses_of((*population.blocks.where, *clauses)))

    def said(found: Screening) -> Screening:
        return replace(found, cohort=found.cohort.assign_attrs(population_digest=population.digest, criteria=every))

    if law is not None:
        among = law_of(population, seed).reached.prevalence if population.blocks.where else 1.0
        found = screen(population, twins, seed, draw=law.draw)
        return CriteriaCohort(said(found), clauses, law.reached.prevalence / among, law)
    found = screen(population, twins, seed, tuple(Rule(rule=clause, reason=f"not {clause}") for clause in clauses))
    failed = sum(count for (stage, _), count in found.ledger.items() if stage != "implausible")
    return CriteriaCohort(said(found), clauses, twins / (twins + failed), None)


def condition(population: Population, where: Sequence[str], seed: int) -> Conditional | None:
    """The law of twins that meet criteria, or None where they are common enough to screen for them.

    Raises
    ------
    CriteriaError
        A criterion that cannot be read, or criteria that no twin, or hardly any, meets: the message names the fewest of
        them that cannot be met together. Or a population with quotas, which leave nothing to draw.
    """
    demographics = population.blocks.demographics
    if demographics is not None and demographics.quota:
        why = "fills quotas (demographics.quota), which leave nothing to draw"
        raise CriteriaError(f"{population.name} {why}; drop quota or the criteria")
    clauses = clauses_of((*population.blocks.where, *clauses_of(where)))
    pilot = Pilot.of(population.at_large, clauses, seed)
    if population.blocks.subjects is not None:
        return None
    start, share = pilot.begun()
    return None if share >= OFTEN else _law(pilot, start)


@lru_cache(maxsize=8)
def law_of(population: Population, seed: int) -> Conditional:
    """The law of a population that is itself stated with criteria (`where`).

    Where they are common (OFTEN) the boxes are the whole range, and nothing of the law is missed.

    Raises
    ------
    CriteriaError
        No twin of the population at large, or hardly any, meets the criteria.
    """
    clauses = clauses_of(population.blocks.where)
    pilot = Pilot.of(population.at_large, clauses, seed)
    start, share = pilot.begun()
    if share < OFTEN:
        return _law(pilot, start)
    reached = Reached(pilot.space, Cover.whole(pilot.space.size), share, share, 0.0)
    return Conditional(pilot.population, pilot.reading, clauses, seed, reached)


def _law(pilot: Pilot, start: Round) -> Conditional:
    reached = pilot.approach(start)
    if reached is None:
        raise CriteriaError(_conflict(pilot, start))
    return Conditional(pilot.population, pilot.reading, pilot.clauses, pilot.seed, reached)


def _conflict(pilot: Pilot, start: Round) -> str:
    people = start.people

    def can_be_met(some: tuple[str, ...]) -> bool:
        return bool(all_met(some, people).any()) or replace(pilot, clauses=some).approach(start) is not None

    conflict = smallest_conflict(pilot.clauses, can_be_met)
    # The pilot only shows that people are rare; that nobody can exist follows from the comparisons alone.
    found = "no twin" if exclude(conflict, people) else "hardly any twin"
    who, among = f"{found} of {pilot.population.name} meets", f"among {PILOT} candidates {ranges(conflict, people)}"
    if len(conflict) == 1:
        return f"{who} {conflict[0]!r}; {among}. Correct that criterion"
    said = ", ".join(map(repr, conflict[:-1])) + f" and {conflict[-1]!r}"
    return f"{who} {said} together; {among}. Drop or loosen one of these {len(conflict)}"
