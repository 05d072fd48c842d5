"""Waterfall of best tumour change, one bar a subject."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .drawing import INK, MUTED, Datum, Picture, Table, canvas, colour, svg_of, thinned
from .numbers import fixed

Array = npt.NDArray[np.float64]
RESPONSE, PROGRESSION = -30.0, 20.0  # per cent, RECIST 1.1 (Eisenhauer 2009, Eur J Cancer 45:228)


def waterfall_picture(key: str, label: str, arm: str, place: int, change: Array) -> Picture:
    """Best change from baseline (per cent) of each subject of an arm, from worst to best; cut off at +100 %."""
    change = np.sort(change[np.isfinite(change)])[::-1]
    shown = change[list(thinned(change.size, 300))]
    responders = int((change <= RESPONSE).sum())
    with canvas(240) as (figure, axes):
        shade = np.where(shown <= RESPONSE, 1.0, 0.45)
        axes.bar(np.arange(shown.size), np.minimum(shown, 100), 0.9, color=[(colour(place), float(a)) for a in shade])
        axes.axhline(0, color=INK, linewidth=0.8)
        for level in (RESPONSE, PROGRESSION):
            axes.axhline(level, color=MUTED, linewidth=1, linestyle="dashed")
        axes.set_xlim(-0.8, max(shown.size, 1) - 0.2)
        axes.set_ylim(-105, 105)
        axes.set_yticks([-100, -30, 0, 20, 100], ["−100", "−30", "0", "+20", "+100"])
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.set_ylabel("best change (%)")
        title = f"{label}: {arm}"
        n = max(change.size, 1)
        alt = (
            f"Best change of tumour size of {change.size} subjects under {arm}, sorted: "
            f"{responders} ({fixed(100 * responders / n, 1)} %) shrink by 30 % or more."
        )
        svg = svg_of(figure, key, title, alt)
    cuts = [-np.inf, -99.999, -50, RESPONSE, 0, PROGRESSION, np.inf]
    names = ["gone", "−99 to −50 %", "−50 to −30 %", "−30 to 0 %", "0 to +20 %", "over +20 %"]
    counts = [int(((change > a) & (change <= b)).sum()) for a, b in pairwise(cuts)]
    table = Table(
        title,
        ("Best change", "Subjects", "Per cent"),
        tuple(
            (name, Datum(k, f"{k}"), Datum(100 * k / n, fixed(100 * k / n, 1)))
            for name, k in zip(names, counts, strict=True)
        ),
    )
    return Picture(key, title, alt, svg, table, "Dashed: −30 % (response) and +20 %. Full colour: response.")
