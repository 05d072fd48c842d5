"""Where blocks are computed: workers on this machine, a scheduler that is reached by its address, jobs of Slurm."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from .progress import Notify, Progress, quiet
from .run_folder import RunError
from .security import LOOPBACK, reach, secured, security
from .slurm import Slurm, slurm_cluster
from .versions import require_versions, versions

CONNECT_SECONDS = 20
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Cluster:
    """The workers a run asks for. By default they live on this machine and end with the run.

    `scheduler` is the address of one that is there already, `slurm` asks for jobs; `certificates` is the folder of TLS
    that both use for anything beyond this machine.
    """

    workers: int | None = None
    scheduler: str | None = None
    processes: bool = True
    certificates: Path | None = None
    slurm: Slurm | None = None

    @property
    def size(self) -> int:
        """Workers: those of the jobs, or on this machine by default the cores that this process may use."""
        if self.slurm is not None:
            return self.slurm.jobs * self.slurm.cores
        return self.workers or len(os.sched_getaffinity(0))

    def require(self) -> None:
        """Refuse what can be seen to be wrong before anything is tried.

        Raises
        ------
        RunError
            An address that is none or not safe, certificates that are not there, or not used by anything.
        """
        if self.scheduler is not None:
            secured(self.scheduler, self.certificates)
        elif self.slurm is not None and self.certificates is not None:
            security(self.certificates)
        elif self.certificates is not None:
            raise RunError("--certificates belong to a cluster beyond this machine; give --scheduler or --slurm too")


@dataclass
class Connection:
    """A client that is made when it is first asked for: a folder that needs no work needs no cluster."""

    cluster: Cluster
    scratch: Path
    stack: ExitStack
    notify: Notify
    made: Any = None

    def client(self) -> Any:
        """The client, connected, with a worker at least: jobs may stand in a queue for hours."""
        if self.made is None:
            self.made = self.stack.enter_context(connected(self.cluster, self.scratch))
        if not self.made.nthreads():
            self.notify(Progress("waiting for workers", 0, 0))
            self.made.wait_for_workers(1)
        return self.made


@contextmanager
def connection(cluster: Cluster, scratch: Path, notify: Notify = quiet) -> Iterator[Connection]:
    """A connection that is closed at the end if it was ever made."""
    with ExitStack() as stack:
        yield Connection(cluster, scratch, stack, notify)


@contextmanager
def connected(cluster: Cluster, scratch: Path) -> Iterator[Any]:
    """A Dask client, and the cluster behind it where no address is given.

    Raises
    ------
    RunError
        No scheduler answers at the address or it may not be spoken to, Slurm refuses, or a worker has other versions.
    """
    import dask

    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": 1,  # a twin that ends its process is looked for at once
        "distributed.worker.daemon": True,
        # Dask's own adds a low trim threshold of malloc: every large array is then mapped anew, a third slower.
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(ONE_THREAD, 1) | {"MALLOC_ARENA_MAX": 1},
        "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
        "distributed.worker.profile.enabled": False,  # it would look at every thread a hundred times a second
        "distributed.admin.low-level-log-length": 0,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    if cluster.slurm is None:  # there a lost worker is a lost job; here its nanny starts it again, however slowly
        settings["distributed.deploy.lost-worker-timeout"] = "1 day"
    with dask.config.set(settings), _client(cluster, scratch) as client:
        require_same_versions(client, client.nthreads())
        yield client


@contextmanager
def _client(cluster: Cluster, scratch: Path) -> Iterator[Any]:
    from distributed import Client

    if cluster.scheduler is not None:
        trusted = reach(cluster.scheduler, cluster.certificates)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of other versions: refused below, in a line
                client = Client(cluster.scheduler, security=trusted, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, MemoryError) as error:  # the last: other words read as the size of a message
            raise RunError(
                f"what answers at {cluster.scheduler!r} is no Dask scheduler ({type(error).__name__}); "
                "give the address of one, or leave --scheduler out"
            ) from None
        with client:
            yield client
    elif cluster.slurm is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        with (
            slurm_cluster(cluster.slurm, scratch, cluster.certificates) as jobs,
            Client(jobs, set_as_default=False) as client,
        ):
            yield client
    else:
        with _local(cluster, scratch) as local, Client(local, set_as_default=False) as client:
            if cluster.processes:
                client.register_plugin(_manners(cluster.size))
            yield client


def require_same_versions(client: Any, workers: Iterable[str]) -> None:
    """Refuse workers that would compute with other libraries than this process.

    A worker that is busy or does not answer is not waited for: it is asked again with each block.

    Raises
    ------
    RunError
        A worker has other versions, or no twinarm that can be imported.
    """
    asked = list(workers)
    if not asked:
        return
    answers = {worker: client.submit(versions, workers=[worker], pure=False) for worker in asked}
    wait_until = time.monotonic() + CONNECT_SECONDS
    for worker, answer in answers.items():
        try:
            require_versions(answer.result(timeout=max(wait_until - time.monotonic(), 0.1)), versions(), worker)
        except (ImportError, AttributeError) as error:
            raise RunError(f"worker {worker} cannot import twinarm ({error}); install the same version there") from None
        except TimeoutError:
            continue


def _manners(workers: int) -> Any:
    """Worker plugin: it holds to its share of the memory.

    At its end it lets its objects be: to look through a million of them for cycles takes a second.
    """
    from distributed import WorkerPlugin

    from .isolation import limit_memory

    class Manners(WorkerPlugin):
        name = "twinarm-manners"

        def setup(self, worker: Any) -> None:
            limit_memory(workers)
            atexit.register(gc.freeze)

    return Manners()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that are started in here, and by threads that are, never see SIGINT.

    Ctrl-C on a terminal reaches every process of the run, from its first moment on, and it is the driver's to answer.
    """
    resource_tracker.ensure_running()  # at its start it would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _local(cluster: Cluster, scratch: Path) -> Iterator[Any]:
    """A cluster on the loopback interface (or inside this process), without dashboard and without log lines."""
    from distributed import LocalCluster

    scratch.mkdir(parents=True, exist_ok=True)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    common = {
        "dashboard_address": LOOPBACK,  # None would open port 8787, with threads on every interface
        "worker_dashboard_address": LOOPBACK,
        "local_directory": str(scratch),
        "silence_logs": logging.CRITICAL,
        "memory_limit": 0,  # blocks bound the memory; a limit here would end a worker in mid-block
    }
    if cluster.processes:
        with _uninterrupted():
            local = LocalCluster(
                n_workers=cluster.size, threads_per_worker=1, processes=True, host="127.0.0.1", **common
            )
    else:
        local = LocalCluster(n_workers=1, threads_per_worker=cluster.size, processes=False, **common)
    with local:
        yield local
