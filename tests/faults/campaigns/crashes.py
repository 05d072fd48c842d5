"""Crash points: a run ends at its 1st, 2nd, ... n-th write, fsync, rename or removal, and is then started again.

The points are seen from outside, by Python's audit events and around `os.fsync`; the program knows nothing of them. At
an fsync a death also takes half of the file with it, as a power failure may: what was not synced yet is lost. With an
error number instead of a death every operation from that point on fails so, as on a disk that is full.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import stat
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .common import PARTS, differences, facts, start, toy_file

DIED = 137
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
BLOCK = 4


def reference(folder: Path, twins: int = 12) -> Path:
    """The run that nothing disturbs, with its analysis."""
    protocol = toy_file(folder / "trial.yaml", twins)
    protocol.write_text(protocol.read_text().replace("subjects: 40", f"subjects: {twins}"))
    words = ["run", protocol, "--out", folder / "calm", "--threads", "--block", BLOCK]
    code = start(words, log=folder / "calm.log").wait()
    assert code in (0, 3), (folder / "calm.log").read_text()
    return folder / "calm"


def preload() -> None:
    """Import once what every run needs, so that a forked one begins at once. No thread may live at a fork."""
    import distributed
    import matplotlib.pyplot

    import twinarm.trials.analysis.fit
    import twinarm.workflows.cli
    import twinarm.workflows.commands
    import twinarm.workflows.report.build
    import twinarm.workflows.run

    assert distributed and matplotlib.pyplot and twinarm
    assert threading.active_count() == 1, threading.enumerate()


def forked(action: Callable[[], Any], log: Path, seconds: float = 120.0) -> int:
    """Do something in a process of its own; its exit code."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            with log.open("ab", buffering=0) as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            code = int(action() or 0)
        except SystemExit as left:
            code = int(left.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return -9


def run_again(folder: Path, out: Path) -> int:
    """`twinarm run` in this process. Posterior and page are those of the undisturbed run, which write nothing."""
    from twinarm.trials.analysis import fit
    from twinarm.workflows import cli
    from twinarm.workflows.fits import load_fit
    from twinarm.workflows.report import build
    from twinarm.workflows.run_folder import RunFolder, write_atomic

    page = (folder / "calm" / "report.html").read_bytes()
    build.write_report = lambda root: write_atomic(root / "report.html", page)  # type: ignore[assignment]

    fit.analyse_all = lambda protocol, data: {  # type: ignore[assignment]
        a.endpoint: load_fit(RunFolder(folder / "calm"), a.endpoint) for a in protocol.analyses
    }
    os.chdir(PARTS)
    sys.path.insert(0, str(PARTS))
    words = ["run", folder / "trial.yaml", "--out", out, "--threads", "--workers", 1]
    sys.argv = ["twinarm", *map(str, words), *([] if (out / "manifest.json").exists() else ["--block", str(BLOCK)])]
    return cli.main()


def arm(root: Path, at: int, error: int | None, seen: Path) -> None:
    """From now on the `at`-th change below `root` is the last one; how many there were is left in `seen`."""
    count = 0
    guard = threading.Lock()
    fsync = os.fsync
    inside = f"{root}{os.sep}"

    def point(kind: str, path: str, handle: int | None = None) -> None:
        nonlocal count
        if not path.startswith(inside) or path.startswith((f"{inside}tmp", f"{inside}.lock")):
            return
        with guard:
            count += 1
            if count < at:
                return
            if error is not None:
                raise OSError(error, os.strerror(error), path)
            if handle is not None and stat.S_ISREG(os.fstat(handle).st_mode):
                os.truncate(path, os.fstat(handle).st_size // 2)
            os._exit(DIED)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not arguments or not isinstance(arguments[0], (str, os.PathLike)):
            return
        if event in CHANGES or (event == "open" and (arguments[2] or 0) & WRITES):
            point(event, os.path.abspath(os.fspath(arguments[0])))

    def synced(handle: Any) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        point("fsync", os.readlink(f"/proc/self/fd/{number}"), number)
        fsync(handle)

    os.fsync = synced  # type: ignore[assignment]
    sys.addaudithook(hook)
    import atexit

    atexit.register(lambda: seen.write_text(str(count)))
    arm.leave = lambda: seen.write_text(str(count))  # type: ignore[attr-defined]


def crashing(folder: Path, out: Path, at: int, error: int | None) -> int:
    """A run that meets its end, or a broken disk, at a point."""
    arm(out, at, error, folder / "seen")
    try:
        return run_again(folder, out)
    finally:
        arm.leave()  # type: ignore[attr-defined]


def sweep(folder: Path, error: int | None = None, sample: int | None = None, seed: int = 1) -> dict[str, object]:
    """End a run at each of its points (or at some, chosen at random), start it again, compare.

    Returns
    -------
    dict
        How many points there are and were tried, exit codes, and every point after which something was otherwise:
        files, the exit code (75 for an error of the disk), or more than one line on standard error.
    """
    preload()
    calm = facts(folder / "calm")
    out, log = folder / "run", folder / "run.log"
    shutil.rmtree(out, ignore_errors=True)
    assert forked(lambda: crashing(folder, out, sys.maxsize, None), log) in (0, 3), log.read_text()
    assert not differences(calm, facts(out)), differences(calm, facts(out))
    points = int((folder / "seen").read_text())
    tried: Sequence[int] = range(1, points + 1)
    if sample is not None and sample < points:
        tried = sorted(random.Random(seed).sample(tried, sample))
    exits: Counter[str] = Counter()
    wrong = []
    began = time.monotonic()
    for at in tried:
        shutil.rmtree(out, ignore_errors=True)
        log.unlink(missing_ok=True)
        code = forked(lambda at=at: crashing(folder, out, at, error), log)  # type: ignore[misc]
        exits[str(code)] += 1
        said = [line for line in log.read_text().splitlines() if not line.startswith('{"event"')]
        if error is not None and code not in (0, 3) and (code != 75 or len(said) != 1):
            wrong.append(f"point {at}: exit {code}, {said[-3:]}")
        log.unlink(missing_ok=True)
        resumed = forked(lambda: run_again(folder, out), log)
        found = differences(calm, facts(out))
        if resumed not in (0, 3) or found:
            wrong.append(f"point {at}: resumed with {resumed}, {found[:5]}, {log.read_text()[-300:]}")
    return {
        "fault": "death" if error is None else errno.errorcode[error],
        "points": points,
        "tried": len(tried),
        "exits": dict(exits),
        "seconds": round(time.monotonic() - began, 1),
        "wrong": wrong,
    }
