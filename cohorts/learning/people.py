"""People to learn from: numbers, conditions (0 or 1) and words, with missing values and survey weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from ..weighted import is_known

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
FEWEST = 100  # rows below which no margin can be stated
MOST_WORDS = 20  # of a column; more are an identifier


class PeopleError(ValueError):
    """A table that cannot be learned from; the message names the column and says what to do."""


@dataclass(frozen=True)
class People:
    """Columns of float64 (NaN where missing) or of words ("" where missing), and a weight for each row."""

    file: str
    columns: dict[str, np.ndarray] = field(repr=False)
    weights: np.ndarray = field(repr=False)
    units: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, table: xr.Dataset, weights: np.ndarray | None, file: str) -> People:
        """The rows of a table (twin,) that have a weight and, where the table has them, age and sex.

        Raises
        ------
        PeopleError
            A name that cannot be a variable's, weights below 0, fewer than 100 rows, or a column that is empty,
            constant, of too many words or with infinite values.
        """
        columns = {str(name): _plain(values.to_numpy()) for name, values in table.data_vars.items()}
        for name in columns:
            if not NAME.fullmatch(name):
                raise PeopleError(f"{file}: column {name!r} cannot name a variable; use letters, digits and _")
            if columns[name].dtype.kind == "f" and np.isinf(columns[name]).any():
                raise PeopleError(f"{file}: column {name} has infinite values; leave these cells empty")
        weight = np.ones(table.sizes["twin"]) if weights is None else np.nan_to_num(np.asarray(weights, np.float64))
        if np.any(weight < 0):
            raise PeopleError(f"{file}: has weights below 0; survey weights are 0 or above")
        kept = weight > 0
        for name in {"age", "sex"} & set(columns):
            kept &= is_known(columns[name])
        columns = {name: x[kept] for name, x in columns.items()}
        if (rows := int(kept.sum())) < FEWEST:
            raise PeopleError(f"{file}: {rows} rows can be used; at least {FEWEST} are needed to state margins")
        for name, x in columns.items():
            found = np.unique(x[is_known(x)])
            if found.size < 2:
                raise PeopleError(f"{file}: column {name} is empty or has one value only; name the others in --only")
            if x.dtype.kind == "U" and found.size > MOST_WORDS:
                raise PeopleError(
                    f"{file}: column {name} has {found.size} different words (an identifier?), at most {MOST_WORDS} "
                    "can be learned; name the others in --only"
                )
        units = {name: str(table[name].attrs.get("units", "1")) or "1" for name in columns}
        return cls(file, columns, weight[kept], units)

    @property
    def rows(self) -> int:
        return self.weights.size

    @cached_property
    def conditions(self) -> list[str]:
        """Columns of 0 and 1."""
        return [c for c, x in self.columns.items() if x.dtype.kind == "f" and set(np.unique(x[is_known(x)])) == {0, 1}]

    @cached_property
    def numbers(self) -> list[str]:
        """Columns of numbers that are no conditions."""
        return [c for c, x in self.columns.items() if x.dtype.kind == "f" and c not in self.conditions]

    @cached_property
    def words(self) -> dict[str, list[str]]:
        """Columns of words, and the words of each in the order of what goes with them most closely.

        The words of a column have no order of their own, and a Gaussian copula needs one: that of the mean rank of the
        column of numbers that differs most between them.
        """
        return {c: self._ordered(x) for c, x in self.columns.items() if x.dtype.kind == "U"}

    @property
    def has_age_and_sex(self) -> bool:
        """Whether figures can be stated by age and sex: age in numbers, sex in words."""
        return "age" in self.numbers and "sex" in self.words

    def _ordered(self, words: np.ndarray) -> list[str]:
        found = np.unique(words[words != ""])
        best, means = -1.0, np.arange(found.size, dtype=np.float64)
        for name in (*self.numbers, *self.conditions):
            there = (words != "") & is_known(self.columns[name])
            rank = rankdata(self.columns[name][there]) / max(there.sum(), 1)
            inside = [words[there] == word for word in found]
            if any(not rows.any() for rows in inside):
                continue
            w = self.weights[there]
            each = np.array([np.average(rank[rows], weights=w[rows]) for rows in inside])
            share = np.array([w[rows].sum() for rows in inside])
            between = float(np.average((each - np.average(each, weights=share)) ** 2, weights=share))
            if between > best:
                best, means = between, each
        return [str(word) for word in found[np.argsort(means, kind="stable")]]

    def codes(self, column: str) -> np.ndarray:
        """A column as numbers: a word is its place in the order, NaN where missing."""
        x = self.columns[column]
        if x.dtype.kind == "f":
            return x
        found = np.full(x.size, np.nan)
        for code, word in enumerate(self.words[column]):
            found[x == word] = code
        return found

    def described(self, column: str) -> dict[str, Any]:
        """What a population file states of a variable."""
        label = f"{column.replace('_', ' ')}, as in the table"
        source = f"column {column} of {self.file}"
        return {"name": column, "label": label, "unit": self.units[column], "source": source, "provenance": "derived"}


def _plain(x: np.ndarray) -> np.ndarray:
    return x.astype(str) if x.dtype.kind in "UO" else x.astype(np.float64)
