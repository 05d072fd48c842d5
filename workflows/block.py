"""What a worker does: simulate one block of twins in its arms, check, store, commit.

A twin whose simulation raises an error is found by halving the block and is quarantined; the others keep their numbers,
which do not depend on who is simulated beside them. `python -m twinarm.workflows.block` simulates twin by twin and
writes nothing: with it a twin that ends its process is found from outside that process.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray as xr

from ..models.model import Status
from ..trials.protocol import Arm, Protocol
from ..trials.simulate import OutcomeError, simulate_block
from .records import (
    Quarantined,
    Record,
    block_key,
    ids_digest,
    simulation_source,
    twins_digest,
    write_record,
)
from .run_folder import Manifest, RunFolder, protocol_of, read_manifest
from .store import Place, empty_block, hash_arrays, load, write_block


class BadBlock(RuntimeError):
    """A simulation that came back without error but is no result, or that ended its process."""


@dataclass(frozen=True)
class Bench:
    """What every block of a run needs, read once in a process."""

    folder: RunFolder
    manifest: Manifest
    protocol: Protocol
    source: str

    def twins(self, rows: slice) -> xr.Dataset:
        return load(self.folder.cohort, rows)

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


def work(root: str, block: int, arms: tuple[str, ...], isolate: bool = False) -> tuple[Record, ...]:
    """Simulate, store and commit one block in some arms; the records are the receipt.

    With `isolate` the block is tried in processes of its own first, and what ends them is quarantined.
    """
    this = bench(RunFolder(Path(root)))
    first, stop = this.manifest.span(block)
    twins = this.twins(slice(first, stop))
    rows = twins_digest(twins, slice(None))
    killers = find_killers(this, block, arms) if isolate else {}
    return tuple(_work_arm(this, block, this.protocol.arm(arm), (twins, rows), killers.get(arm, {})) for arm in arms)


def _work_arm(
    this: Bench, block: int, arm: Arm, twins_and_digest: tuple[xr.Dataset, str], killers: Mapping[int, str]
) -> Record:
    place = this.place(block, arm.name)
    twins, rows = twins_and_digest
    started = time.perf_counter()
    ids = twins["twin"].values
    done = simulate_rows(this, place, arm, twins, killers)
    this.folder.record(arm.name, place.block).unlink(missing_ok=True)  # no record while chunks are replaced
    write_block(this.folder.outcomes, place, done.outcomes)
    if done.kept is not None:
        kept = Place(place.block, place.first, place.first + len(next(iter(done.kept.values()))), place.arm)
        write_block(this.folder.kept, kept, done.kept)
    codes, counts = np.unique(done.outcomes["status"], return_counts=True)
    record = Record(
        block=place.block,
        arm=arm.name,
        first=int(ids[0]),
        last=int(ids[-1]),
        count=ids.size,
        ids=ids_digest(ids),
        key=this.key(place.block, arm, rows),
        outcomes=hash_arrays(done.outcomes),
        kept=None if done.kept is None else hash_arrays(done.kept),
        statuses={str(code): int(n) for code, n in zip(codes, counts, strict=True)},
        quarantined=done.quarantined,
        seconds=round(time.perf_counter() - started, 4),
        finished=round(time.time(), 3),
        host=platform.node(),
    )
    write_record(this.folder, record)
    return record


@dataclass(frozen=True)
class Done:
    """Arrays (twin, ...) of a block in one arm, the kept trajectories of its first twins, and what was quarantined."""

    outcomes: dict[str, np.ndarray]
    kept: dict[str, np.ndarray] | None
    quarantined: tuple[Quarantined, ...]


def simulate_rows(
    this: Bench, place: Place, arm: Arm, twins: xr.Dataset, killers: Mapping[int, str] = MappingProxyType({})
) -> Done:
    """The block's arrays, with the rows of bad twins quarantined. `killers` are rows never to be tried, and why."""
    count = twins.sizes["twin"]
    n_kept = this.kept(place.first, place.stop)
    outcomes = empty_block(this.folder.outcomes, count)
    kept = empty_block(this.folder.kept, n_kept) if n_kept else None
    bad = dict(killers)

    def attempt(rows: slice) -> None:
        part = twins.isel(twin=rows)
        keep_ids = twins["twin"].values[rows.start : min(rows.stop, n_kept)]
        result, trajectories = simulate_block(this.protocol, arm.name, part, keep_ids)
        fill(outcomes, rows, checked(result, part, outcomes))
        if kept is not None and keep_ids.size:
            assert trajectories is not None, "the simulation gave no trajectories of twins that keep them"
            fill(kept, slice(rows.start, rows.start + keep_ids.size), by_name(trajectories, kept))

    for row, reason in halve(attempt, [i for i in range(count) if i not in bad]).items():
        bad[row] = reason
    ids = twins["twin"].values
    for row in bad:
        outcomes["status"][row] = Status.QUARANTINED
    quarantined = tuple(
        Quarantined(twin=int(ids[row]), seed=this.protocol.seed, reason=reason) for row, reason in sorted(bad.items())
    )
    return Done(outcomes, kept, quarantined)


def halve(attempt: Callable[[slice], None], rows: list[int]) -> dict[int, str]:
    """Try runs of rows; what fails is halved until the bad rows stand alone. Returns row -> reason."""
    bad: dict[int, str] = {}
    stack = [run.tolist() for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1) if run.size]
    while stack:
        run = stack.pop()
        try:
            attempt(slice(run[0], run[-1] + 1))
        except OutcomeError:
            raise  # a model or endpoint that breaks its contract is no fault of a twin
        except Exception as error:
            if len(run) == 1:
                bad[run[0]] = reason_of(error)
            else:
                stack += [run[: len(run) // 2], run[len(run) // 2 :]]
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


def find_killers(this: Bench, block: int, arms: Sequence[str]) -> dict[str, dict[int, str]]:
    """By arm, rows of a block whose simulation ends its process, and how; found in processes of their own.

    A process simulates twin by twin and names each before it starts; after its end the next goes on behind that twin.
    """
    first, stop = this.manifest.span(block)
    turns = [(arm, row) for arm in arms for row in range(stop - first)]
    killers: dict[str, dict[int, str]] = {arm: {} for arm in arms}
    start = 0
    while start < len(turns):
        ended = subprocess.run(
            [sys.executable, "-m", __name__, str(this.folder.root), str(block), ",".join(arms), str(start)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode == 0:
            break
        named = [int(word) for word in ended.stdout.split() if word.isdigit()]
        if not named:
            raise BadBlock(f"no process for block {block} could be started: {ended.stderr[-300:]}")
        arm, row = turns[named[-1]]
        killers[arm][row] = f"the simulation ended its process with code {ended.returncode}"
        start = named[-1] + 1
    return killers


def main(arguments: list[str]) -> int:
    """Simulate twin by twin from a turn on, write nothing; an error of the model is no end of the process."""
    root, block, arms, start = arguments
    this = bench(RunFolder(Path(root)))
    first, stop = this.manifest.span(int(block))
    twins = this.twins(slice(first, stop))
    turns = [(arm, row) for arm in arms.split(",") for row in range(stop - first)]
    for number, (arm, row) in list(enumerate(turns))[int(start) :]:
        print(number, flush=True)
        with suppress(Exception):
            simulate_block(this.protocol, arm, twins.isel(twin=slice(row, row + 1)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
