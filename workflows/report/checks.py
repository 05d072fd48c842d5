"""Predictive checks as tables and a figure: what was observed beside what the model would produce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .contents import Result, RunContents
from .drawing import INK, Datum, Picture, Table, canvas, colour, svg_of
from .numbers import fixed, interval, number

if TYPE_CHECKING:
    from ...trials.analysis.checks import Check


def check_tables(contents: RunContents) -> tuple[Table, ...]:
    """Posterior predictive checks, one table an analysis."""
    return tuple(_table(r, r.fit.ppc, "posterior") for r in contents.analyses if r.fit.ppc)


def prior_check_tables(contents: RunContents) -> tuple[Table, ...]:
    """Prior predictive checks: is what was observed within what the priors thought possible?"""
    return tuple(_table(r, r.fit.prior_checks, "prior") for r in contents.analyses if r.fit.prior_checks)


def _words(contents: RunContents, name: str) -> str:
    """A check's name with the label of its arm."""
    for arm in contents.protocol.arms:
        if name.endswith(f", {arm.name}"):
            return f"{name.removesuffix(arm.name)}{arm.label}"
    return name


def _table(result: Result, checks: Sequence[Check], kind: str) -> Table:
    rows = tuple(
        (
            _words(result.contents, c.name),
            Datum(c.observed, number(c.observed, 4)),
            f"{number(c.low, 4)} to {number(c.high, 4)}",
            Datum(c.below, fixed(c.below, 3)),
            "look here" if c.is_odd else "fits",
        )
        for c in checks
    )
    marks = tuple((k, "warn") for k, c in enumerate(checks) if c.is_odd)
    columns = ("Summary", "Observed", f"95 % of {kind} replicates", "Share of replicates below", "")
    return Table(f"{result.endpoint.label}: {kind} predictive check", columns, rows, marks=marks)


def check_picture(result: Result) -> Picture | None:
    """Observed summaries within the range of replicates, each range drawn to the same width."""
    checks = [c for c in result.fit.ppc if np.isfinite([c.low, c.high, c.observed]).all() and c.high > c.low]
    if not checks:
        return None
    place = result.contents.place(result.contents.protocol.experimental[0].name)
    with canvas(44.0 + 36 * len(checks)) as (figure, axes):
        axes.grid(False)
        axes.axvspan(-1, 1, color=colour(place), alpha=0.1, linewidth=0)
        for k, c in enumerate(checks):
            at = len(checks) - 1 - k
            where = (c.observed - (c.low + c.high) / 2) / ((c.high - c.low) / 2)
            axes.plot([-1, 1], [at, at], color=colour(place), linewidth=2)
            axes.plot([np.clip(where, -2.1, 2.1)], [at], "o", color=INK, markersize=7)
            axes.annotate(_words(result.contents, c.name), (-2.3, at), (0, 8), textcoords="offset points")
        axes.set_xlim(-2.3, 2.3)
        axes.set_ylim(-0.4, len(checks) - 0.2)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xticks([-1, 0, 1], ["2.5 %", "middle", "97.5 %"])
        axes.set_xlabel("range of posterior replicates")
        title = f"{result.endpoint.label}: posterior predictive check"
        outside = sum(c.observed < c.low or c.observed > c.high for c in checks)
        alt = f"{len(checks)} observed summaries beside 95 % of posterior replicates: {outside} outside the range. "
        alt += "; ".join(
            f"{_words(result.contents, c.name)} {number(c.observed)} ({interval(c.low, c.high, 2)})" for c in checks
        )
        svg = svg_of(figure, f"fig-check-{result.name.replace('_', '-')}", title, alt)
    table = _table(result, checks, "posterior")
    return Picture(
        f"fig-check-{result.name.replace('_', '-')}", title, alt, svg, table, "Dot: observed. Line: 95 % of replicates."
    )
