"""Events: find them inside a step, end a step just past the first one, and carry out what it does.

A step at whose end an event's value is positive is taken again, shorter, until the event lies within a small part of
the tolerance before its end: each trial is a step of the method itself, so an event is located as accurately as the
states are computed. Trials follow the secant through the last points on both sides (Illinois rule, which halves the
weight of a side that stays: Dowell & Jarratt 1971, BIT 11:168). A rise and fall within one step shows as a maximum
above zero of the cubic through the values and rates at its ends; such a step is taken again up to that maximum (and
likewise up to a minimum beyond the hysteresis, from which an event waits again).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..trace import Effect, TracedEvent
from .block import Block
from .equations import Equations
from .values import Number, Truth, fma, maximum, minimum, select, sqrt

CLOSE = 1e-3  # part of the relative tolerance of the step to which an event is located
ROUNDING = 4 * 2.0**-52  # part of the time below which there is nothing to locate
TRIALS = 100.0  # after which an event is given up (models.model.Status.ROOT_NOT_FOUND)
HUGE = 1e300
# In the row `armed` at the start of a twin: an event waits if its value is still negative and is let be if it is not;
# or it happens at once if it is not.
FIRST_LOOK, FROM_THE_START = -1.0, -2.0

# `ahead`: how far the nearest point lies where an event is known to have happened, 0: none; `behind`: the farthest
# before it where none has; `close`: how near they must come; `trials` on the way; `onward`: the step to try
# afterwards; `side` that moved last, 1: ahead, -1: behind.
ROWS = tuple((name, 1) for name in ("ahead", "behind", "close", "trials", "onward", "side", "peeked"))


def rows(events: int) -> tuple[tuple[str, int], ...]:
    """Rows of the block: values and rates at the beginning of the step, values here and ahead as the secant sees them,
    which events may happen, and which have happened since the driver looked."""
    own = tuple((name, events) for name in ("armed", "fired", "value", "rate", "here", "there"))
    return (*own, *ROWS) if events else ()


def happen(block: Block, fresh: Truth, equations: Equations) -> Truth:
    """Perform the actions and events that are due; the lanes that the driver must see before anything else."""
    seen = _perform_actions(block, fresh, equations)
    events = equations.program.events
    if not events:
        return seen
    still = fresh & ~seen
    values, rates = equations.events(block.get("time"), block.states())
    fired = []
    for i, event in enumerate(events):
        armed = block.get("armed", i)
        first = still & (armed < 0.0)
        seen = seen | first
        fires = still & ((armed > 0.0) | armed.equals(FROM_THE_START)) & (values[i] >= 0.0)
        waits = still & (values[i] < select(first, 0.0, -event.hysteresis))
        armed = select(waits, 1.0, select(first | fires, 0.0, armed))
        block.put(armed, "armed", i)
        block.put(select(fires, 1.0, block.get("fired", i)), "fired", i)
        for row, value in (("value", values[i]), ("rate", rates[i]), ("here", values[i])):
            block.put(select(still, value, block.get(row, i)), row, i)
        fired.append(fires)
        seen = seen | fires
    for row in ("ahead", "peeked"):
        block.put(select(still, 0.0, block.get(row)), row)
    for event, fires in zip(events, fired, strict=True):
        _apply(block, equations, event.effect, fires)
    return seen


def _perform_actions(block: Block, fresh: Truth, equations: Equations) -> Truth:
    number = block.get("action")
    due = fresh & (number > 0.0)
    for i, effect in enumerate(equations.program.actions, start=1):
        _apply(block, equations, effect, due & number.equals(float(i)))
    if equations.program.actions:
        block.put(select(due, 0.0, number), "action")
    return due


def _apply(block: Block, equations: Equations, effect: Effect, where: Truth) -> None:
    """Set what an effect changes in some lanes; their next step is chosen anew."""
    if not effect.nodes:
        return
    with block.writer.builder.if_then(where.any(), likely=False):
        new = equations.after(effect, block.get("time"), block.states())
        places = [*(("y", i) for i, _ in effect.states), *(("u", i) for i, _ in effect.inputs)]
        for (row, i), value in zip(places, new, strict=True):
            block.put(select(where, value, block.get(row, i)), row, i)
        block.put(select(where, 0.0, block.get("wanted")), "wanted")


@dataclass(frozen=True)
class Located:
    """What the events say of an accepted step.

    `again`: it is taken again with `wanted`; `landed`: its end lies just past an event; `lost`: one cannot be located;
    `kept` are rows that change with the state.
    """

    again: Truth
    landed: Truth
    lost: Truth
    wanted: Number
    kept: dict[str, list[Number]]


def searching(block: Block) -> Truth:
    """Lanes whose step is a trial on the way to an event."""
    return block.get("ahead") > 0.0


def locate(
    block: Block, equations: Equations, y: list[Number], t: Number, h: Number, accepted: Truth, wanted: Number,
    rtol: Number,
) -> Located:  # fmt: skip
    """Judge a step to t + h and y that the method accepts."""
    program = equations.program
    events = range(len(program.events))
    values, rates = equations.events(t + h, y)
    armed = [block.get("armed", i) > 0.0 for i in events]
    past = [armed[i] & (values[i] >= 0.0) for i in events]
    hit, sound = past[0], abs(values[0]) < HUGE
    for i in events[1:]:
        hit, sound = hit | past[i], sound & (abs(values[i]) < HUGE)
    hit = hit & accepted

    ahead, side = block.get("ahead"), block.get("side")
    search = ahead > 0.0
    close = select(search, block.get("close"), maximum(CLOSE * (rtol * h), abs(t) * ROUNDING))
    trials = select(search, block.get("trials") + 1.0, 0.0)
    onward = select(search, block.get("onward"), wanted)
    short = accepted & search & ~hit
    behind = select(short, h, select(search, block.get("behind"), 0.0))
    ahead = select(hit, h, ahead)
    width = ahead - behind
    landed = hit & (width <= close)
    going = (hit & ~landed) | short

    part = block.writer.number(2.0)
    waiting: list[Number] = []
    for i, event in enumerate(program.events):
        here = select(search, block.get("here", i), block.get("value", i))
        there = block.get("there", i)
        here = select(short, values[i], select(search & hit & (side > 0.0), 0.5 * here, here))
        there = select(hit, values[i], select(short & (side < 0.0), 0.5 * there, there))
        crosses = armed[i] & (here < 0.0) & (there >= 0.0)
        part = minimum(part, select(crosses, here / (here - there), 2.0))
        block.put(here, "here", i)
        block.put(there, "there", i)
        waiting.append(select(values[i] < -event.hysteresis, 1.0, block.get("armed", i)))
    guess = fma(select(part < 1.5, part, 0.5), width, behind)
    guess = minimum(maximum(guess, behind + 0.5 * close), ahead - 0.5 * close)
    guess = select(width <= close, ahead, guess)  # the same step as before, to the point where it has happened

    turn, top = _turn_inside(block, program.events, values, rates, armed, h)
    peeks = accepted & ~hit & ~search & ~(block.get("peeked") > 0.0) & turn
    for row, value in (
        ("ahead", select(going, ahead, 0.0)), ("behind", behind), ("close", close), ("trials", trials),
        ("onward", onward), ("side", select(hit, 1.0, -1.0)),
        ("peeked", select(peeks, 1.0, select(accepted & ~going, 0.0, block.get("peeked")))),
    ):  # fmt: skip
        block.put(value, row)
    resumed = select(landed & search, maximum(wanted, onward), wanted)
    return Located(
        again=going | peeks,
        landed=landed,
        lost=accepted & (~sound | (trials > TRIALS)),
        wanted=select(going, guess, select(peeks, top * h, resumed)),
        kept={"value": values, "rate": rates, "armed": waiting},
    )


def _turn_inside(block: Block, events: Sequence[TracedEvent], values: list[Number], rates: list[Number],
    armed: list[Truth], h: Number,
) -> tuple[Truth, Number]:  # fmt: skip
    """Whether the cubic of any event goes inside the step where neither end is, and the first part at which it turns:
    above zero where the event waits, so far back that it waits again where it does not."""
    found, first = block.writer.truth(False), block.writer.number(1.0)
    for i, event in enumerate(events):
        sign = select(armed[i], 1.0, -1.0)
        start, end = sign * block.get("value", i), sign * values[i]
        rise, fall = sign * (h * block.get("rate", i)), sign * (h * rates[i])
        change = end - start
        # Slope of the cubic at the part x: rise + b x + a x^2.
        a = 3.0 * (rise + fall - 2.0 * change)
        b = 2.0 * (3.0 * change - 2.0 * rise - fall)
        turns = (rise > 0.0) & (fall < 0.0)
        x = 2.0 * rise / (sqrt(select(turns, fma(b, b, -4.0 * (a * rise)), 1.0)) - b)
        top = fma(x, fma(x, fma(x, a * (1.0 / 3.0), 0.5 * b), rise), start)
        line = select(armed[i], 0.0, event.hysteresis)
        beyond = turns & (top > line) & (end <= line)
        found = found | beyond
        first = select(beyond, minimum(first, x), first)
    return found, first
