"""A run without a cluster: prepared once, its blocks shared out to independent processes, finished by `run`.

    twinarm run PROTOCOL --out RUN --prepare
    twinarm run PROTOCOL --out RUN --blocks k/n        for every k of 0 .. n - 1, at any time, on any machine
    twinarm run PROTOCOL --out RUN

The processes know nothing of each other: the records say what exists.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ..trials.protocol import Protocol
from .cluster import Cluster, connection
from .executor import GO_ON, stopping, survey
from .prepare import prepare
from .progress import Notify, Progress, begun, quiet
from .records import simulation_source
from .run import run_folder_of
from .run_folder import Manifest, RunError, locked, read_manifest
from .worker import work

PILOT = Cluster(1)


def prepare_run(
    protocol: Protocol,
    out: str | Path,
    cluster: Cluster = PILOT,
    *,
    block: int | None = None,
    update: bool = False,
    notify: Notify = quiet,
) -> Manifest:
    """All of a run that comes before its first block; the cluster is for the pilot."""
    folder = run_folder_of(protocol, out)
    with locked(folder):
        notify(Progress("screening", 0, 0))
        with connection(cluster, folder.scratch, notify) as connected:
            manifest = prepare(folder, protocol, connected, block, update)
        shutil.rmtree(folder.scratch, ignore_errors=True)
    return manifest


def simulate_share(protocol: Protocol, out: str | Path, k: int, n: int, notify: Notify = quiet) -> Progress:
    """Simulate blocks k, k + n, k + 2 n, ... of a prepared folder in this process; what has a valid record is kept.

    Raises
    ------
    RunError
        The folder is not prepared for this protocol and this source, a whole run is at work in it, or a signal asked
        to stop (75, 130).
    """
    folder = run_folder_of(protocol, out)
    manifest = read_manifest(folder) if folder.manifest.is_file() else None
    if manifest is None or (manifest.protocol, manifest.source) != (protocol.digest, simulation_source(protocol)):
        raise RunError(f"{folder.root} is not prepared for this protocol; run it once with --prepare")
    spans = [manifest.span(block) for block in range(manifest.blocks)[k::n]]
    total = sum(stop - first for first, stop in spans) * len(protocol.arms)
    with locked(folder, shared=True), stopping() as stop:
        found = survey(folder, slice(k, None, n))
        progress = begun(found.valid, total)
        notify(progress)
        for unit in found.missing:
            if stop.asked:
                raise RunError(f"stopped by {stop.asked.name}; {GO_ON}", stop.exit_code)
            for arm in unit.arms:
                folder.record(arm, unit.block).unlink(missing_ok=True)  # it proves nothing
            progress = progress.after(work(str(folder.root), unit.block, unit.arms))
            notify(progress)
    return progress
