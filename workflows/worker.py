"""What a worker does: simulate one block of twins in its arms, store, commit."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from ..trials.protocol import Arm
from .block import Bench, Done, bench, fault_of, simulate_rows
from .isolation import simulate_alone
from .records import Record, ids_digest, read_record, twins_digest, write_record
from .run_folder import RunFolder
from .store import Place, hash_arrays, write_block

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
DASKS_TRIM = "MALLOC_TRIM_THRESHOLD_"  # set by its nanny


def give_memory_back() -> None:
    """Let large arrays go back to the system once they are dropped; by itself glibc soon keeps them on its heap."""
    _mallopt({M_MMAP_THRESHOLD: 1 << 20})


@cache
def keep_heap() -> None:
    """Undo Dask's low trim threshold, with which large arrays are mapped anew each time, up to a third slower.

    Workers of this machine start without it (`cluster`); those of Slurm or of a scheduler that was there do not.
    What stands instead is where glibc's own limits end when they are left to grow (mallopt(3)).
    """
    if DASKS_TRIM in os.environ:
        _mallopt({M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 64 << 20})


def _mallopt(options: Mapping[int, int]) -> None:
    with suppress(AttributeError, OSError):  # another C library
        for option, value in options.items():
            ctypes.CDLL(None).mallopt(option, value)


def work(root: str, block: int, arms: tuple[str, ...], alone: float | None = None) -> tuple[Record, ...]:
    """Simulate, store and commit one block in some arms; the records are the receipt.

    Parameters
    ----------
    alone : float, optional, s
        Simulate each twin in a process that is ended after so long: for a block that ended its worker or did not come
        back.

    Notes
    -----
    The same block may be at work twice (a worker was thought dead, a receipt was lost). Who finds the record of the
    other leaves it as it is: both hold the same bytes.
    """
    this = bench(RunFolder(Path(root)))
    first, stop = this.manifest.span(block)
    twins = this.twins(slice(first, stop))
    rows = twins_digest(twins, slice(None))
    records = []
    for arm in map(this.protocol.arm, arms):
        key, place = this.key(block, arm, rows), this.place(block, arm.name)
        record = committed(this, place, arm, key)
        if record is None:
            started = time.perf_counter()
            done = simulate_alone(this, place, arm, alone) if alone else simulate_rows(this, place, arm, twins)
            seconds = time.perf_counter() - started
            record = committed(this, place, arm, key) or _commit(this, place, key, twins["twin"].values, done, seconds)
        records.append(record)
    return tuple(records)


def committed(this: Bench, place: Place, arm: Arm, key: str) -> Record | None:
    """The record of a block that was made from the same inputs and whose bytes stand in the store."""
    record = read_record(this.folder, arm.name, place.block)
    return record if record is not None and record.key == key and fault_of(this, record) is None else None


def _commit(this: Bench, place: Place, key: str, ids: np.ndarray, done: Done, seconds: float) -> Record:
    """Put the chunks of a block on the disk, then its record."""
    arm = this.manifest.arms[place.arm]
    this.folder.record(arm, place.block).unlink(missing_ok=True)  # no record while chunks are replaced
    write_block(this.folder.outcomes, place, done.outcomes)
    if done.kept is not None:
        kept = Place(place.block, place.first, place.first + len(next(iter(done.kept.values()))), place.arm)
        write_block(this.folder.kept, kept, done.kept)
    codes, counts = np.unique(done.outcomes["status"], return_counts=True)
    record = Record(
        block=place.block,
        arm=arm,
        first=int(ids[0]),
        last=int(ids[-1]),
        count=ids.size,
        ids=ids_digest(ids),
        key=key,
        outcomes=hash_arrays(done.outcomes),
        kept=None if done.kept is None else hash_arrays(done.kept),
        statuses={str(code): int(n) for code, n in zip(codes, counts, strict=True)},
        quarantined=done.quarantined,
        seconds=round(seconds, 4),
        finished=round(time.time(), 3),
        host=platform.node(),
    )
    write_record(this.folder, record)
    return record
