"""`twinarm cohort sample`: twins of a population to a file, block by block, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pydantic import ValidationError

from ..cohorts.population import Population
from . import console
from .cohort_files import check_out, write_blocks, write_cohort
from .run_folder import RunError

FEWEST = 1000  # twins below which a moved correlation is chance
MOST_CANDIDATES = 20_000  # chosen: a rank correlation of so many is certain to 0.007, and drawn in seconds
TOLD = 0.02  # change of a rank correlation from which it is said what the rejection of candidates did


@dataclass(frozen=True)
class Wanted:
    """What is asked for: how many, from which seed, who (criteria, a target of demographics), how many draws."""

    twins: int
    seed: int
    where: tuple[str, ...]
    demographics: str
    quota: bool
    draws: int


def sample_command(name: str, wanted: Wanted, out: Path, as_json: bool) -> None:
    """Write a cohort, and say how it was found and what it cost."""
    from ..cohorts import load_population

    check_out(out)
    population = with_demographics(load_population(name), wanted.demographics, wanted.quota)
    said: dict[str, Any] = {"twins": wanted.twins, "out": str(out), "population": population.name, "seed": wanted.seed}
    said |= _criteria(population, wanted, out) if wanted.where else _whole(population, wanted, out)
    if as_json:
        console.emit(said)
        return
    if wanted.where:
        console.say(f"{100 * said['prevalence']:.3g} % of {population.name} meet {' and '.join(said['criteria'])}")
        if "acceptance" in said:
            console.say(
                f"drawn from the conditional law: {100 * said['acceptance']:.0f} % of proposals accepted, "
                f"about {100 * said['missed']:.2g} % of the law not reached"
            )
        console.say(f"effective sample size {said['effective']:.0f} of {wanted.twins} (independent draws, no weights)")
    elif said["correlation_lost"] > TOLD and wanted.twins >= FEWEST:
        one, two = said["correlation_lost_of"]
        console.say(
            f"{100 * said['rejected']:.2g} % of candidates are implausible; leaving them out moves rank correlations "
            f"by up to {said['correlation_lost']:.3f} ({one} and {two})"
        )
    each = f", {wanted.twins} for each of {wanted.draws} draws of its parameters" if wanted.draws else ""
    console.say(f"wrote {wanted.twins * max(wanted.draws, 1)} twins to {out}{each}")


def with_demographics(population: Population, target: str, quota: bool) -> Population:
    """The population with the margins of a census target or of a plan (a .csv file), and places by quota if wanted."""
    from ..cohorts.blocks.demographics import Demographics
    from ..cohorts.blocks.tables import TableError, read_table
    from ..cohorts.likeness.representation import MARGINS, targets

    if not target and not quota:
        return population
    if population.blocks.demographics is None:
        raise RunError(f"{population.name} has no demographics: --demographics and --quota cannot be used")
    fields: dict[str, Any] = {"quota": True} if quota else {}
    if target:
        is_file = target.endswith(".csv")
        if not is_file and target not in targets():
            known = ", ".join(targets())
            raise RunError(f"--demographics: {target!r} is no .csv file and no target; targets are {known}")
        if is_file and not Path(target).is_file():
            raise RunError(f"--demographics: there is no file {target}; give its path from the working folder")
        fields |= {"margins": read_table(Path(target) if is_file else MARGINS)}
        fields |= {} if is_file else {"target": target}
    try:
        return population.changed(demographics=(population.demographics or Demographics()).changed(**fields))
    except ValidationError as error:
        option = f"--demographics {target}" if target else "--quota"
        raise TableError(f"{option}: {error.errors()[0]['msg']}") from None


def _criteria(population: Population, wanted: Wanted, out: Path) -> dict[str, Any]:
    from ..cohorts import sample_criteria

    if wanted.draws:
        raise RunError("--where and --population-draws cannot stand together; drop one of them")
    found = sample_criteria(population, wanted.where, wanted.twins, wanted.seed)
    write_cohort(out, found.cohort)
    said = {"criteria": list(found.clauses), "prevalence": found.prevalence, "effective": found.effective}
    if found.law is not None:
        said |= {"acceptance": found.law.reached.acceptance, "missed": found.law.reached.missed}
    return said


def _whole(population: Population, wanted: Wanted, out: Path) -> dict[str, Any]:
    from ..cohorts.screening import correlation_lost

    if wanted.draws and not population.blocks.uncertain:
        raise RunError(f"{population.name} states no uncertain parameters; drop --population-draws")
    counts: dict[int, int] = {}
    write_blocks(out, _blocks(population, wanted, counts), wanted.twins * max(wanted.draws, 1))
    lost, one, two = correlation_lost(population, wanted.seed, min(sum(counts.values()), MOST_CANDIDATES))
    rejected = 1 - wanted.twins * max(wanted.draws, 1) / sum(counts.values())
    return {"rejected": rejected, "correlation_lost": lost, "correlation_lost_of": [one, two]}


def _blocks(population: Population, wanted: Wanted, counts: dict[int, int]) -> Iterator[xr.Dataset]:
    """The cohort block by block, for each population draw in turn; `counts` gets the candidates of each."""
    from ..cohorts.sampling import sample_twins
    from ..cohorts.screening import screened

    for draw in range(wanted.draws) if wanted.draws else (None,):
        sampled = partial(sample_twins, population, seed=wanted.seed, population_draw=draw)
        for block in screened(population, wanted.twins, wanted.seed, draw=sampled):
            counts[draw or 0] = block.candidates
            cohort = block.cohort
            if draw is not None:
                attrs = {"units": "1", "long_name": "draw of the population's parameters", "source": "population"}
                cohort = cohort.assign(population_draw=("twin", np.full(cohort.sizes["twin"], draw), attrs))
            yield cohort
