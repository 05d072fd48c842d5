"""Symbolic derivatives agree with complex steps and with differences; what is always zero is not written."""

import mpmath
import pytest

from twinarm.models.engine import System
from twinarm.models.engine.derivatives import jacobian
from twinarm.models.engine.math import cos, exp, floor, log, maximum, minimum, sin, sqrt, tanh, where
from twinarm.models.engine.trace import trace

# What a traced operation means on numbers of many digits.
MEANING = {
    "exp": mpmath.exp, "log": mpmath.log, "sqrt": mpmath.sqrt, "tanh": mpmath.tanh, "sin": mpmath.sin,
    "cos": mpmath.cos, "floor": mpmath.floor, "minimum": min, "maximum": max, "neg": lambda a: -a,
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "**": lambda a, b: a**b, "<": lambda a, b: a < b, ">": lambda a, b: a > b,
    "where": lambda c, a, b: a if c else b,
}  # fmt: skip


def evaluate(graph, ends, t, y, p):
    values = []
    for kind, *args in graph.nodes:
        if kind == "constant":
            values.append(mpmath.mpf(float.fromhex(args[0])))
        elif kind in ("time", "state", "parameter"):
            values.append({"time": lambda: t, "state": lambda a: y[a], "parameter": lambda a: p[a]}[kind](*args))
        else:
            values.append(MEANING[kind](*(values[a] for a in args)))
    return [values[e] for e in ends]


def everything(t, y, p, u):
    return (
        y.a * y.b / (1.0 + y.c) - 2.0 * y.a + sin(t * y.a),
        exp(-y.a) + log(1.0 + y.b) * sqrt(y.c) - tanh(y.b - y.c) + y.a**3 + y.b**p.n + y.c**2 + 2.0**y.a,
        where(y.a > 0.5, y.b, 2.0 * y.c) + maximum(y.a, y.b) + minimum(y.a * y.a, 0.1) + cos(y.c) + floor(y.c) * t,
    )


SYSTEM = System("everything", ("a", "b", "c"), ("n",), (), everything, "hour")


@pytest.mark.parametrize("y", [(0.9, 0.3, 1.7), (0.2, 0.8, 0.4)])
def test_every_entry_is_the_limit_of_differences(y):
    with mpmath.workdps(60):
        graph, ends = trace(SYSTEM)
        known = jacobian(graph, ends, 3)
        t, y, p, step = mpmath.mpf(2.0), [mpmath.mpf(v) for v in y], [mpmath.mpf(1.7)], mpmath.mpf(10) ** -25
        nodes = [*known.entries.values(), *known.in_time.values()]
        found = dict(zip([*known.entries, *known.in_time], evaluate(graph, nodes, t, y, p), strict=True))
        for j in range(3):
            ahead = [v + step * (i == j) for i, v in enumerate(y)]
            back = [v - step * (i == j) for i, v in enumerate(y)]
            slopes = zip(evaluate(graph, ends, t, ahead, p), evaluate(graph, ends, t, back, p), strict=True)
            for i, (high, low) in enumerate(slopes):
                assert float(found.get((i, j), 0.0)) == pytest.approx(float((high - low) / (2 * step)), rel=1e-12)
        later, sooner = evaluate(graph, ends, t + step, y, p), evaluate(graph, ends, t - step, y, p)
        for i in range(3):
            assert float(found.get(i, 0.0)) == pytest.approx(float((later[i] - sooner[i]) / (2 * step)), rel=1e-12)


def test_what_is_always_zero_is_not_written():
    def chain(t, y, p, u):
        return (-p.k * y.a, p.k * y.a - p.k * y.b, p.k * y.b - u.out)

    graph, ends = trace(System("chain", ("a", "b", "c"), ("k",), ("out",), chain, "hour"))
    known = jacobian(graph, ends, 3)
    assert sorted(known.entries) == [(0, 0), (1, 0), (1, 1), (2, 1)] and not known.in_time


def test_the_derivative_of_a_kink_is_that_of_the_branch_taken():
    def kinked(t, y, p, u):
        return (maximum(y.a, 0.0),)

    graph, ends = trace(System("kink", ("a",), (), (), kinked, "hour"))
    known = jacobian(graph, ends, 1)
    for a, slope in ((-1.0, 0.0), (2.0, 1.0)):
        assert evaluate(graph, [known.entries[0, 0]], 0.0, [mpmath.mpf(a)], []) == [slope]
