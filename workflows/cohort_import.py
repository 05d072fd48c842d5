"""Patients as twins: variables, words and units are those of a population, faults are named by line or record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from ..cohorts import Population, sample_twins
from ..cohorts.weighted import is_known
from ..models.expressions import evaluate, names
from ..models.model import find_model
from ..models.problems import listed
from .cohort_files import LINE
from .run_folder import RunError

MOST_LINES = 5
KNOWN_BY = 1_000  # twins whose words are those of the population; rare genotypes are not among them


@dataclass(frozen=True)
class Fault:
    """What is wrong in some rows: `rows` are their positions, `lines` where they stand (a line or a record)."""

    said: str
    rows: np.ndarray
    lines: np.ndarray

    def __str__(self) -> str:
        first = ", ".join(str(line) for line in self.lines[:MOST_LINES])
        more = f", … ({self.lines.size} in all)" if self.lines.size > MOST_LINES else ""
        is_numbered = self.lines.dtype.kind in "iu"
        return f"{'line ' if is_numbered else ''}{first}{more}: {self.said}"


@dataclass(frozen=True)
class Imported:
    """Patients as a cohort, and the rows that were left out because of a fault."""

    cohort: xr.Dataset
    read: int
    faults: tuple[Fault, ...]

    @property
    def left_out(self) -> int:
        return self.read - self.cohort.sizes["twin"]


def import_patients(
    path: Path, patients: xr.Dataset, population: Population, keep: tuple[str, ...], leave_out: bool
) -> Imported:
    """Patients that were read in the units of a population, as a cohort with the meanings of its variables.

    `keep` names the variables to take over, all that are there where it is empty.

    Raises
    ------
    RunError
        A variable that the population's model requires is not there; a missing value, an unknown word or an
        implausible value (one line a fault), unless `leave_out` drops these rows.
    """
    model = population.model
    required = tuple(find_model(model).requires) if model else ()
    known = sample_twins(population, np.arange(KNOWN_BY if model is None else 2), 0)
    for name in keep:
        if name not in known:
            raise RunError(f"--keep {name}: {population.name} has no such variable; it has {listed(known.data_vars)}")
        if name not in patients:
            raise RunError(f"--keep {name}: {path} has no values of it; it has {listed(patients.data_vars)}")
    wanted = [str(name) for name in known.data_vars if name in patients and (not keep or name in keep)]
    missing = [name for name in required if name not in wanted]
    if missing:
        raise RunError(f"{path} has no column {listed(missing)}, which the model {model} of {population.name} needs")
    if not wanted:
        raise RunError(
            f"{path} has no variable of {population.name}, which has {listed(known.data_vars)}; say which column is "
            "which (--column), or name another population (--like)"
        )
    lines = patients[LINE].to_numpy() if LINE in patients.coords else np.arange(1, patients.sizes["twin"] + 1)
    faults = tuple(
        Fault(said, rows, lines[rows])
        for said, is_wrong in _faults(path, patients, wanted, known, population)
        if (rows := np.flatnonzero(is_wrong)).size
    )
    if faults and not leave_out:
        hint = "mend the table, or leave these rows out with --leave-out"
        raise RunError("\n".join([*(f"{path}: {fault}" for fault in faults), hint]))
    good = np.ones(patients.sizes["twin"], dtype=bool)
    for fault in faults:
        good[fault.rows] = False
    if not good.any():
        raise RunError(f"{path}: no row is without a fault; the first: {faults[0]}")
    source = {"source": path.name, "provenance": "read"}
    cohort = xr.Dataset(
        {
            name: ("twin", patients[name].to_numpy()[good], {**known[name].attrs, **source})
            for name in known.data_vars
            if name in wanted
        },
        coords={"twin": ("twin", patients["twin"].to_numpy()[good])},
        attrs={"population": population.name, "table": path.name},
    )
    return Imported(cohort, patients.sizes["twin"], faults)


def _faults(
    path: Path, patients: xr.Dataset, wanted: list[str], known: xr.Dataset, population: Population
) -> Iterator[tuple[str, np.ndarray]]:
    """What can be wrong, and in which rows it is."""
    values = {name: patients[name].to_numpy() for name in wanted}
    genotypes = population.blocks.genotypes.attrs if population.blocks.genotypes else {}
    for name, column in values.items():
        there = is_known(column)
        yield f"{name} is missing", ~there
        ours = known[name].to_numpy()
        if (ours.dtype.kind in "UO") != (column.dtype.kind in "UO"):
            kind = "words" if ours.dtype.kind in "UO" else "numbers"
            raise RunError(f"{path}: {name} holds {kind} in {population.name}, and not here; recode the column")
        if ours.dtype.kind in "UO" and population.model is None and name not in genotypes:
            words = sorted(set(ours.tolist()))
            for word in sorted(set(column[there].tolist()) - set(words)):
                yield f"{name} is {word!r}; {population.name} has {', '.join(words)}", column == word
    if "age" in values and values["age"].dtype.kind == "f":
        yield "age outside 0 to 120 years", is_known(values["age"]) & ~((values["age"] >= 0) & (values["age"] <= 120))
    rules = [(rule.rule, f"implausible: {rule.reason}") for rule in population.blocks.plausibility]
    rules += [(text, f"not in {population.name}, which asks for {text}") for text in population.blocks.where]
    for text, said in rules:
        if set(names(text)) <= set(values):
            there = np.logical_and.reduce([is_known(values[name]) for name in names(text)])
            yield said, there & ~np.asarray(evaluate(text, values))
