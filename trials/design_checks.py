"""What must agree in the design of a protocol: arms, allocation, visits, twins, model, events in subjects."""

from __future__ import annotations

from collections.abc import Iterator

from ..models.expressions import ExpressionError, names, parse
from ..models.problems import Path, Problem, did_you_mean, listed, one_line, shown
from .draft import Draft, repeated, unknown
from .field_checks import read_part
from .protocol import BASELINE_PREFIX

TOGETHER = ("model", "population", "subjects", "allocation", "schedule")


def check_design(draft: Draft) -> Iterator[Problem]:
    """Everything of this module, in the order of a protocol file."""
    yield from check_presence(draft)
    yield from check_model(draft)
    yield from check_population(draft)
    yield from check_arms(draft)
    yield from check_allocation(draft)
    yield from check_schedule(draft)
    yield from check_events(draft)
    yield from check_keep(draft)


def check_presence(draft: Draft) -> Iterator[Problem]:
    """A simulation needs all five blocks; a protocol of real data alone needs none of them."""
    given = [key for key in TOGETHER if key in draft.raw]
    if given or "data" not in draft.raw:
        for key in TOGETHER:
            if key not in draft.raw:
                fix = f"add '{key}: …'" + ("" if given else ", or a 'data:' block to analyse a real trial")
                expected = f"the key '{key}' (a simulation needs {', '.join(TOGETHER)})"
                yield Problem((key,), "nothing", expected, fix)


def check_model(draft: Draft) -> Iterator[Problem]:
    """The model reads the settings and every arm's treatment."""
    if draft.simulator is None or draft.model is None:
        return
    known = variables(draft)
    missing = [name for name in draft.simulator.requires if known is not None and name not in known]
    if missing and draft.population is not None:
        expected = f"a population with what '{draft.model.name}' needs: {listed(missing)} are missing"
        fix = "name another population, or add the variables to it"
        yield Problem(("population", "name"), shown(draft.population.name), expected, fix)
    yield from read_part(draft.simulator.Settings, draft.model.settings, ("model", "settings"))[1]
    for number, arm in draft.arms.items():
        yield from read_part(draft.simulator.Treatment, arm.treatment, ("arms", number, "treatment"))[1]


def check_population(draft: Draft) -> Iterator[Problem]:
    """Rules, strata and tables name its variables; the bank holds a trial."""
    people, known = draft.people, variables(draft)
    if draft.population is not None:
        for number, entry in enumerate(draft.population.eligibility):
            yield from check_rule(entry.rule, ("population", "eligibility", number, "rule"), known)
            place = ("population", "eligibility", number, "reason")
            yield from check_words(entry.reason, place, "the reason that the ledger gives")
        yield from _check_plausible_baseline(draft, known)
        subjects = draft.number("subjects")
        if subjects is not None and subjects > draft.population.twins:
            expected = f"at most the {draft.population.twins} of population.twins"
            yield Problem(("subjects",), shown(subjects), expected, "lower 'subjects' or raise 'population.twins'")
        if people and people.model and draft.model and people.model != draft.model.name:
            expected = f"a population whose twins carry the parameters of '{draft.model.name}'"
            fix = f"this one is made for '{one_line(people.model)}'; change one of the two"
            yield Problem(("population", "name"), shown(draft.population.name), expected, fix)
    for number, subgroup in draft.subgroups.items():
        yield from check_rule(subgroup.rule, ("subgroups", number, "rule"), known)
    for number, name in enumerate(draft.words("baseline_table")):
        yield from check_variable(name, ("baseline_table", number), known)
    if draft.allocation is not None:
        for number, name in enumerate(draft.allocation.strata):
            yield from check_variable(name, ("allocation", "strata", number), known)


def _check_plausible_baseline(draft: Draft, known: tuple[str, ...] | None) -> Iterator[Problem]:
    """Rules on the simulated baseline name its variables too, and there is a baseline to simulate."""
    assert draft.population is not None
    simulated = tuple(f"{BASELINE_PREFIX}{endpoint.name}" for endpoint in draft.endpoints.values())
    for number, entry in enumerate(draft.population.plausible_baseline):
        place = ("population", "plausible_baseline", number)
        yield from check_rule(entry.rule, (*place, "rule"), None if known is None else (*known, *simulated))
        yield from check_words(entry.reason, (*place, "reason"), "the reason that the ledger gives")
    if draft.population.plausible_baseline and draft.schedule is not None and not draft.schedule.run_in > 0:
        fix = "give the schedule a 'run_in', or take the rules out"
        yield Problem(("population", "plausible_baseline"), "rules", "a run-in, in which a baseline is simulated", fix)


def variables(draft: Draft) -> tuple[str, ...] | None:
    """Variables that rules may name, or None where they cannot be known because something else is wrong."""
    if draft.is_simulated():
        return draft.people.variables if draft.people else None
    return tuple(draft.data.covariates) if draft.data else None


def check_rule(rule: str, path: Path, known: tuple[str, ...] | None) -> Iterator[Problem]:
    """A rule is an expression over known variables."""
    try:
        parse(rule)
    except ExpressionError as error:
        expected, fix = (
            "a rule like 'age >= 18 and bmi < 40'",
            one_line(str(error).replace(repr(rule), "it"), 200),
        )
        yield Problem(path, shown(rule), expected, fix)
        return
    for name in names(rule) if known is not None else ():
        yield from check_variable(name, path, known)


def check_variable(name: str, path: Path, known: tuple[str, ...] | None) -> Iterator[Problem]:
    """A name is a variable of the population."""
    if known is not None and name not in known:
        fix = did_you_mean(name, known, "correct the name")
        yield Problem(path, shown(name), f"a variable of the population: {listed(known, 20)}", fix)


def check_words(text: str, path: Path, what: str) -> Iterator[Problem]:
    """Prose that must not be empty."""
    if not text.strip():
        yield Problem(path, "empty text", what, "say it in a few words")


def check_arms(draft: Draft) -> Iterator[Problem]:
    """Names differ; one arm is the control and at least one is experimental."""
    yield from repeated(draft, "arms")
    if not draft.is_whole("arms"):
        return
    controls = [number for number, arm in draft.arms.items() if arm.role == "control"]
    if len(controls) != 1:
        path: Path = ("arms", controls[1], "role") if controls else ("arms",)
        fix = "make the others 'experimental'" if controls else "give one arm 'role: control'"
        yield Problem(path, f"{len(controls)} control arms", "exactly one", fix)
    elif len(controls) == len(draft.arms):
        yield Problem(("arms",), "no experimental arm", "at least one", "give an arm 'role: experimental'")


def check_allocation(draft: Draft) -> Iterator[Problem]:
    """One share of the ratio for each arm, and blocks that hold whole ratios."""
    plan = draft.allocation
    if plan is None:
        return
    arms = draft.raw.get("arms")
    if isinstance(arms, tuple) and len(plan.ratio) != len(arms):
        got = f"[{', '.join(map(str, plan.ratio))}]"
        fix = f"give one whole number for each arm, in their order: {listed(draft.names('arms'))}"
        yield Problem(("allocation", "ratio"), got, f"{len(arms)} numbers, one for each arm", fix)
    whole = sum(plan.ratio)
    if plan.method == "permuted-block":
        if plan.block is not None and plan.block % whole:
            fix = f"write for example 'block: {max(1, round(plan.block / whole)) * whole}'"
            yield Problem(
                ("allocation", "block"),
                shown(plan.block),
                f"a multiple of {whole}, the sum of the ratio",
                fix,
            )
        return
    for key, value in (("block", plan.block), ("strata", plan.strata)):
        if value:
            fix = "remove it, or write 'method: permuted-block'"
            yield Problem(("allocation", key), shown(value), f"no '{key}' with simple allocation", fix, on_key=True)


def check_schedule(draft: Draft) -> Iterator[Problem]:
    """Times are not negative, visits follow one another and lie within the follow-up."""
    plan = draft.schedule
    if plan is None:
        return
    spelled = draft.raw["schedule"]
    for key in ("run_in", "recruitment"):
        if getattr(plan, key) < 0:
            yield Problem(
                ("schedule", key),
                shown(spelled.get(key)),
                "a time of 0 or more",
                "write for example '2 week'",
            )
    if plan.duration <= 0:
        yield Problem(
            ("schedule", "duration"),
            shown(spelled["duration"]),
            "a time above 0",
            "write for example '26 week'",
        )
    if not plan.visits:
        fix = "add one, like '- {name: week 26, at: 26 week}'"
        yield Problem(("schedule", "visits"), "an empty list", "at least one visit", fix)
    before, seen = 0.0, {"baseline": "the run-in"}
    for number, visit in enumerate(plan.visits):
        path = ("schedule", "visits", number)
        got = shown(spelled["visits"][number]["at"])
        if visit.at <= before:
            expected = f"a time after {before:g} day, " + ("the visit before it" if number else "randomisation")
            yield Problem((*path, "at"), got, expected, "put the visits in the order of their days")
        if visit.at > plan.duration > 0:
            expected = f"at most the duration, {spelled['duration']}"
            yield Problem((*path, "at"), got, expected, "move the visit, or lengthen 'schedule.duration'")
        if visit.name in seen:
            yield Problem(
                (*path, "name"),
                shown(visit.name),
                "a name of its own",
                f"rename it; it is {seen[visit.name]}",
            )
        yield from check_words(visit.name, (*path, "name"), "the visit's name")
        before, seen = (
            (max(before, visit.at) if visit.at <= plan.duration else before),
            {**seen, visit.name: f"the name of visits[{number}]"},
        )


def check_events(draft: Draft) -> Iterator[Problem]:
    """Dropout and intercurrent events: known arms, and one cause each."""
    arms = draft.names("arms")
    for number, loss in draft.dropout.items():
        yield from _known_arms(loss.arms, ("dropout", number), arms)
        yield from _positive(loss.over, draft.raw["dropout"][number]["over"], ("dropout", number, "over"))
    yield from repeated(draft, "intercurrent_events")
    for number, event in draft.intercurrent_events.items():
        path: Path = ("intercurrent_events", number)
        yield from _known_arms(event.arms, path, arms)
        if (event.hazard is None) == (event.endpoint is None):
            got = "neither" if event.hazard is None else "both"
            fix = "add 'hazard: {probability: 0.05, over: 26 week}'" if event.hazard is None else "remove one of them"
            yield Problem(path, got, "exactly one of 'hazard' and 'endpoint'", fix)
        if event.hazard is not None:
            over = draft.raw["intercurrent_events"][number]["hazard"]["over"]
            yield from _positive(event.hazard.over, over, (*path, "hazard", "over"))
        if event.then_as is None:
            continue
        if event.then_as not in arms:
            yield unknown((*path, "then_as"), event.then_as, arms, "an arm")
        elif event.hazard is None:
            fix = "remove it: what follows an event of the simulation is already in the outcomes"
            yield Problem((*path, "then_as"), shown(event.then_as), "'then_as' only with 'hazard'", fix, on_key=True)
        elif event.then_as in (event.arms or arms):
            fix = "name another arm, or restrict 'arms' to those that the event happens in"
            yield Problem((*path, "then_as"), shown(event.then_as), "an arm without this event", fix)


def _known_arms(names_: tuple[str, ...], path: Path, arms: tuple[str, ...]) -> Iterator[Problem]:
    for number, name in enumerate(names_):
        if name not in arms:
            yield unknown((*path, "arms", number), name, arms, "an arm")


def _positive(days: float, spelled: object, path: Path) -> Iterator[Problem]:
    if days <= 0:
        yield Problem(path, shown(spelled), "a time above 0", "write for example '26 week'")


def check_keep(draft: Draft) -> Iterator[Problem]:
    """Kept trajectories are outputs of the model, within the time that is simulated."""
    keep, plan = draft.keep, draft.schedule
    if keep is None:
        return
    spelled = draft.raw["keep"]
    known = tuple(output.name for output in draft.simulator.outputs) if draft.simulator else None
    for number, name in enumerate(keep.outputs):
        if known is not None and name not in known:
            fix = did_you_mean(name, known, "correct the name")
            yield Problem(("keep", "outputs", number), shown(name), f"an output of the model: {listed(known, 20)}", fix)
    yield from _positive(keep.every, spelled["every"], ("keep", "every"))
    if plan is None:
        return
    end = plan.duration if keep.end is None else keep.end
    if keep.start < -plan.run_in:
        fix = "start later, or lengthen 'schedule.run_in'"
        yield Problem(
            ("keep", "start"), shown(spelled["start"]), f"at least {0.0 - plan.run_in:g} day, the run-in", fix
        )
    if keep.end is not None and keep.end > plan.duration > 0:
        expected = f"at most the duration, {plan.duration:g} day"
        yield Problem(("keep", "end"), shown(spelled["end"]), expected, "end earlier, or leave 'end' out")
    if keep.start >= end > 0:
        yield Problem(
            ("keep", "start"),
            shown(spelled.get("start")),
            f"a time before the end, {end:g} day",
            "start earlier",
        )
