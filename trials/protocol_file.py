"""A protocol file becomes a `Protocol`, or a `ProtocolError` that names every fault by line and column.

Steps: read YAML 1.2 with places (`yaml_text`); check every field (`field_checks`); check what must agree
between blocks, also where some fields are wrong (`design_checks`, `evidence_checks`); place each problem.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..models.problems import Problem, did_you_mean, listed, shown
from ..models.yaml_text import MAX_BYTES, read_yaml
from .design_checks import TOGETHER, check_design
from .draft import draft_protocol
from .evidence_checks import check_evidence
from .field_checks import read_part
from .protocol import Protocol, ProtocolError

LIBRARY = Path(__file__).parent / "library"
FORMAT = 1


def library_protocols() -> tuple[str, ...]:
    """Names of the protocols that come with the package."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.yaml")))


def protocol_path(name_or_path: str | Path) -> Path:
    """The file of a protocol: a word without a suffix is one of the library, anything else is a path."""
    path = Path(name_or_path)
    if path.suffix or len(path.parts) != 1:
        return path
    if path.name not in library_protocols():
        known = library_protocols()
        fix = did_you_mean(path.name, known, "give the path of a file, with its suffix '.yaml'")
        raise ProtocolError([Problem((), shown(path.name), f"a protocol of the library: {listed(known)}", fix)])
    return LIBRARY / f"{path.name}.yaml"


def load_protocol(name_or_path: str | Path) -> Protocol:
    """The protocol of a file, or of the library by its name.

    Raises
    ------
    ProtocolError
        The file cannot be read, or says what cannot be run; `problems` holds every fault, with its place.
    """
    path = protocol_path(name_or_path)
    return read_protocol(str(path), _content(path))


def read_protocol(file: str, content: bytes) -> Protocol:
    """The protocol that a file's content says; `file` names it in messages.

    Raises
    ------
    ProtocolError
    """
    text = read_yaml(file, content)
    if not text.is_read:
        raise ProtocolError(text.problems)
    refused = {problem.path for problem in text.problems}  # what stands there was not read
    found = [problem for problem in _problems(text.data) if problem.path not in refused]
    problems = [*text.problems, *map(text.located, found)]
    if problems:
        raise ProtocolError(_sorted(problems))
    protocol: Protocol = read_part(Protocol, text.data)[0]
    return protocol


def require_simulation(protocol: Protocol) -> None:
    """Refuse a protocol that only analyses real data where a simulation is asked for.

    Raises
    ------
    ProtocolError
    """
    missing = [key for key in TOGETHER if getattr(protocol, key) is None]
    if missing:
        expected = f"a protocol with {listed(TOGETHER)}"
        fix = f"add {listed(missing)}, or analyse its data with `twinarm analyse`"
        raise ProtocolError([Problem((), f"'{protocol.name}', which describes data only", expected, fix)])


def table_path(name_or_path: str | Path, protocol: Protocol) -> Path:
    """The table of a real trial that stands beside its protocol.

    Raises
    ------
    ProtocolError
        The protocol names none.
    """
    if protocol.data is None or protocol.data.table is None:
        fix = "give the table with --data, or name it with 'table:' under 'data:'"
        raise ProtocolError([Problem((), f"'{protocol.name}', which names no table", "a table of subjects", fix)])
    return protocol_path(name_or_path).parent / protocol.data.table


def with_twins(protocol: Protocol, twins: int) -> Protocol:
    """The same protocol with another number of twins in the bank; a trial larger than its bank shrinks to it.

    Raises
    ------
    ProtocolError
    """
    require_simulation(protocol)
    assert protocol.subjects is not None
    population = protocol.model_dump()["population"] | {"twins": twins}
    return _changed(protocol, {"population": population, "subjects": min(protocol.subjects, twins)}, "--twins")


def with_seed(protocol: Protocol, seed: int) -> Protocol:
    """The same protocol with another seed.

    Raises
    ------
    ProtocolError
    """
    return _changed(protocol, {"seed": seed}, "--seed")


def _changed(protocol: Protocol, update: dict[str, Any], option: str) -> Protocol:
    from pydantic import ValidationError

    try:
        return Protocol.model_validate(protocol.model_dump() | update)
    except ValidationError as error:
        value, reason = error.errors()[0]["input"], error.errors()[0]["msg"]
        fix = "correct the number"
        raise ProtocolError([Problem((), shown(value), reason[:1].lower() + reason[1:], fix, file=option)]) from None


def _content(path: Path) -> bytes:
    """At most one byte more than is allowed, of a file that may be anything."""
    try:
        if path.is_dir():
            raise ProtocolError([_of_file(path, "a folder", "name the protocol file in it")])
        if path.exists() and not path.is_file():
            raise ProtocolError([_of_file(path, "a device or pipe", "save the protocol in a file first")])
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except ProtocolError:  # itself a ValueError
        raise
    except FileNotFoundError:
        raise ProtocolError([_of_file(path, "no such file", _neighbours(path))]) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ProtocolError([_of_file(path, f"an error: {reason}", "check the path and its permissions")]) from None


def _of_file(path: Path, got: str, fix: str) -> Problem:
    return Problem((), got, "a protocol file", fix, file=str(path))


def _neighbours(path: Path) -> str:
    try:
        near = [p.name for p in path.parent.glob("*.y*ml")]
    except OSError:
        near = []
    return did_you_mean(path.name, near, "check the path, or write one with `twinarm init NAME`")


def _problems(data: Any) -> list[Problem]:
    if not isinstance(data, dict):
        return [Problem((), shown(data), "a protocol: a block of 'key: value' lines", "start with 'format: 1'")]
    given = data.get("format", FORMAT)
    if isinstance(given, int | float) and (type(given) is not int or given != FORMAT):
        fix = "use a version of twinarm that knows it" if given > FORMAT else "rewrite it, starting from `twinarm init`"
        return [Problem(("format",), shown(given), f"format {FORMAT}", fix)]
    draft = draft_protocol(data)
    return _without_echoes([*draft.faults, *check_design(draft), *check_evidence(draft)])


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """A key that is misspelt is not missing as well."""
    meant = {(problem.path[:-1], problem.fix) for problem in problems if problem.path}

    def is_echo(problem: Problem) -> bool:
        *parent, key = problem.path or ("",)
        return problem.got == "nothing" and (tuple(parent), f"did you mean {key!r}?") in meant

    return [problem for problem in problems if not is_echo(problem)]


def _sorted(problems: list[Problem]) -> list[Problem]:
    """In the order of the file, each line once."""
    unique = {str(problem): problem for problem in problems}
    return sorted(unique.values(), key=lambda problem: (problem.line or 0, problem.column or 0))
