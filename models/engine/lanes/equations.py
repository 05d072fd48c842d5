"""A system's right-hand side and its derivatives at a time and state that the method chooses."""

from __future__ import annotations

from dataclasses import dataclass

from ..derivatives import jacobian
from ..trace import Graph
from .block import Block
from .program import Leaf, write_program
from .values import Number, Writer


@dataclass(frozen=True)
class Equations:
    """The traced graph, its derivatives `ends`, its switches `kinks`; the block holds parameters and inputs."""

    writer: Writer
    block: Block
    graph: Graph
    ends: list[int]
    kinks: tuple[int, ...] = ()

    def rhs(self, t: Number, y: list[Number]) -> list[Number]:
        """The derivatives at t and y."""
        return write_program(self.writer, self.graph.nodes, self.ends, self._leaf(t, y))

    def switches(self, t: Number, y: list[Number]) -> list[Number]:
        """Numbers whose signs say on which side of each kink t and y are."""
        return write_program(self.writer, self.graph.nodes, self.kinks, self._leaf(t, y))

    def linearised(
        self, t: Number, y: list[Number]
    ) -> tuple[list[Number], dict[tuple[int, int], Number], dict[int, Number]]:
        """The derivatives at t and y, the entries of their Jacobian, and their own derivatives by time."""
        known = jacobian(self.graph, self.ends, len(y))
        wanted = [*self.ends, *known.entries.values(), *known.in_time.values()]
        found = iter(write_program(self.writer, self.graph.nodes, wanted, self._leaf(t, y)))
        dy = [next(found) for _ in self.ends]
        return dy, {entry: next(found) for entry in known.entries}, {i: next(found) for i in known.in_time}

    def _leaf(self, t: Number, y: list[Number]) -> Leaf:
        def value(kind: str, index: int) -> Number:
            if kind == "time":
                return t
            if kind == "state":
                return y[index]
            return self.block.get("p" if kind == "parameter" else "u", index)

        return value
