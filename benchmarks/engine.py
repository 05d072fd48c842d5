"""Time the ensemble engine on one core, beside other solvers where they are installed, in one run.

    python benchmarks/engine.py                                   W1, W2a, W2b, W3
    python benchmarks/engine.py --only W1 --peers FOLDER          further packages are searched for in FOLDER, last

CPU time, medians of several runs; error is the largest difference from a reference at 1e-10 or better over the largest
value of each watched state, of the first two twins. Everybody is asked for rtol 1e-6, atol 1e-8.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from workloads import WORKLOADS, Workload

from twinarm.models.engine import Records, Solution, solve
from twinarm.models.engine.compile import cache_folder
from twinarm.models.engine.lanes import values
from twinarm.models.engine.lanes.block import Block
from twinarm.models.engine.lanes.equations import Equations, Program
from twinarm.models.engine.lanes.function import METHODS, layout_of
from twinarm.models.engine.lanes.machine import function_address
from twinarm.models.engine.lanes.step import Step
from twinarm.models.engine.reference import reference_solution
from twinarm.models.model import Tolerance

ASKED = Tolerance(1e-6, 1e-8)
TWINS = {"W1": 4000, "W2a": 3000, "W2b": 1200, "W3": 800}
PEER_TWINS = {"W1": 24, "W2a": 24, "W2b": 12, "W3": 8}
REPEATS = 5
LANES = 8


def cpu_seconds(action: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, Any]:
    """Median CPU time of an action, and what it gave the last time."""
    taken, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = action()
        taken.append(time.process_time() - start)
    return statistics.median(taken), result


def fma_peak() -> float:
    """Floating-point operations a second of one core: independent chains of fused products over eight lanes."""
    chains, rounds = 12, 4_000_000

    def write(name: str) -> str:
        module = ir.Module()
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [values.DOUBLE.as_pointer()]), name)
        builder = ir.IRBuilder(function.append_basic_block())
        writer = values.Writer(module, builder, LANES)
        start = builder.block
        loop, done = function.append_basic_block(), function.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        count = builder.phi(values.INT64)
        held = [builder.phi(writer.type_of(values.DOUBLE)) for _ in range(chains)]
        after = [values.fma(values.Number(writer, phi), 0.999, 1e-9) for phi in held]
        for i, (phi, value) in enumerate(zip(held, after, strict=True)):
            phi.add_incoming(writer.number(float(i)).ir, start)
            phi.add_incoming(value.ir, loop)
        following = builder.add(count, values.INT64(1))
        count.add_incoming(values.INT64(0), start)
        count.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, values.INT64(rounds)), loop, done)
        builder.position_at_end(done)
        total = after[0]
        for value in after[1:]:
            total = total + value
        writer.store(total, function.args[0])
        builder.ret_void()
        return str(module)

    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function_address(cache_folder(), "peak", write))
    out = np.empty(LANES)
    seconds = min(cpu_seconds(lambda: function(out.ctypes.data), 1)[0] for _ in range(5))
    return 2.0 * LANES * chains * rounds / seconds


def operations(workload: Workload, method: str) -> int:
    """Floating-point operations of one step of one lane: stages and error, without samples and the choice of steps."""
    system = workload.system
    module = ir.Module()
    pointer = values.DOUBLE.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer]), "step")
    writer = values.Writer(module, ir.IRBuilder(function.append_basic_block()), LANES)
    program = Program.of(system)
    block = Block(writer, layout_of(system, program, method), function.args[0])
    equations = Equations(writer, block, program)
    t, h, rtol, atol = (block.get("time") for _ in range(4))
    METHODS[method].take(
        Step(writer, block, t, h, block.states(), rtol, atol, equations.rhs, equations.observe, equations.linearised)
    )
    return writer.operations


def engine(workload: Workload, twins: int, lanes: int = LANES, method: str | None = None) -> Solution:
    """The first `twins` of a workload."""
    w = workload
    records = Records(*(a[:twins] for a in (w.records.time, w.records.target, w.records.value)))
    return solve(
        w.system, w.y0[:twins], w.p[:twins], 0.0, w.stop, records, w.times, ASKED, w.inputs0[:twins],
        method=method or w.method, lanes=lanes,
    )  # fmt: skip


def reference(workload: Workload, twins: int = 2) -> np.ndarray:
    """The watched states of the first twins, shape (twin, sample, state)."""
    w = workload
    sharp = {"method": "LSODA", "rtol": 1e-12, "atol": 1e-14} if w.method == "rodas5p" else {}
    found = [
        reference_solution(
            w.system, w.y0[k], w.p[k], 0.0, w.stop,
            Records(*(a[k : k + 1] for a in (w.records.time, w.records.target, w.records.value))),
            w.times, w.inputs0[k], **sharp,
        )
        for k in range(twins)
    ]  # fmt: skip
    return np.array(found)[:, :, watched(w)]


def watched(workload: Workload) -> list[int]:
    return [workload.system.state(name) for name in workload.watched]


def error(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.max(np.abs(found - truth) / np.abs(truth).max(axis=1, keepdims=True)))


def first_call(name: str) -> dict[str, float]:
    """Seconds until the first twin of a workload is there in a new process: nothing compiled, another model compiled
    before, and this model compiled before."""
    script = (
        "import sys, time, pickle, numba; sys.path.insert(0, sys.argv[1])\n"
        "import engine\n"
        "w = pickle.load(open(sys.argv[2], 'rb'))\n"
        "start = time.perf_counter(); engine.engine(w, 1); print(time.perf_counter() - start)"
    )
    other = "W3" if name == "W1" else "W1"
    found = {}
    with tempfile.TemporaryDirectory() as empty, tempfile.TemporaryDirectory() as used:
        for label, workload, folder in (
            ("nothing compiled", name, empty), ("warm", name, empty), ("", other, used), ("new model", name, used),
        ):  # fmt: skip
            twin = Path(folder) / f"{workload}.pickle"
            twin.write_bytes(pickle.dumps(WORKLOADS[workload](1)))
            run = subprocess.run(
                [sys.executable, "-c", script, str(Path(__file__).parent), str(twin)],
                env={**os.environ, "TWINARM_CACHE": folder}, capture_output=True, text=True, check=True,
            )  # fmt: skip
            found[label] = float(run.stdout.split()[-1])
    found.pop("")
    return found


def measure(name: str, peak: float, with_peers: bool) -> dict[str, Any]:
    """All figures of one workload."""
    workload, twins = WORKLOADS[name](TWINS[name]), TWINS[name]
    truth, columns = reference(workload), watched(workload)
    engine(workload, 8)
    seconds, solution = cpu_seconds(lambda: engine(workload, twins))
    assert (solution.status == 1).all()
    rate = twins / seconds
    share = float(solution.steps.sum()) * operations(workload, workload.method) / seconds / peak
    result: dict[str, Any] = {
        "method": workload.method, "twins_per_second": rate, "steps_per_twin": float(solution.steps.mean()),
        "error": error(solution.samples[:2][:, :, columns], truth), "share_of_fma_peak": share,
        "seconds_to_first_twin": first_call(name), "peers": {},
    }  # fmt: skip
    engine(workload, 8, lanes=1)
    few = twins // 8
    one, _ = cpu_seconds(lambda: engine(workload, few, lanes=1), 3)
    result["twins_per_second_one_lane"] = few / one
    if with_peers:
        from peers import installed

        for peer, simulate in installed(workload, ASKED.rtol, ASKED.atol).items():
            first = np.array([simulate(k)[:, columns] for k in range(2)])
            count = PEER_TWINS[name]
            peer_seconds, _ = cpu_seconds(lambda simulate=simulate, count=count: [simulate(k) for k in range(count)], 3)
            again, _ = cpu_seconds(lambda: engine(workload, twins), 1)  # beside it, as the machine is not ours alone
            result["peers"][peer] = {
                "twins_per_second": count / peer_seconds, "error": error(first, truth),
                "ratio": (twins / again) / (count / peer_seconds),
            }  # fmt: skip
    return result


def show(name: str, r: dict[str, Any]) -> None:
    first = ", ".join(f"{label} {seconds:.2f} s" for label, seconds in r["seconds_to_first_twin"].items())
    print(
        f"{name:4} {r['method']:8} {r['twins_per_second']:9,.0f} twins/s  error {r['error']:.1e}  "
        f"{r['steps_per_twin']:.0f} steps  {100 * r['share_of_fma_peak']:.0f} % of the FMA peak  "
        f"one lane {r['twins_per_second_one_lane']:,.0f}\n     first twin: {first}"
    )
    for peer, p in r["peers"].items():
        print(f"     {peer:24} {p['twins_per_second']:9,.0f} twins/s  error {p['error']:.1e}  ratio {p['ratio']:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=sorted(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--peers", help="site-packages folder of an environment that holds peers; searched last")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments = parser.parse_args()
    if arguments.peers:
        sys.path.append(arguments.peers)
    peak = fma_peak()
    print(f"FMA peak of one core: {peak / 1e9:.0f} GFLOP/s")
    results = {}
    for name in arguments.only:
        results[name] = measure(name, peak, with_peers=True)
        show(name, results[name])
    if arguments.out:
        arguments.out.write_text(json.dumps({"fma_peak": peak, "workloads": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
