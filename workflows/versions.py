"""What the numbers were made with: versions of twinarm, Python and the libraries that compute."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from .. import __version__
from .run_folder import RunError


@cache
def versions() -> dict[str, str]:
    """What the numbers were made with."""
    names = ("numpy", "scipy", "numba", "xarray", "zarr", "dask", "distributed", "pymc", "nutpie", "arviz")
    found = {"twinarm": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def require_versions(there: Mapping[str, str], here: Mapping[str, str], worker: str) -> None:
    """Refuse a worker that would compute with other libraries than the process that drives the run.

    Raises
    ------
    RunError
        Some version differs.
    """
    other = [f"{name} {there.get(name)} (here {here[name]})" for name in here if there.get(name) != here[name]]
    if other:
        raise RunError(f"worker {worker} has {', '.join(other)}; install the same lock file on both")
