"""The compiled step function of a system, a method and a number of lanes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .. import derivatives
from ..system import System
from . import events
from .advance import write_advance
from .block import Layout
from .dop853 import DOP853
from .equations import Program
from .explicit import Explicit
from .machine import function_address
from .rosenbrock import Rosenbrock
from .step import Method
from .tableau import TSIT5

METHODS: dict[str, Method] = {
    "tsit5": Explicit(TSIT5),
    "dop853": Explicit(DOP853),
    "rodas5p": Rosenbrock(),
    # These hand twins over to one another (`choice`).
    "tsit5, watching": Explicit(TSIT5, watches=True),
    "dop853, watching": Explicit(DOP853, watches=True),
    "rodas5p, watching": Rosenbrock(watches=True),
}


@dataclass(frozen=True)
class StepFunction:
    """Address of a compiled `advance`, the rows of the block it works on, and its lanes."""

    address: int
    layout: Layout
    lanes: int


def layout_of(system: System, program: Program, method: str) -> Layout:
    """Rows of the block of a system and a method."""
    own = METHODS[method].further_rows(len(system.states))
    further = (*own, *program.kinks.rows, *events.rows(len(program.events)))
    return Layout(len(system.states), len(system.parameters), len(system.inputs), further)


def step_function(system: System, program: Program, method: str, lanes: int, folder: Path) -> StepFunction:
    """Compiled once a process and once a folder; `program` is what was traced of the system."""
    shape = layout_of(system, program, method)
    return StepFunction(_address(program, shape, method, lanes, folder), shape, lanes)


@cache
def _address(program: Program, layout: Layout, method: str, lanes: int, folder: Path) -> int:
    def write(name: str) -> str:
        return write_advance(name, program, layout, METHODS[method], lanes)

    return function_address(folder, repr((program, layout, method, lanes, _derivatives_text())), write)


@cache
def _derivatives_text() -> str:
    return Path(derivatives.__file__).read_text()
