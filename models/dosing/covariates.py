"""Covariates that are inputs of a system: carried forward from their rows, or looked ahead to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..engine import System
from .timeline import Rows, Settings

CovariateRule = Literal["locf", "nocb"]


@dataclass(frozen=True)
class Covariates:
    """`inputs` (covariate,) of the system; `own` (row, covariate) values of the rows, missing ones filled in.

    `settings` are the changes from one row to the next; before its first row a subject has that row's own value.
    """

    inputs: np.ndarray
    own: np.ndarray
    settings: Settings


def read_covariates(system: System, rows: Rows, rule: CovariateRule) -> Covariates:
    """The covariates that `system` has as inputs.

    Raises
    ------
    ValueError
        An unknown rule, a covariate of words, or one that a subject has no value of.
    """
    if rule not in ("locf", "nocb"):
        raise ValueError(f"covariates={rule!r} is not known; write 'locf' or 'nocb'")
    names = [name for name in rows.events.covariates if name in system.inputs]
    own = np.empty((len(rows.events), len(names)))
    for k, name in enumerate(names):
        own[:, k] = _filled(system, rows, name, rule)
    first = rows.first[rows.subject]
    here = own
    if rule == "nocb" and len(own) > 1:
        restart = rows.resets[1:] & (np.diff(rows.events.time) < 0)
        looks_ahead = np.r_[(np.diff(rows.subject) == 0) & ~restart, False]
        here = np.where(looks_ahead[:, None], np.r_[own[1:], own[-1:]], own)
    begins = np.arange(len(own)) == first
    before = np.where(begins[:, None], own, np.r_[own[:1], here[:-1]])
    row, place = np.nonzero(here != before)
    inputs = np.array([system.inputs.index(name) for name in names], dtype=np.int64)
    return Covariates(inputs, own, Settings(row, place, here[row, place]))


def _filled(system: System, rows: Rows, name: str, rule: CovariateRule) -> np.ndarray:
    """The covariate with missing values from the row before (LOCF) or the next one (NOCB) of the subject."""
    values = rows.events.covariates[name]
    if values.dtype.kind == "U":
        raise ValueError(f"the covariate {name!r} is an input of {system.name!r} but holds words; write numbers")
    number = np.arange(len(values))
    known = ~np.isnan(values)
    back = np.maximum.accumulate(np.where(known, number, -1))
    ahead = np.minimum.accumulate(np.where(known, number, len(values))[::-1])[::-1]
    last = np.r_[rows.first[1:], len(values)] - 1
    has_back, has_ahead = back >= rows.first[rows.subject], ahead <= last[rows.subject]
    lacking = ~(has_back | has_ahead)
    if lacking.any():
        who = rows.events.id[lacking][0]
        raise ValueError(f"the covariate {name!r} is an input of {system.name!r} but has no value for ID {who}")
    prefers_back = has_back if rule == "locf" else ~has_ahead
    filled: np.ndarray = values[np.where(prefers_back, back, np.minimum(ahead, len(values) - 1))]
    return filled
