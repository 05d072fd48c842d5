"""The attrition ledger: every candidate that was looked at, and where it went. The counts add up exactly.

candidates = implausible + screen failures + implausible at baseline + bank
bank       = twins failed in any arm + available
available  = not drawn + randomised
randomised = sum over arms of allocated
allocated  = dropped out + followed to the end          (each arm)
allocated  = left out + analysed                        (each arm and analysis)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from ..cohorts.screening import STAGES
from ..models.model import Status
from .analysis.data import AnalysisData
from .measures import variable_name
from .protocol import Protocol


class LedgerError(RuntimeError):
    """Counts that do not add up: a fault of the program."""


@dataclass(frozen=True)
class Row:
    """How many, at which stage, in which arm ("" before randomisation) and why ("" where nobody left)."""

    stage: str
    arm: str
    reason: str
    count: int


@dataclass(frozen=True)
class Analysed:
    """Of one arm and one analysis: those with an observed value, and those without."""

    endpoint: str
    analysed: int
    left_out: int


@dataclass(frozen=True)
class ArmFlow:
    """One column of the flow diagram."""

    name: str
    label: str
    allocated: int
    dropped_out: int
    followed_to_the_end: int
    intercurrent_events: tuple[tuple[str, int], ...]
    analyses: tuple[Analysed, ...]


@dataclass(frozen=True)
class Flow:
    """The CONSORT flow diagram, top to bottom; reasons with their counts where people leave."""

    assessed: int
    excluded: tuple[tuple[str, int], ...]
    bank: int
    failed: tuple[tuple[str, int], ...]
    available: int
    not_drawn: int
    randomised: int
    arms: tuple[ArmFlow, ...]
    note: str


def failure_share(outcomes: xr.Dataset) -> float:
    """Twins with a failed arm over twins started; 0 where none was started."""
    status = outcomes["status"].transpose("twin", "arm").values
    started = (status != Status.NOT_COMPUTED).any(axis=1)
    failed = ((status != Status.COMPLETED) & (status != Status.NOT_COMPUTED)).any(axis=1)
    return float(failed.sum() / started.sum()) if started.any() else 0.0


def is_over_failure_limit(protocol: Protocol, outcomes: xr.Dataset) -> bool:
    """Whether so many twins failed that no analysis may be run."""
    return failure_share(outcomes) > protocol.solver.failure_limit


def failed_twins(outcomes: xr.Dataset) -> dict[str, int]:
    """Twins that did not complete every arm, by the reason in the first arm that they did not complete."""
    status = outcomes["status"].transpose("twin", "arm").values
    bad = status != Status.COMPLETED
    first = status[np.arange(status.shape[0]), bad.argmax(axis=1)][bad.any(axis=1)]
    return {Status(int(code)).reason: int((first == code).sum()) for code in np.unique(first)}


def attrition(
    protocol: Protocol,
    candidates: int,
    refused: Mapping[tuple[str, str], int],
    outcomes: xr.Dataset,
    subjects: xr.Dataset,
    analyses: Sequence[AnalysisData] = (),
) -> tuple[Row, ...]:
    """Rows of the ledger, in the order in which people leave.

    Parameters
    ----------
    candidates, refused : of the screening; `refused` by (stage, reason), stages as in `cohorts.screening.STAGES`.
    analyses : one a fitted analysis; all subjects of its two arms are accounted for.

    Raises
    ------
    LedgerError
        The counts do not add up.
    """
    bank, failed = outcomes.sizes["twin"], failed_twins(outcomes)
    available = bank - sum(failed.values())
    randomised = subjects.sizes["subject"]
    rows = [Row("candidates", "", "", candidates)]
    for stage in STAGES:
        rows += [Row(stage, "", reason, n) for (at, reason), n in refused.items() if at == stage]
    rows.append(Row("bank", "", "", bank))
    rows += [Row("failed", "", reason, n) for reason, n in failed.items()]
    rows.append(Row("available", "", "", available))
    rows.append(Row("not drawn", "", "not needed for the trial", available - randomised))
    rows.append(Row("randomised", "", "", randomised))
    for arm in protocol.arms:
        own = subjects["arm"].values == arm.name
        lost = own & np.isfinite(subjects["dropout_day"].values)
        rows.append(Row("allocated", arm.name, "", int(own.sum())))
        rows.append(Row("dropped out", arm.name, "lost to follow-up", int(lost.sum())))
        rows.append(Row("followed to the end", arm.name, "", int(own.sum() - lost.sum())))
        for data in analyses:
            if arm.name in data.arms:
                seen = int((data.treated == data.arms.index(arm.name)).sum())
                rows.append(Row("left out", arm.name, data.endpoint, int(own.sum()) - seen))
                rows.append(Row("analysed", arm.name, data.endpoint, seen))
    check(rows)
    return tuple(rows)


def check(rows: Sequence[Row]) -> None:
    """Every equation of this module's head, and no count under 0.

    Raises
    ------
    LedgerError
        The first equation that does not hold.
    """

    def total(*stages: str, **at: Any) -> int:
        return sum(r.count for r in rows if r.stage in stages and all(getattr(r, k) == v for k, v in at.items()))

    equations = [
        ("candidates", total("candidates"), total(*STAGES, "bank")),
        ("bank", total("bank"), total("failed", "available")),
        ("available", total("available"), total("not drawn", "randomised")),
        ("randomised", total("randomised"), total("allocated")),
    ]
    for row in rows:
        if row.stage == "allocated":
            ends = total("dropped out", "followed to the end", arm=row.arm)
            equations.append((f"allocated to {row.arm}", row.count, ends))
        if row.stage == "analysed":
            parts = total("left out", "analysed", arm=row.arm, reason=row.reason)
            whole = total("allocated", arm=row.arm)
            equations.append((f"{row.arm}, analysis of {row.reason}", whole, parts))
    for what, whole, parts in equations:
        if whole != parts:
            raise LedgerError(f"the ledger does not add up: {what} is {whole}, its parts are {parts}")
    for row in rows:
        if row.count < 0:
            raise LedgerError(f"the ledger counts {row.count} at {row.stage!r} {row.arm} {row.reason}")


def consort(protocol: Protocol, rows: Sequence[Row], subjects: xr.Dataset) -> Flow:
    """The same counts in the shape of the CONSORT diagram, with the intercurrent events of each arm."""

    def count(stage: str, arm: str = "", reason: str | None = None) -> int:
        return sum(r.count for r in rows if r.stage == stage and r.arm == arm and reason in (None, r.reason))

    def reasons(*stages: str) -> tuple[tuple[str, int], ...]:
        return tuple((r.reason, r.count) for r in rows if r.stage in stages)

    arms = []
    for arm in protocol.arms:
        own = subjects["arm"].values == arm.name
        events = tuple(
            (event.label, int(np.isfinite(subjects[f"ice_{variable_name(event.name)}_day"].values[own]).sum()))
            for event in protocol.intercurrent_events
        )
        analyses = tuple(
            Analysed(r.reason, r.count, count("left out", arm.name, r.reason))
            for r in rows
            if r.stage == "analysed" and r.arm == arm.name
        )
        arms.append(
            ArmFlow(
                name=arm.name,
                label=arm.label,
                allocated=count("allocated", arm.name),
                dropped_out=count("dropped out", arm.name),
                followed_to_the_end=count("followed to the end", arm.name),
                intercurrent_events=events,
                analyses=analyses,
            )
        )
    return Flow(
        assessed=count("candidates"),
        excluded=reasons(*STAGES),
        bank=count("bank"),
        failed=reasons("failed"),
        available=count("available"),
        not_drawn=count("not drawn"),
        randomised=count("randomised"),
        arms=tuple(arms),
        note=str(subjects.attrs.get("note", "")),
    )
