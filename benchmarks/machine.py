"""What the machine can do and is: floating-point peak of a core, operations of a step, names and versions."""

from __future__ import annotations

import ctypes
import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from workloads import Workload

from twinarm.models.engine.compile import cache_folder
from twinarm.models.engine.lanes import values
from twinarm.models.engine.lanes.block import Block
from twinarm.models.engine.lanes.equations import Equations, Program
from twinarm.models.engine.lanes.function import METHODS, layout_of
from twinarm.models.engine.lanes.machine import function_address
from twinarm.models.engine.lanes.step import Step

LANES = 8


def cpu_seconds(action: Callable[[], Any], repeats: int) -> tuple[float, Any]:
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


def described() -> dict[str, Any]:
    """The machine and the versions of what is compared; loads are those of the last minute."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return {
        "date": datetime.date.today().isoformat(), "processor": names[0] if names else platform.processor(),
        "avx512": "avx512f" in flags, "cores": os.cpu_count(), "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("numpy", "scipy", "llvmlite", "numba", "zarr")},
    }  # fmt: skip
