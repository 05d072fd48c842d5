"""This trial beside the published one; if simulated, what was calibrated is told from what was predicted."""

from __future__ import annotations

import numpy as np

from ...models.units import UnitsError, quantity
from ...trials.analysis.survival import kaplan_meier
from ...trials.estimands import Outcome, measure_of, outcome_of
from ...trials.protocol import PublishedValue
from .contents import RunContents
from .drawing import Cell, Datum, Table
from .numbers import MISSING, NBSP, decimals, fixed, number, with_unit

NOTHING = float("nan"), float("nan")


def simulated_value(contents: RunContents, wanted: PublishedValue) -> tuple[float, float]:
    """Our value in the published unit, and its standard error (NaN where it has none)."""
    if wanted.quantity == "effect":
        found = [r for r in contents.analyses if r.name == wanted.endpoint]
        if not found or not contents.passed:
            return NOTHING
        return found[0].interval[1], float(np.std(found[0].draws))
    seen = observed(contents, wanted.endpoint, str(wanted.arm))
    if seen is None or seen[0].y.size < 2:
        return NOTHING
    outcome, unit = seen
    y, n = outcome.y, outcome.y.size
    if wanted.quantity == "median":
        if outcome.event is None:
            return _in_unit(float(np.median(y)), unit, wanted.unit), float("nan")
        curve = kaplan_meier(y, outcome.event)
        return _in_unit(curve.median, unit, wanted.unit), float("nan")
    sd = float(np.std(y, ddof=1))
    value, error = (sd, sd / np.sqrt(2 * (n - 1))) if wanted.quantity == "sd" else (float(y.mean()), sd / np.sqrt(n))
    return _in_unit(value, unit, wanted.unit), _in_unit(float(error), unit, wanted.unit)


def observed(contents: RunContents, endpoint: str, arm: str) -> tuple[Outcome, str] | None:
    """What was observed in one arm, with its unit: as analysed, or as measured where nothing analyses it."""
    data = contents.data.get(endpoint)
    if data is not None and arm in data.arms:
        own = data.treated == data.arms.index(arm)
        return Outcome(data.y[own], None if data.event is None else data.event[own]), data.unit
    if not contents.is_simulated:
        return None
    measure = measure_of(contents.protocol, endpoint)
    rows = np.flatnonzero(contents.subjects["arm"].values.astype(str) == arm)
    outcome = outcome_of(contents.protocol, contents.subjects.isel(subject=rows), measure, ())
    finite = np.isfinite(outcome.y)
    return Outcome(outcome.y[finite], None if outcome.event is None else outcome.event[finite]), measure.unit


def _in_unit(value: float, have: str, want: str) -> float:
    if have == want or not np.isfinite(value):
        return value
    try:
        return quantity(f"{float(value)!r} {'dimensionless' if have == '1' else have}", want)
    except UnitsError:
        return float("nan")


def _with_error(value: float, error: float, places: int) -> str:
    text = fixed(value, places) + (f" ± {fixed(error, places)}" if np.isfinite(error) else "")
    return text.replace(" ", NBSP)


def verdict(wanted: PublishedValue, ours: float) -> str:
    """Met or missed against the accepted range; without a range, ours minus the published one."""
    if not np.isfinite(ours):
        return "not available"
    if wanted.accept is None:
        off = ours - wanted.value
        return f"no range set; {'+' if off > 0 else ''}{number(off, 2)}"
    return "met" if wanted.accept[0] <= ours <= wanted.accept[1] else "MISSED"


def published_tables(contents: RunContents) -> tuple[Table, ...]:
    """One table a published trial."""
    labels = {arm.name: arm.label for arm in contents.protocol.arms}
    tables = []
    for trial in contents.protocol.published:
        rows: list[tuple[Cell, ...]] = []
        marks = []
        for value in trial.values:
            ours, error = simulated_value(contents, value)
            said = verdict(value, ours)
            if said == "MISSED":
                marks.append((len(rows), "fail"))
            elif value.use == "calibration" and contents.is_simulated:
                marks.append((len(rows), "warn"))
            arm = labels.get(value.arm, value.arm) if value.arm else "between arms"
            what = f"{contents.protocol.endpoint(value.endpoint).label}: {value.quantity}, {arm}"
            published = with_unit(number(value.value), value.unit)
            if value.ci95:
                published += f" (95{NBSP}%{NBSP}CI {number(value.ci95[0])} to {number(value.ci95[1])})"
            places = decimals(error) if np.isfinite(error) and error > 0 else decimals(abs(value.value), 3)
            cell: Cell = MISSING
            if np.isfinite(ours):
                cell = Datum(ours, _with_error(ours, error, places))
            accept = f"{number(value.accept[0])} to {number(value.accept[1])}" if value.accept else MISSING
            use: tuple[str, ...] = ()
            if contents.is_simulated:
                use = ("calibration (fit)" if value.use == "calibration" else "validation (prediction)",)
            about = ". ".join(filter(None, (value.provenance, value.note)))
            rows.append((what, published, cell, accept, said, *use, about))
        ours_is = "Simulated" if contents.is_simulated else "In this table"
        uses = ("Use",) if contents.is_simulated else ()
        columns = ("Figure", "Published", f"{ours_is} ± SE, same unit", "Accepted", "Verdict", *uses)
        columns = (*columns, "Provenance and note")
        tables.append(Table(trial.citation, columns, tuple(rows), marks=tuple(marks)))
    return tuple(tables)
