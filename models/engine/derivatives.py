"""Derivatives of a traced graph, written into the same graph; what is zero or one is never written.

A kink (`maximum`, `minimum`, `where`, `floor`) has the derivative of the branch that is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from .trace import Graph, Symbol

_LEAVES = ("constant", "time", "state", "parameter", "input", "given")
_FLAT = ("<", "<=", ">", ">=", "floor")


@dataclass(frozen=True)
class Jacobian:
    """Nodes of the entries d f[row] / d y[column] that are not always zero, and of d f[row] / dt."""

    entries: dict[tuple[int, int], int]
    in_time: dict[int, int]


def jacobian(graph: Graph, ends: list[int], states: int) -> Jacobian:
    """Derivatives of the nodes `ends` by each state and by time; their nodes are added to the graph."""
    forward = _Forward(graph)
    rows = [forward.of(end) for end in ends]
    entries = {(i, key): d.index for i, row in enumerate(rows) for key, d in sorted(row.items()) if key < states}
    time = {i: row[_TIME].index for i, row in enumerate(rows) if _TIME in row}
    return Jacobian(entries, time)


def rate_of_change(graph: Graph, node: int, ends: list[int]) -> int:
    """Node of the rate at which `node` changes along a solution whose derivatives are the nodes `ends`."""
    forward = _Forward(graph)
    total = graph.lift(0.0)
    for key, slope in sorted(forward.of(node).items()):
        term = slope if key == _TIME else forward.times(slope, Symbol(graph, ends[key]))
        total = forward.plus(total, term)
    return total.index


_TIME = 1 << 30  # stands for the number of the state in derivatives by time
Row = dict[int, Symbol]


class _Forward:
    """Derivatives of every node by the states that it depends on."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.rows: dict[int, Row] = {}
        self.one = graph.lift(1.0)

    def of(self, index: int) -> Row:
        for i in range(len(self.rows), index + 1):  # operands stand before what uses them
            self.rows[i] = self._row(i)
        return self.rows[index]

    def _row(self, index: int) -> Row:
        kind, *args = self.graph.nodes[index]
        if kind == "state":
            return {args[0]: self.one}
        if kind == "time":
            return {_TIME: self.one}
        if kind in _LEAVES or kind in _FLAT:
            return {}
        node = Symbol(self.graph, index)
        operands = [Symbol(self.graph, i) for i in args]
        rows = [self.rows[i] for i in args]
        if kind in ("where", "minimum", "maximum"):
            return self._chosen(kind, operands, rows)
        parts = self._parts(kind, node, operands, [bool(row) for row in rows])
        total: Row = {}
        for part, row in zip(parts, rows, strict=True):
            for key, d in row.items():
                term = self.times(part, d)
                total[key] = self.plus(total[key], term) if key in total else term
        return total

    def _parts(self, kind: str, node: Symbol, x: list[Symbol], needed: list[bool]) -> list[Symbol]:
        """Partial derivatives by each operand; those not needed are never read."""
        one = self.one
        match kind:
            case "neg":
                return [-one]
            case "+":
                return [one, one]
            case "-":
                return [one, -one]
            case "*":
                return [x[1], x[0]]
            case "/":
                inverse = 1.0 / x[1]
                return [inverse, -(node * inverse) if needed[1] else one]
            case "**":
                less = self._constant(x[1])
                lower = x[1] - 1.0 if less is None else self.graph.lift(less - 1.0)
                by_base = x[1] * (x[0] if less == 2.0 else x[0] ** lower) if needed[0] else one
                return [by_base, node * self._call("log", x[0]) if needed[1] else one]
            case "exp":
                return [node]
            case "log":
                return [1.0 / x[0]]
            case "sqrt":
                return [0.5 / node]
            case "tanh":
                return [1.0 - node * node]
            case "sin":
                return [self._call("cos", x[0])]
            case "cos":
                return [-self._call("sin", x[0])]
        raise NotImplementedError(f"no derivative of {kind!r}")

    def _chosen(self, kind: str, x: list[Symbol], rows: list[Row]) -> Row:
        """Derivative of the branch that is taken."""
        if kind == "where":
            condition, (yes, no) = x[0], rows[1:]
        else:
            condition = x[1] < x[0] if kind == "minimum" else x[1] > x[0]
            no, yes = rows
        zero = self.graph.lift(0.0)
        return {
            key: self._call("where", condition, yes.get(key, zero), no.get(key, zero))
            for key in sorted(yes.keys() | no.keys())
        }

    def _call(self, name: str, *arguments: Symbol) -> Symbol:
        return self.graph.add(name, *(a.index for a in arguments))

    def _constant(self, x: Symbol) -> float | None:
        kind, *args = self.graph.nodes[x.index]
        if kind == "neg":
            inner = self._constant(Symbol(self.graph, args[0]))
            return None if inner is None else -inner
        return float.fromhex(args[0]) if kind == "constant" else None

    def times(self, a: Symbol, b: Symbol) -> Symbol:
        for x, other in ((a, b), (b, a)):
            value = self._constant(x)
            if value == 1.0:
                return other
            if value == -1.0:
                return -other
        return a * b

    def plus(self, a: Symbol, b: Symbol) -> Symbol:
        if self._constant(a) == 0.0:
            return b
        kind, *args = self.graph.nodes[b.index]
        if kind == "neg":
            return a - Symbol(self.graph, args[0])
        return a + b
