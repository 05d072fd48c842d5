"""YAML 1.2 as data with places: plain values, and the line and column of each key and value.

The text is read event by event, so that a repeated key is seen, and tags, anchors and aliases are refused:
what stands at a place is what is meant there. Scalars follow the core schema of YAML 1.2.2 (section 10.3.2):
`010` is ten, `1e3` a number, `no` a word and a date a word. Lists become tuples; keys are always words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .problems import Path, Problem, one_line, shown

MAX_BYTES = 256 * 1024
MAX_DEPTH = 30
MAX_VALUES = 20_000

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INIT = "`twinarm init NAME` writes one to start from"
_LOOK = "look at this line and the one before it: indentation, a space after ':', a quote or bracket left open"


@dataclass(frozen=True)
class Place:
    """Line and column of a key and of its value, counted from 1."""

    key: tuple[int, int]
    value: tuple[int, int]


@dataclass(frozen=True)
class Text:
    """A file that was read: its data, the place of everything in it, and what is wrong with its writing.

    `kind` says in messages what the file should be ("protocol"). Where `is_read` is false there are no data: the last
    of `problems` says why.
    """

    file: str
    kind: str = "protocol"
    data: Any = None
    is_read: bool = True
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def located(self, problem: Problem) -> Problem:
        """The problem with file, line and column: of its path, or of the nearest block around it."""
        place = self.place(problem.path)
        line, column = place.key if problem.on_key and problem.path in self.places else place.value
        return replace(problem, file=self.file, line=line, column=column)

    def place(self, path: Path) -> Place:
        """Where a path stands, or the nearest block around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place((1, 1), (1, 1)))

    def refuse(self, at: tuple[int, int], path: Path, got: str, expected: str, fix: str) -> None:
        problem = Problem(path, got, expected, fix, file=self.file, line=at[0], column=at[1])
        self.problems.append(problem)


class _StopReading(Exception):
    """What is wrong stands in the problems of the text; nothing more can be read."""


def read_yaml(file: str, content: bytes, kind: str = "protocol", start: str = _INIT) -> Text:
    """The data of a YAML file and the places of its parts; what is wrong is gathered in `problems`.

    `is_read` is false where it is not text in UTF-8, too large, empty, not YAML, nested too deep, or more than one
    document. `kind` and `start` are for messages: what the file should be, and how to begin one.
    """
    text = Text(file, kind)
    try:
        return replace(text, data=_data(text, content, start))
    except _StopReading:
        return replace(text, is_read=False)


def _data(text: Text, content: bytes, start: str) -> Any:
    if len(content) > MAX_BYTES:
        raise _stop(text, (1, 1), f"{len(content)} bytes", f"at most {MAX_BYTES}", f"is this the {text.kind} file?")
    try:
        words = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        at = (before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1)
        got = f"the byte 0x{content[error.start]:02x}"
        raise _stop(text, at, got, "text in UTF-8", "save the file as UTF-8") from None
    if not words.strip():
        raise _stop(text, (1, 1), "an empty file", f"a {text.kind}", start)
    return _Builder(text, words.split("\n"), _events(text, words)).build()


def scalar(word: str) -> Any:
    """The value of an unquoted word by the core schema.

    >>> [scalar(word) for word in ("010", "1e3", "no", "0x1F", "2024-01-01", "~", "True")]
    [10, 1000.0, 'no', 31, '2024-01-01', None, True]
    """
    if _NULL.fullmatch(word):
        return None
    if _TRUE.fullmatch(word) or _FALSE.fullmatch(word):
        return word.lower() == "true"
    if _INT.fullmatch(word) and len(word) <= 40:
        return int(word)
    if _BASED.fullmatch(word) and len(word) <= 40:
        return int(word, 0)
    if _FLOAT.fullmatch(word):
        return float(re.sub(r"\.(?=[a-zA-Z])", "", word))
    return word


def _stop(text: Text, at: tuple[int, int], got: str, expected: str, fix: str) -> _StopReading:
    text.refuse(at, (), got, expected, fix)
    return _StopReading()


def _start(mark: Any) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _events(text: Text, words: str) -> Iterator[Any]:
    """The reader's events; what it cannot read is said as a problem."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        yield from YAML(typ="safe", pure=True).parse(words)
    except _StopReading:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = _inside(words.split("\n"), _start(mark)) if mark else (1, 1)
        what = one_line(error.problem or error.context or "an error")
        fix = "indent with spaces, never with tabs" if "\\t" in what else _LOOK
        raise _stop(text, at, f"what is not YAML ({what})", "YAML 1.2", fix) from None
    except Exception as error:  # the reader raises many kinds on text that is no YAML
        position = getattr(error, "position", None)
        before = words[:position] if isinstance(position, int) else ""
        at = _inside(words.split("\n"), (before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1))
        what = one_line(str(getattr(error, "reason", None) or error or type(error).__name__))
        raise _stop(text, at, f"what is not YAML ({what})", "YAML 1.2", _LOOK) from None


def _inside(lines: list[str], at: tuple[int, int]) -> tuple[int, int]:
    """A place of the reader, which may stand just behind the text, inside it."""
    line = min(at[0], len(lines))
    return line, min(at[1], len(lines[line - 1]) + 1)


@dataclass(frozen=True)
class _Builder:
    """Turns the events of one document into values, and notes their places and faults in `text`."""

    text: Text
    lines: list[str]
    events: Iterator[Any]

    def build(self) -> Any:
        """The value of the document; None where there is none."""
        data = None
        for event in self.events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent" and self.text.places:
                fix = f"keep one {self.text.kind} a file, without another '---'"
                raise _stop(self.text, _start(event.start_mark), "a second document", "one document", fix)
            if kind in ("ScalarEvent", "MappingStartEvent", "SequenceStartEvent", "AliasEvent"):
                data = self._value(event, (), None)
        return data

    def _value(self, event: Any, path: Path, key: tuple[int, int] | None) -> Any:
        at = _inside(self.lines, _start(event.start_mark))
        if len(self.text.places) >= MAX_VALUES or len(path) > MAX_DEPTH:
            limit = f"at most {MAX_VALUES} values nested at most {MAX_DEPTH} deep"
            raise _stop(self.text, at, "more", limit, f"a {self.text.kind} is far smaller than that")
        kind = type(event).__name__
        if kind == "AliasEvent" or event.anchor is not None:
            name, fix = one_line(str(event.anchor)), "write the value out where it is used"
            self.text.refuse(at, path, f"{'*' if kind == 'AliasEvent' else '&'}{name}", "no anchors or aliases", fix)
        if kind != "AliasEvent" and event.tag is not None and str(event.tag) not in ("", "!"):
            fix = "remove it; the kind of a value follows from how it is written"
            self.text.refuse(at, path, f"the tag {one_line(str(event.tag))}", "no tags", fix)
        if kind == "ScalarEvent" and not event.value and event.style in (None, ""):
            at = key or at  # nothing stands there; the reader's mark may be lines further down
        self.text.places[path] = Place(key or at, at)
        if kind == "MappingStartEvent":
            return self._mapping(path)
        if kind == "SequenceStartEvent":
            return self._sequence(path)
        return self._scalar(event, path, at) if kind == "ScalarEvent" else None

    def _sequence(self, path: Path) -> tuple[Any, ...]:
        values: list[Any] = []
        for event in self.events:
            if type(event).__name__ == "SequenceEndEvent":
                break
            values.append(self._value(event, (*path, len(values)), None))
        return tuple(values)

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in self.events:
            if type(event).__name__ == "MappingEndEvent":
                break
            at = _inside(self.lines, _start(event.start_mark))
            if type(event).__name__ != "ScalarEvent":
                got = "a block, list or alias as a key"
                raise _stop(self.text, at, got, "a word as a key", "write 'key: value'")
            name = event.value
            if name in values:
                self._value(next(self.events), (*path, f"{name} (again)"), at)
                got = f"the key '{one_line(name)}' again"
                fix = f"remove one; the first is on line {self.text.places[(*path, name)].key[0]}"
                self.text.refuse(at, (*path, name), got, "each key once", fix)
            else:
                values[name] = self._value(next(self.events), (*path, name), at)
        return values

    def _scalar(self, event: Any, path: Path, at: tuple[int, int]) -> Any:
        is_plain = event.style is None or event.style == ""
        value = scalar(event.value) if is_plain else event.value
        if isinstance(value, float) and not math.isfinite(value):
            self.text.refuse(at, path, shown(event.value), "a finite number", "write a number like 0.05 or 1e-6")
            return 0.0
        return value
