"""Products with reciprocals in place of divisions by what a step holds, which are then computed once for all stages."""

from __future__ import annotations

from typing import Any

from .trace import Graph

_HELD = ("constant", "parameter", "input")
_MOVING = ("time", "state", "given")


def with_reciprocals(graph: Graph, ends: list[int]) -> tuple[Graph, list[int]]:
    """The same graph and ends; what changes during a step is divided by what does not as a product."""
    changed = Graph()
    held: list[bool] = []  # of each new node: it does not change during a step
    place: list[int] = []  # of each given node among the new ones

    def add(*node: Any) -> int:
        index = changed.add(*node).index
        if index == len(held):
            kind, *args = node
            held.append(kind in _HELD or (kind not in _MOVING and all(held[a] for a in args)))
        return index

    for kind, *args in graph.nodes:
        operands = args if kind in (*_HELD, *_MOVING) else [place[a] for a in args]
        if kind == "/" and held[operands[1]] and not held[operands[0]]:
            place.append(add("*", operands[0], add("/", add("constant", (1.0).hex()), operands[1])))
        else:
            place.append(add(kind, *operands))
    return changed, [place[end] for end in ends]
