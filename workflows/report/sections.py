"""The sections of the report, in reading order; a section without content is left out."""

from __future__ import annotations

from ...trials.protocol import Protocol
from .blocks import Block, Box, Command, Facts, Gallery, Heading, Listing, Section, Tables, Text
from .checks import check_picture, check_tables, prior_check_tables
from .contents import RunContents
from .design import arms_table, baseline_table, endpoints_table, estimands_table, events_table, rules_table
from .drawing import Cell, Datum, Picture, Table
from .flow import flow_picture
from .numbers import days, decimals, fixed, interval, number, p_limit, with_unit
from .participants import flow_of, ledger_table
from .pictures import (
    individual_picture,
    kept_pictures,
    posterior_picture,
    survival_pictures,
    visit_pictures,
    waterfall_pictures,
)
from .published import published_tables
from .sources import model_of, parameter_tables, population_limits
from .subgroups import subgroup_picture
from .tables import arms_summary, gates_table, priors_table, results_table, summary_table

WITHHELD = Box(
    "A gate failed: no efficacy statement",
    "No effect, probability or decision of any analysis is printed in this report. The failed gates stand at its head, "
    "all gates under Diagnostics.",
    "bad",
)


def sections(contents: RunContents) -> tuple[Section, ...]:
    """All sections that have something to say."""
    made = (
        _design(contents),
        _participants(contents),
        _results(contents),
        _courses(contents),
        _subgroups(contents),
        _published(contents),
        _diagnostics(contents),
        _numbers(contents),
        _limits(contents),
        _record(contents),
    )
    return tuple(s for s in made if s is not None)


def _design(contents: RunContents) -> Section:
    protocol = contents.protocol
    events = events_table(protocol) if contents.is_simulated else None
    tables = (
        arms_table(contents),
        endpoints_table(protocol),
        estimands_table(protocol),
        *((events,) if events else ()),
        rules_table(contents),
    )
    return Section("design", "The trial", "The trial", (Facts(_facts(contents)), Tables(tables)))


def _facts(contents: RunContents) -> tuple[tuple[str, Cell], ...]:
    protocol = contents.protocol
    if not contents.is_simulated:
        return (("Subjects in the table", f"{contents.subjects.sizes['subject']:,}"),)
    facts: list[tuple[str, Cell]] = []
    if protocol.model is not None:
        facts.append(("Model", protocol.model.name))
    if protocol.population is not None:
        rules = "; ".join(rule.rule for rule in protocol.population.eligibility) or "none"
        facts += [("Population", protocol.population.name), ("Eligibility", rules)]
        simulated = "; ".join(rule.rule for rule in protocol.population.plausible_baseline)
        if simulated:
            facts.append(("Plausible at baseline", simulated))
        facts.append(("Twins in the bank", f"{protocol.population.twins:,}"))
    if protocol.subjects is not None:
        facts.append(("Subjects of the trial", f"{protocol.subjects:,}"))
    allocation = protocol.allocation
    if allocation is not None:
        text = f"{allocation.method.replace('-', ' ')}, {':'.join(map(str, allocation.ratio))}"
        text += f", blocks of {allocation.block}" if allocation.block else ""
        text += f", stratified by {', '.join(allocation.strata)}" if allocation.strata else ""
        facts.append(("Allocation", text))
    if protocol.schedule is not None:
        timing = protocol.schedule
        if timing.run_in:
            facts.append(("Run-in", days(timing.run_in)))
        facts.append(("Follow-up", days(timing.duration)))
        facts.append(("Visits", ", ".join(visit.name for visit in timing.visits) or "none"))
    return tuple(facts)


def _participants(contents: RunContents) -> Section:
    blocks: list[Block] = []
    if contents.is_simulated:
        blocks.append(
            Text("Twins are virtual. Each is simulated in every arm; randomisation picks the one that is observed.")
        )
    blocks.append(Gallery((flow_picture("fig-flow", flow_of(contents)),)))
    blocks += [Text(note, "note") for note in contents.notes]
    if contents.ledger:
        blocks.append(Tables((ledger_table(contents),), "Attrition ledger, every row"))
    baseline = baseline_table(contents, contents.protocol.baseline_table)
    if baseline is not None:
        blocks += [Heading("Baseline"), Tables((baseline,))]
    return Section("participants", "Participants", "Participants", tuple(blocks))


def _results(contents: RunContents) -> Section:
    blocks: list[Block] = []
    observed = tuple(arms_summary(r) for r in contents.analyses)
    if not contents.passed:
        blocks.append(WITHHELD)
    else:
        shown = [r for r in contents.analyses if r.endpoint.role in {"primary", "safety"}]
        pictures = tuple(posterior_picture(r) for r in shown)
        blocks += [Heading("Primary and safety endpoints"), Gallery(pictures)]
        blocks += [Heading("Every analysis"), Tables((results_table(contents.analyses),))]
        blocks += _truth(contents)
    if observed:
        blocks.append(Tables(observed, "Observed in each arm (descriptive)"))
    return Section("results", "Results", "Results", tuple(blocks))


def _truth(contents: RunContents) -> list[Block]:
    """The trial's estimate beside the effect over all twins, and the effects of single twins."""
    rows: list[tuple[Cell, ...]] = []
    pictures: list[Picture] = []
    for r in contents.analyses:
        truth = r.truth
        if truth is None:
            continue
        low, middle, high = r.interval
        places = decimals((high - low) / 4)
        value, error = truth.value * r.scale, truth.error * r.scale
        digits = max(places, decimals(error)) if error > 0 else places
        unit = f" ({with_unit('', r.unit).strip()})" if with_unit("", r.unit).strip() else ""
        rows.append(
            (
                r.endpoint.label,
                r.summary + unit,
                Datum(middle / r.scale, fixed(middle, places)),
                interval(low, high, places),
                Datum(truth.value, fixed(value, digits)),
                Datum(truth.error, fixed(error, digits)),
                "inside" if low <= value <= high else "outside",
            )
        )
        if r.endpoint.role == "primary" and (picture := individual_picture(r)) is not None:
            pictures.append(picture)
    if not rows:
        return []
    trial = ("Trial: median", "Trial: interval")
    columns = ("Endpoint", "Effect", *trial, "True in the bank", "Bank error", "Truth in the interval")
    table = Table("The trial's estimate and the true effect in the bank", columns, tuple(rows))
    text = (
        "Because every twin is simulated under both arms, the effect over the whole bank is known up to its bank error "
        "(the standard error over twins). It is the truth of the model, not of the world: it holds neither parameter "
        "uncertainty nor model discrepancy."
    )
    blocks: list[Block] = [Heading("Estimate and truth"), Text(text), Tables((table,))]
    return [*blocks, Gallery(tuple(pictures))] if pictures else blocks


def _courses(contents: RunContents) -> Section | None:
    pictures = (
        *survival_pictures(contents),
        *visit_pictures(contents, ("primary", "safety")),
        *waterfall_pictures(contents),
        *kept_pictures(contents),
    )
    if not pictures:
        return None
    return Section("courses", "Course over time", "Course over time", (Gallery(pictures),))


def _subgroups(contents: RunContents) -> Section | None:
    primary = contents.primary
    if primary is None or not contents.passed:
        return None
    picture = subgroup_picture(contents, primary, "fig-subgroups")
    if picture is None:
        return None
    return Section("subgroups", "Subgroups", "Subgroups", (Gallery((picture,)),))


def _published(contents: RunContents) -> Section | None:
    tables = published_tables(contents)
    if not tables:
        return None
    text = "What the trial's authors published, beside the same figures computed from the table of data."
    if contents.is_simulated:
        text = (
            "Calibration: the published figure set a parameter of the model, so agreement is fit. Validation: the "
            "figure was not used, so agreement is prediction. Met or missed refers to the range that the "
            "protocol accepts; where it sets none, the difference is given."
        )
    return Section("published", "Beside the published trial", "Published trial", (Text(text), Tables(tables)))


def _diagnostics(contents: RunContents) -> Section:
    blocks: list[Block] = [Tables((gates_table(contents.analyses),))]
    blocks.append(Tables(tuple(summary_table(r) for r in contents.analyses), "Posterior of every monitored quantity"))
    first = contents.primary
    blocks.append(Heading("Priors"))
    if first is not None:
        blocks.append(Tables((priors_table(first),)))
    others = tuple(priors_table(r) for r in contents.analyses if first is None or r.name != first.name)
    if others:
        blocks.append(Tables(others, "Priors of the other analyses"))
    flags = tuple(f"{r.endpoint.label}: {flag}" for r in contents.analyses for flag in r.fit.flags)
    if flags:
        blocks += [Heading("Flags"), Text("Worth a look; no flag decides anything."), Listing(flags)]
    checks = check_tables(contents)
    if checks:
        text = "Summaries of the observed data beside those of data replicated from the posterior of each analysis."
        blocks += [Heading("Posterior predictive checks"), Text(text)]
        picture = check_picture(first) if first is not None else None
        blocks += [Gallery((picture,))] if picture is not None else []
        blocks += [Tables(checks, "Posterior predictive checks, every analysis")]
    before = prior_check_tables(contents)
    if before:
        blocks.append(Tables(before, "Prior predictive checks, every analysis"))
    return Section("diagnostics", "Diagnostics", "Diagnostics", tuple(blocks))


def _numbers(contents: RunContents) -> Section | None:
    if not contents.is_simulated:
        return None
    weak, firm, counts = parameter_tables(contents)
    blocks: list[Block] = [Text(f"Every parameter of the model and every variable of the population: {counts}.")]
    if weak.rows:
        blocks.append(Tables((weak,)))
    blocks.append(Tables((firm,), f"{len(firm.rows)} values read in a source or derived from one"))
    return Section("numbers", "Every number that went in", "Numbers that went in", tuple(blocks))


def _limits(contents: RunContents) -> Section:
    model = model_of(contents) if contents.is_simulated else None
    items = []
    if model is None:
        items += _limits_of_table(contents.protocol)
    else:
        items.append(f"Model ({model.title}): {model.limits}")
        items += population_limits(contents)
        items.append(
            "The intervals hold the sampling error of a trial of this size. They do not hold the uncertainty of the "
            "model's parameters, nor the distance between the model and the world."
        )
        items.append(
            "A simulated trial supports the planning and interpretation of trials in people; it replaces none."
        )
    items.append(
        "Subjects without an observed outcome are left out: missing at random given arm and covariates is assumed."
    )
    return Section("limits", "Limits", "Limits", (Listing(tuple(items)),))


def _limits_of_table(protocol: Protocol) -> list[str]:
    items = ["The table is taken as it stands: this page knows nothing of how the data were collected or cleaned."]
    if protocol.intercurrent_events:
        items.append(
            "The strategies for intercurrent events are not applied to it; its outcomes must already be those of the "
            "estimand."
        )
    return items


def _record(contents: RunContents) -> Section:
    from markupsafe import Markup

    protocol = contents.protocol
    digests = {"Protocol": protocol.digest, **dict(contents.digests)}
    facts: list[tuple[str, Cell]] = [("Seed", str(protocol.seed))]
    shown = Markup('<span class="digest">{}</span>')
    facts += [(f"Digest: {name}", shown.format(value)) for name, value in digests.items()]
    facts += [(name, value) for name, value in contents.environment.items()]
    blocks: list[Block] = [Facts(tuple(facts))]
    if contents.is_simulated:
        s = protocol.solver
        text = (
            f"Solver: relative tolerance {number(s.rtol)}, absolute {number(s.atol)}, {s.max_steps:,} steps at most; "
        )
        blocks.append(Text(f"{text}no analysis is run when more than {p_limit(s.failure_limit)} of twins fail."))
    if contents.command:
        same = "protocol" if contents.is_simulated else "table, protocol"
        blocks += [
            Heading("How to reproduce"),
            Command(contents.command),
            Text(f"The same {same}, seed and versions give the same bytes on any number of workers."),
        ]
    if contents.protocol_text:
        blocks.append(Command(contents.protocol_text, "The protocol, word for word"))
    return Section("record", "Record", "Record", tuple(blocks))
