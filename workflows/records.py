"""Commit records: one small file a block and arm, and the only proof that the block exists.

A record is valid for a protocol when its key is the one the protocol asks for now, and proves its chunk when the stored
bytes have its sha256. Times and hosts stand here and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import BaseModel, Field

from ..models.model import Status, find_part
from ..trials.protocol import Arm, Protocol
from .run_folder import RunFolder, sealed, unsealed, write_atomic
from .store import digest

# What a simulated number depends on, as folders and files of the package.
SIMULATION_SOURCES = ("models", "cohorts", "trials/endpoints", "trials/simulate.py", "trials/protocol.py")
ANALYSIS_SOURCES = ("models/engine/lanes", "models/randomness.py", "trials", "workflows/analyse.py")


class Quarantined(BaseModel, frozen=True, extra="forbid"):
    """A twin whose simulation raised an error, hung or ended its process."""

    twin: int
    seed: int
    reason: str


class Record(BaseModel, frozen=True, extra="forbid"):
    """What was written for one block in one arm."""

    format: Annotated[int, Field(ge=1, le=1)] = 1
    block: int
    arm: str
    first: int
    last: int
    count: int
    ids: str
    key: str
    outcomes: str
    kept: str | None
    statuses: dict[str, int]
    quarantined: tuple[Quarantined, ...]
    seconds: float
    finished: float
    host: str

    @property
    def failed(self) -> int:
        """Twins of the block that have no result in this arm."""
        return sum(n for code, n in self.statuses.items() if int(code) != Status.COMPLETED)


def write_record(folder: RunFolder, record: Record) -> None:
    """Commit a block: its chunks must be durable before."""
    write_atomic(folder.record(record.arm, record.block), sealed(record.model_dump(mode="json")))


def read_record(folder: RunFolder, arm: str, block: int) -> Record | None:
    """The record of a block, None where there is none or where it cannot be read."""
    try:
        record = Record.model_validate_json(json.dumps(unsealed(folder.record(arm, block).read_bytes())))
    except (OSError, ValueError):
        return None
    return record if (record.arm, record.block) == (arm, block) else None


def read_records(folder: RunFolder) -> Iterator[Record]:
    """All readable records of a folder, by arm and block."""
    for path in sorted(folder.records.glob("*/*.json")):
        if path.stem.isdigit() and (record := read_record(folder, path.parent.name, int(path.stem))):
            yield record


def ids_digest(ids: np.ndarray) -> str:
    """sha256 of the twin ids of a block."""
    return hashlib.sha256(np.ascontiguousarray(ids, dtype="<i8").tobytes()).hexdigest()


def key_parts(protocol: Protocol, arm: Arm, twins: str, keeps: bool, source: str) -> dict[str, Any]:
    """Everything the numbers of a block depend on.

    `twins` is the digest of the block's rows of the cohort: ids, covariates and parameters, so population and
    eligibility are in it. Labels, roles, analyses and other arms are not, and changing them keeps the block.
    """
    assert protocol.schedule is not None and protocol.model is not None
    return {
        "seed": protocol.seed,
        "twins": twins,
        "model": protocol.model.model_dump(mode="json"),
        "arm": arm.model_dump(mode="json", include={"treatment", "adherence"}),
        "endpoints": [e.model_dump(mode="json", include={"name", "measure", "settings"}) for e in protocol.endpoints],
        "schedule": asdict(protocol.schedule.schedule()),
        "solver": asdict(protocol.solver.tolerance()),
        "keep": protocol.keep.model_dump(mode="json") if keeps and protocol.keep else None,
        "source": source,
    }


def block_key(protocol: Protocol, arm: Arm, twins: str, keeps: bool, source: str) -> str:
    """Digest of `key_parts`."""
    parts = key_parts(protocol, arm, twins, keeps, source)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def twins_digest(cohort: xr.Dataset, rows: slice) -> str:
    """Digest of some rows of the cohort."""
    return digest(cohort.isel(twin=rows))


def simulation_source(protocol: Protocol) -> str:
    """Digest of the source that makes the numbers: the package's own, and the user's modules that are named."""
    assert protocol.model is not None
    named = [find_part("model", "twinarm.models.library", protocol.model.name)]
    named += [find_part("endpoint", "twinarm.trials.endpoints", e.measure) for e in protocol.endpoints]
    return source_digest(SIMULATION_SOURCES, named)


def analysis_source() -> str:
    """Digest of the source that makes the results from the outcomes."""
    return source_digest(ANALYSIS_SOURCES, ())


def source_digest(places: Sequence[str], modules: Sequence[ModuleType]) -> str:
    """sha256 over the Python and data files of some places of the package, and of modules outside it."""
    root = Path(str(import_module("twinarm.models.model").__file__)).parents[1]
    files: dict[str, Path] = {}
    for place in places:
        start = root / place
        found = start.rglob("*") if start.is_dir() else [start]
        files |= {path.relative_to(root).as_posix(): path for path in found if _is_source(path)}
    for module in modules:
        path = Path(str(module.__file__))
        if not path.is_relative_to(root):
            own = path.parent.rglob("*.py") if path.name == "__init__.py" else [path]
            files |= {f"{module.__name__}/{part.relative_to(path.parent).as_posix()}": part for part in own}
    digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _is_source(path: Path) -> bool:
    """Populations are left out: what is drawn from them stands in the cohort, and that is digested itself."""
    return path.is_file() and path.suffix in {".py", ".csv", ".json", ".yaml"} and "populations" not in path.parts
