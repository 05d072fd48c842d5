"""Poison: some twins raise an error, come back as NaN, loop for ever, eat memory or end their process.

Everybody else must have the numbers of the clean run, and each bad one stand in the ledger with id, seed and reason.
"""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path

import numpy as np

from twinarm.trials.protocol import Protocol
from twinarm.workflows import executor
from twinarm.workflows.cluster import Cluster
from twinarm.workflows.run import Bank, by_arm, run_folder_of, simulate_bank
from twinarm.workflows.run_folder import RunFolder, locked

from .common import PARTS, toy

KINDS: dict[str, str | tuple[str, ...]] = {
    "raises": "ValueError: poison",
    "nans": "solver: non-finite state",
    "loops": "the simulation took longer than",
    "eats": ("MemoryError", "the simulation took longer than"),  # the limit that it meets first
    "kills": "the simulation ended its process with code 9",
}
MEMORY = 3 << 30


def _bank(protocol: Protocol, out: Path, block: int) -> tuple[RunFolder, Bank]:
    folder = run_folder_of(protocol, out)
    with locked(folder):
        return folder, simulate_bank(folder, protocol, Cluster(2), block)


def poison(folder: Path, twins: int, each: int, block: int, seed: int = 1, seconds: float = 3.0) -> dict[str, object]:
    """Poison `each` twins of every kind; a block is overdue, and a twin alone too slow, after some seconds."""
    os.chdir(PARTS)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    held = executor.LEAST_PATIENCE, executor.TWIN_SECONDS
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, hard))  # workers take over the limit of this process
    executor.LEAST_PATIENCE, executor.TWIN_SECONDS = 2 * seconds, seconds
    try:
        _, good = _bank(toy(twins), folder / "clean", block)
        ids = good.outcomes["twin"].values
        drawn = np.random.default_rng(seed).choice(ids[1:], each * len(KINDS), replace=False)
        kinds = {kind: drawn[i::5].tolist() for i, kind in enumerate(KINDS)}
        began = time.monotonic()
        run, bank = _bank(toy(twins, **kinds), folder / "poisoned", block)
        took = time.monotonic() - began
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        executor.LEAST_PATIENCE, executor.TWIN_SECONDS = held
    others = ~np.isin(ids, drawn)
    lines = [json.loads(line) for line in run.ledger.read_text(encoding="utf-8").splitlines()]
    failed = {(line["twin"], line["arm"]): line for line in lines if line["stage"] == "failed"}
    wrong = []
    for kind, bad in kinds.items():
        for key in ((twin, arm) for twin in bad for arm in ("placebo", "drug")):
            line = failed.pop(key, {"reason": "not in the ledger", "seed": None})
            if not line["reason"].startswith(KINDS[kind]) or line["seed"] != 7:
                wrong.append(f"{kind} {key}: {line}")
    wrong += [f"not poisoned: {line}" for line in failed.values()]
    if not bank.outcomes.isel(twin=others).identical(good.outcomes.isel(twin=others)):
        wrong.append("twins that were not poisoned have other numbers")
    return {
        "twins": twins,
        "poisoned": {kind: len(bad) for kind, bad in kinds.items()},
        "is refused": bank.is_refused,
        "counts": by_arm(bank.outcomes),
        "seconds": round(took, 1),
        "wrong": wrong,
    }
