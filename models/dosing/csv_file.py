"""Event records in CSV files: NONMEM data sets and those of the nlmixr2 family."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from .checks import check_events
from .events import COLUMNS, DOSE, OBSERVATION, RESET, DosingError, Events
from .layout import Layout

MISSING = ("", ".", "NA")
_WHOLE = ("EVID", "ADDL", "SS", "MDV")
_LOWEST_CLASSIC_EVID = 100


def read_events(path: str | Path, layout: Layout | None = None, occasion: str | None = None) -> Events:
    """Event records from a CSV file with a header line.

    The columns of `events.COLUMNS` are found in upper or lower case; all others become covariates under their own
    name. `TIME` is required; a file without `ID` is one subject; without `EVID` a row with an amount or a rate is a
    dose; without `MDV` every row that is no observation has none. `.`, `NA` and an empty cell are missing: 0, and NaN
    for DV and covariates. An EVID of 100 n + 1 is read as a bolus into compartment n (the older code of RxODE).

    Parameters
    ----------
    layout : checks compartments and rates as well.
    occasion : a column whose change within a subject starts the clock and the body anew; a reset (EVID 3) is put
        before the first row of the new occasion.

    Raises
    ------
    DosingError
        All problems of the file, one line each with row (line of the file) and column.
    """
    path = Path(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [(number, line) for number, line in enumerate(csv.reader(file), 1) if line]
    if not lines:
        raise DosingError(["the file is empty; the first line must name the columns, TIME among them"], str(path))
    header = [name.strip() for name in lines[0][1]]
    problems = _header_problems(header)
    rows = np.array([number for number, _ in lines[1:]], dtype=np.int64)
    for number, line in lines[1:]:
        if len(line) != len(header):
            problems.append(f"row {number}: {len(line)} cells where the header has {len(header)}; complete the row")
    if problems:
        raise DosingError(problems, str(path))
    cells = {name: [line[i].strip() for _, line in lines[1:]] for i, name in enumerate(header)}
    events = _events(cells, rows, problems)
    if problems:
        raise DosingError(problems, str(path))
    if occasion is not None:
        events = _with_resets(events, occasion, str(path))
    check_events(events, layout, str(path))
    return events


def write_events(events: Events, path: str | Path) -> None:
    """Write records as CSV; `read_events` gives the same values back (rows are numbered anew)."""
    covariates = list(events.covariates)
    columns = [
        events.id, events.time, events.evid, events.amt, events.cmt, events.rate, events.ii, events.addl, events.ss,
        events.mdv, events.dv, *events.covariates.values(),
    ]  # fmt: skip
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *covariates])
        for i in range(len(events)):
            writer.writerow([_cell(column[i]) for column in columns])


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return "." if math.isnan(value) else repr(float(value)).removesuffix(".0")
    return str(value) or "."


def _header_problems(header: list[str]) -> list[str]:
    upper = [name.upper() if name.upper() in COLUMNS else name for name in header]
    found = [f"column {name!r} stands twice; keep one" for name in sorted(set(upper)) if upper.count(name) > 1]
    if "TIME" not in upper:
        found.append(f"no column TIME among {', '.join(header)}; name the column of times so")
    return found


def _events(cells: dict[str, list[str]], rows: np.ndarray, problems: list[str]) -> Events:
    count = len(rows)
    named = {name.upper(): name for name in cells if name.upper() in COLUMNS}

    def numbers(column: str, missing: float, required: bool = False) -> np.ndarray:
        out = np.full(count, missing)
        for i, text in enumerate(cells[named[column]] if column in named else ()):
            if text in MISSING:
                if required:
                    problems.append(f"row {rows[i]}, column {named[column]}: nothing; write a number")
                continue
            try:
                out[i] = float(text)
            except ValueError:
                problems.append(f"row {rows[i]}, column {named[column]}: {text!r} is no number; write one, or '.'")
                continue
            if column in _WHOLE and out[i] != round(out[i]):
                problems.append(f"row {rows[i]}, column {named[column]}: {text} is no whole number; write one")
                out[i] = missing
        return out

    time, amt, rate = numbers("TIME", 0.0, required=True), numbers("AMT", 0.0), numbers("RATE", 0.0)
    cmt = np.array([("0" if t in MISSING else t) for t in cells[named["CMT"]]] if "CMT" in named else ["0"] * count)
    cmt = np.array([t.removesuffix(".0") for t in cmt], dtype=str)
    given = (amt != 0) | (rate != 0)
    evid = numbers("EVID", 0.0) if "EVID" in named else np.where(given, DOSE, OBSERVATION)
    evid = _classic_codes(evid.astype(np.int64), cmt, rows, problems)
    mdv = numbers("MDV", 0.0) if "MDV" in named else evid != OBSERVATION
    return Events(
        id=_column(cells[named["ID"]]) if "ID" in named else np.ones(count, np.int64),
        time=time,
        evid=evid,
        amt=amt,
        cmt=cmt,
        rate=rate,
        ii=numbers("II", 0.0),
        addl=numbers("ADDL", 0.0).astype(np.int64),
        ss=numbers("SS", 0.0).astype(np.int64),
        mdv=mdv.astype(np.int64),
        dv=numbers("DV", np.nan),
        row=rows,
        covariates={name: _covariate(cells[name]) for name in cells if name not in named.values()},
    )


def _classic_codes(evid: np.ndarray, cmt: np.ndarray, rows: np.ndarray, problems: list[str]) -> np.ndarray:
    """Bolus codes 101, 201 ... become EVID 1 (and, where CMT is not given, the compartment); others are refused."""
    for i in np.flatnonzero(evid >= _LOWEST_CLASSIC_EVID):
        code = int(evid[i])
        compartment, kind = divmod(code, 100)
        if kind != 1 or compartment > 99 or cmt[i] not in ("0", str(compartment)):
            problems.append(
                f"row {rows[i]}, column EVID: {code} with CMT {cmt[i]} is a code of RxODE for something other than a "
                "bolus into that compartment; write EVID 1 with CMT, RATE, II, ADDL and SS"
            )
        cmt[i], evid[i] = str(compartment), DOSE
    return evid


def _column(texts: list[str]) -> np.ndarray:
    """Whole numbers where all are, else the words."""
    try:
        values = np.array([float(t) for t in texts])
        if np.isfinite(values).all() and (values == np.round(values)).all() and (abs(values) < 2**53).all():
            return values.astype(np.int64)
    except ValueError:
        pass
    return np.array(texts, dtype=str)


def _covariate(texts: list[str]) -> np.ndarray:
    try:
        return np.array([np.nan if t in MISSING else float(t) for t in texts])
    except ValueError:
        return np.array(["" if t in MISSING else t for t in texts], dtype=str)


def _with_resets(events: Events, occasion: str, source: str) -> Events:
    if occasion not in events.covariates:
        known = ", ".join(events.covariates)
        raise DosingError(
            [f"no column {occasion!r} to tell occasions by; columns beside the standard: {known}"], source
        )
    values = events.covariates[occasion]
    same = np.r_[False, events.id[1:] == events.id[:-1]]
    starts = np.flatnonzero(same & np.r_[False, values[1:] != values[:-1]])
    wide = events.take(np.sort(np.r_[np.arange(len(events)), starts]))
    fresh = starts + np.arange(len(starts))  # the copy in front of each first row becomes the reset
    wide.evid[fresh], wide.mdv[fresh], wide.dv[fresh] = RESET, 1, np.nan
    for column in (wide.amt, wide.rate, wide.ii, wide.addl, wide.ss):
        column[fresh] = 0
    return wide
