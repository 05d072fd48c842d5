"""A CSV file as columns of text, read cell by cell; all faults of a file are reported together.

One header line, UTF-8, optionally gzipped (`.gz`). An empty cell, NA, NaN, null and . are missing. Everything else that
cannot be read is a fault.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..models.problems import Problem, did_you_mean, listed, one_line, shown
from .analysis.data import Array
from .protocol import ProtocolError

MISSING = frozenset({"", "na", "nan", "null", "."})
MOST_BYTES = 2**30  # also of what a compressed file unpacks to
MOST_FAULTS = 50
LARGEST = 1e15  # in any unit; what lies above overflows when it is squared and summed
MOST_WORDS = 20  # of a column of words
MOSTLY = 0.9  # share of numbers from which a word among them is a fault
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


class TableError(ProtocolError):
    """A table that cannot be analysed; `problems` holds every fault, the text is a line for each."""


@dataclass(frozen=True)
class Check:
    """What a number of one column must be."""

    is_right: Callable[[float], bool]
    expected: str
    fix: str


@dataclass
class Table:
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

    def numbers(self, name: str, use: str, levels: Mapping[str, float], check: Check | None = None) -> Array | None:
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
        value = number_of(cell)
        if value is None:
            fix = "correct the table, or say in the protocol's 'levels' which number each word is"
            self.fault(name, shown(cell), "a number", fix, row)
            return math.nan
        return value

    def covariate(self, name: str, use: str) -> np.ndarray | None:
        """A column as numbers, NaN where missing, or as words, empty where missing."""
        cells = self.column(name, use)
        if cells is None:
            return None
        known = [i for i, cell in enumerate(cells) if not is_missing(cell)]
        numbers = {i: value for i in known if (value := number_of(cells[i])) is not None}
        if len(numbers) < MOSTLY * len(known):
            words = {cells[i] for i in known}
            if len(words) > MOST_WORDS:
                expected = f"numbers, or at most {MOST_WORDS} different words"
                fix = "correct the table, or map another column"
                self.fault(name, f"{len(words)} different words", expected, fix)
            return np.array(["" if is_missing(cell) else cell for cell in cells])
        for i in known:
            if i not in numbers:
                fix = "correct the table, or leave the cell empty"
                self.fault(name, shown(cells[i]), "a number, as in the other lines", fix, i)
        return np.array([numbers.get(i, math.nan) for i in range(len(cells))], dtype=np.float64)

    def raise_faults(self) -> None:
        """All faults at once.

        Raises
        ------
        TableError
            There is one at least.
        """
        if not self.faults:
            return
        problems = [self._placed(problem, sorted(set(self.rows[key]))) for key, problem in self.faults.items()]
        if len(problems) > MOST_FAULTS:
            more = Problem((), f"{len(problems) - MOST_FAULTS} faults more", "none", "mend these first", file=self.file)
            problems = [*problems[:MOST_FAULTS], more]
        raise TableError(problems)

    def _placed(self, problem: Problem, lines: list[int]) -> Problem:
        """A fault with its first line and its column, both counted from 1."""
        names = list(self.columns)
        column = names.index(str(problem.path[0])) + 1 if problem.path and problem.path[0] in names else 1
        return replace(problem, got=_in_rows(problem.got, lines), line=lines[0], column=column)


def is_missing(cell: str) -> bool:
    """Whether a cell says that the value is not known.

    >>> is_missing("NA"), is_missing("."), is_missing("0")
    (True, True, False)
    """
    return cell.lower() in MISSING


def number_of(cell: str) -> float | None:
    """A number that people are measured in, or None.

    >>> number_of("1e3"), number_of("1_000"), number_of("inf"), number_of("1e300")
    (1000.0, None, None, None)
    """
    value = float(cell) if _NUMBER.fullmatch(cell) else math.inf
    return value if abs(value) <= LARGEST else None


def _in_rows(got: str, lines: list[int]) -> str:
    if len(lines) == 1:
        return got
    first = ", ".join(str(line) for line in lines[:5])
    return f"{got} in {len(lines)} lines ({first}{', …' if len(lines) > 5 else ''})"


def read_table(path: Path) -> Table:
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


def _parsed(path: Path, text: str) -> Table:
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
    table = Table(path.name, {name: [] for name in header}, lines[1:])
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
