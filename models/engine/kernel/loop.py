"""Carry twins in lanes for a model whose own module (`device`) acts on them at times that it chooses.

Each lane holds one twin with its own time: one that has landed on its stop is served while the others stand where they
are, and a twin that ends leaves its lane to the next one.
"""

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .device import begin, leave, serve
from .driver import ACTIVE, FRESH, SAMPLE, STATE, STATUS, take_steps


@intrinsic
def borrowed(typing, value):
    """The same array, or tuple of arrays, without an owner: nobody counts who holds it, which is an atomic write."""

    def without_owner(context, builder, kind, value):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            return array._getvalue()
        if isinstance(kind, types.BaseTuple):
            parts = cgutils.unpack_tuple(builder, value, len(kind))
            parts = [without_owner(context, builder, k, part) for k, part in zip(kind.types, parts, strict=True)]
            return context.make_tuple(builder, kind, parts)
        return value

    def instructions(context, builder, signature, arguments):
        return without_owner(context, builder, value, arguments[0])

    return value(value), instructions


@njit(error_model="numpy", nogil=True, cache=True)
def follow(address, block, settings, start, world):
    """Follow every twin from its row of `start` (states, parameters, inputs) until the device ends it, or it fails."""
    block, start, world = borrowed(block), borrowed(start), borrowed(world)
    twins, lanes = start.shape[0], block.shape[1]
    twin = np.empty(lanes, np.int64)
    for lane in range(lanes):
        twin[lane] = -1
    following = active = np.int64(0)  # a literal 0 would have `begin` compiled twice
    waiting = (1 << lanes) - 1
    while True:
        for lane in range(lanes):
            if not (waiting >> lane) & 1:
                continue
            if twin[lane] >= 0:
                if block[STATUS, lane] == 0.0:
                    serve(lane, twin[lane], block, world)
                    block[FRESH, lane] = 1.0
                if block[STATUS, lane] == 0.0:
                    continue
                leave(lane, twin[lane], block, world)
                active -= 1
            twin[lane] = -1
            for row in range(STATE):
                block[row, lane] = 0.0
            block[SAMPLE, lane] = np.inf
            if following < twins:
                twin[lane] = following
                for i in range(start.shape[1]):
                    block[STATE + i, lane] = start[following, i]
                block[ACTIVE, lane] = block[FRESH, lane] = 1.0
                begin(lane, following, block, world)
                following += 1
                active += 1
        if active == 0:
            return
        waiting = take_steps(address, block, settings)
