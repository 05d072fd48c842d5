"""What the executor costs: memory, seconds a twin, overhead of Dask, and what `plan` foretold.

    PYTHONPATH=. python benchmarks/executor.py [--only flat diabetes overhead] [--years 100000] --out RESULTS.json

Every run is the command line in a process of its own; memory is the largest resident size of the driver and of a worker
(VmHWM). See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil
from machine import described

from twinarm.workflows.records import read_records
from twinarm.workflows.run_folder import RunFolder, read_manifest

HERE = Path(__file__).parent
ROOT = HERE.parent
TWINS = (1_000, 10_000, 100_000, 1_000_000)
YEARS = (1_000, 10_000)
WEEKS = 28  # of the diabetes trial, run-in and treatment, in each of its two arms
LOOK_SECONDS = 0.25
ROUNDS = 3
PLANNED = ("simulation_seconds", "memory", "disk")


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "twinarm.workflows.cli", *map(str, words)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}


def peak(process: psutil.Process) -> int:
    """Largest resident size so far, in bytes; 0 where the process is gone."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def followed(words: Sequence[object], log: Path) -> dict[str, float]:
    """Run a command to its end: seconds, and the peaks of the driver and of its largest child, in MB."""
    began = time.monotonic()
    peaks: dict[int, int] = {}
    with log.open("wb") as said:
        driver = psutil.Popen(command(*words), cwd=HERE, env=environment(), stdout=said, stderr=said)
        while driver.poll() is None:
            for one in (driver, *_children(driver)):
                peaks[one.pid] = max(peaks.get(one.pid, 0), peak(one))
            time.sleep(LOOK_SECONDS)
    if driver.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(map(str, words))}: exit {driver.returncode}\n{log.read_text()[-2000:]}")
    seconds = time.monotonic() - began
    own = peaks.pop(driver.pid)
    return {"seconds": seconds, "driver_mb": own / 1e6, "worker_mb": max(peaks.values(), default=0) / 1e6}


def alone(words: Sequence[object]) -> None:
    """Run a command to its end with nobody looking on: a look at the processes costs what is measured here."""
    done = subprocess.run(command(*words), cwd=HERE, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stderr[-2000:]}")


def _children(driver: psutil.Process) -> list[psutil.Process]:
    try:
        return [child for child in driver.children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def simulated(root: Path) -> dict[str, float]:
    """From the records: blocks, seconds at work a twin, seconds from the first block's begin to the last one's end."""
    folder = RunFolder(root)
    records = list(read_records(folder))
    rows = read_manifest(folder).rows
    work = sum(record.seconds for record in records)
    begun = min(record.finished - record.seconds for record in records)
    ended = sorted(record.finished for record in records)
    return {
        "block": read_manifest(folder).block,
        "blocks": read_manifest(folder).blocks,
        "work_seconds": work,
        "microseconds_a_twin": 1e6 * work / rows,
        "simulation_seconds": ended[-1] - begun,
        "steady_seconds": ended[-1] - ended[len(ended) // 3],  # without the start, in which the driver loads libraries
    }


def disk_mb(root: Path) -> float:
    """What a folder takes on the disk, in whole blocks of the file system."""
    return sum(512 * path.stat().st_blocks for path in root.rglob("*")) / 1e6


def trial(name: object, twins: int, folder: Path, workers: int = 2) -> dict[str, Any]:
    """Plan a trial, run it, and set both side by side."""
    out = folder / f"{Path(str(name)).stem}-{twins}"
    words = (name, "--twins", twins, "--out", out, "--workers", workers)
    planned = subprocess.run(
        command("plan", *words, "--json"), cwd=HERE, env=environment(), capture_output=True, text=True, check=True
    )
    foretold = json.loads(planned.stdout)
    done = followed(("run", *words, "--json"), folder / f"{out.name}.log")
    found = {"twins": twins, **done, **simulated(out), "disk_mb": disk_mb(out)}
    found["planned"] = {
        "simulation_seconds": foretold["simulation_seconds"],
        "memory_mb": foretold["memory_bytes"] / 1e6,
        "disk_mb": foretold["disk_bytes"] / 1e6,
    }
    memory = done["driver_mb"] + workers * done["worker_mb"]
    found["planned_over_found"] = {
        "simulation_seconds": found["planned"]["simulation_seconds"] / found["simulation_seconds"],
        "memory": found["planned"]["memory_mb"] / memory,
        "disk": found["planned"]["disk_mb"] / found["disk_mb"],
    }
    print(json.dumps(found), flush=True)
    return found


def flat(folder: Path, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """The pharmacokinetic trial with more and more twins."""
    return [trial("pk/trial.yaml", twins, folder) for twins in sizes]


def diabetes(folder: Path, years: Sequence[int]) -> list[dict[str, Any]]:
    """The diabetes trial with more and more years of twins."""
    rows = []
    for asked in years:
        twins = round(asked * 365.25 / (2 * 7 * WEEKS))
        row = trial("t1d-closed-loop", twins, folder)
        days = 2 * 7 * WEEKS * twins
        rows.append({"twin_years": days / 365.25, "twin_days_a_second": days / row["simulation_seconds"], **row})
    return rows


def overhead(folder: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """The same blocks of a second under Dask, and in as many plain processes that go through half of them each.

    `idle` is the share of the workers' time, from the first block's begin to the last one's end, in which they were at
    no block's simulation: fetching, hashing, writing, waiting for Dask.
    """
    twins, block = 600, 25
    taken: dict[str, list[float]] = {"dask": [], "loop": []}
    idle: dict[str, list[float]] = {"dask": [], "loop": []}
    for number in range(rounds):
        for kind in ("dask", "loop") if number % 2 else ("loop", "dask"):
            out = folder / f"overhead-{kind}-{number}"
            words = ("run", "t1d-closed-loop", "--twins", twins, "--out", out)
            if kind == "dask":
                alone((*words, "--workers", 2, "--block", block))
            else:
                alone((*words, "--workers", 2, "--block", block, "--prepare"))
                shares = [
                    subprocess.Popen(
                        command(*words, "--blocks", f"{k}/2"), cwd=HERE, env=environment(), stderr=subprocess.DEVNULL
                    )
                    for k in range(2)
                ]
                if any(share.wait() for share in shares):
                    raise SystemExit("a share of the blocks failed")
            found = simulated(out)
            taken[kind].append(found["steady_seconds"])
            idle[kind].append(1 - found["work_seconds"] / (2 * found["simulation_seconds"]))
            seconds = found["work_seconds"] / found["blocks"]
            print(kind, round(found["steady_seconds"], 2), f"{100 * idle[kind][-1]:.1f} % idle", flush=True)
    return {
        "blocks": -(-twins // block),
        "seconds_a_block": seconds,
        "steady_seconds": taken,
        "idle_share": {kind: statistics.median(values) for kind, values in idle.items()},
        "dask_over_loop": statistics.median(taken["dask"]) / statistics.median(taken["loop"]),
    }


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def tables(found: dict[str, Any]) -> str:
    """What was found, for people: scale and memory, what was foretold, overhead."""
    machine = found["machine"]
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['date']}"
    text = f"# What the executor costs\n\n{where}; two workers.\n"
    runs = [("pharmacokinetics", row) for row in found.get("flat", ())]
    runs += [("diabetes", row) for row in found.get("diabetes", ())]
    if runs:
        header = ("trial", "twins", "twin-years", "blocks", "s in all", "s simulation", "work a twin (us)")
        rows = [
            (
                *(name, f"{row['twins']:,}", f"{row['twin_years']:,.0f}" if "twin_years" in row else "", row["blocks"]),
                *(f"{row['seconds']:.0f}", f"{row['simulation_seconds']:.1f}", f"{row['microseconds_a_twin']:,.0f}"),
                *(f"{row['driver_mb']:.0f}", f"{row['worker_mb']:.0f}", f"{row['disk_mb']:.1f}"),
            )
            for name, row in runs
        ]
        text += "\n## Scale and memory\n\nMemory is the largest resident size of the driver and of a worker.\n\n"
        text += table((*header, "driver (MB)", "worker (MB)", "disk (MB)"), rows)
        ratios = [
            (name, f"{row['twins']:,}", *(f"{row['planned_over_found'][what]:.2f}" for what in PLANNED))
            for name, row in runs
        ]
        text += "\n## What `plan` foretold, over what was found\n\n" + table(("trial", "twins", *PLANNED), ratios)
    if "overhead" in found:
        part = found["overhead"]
        rows = [
            (kind, ", ".join(f"{one:.2f}" for one in taken), f"{100 * part['idle_share'][kind]:.1f} %")
            for kind, taken in part["steady_seconds"].items()
        ]
        text += (
            f"\n## Dask against plain processes, blocks of {part['seconds_a_block']:.2f} s\n\n"
            "Seconds from the end of the first third of the blocks to that of the last, in each round, and the share\n"
            "of the workers' time spent at no block.\n\n"
            + table(("", "seconds", "idle"), rows)
            + f"\nDask over plain processes, medians: {part['dask_over_loop']:.3f}.\n"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["flat", "diabetes", "overhead"])
    parser.add_argument("--twins", nargs="+", type=int, default=TWINS)
    parser.add_argument("--years", nargs="+", type=int, default=YEARS)
    parser.add_argument("--folder", type=Path, help="where the runs go; needs 3 GB")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    before = json.loads(asked.out.read_text()) if asked.out and asked.out.exists() else {}
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        folder = Path(scratch)
        parts: dict[str, Callable[[], Any]] = {
            "flat": lambda: flat(folder, asked.twins),
            "diabetes": lambda: diabetes(folder, asked.years),
            "overhead": lambda: overhead(folder),
        }
        found = before | {"machine": described()} | {name: parts[name]() for name in asked.only}
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n")
        asked.out.with_suffix(".md").write_text(tables(found))
    print(tables(found))


if __name__ == "__main__":
    main()
