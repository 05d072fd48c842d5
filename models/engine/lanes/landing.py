"""End steps where a kink changes sides, as far as it matters.

A step is taken on the sides of its beginning (`switches`). If one has changed at its end, the derivative on the new
side, less the one that was used, times the time spent beyond the change bounds what that cost; where it is more than
a small part of the tolerance the step is taken again, to just beyond the change. A change there and back within one
step shows as a parabola that turns on the other side; such a step is taken again up to there.
"""

from __future__ import annotations

from dataclasses import dataclass

from .control import TINY, root_mean_square, scales
from .equations import Equations
from .step import Observed, Step, Taken
from .switches import Sides
from .values import Number, Truth, fma, maximum, minimum, select, sqrt

MATTERS = 0.05  # part of the tolerance that the time on the wrong side of a kink may cost
AIM = 0.25  # of that, when a step is taken again; the cost of a change of slope falls with the square of the time
SECANTS = 8.0  # trials in a row after which a step is halved instead


@dataclass(frozen=True)
class Landing:
    """What the kinks say of an accepted step: whether it is taken again with `wanted`, and whether it ends on other
    sides than it began, so that the next one begins afresh; `kept` are rows that change with the state."""

    again: Truth
    crossed: Truth
    wanted: Number
    kept: dict[str, list[Number]]


def land(step: Step, equations: Equations, taken: Taken, accepted: Truth, wanted: Number) -> Landing:
    """Judge an accepted step."""
    block, h = step.block, step.h
    sides, at_end = Sides.of(equations.program.kinks, block), taken.at_end()
    part = _first_change(sides, at_end, step.writer.number(2.0))
    crossing = accepted & (part < 1.5)
    part = minimum(maximum(part, 0.0), 1.0)
    beyond = (1.0 - part) * h

    def cost() -> Number:
        right = equations.observe_as_is(step.t + h, taken.y).dy
        scale = scales([maximum(abs(a), abs(b)) for a, b in zip(taken.y, step.y, strict=True)], step.rtol, step.atol)
        return beyond * root_mean_square([(a - b) / s for a, b, s in zip(right, at_end.dy, scale, strict=True)])

    spent = step.writer.where_any(crossing, cost, step.writer.number(0.0))
    trials = block.get("landings")
    turn = _first_turn(sides, taken.within(), at_end)
    peeks = accepted & ~crossing & ~(trials > 0.0) & (turn < 1.0)
    again = (crossing & ~(spent <= MATTERS) & (h > TINY * abs(step.t))) | peeks
    shorter = part * h + beyond * minimum(sqrt(AIM * MATTERS / maximum(spent, MATTERS)), 0.5)
    shorter = select(trials < SECANTS, shorter, 0.5 * h)
    going = select(accepted & ~again & (trials > 0.0), maximum(wanted, block.get("resume")), wanted)
    block.put(select(again & ~(trials > 0.0), h, block.get("resume")), "resume")
    block.put(select(again, trials + 1.0, select(accepted, 0.0, trials)), "landings")
    return Landing(
        again=again,
        crossed=crossing & ~again,
        wanted=select(again, select(peeks, turn * h, shorter), going),
        kept={"switch": at_end.differences, "argument": at_end.arguments},
    )


def _first_change(sides: Sides, at_end: Observed, part: Number) -> Number:
    """Part of the step at which the first kink changes sides, the given one where none does before it."""
    for old, new in zip(sides.switch, at_end.differences, strict=True):
        turned = ((old < 0.0) & (new >= 0.0)) | ((old >= 0.0) & (new < 0.0))
        part = _earlier(part, turned, old / (old - new))
    for whole, before, new in zip(sides.whole, sides.argument, at_end.arguments, strict=True):
        part = _earlier(part, new >= whole + 1.0, (whole + 1.0 - before) / (new - before))
        part = _earlier(part, new < whole, (whole - before) / (new - before))
    return part


def _first_turn(sides: Sides, within: tuple[float, Observed], at_end: Observed) -> Number:
    """Part of the step at which the parabola of a difference, through its values at the beginning, inside and at the
    end, turns on the other side of the kink; 2 where none does."""
    c, first = within[0], at_end.dy[0].writer.number(2.0)
    for old, inner, new in zip(sides.switch, within[1].differences, at_end.differences, strict=True):
        bend = ((inner - old) * (1.0 / c) - (new - old)) * (1.0 / (c - 1.0))
        slope = (new - old) - bend
        x = -0.5 * slope / select(bend.equals(0.0), 1.0, bend)
        top = fma(0.5 * slope, x, old)
        turned = ((old < 0.0) & (new < 0.0) & (top >= 0.0)) | ((old >= 0.0) & (new >= 0.0) & (top < 0.0))
        first = _earlier(first, turned & (x > 0.0) & (x < 1.0), x)
    return first


def _earlier(part: Number, turned: Truth, at: Number) -> Number:
    return select(turned & (at < part), at, part)
