"""Every number that went in: parameters of the model, variables of the population, with source and provenance."""

from __future__ import annotations

from collections import Counter

import numpy as np
import xarray as xr

from ...cohorts.population_file import PopulationError, load_population
from ...models.model import Model, find_model
from .contents import RunContents
from .drawing import Cell, Datum, Table
from .numbers import MISSING, decimals, fixed, interval, number, with_unit

AT_ONCE = 20_000  # values that are held beside what is asked for
_ORDER = {"recalled": 0, "chosen": 1, "derived": 2, "read": 3}


def model_of(contents: RunContents) -> Model | None:
    """The model of the protocol, None for an analysis of real data."""
    chosen = contents.protocol.model
    return None if chosen is None else find_model(chosen.name)


def population_limits(contents: RunContents) -> tuple[str, ...]:
    """What the population does not represent, in its own words."""
    chosen = contents.protocol.population
    if chosen is None:
        return ()
    try:
        population = load_population(chosen.name)
    except PopulationError:  # a user's own file need not travel with the run
        return (f"Population ({chosen.name}): its file is not at hand; see there for its limits.",)
    return (f"Population ({population.title}): {population.limits}",)


def parameter_rows(contents: RunContents) -> list[tuple[str, tuple[Cell, ...]]]:
    """(provenance, row) of every parameter and variable: the cohort's own values where twins differ."""
    model = model_of(contents)
    cohort = contents.cohort if contents.cohort is not None else xr.Dataset()
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    seen: set[str] = set()
    for p in model.parameters if model else ():
        value: Cell = MISSING if p.typical is None else Datum(p.typical, number(p.typical, 4))
        spread = p.variability
        if p.name in cohort:
            value, spread = _spread(cohort[p.name], value, spread)
        seen.add(p.name)
        about = (spread, f"{p.provenance} (model)", p.source)
        rows.append((p.provenance, (p.name, p.long_name, _in_unit(value, p.unit), *about)))
    names = sorted(map(str, cohort.data_vars), key=str.casefold)  # a store has no order of its own
    for name in names:
        column = cohort[name]
        if name in seen or column.dims != ("twin",):
            continue
        value, spread = _spread(column, MISSING, "")
        a = column.attrs
        provenance = str(a.get("provenance", "not stated"))
        about = (spread, f"{provenance} (population)", str(a.get("source", "not stated")))
        value = _in_unit(value, str(a.get("units", "")))
        rows.append((provenance, (name, str(a.get("long_name", "")), value, *about)))
    return sorted(rows, key=lambda row: _ORDER.get(row[0], -1))


def _in_unit(value: Cell, unit: str) -> Cell:
    return Datum(value.value, with_unit(value.text, unit)) if isinstance(value, Datum) else value


def _spread(column: xr.DataArray, value: Cell, spread: str) -> tuple[Cell, str]:
    """Median and 5 to 95 % of the twins; the shares of words."""
    if column.dtype.kind not in "fiu":
        parts = (column[first : first + AT_ONCE].values for first in range(0, column.size, AT_ONCE))
        counts = sum((Counter(map(str, part.tolist())) for part in parts), Counter[str]())
        shares = ((word.replace("_", " "), 100 * n / column.size) for word, n in sorted(counts.items()))
        return value, ", ".join(f"{word} {share:.0f} %" for word, share in shares)
    finite = _finite(column)
    if not finite.size:
        return value, spread
    is_whole = not any((part % 1).any() for part in np.split(finite, range(AT_ONCE, finite.size, AT_ONCE)))
    low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95], overwrite_input=True)
    if low == high:
        return Datum(float(middle), number(float(middle), 4)), spread or "the same in every twin"
    places = 0 if is_whole else decimals(float(high - low) / 3, 3)
    seen = f"twins: {interval(float(low), float(high), places)}"
    return Datum(float(middle), fixed(float(middle), places)), f"{spread}; {seen}" if spread else seen


def parameter_tables(contents: RunContents) -> tuple[Table, Table, str]:
    """Recalled and chosen values; the others; and how many there are of each kind."""
    rows = parameter_rows(contents)
    columns = ("Name", "What it is", "Typical or median", "Between twins", "Provenance", "Source")
    weak = [row for tag, row in rows if tag not in {"read", "derived"}]
    firm = [row for tag, row in rows if tag in {"read", "derived"}]
    counts = [f"{sum(tag == t for tag, _ in rows)} {t}" for t in ("recalled", "chosen", "derived", "read")]
    marks = tuple((k, "warn") for k in range(len(weak)))
    title = "Recalled and chosen values: not checked against a source, or set by judgement"
    return (
        Table(title, columns, tuple(weak), marks=marks),
        Table("Values read in a source or derived from one", columns, tuple(firm)),
        ", ".join(counts),
    )


def _finite(column: xr.DataArray) -> np.ndarray:
    """The finite values of a column, in an array of their own, with no more than a piece of it beside them."""
    found, count = np.empty(column.size), 0
    for first in range(0, column.size, AT_ONCE):
        part = column[first : first + AT_ONCE].values.astype(float)
        part = part[np.isfinite(part)]
        found[count : count + part.size] = part
        count += part.size
    return found[:count]
