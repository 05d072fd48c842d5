"""One twin at a time in a process of its own: what ends, hangs or starves a process costs that twin alone.

`python -m twinarm.workflows.isolation` goes through the rows of a block and leaves a file a row; the first row without
one is that which ended it, and the next process goes on behind it. Nothing is written into the store.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from ..models.model import Status
from ..trials.protocol import Arm
from ..trials.simulate import OutcomeError
from .block import BadBlock, Bench, Done, bench, simulate_rows
from .records import Quarantined
from .run_folder import RunFolder
from .store import Place, empty_block

TRIES = 2  # somebody else may have ended a process: its twin gets a second one
COMPILE_SECONDS = 60.0  # the first twin of a process may wait for the compiler
LEAST_MEMORY = 1 << 30
PR_SET_PDEATHSIG = 1


def limit_memory(processes: int) -> None:
    """Hold this process and its children to their share of the machine's memory; a lower limit stays.

    Past it an allocation fails, which is an error of one twin. Without it the kernel would choose whom to end.
    """
    from distributed.system import MEMORY_LIMIT  # minds control groups

    share = max(int(0.9 * MEMORY_LIMIT / processes), LEAST_MEMORY)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (share, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))


def simulate_alone(this: Bench, place: Place, arm: Arm, seconds: float) -> Done:
    """The arrays of a block, each twin simulated in a process that is ended after `seconds`.

    Raises
    ------
    BadBlock
        No process could be started.
    OutcomeError
        The model or an endpoint breaks its contract.
    """
    this.folder.scratch.mkdir(exist_ok=True)
    count = place.stop - place.first
    parts: list[Done] = []
    tries = 0
    with tempfile.TemporaryDirectory(prefix="alone-", dir=this.folder.scratch) as scratch:
        results = Path(scratch)
        while len(parts) < count:
            began = len(parts)
            code, said = _process(this, place, arm, (began, seconds), results)
            while len(parts) < count and _file(results, len(parts)).exists():
                parts.append(_read(this, place, len(parts), results))
            if len(parts) == count:
                break
            if (results / "contract").exists():
                raise OutcomeError((results / "contract").read_text(encoding="utf-8"))
            if not (results / f"started-{began}").exists():
                raise BadBlock(f"no process for block {place.block} could be started: {said[-300:]}")
            tries = tries + 1 if len(parts) == began else 1
            if code == -signal.SIGALRM or tries >= TRIES:
                parts.append(_quarantined(this, place, len(parts), _how(code, seconds)))
                tries = 0
    outcomes = {name: np.concatenate([part.outcomes[name] for part in parts]) for name in parts[0].outcomes}
    kept = [part.kept for part in parts if part.kept is not None]
    return Done(
        outcomes,
        {name: np.concatenate([part[name] for part in kept]) for name in kept[0]} if kept else None,
        tuple(twin for part in parts for twin in part.quarantined),
    )


def _process(this: Bench, place: Place, arm: Arm, row_and_seconds: tuple[int, float], results: Path) -> tuple[int, str]:
    """Simulate from a row on; the exit code, negative for a signal, and what was said before the first row."""
    words = (this.folder.root, place.block, arm.name, *row_and_seconds, results)
    ended = subprocess.run(
        [sys.executable, "-m", __name__, *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stderr


def _how(code: int, seconds: float) -> str:
    """How a process ended, as the reason of a quarantine."""
    if code == -signal.SIGALRM:
        return f"the simulation took longer than {seconds:g} s"
    if code < 0:
        return f"the simulation ended its process by {signal.Signals(-code).name}"
    return f"the simulation ended its process with code {code}"


def _place(place: Place, row: int) -> Place:
    return Place(place.block, place.first + row, place.first + row + 1, place.arm)


def _quarantined(this: Bench, place: Place, row: int, reason: str) -> Done:
    """The one row of a twin without result."""
    one = _place(place, row)
    outcomes = empty_block(this.folder.outcomes, 1)
    outcomes["status"][:] = Status.QUARANTINED
    kept = empty_block(this.folder.kept, 1) if this.kept(one.first, one.stop) else None
    twin = int(this.twins(slice(one.first, one.stop))["twin"].values[0])
    return Done(outcomes, kept, (Quarantined(twin=twin, seed=this.protocol.seed, reason=reason),))


def _file(results: Path, row: int) -> Path:
    return results / f"{row}.npz"


def _write(done: Done, row: int, results: Path) -> None:
    """Leave the arrays of one row; the file appears whole."""
    arrays = {f"outcomes/{name}": values for name, values in done.outcomes.items()}
    arrays |= {f"kept/{name}": values for name, values in (done.kept or {}).items()}
    arrays["reason"] = np.array([twin.reason for twin in done.quarantined], dtype=str)
    part = results / f".{row}.npz"
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.rename(_file(results, row))


def _read(this: Bench, place: Place, row: int, results: Path) -> Done:
    """The arrays of one row."""
    with np.load(_file(results, row), allow_pickle=False) as stored:
        arrays = dict(stored)
    if arrays["reason"].size:
        return _quarantined(this, place, row, str(arrays["reason"][0]))
    found = {
        group: {name.removeprefix(f"{group}/"): values for name, values in arrays.items() if name.startswith(group)}
        for group in ("outcomes", "kept")
    }
    return Done(found["outcomes"], found["kept"] or None, ())


def main(words: list[str]) -> int:
    """Simulate the rows of a block from one on, each within its time."""
    root, block, arm_name, first, seconds, scratch = words
    if sys.platform == "linux":  # die with the worker: nobody waits for an orphan
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    limit_memory(len(os.sched_getaffinity(0)))
    this = bench(RunFolder(Path(root)))
    place, arm, results = this.place(int(block), arm_name), this.protocol.arm(arm_name), Path(scratch)
    twins = this.twins(slice(place.first, place.stop))
    (results / f"started-{first}").touch()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what a model prints is nobody's to keep
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    allowance = COMPILE_SECONDS
    for row in range(int(first), place.stop - place.first):
        signal.setitimer(signal.ITIMER_REAL, float(seconds) + allowance)  # the kernel's clock ends any loop
        try:
            done = simulate_rows(this, _place(place, row), arm, twins.isel(twin=slice(row, row + 1)))
        except OutcomeError as error:
            (results / "contract").write_text(str(error), encoding="utf-8")
            return 1
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        _write(done, row, results)
        allowance = 0.0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
