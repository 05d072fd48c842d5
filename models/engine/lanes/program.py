"""Write the instructions of a traced graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from . import elementary, values
from .switches import COMPARISONS, Sides
from .values import Number, Truth, Writer, fma, select

Leaf = Callable[[str, int], Number]
Nodes = Sequence[tuple[Any, ...]]

_LEAVES = ("time", "state", "parameter", "input", "given")
_ONE = {
    "exp": elementary.exp, "log": elementary.log, "tanh": elementary.tanh, "sin": elementary.sin,
    "cos": elementary.cos, "sqrt": values.sqrt, "floor": values.floor,
}  # fmt: skip
_TWO = {"minimum": values.minimum, "maximum": values.maximum}


def write_program(
    writer: Writer, nodes: Nodes, ends: Sequence[int], leaf: Leaf, sides: Sides | None = None
) -> list[Number]:
    """Values of the nodes `ends`; only what they need is written, in the order of the graph.

    A product that is used once, in a sum or difference, is fused with it (one rounding instead of two); nothing else is
    rearranged. Comparisons and floors are those of the values, or of the `sides` given.
    """
    needed = _needed(nodes, ends)
    uses = Counter(a for i in needed for a in _arguments(nodes[i]))
    uses.update(ends)
    fused = {
        product for i in needed if nodes[i][0] in "+-" and (product := _product_of(nodes, nodes[i], uses)) is not None
    }
    found: dict[int, Any] = {}
    for i in sorted(needed):
        if i not in fused:
            found[i] = _write(writer, nodes, nodes[i], found, fused, leaf, sides)
    return [_number(writer, found[i]) for i in ends]


def _arguments(node: tuple[Any, ...]) -> tuple[int, ...]:
    return () if node[0] in _LEAVES or node[0] == "constant" else node[1:]


def _needed(nodes: Nodes, ends: Sequence[int]) -> set[int]:
    needed: set[int] = set()
    waiting = list(ends)
    while waiting:
        i = waiting.pop()
        if i not in needed:
            needed.add(i)
            waiting += _arguments(nodes[i])
    return needed


def _product_of(nodes: Nodes, node: tuple[Any, ...], uses: Counter[int]) -> int | None:
    """The operand of a sum or difference that is a product used nowhere else; the right one first."""
    for i in (node[2], node[1]):
        if nodes[i][0] == "*" and uses[i] == 1:
            return i
    return None


def _number(writer: Writer, value: Any) -> Number:
    """A truth counts as 1 or 0, as in Python."""
    return select(value, 1.0, 0.0) if isinstance(value, Truth) else value


def _write(
    writer: Writer, nodes: Nodes, node: tuple[Any, ...], found: dict[int, Any], fused: set[int], leaf: Leaf,
    sides: Sides | None,
) -> Number | Truth:  # fmt: skip
    kind, *args = node
    if kind == "constant":
        return writer.number(float.fromhex(args[0]))
    if kind in _LEAVES:
        return leaf(kind, args[0] if args else 0)
    if kind in "+-" and (args[1] in fused or args[0] in fused):
        return _fused(writer, nodes, kind, args, found, fused)
    if kind == "where":
        condition = found[args[0]]
        if not isinstance(condition, Truth):
            condition = ~condition.equals(0.0)
        return select(condition, _number(writer, found[args[1]]), _number(writer, found[args[2]]))
    a = [_number(writer, found[i]) for i in args]
    if sides is not None and kind == "floor":
        return sides.floor(args[0], a[0])
    if sides is not None and kind in COMPARISONS:
        less = sides.less((args[0], args[1]), a[0], a[1])
        if kind in _TWO:
            return select(less, *(a if kind == "minimum" else a[::-1]))
        return less if kind in ("<", "<=") else ~less
    match kind:
        case "neg":
            return -a[0]
        case "+":
            return a[0] + a[1]
        case "-":
            return a[0] - a[1]
        case "*":
            return a[0] * a[1]
        case "/":
            return a[0] / a[1]
        case "<":
            return a[0] < a[1]
        case "<=":
            return a[0] <= a[1]
        case ">":
            return a[0] > a[1]
        case ">=":
            return a[0] >= a[1]
        case "**":
            return _power(a[0], a[1], nodes[args[1]])
        case kind if kind in _TWO:
            return _TWO[kind](*a)
        case _:
            return _ONE[kind](*a)


def _fused(writer: Writer, nodes: Nodes, kind: str, args: list[int], found: dict[int, Any], fused: set[int]) -> Number:
    """a b + c, a b - c or c - a b, rounded once."""
    right = args[1] in fused
    product, other = (args[1], args[0]) if right else (args[0], args[1])
    a, b = (_number(writer, found[i]) for i in nodes[product][1:])
    c = _number(writer, found[other])
    if kind == "-":
        return fma(-a, b, c) if right else fma(a, b, -c)
    return fma(a, b, c)


def _power(x: Number, y: Number, exponent: tuple[Any, ...]) -> Number:
    """x**y; small whole exponents by multiplication, halves by the square root."""
    n = float.fromhex(exponent[1]) if exponent[0] == "constant" else None
    if n in (0.5, 1.5, -0.5, -1.5):
        root = values.sqrt(x)
        result = root if abs(n) < 1 else x * root
        return 1.0 / result if n < 0 else result
    if n is None or n not in (-2.0, -1.0, 1.0, 2.0, 3.0, 4.0):
        return elementary.pow(x, y)
    square = x * x if abs(n) > 1 else x
    result = square * (x if n == 3 else square) if abs(n) > 2 else square
    return 1.0 / result if n < 0 else result
