"""How every figure of the report is drawn: one palette, one text size, inline SVG with a name and its numbers.

Lengths are SVG units. A figure is 420 wide, so that its text is still readable on a telephone.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from ...trials.analysis.home import shelter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, RULE = "#1b2733", "#55626e", "#d5dbe1"
TARGET = "#3d7a4e"
# Control first, then the experimental arms: apart in hue, in lightness and (DASHES) in line style.
ARM_COLOURS = ("#b8560b", "#0b6a94", "#6b4796", "#3f6b2a", "#8d2f5f")
DASHES = ((0, (5, 2)), "solid", (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1)))
WIDTH = 420.0
_FONTS = "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
_LOOK: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "twinarm",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the layout is the same everywhere
    "font.size": 11.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "lines.linewidth": 1.8,
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
}


@dataclass(frozen=True)
class Datum:
    """A number as printed, with the full one behind it (`<data value>` in the page)."""

    value: float
    text: str

    def __html__(self) -> str:
        return f'<data value="{float(self.value)!r}">{escape(self.text)}</data>'


Cell = str | Datum | Markup


@dataclass(frozen=True)
class Table:
    """A table of the page. `marks` gives a row its class (`fail`, `warn`), by row number."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    marks: tuple[tuple[int, str], ...] = ()

    def mark(self, row: int) -> str:
        return dict(self.marks).get(row, "")

    @property
    def long(self) -> tuple[bool, ...]:
        """Columns of sentences; they get room before a table is scrolled."""
        columns = zip(*self.rows, strict=True)
        return tuple(any(isinstance(c, str) and len(c) > 34 for c in column) for column in columns)

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Columns that hold numbers only; they are set flush right."""

        def is_number(cell: Cell) -> bool:
            return isinstance(cell, Datum) or cell in {"", "–"}

        columns = list(zip(*self.rows, strict=True))
        return tuple(
            any(isinstance(cell, Datum) for cell in column) and all(is_number(cell) for cell in column)
            for column in columns
        ) or (False,) * len(self.columns)


@dataclass(frozen=True)
class Picture:
    """One figure: what it shows in a sentence (`alt`), the drawing, and the numbers drawn."""

    key: str
    title: str
    alt: str
    svg: Markup
    table: Table
    note: str = ""
    wide: bool = False


def colour(position: int) -> str:
    """Colour of the arm at `position`, with the control arms first."""
    return ARM_COLOURS[position % len(ARM_COLOURS)]


def dash(position: int) -> Any:
    """Line style of the arm at `position`: arms stay apart in black and white."""
    return DASHES[position % len(DASHES)]


@contextmanager
def canvas(height: float, width: float = WIDTH, **layout: Any) -> Iterator[tuple[Figure, Axes]]:
    """A figure and its axes in the style of the report; the style ends with the block."""
    shelter()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_LOOK):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained", facecolor="none")
        figure.get_layout_engine().set(w_pad=4 / 72, h_pad=4 / 72)  # type: ignore[union-attr, call-arg]  # constrained
        axes = figure.add_subplot(**layout)
        axes.set_facecolor("none")
        yield figure, axes


def svg_of(figure: Figure, key: str, title: str, alt: str) -> Markup:
    """The figure as an `<svg>` element for a page: named, without dates, links, or ids shared with another."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=72, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    used = set(re.findall(r'url\(#([^)"]+)\)|href="#([^"]+)"', body))
    names = {name for pair in used for name in pair if name}
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{key}-{m.group(1)}"' if m.group(1) in names else "", body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{key}-\1"', body)
    body = re.sub(r"'DejaVu Sans'[^;\"]*", _FONTS, body)
    body = re.sub(r"\n\s*", "\n", re.sub(r"<defs>\s*</defs>", "", body)).strip()
    return svg_element(key, title, alt, box.group(1), Markup(body))


def svg_element(key: str, title: str, alt: str, box: str, body: Markup) -> Markup:
    """An `<svg>` with the name and description that a screen reader speaks."""
    return Markup(
        '<svg viewBox="{0}" role="img" aria-labelledby="{1}-title {1}-desc" focusable="false">'
        '<title id="{1}-title">{2}</title><desc id="{1}-desc">{3}</desc>\n{4}\n</svg>'
    ).format(box, key, title, alt, body)


def thinned(count: int, most: int) -> Sequence[int]:
    """At most `most` of the positions 0 .. count - 1, evenly spread, with both ends."""
    if count <= most:
        return range(count)
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})
