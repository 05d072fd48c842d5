"""The flow of twins and subjects (CONSORT), drawn from counts; nobody leaves it without a reason."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace

from markupsafe import Markup

from .drawing import INK, MUTED, WIDTH, Datum, Picture, Table, colour, svg_element
from .numbers import NBSP

_LINE, _PAD, _GAP = 15.5, 9.0, 24.0
_LEFT, _RIGHT = 180.0, 212.0
_FONT = "font-family:system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:12px"


@dataclass(frozen=True)
class Loss:
    """So many left, for this reason."""

    reason: str
    count: int


@dataclass(frozen=True)
class Step:
    """One box of the trunk, and those that leave after it."""

    title: str
    count: int
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True)
class ArmFlow:
    """What became of the subjects of one arm."""

    label: str
    place: int
    randomised: int
    events: tuple[Loss, ...]
    analysed: int


@dataclass(frozen=True)
class Flow:
    """The trunk from candidates to randomised subjects, then the arms."""

    trunk: tuple[Step, ...]
    arms: tuple[ArmFlow, ...]
    title: str = "Flow of twins and subjects"


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    lines: tuple[tuple[str, bool], ...]
    edge: str
    thick: float = 1.2

    @property
    def height(self) -> float:
        return 2 * _PAD + _LINE * len(self.lines) - 3

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def svg(self) -> Markup:
        body = Markup(
            '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="4" fill="#fff" '
            'stroke="{}" stroke-width="{}"/>'
        ).format(self.x, self.y, self.width, self.height, self.edge, self.thick)
        for k, (text, bold) in enumerate(self.lines):
            body += Markup('\n<text x="{:.1f}" y="{:.1f}" style="{}{};fill:{}">{}</text>').format(
                self.x + _PAD,
                self.y + _PAD + 11 + k * _LINE,
                _FONT,
                ";font-weight:600" if bold else "",
                INK,
                text,
            )
        return body


def _wrapped(text: str, width: float, bold: bool = False) -> list[tuple[str, bool]]:
    letters = max(10, int((width - 2 * _PAD) / (8.3 if bold else 6.5)))
    return [(line, bold) for line in textwrap.wrap(text, letters)]


def _box(x: float, y: float, width: float, heading: str, lines: list[str], edge: str, thick: float = 1.2) -> _Box:
    text = _wrapped(heading, width, bold=True)
    for line in lines:
        text += _wrapped(line, width)
    return _Box(x, y, width, tuple(text), edge, thick)


def _counted(loss: Loss) -> str:
    return f"{loss.reason}:{NBSP}{loss.count:,}"


def _path(path: str, marker: str) -> Markup:
    return Markup('<path d="{}" stroke="{}" stroke-width="1.2" fill="none" marker-end="url(#{})"/>').format(
        path, MUTED, marker
    )


def _arrow(x0: float, y0: float, x1: float, y1: float, marker: str) -> Markup:
    return _path(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}", marker)


def flow_picture(key: str, flow: Flow) -> Picture:
    """CONSORT diagram: the trunk on the left, those who leave on the right, one column an arm below."""
    marker = f"{key}-arrow"
    trunk, foot, y = _trunk(flow, marker)
    arms, bottom = _arms(flow, marker, foot, y)
    head = Markup(
        '<defs><marker id="{}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="{}"/></marker></defs>'
    ).format(marker, MUTED)
    title, alt = flow.title, _words(flow)
    box = f"0 0 {WIDTH:g} {max(bottom, y) + 4:.0f}"
    svg = svg_element(key, title, alt, box, head + Markup("\n").join(trunk + arms))
    return Picture(key, title, alt, svg, _table(flow))


def _trunk(flow: Flow, marker: str) -> tuple[list[Markup], float, float]:
    """The steps with their losses; also where the last box ends, and where the next may begin."""
    parts: list[Markup] = []
    y, foot = 2.0, 0.0
    centre = 2 + _LEFT / 2
    for step in flow.trunk:
        box = _box(2, y, _LEFT, step.title, [f"n = {step.count:,}"], INK)
        if foot:
            parts.append(_arrow(centre, foot, centre, y - 2, marker))
        parts.append(box.svg())
        y, foot = box.bottom + _GAP, box.bottom
        if step.losses:
            lost = sum(loss.count for loss in step.losses)
            lines = [_counted(loss) for loss in step.losses]
            side = _box(WIDTH - _RIGHT - 2, box.y + 10, _RIGHT, f"Left: n = {lost:,}", lines, MUTED)
            middle = box.y + min(box.height / 2, 24)
            parts += [_arrow(box.x + _LEFT, middle, side.x - 2, middle, marker), side.svg()]
            y = max(y, side.bottom + 12)
    return parts, foot, y


def _arms(flow: Flow, marker: str, foot: float, y: float) -> tuple[list[Markup], float]:
    """One column an arm, the boxes of a row at the same height; also where the lowest ends."""
    width = (WIDTH - 4 - 12 * (len(flow.arms) - 1)) / max(1, len(flow.arms))
    columns = [_column(arm, 2 + k * (width + 12), width) for k, arm in enumerate(flow.arms)]
    parts: list[Markup] = []
    feet: dict[float, float] = {}
    top = y + 8
    for row in range(3):
        boxes = [replace(column[row], y=top) for column in columns]
        for box in boxes:
            centre = box.x + width / 2
            if row == 0:
                bend = (2 + _LEFT / 2, foot, y - 6, centre, top - 2)
                path = Markup("M{:.1f} {:.1f}V{:.1f}H{:.1f}V{:.1f}").format(*bend)
                parts.append(_path(path, marker))
            else:
                parts.append(_arrow(centre, feet[box.x], centre, top - 2, marker))
            parts.append(box.svg())
        feet = {box.x: box.bottom for box in boxes}
        top = max(feet.values(), default=top) + _GAP
    return parts, top - _GAP


def _column(arm: ArmFlow, x: float, width: float) -> tuple[_Box, _Box, _Box]:
    shade = colour(arm.place)
    events = [_counted(event) for event in arm.events] or ["no event counted"]
    return (
        _box(x, 0, width, arm.label, [f"randomised n = {arm.randomised:,}"], shade, 2.2),
        _box(x, 0, width, "After randomisation", events, MUTED),
        _box(x, 0, width, "Analysed, primary endpoint", [f"n = {arm.analysed:,}"], shade, 2.2),
    )


def _words(flow: Flow) -> str:
    text = [f"{step.title}: {step.count:,}" for step in flow.trunk]
    text += [f"{arm.label}: {arm.randomised:,} randomised, {arm.analysed:,} analysed" for arm in flow.arms]
    return "; ".join(text) + "."


def _table(flow: Flow) -> Table:
    rows: list[tuple[str | Datum, ...]] = []
    for step in flow.trunk:
        rows.append((step.title, "", "", Datum(step.count, f"{step.count:,}")))
        rows += [("left", "", loss.reason, Datum(loss.count, f"{loss.count:,}")) for loss in step.losses]
    for arm in flow.arms:
        rows.append(("Randomised", arm.label, "", Datum(arm.randomised, f"{arm.randomised:,}")))
        rows += [("After randomisation", arm.label, e.reason, Datum(e.count, f"{e.count:,}")) for e in arm.events]
        rows.append(("Analysed, primary endpoint", arm.label, "", Datum(arm.analysed, f"{arm.analysed:,}")))
    return Table("Attrition ledger", ("Step", "Arm", "Reason", "Count"), tuple(rows))
