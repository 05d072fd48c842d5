"""What must agree in the evidence of a protocol: endpoints, estimands, analyses, published figures, data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from ..models.problems import Path, Problem, did_you_mean, listed, shown
from . import catalogue
from .design_checks import check_variable, check_words, variables
from .draft import Draft, find_named, repeated, unknown
from .field_checks import read_part
from .protocol import Analysis, Estimand

KINDS = ("continuous", "binary", "count", "time-to-event")
MODELS_OF_KIND = {
    "continuous": ("continuous",),
    "binary": ("binary",),
    "count": ("count",),
    "time-to-event": ("piecewise-exponential", "weibull"),
}
SUMMARY_OF_KIND = {
    "continuous": "difference in means",
    "binary": "risk difference",
    "count": "rate ratio",
    "time-to-event": "hazard ratio",
}
RESERVED = ("status", "failed_at")  # variables of the outcomes beside the endpoints


@dataclass(frozen=True)
class Measured:
    """What is known of an endpoint that could be read."""

    kind: str
    has_baseline: bool
    is_whole: bool  # one value for the whole follow-up, not one a visit


def check_evidence(draft: Draft) -> Iterator[Problem]:
    """Everything of this module, in the order of a protocol file."""
    kinds: dict[str, Measured] = {}
    yield from check_endpoints(draft, kinds)
    yield from check_event_endpoints(draft, kinds)
    yield from check_estimands(draft, kinds)
    yield from check_analyses(draft, kinds)
    yield from check_published(draft)
    yield from check_data(draft)


def check_endpoints(draft: Draft, kinds: dict[str, Measured]) -> Iterator[Problem]:
    """Names differ, measures exist and read what the model gives; fills `kinds` by endpoint name."""
    yield from repeated(draft, "endpoints")
    yield from _clashing(draft)
    for number, endpoint in draft.endpoints.items():
        path: Path = ("endpoints", number)
        yield from check_words(endpoint.label, (*path, "label"), "the endpoint's label")
        if draft.is_simulated():
            measured, problems = _simulated(draft, number)
        else:
            measured, problems = _recorded(draft, number)
        yield from problems
        if measured is not None:
            kinds.setdefault(endpoint.name, measured)
    if draft.is_whole("endpoints") and all(e.role != "primary" for e in draft.endpoints.values()):
        yield Problem(("endpoints",), "no primary endpoint", "at least one", "give an endpoint 'role: primary'")


def _recorded(draft: Draft, number: int) -> tuple[Measured | None, list[Problem]]:
    """An endpoint that is a column of a real trial's table; its measure is the kind itself."""
    endpoint, path = draft.endpoints[number], ("endpoints", number, "measure")
    if endpoint.measure not in KINDS:
        fix = did_you_mean(endpoint.measure, KINDS, "write what the table's column holds")
        expected = f"with real data alone, one of {listed(KINDS)}"
        return None, [Problem(path, shown(endpoint.measure), expected, fix)]
    column = draft.data.endpoints.get(endpoint.name) if draft.data else None
    return Measured(endpoint.measure, column is None or column.baseline is not None, False), []


def _simulated(draft: Draft, number: int) -> tuple[Measured | None, list[Problem]]:
    """An endpoint measured on trajectories, and what is wrong with its measure or settings."""
    endpoint, path = draft.endpoints[number], ("endpoints", number)
    measure, problems = find_named(catalogue.measure_named, endpoint.measure, (*path, "measure"), "measure")
    if measure is None:
        return None, problems
    settings, problems = read_part(measure.Settings, endpoint.settings, (*path, "settings"))
    if settings is not None and draft.simulator is not None:
        known = tuple(output.name for output in draft.simulator.outputs)
        for name in measure.reads(settings):
            if name not in known:
                at = _place_of(name, endpoint.settings, (*path, "settings"))
                fix = did_you_mean(name, known, "name an output of the model, or use another measure")
                expected = f"an output of the model: {listed(known, 20)}"
                problems.append(Problem(at or (*path, "measure"), shown(name), expected, fix))
    is_whole = not getattr(measure, "PER_VISIT", False)
    has_run_in = draft.schedule is None or draft.schedule.run_in > 0
    return Measured(str(measure.KIND), has_run_in and not is_whole, is_whole), problems


def _place_of(name: str, settings: Mapping[str, object], path: Path) -> Path | None:
    """Where in the settings an output is named; None where the measure itself chose it."""
    return next(((*path, key) for key, value in settings.items() if value == name), None)


def _clashing(draft: Draft) -> Iterator[Problem]:
    """Endpoints become variables of one data set: - as _, beside `<name>_event` and `<name>_exposure`."""
    taken: dict[str, str] = {name: "a variable that every run holds" for name in RESERVED}
    for number, name in draft.named("endpoints"):
        variable = name.replace("-", "_")
        same = taken.get(variable)
        if same is not None and same != f"endpoint '{name}'":  # `repeated` says the latter
            yield Problem(("endpoints", number, "name"), shown(name), f"a name unlike {same}", "rename the endpoint")
        for word in (variable, f"{variable}_event", f"{variable}_exposure"):
            taken.setdefault(word, f"endpoint '{name}'")


def check_event_endpoints(draft: Draft, kinds: Mapping[str, Measured]) -> Iterator[Problem]:
    """An intercurrent event that comes from the simulation is a time-to-event endpoint."""
    known = draft.names("endpoints")
    whole = [name for name, measured in kinds.items() if measured.is_whole]
    for number, event in draft.intercurrent_events.items():
        path: Path = ("intercurrent_events", number, "endpoint")
        if event.then_as is not None and whole:
            fix = f"remove 'then_as', or {listed(whole, 3)}, of one value for the whole follow-up"
            expected = "'then_as' only with endpoints of one value a visit"
            place = ("intercurrent_events", number, "then_as")
            yield Problem(place, shown(event.then_as), expected, fix, on_key=True)
        if event.endpoint is None:
            continue
        if event.endpoint not in known:
            yield unknown(path, event.endpoint, known, "an endpoint")
        elif event.endpoint in kinds and kinds[event.endpoint].kind != "time-to-event":
            got = f"'{event.endpoint}', which is {kinds[event.endpoint].kind}"
            yield Problem(path, got, "a time-to-event endpoint", "name one, or give the event a 'hazard'")


def check_estimands(draft: Draft, kinds: Mapping[str, Measured]) -> Iterator[Problem]:
    """Each primary endpoint has one estimand, and every estimand answers for every intercurrent event."""
    yield from repeated(draft, "estimands")
    known = draft.names("endpoints")
    for number, estimand in draft.estimands.items():
        path: Path = ("estimands", number)
        if estimand.endpoint not in known:
            yield unknown((*path, "endpoint"), estimand.endpoint, known, "an endpoint")
        kind = _kind(kinds, estimand.endpoint)
        if kind in SUMMARY_OF_KIND and estimand.summary != SUMMARY_OF_KIND[kind]:
            expected = f"'{SUMMARY_OF_KIND[kind]}', since '{estimand.endpoint}' is of kind {kind}"
            yield Problem((*path, "summary"), shown(estimand.summary), expected, f"write '{SUMMARY_OF_KIND[kind]}'")
        yield from check_words(estimand.population, (*path, "population"), "whom the estimand is about")
        yield from _handled(draft, estimand, path, kind)
    is_known = all(estimand.endpoint in known for estimand in draft.estimands.values())
    if not (draft.is_whole("estimands") and draft.is_whole("endpoints") and is_known):
        return
    for number, endpoint in draft.endpoints.items():
        count = sum(e.endpoint == endpoint.name for e in draft.estimands.values())
        if endpoint.role == "primary" and count != 1:
            fix = "add one under 'estimands:'" if count == 0 else "keep one, or make the other a secondary endpoint"
            got = f"{count} estimands for '{endpoint.name}'"
            yield Problem(("endpoints", number), got, "exactly one for a primary endpoint", fix)


def _handled(draft: Draft, estimand: Estimand, path: Path, kind: str) -> Iterator[Problem]:
    events, seen = draft.names("intercurrent_events"), set[str]()
    for number, handling in enumerate(estimand.intercurrent_events):
        place = (*path, "intercurrent_events", number)
        if handling.event not in events:
            yield unknown((*place, "event"), handling.event, events, "an intercurrent event")
        if handling.event in seen:
            yield Problem((*place, "event"), shown(handling.event), "one strategy for each event", "remove one")
        seen.add(handling.event)
        if handling.strategy == "composite" and kind in ("continuous", "count"):
            fix = f"'{estimand.endpoint}' is of kind {kind}: write another strategy, or use a binary endpoint"
            expected = "'composite' only for binary and time-to-event endpoints"
            yield Problem((*place, "strategy"), shown(handling.strategy), expected, fix)
        yield from check_words(handling.why, (*place, "why"), "the reason for the strategy")
    missing = [event for event in dict.fromkeys(events) if event not in seen]
    if missing and seen <= set(events):
        fix = f"add '- {{event: {missing[0]}, strategy: treatment-policy, why: …}}'"
        got, place = f"no strategy for {listed(missing)}", (*path, "intercurrent_events")
        yield Problem(place, got, "a strategy for each intercurrent event of the protocol", fix)
    if events and estimand.none_expected is not None:
        expected = "'none_expected' only where the protocol has no intercurrent events"
        yield Problem((*path, "none_expected"), "events all the same", expected, "remove it", on_key=True)
    if not events and draft.is_whole("intercurrent_events"):
        said = estimand.none_expected
        if said is None or not said.strip():
            expected = "strategies, or 'none_expected' with a reason"
            fix = "add the events, or 'none_expected: because …'"
            yield Problem((*path, "none_expected"), "no intercurrent events", expected, fix)


def check_analyses(draft: Draft, kinds: Mapping[str, Measured]) -> Iterator[Problem]:
    """Each analysis fits its endpoint and estimand; each primary endpoint has a decision."""
    first: dict[str, int] = {}
    for number, analysis in draft.analyses.items():
        path: Path = ("analyses", number)
        if analysis.endpoint not in draft.names("endpoints"):
            yield unknown((*path, "endpoint"), analysis.endpoint, draft.names("endpoints"), "an endpoint")
        elif analysis.endpoint in first:
            fix = f"remove one; the first is analyses[{first[analysis.endpoint]}]"
            yield Problem((*path, "endpoint"), shown(analysis.endpoint), "one analysis for each endpoint", fix)
        first.setdefault(analysis.endpoint, number)
        kind = _kind(kinds, analysis.endpoint)
        fitting = MODELS_OF_KIND.get(kind, ())
        if fitting and analysis.model not in fitting:
            expected = f"{' or '.join(map(repr, fitting))}, since '{analysis.endpoint}' is of kind {kind}"
            yield Problem((*path, "model"), shown(analysis.model), expected, f"write '{fitting[0]}'")
        yield from _estimand_of(draft, analysis, path)
        yield from _adjusted(draft, analysis, path, kinds.get(analysis.endpoint))
        yield from _priors(analysis, path)
        yield from _decision(analysis, path, kind)
    is_known = set(first) <= set(draft.names("endpoints"))
    if not (draft.is_whole("analyses") and draft.is_whole("endpoints") and is_known):
        return
    decided = {analysis.endpoint for analysis in draft.analyses.values() if analysis.decision}
    for number, endpoint in draft.endpoints.items():
        if endpoint.role == "primary" and endpoint.name not in decided:
            fix = "add 'decision: {margin: 0, probability: 0.975}' to its analysis"
            got = f"no analysis of '{endpoint.name}' with a decision"
            yield Problem(("endpoints", number), got, "one for a primary endpoint", fix)


def _estimand_of(draft: Draft, analysis: Analysis, path: Path) -> Iterator[Problem]:
    if analysis.estimand is None:
        return
    if analysis.estimand not in draft.names("estimands"):
        yield unknown((*path, "estimand"), analysis.estimand, draft.names("estimands"), "an estimand")
        return
    for estimand in draft.estimands.values():
        is_known = {estimand.endpoint, analysis.endpoint} <= set(draft.names("endpoints"))
        if estimand.name == analysis.estimand and estimand.endpoint != analysis.endpoint and is_known:
            expected = f"an estimand of '{analysis.endpoint}'"
            fix = f"this one is of '{estimand.endpoint}'; name another, or add one"
            yield Problem((*path, "estimand"), shown(analysis.estimand), expected, fix)


def _adjusted(draft: Draft, analysis: Analysis, path: Path, measured: Measured | None) -> Iterator[Problem]:
    """Covariates are variables of the population, or `baseline`: the endpoint itself before treatment."""
    known = variables(draft)
    for number, name in enumerate(analysis.adjust):
        place = (*path, "adjust", number)
        if name in analysis.adjust[:number]:
            yield Problem(place, shown(name), "each covariate once", "remove one")
        elif name != "baseline":
            yield from check_variable(name, place, (*known, "baseline") if known is not None else None)
        elif measured is not None and not measured.has_baseline:
            fix = "remove it, or add a run-in to the schedule" if not measured.is_whole else "remove it"
            yield Problem(place, "'baseline'", "an endpoint with a value before randomisation", fix)


def _kind(kinds: Mapping[str, Measured], name: str) -> str:
    """The kind of an endpoint; empty where something else is wrong with it."""
    return kinds[name].kind if name in kinds else ""


def _priors(analysis: Analysis, path: Path) -> Iterator[Problem]:
    known = catalogue.prior_names(analysis.model)
    for name, prior in analysis.priors.items():
        place = (*path, "priors", name)
        if known is not None and name not in known:
            expected = f"a prior of the {analysis.model} analysis: {listed(known)}"
            yield Problem(place, shown(name), expected, did_you_mean(name, known, "correct the name"), on_key=True)
        forms = [form for form in type(prior).model_fields if getattr(prior, form) is not None]
        if len(forms) != 1:
            expected = f"exactly one of {listed(type(prior).model_fields)}"
            yield Problem(place, listed(forms), expected, "write for example 'normal: [0, 1]'")


def _decision(analysis: Analysis, path: Path, kind: str) -> Iterator[Problem]:
    if analysis.decision is None:
        return
    margin, place = analysis.decision.margin, (*path, "decision", "margin")
    if kind in ("count", "time-to-event") and margin <= 0:
        expected = f"more than 0, since the effect is a {SUMMARY_OF_KIND[kind]}"
        yield Problem(place, f"{margin:g}", expected, "write 1 for 'no difference'")
    if kind == "binary" and not -1 < margin < 1:
        expected = "between -1 and 1, since the effect is a risk difference"
        yield Problem(place, f"{margin:g}", expected, "write it as a proportion, like 0.05 for 5 points")


def check_published(draft: Draft) -> Iterator[Problem]:
    """Published figures belong to endpoints and arms of the protocol; their intervals have ends in order."""
    arms, endpoints = draft.names("arms"), draft.names("endpoints")
    for number, published in draft.published.items():
        for place, value in enumerate(published.values):
            path: Path = ("published", number, "values", place)
            if value.endpoint not in endpoints:
                yield unknown((*path, "endpoint"), value.endpoint, endpoints, "an endpoint")
            if value.arm is not None and value.arm not in arms:
                yield unknown((*path, "arm"), value.arm, arms, "an arm")
            if value.quantity == "effect" and value.arm is not None:
                fix = "remove 'arm', or write another quantity"
                yield Problem((*path, "arm"), shown(value.arm), "no arm: an effect compares two", fix)
            if value.quantity != "effect" and value.arm is None:
                yield Problem((*path, "arm"), "nothing", f"the arm whose {value.quantity} it is", "add 'arm: …'")
            for key, pair in (("ci95", value.ci95), ("accept", value.accept)):
                if pair is not None and not pair[0] < pair[1]:
                    got = f"[{pair[0]:g}, {pair[1]:g}]"
                    yield Problem((*path, key), got, "the lower end first", f"write [{pair[1]:g}, {pair[0]:g}]")


def check_data(draft: Draft) -> Iterator[Problem]:
    """The columns of a real trial are mapped to arms and endpoints of the protocol."""
    if draft.data is None:
        return
    table = PurePath(draft.data.table or "")
    if table.is_absolute() or ".." in table.parts:
        expected = "a path inside the folder of the protocol"
        yield Problem(("data", "table"), shown(draft.data.table), expected, "give any other file with --data")
    arms, endpoints = draft.names("arms"), draft.names("endpoints")
    for word, arm in draft.data.arms.items():
        if arm not in arms:
            yield unknown(("data", "arms", word), arm, arms, "an arm")
    for arm in arms:
        if arm not in draft.data.arms.values():
            fix = f"add '<word in the table>: {arm}'"
            yield Problem(("data", "arms"), f"no word for the arm '{arm}'", "one or more for each arm", fix)
    for name in draft.data.endpoints:
        if name not in endpoints:
            problem = unknown(("data", "endpoints", name), name, endpoints, "an endpoint")
            yield Problem(problem.path, problem.got, problem.expected, problem.fix, on_key=True)
    for endpoint in draft.endpoints.values():
        if endpoint.role == "primary" and endpoint.name not in draft.data.endpoints:
            fix = f"add '{endpoint.name}: {{value: <column>}}' under 'data.endpoints'"
            yield Problem(
                ("data", "endpoints"),
                f"no column for '{endpoint.name}'",
                "one for each primary endpoint",
                fix,
            )
