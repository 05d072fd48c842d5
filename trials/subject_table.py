"""The table of a real trial, one row a subject, read by the protocol's `data` block.

A file is CSV in UTF-8 with one header line, optionally gzipped (`.gz`). An empty cell, NA, NaN, null and . are missing:
a subject whose outcome or covariate is missing is left out of that analysis and counted. Everything else that cannot
be read is a fault; all faults of a file are reported together.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..models.units import UnitsError, quantity
from .analysis.catalogue import catalogue_model
from .analysis.data import AnalysisData, Array, Kind
from .problems import Problem, ProtocolError, did_you_mean, listed, one_line, shown
from .protocol import Analysis, DataEndpoint, DataMap, Protocol

MISSING = frozenset({"", "na", "nan", "null", "."})
MOST_BYTES = 2**30  # also of what a compressed file unpacks to
MOST_FAULTS = 50


class TableError(ProtocolError):
    """A table that cannot be analysed; `problems` holds every fault, the text is a line for each."""


@dataclass
class _Table:
    """The columns of a file as text, and the faults found so far; rows count from 1 as an editor shows them."""

    file: str
    columns: dict[str, list[str]]
    lines: list[int]
    faults: dict[tuple[str, str], Problem] = field(default_factory=dict)
    rows: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def fault(self, column: str, got: str, expected: str, fix: str, row: int | None = None) -> None:
        """Note one fault; the same value in the same column is one fault with several rows."""
        line = 1 if row is None else self.lines[row]
        self.faults.setdefault((column, got), Problem((column,) if column else (), got, expected, fix, file=self.file))
        self.rows.setdefault((column, got), []).append(line)

    def column(self, name: str, use: str) -> list[str] | None:
        """A column by its name; a fault and None where there is none."""
        if name in self.columns:
            return self.columns[name]
        otherwise = f"the columns are {listed(self.columns)}"
        self.fault("", f"no column {shown(name)}", f"a column for {use}", did_you_mean(name, self.columns, otherwise))
        return None

    def numbers(self, name: str, use: str, levels: Mapping[str, float], check: _Check | None = None) -> Array | None:
        """A column as numbers, NaN where missing; words through `levels`."""
        cells = self.column(name, use)
        if cells is None:
            return None
        values = np.array([self._number(name, i, cell, levels) for i, cell in enumerate(cells)], dtype=np.float64)
        if check is not None:
            for i in np.flatnonzero(np.isfinite(values)):
                if not check.is_right(float(values[i])):
                    self.fault(name, shown(cells[i]), check.expected, check.fix, int(i))
        return values

    def _number(self, name: str, row: int, cell: str, levels: Mapping[str, float]) -> float:
        if cell in levels:
            return levels[cell]
        if is_missing(cell):
            return math.nan
        if levels:
            fix = did_you_mean(cell, levels, f"correct the table, or add {shown(cell)} to the levels of the protocol")
            self.fault(name, shown(cell), listed(levels), fix, row)
            return math.nan
        try:
            value = float(cell)
        except ValueError:
            value = math.inf
        if not math.isfinite(value):
            fix = "correct the table, or say in the protocol's 'levels' which number each word is"
            self.fault(name, shown(cell), "a number", fix, row)
            return math.nan
        return value

    def raise_faults(self) -> None:
        """All faults at once.

        Raises
        ------
        TableError
            There is one at least.
        """
        if not self.faults:
            return
        problems = [self._placed(problem, self.rows[key]) for key, problem in self.faults.items()]
        if len(problems) > MOST_FAULTS:
            more = Problem((), f"{len(problems) - MOST_FAULTS} faults more", "none", "mend these first", file=self.file)
            problems = [*problems[:MOST_FAULTS], more]
        raise TableError(problems)

    def _placed(self, problem: Problem, lines: list[int]) -> Problem:
        """A fault with its first line and its column, both counted from 1."""
        names = list(self.columns)
        column = names.index(str(problem.path[0])) + 1 if problem.path and problem.path[0] in names else 1
        return replace(problem, got=_in_rows(problem.got, lines), line=lines[0], column=column)


@dataclass(frozen=True)
class _Check:
    is_right: Callable[[float], bool]
    expected: str
    fix: str


_OUTCOMES: Mapping[str, _Check | None] = {
    "continuous": None,
    "binary": _Check(lambda v: v in (0.0, 1.0), "0 or 1", "say in 'levels' which word or number is 0 and which is 1"),
    "count": _Check(lambda v: v >= 0 and v % 1 == 0, "a count 0, 1, 2, ...", "correct the table"),
    "time-to-event": _Check(lambda v: v >= 0, "a time of 0 or more", "correct the table, or leave the cell empty"),
}
_EVENT = _Check(
    lambda v: v in (0.0, 1.0), "0 (censored) or 1 (event)", "say in 'event_levels' which is 0 and which is 1"
)


def is_missing(cell: str) -> bool:
    """Whether a cell says that the value is not known.

    >>> is_missing("NA"), is_missing("."), is_missing("0")
    (True, True, False)
    """
    return cell.lower() in MISSING


def _in_rows(got: str, lines: list[int]) -> str:
    if len(lines) == 1:
        return got
    first = ", ".join(str(line) for line in lines[:5])
    return f"{got} in {len(lines)} lines ({first}{', …' if len(lines) > 5 else ''})"


def read_subject_table(path: str | Path, protocol: Protocol) -> dict[str, AnalysisData]:
    """The data of every analysis of a protocol whose endpoint the table holds.

    Times are converted to days from the unit the protocol states (days where it states none). A protocol of several
    experimental arms compares the first with control.

    Raises
    ------
    TableError
        Everything that is wrong with the file, one line each: file, line, column, value, what to do.
    """
    path = Path(path)
    if protocol.data is None:
        raise TableError(
            [Problem(("data",), "nothing", "a block that names the columns", "add 'data:' to the protocol")]
        )
    table, mapped = _read(path), protocol.data
    arm = _arms(table, mapped)
    _unique_subjects(table, mapped)
    found = {}
    for analysis in protocol.analyses:
        if analysis.endpoint in mapped.endpoints:
            data = _analysis_data(table, protocol, mapped, analysis, arm)
            if data is not None:
                found[analysis.endpoint] = data
    table.raise_faults()
    return found


def _read(path: Path) -> _Table:
    """The cells of a file, or the reason why there are none."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise _unreadable(path, "no such file", "correct the path") from None
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"bytes that are not UTF-8 at {error.start}", "save it as CSV in UTF-8") from None
    except (OSError, EOFError) as error:
        raise _unreadable(path, one_line(str(error)), "give a CSV file, gzipped only if its name ends in .gz") from None
    if len(raw) > MOST_BYTES:
        raise _unreadable(path, "more than 1 GiB", "give the subjects and columns of the analysis alone")
    return _parsed(path, text)


def _parsed(path: Path, text: str) -> _Table:
    reader = csv.reader(io.StringIO(text, newline=""))
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise _unreadable(path, f"line {reader.line_num}: {error}", "save it as CSV with one row a subject") from None
    if len(rows) < 2:
        raise _unreadable(path, f"{len(rows)} lines", "give a header line and a line for each subject")
    header, body = rows[0], rows[1:]
    table = _Table(path.name, {name: [] for name in header}, lines[1:])
    for name in header:
        if header.count(name) > 1:
            table.fault("", f"{header.count(name)} columns called {shown(name)}", "one", "rename or remove the others")
    for i, row in enumerate(body):
        if len(row) != len(header):
            fix = "quote a cell that holds a comma, or complete the line"
            table.fault("", f"{len(row)} cells", f"{len(header)}, as in the header", fix, i)
    table.raise_faults()
    for place, name in enumerate(header):
        table.columns[name] = [row[place] for row in body]
    return table


def _unreadable(path: Path, got: str, fix: str) -> TableError:
    return TableError([Problem((), got, "a CSV table in UTF-8 with one row a subject", fix, file=str(path))])


def _arms(table: _Table, mapped: DataMap) -> list[str]:
    """The arm of every subject by its name in the protocol; empty where the cell cannot be read."""
    cells = table.column(mapped.arm, "the arms") or []
    for i, cell in enumerate(cells):
        if cell not in mapped.arms:
            fix = did_you_mean(cell, mapped.arms, f"add {shown(cell)} to 'data: arms' of the protocol")
            table.fault(mapped.arm, shown(cell or None), f"an arm: {listed(mapped.arms)}", fix, i)
    return [mapped.arms.get(cell, "") for cell in cells]


def _unique_subjects(table: _Table, mapped: DataMap) -> None:
    cells = table.column(mapped.subject, "the subjects") if mapped.subject else None
    first: dict[str, int] = {}
    for i, cell in enumerate(cells or []):
        if cell in first:
            expected = f"each subject once (first in line {table.lines[first[cell]]})"
            table.fault(mapped.subject or "", shown(cell), expected, "keep one line a subject", i)
        first.setdefault(cell, i)


def _analysis_data(
    table: _Table, protocol: Protocol, mapped: DataMap, analysis: Analysis, arm: list[str]
) -> AnalysisData | None:
    """Data of one analysis; None where a fault was noted."""
    endpoint, source = protocol.endpoint(analysis.endpoint), mapped.endpoints[analysis.endpoint]
    kind: Kind = catalogue_model(analysis.model).KIND
    use = f"endpoint {endpoint.name!r}"
    y = table.numbers(source.value, use, source.levels, _OUTCOMES[kind])
    event = _events(table, source, use) if kind == "time-to-event" else None
    exposure = _exposure(table, protocol, source, use) if kind == "count" else None
    covariates = _covariates(table, mapped, analysis, source, kind)
    unit, factor = _unit(table, source, kind)
    if table.faults or y is None:  # what follows would only repeat them
        return None
    arms = (protocol.control.name, protocol.experimental[0].name)
    compared = np.isin(np.array(arm), arms)
    columns = [y, *covariates.values(), *([] if event is None else [event])]
    is_seen = compared & np.isfinite(np.stack(columns)).all(axis=0)
    treated = np.array([name == arms[1] for name in arm], dtype=np.float64)[is_seen]
    for number, name in enumerate(arms):
        if not (treated == number).any():
            table.fault(
                source.value, f"no known value in arm {name!r}", "one at least", "check the table and 'data: arms'"
            )
            return None
    return AnalysisData(
        endpoint=endpoint.name,
        label=endpoint.label,
        kind=kind,
        direction=endpoint.direction,
        unit=unit,
        treated=treated,
        arms=arms,
        y=y[is_seen] * factor,
        event=None if event is None else event[is_seen],
        exposure=None if exposure is None else np.full(int(is_seen.sum()), exposure),
        covariates={name: values[is_seen] for name, values in covariates.items()},
        n_missing=int((compared & ~is_seen).sum()),
    )


def _events(table: _Table, source: DataEndpoint, use: str) -> Array | None:
    if source.event is None:
        fix = f"add 'event: <column>' to {use} under 'data: endpoints'"
        table.fault("", f"no event column for {use}", "a column that says which times are events", fix)
        return None
    return table.numbers(source.event, f"the events of {use}", source.event_levels, _EVENT)


def _exposure(table: _Table, protocol: Protocol, source: DataEndpoint, use: str) -> float | None:
    """Days over which events were counted: the follow-up that the protocol states, the same for all."""
    if protocol.schedule is None:
        table.fault(
            source.value, f"no follow-up for {use}", "the days over which events were counted", "add 'schedule:'"
        )
        return None
    return protocol.schedule.duration


def _unit(table: _Table, source: DataEndpoint, kind: Kind) -> tuple[str, float]:
    """Unit of the outcome in the analysis, and what a value of the table is multiplied with."""
    if kind != "time-to-event":
        return source.unit or "1", 1.0
    try:
        return "day", quantity(f"1 {source.unit or 'day'}", "day")
    except UnitsError as error:
        table.fault(source.value, shown(source.unit), "a unit of time", one_line(str(error)))
        return "day", 1.0


def _covariates(
    table: _Table, mapped: DataMap, analysis: Analysis, source: DataEndpoint, kind: Kind
) -> dict[str, Array]:
    """Columns to adjust for: numbers, or one 0/1 column for each level after the first in the alphabet."""
    found: dict[str, Array] = {}
    for name in analysis.adjust:
        if name == "baseline" and name not in mapped.covariates:
            column = source.baseline
        else:
            column = mapped.covariates.get(name)
        if column is None:
            fix = did_you_mean(name, mapped.covariates, f"add '{name}: <column>' under 'data: covariates'")
            table.fault("", f"no column mapped for {shown(name)}", f"one, {analysis.endpoint!r} adjusts for it", fix)
            continue
        cells = table.column(column, f"covariate {name!r}")
        if cells is not None:
            found |= _as_columns(name, cells)
    if kind == "count" and "baseline" in found:
        found["baseline"] = np.log(found["baseline"] + 0.5)  # of a count, the log of its rate up to a constant
    return found


def _as_columns(name: str, cells: list[str]) -> dict[str, Array]:
    missing = np.array([is_missing(cell) for cell in cells])
    try:
        return {name: np.array([math.nan if m else float(c) for c, m in zip(cells, missing, strict=True)])}
    except ValueError:
        levels = sorted({cell for cell, m in zip(cells, missing, strict=True) if not m})
    words = np.array(cells)
    return {f"{name}={level}": np.where(missing, np.nan, words == level) for level in levels[1:]}
