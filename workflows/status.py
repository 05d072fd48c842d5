"""How far a run is, from its records alone: at any time, from any shell, with the driver alive or dead."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..models.model import Status
from .records import Record, read_records
from .run_folder import RunFolder, is_locked, read_manifest

RECENT_SECONDS = 60.0


@dataclass(frozen=True)
class ArmStatus:
    """One arm: twins with a record, and how they ended."""

    arm: str
    done: int
    completed: int
    failed: dict[str, int]


@dataclass(frozen=True)
class RunStatus:
    """A run as its folder shows it. `left_seconds` is None where nobody is at work or nothing is known yet."""

    name: str
    state: Literal["running", "stopped", "simulated", "complete"]
    twins: int
    blocks: int
    block: int
    done: int
    total: int
    arms: tuple[ArmStatus, ...]
    twins_per_second: float | None
    left_seconds: float | None

    def as_json(self) -> dict[str, Any]:
        return {"format": 1, **asdict(self)}


def status_of(folder: RunFolder) -> RunStatus:
    """Read manifest and records of a run.

    Raises
    ------
    RunError
        The folder holds no run.
    """
    manifest = read_manifest(folder)
    arms = tuple(arm["name"] for arm in manifest.trial["arms"])
    records = [r for r in read_records(folder) if r.arm in arms and r.block < manifest.blocks]
    done, total = sum(r.count for r in records), manifest.rows * len(arms)
    at_work = is_locked(folder)
    rate = _rate(records) if at_work else None
    return RunStatus(
        name=manifest.name,
        state=_state(folder, at_work, done == total),
        twins=manifest.rows,
        blocks=manifest.blocks,
        block=manifest.block,
        done=done,
        total=total,
        arms=tuple(_arm(arm, [r for r in records if r.arm == arm]) for arm in arms),
        twins_per_second=rate,
        left_seconds=(total - done) / rate if rate else None,
    )


def _state(
    folder: RunFolder, at_work: bool, is_simulated: bool
) -> Literal["running", "stopped", "simulated", "complete"]:
    if at_work:
        return "running"
    if not is_simulated:
        return "stopped"
    return "complete" if folder.results.exists() else "simulated"


def _arm(arm: str, records: list[Record]) -> ArmStatus:
    counts: Counter[str] = Counter()
    for record in records:
        for code, n in record.statuses.items():
            counts[Status(int(code)).reason] += n
    completed = counts.pop(Status.COMPLETED.reason, 0)
    return ArmStatus(arm, sum(r.count for r in records), completed, dict(counts))


def _rate(records: list[Record]) -> float | None:
    """Twins in one arm a second, over the last minute."""
    now = time.time()
    recent = [r for r in records if r.finished > now - RECENT_SECONDS]
    if not recent:
        return None
    begun = min(r.finished - r.seconds for r in recent)
    return sum(r.count for r in recent) / max(now - begun, 1e-3)
