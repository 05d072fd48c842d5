"""Tables of people to learn from: a CSV file with missing values, survey weights and units in the header."""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

MISSING = {"", "NA", "NaN", "nan", ".", "null"}
NAME = re.compile(r"^([A-Za-z][A-Za-z0-9_]*)\s*(?:\[([^\]]+)\])?$")
MAX_BYTES = 1024 * 1024 * 1024
MOST_WORDS = 50


class PeopleError(ValueError):
    """A table of people that cannot be read or learned from; the message says where and what to do."""


@dataclass(frozen=True)
class People:
    """Columns of float64 (NaN where missing) or of words ("" where missing), and a weight for each row.

    `units` holds what stands in brackets after a column's name in the header ("weight [kg]"), "1" where nothing does.
    """

    file: str
    sha256: str
    columns: dict[str, np.ndarray] = field(repr=False)
    weights: np.ndarray = field(repr=False)
    units: dict[str, str] = field(repr=False)

    @property
    def rows(self) -> int:
        return self.weights.size

    @property
    def conditions(self) -> list[str]:
        """Columns of 0 and 1."""
        return [c for c, x in self.columns.items() if x.dtype.kind == "f" and set(np.unique(_there(x))) == {0.0, 1.0}]

    @property
    def numbers(self) -> list[str]:
        """Columns of numbers that are no conditions."""
        return [c for c, x in self.columns.items() if x.dtype.kind == "f" and c not in self.conditions]

    @property
    def words(self) -> list[str]:
        return [c for c, x in self.columns.items() if x.dtype.kind == "U"]

    @property
    def has_age_and_sex(self) -> bool:
        return "age" in self.numbers and "sex" in self.words

    def shares(self, column: str) -> dict[str, list[Any]]:
        """Weighted shares of the words of a column, the missing left out."""
        words = self.columns[column]
        values = [word for word in np.unique(words).tolist() if word]
        weight = np.array([self.weights[words == word].sum() for word in values])
        return {"values": values, "shares": [float(share) for share in weight / weight.sum()]}

    def described(self, column: str) -> dict[str, Any]:
        """What a population file states of a variable."""
        source = f"column {column} of {self.file}"
        label = f"{column.replace('_', ' ')}, as in the table"
        unit = self.units.get(column, "1")
        return {"name": column, "label": label, "unit": unit, "source": source, "provenance": "derived"}


def read_people(path: Path, weights: str | None = None) -> People:
    """People from a CSV file; `weights` names the column of survey weights. Rows without weight, age or sex are left out.

    Raises
    ------
    PeopleError
        No such file, a row of another length, a name that cannot be a variable's, weights below 0, or a column that is
        empty, constant or mixes numbers and words: each named by file, line or column.
    """
    if not path.is_file():
        raise PeopleError(f"there is no file {path}; give the path of a CSV file")
    if path.stat().st_size > MAX_BYTES:
        raise PeopleError(f"{path} has more than {MAX_BYTES // 2**20} MB; take a sample of its rows")
    content = path.read_bytes()
    try:
        lines = list(csv.reader(content.decode("utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise PeopleError(f"{path} is not UTF-8 text at byte {error.start}; save it as UTF-8") from None
    header = [_name(path, i, cell) for i, cell in enumerate(lines[0] if lines else [], start=1)]
    names = [name for name, _ in header]
    if len(set(names)) != len(names) or len(lines) < 2:
        raise PeopleError(f"{path}:1: needs a header that names each column once, and rows below it")
    for number, row in enumerate(lines[1:], start=2):
        if len(row) != len(names):
            raise PeopleError(f"{path}:{number}: has {len(row)} cells, the header {len(names)}; mend the row")
    columns = {name: _column(path, name, [row[i] for row in lines[1:]]) for i, name in enumerate(names)}
    if weights is not None and weights not in columns:
        raise PeopleError(f"{path}:1: has no column {weights!r} for the weights; it has {', '.join(names)}")
    weight = np.ones(len(lines) - 1) if weights is None else columns.pop(weights)
    if weight.dtype.kind != "f" or np.any(weight < 0):
        raise PeopleError(f"{path}: column {weights} has words or numbers below 0; weights are 0 or above")
    kept = np.nan_to_num(weight) > 0
    for name in ("age", "sex"):
        if name in columns:
            kept &= np.isfinite(columns[name]) if columns[name].dtype.kind == "f" else columns[name] != ""
    columns = {name: x[kept] for name, x in columns.items()}
    for name, x in columns.items():
        if np.unique(_there(x)).size < 2:
            raise PeopleError(f"{path}: column {name} is empty or has one value only; drop it")
        if x.dtype.kind == "U" and np.unique(x).size > MOST_WORDS:
            raise PeopleError(f"{path}: column {name} has more than {MOST_WORDS} words; drop it (is it an identifier?)")
    units = {name: unit for name, unit in header if name in columns}
    return People(path.name, hashlib.sha256(content).hexdigest(), columns, weight[kept], units)


def _there(x: np.ndarray) -> np.ndarray:
    return np.asarray(x[np.isfinite(x)] if x.dtype.kind == "f" else x[x != ""])


def _name(path: Path, number: int, cell: str) -> tuple[str, str]:
    if (match := NAME.match(cell.strip())) is None:
        raise PeopleError(f"{path}:1: column {number} is called {cell!r}; use letters, digits and _, then [unit]")
    return match[1], match[2] or "1"


def _column(path: Path, name: str, cells: list[str]) -> np.ndarray:
    """Numbers where every cell is one or missing, words where none is a number."""
    there = [(i, cell.strip()) for i, cell in enumerate(cells) if cell.strip() not in MISSING]
    values = np.full(len(cells), np.nan)
    words = []
    for i, cell in there:
        try:
            values[i] = float(cell)
        except ValueError:
            words.append((i, cell))
    if not words:
        if np.isinf(values).any():
            raise PeopleError(
                f"{path}:{int(np.argmax(np.isinf(values))) + 2}: column {name} is infinite; leave it empty"
            )
        return values
    if len(words) < len(there):
        line, cell = words[0]
        raise PeopleError(f"{path}:{line + 2}: column {name} has {cell!r} among numbers; correct it or leave it empty")
    return np.array([cell.strip() if cell.strip() not in MISSING else "" for cell in cells])
