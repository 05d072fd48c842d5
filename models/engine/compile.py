"""Compile the loops of the kernel, with a model's own modules beside copies of it, kept on disk by content.

The folder's name is a digest of everything compiled, so that a stale kernel can never be loaded: Numba's own cache does
not notice when a function that a cached one calls has changed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path
from types import ModuleType

from .native import Native
from .system import System

_KERNEL = Path(__file__).parent / "kernel"
_LOADING = threading.RLock()
_IMPORT = re.compile(r"^from \.[\w.]*?kernel\.(\w+) import", re.MULTILINE)


def cache_folder() -> Path:
    """Where compiled kernels are kept: `TWINARM_CACHE`, else the user's cache folder, else a temporary one."""
    named = os.environ.get("TWINARM_CACHE")
    return _usable(
        Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "twinarm"
    )


@cache
def _usable(base: Path) -> Path:
    """The folder if something can be written to it, else a temporary one."""
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=base):
            return base
    except OSError:
        # A read-only home: compiled anew on each machine, but never a reason to stop.
        fallback = Path(tempfile.gettempdir()) / f"twinarm-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
        fallback.mkdir(parents=True, exist_ok=True)
        return fallback


def compiled(system: System, device: Path, *others: Path) -> ModuleType:
    """The package that holds `loop.follow` for one device: a module like `kernel.device`, and others that it imports.

    These are ordinary modules of a model that import from `engine.kernel`; in the compiled package the imports lead to
    copies, and `kernel.rows` holds the rows of the system.
    """
    with _LOADING:  # threads of one process would otherwise meet a package that is half imported
        return _load(_rows_source(system), device, others)


def shared_driver() -> Native:
    """The compiled driver of lanes: it knows no system, so it is compiled once for all."""
    return _driver(cache_folder())


@cache
def _driver(folder: Path) -> Native:
    return Native(f"{__package__}.kernel.driver", "drive", sorted(_KERNEL.glob("*.py")), folder)


@cache
def _load(rows: str, device: Path, others: tuple[Path, ...]) -> ModuleType:
    files = {path.name: path.read_text() for path in _KERNEL.glob("*.py")}
    files |= {path.name: _IMPORT.sub(r"from .\1 import", path.read_text()) for path in (device, *others)}
    files["rows.py"] = rows
    if device.stem != "device":
        files["device.py"] = f"from .{device.stem} import begin, leave, serve\n"
    return _package(files)


def _rows_source(system: System) -> str:
    """Source of a module like `kernel.rows`."""
    lines = [
        f'"""Rows of the block of {system.name} by name, written by the engine."""\n',
        "from collections import namedtuple\n",
        "from .driver import STATE\n",
    ]
    first = 0
    for group, names in (("Y", system.states), ("P", system.parameters), ("U", system.inputs)):
        after = first + len(names)
        lines.append(f'{group} = namedtuple("{group}", {names!r})(*range(STATE + {first}, STATE + {after}))')
        first = after
    return "\n".join(lines) + "\n"


def _package(files: dict[str, str]) -> ModuleType:
    """The package of these files, named by their content."""
    import llvmlite
    import numba
    import numpy

    versions = f"{numba.__version__} {llvmlite.__version__} {numpy.__version__} {sys.version_info[:3]}"
    text = versions + "".join(f"\0{name}\0{files[name]}" for name in sorted(files))
    name = f"twinarm_kernel_{hashlib.sha256(text.encode()).hexdigest()[:20]}"
    folder = cache_folder() / name
    if not folder.exists():
        _write(folder, files)
    return _import(name, folder)


def _write(folder: Path, files: dict[str, str]) -> None:
    """All files or none: another process may be writing the same folder."""
    scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    for name, text in files.items():
        (scratch / name).write_text(text)
    try:
        scratch.rename(folder)
    except OSError:
        shutil.rmtree(scratch)
        if not folder.exists():
            raise


def _import(name: str, folder: Path) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package  # cached kernels are found again by their importable name
    spec.loader.exec_module(package)
    for path in sorted(folder.glob("*.py")):
        if path.stem != "__init__":
            setattr(package, path.stem, importlib.import_module(f"{name}.{path.stem}"))
    return package
