"""A protocol that may still have faults: the blocks that could be read, beside the data they came from.

Checks that compare blocks run on a draft, so that one misspelled key does not hide a wrong name elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..models.model import Model, UnknownPart
from ..models.problems import Path, Problem, did_you_mean, listed, one_line, shown
from . import catalogue
from .field_checks import read_part
from .protocol import (
    Allocation,
    Analysis,
    Arm,
    DataMap,
    Dropout,
    Endpoint,
    Estimand,
    IntercurrentEvent,
    Keep,
    ModelChoice,
    Part,
    PopulationChoice,
    Protocol,
    Published,
    Subgroup,
    Timing,
)

_OWN = {
    "model": "correct it, or give the dotted path of a module of your own",
    "measure": "correct it, or give the dotted path of a module of your own",
    "population": "correct it, or give the path of a .yaml file of your own",
}


@dataclass(frozen=True)
class Draft:
    """The readable blocks of a protocol. Lists are by position, without the items that could not be read."""

    raw: Mapping[str, Any]
    faults: tuple[Problem, ...]
    simulator: Model | None
    people: catalogue.People | None
    model: ModelChoice | None
    population: PopulationChoice | None
    allocation: Allocation | None
    schedule: Timing | None
    keep: Keep | None
    data: DataMap | None
    arms: Mapping[int, Arm]
    endpoints: Mapping[int, Endpoint]
    intercurrent_events: Mapping[int, IntercurrentEvent]
    estimands: Mapping[int, Estimand]
    dropout: Mapping[int, Dropout]
    analyses: Mapping[int, Analysis]
    subgroups: Mapping[int, Subgroup]
    published: Mapping[int, Published]

    def names(self, block: str) -> tuple[str, ...]:
        """Names in a list, also of its items that could not be read otherwise."""
        return tuple(name for _, name in self.named(block))

    def named(self, block: str) -> tuple[tuple[int, str], ...]:
        """Position and name of each item of a list that has a name."""
        items = self.raw.get(block)
        pairs = enumerate(items) if isinstance(items, tuple) else ()
        return tuple(
            (number, item["name"])
            for number, item in pairs
            if isinstance(item, Mapping) and isinstance(item.get("name"), str)
        )

    def is_whole(self, block: str) -> bool:
        """Whether a block was read without a fault, so that what is not in it is really absent."""
        return not any(fault.path[:1] == (block,) for fault in self.faults)

    def number(self, key: str) -> int | None:
        """A whole number at the top of the file."""
        value = self.raw.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and self.is_whole(key) else None

    def words(self, key: str) -> tuple[str, ...]:
        """A list of words at the top of the file."""
        value = self.raw.get(key)
        return value if isinstance(value, tuple) and self.is_whole(key) else ()

    def is_simulated(self) -> bool:
        """Whether the protocol describes a simulation, and not only the data of a real trial."""
        return "model" in self.raw or "data" not in self.raw


def draft_protocol(raw: Mapping[str, Any]) -> Draft:
    """Read each block by itself, after the fields of the whole have been checked."""
    _, faults = read_part(Protocol, raw)

    def one(kind: type[Part], key: str) -> Any:
        return read_part(kind, raw[key], (key,))[0] if isinstance(raw.get(key), Mapping) else None

    def many(kind: type[Part], key: str) -> dict[int, Any]:
        items = raw.get(key)
        read = {n: read_part(kind, item)[0] for n, item in enumerate(items if isinstance(items, tuple) else ())}
        return {number: item for number, item in read.items() if item is not None}

    model, population = one(ModelChoice, "model"), one(PopulationChoice, "population")
    simulator, wrong_model = find(catalogue.model_named, model, ("model", "name"), "model")
    people, wrong_people = find(catalogue.population_named, population, ("population", "name"), "population")
    return Draft(
        raw=raw,
        faults=(*faults, *wrong_model, *wrong_people),
        simulator=simulator,
        people=people,
        model=model,
        population=population,
        allocation=one(Allocation, "allocation"),
        schedule=one(Timing, "schedule"),
        keep=one(Keep, "keep"),
        data=one(DataMap, "data"),
        arms=many(Arm, "arms"),
        endpoints=many(Endpoint, "endpoints"),
        intercurrent_events=many(IntercurrentEvent, "intercurrent_events"),
        estimands=many(Estimand, "estimands"),
        dropout=many(Dropout, "dropout"),
        analyses=many(Analysis, "analyses"),
        subgroups=many(Subgroup, "subgroups"),
        published=many(Published, "published"),
    )


def find(
    named: Callable[[str], Any], choice: ModelChoice | PopulationChoice | None, path: Path, kind: str
) -> tuple[Any, list[Problem]]:
    """The part of the catalogue that a block names, or what is wrong with its name."""
    return find_named(named, choice.name, path, kind) if choice is not None else (None, [])


def find_named(named: Callable[[str], Any], name: str, path: Path, kind: str) -> tuple[Any, list[Problem]]:
    """A part of the catalogue, or what is wrong with its name."""
    try:
        return named(name), []
    except UnknownPart as error:
        expected = f"a {kind} of the library: {listed(error.known)}"
        fix = did_you_mean(name, error.known, _OWN[kind])
        return None, [Problem(path, shown(name), expected, fix)]
    except catalogue.UnusablePart as error:
        fix = f"it cannot be used: {one_line(str(error), 200)}"
        return None, [Problem(path, shown(name), f"a working {kind}", fix)]


def unknown(path: Path, name: str, known: tuple[str, ...], what: str) -> Problem:
    """A reference to something that the protocol does not define."""
    fix = did_you_mean(name, known, "correct the name, or define it")
    return Problem(path, shown(name), f"{what} of this protocol: {listed(known)}", fix)


def repeated(draft: Draft, block: str) -> Iterator[Problem]:
    """Names that stand twice in a list."""
    first: dict[str, int] = {}
    for number, name in draft.named(block):
        if name in first:
            fix = f"rename one; the first is {block}[{first[name]}]"
            yield Problem((block, number, "name"), shown(name), "each name once", fix)
        first.setdefault(name, number)
