"""Simulate the twins of one block in one arm, and check what comes back.

A twin whose simulation raises an error is found by halving the block and is quarantined; the others keep their numbers,
which do not depend on who is simulated beside them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import xarray as xr

from ..models.model import Status
from ..trials.protocol import Arm, Protocol
from ..trials.simulate import OutcomeError, simulate_block
from .lazy import Blocks, lazily
from .records import Quarantined, Record, block_key, simulation_source
from .run_folder import Manifest, RunFolder, protocol_of, read_manifest
from .store import DamagedStore, Place, empty_block, hash_arrays, read_block

# Errors of the machine and its disk: no twin is to blame, and the run stops.
MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ESTALE)

# Twins and seconds of one call at most: its trajectories are what takes memory, so it does not grow with the block.
AT_ONCE = 1024
SECONDS_AT_ONCE = 1.5
LANES = 8  # twins that the engine carries at a time: fewer cost no less


class BadBlock(RuntimeError):
    """A simulation that came back without error but is no result, or processes that cannot be started."""


@dataclass(frozen=True)
class Bench:
    """What every block of a run needs, read once in a process."""

    folder: RunFolder
    manifest: Manifest
    protocol: Protocol
    source: str

    @cached_property
    def people(self) -> xr.Dataset:
        return lazily(self.folder.cohort)

    def twins(self, rows: slice) -> xr.Dataset:
        some = self.people.isel(twin=rows).load()
        return some if "twin" in some.indexes else some.set_xindex("twin")

    @property
    def at_once(self) -> int:
        """Twins that are simulated in one call, by what the pilot told; results do not depend on it."""
        seconds = self.manifest.pilot_seconds_per_twin
        if not seconds:
            return AT_ONCE
        return max(LANES, min(AT_ONCE, int(SECONDS_AT_ONCE / seconds) // LANES * LANES))

    def place(self, block: int, arm: str) -> Place:
        first, stop = self.manifest.span(block)
        return Place(block, first, stop, self.manifest.arms.index(arm))

    def kept(self, first: int, stop: int) -> int:
        """How many of the rows first .. stop - 1 keep their trajectories."""
        keep = self.protocol.keep
        return min(max(keep.twins - first, 0), stop - first) if keep else 0

    def key(self, block: int, arm: Arm, twins: str) -> str:
        """The key that a valid record of this block and arm carries; `twins` is the digest of its rows."""
        keeps = self.kept(*self.manifest.span(block)) > 0
        return block_key(self.protocol, arm, twins, keeps, self.source)


@cache
def _bench(root: str, _version: tuple[int, int]) -> Bench:
    folder = RunFolder(Path(root))
    manifest = read_manifest(folder)
    protocol = protocol_of(manifest)
    return Bench(folder, manifest, protocol, simulation_source(protocol))


def bench(folder: RunFolder) -> Bench:
    """The bench of a folder, read again when the folder has been given another manifest."""
    stat = folder.require().manifest.stat()
    return _bench(str(folder.root), (stat.st_mtime_ns, stat.st_ino))


def fault_of(this: Bench, record: Record, outcomes: Blocks | None = None) -> str | None:
    """What is wrong with the stored bytes of a block, None when they are those of its record.

    Who looks at many blocks hands on `outcomes`, through which they are read.
    """
    place = this.place(record.block, record.arm)
    where = f"block {record.block} of arm {record.arm}"
    try:
        stored = outcomes.read(place) if outcomes else read_block(this.folder.outcomes, place)
        if hash_arrays(stored) != record.outcomes:
            return f"{where}: outcomes.zarr holds other bytes than the record"
        if record.kept is not None:
            n_kept = this.kept(place.first, place.stop)
            kept = Place(place.block, place.first, place.first + n_kept, place.arm)
            if hash_arrays(read_block(this.folder.kept, kept)) != record.kept:
                return f"{where}: kept.zarr holds other bytes than the record"
    except DamagedStore as error:
        return f"{where}: {error}"
    return None


@dataclass(frozen=True)
class Done:
    """Arrays (twin, ...) of a block in one arm, the kept trajectories of its first twins, and what was quarantined."""

    outcomes: dict[str, np.ndarray]
    kept: dict[str, np.ndarray] | None
    quarantined: tuple[Quarantined, ...]


def simulate_rows(this: Bench, place: Place, arm: Arm, twins: xr.Dataset) -> Done:
    """The arrays of a block, with the rows of bad twins quarantined."""
    count = twins.sizes["twin"]
    n_kept = this.kept(place.first, place.stop)
    outcomes = empty_block(this.folder.outcomes, count)
    kept = empty_block(this.folder.kept, n_kept) if n_kept else None

    def attempt(rows: slice) -> None:
        part = twins.isel(twin=rows)
        keep_ids = twins["twin"].values[rows.start : min(rows.stop, n_kept)]
        result, trajectories = simulate_block(this.protocol, arm.name, part, keep_ids)
        fill(outcomes, rows, checked(result, part, outcomes))
        if kept is not None and keep_ids.size:
            assert trajectories is not None, "the simulation gave no trajectories of twins that keep them"
            fill(kept, slice(rows.start, rows.start + keep_ids.size), by_name(trajectories, kept))

    bad = halve(attempt, count, this.at_once)
    ids = twins["twin"].values
    for row in bad:
        outcomes["status"][row] = Status.QUARANTINED
    quarantined = tuple(
        Quarantined(twin=int(ids[row]), seed=this.protocol.seed, reason=reason) for row, reason in sorted(bad.items())
    )
    return Done(outcomes, kept, quarantined)


def halve(attempt: Callable[[slice], None], count: int, at_once: int) -> dict[int, str]:
    """Try rows 0 .. count - 1, `at_once` at a time; what fails is halved until bad rows are alone. Row -> reason."""
    bad: dict[int, str] = {}
    stack = [(first, min(first + at_once, count)) for first in range(0, count, at_once)]
    while stack:
        first, stop = stack.pop()
        try:
            attempt(slice(first, stop))
        except OutcomeError:
            raise  # a model or endpoint that breaks its contract is no fault of a twin
        except Exception as error:
            if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
                raise
            if stop - first == 1:
                bad[first] = reason_of(error)
            else:
                middle = (first + stop) // 2
                stack += [(first, middle), (middle, stop)]
    return bad


def reason_of(error: Exception) -> str:
    """An error in one line of at most 300 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def by_name(result: xr.Dataset, expected: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays that the store holds, one arm of them, twin axis first."""
    one = result.isel(arm=0) if "arm" in result.dims else result
    missing = sorted(set(expected) - set(map(str, one.data_vars)))
    if missing:
        raise BadBlock(f"the simulation gave no {', '.join(missing)}")
    return {name: one[name].transpose("twin", ...).values for name in expected}


def checked(result: xr.Dataset, twins: xr.Dataset, expected: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of a result that has the twins' rows, known codes, and finite values where a twin completed."""
    arrays = by_name(result, expected)
    if not np.array_equal(result["twin"].values, twins["twin"].values):
        raise BadBlock(f"{result.sizes['twin']} rows came back for {twins.sizes['twin']} twins, or other ids")
    status = arrays["status"]
    known = np.isin(status, [code for code in Status if code != Status.NOT_COMPUTED])
    if not known.all():
        raise BadBlock(f"status {sorted(set(status[~known].tolist()))} is no code of a simulated twin")
    for name, values in arrays.items():
        if values.dtype.kind == "f" and np.isinf(values[status == Status.COMPLETED]).any():
            raise BadBlock(f"{name} is infinite for a completed twin")
        if values.shape[1:] != expected[name].shape[1:]:
            raise BadBlock(f"{name} has shape {values.shape}, the store holds (twins, *{expected[name].shape[1:]})")
    return arrays


def fill(arrays: dict[str, np.ndarray], rows: slice, part: Mapping[str, np.ndarray]) -> None:
    """Put part of a block in its rows."""
    for name in arrays:
        arrays[name][rows] = part[name]
