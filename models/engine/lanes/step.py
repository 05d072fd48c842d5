"""What every method of integration is given, and what it gives back, for one step of all lanes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .block import Block
from .control import Order
from .values import Number, Writer


@dataclass(frozen=True)
class Observed:
    """What holds at a time and state: the derivatives, and what tells on which sides of the kinks they are."""

    dy: list[Number]
    differences: list[Number]
    arguments: list[Number]


RightHandSide = Callable[[Number, list[Number]], list[Number]]
# The derivatives, their entries by (row, column) of the Jacobian, and their derivatives by time.
Linearised = Callable[[Number, list[Number]], tuple[list[Number], dict[tuple[int, int], Number], dict[int, Number]]]


@dataclass(frozen=True)
class Step:
    """One step from (t, y) of length h; parameters and inputs stand in the block and are held."""

    writer: Writer
    block: Block
    t: Number
    h: Number
    y: list[Number]
    rtol: Number
    atol: Number
    rhs: RightHandSide
    observe: Callable[[Number, list[Number]], Observed]
    linearised: Linearised


@dataclass(frozen=True)
class Taken:
    """The end of a step: the new state, its error over the tolerated one, and how to read states inside it.

    `prepare` writes what only samples need, once, before `inside(theta)` is used. `within()` is a part of the step and
    what holds there, roughly; `at_end()` what holds at its end. `kept` are rows that change with the state. `stretch`
    is |h lambda| over that at the edge of stability, where the method watches for it.
    """

    y: list[Number]
    error: Number
    prepare: Callable[[], None]
    inside: Callable[[Number], list[Number]]
    within: Callable[[], tuple[float, Observed]]
    at_end: Callable[[], Observed]
    kept: dict[str, list[Number]] = field(default_factory=dict)
    stretch: Number | None = None


class Method(Protocol):
    """A method of integration."""

    @property
    def name(self) -> str:
        """Its name in `solve`."""
        ...

    @property
    def order(self) -> Order:
        """Exponents of its step control."""
        ...

    @property
    def watches(self) -> bool:
        """Whether it gives twins away to the other kind of method."""
        ...

    @property
    def first_stage(self) -> str:
        """Row of the derivative at the beginning of the step, kept from step to step; empty: not kept."""
        ...

    def further_rows(self, states: int) -> tuple[tuple[str, int], ...]:
        """Rows of the block that are its own."""
        ...

    def take(self, step: Step) -> Taken:
        """Write the instructions of one step."""
        ...
