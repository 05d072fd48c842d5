"""Linear bodies in closed form: one to three compartments with an absorption depot and an effect compartment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..dosing.checks import check_events
from ..dosing.events import Events
from ..dosing.layout import Compartment, Layout, modifiers
from ..model import Status
from . import kernel
from .schedule import Schedule, make_schedule


@dataclass(frozen=True)
class Mammillary:
    """A central compartment, up to two peripheral ones, elimination from the central one; every array (twin,).

        d depot / dt       = -ka depot
        d central / dt     = ka depot - (CL + Q + Q2) / V central + Q / Vp peripheral + Q2 / Vp2 peripheral_2
        d peripheral / dt  = Q / V central - Q / Vp peripheral              (peripheral_2 likewise)
        d effect / dt      = ke0 (central / V - effect)

    Parameters
    ----------
    CL, V : clearance (volume per time, at least 0) and central volume (above 0)
    Q, Vp, Q2, Vp2 : intercompartmental clearances and peripheral volumes; None: no such compartment
    ka : absorption rate (per time); None: no depot
    ke0 : equilibration rate of the effect compartment (per time), whose state is a concentration; None: none

    Source: Gabrielsson & Weiner, Pharmacokinetic and Pharmacodynamic Data Analysis; Sheiner 1979 for the effect
    compartment (doi 10.1002/cpt1979253358).
    """

    CL: npt.ArrayLike
    V: npt.ArrayLike
    Q: npt.ArrayLike | None = None
    Vp: npt.ArrayLike | None = None
    Q2: npt.ArrayLike | None = None
    Vp2: npt.ArrayLike | None = None
    ka: npt.ArrayLike | None = None
    ke0: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        pairs = ((self.Q, self.Vp, "Q", "Vp"), (self.Q2, self.Vp2, "Q2", "Vp2"))
        for flow, volume, flow_name, volume_name in pairs:
            if (flow is None) != (volume is None):
                raise ValueError(f"give {flow_name} and {volume_name} together, or neither")
        if self.Q is None and self.Q2 is not None:
            raise ValueError("Q2 and Vp2 are of a second peripheral compartment; give the first as Q and Vp")

    @property
    def peripherals(self) -> int:
        return (self.Q is not None) + (self.Q2 is not None)

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in order; amounts, and a concentration for `effect`."""
        depot = ("depot",) if self.ka is not None else ()
        effect = ("effect",) if self.ke0 is not None else ()
        return (*depot, "central", *("peripheral", "peripheral_2")[: self.peripherals], *effect)

    @property
    def layout(self) -> Layout:
        """Depot and central compartment, numbered from 1 in the order of the states, both open to infusions."""
        names = [name for name in self.states if name in ("depot", "central")]
        return Layout(tuple(Compartment(name, infusion=f"rate into {name}") for name in names))

    def table(self) -> np.ndarray:
        """Parameters (twin, 8): CL, V, Q, Vp, Q2, Vp2, ka, ke0; absent ones are 0, absent volumes 1."""
        given = (self.CL, self.V, self.Q, self.Vp, self.Q2, self.Vp2, self.ka, self.ke0)
        absent = (0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0)
        columns = [np.asarray(a if v is None else v, np.float64) for v, a in zip(given, absent, strict=True)]
        return np.ascontiguousarray(np.stack(np.broadcast_arrays(*map(np.atleast_1d, columns)), axis=1))

    def matrix(self) -> np.ndarray:
        """A of dy/dt = A y, (twin, state, state)."""
        CL, V, Q, Vp, Q2, Vp2, ka, ke0 = self.table().T
        index = {name: i for i, name in enumerate(self.states)}
        c = index["central"]
        out = np.zeros((CL.size, len(index), len(index)))
        out[:, c, c] = -(CL + Q + Q2) / V
        for name, flow, volume in (("peripheral", Q, Vp), ("peripheral_2", Q2, Vp2)):
            if name in index:
                i = index[name]
                out[:, i, c], out[:, i, i], out[:, c, i] = flow / V, -flow / volume, flow / volume
        if "depot" in index:
            out[:, 0, 0], out[:, c, 0] = -ka, ka
        if "effect" in index:
            out[:, -1, c], out[:, -1, -1] = ke0 / V, -ke0
        return out


@dataclass(frozen=True)
class ClosedForm:
    """`samples` (twin, time, state): the states asked for, NaN rows for failed twins; `status` (twin,) int8."""

    samples: np.ndarray
    status: np.ndarray


def mammillary(
    body: Mammillary,
    events: Events,
    times: npt.ArrayLike,
    *,
    states: tuple[str, ...] | None = None,
    layout: Layout | None = None,
    values: Mapping[str, npt.ArrayLike] | None = None,
) -> ClosedForm:
    """States of every twin at `times` under the records of one subject, as sums of exponentials.

    Parameters
    ----------
    events : records of one subject (`dosing`), in the time unit of the body; it is empty at first and after a reset
    times : array (time,), sorted; a time that is also that of a dose reads the state after it
    states : those to return, in this order; all where not given
    layout : depot and central compartment with the parameters that modify a dose; `body.layout` where not given
    values : those parameters by name, (twin,)

    Notes
    -----
    Where rates nearly meet (ka and a disposition rate, say) the exponentials cancel; a twin whose largest term
    exceeds ten thousand doses is done by the matrix exponential instead (`linear`). The error is at most about
    1e-11 of the dose. Twins with a parameter that is negative or no number get `Status.CONSTRAINT` or
    `Status.NON_FINITE`; a steady state that does not exist (no elimination) is `Status.ROOT_NOT_FOUND`.

    Raises
    ------
    DosingError
        Records that do not fit the layout.
    ValueError
        Unknown states, unsorted times, records of several subjects or of a clock that starts anew.

    >>> from twinarm.models.dosing import make_events
    >>> bolus = mammillary(Mammillary(CL=5.0, V=50.0), make_events(0.0, 100.0), [0.0, 10.0])
    >>> bolus.samples[0, :, 0].round(4).tolist()
    [100.0, 36.7879]
    """
    p = body.table()
    wanted = _wanted(body.states, states)
    layout = layout or body.layout
    places = [c.state for c in layout.compartments]
    if any(name not in ("depot", "central") or name not in body.states for name in places):
        raise ValueError(f"a mammillary body takes doses into {', '.join(c.state for c in body.layout.compartments)}")
    schedule, valid, clock = _prepare(events, layout, values, times, len(p))
    status = np.where(valid, Status.COMPLETED, Status.CONSTRAINT).astype(np.int8)
    good = (p >= 0).all(axis=1) & (p[:, [1, 3, 5]] > 0).all(axis=1)
    status[~good] = Status.CONSTRAINT
    status[~np.isfinite(p).all(axis=1)] = Status.NON_FINITE
    out = np.empty((len(p), len(wanted), clock.size))
    number = np.array([kernel.DEPOT if name == "depot" else kernel.CENTRAL for name in places])
    s = schedule
    kernel.run(
        p, body.peripherals, int(body.ka is not None), int(body.ke0 is not None), s.kind, number[s.where], s.value,
        s.steady, s.gap, s.event_gap, s.block_first, s.block_gap, s.has_infusions, wanted, out, status,
    )  # fmt: skip
    guarded = np.flatnonzero(status == kernel.GUARDED)
    if guarded.size:
        from . import matrix

        index = np.array([body.states.index(name) for name in places])
        rows = guarded if s.kind.shape[0] > 1 else np.zeros(1, np.int64)
        part, code = np.empty((guarded.size, *out.shape[1:])), np.ones(guarded.size, np.int8)
        matrix.run(
            body.matrix()[guarded], s.kind[rows], index[s.where[rows]], s.value[rows], s.steady[rows], s.gap[rows],
            s.event_gap[rows], s.block_first[rows], s.block_gap[rows], wanted, part, code,
        )  # fmt: skip
        out[guarded], status[guarded] = part, code
    out[status != Status.COMPLETED] = np.nan
    return ClosedForm(np.moveaxis(out, 1, 2), status)


def linear(
    A: npt.ArrayLike,
    layout: Layout,
    events: Events,
    times: npt.ArrayLike,
    names: tuple[str, ...],
    *,
    states: tuple[str, ...] | None = None,
    values: Mapping[str, npt.ArrayLike] | None = None,
) -> ClosedForm:
    """States of dy/dt = A y with doses into any compartment, by the exponential of each twin's matrix.

    Parameters
    ----------
    A : array (twin, state, state), per time
    layout : compartments that take doses, named as in `names`
    names : names of the states, in the order of A

    The rest, and the errors, as in `mammillary`. Equal rates need no care; the relative error is about 1e-14 of the
    largest rate times the longest gap between events and samples, and amounts never become negative.
    """
    matrices = np.array(A, dtype=np.float64, ndmin=3)
    if matrices.shape[1:] != (len(names), len(names)):
        raise ValueError(f"A is {matrices.shape[1:]} for each twin, the names are {len(names)}")
    unknown = [c.state for c in layout.compartments if c.state not in names]
    if unknown:
        raise ValueError(f"the layout names {unknown[0]!r}, which is none of {', '.join(names)}")
    from . import matrix

    wanted = _wanted(names, states)
    s, valid, clock = _prepare(events, layout, values, times, len(matrices))
    status = np.where(valid, Status.COMPLETED, Status.CONSTRAINT).astype(np.int8)
    status[~np.isfinite(matrices).all(axis=(1, 2))] = Status.NON_FINITE
    out = np.empty((len(matrices), len(wanted), clock.size))
    index = np.array([names.index(c.state) for c in layout.compartments])
    matrix.run(
        matrices, s.kind, index[s.where], s.value, s.steady, s.gap, s.event_gap, s.block_first, s.block_gap, wanted,
        out, status,
    )  # fmt: skip
    out[status != Status.COMPLETED] = np.nan
    return ClosedForm(np.moveaxis(out, 1, 2), status)


def _wanted(known: tuple[str, ...], states: tuple[str, ...] | None) -> np.ndarray:
    unknown = [name for name in states or () if name not in known]
    if unknown:
        raise ValueError(f"no state is called {unknown[0]!r}; known: {', '.join(known)}")
    return np.array([known.index(name) for name in (states or known)], dtype=np.int64)


def _prepare(
    events: Events, layout: Layout, values: Mapping[str, npt.ArrayLike] | None, times: npt.ArrayLike, twins: int
) -> tuple[Schedule, np.ndarray, np.ndarray]:
    check_events(events, layout)
    if len(events) == 0 or len(set(events.id.tolist())) > 1 or (np.diff(events.time) < 0).any():
        raise ValueError("give the records of one subject on one clock; take others apart first")
    clock = np.asarray(times, np.float64)
    if clock.ndim != 1 or clock.size == 0 or not np.isfinite(clock).all() or (np.diff(clock) < 0).any():
        raise ValueError("times must be a sorted list of at least one number")
    given = {name: np.asarray(v, np.float64) for name, v in (values or {}).items()}
    modified = modifiers(layout, given, twins)
    return make_schedule(events, layout, modified, clock), modified.valid, clock
