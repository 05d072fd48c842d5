"""What is published works: sdist, the wheel built from it, and a trial in a clean environment elsewhere."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["models", "cohorts", "trials", "workflows"]
LOCK = ROOT / "locks" / ("py311.txt" if sys.version_info < (3, 12) else "py312.txt")
DATA = {".py", ".yaml", ".csv", ".json", ".j2", ".css"}

pytestmark = pytest.mark.slow


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert result.returncode == 0, f"{command} left {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def _package_files() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in DATA and path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)  # the wheel is built from the sdist
    return folder


@pytest.fixture(scope="module")
def wheel(dist) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory) -> Path:
    """A folder away from the checkout, with an environment `venv` that holds the wheel."""
    folder = tmp_path_factory.mktemp("clean")
    _run(sys.executable, "-m", "venv", "venv", cwd=folder)
    pip = [
        folder / "venv" / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    _run(*pip, "--constraint", LOCK, wheel, cwd=folder)
    return folder


def test_sdist_holds_the_four_folders_once(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= _package_files() | {
        "twinarm/__init__.py",
        "twinarm/py.typed",
        "LICENSE",
        "pyproject.toml",
    }
    assert not [name for name in names if name.startswith(tuple(f"twinarm/{package}" for package in PACKAGES))]


def test_wheel_holds_the_four_folders_under_one_name(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= {f"twinarm/{name}" for name in _package_files()} | {"twinarm/py.typed"}
    tops = {name.partition("/")[0] for name in names}
    assert sorted(top for top in tops if not top.endswith(".dist-info")) == ["twinarm"]


def test_help_in_a_clean_environment(clean):
    assert "run" in _run(clean / "venv" / "bin" / "twinarm", "--help", cwd=clean)


def test_trial_in_a_clean_environment(clean):
    out = clean / "trial"
    _run(clean / "venv" / "bin" / "twinarm", "run", "t1d-closed-loop", "--twins", "6", "--out", out, cwd=clean)
    assert (out / "report.html").is_file()
