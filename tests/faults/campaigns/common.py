"""What the campaigns share: the toy trial as a file, its run as a process, and what must be the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from twinarm.trials.protocol import Protocol
from twinarm.trials.protocol_file import load_protocol
from twinarm.workflows.records import read_records
from twinarm.workflows.run_folder import RunFolder

ROOT = Path(__file__).parents[3]
PARTS = ROOT / "tests" / "workflows" / "parts"
TIMES = {"seconds", "finished", "host"}


def toy_file(path: Path, twins: int, **settings: object) -> Path:
    """The toy trial as a protocol file, with other settings of its model."""
    text = (PARTS / "toy-trial.yaml").read_text(encoding="utf-8")
    changes = {
        "name: toy-people.yaml": f"name: {PARTS / 'toy-people.yaml'}",
        "twins: 64": f"twins: {twins}",
        "name: toy.model": f"name: toy.model, settings: {json.dumps(settings)}",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


def toy(twins: int, **settings: object) -> Protocol:
    """The toy trial in this process, whose folder must be `PARTS` or whose path must hold it."""
    values = load_protocol(str(PARTS / "toy-trial.yaml")).model_dump()
    values["population"] |= {"twins": twins, "name": str(PARTS / "toy-people.yaml")}
    values["model"]["settings"] = settings
    return Protocol.model_validate(values)


def environment() -> dict[str, str]:
    """Variables with which another process finds this source and the toy."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(PARTS)])}


def start(words: Sequence[object], module: str = "twinarm.workflows.cli", log: Path | None = None) -> subprocess.Popen:
    """Start a module of Python as a process; what it says goes to `log`."""
    with (log or Path(os.devnull)).open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", module, *map(str, words)], cwd=PARTS, env=environment(), stdout=said, stderr=said
        )


def facts(root: Path) -> dict[str, str]:
    """Digest by name of everything in a run folder that may not depend on what happened on the way.

    Left out are times and hosts (in records and manifest), the seal over them, the lock, and scratch files.
    """
    folder = RunFolder(root)
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.is_file() and name.parts[0] not in ("records", "manifest.json", "seal.json", ".lock", "tmp"):
            found[str(name)] = hashlib.sha256(path.read_bytes()).hexdigest()
    for record in read_records(folder):
        plain = record.model_dump(mode="json", exclude=TIMES)
        found[f"records/{record.arm}/{record.block}"] = hashlib.sha256(json.dumps(plain).encode()).hexdigest()
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Names that only one of the folders has, or that hold other bytes."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
