"""The engine's own functions of mathematics, in units in the last place beside mpmath."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from ..engine.compile import cache_folder
from ..engine.lanes import elementary, values
from ..engine.lanes.machine import function_address
from .row import Check, NotHere, Row

LIMIT = {"exp": 1.0, "log": 1.0, "sqrt": 1.0, "tanh": 2.0, "sin": 2.0, "cos": 2.0, "pow": 4.0}
LANES = 8
BITS = 220  # of the exact value
COUNT = 2000  # arguments of each range


@cache
def over_arrays(name: str) -> Callable[..., np.ndarray]:
    """The function as a loop over arrays whose size is a multiple of `LANES`."""
    count = 2 if name == "pow" else 1

    def write(symbol: str) -> str:
        module = ir.Module()
        pointer = values.DOUBLE.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer] * (count + 1) + [values.INT64])
        function = ir.Function(module, kind, symbol)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        entry, loop, done = builder.block, function.append_basic_block(), function.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        at = builder.phi(values.INT64)
        writer = values.Writer(module, builder, LANES)
        arguments = [writer.load(builder.gep(argument, [at])) for argument in function.args[:count]]
        apply: Any = values.sqrt if name == "sqrt" else getattr(elementary, name)
        writer.store(apply(*arguments), builder.gep(function.args[count], [at]))
        following = builder.add(at, values.INT64(LANES))
        at.add_incoming(values.INT64(0), entry)
        at.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, function.args[-1]), loop, done)
        builder.position_at_end(done)
        builder.ret_void()
        return str(module)

    address = function_address(cache_folder(), f"verification of {name}", write)
    compiled = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (count + 1), ctypes.c_int64)(address)

    def call(*arrays: np.ndarray) -> np.ndarray:
        out = np.empty_like(arrays[0])
        compiled(*[a.ctypes.data for a in (*arrays, out)], out.size)
        return out

    return call


def _ranges(name: str) -> dict[str, tuple[np.ndarray, ...]]:
    """Arguments by the words of their range."""
    draw = np.random.default_rng(7)
    unit, wide = draw.uniform(-1.0, 1.0, COUNT), draw.uniform(0.0, 1.0, COUNT)
    tiny = 10.0 ** draw.uniform(-300.0, 0.0, COUNT)
    if name == "pow":
        return {
            "moderate": (np.exp(3.0 * unit), 10.0 * wide - 5.0),
            "large": (np.exp(100.0 * unit), 14.0 * wide - 7.0),
            "near 1": (1.0 + 0.1 * unit, 10_000.0 * wide - 5000.0),
        }
    if name in ("sin", "cos"):
        zeros = np.pi / 2.0 * draw.integers(1, 10_000_000, COUNT)
        return {"within 4": (4.0 * unit,), "to 1.6e7": (1.6e7 * unit,), "beside zeros": (zeros,), "tiny": (tiny,)}
    ranges: dict[str, dict[str, tuple[np.ndarray, ...]]] = {
        "exp": {"within 1": (unit,), "all": (1454.0 * wide - 745.0,), "tiny": (tiny,)},
        "log": {"near 1": (1.25 + unit,), "all": (np.exp(1453.0 * wide - 744.0),)},
        "sqrt": {"within 2": (1.0 + unit,), "tiny": (tiny,)},
        "tanh": {"within 1": (unit,), "within 25": (25.0 * unit,), "tiny": (tiny,)},
    }
    return ranges[name]


def last_places() -> list[Row]:
    """Largest error of each function over its ranges."""
    try:
        mpmath = importlib.import_module("mpmath")
    except ModuleNotFoundError as missing:
        raise NotHere("mpmath is not installed; pip install 'twinarm[test]' brings it") from missing
    rows = []
    for name, limit in LIMIT.items():
        exact = mpmath.power if name == "pow" else getattr(mpmath, name)
        worst = {}
        for where, arguments in _ranges(name).items():
            found = over_arrays(name)(*arguments)
            errors = [0.0]
            with mpmath.workprec(BITS):
                for k, value in enumerate(found.tolist()):
                    truth = exact(*(mpmath.mpf(float(a[k])) for a in arguments))
                    place = mpmath.mpf(float(np.spacing(abs(float(truth)))))
                    errors.append(float(abs(mpmath.mpf(value) - truth) / place))
            worst[where] = max(errors)
        rows.append(
            Row(
                f"{name}: ulp", f"mpmath, {BITS} bits, {COUNT} arguments a range", max(worst.values()), limit,
                "what the engine promises", note=", ".join(f"{w} {e:.2f}" for w, e in worst.items()),
            )
        )  # fmt: skip
    return rows


CHECKS = (Check("functions", "last_places", last_places),)
