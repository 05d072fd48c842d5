"""One line of the table, and the function that gives some of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..model import Provenance


@dataclass(frozen=True)
class Row:
    """One figure beside its limit.

    `against` says what it is compared with, `reason` where the limit comes from, `provenance` how the value compared
    with came here: "derived" from a formula or another program in this run, "read" from a publication, "recalled".
    `sense` is "<=" where the figure must not exceed the limit, ">=" where it must reach it.
    """

    check: str
    against: str
    achieved: float
    limit: float
    reason: str
    provenance: Provenance = "derived"
    sense: Literal["<=", ">="] = "<="
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the limit is kept; a figure that is not a number never passes."""
        if not math.isfinite(self.achieved):
            return False
        return bool(self.achieved <= self.limit if self.sense == "<=" else self.achieved >= self.limit)


class NotHere(RuntimeError):
    """A check that this installation cannot run; the message says what is missing."""


@dataclass(frozen=True)
class Check:
    """Rows of one subject; `slow` ones take more than a few seconds."""

    subject: str
    name: str
    rows: Callable[[], list[Row]]
    slow: bool = False
