"""Tables of the trial as designed, and of who took part."""

from __future__ import annotations

import numpy as np

from ...trials.protocol import Handling, Protocol
from .contents import RunContents
from .drawing import Cell, Datum, Table
from .numbers import MISSING, axis, days, decimals, fixed, number, p_limit, share

_NAMES = {
    "nh_white": "White, not Hispanic",
    "nh_black": "Black, not Hispanic",
    "nh_asian": "Asian, not Hispanic",
    "nh_other": "Other, not Hispanic",
    "hispanic": "Hispanic",
}


def words(name: str) -> str:
    """A variable's or a level's name as a reader says it."""
    return _NAMES.get(name, name.replace("_", " "))


def arms_table(contents: RunContents) -> Table:
    """What each arm gets; of a real trial the table of data does not say."""
    protocol = contents.protocol
    if not contents.is_simulated:
        return Table("Arms", ("Arm", "Role"), tuple((arm.label, arm.role) for arm in protocol.arms))
    ratio = protocol.allocation.ratio if protocol.allocation else ()
    default = "the model's default"
    rows = []
    for k, arm in enumerate(protocol.arms):
        treatment = "; ".join(f"{words(key)}: {_plain(value)}" for key, value in arm.treatment.items())
        share_of = str(ratio[k]) if k < len(ratio) else MISSING
        rows.append((arm.label, arm.role, treatment or default, p_limit(arm.adherence), share_of))
    return Table("Arms", ("Arm", "Role", "Treatment", "Adherence", "Allocated"), tuple(rows))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{words(str(k))} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(v) for v in value)
    return str(value)


def endpoints_table(protocol: Protocol) -> Table:
    """Endpoints, how they are measured, which way is better."""
    rows = tuple(
        (e.label, e.role, e.measure, _plain(dict(e.settings)) or MISSING, f"{e.direction} is better")
        for e in protocol.endpoints
    )
    return Table("Endpoints", ("Endpoint", "Role", "Measure", "Settings", "Direction"), rows)


def estimands_table(protocol: Protocol) -> Table:
    """Estimands after ICH E9(R1), with a strategy for every intercurrent event."""
    events = {event.name: event for event in protocol.intercurrent_events}

    def said(handling: Handling) -> str:
        label = events[handling.event].label if handling.event in events else handling.event
        return f"{label}: {handling.strategy} ({handling.why})"

    rows = tuple(
        (
            protocol.endpoint(e.endpoint).label,
            e.population,
            e.summary,
            "; ".join(said(h) for h in e.intercurrent_events) or f"none expected: {e.none_expected}",
        )
        for e in protocol.estimands
    )
    columns = ("Variable", "Population", "Summary", "Intercurrent events: strategy (why)")
    return Table("Estimands (ICH E9(R1))", columns, rows)


def events_table(protocol: Protocol) -> Table | None:
    """Assumed dropout and intercurrent events, with where each figure comes from."""
    labels = {arm.name: arm.label for arm in protocol.arms}

    def arms(chosen: tuple[str, ...]) -> str:
        return ", ".join(labels.get(a, a) for a in chosen) or "all arms"

    rows: list[tuple[Cell, ...]] = []
    for event in protocol.intercurrent_events:
        law = f"endpoint {event.endpoint}"
        if event.hazard is not None:
            law = f"{p_limit(event.hazard.probability)} in {days(event.hazard.over)}"
        after = "treatment goes on" if event.then_as is None else f"follows {labels.get(event.then_as, event.then_as)}"
        rows.append((event.label, arms(event.arms), law, after, event.provenance))
    for lost in protocol.dropout:
        law = f"{p_limit(lost.probability)} in {days(lost.over)}"
        rows.append(("Loss to follow-up", arms(lost.arms), law, "missing from then on", lost.provenance))
    columns = ("Event", "Arms", "Probability", "Afterwards", "Provenance")
    return Table("Intercurrent events and dropout, as assumed", columns, tuple(rows)) if rows else None


def rules_table(contents: RunContents) -> Table:
    """Model of each analysis, covariates and decision rule."""
    rows = []
    for analysis in contents.protocol.analyses:
        rule: Cell = "no decision: descriptive"
        if analysis.decision is not None:
            d = analysis.decision
            rule = f"success when P(effect better than {number(d.margin)}) > {p_limit(d.probability)}"
        adjusted = ", ".join(words(name) for name in analysis.adjust) or "nothing"
        label = contents.protocol.endpoint(analysis.endpoint).label
        rows.append((label, analysis.model, adjusted, rule, p_limit(analysis.ci_prob)))
    return Table("Analyses as planned", ("Endpoint", "Model", "Adjusted for", "Decision rule", "Interval"), tuple(rows))


def baseline_table(contents: RunContents, names: tuple[str, ...]) -> Table | None:
    """Baseline by arm: mean (sd) or n (%), with the largest standardised difference between control and another arm."""
    subjects = contents.subjects
    if not names:
        return None
    arm = subjects["arm"].values.astype(str)
    sizes = [int((arm == a.name).sum()) for a in contents.arms]
    rows: list[tuple[Cell, ...]] = [("Subjects", *(Datum(n, f"{n:,}") for n in sizes), "")]
    for name in names:
        if f"covariate_{name}" not in subjects:
            continue
        column = subjects[f"covariate_{name}"]
        label = str(column.attrs.get("long_name") or words(name))
        label = label[0].upper() + label[1:]
        parts = [column.values[arm == a.name] for a in contents.arms]
        if column.dtype.kind in "fiu":
            name_and_unit = axis(label, str(column.attrs.get("units", "")))
            rows.append(_numeric_row(name_and_unit, [np.asarray(part, float) for part in parts]))
        else:
            for level in np.unique(column.values.astype(str)):
                hits = [int((p.astype(str) == level).sum()) for p in parts]
                rates = [h / max(1, n) for h, n in zip(hits, sizes, strict=True)]
                spread = [q * (1 - q) for q in rates]
                cells = [Datum(h, share(h, n)) for h, n in zip(hits, sizes, strict=True)]
                rows.append((f"{label}: {words(level) or 'missing'}", *cells, _largest_difference(rates, spread)))
    columns = ("Variable", *(a.label for a in contents.arms), "Standardised difference")
    note = "Mean (SD) or number (%). Standardised difference: the largest between control and another arm, in pooled "
    note += "standard deviations; with randomisation it is chance."
    return Table("Baseline of the randomised subjects", columns, tuple(rows), note)


def _numeric_row(label: str, parts: list[np.ndarray]) -> tuple[Cell, ...]:
    parts = [p[np.isfinite(p)] for p in parts]
    means = [float(np.mean(p)) if p.size else float("nan") for p in parts]
    sds = [float(np.std(p, ddof=1)) if p.size > 1 else float("nan") for p in parts]
    places = max(1, decimals(max((s for s in sds if np.isfinite(s)), default=1.0)))
    cells = [Datum(m, f"{fixed(m, places)} ({fixed(s, places)})") for m, s in zip(means, sds, strict=True)]
    return (label, *cells, _largest_difference(means, [sd**2 for sd in sds]))


def _largest_difference(means: list[float], variances: list[float]) -> Cell:
    """The largest difference from the first arm in pooled standard deviations; none where nothing varies."""
    found = []
    for mean, variance in zip(means[1:], variances[1:], strict=True):
        pooled = np.sqrt((variances[0] + variance) / 2)
        if mean == means[0]:
            found.append(0.0)
        else:
            found.append((mean - means[0]) / pooled if pooled > 0 else np.nan)
    largest = float(max(found, key=abs))
    return Datum(largest, fixed(largest, 2)) if np.isfinite(found).all() else MISSING
