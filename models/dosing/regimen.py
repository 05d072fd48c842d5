"""Regimens as a short text: "100 mg oral q24h x 7 then 50 mg q12h x 20", "75 mg/m2 iv over 1 h q21d x 6".

    regimen  = course, { "then", course }
    course   = amount, unit, [ route, [ "over", time ] ], ( "q", time, "x", count | "once" )
    unit     = mass, substance or activity, with "/kg" or "/m2" where the dose is scaled
    route    = "oral" | "iv" | "sc" | "im"
    time     = number, ( "min" | "h" | "d" | "wk" )

A course without a route is given like the one before it. The next course begins one interval after the last dose of
the one before. "once" has no interval, so nothing can follow it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..units import UnitsError, quantity
from .events import Events, make_events

ROUTES = ("oral", "iv", "sc", "im")
HOURS = {"min": 1.0 / 60.0, "h": 1.0, "d": 24.0, "wk": 168.0}
_MODEL_HOURS = {"minute": 1.0 / 60.0, "hour": 1.0, "day": 24.0, "week": 168.0}
MAX_DOSES = 1_000_000
_NUMBER = r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?"
_EXAMPLE = "write for example '100 mg oral q24h x 7'"


class RegimenError(ValueError):
    """A regimen that cannot be read; the message names the column, what stands there and what was expected."""


@dataclass(frozen=True)
class Course:
    """Equal doses at a regular interval.

    `amount` in `unit` (a unit name; per body weight where `per` is "kg", per body surface where it is "m2"), given
    into `route` ("" where the text names none) over the time `over` in `over_unit` (0: at once), `doses` times, one
    every `every` in `every_unit` (0 for a single dose without an interval).
    """

    amount: float
    unit: str
    per: str = ""
    route: str = ""
    over: float = 0.0
    over_unit: str = "h"
    every: float = 0.0
    every_unit: str = "h"
    doses: int = 1

    def how(self) -> tuple[str, float, str]:
        return self.route, self.over, self.over_unit

    def text(self, before: Course | None) -> str:
        """The course as text; how it is given is left out where it is that of the course `before`."""
        parts = [f"{_plain(self.amount)} {self.unit}{'/' + self.per if self.per else ''}"]
        if self.route and (before is None or before.how() != self.how()):
            parts.append(self.route + (f" over {_plain(self.over)} {self.over_unit}" if self.over else ""))
        parts.append(f"q{_plain(self.every)}{self.every_unit} x {self.doses}" if self.every else "once")
        return " ".join(parts)


@dataclass(frozen=True)
class Regimen:
    """Courses one after the other; `str` gives the text that `parse_regimen` reads."""

    courses: tuple[Course, ...]

    def __str__(self) -> str:
        before = (None, *self.courses[:-1])
        return " then ".join(c.text(b) for b, c in zip(before, self.courses, strict=True))

    def events(
        self,
        compartments: Mapping[str, str],
        *,
        time_unit: str,
        unit: str = "mg",
        weight: float | None = None,
        bsa: float | None = None,
        start: float = 0.0,
    ) -> Events:
        """Event records of the regimen, one row a course with ADDL further doses.

        Parameters
        ----------
        compartments : compartment of each route, like {"oral": "gut", "iv": "central"}; "" where no route is named
        time_unit : "minute", "hour", "day" or "week", as the model counts
        unit : amount unit of the model
        weight : kg, for doses per kg; bsa : m2, for doses per m2
        start : time of the first dose, in `time_unit`

        Raises
        ------
        RegimenError
            A route without a compartment, a scaled dose without weight or surface, a unit of another dimension.
        """
        if time_unit not in _MODEL_HOURS:
            raise RegimenError(f"time_unit is {time_unit!r}; write one of {', '.join(_MODEL_HOURS)}")
        hour = _MODEL_HOURS[time_unit]
        rows = []
        time = start
        for course in self.courses:
            if course.route not in compartments:
                known = ", ".join(compartments) or "none"
                raise RegimenError(f"no compartment for the route {course.route!r}; given are those of: {known}")
            scale = {"": 1.0, "kg": weight, "m2": bsa}[course.per]
            if scale is None:
                raise RegimenError(f"a dose in {course.unit}/{course.per} needs the subject's size; give weight or bsa")
            amount = _converted(course.amount, course.unit, unit) * scale
            over = course.over * HOURS[course.over_unit] / hour
            every = course.every * HOURS[course.every_unit] / hour
            rows.append((time, amount, compartments[course.route], amount / over if over else 0.0, every, course.doses))
            time += every * course.doses
        times, amounts, places, rates, intervals, doses = zip(*rows, strict=True)
        return make_events(
            times, amounts, evid=1, cmt=places, rate=rates,
            ii=np.where(np.array(doses) > 1, intervals, 0.0), addl=np.array(doses) - 1,
        )  # fmt: skip


def parse_regimen(text: str) -> Regimen:
    """The regimen that a text describes.

    >>> regimen = parse_regimen("100 mg oral q24h x 7 then 50 mg q12h x 20")
    >>> str(regimen)
    '100 mg oral q24h x 7 then 50 mg q12h x 20'

    Raises
    ------
    RegimenError
        The place (column), what stands there, what was expected, and an example.
    """
    scanner = _Scanner(text)
    courses: list[Course] = []
    while True:
        courses.append(_course(scanner, courses[-1] if courses else None))
        if scanner.at_end():
            return Regimen(tuple(courses))
        scanner.take(r"then\b", "'then' or the end")
        if not courses[-1].every:
            raise scanner.error("an interval before 'then' (like q24h x 1), since 'once' does not say when to go on")


def regimen_of(events: Events, routes: Mapping[str, str], *, time_unit: str, unit: str = "mg") -> Regimen:
    """The regimen whose records these are, with times in h, d or wk and amounts in `unit`.

    Parameters
    ----------
    routes : route of each compartment, the inverse of what `Regimen.events` takes

    Raises
    ------
    RegimenError
        Records that are no sequence of courses, each beginning one interval after the last dose of the one before.
    """
    hour = _MODEL_HOURS[time_unit]
    courses: list[Course] = []
    due = None
    for e in range(len(events)):
        where = f"row {events.row[e]}"
        if events.evid[e] != 1 or events.ss[e] or events.rate[e] < 0 or str(events.cmt[e]) not in routes:
            raise RegimenError(f"{where} is no plain dose of the routes {', '.join(routes.values())}; leave it out")
        if due is not None and not math.isclose(events.time[e], due, rel_tol=1e-9, abs_tol=1e-9):
            raise RegimenError(
                f"{where}: the dose at {events.time[e]:g} does not follow at {due:g}; write it as records"
            )
        doses, every = int(events.addl[e]) + 1, float(events.ii[e])
        if doses == 1 and e + 1 < len(events):
            every = float(events.time[e + 1] - events.time[e])
        over = float(events.amt[e] / events.rate[e]) * hour if events.rate[e] else 0.0
        number, symbol = _natural(every * hour)
        route = routes[str(events.cmt[e])]
        courses.append(Course(float(events.amt[e]), unit, "", route, round(over, 9), "h", number, symbol, doses))
        due = float(events.time[e]) + every * doses if every else math.inf
    return Regimen(tuple(courses))


def _natural(hours: float) -> tuple[float, str]:
    for symbol in ("wk", "d"):
        number = hours / HOURS[symbol]
        if hours >= 48 and number == round(number):
            return number, symbol
    return hours, "h"


class _Scanner:
    """Reads a text from left to right; words are separated by spaces."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self._skip()

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def at_end(self) -> bool:
        return self.at >= len(self.text)

    def maybe(self, pattern: str) -> str | None:
        found = re.compile(pattern).match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        self._skip()
        return found.group()

    def take(self, pattern: str, wanted: str) -> str:
        found = self.maybe(pattern)
        if found is None:
            raise self.error(wanted)
        return found

    def error(self, wanted: str) -> RegimenError:
        rest = self.text[self.at :].split()
        here = repr(rest[0]) if rest else "the end"
        return RegimenError(f"column {self.at + 1} of {self.text!r}: {here}, expected {wanted}; {_EXAMPLE}")

    def number(self, wanted: str) -> float:
        start = self.at
        value = float(self.take(_NUMBER, wanted))
        if not 0 < value < 1e300:
            self.at = start
            raise self.error(f"{wanted} above 0")
        return value

    def time(self, wanted: str) -> tuple[float, str]:
        value = self.number(wanted)
        return value, self.take(r"(?:min|h|d|wk)(?![A-Za-z])", "a time unit: min, h, d or wk")


def _course(scanner: _Scanner, before: Course | None) -> Course:
    amount = scanner.number("an amount, a number")
    unit = scanner.take(
        rf"(?!(?:{'|'.join(ROUTES)}|over|once|then)\b)[A-Za-zµμ]+(?:/(?:kg|m2)\b)?(?=\s|$)",
        "an amount unit, like mg, mg/kg or mg/m2",
    )
    name, _, per = unit.partition("/")
    route = scanner.maybe(rf"(?:{'|'.join(ROUTES)})\b")
    over, over_unit = 0.0, "h"
    if route is None and before is not None:
        route, over, over_unit = before.how()
    elif route is not None and scanner.maybe(r"over\b"):
        over, over_unit = scanner.time("the duration of the infusion")
    if scanner.maybe(r"once\b"):
        return Course(amount, name, per, route or "", over, over_unit)
    wanted = "an interval like q24h, or 'once'"
    if route is None or route not in scanner.text:
        wanted = f"a route ({', '.join(ROUTES)}), {wanted}"
    scanner.take(r"q(?=\s*\d)", wanted)
    every, every_unit = scanner.time("the interval")
    scanner.take(r"x(?=\s*\d)", "the number of doses, like 'x 7'")
    start = scanner.at
    doses = scanner.take(r"\d+(?![\w.])", "a whole number of doses")
    if len(doses) > 9 or not 1 <= int(doses) <= MAX_DOSES:
        scanner.at = start
        raise scanner.error(f"1 to {MAX_DOSES} doses")
    return Course(amount, name, per, route or "", over, over_unit, every, every_unit, int(doses))


def _converted(amount: float, unit: str, wanted: str) -> float:
    if unit == wanted:
        return amount
    try:
        return quantity(f"{amount!r} {unit}", wanted)
    except UnitsError as error:
        raise RegimenError(str(error)) from None


def _plain(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
