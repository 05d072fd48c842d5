"""What is wrong with a file, in one line each: where, what was given, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where something stands in a file: keys and positions in lists, from the outside in."""

MOST_SHOWN = 60


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; `line` and `column` count from 1, absent where no file could be read."""

    path: Path
    got: str
    expected: str
    fix: str
    on_key: bool = False
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        place += [f"{self.line}:{self.column}"] if self.line is not None else []
        where = [dotted(self.path)] if self.path else []
        return ": ".join(
            [":".join(place)] * bool(place) + where + [f"got {self.got}; expected {self.expected}; {self.fix}"]
        )


def dotted(path: Path) -> str:
    """A path as it is written in a message.

    >>> dotted(("arms", 1, "treatment", "dose"))
    'arms[1].treatment.dose'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{one_line(part)}" for part in path)
    return text.removeprefix(".")


def one_line(text: str, most: int = MOST_SHOWN) -> str:
    """Text of a user for a message: no line breaks or control characters, and not too long."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: most + 1])
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def shown(value: object) -> str:
    """A value as it is echoed in a message.

    >>> shown("26"), shown(26), shown(()), shown({"a": 1}), shown(None)
    ("'26'", '26', 'an empty list', 'a block with the key a', 'nothing')
    """
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{one_line(value)}'"
        case dict():
            keys = ", ".join(one_line(str(key)) for key in list(value)[:3]) + (", …" if len(value) > 3 else "")
            return f"a block with the key{'s' * (len(value) > 1)} {keys}" if value else "an empty block"
        case tuple() | list():
            return f"a list of {len(value)}" if value else "an empty list"
        case _:
            return one_line(str(value))


def listed(names: Iterable[object], most: int = 12) -> str:
    """Names in a row, the first few of many."""
    words = [one_line(str(name)) for name in names]
    more = f", … ({len(words)} in all)" if len(words) > most else ""
    return (", ".join(words[:most]) + more) or "none"


def did_you_mean(name: object, known: Iterable[str], otherwise: str) -> str:
    """What to do about a name that is not known: the nearest one that is, or `otherwise`."""
    near = difflib.get_close_matches(str(name)[:200], list(known), 1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else otherwise
