"""End steps where a kink changes sides, as far as it matters.

A step is taken on the sides of its beginning (`switches`). If one has changed at its end, the derivative on the new
side, less the one that was used, times the time spent beyond the change bounds what that cost; where it is more than
a small part of the tolerance the step is taken again, to just beyond the change. A change there and back within one
step shows as a parabola that turns on the other side; such a step is taken again up to there.
"""

from __future__ import annotations

from dataclasses import dataclass

from .control import TINY, root_mean_square, rough_reciprocal, scales
from .equations import Equations
from .step import Observed, Step, Taken
from .switches import Sides
from .values import Number, Truth, Writer, floor, fma, maximum, minimum, select, sqrt

MATTERS = 0.05  # part of the tolerance that the time on the wrong side of a kink may cost
AIM = 0.25  # of that, when a step is taken again; the cost of a change of slope falls with the square of the time
SECANTS = 8.0  # trials in a row after which a step is halved instead


@dataclass(frozen=True)
class Landing:
    """What the kinks say of an accepted step: whether it is taken again with `wanted`; `kept` are rows that change with
    the state, with the sides at the end of the step from which the next one begins."""

    again: Truth
    wanted: Number
    kept: dict[str, list[Number]]


def land(step: Step, equations: Equations, taken: Taken, accepted: Truth, wanted: Number, first_stage: str) -> Landing:
    """Judge an accepted step; `first_stage` is the row in which the method keeps its derivative for the next."""
    block, h, writer = step.block, step.h, step.writer
    sides, at_end = Sides.of(equations.program.kinks, block), taken.at_end()
    none = writer.number(2.0)
    crossing = accepted & _any(writer, _changed(sides, at_end))
    arcs = _arcs(sides, taken.within(), at_end)
    part = writer.where_any(crossing, lambda: _first_change(sides, arcs, at_end, none), none)
    part = minimum(maximum(part, 0.0), 1.0)
    beyond = (1.0 - part) * h

    def right_side() -> list[Number]:
        right = equations.observe_as_is(step.t + h, taken.y)
        scale = scales([maximum(abs(a), abs(b)) for a, b in zip(taken.y, step.y, strict=True)], step.rtol, step.atol)
        wrong = [(a - b) * rough_reciprocal(s) for a, b, s in zip(right.dy, at_end.dy, scale, strict=True)]
        return [beyond * root_mean_square(wrong), *right.dy, *right.differences, *right.arguments]

    used = [writer.number(0.0), *at_end.dy, *at_end.differences, *at_end.arguments]
    spent, *found = writer.all_where_any(crossing, right_side, used)
    states, pairs = len(at_end.dy), len(at_end.dy) + len(at_end.differences)
    arguments = found[pairs:]
    kept = {"switch": found[states:pairs], "argument": arguments}
    kept["floor"] = [select(crossing, floor(x), whole) for x, whole in zip(arguments, sides.whole, strict=True)]
    if first_stage:
        kept[first_stage] = found[:states]
    trials = block.get("landings")
    peeks = accepted & ~crossing & ~(trials > 0.0) & _any(writer, [arc.beyond for arc in arcs])
    turn = writer.where_any(peeks, lambda: _first_turn(arcs, none), none)
    again = (crossing & ~(spent <= MATTERS) & (h > TINY * abs(step.t))) | peeks
    shorter = part * h + beyond * minimum(sqrt(AIM * MATTERS / maximum(spent, MATTERS)), 0.5)
    shorter = select(trials < SECANTS, shorter, 0.5 * h)
    going = select(accepted & ~again & (trials > 0.0), maximum(wanted, block.get("resume")), wanted)
    block.put(select(again & ~(trials > 0.0), h, block.get("resume")), "resume")
    block.put(select(again, trials + 1.0, select(accepted, 0.0, trials)), "landings")
    return Landing(
        again=again,
        wanted=select(again, select(peeks, turn * h, shorter), going),
        kept=kept,
    )


def _any(writer: Writer, truths: list[Truth]) -> Truth:
    found = writer.truth(False)
    for truth in truths:
        found = found | truth
    return found


def _changed(sides: Sides, at_end: Observed) -> list[Truth]:
    """Of each kink, whether its side at the end of the step is another than at its beginning."""
    differences = zip(sides.switch, at_end.differences, strict=True)
    floors = zip(sides.whole, at_end.arguments, strict=True)
    return [
        *(((old < 0.0) & (new >= 0.0)) | ((old >= 0.0) & (new < 0.0)) for old, new in differences),
        *((new >= whole + 1.0) | (new < whole) for whole, new in floors),
    ]


def _first_change(sides: Sides, arcs: list[Arc], at_end: Observed, part: Number) -> Number:
    """Part of the step at which the first kink changes sides, the given one where none does before it."""
    changed = iter(_changed(sides, at_end))
    for old, arc in zip(sides.switch, arcs, strict=True):
        part = _earlier(part, next(changed), arc.root(old))
    for whole, before, new in zip(sides.whole, sides.argument, at_end.arguments, strict=True):
        border = select(new < whole, whole, whole + 1.0)
        part = _earlier(part, next(changed), (border - before) / (new - before))
    return part


@dataclass(frozen=True)
class Arc:
    """The parabola of a difference through its values at the beginning of a step, inside and at the end: its slope and
    bend at the beginning, and whether it turns on the other side of the kink, where neither end is."""

    slope: Number
    bend: Number
    beyond: Truth

    def root(self, start: Number) -> Number:
        """Part of the step at which the parabola, which is `start` at its beginning, changes sign."""
        steep = sqrt(maximum(fma(self.slope, self.slope, start * self.bend * -4.0), 0.0))
        return start * -2.0 / (self.slope + select(start < 0.0, steep, -steep))


def _arcs(sides: Sides, within: tuple[float, Observed], at_end: Observed) -> list[Arc]:
    c, found = within[0], []
    for old, inner, new in zip(sides.switch, within[1].differences, at_end.differences, strict=True):
        rise = new - old
        bend = ((inner - old) * (1.0 / c) - rise) * (1.0 / (c - 1.0))
        slope = rise - bend
        away = old * bend
        square = slope * slope
        turns = (away > 0.0) & (old * slope < 0.0) & (square < 4.0 * (bend * bend))
        found.append(Arc(slope, bend, turns & (square >= 4.0 * away) & (old * new > 0.0)))
    return found


def _first_turn(arcs: list[Arc], part: Number) -> Number:
    """Part of the step at which the first of the arcs that go beyond a kink turns."""
    for arc in arcs:
        part = _earlier(part, arc.beyond, -0.5 * arc.slope / arc.bend)
    return part


def _earlier(part: Number, turned: Truth, at: Number) -> Number:
    return select(turned & (at < part), at, part)
