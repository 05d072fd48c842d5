"""Dose rules as data: what a designer writes so that doses answer to the state of a twin.

    - {name: low sugar,  do: give,   when: "glucose < 3.9", again_beyond: "0.5 mmol/L", amount: "16 g", to: gut}
    - {name: low count,  do: hold,   when: "anc < 1.5"}
    - {name: toxicity,   do: reduce, when: "anc < 0.5", looks: since the last dose, by: "25 %", at_least: "50 %"}
    - {name: titration,  do: raise,  when: "blood / V < target", by: "10 %", up_to: "200 %"}
    - {name: progression, do: stop,  when: "size > 1.2 * nadir", at: any time}

A condition compares numbers: states, parameters, inputs (covariates) of the model by name and in their own units,
`time` in the model's unit, and at a dose also `doses_given` and `dose_factor` (given over planned, 1 at first) of the
compartment that is dosed. At a dose the rules are asked in the order in which they stand, all about the state before
it. Doses into one compartment at one time are one decision. An infusion keeps its duration; its rate is what changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..problems import Problem, did_you_mean, shown
from ..units import In

Fraction = Annotated[float, In("dimensionless")]
"""A share, written as text: "25 %" or "0.25 dimensionless"."""


class RuleError(ValueError):
    """Rules that cannot be carried out; `problems` holds one for each: rule, field, value, what to do."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=60)]
    when: Annotated[str, Field(min_length=1)]


class _DoseRule(_Rule):
    """Asked at every dose into the compartment `into` ("": any)."""

    into: str = ""
    looks: Literal["now", "since the last dose"] = "now"


class Hold(_DoseRule):
    """This dose is left out."""

    do: Literal["hold"]


class Reduce(_DoseRule):
    """This dose and those that follow become smaller by the share `by`; `at_least` is a share of the plan."""

    do: Literal["reduce"]
    by: Annotated[Fraction, Field(gt=0, le=1)]
    at_least: Annotated[Fraction, Field(ge=0, le=1)] = 0.0


class Raise(_DoseRule):
    """This dose and those that follow become larger by the share `by`; `up_to` is a share of the plan."""

    do: Literal["raise"]
    by: Annotated[Fraction, Field(gt=0)]
    up_to: Annotated[Fraction, Field(gt=0)]


class Stop(_DoseRule):
    """No dose is given any more; asked at every dose, and, with `at` "any time", between doses as well.

    An infusion that runs is given to its end.
    """

    do: Literal["stop"]
    at: Literal["a dose", "any time"] = "a dose"


class Give(_Rule):
    """An amount beside the regimen, each time the condition comes to hold.

    `again_beyond`: it may come to hold again once it has been left by more than this, a number in the units of the
    condition or a quantity. The amount goes `to` a state at once; bioavailability applies, a lag does not.
    """

    do: Literal["give"]
    amount: str
    to: str
    again_beyond: float | str = 0.0


Rule = Annotated[Hold | Reduce | Raise | Stop | Give, Field(discriminator="do")]
_RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])


def read_rules(data: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Rules from what a file holds: a list of blocks.

    >>> read_rules([{"name": "low", "do": "hold", "when": "anc < 1.5"}])[0].when
    'anc < 1.5'

    Raises
    ------
    RuleError
        One problem for everything that is wrong: the rule, the field, the value and what to do.
    """
    try:
        rules = _RULES.validate_python(tuple(data), context={"from_file": True})
    except ValidationError as error:
        raise RuleError([_problem(data, fault) for fault in error.errors()]) from None
    known = [rule.name for rule in rules]
    twice = [name for i, name in enumerate(known) if name in known[:i]]
    if twice:
        raise RuleError(
            [Problem(("rules", twice[0], "name"), shown(twice[0]), "a name of its own", "rename one of them")]
        )
    return rules


def _problem(data: Sequence[Mapping[str, Any]], fault: Any) -> Problem:
    """One fault that pydantic found, in the words of the house."""
    place, kind = fault["loc"], fault["type"]
    block = data[place[0]] if place and isinstance(place[0], int) else {}
    given = dict(block) if isinstance(block, Mapping) else {}
    name = given.get("name", place[0] if place else "")
    field = str(place[-1]) if len(place) > 2 else "do" if kind.startswith("union_tag") else ""
    path = ("rules", name, *([field] if field else []))
    if kind == "extra_forbidden":
        known = [f for rule in (Hold, Reduce, Raise, Stop, Give) if rule.__name__.lower() == given.get("do")
                 for f in rule.model_fields]  # fmt: skip
        return Problem(path, field, "a field of the rule", did_you_mean(field, known, f"known: {', '.join(known)}"))
    if kind == "missing":
        return Problem(path, "nothing", "a value", f"add '{field}:'")
    if kind.startswith("union_tag"):
        value = given.get("do")
        fix = did_you_mean(value, ("hold", "reduce", "raise", "stop", "give"), "write one of them")
        return Problem(path, shown(value), "hold, reduce, raise, stop or give", fix)
    return Problem(path, shown(given.get(field, block)), "a value that can be used", fault["msg"])
