"""Joint shares of age, sex and race/ethnicity, and how they are moved to the margins of another people or of a plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tables import Table, TableError

OPEN = 120  # years: a band that ends here or above has no end, and its people are those of the last age too
ROUNDS = 1000
CLOSE = 1e-9


@dataclass(frozen=True)
class Shares:
    """First and last year of each age band, sexes, races, and shares (band, sex, race) that sum to 1."""

    start: np.ndarray
    end: np.ndarray
    sexes: tuple[str, ...]
    races: tuple[str, ...]
    shares: np.ndarray

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], tuple[str, ...], np.ndarray]:
        return self.start, self.end, self.sexes, self.races, self.shares

    def by_year(self, ages: tuple[int, int] | None) -> Shares:
        """The same with a band for each year, all years of a band as likely; of some ages only."""
        first, last = ages or (int(self.start[0]), int(self.end[-1]))
        years = np.arange(first, last + 1)
        band = np.clip(np.searchsorted(self.start, years, side="right") - 1, 0, self.start.size - 1)
        shares = self.shares[band] / (self.end - self.start + 1)[band, None, None]
        return Shares(years, years, self.sexes, self.races, shares / shares.sum())


@dataclass(frozen=True)
class Margin:
    """The share of a sex, a race/ethnicity, or (variable `age`) of the ages from .. to."""

    variable: str
    group: str
    start: float
    end: float
    share: float


def margin_rows(table: Table, target: str | None) -> list[Margin]:
    """The margins of a target in a table.

    Raises
    ------
    TableError
        A column is missing, there is no such target, or a variable or share that cannot be.
    """
    table.need("variable", "group", "age_from", "age_to", "share")
    t = table.columns
    rows = np.ones(table.rows, bool)
    if "target" in t:
        known = sorted(set(t["target"].tolist()))
        if target not in known:
            raise TableError(f"{table.name} has no target {target!r}; it has {', '.join(known)}")
        rows = t["target"] == target
    elif target is not None:
        raise TableError(f"{table.name} has no column target; leave {target!r} out, or add the column")
    keys = ("variable", "group", "age_from", "age_to", "share")
    found = [
        Margin(str(v), str(g), float(a), float(b), float(s))
        for v, g, a, b, s in zip(*(t[k][rows] for k in keys), strict=True)
    ]
    for row in found:
        if row.variable not in ("age", "sex", "race_ethnicity"):
            raise TableError(f"{table.name} has margins of {row.variable!r}; write age, sex or race_ethnicity")
        if not 0 <= row.share <= 1:
            raise TableError(f"{table.name} has a share of {row.share:g} for {row.group}; shares are from 0 to 1")
    return found


def raked(shares: Shares, ages: tuple[int, int] | None, margins: list[Margin]) -> Shares:
    """The nearest joint shares with these margins, year by year.

    Groups that the margins do not name keep their shares among each other. A band that sticks out of the ages counts
    with the part of its years that lies inside.

    Raises
    ------
    TableError
        A group that the table does not have, shares above 1 in sum, or margins that cannot all hold.
    """
    cells = shares.by_year(ages)
    wanted = [goal for name in ("age", "sex", "race_ethnicity") for goal in _goals(cells, name, margins)]
    table = cells.shares.copy()
    for _ in range(ROUNDS):
        before = table.copy()
        for inside, share in wanted:
            table = np.where(inside, table * (share / max(table[inside].sum(), 1e-300)), table)
        if np.abs(table - before).max() < CLOSE:
            break
    if off := [share for inside, share in wanted if abs(table[inside].sum() - share) > 1e-6]:
        raise TableError(f"the margins cannot all hold with this table (a share of {off[0]:g} is not met); loosen them")
    return Shares(cells.start, cells.end, cells.sexes, cells.races, table / table.sum())


def _goals(cells: Shares, variable: str, margins: list[Margin]) -> list[tuple[np.ndarray, float]]:
    """Where each group of a variable stands in the cells (year, sex, race), and its share; together all cells."""
    rows = [m for m in margins if m.variable == variable]
    if not rows:
        return []
    found, rest = [], np.ones(cells.shares.shape, bool)
    for m in rows:
        inside, part = np.zeros(cells.shares.shape, bool), 1.0
        if variable == "age":
            years = (cells.start >= m.start) & (cells.start <= m.end)
            inside[years] = True
            if m.end < OPEN:
                part = years.sum() / (m.end - m.start + 1)
        else:
            names = cells.sexes if variable == "sex" else cells.races
            if m.group not in names:
                raise TableError(f"margins name {variable} {m.group!r}; the population has {', '.join(names)}")
            inside[(slice(None), names.index(m.group)) if variable == "sex" else (..., names.index(m.group))] = True
        if inside.any() and m.share > 0 and cells.shares[inside].sum() <= 0:
            raise TableError(f"margins ask for a share of {m.group}, of whom the population has none; drop the row")
        if (inside & ~rest).any():
            raise TableError(f"margins of {variable} overlap at {m.group}; give each person one group")
        rest &= ~inside
        if inside.any():
            found.append((inside, m.share * float(part)))
    total = sum(share for _, share in found)
    if total > 1 + 1e-3:
        raise TableError(f"margins of {variable} sum to {total:g}; they must not exceed 1")
    others = bool(cells.shares[rest].sum() > 0)
    # Ages may be those of a narrower population, which holds a part of each band only.
    if not others and (total <= 0 or (variable != "age" and total < 1 - 1e-3)):
        raise TableError(f"margins of {variable} sum to {total:g} and leave nobody else; make them sum to 1")
    if others:
        found.append((rest, max(1.0 - total, 0.0)))
        total = max(total, 1.0)
    return [(inside, share / total) for inside, share in found]
