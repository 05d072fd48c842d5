"""The driver: keeps a bounded window of blocks in flight until every block has a valid record.

Nothing it knows is needed after its death: the records say what exists, and the next run does the rest.
"""

from __future__ import annotations

import math
import platform
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from statistics import median
from typing import Any

from .block import bench, fault_of
from .lazy import Blocks, lazily
from .progress import Notify, begun
from .records import Record, read_record, twins_digest
from .run_folder import RunError, RunFolder
from .versions import require_versions, versions
from .worker import keep_heap, work

WINDOW_PER_WORKER = 2
OVERDUE = 10  # times the median
LEAST_PATIENCE, FIRST_PATIENCE = 20.0, 600.0  # seconds; the second while nothing has come back yet
TWIN_SECONDS = 60.0  # at least so long for one twin alone
LOOK_SECONDS = 0.5
RESTART_SECONDS = 30.0
MOST_TRIES = 10
GO_ON = "start the same command again to go on"
OTHER_SOURCE = (
    "a worker has other source than this process; install the same version on both, and leave it alone during a run"
)


@dataclass(frozen=True)
class Unit:
    """Work of one task: a block, and those of its arms that have no valid record."""

    block: int
    arms: tuple[str, ...]


@dataclass
class Stop:
    """Whether a signal has asked the run to end. The window in flight is finished; a second signal ends it at once."""

    asked: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        return 130 if self.asked is signal.SIGINT else 75


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
    cohort, outcomes = lazily(folder.cohort), Blocks(folder.outcomes)
    valid, missing, keys = [], [], {}
    for block in range(this.manifest.blocks)[share]:
        first, stop = this.manifest.span(block)
        rows = twins_digest(cohort, slice(first, stop))
        lacking = []
        for arm in this.protocol.arms:
            keys[block, arm.name] = this.key(block, arm, rows)
            record = read_record(folder, arm.name, block)
            if record is None or record.key != keys[block, arm.name] or fault_of(this, record, outcomes) is not None:
                lacking.append(arm.name)
            else:
                valid.append(record)
        if lacking:
            missing.append(Unit(block, tuple(lacking)))
    return Survey(tuple(valid), tuple(missing), keys)


def drop_invalid(folder: RunFolder, found: Survey) -> None:
    """Remove every record that proves nothing, so that who reads the records alone reads the truth."""
    valid = {(record.arm, record.block) for record in found.valid}
    for path in folder.records.glob("*/*.json"):
        if not path.stem.isdigit() or (path.parent.name, int(path.stem)) not in valid:
            path.unlink()


@dataclass(frozen=True)
class Flight:
    """A unit that is out at work: how it is done (see `work`), its future, when it left, how often it was tried."""

    unit: Unit
    alone: float | None
    future: Any
    since: float
    tries: int


@dataclass
class Threads:
    """How many threads the workers have, asked twice a second at most: each question is a message to the scheduler."""

    client: Any
    known: int = 0
    asked: float = -math.inf

    def now(self) -> int:
        if time.monotonic() > self.asked + LOOK_SECONDS:
            self.known, self.asked = sum(self.client.nthreads().values()), time.monotonic()
        return self.known


def execute(folder: RunFolder, found: Survey, client: Any, notify: Notify, stop: Stop) -> None:
    """Compute the missing blocks.

    Specification
    -------------
    1. At most two blocks a worker are out at a time.
    2. A block that ends its worker, or has not come back in ten times the median, is done once more twin by twin in
       processes with limits; a worker that hangs is restarted. Whichever result is later is ignored.
    3. After a signal nothing more is sent out, and the run ends when the window has come back.

    Raises
    ------
    RunError
        The run was asked to stop, or the cluster was lost (75, 130): the same command goes on from here.
    """
    from distributed import CancelledError, KilledWorker

    this = bench(folder)
    progress = begun(found.valid, this.manifest.rows * len(this.protocol.arms))
    waiting: deque[tuple[Unit, float | None, int]] = deque((unit, None, 0) for unit in found.missing)
    flying: dict[str, Flight] = {}
    landed: SimpleQueue[Any] = SimpleQueue()
    took: deque[float] = deque(maxlen=101)
    threads = Threads(client)

    def refill() -> None:
        width = max(1, WINDOW_PER_WORKER * threads.now())
        while waiting and len(flying) < width and not stop.asked:
            unit, alone, tries = waiting.popleft()
            future = client.submit(work_alike, versions(), str(folder.root), unit, alone, pure=False)
            flying[future.key] = Flight(unit, alone, future, time.monotonic(), tries)
            future.add_done_callback(landed.put)

    def again(flight: Flight) -> None:
        if flight.tries >= MOST_TRIES:
            raise RunError(f"no worker finished block {flight.unit.block} in {MOST_TRIES} tries; {GO_ON}", 75)
        waiting.append((flight.unit, max(TWIN_SECONDS, patience(took)), flight.tries + 1))

    def take(flight: Flight) -> None:
        nonlocal progress
        try:
            receipt = flight.future.result(timeout=LEAST_PATIENCE)
        except (KilledWorker, TimeoutError):
            again(flight)
            return
        except CancelledError:
            raise RunError(f"the cluster was lost; {GO_ON}", 75) from None
        if any(record.key != found.keys[record.block, record.arm] for record in receipt):
            raise RunError(OTHER_SOURCE)
        if flight.alone is None:
            took.append(time.monotonic() - flight.since)
        progress = progress.after(receipt)
        notify(progress)

    refill()
    notify(progress)
    seen = time.monotonic()
    while flying:
        with suppress(Empty):
            if flight := flying.pop(landed.get(timeout=LOOK_SECONDS).key, None):
                take(flight)
        for flight in overdue(flying, client, took, this.manifest.block):
            del flying[flight.future.key]
            again(flight)
        refill()
        seen = time.monotonic() if threads.now() else seen
        if time.monotonic() > seen + LEAST_PATIENCE:
            notify(replace(progress, stage="waiting for workers"))
    if waiting:
        assert stop.asked is not None, "nothing else keeps a unit from being sent out"
        raise RunError(f"stopped by {stop.asked.name}; {GO_ON}", stop.exit_code)


def work_alike(here: Mapping[str, str], root: str, unit: Unit, alone: float | None) -> tuple[Record, ...]:
    """`work`, on a worker that has the driver's versions: one may join at any time."""
    require_versions(versions(), here, platform.node())
    keep_heap()
    return work(root, unit.block, unit.arms, alone)


def patience(took: Sequence[float]) -> float:
    """Seconds until a block is overdue: ten times the median of those that came back, and never less than 20.

    >>> patience([]), patience([0.1, 0.2]), patience([1.0, 5.0, 300.0])
    (600.0, 20.0, 50.0)
    """
    return max(LEAST_PATIENCE, OVERDUE * median(took)) if took else FIRST_PATIENCE


def overdue(flying: dict[str, Flight], client: Any, took: Sequence[float], rows: int) -> tuple[Flight, ...]:
    """Blocks that a worker holds for too long: they are called off, and their workers are restarted."""

    def allowed(flight: Flight) -> float:
        if flight.alone is None:
            return patience(took)
        return FIRST_PATIENCE + flight.alone * rows * len(flight.unit.arms)

    now = time.monotonic()
    late = [flight for flight in flying.values() if now - flight.since > allowed(flight)]
    if not late:
        return ()
    held_keys = {key for keys in client.processing().values() for key in keys}
    held = tuple(flight for flight in late if flight.future.key in held_keys)
    for flight in late:
        if flight.future.key not in held_keys:  # it waits for a worker, so its time has not begun
            flying[flight.future.key] = replace(flight, since=now)
    call_off(client, [flight.future for flight in held])
    return held


def call_off(client: Any, futures: Sequence[Any]) -> None:
    """Give up tasks, and restart the workers that hold them: a thread that hangs ends with its process alone."""
    holders = {key: worker for worker, keys in client.processing().items() for key in keys}
    workers = sorted({holders[future.key] for future in futures if future.key in holders})
    client.cancel(futures, force=True)
    if workers:
        with suppress(ValueError):  # workers without nanny cannot be restarted; the others go on
            client.restart_workers(workers, timeout=RESTART_SECONDS, raise_for_error=False)


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
