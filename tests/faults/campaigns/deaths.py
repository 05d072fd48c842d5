"""Deaths: workers, the scheduler and the driver are killed at random until they have died so many times.

A supervisor starts again whatever has ended, as systemd or a cluster would; what is left at the end must be the bytes
of a run that nobody disturbed.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .common import differences, facts, start, toy_file

LIMIT_SECONDS = 3000.0


@dataclass
class Cast:
    """The processes of a run; with a port there is a scheduler of its own, and workers under nannies."""

    words: list[object]
    log: Path
    port: int | None
    workers: int
    alive: dict[str, subprocess.Popen] = field(default_factory=dict)
    exits: Counter[int] = field(default_factory=Counter)

    def supervise(self) -> bool:
        """Start whatever is not alive; whether the driver has come to its end with a result."""
        driver = self.alive.get("driver")
        if driver is not None and driver.poll() is not None:
            self.exits[driver.returncode] += 1
            if driver.returncode not in (-signal.SIGKILL, 75):
                return True
        if self.port is not None:
            address = f"127.0.0.1:{self.port}"
            self._keep("scheduler", ["scheduler", "--host", "127.0.0.1", "--port", self.port, "--no-dashboard"])
            for number in range(self.workers):
                words = ["worker", address, "--nthreads", 1, "--no-dashboard", "--host", "127.0.0.1"]
                self._keep(f"nanny {number}", words)
        self._keep("driver", self.words, "twinarm.workflows.cli")
        return False

    def _keep(self, name: str, words: list[object], module: str = "distributed.cli.dask_") -> None:
        process = self.alive.get(name)
        if process is None or process.poll() is not None:
            if module != "twinarm.workflows.cli":
                module, words = f"distributed.cli.dask_{words[0]}", words[1:]
            self.alive[name] = start(words, module, self.log)

    def kinds(self) -> dict[str, list[psutil.Process]]:
        """Who can be killed now, by kind."""
        found: dict[str, list[psutil.Process]] = {"worker": []}
        for name, process in self.alive.items():
            if process.poll() is None:
                one = psutil.Process(process.pid)
                if name in ("driver", "scheduler"):
                    found[name] = [one]
                if name.startswith("nanny") or (name == "driver" and self.port is None):
                    found["worker"] += [c for c in one.children(recursive=True) if "spawn_main" in " ".join(_line(c))]
        return {kind: processes for kind, processes in found.items() if processes}

    def end(self) -> None:
        for process in self.alive.values():
            for one in [*_family(process.pid)]:
                one.kill()
            process.wait()


def _line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _family(pid: int) -> list[psutil.Process]:
    try:
        one = psutil.Process(pid)
        return [*one.children(recursive=True), one]
    except psutil.Error:
        return []


def records_in(run: Path) -> int:
    return sum(1 for _ in run.glob("records/*/[0-9]*.json"))


def undisturbed(folder: Path, twins: int, block: int, **settings: object) -> tuple[Path, float]:
    """A whole run without any fault, and its seconds."""
    protocol = toy_file(folder / "trial.yaml", twins, **settings)
    began = time.monotonic()
    code = start(["run", protocol, "--out", folder / "calm", "--block", block], log=folder / "calm.log").wait()
    assert code == 0, (code, (folder / "calm.log").read_text())
    return folder / "calm", time.monotonic() - began


def deaths(
    folder: Path, twins: int, block: int, kills: int, seed: int, *, own_scheduler: bool, stop_seconds: float = 0.0
) -> dict[str, object]:
    """Kill so many processes in one run, compare what it left with an undisturbed run.

    Parameters
    ----------
    stop_seconds : float, s
        A worker is stopped (SIGSTOP) for so long first.
    """
    chosen = random.Random(seed)
    protocol = folder / "trial.yaml"
    run = folder / f"killed-{'scheduler' if own_scheduler else 'local'}"
    port = _free_port() if own_scheduler else None
    words: list[object] = ["run", protocol, "--out", run, "--block", block]
    words += ["--scheduler", f"tcp://127.0.0.1:{port}"] if port else ["--workers", 2]
    cast = Cast(words, folder / f"{run.name}.log", port, 2)
    died: Counter[str] = Counter()
    began, seen, due = time.monotonic(), 0, 0.0
    stopped: psutil.Process | None = None
    ended = False
    try:
        while not ended:
            assert time.monotonic() - began < LIMIT_SECONDS, f"no end; {dict(died)}, exits {dict(cast.exits)}"
            ended = cast.supervise()
            now = time.monotonic()
            has_moved = records_in(run) > seen  # so that the run gets on between its deaths
            if sum(died.values()) < kills and has_moved and now > due:
                kinds = cast.kinds()
                if stop_seconds and not died["stopped"] and "worker" in kinds:
                    stopped = chosen.choice(kinds["worker"])
                    stopped.send_signal(signal.SIGSTOP)
                    died["stopped"] += 1
                    time.sleep(stop_seconds)
                    if stopped.is_running():
                        stopped.send_signal(signal.SIGCONT)
                    kills += 1
                    continue
                kind = chosen.choice(sorted(kinds))
                chosen.choice(kinds[kind]).kill()
                died[kind] += 1
                with cast.log.open("a") as log:
                    log.write(f"--- killed {kind} at {records_in(run)} records\n")
                seen, due = records_in(run), now + chosen.uniform(0.3, 3.0)
            time.sleep(0.05)
    finally:
        cast.end()
    return {
        "twins": twins,
        "died": dict(died),
        "exits of the driver": {str(code): n for code, n in sorted(cast.exits.items())},
        "seconds": round(time.monotonic() - began, 1),
        "differences": differences(facts(folder / "calm"), facts(run))[:20],
        "files compared": len(facts(run)),
    }


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
