"""Refuse event records that cannot be carried out, all problems at once: row, column, what stands there, what to do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .events import (
    MODELLED_DURATION,
    MODELLED_RATE,
    OBSERVATION,
    OTHER,
    REPLACE,
    RESET,
    RESET_AND_DOSE,
    DosingError,
    Events,
)  # fmt: skip
from .layout import Layout


def check_events(events: Events, layout: Layout | None = None, source: str = "") -> None:
    """Check records by themselves and, where a layout is given, against the compartments of a model.

    Raises
    ------
    DosingError
        One line for every problem: row, column, what was given, what was expected, what to do.
    """
    found = problems(events, layout)
    if found:
        raise DosingError(found, source)


def problems(events: Events, layout: Layout | None = None) -> list[str]:
    """One line for every problem, in the order of the rows; empty where there is none."""
    found: list[tuple[int, str]] = []

    def report(bad: np.ndarray, column: str, text: Callable[[int], str]) -> None:
        for i in np.flatnonzero(bad):
            found.append((int(i), f"row {events.row[i]}, column {column}: {text(int(i))}"))

    _check_order(events, report)
    _check_values(events, report)
    _check_regular_doses(events, report)
    if layout is not None:
        _check_compartments(events, layout, report)
    return [line for _, line in sorted(found, key=lambda pair: pair[0])]


_Report = Callable[[np.ndarray, str, Callable[[int], str]], None]


def _check_order(e: Events, report: _Report) -> None:
    report(~np.isfinite(e.time), "TIME", lambda i: f"{e.time[i]:g} is no time; write a number")
    if len(e) == 0:
        return
    same = np.r_[False, e.id[1:] == e.id[:-1]]
    back = same & np.r_[False, e.time[1:] < e.time[:-1]] & ~np.isin(e.evid, (RESET, RESET_AND_DOSE))
    report(
        back,
        "TIME",
        lambda i: (
            f"{e.time[i]:g} comes after {e.time[i - 1]:g} of the same subject; sort the rows by TIME, or, where the "
            "clock starts anew, put EVID 3 or 4 there or name the column that changes as occasion"
        ),
    )
    first: dict[object, int] = {}
    again = np.zeros(len(e), bool)
    for i in np.flatnonzero(~same):
        again[i] = first.setdefault(e.id[i], int(i)) != i
    report(
        again,
        "ID",
        lambda i: (
            f"{e.id[i]} stands already at row {e.row[first[e.id[i]]]} with other subjects between; put the rows of a "
            "subject together, or give the second one its own ID"
        ),
    )


def _check_values(e: Events, report: _Report) -> None:
    report(
        (e.evid < OBSERVATION) | (e.evid > REPLACE),
        "EVID",
        lambda i: (
            f"{e.evid[i]} is no event; write 0 (observation), 1 (dose), 2 (other), 3 (reset), 4 (reset and dose) or 5 "
            "(replace the amount)"
        ),
    )
    report(
        ~(e.amt >= 0) | np.isinf(e.amt),
        "AMT",
        lambda i: f"{e.amt[i]:g} is no amount; write a number of at least 0",
    )
    nothing = np.isin(e.evid, (OBSERVATION, OTHER, RESET))
    report(
        nothing & (e.amt > 0),
        "AMT",
        lambda i: f"{e.amt[i]:g} on a record that gives nothing (EVID {e.evid[i]}); write EVID 1 for a dose, or AMT 0",
    )
    report(
        ~((e.rate >= 0) | (e.rate == MODELLED_RATE) | (e.rate == MODELLED_DURATION)) | np.isinf(e.rate),
        "RATE",
        lambda i: (
            f"{e.rate[i]:g} is no rate; write 0 (bolus), a positive rate, -1 (modelled rate) or -2 (modelled duration)"
        ),
    )
    report(
        ~e.is_dose & (e.rate != 0),
        "RATE",
        lambda i: f"{e.rate[i]:g} on a record without a dose (EVID {e.evid[i]}); write 0",
    )
    report(
        e.is_dose & (e.rate != 0) & (e.amt == 0) & (e.ss == 0),
        "AMT",
        lambda i: f"0 for an infusion (RATE {e.rate[i]:g}); write the amount, or SS 1 for a constant infusion",
    )
    report((e.mdv != 0) & (e.mdv != 1), "MDV", lambda i: f"{e.mdv[i]} is neither 0 (measured) nor 1 (missing)")


def _check_regular_doses(e: Events, report: _Report) -> None:
    report(~(e.ii >= 0) | np.isinf(e.ii), "II", lambda i: f"{e.ii[i]:g} is no interval; write a positive time or 0")
    report(e.addl < 0, "ADDL", lambda i: f"{e.addl[i]} is no number of further doses; write 0 or more")
    report(
        ~e.is_dose & (e.addl > 0),
        "ADDL",
        lambda i: f"{e.addl[i]} on a record without a dose (EVID {e.evid[i]}); write 0",
    )
    report(
        (e.addl > 0) & (e.ii == 0),
        "II",
        lambda i: f"0 with {e.addl[i]} further doses (ADDL); write the time between them",
    )
    report(
        (e.ss != 0) & (e.ss != 1) & (e.ss != 2),
        "SS",
        lambda i: f"{e.ss[i]} is not known; write 0, 1 (the periodic state) or 2 (the periodic state on top)",
    )
    report(
        ~e.is_dose & (e.ss != 0), "SS", lambda i: f"{e.ss[i]} on a record without a dose (EVID {e.evid[i]}); write 0"
    )
    steady = e.is_dose & np.isin(e.ss, (1, 2))
    constant = steady & (e.ii == 0)
    report(
        constant & ((e.amt != 0) | (e.rate == 0) | (e.rate == MODELLED_DURATION)),
        "II",
        lambda i: (
            f"0 for a steady state (SS {e.ss[i]}, AMT {e.amt[i]:g}, RATE {e.rate[i]:g}); write the interval between "
            "the doses, or AMT 0 and a RATE for a constant infusion"
        ),
    )
    report(
        steady & (e.ii > 0) & (e.amt == 0),
        "AMT",
        lambda i: f"0 for a steady state of doses every {e.ii[i]:g}; write the amount, or II 0 for a constant infusion",
    )


def _check_compartments(e: Events, layout: Layout, report: _Report) -> None:
    where = layout.positions(e.cmt)
    report(
        (where < 0) & (e.evid != RESET),
        "CMT",
        lambda i: f"{e.cmt[i]} is no compartment of the model; {layout.describe(str(e.cmt[i]))}",
    )

    def needed(by: np.ndarray, lacking: list[bool], text: str) -> None:
        report(
            e.is_dose & by & (where >= 0) & np.array(lacking, bool)[where],
            "RATE",
            lambda i: f"{e.rate[i]:g}, but compartment {layout.compartments[where[i]].state!r} {text}",
        )

    parts = layout.compartments
    needed(
        e.rate != 0,
        [not c.infusion for c in parts],
        "has no input for an infusion; write RATE 0, or give its layout one",
    )
    needed(
        e.rate == MODELLED_RATE,
        [not c.rate for c in parts],
        "has no modelled rate; write the rate, or name its parameter in the layout",
    )
    needed(
        e.rate == MODELLED_DURATION,
        [not c.duration for c in parts],
        "has no modelled duration; write the rate, or name its parameter in the layout",
    )
