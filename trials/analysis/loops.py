"""A PyTensor graph of element-wise functions and sums, written as loops in LLVM's language.

Sums are added in the order of their elements, no instruction carries a fast-math flag, and exp and log are the engine's
own: the same inputs give the same bits in every process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from operator import add, mul
from typing import Any

import numpy as np
from llvmlite import ir

from ...models.engine.lanes.elementary import INF, exp, log, pow
from ...models.engine.lanes.values import DOUBLE, INT64, Number, Truth, Writer, select, sqrt

Index = tuple[ir.Value, ...]
Value = Number | Truth
NOT_FINITE = 4
_SAME = ("SpecifyShape", "Alloc")  # their first input, spread over the shape that the others give
_ADDRESS = DOUBLE.as_pointer()


def function_text(
    name: str, counts: int, inputs: Sequence[Any], data: Sequence[Any], outputs: Sequence[Sequence[Any]]
) -> str:
    """LLVM text of `int64 name(uint64 x counts, double *inputs, double *outputs[0], ..., double **data)`.

    The inputs, and the graphs of one group of outputs, lie one after the other; `data` holds addresses of arrays. Every
    shape of a graph is known. The function returns `NOT_FINITE` where an output is infinite or NaN, else 0.

    Raises
    ------
    NotImplementedError
        The graph holds an operation that is not written here yet; add it beside the others.
    """
    module = ir.Module(name)
    kinds = [*[INT64] * counts, _ADDRESS, *[_ADDRESS] * len(outputs), _ADDRESS.as_pointer()]
    function = ir.Function(module, ir.FunctionType(INT64, kinds), name)
    builder = ir.IRBuilder(function.append_basic_block())
    point, *targets, table = function.args[counts:]
    places, offset = {}, 0
    for variable in inputs:
        places[variable] = builder.gep(point, [INT64(offset)])
        offset += _size(variable)
    for i, variable in enumerate(data):
        places[variable] = builder.load(builder.gep(table, [INT64(i)]))
    loops = _Loops(Writer(module, builder, lanes=1), places, [graph for group in outputs for graph in group])
    check = loops.writer.number(0.0)
    for group, target in zip(outputs, targets, strict=True):
        offset = 0
        for graph in group:
            for index in np.ndindex(graph.type.shape):
                value = _number(loops.read(graph, tuple(INT64(i) for i in index)))
                loops.writer.store(value, builder.gep(target, [INT64(offset)]))
                check, offset = check + value * 0.0, offset + 1
    loops.call("free", ir.VoidType(), loops.scratch)
    builder.ret(builder.select(check.equals(0.0).ir, INT64(0), INT64(NOT_FINITE)))
    return str(module)


class _Loops:
    """The instructions of some graphs; afterwards their elements can be read.

    A scalar is a number in a register. An element-wise function that is used once, over the same elements, is computed
    where it is used; every other array has its place in a scratch memory that lasts for one call.
    """

    def __init__(self, writer: Writer, places: dict[Any, ir.Value], outputs: Sequence[Any]) -> None:
        self.writer, self.builder, self.places = writer, writer.builder, places
        self.scalars: dict[Any, Value] = {}
        nodes = _in_order(outputs)
        uses = Counter(v for node in nodes for v in node.inputs)
        uses.update(outputs)
        self.inlined = {v for node in nodes for v in node.inputs if uses[v] == 1 and _is_inlined(v, node)}
        written = [n for n in nodes if _kind(n) in ("Elemwise", "Sum") and n.outputs[0] not in self.inlined]
        arrays = [node.outputs[0] for node in written if node.outputs[0].type.shape]
        self.scratch = self.call("malloc", _ADDRESS, INT64(8 * max(1, sum(map(_size, arrays)))))
        offset = 0
        for array in arrays:
            self.places[array] = self.builder.gep(self.scratch, [INT64(offset)])
            offset += _size(array)
        for node in written:
            self._write(node)

    def call(self, name: str, result: ir.Type, argument: ir.Value) -> ir.Value:
        """A call of the C library."""
        function = ir.Function(self.writer.module, ir.FunctionType(result, [argument.type]), name)
        return self.builder.call(function, [argument])

    def read(self, variable: Any, index: Index) -> Value:
        """One element."""
        if variable in self.scalars:
            return self.scalars[variable]
        if variable in self.places:
            return self.writer.load(self._address(variable, index))
        node = variable.owner
        if node is None:
            return self._constant(variable, index)
        if _kind(node) == "DimShuffle":
            source, order = node.inputs[0], node.op.new_order
            inner: list[ir.Value] = [INT64(0)] * source.type.ndim
            for position, axis in enumerate(order):
                if axis != "x":
                    inner[axis] = index[position]
            return self.read(source, tuple(inner))
        if _kind(node) in _SAME:
            return self.read(node.inputs[0], _within(node.inputs[0], index))
        return self._element(node, index)

    def _constant(self, variable: Any, index: Index) -> Value:
        """One element of a constant; an array of them becomes a table of the module."""
        values = [float(value) for value in np.ravel(variable.data)]
        if len(values) == 1:
            return self.writer.number(values[0])
        kind = ir.ArrayType(DOUBLE, len(values))
        table = ir.GlobalVariable(self.writer.module, kind, self.writer.module.get_unique_name("constant"))
        table.initializer = ir.Constant(kind, values)
        self.places[variable] = table.bitcast(_ADDRESS)
        return self.read(variable, index)

    def _address(self, variable: Any, index: Index) -> ir.Value:
        """Of an element of an array in memory, rows first."""
        position: ir.Value = INT64(0)
        for i, length in zip(index, variable.type.shape, strict=True):
            position = self.builder.add(self.builder.mul(position, INT64(length)), i)
        return self.builder.gep(self.places[variable], [position])

    def _element(self, node: Any, index: Index) -> Value:
        """One element of an element-wise function."""
        found = [self.read(variable, _within(variable, index)) for variable in node.inputs]
        name = type(node.op.scalar_op).__name__
        if name == "Pow" and _is_two(node.inputs[1]):
            return _number(found[0]) * _number(found[0])
        if name == "Switch":
            condition = found[0] if isinstance(found[0], Truth) else ~found[0].equals(0.0)
            return select(condition, _number(found[1]), _number(found[2]))
        if name not in _FUNCTIONS:
            raise NotImplementedError(f"the analyses cannot compile {name} yet: write it in {__name__}")
        return _FUNCTIONS[name](*map(_number, found))

    def _write(self, node: Any) -> None:
        """Compute a result and put it in its place."""
        result = node.outputs[0]
        element = self._sum if _kind(node) == "Sum" else self._element
        if not result.type.shape:
            self.scalars[result] = element(node, ())
            return
        self._over(
            result.type.shape,
            lambda index: self.writer.store(_number(element(node, index)), self._address(result, index)),
        )

    def _sum(self, node: Any, index: Index) -> Number:
        """One element of a sum: the terms one after the other."""
        terms = node.inputs[0]
        axes = sorted(range(terms.type.ndim) if node.op.axis is None else node.op.axis)
        with self.builder.goto_entry_block():
            total = self.builder.alloca(DOUBLE)
        self.writer.store(self.writer.number(0.0), total)

        def take(inner: Index) -> None:
            left, added = iter(index), iter(inner)
            place = tuple(next(added) if axis in axes else next(left) for axis in range(terms.type.ndim))
            self.writer.store(self.writer.load(total) + _number(self.read(terms, place)), total)

        self._over(tuple(terms.type.shape[axis] for axis in axes), take)
        return self.writer.load(total)

    def _over(self, shape: tuple[int, ...], body: Callable[[Index], None], index: Index = ()) -> None:
        """`body` at every index of a shape, the last axis fastest."""
        if not shape:
            body(index)
            return
        if shape[0] == 1:
            self._over(shape[1:], body, (*index, INT64(0)))
            return
        before, top = self.builder.block, self.builder.append_basic_block()
        self.builder.branch(top)
        self.builder.position_at_end(top)
        i = self.builder.phi(INT64)
        i.add_incoming(INT64(0), before)
        self._over(shape[1:], body, (*index, i))
        following = self.builder.add(i, INT64(1))
        i.add_incoming(following, self.builder.block)
        after = self.builder.append_basic_block()
        self.builder.cbranch(self.builder.icmp_signed("<", following, INT64(shape[0])), top, after)
        self.builder.position_at_end(after)


def _in_order(outputs: Sequence[Any]) -> list[Any]:
    """The nodes that some graphs need, each after those it needs itself."""
    found: dict[Any, None] = {}

    def visit(node: Any) -> None:
        if node is None or node in found:
            return
        if _kind(node) not in ("Elemwise", "Sum", "DimShuffle", *_SAME):
            raise NotImplementedError(f"the analyses cannot compile {node.op} yet: write it in {__name__}")
        for variable in node.inputs[:1] if _kind(node) in _SAME else node.inputs:
            visit(variable.owner)
        found[node] = None

    for variable in outputs:
        visit(variable.owner)
    return list(found)


def _kind(node: Any) -> str:
    return "" if node is None else type(node.op).__name__


def _within(variable: Any, index: Index) -> Index:
    """The index of a variable at an index of the shape it is spread over: on an axis of length one always 0."""
    shape = variable.type.shape
    own = index[len(index) - len(shape) :]
    return tuple(INT64(0) if length == 1 else i for i, length in zip(own, shape, strict=True))


def _is_inlined(variable: Any, user: Any) -> bool:
    """Whether a variable is an element-wise function whose only user needs each element of it once."""
    if _kind(variable.owner) != "Elemwise":
        return False
    return _kind(user) == "Sum" or (_kind(user) == "Elemwise" and variable.type.shape == user.outputs[0].type.shape)


def _size(variable: Any) -> int:
    return prod(variable.type.shape)


def _number(value: Value) -> Number:
    """A truth counts as 1 or 0."""
    return select(value, 1.0, 0.0) if isinstance(value, Truth) else value


def _is_two(exponent: Any) -> bool:
    return exponent.owner is None and bool(np.all(getattr(exponent, "data", None) == 2))


def _log1p(x: Number) -> Number:
    """log(1 + x) by the logarithm of the rounded sum and its first-order correction."""
    y = x + 1.0
    return select((y > 0.0) & (y < INF), log(y) + (x - (y - 1.0)) / y, log(y))


def _softplus(x: Number) -> Number:
    return select(x > 0.0, x, 0.0) + _log1p(exp(-abs(x)))


def _sigmoid(x: Number) -> Number:
    small = exp(-abs(x))
    return select(x < 0.0, small, 1.0) / (small + 1.0)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "Add": lambda *terms: reduce(add, terms),
    "Mul": lambda *factors: reduce(mul, factors),
    "Sub": lambda a, b: a - b,
    "TrueDiv": lambda a, b: a / b,
    "Pow": pow,
    "Neg": lambda a: -a,
    "Sqr": lambda a: a * a,
    "Sqrt": sqrt,
    "Exp": exp,
    "Log": log,
    "Log1p": _log1p,
    "Softplus": _softplus,
    "Sigmoid": _sigmoid,
    "LT": lambda a, b: a < b,
    "GE": lambda a, b: a >= b,
}
