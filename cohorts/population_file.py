"""Reading a population file: YAML 1.2, checked as a whole, every problem with its line and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..models.problems import Path as Field, did_you_mean, dotted
from ..models.yaml_text import MAX_BYTES, Text, read_yaml
from .population import Population

LIBRARY = Path(__file__).parent / "populations"


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
        hint = did_you_mean(name, known, "or give the path of a .yaml file")
        raise PopulationError(f"no population is called {name!r}; known: {', '.join(known)}; {hint}")
    chain = (*inside, path.resolve())
    if path.resolve() in inside:
        raise PopulationError(f"{path} is based on itself, by way of {len(chain) - 1} files; break the circle")
    text = _read(path)
    refused = {problem.path for problem in text.problems}  # what stands there was not read
    found = [((p.line or 1, p.column or 1), str(p)) for p in text.problems]
    population = None
    try:
        population = Population.model_validate(text.data, context={"folder": path.parent, "inside": chain})
    except ValidationError as error:
        found += [_placed(text, field, said) for field, said in _faults(error) if field not in refused]
    if population is None or found:
        raise PopulationError("\n".join(dict.fromkeys(line for _, line in sorted(found))))
    return population


def _read(path: Path) -> Text:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    text = read_yaml(str(path), content, "population", "start with 'format: 1' and 'name: ...'")
    if not text.is_read:
        raise PopulationError("\n".join(map(str, text.problems)))
    if not isinstance(text.data, dict):
        raise PopulationError(f"{path}: holds no fields; a population starts with 'format: 1' and 'name: ...'")
    return text


def _faults(error: ValidationError) -> Iterator[tuple[Field, str]]:
    """Each fault that pydantic found: the field, and what is wrong with it."""
    for fault in error.errors():
        field = tuple(part for part in fault["loc"] if not _is_union_tag(part))
        yield from fault.get("ctx", {}).get("problems") or [(field, _say(fault))]


def _placed(text: Text, field: Field, said: str) -> tuple[tuple[int, int], str]:
    """Line and column of a fault, and the line that says it."""
    line, column = text.place(field).key
    return (line, column), f"{text.file}:{line}:{column}: {dotted(field) or 'population'}: {said}"


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
