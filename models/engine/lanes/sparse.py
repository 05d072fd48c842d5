"""Elimination of a sparse matrix whose pattern is known: the operations on what is not zero, one after the other.

Rows are eliminated without exchange, in an order that keeps the fill small (Markowitz 1957, doi 10.1287/mnsc.3.3.255);
the pivots are checked where they are computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .values import Number, fma, maximum

Entry = tuple[int, int]


@dataclass(frozen=True)
class Pattern:
    """Order of elimination, and the entries that are not zero after the fill."""

    order: tuple[int, ...]
    entries: tuple[Entry, ...]

    def below(self, k: int) -> list[int]:
        """Rows eliminated after k that hold column k."""
        known = set(self.entries)
        return [i for i in self.order[self.order.index(k) + 1 :] if (i, k) in known]

    def right_of(self, k: int) -> list[int]:
        """Columns eliminated after k that row k holds."""
        known = set(self.entries)
        return [j for j in self.order[self.order.index(k) + 1 :] if (k, j) in known]


def eliminate(entries: Iterable[Entry], size: int) -> Pattern:
    """Order and fill of a matrix with these entries and a full diagonal."""
    filled = set(entries) | {(i, i) for i in range(size)}
    left = set(range(size))
    order: list[int] = []
    while left:
        rows = {k: sum((i, k) in filled for i in left) - 1 for k in left}
        columns = {k: sum((k, j) in filled for j in left) - 1 for k in left}
        _, k = min((rows[k] * columns[k], k) for k in left)
        left.remove(k)
        order.append(k)
        filled |= {(i, j) for i in left if (i, k) in filled for j in left if (k, j) in filled}
    return Pattern(tuple(order), tuple(sorted(filled)))


@dataclass(frozen=True)
class Factors:
    """L and U in the places of the matrix, the pivots inverted; `multiplier` is the largest factor of a row."""

    pattern: Pattern
    values: dict[Entry, Number]
    multiplier: Number

    def solve(self, b: list[Number]) -> list[Number]:
        """x of A x = b."""
        x = list(b)
        for k in self.pattern.order:
            for i in self.pattern.below(k):
                x[i] = fma(-self.values[i, k], x[k], x[i])
        for k in reversed(self.pattern.order):
            for j in self.pattern.right_of(k):
                x[k] = fma(-self.values[k, j], x[j], x[k])
            x[k] = x[k] * self.values[k, k]
        return x


def factorise(pattern: Pattern, matrix: dict[Entry, Number]) -> Factors:
    """L U of a matrix given by its entries; entries of the fill are left out by the caller."""
    values = dict(matrix)
    largest = matrix[0, 0].writer.number(0.0)
    for k in pattern.order:
        values[k, k] = 1.0 / values[k, k]
        for i in pattern.below(k):
            factor = values[i, k] * values[k, k]
            values[i, k] = factor
            largest = maximum(abs(factor), largest)  # NaN stays
            for j in pattern.right_of(k):
                held = values.get((i, j))
                product = values[k, j]
                values[i, j] = -(factor * product) if held is None else fma(-factor, product, held)
    return Factors(pattern, values, largest)
