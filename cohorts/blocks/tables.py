"""Tables of figures that stand beside a population file: read once, checked, held as columns."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import PlainSerializer, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

MAX_BYTES = 64 * 1024 * 1024


class TableError(ValueError):
    """A table that is missing, not a rectangle, or without a column that is needed."""


@dataclass(frozen=True)
class Table:
    """Columns of a CSV file: float64 where every cell is a number, words otherwise. Equal when the files are equal."""

    name: str
    sha256: str
    columns: dict[str, np.ndarray] = field(compare=False, repr=False)

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values())))

    def need(self, *names: str) -> None:
        """Refuse a table that lacks a column.

        Raises
        ------
        TableError
            Names the missing columns and those that are there.
        """
        missing = [name for name in names if name not in self.columns]
        if missing:
            raise TableError(
                f"{self.name} has no column {', '.join(missing)}; its columns are {', '.join(self.columns)}"
            )


def read_table(path: Path) -> Table:
    """A table from a CSV file with one header line.

    Raises
    ------
    TableError
        No such file, not UTF-8, no rows, a row of another length, a column named twice, or an empty cell.
    """
    if not path.is_file():
        raise TableError(f"there is no file {path.name} in {path.parent}; give a path relative to the population file")
    if path.stat().st_size > MAX_BYTES:
        raise TableError(f"{path.name} has more than {MAX_BYTES // 2**20} MB; a table here holds figures, not people")
    content = path.read_bytes()
    try:
        lines = list(csv.reader(content.decode("utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise TableError(f"{path.name} is not UTF-8 text at byte {error.start}; save it as UTF-8") from None
    if len(lines) < 2:
        raise TableError(f"{path.name} has no rows; write a header line and at least one row")
    header, body = lines[0], lines[1:]
    if len(set(header)) != len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise TableError(f"{path.name} names column {', '.join(twice)} twice; give each column its own name")
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise TableError(f"{path.name}:{number} has {len(row)} cells, the header {len(header)}; mend the row")
        if "" in row:
            empty = header[row.index("")]
            raise TableError(f"{path.name}:{number} has an empty cell in column {empty}; fill it or drop the row")
    columns = {name: _column([row[i] for row in body]) for i, name in enumerate(header)}
    return Table(path.name, hashlib.sha256(content).hexdigest(), columns)


def _column(cells: list[str]) -> np.ndarray:
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        return np.array(cells)
    return numbers


def _load(value: Any, info: ValidationInfo) -> Table:
    if isinstance(value, Table):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("table", "write the path of a .csv file, relative to the population file")
    folder = (info.context or {}).get("folder", Path())
    try:
        return read_table(folder / value)
    except TableError as error:
        raise PydanticCustomError("table", "{reason}", {"reason": str(error)}) from None


# A field written as the path of a CSV file, relative to the population file, and held as a `Table`.
TableFile = Annotated[
    Table,
    PlainValidator(_load, json_schema_input_type=str),
    PlainSerializer(lambda table: table.sha256, return_type=str),
]
