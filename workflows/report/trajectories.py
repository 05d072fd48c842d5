"""Trajectories of kept twins: single lines with quantile bands, glucose profiles by time of day, visit means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .drawing import INK, MUTED, TARGET, Datum, Picture, Table, canvas, colour, dash, svg_of, thinned
from .numbers import axis, decimals, fixed, interval

Array = npt.NDArray[np.float64]
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_NAMES = ("5 %", "25 %", "Median", "75 %", "95 %")


@dataclass(frozen=True)
class Bundle:
    """Trajectories of one output in one arm: `values` (twin, time) over `time` in days."""

    arm: str
    place: int
    time: Array
    values: Array


def _quantiles(values: Array) -> Array:
    """Quantiles over the first axis, NaN left out; (quantile, time)."""
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a time at which every twin is missing
            return np.asarray(np.nanquantile(values, _QUANTILES, axis=0))


def _rows(time: Array, quantiles: Array, most: int, stamp: str) -> tuple[tuple[Datum, ...], ...]:
    places = decimals(float(np.nanstd(quantiles)) if np.isfinite(quantiles).any() else 1.0)
    return tuple(
        (
            Datum(float(time[i]), stamp.format(float(time[i]))),
            *(Datum(float(q), fixed(float(q), places)) for q in quantiles[:, i]),
        )
        for i in thinned(time.size, most)
    )


def bands_picture(
    key: str, label: str, unit: str, bundle: Bundle, limits: tuple[float, float], lines: int = 8
) -> Picture:
    """Median, 25-75 % and 5-95 % of kept twins, and a few single twins, in one arm; `limits` of the value axis."""
    points = list(thinned(bundle.time.size, 400))
    time, values = bundle.time[points], bundle.values[:, points]
    q = _quantiles(values)
    shade = colour(bundle.place)
    with canvas(250) as (figure, axes):
        axes.fill_between(time, q[0], q[4], color=shade, alpha=0.14, linewidth=0)
        axes.fill_between(time, q[1], q[3], color=shade, alpha=0.26, linewidth=0)
        for row in values[:lines]:
            axes.plot(time, row, color=MUTED, linewidth=0.6, alpha=0.75)
        axes.plot(time, q[2], color=shade, linewidth=2.2)
        axes.set_xlim(float(time[0]), float(time[-1]))
        axes.set_ylim(*limits)
        axes.set_xlabel("days since randomisation")
        axes.set_ylabel(axis(label, unit))
        title = f"{label}: {bundle.arm}"
        alt = (
            f"{label} of {bundle.values.shape[0]} kept twins under {bundle.arm} over time: median, bands of 25 to 75 % "
            f"and 5 to 95 % of twins, and {min(lines, values.shape[0])} single twins."
        )
        svg = svg_of(figure, key, title, alt)
    table = Table(title, ("Day", *_NAMES), _rows(time, q, 25, "{:.4g}"))
    note = f"Thick: median of {bundle.values.shape[0]} twins; bands: 25–75 % and 5–95 %; thin: single twins."
    return Picture(key, title, alt, svg, table, note)


def daily_profile(time: Array, values: Array, bin_hours: float = 0.5) -> tuple[Array, Array]:
    """Ambulatory profile: hours of the day and quantiles of all readings in each bin, (quantile, bin)."""
    hour = (time % 1.0) * 24
    slot = np.floor(hour / bin_hours + 1e-9).astype(int) % round(24 / bin_hours)
    hours: Array = np.asarray((np.arange(round(24 / bin_hours)) + 0.5) * bin_hours, dtype=np.float64)
    quantiles: Array = np.full((len(_QUANTILES), hours.size), np.nan)
    for k in range(hours.size):
        readings = values[:, slot == k]
        readings = readings[np.isfinite(readings)]
        if readings.size:
            quantiles[:, k] = np.quantile(readings, _QUANTILES)
    return hours, quantiles


def agp_picture(key: str, bundle: Bundle, target: tuple[float, float] = (70.0, 180.0)) -> Picture:
    """Ambulatory glucose profile (median, 25-75 %, 5-95 % by time of day) with the target range, mg/dL."""
    days = bundle.time[bundle.time >= 0]
    hours, q = daily_profile(days, bundle.values[:, bundle.time >= 0])
    seen = np.isfinite(q[2])
    hours, q = hours[seen], q[:, seen]
    shade = colour(bundle.place)
    readings = bundle.values[:, bundle.time >= 0]
    readings = readings[np.isfinite(readings)]
    inside = 100 * float(((readings >= target[0]) & (readings <= target[1])).mean()) if readings.size else np.nan
    with canvas(260) as (figure, axes):
        axes.axhspan(*target, color=TARGET, alpha=0.09, linewidth=0)
        for level in target:
            axes.axhline(level, color=TARGET, linewidth=1.1)
        axes.fill_between(hours, q[0], q[4], color=shade, alpha=0.16, linewidth=0)
        axes.fill_between(hours, q[1], q[3], color=shade, alpha=0.3, linewidth=0)
        axes.plot(hours, q[2], color=shade, linewidth=2.4)
        axes.set_xlim(0, 24)
        top = 350 if q[4].max(initial=0) < 345 else 400
        axes.set_ylim(40, top)
        axes.set_yticks([54, 70, 180, 250, top])
        axes.set_xticks(range(0, 25, 6), [f"{h:02d}:00" for h in range(0, 25, 6)])
        axes.set_ylabel("sensor glucose (mg/dL)")
        title = f"Daily glucose profile: {bundle.arm}"
        median = f"{fixed(float(q[2].min()), 0)} to {fixed(float(q[2].max()), 0)}" if q.size else "unknown"
        alt = (
            f"Sensor glucose by time of day under {bundle.arm}, {bundle.values.shape[0]} twins, "
            f"{fixed(float(np.ptp(days)) if days.size else 0, 0)} days: the median runs from {median} mg/dL; "
            f"{fixed(inside, 1)} % of readings lie within {target[0]:g} to {target[1]:g} mg/dL."
        )
        svg = svg_of(figure, key, title, alt)
    table = Table(title, ("Hour", *_NAMES), _rows(hours, q, 48, "{:.2f}"), "Sensor glucose, mg/dL.")
    note = (
        f"{fixed(inside, 1)} % of kept readings within {target[0]:g}–{target[1]:g} mg/dL (green band). "
        "Line: median; bands: 25–75 % and 5–95 % of readings."
    )
    return Picture(key, title, alt, svg, table, note)


@dataclass(frozen=True)
class VisitArm:
    """Values (subject, visit) of one arm, NaN where missing."""

    label: str
    values: Array


def visits_picture(key: str, label: str, unit: str, visits: tuple[str, ...], arms: tuple[VisitArm, ...]) -> Picture:
    """Mean of each arm at each visit, with 1.96 standard errors of the mean (descriptive)."""
    rows: list[tuple[str | Datum, ...]] = []
    with canvas(270) as (figure, axes):
        for place, arm in enumerate(arms):
            n = np.isfinite(arm.values).sum(axis=0)
            mean = np.array([np.nanmean(c) if k else np.nan for c, k in zip(arm.values.T, n, strict=True)])
            sd = np.array([np.nanstd(c, ddof=1) if k > 1 else np.nan for c, k in zip(arm.values.T, n, strict=True)])
            half = 1.96 * sd / np.sqrt(np.maximum(n, 1))
            at = np.arange(len(visits)) + 0.08 * (place - (len(arms) - 1) / 2)
            axes.errorbar(
                at, mean, half, color=colour(place), linestyle=dash(place), marker="os^D"[place % 4], label=arm.label
            )
            places = decimals(float(np.nanmean(sd)) if np.isfinite(sd).any() else 1.0)
            rows += [
                (
                    arm.label,
                    visit,
                    Datum(int(k), f"{k}"),
                    Datum(float(m), fixed(float(m), places)),
                    Datum(float(s), fixed(float(s), places)),
                    interval(float(m - h), float(m + h), places),
                )
                for visit, k, m, s, h in zip(visits, n, mean, sd, half, strict=True)
            ]
        axes.set_xticks(range(len(visits)), [v if len(v) < 12 else v[:11] + "…" for v in visits])
        axes.set_xlim(-0.4, len(visits) - 0.6)
        axes.set_ylabel(axis("mean", unit))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
        axes.tick_params(axis="x", length=0)
        axes.spines["bottom"].set_color(INK)
        title = f"{label} by visit"
        alt = f"Mean of {label} by visit: " + "; ".join(f"{r[0]} {r[1]} {_said(r[3])}" for r in rows) + "."
        svg = svg_of(figure, key, title, alt)
    table = Table(title, ("Arm", "Visit", "Subjects", "Mean", "SD", "Mean ± 1.96 SE"), tuple(rows))
    return Picture(
        key, title, alt, svg, table, "Observed subjects, descriptive. Bars: 1.96 standard errors of the mean."
    )


def _said(cell: str | Datum) -> str:
    return cell.text if isinstance(cell, Datum) else cell
