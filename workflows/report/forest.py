"""Forest plot: one row a subgroup, descriptive estimates from the subjects of the trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...trials.hazard_ratio import hazard_ratio
from .drawing import INK, MUTED, Datum, Picture, Table, canvas, svg_of
from .numbers import MISSING, axis, fixed, interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]
Z = 1.959964
_RATIOS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50)


@dataclass(frozen=True)
class Row:
    """One subgroup: subjects by arm (control, experimental), estimate and 95 % interval (NaN where none)."""

    label: str
    subjects: tuple[int, int]
    estimate: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        return bool(np.isfinite([self.estimate, self.low, self.high]).all())

    def text(self, places: int) -> str:
        if not self.is_known:
            return "too few subjects"
        return f"{fixed(self.estimate, places)} ({interval(self.low, self.high, places)})"


def difference(control: Array, treated: Array) -> tuple[float, float, float]:
    """Difference in means (or in proportions of 0/1 values) with its 95 % normal interval, unequal variances."""
    if min(control.size, treated.size) < 2:
        return (float("nan"),) * 3
    estimate = float(treated.mean() - control.mean())
    error = float(np.sqrt(control.var(ddof=1) / control.size + treated.var(ddof=1) / treated.size))
    return estimate, estimate - Z * error, estimate + Z * error


def rate_ratio(control: tuple[float, float], treated: tuple[float, float]) -> tuple[float, float, float]:
    """Ratio of two rates, each (events, time), with a 95 % interval from the Poisson errors of its logarithm."""
    (k0, t0), (k1, t1) = control, treated
    if min(k0, k1, t0, t1) <= 0:
        return (float("nan"),) * 3
    estimate = (k1 / t1) / (k0 / t0)
    error = float(np.sqrt(1 / k0 + 1 / k1))
    return estimate, estimate * float(np.exp(-Z * error)), estimate * float(np.exp(Z * error))


def hazard_ratio_interval(time: Array, event: Array, treated: Array) -> tuple[float, float, float]:
    """Cox's hazard ratio of one 0/1 covariate; the 95 % interval of its logarithm from the log-rank information."""
    variance = 0.0
    for t in np.unique(time[event == 1]):
        risk, now = time >= t, (time == t) & (event == 1)
        n, share, d = int(risk.sum()), float((treated[risk] == 1).mean()), int(now.sum())
        if n > 1:
            variance += d * share * (1 - share) * (n - d) / (n - 1)
    estimate = hazard_ratio(time, event, treated)
    if variance <= 0 or not np.isfinite(estimate):
        return (float("nan"),) * 3
    factor = float(np.exp(Z / np.sqrt(variance)))
    return estimate, estimate / factor, estimate * factor


def forest_picture(
    key: str, label: str, summary: str, unit: str, rows: tuple[Row, ...], ratio: bool, better: str
) -> Picture:
    """Estimates with 95 % intervals; the first row is everybody. `better` says which side favours the treatment."""
    widths = [r.high - r.low for r in rows if r.is_known]
    places = 2 if ratio or max(widths, default=0.0) <= 2 else 1
    null = 1.0 if ratio else 0.0
    with canvas(62.0 + 42 * len(rows)) as (figure, axes):
        if ratio:
            axes.set_xscale("log")
        axes.grid(False)
        for k, row in enumerate(rows):
            _draw(axes, row, len(rows) - 1 - k, rows[0], places)
        _limits(axes, [r for r in rows if r.is_known], null, ratio)
        axes.axvline(null, color=MUTED, linestyle="dotted", linewidth=1.2, zorder=0)
        axes.set_ylim(-0.4, len(rows) - 0.35)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{axis(summary, unit)}\n{better}")
        title = f"{label} by subgroup"
        said = "; ".join(f"{r.label} {r.text(places)}" for r in rows)
        alt = f"{summary[0].upper()}{summary[1:]} by subgroup: {said}."
        svg = svg_of(figure, key, title, alt)
    columns = ("Subgroup", "Control", "Experimental", axis(summary[0].upper() + summary[1:], unit), "95 % interval")
    table = Table(
        title,
        columns,
        tuple(
            (
                r.label,
                *(Datum(n, f"{n}") for n in r.subjects),
                Datum(r.estimate, fixed(r.estimate, places)),
                interval(r.low, r.high, places) if r.is_known else MISSING,
            )
            for r in rows
        ),
    )
    note = "Descriptive: unadjusted, one at a time, no decision rests on it. Whiskers: 95 % confidence interval."
    return Picture(key, title, alt, svg, table, note)


def _draw(axes: Axes, row: Row, where: int, everybody: Row, places: int) -> None:
    """One row: its words above its interval, the size of the mark by its share of the subjects."""
    is_first = row is everybody
    if row.is_known:
        size = 5 + 6 * np.sqrt(sum(row.subjects) / max(1, sum(everybody.subjects)))
        axes.plot([row.low, row.high], [where, where], color=INK, linewidth=1.6)
        axes.plot([row.estimate], [where], marker="D" if is_first else "s", color=INK, markersize=size)
    words: dict[str, Any] = {
        "xytext": (0, 10),
        "xycoords": ("axes fraction", "data"),
        "textcoords": "offset points",
        # keeps the line of no difference off the words
        "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1.2},
    }
    weight = "bold" if is_first else "normal"
    axes.annotate(f"{row.label}, n = {sum(row.subjects)}", (0, where), weight=weight, **words)
    axes.annotate(row.text(places), (1, where), ha="right", color=MUTED, **words)


def _limits(axes: Axes, rows: list[Row], null: float, ratio: bool) -> None:
    """Limits that hold every interval and the line of no difference; plain numbers on a logarithmic axis."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    low, high = min([null, *(r.low for r in rows)]), max([null, *(r.high for r in rows)])
    if not ratio:
        pad = 0.06 * (high - low) or 1.0
        axes.set_xlim(low - pad, high + pad)
        return
    low, high = max(low, 0.02), min(high, 50)
    axes.set_xlim(low / 1.1, high * 1.1)
    ticks = [t for t in _RATIOS if low / 1.1 <= t <= high * 1.1]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
