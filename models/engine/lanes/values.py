"""Numbers, integers and truths whose operators write vector instructions (LLVM) instead of computing.

One value holds as many numbers as the writer has lanes. No instruction carries a fast-math flag and products are fused
with sums only where `fma` is written, so that a lane computes the same bits whatever the number of lanes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from llvmlite import ir

DOUBLE, INT64, BOOL = ir.DoubleType(), ir.IntType(64), ir.IntType(1)


class Writer:
    """Where instructions go: a builder at its position, and the number of lanes of every value."""

    def __init__(self, module: ir.Module, builder: ir.IRBuilder, lanes: int) -> None:
        self.module, self.builder, self.lanes = module, builder, lanes
        self._constants: dict[tuple[ir.Type, int], ir.Constant] = {}
        self.operations = 0  # floating-point operations written so far, a fused one counted as two

    def type_of(self, element: ir.Type) -> ir.Type:
        return element if self.lanes == 1 else ir.VectorType(element, self.lanes)

    def number(self, value: float) -> Number:
        return Number(self, self._constant(DOUBLE, value, bits_of(value)))

    def whole(self, value: int) -> Whole:
        return Whole(self, self._constant(INT64, value, value))

    def truth(self, value: bool) -> Truth:
        return Truth(self, self._constant(BOOL, int(value), value))

    def _constant(self, element: ir.Type, value: Any, key: int) -> ir.Constant:
        """Kept by the bits of the value: -0 is not 0."""
        if (element, key) not in self._constants:
            one = ir.Constant(element, value)
            many = ir.Constant(ir.VectorType(element, self.lanes), [one] * self.lanes) if self.lanes > 1 else one
            self._constants[element, key] = many
        return self._constants[element, key]

    def load(self, pointer: ir.Value, aligned: int = 8) -> Number:
        """The lanes at `pointer` (to doubles), an address that `aligned` (bytes) divides."""
        typed = self.builder.bitcast(pointer, self.type_of(DOUBLE).as_pointer())
        return Number(self, self.builder.load(typed, align=aligned))

    def store(self, value: Number, pointer: ir.Value, aligned: int = 8) -> None:
        typed = self.builder.bitcast(pointer, self.type_of(DOUBLE).as_pointer())
        self.builder.store(value.ir, typed, align=aligned)

    def where_any(self, condition: Truth, compute: Callable[[], Number], otherwise: Number) -> Number:
        """`compute()` in the lanes where the condition holds, `otherwise` in the others; not computed where in none."""
        return self.all_where_any(condition, lambda: [compute()], [otherwise])[0]

    def all_where_any(
        self, condition: Truth, compute: Callable[[], list[Number]], otherwise: list[Number]
    ) -> list[Number]:
        """As `where_any`, of several numbers that are computed together."""
        before = self.builder.block
        with self.builder.if_then(condition.any(), likely=False):
            found = [select(condition, new, old) for new, old in zip(compute(), otherwise, strict=True)]
            inside = self.builder.block
        merged = []
        for new, old in zip(found, otherwise, strict=True):
            both = self.builder.phi(self.type_of(DOUBLE))
            both.add_incoming(old.ir, before)
            both.add_incoming(new.ir, inside)
            merged.append(Number(self, both))
        return merged

    def intrinsic(self, name: str, *arguments: Number) -> Number:
        """A function of LLVM that the processor has as one instruction."""
        kind = self.type_of(DOUBLE)
        suffix = "f64" if self.lanes == 1 else f"v{self.lanes}f64"
        full = f"llvm.{name}.{suffix}"
        function = self.module.globals.get(full)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(kind, [kind] * len(arguments)), full)
        return Number(self, self.builder.call(function, [a.ir for a in arguments]))


class _Value:
    __slots__ = ("ir", "writer")

    def __init__(self, writer: Writer, value: ir.Value) -> None:
        self.writer, self.ir = writer, value


class Truth(_Value):
    """True or false in each lane."""

    __slots__ = ()

    def __and__(self, other: Truth) -> Truth:
        return Truth(self.writer, self.writer.builder.and_(self.ir, other.ir))

    def __or__(self, other: Truth) -> Truth:
        return Truth(self.writer, self.writer.builder.or_(self.ir, other.ir))

    def __invert__(self) -> Truth:
        return Truth(self.writer, self.writer.builder.xor(self.ir, self.writer.truth(True).ir))

    def bits(self) -> ir.Value:
        """One integer with the bit of every lane that is true."""
        builder = self.writer.builder
        if self.writer.lanes == 1:
            return builder.zext(self.ir, INT64)
        return builder.zext(builder.bitcast(self.ir, ir.IntType(self.writer.lanes)), INT64)

    def any(self) -> ir.Value:
        """Whether any lane is true, as a plain truth to branch on."""
        return self.writer.builder.icmp_unsigned("!=", self.bits(), INT64(0))


class Whole(_Value):
    """A 64-bit integer in each lane."""

    __slots__ = ()

    def _with(self, operation: str, other: Whole | int) -> Whole:
        other = self.writer.whole(other) if isinstance(other, int) else other
        return Whole(self.writer, getattr(self.writer.builder, operation)(self.ir, other.ir))

    def __add__(self, other: Whole | int) -> Whole:
        return self._with("add", other)

    def __sub__(self, other: Whole | int) -> Whole:
        return self._with("sub", other)

    def __and__(self, other: Whole | int) -> Whole:
        return self._with("and_", other)

    def __or__(self, other: Whole | int) -> Whole:
        return self._with("or_", other)

    def __xor__(self, other: Whole | int) -> Whole:
        return self._with("xor", other)

    def __lshift__(self, other: Whole | int) -> Whole:
        return self._with("shl", other)

    def __rshift__(self, other: Whole | int) -> Whole:
        return self._with("ashr", other)

    def equals(self, other: int) -> Truth:
        return Truth(self.writer, self.writer.builder.icmp_signed("==", self.ir, self.writer.whole(other).ir))

    def as_bits(self) -> Number:
        """The floating-point number with these bits."""
        return Number(self.writer, self.writer.builder.bitcast(self.ir, self.writer.type_of(DOUBLE)))


class Number(_Value):
    """A 64-bit floating-point number in each lane."""

    __slots__ = ()

    def lift(self, other: Number | float) -> Number:
        return other if isinstance(other, Number) else self.writer.number(float(other))

    def _with(self, operation: str, left: Number, right: Number) -> Number:
        self.writer.operations += 1
        return Number(self.writer, getattr(self.writer.builder, operation)(left.ir, right.ir))

    def __add__(self, other: Number | float) -> Number:
        return self._with("fadd", self, self.lift(other))

    def __radd__(self, other: float) -> Number:
        return self._with("fadd", self.lift(other), self)

    def __sub__(self, other: Number | float) -> Number:
        return self._with("fsub", self, self.lift(other))

    def __rsub__(self, other: float) -> Number:
        return self._with("fsub", self.lift(other), self)

    def __mul__(self, other: Number | float) -> Number:
        return self._with("fmul", self, self.lift(other))

    def __rmul__(self, other: float) -> Number:
        return self._with("fmul", self.lift(other), self)

    def __truediv__(self, other: Number | float) -> Number:
        return self._with("fdiv", self, self.lift(other))

    def __rtruediv__(self, other: float) -> Number:
        return self._with("fdiv", self.lift(other), self)

    def __neg__(self) -> Number:
        return Number(self.writer, self.writer.builder.fneg(self.ir))

    def __abs__(self) -> Number:
        return self.writer.intrinsic("fabs", self)

    def _compare(self, sign: str, other: Number | float) -> Truth:
        return Truth(self.writer, self.writer.builder.fcmp_ordered(sign, self.ir, self.lift(other).ir))

    def __lt__(self, other: Number | float) -> Truth:
        return self._compare("<", other)

    def __le__(self, other: Number | float) -> Truth:
        return self._compare("<=", other)

    def __gt__(self, other: Number | float) -> Truth:
        return self._compare(">", other)

    def __ge__(self, other: Number | float) -> Truth:
        return self._compare(">=", other)

    def equals(self, other: Number | float) -> Truth:
        return self._compare("==", other)

    def bits(self) -> Whole:
        return Whole(self.writer, self.writer.builder.bitcast(self.ir, self.writer.type_of(INT64)))


def fma(a: Number, b: Number | float, c: Number | float) -> Number:
    """a b + c, rounded once."""
    a.writer.operations += 2
    return a.writer.intrinsic("fma", a, a.lift(b), a.lift(c))


def select(condition: Truth, yes: Number | float, no: Number | float) -> Number:
    writer = condition.writer
    yes, no = (v if isinstance(v, Number) else writer.number(float(v)) for v in (yes, no))
    return Number(writer, writer.builder.select(condition.ir, yes.ir, no.ir))


def minimum(a: Number, b: Number | float) -> Number:
    """`b` where it is less, else `a`: a NaN in `a` stays, as in Python's min."""
    b = a.lift(b)
    return select(b < a, b, a)


def maximum(a: Number, b: Number | float) -> Number:
    """`b` where it is greater, else `a`: a NaN in `a` stays, as in Python's max."""
    b = a.lift(b)
    return select(b > a, b, a)


def floor(x: Number) -> Number:
    return x.writer.intrinsic("floor", x)


def sqrt(x: Number) -> Number:
    """Square root, rounded once by the processor."""
    x.writer.operations += 1
    return x.writer.intrinsic("sqrt", x)


def bits_of(value: float) -> int:
    """The bits of a float as a signed integer."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])
