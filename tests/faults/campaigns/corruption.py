"""Corruption: flipped bits, truncations, deletions and swaps of files of a finished run.

`verify` must name every one of them; `run` must bring the folder back to the same bytes, and make again no block but
those whose chunks or records were touched.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path

from twinarm.workflows.run_folder import RunFolder, read_manifest
from twinarm.workflows.verify import verify

from .common import PARTS, differences, facts
from .crashes import forked, preload, run_again

KINDS = ("flip", "truncate", "delete", "swap")


def files_of(root: Path) -> list[Path]:
    """Every file of a run that means anything: not the lock."""
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".lock")


def damage(files: list[Path], kind: str, chosen: random.Random) -> list[Path]:
    """Damage one file, or swap two of other content; the files touched."""
    path = chosen.choice([f for f in files if f.exists()])
    content = path.read_bytes()
    if kind == "delete":
        path.unlink()
    elif kind == "swap":
        other = chosen.choice([f for f in files if f.exists() and f.read_bytes() != content])
        path.write_bytes(other.read_bytes())
        other.write_bytes(content)
        return [path, other]
    elif kind == "truncate":
        path.write_bytes(content[: chosen.randrange(len(content))] if content else b"?")
    else:
        bits = bytearray(content or b"?")
        bits[chosen.randrange(len(bits))] ^= 1 << chosen.randrange(8)
        path.write_bytes(bits)
    return [path]


def blocks_of(root: Path, path: Path) -> set[tuple[str, int]]:
    """The blocks that a file holds or proves, by arm and number."""
    folder = RunFolder(root)
    if folder.records in path.parents:
        return {(path.parent.name, int(path.stem))}
    in_store = folder.outcomes in path.parents or folder.kept in path.parents
    if in_store and path.name.startswith("c.") and path.name.count(".") > 1:
        block, arm = path.name.split(".")[1:3]
        return {(ARMS[int(arm)], int(block))}
    return set()


ARMS = ("placebo", "drug")


def stamps(root: Path) -> dict[tuple[str, int], int]:
    return {
        (path.parent.name, int(path.stem)): path.stat().st_mtime_ns
        for path in RunFolder(root).records.glob("*/[0-9]*.json")
    }


def corruption(folder: Path, count: int, seed: int = 1, together: int = 10) -> dict[str, object]:
    """Damage copies of `folder / "calm"` so many times; each is verified, and `together` of them are mended at once."""
    os.chdir(PARTS)
    chosen = random.Random(seed)
    calm = folder / "calm"
    assert read_manifest(RunFolder(calm)).arms == ARMS
    before = facts(calm)
    out, log = folder / "damaged", folder / "damaged.log"
    done: Counter[str] = Counter()
    missed, wrong = [], []
    mended = 0
    began = time.monotonic()
    preload()
    while sum(done.values()) < count:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(calm, out)
        files = [path for path in files_of(out)]
        touched: list[Path] = []
        for _ in range(min(together, count - sum(done.values()))):
            kind = chosen.choice(KINDS)
            left = [path for path in files if path not in touched]
            saved = {path: path.read_bytes() for path in left}
            hit = damage(left, kind, chosen)
            after = {path: path.read_bytes() if path.exists() else None for path in hit}
            for path in touched:  # one damage at a time before `verify`
                path.write_bytes((calm / path.relative_to(out)).read_bytes())
            if forked(lambda: 0 if verify(RunFolder(out), 0).differences else 1, log) != 0:
                missed.append(f"{kind} of {[str(p.relative_to(out)) for p in hit]}")
            for path in hit:
                path.write_bytes(saved[path])
            touched += hit
            done[kind] += 1
            _remember(out, after)
        _apply(out)
        names = {path.relative_to(out).parts[0] for path in touched}
        manifest_lost = {"manifest.json", "protocol.yaml"} <= names
        expected = set().union(*(blocks_of(out, path) for path in touched))
        old = stamps(out)
        code = forked(lambda: run_again(folder, out), log)
        now = stamps(out)
        again = {block for block in now if old.get(block) != now[block]}
        if manifest_lost:  # nothing says any more whose folder this is: it is refused, not overwritten
            continue
        if code not in (0, 3) or differences(before, facts(out)) or again != expected:
            found = [str(path.relative_to(out)) for path in touched]
            wrong.append(f"exit {code} after {found}: {differences(before, facts(out))[:5]}; {again ^ expected}")
        mended += 1
    return {
        "damages": dict(done),
        "missed by verify": missed,
        "runs that mended": mended,
        "blocks of": len(stamps(calm)),
        "seconds": round(time.monotonic() - began, 1),
        "wrong": wrong,
    }


_PENDING: dict[Path, dict[Path, bytes | None]] = {}


def _remember(out: Path, after: dict[Path, bytes | None]) -> None:
    _PENDING.setdefault(out, {}).update(after)


def _apply(out: Path) -> None:
    for path, content in _PENDING.pop(out, {}).items():
        path.unlink() if content is None else path.write_bytes(content)
