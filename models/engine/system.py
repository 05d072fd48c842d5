"""What the engine integrates: a system of ordinary differential equations, and the records that disturb it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


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

    def state(self, name: str) -> int:
        return self.states.index(name)

    def input_target(self, name: str) -> int:
        """The number by which a record names an input: they follow the states."""
        return len(self.states) + self.inputs.index(name)


@dataclass(frozen=True)
class Records:
    """Events of each twin, sorted by time; unused slots have time inf.

    A record at `time` adds `value` to state `target`, or, for targets from the number of states on, sets that input to
    `value` from then on. The solver lands on every record exactly.
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
