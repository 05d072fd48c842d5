"""Figures of a comparison with people: differences, margins, correlations, and what the classifier lives on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ..cohorts.likeness.comparison import Comparison, Margin, Subgroup, step_of
from ..cohorts.likeness.two_sample import Telling
from ..cohorts.weighted import is_known, quantiles
from .report.drawing import INK, MUTED, Datum, Picture, Table, canvas, colour, dash, svg_of
from .report.numbers import axis, fixed, number

LARGE = 0.1  # a standardised difference that is called large (Austin 2009, Stat Med 28:3083)
PEOPLE, TWINS = 0, 1  # places in the palette
MOST_ROWS = 40
MOST_PAIRS = 3  # drawn as points
MOST_POINTS = 400


def key_of(kind: str, name: str = "") -> str:
    """An id of the page; columns of a user's table may hold anything."""
    return f"fig-{kind}" + (f"-{re.sub(r'[^A-Za-z0-9]+', '-', name)}" if name else "")


def love_picture(margins: tuple[Margin, ...], chance: float) -> Picture:
    """Standardised mean differences, the largest first; shaded what chance alone brings."""
    ordered = sorted(margins, key=lambda m: -abs(m.smd))
    shown = ordered[:MOST_ROWS][::-1]
    title = "Standardised mean differences, twins minus people"
    large = sum(abs(m.smd) > LARGE for m in margins)
    with canvas(50.0 + 17 * len(shown)) as (figure, axes):
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.axvspan(-chance, chance, color=MUTED, alpha=0.12, linewidth=0)
        for level in (-LARGE, LARGE):
            axes.axvline(level, color=MUTED, linestyle="dashed", linewidth=1)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        for k, m in enumerate(shown):
            axes.plot([0, m.smd], [k, k], color=colour(TWINS), linewidth=1, alpha=0.5)
            axes.plot([m.smd], [k], marker="o", markersize=6, color=colour(TWINS if abs(m.smd) <= LARGE else PEOPLE))
        axes.set_yticks(range(len(shown)), [m.label.replace("_", " ") for m in shown])
        reach = max(0.15, 1.1 * chance, 1.1 * max((abs(m.smd) for m in shown), default=0))
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.set_xlabel("difference of means, in standard deviations")
        worst = ordered[0]
        alt = (
            f"{large} of {len(margins)} differences exceed {LARGE}; the largest is {worst.label} with "
            f"{fixed(worst.smd, 2)}."
        )
        svg = svg_of(figure, key_of("love"), title, alt)
    table = Table(title, ("Variable", "Difference"), tuple((m.label, Datum(m.smd, fixed(m.smd, 3))) for m in ordered))
    note = (
        f"Dashed: {LARGE}, from which a difference is called large. Shaded: what 95 % of differences stay within by "
        f"chance with so many people and twins ({fixed(chance, 2)})."
    )
    return Picture(key_of("love"), title, alt, svg, table, note)


def margin_pictures(found: Comparison) -> Iterator[Picture]:
    """Distribution of each variable that is a number, people and twins on the same scale."""
    for m in found.margins:
        if not m.level:
            yield _margin_picture(found, m)


def _margin_picture(found: Comparison, m: Margin) -> Picture:
    sides = [found.people.known(m.name), found.twins.known(m.name)]
    low, high = np.quantile(np.concatenate([values for values, _ in sides]), [0.003, 0.997])
    bins = int(np.clip(1.5 * np.sqrt(min(values.size for values, _ in sides)), 8, 30))
    edges = _edges(float(low), float(high), step_of(sides[0][0]), bins)
    heights = [np.histogram(v, edges, weights=w)[0] / w.sum() / np.diff(edges) for v, w in sides]
    words = m.name.replace("_", " ")
    title = words[0].upper() + words[1:]
    key = key_of("margin", m.name)
    with canvas(170) as (figure, axes):
        for place, (label, height) in enumerate(zip(("people", "twins"), heights, strict=True)):
            axes.stairs(height, edges, color=colour(place), linestyle=dash(place), linewidth=1.6, label=label)
        axes.fill_between(edges, np.append(heights[0], heights[0][-1]), step="post", color=colour(0), alpha=0.10)
        axes.set_ylim(0, 1.3 * max(float(height.max()) for height in heights))  # room for the legend
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(axis(words, m.unit))
        axes.legend(loc="upper right", ncols=2)
        alt = (
            f"{title}: mean {number(m.people[0])} (SD {number(m.people[1])}) in people and {number(m.twins[0])} "
            f"(SD {number(m.twins[1])}) in twins; KS distance {fixed(m.ks, 3)}."
        )
        svg = svg_of(figure, key, title, alt)
    levels = (0.025, 0.25, 0.5, 0.75, 0.975)
    found_at = [quantiles(v, w, np.array(levels)).tolist() for v, w in sides]
    rows = tuple(
        (f"{100 * level:g} %", Datum(p, number(p, 4)), Datum(t, number(t, 4)))
        for level, p, t in zip(levels, *found_at, strict=True)
    )
    note = f"KS {fixed(m.ks, 3)}; by chance below {fixed(found.chance_ks, 3)} in 95 % of variables."
    return Picture(key, title, alt, svg, Table(title, ("Quantile", "People", "Twins"), rows), note)


def _edges(low: float, high: float, step: float | None, bins: int) -> np.ndarray:
    """About as many bins; where values come in steps each bin holds the same number of them."""
    width = (high - low) / bins or 1.0
    if step is not None:
        width = step * max(1, round(width / step))
        low = step * (round(low / step) - 0.5)
    return low + width * np.arange(int(np.ceil((high - low) / width - 1e-9)) + 1)


def correlation_picture(compared: Comparison) -> Picture:
    """Rank correlation of every pair: people across, twins up; on the line where they agree."""
    found = compared.correlations
    pairs, errors = found.pairs, found.errors
    title, key = "Rank correlations of all pairs", key_of("correlations")
    line = np.linspace(-1, 1, 101)
    # Standard error of a rank correlation r of n: 1.06 (1 - r^2) / sqrt(n) (Fieller 1957, Biometrika 44:470).
    spread = 1.96 * 1.06 * (1 - line**2) * np.sqrt(1 / compared.twins.effective + 1 / compared.people.effective)
    low = min(0.0, *(min(t, p) for *_, t, p in pairs)) - 0.1
    start = -1.0 if low < -0.5 else -0.5 if low < -0.15 else -0.2
    with canvas(380) as (figure, axes):
        axes.grid(visible=True, axis="both")
        axes.fill_between(line, line - spread, line + spread, color=MUTED, alpha=0.12, linewidth=0)
        axes.plot([-1, 1], [-1, 1], color=MUTED, linewidth=1)
        axes.plot([p for *_, p in pairs], [t for *_, t, _ in pairs], "o", markersize=4, color=colour(TWINS), alpha=0.6)
        for one, other, t, p in pairs[:1]:
            words = f"{one}, {other}".replace("_", " ")
            # The corner below the diagonal is empty unless a correlation is lost.
            axes.annotate(
                words,
                (p, t),
                xytext=(0.98, 0.04),
                textcoords="axes fraction",
                ha="right",
                color=INK,
                fontsize=10,
                arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.8},
            )
        axes.set_xlim(start, 1)
        axes.set_ylim(start, 1)
        axes.set_aspect("equal")
        axes.set_xlabel("correlation in people")
        axes.set_ylabel("correlation in twins")
        alt = (
            f"{len(pairs)} pairs; the correlations of twins and people differ by {fixed(float(errors.mean()), 3)} on "
            f"average and {fixed(float(errors.max()), 3)} at most."
        )
        svg = svg_of(figure, key, title, alt)
    rows = tuple(
        (f"{one}, {other}", Datum(p, fixed(p, 3)), Datum(t, fixed(t, 3)), Datum(t - p, fixed(t - p, 3)))
        for one, other, t, p in pairs[:20]
    )
    table = Table("The 20 pairs furthest apart", ("Pair", "People", "Twins", "Difference"), rows)
    note = "Spearman, weighted. The pair furthest apart is named. Shaded: what chance brings in 95 % of pairs."
    return Picture(key, title, alt, svg, table, note)


def scatter_pictures(found: Comparison) -> Iterator[Picture]:
    """The pairs that hang together most in people: people over twins, as points."""
    strongest = sorted(found.correlations.pairs, key=lambda pair: -abs(pair[3]))
    for one, other, t, p in strongest[:MOST_PAIRS]:
        yield _scatter_picture(found, one, other, (p, t))


def _scatter_picture(found: Comparison, one: str, other: str, correlations: tuple[float, float]) -> Picture:
    words = [name.replace("_", " ") for name in (one, other)]
    title, key = f"{words[0]} and {words[1]}", key_of("pair", f"{one}-{other}")
    sides = {}
    for label, sample, most in (("twins", found.twins, MOST_POINTS), ("people", found.people, MOST_POINTS // 2)):
        both = is_known(sample.values[one]) & is_known(sample.values[other])
        rows = np.flatnonzero(both)
        rows = rows[:: max(1, int(np.ceil(rows.size / most)))]
        sides[label] = (sample.values[one][rows], sample.values[other][rows])
    with canvas(240) as (figure, axes):
        axes.grid(visible=True, axis="both")
        axes.plot(
            *sides["twins"], "o", markersize=2.5, color=colour(TWINS), alpha=0.35, label="twins", linestyle="none"
        )
        axes.plot(
            *sides["people"], "D", markersize=3.2, color=colour(PEOPLE), alpha=0.85, label="people", linestyle="none"
        )
        axes.set_xlabel(axis(words[0], found.units[one]))
        axes.set_ylabel(axis(words[1], found.units[other]))
        axes.legend(loc="upper left", ncols=2, markerscale=1.6)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.18 * (high - low))
        alt = (
            f"{title}: rank correlation {fixed(correlations[0], 2)} in people and {fixed(correlations[1], 2)} in twins."
        )
        svg = svg_of(figure, key, title, alt)
    rows_of_table = (
        ("People", Datum(correlations[0], fixed(correlations[0], 3)), f"{sides['people'][0].size}"),
        ("Twins", Datum(correlations[1], fixed(correlations[1], 3)), f"{sides['twins'][0].size}"),
    )
    return Picture(key, title, alt, svg, Table(title, ("Side", "Rank correlation", "Points drawn"), rows_of_table))


def curve_picture(telling: Telling) -> Picture:
    """The classifier's view: how many people it finds at the price of how many twins taken for people."""
    title, key = "Receiver operating characteristic", key_of("curve")
    with canvas(300) as (figure, axes):
        axes.grid(visible=True, axis="both")
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="dashed", label="chance")
        axes.plot([x for x, _ in telling.curve], [y for _, y in telling.curve], color=colour(TWINS), label="classifier")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xlabel("share of twins taken for people")
        axes.set_ylabel("share of people found")
        axes.legend(loc="lower right")
        half = float(np.interp(0.1, [x for x, _ in telling.curve], [y for _, y in telling.curve]))
        alt = (
            f"Where a tenth of the twins are taken for people the classifier finds {fixed(100 * half, 0)} % of people."
        )
        svg = svg_of(figure, key, title, alt)
    rows = tuple((Datum(x, fixed(x, 2)), Datum(y, fixed(y, 2))) for x, y in telling.curve[::4])
    note = f"Area {fixed(telling.auc, 3)} (standard error {fixed(telling.error, 3)}). On the dashed line it guesses."
    return Picture(key, title, alt, svg, Table(title, ("Twins taken for people", "People found"), rows), note)


def importance_picture(telling: Telling) -> Picture:
    """By which variables the classifier tells twins from people."""
    shown = telling.importance[:15][::-1]
    title = "What gives twins away" if telling.is_above_chance else "What the classifier tried"
    key = key_of("importance")
    with canvas(75.0 + 18 * len(shown)) as (figure, axes):
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.barh(range(len(shown)), [max(0.0, loss) for _, loss in shown], 0.6, color=colour(TWINS))
        axes.set_yticks(range(len(shown)), [name.replace("_", " ") for name, _ in shown])
        axes.set_xlim(0, max(0.02, *(1.1 * loss for _, loss in shown)))
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlabel("loss of area under the curve\nwhen the variable is shuffled")
        first = telling.importance[0]
        alt = f"Most is lost by shuffling {first[0]}: the area falls by {fixed(first[1], 3)}."
        svg = svg_of(figure, key, title, alt)
    rows = tuple((name, Datum(loss, fixed(loss, 4))) for name, loss in telling.importance)
    note = "A variable counts with its relation to the others: its own distribution may be right."
    if not telling.is_above_chance:
        note = "The area as a whole is that of chance, so that these bars are noise."
    return Picture(key, title, alt, svg, Table(title, ("Variable", "Loss of area"), rows), note)


def subgroup_picture(overall: Telling, groups: tuple[Subgroup, ...]) -> Picture:
    """The classifier test inside each group."""
    rows = [("everybody", overall), *((g.label, g.telling) for g in groups)][::-1]
    title, key = "Classifier test by subgroup", key_of("subgroups")
    with canvas(75.0 + 20 * len(rows)) as (figure, axes):
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.axvline(0.5, color=MUTED, linewidth=1)
        for k, (_, telling) in enumerate(rows):
            reach = 1.96 * telling.error
            axes.plot([telling.auc - reach, telling.auc + reach], [k, k], color=INK, linewidth=1.4)
            axes.plot([telling.auc], [k], "s", markersize=6, color=colour(TWINS))
        axes.set_yticks(range(len(rows)), [label.replace("_", " ") for label, _ in rows])
        axes.set_xlim(
            min(0.4, *(t.auc - 2 * t.error for _, t in rows)), max(0.7, *(t.auc + 2 * t.error for _, t in rows))
        )
        axes.set_xlabel("area under the curve\n(0.5 is chance; 95 % interval)")
        said = "; ".join(f"{label} {fixed(telling.auc, 2)}" for label, telling in rows[::-1])
        alt = f"Area under the curve: {said}."
        svg = svg_of(figure, key, title, alt)
    table = Table(
        title,
        ("Group", "Twins", "People", "Area", "Standard error", "Mean KS"),
        tuple(
            (
                g.label,
                Datum(g.twins, f"{g.twins:,}"),
                Datum(g.people, f"{g.people:,}"),
                Datum(g.telling.auc, fixed(g.telling.auc, 3)),
                Datum(g.telling.error, fixed(g.telling.error, 3)),
                Datum(g.mean_ks, fixed(g.mean_ks, 3)),
            )
            for g in groups
        ),
    )
    return Picture(key, title, alt, svg, table, "Groups with fewer than 100 on either side are left out.")
