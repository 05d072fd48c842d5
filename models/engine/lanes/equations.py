"""A system's functions at a time and state that the method chooses: derivatives, Jacobian, switches, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..derivatives import jacobian, rate_of_change
from ..reciprocals import with_reciprocals
from ..system import System
from ..trace import Effect, Graph, TracedEvent, trace, trace_actions, trace_events
from .block import Block
from .program import Leaf, write_program
from .step import Observed
from .switches import Kinks, Sides, find_kinks
from .values import Number, Writer


@dataclass(frozen=True)
class Program:
    """All that was traced of a system: operations, and which of them are what.

    `ends` are the derivatives, `rates` how fast the `events` come closer.
    """

    nodes: tuple[tuple[Any, ...], ...]
    ends: tuple[int, ...]
    kinks: Kinks
    events: tuple[TracedEvent, ...]
    rates: tuple[int, ...]
    actions: tuple[Effect, ...]

    @classmethod
    def of(cls, system: System) -> Program:
        """Trace a system."""
        graph, ends = with_reciprocals(*trace(system))
        kinks = find_kinks(graph, ends)
        events = trace_events(system, graph)
        rates = tuple(rate_of_change(graph, event.value, ends) for event in events)
        actions = trace_actions(system, graph) if system.actions else ()
        return cls(tuple(graph.nodes), tuple(ends), kinks, events, rates, actions)


@dataclass(frozen=True)
class Equations:
    """The functions of a program; the block holds parameters and inputs."""

    writer: Writer
    block: Block
    program: Program
    graph: Graph = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "graph", Graph.of(self.program.nodes))

    def rhs(self, t: Number, y: list[Number]) -> list[Number]:
        """The derivatives at t and y, on the sides on which the step began."""
        return self._values(self.program.ends, t, y, self._sides())

    def observe(self, t: Number, y: list[Number]) -> Observed:
        """What holds at t and y, on the sides on which the step began."""
        return self._observed(t, y, self._sides())

    def observe_as_is(self, t: Number, y: list[Number]) -> Observed:
        """What holds at t and y, on the sides on which these are."""
        return self._observed(t, y, None)

    def _observed(self, t: Number, y: list[Number], sides: Sides | None) -> Observed:
        kinks, ends = self.program.kinks, self.program.ends
        found = self._values([*ends, *kinks.differences, *kinks.floors], t, y, sides)
        pairs = len(ends) + len(kinks.pairs)
        return Observed(found[: len(ends)], found[len(ends) : pairs], found[pairs:])

    def events(self, t: Number, y: list[Number]) -> tuple[list[Number], list[Number]]:
        """Numbers that rise through zero when an event happens, and their rates of change."""
        values = [event.value for event in self.program.events]
        found = self._values([*values, *self.program.rates], t, y)
        return found[: len(values)], found[len(values) :]

    def after(self, effect: Effect, t: Number, y: list[Number]) -> list[Number]:
        """What an effect sets, in the order of `effect.nodes`."""
        return self._values(effect.nodes, t, y)

    def linearised(
        self, t: Number, y: list[Number]
    ) -> tuple[list[Number], dict[tuple[int, int], Number], dict[int, Number]]:
        """The derivatives at t and y, the entries of their Jacobian, and their own derivatives by time."""
        ends = list(self.program.ends)
        known = jacobian(self.graph, ends, len(y))
        wanted = [*ends, *known.entries.values(), *known.in_time.values()]
        found = iter(self._values(wanted, t, y, self._sides()))
        dy = [next(found) for _ in ends]
        return dy, {entry: next(found) for entry in known.entries}, {i: next(found) for i in known.in_time}

    def _sides(self) -> Sides | None:
        return Sides.of(self.program.kinks, self.block) if self.program.kinks else None

    def _values(self, nodes: Sequence[int], t: Number, y: list[Number], sides: Sides | None = None) -> list[Number]:
        return write_program(self.writer, self.graph.nodes, nodes, self._leaf(t, y), sides)

    def _leaf(self, t: Number, y: list[Number]) -> Leaf:
        def value(kind: str, index: int) -> Number:
            if kind == "time":
                return t
            if kind == "state":
                return y[index]
            if kind == "given":
                return self.block.get("given")
            return self.block.get("p" if kind == "parameter" else "u", index)

        return value
