"""Docetaxel regimens as data: doses, counts, and the rules that delay, reduce or stop; days and mg/m2.

A rule is an expression over what the clinic knows at a decision:

    anc             neutrophil count of the day, 10^9/L
    nadir           lowest count of the cycle, 10^9/L
    days_below_0_5  longest run of counts below 0.5 in the cycle, from its first to its last count, day
    febrile         1 if there was a febrile neutropenia in the cycle, else 0
    cycle           number of the cycle that ends, 1, 2, ...
    delay           days by which the next dose is late already
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from ...expressions import ExpressionError, evaluate, names
from ...units import Days, In
from .pharmacology import SEVERE

RULE_VARIABLES = ("anc", "nadir", "days_below_0_5", "febrile", "cycle", "delay")
Dose = Annotated[float, In("mg/m^2")]


class Rules(BaseModel, frozen=True, extra="forbid"):
    """What is done about neutropenia.

    `counts_on` are days after an infusion; the day of the next dose, and of every recheck, is always counted.
    A dose is given when `treat_when` holds; else it is asked again every `recheck`, and treatment ends when
    the next dose would be more than `stop_after` late. Each time `reduce_when` holds at the end of a cycle,
    the dose goes down one of `levels` (those at or above the present dose are passed over); below the last
    level treatment ends.
    """

    counts_on: tuple[Days, ...] = (8.0, 15.0)
    treat_when: str = "anc >= 1.5"
    recheck: Days = 7.0
    stop_after: Days = 14.0
    reduce_when: str = "febrile == 1 or days_below_0_5 >= 7"
    levels: tuple[Dose, ...] = (75.0, 55.0)

    @field_validator("treat_when", "reduce_when")
    @classmethod
    def _known_names(cls, text: str) -> str:
        unknown = sorted(set(_names(text)) - set(RULE_VARIABLES))
        if unknown:
            raise ValueError(f"no variable is called {unknown[0]!r}; a rule may use {', '.join(RULE_VARIABLES)}")
        return text

    @field_validator("levels")
    @classmethod
    def _falling(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if any(a <= b for a, b in pairwise(levels)) or any(d <= 0 for d in levels):
            raise ValueError("write the dose levels above 0 and from high to low, like ['75 mg/m^2', '55 mg/m^2']")
        return levels


class Treatment(BaseModel, frozen=True, extra="forbid"):
    """What an arm gives: docetaxel every `interval`, at most `max_cycles` times.

    The default of ten cycles is chosen: the trials treated until progression or unacceptable toxicity.
    """

    drug: Literal["docetaxel"] = "docetaxel"
    dose: Annotated[Dose, Field(gt=0, le=200)]
    interval: Days = 21.0
    infusion: Annotated[float, In("hour")] = 1.0
    max_cycles: Annotated[int, Field(strict=True, ge=1, le=40)] = 10
    rules: Rules = Rules()

    @model_validator(mode="after")
    def _days_fit(self) -> Treatment:
        whole = (self.interval, self.rules.recheck, *self.rules.counts_on)
        if any(day != round(day) or day < 1 for day in whole):
            raise ValueError("interval, recheck and counts_on must be whole days, at least 1 day")
        if any(day > self.interval for day in self.rules.counts_on):
            raise ValueError(f"counts_on must lie within the interval of {self.interval:g} day")
        if not 0 < self.infusion <= 24:
            raise ValueError(f"an infusion of {self.infusion:g} hour is not possible; write 0 < infusion <= 24 hour")
        return self

    @property
    def count_days(self) -> np.ndarray:
        """Days after an infusion on which neutrophils are counted, the day of the next dose last."""
        return np.array(sorted({*self.rules.counts_on, self.interval}))

    @property
    def rechecks(self) -> int:
        """How often a dose can be put off before treatment ends."""
        return int(self.rules.stop_after // self.rules.recheck)


@dataclass(frozen=True)
class Cycle:
    """What the clinic knows of a cycle, arrays (twin,) or (twin, count); a count not taken is NaN."""

    number: int
    counts: np.ndarray
    count_days: np.ndarray
    febrile: np.ndarray
    delay: float

    def variables(self) -> dict[str, np.ndarray]:
        """The variables of a rule, each (twin,)."""
        twins = self.counts.shape[0]
        taken = ~np.isnan(self.counts)
        last = self.counts.shape[1] - 1 - np.argmax(taken[:, ::-1], axis=1)
        return {
            "anc": self.counts[np.arange(twins), last],
            "nadir": np.min(np.where(taken, self.counts, np.inf), axis=1),
            "days_below_0_5": longest_run(self.counts < SEVERE, self.count_days),
            "febrile": self.febrile.astype(float),
            "cycle": np.full(twins, float(self.number)),
            "delay": np.full(twins, self.delay),
        }


def longest_run(below: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Longest run of true columns in each row, in `days` (twin, count) from its first to its last column.

    >>> longest_run(np.array([[True, True, False], [False, True, False]]), np.array([[8.0, 15.0, 21.0]] * 2))
    array([7., 0.])
    """
    longest = np.zeros(below.shape[0])
    start = np.full(below.shape[0], np.nan)
    for column in range(below.shape[1]):
        start = np.where(below[:, column], np.where(np.isnan(start), days[:, column], start), np.nan)
        longest = np.fmax(longest, days[:, column] - start)
    return longest


def may_treat(rules: Rules, cycle: Cycle) -> np.ndarray:
    """Whether the next dose is given now; bool (twin,)."""
    return _truth(rules.treat_when, cycle)


def next_dose(rules: Rules, cycle: Cycle, dose: np.ndarray) -> np.ndarray:
    """Dose of the next cycle (array, mg/m2) after `dose`; 0 where treatment ends below the last level."""
    lower = np.zeros_like(dose)
    for level in reversed(rules.levels):
        lower = np.where(level < dose, level, lower)
    return np.where(_truth(rules.reduce_when, cycle), lower, dose)


def _truth(rule: str, cycle: Cycle) -> np.ndarray:
    value = evaluate(rule, cycle.variables())
    return np.broadcast_to(np.asarray(value, bool), cycle.febrile.shape)


def _names(text: str) -> tuple[str, ...]:
    try:
        return names(text)
    except ExpressionError as error:
        raise ValueError(str(error)) from None
