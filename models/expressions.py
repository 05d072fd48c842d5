"""Rules written as data: `age >= 18 and sex == 'female'`, parsed by a whitelist and never evaluated as Python.

Used for eligibility, plausibility and dose rules. Names are variables of a cohort or of a rule's own list; allowed
are numbers, quoted words, + - * / **, comparisons (also chained), and / or / not, `in (…)`, log, exp, sqrt, abs, min
and max.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from .problems import did_you_mean

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "log": np.log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
}
_BINARY: dict[type, Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_COMPARE: dict[type, Callable[..., Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_PLAIN = (
    ast.Name, ast.Load, ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.BoolOp, ast.Compare, ast.Tuple, ast.List,
    ast.In, ast.NotIn,
)  # fmt: skip
MAX_LENGTH = 1000
MAX_DEPTH = 40


class ExpressionError(ValueError):
    """An expression that cannot be read, or that names an unknown variable."""


def parse(text: str) -> ast.expr:
    """The syntax tree of an expression, after every node has been checked against the whitelist.

    Raises
    ------
    ExpressionError
        Not an expression, or a construct that is not allowed; the message names the column and what is allowed.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "msg", None) or "it is too deep"
        hint = "write for example 'age >= 18 and bmi < 40'"
        raise ExpressionError(f"{text!r} is no expression: {reason}; {hint}") from None
    _check(tree, text, 0)
    return tree


def names(text: str) -> tuple[str, ...]:
    """Variables that an expression reads, in alphabetical order."""
    found = {node.id for node in ast.walk(parse(text)) if isinstance(node, ast.Name)}
    return tuple(sorted(found - set(FUNCTIONS)))


def evaluate(text: str, variables: Mapping[str, Any]) -> Any:
    """The value of an expression over arrays; a comparison with a missing value is false.

    >>> people = {"age": np.array([17, 40]), "sex": np.array(["male", "female"])}
    >>> evaluate("18 <= age < 65 and sex in ('female', 'male')", people)
    array([False,  True])

    Raises
    ------
    ExpressionError
        Unknown variable; the message gives the nearest known one.
    """
    return _value(parse(text), variables)


def is_true(text: str, variables: Mapping[str, Any]) -> np.ndarray:
    """Where a condition holds: `evaluate` of what must be true or false.

    >>> is_true("age >= 18", {"age": np.array([17, 40])})
    array([False,  True])

    Raises
    ------
    ExpressionError
        As `evaluate`, or a value that is not true or false.
    """
    value = np.asarray(evaluate(text, variables))
    if value.dtype != bool:
        raise ExpressionError("it is not true or false; write a comparison")
    return value


def _check(node: ast.AST, text: str, depth: int) -> None:
    allowed = (
        (isinstance(node, ast.Constant) and isinstance(node.value, int | float | str))
        or isinstance(node, _PLAIN)
        or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.UAdd))
        or (isinstance(node, ast.BinOp) and type(node.op) in _BINARY)
        or type(node) in _BINARY
        or type(node) in _COMPARE
        or (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in FUNCTIONS
            and not node.keywords
            and len(node.args) == (2 if node.func.id in ("min", "max") else 1)
        )
    )
    if not allowed or depth > MAX_DEPTH:
        what = "is nested too deep" if depth > MAX_DEPTH else "is not allowed"
        where = getattr(node, "col_offset", 0) + 1
        raise ExpressionError(
            f"column {where} of {text!r} {what}; use variables, numbers, quoted words, comparisons, and/or/not, "
            f"arithmetic and {', '.join(FUNCTIONS)}"
        )
    if isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) > 10**15:
        raise ExpressionError(f"{node.value} in {text!r} is too large for a rule")
    for child in ast.iter_child_nodes(node):
        _check(child, text, depth + 1)


def _value(node: ast.AST, variables: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return float(node.value) if isinstance(node.value, int) and not isinstance(node.value, bool) else node.value
        case ast.Name():
            if node.id not in variables:
                hint = did_you_mean(node.id, variables, f"known: {', '.join(sorted(variables))}")
                raise ExpressionError(f"no variable is called {node.id!r}; {hint}")
            return np.asarray(variables[node.id])
        case ast.UnaryOp(op=ast.Not()):
            return np.logical_not(_value(node.operand, variables))
        case ast.UnaryOp(op=ast.USub()):
            return np.negative(_value(node.operand, variables))
        case ast.UnaryOp():
            return _value(node.operand, variables)
        case ast.BinOp():
            with np.errstate(all="ignore"):
                return _BINARY[type(node.op)](_value(node.left, variables), _value(node.right, variables))
        case ast.BoolOp(op=ast.And()):
            return reduce(np.logical_and, [_value(v, variables) for v in node.values])
        case ast.BoolOp():
            return reduce(np.logical_or, [_value(v, variables) for v in node.values])
        case ast.Call(func=ast.Name(id=name)):
            with np.errstate(all="ignore"):
                return FUNCTIONS[name](*[_value(a, variables) for a in node.args])
        case ast.Compare():
            return _comparison(node, variables)
        case _:
            raise ExpressionError("a list may only stand after 'in'")


def _comparison(node: ast.Compare, variables: Mapping[str, Any]) -> Any:
    results = []
    left = _value(node.left, variables)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right_node, ast.Tuple | ast.List):
                raise ExpressionError("write the choices after 'in' as ('a', 'b')")
            right: Any = [_value(e, variables) for e in right_node.elts]
            inside = reduce(np.logical_or, [_same(left, choice) for choice in right], np.zeros(np.shape(left), bool))
            results.append(inside if isinstance(op, ast.In) else np.logical_not(inside))
        else:
            right = _value(right_node, variables)
            if isinstance(op, ast.Eq | ast.NotEq):
                same = _same(left, right)
                results.append(same if isinstance(op, ast.Eq) else np.logical_not(same))
            else:
                if np.asarray(left).dtype.kind in "UO" or np.asarray(right).dtype.kind in "UO":
                    raise ExpressionError("words can only be compared with ==, != or in")
                results.append(_COMPARE[type(op)](left, right))
        left = right
    return reduce(np.logical_and, results)


def _same(left: Any, right: Any) -> Any:
    words = [np.asarray(v).dtype.kind in "UO" for v in (left, right)]
    if words[0] != words[1]:
        raise ExpressionError("a word is compared with a number; quote words, do not quote numbers")
    return np.equal(left, right)
