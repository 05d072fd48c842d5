"""One call from a protocol to evidence: screen, simulate, account, analyse, report; and on again after any stop."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..models.model import Status
from ..trials.ledger import is_over_failure_limit
from ..trials.measures import outcome_layout
from ..trials.protocol import Protocol
from ..trials.protocol_file import require_simulation
from . import store
from .analyse import analyse_run
from .cluster import Cluster, Connection, connection
from .executor import GO_ON, drop_invalid, execute, stopping, survey
from .lazy import lazily
from .prepare import prepare, refuse_foreign
from .progress import Notify, Progress, quiet
from .records import Record
from .run_folder import (
    Manifest,
    RunError,
    RunFolder,
    json_bytes,
    locked,
    protocol_of,
    read_manifest,
    write_atomic,
)
from .seal import seal
from .worker import give_memory_back

HERE = Cluster()
GATE_FAILED, TOO_MANY_FAILED = 3, 4


@dataclass(frozen=True)
class RunResult:
    """What a run left behind. `results` is what stands in results.json; `exit_code` 0, 3 (gate) or 4 (failed twins)."""

    folder: Path
    outcomes_digest: str
    failed_twins: int
    exit_code: int
    results: dict[str, Any]

    @property
    def report(self) -> Path:
        return RunFolder(self.folder).report


def run_trial(
    protocol: Protocol,
    out: str | Path,
    cluster: Cluster = HERE,
    *,
    block: int | None = None,
    update: bool = False,
    notify: Notify = quiet,
) -> RunResult:
    """Run a trial into a folder, or go on with what is in it.

    Parameters
    ----------
    out : path
        Folder of the run; an empty or new one, or that of the same protocol.
    cluster : Cluster
        Worker processes on this machine, the address of a scheduler, or jobs of Slurm. In a script, worker processes
        need the call to stand under `if __name__ == "__main__":`.
    block : int, optional
        Twins a block; chosen from a pilot where it is absent. Results do not depend on it.
    update : bool
        Take over a folder of another protocol, keeping every block whose inputs are the same.

    Raises
    ------
    RunError
        What the user can mend (2), or a reason to start the same command again (75, 130); see its `exit_code`.
    """
    give_memory_back()
    cluster.require()
    folder = run_folder_of(protocol, out)
    with locked(folder):
        bank = simulate_bank(folder, protocol, cluster, block, update, notify)
        if bank.is_refused:
            results, code = _refused(folder, protocol, bank), TOO_MANY_FAILED
        else:
            notify(Progress("analysis", 0, 0))
            results, passed = analyse_run(folder, protocol, bank.outcomes, bank.digest)
            code = 0 if passed else GATE_FAILED
        seal(folder)
    return RunResult(folder.root, bank.digest, bank.failed, code, results)


def run_folder_of(protocol: Protocol, out: str | Path) -> RunFolder:
    """The folder of a run, looked at before anything is written."""
    require_simulation(protocol)
    folder = RunFolder(Path(out).absolute())
    refuse_foreign(folder, protocol)
    return folder


@dataclass(frozen=True)
class Bank:
    """Every twin in every arm: outcomes, their digest, how many twins failed, and whether those are too many."""

    outcomes: xr.Dataset
    digest: str
    failed: int
    is_refused: bool


def simulate_bank(
    folder: RunFolder,
    protocol: Protocol,
    cluster: Cluster,
    block: int | None = None,
    update: bool = False,
    notify: Notify = quiet,
) -> Bank:
    """All of a run that comes before its analysis. The folder is locked by the caller."""
    notify(Progress("screening", 0, 0))
    with connection(cluster, folder.scratch, notify) as connected, reachable(connected):
        manifest = prepare(folder, protocol, connected, block, update)
        records = simulate(folder, connected, notify)
    shutil.rmtree(folder.scratch, ignore_errors=True)
    outcomes = outcomes_of(folder)
    write_ledger(folder, manifest, outcomes, records)
    failed = int((outcomes["status"].values != Status.COMPLETED).any(axis=1).sum())
    return Bank(outcomes, store.digest(outcomes), failed, is_over_failure_limit(protocol, outcomes))


def simulate(folder: RunFolder, connected: Connection, notify: Notify) -> tuple[Record, ...]:
    """Bring every block of a prepared folder into being; returns the records of all."""
    found = survey(folder)
    drop_invalid(folder, found)
    if found.missing:
        client = connected.client()
        with stopping() as stop:
            execute(folder, found, client, notify, stop)
        found = survey(folder)  # what is on the disk now, not what was reported
        if found.missing:
            raise RunError(f"{len(found.missing)} blocks were damaged while others were made; start the run again", 75)
    return found.valid


def read_outcomes(folder: RunFolder) -> xr.Dataset:
    """Outcomes of the bank, in memory, arms in the order of the protocol.

    Raises
    ------
    RunError
        Some twin and arm is not computed: run on before reading.
    """
    return _of_protocol(folder, store.load(folder.outcomes))


def outcomes_of(folder: RunFolder) -> xr.Dataset:
    """The same, each variable read from the folder when its values are asked for (see `lazily`)."""
    return _of_protocol(folder, lazily(folder.outcomes))


def _of_protocol(folder: RunFolder, stored: xr.Dataset) -> xr.Dataset:
    protocol = protocol_of(read_manifest(folder))
    outcomes = stored.sel(arm=[arm.name for arm in protocol.arms])
    empty = int((outcomes["status"].values == Status.NOT_COMPUTED).sum())
    if empty:
        raise RunError(
            f"{folder.root}: {empty} of {outcomes['status'].size} outcomes are not computed; run it to the end"
        )
    return outcomes[list(outcome_layout(protocol))]


def write_ledger(folder: RunFolder, manifest: Manifest, outcomes: xr.Dataset, records: Sequence[Record]) -> None:
    """What became of every candidate that is no completed twin: counts of the screening, then twin by twin."""
    lines: list[dict[str, Any]] = [{"stage": "candidates", "count": manifest.candidates}]
    lines += [{key: row[key] for key in ("stage", "reason", "count")} for row in manifest.screening]
    lines.append({"stage": "bank", "count": manifest.rows})
    reasons = {(record.arm, bad.twin): bad.reason for record in records for bad in record.quarantined}
    status = outcomes["status"].values
    failed = np.argwhere(status != Status.COMPLETED)
    ids, days, arms = (outcomes[name].values for name in ("twin", "failed_at", "arm"))  # once: they may lie on the disk
    for row, column in failed:
        twin, arm = int(ids[row]), str(arms[column])
        code = Status(int(status[row, column]))
        line = {
            "stage": "failed",
            "twin": twin,
            "arm": arm,
            "status": code.name.lower().replace("_", " "),
            "seed": manifest.seed,
            "reason": reasons.get((arm, twin), code.reason),
        }
        day = float(days[row, column])
        lines.append(line | ({"day": day} if np.isfinite(day) else {}))
    write_atomic(folder.ledger, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())


@contextmanager
def reachable(connected: Connection) -> Iterator[None]:
    """An error that comes of a scheduler that is gone is said as that."""
    from distributed import CancelledError
    from distributed.comm import CommClosedError

    try:
        yield
    except RunError:
        raise
    except Exception as error:
        is_open = connected.made is None or connected.made.status == "running"
        if is_open and not isinstance(error, (CommClosedError, CancelledError)):  # the status lags behind
            raise
        raise RunError(f"the cluster was lost ({type(error).__name__}); {GO_ON}", 75) from error


def by_arm(outcomes: xr.Dataset) -> str:
    """How many twins failed in each arm, by reason, in words."""
    said = []
    for arm in outcomes["arm"].values.tolist():
        status = outcomes["status"].sel(arm=arm).values
        counts = Counter(Status(code).reason for code in status[status != Status.COMPLETED].tolist())
        said.append(f"{arm}: " + (", ".join(f"{n} {reason}" for reason, n in sorted(counts.items())) or "none"))
    return "; ".join(said)


def _refused(folder: RunFolder, protocol: Protocol, bank: Bank) -> dict[str, Any]:
    """Results that say why there are none; an older analysis is not left beside them."""
    started = bank.outcomes.sizes["twin"]
    results = {
        "format": 1,
        "protocol": protocol.digest,
        "outcomes": bank.digest,
        "refused": f"{bank.failed} of {started} twins failed in some arm ({bank.failed / started:.2%}), "
        f"the limit is {protocol.solver.failure_limit:.2%}: no analysis is run ({by_arm(bank.outcomes)})",
    }
    folder.report.unlink(missing_ok=True)
    shutil.rmtree(folder.posterior, ignore_errors=True)
    write_atomic(folder.results, json_bytes(results))
    return results
