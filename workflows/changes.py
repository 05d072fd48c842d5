"""What a run into a folder would do, and why: each block by its record's key, against the protocol that made it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..trials.protocol import Protocol
from . import store
from .analyse import results_inputs
from .lazy import lazily
from .prepare import Screened, differences
from .records import block_key, key_parts, read_record, simulation_source, twins_digest
from .run_folder import Manifest, RunFolder, protocol_of, read_manifest

WORDS = {
    "seed": "the seed changed",
    "model": "the model or its settings changed",
    "arm": "its treatment or adherence changed",
    "endpoints": "the endpoints changed",
    "schedule": "the schedule changed",
    "solver": "the solver's tolerance changed",
    "keep": "other trajectories are kept",
    "source": "the source of the simulation changed",
}


@dataclass(frozen=True)
class Step:
    """Part of a run: an arm's blocks or the analysis, how many of how many will run, and why."""

    what: str
    count: int
    total: int
    why: str


@dataclass(frozen=True)
class Changes:
    """Steps of a run into a folder; `needs_update` names what another protocol in the folder differs in."""

    steps: tuple[Step, ...]
    needs_update: str | None = None

    @property
    def condition(self) -> str:
        """What the steps depend on, for a heading."""
        return (
            f" with --update, for the folder holds another protocol ({self.needs_update})" if self.needs_update else ""
        )

    def as_json(self) -> dict[str, Any]:
        return {"steps": [asdict(step) for step in self.steps], "needs_update": self.needs_update}


def changes_of(folder: RunFolder, protocol: Protocol) -> Changes:
    """What `run` (with `--update` where it is needed) would do in a folder; by the records, not by the stored bytes."""
    if not folder.manifest.is_file():
        return Changes((Step("all arms", 1, 1, "nothing is there yet"), Step("analysis", 1, 1, "nothing is there yet")))
    manifest = read_manifest(folder)
    before = protocol_of(manifest)
    blocks = _blocks(folder, before, protocol, manifest.block)
    steps = [step for arm in protocol.arms for step in _arm(folder, manifest, before, protocol, blocks, arm.name)]
    is_same = protocol.digest == manifest.protocol
    steps.append(_analysis(folder, protocol, any(step.count for step in steps), is_same))
    return Changes(tuple(steps), None if is_same else differences(manifest, protocol))


def _blocks(folder: RunFolder, before: Protocol, protocol: Protocol, size: int) -> list[tuple[int, str]]:
    """First row of each block of a protocol's cohort and the digest of its rows; the stored cohort where it stands."""
    if (before.population, before.seed) == (protocol.population, protocol.seed):
        try:
            cohort = lazily(folder.cohort)
            rows = range(0, cohort.sizes["twin"], size)
            return [(first, twins_digest(cohort, slice(first, first + size))) for first in rows]
        except store.DamagedStore:
            pass
    blocks = enumerate(store.cut(Screened(protocol), size))
    return [(number * size, twins_digest(block, slice(None))) for number, block in blocks]


def _arm(
    folder: RunFolder,
    manifest: Manifest,
    before: Protocol,
    protocol: Protocol,
    blocks: Sequence[tuple[int, str]],
    name: str,
) -> list[Step]:
    """Steps of one arm, one for each reason; a single one that says so where every block stands."""
    arm, source = protocol.arm(name), simulation_source(protocol)
    total = len(blocks)
    why: Counter[str] = Counter()
    for block, (first, twins) in enumerate(blocks):
        keeps = protocol.keep is not None and protocol.keep.twins > first
        record = read_record(folder, name, block)
        if record is not None and record.key == block_key(protocol, arm, twins, keeps, source):
            continue
        if name not in manifest.arms:
            why["the arm is new"] += 1
        elif record is None:
            why["not simulated yet" if block < manifest.blocks else "more twins"] += 1
        else:
            now = key_parts(protocol, arm, "", keeps, source)
            kept = before.keep is not None and before.keep.twins > first
            then = key_parts(before, before.arm(name), "", kept, manifest.source)
            other = [WORDS[part] for part in now if now[part] != then[part]]
            why[", ".join(other) or "other twins in the block"] += 1
    return [Step(f"arm {name}", n, total, reason) for reason, n in why.items()] or [
        Step(f"arm {name}", 0, total, "its records stand")
    ]


def _analysis(folder: RunFolder, protocol: Protocol, is_simulated: bool, is_same: bool) -> Step:
    try:
        results = json.loads(folder.results.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Step("analysis", 1, 1, "not done yet")
    if is_simulated:
        return Step("analysis", 1, 1, "the outcomes may change")
    if not is_same:
        return Step("analysis", 1, 1, "the protocol changed")
    if results.get("inputs") != results_inputs(protocol.digest, results.get("outcomes", "")):
        return Step("analysis", 1, 1, "the source of the analysis changed")
    return Step("analysis", 0, 1, "its results stand")
