"""Each lane's own choice of its next step.

Source: proportional-integral control after Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, II.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from .elementary import ROUND, polynomial
from .values import Number, Truth, Whole, bits_of, fma, maximum, minimum, select, sqrt

SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0
SMALLEST_ERROR = 1e-10
MEMORY = -13.287712379549449  # log2 of 1e-4, the least error that is remembered
EVEN = 1.6  # two even steps where the stop is nearer than this many: rather than a long one and a crumb
TINY = 1e-14  # a step below this part of the time it starts from cannot be taken
HUGE = 1e300

# Rough logarithm and power (1e-4): steps need no more, and a step is the same bits in every lane all the same.
LOG2 = (-2.787926207304, 5.047855413441, -3.489878550685, 1.589474294976, -0.402513393549, 0.043004957792)
REVERSED = 0x7FDE623822FC16E6  # the bits of x from these are about those of 1 / x, to 12 %
EXP2 = (1.0, 0.693121045203, 0.24022349038, 0.055921975842, 0.009666368515)


@dataclass(frozen=True)
class Order:
    """Exponents of a method's step control: of the error, of the one before, and of a refused one."""

    proportional: float
    integral: float
    refused: float


def rough_log2(x: Number) -> Number:
    """log2 of positive normal numbers."""
    i = x.bits()
    exponent = ((i >> 52) + bits_of(ROUND)).as_bits() - (ROUND + 1023.0)
    mantissa = ((i & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000).as_bits()
    return exponent + polynomial(mantissa, LOG2)


def rough_exp2(x: Number) -> Number:
    """2**x for |x| < 1000."""
    shifted = x + ROUND
    k: Whole = shifted.bits() - bits_of(ROUND)
    part = x - (shifted - ROUND)
    return (polynomial(part, EXP2).bits() + (k << 52)).as_bits()


def rough_reciprocal(x: Number) -> Number:
    """1 / x of positive normal x, to 2e-4: from the exponent turned round, twice improved (Newton).

    A division takes a processor as long as ten of the other operations, and a step's error has one for each state.
    """
    guess = (x.writer.whole(REVERSED) - x.bits()).as_bits()
    for _ in range(2):
        guess = guess * fma(-x, guess, 2.0)
    return guess


def root_mean_square(terms: list[Number]) -> Number:
    total = terms[0] * terms[0]
    for term in terms[1:]:
        total = fma(term, term, total)
    return sqrt(total * (1.0 / len(terms)))


def scales(y: list[Number], rtol: Number, atol: Number) -> list[Number]:
    """Tolerated error of each state."""
    return [fma(rtol, abs(value), atol) for value in y]


def first_step(y: list[Number], dy: list[Number], left: Number, tolerance: tuple[Number, Number]) -> Number:
    """A cautious first step from the sizes of the state and of its derivative."""
    weights = [rough_reciprocal(scale) for scale in scales(y, *tolerance)]
    size = root_mean_square([v * w for v, w in zip(y, weights, strict=True)])
    speed = root_mean_square([v * w for v, w in zip(dy, weights, strict=True)])
    known = (size > 1e-5) & (speed > 1e-5)
    return minimum(select(known, 0.01 * (size / select(known, speed, 1.0)), 1e-3), left)


def step_length(wanted: Number, left: Number) -> tuple[Number, Truth]:
    """The step to take, and whether it ends at the stop."""
    last = wanted >= left * (1.0 - 1e-12)
    return select(last, left, select(wanted * EVEN > left, 0.5 * left, wanted)), last


@dataclass(frozen=True)
class Verdict:
    """What a step's error means: whether it stands, the next step to try, and what is remembered of the error."""

    accepted: Truth
    wanted: Number
    error: Number
    broken: Truth  # the error is not a number, or beyond all bounds


def judge(error: Number, h: Number, wanted: Number, last: Truth, memory: Number, order: Order) -> Verdict:
    """Accept a step whose error is at most 1, and choose the next."""
    accepted = error <= 1.0
    broken = ~(error < HUGE)
    size = rough_log2(minimum(maximum(select(broken, HUGE, error), SMALLEST_ERROR), HUGE))
    kept = fma(memory, order.integral, size * -order.proportional)
    factor = SAFETY * rough_exp2(maximum(select(accepted, kept, size * -order.refused), -20.0))
    grown = h * minimum(maximum(factor, SHRINK), GROW)
    # A step cut short by the stop says nothing against the longer one that was wanted.
    after = select(last, maximum(grown, wanted), grown)
    shrunk = h * maximum(factor, 0.1)
    return Verdict(accepted, select(accepted, after, shrunk), maximum(size, MEMORY), broken)
