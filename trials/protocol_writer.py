"""A protocol as the text of a file: with every default written out, and loading back to the same value.

A run folder keeps this text, not the author's file: overrides of the command line are in it, its digest is
the run's, and a protocol that was built in Python is kept in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic.fields import FieldInfo

from ..models.units import Days
from ..models.yaml_text import scalar
from .protocol import Part, Protocol

_IN_DAYS = get_args(Days)[1]
_PLAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_ .,/()%+=<>*^'-]*[A-Za-z0-9_.)%'])?")
# Control characters, and those that a YAML reader takes for a line break, a byte-order mark or no text.
_UNSAFE = re.compile(r"[\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def write_protocol(protocol: Protocol) -> str:
    """YAML 1.2 text of a protocol; `read_protocol` reads an equal protocol from it, with the same digest."""
    return "\n".join(_lines(_of_part(protocol), 0)) + "\n"


def _of_part(part: Part) -> dict[str, Any]:
    """The keys of a block in the order of its fields, without those that are absent or empty by default."""
    fields = {name: (getattr(part, name), info) for name, info in type(part).model_fields.items()}
    return {
        name: _of_value(value, info)
        for name, (value, info) in fields.items()
        if info.is_required() or value not in (None, (), {})
    }


def _of_value(value: Any, info: FieldInfo | None = None) -> Any:
    if isinstance(value, Part):
        return _of_part(value)
    if isinstance(value, tuple | list):
        return [_of_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _of_value(item) for key, item in value.items()}
    if isinstance(value, float) and info is not None and _is_in_days(info):
        return f"{value!r} day"
    return value


def _is_in_days(info: FieldInfo) -> bool:
    inside = [m for member in get_args(info.annotation) for m in get_args(member)]  # of `Days | None`
    return _IN_DAYS in info.metadata or _IN_DAYS in inside


def _lines(block: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key, value in block.items():
        yield from _entry(f"{'  ' * depth}{_word(key)}:", value, depth + 1)


def _entry(start: str, value: Any, depth: int) -> Iterator[str]:
    """One value after its key or dash; blocks and lists of blocks go on lines of their own."""
    if isinstance(value, dict) and value:
        yield start
        yield from _lines(value, depth)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        yield start
        for item in value:
            lines = list(_lines(item, depth + 1)) if isinstance(item, dict) and item else []
            dash = "  " * depth + "- "
            if lines:
                yield dash + lines[0].lstrip(" ")
                yield from lines[1:]
            else:
                yield from _entry(dash.rstrip(), item, depth + 1)
    elif isinstance(value, list):
        yield f"{start} [{', '.join(_word(item, within_list=True) for item in value)}]"
    else:
        yield f"{start} {{}}" if isinstance(value, dict) else f"{start} {_word(value)}"


def _word(value: Any, within_list: bool = False) -> str:
    """A scalar, quoted where it would not be read as the same value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    is_plain = _PLAIN.fullmatch(value) and value == scalar(value) and not (within_list and "," in value)
    return value if is_plain else f'"{_escaped(value)}"'


def _escaped(text: str) -> str:
    short = "".join(_ESCAPES.get(c, f"\\x{ord(c):02x}" if ord(c) < 32 else c) for c in text)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", short)
