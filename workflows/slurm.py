"""Workers as jobs of Slurm, by dask-jobqueue. The driver holds the scheduler; a job that is lost is submitted again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .run_folder import RunError
from .security import LOOPBACK, make_certificates, security

# A worker leaves before its job's time is over, and the next one starts while there are others.
LIFETIME_SHARE, STAGGER_SHARE = 0.85, 0.1


@dataclass(frozen=True)
class Slurm:
    """Jobs to keep: how many, worker processes and memory of each, its time limit, further options of sbatch."""

    jobs: int
    cores: int = 1
    memory: str = "2 GB"
    minutes: int = 60
    options: tuple[str, ...] = ()


@contextmanager
def slurm_cluster(wanted: Slurm, scratch: Path, certificates: Path | None) -> Iterator[Any]:
    """A Dask cluster whose workers are jobs; TLS always, with certificates of this run alone where none are given.

    Raises
    ------
    RunError
        There is no Slurm here, or it refuses such a job; its own words say why.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise RunError("--slurm needs the extra slurm: pip install 'twinarm[slurm]'") from None
    if shutil.which("sbatch") is None:
        raise RunError("--slurm: there is no sbatch on this machine; start the run where jobs are submitted")
    logs = scratch / "slurm"
    logs.mkdir(parents=True, exist_ok=True)
    seconds = 60 * wanted.minutes
    own = _own_certificates(scratch / "certificates") if certificates is None else nullcontext(certificates)
    with (
        own as trusted,
        SLURMCluster(
            cores=wanted.cores,
            processes=wanted.cores,
            memory=wanted.memory,
            walltime=str(wanted.minutes),
            protocol="tls://",
            security=security(trusted),
            scheduler_options={"dashboard_address": LOOPBACK},  # without it a plain port 8787 is open to the network
            worker_extra_args=[
                f"--dashboard-address={LOOPBACK}",
                "--memory-limit=0",  # Slurm bounds the job; blocks bound the memory
                f"--lifetime={LIFETIME_SHARE * seconds:.0f}s",
                f"--lifetime-stagger={STAGGER_SHARE * seconds:.0f}s",
            ],
            job_script_prologue=["export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]'"],
            job_extra_directives=list(wanted.options),
            log_directory=str(logs),
            job_name="twinarm",
        ) as cluster,
    ):
        _try(cluster.job_script(), scratch)
        # `scale` would ask once: a job that is cancelled or times out would never be replaced.
        cluster.adapt(minimum_jobs=wanted.jobs, maximum_jobs=wanted.jobs)
        yield cluster


@contextmanager
def _own_certificates(folder: Path) -> Iterator[Path]:
    """Certificates on the disk that the workers share, gone with the run."""
    shutil.rmtree(folder, ignore_errors=True)
    make_certificates(folder, days=90)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _try(script: str, scratch: Path) -> None:
    """Ask Slurm whether it would take such a job; dask-jobqueue would only log a refusal, and wait."""
    path = scratch / "job.sh"
    path.write_text(script, encoding="utf-8")
    asked = subprocess.run(["sbatch", "--test-only", path], capture_output=True, text=True, check=False)
    if asked.returncode:
        said = (asked.stderr or asked.stdout).strip().splitlines() or ["no reason given"]
        raise RunError(f"Slurm refuses such a job: {said[-1]}; mend --sbatch or the other --slurm options")
