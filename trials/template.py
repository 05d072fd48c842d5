"""The protocol that `twinarm init` writes: one of the library, under a name of its own."""

from __future__ import annotations

import re

from ..models.problems import Problem, shown
from .protocol import ProtocolError
from .protocol_file import library_protocols, protocol_path

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_HEADER = """\
# {name}, started from the protocol `{based_on}` of the library. Change what differs, then:
#   twinarm validate {name}.yaml     every fault, by line and column
#   twinarm plan {name}.yaml         what a run will cost
#   twinarm run {name}.yaml          the trial

"""


def starter(name: str, based_on: str = "t1d-closed-loop") -> str:
    """Text of a protocol file called `name`: the library's `based_on` with its comments, and a header.

    Raises
    ------
    ProtocolError
        `name` cannot name a protocol, or the library has no `based_on`.
    """
    if not _NAME.fullmatch(name) or len(name) > 60 or name in library_protocols():
        expected = "a new name of at most 60 lower-case letters, digits, - and _, starting with a letter"
        raise ProtocolError([Problem((), shown(name), expected, "write for example 'my-trial'")])
    text = protocol_path(based_on).read_text(encoding="utf-8")
    renamed, count = re.subn(rf"^name: {re.escape(based_on)}$", f"name: {name}", text, count=1, flags=re.MULTILINE)
    if count != 1:
        raise RuntimeError(f"the library's {based_on}.yaml has no line 'name: {based_on}'")
    return _HEADER.format(name=name, based_on=based_on) + renamed
