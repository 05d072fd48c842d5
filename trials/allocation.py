"""Randomisation: which arm each subject gets, as a pure function of seed, replicate, stratum and place in the queue.

Subjects are numbered in the order in which they are enrolled; adding subjects at the end changes no earlier one, and a
stratum's sequence does not depend on which other strata occur.

Specification
-------------
simple
    Subject i gets arm a with probability ratio[a] / sum(ratio), independently of everyone else; strata are not used.
permuted-block
    Within each stratum subjects are taken in blocks of `block`, each holding every arm in the exact ratio; the order
    within block b of a stratum is a uniform permutation. Only the last block of a stratum can be incomplete.

Source: Rosenberger & Lachin 2016, Randomization in Clinical Trials, ch. 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..models.randomness import uniforms
from .protocol import Allocation

MOST_LEVELS = 20  # of one stratification variable; more is a number that should be cut into classes first


class AllocationError(ValueError):
    """An allocation that cannot be carried out as written."""


def randomise(
    strata: Sequence[str] | np.ndarray, allocation: Allocation, arms: Sequence[str], seed: int, replicate: int = 0
) -> np.ndarray:
    """Index of the arm of each subject, in the order of enrolment.

    Parameters
    ----------
    strata : array of text (subject,)
        Label of each subject's stratum, in the order of enrolment.
    arms : names of the arms, in the order of `allocation.ratio`.

    Raises
    ------
    AllocationError
        The ratio does not fit the arms, or the block does not fit the ratio.

    >>> plan = Allocation(ratio=(2, 1), block=6)
    >>> arm = randomise(["all"] * 12, plan, ("treated", "control"), seed=1)
    >>> int((arm[:6] == 0).sum()), int((arm[6:] == 0).sum())
    (4, 4)
    """
    labels = np.asarray(strata, dtype=np.str_)
    if len(allocation.ratio) != len(arms):
        raise AllocationError(
            f"the ratio {allocation.ratio} has {len(allocation.ratio)} numbers for {len(arms)} arms; give one an arm"
        )
    if allocation.method == "simple":
        purpose = f"allocation.simple.{replicate}"
        shares = np.cumsum(allocation.ratio) / sum(allocation.ratio)
        drawn = uniforms(seed, purpose, np.arange(labels.size))[:, 0]
        return np.searchsorted(shares, drawn, side="right").astype(np.int64)
    arm = np.empty(labels.size, dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        purpose = f"allocation.permuted-block.{replicate}.{label}"
        arm[members] = _permuted_blocks(members.size, allocation, seed, purpose)
    return arm


def strata_labels(cohort: xr.Dataset, variables: Sequence[str]) -> np.ndarray:
    """Label of each twin's stratum, (twin,): "sex=female, ecog=1"; one stratum called "all" without variables.

    Raises
    ------
    AllocationError
        A variable is not in the cohort, is missing for a twin, or is continuous.
    """
    columns = [[f"{name}={_word(level)}" for level in _levels(cohort, name)] for name in variables]
    if not columns:
        return np.full(cohort.sizes["twin"], "all")
    return np.array([", ".join(parts) for parts in zip(*columns, strict=True)], dtype=np.str_)


def _permuted_blocks(count: int, allocation: Allocation, seed: int, purpose: str) -> np.ndarray:
    """The first `count` arms of one stratum; the unit of a draw is the number of the block."""
    total = sum(allocation.ratio)
    size = allocation.block or 2 * total
    if size % total:
        raise AllocationError(f"block {size} cannot hold the ratio {allocation.ratio}; give a multiple of {total}")
    content = np.repeat(np.arange(len(allocation.ratio)), np.array(allocation.ratio) * (size // total))
    draws = uniforms(seed, purpose, np.arange(-(-count // size)), size)
    order = np.argsort(draws, axis=1, kind="stable")
    return content[order].ravel()[:count]


def _levels(cohort: xr.Dataset, name: str) -> np.ndarray:
    if name not in cohort:
        raise AllocationError(f"no variable is called {name!r} in the cohort; strata are made of its variables")
    values = cohort[name].values
    if values.dtype.kind not in "fiub":
        return values
    if not np.isfinite(values).all():
        raise AllocationError(
            f"{name!r} is missing for {int((~np.isfinite(values)).sum())} twins; it cannot make strata"
        )
    if np.any(values != np.round(values)) or np.unique(values).size > MOST_LEVELS:
        raise AllocationError(
            f"{name!r} is continuous ({np.unique(values).size} values); stratify by words or by whole numbers "
            f"of at most {MOST_LEVELS} levels"
        )
    return values


def _word(level: object) -> str:
    return f"{level:g}" if isinstance(level, float | np.floating) else str(level)
