"""The compiled step function of a system, a method and a number of lanes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .. import derivatives
from ..system import System
from ..trace import Graph, trace
from .advance import write_advance
from .block import Layout
from .dop853 import DOP853
from .explicit import Explicit
from .machine import function_address
from .rosenbrock import Rosenbrock
from .step import Method
from .switches import ROWS, find_switches
from .tableau import TSIT5

METHODS: dict[str, Method] = {"tsit5": Explicit(TSIT5), "dop853": Explicit(DOP853), "rodas5p": Rosenbrock()}


@dataclass(frozen=True)
class StepFunction:
    """Address of a compiled `advance`, and the rows of the block it works on."""

    address: int
    layout: Layout


def layout_of(system: System, graph: Graph, ends: list[int], method: str) -> Layout:
    """Rows of the block of a system and a method."""
    kinks = len(find_switches(graph, ends))
    further = (*METHODS[method].further_rows(len(system.states)), *(((*ROWS, ("switch", kinks))) if kinks else ()))
    return Layout(len(system.states), len(system.parameters), len(system.inputs), further)


def step_function(system: System, method: str, lanes: int, folder: Path) -> StepFunction:
    """Compiled once a process and once a folder."""
    graph, ends = trace(system)
    shape = layout_of(system, graph, ends, method)
    return StepFunction(_address(tuple(graph.nodes), tuple(ends), shape, method, lanes, folder), shape)


@cache
def _address(
    nodes: tuple[tuple[object, ...], ...], ends: tuple[int, ...], layout: Layout, method: str, lanes: int, folder: Path
) -> int:
    def write(name: str) -> str:
        return write_advance(name, Graph.of(nodes), list(ends), layout, METHODS[method], lanes)

    return function_address(folder, repr((nodes, ends, layout, method, lanes, _derivatives_text())), write)


@cache
def _derivatives_text() -> str:
    return Path(derivatives.__file__).read_text()
