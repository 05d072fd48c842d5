"""The public names: one table, every name real, nothing loaded before it is used."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import twinarm

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", twinarm._PUBLIC)
def test_public_name_is_there(name):
    home = importlib.import_module(f"twinarm.{twinarm._PUBLIC[name]}")
    assert getattr(twinarm, name) is getattr(home, name)


def test_dir_lists_the_public_names():
    assert set(twinarm._PUBLIC) < set(dir(twinarm))


def test_the_type_checker_reads_the_same_table():
    tree = ast.parse((ROOT / "twinarm" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    typed = {alias.asname: node.module for node in block.body for alias in node.names}
    assert typed == twinarm._PUBLIC


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(AttributeError, match="no attribute 'Patient'; its names are Action, AnalysisData"):
        twinarm.Patient  # noqa: B018


def test_import_alone_loads_no_library():
    code = "import sys, twinarm; print([m for m in ('numpy', 'xarray', 'pydantic') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_version_is_the_one_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert twinarm.__version__ == project["version"]
