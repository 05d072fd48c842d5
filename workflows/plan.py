"""What a run would cost, before anything is spent: a few twins are simulated and stored, the rest is arithmetic."""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from ..trials.measures import outcome_coords, outcome_layout
from ..trials.protocol import Protocol
from ..trials.protocol_file import require_simulation
from . import store
from .block import by_name
from .cluster import Cluster, connection
from .pilot import PILOT_TWINS, Pilot, choose_block, piloted, seconds_per_twin
from .prepare import Screened, people_per_chunk

DISK_BLOCK = 4096  # bytes: a file takes whole blocks of the disk
ANALYSIS_BYTES = 350_000  # posterior, tables and figures of one analysis, as the shipped trials leave them


@dataclass(frozen=True)
class Plan:
    """The cost of a run up to its analysis: seconds on `workers` workers, bytes in memory and on the disk.

    `memory_bytes` is the sum of the driver and its workers.
    """

    name: str
    twins: int
    arms: int
    block: int
    blocks: int
    candidates: int
    seconds_per_twin: float
    screening_seconds: float
    simulation_seconds: float
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
    """Screen and simulate a few twins on as many workers, and multiply. Nothing is left behind."""
    require_simulation(protocol)
    assert protocol.population is not None
    twins = protocol.population.twins
    begun = time.perf_counter()
    found = Screened(protocol)
    cohort = found.first(PILOT_TWINS)
    looked_at = sum(part.sizes["twin"] for part in found.head)
    screening = time.perf_counter() - begun
    with tempfile.TemporaryDirectory(prefix="twinarm-plan-") as scratch:
        with connection(Cluster(workers), Path(scratch)) as connected:
            pilots = piloted(connected, protocol, cohort)
        tried = pilots[0]
        seconds = seconds_per_twin(pilots)
        size = block or choose_block(seconds, twins, workers)
        disk = _disk(Path(scratch), protocol, cohort, tried, min(size, twins))
    own = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    return Plan(
        name=protocol.name,
        twins=twins,
        arms=len(protocol.arms),
        block=size,
        blocks=-(-twins // size),
        candidates=round(found.candidates * twins / looked_at),
        seconds_per_twin=seconds,
        screening_seconds=screening * twins / looked_at,
        simulation_seconds=seconds * twins / workers,
        workers=workers,
        memory_bytes=own + sum(one.memory_bytes for one in pilots),
        disk_bytes=disk,
        disk_free_bytes=shutil.disk_usage(there).free,
    )


def _disk(scratch: Path, protocol: Protocol, cohort: xr.Dataset, tried: Pilot, rows: int) -> int:
    """Bytes of a run folder: some twins are stored, and what they take is multiplied."""
    assert protocol.population is not None
    twins, arms = protocol.population.twins, len(protocol.arms)
    outcomes = tried.outcomes.isel(twin=slice(rows))
    chunk = min(people_per_chunk(rows), twins)
    people = cohort.isel(twin=slice(chunk))
    store.save(scratch / "cohort", people, chunk)
    count = outcomes.sizes["twin"]
    coords = {**outcome_coords(protocol), "twin": outcomes["twin"].values}
    store.create(scratch / "outcomes", outcome_layout(protocol), coords, count)
    arrays = by_name(outcomes, store.empty_block(scratch / "outcomes", count))
    store.write_block(scratch / "outcomes", store.Place(0, 0, count, 0), arrays)
    cohorts = -(-twins // chunk) * _chunks(scratch / "cohort", chunk / people.sizes["twin"], "c.*")
    block = arms * (_chunks(scratch / "outcomes", rows / count, "c.0.*") + DISK_BLOCK)  # and the record
    kept = tried.kept.nbytes * min(protocol.keep.twins, twins) if protocol.keep and tried.kept is not None else 0
    return cohorts + -(-twins // rows) * block + arms * kept + ANALYSIS_BYTES * (len(protocol.analyses) + 1)


def _chunks(folder: Path, times: float, pattern: str) -> int:
    """What the chunks of a store would take on the disk if each held so many times its twins."""
    sizes = [times * path.stat().st_size for path in folder.glob(f"*/{pattern}")]
    return sum(DISK_BLOCK * -(-int(size) // DISK_BLOCK) for size in sizes)
