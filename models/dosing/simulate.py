"""Event records carried out with the ensemble engine: one table for many twins, or a data set of many subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..engine import System, checks
from ..model import Status, Tolerance
from .carry import Carried, Plan, carry_out
from .checks import check_events
from .covariates import CovariateRule, read_covariates
from .events import Events, with_rows_at
from .layout import Layout, modifiers
from .reactive import Reactive, reactive
from .rules import Rule
from .timeline import Planned, planned_doses, read_rows, timeline


@dataclass(frozen=True)
class Given:
    """Doses that were really given, (dose,), by twin and time.

    `amount` went into `compartment`, before bioavailability; the regimen had `planned` it (0 for a dose beside the
    regimen), and `rule` is the name of the rule that gave it ("" for one of the regimen).
    """

    twin: np.ndarray
    time: np.ndarray
    compartment: np.ndarray
    amount: np.ndarray
    planned: np.ndarray
    rule: np.ndarray


@dataclass(frozen=True)
class Simulated:
    """What became of twins.

    `samples` (twin, time, state), rows of failed twins NaN, as are times after an event that ends a twin; `status`
    (twin,) int8; `failed_at` (twin,), NaN where completed; `ended_at` (twin,), the end, an event's or the failure's.
    `event_times` (twin, event, kept) and `event_counts` (twin, event) are of the events `events` by name: those of the
    system, then those of rules. `given` are the doses given under rules, None without rules.
    """

    samples: np.ndarray
    status: np.ndarray
    failed_at: np.ndarray
    ended_at: np.ndarray
    events: tuple[str, ...]
    event_times: np.ndarray
    event_counts: np.ndarray
    given: Given | None = None


@dataclass(frozen=True)
class _Asked:
    """Everything that `simulate` and `predict` are told alike."""

    system: System
    layout: Layout
    p: np.ndarray
    y0: npt.ArrayLike | None
    covariates: CovariateRule
    tolerance: Tolerance | None
    free: tuple[str, ...]
    rules: tuple[Rule, ...]
    units: Mapping[str, str] | None
    kept: int


def simulate(
    system: System,
    layout: Layout,
    events: Events,
    p: npt.ArrayLike,
    y0: npt.ArrayLike | None = None,
    times: npt.ArrayLike | None = None,
    *,
    covariates: CovariateRule = "locf",
    tolerance: Tolerance | None = None,
    free: tuple[str, ...] = (),
    rules: Sequence[Rule] = (),
    units: Mapping[str, str] | None = None,
    keep_events: int = 16,
) -> Simulated:
    """Twins that all get the records of one subject, each with its own parameters.

    Parameters
    ----------
    layout : compartments; its modifiers (bioavailability, lag, ...) are parameters of the system
    events : of one subject, times in the system's time unit
    p : array (twin, parameter)
    y0 : array (twin, state), 0 where not given; also the state after a reset
    times : array (time,), sorted; where not given, the rows of `events`. A time that is also that of a dose reads the
        state after it; a row of `events` reads what stands before it in the table.
    covariates : a covariate that the system has as an input is carried forward from its row ("locf") or holds from the
        row before until its own ("nocb")
    free : states without a periodic value, see `periodic_state`
    rules : what doses obey; `units` of the states that their quantities are read in, see `reactive`
    keep_events : times kept of each event

    Raises
    ------
    DosingError
        Records that do not fit the layout.
    RuleError
        Rules that do not fit the system.
    ValueError
        More than one subject, or `times` for a clock that starts anew.
    """
    if not hasattr(events, "evid"):
        cure = "write make_events(...), or parse_regimen(text).events(routes, time_unit=...)"
        raise TypeError(f"events is {type(events).__name__}; {cure}")
    if len(events) == 0 or len(set(events.id.tolist())) > 1:
        raise ValueError("simulate takes the records of one subject; use predict for a data set")
    check_events(events, layout)
    parameters = checks.table("p", p, None, "parameter", system.parameters)
    asked = _Asked(system, layout, parameters, y0, covariates, tolerance, free, tuple(rules), units, keep_events)
    table, rows = events, np.arange(len(events))
    if times is not None:
        if (np.diff(events.time) < 0).any():
            raise ValueError(
                "the clock of these records starts anew, so times are ambiguous; add observation rows instead"
            )
        clock = np.asarray(times, np.float64)
        if not (clock.ndim == 1 and (clock[1:] >= clock[:-1]).all()):
            raise ValueError("times must be one sorted row, the same for all twins")
        table, place = with_rows_at(events, clock, np.zeros(clock.size, np.int64))
        rows = place[len(events) :]
    found = _carried(asked, table, np.zeros(len(parameters), np.int64), rows)
    return replace(found, samples=found.samples.reshape(len(parameters), len(rows), len(system.states)))


def predict(
    system: System,
    layout: Layout,
    events: Events,
    p: npt.ArrayLike,
    y0: npt.ArrayLike | None = None,
    *,
    covariates: CovariateRule = "locf",
    tolerance: Tolerance | None = None,
    free: tuple[str, ...] = (),
    rules: Sequence[Rule] = (),
    units: Mapping[str, str] | None = None,
    keep_events: int = 16,
) -> Simulated:
    """The state at every row of a data set, each subject with its own row of `p` (subject, parameter).

    Returns
    -------
    Simulated with `samples` (row, state); `status`, `failed_at` and the like are by subject. `y0` is (subject, state).
    """
    check_events(events, layout)
    parameters = checks.table("p", p, None, "parameter", system.parameters)
    subjects = int((events.id[1:] != events.id[:-1]).sum()) + (len(events) > 0)
    if len(parameters) != subjects:
        raise ValueError(f"p has {len(parameters)} rows, the records are those of {subjects} subjects")
    asked = _Asked(system, layout, parameters, y0, covariates, tolerance, free, tuple(rules), units, keep_events)
    return _carried(asked, events, np.arange(subjects), np.arange(len(events)))


def _carried(asked: _Asked, events: Events, subject: np.ndarray, wanted: np.ndarray) -> Simulated:
    """Twins of the subjects of checked records, carried to their ends; the state at the `wanted` rows, twin by twin."""
    layout, twins, states = asked.layout, len(asked.p), len(asked.system.states)
    _check_layout(asked.system, layout)
    system, table, made, planned = asked.system, events, None, None
    nothing = np.zeros((twins, states))
    initial = checks.table("y0", nothing if asked.y0 is None else asked.y0, twins, "state", asked.system.states)
    place = np.arange(len(events))
    if asked.rules:
        made = reactive(asked.system, layout, asked.rules, asked.units)
        system = made.system
        initial = np.hstack([initial, np.ones((twins, len(made.shares)))])
        planned = planned_doses(read_rows(events, layout, np.zeros(len(events), bool)))
        # What share of a dose is given is read at its time.
        table, place = with_rows_at(events, planned.time, planned.row)
    sampled = np.zeros(len(table), bool)
    sampled[place[wanted]] = sampled[place[len(events) :]] = True
    rows = read_rows(table, layout, sampled)
    modified = modifiers(layout, dict(zip(system.parameters, asked.p.T, strict=True)), twins)
    values = read_covariates(system, rows, asked.covariates)
    # Twins of one table whose doses are modified alike share one line.
    alike = len(rows.first) == 1 and modified.alike()
    line = np.zeros(twins, np.int64) if alike else np.arange(twins)
    lines = (modified.take(slice(1)), subject[:1]) if alike else (modified, subject)
    plan = Plan(
        system, layout, rows, timeline(rows, *lines, values.settings, bool(made)), values, modified, subject, line,
        sampled, asked.p, initial, asked.tolerance, (*asked.free, *(made.shares if made else ())), asked.kept, made,
    )  # fmt: skip
    done = carry_out(plan)
    told = [i for i, event in enumerate(system.events) if made and event.name in {rule.name for rule in made.beside}]
    most = int(done.event_counts[:, told].max(initial=0))
    if most > plan.kept:  # more doses beside the regimen than there was room for
        done = carry_out(replace(plan, kept=most))
    failed = done.status != Status.COMPLETED
    if failed.any():
        done.out[failed[plan.sampled_rows()[0]]] = np.nan
    samples, given = done.out, None
    if made and planned:
        twin, row = plan.sampled_rows()
        dose = np.full(len(table), -1)
        dose[place[len(events) :]] = np.arange(len(planned.row))
        read = dose[row] >= 0
        shares = done.out[read, states:]
        given = _given(made, done, events.amt, rows.compartment[place], planned, twin[read], dose[row[read]], shares)
        samples = done.out[~read, :states]
    return Simulated(
        samples, done.status, np.where(failed, done.ended_at, np.nan), done.ended_at,
        tuple(event.name for event in system.events), done.event_times, done.event_counts, given,
    )  # fmt: skip


def _check_layout(system: System, layout: Layout) -> None:
    unknown = [c.state for c in layout.compartments if c.state not in system.states]
    unknown += [c.infusion for c in layout.compartments if c.infusion and c.infusion not in system.inputs]
    if unknown:
        raise ValueError(f"the layout names {unknown[0]!r}, which is neither a state nor an input of {system.name!r}")


def _given(
    made: Reactive, done: Carried, amt: np.ndarray, compartment: np.ndarray, planned: Planned, twin: np.ndarray,
    dose: np.ndarray, shares: np.ndarray,
) -> Given:  # fmt: skip
    """Doses of the regimen, by the `shares` (entry, compartment) read at `dose` of `twin`, and those of rules."""
    row = planned.row[dose]
    share = shares[np.arange(len(row)), compartment[row]]
    there = np.isfinite(share)  # not after the end of a twin
    places = np.array([name.removeprefix("rules: share, ") for name in made.shares])
    parts = [(twin, planned.time[dose], places[compartment[row]], amt[row] * share, amt[row], np.full(len(row), ""))]
    parts = [tuple(column[there] for column in parts[0])]
    names = [event.name for event in made.system.events]
    for rule, amount in made.beside.items():
        who, time = _times(done, names.index(rule.name))
        parts.append(
            (who, time, np.full(len(who), rule.to), np.full(len(who), amount), np.zeros(len(who)),
             np.full(len(who), rule.name))
        )  # fmt: skip
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    return Given(*(column[order] for column in columns))


def _times(done: Carried, event: int) -> tuple[np.ndarray, np.ndarray]:
    """Twin and time of every kept happening of an event of a twin that did not fail."""
    times = np.where((done.status == Status.COMPLETED)[:, None], done.event_times[:, event], np.nan)
    who, slot = np.nonzero(np.isfinite(times))
    return who, times[who, slot]
