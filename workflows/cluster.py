"""Where blocks are computed: a Dask cluster on this machine, or one that is reached by its address."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .run_folder import RunError

CONNECT_SECONDS = 20
LOOPBACK = "127.0.0.1:0"


@dataclass(frozen=True)
class Cluster:
    """The workers a run asks for. Without `scheduler` they live on this machine and end with the run."""

    workers: int | None = None
    scheduler: str | None = None
    processes: bool = True

    @property
    def size(self) -> int:
        """Workers on this machine: by default the cores this process may use."""
        return self.workers or len(os.sched_getaffinity(0))


@dataclass
class Connection:
    """A client that is made when it is first asked for: a folder that needs no work needs no cluster."""

    cluster: Cluster
    scratch: Path
    stack: ExitStack
    made: Any = None

    def client(self) -> Any:
        """The client, connected."""
        if self.made is None:
            self.made = self.stack.enter_context(connected(self.cluster, self.scratch))
        return self.made


@contextmanager
def connection(cluster: Cluster, scratch: Path) -> Iterator[Connection]:
    """A connection that is closed at the end if it was ever made."""
    with ExitStack() as stack:
        yield Connection(cluster, scratch, stack)


@contextmanager
def connected(cluster: Cluster, scratch: Path) -> Iterator[Any]:
    """A Dask client, and the local cluster behind it where no address is given.

    Raises
    ------
    RunError
        No scheduler answers at the address: start one, or leave the address out.
    """
    import dask
    from distributed import Client

    settings = {
        "distributed.scheduler.allowed-failures": 1,  # a twin that ends its process is looked for at once
        "distributed.worker.daemon": True,
        "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
        "distributed.admin.low-level-log-length": 0,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    with dask.config.set(settings):
        if cluster.scheduler is None:
            with _local(cluster, scratch) as local, Client(local, set_as_default=False) as client:
                if cluster.processes:
                    client.register_plugin(_manners())
                yield client
            return
        try:
            client = Client(cluster.scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise RunError(
                f"no Dask scheduler answers at {cluster.scheduler!r} ({type(error).__name__}); "
                "start one and give its address, or leave --scheduler out"
            ) from None
        with client:
            yield client


def _manners() -> Any:
    """Worker plugin: Ctrl-C on a terminal reaches every process of the run, and it is the driver's to answer.

    At its end a process lets its objects be: to look through a million of them for cycles takes a second.
    """
    from distributed import WorkerPlugin

    class Manners(WorkerPlugin):
        name = "twinarm-manners"

        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            atexit.register(gc.freeze)

    return Manners()


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
        local = LocalCluster(n_workers=cluster.size, threads_per_worker=1, processes=True, host="127.0.0.1", **common)
    else:
        local = LocalCluster(n_workers=1, threads_per_worker=cluster.size, processes=False, **common)
    with local:
        yield local
