"""Cohorts in files: .csv (units in the header: `weight [kg]`), .parquet (units in the metadata) and .zarr.

A table of real people is read in the same way; values in another unit of the same kind are converted, once, here.
"""

from __future__ import annotations

import csv
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..models.units import UnitsError, affine
from ..trials.csv_table import MOSTLY, Table, TableError, is_missing, number_of, read_table
from . import store
from .run_folder import RunError, sync_file, sync_folder

SUFFIXES = (".csv", ".parquet", ".zarr")
LINE = "line"  # coordinate of people read from a .csv: the line of the file, counted from 1
DRAW = "population_draw"  # variable of a cohort that has the same twins in several draws of the parameters
ROWS = 10_000  # written at a time to a .csv
CHUNK = 50_000  # twins of a chunk of a .zarr; each is a file that is made durable
_HEADER = re.compile(r"(?P<name>.*?)\s*\[(?P<unit>[^\]]*)\]")


def check_out(out: Path, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Refuse a place that cannot be written to, before anything is spent.

    Raises
    ------
    RunError
        Another suffix, something is there already, or .parquet without pyarrow.
    """
    if out.suffix not in suffixes:
        raise RunError(f"{out} has the suffix {out.suffix!r}; end it in {' or '.join(suffixes)}")
    if out.exists():
        raise RunError(f"{out} is already there; give another name")
    if out.suffix == ".parquet":
        _pyarrow()
    inside = next(folder for folder in (out.parent, *out.absolute().parents) if folder.exists())
    if not inside.is_dir() or not os.access(inside, os.W_OK):
        raise RunError(f"{inside} is no folder that can be written to; give another --out")


def write_cohort(out: Path, cohort: xr.Dataset) -> None:
    """Write a cohort; the file appears under its name whole or not at all."""
    write_blocks(out, iter([cohort]), cohort.sizes["twin"])


def write_blocks(out: Path, blocks: Iterator[xr.Dataset], twins: int) -> None:
    """Write a cohort of so many twins that comes block by block, in the memory of one block."""
    check_out(out)
    first = next(blocks)  # nothing is made before there is something to write
    out.parent.mkdir(parents=True, exist_ok=True)
    every = chain([first], blocks)
    if out.suffix == ".zarr":
        store.save_blocks(out, store.cut(every, CHUNK), twins, CHUNK)
        return
    with _whole(out) as part:
        (_write_parquet if out.suffix == ".parquet" else _write_csv)(part, every)


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A file to write that takes its name only when it is complete."""
    part = out.with_name(f".{out.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        sync_file(part)
        part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(out.parent)


def _write_csv(part: Path, blocks: Iterable[xr.Dataset]) -> None:
    with part.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        names: list[str] = []
        for block in blocks:
            if not names:
                names = ["twin", *map(str, block.data_vars)]
                lines.writerow([_titled(name, str(block[name].attrs.get("units", "1"))) for name in names])
            for first in range(0, block.sizes["twin"], ROWS):
                some = [block[name].values[first : first + ROWS].tolist() for name in names]
                lines.writerows(zip(*some, strict=True))


def _titled(name: str, unit: str) -> str:
    return name if unit == "1" else f"{name} [{unit}]"


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise RunError(".parquet needs pyarrow: `pip install 'twinarm[parquet]'`, or use .csv or .zarr") from None
    return pyarrow


def _write_parquet(part: Path, blocks: Iterable[xr.Dataset]) -> None:
    arrow = _pyarrow()
    with ExitStack() as opened:
        writer = None
        for block in blocks:
            names = ["twin", *map(str, block.data_vars)]
            arrays = [arrow.array(block[name].values) for name in names]
            if writer is None:
                fields = [
                    arrow.field(name, array.type, metadata={str(k): str(v) for k, v in block[name].attrs.items()})
                    for name, array in zip(names, arrays, strict=True)
                ]
                attributes = {"twinarm": json.dumps({str(k): v for k, v in block.attrs.items()}, default=str)}
                schema = arrow.schema(fields, metadata=attributes)
                writer = opened.enter_context(arrow.parquet.ParquetWriter(part, schema))
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def read_cohort(path: Path) -> xr.Dataset:
    """A cohort that `write_cohort` wrote, or another table with one row a person.

    Raises
    ------
    RunError, TableError
        No such file, another format, or cells that cannot be read: one line a fault.
    """
    return read_people(path, {}, {})


def read_people(path: Path, columns: Mapping[str, str], units: Mapping[str, str]) -> xr.Dataset:
    """People of a table, one a row, in the units of `units` (variable -> unit) where the table states its own.

    Parameters
    ----------
    columns : variable -> name of the column, where they differ.
    units : units to convert to, "" to take a variable as it stands. With `units` given, columns that it does not
        name are left out.

    Raises
    ------
    RunError, TableError
        No such file or format, a column that is not there, a cell that is no number, a unit that does not convert.
    """
    if not path.exists():
        raise RunError(f"{path}: there is no such file; give a cohort or table (.csv, .csv.gz, .parquet or .zarr)")
    if path.suffix == ".zarr":
        found = store.load(path)
    elif path.suffix == ".parquet":
        found = _from_parquet(path)
    elif path.suffixes[-2:] == [".csv", ".gz"] or path.suffix == ".csv":
        found = _from_csv(path, columns, units)
    else:
        raise RunError(f"{path} has the suffix {path.suffix!r}; give a .csv, .csv.gz, .parquet or .zarr")
    if "twin" not in found.sizes:
        raise RunError(f"{path} has no people along `twin`; give a cohort")
    renamed = {column: name for name, column in columns.items() if column in found and name != column}
    missing = [column for column in columns.values() if column not in found]
    if missing:
        raise RunError(f"{path} has no column {', '.join(missing)}; it has {', '.join(map(str, found.data_vars))}")
    found = found.drop_vars([name for name in renamed.values() if name in found]).rename(renamed)
    if units:
        found = found[[name for name in found.data_vars if name in units]]
    return xr.Dataset(
        {name: _converted(path, str(name), values, units.get(str(name))) for name, values in found.data_vars.items()},
        coords=found.coords,
        attrs=found.attrs,
    )


def _converted(path: Path, name: str, values: xr.DataArray, unit: str | None) -> xr.DataArray:
    stated = str(values.attrs.get("units", ""))
    if not unit or stated in ("", unit):
        return values
    try:
        zero, slope = affine(stated, unit)
    except UnitsError:
        message = f"{path}: column {name} is in {stated}, which does not convert to {unit}; correct its header"
        raise RunError(message) from None
    return (zero + slope * values).assign_attrs({**values.attrs, "units": unit})


def _from_csv(path: Path, columns: Mapping[str, str], units: Mapping[str, str]) -> xr.Dataset:
    table = read_table(path)
    wanted = set(columns.values()) | (set(units) - set(columns))
    variables: dict[str, Any] = {}
    titles: dict[str, str] = {}
    ids = draws = None
    for title in list(table.columns):
        match = _HEADER.fullmatch(title)
        name, unit = (match["name"], match["unit"]) if match else (title, "")
        if name == "twin":
            ids = table.numbers(title, "twin ids", {})
            draws = table.numbers(DRAW, "draws", {}) if DRAW in table.columns else None
            continue
        if units and name not in wanted:
            continue
        if all(is_missing(cell) for cell in table.columns[title]):
            continue
        if name in titles:
            raise RunError(f"{path} has two columns of {name}: {titles[name]} and {title}; remove or rename one")
        titles[name] = title
        renamed = next((variable for variable, column in columns.items() if column == name), name)
        is_measured = units.get(renamed, "") not in ("", "1")  # words have no unit
        values = table.numbers(title, name, {}) if is_measured else _values(table, title)
        if values is not None:
            # In a cohort what stands without unit has none; a table of others may just not state it.
            has_none = values.dtype.kind in "UO" or not units
            variables[name] = ("twin", values, {"units": unit} if unit else {"units": "1"} if has_none else {})
    table.raise_faults()
    twin = np.arange(len(table.lines), dtype=np.int64) if ids is None else _ids(path, ids, draws)
    return xr.Dataset(variables, coords={"twin": ("twin", twin), LINE: ("twin", np.array(table.lines))})


def _ids(path: Path, ids: np.ndarray, draws: np.ndarray | None) -> np.ndarray:
    """Ids of twins, which key every random number: whole, and each once in each draw of the parameters."""
    if ids.dtype.kind not in "iuf":
        said = "holds words"
    elif missing := np.count_nonzero(~np.isfinite(ids)):
        said = f"is missing in {missing} of {ids.size} rows"
    elif (ids != np.floor(ids)).any():
        said = f"holds {ids[ids != np.floor(ids)][0]:g}"
    else:
        rows = np.column_stack([ids, np.zeros(ids.size) if draws is None else draws])
        found, counts = np.unique(rows, axis=0, return_counts=True)
        if (counts == 1).all():
            return np.asarray(ids.astype(np.int64))
        said = f"has {found[counts > 1][0, 0]:.0f} in {counts[counts > 1][0]} rows"
    raise RunError(f"{path}: column twin {said}; give every row a whole number of its own, or rename the column")


def _values(table: Table, title: str) -> np.ndarray | None:
    """A column as numbers where most cells are, else as words, any number of them (genotypes)."""
    cells = [cell for cell in table.columns[title] if not is_missing(cell)]
    if sum(number_of(cell) is not None for cell in cells) >= MOSTLY * len(cells):
        return table.covariate(title, title)
    return np.array(["" if is_missing(cell) else cell for cell in table.columns[title]])


def _from_parquet(path: Path) -> xr.Dataset:
    arrow = _pyarrow()
    try:
        table = arrow.parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise RunError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from None
    variables = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        values = np.asarray(column.to_numpy())
        if values.dtype.kind == "O":
            values = np.array(["" if word is None else word for word in values.tolist()], dtype=str)
        attrs = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
        variables[field.name] = ("twin", values, {k: v for k, v in attrs.items() if not k.startswith("PARQUET:")})
    draws = variables[DRAW][1] if DRAW in variables else None
    twin = _ids(path, variables.pop("twin")[1], draws) if "twin" in variables else np.arange(table.num_rows)
    stated = (table.schema.metadata or {}).get(b"twinarm")
    attributes = json.loads(stated) if stated else {}
    return xr.Dataset(variables, coords={"twin": ("twin", twin)}, attrs=attributes)


__all__ = ["TableError", "check_out", "read_cohort", "read_people", "write_blocks", "write_cohort"]
