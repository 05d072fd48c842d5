"""What pydantic finds in the fields of a block, said in a protocol author's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ..models.problems import Path, Problem, did_you_mean, listed, one_line, shown
from ..models.units import In

FROM_FILE = {"from_file": True}
_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a block of 'key: value' lines",
    "mapping_type": "a block of 'key: value' lines",
    "model_type": "a block of 'key: value' lines",
    "model_attributes_type": "a block of 'key: value' lines",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}
_FIXES = {
    "text": "put it in quotes if it is meant as text",
    "a whole number": "write it without quotes, point or exponent",
    "a number": "write it without quotes",
    "a list": "put the items in [ ] or on lines that start with '- '",
    "true or false": "write it without quotes",
}


def read_part(kind: type[BaseModel], data: Any, at: Path = ()) -> tuple[Any, list[Problem]]:
    """The part that stands at a place of a file, or None and what is wrong with it."""
    try:
        return kind.model_validate(data, context=FROM_FILE), []
    except ValidationError as error:
        return None, list(_once(_problem(kind, data, at, e) for e in _true_errors(error)))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        # A validator of a user's own part that stumbles over a value it did not foresee.
        got, expected = shown(data), f"what {kind.__name__} accepts"
        return None, [Problem(at, got, expected, f"it says: {type(error).__name__}: {shown(str(error))}")]


def _true_errors(error: ValidationError) -> Iterator[dict[str, Any]]:
    """pydantic's errors, without a list that it calls too short only because items in it are wrong."""
    for found in error.errors(include_url=False):
        is_long_enough = len(found["input"]) >= found["ctx"]["min_length"] if found["type"] == "too_short" else False
        if not is_long_enough:
            yield dict(found)


def _once(problems: Iterator[Problem]) -> Iterator[Problem]:
    """One line for a place: a value of several allowed kinds lists what each of them expects."""
    merged: dict[tuple[Path, bool], Problem] = {}
    for problem in problems:
        key = (problem.path, problem.on_key)
        other = merged.get(key)
        if other is None:
            merged[key] = problem
        elif problem.expected not in other.expected.split(", or "):
            expected = f"{other.expected}, or {problem.expected}"
            merged[key] = Problem(other.path, other.got, expected, other.fix, other.on_key)
    yield from merged.values()


def _problem(kind: type[BaseModel], data: Any, at: Path, error: dict[str, Any]) -> Problem:
    what, context = error["type"], error.get("ctx", {})
    inner, value = _walk(data, error["loc"], what == "missing")
    path, got = (*at, *inner), shown(value)
    if what == "missing":
        key = path[-1] if path else ""
        if isinstance(key, int):
            return Problem(path, "nothing", f"an item number {key + 1} of the list", "add what is missing")
        return Problem(path, "nothing", f"the key '{key}'", f"add '{key}: …'" + _example(kind, error["loc"]))
    if what == "extra_forbidden":
        known = _keys_beside(kind, data, error["loc"])
        fix = did_you_mean(path[-1], known, "remove it or correct its name")
        return Problem(path, f"the key '{one_line(str(path[-1]))}'", f"one of {listed(known, 20)}", fix, on_key=True)
    if what in ("literal_error", "enum"):
        words = _literals(context.get("expected", ""))
        fix = did_you_mean(value, words, "write one of these") if isinstance(value, str) else "write one of these"
        return Problem(path, got, listed(words, 20), fix)
    if what in _BOUNDS:
        bound, words_ = _BOUNDS[what]
        unit = _unit_at(kind, error["loc"]) if isinstance(value, str) else ""
        fix = "correct the number or its unit" if unit else "correct the number"
        return Problem(path, got, f"{words_} {context[bound]} {unit}".rstrip(), fix)
    if what == "string_pattern_mismatch" and str(context["pattern"]).startswith("^[a-z][a-z0-9]*("):
        expected = "a name of lower-case letters, digits, - and _, starting with a letter"
        return Problem(path, got, expected, "write for example 'time_in_range'; put other text in 'label'")
    if what == "string_too_long":
        return Problem(path, got, f"at most {context['max_length']} characters", "shorten it")
    if what == "string_too_short":
        return Problem(path, got, f"at least {context['min_length']} character(s)", "write it")
    if what in ("too_short", "too_long"):
        bound_words = f"at least {context['min_length']}" if what == "too_short" else f"at most {context['max_length']}"
        return Problem(
            path,
            got,
            f"{bound_words} item(s)",
            "add what is missing" if what == "too_short" else "remove some",
        )
    if what == "quantity":
        return _quantity(path, value, context)
    expected = _KINDS.get(what, "")
    if expected:
        return Problem(path, got, expected, _FIXES.get(expected, "write its keys below it, indented"))
    reason = one_line(str(error["msg"]).removeprefix("Value error, "), 300)
    return Problem(path, got, "what fits its place", f"correct it: {reason}")


def _quantity(path: Path, value: object, context: dict[str, Any]) -> Problem:
    """A quantity that `models.units` could not read: the reason it gives, as the parts of a line."""
    expected = "text with a number, a space and a unit"
    if "reason" not in context:
        number = f"{value}" if isinstance(value, int | float) and not isinstance(value, bool) else "5"
        return Problem(path, shown(value), expected, f"write '{number} {context['unit']}', or another such unit")
    reason = one_line(str(context["reason"]).replace(repr(value), "it"), 160)
    before, _, after = reason.partition("; ")
    return Problem(path, shown(value), expected, after or before)


def _walk(data: Any, loc: tuple[str | int, ...], missing: bool) -> tuple[Path, Any]:
    """The path in the file behind pydantic's `loc`, which also names the branch of a union or a key."""
    path: list[str | int] = []
    for number, part in enumerate(loc):
        is_key = isinstance(data, Mapping) and part in data
        is_item = isinstance(data, tuple | list) and isinstance(part, int) and 0 <= part < len(data)
        if is_key or is_item:
            data = data[part]
            path.append(part)
        elif number == len(loc) - 1 and missing:
            path.append(part)
    return tuple(path), data


def _literals(expected: str) -> list[str]:
    """The words in pydantic's "'a', 'b' or 'c'"."""
    return [word.strip().strip("'") for word in expected.replace("' or '", "', '").replace(" or ", ", ").split(", ")]


def _keys_beside(kind: type[BaseModel], data: Any, loc: tuple[str | int, ...]) -> list[str]:
    part = _type_at(kind, loc[:-1])
    return list(part.model_fields) if part else []


def _example(kind: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """What a missing key is for, where its field says so."""
    part = _type_at(kind, loc[:-1])
    info = part.model_fields.get(str(loc[-1])) if part else None
    return f" ({info.description})" if info and info.description else ""


def _type_at(kind: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The pydantic type of the block at `loc`, found by walking the annotations."""
    here: Any = kind
    for part in loc:
        here = _inside(here, part)
    models = list(_models_of(here))
    return models[0] if models else None


def _unit_at(kind: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """The unit of the quantity at `loc`; empty where the field is none."""
    for depth in range(len(loc) - 1, -1, -1):
        part = _type_at(kind, loc[:depth])
        if part is not None and loc[depth] in part.model_fields:
            info = part.model_fields[str(loc[depth])]
            own = [found for found in info.metadata if isinstance(found, In)]
            return next((found.unit for found in (*own, *_units_of(info.annotation))), "")
    return ""


def _units_of(annotation: Any) -> Iterator[In]:
    """The units that an annotation names, at any depth."""
    for inner in get_args(annotation):
        if isinstance(inner, In):
            yield inner
        yield from _units_of(inner)


def _inside(annotation: Any, part: str | int) -> Any:
    for model in _models_of(annotation):
        if isinstance(part, str) and part in model.model_fields:
            return model.model_fields[part].annotation
        if part == model.__name__:
            return model
    return annotation  # an index, a key of a mapping: the models further in are found by `_models_of`


def _models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """The pydantic types that an annotation names, at any depth of tuple, dict, union and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_of(inner)
