"""A system whose doses obey rules: the old equations, and the rules as its events and actions.

At the time of a dose its *decision* asks the rules and sets what share of the plan is given; the dose itself, which may
arrive later (lag), takes that share. What the rules remember are inputs of the system: they outlast a reset of the
body. The share alone is a state, so that it can be read at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..engine import Action, Event, System
from ..engine.math import maximum, minimum, where
from ..expressions import ExpressionError
from ..problems import Problem, did_you_mean, listed, shown
from ..units import UnitsError, quantity
from .conditions import Look, check_names, crossing, subject, truth
from .layout import Layout
from .rules import Give, Hold, Raise, Reduce, Rule, RuleError, Stop


@dataclass(frozen=True)
class Reactive:
    """`system` with rules; `memory` gives inputs that do not begin at 0, `shares` the states that hold what is given.

    `shares` stand in the order of the layout's compartments; each is 1 before the first decision. `beside` are the
    rules that give doses beside the regimen, with their amounts.
    """

    system: System
    memory: Mapping[str, float]
    shares: tuple[str, ...]
    beside: Mapping[Give, float]

    def decision(self, compartment: str) -> int:
        """Target of the record that decides about a dose."""
        return self.system.action_target(f"decide: {compartment}")

    def bolus(self, compartment: str) -> int:
        """Target of the record that gives the decided share of its value at once."""
        return self.system.action_target(f"give: {compartment}")

    def infusion(self, compartment: str) -> int:
        """Target of the record that begins an infusion at the decided share of its value."""
        return self.system.action_target(f"infuse: {compartment}")


def reactive(
    system: System, layout: Layout, rules: tuple[Rule, ...], units: Mapping[str, str] | None = None
) -> Reactive:
    """The system that carries out doses under `rules`.

    Parameters
    ----------
    units : unit of each state that a quantity of a rule is read in, like {"gut": "g", "glucose": "mmol/L"}

    Raises
    ------
    RuleError
        Rules that name what the system lacks, or quantities that cannot be read in its units; one problem for each.
    """
    return _reactive(system, layout, rules, tuple(sorted((units or {}).items())))


@lru_cache(maxsize=32)  # the engine knows a system that it has compiled by its functions
def _reactive(
    system: System, layout: Layout, rules: tuple[Rule, ...], unit_of: tuple[tuple[str, str], ...]
) -> Reactive:
    units = dict(unit_of)
    found = [problem for rule in rules for problem in _problems(system, layout, rule, units)]
    if found:
        raise RuleError(found)
    places = [c.state for c in layout.compartments]
    inputs: list[str] = []
    memory: dict[str, float] = {}
    actions: list[Action] = []
    for place in places:
        inputs += [f"rules: {what}, {place}" for what in ("dose_factor", "doses_given", "stopped")]
        memory[f"rules: dose_factor, {place}"] = 1.0
        inputs += [_seen(rule, place) for rule in rules if _looks_back(rule, place)]
        actions += [_decision(rules, place), _bolus(place)]
    actions += [_infusion(c.state, c.infusion) for c in layout.compartments if c.infusion]
    events = [made for rule in rules if (made := _event(layout, rule, places, units))]
    shares = tuple(_share(place) for place in places)
    equations = system.rhs

    def rhs(t: Any, y: Any, p: Any, u: Any) -> tuple[Any, ...]:
        return (*equations(t, y, p, u), *(0.0 for _ in shares))

    extended = replace(
        system,
        states=(*system.states, *shares),
        inputs=(*system.inputs, *inputs),
        rhs=rhs,
        events=(*system.events, *events),
        actions=(*system.actions, *actions),
    )
    beside = {rule: _amount(rule, units) for rule in rules if isinstance(rule, Give)}
    return Reactive(extended, memory, shares, beside)


def _share(place: str) -> str:
    return f"rules: share, {place}"


def _stopped(place: str) -> str:
    return f"rules: stopped, {place}"


def _seen(rule: Rule, place: str) -> str:
    """The input that remembers that a condition has held since the last dose."""
    return f"rules: seen, {rule.name}, {place}"


def _asked(rule: Rule, place: str) -> bool:
    return not isinstance(rule, Give) and rule.into in ("", place)


def _looks_back(rule: Rule, place: str) -> bool:
    return _asked(rule, place) and not isinstance(rule, Give) and rule.looks == "since the last dose"


def _look(t: Any, y: Any, p: Any, u: Any, place: str = "") -> Look:
    """What the names of a condition stand for."""

    def look(name: str) -> Any:
        for values in (y, p, u):
            if hasattr(values, name):
                return getattr(values, name)
        return t if name == "time" else getattr(u, f"rules: {name}, {place}")

    return look


def _decision(rules: tuple[Rule, ...], place: str) -> Action:
    asked = [(rule, truth(rule.when)) for rule in rules if _asked(rule, place)]

    def effect(t: Any, y: Any, p: Any, u: Any, x: Any) -> dict[str, Any]:
        look = _look(t, y, p, u, place)
        factor, stopped, held = look("dose_factor"), getattr(u, _stopped(place)), 0.0
        new: dict[str, Any] = {}
        for rule, holds_now in asked:
            now = holds_now(look)
            holds = now
            if _looks_back(rule, place):
                holds = maximum(now, getattr(u, _seen(rule, place)))
                new[_seen(rule, place)] = now  # a condition that holds at a dose has held since it
            match rule:
                case Hold():
                    held = maximum(held, holds)
                case Stop():
                    stopped = maximum(stopped, holds)
                case Reduce():
                    less = minimum(factor, maximum(factor * (1.0 - rule.by), rule.at_least))
                    factor = where(holds > 0.5, less, factor)
                case Raise():
                    more = maximum(factor, minimum(factor * (1.0 + rule.by), rule.up_to))
                    factor = where(holds > 0.5, more, factor)
        share = where(maximum(held, stopped) > 0.5, 0.0, factor)
        given = look("doses_given") + where(share > 0.0, 1.0, 0.0)
        return {
            _stopped(place): stopped,
            f"rules: dose_factor, {place}": factor,
            f"rules: doses_given, {place}": given,
            _share(place): share,
            **new,
        }

    return Action(f"decide: {place}", effect)


def _bolus(place: str) -> Action:
    return Action(f"give: {place}", lambda t, y, p, u, x: {place: getattr(y, place) + x * getattr(y, _share(place))})


def _infusion(place: str, rate: str) -> Action:
    return Action(f"infuse: {place}", lambda t, y, p, u, x: {rate: x * getattr(y, _share(place))})


def _event(layout: Layout, rule: Rule, places: list[str], units: Mapping[str, str]) -> Event | None:
    """What a rule does between doses: give, stop at any time, or remember that its condition has held."""
    if isinstance(rule, Give):
        value, direction = crossing(rule.when)
        amount, beyond = _amount(rule, units), _beyond(rule, units)
        kept = next((c.bioavailability for c in layout.compartments if c.state == rule.to), "")

        def give(t: Any, y: Any, p: Any, u: Any) -> dict[str, Any]:
            return {rule.to: getattr(y, rule.to) + amount * (getattr(p, kept) if kept else 1.0)}

        return Event(rule.name, lambda t, y, p, u: value(_look(t, y, p, u)), direction, beyond, give)
    changed = [_seen(rule, place) for place in places if _looks_back(rule, place)]
    if isinstance(rule, Stop) and rule.at == "any time":
        changed = [_stopped(place) for place in places if _asked(rule, place)]
    if not changed:
        return None
    value, direction = crossing(rule.when)
    new: dict[str, Any] = dict.fromkeys(changed, 1.0)
    return Event(rule.name, lambda t, y, p, u: value(_look(t, y, p, u)), direction, effect=lambda t, y, p, u: new)


def _amount(rule: Give, units: Mapping[str, str]) -> float:
    if rule.to not in units:
        raise UnitsError(f"the unit of {rule.to!r} is not known; name it, like units={{{rule.to!r}: 'mg'}}")
    amount = quantity(rule.amount, units[rule.to])
    if amount <= 0:
        raise UnitsError(f"{rule.amount!r} gives nothing; write an amount above 0")
    return amount


def _beyond(rule: Give, units: Mapping[str, str]) -> float:
    if isinstance(rule.again_beyond, str):
        name = subject(rule.when)
        if name is None or name not in units:
            raise UnitsError(
                f"the unit of {rule.when.split()[0]!r} is not known; name it in units, or write a number in the "
                "units of the condition"
            )
        beyond = quantity(rule.again_beyond, units[name])
    else:
        beyond = rule.again_beyond
    if not 0 <= beyond < float("inf"):
        raise UnitsError(f"{rule.again_beyond!r} is no distance; write 0 or more")
    return beyond


def _problems(system: System, layout: Layout, rule: Rule, units: Mapping[str, str]) -> list[Problem]:
    """What is wrong with one rule for this system."""
    found: list[Problem] = []

    def report(field: str, value: object, expected: str, fix: str) -> None:
        found.append(Problem(("rules", rule.name, field), shown(value), expected, fix))

    if rule.name in [event.name for event in system.events]:
        report("name", rule.name, "a name of its own", f"{system.name!r} has an event of that name; rename the rule")
    between = isinstance(rule, Give) or (isinstance(rule, Stop) and rule.at == "any time")
    known = {*system.states, *system.parameters, *system.inputs, "time"}
    if not between:
        known |= {"dose_factor", "doses_given"}
    try:
        check_names(rule.when, known)
        if between or (not isinstance(rule, Give) and rule.looks != "now"):
            crossing(rule.when)
    except ExpressionError as error:
        report("when", rule.when, "a condition on the model", str(error))
    places = [c.state for c in layout.compartments]
    if not isinstance(rule, Give):
        if rule.into and rule.into not in places:
            fix = did_you_mean(rule.into, places, f"known: {listed(places)}")
            report("into", rule.into, "a compartment that is dosed", fix)
        return found
    if rule.to not in system.states:
        fix = did_you_mean(rule.to, system.states, f"known: {listed(system.states)}")
        report("to", rule.to, "a state of the model", fix)
        return found
    for field, value, read in (("amount", rule.amount, _amount), ("again_beyond", rule.again_beyond, _beyond)):
        try:
            if not found or field == "amount":
                read(rule, units)
        except UnitsError as error:
            report(field, value, "a quantity in the units of the model", str(error))
    return found
