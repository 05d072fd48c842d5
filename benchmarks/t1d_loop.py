"""Time the device trial of type 1 diabetes on one core: twin-days a second, and where the time goes.

    python benchmarks/t1d_loop.py

Twins, arms, seed and tolerance are those of `t1d-closed-loop`; CPU time, medians of several runs. The share of the body
(the equations) is counted by the processor's cycle counter around the compiled steps; the rest are decisions (person,
pump, sensor, controller) and bookkeeping. The first simulation is timed in processes of their own, with nothing
compiled before and with everything on disk; its twin has been drawn, so that the solver is loaded. The result is
written to `benchmarks/results/t1d_loop.json`.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from twinarm.cohorts import load_population, screen
from twinarm.models.engine.compile import cache_folder
from twinarm.models.engine.lanes.function import step_function
from twinarm.models.engine.lanes.machine import function_address
from twinarm.models.library.t1d_uva_padova import MODEL
from twinarm.models.library.t1d_uva_padova.equations import SYSTEM
from twinarm.models.library.t1d_uva_padova.model import Settings, Treatment, prepare
from twinarm.models.model import Conditions, Schedule, Tolerance

TWINS, DAYS, REPEATS, SEED = 300, 28, 5, 20191016
RESULT = Path(__file__).parent / "results" / "t1d_loop.json"
ARMS = {"open-loop": 1.0, "hybrid-closed-loop": 0.9}  # controller, and the share of time in which it is used

# The steps of `advance`, and what they take: cycles[0] inside them, cycles[1] the counter when it is called last.
COUNTED = """
declare i64 @llvm.readcyclecounter()
define i64 @{name}(double* %block, double* %settings) {{
  %before = call i64 @llvm.readcyclecounter()
  %advance = inttoptr i64 {advance} to i64 (double*, double*)*
  %bits = call i64 %advance(double* %block, double* %settings)
  %after = call i64 @llvm.readcyclecounter()
  %cycles = inttoptr i64 {cycles} to i64*
  %taken = sub i64 %after, %before
  %known = load i64, i64* %cycles
  %total = add i64 %known, %taken
  store i64 %total, i64* %cycles
  ret i64 %bits
}}
"""
CYCLES_NOW = """
declare i64 @llvm.readcyclecounter()
define i64 @{name}() {{
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}}
"""


def conditions(controller: str, days: float = DAYS) -> Conditions:
    schedule = Schedule(0.0, days, (days,), ("end",))
    return Conditions(schedule, SEED, ARMS[controller], Tolerance(1e-4, 1e-4))


def twin_days_a_second(twins: xr.Dataset, controller: str) -> float:
    """Of `simulate` as a run calls it, on one core."""
    treatment, taken = Treatment(controller=controller), []  # type: ignore[arg-type]
    for _ in range(REPEATS):
        begin = time.process_time()
        MODEL.simulate(twins, treatment, Settings(), conditions(controller))
        taken.append(time.process_time() - begin)
    return TWINS * DAYS / statistics.median(taken)


def where_time_goes(twins: xr.Dataset, controller: str, folder: Path) -> dict[str, float]:
    """Steps of the solver per tick, and the part of the loop's cycles that the steps take."""
    kernel, start, world = prepare(twins, Treatment(controller=controller), Settings(), conditions(controller))  # type: ignore[arg-type]
    step = step_function(SYSTEM, "tsit5", MODEL.lanes, cache_folder())
    cycles = np.zeros(1, np.int64)
    places = {"advance": step.address, "cycles": cycles.ctypes.data}
    counted = function_address(folder, f"{controller} {places}", lambda name: COUNTED.format(name=name, **places))
    now = ctypes.CFUNCTYPE(ctypes.c_int64)(function_address(folder, "now", lambda name: CYCLES_NOW.format(name=name)))
    block, settings = np.zeros((step.layout.rows, MODEL.lanes)), np.array([1e-4, 1e-4, 5e6])
    before = now()
    kernel.loop.follow(counted, block, settings, start, world)
    whole = now() - before
    return {
        "steps_per_tick": float(world.people["steps"].sum() / world.people["tick"].sum()),
        "share_of_body": float(cycles[0] / whole),
    }


def first_simulation() -> None:
    """CPU seconds of one twin's first day in this process, drawing the twin left out; printed."""
    twins = screen(load_population("t1d-adults"), 1, SEED, ()).cohort
    begin = time.process_time()
    how = Treatment(controller="open-loop"), Settings(), conditions("open-loop", 1)
    MODEL.simulate(twins, *how)
    print(time.process_time() - begin)


def compile_seconds() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        taken = []
        for _ in range(2):
            command = [sys.executable, __file__, "first"]
            taken.append(
                subprocess.run(
                    command, env=os.environ | {"TWINARM_CACHE": folder}, check=True, capture_output=True, text=True
                )
            )
    return dict(zip(("cold", "warm"), (float(done.stdout) for done in taken), strict=True))


def machine() -> dict[str, Any]:
    """What the figures hold for."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    wide = any("avx512f" in line for line in lines)
    return {"processor": name, "avx512": wide, "cores": os.cpu_count(), "python": sys.version.split()[0]}


def main() -> None:
    twins = screen(load_population("t1d-adults"), TWINS, SEED, ()).cohort
    result: dict[str, Any] = {"machine": machine(), "twins": TWINS, "days": DAYS, "lanes": MODEL.lanes, "arms": {}}
    with tempfile.TemporaryDirectory() as folder:
        for controller in ARMS:
            MODEL.simulate(
                twins.isel(twin=slice(8)), Treatment(controller=controller), Settings(), conditions(controller)
            )  # type: ignore[arg-type]
            figures = where_time_goes(twins, controller, Path(folder))
            speed = twin_days_a_second(twins, controller)
            body = figures["share_of_body"] * 1e6 / speed
            result["arms"][controller] = {
                "twin_days_per_second_per_core": round(speed),
                **{name: round(value, 3) for name, value in figures.items()},
                "microseconds_per_twin_day": {"body": round(body, 1), "decisions": round(1e6 / speed - body, 1)},
            }
            print(controller, result["arms"][controller], flush=True)
    result["first_simulation_cpu_seconds"] = {name: round(value, 2) for name, value in compile_seconds().items()}
    print(result["first_simulation_cpu_seconds"])
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["first"]:
        first_simulation()
    else:
        main()
