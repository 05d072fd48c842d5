"""The memory of the lanes: rows of one number a lane, found by name.

The driver (`kernel.driver`) fills the rows of `CONTROL`, the states, parameters and inputs of a lane when it gives it a
twin, and is called again when a lane has reached its stop or has failed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from .values import INT64, Number, Writer

# One row each, in this order; `kernel.driver` counts on it.
CONTROL = (
    "time",  # where the lane is
    "stop",  # where it must land next
    "wanted",  # step to try next; 0: choose one
    "error",  # logarithm (base 2) of the last accepted error
    "steps",  # taken by this twin so far
    "fresh",  # 1: state, inputs or twin have changed since the last step
    "active",  # 1: the lane has a twin
    "status",  # 0, or why it stopped (models.model.Status)
    "sample",  # time of the next sample; inf: none
    "sample_at",  # address of that time
    "out_at",  # address of the row to which that sample goes
    "stiff",  # explicit: steps at the edge of stability, less those away from it; stiff: trials (`choice`)
    "covered",  # time covered by the stiff method while it is timed
    "judged",  # 1: the stiff method has been found worth its price
    "patience",  # score at which the explicit method gives the twin away
    "pace",  # step to which stability held it when it did
    "action",  # number (from 1) of the action to perform before the next step; 0: none
    "given",  # what the record gave to that action
)


LINE = 64  # bytes of a line of the processor's cache


@dataclass(frozen=True)
class Layout:
    """Where each group of rows begins."""

    states: int
    parameters: int
    inputs: int
    further: tuple[tuple[str, int], ...] = ()

    def first(self, name: str) -> int:
        row = 0
        for known, count in self.groups():
            if known == name:
                return row
            row += count
        raise KeyError(name)

    def groups(self) -> tuple[tuple[str, int], ...]:
        shared = tuple((name, 1) for name in CONTROL)
        own = (("y", self.states), ("p", self.parameters), ("u", self.inputs), ("out", self.states))
        return (*shared, *own, *self.further)

    @property
    def rows(self) -> int:
        return sum(count for _, count in self.groups())

    def empty(self, lanes: int) -> np.ndarray:
        """A block of zeros (row, lane). It begins with a line of the cache, which no vector of lanes then straddles:
        that would cost up to half of the speed, and another part of it in each process."""
        size = self.rows * lanes
        held = np.zeros(size + LINE // 8)
        skipped = (-held.ctypes.data % LINE) // 8
        return held[skipped : skipped + size].reshape(self.rows, lanes)


class Block:
    """Reads and writes rows at the position of the writer."""

    def __init__(self, writer: Writer, layout: Layout, pointer: ir.Value) -> None:
        self.writer, self.layout, self.pointer = writer, layout, pointer
        self.aligned = min(8 * writer.lanes, LINE)

    def place(self, name: str, index: int = 0) -> ir.Value:
        offset = (self.layout.first(name) + index) * self.writer.lanes
        return self.writer.builder.gep(self.pointer, [INT64(offset)])

    def get(self, name: str, index: int = 0) -> Number:
        return self.writer.load(self.place(name, index), self.aligned)

    def put(self, value: Number, name: str, index: int = 0) -> None:
        self.writer.store(value, self.place(name, index), self.aligned)

    def states(self, name: str = "y") -> list[Number]:
        return [self.get(name, i) for i in range(self.layout.states)]

    def put_states(self, values: list[Number], name: str) -> None:
        for i, value in enumerate(values):
            self.put(value, name, i)
