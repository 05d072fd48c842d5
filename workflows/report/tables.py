"""Tables of results: observed, posterior, gates, priors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ...models.units import quantity
from .contents import Result
from .design import words
from .drawing import Cell, Datum, Table
from .numbers import MISSING, axis, decimals, fixed, interval, number, p_limit, probability, share, unit_text

if TYPE_CHECKING:
    from ...trials.analysis.data import AnalysisData
    from ...trials.analysis.diagnostics import Gate


def results_table(results: Iterable[Result]) -> Table:
    """Every analysis with its effect, interval, probability and decision."""
    results = tuple(results)
    rows = []
    for r in results:
        low, middle, high = r.interval
        places = decimals(float(np.std(r.draws)))
        decided = r.decision.outcome if r.decision is not None else "no rule"
        rows.append(
            (
                r.endpoint.label,
                r.endpoint.role,
                axis(r.summary, r.unit),
                Datum(middle / r.scale, fixed(middle, places)),
                interval(low, high, places),
                Datum(r.better, probability(r.better)),
                decided,
            )
        )
    probabilities = ", ".join(dict.fromkeys(p_limit(r.analysis.ci_prob) for r in results))
    columns = (
        "Endpoint",
        "Role",
        "Effect",
        "Median",
        f"Credible interval ({probabilities})",
        "P(favours treatment)",
        "Decision",
    )
    note = (
        "Effects are experimental arm against control. P(favours treatment): posterior probability that the effect is "
    )
    return Table("All analyses", columns, tuple(rows), note + "on the better side of no difference.")


def gates_table(results: Iterable[Result]) -> Table:
    """Every gate of every analysis: one row an analysis, one column a gate, its limit at the head."""
    results = tuple(results)
    limits = {gate.name: gate.limit for r in results for gate in r.fit.gates}
    rows: list[tuple[Cell, ...]] = []
    for r in results:
        values = {gate.name: gate for gate in r.fit.gates}
        cells = [_gate_cell(values[name]) if name in values else MISSING for name in limits]
        rows.append((r.endpoint.label, *cells, "passed" if r.passed else "FAILED"))
    marks = tuple((k, "fail") for k, r in enumerate(results) if not r.passed)
    columns = ("Analysis", *(f"{name} ({limit})" for name, limit in limits.items()), "Outcome")
    return Table("Diagnostic gates", columns, tuple(rows), marks=marks)


def failed_gates_table(results: Iterable[Result]) -> Table:
    """The gates that failed, one row each."""
    rows = tuple(
        (r.endpoint.label, gate.name, _gate_cell(gate), gate.limit, "FAILED")
        for r in results
        for gate in r.fit.gates
        if not gate.passed
    )
    marks = tuple((k, "fail") for k in range(len(rows)))
    return Table("Gates that failed", ("Analysis", "Gate", "Value", "Limit", "Outcome"), rows, marks=marks)


def _gate_cell(gate: Gate) -> Cell:
    value = float(gate.value)
    return Datum(value, number(value, 4) + ("" if gate.passed else " ✗"))


def priors_table(result: Result) -> Table:
    """Every prior of one analysis, whether stated in the protocol or taken from the catalogue."""
    rows = tuple(
        (words(name), str(text), "protocol" if name in result.analysis.priors else "catalogue")
        for name, text in dict(result.fit.priors).items()
    )
    return Table(f"{result.endpoint.label}: priors", ("Parameter", "Prior", "From"), rows)


def arms_summary(result: Result) -> Table:
    """What was observed in each arm of one analysis: descriptive."""
    data = result.contents.data[result.name]
    labels = {a.name: a.label for a in result.contents.protocol.arms}
    columns: dict[str, Cell] = {}
    rows = []
    for place, name in enumerate(data.arms):
        own = data.treated == place
        columns = {"Arm": labels[name], "Subjects": _count(own.sum()), **_observed(data, own)}
        rows.append(tuple(columns.values()))
    note = f"{data.n_missing} subjects were left out because nothing was observed." if data.n_missing else ""
    return Table(f"{result.endpoint.label}: observed", tuple(columns), tuple(rows), note)


def _count(value: float) -> Datum:
    return Datum(float(value), f"{float(value):,.0f}")


def _observed(data: AnalysisData, own: np.ndarray) -> dict[str, Cell]:
    """Summaries of some subjects by the kind of the endpoint."""
    y = np.asarray(data.y[own], dtype=float)
    if data.event is not None:
        years = quantity(f"{float(y.sum())!r} {data.unit}", "year")
        follow_up = Datum(years, fixed(years, 1))
        return {"Events": _count(data.event[own].sum()), "Follow-up (subject years)": follow_up}
    if data.exposure is not None:
        weeks = float(data.exposure[own].sum()) / 7
        rate = float(y.sum()) / weeks
        return {
            "Events": _count(y.sum()),
            "Follow-up (subject weeks)": _count(weeks),
            "Events per subject and week": Datum(rate, number(rate)),
        }
    if data.kind == "binary":
        return {"With the outcome": Datum(float(y.sum()), share(float(y.sum()), y.size))}
    places = decimals(float(np.std(y)))
    low, middle, high = (float(q) for q in np.quantile(y, [0.25, 0.5, 0.75]))
    mean, sd = float(y.mean()), float(np.std(y, ddof=1)) if y.size > 1 else float("nan")
    return {
        axis("Mean", data.unit): Datum(mean, fixed(mean, places)),
        "SD": Datum(sd, fixed(sd, places)),
        "Median": Datum(middle, fixed(middle, places)),
        "25 to 75 %": interval(low, high, places),
    }


def summary_table(result: Result) -> Table:
    """Posterior of every monitored quantity with its diagnostics; effects are withheld where a gate failed."""
    shown = result.contents.passed
    rows = []
    for row in result.fit.summary:
        cells: list[Cell] = [row.name]
        if shown:
            places = decimals(row.sd)
            cells += [Datum(row.mean, fixed(row.mean, places)), Datum(row.sd, fixed(row.sd, places))]
            cells += [
                interval(row.eti_low, row.eti_high, places),
                unit_text(row.unit),
                Datum(row.mcse, number(row.mcse, 2)),
            ]
        cells += [Datum(row.r_hat, fixed(row.r_hat, 4))]
        cells += [Datum(size, f"{size:,.0f}") for size in (row.ess_bulk, row.ess_tail)]
        rows.append(tuple(cells))
    values_ = ("Mean", "SD", f"Interval ({p_limit(result.analysis.ci_prob)})", "Unit", "MCSE") if shown else ()
    columns = ("Quantity", *values_, "R-hat", "Bulk ESS", "Tail ESS")
    note = "" if shown else "Estimates are withheld: a gate failed."
    return Table(f"{result.endpoint.label}: posterior", columns, tuple(rows), note)


def effect_text(result: Result) -> str:
    """The effect and its unit as one phrase: `11.2 points`."""
    _, middle, _ = result.interval
    text = fixed(middle, decimals(float(np.std(result.draws))))
    unit = unit_text(result.unit)
    return f"{text} {unit}" if unit else text
