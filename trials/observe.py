"""One trial out of the bank: who is recruited, which arm is observed, what happens to them and what is missing.

Specification
-------------
1. Twins that failed in any arm leave the bank; they are counted by status.
2. `subjects` of the rest are drawn without replacement, in an order keyed by twin id. Where fewer are there, all
   of them are taken, and `attrs["note"]` says so.
3. Each gets a day of enrolment, uniform over `recruitment`; subjects are numbered in the order of enrolment.
4. `randomise` gives the arm, in that order and within strata.
5. Intercurrent events and their consequences (`courses`).
6. Dropout: what would have been seen after it is missing. A visit whose period ends after dropout is missing; a
   time to event is censored at dropout; a value of the whole follow-up is missing where dropout comes before the day
   by which it is known. Intercurrent events after dropout are not seen. Dropout is independent of outcomes: whom it
   takes after a death loses a value that was known, which costs subjects and biases nothing.

Every draw is keyed by seed, replicate and twin id (allocation: by stratum), never by the order of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..models.model import Status
from ..models.randomness import uniforms
from .allocation import randomise, strata_labels
from .courses import event_days, follow, hazard_days
from .measures import Measure, find_measures, outcome_coords, outcome_layout, schedule_of, variable_name
from .protocol import Allocation, Protocol

AT_ONCE = 100_000  # twins whose lots are held


class BankError(ValueError):
    """The bank of twins cannot make the trial that was asked for."""


def observe(protocol: Protocol, cohort: xr.Dataset, outcomes: xr.Dataset, replicate: int = 0) -> xr.Dataset:
    """The subjects of one trial, dims (subject[, visit]).

    Returns
    -------
    Dataset
        `twin`, `arm` (name), `arm_index`, `stratum`, `enrolment_day` (days from the first day of recruitment),
        `dropout_day` and `ice_<event>_day` (days from randomisation, inf where none); the variables of
        `outcome_layout` as they are observed, NaN where missing; every variable of the cohort as `covariate_<name>`.

    Raises
    ------
    BankError
        The cohort and the outcomes are not of the same twins, or fewer than two twins completed every arm.
    """
    bank = outcomes["twin"].values
    if not np.array_equal(cohort["twin"].values, bank):
        raise BankError("the cohort and the outcomes hold different twins; use those of one run folder")
    available = np.flatnonzero(completed_everywhere(outcomes))
    rows = _recruit(protocol, bank, available, replicate)
    twins = bank[rows]
    enrolled = _enrolment(protocol, twins, replicate)
    order = np.argsort(enrolled, kind="stable")
    rows, twins, enrolled = rows[order], twins[order], enrolled[order]

    allocation = protocol.allocation or Allocation(ratio=(1,) * len(protocol.arms))
    names = [arm.name for arm in protocol.arms]
    people = cohort.isel(twin=rows)
    strata = strata_labels(people, allocation.strata)
    arms = randomise(strata, allocation, names, protocol.seed, replicate)
    dropout = dropout_days(protocol, twins, arms, replicate)
    subjects = course(protocol, outcomes, rows, arms, replicate)
    subjects = _until_dropout(protocol, subjects, dropout)
    subjects["stratum"] = ("subject", strata)
    subjects["enrolment_day"] = ("subject", enrolled, {"units": "day"})
    subjects["dropout_day"] = ("subject", dropout, {"units": "day"})
    for name, column in people.data_vars.items():
        if column.dims == ("twin",):
            subjects[f"covariate_{name}"] = ("subject", column.values, dict(column.attrs))
    return subjects.assign_attrs(_account(protocol, outcomes, available.size, rows.size, replicate))


def completed_everywhere(outcomes: xr.Dataset) -> np.ndarray:
    """Twins that completed every arm, (twin,)."""
    return np.asarray((outcomes["status"].transpose("twin", "arm").values == Status.COMPLETED).all(axis=1))


def course(
    protocol: Protocol, outcomes: xr.Dataset, rows: np.ndarray, arms: np.ndarray, replicate: int = 0
) -> xr.Dataset:
    """What would be seen of each subject with nobody lost: events and outcomes in the arm it is in."""
    names = [arm.name for arm in protocol.arms]
    if outcomes["arm"].values.tolist() != names:
        raise BankError(
            f"the outcomes hold the arms {outcomes['arm'].values.tolist()}, the protocol {names}; run it again"
        )
    days = event_days(protocol, outcomes, rows, arms, replicate)
    values = follow(protocol, outcomes, rows, arms, days, replicate)
    layout = outcome_layout(protocol)
    coords = outcome_coords(protocol)
    data: dict[str, Any] = {
        "twin": ("subject", outcomes["twin"].values[rows]),
        "arm": ("subject", coords["arm"][arms]),
        "arm_index": ("subject", arms),
    }
    for name, day in days.items():
        data[f"ice_{variable_name(name)}_day"] = ("subject", day, {"units": "day"})
    for name, value in values.items():
        dims = ("subject", "visit") if "visit" in layout[name].dims else ("subject",)
        data[name] = (dims, value, dict(layout[name].attrs))
    return xr.Dataset(data, coords={"subject": np.arange(rows.size), "visit": coords["visit"]})


def dropout_days(protocol: Protocol, twins: np.ndarray, arms: np.ndarray, replicate: int = 0) -> np.ndarray:
    """Day of dropout, (subject,), the first of the protocol's hazards; inf where follow-up is complete."""
    names = np.array([arm.name for arm in protocol.arms])
    first = np.full(twins.size, np.inf)
    for number, hazard in enumerate(protocol.dropout):
        day = hazard_days(hazard, protocol.seed, f"dropout.{number}.{replicate}", twins)
        applies = np.isin(names[arms], hazard.arms) if hazard.arms else np.ones(twins.size, dtype=bool)
        first = np.where(applies, np.minimum(first, day), first)
    return np.where(first < schedule_of(protocol).duration, first, np.inf)


def _recruit(protocol: Protocol, twins: np.ndarray, available: np.ndarray, replicate: int) -> np.ndarray:
    """Positions in the bank of those who take part, in random order; a large bank is gone through in parts."""
    if available.size < 2:
        raise BankError(f"{available.size} of {twins.size} twins completed every arm; a trial needs at least 2")
    wanted = protocol.subjects or available.size
    rows, lots = available[:0], np.empty(0)
    at_once = max(wanted, AT_ONCE)
    for first in range(0, available.size, at_once):
        more = available[first : first + at_once]
        rows = np.concatenate([rows, more])
        lots = np.concatenate([lots, uniforms(protocol.seed, f"recruitment.{replicate}", twins[more])[:, 0]])
        order = np.argsort(lots, kind="stable")[:wanted]
        rows, lots = rows[order], lots[order]
    return rows


def _enrolment(protocol: Protocol, twins: np.ndarray, replicate: int) -> np.ndarray:
    recruitment = protocol.schedule.recruitment if protocol.schedule else 0.0
    return recruitment * uniforms(protocol.seed, f"enrolment.{replicate}", twins)[:, 0]


def _until_dropout(protocol: Protocol, subjects: xr.Dataset, dropout: np.ndarray) -> xr.Dataset:
    """What is seen of each subject before it is lost."""
    schedule = schedule_of(protocol)
    windows = schedule.windows()
    ends = np.array([windows[str(label)][1] for label in subjects["visit"].values])
    seen = subjects.copy()
    for measure in find_measures(protocol):
        if measure.per_visit:
            is_lost = ends > dropout[:, None]
        elif measure.kind == "time-to-event":
            _censor(seen, measure, dropout)
            continue
        else:
            is_lost = dropout < measure.known_by(schedule)
        for name in measure.units:
            seen[name] = subjects[name].copy(data=np.where(is_lost, np.nan, subjects[name].values))
    for event in protocol.intercurrent_events:
        name = f"ice_{variable_name(event.name)}_day"
        day = subjects[name].values
        seen[name] = subjects[name].copy(data=np.where(day < dropout, day, np.inf))
    return seen


def _censor(seen: xr.Dataset, measure: Measure, dropout: np.ndarray) -> None:
    time, event = seen[measure.variable], seen[f"{measure.variable}_event"]
    is_lost = dropout < time.values
    seen[time.name] = time.copy(data=np.where(is_lost, dropout, time.values))
    seen[event.name] = event.copy(data=np.where(is_lost, 0.0, event.values))


def _account(protocol: Protocol, outcomes: xr.Dataset, available: int, subjects: int, replicate: int) -> dict[str, Any]:
    """Counts for the ledger, and a note where the trial is smaller than the protocol asks for."""
    planned = protocol.subjects or subjects
    note = ""
    if subjects < planned:
        note = f"{subjects} subjects instead of the {planned} of the protocol: the bank holds {available} usable twins"
    return {
        "bank": outcomes.sizes["twin"],
        "available": available,
        "subjects_planned": planned,
        "subjects": subjects,
        "replicate": replicate,
        "note": note,
    }
