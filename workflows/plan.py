"""What a run would cost, before anything is spent: a few twins are simulated, the rest is arithmetic."""

from __future__ import annotations

import resource
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..trials.measures import outcome_coords, outcome_layout
from ..trials.protocol import Protocol
from ..trials.protocol_file import require_simulation
from .prepare import Screened, choose_block, pilot

MOST_SCREENED = 256


@dataclass(frozen=True)
class Plan:
    """The cost of a run: seconds on `workers` workers, bytes before compression, against what is free."""

    name: str
    twins: int
    arms: int
    block: int
    blocks: int
    candidates: int
    seconds_per_twin: float
    seconds: float
    workers: int
    memory_bytes: int
    disk_bytes: int
    disk_free_bytes: int

    @property
    def fits(self) -> bool:
        return self.disk_bytes < self.disk_free_bytes

    def as_json(self) -> dict[str, Any]:
        return {"format": 1, **asdict(self), "fits": self.fits}


def plan(protocol: Protocol, out: Path, workers: int, block: int | None = None) -> Plan:
    """Screen and simulate a few twins, and multiply. Nothing is written."""
    require_simulation(protocol)
    assert protocol.population is not None
    twins = protocol.population.twins
    few = min(twins, MOST_SCREENED)
    small = protocol.model_copy(update={"population": protocol.population.model_copy(update={"twins": few})})
    found = Screened(small)
    cohort = found.first(few)
    tried = pilot(protocol, cohort)
    size = block or choose_block(tried.seconds_per_twin, twins, workers)
    arms = len(protocol.arms)
    visits = outcome_coords(protocol)["visit"].size
    layout = outcome_layout(protocol)
    row = sum(np.dtype(v.dtype).itemsize * (visits if "visit" in v.dims else 1) for v in layout.values())
    kept = 0
    if protocol.keep is not None and tried.kept is not None:
        kept = tried.kept.nbytes // max(tried.kept.sizes["twin"], 1) * min(protocol.keep.twins, twins)
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Plan(
        name=protocol.name,
        twins=twins,
        arms=arms,
        block=size,
        blocks=-(-twins // size),
        candidates=round(found.candidates * twins / few),
        seconds_per_twin=tried.seconds_per_twin,
        seconds=tried.seconds_per_twin * twins / workers,
        workers=workers,
        memory_bytes=peak * (workers + 1),
        disk_bytes=arms * (twins * row + kept) + cohort.nbytes * twins // few,
        disk_free_bytes=shutil.disk_usage(there).free,
    )
