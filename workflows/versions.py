"""What the numbers were made with: versions of twinarm, Python and the libraries that compute."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from .. import __version__


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
