"""exp, log, tanh, sin, cos and pow without branches and without a library: the same bits in every lane, everywhere.

Largest error found, in units in the last place: exp, log 1; tanh, sin, cos 2 (also beside their zeros); pow 4. They
treat signed zeros, subnormal numbers, infinities and NaN as the C standard does, with one exception: `sin` and `cos` of
more than `PHASE_LIMIT` radians are NaN, so that a twin fails rather than goes on with a meaningless phase.

Source: argument reductions, and the polynomials of log, sin and cos, from fdlibm (Sun Microsystems 1993, freely
redistributable); the others are Chebyshev fits made for this module in 300-bit arithmetic. Error-free sums and
products: Dekker 1971 (doi 10.1007/BF01397083), Ogita, Rump & Oishi 2005 (doi 10.1137/030601818).
"""

from __future__ import annotations

from .values import Number, Truth, Whole, bits_of, floor, fma, maximum, minimum, select

# Adding and taking away 1.5 * 2**52 rounds to a whole number, which then stands in the last bits of the sum.
ROUND = 6755399441055744.0
LOG2_E = 1.4426950408889634
LN2, LN2_REST = 0.6931471805599453, 2.3190468138462996e-17
# ln 2 to 40 bits, so that its product with an exponent is exact, and the rest.
LN2_SHORT, LN2_SHORT_REST = 0.6931471805592082, 7.371002565167799e-13
SQRT_HALF_BITS = bits_of(0.7071067811865476)
TINY = 2.2250738585072014e-308  # smallest normal number
TWO_54 = 18014398509481984.0
INF, NAN = float("inf"), float("nan")
PHASE_LIMIT = 2.0**24  # rad
TWO_OVER_PI = 0.6366197723675814
# pi / 2 in three parts; the first has 29 bits, so that its product with the quadrant is exact.
HALF_PI = (
    float.fromhex("0x1.921fb54p+0"),
    float.fromhex("0x1.10b4611a62633p-30"),
    float.fromhex("0x1.45c06e0e68948p-86"),
)

# (exp(r) - 1 - r) / r**2 on [-ln 2 / 2, ln 2 / 2]; error 2e-19 of exp.
EXP = (
    0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333326129, 0.0013888888888883744, 0.00019841269874840768,
    2.4801587325562125e-05, 2.7557255374658744e-06, 2.755727362486648e-07, 2.510522763655176e-08,
    2.0914694560351592e-09,
)  # fmt: skip
# (tanh(h) - h) / h**3 by h**2 on [-ln 2 / 4, ln 2 / 4]; error 3e-19 of tanh, and 1 % of 1 - tanh up to h = 1.1.
TANH = (
    -0.3333333333333333, 0.13333333333332836, -0.053968253965607824, 0.021869488006807505, -0.008863185055901224,
    0.0035896530131154284, -0.0013953886910496797,
)  # fmt: skip
TANH_IS_ONE = 19.1  # from 19.07 on the nearest number to tanh is 1
LOG_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)
LOG_ODD = (6.666666666666735130e-01, 2.857142874366239149e-01, 1.818357216161805012e-01, 1.479819860511658591e-01)
# 2/5 + 2/7 z + 2/9 z**2 + ... on [0, 0.02945]; error 2e-18.
ATANH_TAIL = (
    0.4, 0.2857142857142937, 0.22222222221654733, 0.1818181833565416, 0.15384594934597917, 0.13334806212100603,
    0.11706195689881364, 0.11723603622905411,
)  # fmt: skip
TWO_THIRDS, TWO_THIRDS_REST = 0.6666666666666666, 3.700743415417188e-17
SIN = (
    -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
    -2.50507602534068634195e-08, 1.58969099521155010221e-10,
)  # fmt: skip
COS = (
    4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05, -2.75573143513906633035e-07,
    2.08757232129817482790e-09, -1.13596475577881948265e-11,
)  # fmt: skip


def polynomial(x: Number, coefficients: tuple[float, ...]) -> Number:
    """c0 + c1 x + c2 x**2 + ..., in pairs (Estrin), which waits less than term by term."""
    terms: list[Number | float] = list(coefficients)
    power = x
    while len(terms) > 1:
        pairs: list[Number | float] = [fma(power, b, a) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[2 * len(pairs) :]
        if len(terms) > 1:
            power = power * power
    return x.lift(terms[0])


def _two_sum(a: Number, b: Number) -> tuple[Number, Number]:
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _power_of_two(k: Whole) -> Number:
    """2**k for -1022 <= k <= 1023."""
    return ((k + 1023) << 52).as_bits()


def _as_number(k: Whole) -> Number:
    """A whole number below 2**51 as a floating-point number."""
    return (k + bits_of(ROUND)).as_bits() - ROUND


def _reduced(x: Number) -> tuple[Whole, Number]:
    """x = k ln 2 + r with |r| <= ln 2 / 2."""
    shifted = fma(x, LOG2_E, ROUND)
    n = shifted - ROUND
    return shifted.bits() - bits_of(ROUND), fma(n, -LN2_REST, fma(n, -LN2, x))


def _exp_of_sum(high: Number, low: Number | None) -> Number:
    """exp(high + low), |low| far below |high|."""
    held = minimum(maximum(high, -746.0), 710.0)
    k, r = _reduced(held)
    if low is not None:
        r = r + low
    value = 1.0 + fma(r * r, polynomial(r, EXP), r)
    # In two factors: the first is exact, the second rounds once, also where the result is subnormal or infinite.
    half = k >> 1
    return value * _power_of_two(half) * _power_of_two(k - half)


def exp(x: Number) -> Number:
    return _exp_of_sum(x, None)


def _split(x: Number) -> tuple[Number, Number]:
    """x = 2**e m with m in [sqrt(1/2), sqrt(2)), for positive finite x; (e, m)."""
    small = x < TINY
    i = select(small, x * TWO_54, x).bits()
    e = (i - SQRT_HALF_BITS) >> 52
    m = (i - (e << 52)).as_bits()
    return _as_number(e) - select(small, 54.0, 0.0), m


def _log_limits(x: Number, value: Number) -> Number:
    value = select(x < INF, value, x)  # infinity and NaN stay
    value = select(x > 0.0, value, select(x < 0.0, NAN, select(x.equals(0.0), -INF, x)))
    return value


def log(x: Number) -> Number:
    e, m = _split(x)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    w = z * z
    rest = fma(w, polynomial(w, LOG_EVEN), z * polynomial(w, LOG_ODD))
    half_square = 0.5 * f * f
    value = fma(e, LN2_SHORT, f - (half_square - fma(s, half_square + rest, e * LN2_SHORT_REST)))
    return _log_limits(x, value)


def _long_log(x: Number) -> tuple[Number, Number]:
    """log of positive finite x to about 65 bits, as an unevaluated sum.

    With s = f / (2 + f): log(1 + f) = 2 s + 2/3 s**3 + s**5 (2/5 + ...), the first two terms carried in two parts.
    """
    e, m = _split(x)
    f = m - 1.0
    d = m + 1.0
    d_rest = m - (d - 1.0)
    s = f / d
    s_rest = fma(-s, d_rest, fma(-s, d, f)) / d
    z = s * s
    z_rest = fma(s, s, -z) + 2.0 * s * s_rest
    cube = s * z
    cube_rest = fma(s, z, -cube) + fma(s, z_rest, s_rest * z)
    third = cube * TWO_THIRDS
    third_rest = fma(cube, TWO_THIRDS, -third) + fma(cube, TWO_THIRDS_REST, cube_rest * TWO_THIRDS)
    tail = cube * z * polynomial(z, ATANH_TAIL)
    high, rest = _two_sum(e * LN2_SHORT, s + s)
    high, more = _two_sum(high, third)
    low = (rest + more) + (fma(e, LN2_SHORT_REST, s_rest + s_rest) + (third_rest + tail))
    return high, low


def pow(x: Number, y: Number) -> Number:
    """x**y; a negative x needs a whole y, else the result is NaN."""
    size = abs(x)
    inside = (size > 0.0) & (size < INF)
    high, low = _long_log(select(inside, size, 1.0))
    product = y * high
    bounded = abs(product) < 800.0
    rest = select(bounded, fma(y, high, -product) + y * low, 0.0)
    value = _exp_of_sum(product, rest)
    up = y > 0.0
    value = select(size.equals(0.0), select(up, 0.0, INF), value)
    value = select(size.equals(INF), select(up, INF, 0.0), value)
    is_whole = floor(y).equals(y)
    half = 0.5 * y
    is_odd = is_whole & ~floor(half).equals(half)
    negative = ~((x.bits() & bits_of(-0.0)).equals(0))
    value = select(negative & is_odd, -value, value)
    value = select((x < 0.0) & ~is_whole & (size < INF), NAN, value)
    value = select(_is_nan(x), x, select(_is_nan(y), y, value))
    return select(x.equals(1.0) | y.equals(0.0) | (size.equals(1.0) & abs(y).equals(INF)), 1.0, value)


def _is_nan(x: Number) -> Truth:
    return ~x.equals(x)


def tanh(x: Number) -> Number:
    """With |x| = k ln 2 / 2 + h, s = 2**k and u = tanh(h): ((s - 1) + (s + 1) u) / ((s + 1) + (s - 1) u).

    What rounding left out of each of its parts is put right by the remainder of the division.
    """
    size = minimum(abs(x), TANH_IS_ONE)
    shifted = minimum(fma(size, 2.0 * LOG2_E, ROUND), ROUND + 52.0)  # s + 1 is exact up to there
    n = shifted - ROUND
    h = fma(n, -0.5 * LN2_REST, fma(n, -0.5 * LN2, size))
    s = ((shifted.bits() << 52) + (1023 << 52)).as_bits()
    z = h * h
    bend = h * z * polynomial(z, TANH)
    u = h + bend
    up, down = s + 1.0, s - 1.0
    top, bottom = fma(up, u, down), fma(down, u, up)
    ratio = top / bottom
    remainder = fma(-ratio, bottom, top) + fma(up, u, down - top)
    remainder = fma(fma(-ratio, down, up), (h - u) + bend, remainder)
    remainder = fma(-ratio, fma(down, u, up - bottom), remainder)
    half = fma(ratio, -0.5, 0.5)
    rough = fma(fma(u, u, u), half, half)  # (1 - ratio) / (2 (1 - u)), which is 1 / bottom
    sign = x.bits() & bits_of(-0.0)
    return (fma(remainder, rough, ratio).bits() | sign).as_bits()


def _quadrant(x: Number) -> tuple[Whole, Number, Number]:
    """x = k pi / 2 + (r + rest) with |r| <= pi / 4."""
    held = select(abs(x) <= PHASE_LIMIT, x, NAN)
    shifted = fma(held, TWO_OVER_PI, ROUND)
    n = shifted - ROUND
    first = fma(-n, HALF_PI[0], held)  # exact
    product = n * HALF_PI[1]
    r, rest = _two_sum(first, -product)
    rest = rest - fma(n, HALF_PI[1], -product)
    rest = fma(-n, HALF_PI[2], rest)
    total = r + rest
    return shifted.bits(), total, (r - total) + rest


def _sin_cos(r: Number, rest: Number) -> tuple[Number, Number]:
    """sin and cos of r + rest on [-pi / 4, pi / 4]."""
    z = r * r
    cube = z * r
    bend = polynomial(z, SIN[1:])
    sine = r - ((z * (0.5 * rest - cube * bend) - rest) - cube * SIN[0])
    half = 0.5 * z
    whole = 1.0 - half
    cosine = whole + (((1.0 - whole) - half) + fma(z * z, polynomial(z, COS), -(r * rest)))
    return sine, cosine


def sin(x: Number) -> Number:
    k, r, rest = _quadrant(x)
    sine, cosine = _sin_cos(r, rest)
    value = select((k & 1).equals(0), sine, cosine)
    value = (value.bits() ^ ((k & 2) << 62)).as_bits()
    return select(x.equals(0.0), x, value)  # -0 stays


def cos(x: Number) -> Number:
    k, r, rest = _quadrant(x)
    sine, cosine = _sin_cos(r, rest)
    value = select((k & 1).equals(0), cosine, sine)
    return (value.bits() ^ (((k + 1) & 2) << 62)).as_bits()
