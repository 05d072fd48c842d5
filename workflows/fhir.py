"""Patients of FHIR R4 bundles as people: Patient for age, sex and race/ethnicity, Observation for measured values.

A record that cannot be read is named by file and place and counted, never dropped in silence. The latest value of each
variable is taken, and age is that on the day of a patient's latest value (or both at a day that is given). Later is by
the whole time with its zone; a day without a time stands at its noon (UTC), a month or year at its middle; of values of
one moment the largest is taken, so that the order of records never matters. Days are those that a record states, in its
own zone. Observations are found by LOINC code (`fhir_codes.csv`); records of other kinds are counted and left.

Source: HL7 FHIR R4 (hl7.org/fhir/R4), US Core extensions for race and ethnicity.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .cohort_files import LINE
from .fhir_units import INSTALL, UnitFault, converted
from .run_folder import RunError

SUFFIXES = (".json", ".ndjson")
_CODES = Path(__file__).parent / "fhir_codes.csv"
_LOINC = "http://loinc.org"
_RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
_ETHNICITY = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity"
_HISPANIC = "2135-2"
_RACES = {"2106-3": "nh_white", "2054-5": "nh_black", "2028-9": "nh_asian"}
_VOID = ("entered-in-error", "cancelled")
MOST_BYTES = 2**30


@dataclass(frozen=True)
class Code:
    """A variable that an Observation with one of these codes measures; molar mass in g/mol where it has one."""

    variable: str
    molar_mass: float | None


@dataclass(frozen=True, order=True)
class Reading:
    """A value and when it was taken, the latest last; `day` is as stated, empty where no time is."""

    moment: datetime
    value: float
    day: str


@dataclass
class Bundles:
    """What was read: values by patient and variable, records with faults, and what else was counted."""

    patients: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, Reading]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    read: int = 0


def is_fhir(path: Path) -> bool:
    """Whether a path is a bundle, a file of one resource a line, or a folder of these."""
    return path.suffix in SUFFIXES or (path.is_dir() and path.suffix != ".zarr")


def read_bundles(path: Path, units: Mapping[str, str], at: date | None = None) -> tuple[xr.Dataset, Bundles]:
    """Patients as rows in the units of a population (variable -> unit), and what was found on the way.

    Raises
    ------
    RunError
        No such file, no file of these kinds in the folder, no patient at all, or the extra `fhir` is not installed.
    """
    if not path.exists():
        raise RunError(f"{path}: there is no such file; give a FHIR bundle (.json), .ndjson or a folder of these")
    files = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise RunError(f"{path} holds no .json and no .ndjson file; give FHIR bundles")
    found, later = Bundles(), []
    for file in files:
        for place, record in _records(file, found):
            found.read += 1
            kind = record.get("resourceType")
            if kind not in ("Patient", "Observation"):
                found.counted[f"{kind} records are not read"] += 1
            elif (said := _malformed(record, kind)) is not None:
                found.faults.append(f"{place}: {said}")
            elif kind == "Patient":
                _take_patient(place, record, found)
            else:
                later.append((place, record))
    for place, record in later:
        _take_observation(place, record, units, at, found)
    if not found.patients:
        why = f"; the first fault: {found.faults[0]}" if found.faults else ""
        raise RunError(f"{path} has no patient that can be read{why}")
    return _as_people(found, units, at), found


def _records(file: Path, found: Bundles) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each resource of a file with its place; a file or line that is no JSON is a fault."""
    if file.stat().st_size > MOST_BYTES:
        raise RunError(f"{file} has more than {MOST_BYTES // 2**20} MB; part it")
    content = file.read_bytes().decode("utf-8-sig", errors="replace")
    texts = content.splitlines() if file.suffix == ".ndjson" else [content]
    for number, text in enumerate(texts, start=1):
        where = f"{file.name}:{number}" if file.suffix == ".ndjson" else file.name
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            found.read += 1
            found.faults.append(f"{where}: is no JSON: {error}")
            continue
        if not isinstance(record, dict) or "resourceType" not in record:
            found.read += 1
            found.faults.append(f"{where}: has no resourceType; a FHIR resource or bundle is needed")
        elif record["resourceType"] == "Bundle":
            yield from _entries(where, record, found)
        else:
            yield where, record


def _entries(where: str, bundle: dict[str, Any], found: Bundles) -> Iterator[tuple[str, dict[str, Any]]]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        found.read += 1
        found.faults.append(f"{where}: entry is no list")
        return
    for number, entry in enumerate(entries):
        record = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(record, dict) and isinstance(record.get("resourceType"), str):
            # In a transaction a record may be known by its fullUrl alone.
            if record.get("id") is None and isinstance(entry.get("fullUrl"), str):
                record = {**record, "id": entry["fullUrl"].rsplit(":", 1)[-1].rsplit("/", 1)[-1]}
            yield f"{where}: entry[{number}]", record
        else:
            found.read += 1
            found.faults.append(f"{where}: entry[{number}]: has no resource with a resourceType")


def _malformed(record: dict[str, Any], kind: str) -> str | None:
    """What the FHIR specification does not allow in a record, in words; None where all is well."""
    try:
        from fhir.resources.R4B import get_fhir_model_class
    except ImportError:
        raise RunError(INSTALL) from None
    try:
        get_fhir_model_class(kind).model_validate(record)
    except ValueError as error:
        details = error.errors() if hasattr(error, "errors") else [{"loc": (), "msg": str(error)}]
        first = details[0]
        where = ".".join(str(part) for part in first["loc"])
        said = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        more = f" ({len(details)} faults in all)" if len(details) > 1 else ""
        return f"{kind}/{record.get('id', '?')}: {where or 'record'}: {said[0].lower() + said[1:]}{more}"
    return None


def _take_patient(place: str, record: dict[str, Any], found: Bundles) -> None:
    name = record.get("id")
    if name is None:
        found.faults.append(f"{place}: Patient has no id, so that nothing can refer to it")
    elif name in found.patients:
        found.faults.append(f"{place}: Patient/{name} is there twice, first at {found.places[name]}")
    else:
        found.patients[name], found.places[name] = record, place


def read_codes() -> tuple[tuple[str, tuple[str, ...], float | None], ...]:
    """Variable, LOINC codes and molar mass (g/mol, None where an amount of substance means nothing), a row each."""
    with _CODES.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return tuple(
        (r["variable"], tuple(r["loinc"].split()), float(r["molar_mass"]) if r["molar_mass"] else None) for r in rows
    )


@cache
def _codes() -> dict[str, Code]:
    return {code: Code(variable, mass) for variable, codes, mass in read_codes() for code in codes}


def _take_observation(
    place: str, record: dict[str, Any], units: Mapping[str, str], at: date | None, found: Bundles
) -> None:
    """Keep what an Observation measures, its own value and those of its components, unless a later one is there."""
    where = f"{place}: Observation/{record.get('id', '?')}"
    if record["status"] in _VOID:
        found.counted[f"Observation records are {record['status']}"] += 1
        return
    measured = [(code, part) for part in (record, *record.get("component", ())) if (code := _code_of(part)) is not None]
    known = [(code, part) for code, part in measured if code.variable in units]
    if not known:
        found.counted["Observation records measure nothing that the population has"] += 1
        return
    reference = str(record.get("subject", {}).get("reference", ""))
    patient = reference.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    if patient not in found.patients:
        found.faults.append(f"{where}: its subject {reference or '(none)'} is no patient that was read")
        return
    stated = _stated(record)
    day = stated[:10]
    if at is not None and day > at.isoformat():
        found.counted[f"Observation records are later than {at}"] += 1
        return
    own = found.values.setdefault(patient, {})
    for code, part in known:
        try:
            value = _value_of(part, code, units[code.variable])
        except UnitFault as fault:
            found.faults.append(f"{where}: {code.variable} {fault}")
            continue
        if value is None:
            found.counted["values are absent, with a reason"] += 1
            continue
        reading = Reading(_moment(stated), value, day)
        if code.variable in own:
            found.counted["values are older than another of the same patient and variable"] += 1
        own[code.variable] = max(reading, own.get(code.variable, reading))


def _code_of(part: dict[str, Any]) -> Code | None:
    codings = part.get("code", {}).get("coding", [])
    ours = (_codes().get(c.get("code", "")) for c in codings if c.get("system") == _LOINC)
    return next((code for code in ours if code is not None), None)


def _stated(record: dict[str, Any]) -> str:
    """When an observation was made, as far as it is stated: a year, month, day or time; empty where it is not."""
    period = record.get("effectivePeriod", {})
    stated = (record.get("effectiveDateTime"), record.get("effectiveInstant"), period.get("end"), period.get("start"))
    return str(next((moment for moment in (*stated, record.get("issued")) if moment), ""))


def _moment(stated: str) -> datetime:
    """A stated time to put values in order; noon keeps a day between the times of its neighbours in any zone."""
    if not stated:
        return datetime.min.replace(tzinfo=UTC)
    if "T" in stated:
        return datetime.fromisoformat(stated.replace(":60", ":59"))  # a leap second is no time of `datetime`
    return datetime(*_whole(stated), 12, tzinfo=UTC)


def _value_of(part: dict[str, Any], code: Code, unit: str) -> float | None:
    quantity = part.get("valueQuantity")
    if quantity is None:
        if "dataAbsentReason" in part:
            return None
        other = next((key for key in part if key.startswith("value")), None)
        raise UnitFault(f"has {other} in place of valueQuantity" if other else "has no value and no dataAbsentReason")
    value = quantity.get("value")
    if value is None or quantity.get("comparator"):
        shown = " ".join(str(quantity.get(key, "")) for key in ("comparator", "value")).strip()
        raise UnitFault(f"is {shown or 'empty'}, which is no number")
    ucum = quantity.get("code") or quantity.get("unit") or ""
    return converted(float(value), str(ucum), unit, code.molar_mass, code.variable == "hba1c")


def _as_people(found: Bundles, units: Mapping[str, str], at: date | None) -> xr.Dataset:
    names = list(found.patients)
    measured = sorted({variable for own in found.values.values() for variable in own})
    columns: dict[str, Any] = {}
    if "age" in units:
        columns["age"] = np.array([_age_of(name, found, at) for name in names])
    if "sex" in units:
        genders = [str(found.patients[name].get("gender", "")) for name in names]
        columns["sex"] = np.array([gender if gender in ("female", "male") else "" for gender in genders])
    if "race_ethnicity" in units:
        races = np.array([_race_of(found.patients[name]) for name in names])
        columns |= {"race_ethnicity": races} if (races != "").any() else {}
    for variable in measured:
        own = [found.values.get(name, {}).get(variable) for name in names]
        columns[variable] = np.array([np.nan if reading is None else reading.value for reading in own])
    places = np.array([f"Patient/{name} ({found.places[name]})" for name in names])
    return xr.Dataset(
        {name: ("twin", values, {"units": units[name]}) for name, values in columns.items()},
        coords={"twin": ("twin", np.arange(len(names), dtype=np.int64)), LINE: ("twin", places)},
    )


def _age_of(name: str, found: Bundles, at: date | None) -> float:
    """Age in whole years on the day that is given or of the latest value; NaN where one of the two is not known."""
    born = str(found.patients[name].get("birthDate", ""))
    latest = max(found.values.get(name, {}).values(), default=None)
    day = at.isoformat() if at is not None else latest.day if latest is not None else ""
    if not born or not day:
        return math.nan
    if len(born) < 10 or len(day) < 10:
        found.counted["ages are from a birth date or day without month or day, taken as their middle"] += 1
    (birth_year, *birth_rest), (year, *rest) = _whole(born), _whole(day)
    return float(year - birth_year - (rest < birth_rest))


def _whole(day: str) -> tuple[int, int, int]:
    parts = [int(part) for part in day.split("-")]
    year, month, number = (*parts, *(0,) * (3 - len(parts)))
    return year, month or 7, number or (1 if not month else 15)


def _race_of(patient: dict[str, Any]) -> str:
    """Race and ethnicity as the populations of the library have it; empty where US Core says nothing."""
    said: dict[str, list[str]] = {_RACE: [], _ETHNICITY: []}
    for extension in patient.get("extension", []):
        for inner in extension.get("extension", []):
            if extension.get("url") in said and inner.get("url") == "ombCategory":
                said[extension["url"]].append(inner.get("valueCoding", {}).get("code", ""))
    races = said[_RACE]
    if _HISPANIC in said[_ETHNICITY]:
        return "hispanic"
    return "" if not races else _RACES.get(races[0], "nh_other") if len(races) == 1 else "nh_other"
