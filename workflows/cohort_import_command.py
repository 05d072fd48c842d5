"""What `twinarm cohort import` does: a table or FHIR bundles in, a cohort out, and everything left out is counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import xarray as xr

from . import console
from .cohort_commands import Asked, people_of, units_of
from .cohort_files import check_out, write_cohort
from .run_folder import RunError

MOST_SHOWN = 20


@dataclass(frozen=True)
class Wanted:
    """Which variables to take over, on which day (FHIR), and whether what is at fault is left out."""

    keep: tuple[str, ...]
    on: str
    leave_out: bool


def import_command(source: Path, population: str, out: Path, asked: Asked, wanted: Wanted, as_json: bool) -> None:
    """Write the patients of a table or of FHIR bundles as a cohort, and count what was left out."""
    from ..cohorts import load_population, sample_twins
    from .cohort_import import import_patients
    from .fhir import is_fhir

    check_out(out)
    chosen = load_population(population)
    known = sample_twins(chosen, [], 0)
    records: dict[str, Any] = {}
    if is_fhir(source):
        patients, records = _from_bundles(source, known, asked, wanted)
    elif wanted.on:
        raise RunError("--on is for FHIR bundles; a table has one row a person")
    else:
        patients, _ = people_of(source, units_of(known), asked)
    found = import_patients(source, patients, chosen, wanted.keep, wanted.leave_out)
    write_cohort(out, found.cohort)
    if as_json:
        faults = [{"fault": fault.said, "lines": fault.lines.tolist()} for fault in found.faults]
        console.emit({"read": found.read, "left_out": found.left_out, "faults": faults, "out": str(out), **records})
        return
    for fault in found.faults:
        console.complain(f"{source}: {fault}")
    for said, count in records.get("counted", {}).items():
        console.say(f"{count} {said}")
    if records:
        console.say(f"{records['records']} records read, {len(records['record_faults'])} with faults left out")
    variables = ", ".join(map(str, found.cohort.data_vars))
    kind = "patients" if records else "rows"
    console.say(f"{found.read} {kind} read, {found.left_out} left out; variables {variables}")
    console.say(f"wrote {found.cohort.sizes['twin']} twins to {out}")


def _from_bundles(source: Path, known: xr.Dataset, asked: Asked, wanted: Wanted) -> tuple[xr.Dataset, dict[str, Any]]:
    """Patients of bundles, and what is to be told of the records; faults end it unless they are to be left out."""
    from .fhir import read_bundles

    if asked.columns or asked.levels:
        raise RunError("--column and --level are for tables; FHIR says by its codes what a value is")
    try:
        day = date.fromisoformat(wanted.on) if wanted.on else None
    except ValueError:
        raise RunError(f"--on {wanted.on!r} is no day; write it as 2024-05-31") from None
    units = {str(name): str(values.attrs["units"]) for name, values in known.data_vars.items()}
    patients, found = read_bundles(source, units, day)
    if found.faults:
        more = len(found.faults) - MOST_SHOWN
        lines = found.faults[:MOST_SHOWN] + ([f"… and {more} more records with faults"] if more > 0 else [])
        if not wanted.leave_out:
            hint = f"{len(found.faults)} of {found.read} records have faults: mend them, or add --leave-out"
            raise RunError("\n".join([*lines, hint]))
        for line in lines:
            console.complain(line)
    return patients, {"records": found.read, "record_faults": found.faults, "counted": dict(found.counted)}
