"""Symbols that record the operations of a right-hand side as a graph without repeated parts."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn

from .system import System

_MATH = "twinarm.models.engine.math"
_FUNCTIONS = f"use exp, log, sqrt, tanh, sin, cos, floor, minimum, maximum or where of {_MATH}"
_BY_NUMPY = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=",
}  # fmt: skip
_KINDS = {"y": "state", "p": "parameter", "u": "input"}


class TraceError(TypeError):
    """A function of a model that cannot be compiled; the message names the function, the fault and the cure."""


def _refused(message: str) -> Callable[..., NoReturn]:
    def operation(*_: Any) -> NoReturn:
        raise TraceError(message)

    return operation


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
        if isinstance(value, Real):
            return self.add("constant", float(value).hex())
        raise TraceError(f"needs single numbers, those of one twin, not {type(value).__name__}")


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

    def __array_ufunc__(self, function: Any, method: str, *operands: Any, **_: Any) -> Symbol:
        """A number of NumPy beside a symbol is arithmetic; no other function of NumPy can be recorded."""
        name = _BY_NUMPY.get(function.__name__)
        if name is None:
            raise TraceError(f"may not call numpy.{function.__name__} on a state or parameter; {_FUNCTIONS}")
        left, right = (self.graph.lift(operand) for operand in operands)
        return self.graph.add(name, left.index, right.index)

    # What would need the number itself, and Python's silent answers (`==` would be False).
    __bool__ = _refused(
        "may not branch on a state or parameter (if, and, or, not, min, max, a < b < c); "
        f"write where(condition, a, b), minimum or maximum of {_MATH}"
    )
    __eq__ = __ne__ = _refused("may not ask whether two values are equal; compare with <, <=, > or >=")
    __getitem__ = _refused("may not index a state or parameter: it is one number, that of one twin")
    __hash__ = None  # type: ignore[assignment]  # Python's own way to say that it has none
    __float__ = __array__ = _refused(f"may not call math or numpy on a state or parameter; {_FUNCTIONS}")
    __int__ = __trunc__ = __round__ = __floor__ = __ceil__ = _refused(
        f"may not round a state or parameter; use floor of {_MATH}"
    )
    __abs__ = _refused(f"may not call abs; write maximum(x, -x) with maximum of {_MATH}")
    __mod__ = __rmod__ = __floordiv__ = __rfloordiv__ = _refused(
        f"may not use % or //; write x - m * floor(x / m), or floor(x / m), with floor of {_MATH}"
    )
    __and__ = __rand__ = __or__ = __ror__ = __invert__ = _refused(
        "may not use &, | or ~; write (a) * (b) where both conditions hold, maximum(a, b) where one does"
    )


class UnknownName(TraceError, AttributeError):
    """A state, parameter or input that the system does not have; `hasattr` may ask for it."""


class Named:
    """States, parameters or inputs, as the functions of a model read them: `y.gut`.

    `known` holds the names of all three, by the letter under which they are read.
    """

    _letter: str
    _known: dict[str, tuple[str, ...]]

    def __init__(self, graph: Graph, letter: str, known: dict[str, tuple[str, ...]]) -> None:
        kind = _KINDS[letter]
        self.__dict__.update({name: graph.add(kind, i) for i, name in enumerate(known[letter])})
        self.__dict__.update(_letter=letter, _known=known)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        letter, known = self._letter, self._known
        kind, hint = _KINDS[letter], _hint(name, letter, known)
        raise UnknownName(
            f"reads {letter}.{name}, which is no {kind}; {hint}{kind}s: {', '.join(known[letter]) or 'none'}"
        )

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise TraceError(
            f"may not set {self._letter}.{name}; a right-hand side returns derivatives, an effect new values: "
            f"return {{{name!r}: ...}}"
        )

    def __getitem__(self, index: object) -> NoReturn:
        first = (*self._known[self._letter], "name")[0]
        raise TraceError(f"reads {self._letter} by number; read by name, as {self._letter}.{first}")

    __iter__ = __len__ = lambda self: self[0]


def _hint(name: str, letter: str, known: dict[str, tuple[str, ...]]) -> str:
    """Where a name that is not found stands, or one like it."""
    elsewhere = [other for other, names in known.items() if name in names]
    near = difflib.get_close_matches(name, known.get(letter, ()), 1)
    if elsewhere:
        return f"write {elsewhere[0]}.{name}; "
    return f"did you mean {letter}.{near[0]}? " if near else ""


def trace(system: System) -> tuple[Graph, list[int]]:
    """The graph of a system's right-hand side and the nodes that hold its derivatives.

    Raises
    ------
    TraceError
        The function branches on a value, calls a foreign function, or returns the wrong number of derivatives.
    """
    graph = Graph()
    owner = f"the right-hand side of {system.name!r}"
    result = _call(owner, system, system.rhs, "t, y, p, u", *_symbols(system, graph))
    if not isinstance(result, tuple) or len(result) != len(system.states):
        got = f"{len(result)}" if isinstance(result, tuple) else f"{type(result).__name__}, no tuple"
        if isinstance(result, Symbol):
            got = "one value without the comma of a tuple, (value,)"
        raise TraceError(
            f"{owner} must return a tuple of {len(system.states)} derivatives, "
            f"one for each of {', '.join(system.states)}; it returns {got}"
        )
    return graph, [
        _lifted(f"{owner}, in the derivative of {name!r},", graph, value).index
        for name, value in zip(system.states, result, strict=True)
    ]


def _call(owner: str, system: System, function: Callable[..., Any], signature: str, *arguments: Any) -> Any:
    """What a function of the model returns for symbols; a fault in it is said with the function's owner."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        raise TraceError(f"{owner} must be a function of ({signature})") from None
    try:
        return function(*arguments)
    except TraceError as error:
        error.args = (f"{owner} {error}",)  # the same error: its traceback shows the line of the model
        raise
    except NameError as error:
        hint = _hint(str(error.name), "", _known(system))
        if not hint:
            raise
        raise TraceError(f"{owner} reads {error.name}, which is not defined; {hint.rstrip('; ')}") from error


def _lifted(owner: str, graph: Graph, value: Any) -> Symbol:
    try:
        return graph.lift(value)
    except TraceError as error:
        raise TraceError(f"{owner} {error}") from None


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
        owner = f"the event {event.name!r} of {system.name!r}"
        whose = f"the value of {owner}"
        value = _lifted(whose, graph, _call(whose, system, event.value, "t, y, p, u", *symbols))
        if graph.nodes[value.index][0] in ("<", "<=", ">", ">="):
            raise TraceError(f"{whose} is a comparison; write a difference, which is zero where the event happens")
        rising = value if event.direction == "up" else -value
        whose = f"the effect of {owner}"
        new = _call(whose, system, event.effect, "t, y, p, u", *symbols) if event.effect else {}
        found.append(TracedEvent(rising.index, event.hysteresis, _effect(system, graph, whose, new)))
    return tuple(found)


def trace_actions(system: System, graph: Graph) -> tuple[Effect, ...]:
    """The effects of the system's actions, written into the graph of its right-hand side; raises as `trace_events`."""
    symbols, given, found = _symbols(system, graph), graph.add("given"), []
    for action in system.actions:
        owner = f"the effect of the action {action.name!r} of {system.name!r}"
        new = _call(owner, system, action.effect, "t, y, p, u, x", *symbols, given)
        found.append(_effect(system, graph, owner, new))
    return tuple(found)


def _known(system: System) -> dict[str, tuple[str, ...]]:
    return {"y": tuple(system.states), "p": tuple(system.parameters), "u": tuple(system.inputs)}


def _symbols(system: System, graph: Graph) -> tuple[Symbol, Named, Named, Named]:
    """Time, states, parameters and inputs, as the functions of a model read them."""
    time, known = graph.add("time"), _known(system)
    return time, Named(graph, "y", known), Named(graph, "p", known), Named(graph, "u", known)


def _effect(system: System, graph: Graph, owner: str, new: Any) -> Effect:
    places = (*system.states, *system.inputs)
    if not isinstance(new, dict):
        raise TraceError(
            f"{owner} must return new values by name, as {{{places[0]!r}: 0.0}}; it returns {type(new).__name__}"
        )
    unknown = [name for name in new if name not in places]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), places, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        if unknown[0] in system.parameters:
            hint = "a parameter stays as it is: make it an input; "
        raise TraceError(
            f"{owner} changes {unknown[0]!r}, which is no state or input; {hint}known: {', '.join(places)}"
        )
    nodes = {name: _lifted(f"{owner}, for {name!r},", graph, value).index for name, value in new.items()}
    return Effect(
        tuple((i, nodes[name]) for i, name in enumerate(system.states) if name in nodes),
        tuple((i, nodes[name]) for i, name in enumerate(system.inputs) if name in nodes),
    )
