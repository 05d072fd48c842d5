"""Whom a cohort represents: shares by sex, age and ancestry beside those of a country, and groups that are too small.

The ratio of a group's share in the cohort to its share of the people (participation-to-prevalence ratio) is called
low below 0.8 and high above 1.2, as for drug trials in Scott 2018, J Am Coll Cardiol 71:1960. A group is too small
when the mean of a variable cannot be stated in it with the wanted half-width of a 95 % interval, in standard
deviations: n < (1.96 / precision)^2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import xarray as xr

from ..blocks.tables import read_table
from ..weighted import effective_number, is_known

MARGINS = Path(__file__).parent.parent / "populations" / "data" / "census_margins.csv"
LOW, HIGH = 0.8, 1.2
Z = 1.959964

Array = np.ndarray


class RepresentationError(ValueError):
    """A target that is not known, or a cohort without sex, age or ancestry, or with gaps in them."""


@dataclass(frozen=True)
class Group:
    """A group of the cohort; `target` and `ratio` are NaN where the census does not state its share.

    `effective` is Kish's number of twins in it, `needed` what the wanted precision takes.
    """

    variable: str
    group: str
    twins: int
    effective: float
    share: float
    target: float
    source: str
    needed: int

    @property
    def ratio(self) -> float:
        return self.share / self.target if self.target > 0 else float("nan")

    @property
    def is_represented(self) -> bool | None:
        """Whether the share is near that of the people; None where that is not known."""
        return None if np.isnan(self.ratio) else LOW <= self.ratio <= HIGH

    @property
    def is_too_small(self) -> bool:
        return self.effective < self.needed


@dataclass(frozen=True)
class Band:
    """Share of a group among the people of a target: a word, or ages `low` to `high` (inclusive)."""

    target: str
    variable: str
    group: str
    low: float
    high: float
    share: float
    source: str


def targets() -> tuple[str, ...]:
    """Names of the census targets."""
    return tuple(dict.fromkeys(band.target for band in _bands()))


def _bands() -> tuple[Band, ...]:
    t = read_table(MARGINS).columns
    keys = ("target", "variable", "group", "age_from", "age_to", "share", "source")
    return tuple(
        Band(str(a), str(b), str(c), float(d), float(e), float(f), str(g))
        for a, b, c, d, e, f, g in zip(*(t[k] for k in keys), strict=True)
    )


def represent(cohort: xr.Dataset, target: str, precision: float, weights: Array | None = None) -> tuple[Group, ...]:
    """Groups by sex, age and ancestry with their census shares, and each sex inside each of the other groups.

    Shares of age bands are among the people of the ages that the target's bands and the cohort have in common.

    Raises
    ------
    RepresentationError
        An unknown target, a precision that is not positive, no variable that the target knows, or one of them
        missing in some twins.
    """
    if not precision > 0:
        raise RepresentationError(f"precision is {precision:g}; give a half-width above 0, in standard deviations")
    bands = [band for band in _bands() if band.target == target]
    if not bands:
        raise RepresentationError(f"no census target is called {target!r}; known: {', '.join(targets())}")
    known = {name: cohort[name].to_numpy() for name in ("sex", "age", "race_ethnicity") if name in cohort}
    if not known:
        raise RepresentationError("the cohort has none of sex, age and race_ethnicity; nothing can be said of it")
    for name, values in known.items():
        if missing := int(np.count_nonzero(~is_known(values))):
            raise RepresentationError(f"{name} is missing in {missing} of {values.size} twins; leave them out first")
    mass = np.ones(cohort.sizes["twin"]) if weights is None else np.asarray(weights, dtype=np.float64)
    needed = ceil((Z / precision) ** 2)
    found = []
    rows_of = {}
    for variable, values in known.items():
        for band, share, rows, inside in _compared(bands, variable, values):
            rows_of[variable, band.group] = rows
            found.append(_group(variable, band.group, rows, inside, mass, share, band.source, needed))
    for (variable, group), rows in rows_of.items():
        for word in np.unique(known["sex"]) if variable != "sex" and "sex" in known else ():
            both = rows & (known["sex"] == word)
            everybody = np.ones(both.size, dtype=bool)
            found.append(
                _group(f"sex, {variable}", f"{word}, {group}", both, everybody, mass, float("nan"), "", needed)
            )
    return tuple(found)


def _compared(bands: list[Band], variable: str, values: Array) -> Iterator[tuple[Band, float, Array, Array]]:
    """Each group of a variable: its share of the people who are compared, its twins, and all twins who are compared."""
    own = [band for band in bands if band.variable == variable]
    if variable == "age":
        # a last year of 80 stands for 80 and over
        own = [band for band in own if band.high >= values.min() and band.low <= values.max()]
        rows = [(values >= band.low) & (values < band.high + 1) for band in own]
    else:
        rows = [values == band.group for band in own]
        rest = sorted(set(values.tolist()) - {band.group for band in own})
        own += [Band(bands[0].target, variable, word, 0, 0, float("nan"), "") for word in rest]
        rows += [values == word for word in rest]
    total = float(np.nansum([band.share for band in own]))
    inside = np.logical_or.reduce(rows) if rows else np.zeros(values.size, dtype=bool)
    for band, some in zip(own, rows, strict=True):
        yield band, band.share / total if variable == "age" and total else band.share, some, inside


def _group(
    variable: str, name: str, rows: Array, inside: Array, mass: Array, target: float, source: str, needed: int
) -> Group:
    own = mass[rows]
    share = float(own.sum() / mass[inside].sum()) if mass[inside].any() else 0.0
    return Group(variable, name, int(np.count_nonzero(rows)), effective_number(own), share, target, source, needed)
