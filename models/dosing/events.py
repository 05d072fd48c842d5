"""Event records after NONMEM: who was given what, when, and what was measured.

One row is one record; the columns mean what they mean to PREDPP (NONMEM help, data items EVID, AMT, RATE, II,
ADDL, SS).

    ID    whose record
    TIME  in the time unit of the model; may go back only at a reset (EVID 3 or 4)
    EVID  0 observation, 1 dose, 2 other (a change of covariates, a time to predict at), 3 reset, 4 reset and dose,
          5 replace: the amount in CMT becomes AMT, whatever was there (the number is that of rxode2); AMT is the
          amount itself, without bioavailability or lag
    AMT   dose, in the amount unit of the model
    CMT   number (from 1) or name of the compartment; 0: the default one
    RATE  0 bolus, > 0 rate of an infusion, -1 rate and -2 duration are parameters of the model
    ADDL  so many further doses like this one, every II
    SS    1: the state becomes the periodic one of this dose every II, whatever was before; 2: what such doses add to
          the body is added to what is there; with II = 0, AMT = 0 and RATE > 0 the state of a constant infusion that
          ends at TIME. Covariates are those of the row itself.
    MDV   1: DV is no measurement
    DV    measurement

Every further column is a covariate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

OBSERVATION, DOSE, OTHER, RESET, RESET_AND_DOSE, REPLACE = range(6)
MODELLED_RATE, MODELLED_DURATION = -1.0, -2.0
SHOWN = 50  # problems in one message; a broken column of a large table says the same of every row
COLUMNS = ("ID", "TIME", "EVID", "AMT", "CMT", "RATE", "II", "ADDL", "SS", "MDV", "DV")


class DosingError(ValueError):
    """Records that cannot be carried out; `problems` holds one line each."""

    def __init__(self, problems: list[str], source: str = "") -> None:
        self.problems = tuple(problems)
        shown = problems if len(problems) <= SHOWN else [*problems[:SHOWN], f"... and {len(problems) - SHOWN} more"]
        head = f"{source}: " if source else ""
        count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
        super().__init__("\n".join([f"{head}{count} in the event records:", *shown]))


@dataclass(frozen=True)
class Events:
    """Columns of event records, every one of shape (row,).

    `id` int64 or str; `cmt` str (a number or a name); `evid`, `addl`, `ss`, `mdv`, `row` int64; the others float64.
    `row` is the number by which a message names a record (the line of a file). `covariates` are float64, or str where
    the column holds words; a missing number is NaN, a missing word "".
    """

    id: np.ndarray
    time: np.ndarray
    evid: np.ndarray
    amt: np.ndarray
    cmt: np.ndarray
    rate: np.ndarray
    ii: np.ndarray
    addl: np.ndarray
    ss: np.ndarray
    mdv: np.ndarray
    dv: np.ndarray
    row: np.ndarray
    covariates: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: npt.ArrayLike) -> Events:
        """The records at these positions (or of this mask), in this order."""
        chosen = np.asarray(rows)
        columns: dict[str, Any] = {
            f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "covariates"
        }
        return Events(**columns, covariates={name: values[chosen] for name, values in self.covariates.items()})

    def subjects(self) -> Iterator[Events]:
        """Records of one subject after the other, in the order of the table."""
        if len(self) == 0:
            return
        edges = np.flatnonzero(self.id[1:] != self.id[:-1]) + 1
        for rows in np.split(np.arange(len(self)), edges):
            yield self.take(rows)

    @property
    def is_dose(self) -> np.ndarray:
        """True (row,) where something is given."""
        return (self.evid == DOSE) | (self.evid == RESET_AND_DOSE)


def make_events(
    time: npt.ArrayLike,
    amt: npt.ArrayLike = 0.0,
    *,
    evid: npt.ArrayLike | None = None,
    id: npt.ArrayLike = 1,
    cmt: npt.ArrayLike = "0",
    covariates: Mapping[str, npt.ArrayLike] | None = None,
    **columns: npt.ArrayLike,
) -> Events:
    """Records from columns that broadcast against each other.

    Parameters
    ----------
    time, amt : array, time unit and amount unit of the model
    evid : where not given, 1 for rows with an amount or a rate, else 0
    columns : rate, ii, addl, ss, mdv, dv; 0 where not given, `mdv` 1 for rows that are no observation

    Raises
    ------
    TypeError
        An unknown column.

    >>> make_events([0, 24, 36], [100, 100, 0]).evid
    array([1, 1, 0])
    """
    unknown = sorted(set(columns) - {"rate", "ii", "addl", "ss", "mdv", "dv"})
    if unknown:
        raise TypeError(f"no column is called {unknown[0]!r}; known are {', '.join(COLUMNS).lower()} and covariates")
    extra = {name: np.asarray(values) for name, values in (covariates or {}).items()}
    given = {"rate": 0.0, "ii": 0.0, "addl": 0, "ss": 0, "mdv": -1, "dv": np.nan, **columns}
    everything = [time, amt, id, cmt, -1 if evid is None else evid, *given.values(), *extra.values()]
    count = np.broadcast_shapes((1,), *(np.shape(np.asarray(a)) for a in everything))[0]

    def column(values: npt.ArrayLike, kind: Any) -> np.ndarray:
        return np.array(np.broadcast_to(np.asarray(values), (count,)), dtype=kind)

    amount, rate = column(amt, np.float64), column(given["rate"], np.float64)
    event = column(-1 if evid is None else evid, np.int64)
    if evid is None:
        event = np.where((amount != 0) | (rate != 0), DOSE, OBSERVATION)
    mdv = column(given["mdv"], np.int64)
    who = np.asarray(id)
    return Events(
        id=column(who, np.int64 if who.dtype.kind in "iu" else str),
        time=column(time, np.float64),
        evid=event,
        amt=amount,
        cmt=column(np.asarray(cmt).astype(str), str),
        rate=rate,
        ii=column(given["ii"], np.float64),
        addl=column(given["addl"], np.int64),
        ss=column(given["ss"], np.int64),
        mdv=np.where(mdv < 0, event != OBSERVATION, mdv).astype(np.int64),
        dv=column(given["dv"], np.float64),
        row=np.arange(1, count + 1),
        covariates={n: column(v, np.float64 if v.dtype.kind in "iufb" else str) for n, v in extra.items()},
    )


def with_rows_at(events: Events, times: np.ndarray, like: np.ndarray) -> tuple[Events, np.ndarray]:
    """Records with rows (EVID 2) more that predict at `times`, each after the rows of that time on the clock of `like`.

    Parameters
    ----------
    times : array (new row,); like : array (new row,), a row of the same subject and the same clock

    Returns
    -------
    The records, and where the old and then the new rows stand in them.
    """
    new = np.r_[True, (events.id[1:] != events.id[:-1]) | (events.time[1:] < events.time[:-1])]
    clock = np.cumsum(new[: len(events)])
    extra = make_events(
        times, evid=OTHER, id=events.id[like], covariates={n: _missing(v) for n, v in events.covariates.items()}
    )
    is_new = np.repeat([False, True], [len(events), len(extra)])
    order = np.lexsort((is_new, np.r_[events.time, times], np.r_[clock, clock[like]]))
    columns: dict[str, Any] = {
        f.name: np.concatenate([getattr(events, f.name), getattr(extra, f.name)])[order]
        for f in fields(events)
        if f.name != "covariates"
    }
    covariates = {name: np.concatenate([v, extra.covariates[name]])[order] for name, v in events.covariates.items()}
    return Events(**columns, covariates=covariates), np.argsort(order)


def _missing(values: np.ndarray) -> str | float:
    return "" if values.dtype.kind == "U" else np.nan
