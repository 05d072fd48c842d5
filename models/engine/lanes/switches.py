"""End steps where the right-hand side has a kink: where a comparison, a `maximum` or a `minimum` changes sides.

Inside a step across a kink every method loses its order, and its estimate of the error may not notice. A step that
finds a change of sides is taken again, up to where a straight line puts the change; what is left of the kink inside a
step is then a small part of it, and its error falls with the square of that part.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..trace import Graph, Symbol
from .block import Block
from .values import Number, Truth, maximum, minimum, select

NEAR = 0.001  # part of the step beside its ends within which a change of sides is let be

# Landings one after the other, after which a step is let be: a jump, on which no step can end, costs no more.
IN_A_ROW = 4.0

ROWS = (("landing", 1), ("landings", 1), ("resume", 1))


def find_switches(graph: Graph, ends: list[int]) -> list[int]:
    """Nodes (added to the graph) whose sign says which side of a kink the state is on."""
    moving: set[int] = set()
    sides: list[tuple[int, int]] = []
    needed = _needed(graph, ends)
    for i, (kind, *args) in enumerate(list(graph.nodes)):
        if kind in ("time", "state"):
            moving.add(i)
        elif kind not in ("constant", "parameter", "input") and moving.intersection(args):
            moving.add(i)
            if i in needed and kind in ("<", "<=", ">", ">=", "minimum", "maximum"):
                sides.append((args[0], args[1]))
    found: list[int] = []
    for a, b in sides:
        node = (Symbol(graph, a) - Symbol(graph, b)).index
        if node not in found:
            found.append(node)
    return found


def _needed(graph: Graph, ends: list[int]) -> set[int]:
    needed: set[int] = set()
    waiting = list(ends)
    while waiting:
        i = waiting.pop()
        kind, *args = graph.nodes[i]
        if i not in needed:
            needed.add(i)
            waiting += args if kind not in ("constant", "state", "parameter", "input") else []
    return needed


@dataclass(frozen=True)
class Landing:
    """What the switches say of a step: whether it is taken again, and the next step to try."""

    again: Truth
    wanted: Number


def land(block: Block, after: list[Number], accepted: Truth, h: Number, wanted: Number) -> Landing:
    """Judge an accepted step by the switches before (in the block) and after it."""
    writer = block.writer
    part = writer.number(2.0)
    for i, new in enumerate(after):
        old = block.get("switch", i)
        turned = ((old < 0.0) & (new >= 0.0)) | ((old >= 0.0) & (new < 0.0))
        part = minimum(part, select(turned, old / (old - new), 2.0))
    landing, row = block.get("landing") > 0.0, block.get("landings")
    again = accepted & ~landing & (row < IN_A_ROW) & (part > NEAR) & (part < 1.0 - NEAR)
    resumed = select(landing & accepted, maximum(wanted, block.get("resume")), wanted)
    block.put(select(again, row + 1.0, select(accepted & ~landing, 0.0, row)), "landings")
    block.put(select(again, 1.0, select(accepted, 0.0, block.get("landing"))), "landing")
    block.put(select(again, h, block.get("resume")), "resume")
    return Landing(again, select(again, part * h, resumed))
