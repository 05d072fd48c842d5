"""Numbers as a reader sees them: sensible digits, units that belong to them, never a false certainty."""

from __future__ import annotations

import math

MISSING = "–"
MONTH = 30.4375  # days, a twelfth of 365.25
NBSP = "\u00a0"  # keeps a number and what belongs to it on one line
_SYMBOLS = {"percent": "%", "percentage point": "points", "dimensionless": "", "1": "", "degC": "°C"}
_POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def unit_text(unit: str) -> str:
    """A unit as it is printed.

    >>> unit_text("10^9/L"), unit_text("kg/m2"), unit_text("percent")
    ('10⁹/L', 'kg/m²', '%')
    """
    if unit in _SYMBOLS:
        return _SYMBOLS[unit]
    out, raising, before = "", False, ""
    for character in unit.replace("**", "^"):
        if character == "^":
            raising = True
        elif (raising and character in "-0123456789") or (character in "23" and before in {"m", "s"}):
            out += character.translate(_POWERS)
        else:
            raising = False
            out += character
        before = character
    return out.replace("*", "·")


def decimals(scale: float, digits: int = 2) -> int:
    """How many decimals show `digits` significant digits of a spread, from 0 to 6."""
    if not math.isfinite(scale) or scale == 0:
        return digits
    return min(6, max(0, digits - 1 - math.floor(math.log10(abs(scale)))))


def fixed(value: float, places: int) -> str:
    """A number with so many decimals, thousands apart, a real minus sign and no "-0".

    >>> fixed(-12345.678, 1), fixed(-0.0004, 2), fixed(float("nan"), 1)
    ('−12,345.7', '0.00', '–')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.{places}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def number(value: float, digits: int = 3) -> str:
    """A number alone, with `digits` significant digits; very large and very small ones as powers of ten.

    >>> number(1234.5), number(0.012345), number(2.5e-7), number(12.0)
    ('1,234', '0.0123', '2.5 × 10⁻⁷', '12')
    """
    if not math.isfinite(value) or value == 0:
        return fixed(value, 0)
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size > 8:
        mantissa = f"{value / 10.0**size:.{digits - 1}f}".rstrip("0").rstrip(".").replace("-", "−")
        return f"{mantissa} × 10{str(size).translate(_POWERS)}"
    places = max(0, digits - 1 - size)
    text = fixed(value, places)
    return text.rstrip("0").rstrip(".") if places else text


def with_unit(text: str, unit: str) -> str:
    """`text` and its unit; a per cent sign stands apart too, as the SI wants it."""
    printed = unit_text(unit)
    return f"{text}{NBSP}{printed}" if printed else text


def interval(low: float, high: float, places: int) -> str:
    """Two ends in words, so that a minus sign is never read as a dash.

    >>> interval(-2.41, 3.0, 1).replace(NBSP, " ")
    '−2.4 to 3.0'
    """
    return f"{fixed(low, places)} to {fixed(high, places)}".replace(" ", NBSP)


def share(part: float, whole: float) -> str:
    """`k (p %)`.

    >>> share(3, 40).replace(NBSP, " "), share(0, 0)
    ('3 (7.5 %)', '0')
    """
    if whole == 0:
        return f"{part:,.0f}"
    return f"{part:,.0f} ({fixed(100 * part / whole, 1)} %)".replace(" ", NBSP)


def probability(value: float, mcse: float | None = None) -> str:
    """A posterior probability in per cent, never rounded to certainty.

    >>> [probability(p).replace(NBSP, " ") for p in (0.97512, 0.99999, 0.0)]
    ['97.5 %', '> 99.9 %', '< 0.1 %']
    """
    if math.isnan(value):
        return MISSING
    if value > 0.999:
        return f">{NBSP}99.9{NBSP}%"
    if value < 0.001:
        return f"<{NBSP}0.1{NBSP}%"
    text = f"{100 * value:.1f}{NBSP}%"
    return f"{text} (Monte Carlo error {100 * mcse:.1f})" if mcse and mcse >= 0.0005 else text


def p_limit(value: float) -> str:
    """A probability that a protocol states, with all its digits: 0.975 is 97.5 %, 0.9 is 90 %."""
    return f"{100 * value:.6g}{NBSP}%"


def days(value: float) -> str:
    """A time in days, in weeks or months where they are whole.

    >>> [days(d).replace(NBSP, " ") for d in (182.0, 730.5, 30.0, 1.0)]
    ['26 weeks', '24 months', '30 days', '1 day']
    """
    units = (("week", 7.0), ("month", MONTH))
    fitting = [(value / size, word) for word, size in units if value >= 2 * size and value % size == 0]
    count, word = fitting[0] if fitting else (value, "day")
    return f"{number(count)}{NBSP}{word}{'' if count == 1 else 's'}"


def axis(label: str, unit: str) -> str:
    """Name of an axis or a column.

    >>> axis("Age", "year"), axis("Ratio", "1")
    ('Age (year)', 'Ratio')
    """
    printed = unit_text(unit)
    return f"{label} ({printed})" if printed else label
