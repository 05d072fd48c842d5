"""Carry event records out with the ensemble engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..engine import Records, System, solve
from ..engine.checks import table
from ..model import Status, Tolerance
from .checks import check_events
from .events import RESET, RESET_AND_DOSE, Events
from .layout import Layout, modifiers
from .steady_state import periodic_state
from .timeline import RATE, Replace, Reset, Stage, Steady, stages

CovariateRule = Literal["locf", "nocb"]


@dataclass(frozen=True)
class Simulated:
    """`samples` (twin, time, state), rows of failed twins NaN; `status` (twin,) int8 and `failed_at` (twin,)."""

    samples: np.ndarray
    status: np.ndarray
    failed_at: np.ndarray


@dataclass
class _Run:
    """What is carried from stage to stage."""

    y: np.ndarray
    u: np.ndarray
    status: np.ndarray
    failed_at: np.ndarray

    def fail(self, who: np.ndarray, code: np.ndarray, at: npt.ArrayLike) -> None:
        first = who & (self.status == Status.COMPLETED)
        self.status[first] = np.broadcast_to(code, first.shape)[first]
        self.failed_at[first] = np.broadcast_to(at, first.shape)[first]


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

    Raises
    ------
    DosingError
        Records that do not fit the layout.
    ValueError
        More than one subject, or `times` for a clock that starts anew.
    """
    if not hasattr(events, "evid"):
        cure = "write make_events(...), or parse_regimen(text).events(routes, time_unit=...)"
        raise TypeError(f"events is {type(events).__name__}; {cure}")
    check_events(events, layout)
    if len(events) == 0 or len(set(events.id.tolist())) > 1:
        raise ValueError("simulate takes the records of one subject; use predict for a data set")
    unknown = [c.state for c in layout.compartments if c.state not in system.states]
    unknown += [c.infusion for c in layout.compartments if c.infusion and c.infusion not in system.inputs]
    if unknown:
        raise ValueError(f"the layout names {unknown[0]!r}, which is neither a state nor an input of {system.name!r}")
    parameters = table("p", p, None, "parameter", system.parameters)
    twins = len(parameters)
    nothing = np.zeros((twins, len(system.states)))
    initial = table("y0", nothing if y0 is None else y0, twins, "state", system.states)
    modified = modifiers(layout, dict(zip(system.parameters, parameters.T, strict=True)), twins)
    wanted = None if times is None else np.asarray(times, np.float64)
    if wanted is not None and not (wanted.ndim == 1 and (wanted[1:] >= wanted[:-1]).all()):
        raise ValueError("times must be one sorted row, the same for all twins")
    if wanted is not None and (np.diff(events.time) < 0).any():
        raise ValueError("the clock of these records starts anew, so times are ambiguous; add observation rows instead")
    ends = (np.inf, -np.inf) if wanted is None or not wanted.size else (float(wanted[0]), float(wanted[-1]))
    plan = stages(events, layout, modified, *ends)
    settings = _covariate_settings(system, events, covariates)
    run = _Run(initial.copy(), np.zeros((twins, len(system.inputs))), np.ones(twins, np.int8), np.full(twins, np.nan))
    for _, column, value, _ in reversed(settings):
        run.u[:, column] = value  # what is written last is the first setting: it holds before the first row as well
    run.fail(~modified.valid, np.array(Status.CONSTRAINT), plan[0].start)
    out = np.full((twins, len(events) if wanted is None else wanted.size, len(system.states)), np.nan)
    for i, stage in enumerate(plan):
        until_row = plan[i + 1].first_row if i + 1 < len(plan) else len(events)
        if wanted is None:
            which = np.arange(stage.first_row, until_row)
            clock = events.time
        else:
            clock = wanted
            later = i + 1 < len(plan)
            which = np.flatnonzero((wanted >= stage.start) & ((wanted < stage.stop) if later else True))
        mine = [s for s in settings if stage.first_row <= s[3] < until_row]
        _open(system, layout, stage, parameters, initial, run, mine, tolerance, free)
        _carry(system, layout, stage, parameters, run, mine, clock[which], which, out, tolerance)
    out[run.status != Status.COMPLETED] = np.nan
    return Simulated(out, run.status, run.failed_at)


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
) -> Simulated:
    """The state at every row of a data set, each subject with its own row of `p` (subject, parameter).

    Returns
    -------
    Simulated with `samples` (row, state); `status` and `failed_at` are (subject,). `y0` is (subject, state).
    """
    check_events(events, layout)
    subjects = list(events.subjects())
    parameters = np.array(p, dtype=np.float64, ndmin=2)
    if len(parameters) != len(subjects):
        raise ValueError(f"p has {len(parameters)} rows, the records are those of {len(subjects)} subjects")
    start = None if y0 is None else np.array(y0, np.float64, ndmin=2)
    parts = [
        simulate(
            system, layout, subject, parameters[[k]], None if start is None else start[[k]],
            covariates=covariates, tolerance=tolerance, free=free,
        )
        for k, subject in enumerate(subjects)
    ]  # fmt: skip
    return Simulated(
        np.concatenate([part.samples[0] for part in parts]),
        np.concatenate([part.status for part in parts]),
        np.concatenate([part.failed_at for part in parts]),
    )


def _covariate_settings(system: System, events: Events, rule: CovariateRule) -> list[tuple[float, int, float, int]]:
    """(time, input, value, row) wherever a covariate that is an input changes."""
    if rule not in ("locf", "nocb"):
        raise ValueError(f"covariates={rule!r} is not known; write 'locf' or 'nocb'")
    out = []
    rows = np.arange(len(events))
    for name, values in events.covariates.items():
        if name not in system.inputs:
            continue
        if values.dtype.kind == "U":
            raise ValueError(f"the covariate {name!r} is an input of {system.name!r} but holds words; write numbers")
        good = np.flatnonzero(~np.isnan(values))
        if good.size == 0:
            raise ValueError(f"the covariate {name!r} is an input of {system.name!r} but has no value")
        back = good[np.clip(np.searchsorted(good, rows, "right") - 1, 0, None)]
        ahead = good[np.clip(np.searchsorted(good, rows, "left"), None, good.size - 1)]
        filled = values[back] if rule == "locf" else values[ahead]
        restart = np.isin(events.evid, (RESET, RESET_AND_DOSE)) & np.r_[False, np.diff(events.time) < 0]
        last = np.nan
        for row in rows:
            looks_ahead = rule == "nocb" and row + 1 < len(rows) and not restart[row + 1]
            value = filled[row + 1] if looks_ahead else filled[row]
            if value != last:
                out.append((float(events.time[row]), system.inputs.index(name), float(value), int(row)))
            last = value
    return out


def _open(
    system: System,
    layout: Layout,
    stage: Stage,
    p: np.ndarray,
    initial: np.ndarray,
    run: _Run,
    settings: list[tuple[float, int, float, int]],
    tolerance: Tolerance | None,
    free: tuple[str, ...],
) -> None:
    for time, column, value, _ in settings:
        if time <= stage.start:
            run.u[:, column] = value
    infusions = [system.inputs.index(c.infusion) for c in layout.compartments if c.infusion]
    for opening in stage.openings:
        match opening:
            case Reset():
                run.y = initial.copy()
                run.u[:, infusions] = 0.0
            case Replace(compartment, amount):
                run.y[:, system.states.index(layout.compartments[compartment].state)] = amount
            case Steady():
                quiet = run.u.copy()
                quiet[:, infusions] = 0.0
                found, code = _steady(system, layout, opening, p, initial, quiet, tolerance, free)
                run.fail(code != Status.COMPLETED, code, stage.start)
                held = np.isin(system.states, free)
                if opening.superpose:
                    run.y = run.y + np.where(held, 0.0, found - initial)
                else:
                    run.y, run.u = np.where(held, run.y, found), quiet


def _steady(
    system: System,
    layout: Layout,
    dose: Steady,
    p: np.ndarray,
    initial: np.ndarray,
    quiet: np.ndarray,
    tolerance: Tolerance | None,
    free: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """The periodic state of one dose alone, and its status."""
    twins = len(p)
    place = layout.compartments[dose.compartment]
    target = system.states.index(place.state)
    start = quiet.copy()
    records = Records.empty(twins, 3)
    if not dose.infused:
        records.time[:, 0] = np.mod(dose.lag, dose.interval)
        records.target[:, 0], records.value[:, 0] = target, dose.amount
        found = periodic_state(system, p, dose.interval, records, initial, start, tolerance, free)
        return found.y, found.status
    column = system.inputs.index(place.infusion)
    if dose.interval == 0:
        start[:, column] = dose.rate
        # A constant input has no period of its own; any stretch of time does.
        found = periodic_state(system, p, _stretch(system), records, initial, start, tolerance, free)
        return found.y, found.status
    base = np.floor(dose.duration / dose.interval)
    rest = dose.duration - base * dose.interval
    on = np.mod(dose.lag, dose.interval)
    off = np.mod(on + rest, dose.interval)
    wraps = on + rest >= dose.interval
    start[:, column] = dose.rate * (base + wraps)
    records.target[:, :2] = system.input_target(place.infusion)
    records.time[:, 0], records.time[:, 1] = np.where(wraps, off, on), np.where(wraps, on, off)
    records.value[:, 0] = dose.rate * np.where(wraps, base, base + 1)
    records.value[:, 1] = dose.rate * np.where(wraps, base + 1, base)
    found = periodic_state(system, p, dose.interval, records, initial, start, tolerance, free)
    return found.y, found.status


def _stretch(system: System) -> float:
    return {"second": 3600.0, "minute": 60.0, "hour": 24.0, "day": 7.0, "week": 4.0}.get(system.time_unit, 1.0)


def _carry(
    system: System,
    layout: Layout,
    stage: Stage,
    p: np.ndarray,
    run: _Run,
    settings: list[tuple[float, int, float, int]],
    times: np.ndarray,
    which: np.ndarray,
    out: np.ndarray,
    tolerance: Tolerance | None,
) -> None:
    """Integrate one stage and write the samples of the positions `which`."""
    states = np.array([system.states.index(c.state) for c in layout.compartments])
    inputs = np.array([len(system.states) + system.inputs.index(c.infusion) if c.infusion else -1
                       for c in layout.compartments])  # fmt: skip
    target = np.where(stage.kind == RATE, inputs[stage.compartment], states[stage.compartment])
    extra = [s for s in settings if s[0] > stage.start]
    twins = len(p)
    records = Records(
        np.concatenate([stage.time, np.broadcast_to([s[0] for s in extra], (twins, len(extra)))], axis=1),
        np.concatenate(
            [target, np.broadcast_to([len(system.states) + s[1] for s in extra], (twins, len(extra)))], axis=1
        ).astype(np.int64),
        np.concatenate([stage.value, np.broadcast_to([s[2] for s in extra], (twins, len(extra)))], axis=1),
    ).sorted()
    if stage.stop > stage.start:
        early = Records(np.where(records.time < stage.stop, records.time, np.inf), records.target, records.value)
        found = solve(system, run.y, p, stage.start, stage.stop, early, times, tolerance, run.u)
        out[:, which] = found.samples
        run.fail(found.status != Status.COMPLETED, found.status, found.failed_at)
        run.y, run.u = found.y_end, found.inputs_end
    for j in range(records.time.shape[1]):  # those of its end, before the next stage opens
        due = np.flatnonzero(records.time[:, j] == stage.stop)
        where, value = records.target[due, j], records.value[due, j]
        adds = where < len(system.states)
        run.y[due[adds], where[adds]] += value[adds]
        run.u[due[~adds], where[~adds] - len(system.states)] = value[~adds]
    out[:, which[times == stage.stop]] = run.y[:, None, :]
