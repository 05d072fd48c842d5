"""The right-hand side of one twin as a Numba function: the same instructions as in a lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .program import Nodes, write_program
from .values import Number, Writer


def right_hand_side(nodes: Nodes, ends: Sequence[int]) -> Any:
    """A function (t, y, p, u, dy) for compiled code; it writes the derivatives at `t` into `dy`."""

    @intrinsic
    def write(typing: Any, t: Any, y: Any, p: Any, u: Any, dy: Any) -> Any:
        def instructions(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            time, *arrays = arguments
            kinds = signature.args[1:]
            made = [context.make_array(kind)(context, builder, a) for kind, a in zip(kinds, arrays, strict=True)]

            def place(which: int, index: int) -> ir.Value:
                return cgutils.get_item_pointer(context, builder, kinds[which], made[which], [ir.IntType(64)(index)])

            writer = Writer(builder.module, builder, lanes=1)

            def leaf(kind: str, index: int) -> Number:
                if kind == "time":
                    return Number(writer, time)
                return writer.load(place(("state", "parameter", "input").index(kind), index))

            for i, value in enumerate(write_program(writer, nodes, ends, leaf)):
                writer.store(value, place(3, i))
            return context.get_dummy_value()

        return types.void(types.float64, y, p, u, dy), instructions

    return write
