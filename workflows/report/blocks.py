"""What a page is made of: sections of blocks. `page.html.j2` prints each kind; nothing here knows about HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .drawing import Cell, Picture, Table

Tone = Literal["good", "bad", "open", "plain"]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: Cell
    kind: Literal["text", "lead", "note"] = "text"

    block = "text"


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str

    block = "heading"


@dataclass(frozen=True)
class Gallery:
    """Figures side by side where there is room."""

    pictures: tuple[Picture, ...]

    block = "gallery"


@dataclass(frozen=True)
class Tables:
    """Tables, one below the other; `folded` ones open on demand under a summary line."""

    tables: tuple[Table, ...]
    folded: str = ""

    block = "tables"


@dataclass(frozen=True)
class Facts:
    """Terms with what they are."""

    items: tuple[tuple[str, Cell], ...]

    block = "facts"


@dataclass(frozen=True)
class Listing:
    """A list of sentences."""

    items: tuple[str, ...]

    block = "listing"


@dataclass(frozen=True)
class Box:
    """A framed statement with its tone, and the table that supports it."""

    title: str
    text: str
    tone: Tone
    table: Table | None = None

    block = "box"


@dataclass(frozen=True)
class Command:
    """Lines as they stand in a file or a terminal; `folded` ones open on demand under a summary line."""

    text: str
    folded: str = ""

    block = "command"


Block = Text | Heading | Gallery | Tables | Facts | Listing | Box | Command


@dataclass(frozen=True)
class Section:
    """A part of the page that the navigation lists under `short`."""

    key: str
    title: str
    short: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Tile:
    """One number of the headline."""

    label: str
    value: Cell
    detail: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    kicker: str
    question: str
    answer: str
    tone: Tone
    tiles: tuple[Tile, ...]
    gates: Table | None
    sections: tuple[Section, ...]
    footer: str
