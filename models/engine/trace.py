"""Symbols that record the operations of a right-hand side as a graph without repeated parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from .system import System


class TraceError(TypeError):
    """A right-hand side that does something which cannot be compiled."""


class Graph:
    """Operations in the order in which they were met; equal operations are kept once."""

    def __init__(self) -> None:
        self.nodes: list[tuple[Any, ...]] = []
        self._known: dict[tuple[Any, ...], int] = {}

    @classmethod
    def of(cls, nodes: Iterable[tuple[Any, ...]]) -> Graph:
        """A graph that begins with these operations."""
        graph = cls()
        for node in nodes:
            graph.add(*node)
        return graph

    def add(self, *node: Any) -> Symbol:
        if node not in self._known:
            self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return Symbol(self, self._known[node])

    def lift(self, value: Any) -> Symbol:
        if isinstance(value, Symbol):
            return value
        if isinstance(value, int | float):
            return self.add("constant", float(value).hex())
        raise TraceError(f"a right-hand side may hold numbers and states, not {type(value).__name__}")


class Symbol:
    """A number that is not known yet."""

    __slots__ = ("graph", "index")

    def __init__(self, graph: Graph, index: int) -> None:
        self.graph, self.index = graph, index

    def _with(self, operation: str, other: Any, swap: bool = False) -> Symbol:
        left, right = self, self.graph.lift(other)
        if swap:
            left, right = right, left
        return self.graph.add(operation, left.index, right.index)

    def __add__(self, other: Any) -> Symbol:
        return self._with("+", other)

    def __radd__(self, other: Any) -> Symbol:
        return self._with("+", other, swap=True)

    def __sub__(self, other: Any) -> Symbol:
        return self._with("-", other)

    def __rsub__(self, other: Any) -> Symbol:
        return self._with("-", other, swap=True)

    def __mul__(self, other: Any) -> Symbol:
        return self._with("*", other)

    def __rmul__(self, other: Any) -> Symbol:
        return self._with("*", other, swap=True)

    def __truediv__(self, other: Any) -> Symbol:
        return self._with("/", other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._with("/", other, swap=True)

    def __pow__(self, other: Any) -> Symbol:
        return self._with("**", other)

    def __rpow__(self, other: Any) -> Symbol:
        return self._with("**", other, swap=True)

    def __lt__(self, other: Any) -> Symbol:
        return self._with("<", other)

    def __le__(self, other: Any) -> Symbol:
        return self._with("<=", other)

    def __gt__(self, other: Any) -> Symbol:
        return self._with(">", other)

    def __ge__(self, other: Any) -> Symbol:
        return self._with(">=", other)

    def __neg__(self) -> Symbol:
        return self.graph.add("neg", self.index)

    def __pos__(self) -> Symbol:
        return self

    def __bool__(self) -> bool:
        raise TraceError(
            "a right-hand side may not branch on a value; write where(condition, a, b), minimum or maximum"
        )

    def __float__(self) -> float:
        raise TraceError("a right-hand side may not call math or numpy; use the functions of engine.math")


def trace(system: System) -> tuple[Graph, list[int]]:
    """The graph of a system's right-hand side and the nodes that hold its derivatives.

    Raises
    ------
    TraceError
        The function branches on a value, calls a foreign function, or returns the wrong number of derivatives.
    """
    graph = Graph()
    result = system.rhs(*_symbols(system, graph))
    if not isinstance(result, tuple) or len(result) != len(system.states):
        raise TraceError(
            f"the right-hand side of {system.name!r} must return a tuple of {len(system.states)} derivatives, "
            f"one for each of {', '.join(system.states)}"
        )
    return graph, [graph.lift(value).index for value in result]


@dataclass(frozen=True)
class Effect:
    """New values: (number of the state, node) and (number of the input, node)."""

    states: tuple[tuple[int, int], ...] = ()
    inputs: tuple[tuple[int, int], ...] = ()

    @property
    def nodes(self) -> tuple[int, ...]:
        return tuple(node for _, node in (*self.states, *self.inputs))


@dataclass(frozen=True)
class TracedEvent:
    """An event whose `value` (a node) rises through zero when it happens."""

    value: int
    hysteresis: float
    effect: Effect


def trace_events(system: System, graph: Graph) -> tuple[TracedEvent, ...]:
    """The system's events, written into the graph of its right-hand side.

    Raises
    ------
    TraceError
        A function that cannot be compiled, or an effect on something that is no state or input.
    """
    symbols = _symbols(system, graph)
    found = []
    for event in system.events:
        if not event.hysteresis >= 0.0:
            raise TraceError(f"the event {event.name!r} of {system.name!r} has a hysteresis below 0")
        value = graph.lift(event.value(*symbols))
        rising = value if event.direction == "up" else -value
        new = event.effect(*symbols) if event.effect else {}
        found.append(TracedEvent(rising.index, event.hysteresis, _effect(system, graph, event.name, new)))
    return tuple(found)


def trace_actions(system: System, graph: Graph) -> tuple[Effect, ...]:
    """The effects of the system's actions, written into the graph of its right-hand side; raises as `trace_events`."""
    symbols, given = _symbols(system, graph), graph.add("given")
    return tuple(_effect(system, graph, a.name, a.effect(*symbols, given)) for a in system.actions)


def _symbols(system: System, graph: Graph) -> tuple[Symbol, SimpleNamespace, SimpleNamespace, SimpleNamespace]:
    """Time, states, parameters and inputs, as the functions of a model read them."""

    def named(kind: str, names: tuple[str, ...]) -> SimpleNamespace:
        return SimpleNamespace(**{name: graph.add(kind, i) for i, name in enumerate(names)})

    return (
        graph.add("time"),
        named("state", system.states),
        named("parameter", system.parameters),
        named("input", system.inputs),
    )


def _effect(system: System, graph: Graph, owner: str, new: dict[str, Any]) -> Effect:
    unknown = [name for name in new if name not in (*system.states, *system.inputs)]
    if unknown:
        raise TraceError(
            f"{owner!r} of {system.name!r} changes {unknown[0]!r}, which is no state or input; "
            f"known: {', '.join((*system.states, *system.inputs))}"
        )
    nodes = {name: graph.lift(value).index for name, value in new.items()}
    return Effect(
        tuple((i, nodes[name]) for i, name in enumerate(system.states) if name in nodes),
        tuple((i, nodes[name]) for i, name in enumerate(system.inputs) if name in nodes),
    )
