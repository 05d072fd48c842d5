"""A home that cannot be written to, as batch jobs have: the folders that libraries keep there go elsewhere."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path


@cache
def shelter() -> None:
    """Point ArviZ, PyTensor and matplotlib to a temporary folder where theirs cannot be made; before their import."""
    home = Path(os.path.expanduser("~"))
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    if not _can_be_made(cache_home):
        os.environ["XDG_CACHE_HOME"] = str(_refuge() / "cache")
    flags = os.environ.get("PYTENSOR_FLAGS", "")
    if "compiledir" not in flags and not _can_be_made(home / ".pytensor"):
        os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, [flags, f"base_compiledir={_refuge() / 'pytensor'}"]))
    if "MPLCONFIGDIR" not in os.environ:
        config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        if not (_can_be_made(config_home / "matplotlib") and _can_be_made(cache_home / "matplotlib")):
            os.environ["MPLCONFIGDIR"] = str(_refuge() / "matplotlib")


@cache
def _refuge() -> Path:
    """The same folder for all processes of this user, or one of its own where that is not to be had."""
    shared = Path(tempfile.gettempdir()) / f"twinarm-home-{os.getuid()}"
    try:
        shared.mkdir(mode=0o700, exist_ok=True)
        if shared.stat().st_uid == os.getuid() and not shared.is_symlink():
            return shared
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="twinarm-home-"))


def _can_be_made(folder: Path) -> bool:
    """Whether a folder is there, or can be made, and files in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
