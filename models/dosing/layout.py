"""Where a dose goes: the compartments of a model, their inputs, and the parameters that modify a dose."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Compartment:
    """One compartment. A modifier names a parameter; where it is empty the dose is not modified.

    `infusion` is the input of the system that carries rates into this compartment (amount per time unit);
    `bioavailability` multiplies the amount (at a given RATE it shortens the infusion, as in NONMEM); `lag` delays
    every dose (time unit); `rate` is what RATE = -1 stands for (amount per time unit), `duration` what RATE = -2
    stands for (time unit).
    """

    state: str
    infusion: str = ""
    bioavailability: str = ""
    lag: str = ""
    rate: str = ""
    duration: str = ""

    def modifiers(self) -> tuple[str, ...]:
        return tuple(name for name in (self.bioavailability, self.lag, self.rate, self.duration) if name)


@dataclass(frozen=True)
class Layout:
    """Compartments in the order of their numbers (from 1); a CMT of 0 is `default`, the first unless named."""

    compartments: tuple[Compartment, ...]
    default: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.compartments, tuple | list) and all(hasattr(c, "state") for c in self.compartments)):
            raise ValueError("a layout is a tuple of compartments; write Layout((Compartment('gut'),))")
        names = [c.state for c in self.compartments]
        inputs = [c.infusion for c in self.compartments if c.infusion]
        if len(set(names)) < len(names) or len(set(inputs)) < len(inputs):
            raise ValueError("a state or an infusion input stands in the layout twice; give each compartment its own")
        if self.default and self.default not in names:
            raise ValueError(f"the default compartment {self.default!r} is none of {', '.join(names)}")

    def index(self, cmt: str) -> int | None:
        """Position of the compartment that a CMT names, None where there is none."""
        names = [c.state for c in self.compartments]
        if cmt in ("0", ""):
            return names.index(self.default) if self.default else 0
        if cmt in names:
            return names.index(cmt)
        number = int(cmt) if cmt.isascii() and cmt.isdigit() else 0
        return number - 1 if 1 <= number <= len(names) else None

    def positions(self, cmt: np.ndarray) -> np.ndarray:
        """`index` of every CMT of a column, -1 where there is none."""
        words = cmt.tolist()
        known = {word: self.index(word) for word in set(words)}
        return np.array([-1 if known[word] is None else known[word] for word in words], dtype=np.int64)

    def describe(self, cmt: str) -> str:
        """What a CMT may be, for a message about one that is not."""
        names = [c.state for c in self.compartments]
        near = difflib.get_close_matches(cmt, names, 1)
        known = ", ".join(f"{i} {name}" for i, name in enumerate(names, 1))
        return f"did you mean {near[0]!r}? known: {known}" if near else f"known: {known}"


@dataclass(frozen=True)
class Modifiers:
    """Bioavailability, lag, rate and duration of each twin and compartment, (twin, compartment); NaN: not modelled.

    `valid` (twin,) is False where one of them cannot be: negative or not finite, a rate or duration of 0.
    """

    bioavailability: np.ndarray
    lag: np.ndarray
    rate: np.ndarray
    duration: np.ndarray
    valid: np.ndarray

    def take(self, twins: slice) -> Modifiers:
        """Those of some twins."""
        return Modifiers(*(getattr(self, f.name)[twins] for f in fields(self)))

    def alike(self) -> bool:
        """Whether all twins have the same."""
        arrays = (self.bioavailability, self.lag, self.rate, self.duration)
        return all(np.array_equal(a, np.broadcast_to(a[:1], a.shape), equal_nan=True) for a in arrays)


def modifiers(layout: Layout, values: Mapping[str, np.ndarray], twins: int) -> Modifiers:
    """Read what modifies the doses of each twin from its parameters, by name.

    Raises
    ------
    ValueError
        A parameter that the layout names is not among `values`.
    """
    missing = sorted({n for c in layout.compartments for n in c.modifiers()} - set(values))
    if missing:
        raise ValueError(f"the layout names the parameter {missing[0]!r}, which is not given; given: {sorted(values)}")
    shape = (twins, len(layout.compartments))
    valid = np.ones(twins, bool)

    def read(names: list[str], otherwise: float, positive: bool) -> np.ndarray:
        out = np.full(shape, otherwise)
        for j, name in enumerate(names):
            if name:
                out[:, j] = values[name]
                good = np.isfinite(out[:, j]) & (out[:, j] > 0 if positive else out[:, j] >= 0)
                valid[:] &= good
                out[~good, j] = 1.0  # the twin is given up; its records stay sortable
        return out

    parts = layout.compartments
    return Modifiers(
        bioavailability=read([c.bioavailability for c in parts], 1.0, False),
        lag=read([c.lag for c in parts], 0.0, False),
        rate=read([c.rate for c in parts], np.nan, True),
        duration=read([c.duration for c in parts], np.nan, True),
        valid=valid,
    )
