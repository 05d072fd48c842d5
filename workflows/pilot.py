"""A few twins before all: what one costs, how much memory a worker takes, the shape of what is kept; then the block."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import xarray as xr

from ..trials.protocol import Protocol
from ..trials.simulate import simulate_block
from .block import AT_ONCE, LANES
from .cluster import Connection
from .executor import FIRST_PATIENCE, call_off
from .run_folder import RunError

MOST_TWINS_PER_BLOCK = 20_000
MOST_BLOCKS = 10_000
SECONDS_PER_BLOCK = 1.5
LEAST_SECONDS_PER_BLOCK, MOST_SECONDS_PER_BLOCK = 0.2, 10.0
BLOCKS_PER_WORKER = 500  # a long run has longer blocks than that before it has more: each is a few files to go through
PILOT_SECONDS, LONG_SECONDS = 0.3, 1.0  # a group of the first is timed three times, of the second once
PILOT_TRIES = 3
PILOT_TWINS = AT_ONCE
PILOT_PATIENCE = 120.0  # seconds for the compiler and a few twins; one of the many may hang
MOST_PILOTS = 16  # a large cluster learns nothing from more


@dataclass(frozen=True)
class Pilot:
    """What a few twins told: seconds a twin costs over all arms, and the peak of the worker's memory in bytes.

    `outcomes` are theirs in one arm; `kept` the trajectories of one of them, for their shape.
    """

    seconds_per_twin: float
    memory_bytes: int
    outcomes: xr.Dataset
    kept: xr.Dataset | None


def piloted(connection: Connection, protocol: Protocol, cohort: xr.Dataset) -> list[Pilot]:
    """The pilot on every worker at once: they slow each other down, and each has loaded the model when blocks begin.

    Where it ends a worker's process or does not come back, it is tried with single twins.

    Raises
    ------
    RunError
        None of the first twins can be simulated.
    """
    from distributed import KilledWorker

    from ..trials.analysis.sampling import load_libraries

    single = ((slice(n, n + 1), FIRST_PATIENCE) for n in range(4))
    for rows, seconds in ((slice(0, PILOT_TWINS), PILOT_PATIENCE), *single):
        client, some = connection.client(), cohort.isel(twin=rows)
        running = _everywhere(client, compiled, protocol, some)
        if connection.cluster.processes:  # this one has nothing else to do until the model is compiled
            load_libraries()
        try:
            for one in running:
                one.result(timeout=seconds)
            running = _everywhere(client, pilot, protocol, some)  # and it is at rest while twins are timed
            return [one.result(timeout=seconds) for one in running]
        except KilledWorker:
            continue
        except TimeoutError:
            call_off(client, running)
    raise RunError("the model ends its process, or never comes back, for every one of the first twins; mend it", 70)


def _everywhere(client: Any, task: Callable[..., Any], protocol: Protocol, twins: xr.Dataset) -> list[Any]:
    """A task on its way to every worker; one that a twin ends comes back as another worker."""
    there = {"pure": False, "allow_other_workers": True}
    workers = list(client.nthreads())[:MOST_PILOTS]
    return [client.submit(task, protocol, twins, workers=[worker], **there) for worker in workers]


def seconds_per_twin(pilots: Sequence[Pilot]) -> float:
    """Seconds that a twin costs over all arms, the mean of the workers."""
    return mean(one.seconds_per_twin for one in pilots)


def pilot(protocol: Protocol, cohort: xr.Dataset) -> Pilot:
    """Simulate a few twins in every arm, and measure.

    Raises
    ------
    Exception
        That of the first twin, where none of the first four can be simulated: a run would quarantine everyone.
    """
    start, outcomes, kept = _first(protocol, cohort)
    return _timed(protocol, cohort, start, outcomes, kept)


def compiled(protocol: Protocol, cohort: xr.Dataset) -> None:
    """Simulate one twin in every arm: compiles, and loads what simulates.

    Raises
    ------
    Exception
        As `pilot`.
    """
    _first(protocol, cohort)


def _first(protocol: Protocol, cohort: xr.Dataset) -> tuple[int, xr.Dataset, xr.Dataset | None]:
    """The first twin that can be simulated: its row, and what came of it."""
    errors: list[Exception] = []
    for start in range(min(PILOT_TWINS, cohort.sizes["twin"])):
        try:
            return start, *_simulate(protocol, cohort, slice(start, start + 1))
        except Exception as error:
            errors.append(error)
            if len(errors) >= 4:
                break
    raise errors[0]


def _timed(protocol: Protocol, cohort: xr.Dataset, start: int, outcomes: xr.Dataset, kept: xr.Dataset | None) -> Pilot:
    """Time growing groups of twins until a group says enough; a group that raises is left to the run."""
    available = min(cohort.sizes["twin"] - start, PILOT_TWINS)
    count, took = min(LANES, available), [PILOT_SECONDS]
    tries = 0
    while tries < PILOT_TRIES:
        begun = time.perf_counter()
        try:
            outcomes, _ = _simulate(protocol, cohort, slice(start, start + count))
        except Exception:
            break
        seconds = time.perf_counter() - begun
        took = [*(took if tries else ()), seconds / count]
        if not tries and seconds < PILOT_SECONDS and count < available:
            count = min(4 * count, available)
        else:  # again where it was short: the first of its size pays for the memory, and one look may be unlucky
            tries += PILOT_TRIES if seconds >= LONG_SECONDS else 1
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Pilot(median(took), memory, outcomes, kept)


def _simulate(protocol: Protocol, cohort: xr.Dataset, rows: slice) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Outcomes of some twins in the last arm, after all arms; trajectories of the first twin where some are kept."""
    twins = cohort.isel(twin=rows)
    for arm in protocol.arms:
        ids = twins["twin"].values[:1] if protocol.keep else ()
        outcomes, kept = simulate_block(protocol, arm.name, twins, ids)
    return outcomes, kept


def choose_block(seconds_per_twin: float, twins: int, workers: int) -> int:
    """Twins a block: about a second and a half of work over all arms, less where workers would stand idle, and up to
    ten seconds where there would be many blocks.

    >>> choose_block(0.01, 100_000, 2), choose_block(0.01, 200, 8), choose_block(1e-6, 10**6, 2)
    (152, 24, 20000)
    >>> choose_block(0.05, 100_000, 2), choose_block(0.05, 10**6, 2)
    (104, 200)
    """
    seconds = min(seconds_per_twin * twins / (BLOCKS_PER_WORKER * workers), MOST_SECONDS_PER_BLOCK)
    wanted = max(SECONDS_PER_BLOCK, seconds) / max(seconds_per_twin, 1e-9)
    share = twins / (4 * workers)
    least = LEAST_SECONDS_PER_BLOCK / max(seconds_per_twin, 1e-9)
    size = max(min(wanted, max(share, least), MOST_TWINS_PER_BLOCK), -(-twins // MOST_BLOCKS), 1)
    return LANES * -(-int(size) // LANES) if size > LANES else int(size)
