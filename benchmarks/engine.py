"""Time the ensemble engine beside every other solver that is installed, in one run: see README.md.

    python benchmarks/engine.py --peer-python PEERS/bin/python --out benchmarks/results/engine.json

CPU time, medians of several runs, the engine and a peer by turns; error is the largest difference from a reference at
1e-12 or better over the largest value of each watched state, of the first three twins. Everybody is asked for the same
tolerance first; then the engine for the loosest at which it is no worse than the peer.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from beside import ONLY, PACKAGES, Peer, installed, installed_in_r
from machine import LANES, cpu_seconds, described, fma_peak, operations
from problem import write_problem
from report import write_report
from workloads import WORKLOADS, Workload

from twinarm.models.engine import Records, Solution, solve
from twinarm.models.engine.reference import reference_solution
from twinarm.models.model import Tolerance

ASKED = 1e-6  # relative tolerance; the absolute one is a hundredth of it
TOLERANCES = (1e-3, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 1e-7, 1e-8, 1e-9)
PEER_TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)  # of the peers that are asked for more than one
TWINS = {"W1": 4000, "W2a": 3000, "W2b": 1200, "W3": 800}
PEER_TWINS = {"W1": 96, "W2a": 64, "W2b": 32, "W3": 24}
FEW = {"scipy odeint": 12, "scipy solve_ivp": 3, "simglucose": 2, "libroadrunner": 12}  # the slow ones
MANY = {"diffrax": {"W1": 256, "W2a": 128, "W2b": 16, "W3": 64}}  # twins in one call
CHECKED = 3
ROUNDS = 5


def some(workload: Workload, twins: int) -> Workload:
    """The first twins of a workload."""
    w, r = workload, workload.records
    records = Records(r.time[:twins], r.target[:twins], r.value[:twins])
    return replace(w, y0=w.y0[:twins], p=w.p[:twins], inputs0=w.inputs0[:twins], records=records)


def engine(workload: Workload, rtol: float = ASKED, lanes: int = LANES, method: str = "auto") -> Solution:
    """Every twin of a workload."""
    w = workload
    return solve(
        w.system, w.y0, w.p, 0.0, w.stop, w.records, w.times, Tolerance(rtol, 0.01 * rtol), w.inputs0, method=method,
        lanes=lanes,
    )  # fmt: skip


def reference(workload: Workload) -> np.ndarray:
    """The watched states, shape (twin, sample, state)."""
    w = workload
    sharp = {"method": "LSODA", "rtol": 1e-12, "atol": 1e-14} if w.method == "rodas5p" else {"rtol": 1e-13}
    found = [
        reference_solution(
            w.system, w.y0[k], w.p[k], 0.0, w.stop,
            Records(*(a[k : k + 1] for a in (w.records.time, w.records.target, w.records.value))),
            w.times, w.inputs0[k], **sharp,
        )
        for k in range(len(w.y0))
    ]  # fmt: skip
    return np.array(found)[:, :, watched(w)]


def watched(workload: Workload) -> list[int]:
    return [workload.system.state(name) for name in workload.watched]


def error(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.max(np.abs(found - truth) / np.abs(truth).max(axis=1, keepdims=True)))


def first_twin(name: str) -> dict[str, list[float]]:
    """CPU seconds of a new process until its first twin, all of them and those within `solve`: nothing compiled,
    this model compiled before, and another model compiled before."""
    script = (
        "import sys, time, pickle, resource; sys.path.insert(0, sys.argv[1])\n"
        "import workloads; from twinarm.models.engine import solve\n"
        "w = pickle.load(open(sys.argv[2], 'rb')); start = time.process_time()\n"
        "solve(w.system, w.y0, w.p, 0.0, w.stop, w.records, w.times, None, w.inputs0)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(used.ru_utime + used.ru_stime, time.process_time() - start)"
    )
    other = "W3" if name == "W1" else "W1"
    found: dict[str, list[list[float]]] = {"cold": [], "warm": [], "new model": []}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as used:
            for label, workload, folder in (
                ("cold", name, empty), ("warm", name, empty), ("", other, used), ("new model", name, used),
            ):  # fmt: skip
                twin = Path(folder) / f"{workload}.pickle"
                twin.write_bytes(pickle.dumps(some(WORKLOADS[workload](1), 1)))
                run = subprocess.run(
                    [sys.executable, "-c", script, str(Path(__file__).parent), str(twin)],
                    env={**os.environ, "TWINARM_CACHE": folder}, capture_output=True, text=True, check=True,
                )  # fmt: skip
                found.get(label, []).append([float(word) for word in run.stdout.split()])
    return {label: np.median(runs, axis=0).tolist() for label, runs in found.items()}


class Timed:
    """The engine on one workload, at any tolerance and by any method."""

    def __init__(self, name: str) -> None:
        self.workload = WORKLOADS[name](TWINS[name])
        self.few = some(self.workload, max(CHECKED, TWINS[name] // 4))
        self.truth = reference(some(self.workload, CHECKED))
        self.columns = watched(self.workload)

    def rate(self, rtol: float, method: str, repeats: int = 1) -> float:
        """Twins a second."""
        seconds, solution = cpu_seconds(lambda: engine(self.few, rtol, method=method), repeats)
        assert (solution.status == 1).all()
        return len(self.few.y0) / seconds

    @cache  # noqa: B019 as many as the process has workloads
    def error(self, rtol: float, method: str) -> float:
        return error(engine(some(self.workload, CHECKED), rtol, method=method).samples[:, :, self.columns], self.truth)

    def table(self) -> list[dict[str, Any]]:
        """Error and twins a second over methods and tolerances."""
        methods = ("auto", "rodas5p") if self.workload.method == "rodas5p" else ("auto", "tsit5", "dop853")
        return [
            {"solver": method, "rtol": rtol, "error": self.error(rtol, method), "rate": self.rate(rtol, method, 3)}
            for method in methods
            for rtol in TOLERANCES
        ]


def no_worse(table: list[dict[str, Any]], limit: float) -> dict[str, Any]:
    """The fastest row whose error is within a limit."""
    return max((row for row in table if row["error"] <= limit), key=lambda row: row["rate"], default=table[-1])


def beside(timed: Timed, table: list[dict[str, Any]], peer: Peer, twins: int, rtol: float) -> dict[str, Any]:
    """A peer at one tolerance, and the engine by turns: at the same tolerance, and at errors no worse."""
    atol = 0.01 * rtol
    found = error(peer.samples(CHECKED, rtol, atol), timed.truth)
    peer.seconds(twins, rtol, atol)
    equal = no_worse(table, found)
    rates, same, fair = [], [], []
    for _ in range(ROUNDS):
        rates.append(twins / peer.seconds(twins, rtol, atol))
        same.append(timed.rate(rtol, "auto") / rates[-1])
        fair.append(timed.rate(equal["rtol"], equal["solver"]) / rates[-1])
    return {
        "solver": peer.name, "rtol": rtol, "rate": statistics.median(rates), "error": found,
        "ratio": statistics.median(same), "equal": equal, "ratio_no_worse": statistics.median(fair),
    }  # fmt: skip


def measure_peer(
    timed: Timed, table: list[dict[str, Any]], python: str, name: str, peer: str, scratch: Path
) -> dict[str, Any]:
    """First twins, and speed at the tolerance asked; of numbalsoda at others too."""
    count = MANY.get(peer, {}).get(name) or FEW.get(peer) or PEER_TWINS[name]
    problem = write_problem(timed.workload, max(count, CHECKED), scratch / f"{name}.npz")
    with tempfile.TemporaryDirectory() as folder:
        first = Peer(python, peer, problem, Path(folder))
        first.close()
        again = Peer(python, peer, problem, Path(folder))
        result = beside(timed, table, again, count, ASKED)
        result["first_twin"] = {"cold": first.first_twin, "warm": again.first_twin}
        if peer.startswith("numbalsoda"):
            others = [rtol for rtol in PEER_TOLERANCES if rtol != ASKED]
            result["others"] = [beside(timed, table, again, count, rtol) for rtol in others]
        again.close()
    return result


def measure(name: str, peak: float, python: str, scratch: Path, versions: dict[str, str]) -> dict[str, Any]:
    """All figures of one workload."""
    timed = Timed(name)
    w, twins = timed.workload, TWINS[name]
    engine(some(w, LANES), method=w.method)
    named, solution = cpu_seconds(lambda: engine(w, method=w.method), ROUNDS)
    assert (solution.status == 1).all()
    auto, chosen = cpu_seconds(lambda: engine(w), ROUNDS)
    engine(some(w, LANES), lanes=1)
    one, _ = cpu_seconds(lambda: engine(timed.few, lanes=1), 3)
    table = timed.table()
    result: dict[str, Any] = {
        "rate": twins / auto, "error": timed.error(ASKED, "auto"), "steps": float(chosen.steps.mean()),
        "method": w.method, "rate_named": twins / named, "error_named": timed.error(ASKED, w.method),
        "share_of_fma_peak": float(solution.steps.sum()) * operations(w, w.method) / named / peak,
        "rate_one_lane": len(timed.few.y0) / one, "first_twin": first_twin(name), "table": table, "peers": {},
    }  # fmt: skip
    for peer, package in PACKAGES.items():
        if not versions[package]:
            result["peers"][peer] = {"missing": "not installed"}
        elif peer in ONLY and name not in ONLY[peer]:
            result["peers"][peer] = {"missing": f"cannot express it: {next(iter(ONLY[peer].values()))}"}
        else:
            try:
                result["peers"][peer] = measure_peer(timed, table, python, name, peer, scratch)
            except RuntimeError as problem:
                result["peers"][peer] = {"missing": f"failed: {problem}"}
        print(name, peer, summary(result["peers"][peer]), flush=True)
    result["peers"] |= {peer: {"missing": why} for peer, why in installed_in_r().items()}
    return result


def summary(row: dict[str, Any]) -> str:
    if "missing" in row:
        return str(row["missing"])
    return (
        f"{row['rate']:,.1f} twins/s, error {row['error']:.1e}, ratio {row['ratio']:.1f}, "
        f"{row['ratio_no_worse']:.1f} at errors no worse"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--only", nargs="+", choices=sorted(WORKLOADS), default=list(WORKLOADS),
        help="some of the workloads; the figures of the others stay as they are in --out",
    )  # fmt: skip
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter of the environment with the peers")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON, and beside it as Markdown")
    arguments = parser.parse_args()
    versions = installed(arguments.peer_python)
    found: dict[str, Any] = {"machine": described() | {"fma_peak": fma_peak()}, "peers": versions, "workloads": {}}
    print(json.dumps(found, indent=1), flush=True)
    if arguments.out and arguments.out.exists():
        found["workloads"] = json.loads(arguments.out.read_text())["workloads"]
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.only:
            result = measure(name, found["machine"]["fma_peak"], arguments.peer_python, Path(scratch), versions)
            found["workloads"][name] = result
            first = {label: f"{seconds[1]:.2f} s" for label, seconds in result["first_twin"].items()}
            print(f"{name}: {result['rate']:,.0f} twins/s, error {result['error']:.1e}, first twin {first}", flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
        arguments.out.with_suffix(".md").write_text(write_report(found))


if __name__ == "__main__":
    main()
