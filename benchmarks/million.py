"""Simulate a million twins and keep every sample: python benchmarks/million.py [--twins N] [--folder FOLDER]

The workload is W1: 225 samples of three states in float32 (2.7 GB), written to Zarr and made to last (fsync). Each of
two processes takes one block of twins after the other, and writes it as one chunk while it simulates the next.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from machine import described
from workloads import W1, w1
from zarr.codecs import Crc32cCodec

from twinarm.models.engine import solve
from twinarm.models.model import Tolerance

BLOCK = 5000
KEPT = slice(1, 4)  # all states but the depot


def simulate(block: int) -> np.ndarray:
    """Samples of one block of twins, float32 (twin, sample, state)."""
    w = w1(BLOCK, seed=block)
    found = solve(W1, w.y0, w.p, 0.0, w.stop, w.records, w.times, Tolerance(1e-6, 1e-8))
    assert (found.status == 1).all()
    return found.samples[:, :, KEPT].astype(np.float32)


def keep(path: Path, block: int, samples: np.ndarray) -> None:
    """Write one chunk; it is on the disk when this returns."""
    array = zarr.open_array(path, mode="r+")
    array[block * BLOCK : (block + 1) * BLOCK] = samples
    with (path / f"c.{block}.0.0").open("rb") as chunk:
        os.fsync(chunk.fileno())


def work(path: Path, blocks: range) -> tuple[float, float]:
    """Every block of `blocks`; CPU seconds and the largest memory (GB) of this process."""
    with ThreadPoolExecutor(1) as writer:
        last: Future[None] | None = None
        for block in blocks:
            samples = simulate(block)
            if last is not None:
                last.result()  # no more than one block waits for the disk
            last = writer.submit(keep, path, block, samples)
        if last is not None:
            last.result()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6


def disk_speed(folder: Path) -> float:
    """MB a second that the disk takes of 1 GB of noise, fsync included."""
    noise, path = os.urandom(1 << 24), folder / "noise"
    start = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(64):
            file.write(noise)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - start
    path.unlink()
    return 64 * len(noise) / 1e6 / seconds


def measure(twins: int, folder: Path, processes: int) -> dict[str, Any]:
    """Simulate, write and read a block back."""
    before = disk_speed(folder)
    blocks = twins // BLOCK
    simulate(0)  # compiled once, before the clock runs
    path = folder / "samples.zarr"
    start = time.perf_counter()
    zarr.create_array(
        path, shape=(blocks * BLOCK, w1(1).times.size, 3), chunks=(BLOCK, w1(1).times.size, 3), dtype="float32",
        compressors=(Crc32cCodec(),), dimension_names=("twin", "time", "state"),
        chunk_key_encoding={"name": "default", "separator": "."},
    )  # fmt: skip
    with ProcessPoolExecutor(processes) as pool:
        shares = [range(first, blocks, processes) for first in range(processes)]
        used = list(pool.map(work, [path] * processes, shares))
    for directory in (path, folder):
        handle = os.open(directory, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    seconds = time.perf_counter() - start
    array = zarr.open_array(path, mode="r")
    last = blocks - 1
    assert np.array_equal(array[last * BLOCK :], simulate(last))
    return {
        "machine": described(), "twins": blocks * BLOCK, "processes": processes, "seconds": seconds,
        "cpu_seconds": sum(cpu for cpu, _ in used), "memory_gb": [memory for _, memory in used],
        "megabytes": array.nbytes / 1e6, "disk_megabytes_a_second": [before, disk_speed(folder)],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--twins", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the array is written")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        found = measure(arguments.twins, folder, arguments.processes)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(found, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
