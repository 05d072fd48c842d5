"""What each command of `twinarm populations` does once its words are read: calls, and prints."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ..models.problems import did_you_mean
from . import console
from .cohort_commands import Asked, people_of
from .cohort_files import check_out
from .run_folder import RunError

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def list_command(as_json: bool) -> None:
    """List populations with title and number of variables."""
    from ..cohorts import load_population, population_names

    rows = [(name, load_population(name)) for name in population_names()]
    if as_json:
        console.emit([{"name": n, "title": p.title, "model": p.model, "variables": list(p.variables)} for n, p in rows])
        return
    console.table("", ("name", "title", "model"), [(n, p.title, p.model or "") for n, p in rows])


def fit_command(data: Path, out: Path, asked: Asked, only: tuple[str, ...], towards: str | None, as_json: bool) -> None:
    """Write a population learned from a table, and say from whom."""
    from ..cohorts import load_population
    from ..cohorts.learning.fit import fit_population
    from ..cohorts.learning.people import People
    from ..cohorts.weighted import effective_number

    check_out(out, (".yaml",))
    if not NAME.fullmatch(out.stem):
        raise RunError(f"{out} cannot name a population; use small letters, digits and hyphens, like my-clinic.yaml")
    base = None if towards is None else load_population(towards)
    table, weights = people_of(data, {}, asked)
    for name in only:
        if name not in table:
            known = [str(column) for column in table.data_vars]
            raise RunError(f"--only: {data} has no column {name!r}; {did_you_mean(name, known, ', '.join(known[:12]))}")
    table = table[list(only)] if only else table
    label = f"{data.name}, sha256 {hashlib.sha256(data.read_bytes()).hexdigest()}" if data.is_file() else data.name
    people = People.of(table, weights, data.name)
    fitted = fit_population(people, out.stem, label, base)
    for name in fitted.files:
        if (out.parent / name).exists():
            raise RunError(f"{out.parent / name} is already there; give another --out")
    fitted.write(out.parent)
    said = {
        "rows": people.rows, "effective": round(effective_number(people.weights), 1), "numbers": people.numbers,
        "conditions": people.conditions, "words": list(people.words), "out": str(out),
    }  # fmt: skip
    if as_json:
        console.emit(said)
        return
    console.say(
        f"learned {len(people.numbers)} numbers, {len(people.conditions)} conditions and {len(people.words)} columns "
        f"of words from {people.rows} rows (effective number {effective_number(people.weights):.0f})"
    )
    console.say(f"wrote {', '.join(fitted.files)} to {out.parent}")
