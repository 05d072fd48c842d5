"""The pages of `twinarm cohort represent` and `privacy`: whom a cohort stands for, and whom it might give away."""

from __future__ import annotations

from ..cohorts.likeness.privacy import LIMIT, Privacy
from ..cohorts.likeness.representation import HIGH, LOW, Group
from .cohort_pictures import PEOPLE, TWINS, key_of
from .report.blocks import Facts, Gallery, Listing, Page, Section, Tables, Text, Tile, Tone
from .report.drawing import INK, MUTED, Cell, Datum, Picture, Table, canvas, colour, svg_of
from .report.numbers import MISSING, fixed


def _percent(share: float) -> Datum | str:
    return Datum(share, f"{fixed(100 * share, 1)} %") if share == share else MISSING


def _words(group: Group) -> str:
    return group.group.replace("_", " ")


def representation_page(groups: tuple[Group, ...], cohort: str, target: str, precision: float) -> Page:
    """The page as a value."""
    single = tuple(g for g in groups if "," not in g.variable)
    off = tuple(g for g in single if g.is_represented is False)
    small = tuple(g for g in groups if g.is_too_small)
    needed = groups[0].needed
    tone: Tone = "good" if not off and not small else "open"
    if off:
        named = ", ".join(f"{_words(g)} ({fixed(g.ratio, 2)})" for g in sorted(off, key=lambda g: g.ratio))
        said = f"{len(off)} of {len(single)} groups have another share than among the people: {named}."
    else:
        said = "Every group has about its share of the people."
    said += (
        f" {len(small)} of {len(groups)} groups have fewer than the {needed:,} twins that a mean within "
        f"{precision:g} SD takes."
        if small
        else f" Every group has the {needed:,} twins that a mean within {precision:g} SD takes."
    )
    tiles = (
        Tile(
            "Groups near their share",
            Datum(len(single) - len(off), f"{len(single) - len(off)} of {len(single)}"),
            f"ratio of {LOW:g} to {HIGH:g}",
            "good" if not off else "open",
        ),
        Tile(
            "Groups with enough twins",
            Datum(len(groups) - len(small), f"{len(groups) - len(small)} of {len(groups)}"),
            f"at least {needed:,} for a mean within {precision:g} SD",
            "good" if not small else "open",
        ),
    )
    return Page(
        title=f"Whom {cohort} represents",
        kicker=f"Representation beside {target}",
        question="Whom do these twins stand for, and of whom are there too few?",
        answer=said,
        tone=tone,
        tiles=tiles,
        gates=None,
        sections=(
            Section(
                "shares",
                "Shares beside the people",
                "Shares",
                (Gallery((shares_picture(single),)), Tables((_shares(single),))),
            ),
            Section(
                "numbers",
                "Numbers of twins",
                "Numbers",
                (
                    Text(
                        f"The mean of a variable is known to within {precision:g} standard deviations (95 % interval) "
                        f"from {needed:,} twins on. Numbers are effective ones: twins with unequal weights count less."
                    ),
                    Gallery((numbers_picture(groups, needed),)),
                    Tables((_numbers(groups),)),
                ),
            ),
            Section(
                "method",
                "How it was done",
                "Method",
                (
                    Facts((("Cohort", cohort), ("People", target), ("Half-width of an interval", f"{precision:g} SD"))),
                    Listing(
                        (
                            f"A ratio below {LOW:g} is low, above {HIGH:g} high, as for drug trials (Scott 2018).",
                            "Shares of age bands are among people of the ages that the cohort has.",
                            "A share that is right says nothing of physiology: see `twinarm cohort compare`.",
                        )
                    ),
                    Tables((_sources(single),)),
                ),
            ),
        ),
        footer="The full value of a rounded number stands in the page beside it.",
    )


def shares_picture(groups: tuple[Group, ...]) -> Picture:
    """Share of each group: twins as a point, people as a bar to it."""
    shown = groups[::-1]
    title, key = "Share of each group", key_of("shares")
    with canvas(60.0 + 20 * len(shown)) as (figure, axes):
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        for k, g in enumerate(shown):
            if g.target == g.target:
                axes.plot([100 * g.target, 100 * g.share], [k, k], color=MUTED, linewidth=1)
                axes.plot([100 * g.target], [k], "D", markersize=5, color=colour(PEOPLE))
            axes.plot([100 * g.share], [k], "o", markersize=6, color=colour(TWINS))
        axes.plot([], [], "D", markersize=5, color=colour(PEOPLE), label="people")
        axes.plot([], [], "o", markersize=6, color=colour(TWINS), label="twins")
        axes.set_yticks(range(len(shown)), [_words(g) for g in shown])
        axes.set_xlim(left=0)
        axes.set_ylim(-0.7, len(shown) + 0.6)
        axes.set_xlabel("share in percent")
        axes.legend(loc="upper right", ncols=2)
        far = max(groups, key=lambda g: abs(g.ratio - 1) if g.ratio == g.ratio else 0)
        alt = f"Furthest from its share is {_words(far)}: {fixed(100 * far.share, 1)} % of twins"
        alt += f" and {fixed(100 * far.target, 1)} % of people." if far.target == far.target else "."
        svg = svg_of(figure, key, title, alt)
    return Picture(key, title, alt, svg, _shares(groups), "A group without a diamond has no share in the census.")


def numbers_picture(groups: tuple[Group, ...], needed: int) -> Picture:
    """Effective number of twins of each group, the smallest last, beside what is needed."""
    shown = sorted(groups, key=lambda g: g.effective)[:25]
    title, key = "Effective number of twins, the smallest groups", key_of("numbers")
    with canvas(60.0 + 18 * len(shown)) as (figure, axes):
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        colours = [colour(PEOPLE if g.is_too_small else TWINS) for g in shown]
        axes.barh(range(len(shown)), [max(g.effective, 0.5) for g in shown], 0.6, color=colours)
        axes.axvline(needed, color=INK, linestyle="dashed", linewidth=1)
        axes.set_xscale("log")
        axes.set_yticks(range(len(shown)), [_words(g) for g in shown])
        axes.set_xlabel(f"effective number (dashed: the {needed:,} that are needed)")
        first = shown[0]
        alt = f"The smallest group is {_words(first)} with {first.effective:.0f} twins; {needed:,} are needed."
        svg = svg_of(figure, key, title, alt)
    return Picture(key, title, alt, svg, _numbers(tuple(shown)), "In the other colour: too few.")


def _shares(groups: tuple[Group, ...]) -> Table:
    rows = tuple(
        (
            g.variable.replace("_", " "),
            _words(g),
            _percent(g.share),
            _percent(g.target),
            Datum(g.ratio, fixed(g.ratio, 2)) if g.ratio == g.ratio else MISSING,
        )
        for g in groups
    )
    marks = tuple((k, "warn") for k, g in enumerate(groups) if g.is_represented is False)
    columns = ("Variable", "Group", "Twins", "People", "Ratio")
    return Table("Shares of groups", columns, rows, f"Marked: ratios outside {LOW:g} to {HIGH:g}.", marks)


def _numbers(groups: tuple[Group, ...]) -> Table:
    rows = tuple((_words(g), Datum(g.twins, f"{g.twins:,}"), Datum(g.effective, f"{g.effective:,.0f}")) for g in groups)
    marks = tuple((k, "warn") for k, g in enumerate(groups) if g.is_too_small)
    return Table("Numbers of twins", ("Group", "Twins", "Effective number"), rows, "Marked: too few.", marks)


def _sources(groups: tuple[Group, ...]) -> Table:
    found = dict.fromkeys((g.variable.replace("_", " "), g.source) for g in groups if g.source)
    return Table("Sources of the people's shares", ("Variable", "Source"), tuple(found))


def privacy_page(found: Privacy, names: tuple[str, str, str], seed: int) -> Page:
    """The page as a value; `names` are the files of twins, of people learned from and of people held back."""
    reach = 1.96 * found.error
    is_sure = found.attack + reach <= LIMIT
    tone: Tone = "bad" if not found.passes or found.copies else "good" if is_sure else "open"
    said = (
        f"Who says 'was learned from' of people with a twin close by is right with an area under the curve of "
        f"{fixed(found.attack, 3)} ({fixed(found.attack - reach, 3)} to {fixed(found.attack + reach, 3)}; "
        f"0.5 is chance, limit {LIMIT})."
    )
    said += {
        "good": " The cohort passes.",
        "open": f" The cohort passes, but {found.people:,} people of each cannot rule out an area above the limit.",
    }.get(tone, " Do not release this cohort.")
    tiles = (
        Tile("Membership inference, area", Datum(found.attack, fixed(found.attack, 3)), f"limit {LIMIT}", tone),
        Tile(
            "Twins closer to a person learned from",
            Datum(found.closer, f"{fixed(100 * found.closer, 1)} %"),
            "50 % by chance",
        ),
        Tile(
            "Copies",
            Datum(found.copies, f"{found.copies:,}"),
            "twins identical to such a person",
            "bad" if found.copies else "plain",
        ),
    )
    return Page(
        title=f"Whom {names[0]} might give away",
        kicker="Privacy of the people that a population was learned from",
        question="Can it be told from the twins who was in the table?",
        answer=said,
        tone=tone,
        tiles=tiles,
        gates=None,
        sections=(
            Section(
                "distances", "Distances to the closest person", "Distances", (Gallery((distances_picture(found),)),)
            ),
            Section(
                "method",
                "How it was done",
                "Method",
                (
                    Facts(
                        (
                            ("Twins", names[0]),
                            ("Learned from", names[1]),
                            ("Held back", names[2]),
                            ("People of each", f"{found.people:,}"),
                            ("Variables", ", ".join(found.variables)),
                            ("Seed", str(seed)),
                        )
                    ),
                    Listing(
                        (
                            "Distances are in standard deviations a variable (root mean square); both groups of people "
                            "are cut to the same number, since the closest of more people is closer.",
                            "One attack was tried, by distance to the closest twin; others may succeed.",
                            "It says nothing of one unusual person: look at the closest pairs before release.",
                        )
                    ),
                ),
            ),
        ),
        footer="The full value of a rounded number stands in the page beside it.",
    )


def distances_picture(found: Privacy) -> Picture:
    """Distance of a twin to the closest person of each group: middle half-line and ends at 5 and 95 %."""
    sides = (("held back", found.to_held_out), ("learned from", found.to_training))
    title, key = "Distance of a twin to the closest person", key_of("distances")
    with canvas(130) as (figure, axes):
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        for k, (_, (low, middle, high)) in enumerate(sides):
            axes.plot([low, high], [k, k], color=INK, linewidth=1.4)
            axes.plot([middle], [k], "s", markersize=7, color=colour(TWINS if k else PEOPLE))
        axes.set_yticks(range(2), [label for label, _ in sides])
        axes.set_ylim(-0.6, 1.6)
        axes.set_xlim(left=0)
        axes.set_xlabel("standard deviations a variable (line: 5 to 95 % of twins)")
        alt = (
            f"Half of the twins are within {fixed(found.to_training[1], 3)} of a person learned from and within "
            f"{fixed(found.to_held_out[1], 3)} of one held back."
        )
        svg = svg_of(figure, key, title, alt)
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (label, *(Datum(v, fixed(v, 3)) for v in values)) for label, values in sides[::-1]
    )
    note = "Nothing was copied where the two lie alike."
    return Picture(key, title, alt, svg, Table(title, ("People", "5 %", "50 %", "95 %"), rows), note)
