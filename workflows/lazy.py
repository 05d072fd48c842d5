"""Stores that are larger than what may be held: read variable by variable, or some twins at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing

from .store import DamagedStore, all_arrays, dims_of, is_words, open_group, plain_words, read_rows

SMALL = 16 << 20  # bytes of a dataset that is read at once


class _Stored(BackendArray):
    """An array of a store, of which only what is asked for is read, and nothing kept."""

    def __init__(self, array: zarr.Array, path: str) -> None:
        self.array, self.path = array, path
        self.shape = array.shape
        self.dtype = np.dtype(object) if is_words(array.dtype) else np.dtype(array.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        found = indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)
        return np.asarray(found)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        try:
            return plain_words(np.asarray(self.array.oindex[key]))
        except Exception as error:  # a wrong checksum, a short file
            raise DamagedStore(f"{self.path} is damaged: {error}") from error


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
