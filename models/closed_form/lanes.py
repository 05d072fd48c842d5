"""Arithmetic on eight twins at once, as vector instructions of the compiler's own intermediate language.

Every function works on flat float64 arrays in which the eight lanes of a quantity stand side by side, from a given
offset on. A lane computes what a scalar would: nothing is reassociated and no product is fused with a sum, so that a
twin's bits do not depend on its lane, on its neighbours or on the width of the machine's registers.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 8
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_WORDS = ir.VectorType(ir.IntType(64), LANES)

_SHIFT = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest whole number in the last bits
_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
_SMALLEST = 708.0  # exp of minus this is the last normal number; beyond it the result is 0
# 1 / k!, from the highest power down: |r| <= ln 2 / 2 leaves a rest below 1e-17.
_TAYLOR = (
    1.6059043836821613e-10, 2.08767569878681e-09, 2.505210838544172e-08, 2.755731922398589e-07, 2.7557319223985893e-06,
    2.48015873015873e-05, 0.0001984126984126984, 0.001388888888888889, 0.008333333333333333, 0.041666666666666664,
    0.16666666666666666, 0.5, 1.0, 1.0,
)  # fmt: skip


def _constant(value: float) -> Any:
    return ir.Constant(_VECTOR, [value] * LANES)


def _pointer(context, builder, array_type, array, offset):
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _load(context, builder, signature, args, k):
    """The lanes of the array that is argument k, from the offset behind it."""
    return builder.load(_pointer(context, builder, signature.args[k], args[k], args[k + 1]), align=8)


def _store(context, builder, signature, args, value):
    """Into the array that is the first argument."""
    builder.store(value, _pointer(context, builder, signature.args[0], args[0], args[1]), align=8)
    return context.get_dummy_value()


def _splat(builder, value):
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, one, mask)


@intrinsic
def product(typingctx, out, a, x, b, y, d):
    """out[a:] = x[b:] y[d:]"""

    def generate(context, builder, signature, args):
        left, right = (_load(context, builder, signature, args, k) for k in (2, 4))
        return _store(context, builder, signature, args, builder.fmul(left, right))

    return types.none(out, types.intp, x, types.intp, y, types.intp), generate


@intrinsic
def add_product(typingctx, out, a, x, b, y, d):
    """out[a:] += x[b:] y[d:]"""

    def generate(context, builder, signature, args):
        old, left, right = (_load(context, builder, signature, args, k) for k in (0, 2, 4))
        return _store(context, builder, signature, args, builder.fadd(old, builder.fmul(left, right)))

    return types.none(out, types.intp, x, types.intp, y, types.intp), generate


@intrinsic
def add_scaled(typingctx, out, a, x, b, factor):
    """out[a:] += factor x[b:]"""

    def generate(context, builder, signature, args):
        old, left = (_load(context, builder, signature, args, k) for k in (0, 2))
        value = builder.fadd(old, builder.fmul(_splat(builder, args[4]), left))
        return _store(context, builder, signature, args, value)

    return types.none(out, types.intp, x, types.intp, types.float64), generate


@intrinsic
def decay(typingctx, out, a, x, b, t):
    """out[a:] = exp(-x[b:] t), for products of at least 0, to about 1 ulp; a NaN stays one."""

    def generate(context, builder, signature, args):
        power = builder.fmul(_load(context, builder, signature, args, 2), _splat(builder, args[4]))
        gone = builder.fcmp_ordered(">", power, _constant(_SMALLEST))
        power = builder.select(gone, _constant(_SMALLEST), power)
        shifted = builder.fsub(_constant(_SHIFT), builder.fmul(power, _constant(_LOG2E)))
        whole = builder.fsub(shifted, _constant(_SHIFT))
        rest = builder.fsub(_constant(0.0), power)
        for part in (_LN2_HIGH, _LN2_LOW):
            rest = builder.fsub(rest, builder.fmul(whole, _constant(part)))
        value = _constant(_TAYLOR[0])
        for term in _TAYLOR[1:]:
            value = builder.fadd(builder.fmul(value, rest), _constant(term))
        exponent = builder.shl(builder.bitcast(shifted, _WORDS), ir.Constant(_WORDS, [52] * LANES))
        value = builder.bitcast(builder.add(builder.bitcast(value, _WORDS), exponent), _VECTOR)
        return _store(context, builder, signature, args, builder.select(gone, _constant(0.0), value))

    return types.none(out, types.intp, x, types.intp, types.float64), generate


def _weighted(terms: int) -> Callable[..., Any]:
    """out[a:] = the sum over i of x[b + i LANES:] y[d + i LANES:], i below `terms`."""

    def typed(typingctx, out, a, x, b, y, d):
        def generate(context, builder, signature, args):
            total = None
            for i in range(terms):
                step = ir.Constant(ir.IntType(64), i * LANES)
                here = [*args[:3], builder.add(args[3], step), args[4], builder.add(args[5], step)]
                term = builder.fmul(*(_load(context, builder, signature, here, k) for k in (2, 4)))
                total = term if total is None else builder.fadd(total, term)
            return _store(context, builder, signature, args, total)

        return types.none(out, types.intp, x, types.intp, y, types.intp), generate

    found: Callable[..., Any] = intrinsic(typed)
    return found


weighted_1, weighted_2, weighted_3, weighted_4, weighted_5 = (_weighted(n) for n in range(1, 6))


@intrinsic
def lanes_to_rows(typingctx, out, base, first, tile, a):
    """out[base[l] + first + s] = tile[a + s LANES + l] for eight samples s and eight lanes l: a square turned over."""

    def generate(context, builder, signature, args):
        step = [ir.Constant(ir.IntType(64), i * LANES) for i in range(LANES)]
        rows = [
            builder.load(_pointer(context, builder, signature.args[3], args[3], builder.add(args[4], step[i])), align=8)
            for i in range(LANES)
        ]
        half = 1
        while half < LANES:  # swap the off-diagonal blocks of squares of side 2, 4, 8
            for i in range(LANES):
                if i & half == 0:
                    upper, lower = rows[i], rows[i + half]
                    first_half = [j if j & half == 0 else LANES + j - half for j in range(LANES)]
                    second_half = [j + half if j & half == 0 else LANES + j for j in range(LANES)]
                    rows[i], rows[i + half] = _shuffle(builder, upper, lower, first_half, second_half)
            half *= 2
        offsets = context.make_array(signature.args[1])(context, builder, args[1]).data
        for lane in range(LANES):
            start = builder.load(builder.gep(offsets, [ir.Constant(ir.IntType(64), lane)]))
            place = _pointer(context, builder, signature.args[0], args[0], builder.add(start, args[2]))
            builder.store(rows[lane], place, align=8)
        return context.get_dummy_value()

    return types.none(out, base, types.intp, tile, types.intp), generate


def _shuffle(builder, upper, lower, *orders):
    mask = ir.VectorType(ir.IntType(32), LANES)
    return [builder.shuffle_vector(upper, lower, ir.Constant(mask, order)) for order in orders]
