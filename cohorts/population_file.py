"""Reading a population file: YAML 1.2, checked as a whole, every problem with its line and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .population import Population

LIBRARY = Path(__file__).parent / "populations"
MAX_BYTES = 4 * 1024 * 1024


class PopulationError(ValueError):
    """A population that is not there or cannot be read; one line a problem."""


def population_names() -> tuple[str, ...]:
    """Names of the populations of the library."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.yaml")))


def load_population(name_or_path: str | Path) -> Population:
    """A population of the library by its name ("adult-us"), or one of the user's own by the path of its file.

    Raises
    ------
    PopulationError
        Unknown name, no such file, or a file with faults: each on a line with file:line:column, the field, what stands
        there and what to write.
    """
    return load_within(str(name_or_path), Path(), ())


def load_within(name: str, folder: Path, inside: tuple[Path, ...]) -> Population:
    """The same for a path relative to `folder`, named by a file that is named by the files `inside`."""
    path = folder / name if name.endswith((".yaml", ".yml")) else LIBRARY / f"{name}.yaml"
    if path.parent != LIBRARY and not path.is_file():
        raise PopulationError(f"{path}: there is no such file; give the path of a population file")
    if path.parent == LIBRARY and path.stem not in population_names():
        known = population_names()
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else "or give the path of a .yaml file"
        raise PopulationError(f"no population is called {name!r}; known: {', '.join(known)}; {hint}")
    chain = (*inside, path.resolve())
    if path.resolve() in inside:
        raise PopulationError(f"{path} is based on itself, by way of {len(chain) - 1} files; break the circle")
    tree = _parse(path)
    try:
        return Population.model_validate(_plain(tree), context={"folder": path.parent, "inside": chain})
    except ValidationError as error:
        raise PopulationError("\n".join(_lines(path, tree, error))) from None


def _parse(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    if path.stat().st_size > MAX_BYTES:
        raise PopulationError(f"{path}: is larger than {MAX_BYTES // 2**20} MB; put figures in a .csv table beside it")
    try:
        tree = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise PopulationError(f"{path}: is not UTF-8 text at byte {error.start}; save it as UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise PopulationError(f"{where}: is not YAML: {error.problem or error.context}; mend the line") from None
    if not isinstance(tree, dict):
        raise PopulationError(f"{path}: holds no fields; a population starts with 'format: 1' and 'name: ...'")
    return tree


def _plain(node: Any) -> Any:
    """The same tree in plain types, lists as tuples."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return tuple(_plain(value) for value in node)
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _lines(path: Path, tree: Any, error: ValidationError) -> list[str]:
    """One line a problem, in the order of the file."""
    lines: list[tuple[int, str]] = []
    for fault in error.errors():
        loc = tuple(part for part in fault["loc"] if not _is_union_tag(part))
        problems = fault.get("ctx", {}).get("problems")
        for place, said in problems or [(loc, _say(fault))]:
            line, column = _position(tree, place)
            field = (
                "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).removeprefix(".") or "population"
            )
            lines.append((line, f"{path}:{line}:{column}: {field}: {said}"))
    return list(dict.fromkeys(text for _, text in sorted(lines)))


def _is_union_tag(part: str | int) -> bool:
    return isinstance(part, str) and ("[" in part or part in ("float", "str"))


def _say(fault: Any) -> str:
    given, kind = fault["input"], fault["type"]
    shown = repr(given) if isinstance(given, str | int | float | bool) else f"a {type(given).__name__}"
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return "is no field here; correct its name or drop it"
    said = str(fault["msg"])
    said = said[0].lower() + said[1:]
    return f"got {shown}; {said}" if isinstance(given, str | int | float | bool) else said


def _position(tree: Any, place: Sequence[str | int]) -> tuple[int, int]:
    """Line and column, from 1, of the deepest part of a place that stands in the file."""
    node: Any = tree
    at = (0, 0)
    for part in place:
        try:
            at = node.lc.item(part) if isinstance(part, int) else node.lc.key(part)
            node = node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return at[0] + 1, at[1] + 1
