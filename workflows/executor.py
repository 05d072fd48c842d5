"""The driver: keeps a bounded window of blocks in flight until every block has a valid record.

Nothing it knows is needed after its death: the records say what exists, and the next run does the rest.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from ..models.model import Status
from .block import Bench, bench, work
from .cluster import require_same_versions
from .records import Record, read_record, twins_digest
from .run_folder import RunError, RunFolder
from .store import DamagedStore, hash_arrays, load, read_block

WINDOW_PER_WORKER = 2
OTHER_SOURCE = (
    "a worker has other source than this process; install the same version on both, and leave it alone during a run"
)


@dataclass(frozen=True)
class Unit:
    """Work of one task: a block, and those of its arms that have no valid record."""

    block: int
    arms: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """How far a run is: its stage, and in the simulation twins x arms; `reused` of `done` were there before."""

    stage: Literal["screening", "simulation", "analysis"]
    done: int
    total: int
    reused: int = 0
    failed: int = 0
    quarantined: int = 0


@dataclass
class Stop:
    """Whether a signal has asked the run to end. The window in flight is finished; a second signal ends it at once."""

    asked: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        return 130 if self.asked is signal.SIGINT else 75


Notify = Callable[[Progress], None]


@dataclass(frozen=True)
class Survey:
    """The records of a folder against what its protocol asks for."""

    valid: tuple[Record, ...]
    missing: tuple[Unit, ...]
    keys: dict[tuple[int, str], str] = field(repr=False)


def survey(folder: RunFolder, share: slice = slice(None)) -> Survey:
    """Which blocks are proven: their key is the one asked for and their stored bytes have the record's sha256.

    `share` picks blocks by number; all of them by default.
    """
    this = bench(folder)
    cohort = load(folder.cohort)
    valid, missing, keys = [], [], {}
    for block in range(this.manifest.blocks)[share]:
        first, stop = this.manifest.span(block)
        rows = twins_digest(cohort, slice(first, stop))
        lacking = []
        for arm in this.protocol.arms:
            keys[block, arm.name] = this.key(block, arm, rows)
            record = read_record(folder, arm.name, block)
            if record is not None and record.key == keys[block, arm.name] and fault_of(this, record) is None:
                valid.append(record)
            else:
                lacking.append(arm.name)
        if lacking:
            missing.append(Unit(block, tuple(lacking)))
    return Survey(tuple(valid), tuple(missing), keys)


def fault_of(this: Bench, record: Record) -> str | None:
    """What is wrong with the stored bytes of a block, None when they are those of its record."""
    place = this.place(record.block, record.arm)
    where = f"block {record.block} of arm {record.arm}"
    try:
        if hash_arrays(read_block(this.folder.outcomes, place)) != record.outcomes:
            return f"{where}: outcomes.zarr holds other bytes than the record"
        if record.kept is not None:
            n_kept = this.kept(place.first, place.stop)
            kept = type(place)(place.block, place.first, place.first + n_kept, place.arm)
            if hash_arrays(read_block(this.folder.kept, kept)) != record.kept:
                return f"{where}: kept.zarr holds other bytes than the record"
    except DamagedStore as error:
        return f"{where}: {error}"
    return None


def drop_invalid(folder: RunFolder, found: Survey) -> None:
    """Remove every record that proves nothing, so that who reads the records alone reads the truth."""
    valid = {(record.arm, record.block) for record in found.valid}
    for path in folder.records.glob("*/*.json"):
        if not path.stem.isdigit() or (path.parent.name, int(path.stem)) not in valid:
            path.unlink()


def execute(folder: RunFolder, found: Survey, client: Any, notify: Notify, stop: Stop) -> tuple[Record, ...]:
    """Compute the missing blocks; returns all records, the valid ones found before among them.

    Raises
    ------
    RunError
        The run was asked to stop, or the cluster was lost (75, 130): the same command goes on from here.
    """
    from distributed import KilledWorker, as_completed

    records = list(found.valid)
    this = bench(folder)
    total = this.manifest.rows * len(this.protocol.arms)
    reused = sum(record.count for record in found.valid)
    waiting = deque((unit, False) for unit in found.missing)
    flying: dict[str, tuple[Unit, bool]] = {}
    queue = as_completed(loop=client.loop, raise_errors=False)

    known: set[str] = set()

    def refill() -> None:
        threads = client.nthreads()
        require_same_versions(client, threads.keys() - known)
        known.update(threads)
        width = max(1, WINDOW_PER_WORKER * sum(threads.values()))
        while waiting and len(flying) < width and not stop.asked:
            unit, isolate = waiting.popleft()
            future = client.submit(work, str(folder.root), unit.block, unit.arms, isolate, pure=False)
            flying[future.key] = (unit, isolate)
            queue.add(future)

    refill()
    notify(progress_of(records, total, reused))
    for future in queue:
        unit, isolate = flying.pop(future.key)
        if future.status == "finished":
            for record in future.result():
                if record.key != found.keys[record.block, record.arm]:
                    raise RunError(OTHER_SOURCE)
                records.append(record)
            notify(progress_of(records, total, reused))
        elif future.status != "error":
            raise RunError("the cluster was lost; start the same command again to go on", 75)
        elif isinstance(future.exception(), KilledWorker) and not isolate:
            waiting.append((unit, True))
        else:
            raise future.exception()
        refill()
    if waiting:
        raise RunError(f"stopped by {stop.asked.name}; start the same command again to go on", stop.exit_code)  # type: ignore[union-attr]
    return tuple(sorted(records, key=lambda record: (record.arm, record.block)))


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


@contextmanager
def stopping() -> Iterator[Stop]:
    """Take SIGTERM, SIGUSR1 and SIGINT as requests to stop while a run is at work."""
    stop = Stop()

    def ask(number: int, _frame: object) -> None:
        if stop.asked is not None:
            raise KeyboardInterrupt
        stop.asked = signal.Signals(number)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    taken = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = {number: signal.signal(number, ask) for number in taken}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
