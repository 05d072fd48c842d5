"""Imports point one way, heavy libraries stay in their place, and nothing is done at import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinarm import _PUBLIC

ROOT = Path(__file__).parents[2]
ORDER = ["models", "cohorts", "trials", "workflows"]
MODULES = sorted(path for package in ORDER for path in (ROOT / package).rglob("*.py"))
CLUSTER = {"dask", "distributed", "dask_jobqueue"}
BAYES = {"pymc", "nutpie", "arviz", "pytensor"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(tree: ast.Module, path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Each import of a module as (statement, absolute dotted name inside twinarm or of a library)."""
    package = ["twinarm", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node, f"{stem}.{alias.name}"


def _imported_at_import_time(tree: ast.Module) -> set[int]:
    """Ids of the nodes that run at import: all but the bodies of functions and type-only imports."""
    seen: set[int] = set()
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        seen.add(id(node))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        stack.extend(ast.iter_child_nodes(node))
    return seen


def faults(source: str, path: Path) -> list[str]:
    """What is wrong with the imports of one module, in words."""
    tree = ast.parse(source)
    package = path.relative_to(ROOT).parts[0]
    at_import = _imported_at_import_time(tree)
    found = []
    for node, name in _imports(tree, path):
        parts = name.split(".")
        where = f"{_name(path)}:{getattr(node, 'lineno', 0)}: "
        if parts[0] in ORDER:
            found.append(where + f"imports {name}; import twinarm.{name}, or relatively")
        home = _PUBLIC.get(parts[1], parts[1]).split(".")[0] if parts[0] == "twinarm" and parts[1:] else ""
        if home in ORDER and ORDER.index(home) > ORDER.index(package):
            found.append(where + f"{package} may not import {home}")
        if parts[0] in CLUSTER and package != "workflows":
            found.append(where + f"{parts[0]} belongs in workflows/")
        if parts[0] in BAYES:
            if path.relative_to(ROOT).parts[:2] != ("trials", "analysis"):
                found.append(where + f"{parts[0]} belongs in trials/analysis/")
            elif id(node) in at_import:
                found.append(where + f"import {parts[0]} inside the function that samples")
    return found


def test_there_are_modules_to_read():
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_of(path):
    assert faults(path.read_text(encoding="utf-8"), path) == []


def _works(node: ast.stmt) -> bool:
    """A statement that does more than define. Joining command groups is a definition too."""
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant) and ".add_typer(" not in ast.unparse(node)
    return isinstance(node, ast.For | ast.While | ast.With)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_work_at_import_of(path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert [f"line {node.lineno}: {ast.unparse(node)[:60]}" for node in body if _works(node)] == []


@pytest.mark.parametrize(
    ("place", "source", "fault"),
    [
        ("models/engine/solve.py", "from ...cohorts import sampling", "models may not import cohorts"),
        ("models/units.py", "import twinarm.trials.protocol", "models may not import trials"),
        (
            "cohorts/sampling.py",
            "def f():\n    from ..workflows.store import save",
            "may not import workflows",
        ),
        ("trials/protocol.py", "from .. import workflows", "trials may not import workflows"),
        ("trials/protocol.py", "from twinarm import workflows", "trials may not import workflows"),
        ("models/units.py", "from .. import Protocol", "models may not import trials"),
        ("workflows/cli.py", "from trials.protocol import Protocol", "import twinarm.trials"),
        ("trials/replicate.py", "import dask.array", "belongs in workflows/"),
        ("trials/analysis/fit.py", "import pymc as pm", "inside the function"),
        ("trials/endpoints/survival.py", "def f():\n    import arviz", "belongs in trials/analysis/"),
    ],
)
def test_a_wrong_import_is_seen(place, source, fault):
    (found,) = faults(source, ROOT / place)
    assert fault in found


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("workflows/run.py", "import dask\nfrom ..trials.protocol import Protocol"),
        ("trials/analysis/fit.py", "def sample():\n    import nutpie\n    import pymc as pm"),
        ("trials/analysis/fit.py", "if TYPE_CHECKING:\n    import arviz"),
        ("cohorts/sampling.py", "from twinarm.models.units import quantity\nfrom . import population"),
    ],
)
def test_a_right_import_passes(place, source):
    assert faults(source, ROOT / place) == []
