"""Random numbers as a pure function of (seed, purpose, unit, index): never of chunk, worker, order or arm count.

One call of Philox4x64-10 at counter (unit, index // 4, 0, 0) gives the four words of indices 4q .. 4q + 3. The key is
the first 16 bytes of sha256("twinarm:{seed}:{purpose}"). `unit` is the twin id, or the replicate, site or stratum
number for draws that belong to the trial. A purpose names one variable ("bsv.CL"), an index is a slot (a day, a meal).

Source: Salmon 2011, Parallel random numbers: as easy as 1, 2, 3 (SC11), doi 10.1145/2063384.2063405.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

AT_ONCE = 100_000  # units whose words are held


class Streams(ABC):
    """Numbers that stand in for those of a seed, purpose by purpose: what is handed on where a seed is.

    For sampling under conditions, where some streams are drawn from another law than the uniform.
    """

    @abstractmethod
    def uniforms(self, purpose: str, units: np.ndarray, count: int) -> np.ndarray:
        """Uniforms of `units` for one purpose, shape (units, count)."""

    @abstractmethod
    def normals(self, purpose: str, units: np.ndarray, count: int) -> np.ndarray:
        """Standard normals of `units` for one purpose, shape (units, count)."""


Seed = int | Streams


def plain(seed: Seed) -> int:
    """The number of a seed, for what streams cannot stand in for.

    Raises
    ------
    TypeError
        Streams were handed on where a number is needed; refuse what leads there.
    """
    if isinstance(seed, Streams):
        raise TypeError("streams stand in for a seed here, where its number is needed; sample without conditions")
    return seed


def key_of(seed: int, purpose: str) -> int:
    """The 128-bit Philox key of a seed and a purpose."""
    return int.from_bytes(hashlib.sha256(f"twinarm:{seed}:{purpose}".encode()).digest()[:16], "little")


def key_words(seed: int, purpose: str) -> tuple[np.uint64, np.uint64]:
    """The same key as two 64-bit words, for kernels."""
    key = key_of(seed, purpose)
    return np.uint64(key & 0xFFFFFFFFFFFFFFFF), np.uint64(key >> 64)


def uniforms(seed: Seed, purpose: str, units: npt.ArrayLike, count: int = 1) -> np.ndarray:
    """Uniforms in (0, 1) for `units` (1-d, int) and indices 0 .. count - 1; shape (units, count).

    A row depends on (seed, purpose, unit) alone, so a slice of units equals the same rows of the whole.

    >>> whole = uniforms(1, "doc", range(10), 6)
    >>> bool((uniforms(1, "doc", [7, 3], 6) == whole[[7, 3]]).all())
    True
    """
    ids = np.asarray(units, dtype=np.int64)
    if isinstance(seed, Streams):
        return seed.uniforms(purpose, ids, count)
    if ids.size > AT_ONCE:  # four words are generated for each uniform that is asked for alone
        parts = np.split(ids, range(AT_ONCE, ids.size, AT_ONCE))
        return np.concatenate([uniforms(seed, purpose, part, count) for part in parts])
    key = key_of(seed, purpose)
    quads = -(-count // 4)
    words = np.empty((ids.size, quads, 4), dtype=np.uint64)
    # Runs of consecutive ids are generated in one call: the counter's first word advances by one a call.
    breaks = np.flatnonzero(np.diff(ids) != 1) + 1
    for run in np.split(np.arange(ids.size), breaks):
        if run.size == 0:
            continue
        for quad in range(quads):
            stream = np.random.Philox(key=key, counter=[int(ids[run[0]]), quad, 0, 0])
            words[run, quad] = stream.random_raw(4 * run.size).reshape(run.size, 4)
    uniform = ((words.reshape(ids.size, 4 * quads)[:, :count] >> np.uint64(12)) + 0.5) * 2.0**-52
    return np.asarray(uniform, dtype=np.float64)


def normals(seed: Seed, purpose: str, units: npt.ArrayLike, count: int = 1) -> np.ndarray:
    """Standard normals by inverse CDF of `uniforms`; shape (units, count)."""
    from scipy.special import ndtri

    if isinstance(seed, Streams):
        return seed.normals(purpose, np.asarray(units, dtype=np.int64), count)
    return np.asarray(ndtri(uniforms(seed, purpose, units, count)))
