"""The seal of a run: sha256 of every file that no commit record proves, so that no changed byte goes unnoticed.

Blocks are proven by their records, and records and manifest carry a checksum of their own. Everything else stands in
`seal.json`: tables, posteriors, the report, the cohort, and the names, units and labels of the stores.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from .run_folder import RunFolder, sealed, unsealed, write_atomic

PROVEN_ELSEWHERE = ("records", "tmp", "seal.json")
ANALYSED = ("posterior", "results.json")


def seal(folder: RunFolder, only: Sequence[str] = ()) -> None:
    """Take down what stands in the folder now; with `only`, of these files, and the others stay as they were sealed."""
    now = {name: _digest(folder.root / name) for name in only or _files(folder)}
    content = sealed((_sealed_files(folder) or {}) | now if only else now)
    if not folder.seal.exists() or folder.seal.read_bytes() != content:
        write_atomic(folder.seal, content)


def broken(folder: RunFolder) -> tuple[str, ...]:
    """Names of files that are not what was sealed, `seal.json` itself where it is gone or damaged."""
    files = _sealed_files(folder)
    if files is None:
        return (folder.seal.name,)
    return tuple(name for name, digest in files.items() if _digest(folder.root / name) != digest)


def remove_broken(folder: RunFolder) -> tuple[str, ...]:
    """Take away what cannot be trusted, so that it is made again; says which files those were.

    Without a seal nothing but blocks is trusted.
    """
    names = broken(folder)
    if names == (folder.seal.name,):
        names += (folder.cohort.name, folder.results.name)
    for name in names:
        top = Path(name).parts[0]
        if top in ANALYSED:
            folder.results.unlink(missing_ok=True)  # it names the posteriors: all of them are sampled again
            folder.report.unlink(missing_ok=True)
        elif top == folder.cohort.name:
            shutil.rmtree(folder.cohort, ignore_errors=True)
        elif top not in (folder.seal.name, folder.manifest.name):  # the manifest vouches for itself
            (folder.root / name).unlink(missing_ok=True)
    return names


def _sealed_files(folder: RunFolder) -> dict[str, str] | None:
    """Digest by name, None where there is no valid seal."""
    try:
        found = unsealed(folder.seal.read_bytes())
    except (OSError, ValueError):
        return None
    return {str(name): str(digest) for name, digest in found.items()}


def _files(folder: RunFolder) -> Iterator[str]:
    """What no record proves, in name order, as names within the folder."""
    for top in sorted(folder.root.iterdir()):
        if top.name in PROVEN_ELSEWHERE or top.name.startswith("."):
            continue
        found = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
        yield from (path.relative_to(folder.root).as_posix() for path in found if not _is_block(folder, path))


def _is_block(folder: RunFolder, path: Path) -> bool:
    """Whether a file is a chunk along (twin, arm, ...): `c.0.0`, where labels have `c.0`."""
    is_store = folder.outcomes in path.parents or folder.kept in path.parents
    return is_store and path.name.startswith("c.") and path.name.count(".") > 1


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
