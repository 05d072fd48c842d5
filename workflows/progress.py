"""How far a run is, as whoever follows it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..models.model import Status
from .records import Record


@dataclass(frozen=True)
class Progress:
    """How far a run is: its stage, and in the simulation twins x arms; `reused` of `done` were there before."""

    stage: Literal["screening", "waiting for workers", "simulation", "analysis"]
    done: int
    total: int
    reused: int = 0
    failed: int = 0
    quarantined: int = 0


Notify = Callable[[Progress], None]


def quiet(_: Progress) -> None:
    """Says nothing of the progress."""


def progress_of(records: Sequence[Record], total: int, reused: int) -> Progress:
    """How far these records bring the simulation."""
    return Progress(
        stage="simulation",
        done=sum(record.count for record in records),
        total=total,
        reused=reused,
        failed=sum(record.failed for record in records),
        quarantined=sum(record.statuses.get(str(int(Status.QUARANTINED)), 0) for record in records),
    )
