"""The report of a run folder, or of an analysis of real data, as one HTML file."""

from __future__ import annotations

from pathlib import Path

from .answer import answer, failed_gates, tiles
from .blocks import Page
from .contents import RunContents
from .sections import sections

HERE = Path(__file__).parent


def page_of(contents: RunContents) -> Page:
    """The report as a value."""
    text, tone = answer(contents)
    kind = "In silico trial: simulated evidence, no person took part"
    footer = (
        "Simulated evidence. Every number follows from the protocol, its seed and the version named above; "
        "the full value of a rounded number stands in the page beside it."
    )
    if not contents.is_simulated:
        kind = "Analysis of trial data"
        footer = "Every number follows from the table of data, the protocol, its seed and the version named above."
    return Page(
        title=contents.protocol.title,
        kicker=kind,
        question=contents.protocol.question,
        answer=text,
        tone=tone,
        tiles=tiles(contents),
        gates=failed_gates(contents),
        sections=sections(contents),
        footer=footer,
    )


def render(page: Page) -> str:
    """The page as HTML; every word of it is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    css = Markup((HERE / "page.css").read_text(encoding="utf-8"))
    return environment.get_template("page.html.j2").render(page=page, css=css)


def write_page(contents: RunContents, path: Path) -> Path:
    """Write the report of `contents` to `path`, whole or not at all."""
    from ..run_folder import write_atomic

    write_atomic(path, render(page_of(contents)).encode())
    return path


def write_report(folder: Path) -> Path:
    """Write `report.html` into a run folder from what stands in it."""
    from ..run_folder import RunFolder
    from .reading import read_run

    return write_page(read_run(folder), RunFolder(folder).report)
