"""From candidates to a cohort: the first N in id order that are plausible and eligible, and a ledger of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from ..models.expressions import ExpressionError, is_true, names
from .population import Population
from .sampling import sample_twins

# Why a candidate is not in the cohort: by a rule of its population, of the trial's eligibility, or on its simulated
# baseline; in the order in which they are applied.
STAGES = IMPLAUSIBLE, SCREEN_FAILURE, IMPLAUSIBLE_BASELINE = "implausible", "screen failure", "implausible baseline"
Rule = tuple[str, str, str]  # stage, rule, reason

# Candidates are looked at in blocks: no fewer at a time, and no more, so that memory stays bounded.
BLOCK = 1_000
LARGEST_BLOCK = 5_000
# Fewer than 1 candidate in 10,000 accepted ends the scan; judged from 20,000 candidates on.
FEWEST = 1e-4
JUDGED_FROM = 20_000


class EligibilityRule(Protocol):
    """Anything with a rule (what must be true of a twin) and a reason (what the ledger says where it is not)."""

    @property
    def rule(self) -> str: ...

    @property
    def reason(self) -> str: ...


@dataclass(frozen=True)
class SimulatedRules:
    """Plausibility rules on what a simulation adds to twins that have passed every other rule.

    A twin that `simulate` leaves without a number (NaN) passes: it fails in the trial, where it is counted with its
    reason.
    """

    rules: Sequence[EligibilityRule]
    simulate: Callable[[xr.Dataset], xr.Dataset]


class ScreeningError(ValueError):
    """A rule that cannot be applied, or that leaves too few twins."""


@dataclass(frozen=True)
class Screening:
    """The cohort, how many candidates were looked at, and why each of the others is not in it.

    `ledger` counts candidates by (stage, reason), stages as in `STAGES`; a candidate counts once, under the first rule
    it fails. The counts and the cohort add up to `candidates`: the last accepted id + 1.
    """

    cohort: xr.Dataset
    candidates: int
    ledger: dict[tuple[str, str], int]


def screen(
    population: Population,
    twins_wanted: int,
    seed: int,
    eligibility: Sequence[EligibilityRule] = (),
    draw: Callable[[np.ndarray], xr.Dataset] | None = None,
    simulated: SimulatedRules | None = None,
) -> Screening:
    """The first `twins_wanted` candidates that pass every plausibility rule, every eligibility rule, and then the rules
    on what is simulated of them.

    Depends on its arguments alone: the first N of a larger cohort are the cohort of N. `draw` gives the candidates
    with given ids where they come from another law than the population's own (a conditional one, or one draw of its
    uncertain parameters).

    Raises
    ------
    ScreeningError
        A rule reads an unknown variable or is not true or false (correct it), or fewer than 1 candidate in 10,000
        passes (the message names the rule that turns away most).
    """
    blocks = list(screened(population, twins_wanted, seed, eligibility, draw, simulated))
    kept = [block.cohort for block in blocks]
    cohort = kept[0] if len(kept) == 1 else xr.concat(kept, dim="twin", combine_attrs="override")
    return Screening(cohort, blocks[-1].candidates, blocks[-1].ledger)


def screened(
    population: Population,
    twins_wanted: int,
    seed: int,
    eligibility: Sequence[EligibilityRule] = (),
    draw: Callable[[np.ndarray], xr.Dataset] | None = None,
    simulated: SimulatedRules | None = None,
) -> Iterator[Screening]:
    """The same block by block, in bounded memory: each with its own twins, and the candidates and ledger so far."""
    if twins_wanted < 1:
        raise ScreeningError(f"{twins_wanted} twins are wanted; ask for at least 1")
    rules = [(IMPLAUSIBLE, r.rule, r.reason) for r in population.blocks.plausibility]
    rules += [(SCREEN_FAILURE, r.rule, r.reason) for r in eligibility]
    later = [(IMPLAUSIBLE_BASELINE, r.rule, r.reason) for r in simulated.rules] if simulated else []
    ledger = {(stage, reason): 0 for stage, _, reason in (*rules, *later)}
    accepted = scanned = 0
    while accepted < twins_wanted:
        size = min(max(BLOCK, twins_wanted - accepted), LARGEST_BLOCK)
        ids = np.arange(scanned, scanned + size)
        twins = sample_twins(population, ids, seed) if draw is None else draw(ids)
        failed = _first_failed(population.name, rules, twins)
        if simulated is not None and later:
            _judge_simulated(population.name, simulated, later, twins, failed, len(rules), twins_wanted - accepted)
        chosen = np.flatnonzero(failed < 0)[: twins_wanted - accepted]
        accepted += chosen.size
        end = int(chosen[-1]) + 1 if accepted == twins_wanted else size
        for index, (stage, _, reason) in enumerate((*rules, *later)):
            ledger[stage, reason] += int(np.count_nonzero(failed[:end] == index))
        scanned += end
        yield Screening(twins.isel(twin=chosen), scanned, dict(ledger))
        if accepted < twins_wanted and scanned >= JUDGED_FROM and accepted < FEWEST * scanned:
            raise ScreeningError(_too_few(population.name, twins_wanted, accepted, scanned, ledger))


def _judge_simulated(
    name: str, simulated: SimulatedRules, rules: Sequence[Rule], twins: xr.Dataset, failed: np.ndarray, first: int,
    wanted: int,
) -> None:  # fmt: skip
    """Simulate those who have passed, in the order of their ids, until `wanted` pass these rules too; the others'
    entries of `failed` become the number of the rule, counted from `first`."""
    waiting = np.flatnonzero(failed < 0)
    while waiting.size and wanted > 0:
        batch, waiting = waiting[:wanted], waiting[wanted:]
        found = simulated.simulate(twins.isel(twin=batch))
        added = {word for _, rule, _ in rules for word in names(rule)} & (set(found.data_vars) - set(twins.data_vars))
        unknown = np.any([np.isnan(found[variable].to_numpy()) for variable in added], axis=0)
        broken = np.where(unknown, -1, _first_failed(name, rules, found))
        failed[batch] = np.where(broken < 0, -1, first + broken)
        wanted -= int(np.count_nonzero(broken < 0))


def correlation_lost(population: Population, seed: int, candidates: int = JUDGED_FROM) -> tuple[float, str, str]:
    """How far turning away implausible candidates moves a rank correlation, at most: (change, variable, variable).

    Limits of a variable (`within`) cut its law under the same normal score and move none. Rules about several variables
    do: this says by how much, from the candidates 0 .. `candidates` - 1, all of them against those that pass.
    """
    twins = sample_twins(population, np.arange(candidates), seed)
    rules = [(IMPLAUSIBLE, r.rule, r.reason) for r in population.blocks.plausibility]
    passed = _first_failed(population.name, rules, twins) < 0
    values = {
        str(name): v.to_numpy()
        for name, v in twins.data_vars.items()
        if v.dtype.kind == "f" and np.ptp(v.to_numpy()[passed]) > 0
    }
    if len(values) < 2 or passed.all():
        return 0.0, "", ""
    columns = np.array(list(values.values()))
    moved = np.abs(np.corrcoef(rankdata(columns, axis=1)) - np.corrcoef(rankdata(columns[:, passed], axis=1)))
    i, j = np.unravel_index(moved.argmax(), moved.shape)
    variables = list(values)
    return float(moved[i, j]), variables[i], variables[j]


def _first_failed(name: str, rules: Sequence[Rule], twins: xr.Dataset) -> np.ndarray:
    """Number of the first rule that each twin fails, -1 where it fails none."""
    failed = np.full(twins.sizes["twin"], -1)
    variables = {str(key): values.to_numpy() for key, values in twins.data_vars.items()}
    for index, (stage, rule, _) in enumerate(rules):
        kind = "eligibility" if stage == SCREEN_FAILURE else "plausibility"
        try:
            passed = is_true(rule, variables)
        except ExpressionError as error:
            raise ScreeningError(f"{kind} rule {rule!r} of population {name}: {error}") from None
        failed[(failed < 0) & ~passed] = index
    return failed


def _too_few(name: str, wanted: int, accepted: int, scanned: int, ledger: dict[tuple[str, str], int]) -> str:
    (stage, reason), count = max(ledger.items(), key=lambda item: item[1])
    return (
        f"{accepted} of the first {scanned} candidates of {name} pass, {wanted} are wanted: fewer than 1 in 10,000; "
        f"most ({count}) are turned away as {stage}: {reason!r}. Loosen that rule or choose another population"
    )
