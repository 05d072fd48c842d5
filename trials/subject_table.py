"""The table of a real trial becomes data of an analysis: one row a subject, columns named by the protocol's `data`.

A subject whose outcome or covariate is missing is left out of that analysis and counted. `csv_table` says what a file
may look like; all faults of a file are reported together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..models.expressions import evaluate
from ..models.problems import Problem, did_you_mean, listed, one_line, shown
from ..models.units import UnitsError, quantity
from .analysis.catalogue import catalogue_model
from .analysis.data import AnalysisData, Array, Kind
from .csv_table import Check, Table, TableError, read_table
from .estimands import as_columns
from .measures import variable_name
from .protocol import Analysis, DataEndpoint, DataMap, Protocol

_OUTCOMES: Mapping[str, Check | None] = {
    "continuous": None,
    "binary": Check(lambda v: v in (0.0, 1.0), "0 or 1", "say in 'levels' which word or number is 0 and which is 1"),
    "count": Check(lambda v: v >= 0 and v % 1 == 0, "a count 0, 1, 2, ...", "correct the table"),
    "time-to-event": Check(lambda v: v >= 0, "a time of 0 or more", "correct the table, or leave the cell empty"),
}
_EXPOSURE = Check(lambda v: v > 0, "a time above 0", "correct the table, or leave the cell empty")
_EVENT = Check(
    lambda v: v in (0.0, 1.0), "0 (censored) or 1 (event)", "say in 'event_levels' which is 0 and which is 1"
)


@dataclass(frozen=True)
class RealTrial:
    """A table as it is analysed and shown.

    `data` are by endpoint, of the subjects that an analysis takes. `subjects` (subject,) are all rows of the table:
    `arm`, the outcomes under their endpoints' names with `_event` and `_exposure`, and `covariate_<name>`, numbers with
    NaN or words with "" where missing.
    """

    data: Mapping[str, AnalysisData]
    subjects: xr.Dataset


@dataclass(frozen=True)
class _Seen:
    """The outcome of one endpoint in every subject, NaN where missing; times in days."""

    kind: Kind
    unit: str
    y: Array
    event: Array | None
    exposure: Array | None

    @property
    def columns(self) -> list[Array]:
        return [column for column in (self.y, self.event, self.exposure) if column is not None]


def read_subject_table(path: str | Path, protocol: Protocol) -> RealTrial:
    """The data of every analysis of a protocol whose endpoint the table holds.

    Times are converted to days from the unit the protocol states (days where it states none). A protocol of several
    experimental arms compares the first with control.

    Raises
    ------
    TableError
        Everything that is wrong with the file, one line each: file, line, column, value, what to do.
    """
    if protocol.data is None:
        raise TableError(
            [Problem(("data",), "nothing", "a block that names the columns", "add 'data:' to the protocol")]
        )
    table, mapped = read_table(Path(path)), protocol.data
    arm = _arms(table, mapped)
    _unique_subjects(table, mapped)
    covariates = _covariates(table, mapped)
    _check_rules(table, protocol, covariates)
    found: dict[str, AnalysisData] = {}
    variables: dict[str, Any] = {"arm": ("subject", np.array(arm, dtype=np.str_))}
    for analysis in protocol.analyses:
        if analysis.endpoint not in mapped.endpoints:
            continue
        seen = _outcome(table, protocol, mapped.endpoints[analysis.endpoint], analysis)
        columns = _adjusted(table, mapped, analysis, covariates)
        if seen is None or table.faults:  # what follows would only repeat them
            continue
        data = _analysis_data(table, protocol, analysis, seen, columns, arm)
        if data is not None:
            found[analysis.endpoint] = data
        variables |= _variables(protocol, analysis, seen)
    table.raise_faults()
    variables |= {f"covariate_{name}": ("subject", values) for name, values in covariates.items()}
    return RealTrial(found, xr.Dataset(variables, coords={"subject": np.arange(len(arm))}))


def _arms(table: Table, mapped: DataMap) -> list[str]:
    """The arm of every subject by its name in the protocol; empty where the cell cannot be read."""
    cells = table.column(mapped.arm, "the arms") or []
    for i, cell in enumerate(cells):
        if cell not in mapped.arms:
            fix = did_you_mean(cell, mapped.arms, f"add {shown(cell)} to 'data: arms' of the protocol")
            table.fault(mapped.arm, shown(cell or None), f"an arm: {listed(mapped.arms)}", fix, i)
    return [mapped.arms.get(cell, "") for cell in cells]


def _unique_subjects(table: Table, mapped: DataMap) -> None:
    cells = table.column(mapped.subject, "the subjects") if mapped.subject else None
    first: dict[str, int] = {}
    for i, cell in enumerate(cells or []):
        if cell in first:
            expected = f"each subject once (first in line {table.lines[first[cell]]})"
            table.fault(mapped.subject or "", shown(cell), expected, "keep one line a subject", i)
        first.setdefault(cell, i)


def _covariates(table: Table, mapped: DataMap) -> dict[str, np.ndarray]:
    """Every column that the protocol maps to a covariate, by the covariate's name."""
    found = {name: table.covariate(column, f"covariate {name!r}") for name, column in mapped.covariates.items()}
    return {name: values for name, values in found.items() if values is not None}


def _check_rules(table: Table, protocol: Protocol, covariates: Mapping[str, np.ndarray]) -> None:
    """Note each subgroup whose rule the covariates cannot answer."""
    if table.faults:
        return
    for subgroup in protocol.subgroups:
        try:
            evaluate(subgroup.rule, covariates)
        except (ValueError, TypeError) as error:  # an ExpressionError, or words where numpy needs numbers
            expected = "a rule over 'data: covariates'"
            fix = f"correct the rule or the table: {one_line(str(error), 200)}"
            table.fault("", f"subgroup {shown(subgroup.label)} with the rule {shown(subgroup.rule)}", expected, fix)


def _outcome(table: Table, protocol: Protocol, source: DataEndpoint, analysis: Analysis) -> _Seen | None:
    """The outcome of one analysis; None where a column is not there."""
    kind: Kind = catalogue_model(analysis.model).KIND
    use = f"endpoint {analysis.endpoint!r}"
    y = table.numbers(source.value, use, source.levels, _OUTCOMES[kind])
    event = exposure = None
    unit, factor = source.unit or "1", 1.0
    if kind == "time-to-event":
        event = _events(table, source, use)
        unit, factor = "day", _days(table, source.value, source.unit)
    if kind == "count":
        exposure = _exposure(table, protocol, source, use)
    return None if y is None else _Seen(kind, unit, y * factor, event, exposure)


def _events(table: Table, source: DataEndpoint, use: str) -> Array | None:
    if source.event is None:
        fix = f"add 'event: <column>' to {use} under 'data: endpoints'"
        table.fault("", f"no event column for {use}", "a column that says which times are events", fix)
        return None
    return table.numbers(source.event, f"the events of {use}", source.event_levels, _EVENT)


def _exposure(table: Table, protocol: Protocol, source: DataEndpoint, use: str) -> Array | None:
    """Days over which events were counted: a column, or the follow-up that the protocol states, the same for all."""
    if source.exposure is not None:
        days = _days(table, source.exposure, source.exposure_unit)
        values = table.numbers(source.exposure, f"the exposure of {use}", {}, _EXPOSURE)
        return None if values is None else values * days
    if protocol.schedule is None:
        expected, fix = "the days over which events were counted", "add 'exposure: <column>' there, or 'schedule:'"
        table.fault(source.value, f"no follow-up for {use}", expected, fix)
        return None
    return np.full(len(table.lines), protocol.schedule.duration)


def _days(table: Table, column: str, unit: str) -> float:
    """Days in one of a unit of time; days where none is stated."""
    try:
        return quantity(f"1 {unit or 'day'}", "day")
    except UnitsError as error:
        table.fault(column, shown(unit), "a unit of time", one_line(str(error)))
        return math.nan


def _adjusted(
    table: Table, mapped: DataMap, analysis: Analysis, covariates: Mapping[str, np.ndarray]
) -> dict[str, Array]:
    """Columns to adjust for: numbers, or one 0/1 column for each level after the first in the alphabet."""
    source, is_count = mapped.endpoints[analysis.endpoint], analysis.model == "count"
    found: dict[str, Array] = {}
    for name in analysis.adjust:
        if name in covariates:
            found |= as_columns(name, covariates[name])
        elif name == "baseline" and source.baseline is not None and name not in mapped.covariates:
            check = _OUTCOMES["count"] if is_count else None
            before = table.numbers(source.baseline, f"the baseline of {analysis.endpoint!r}", source.levels, check)
            if before is not None:
                # of a count, the log of its rate up to a constant
                found[name] = np.log(np.maximum(before, 0) + 0.5) if is_count else before
        elif name not in mapped.covariates:
            fix = did_you_mean(name, mapped.covariates, f"add '{name}: <column>' under 'data: covariates'")
            table.fault("", f"no column mapped for {shown(name)}", f"one, {analysis.endpoint!r} adjusts for it", fix)
    return found


def _analysis_data(
    table: Table, protocol: Protocol, analysis: Analysis, seen: _Seen, covariates: dict[str, Array], arm: list[str]
) -> AnalysisData | None:
    """Data of one analysis; None where an arm has no subject with known values."""
    endpoint = protocol.endpoint(analysis.endpoint)
    arms = (protocol.control.name, protocol.experimental[0].name)
    compared = np.isin(np.array(arm), arms)
    is_seen = compared & np.isfinite(np.stack([*seen.columns, *covariates.values()])).all(axis=0)
    treated = np.array([name == arms[1] for name in arm], dtype=np.float64)[is_seen]
    for number, name in enumerate(arms):
        if not (treated == number).any():
            column = protocol.data.endpoints[endpoint.name].value if protocol.data else ""
            fix = "check the table and 'data: arms'"
            table.fault(column, f"no known value in arm {name!r}", "one at least", fix)
            return None
    return AnalysisData(
        endpoint=endpoint.name,
        label=endpoint.label,
        kind=seen.kind,
        direction=endpoint.direction,
        unit=seen.unit,
        treated=treated,
        arms=arms,
        y=seen.y[is_seen],
        event=None if seen.event is None else seen.event[is_seen],
        exposure=None if seen.exposure is None else seen.exposure[is_seen],
        covariates={name: values[is_seen] for name, values in covariates.items()},
        n_missing=int((compared & ~is_seen).sum()),
    )


def _variables(protocol: Protocol, analysis: Analysis, seen: _Seen) -> dict[str, Any]:
    """The outcome as variables of the subjects, named as in a simulated trial."""
    name = variable_name(analysis.endpoint)
    parts = {name: (seen.y, seen.unit), f"{name}_event": (seen.event, "1"), f"{name}_exposure": (seen.exposure, "day")}
    label = protocol.endpoint(analysis.endpoint).label
    return {
        part: ("subject", values, {"units": unit, "long_name": label})
        for part, (values, unit) in parts.items()
        if values is not None
    }
