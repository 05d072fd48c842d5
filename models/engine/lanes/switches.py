"""Kinks: a step is taken on one side of each comparison, `maximum`, `minimum` and `floor`, and ends where sides change.

Across a kink every method loses its order, and its estimate of the error may not notice. So within a step each
comparison stays as it was at its beginning, which leaves smooth equations; `landing` sees to it that a step ends where
one changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..trace import Graph, Symbol
from .block import Block
from .values import Number, Truth, floor

COMPARISONS = ("<", "<=", ">", ">=", "minimum", "maximum")

ROWS = (("landings", 1), ("resume", 1))  # trials in a row, and the step before them


@dataclass(frozen=True)
class Kinks:
    """What may change sides on the way: pairs (a, b) of nodes that are compared, with the node a - b, and nodes whose
    `floor` is taken."""

    pairs: tuple[tuple[int, int], ...] = ()
    differences: tuple[int, ...] = ()
    floors: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pairs or self.floors)

    @property
    def rows(self) -> tuple[tuple[str, int], ...]:
        """Rows of the block: at the beginning of a step the differences, the floors and their arguments."""
        own = (("switch", len(self.pairs)), ("floor", len(self.floors)), ("argument", len(self.floors)))
        return (*own, *ROWS) if self else ()


def find_kinks(graph: Graph, ends: list[int]) -> Kinks:
    """The kinks of the nodes `ends`; the differences are added to the graph."""
    moving: set[int] = set()
    pairs: list[tuple[int, int]] = []
    floors: list[int] = []
    needed = _needed(graph, ends)
    for i, (kind, *args) in enumerate(list(graph.nodes)):
        if kind in ("time", "state"):
            moving.add(i)
        elif kind not in ("constant", "parameter", "input", "given") and moving.intersection(args):
            moving.add(i)
            if i not in needed:
                continue
            if kind in COMPARISONS and (args[0], args[1]) not in pairs and (args[1], args[0]) not in pairs:
                pairs.append((args[0], args[1]))
            if kind == "floor" and args[0] not in floors:
                floors.append(args[0])
    differences = [(Symbol(graph, a) - Symbol(graph, b)).index for a, b in pairs]
    return Kinks(tuple(pairs), tuple(differences), tuple(floors))


def _needed(graph: Graph, ends: list[int]) -> set[int]:
    needed: set[int] = set()
    waiting = list(ends)
    while waiting:
        i = waiting.pop()
        kind, *args = graph.nodes[i]
        if i not in needed:
            needed.add(i)
            waiting += args if kind not in ("constant", "state", "parameter", "input", "given") else []
    return needed


@dataclass(frozen=True)
class Sides:
    """The sides on which a step is taken, from its beginning."""

    kinks: Kinks
    switch: list[Number]
    whole: list[Number]
    argument: list[Number]

    @classmethod
    def of(cls, kinks: Kinks, block: Block) -> Sides:
        """The sides that stand in the block."""
        pairs, floors = range(len(kinks.pairs)), range(len(kinks.floors))
        return cls(
            kinks,
            [block.get("switch", i) for i in pairs],
            [block.get("floor", i) for i in floors],
            [block.get("argument", i) for i in floors],
        )

    def less(self, nodes: tuple[int, int], a: Number, b: Number) -> Truth:
        """Whether a < b counts as true; `nodes` are the nodes of a and b."""
        if nodes in self.kinks.pairs:
            return self.switch[self.kinks.pairs.index(nodes)] < 0.0
        if nodes[::-1] in self.kinks.pairs:
            return ~(self.switch[self.kinks.pairs.index(nodes[::-1])] < 0.0)
        return a < b

    def floor(self, node: int, x: Number) -> Number:
        """The whole number that counts as the floor of x, which is the node `node`."""
        return self.whole[self.kinks.floors.index(node)] if node in self.kinks.floors else floor(x)
