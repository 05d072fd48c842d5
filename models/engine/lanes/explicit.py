"""One step of an explicit Runge-Kutta method whose first stage is the last one of the step before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .control import Order, root_mean_square, scales
from .elementary import polynomial
from .step import Observed, Step, Taken
from .tableau import Tableau
from .values import Number, fma, maximum, select, sqrt

SUSPECT = 0.35  # |h lambda| over that at the edge of stability above which the inside of a step is looked at
SLOPE_TO_STATE = 0.15  # at the edge a slope that is wrong by 6 means a state that is wrong by about 1


def combined(weights: Sequence[float | Number], stages: Sequence[list[Number]], i: int) -> Number:
    """Weighted sum over the stages of state i, without those of weight 0."""
    terms = [(w, k[i]) for w, k in zip(weights, stages, strict=False) if not (isinstance(w, float) and w == 0.0)]
    weight, first = terms[0]
    total = first * weight
    for weight, stage in terms[1:]:
        total = fma(stage, weight, total)
    return total


@dataclass(frozen=True)
class Explicit:
    """The method of a tableau; one that `watches` says how near the edge of its stability it is."""

    tableau: Tableau
    watches: bool = False

    @property
    def name(self) -> str:
        return self.tableau.name

    @property
    def order(self) -> Order:
        return self.tableau.order

    @property
    def first_stage(self) -> str:
        return "k"

    def further_rows(self, states: int) -> tuple[tuple[str, int], ...]:
        return ((self.first_stage, states),)

    def take(self, step: Step) -> Taken:
        h, y, tableau = step.h, step.y, self.tableau
        every = range(len(y))
        stages = [step.block.states(self.first_stage)]
        z = before = y
        rough = min(range(1, len(tableau.c) - 1), key=lambda s: abs(tableau.c[s] - 0.4))
        observed: dict[int, Observed] = {}
        for s, (c, a) in enumerate(zip(tableau.c[1:], tableau.a[1:], strict=True), start=1):
            before, z = z, [fma(h, combined(a, stages, i), y[i]) for i in every]
            if s in (rough, len(tableau.c) - 1):
                observed[s] = step.observe(fma(h, c, step.t), z)
                stages.append(observed[s].dy)
            else:
                stages.append(step.rhs(fma(h, c, step.t), z))
        scale = scales([maximum(abs(z[i]), abs(y[i])) for i in every], step.rtol, step.atol)
        inverse = [1.0 / s for s in scale]
        error = root_mean_square([combined(tableau.error, stages, i) * inverse[i] for i in every])
        if tableau.second:
            other = root_mean_square([combined(tableau.second, stages, i) * inverse[i] for i in every])
            error = _of_two(other, error)

        last = len(tableau.c) - 1
        stretch = None
        if self.watches or tableau.extra_c:
            stretch = self._stretch(h, stages[last - 1 : last + 1], [before, z], inverse)
        if tableau.extra_c and stretch is not None:
            # At the edge of stability the end of a long step may be right and its inside, which samples read, not.
            read = (step.block.get("sample") < step.t + h) & (stretch > SUSPECT)
            error = step.writer.where_any(read, lambda: maximum(error, self._lacking(step, stages, inverse)), error)

        def prepare() -> None:
            stages.extend(self._extra(step, stages))

        def inside(theta: Number) -> list[Number]:
            weights = [theta * polynomial(theta, row) if any(row) else 0.0 for row in tableau.dense]
            return [fma(h, combined(weights, stages, i), y[i]) for i in every]

        at_end = observed[last]
        within = (tableau.c[rough], observed[rough])
        kept = {self.first_stage: at_end.dy}
        return Taken(z, h * error, prepare, inside, lambda: within, lambda: at_end, kept, stretch)

    def _extra(self, step: Step, stages: list[list[Number]]) -> list[list[Number]]:
        """The stages that only samples need."""
        more = list(stages)
        for c, a in zip(self.tableau.extra_c, self.tableau.extra_a, strict=True):
            inner = [fma(step.h, combined(a, more, i), value) for i, value in enumerate(step.y)]
            more.append(step.rhs(fma(step.h, c, step.t), inner))
        return more[len(stages) :]

    def _lacking(self, step: Step, stages: list[list[Number]], weights: list[Number]) -> Number:
        """Error of the samples over the tolerance and the step, from what their slope lacks in the middle of it."""
        more = [*stages, *self._extra(step, stages)]
        values = [sum(d * 0.5 ** (k + 1) for k, d in enumerate(row)) for row in self.tableau.dense]
        slopes = [sum((k + 1) * d * 0.5**k for k, d in enumerate(row)) for row in self.tableau.dense]
        middle = [fma(step.h, combined(values, more, i), value) for i, value in enumerate(step.y)]
        dy = step.rhs(fma(step.h, 0.5, step.t), middle)
        lacking = [(dy[i] - combined(slopes, more, i)) * weights[i] for i in range(len(dy))]
        return root_mean_square(lacking) * SLOPE_TO_STATE

    def _stretch(
        self, h: Number, slopes: list[list[Number]], states: list[list[Number]], weights: list[Number]
    ) -> Number:
        """|h lambda| from the two last stages, both at the end of the step, over that at the edge of stability.

        Differences are weighed by the tolerance, or what has long decayed, and is stiff, would not be seen beside the
        rest. Source: Hairer & Wanner, Solving Ordinary Differential Equations II, IV.2 (stiffness detection).
        """
        top = root_mean_square([(b - a) * w for a, b, w in zip(*slopes, weights, strict=True)])
        bottom = root_mean_square([(b - a) * w for a, b, w in zip(*states, weights, strict=True)])
        # Differences far below the tolerance are rounding, and say nothing.
        some = (h * top > 0.01) & (bottom > 0.0)
        return select(some, h * top / select(some, self.tableau.edge * bottom, 1.0), 0.0)


def _of_two(third: Number, fifth: Number) -> Number:
    """Hairer's estimate of DOP853 from its errors of order 3 and 5."""
    square = fifth * fifth
    size = fma(third * third, 0.01, square)
    none = size.equals(0.0)
    return select(none, 0.0, square / sqrt(select(none, 1.0, size)))
