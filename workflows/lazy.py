"""Stores that are larger than what may be held: read variable by variable, some twins or some blocks at a time."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing

from .store import (
    DamagedStore,
    Place,
    all_arrays,
    arrays_of,
    chunk_file,
    dims_of,
    is_words,
    open_group,
    plain_words,
    read_block,
    read_rows,
)

AHEAD = 4096  # rows of a store of blocks that are read together
SMALL = 16 << 20  # bytes of a dataset that is read at once


class _Stored(BackendArray):
    """An array of a store, of which only what is asked for is read; of a column the last chunk is kept.

    Who goes through the twins in order reads and checks each chunk once, however small the steps are.
    """

    def __init__(self, array: zarr.Array, path: str) -> None:
        self.array, self.path = array, path
        self.shape = array.shape
        self.dtype = np.dtype(object) if is_words(array.dtype) else np.dtype(array.dtype)
        self.kept: tuple[int, np.ndarray] | None = None  # number and values of a chunk

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        found = indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)
        return np.asarray(found)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        try:
            if len(key) == 1 and isinstance(key[0], slice):
                return self._rows(key[0])
            return self._stored(key)
        except Exception as error:  # a wrong checksum, a short file
            raise DamagedStore(f"{self.path} is damaged: {error}") from error

    def _rows(self, rows: slice) -> np.ndarray:
        size = self.array.chunks[0]
        first, stop, step = rows.indices(self.shape[0])
        number = first // size
        if step != 1 or not first < stop <= (number + 1) * size:
            return self._stored((rows,))
        kept = self.kept  # threads read one array: what one of them keeps now is not what this one goes on with
        if kept is None or kept[0] != number:
            kept = self.kept = (number, self._stored((slice(number * size, (number + 1) * size),)))
        return kept[1][first - number * size : stop - number * size].copy()

    def _stored(self, key: tuple[Any, ...]) -> np.ndarray:
        return plain_words(np.asarray(self.array.oindex[key]))


def lazily(path: Path) -> xr.Dataset:
    """A dataset whose variables are read each time their values are asked for; a small one is read at once.

    For what grows with the cohort: who goes through it variable by variable, or some twins at a time, holds no more.
    The twins of a large one have no index: choose them by their rows.

    Raises
    ------
    DamagedStore
        Here or on reading: a chunk fails its checksum or an array is gone.
    """
    group = open_group(path)
    try:
        arrays = all_arrays(group)
        if sum(array.nbytes for _, array in arrays) > SMALL:
            return _unread(arrays, dict(group.attrs))
    except Exception as error:  # metadata that is no JSON, labels with a wrong checksum
        raise DamagedStore(f"{path} is damaged: {error}") from error
    return read_rows(group)


def _unread(arrays: list[tuple[str, zarr.Array]], attributes: dict[str, Any]) -> xr.Dataset:
    labels = {
        name: plain_words(np.asarray(array[:])) for name, array in arrays if dims_of(array) == (name,) != ("twin",)
    }
    found = {
        name: xr.Variable(dims_of(array), indexing.LazilyIndexedArray(_Stored(array, name)), dict(array.attrs))
        for name, array in arrays
        if name not in labels
    }
    twins = xr.Coordinates({"twin": found.pop("twin")}, indexes={}) if "twin" in found else xr.Coordinates()
    return xr.Dataset(found, coords=twins, attrs=attributes).assign_coords(labels)


class Blocks:
    """A store of blocks for who goes through them in order: some that stand side by side are read together.

    What was read stays as it was then; make another one to look again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.arrays: dict[str, zarr.Array] = {}
        self.held: tuple[int, dict[str, np.ndarray]] = (-1, {})  # number of a part of the store, and its arrays
        with suppress(Exception):  # metadata that is no JSON: `read_block` says so
            self.arrays = dict(arrays_of(open_group(path)))

    def read(self, place: Place) -> dict[str, np.ndarray]:
        """The same as `read_block`.

        Raises
        ------
        DamagedStore
            A chunk fails its checksum or an array is gone.
        """
        rows = min((array.chunks[0] for array in self.arrays.values()), default=1)
        together = max(1, AHEAD // rows)
        part = place.block // together
        if self.held[0] != part:
            self.held = (part, self._read(slice(part * together * rows, (part + 1) * together * rows)))
        chunks = (chunk_file(array, self.path, (place.block, place.arm)) for array in self.arrays.values())
        if not self.held[1] or not all(chunk.is_file() for chunk in chunks):
            return read_block(self.path, place)  # which says what is wrong, and with which block
        here = slice(place.first - part * together * rows, place.stop - part * together * rows)
        return {name: values[here, place.arm] for name, values in self.held[1].items()}

    def _read(self, rows: slice) -> dict[str, np.ndarray]:
        """All arms of some rows, nothing where something among them is damaged."""
        try:
            return {name: np.asarray(array[rows]) for name, array in self.arrays.items()}
        except Exception:  # a wrong checksum, a short file
            return {}
