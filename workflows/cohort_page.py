"""The page of `twinarm cohort compare`: how like real people a cohort is."""

from __future__ import annotations

from dataclasses import dataclass

from ..cohorts.likeness.comparison import MOST_MISSING, Comparison
from .cohort_pictures import (
    LARGE,
    correlation_picture,
    curve_picture,
    importance_picture,
    love_picture,
    margin_pictures,
    scatter_pictures,
    subgroup_picture,
)
from .report.blocks import Facts, Gallery, Listing, Page, Section, Tables, Text, Tile, Tone
from .report.drawing import Datum, Table
from .report.numbers import MISSING, fixed, number, unit_text

# How alike, by the classifier's area: the first is the bar of this project for a population made from figures, the
# second is chosen: from it on seven of ten pairs of a twin and a person are told apart.
ALIKE, APART = 0.56, 0.70


@dataclass(frozen=True)
class Names:
    """What is compared, in words: files, and what was done to the rows of the data."""

    cohort: str
    data: str
    rows: str
    weights: str
    seed: int


def comparison_page(found: Comparison, names: Names) -> Page:
    """The page as a value."""
    telling, pairs = found.telling, found.correlations.errors
    tone: Tone = "good" if telling.auc <= ALIKE else "open" if telling.auc <= APART else "bad"
    tiles = (
        Tile(
            "Classifier, area under the curve",
            Datum(telling.auc, fixed(telling.auc, 3)),
            f"0.5 is chance, 1 certain; from {fixed(telling.noticeable, 3)} on it would be noticed",
            tone,
        ),
        Tile(
            "Mean KS distance",
            Datum(found.ks.mean(), fixed(found.ks.mean(), 3)),
            f"largest {fixed(found.ks.max(), 3)}; by chance below {fixed(found.chance_ks, 3)}",
        ),
        Tile(
            "Rank correlations",
            Datum(pairs.mean(), fixed(pairs.mean(), 3)),
            f"mean error; largest {fixed(pairs.max(), 3)}",
        ),
        Tile(
            "Differences above 0.1 SD",
            Datum(_large(found), f"{_large(found)}"),
            f"of {len(found.margins)} means and shares",
        ),
    )
    return Page(
        title=f"{names.cohort} beside {names.data}",
        kicker="Comparison of twins with people: simulated against real",
        question="Could these twins be taken for these people?",
        answer=answer_of(found),
        tone=tone,
        tiles=tiles,
        gates=None,
        sections=tuple(_sections(found, names)),
        footer="A comparison covers the variables that both tables have, and nothing else. The full value of a rounded "
        "number stands in the page beside it.",
    )


def answer_of(found: Comparison) -> str:
    """The result in a sentence or two."""
    telling = found.telling
    reach = 1.96 * telling.error
    first = [name.replace("_", " ") for name, loss in telling.importance[:3] if loss > telling.error]
    said = (
        f"A classifier tells a twin from a person with an area under the curve of {fixed(telling.auc, 3)} "
        f"({fixed(telling.auc - reach, 3)} to {fixed(telling.auc + reach, 3)}; 0.5 is chance)."
    )
    if not telling.is_above_chance:
        return said + (
            f" It finds no difference; with {found.people.effective:,.0f} people it would have noticed an area of "
            f"{fixed(telling.noticeable, 2)} or more, and nothing smaller."
        )
    return said + (f" It lives mostly on {', '.join(first)}." if first else "")


def _large(found: Comparison) -> int:
    return sum(abs(m.smd) > LARGE for m in found.margins)


def _sections(found: Comparison, names: Names) -> list[Section]:
    sections = [
        Section(
            "classifier",
            "What the classifier sees",
            "Classifier",
            (
                Text(
                    "Gradient-boosted trees are fitted to four fifths of both sides and asked about the fifth "
                    "that they have not seen; both sides count the same."
                ),
                Gallery(
                    (
                        curve_picture(found.telling),
                        importance_picture(found.telling),
                        *((subgroup_picture(found.telling, found.subgroups),) if found.subgroups else ()),
                    )
                ),
            ),
        ),
        Section(
            "differences",
            "Means and shares",
            "Means",
            (Gallery((love_picture(found.margins, found.chance_smd),)), Tables((_margins(found),))),
        ),
        Section("margins", "Distributions", "Distributions", (Gallery(tuple(margin_pictures(found))),)),
        Section(
            "correlations",
            "Correlations",
            "Correlations",
            (Gallery((correlation_picture(found), *scatter_pictures(found))),),
        ),
        Section("method", "How it was done", "Method", (_facts(found, names), Listing(_limits(found)))),
    ]
    return sections


def _margins(found: Comparison) -> Table:
    rows = []
    for m in found.margins:
        unit = unit_text(m.unit)
        spread = [f" ({number(s)})" if s == s else "" for s in (m.people[1], m.twins[1])]
        rows.append(
            (
                m.label.replace("_", " ") + (f" ({unit})" if unit and not m.level else ""),
                Datum(m.people[0], number(m.people[0]) + spread[0]),
                Datum(m.twins[0], number(m.twins[0]) + spread[1]),
                Datum(m.smd, fixed(m.smd, 2)),
                Datum(m.ks, fixed(m.ks, 3)) if m.ks == m.ks else MISSING,
                Datum(m.people_count, f"{m.people_count:,}"),
            )
        )
    marks = tuple((k, "warn") for k, m in enumerate(found.margins) if abs(m.smd) > LARGE)
    columns = ("Variable", "People", "Twins", "Difference (SD)", "KS", "People with a value")
    return Table("Means (SD) and shares", columns, tuple(rows), f"Marked: differences above {LARGE} SD.", marks)


def _facts(found: Comparison, names: Names) -> Facts:
    return Facts(
        (
            ("Twins", f"{found.twins.count:,} of {names.cohort}, effective number {found.twins.effective:,.0f}"),
            ("People", f"{found.people.count:,} of {names.data}, effective number {found.people.effective:,.0f}"),
            ("Rows of the data", names.rows or "all"),
            ("Weights of the data", names.weights or "none: each row counts once"),
            ("Seed of the folds", str(names.seed)),
        )
    )


def _limits(found: Comparison) -> tuple[str, ...]:
    left = ", ".join(found.left_out)
    return (
        "Both sides are rounded to the step in which the data were reported: digits alone shall not tell.",
        "The classifier is given people with no value missing; variables missing in more than "
        f"{100 * MOST_MISSING:.0f} % are left to the margins ({left or 'none'}).",
        "Standard errors treat rows as independent; a survey's clusters make them larger.",
        "Twins learned from the very people beside whom they stand look more alike than they are: hold some of the "
        "people back, and see `twinarm cohort privacy`.",
        "An area near 0.5 says that this classifier, with so many rows, found no difference; not that there is none.",
    )
