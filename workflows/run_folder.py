"""A run is a folder: its paths, its manifest, its lock, and files that are written whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import BaseModel, Field

from ..trials.protocol import Protocol


class RunError(RuntimeError):
    """A run that cannot go on; `exit_code` is what the command line leaves with."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class RunFolder:
    """Where each thing of a run stands. The folder can be moved: no path inside it is absolute."""

    root: Path

    @property
    def protocol(self) -> Path:
        return self.root / "protocol.yaml"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def cohort(self) -> Path:
        return self.root / "cohort.zarr"

    @property
    def outcomes(self) -> Path:
        return self.root / "outcomes.zarr"

    @property
    def kept(self) -> Path:
        return self.root / "kept.zarr"

    @property
    def records(self) -> Path:
        return self.root / "records"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.jsonl"

    @property
    def posterior(self) -> Path:
        return self.root / "posterior"

    @property
    def results(self) -> Path:
        return self.root / "results.json"

    @property
    def seal(self) -> Path:
        return self.root / "seal.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def scratch(self) -> Path:
        """Files of processes, of no value once they have ended."""
        return self.root / "tmp"

    def record(self, arm: str, block: int) -> Path:
        return self.records / arm / f"{block:06d}.json"

    def require(self) -> RunFolder:
        """The folder itself, when a run has begun in it."""
        if not self.manifest.is_file():
            raise RunError(f"{self.root} is no run folder (it has no manifest.json); give the folder of a run")
        return self


class Manifest(BaseModel, frozen=True, extra="forbid"):
    """What is fixed before the first block. Nothing here is read from, or enters, the outcomes.

    `arms` is the order along the stored arm axis: arms that come later are appended, so that a block keeps its
    place. `rows` are the twins of the bank in id order; block k is rows [k B, (k + 1) B). `trial` is the protocol as
    the program holds it; `protocol.yaml` beside it is the same for people, and `protocol` the digest of both.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    name: str
    protocol: str
    trial: dict[str, Any]
    seed: int
    arms: tuple[str, ...]
    rows: int
    block: int
    candidates: int
    screening: tuple[dict[str, str | int], ...]
    cohort: str
    source: str
    pilot_seconds_per_twin: float | None
    versions: dict[str, str]

    @property
    def blocks(self) -> int:
        return -(-self.rows // self.block)

    def span(self, block: int) -> tuple[int, int]:
        """First row of a block, and the row after its last."""
        return block * self.block, min((block + 1) * self.block, self.rows)


def read_manifest(folder: RunFolder) -> Manifest:
    """The manifest of a run.

    Raises
    ------
    RunError
        There is none, or it cannot be read: start the run again in an empty folder.
    """
    content = folder.require().manifest.read_bytes()
    try:
        return Manifest.model_validate_json(json.dumps(unsealed(content)))
    except ValueError:
        raise RunError(
            f"{folder.manifest} cannot be read as a manifest of format 1, or has been changed; "
            "run the same protocol again, or run into an empty folder"
        ) from None


def protocol_of(manifest: Manifest) -> Protocol:
    """The protocol of a run, without looking for the parts it names."""
    protocol = Protocol.model_validate_json(json.dumps(manifest.trial))
    if protocol.digest != manifest.protocol:
        raise RunError("manifest.json has been changed by hand: its trial has another digest than it states")
    return protocol


def write_manifest(folder: RunFolder, manifest: Manifest) -> None:
    """Put the manifest in its place, whole."""
    write_atomic(folder.manifest, sealed(manifest.model_dump(mode="json")))


def json_bytes(value: object) -> bytes:
    """JSON for people and for comparison: sorted keys, two spaces, a final newline; NaN is refused."""
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n").encode()


def sealed(values: Mapping[str, Any]) -> bytes:
    """JSON that carries the sha256 of the rest of itself."""
    return json_bytes({**values, "sha256": hashlib.sha256(json_bytes(values)).hexdigest()})


def unsealed(content: bytes) -> dict[str, Any]:
    """The values of a sealed text.

    Raises
    ------
    ValueError
        A byte of it was changed.
    """
    values = json.loads(content)
    if not isinstance(values, dict) or sealed({k: v for k, v in values.items() if k != "sha256"}) != content:
        raise ValueError("its own sha256 is another")
    del values["sha256"]
    return values


def remove_leftovers(folder: RunFolder) -> None:
    """Remove what a process left half done when it ended. The folder is locked, so nobody else is at work."""
    stores = (folder.cohort, folder.outcomes, folder.kept, folder.posterior)
    arrays = [array for path in stores if path.is_dir() for array in path.iterdir() if array.is_dir()]
    records = folder.records.iterdir() if folder.records.is_dir() else ()
    for place in (folder.root, *stores, *arrays, *records):
        for path in place.iterdir() if place.is_dir() else ():
            if path.name.startswith(".") and path.suffix in (".part", ".old"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.suffix == ".partial":  # of Zarr
                path.unlink()


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make the content of a file durable."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that after a crash at any moment the old or the new content stands there, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def locked(folder: RunFolder, shared: bool = False) -> Iterator[None]:
    """Hold the folder for one run, or with `shared` beside others that simulate their own share of its blocks.

    The kernel lets go when the process ends, however it ends.

    Raises
    ------
    RunError
        Another process holds it: wait for that run, or give another folder.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    with folder.lock.open("a+") as handle:  # network file systems want both rights for a lock of either kind
        if not _hold(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX):
            raise RunError(
                f"another run is at work in {folder.root}; wait for it to end, or give another folder with --out"
            )
        yield


def _hold(handle: IO[str], kind: int) -> bool:
    """Take a lock; a moment's patience, because `is_locked` holds it while it looks."""
    for _ in range(5):
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.02)
        except OSError as error:
            raise RunError(
                f"{handle.name} cannot be locked ({error.strerror}); put the run on a disk with locks"
            ) from None
    return False


def is_locked(folder: RunFolder) -> bool:
    """Whether a run is at work in the folder now."""
    try:
        handle = folder.lock.open("r+")
    except OSError:  # none was ever here, or it is not ours to write: then a lock of the other kind tells of a run
        return folder.lock.exists() and _is_held(folder.lock.open("r"), fcntl.LOCK_SH)
    return _is_held(handle, fcntl.LOCK_EX)


def _is_held(handle: IO[str], kind: int) -> bool:
    with handle:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
