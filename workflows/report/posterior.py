"""Figures of a posterior: the effect with its interval and decision margin, and the predictive check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .drawing import INK, MUTED, Datum, Picture, Table, canvas, svg_of
from .numbers import axis, decimals, fixed, interval, p_limit, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]


def density(draws: Array, points: int = 161) -> tuple[Array, Array]:
    """Gaussian kernel density of posterior draws (Scott's bandwidth) over their 0.05 to 99.95 % range."""
    from scipy.stats import gaussian_kde

    low, high = np.quantile(draws, [0.0005, 0.9995])
    pad = 0.08 * (high - low) or 1.0
    grid = np.linspace(low - pad, high + pad, points)
    if np.ptp(draws) == 0:
        return grid, np.where(np.arange(points) == points // 2, 1.0, 0.0)
    return grid, gaussian_kde(draws)(grid)


@dataclass(frozen=True)
class Effect:
    """What the posterior of one effect is drawn from, all as printed.

    `null` is "no difference"; `margin` of the decision is (value, larger is better); `truth` the effect over all twins.
    """

    label: str
    draws: Array
    unit: str
    ci_prob: float
    null: float = 0.0
    margin: tuple[float, bool] | None = None
    truth: float | None = None

    @property
    def interval(self) -> tuple[float, float, float]:
        tail = (1 - self.ci_prob) / 2
        low, middle, high = np.quantile(self.draws, [tail, 0.5, 1 - tail])
        return float(low), float(middle), float(high)


def effect_picture(key: str, title: str, effect: Effect, colour: str) -> Picture:
    """Posterior density with median and interval; the side of the margin that is better is filled."""
    low, middle, high = effect.interval
    places = decimals(float(np.std(effect.draws)))
    with canvas(230) as (figure, axes):
        _draw(axes, effect, colour, places)
        alt = (
            f"Density of the posterior of the {effect.label}. Median {with_unit(fixed(middle, places), effect.unit)}, "
            f"{p_limit(effect.ci_prob)} credible interval {interval(low, high, places)}."
        )
        svg = svg_of(figure, key, title, alt)
    note = f"Bar: {p_limit(effect.ci_prob)} credible interval; dot: median"
    note += "; shade: better side of the decision margin" if effect.margin is not None else ""
    note += "; triangle: true effect over all twins of the bank" if effect.truth is not None else ""
    quantiles = (0.005, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.995)
    rows = tuple(
        (f"{100 * q:g} %", Datum(float(v), fixed(float(v), places + 1)))
        for q, v in zip(quantiles, np.quantile(effect.draws, quantiles), strict=True)
    )
    table = Table(f"Posterior of the {effect.label}", ("Quantile", axis("Value", effect.unit)), rows)
    return Picture(key, title, alt, svg, table, f"{note}.")


def _draw(axes: Axes, effect: Effect, colour: str, places: int) -> None:
    low, middle, high = effect.interval
    grid, height = density(effect.draws.ravel())
    top = float(height.max())
    axes.grid(False)
    axes.plot(grid, height, color=colour)
    inside = np.ones_like(grid, dtype=bool)
    if effect.margin is not None:
        inside = grid >= effect.margin[0] if effect.margin[1] else grid <= effect.margin[0]
    axes.fill_between(grid, height, where=inside, color=colour, alpha=0.28, linewidth=0)
    axes.plot([low, high], [-0.07 * top] * 2, color=INK, linewidth=3, solid_capstyle="butt")
    axes.plot([middle], [-0.07 * top], marker="o", color=INK, markersize=7)
    _line(axes, effect.null, "no difference", MUTED, "dotted", 1.16 * top)
    if effect.margin is not None and effect.margin[0] != effect.null:
        _line(axes, effect.margin[0], f"margin {fixed(effect.margin[0], places)}", INK, (0, (5, 2)), 1.06 * top)
    if effect.truth is not None:
        axes.plot([effect.truth], [0.03 * top], marker="^", color=INK, markersize=8, markerfacecolor="white")
    axes.set_ylim(-0.16 * top, 1.26 * top)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(axis(effect.label, effect.unit))


def _line(axes: Axes, at: float, text: str, colour: str, style: Any, height: float) -> None:
    """A named vertical line; its name stands beside it, on the side with more room."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, at - 0.04 * (high - low)), max(high, at + 0.04 * (high - low)))
    low, high = axes.get_xlim()
    side = "left" if at < low + 0.5 * (high - low) else "right"
    axes.plot([at, at], [0, height], color=colour, linestyle=style, linewidth=1.2)
    shift = 0.012 * (high - low) * (1 if side == "left" else -1)
    axes.text(at + shift, height, text, color=colour, ha=side, va="center", fontsize=11)


def histogram_picture(key: str, title: str, values: Array, unit: str, label: str, colour: str, note: str) -> Picture:
    """Distribution of one number a twin (individual effects), with its mean."""
    is_finite = np.isfinite(values)
    values = values if is_finite.all() else values[is_finite]
    mean = float(values.mean())
    counts, edges = np.histogram(values, bins=min(40, max(8, round(np.sqrt(values.size)))))
    percent = 100 * counts / max(1, values.size)
    places = decimals(float(np.std(values)) if values.size else 1.0)
    with canvas(230) as (figure, axes):
        axes.bar(edges[:-1], percent, np.diff(edges), align="edge", color=colour, alpha=0.45, edgecolor="white")
        axes.axvline(0.0, color=MUTED, linestyle="dotted", linewidth=1.2)
        axes.axvline(mean, color=INK, linewidth=1.4)
        axes.set_xlabel(axis(label, unit))
        axes.set_ylabel("twins (%)")
        q = np.quantile(values, [0.05, 0.5, 0.95]) if values.size else np.full(3, np.nan)
        alt = (
            f"Histogram over {values.size:,} twins: median {fixed(float(q[1]), places)}, "
            f"5 to 95 % of twins {interval(float(q[0]), float(q[2]), places)}, mean {fixed(mean, places)}."
        )
        svg = svg_of(figure, key, title, alt)
    rows = tuple(
        (interval(float(a), float(b), places), Datum(float(c), f"{c:,}"), Datum(float(p), fixed(float(p), 1)))
        for a, b, c, p in zip(edges[:-1], edges[1:], counts, percent, strict=True)
    )
    return Picture(key, title, alt, svg, Table(title, ("From, to", "Twins", "Per cent"), rows), note)
