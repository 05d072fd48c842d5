"""How far a run is, as whoever follows it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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

    def after(self, records: Iterable[Record]) -> Progress:
        """How far it is with some more records."""
        more = tuple(records)
        return replace(
            self,
            done=self.done + sum(record.count for record in more),
            failed=self.failed + sum(record.failed for record in more),
            quarantined=self.quarantined + sum(record.statuses.get(str(int(Status.QUARANTINED)), 0) for record in more),
        )


Notify = Callable[[Progress], None]


def quiet(_: Progress) -> None:
    """Says nothing of the progress."""


def begun(valid: Sequence[Record], total: int) -> Progress:
    """The simulation of `total` twins x arms at its begin, with the records that were there before."""
    found = Progress("simulation", 0, total).after(valid)
    return replace(found, reused=found.done)
