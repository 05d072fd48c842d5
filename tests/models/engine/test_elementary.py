"""The engine's own functions of mathematics: within their stated ulps of mpmath, the same bits for 1, 4 and 8 lanes."""

import ctypes
from functools import cache

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from llvmlite import ir

from twinarm.models.engine.compile import cache_folder
from twinarm.models.engine.lanes import elementary, values
from twinarm.models.engine.lanes.machine import function_address

LIMIT = {"exp": 1.0, "log": 1.0, "sqrt": 0.5, "tanh": 2.0, "sin": 2.0, "cos": 2.0, "pow": 4.0}
ARGUMENTS = {name: 2 if name == "pow" else 1 for name in LIMIT}
EDGES = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 1e308]
)
RANDOM = np.random.default_rng(7)


@cache
def compiled(name, lanes):
    """The function over whole arrays whose size is a multiple of `lanes`."""
    count = ARGUMENTS[name]

    def write(symbol):
        module = ir.Module()
        pointer = values.DOUBLE.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer] * (count + 1) + [values.INT64])
        function = ir.Function(module, kind, symbol)
        builder = ir.IRBuilder(function.append_basic_block())
        loop, done = function.append_basic_block(), function.append_basic_block()
        entry = builder.block
        builder.branch(loop)
        builder.position_at_end(loop)
        i = builder.phi(values.INT64)
        writer = values.Writer(module, builder, lanes)
        arguments = [writer.load(builder.gep(a, [i])) for a in function.args[:count]]
        result = values.sqrt(*arguments) if name == "sqrt" else getattr(elementary, name)(*arguments)
        writer.store(result, builder.gep(function.args[count], [i]))
        following = builder.add(i, values.INT64(lanes))
        i.add_incoming(values.INT64(0), entry)
        i.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, function.args[-1]), loop, done)
        builder.position_at_end(done)
        builder.ret_void()
        return str(module)

    address = function_address(cache_folder(), f"test of {name} over {lanes} lanes", write)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (count + 1), ctypes.c_int64)(address)

    def call(*arrays):
        arrays = [np.ascontiguousarray(a, dtype=float) for a in arrays]
        out = np.empty_like(arrays[0])
        assert out.size % lanes == 0
        function(*[a.ctypes.data for a in (*arrays, out)], out.size)
        return out

    return call


def exact(name, *arguments):
    with mpmath.workprec(220):
        function = mpmath.power if name == "pow" else getattr(mpmath, name)
        return function(*(mpmath.mpf(float(a)) for a in arguments))


def worst_ulps(name, *arrays):
    found = compiled(name, 8)(*arrays)
    worst = 0.0
    with mpmath.workprec(220):
        for k, value in enumerate(found):
            truth = exact(name, *(a[k] for a in arrays))
            spacing = np.spacing(abs(float(truth)))
            worst = max(worst, float(abs(mpmath.mpf(float(value)) - truth) / mpmath.mpf(float(spacing))))
    return worst


def around(points, steps=40):
    """The points and their nearest floating-point neighbours."""
    points = np.asarray(points, float)
    return np.unique(np.concatenate([points + k * np.spacing(points) for k in range(-steps, steps + 1)]))


def in_eights(x):
    return np.resize(x, -(-x.size // 8) * 8)


N = 1600
HALF_TURNS = float(mpmath.pi / 2) * RANDOM.integers(1, 10_000_000, N)  # beside the zeros of sin and cos
SMALL = 10.0 ** RANDOM.uniform(-300, 0, N)
UNIT, PHASES = RANDOM.uniform(-1, 1, N), RANDOM.uniform(-1.6e7, 1.6e7, N)
SETS = {
    "exp": [UNIT, RANDOM.uniform(-745, 709.7, N), SMALL, around(np.log(2) * (np.arange(-9, 9) + 0.5))],
    "log": [UNIT + 1.25, np.exp(RANDOM.uniform(-744, 709, N)), around([1, 2**0.5, 0.5**0.5, 2, 5e-320])],
    "sqrt": [UNIT + 1.0, SMALL],
    "tanh": [UNIT, 25 * UNIT, SMALL, around([0.17328679513998632, 0.5493061443340549])],
    "sin": [4 * UNIT, PHASES, HALF_TURNS, SMALL, around([np.pi, 2 * np.pi])],
    "cos": [4 * UNIT, PHASES, HALF_TURNS, SMALL, around([np.pi / 2])],
}


@pytest.mark.parametrize("name", SETS)
def test_functions_of_one_argument_stay_within_their_ulps(name):
    for arguments in SETS[name]:
        assert worst_ulps(name, in_eights(arguments)) <= LIMIT[name]


def test_the_double_nearest_to_a_multiple_of_half_pi_is_reduced_exactly():
    multiples = np.array([float(mpmath.pi / 2 * k) for k in range(1, 2401)])
    assert worst_ulps("sin", in_eights(multiples)) <= 2.0
    assert worst_ulps("cos", in_eights(multiples)) <= 2.0


@pytest.mark.parametrize(
    ("bases", "exponents"),
    [
        (np.exp(RANDOM.uniform(-3, 3, N)), RANDOM.uniform(-5, 5, N)),
        (np.exp(RANDOM.uniform(-100, 100, N)), RANDOM.uniform(-7, 7, N)),
        (RANDOM.uniform(0.9, 1.1, N), RANDOM.uniform(-5000, 5000, N)),
        (1 + 1e-8 * RANDOM.normal(size=N), RANDOM.uniform(-5e9, 5e9, N)),
        (-RANDOM.uniform(0.1, 9, N), RANDOM.integers(-30, 30, N).astype(float)),
    ],
)
def test_pow_stays_within_four_ulps(bases, exponents):
    assert worst_ulps("pow", bases, exponents) <= LIMIT["pow"]


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh"])
def test_limits_are_those_of_the_c_standard(name):
    with np.errstate(all="ignore"):
        assert compiled(name, 8)(EDGES) == pytest.approx(getattr(np, name)(EDGES), rel=1e-15, abs=0.0, nan_ok=True)
    zeros = np.array([-0.0] * 8)
    if name in ("sqrt", "tanh"):
        assert np.signbit(compiled(name, 8)(zeros)).all()


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_a_phase_without_meaning_is_not_a_number(name):
    assert np.isnan(compiled(name, 1)([np.inf, -np.inf, np.nan, 1.7e7, -1e300])).all()
    assert compiled("sin", 1)([-0.0]).tobytes() == np.array([-0.0]).tobytes()


def test_limits_of_pow_are_those_of_the_c_standard():
    x, y = (a.ravel() for a in np.meshgrid(EDGES, EDGES))
    found = compiled("pow", 8)(x, y)
    with np.errstate(all="ignore"):
        known = np.array([np.power(a, b) for a, b in zip(x, y, strict=True)])
    ones = (np.abs(x) == 1) & np.isinf(y)  # C: 1; some vector libraries say NaN for -1
    known[ones] = 1.0
    for root, power in ((-np.inf, np.inf), (-0.0, 0.0)):  # C again; NumPy takes a square root here
        known[(x == root) & np.signbit(x) & (y == 0.5)] = power
    assert found == pytest.approx(known, rel=1e-15, abs=0.0, nan_ok=True)
    zero_or_infinite = (known == 0) | np.isinf(known)
    assert (np.signbit(found) == np.signbit(known))[zero_or_infinite].all()


@given(st.lists(st.floats(), min_size=8, max_size=8), st.lists(st.floats(), min_size=8, max_size=8))
@settings(max_examples=100, deadline=None)
def test_a_lane_computes_the_same_bits_whatever_the_number_of_lanes(x, y):
    for name, count in ARGUMENTS.items():
        arrays = (x, y)[:count]
        one, four, eight = (compiled(name, lanes)(*arrays) for lanes in (1, 4, 8))
        same = (np.isnan(one) & np.isnan(four) & np.isnan(eight)) | ((one == four) & (four == eight))
        assert same.all()
