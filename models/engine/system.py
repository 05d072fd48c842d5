"""What the engine integrates: a system of ordinary differential equations, and what happens to it on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..model import Status


@dataclass(frozen=True)
class Event:
    """What happens to a twin when a quantity crosses zero: a rescue, a valve, progression, death, a broken constraint.

    `value(t, y, p, u)` is written like the right-hand side. The event happens where it crosses zero in `direction`,
    by itself or by a jump of the state, and again only once it has been back beyond zero by more than `hysteresis`.
    `effect(t, y, p, u)` gives new values of states and inputs by name. `ends` ends the twin there: with
    `Status.COMPLETED` as a result, with `Status.CONSTRAINT` or `Status.OUT_OF_RANGE` as a failure.

    At the start an event waits for its quantity to be on the side it comes from, unless it fails the twin: a
    constraint holds from the start.
    """

    name: str
    value: Callable[[Any, Any, Any, Any], Any]
    direction: Literal["up", "down"]
    hysteresis: float = 0.0
    effect: Callable[[Any, Any, Any, Any], dict[str, Any]] | None = None
    ends: Status | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("up", "down"):
            raise ValueError(f"event {self.name!r}: direction is {self.direction!r}; write 'up' or 'down'")
        if not self.hysteresis >= 0.0:
            raise ValueError(f"event {self.name!r}: hysteresis is {self.hysteresis!r}; it must be 0 or more")
        if self.ends is not None and not isinstance(self.ends, Status):
            raise ValueError(f"event {self.name!r}: ends is {self.ends!r}; write Status.COMPLETED or Status.CONSTRAINT")

    @property
    def fails(self) -> bool:
        return self.ends not in (None, Status.COMPLETED)


def hazard(name: str, state: str, threshold: str, ends: Status | None = Status.COMPLETED) -> Event:
    """The event at which the cumulative hazard H, a state, reaches the threshold E, a parameter of each twin.

    With E standard exponential the event's time has the survival function exp(-H(t)).
    """
    return Event(name, lambda t, y, p, u: getattr(y, state) - getattr(p, threshold), "up", ends=ends)


@dataclass(frozen=True)
class Action:
    """What a record does that is more than adding an amount: a device's decision, a dose that depends on the state.

    `effect(t, y, p, u, x)` gives new values of states and inputs by name; x is the record's value.
    """

    name: str
    effect: Callable[[Any, Any, Any, Any, Any], dict[str, Any]]


@dataclass(frozen=True)
class System:
    """Equations of one model, written once as a scalar function.

    `rhs(t, y, p, u)` reads states, parameters and inputs by name (`y.gut`, `p.CL`, `u.rate`) and returns the
    derivatives as a tuple in the order of `states`. It is called with numbers (the reference) and once with symbols
    (to compile it), so it must not branch on values: use `where`, `minimum`, `maximum` of `engine.math`.
    """

    name: str
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    inputs: tuple[str, ...]
    rhs: Callable[[Any, Any, Any, Any], tuple[Any, ...]]
    time_unit: str
    events: tuple[Event, ...] = ()
    actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        for field in ("states", "parameters", "inputs", "events", "actions"):
            given = getattr(self, field)
            if not isinstance(given, tuple | list):
                shown = repr(given) if isinstance(given, str) else type(given).__name__
                raise ValueError(f"{field} of {self.name!r} is no tuple but {shown}; one alone needs a comma: (it,)")
        for field, names in (
            ("states and inputs", [*self.states, *self.inputs]),
            ("parameters", self.parameters),
            ("events", self._names("events")),
            ("actions", self._names("actions")),
        ):
            twice = [name for i, name in enumerate(names) if name in names[:i]]
            if twice:
                raise ValueError(f"{twice[0]!r} stands twice among the {field} of {self.name!r}; rename one")

    def _names(self, field: str) -> list[str]:
        return [getattr(one, "name", one) for one in getattr(self, field)]

    def _number(self, field: str, name: str) -> int:
        names = self._names(field)
        if name not in names:
            raise ValueError(f"{self.name!r} has no {name!r} among its {field}: {', '.join(names) or 'none'}")
        return names.index(name)

    def state(self, name: str) -> int:
        return self._number("states", name)

    def event(self, name: str) -> int:
        return self._number("events", name)

    def input_target(self, name: str) -> int:
        """The number by which a record names an input: they follow the states."""
        return len(self.states) + self._number("inputs", name)

    def action_target(self, name: str) -> int:
        """The number by which a record names an action: they follow the inputs."""
        return len(self.states) + len(self.inputs) + self._number("actions", name)


@dataclass(frozen=True)
class Records:
    """Events of each twin, sorted by time; unused slots have time inf.

    A record at `time` adds `value` to state `target`, or, for targets from the number of states on, sets that input to
    `value` from then on, or, for targets after the inputs, performs that action with `value`. The solver lands on every
    record exactly.
    """

    time: np.ndarray
    target: np.ndarray
    value: np.ndarray

    @classmethod
    def empty(cls, twins: int, count: int) -> Records:
        """Unused records of shape (twins, count)."""
        shape = (twins, count)
        return cls(np.full(shape, np.inf), np.zeros(shape, np.int64), np.zeros(shape))

    def sorted(self) -> Records:
        """The same records in order of time; simultaneous ones keep the order in which they were written."""
        order = np.argsort(self.time, axis=1, kind="stable")
        return Records(*(np.take_along_axis(a, order, axis=1) for a in (self.time, self.target, self.value)))
