"""Symbols that record the operations of a right-hand side as a graph without repeated parts."""

from __future__ import annotations

from collections.abc import Iterable
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

    def symbols(kind: str, names: tuple[str, ...]) -> SimpleNamespace:
        return SimpleNamespace(**{name: graph.add(kind, i) for i, name in enumerate(names)})

    result = system.rhs(
        graph.add("time"),
        symbols("state", system.states),
        symbols("parameter", system.parameters),
        symbols("input", system.inputs),
    )
    if not isinstance(result, tuple) or len(result) != len(system.states):
        raise TraceError(
            f"the right-hand side of {system.name!r} must return a tuple of {len(system.states)} derivatives, "
            f"one for each of {', '.join(system.states)}"
        )
    return graph, [graph.lift(value).index for value in result]
