"""Other solvers in processes of their own, asked one workload at a time: see `peers.py`, which they run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent

# The package that each peer needs, and the workloads that it can express (all where not named).
PACKAGES = {
    "numbalsoda dop853": "numbalsoda", "numbalsoda lsoda": "numbalsoda", "diffrax": "diffrax",
    "libroadrunner": "roadrunner", "scipy odeint": "scipy", "scipy solve_ivp": "scipy", "simglucose": "simglucose",
}  # fmt: skip
ONLY = {"simglucose": {"W2a": "it has one model of its own, type 1 diabetes"}}
IN_R = ("mrgsolve", "rxode2")


def installed(python: str) -> dict[str, str]:
    """Version of each peer's package in the environment of an interpreter; empty where it is not installed."""
    names = sorted(set(PACKAGES.values()) | {"numba"})
    script = (
        "import importlib.metadata as m, importlib.util as u, json, sys\n"
        "names = {'roadrunner': 'libroadrunner'}\n"
        "print(json.dumps({n: m.version(names.get(n, n)) if u.find_spec(n) else '' for n in sys.argv[1:]}))"
    )
    run = subprocess.run([python, "-c", script, *names], capture_output=True, text=True, check=True)
    return dict(json.loads(run.stdout))


def installed_in_r() -> dict[str, str]:
    """What stands in the report for the packages of R: this benchmark only says whether they are there."""
    found = {}
    for name in IN_R:
        if shutil.which("Rscript") is None:
            found[name] = "not installed (no R)"
            continue
        script = f'cat(tryCatch(as.character(packageVersion("{name}")), error = function(e) ""))'
        run = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
        found[name] = f"{run.stdout} installed, not measured: no runner here" if run.stdout else "not installed"
    return found


class Peer:
    """One solver on one workload."""

    def __init__(self, python: str, name: str, problem: Path, folder: Path) -> None:
        """Starts a process and waits for its first twin; `folder` holds what it keeps between processes."""
        self.name = name
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 as long as the process
        self._process = subprocess.Popen(
            [python, str(HERE / "peers.py"), name, str(problem), str(folder)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
            env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        )  # fmt: skip
        self.first_twin = float(self._answer()["first_twin"])

    def seconds(self, count: int, rtol: float, atol: float, keep: Path | None = None) -> float:
        """CPU time of the first `count` twins."""
        request = {"count": count, "rtol": rtol, "atol": atol} | ({"keep": str(keep)} if keep else {})
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def samples(self, count: int, rtol: float, atol: float) -> np.ndarray:
        """Watched states of the first `count` twins, shape (twin, sample, state)."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "samples.npy"
            self.seconds(count, rtol, atol, path)
            return np.asarray(np.load(path))

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._said.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            last = self._said.read().strip().splitlines()[-1:] or ["it said nothing"]
            raise RuntimeError(f"{self.name} ended: {last[0]}")
        return dict(json.loads(line))
