"""Copies of a finished run, or of its report, to any place that fsspec can write to: a path, an object store.

Such a place need not know rename or fsync, so a run never lives there. `SHA256SUMS` is written last: a copy without it
is not whole. After a download `sha256sum --check SHA256SUMS` compares every file.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .run_folder import RunError, RunFolder, locked, write_atomic
from .verify import require_undamaged

SUMS = "SHA256SUMS"
BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "az"}  # they have no folders, and a wrong name must not make a bucket
CREDENTIALS = "give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile of ~/.aws"
NEEDS = {"s3": "the extra s3: pip install 'twinarm[s3]'", "s3a": "the extra s3: pip install 'twinarm[s3]'"}


def export_run(folder: RunFolder, url: str) -> int:
    """Copy a finished run; returns how many files it has.

    Raises
    ------
    RunError
        The run is not finished, is at work or damaged, the place holds something already or lies within the run, or it
        cannot be written to.
    """
    if not folder.require().results.is_file():
        raise RunError(f"{folder.root} has no results yet; run it to the end")
    with locked(folder), writing(url) as (files, root):
        if is_local(files) and Path(root).resolve().is_relative_to(folder.root.resolve()):
            raise RunError(f"{url} lies within the run; give another place")
        if files.exists(root) and (files.isfile(root) or files.ls(root)):
            raise RunError(f"{url} holds something already; give an empty place")
        require_undamaged(folder)
        sums: list[str] = []
        with removed_on_failure(files, root) as written:
            for path in exported(folder):
                name = path.relative_to(folder.root).as_posix()
                written.append(f"{root}/{name}")
                _copy(path, files, written[-1])
                sums.append(f"{_digest(path)}  {name}\n")
            written.append(f"{root}/{SUMS}")
            _write("".join(sums).encode(), files, written[-1])
    return len(sums)


def export_report(folder: RunFolder, url: str) -> None:
    """Copy the report of a run to a path or URL that names the file; one that is there is replaced.

    Raises
    ------
    RunError
        The place cannot be written to; what is there stays as it is.
    """
    with writing(url) as (files, place):
        if is_local(files):
            write_atomic(Path(place), folder.report.read_bytes())
        else:
            _copy(folder.report, files, place)


def exported(folder: RunFolder) -> Iterator[Path]:
    """The files of a run in name order: what belongs to processes, and what was cut off, is left out."""
    for path in sorted(folder.root.rglob("*")):
        names = path.relative_to(folder.root).parts
        if path.is_file() and names[0] != folder.scratch.name and not any(name.startswith(".") for name in names):
            yield path


@contextmanager
def writing(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the place in it; what goes wrong there is said in a line.

    Raises
    ------
    RunError
        The library for such a URL is not installed, or the place cannot be reached or written to.
    """
    import fsspec

    kind = url.split("://")[0] if "://" in url else "file"
    try:
        files, place = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise RunError(f"{url} needs {NEEDS.get(kind, f'another library ({error})')}") from None
    except ValueError as error:
        raise RunError(f"{url}: {error}; give a path or a URL such as s3://bucket/folder") from None
    try:
        yield files, place.rstrip("/")
    except RunError:
        raise
    except NotImplementedError:  # fsspec's word for a file system without writing
        raise RunError(f"{url}: {kind} can only be read; give a path or a URL such as s3://bucket/folder") from None
    except Exception as error:  # every library of a store has its own kinds
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"{url}: the disk is full; make room and start the same command again", 75) from None
        said = " ".join(str(error).split()) or "no reason given"
        fix = f"; {CREDENTIALS}" if "Credential" in type(error).__name__ and kind in NEEDS else ""
        raise RunError(f"{url} cannot be written to: {type(error).__name__}: {said[:200]}{fix}") from None


@contextmanager
def removed_on_failure(files: Any, root: str) -> Iterator[list[str]]:
    """The files whose names are put into the list go again if not all can be written, and nothing else does."""
    written: list[str] = []
    try:
        yield written
    except BaseException:
        for place in written:
            with suppress(Exception):  # why it failed is what counts
                files.rm_file(place)
        if is_local(files):
            parents = {parent for place in written for parent in Path(place).parents if parent.is_relative_to(root)}
            for folder in sorted(parents, reverse=True):
                with suppress(OSError):  # it holds something else
                    folder.rmdir()
        raise


def is_local(files: Any) -> bool:
    """Whether a file system of fsspec is this machine's."""
    return "file" in ({files.protocol} if isinstance(files.protocol, str) else files.protocol)


def _copy(path: Path, files: Any, place: str) -> None:
    kinds = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    if not kinds & BUCKETS:
        files.makedirs(place.rpartition("/")[0], exist_ok=True)
    with path.open("rb") as source, files.open(place, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _write(content: bytes, files: Any, place: str) -> None:
    with files.open(place, "wb") as target:
        target.write(content)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
