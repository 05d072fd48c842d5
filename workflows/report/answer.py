"""The headline: one honest sentence, or what stands in its place when a gate has failed."""

from __future__ import annotations

import numpy as np

from .blocks import Tile, Tone
from .contents import Result, RunContents
from .drawing import Datum, Table
from .numbers import NBSP, decimals, fixed, interval, number, p_limit, probability, unit_text, with_unit
from .tables import effect_text, failed_gates_table


def answer(contents: RunContents) -> tuple[str, Tone]:
    """The answer to the question of the protocol, and its tone."""
    bad = [r for r in contents.analyses if not r.passed]
    if bad:
        count = sum(not gate.passed for r in bad for gate in r.fit.gates)
        gates = "A gate failed" if count == 1 else f"{count} gates failed"
        names = ", ".join(r.endpoint.label for r in bad)
        return f"{gates}: no efficacy statement. The posterior of {names} cannot be relied on; see the table.", "bad"
    primary = contents.primary
    if primary is None:
        return "No analysis of a primary endpoint was made: no efficacy statement.", "open"
    return _statement(primary), tone_of(primary)


def tone_of(result: Result) -> Tone:
    """Green only for a decided success."""
    return "good" if result.decision is not None and result.decision.outcome == "success" else "plain"


def _statement(r: Result) -> str:
    contents = r.contents
    low, _, high = r.interval
    places = decimals(float(np.std(r.draws)))
    data = contents.data[r.name]
    arms = {a.name: a.label for a in contents.protocol.arms}
    control, treated = (arms[name] for name in data.arms)
    kind = "this simulated trial" if contents.is_simulated else "this trial"
    effect = (
        f"In {kind} of {data.n:,} analysed subjects, {treated} against {control} gave a {r.summary} in "
        f"“{r.endpoint.label}” of {effect_text(r)} ({p_limit(r.analysis.ci_prob)} credible interval "
        f"{interval(low, high, places)})."
    )
    if r.decision is None:
        odds = f"the probability that this favours {treated} is {_said(r.better)}"
        return f"{effect} The protocol states no decision rule; {odds}."
    rule = r.analysis.decision
    assert rule is not None
    margin = with_unit(number(rule.margin * r.scale), r.unit)
    side = "above" if r.is_higher_better else "below"
    odds = f"The probability that it is {side} {margin} is {_said(r.decision.probability)}"
    odds += f"; {p_limit(rule.probability)} was required"
    success = r.decision.outcome == "success"
    verdict = f"{'success' if success else 'no success'} by the rule of the protocol"
    return f"{effect} {odds}: {verdict}."


def _said(value: float) -> str:
    """A probability within a sentence."""
    return probability(value).replace(f">{NBSP}", "more than ").replace(f"<{NBSP}", "less than ")


def tiles(contents: RunContents) -> tuple[Tile, ...]:
    """The numbers behind the sentence. Where efficacy may not be stated, only the gates."""
    gates = [gate for r in contents.analyses for gate in r.fit.gates]
    passed = sum(bool(gate.passed) for gate in gates)
    gate = Tile(
        "Diagnostic gates passed",
        f"{passed} of {len(gates)}",
        f"in {len(contents.analyses)} {'analysis' if len(contents.analyses) == 1 else 'analyses'}"
        if contents.passed
        else "no efficacy is stated",
        "good" if contents.passed else "bad",
    )
    r = contents.primary
    if not contents.passed or r is None:
        return (gate,)
    low, middle, high = r.interval
    places = decimals(float(np.std(r.draws)))
    unit = unit_text(r.unit)
    found = [
        Tile(
            f"Effect: {r.summary}" + (f" ({unit})" if unit else ""),
            Datum(middle / r.scale, fixed(middle, places)),
            f"{p_limit(r.analysis.ci_prob)} credible interval {interval(low, high, places)}",
        )
    ]
    if r.decision is not None and r.analysis.decision is not None:
        p = float(r.decision.probability)
        side = ">" if r.is_higher_better else "<"
        margin = number(r.analysis.decision.margin * r.scale)
        found.append(
            Tile(
                f"P(effect {side} {margin})",
                Datum(p, probability(p)),
                f"required: more than {p_limit(r.analysis.decision.probability)}; {r.decision.outcome}",
                tone_of(r),
            )
        )
    truth = r.truth
    if truth is not None:
        value, error = truth.value * r.scale, truth.error * r.scale
        digits = decimals(error) if error > 0 else places
        found.append(
            Tile(
                "True effect in the bank",
                Datum(truth.value, fixed(value, digits)),
                f"all twins under both arms; bank error {fixed(error, digits)}",
            )
        )
    return (*found, gate)


def failed_gates(contents: RunContents) -> Table | None:
    """The gates that failed, for the place of the efficacy statement."""
    if contents.passed or not contents.analyses:
        return None
    table = failed_gates_table(contents.analyses)
    return table if table.rows else None
