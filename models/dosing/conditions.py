"""Conditions of dose rules, compiled from text: numbers in, a number or a truth of 0 or 1 out.

The text is parsed by the whitelist of `models.expressions`; the functions that come of it are traced by the engine like
a right-hand side.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any, Literal

from ..engine.math import exp, log, maximum, minimum, sqrt, where
from ..expressions import ExpressionError, names, parse
from ..problems import did_you_mean, listed

Look = Callable[[str], Any]
"""What a name stands for."""

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "log": log,
    "exp": exp,
    "sqrt": sqrt,
    "abs": lambda x: maximum(x, -x),
    "min": minimum,
    "max": maximum,
}
_BELOW, _ABOVE = (ast.Lt, ast.LtE), (ast.Gt, ast.GtE)


def check_names(text: str, known: Iterable[str]) -> None:
    """Refuse a condition that cannot be read or that names something unknown."""
    there = sorted(known)
    _number(parse(text), lambda name: 1.0)  # what cannot be compiled
    for name in names(text):
        if name not in there:
            fix = did_you_mean(name, there, f"known: {listed(there)}")
            raise ExpressionError(f"no state, parameter or input is called {name!r}; {fix}")


def truth(text: str) -> Callable[[Look], Any]:
    """The condition as a function: 1 where it holds, else 0."""
    tree = parse(text)
    return lambda look: where(_number(tree, look) > 0.5, 1.0, 0.0)


def crossing(text: str) -> tuple[Callable[[Look], Any], Literal["up", "down"]]:
    """A single comparison as a number that crosses zero where it comes to hold, and in which direction.

    Raises
    ------
    ExpressionError
        Anything but one `<`, `<=`, `>` or `>=` between two numbers.
    """
    tree = parse(text)
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or not isinstance(tree.ops[0], (*_BELOW, *_ABOVE)):
        raise ExpressionError(
            f"{text!r} is no single comparison, so it has no moment at which it comes to hold; write 'a < b' or 'a > b'"
        )
    left, right = tree.left, tree.comparators[0]
    direction: Literal["up", "down"] = "down" if isinstance(tree.ops[0], _BELOW) else "up"
    return lambda look: _number(left, look) - _number(right, look), direction


def subject(text: str) -> str | None:
    """The name on the left of a comparison, where there is nothing but a name."""
    tree = parse(text)
    return tree.left.id if isinstance(tree, ast.Compare) and isinstance(tree.left, ast.Name) else None


def _number(node: ast.AST, look: Look) -> Any:
    """The value of an expression; a truth is 1 or 0."""
    match node:
        case ast.Constant(value=str()):
            raise ExpressionError(f"{node.value!r} is a word; conditions of dose rules compare numbers")
        case ast.Constant():
            return float(node.value)  # type: ignore[arg-type]  # the whitelist leaves numbers and words
        case ast.Name():
            return look(node.id)
        case ast.UnaryOp(op=ast.Not()):
            return 1.0 - _number(node.operand, look)
        case ast.UnaryOp(op=ast.USub()):
            return -_number(node.operand, look)
        case ast.UnaryOp():
            return _number(node.operand, look)
        case ast.BinOp():
            return _BINARY[type(node.op)](_number(node.left, look), _number(node.right, look))
        case ast.BoolOp(op=ast.And()):
            return reduce(minimum, [_number(v, look) for v in node.values])
        case ast.BoolOp():
            return reduce(maximum, [_number(v, look) for v in node.values])
        case ast.Call(func=ast.Name(id=name)):
            return _FUNCTIONS[name](*[_number(a, look) for a in node.args])
        case ast.Compare():
            values = [_number(v, look) for v in (node.left, *node.comparators)]
            pairs = zip(node.ops, values[:-1], values[1:], strict=True)
            return reduce(minimum, [_compared(op, a, b) for op, a, b in pairs])
        case _:
            raise ExpressionError("'in' compares words; conditions of dose rules compare numbers")


def _compared(op: ast.cmpop, a: Any, b: Any) -> Any:
    match op:
        case ast.Lt():
            return where(a < b, 1.0, 0.0)
        case ast.LtE():
            return where(a <= b, 1.0, 0.0)
        case ast.Gt():
            return where(a > b, 1.0, 0.0)
        case ast.GtE():
            return where(a >= b, 1.0, 0.0)
        case ast.Eq():
            return minimum(where(a <= b, 1.0, 0.0), where(a >= b, 1.0, 0.0))
        case ast.NotEq():
            return 1.0 - minimum(where(a <= b, 1.0, 0.0), where(a >= b, 1.0, 0.0))
        case _:
            raise ExpressionError("'in' compares words; conditions of dose rules compare numbers")
