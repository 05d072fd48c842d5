"""Philox4x64-10 inside a kernel: the same numbers as `models.randomness`, one at a time.

Source: Salmon 2011 (doi 10.1145/2063384.2063405) for the generator; Wichura 1988, algorithm AS 241 (PPND16), Applied
Statistics 37:477, for the normal quantile.
"""

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

_M0 = np.uint64(0xD2E7470EE14C6C93)
_M1 = np.uint64(0xCA5A826395121157)
_W0 = np.uint64(0x9E3779B97F4A7C15)
_W1 = np.uint64(0xBB67AE8584CAA73B)
_12 = np.uint64(12)


@intrinsic
def _high(typing, a, b):
    """Upper 64 bits of a 64 x 64 bit product: one instruction of the processor."""

    def instructions(context, builder, signature, arguments):
        wide = [builder.zext(argument, ir.IntType(128)) for argument in arguments]
        return builder.trunc(builder.lshr(builder.mul(*wide), ir.IntType(128)(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), instructions


@njit(error_model="numpy", cache=True)
def uniform(key, unit, index):
    """Uniform in (0, 1) of (key, unit, index); `key` is two uint64 words (`models.randomness.key_words`)."""
    c0, c1 = np.uint64(unit) + np.uint64(1), np.uint64(index // 4)
    c2, c3 = np.uint64(0), np.uint64(0)
    k0, k1 = key[0], key[1]
    for _ in range(10):
        h0, l0, h1, l1 = _high(_M0, c0), _M0 * c0, _high(_M1, c2), _M1 * c2
        c0, c1, c2, c3 = h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0
        k0 += _W0
        k1 += _W1
    slot = index % 4
    word = c0 if slot == 0 else (c1 if slot == 1 else (c2 if slot == 2 else c3))
    return (np.float64(word >> _12) + 0.5) * 2.0**-52


@njit(error_model="numpy", cache=True)
def normal_quantile(u):
    """Standard normal quantile, relative error about 1e-16 (AS 241, PPND16)."""
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        num = 2509.0809287301226727 * r + 33430.575583588128105
        num = (num * r + 67265.770927008700853) * r + 45921.953931549871457
        num = (num * r + 13731.693765509461125) * r + 1971.5909503065514427
        num = (num * r + 133.14166789178437745) * r + 3.387132872796366608
        den = 5226.495278852545925 * r + 28729.085735721942674
        den = (den * r + 39307.89580009271061) * r + 21213.794301586595867
        den = (den * r + 5394.1960214247511077) * r + 687.1870074920579083
        den = (den * r + 42.313330701600911252) * r + 1.0
        return q * num / den
    r = u if q < 0.0 else 1.0 - u
    r = math.sqrt(-math.log(r))
    if r <= 5.0:
        r -= 1.6
        num = 7.7454501427834140764e-4 * r + 0.0227238449892691845833
        num = (num * r + 0.24178072517745061177) * r + 1.27045825245236838258
        num = (num * r + 3.64784832476320460504) * r + 5.7694972214606914055
        num = (num * r + 4.6303378461565452959) * r + 1.42343711074968357734
        den = 1.05075007164441684324e-9 * r + 5.475938084995344946e-4
        den = (den * r + 0.0151986665636164571966) * r + 0.14810397642748007459
        den = (den * r + 0.68976733498510000455) * r + 1.6763848301838038494
        den = (den * r + 2.05319162663775882187) * r + 1.0
    else:
        r -= 5.0
        num = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
        num = (num * r + 0.0012426609473880784386) * r + 0.026532189526576123093
        num = (num * r + 0.29656057182850489123) * r + 1.7848265399172913358
        num = (num * r + 5.4637849111641143699) * r + 6.6579046435011037772
        den = 2.04426310338993978564e-15 * r + 1.4215117583164458887e-7
        den = (den * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4
        den = (den * r + 0.0148753612908506148525) * r + 0.13692988092273580531
        den = (den * r + 0.59983220655588793769) * r + 1.0
    x = num / den
    return -x if q < 0.0 else x


@njit(error_model="numpy", cache=True)
def normal(key, unit, index):
    """Standard normal of (key, unit, index)."""
    return normal_quantile(uniform(key, unit, index))
