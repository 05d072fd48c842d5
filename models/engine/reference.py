"""The same equations, uncompiled, through SciPy at a tight tolerance: what the engine is checked against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from .system import Records, System


def reference_solution(
    system: System,
    y0: npt.ArrayLike,
    p: npt.ArrayLike,
    start: float,
    stop: float,
    records: Records | None,
    sample_times: np.ndarray,
    inputs0: npt.ArrayLike | None = None,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    method: str = "DOP853",
) -> np.ndarray:
    """States of one twin at `sample_times`, shape (sample, state); see `reference_course`."""
    return reference_course(system, y0, p, start, stop, records, sample_times, inputs0, rtol, atol, method).samples


@dataclass
class Course:
    """One twin's way: `samples` (sample, state), the times of each event by name, and where it ended."""

    samples: np.ndarray
    event_times: dict[str, list[float]]
    ended_at: float
    end_state: np.ndarray = field(default_factory=lambda: np.empty(0))


def reference_course(
    system: System,
    y0: npt.ArrayLike,
    p: npt.ArrayLike,
    start: float,
    stop: float,
    records: Records | None,
    sample_times: np.ndarray,
    inputs0: npt.ArrayLike | None = None,
    rtol: float = 1e-10,
    atol: float = 1e-12,
    method: str = "DOP853",
) -> Course:
    """One twin by a method of SciPy, restarted at every record and every event.

    DOP853 is the sharpest where nothing is stiff; between its steps it loses digits on stiff systems, where LSODA at
    a smaller tolerance does not.
    """
    from scipy.integrate import solve_ivp

    body = _Body(system, np.array(y0, float), p, inputs0)
    body.look(start, first=True)
    records = records or Records.empty(1, 0)
    waiting = [
        r for r in zip(records.time[0], records.target[0], records.value[0], strict=True) if start <= r[0] < stop
    ]
    course = Course(np.full((len(sample_times), len(system.states)), np.nan), body.happened, stop)
    t = start
    while True:
        while waiting and waiting[0][0] <= t and not body.ended:
            _, target, value = waiting.pop(0)
            body.carry_out(t, int(target), float(value))
        if t >= stop or body.ended:
            break
        until = min(waiting[0][0], stop) if waiting else stop
        inside = np.flatnonzero((sample_times >= t) & (sample_times <= until))
        watched = [_watch(body, i) for i in range(len(system.events)) if body.armed[i]]
        again = [_rearm(body, i) for i in range(len(system.events)) if not body.armed[i]]
        found = solve_ivp(
            body.derivatives, (t, until), body.y, method=method, dense_output=True, rtol=rtol, atol=atol,
            events=[*watched, *again] or None,
        )  # fmt: skip
        t = float(found.t[-1])
        for i in inside[sample_times[inside] <= t]:
            course.samples[i] = found.sol(sample_times[i])
        body.y = found.y[:, -1].copy()
        reached = [i for i, times in enumerate(found.t_events or []) if len(times)]
        for i in reached:
            (watched + again)[i].then(t)
    course.samples[sample_times == t] = body.y
    course.ended_at, course.end_state = t, body.y
    return course


class _Body:
    """State, inputs and armed events of one twin."""

    def __init__(self, system: System, y: np.ndarray, p: npt.ArrayLike, inputs0: npt.ArrayLike | None) -> None:
        self.system, self.y = system, y
        values = np.asarray(p, float).tolist()
        self.p = SimpleNamespace(**dict(zip(system.parameters, values, strict=True)))
        self.u = dict.fromkeys(system.inputs, 0.0)
        if inputs0 is not None:
            self.u = dict(zip(system.inputs, np.asarray(inputs0, float).tolist(), strict=True))
        self.armed = [False] * len(system.events)
        self.happened: dict[str, list[float]] = {event.name: [] for event in system.events}
        self.ended = False

    def named(self, y: np.ndarray) -> tuple[Any, Any, Any]:
        return (
            SimpleNamespace(**dict(zip(self.system.states, y.tolist(), strict=True))),
            self.p,
            SimpleNamespace(**self.u),
        )

    def derivatives(self, t: float, y: np.ndarray) -> tuple[float, ...]:
        return self.system.rhs(t, *self.named(y))

    def rising(self, i: int, t: float, y: np.ndarray) -> float:
        """The value of event i, turned so that the event happens where it rises through zero."""
        event = self.system.events[i]
        return float(event.value(t, *self.named(y))) * (1.0 if event.direction == "up" else -1.0)

    def set(self, new: dict[str, Any]) -> None:
        for name, value in new.items():
            if name in self.u:
                self.u[name] = float(value)
            else:
                self.y[self.system.state(name)] = float(value)

    def carry_out(self, t: float, target: int, value: float) -> None:
        states, inputs = len(self.system.states), len(self.system.inputs)
        if target < states:
            self.y[target] += value
        elif target < states + inputs:
            self.u[self.system.inputs[target - states]] = value
        else:
            self.set(self.system.actions[target - states - inputs].effect(t, *self.named(self.y), value))
        self.look(t)

    def look(self, t: float, first: bool = False) -> None:
        """Which events wait, and let those happen whose value has jumped over zero."""
        for i, event in enumerate(self.system.events):
            value = self.rising(i, t, self.y)
            if (self.armed[i] and value >= 0.0) or (first and event.fails and value >= 0.0):
                self.happen(t, i)
                return
            if value < (0.0 if first else -event.hysteresis):
                self.armed[i] = True

    def happen(self, t: float, i: int) -> None:
        event = self.system.events[i]
        self.happened[event.name].append(t)
        self.armed[i] = False
        if event.effect:
            self.set(event.effect(t, *self.named(self.y)))
        self.ended = self.ended or event.ends is not None
        if not self.ended:
            self.look(t)


@dataclass(frozen=True)
class _Crossing:
    """An event as SciPy asks for one (a function of time and state with two attributes), and what follows from it."""

    value: Callable[[float, np.ndarray], float]
    direction: int
    then: Callable[[float], None]
    terminal: bool = True

    def __call__(self, t: float, y: np.ndarray) -> float:
        return self.value(t, y)


def _watch(body: _Body, i: int) -> _Crossing:
    return _Crossing(lambda t, y: body.rising(i, t, y), 1, lambda t: body.happen(t, i))


def _rearm(body: _Body, i: int) -> _Crossing:
    """Where event i has been far enough back to happen again."""

    def then(t: float) -> None:
        body.armed[i] = True

    return _Crossing(lambda t, y: body.rising(i, t, y) + body.system.events[i].hysteresis, -1, then)
