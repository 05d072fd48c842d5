"""Kaplan-Meier curves of each arm with the numbers at risk below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...trials.analysis.survival import KaplanMeier, kaplan_meier, numbers_at_risk
from .drawing import Datum, Picture, Table, canvas, colour, dash, svg_of, thinned
from .numbers import MONTH, fixed, interval

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SurvivalArm:
    """Times (day) and event flags of one arm's subjects."""

    label: str
    time: Array
    event: Array


def _steps(curve: KaplanMeier, end: float) -> tuple[Array, Array, Array, Array]:
    """The curve from 1 at time 0 to `end`: time, survival, lower and upper end."""
    time = np.concatenate([[0.0], curve.time, [end]])
    parts = [np.concatenate([[1.0], part, part[-1:]]) for part in (curve.survival, curve.low, curve.high)]
    return time, parts[0], parts[1], parts[2]


def _ticks(end: float) -> tuple[Array, float, str]:
    """Times (day) of about six ticks, days per printed unit, and that unit."""
    unit, word = next(((u, w) for u, w in ((MONTH, "month"), (7.0, "week"), (1.0, "day")) if end / u >= 4))
    for step in (1, 2, 3, 4, 6, 8, 12, 24, 36, 48, 60, 120, 240):
        if end / unit / step <= 7:
            break
    return np.arange(0.0, end + 1e-9, step * unit), unit, word


def survival_picture(key: str, label: str, arms: tuple[SurvivalArm, ...], end: float) -> Picture:
    """Kaplan-Meier curves up to `end` (day), 95 % bands, censoring marks, numbers at risk."""
    ticks, unit, word = _ticks(end)
    curves = [kaplan_meier(arm.time, arm.event) for arm in arms]
    height = 300.0 + 20 * len(arms)
    with canvas(height) as (figure, axes):
        for place, (arm, curve) in enumerate(zip(arms, curves, strict=True)):
            time, survival, low, high = _steps(curve, min(end, float(arm.time.max())))
            axes.fill_between(time, low, high, step="post", color=colour(place), alpha=0.14, linewidth=0)
            axes.step(time, survival, where="post", color=colour(place), linestyle=dash(place), label=arm.label)
            censored = np.sort(arm.time[(arm.event == 0) & (arm.time < end)])
            shown = censored[list(thinned(censored.size, 60))]
            axes.plot(shown, curve.at(shown), "|", color=colour(place), markersize=6, markeredgewidth=1)
        axes.set_xlim(0, end)
        axes.set_ylim(0, 1.02)
        axes.set_xticks(ticks, [f"{t / unit:.0f}" for t in ticks])
        axes.set_xlabel(f"{word}s since randomisation")
        axes.set_ylabel("without event")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=1, borderaxespad=0.2)
        _at_risk(axes, arms, ticks)
        medians = [
            "median not reached" if np.isinf(c.median) else f"median {fixed(c.median / unit, 1)} {word}s"
            for c in curves
        ]
        facts = "; ".join(
            f"{arm.label}: {curve.events} events in {curve.subjects} subjects, {median}"
            for arm, curve, median in zip(arms, curves, medians, strict=True)
        )
        title, alt = f"{label}: Kaplan-Meier", f"Share of subjects without event over time. {facts}."
        svg = svg_of(figure, key, title, alt)
    table = _table(title, arms, curves, ticks, (unit, word))
    return Picture(key, title, alt, svg, table, f"{facts}. Band: 95 % interval; ticks: censored.")


def _table(
    title: str, arms: tuple[SurvivalArm, ...], curves: list[KaplanMeier], ticks: Array, unit: tuple[float, str]
) -> Table:
    rows = []
    for arm, curve in zip(arms, curves, strict=True):
        bounds = [np.concatenate([[1.0], side]) for side in (curve.low, curve.high)]
        for tick, left, share in zip(ticks, numbers_at_risk(arm.time, ticks), curve.at(ticks), strict=True):
            here = int(np.searchsorted(curve.time, tick, side="right"))
            rows.append(
                (
                    arm.label,
                    Datum(tick / unit[0], f"{tick / unit[0]:.0f}"),
                    Datum(int(left), f"{left}"),
                    Datum(float(share), fixed(float(share), 3)),
                    interval(float(bounds[0][here]), float(bounds[1][here]), 3),
                )
            )
    columns = ("Arm", f"Time ({unit[1]})", "At risk", "Without event", "95 % interval")
    return Table(title, columns, tuple(rows))


def _at_risk(axes: Any, arms: tuple[SurvivalArm, ...], ticks: Array) -> None:
    """Numbers at risk under the axis, one row an arm."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    below = blended_transform_factory(axes.transData, axes.transAxes)
    figure = axes.figure
    heading = below + ScaledTranslation(0, -52 / 72, figure.dpi_scale_trans)
    axes.text(ticks[0], 0, "At risk", transform=heading, fontsize=11, ha="left", va="baseline", weight="bold")
    for place, arm in enumerate(arms):
        row = below + ScaledTranslation(0, -(70 + 17 * place) / 72, figure.dpi_scale_trans)
        for tick, count in zip(ticks, numbers_at_risk(arm.time, ticks), strict=True):
            axes.text(tick, 0, f"{count}", transform=row, fontsize=11, ha="center", va="baseline", color=colour(place))
