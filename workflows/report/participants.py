"""The CONSORT flow of the ledger in the shape of the drawing, and the ledger as a table."""

from __future__ import annotations

import numpy as np

from ...cohorts.screening import STAGES
from ...trials.ledger import consort
from .contents import RunContents
from .drawing import Cell, Datum, Table
from .flow import ArmFlow, Flow, Loss, Step


def flow_of(contents: RunContents) -> Flow:
    """From candidates to analysed subjects. A table of real data begins with its subjects."""
    primary = contents.primary
    if not contents.is_simulated:
        return _flow_of_table(contents)
    counted = consort(contents.protocol, contents.ledger, contents.subjects)
    spare = (("kept in the bank, not drawn for this trial", counted.not_drawn),)
    trunk = (
        Step("Candidates assessed", counted.assessed, _losses(counted.excluded)),
        Step("Twins simulated in every arm", counted.bank, _losses(counted.failed)),
        Step("Twins with outcomes in every arm", counted.available, _losses(spare)),
        Step("Subjects randomised", counted.randomised),
    )
    arms = []
    for arm in sorted(counted.arms, key=lambda a: contents.place(a.name)):
        seen = next((a for a in arm.analyses if primary and a.endpoint == primary.name), None)
        events = (*_losses(arm.intercurrent_events), Loss("lost to follow-up", arm.dropped_out))
        if seen and seen.left_out:
            events = (*events, Loss("not analysed: nothing observed", seen.left_out))
        arms.append(ArmFlow(arm.label, contents.place(arm.name), arm.allocated, events, seen.analysed if seen else 0))
    return Flow(trunk, tuple(arms))


def _losses(pairs: tuple[tuple[str, int], ...]) -> tuple[Loss, ...]:
    return tuple(Loss(reason, count) for reason, count in pairs if count)


def _flow_of_table(contents: RunContents) -> Flow:
    primary = contents.primary
    data = contents.data[primary.name] if primary else next(iter(contents.data.values()))
    arm = contents.subjects["arm"].values.astype(str)
    compared = np.isin(arm, data.arms)
    others = Loss("in an arm that is not compared", int((~compared).sum()))
    trunk = (Step("Subjects in the table", arm.size, (others,) if others.count else ()),)
    arms = []
    for number, name in enumerate(data.arms):
        randomised, analysed = int((arm == name).sum()), int((data.treated == number).sum())
        lost = Loss("not analysed: outcome or covariate missing", randomised - analysed)
        arms.append(ArmFlow(contents.protocol.arm(name).label, contents.place(name), randomised, (lost,), analysed))
    return Flow(trunk, tuple(arms), "Flow of subjects")


def ledger_table(contents: RunContents) -> Table:
    """Every row of the attrition ledger; the counts add up exactly. Of a rule also the share of those who pass it among
    those who meet every rule before it."""
    labels = {arm.name: arm.label for arm in contents.protocol.arms}
    endpoints = {e.name: e.label for e in contents.protocol.endpoints}
    rows = []
    reached = next((row.count for row in contents.ledger if row.stage == "candidates"), 0)
    for row in contents.ledger:
        passed: Cell = ""
        if row.stage in STAGES and reached:
            passed = Datum(1.0 - row.count / reached, f"{100.0 * (1.0 - row.count / reached):.1f} %")
            reached -= row.count
        reason = endpoints.get(row.reason, row.reason)
        rows.append((row.stage, labels.get(row.arm, row.arm), reason, Datum(row.count, f"{row.count:,}"), passed))
    return Table("Attrition ledger", ("Stage", "Arm", "Reason or analysis", "Count", "Pass the rule"), tuple(rows))
