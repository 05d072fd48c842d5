"""Criteria as clauses: what must hold of a twin, how far a twin is from it, and which clauses exclude each other."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np

from ...models.expressions import ExpressionError, evaluate, is_true, names, parse


class CriteriaError(ValueError):
    """Criteria that cannot be read, or that hardly any twin meets; the message says which and what to do."""


def clauses_of(where: Sequence[str]) -> tuple[str, ...]:
    """Each condition that must hold, one a clause: `and` outside brackets parts them.

    >>> clauses_of(["age > 70 and sex == 'female'", "egfr < 30"])
    ('age > 70', "sex == 'female'", 'egfr < 30')

    Raises
    ------
    CriteriaError
        A criterion that is no expression, or no criterion at all.
    """
    found: list[str] = []
    for text in where:
        try:
            found += [ast.unparse(part) for part in _parted(parse(text))]
        except ExpressionError as error:
            raise CriteriaError(f"criterion {text!r}: {error}") from None
    if not found:
        raise CriteriaError("there is no criterion; write for example \"age > 70 and sex == 'female'\"")
    return tuple(dict.fromkeys(found))


def _parted(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for value in node.values:
            yield from _parted(value)
    else:
        yield node


def met(clause: str, people: Mapping[str, Any]) -> np.ndarray:
    """Whether each person meets a clause, (twin,).

    Raises
    ------
    CriteriaError
        The clause reads an unknown variable, compares a word with a number, or is not true or false.
    """
    try:
        value = is_true(clause, people)
    except ExpressionError as error:
        raise CriteriaError(f"criterion {clause!r}: {error}") from None
    return np.broadcast_to(value, (len(next(iter(people.values()))),))


def all_met(clauses: Sequence[str], people: Mapping[str, Any]) -> np.ndarray:
    """Whether each person meets every clause, (twin,)."""
    return np.asarray(np.logical_and.reduce([met(clause, people) for clause in clauses]))


def margins(clause: str) -> tuple[str, ...]:
    """The comparisons of numbers in a clause, each as an expression that is at most 0 where the comparison holds.

    >>> margins("30 <= bmi < 40 or age > 70")
    ('30 - bmi', 'bmi - 40', '70 - age')
    """
    found: list[str] = []
    for node in ast.walk(parse(clause)):
        if isinstance(node, ast.Compare):
            found += [text for text in _sides(node) if text]
    return tuple(dict.fromkeys(found))


def _sides(node: ast.Compare) -> Iterator[str]:
    """Of each comparison of a chain, the side that must be smaller minus the other; empty for == and in."""
    left = node.left
    for op, right in zip(node.ops, node.comparators, strict=True):
        pair = (right, left) if isinstance(op, ast.Gt | ast.GtE) else (left, right)
        is_order = isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE)
        yield ast.unparse(ast.BinOp(pair[0], ast.Sub(), pair[1])) if is_order else ""
        left = right


def distance(clause: str, people: Mapping[str, Any], scales: Mapping[str, float]) -> np.ndarray:
    """How far each person is from meeting a clause, (twin,): 0 where it is met, else in units of `scales`.

    Infinite where nothing between met and unmet can be measured (words, equality).
    """
    far = _distance(parse(clause), people, scales)
    return np.where(met(clause, people), 0.0, np.maximum(far, 1e-9))


def _distance(node: ast.expr, people: Mapping[str, Any], scales: Mapping[str, float]) -> np.ndarray:
    if isinstance(node, ast.BoolOp):
        join: Callable[..., Any] = np.maximum if isinstance(node.op, ast.And) else np.minimum
        return np.asarray(reduce(join, [_distance(value, people, scales) for value in node.values]))
    text = ast.unparse(node)
    none = np.where(met(text, people), 0.0, np.inf)
    if not isinstance(node, ast.Compare):
        return none
    sides = list(_sides(node))
    if not all(side and scales.get(side) for side in sides):
        return none
    return np.asarray(reduce(np.maximum, [evaluate(side, people) / scales[side] for side in sides]))


def smallest_conflict(clauses: Sequence[str], can_be_met: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...]:
    """A part of clauses that cannot be met together and none of which can be left out (deletion filter)."""
    kept = list(clauses)
    for clause in clauses:
        fewer = tuple(c for c in kept if c != clause)
        if fewer and not can_be_met(fewer):
            kept = list(fewer)
    return tuple(kept)


def exclude(clauses: Sequence[str], people: Mapping[str, Any]) -> bool:
    """Whether two comparisons of a sum exclude each other: their sides, at most 0 where they hold, add up to above 0.

    >>> exclude(["bmi > 20", "bmi < 19"], {"bmi": np.array([18.0, 25.0])})
    True
    """
    ordered = [clause for clause in clauses if isinstance(parse(clause), ast.Compare)]
    sides = [np.asarray(evaluate(side, people)) for clause in ordered for side in margins(clause)]
    varying = [side for side in sides if np.ptp(side) > 0]  # a variable that is the same for all proves nothing
    sums = [one + other for one, other in combinations(varying, 2)]
    return any(total.min() > 0 and np.ptp(total) <= 1e-9 * total.max() for total in sums)


def ranges(clauses: Sequence[str], people: Mapping[str, Any]) -> str:
    """What the variables of clauses span in a sample, for a message."""
    said = []
    for name in dict.fromkeys(name for clause in clauses for name in names(clause)):
        values = np.asarray(people[name])
        if values.dtype.kind in "UO":
            said.append(f"{name} is {', '.join(sorted(set(values.tolist()))[:8])}")
        else:
            said.append(f"{name} runs from {np.nanmin(values):.4g} to {np.nanmax(values):.4g}")
    return "; ".join(said)
