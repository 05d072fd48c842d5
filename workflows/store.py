"""Arrays of a run in Zarr (format 3): one chunk is one block of twins in one arm.

Codecs: zstd, then crc32c over the compressed bytes, so that a damaged chunk is an error and not a number. A chunk that
was never written reads as NaN, and as 0 (`Status.NOT_COMPUTED`) in `status`. Times, hosts and versions never go in.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from ..trials.measures import Layout
from .run_folder import RunError, sync_file, sync_folder

PIECE = 20_000  # rows that are held at once of an array that is hashed
LABELS_PER_CHUNK = {False: 65_536, True: 16}  # numbers, words: room to grow without a file a label


class DamagedStore(RunError):
    """Stored arrays that cannot be read: a missing array, or a chunk whose checksum is wrong; run again to mend."""


@dataclass(frozen=True)
class Place:
    """Where one block in one arm stands: its number, its rows first .. stop - 1, its place along the arm axis."""

    block: int
    first: int
    stop: int
    arm: int


def is_words(dtype: np.dtype) -> bool:
    return dtype.kind in "UOT"


def plain_words(values: np.ndarray) -> np.ndarray:
    """Words as numpy's own fixed-width text, everything else as it is."""
    return np.array(values.tolist(), dtype=str).reshape(values.shape) if is_words(values.dtype) else values


def dims_of(array: zarr.Array) -> tuple[str, ...]:
    names = getattr(array.metadata, "dimension_names", None)  # format 2 has none; nothing here writes it
    if names is None:
        raise DamagedStore(f"{array.store_path} has no names of its dimensions; run again to mend")
    return tuple(names)


def create_array(
    group: zarr.Group,
    name: str,
    variable: tuple[tuple[str, ...], tuple[int, ...], np.dtype],
    chunks: tuple[int, ...],
    attributes: Mapping[str, Any],
) -> zarr.Array:
    """An array of (dims, shape, dtype); float and int8 start as "not computed", other types have no such value."""
    dims, shape, dtype = variable
    words = is_words(dtype)
    return group.create_array(
        name,
        shape=shape,
        chunks=tuple(max(1, c) for c in chunks),
        dtype="str" if words else dtype,
        fill_value="" if words else (np.nan if dtype.kind == "f" else 0),
        compressors=(ZstdCodec(level=3), Crc32cCodec()),
        dimension_names=dims,
        chunk_key_encoding={"name": "default", "separator": "."},  # one folder an array: one fsync makes a name last
        attributes=dict(attributes),
        config={"write_empty_chunks": True},
    )


def save(path: Path, dataset: xr.Dataset, rows: int) -> None:
    """Write a dataset along `twin` in chunks of `rows` twins; it appears under its name whole or not at all."""
    save_blocks(path, [dataset], dataset.sizes.get("twin", 0), rows)


def cut(blocks: Iterable[xr.Dataset], twins: int) -> Iterator[xr.Dataset]:
    """The same twins in blocks of so many, the last with what is left."""
    kept: list[xr.Dataset] = []
    for block in blocks:
        kept.append(block)
        if sum(one.sizes["twin"] for one in kept) < twins:
            continue
        joined = xr.concat(kept, dim="twin", combine_attrs="override") if len(kept) > 1 else kept[0]
        whole = joined.sizes["twin"] // twins * twins
        for first in range(0, whole, twins):
            yield joined.isel(twin=slice(first, first + twins))
        kept = [joined.isel(twin=slice(whole, None))]
    if kept and (len(kept) > 1 or kept[0].sizes["twin"]):
        yield xr.concat(kept, dim="twin", combine_attrs="override")


def save_blocks(path: Path, blocks: Iterable[xr.Dataset], twins: int, rows: int) -> None:
    """The same for `twins` twins that come block by block, with the same variables in each."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    stored: dict[str, zarr.Array] = {}
    done = 0
    try:
        for block in blocks:
            count = block.sizes.get("twin", 0)  # a posterior has none
            if not stored:
                group = zarr.create_group(part, zarr_format=3, attributes=_plain(block.attrs))
            for name, values in block.variables.items():
                array = canonical(np.asarray(values.values))
                dims = tuple(str(dim) for dim in values.dims)
                if str(name) not in stored:
                    shape = tuple(twins if dim == "twin" else size for dim, size in zip(dims, array.shape, strict=True))
                    chunks = tuple(min(rows, n) if dim == "twin" else n for dim, n in zip(dims, shape, strict=True))
                    layout = (dims, shape, array.dtype)
                    stored[str(name)] = create_array(group, str(name), layout, chunks, _plain(values.attrs))
                place = tuple(slice(done, done + count) if dim == "twin" else slice(None) for dim in dims)
                stored[str(name)][place] = array.astype(object) if is_words(array.dtype) else array
            done += count
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    replace_tree(part, path)


def replace_tree(part: Path, path: Path) -> None:
    """Put a finished folder in the place of an old one, made durable first."""
    for file in part.rglob("*"):
        sync_file(file) if file.is_file() else sync_folder(file)
    old = path.with_name(f".{path.name}.{uuid.uuid4().hex}.old")
    if path.exists():
        path.rename(old)
    part.rename(path)
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def load(path: Path, rows: slice = slice(None)) -> xr.Dataset:
    """Read a dataset, or some of its twins, into memory.

    Raises
    ------
    DamagedStore
        A chunk fails its checksum or an array is gone.
    """
    return read_rows(open_group(path), rows)


def open_group(path: Path) -> zarr.Group:
    """A store for reading."""
    try:
        return zarr.open_group(path, mode="r")
    except Exception as error:  # zarr raises many kinds for a broken store
        raise DamagedStore(f"{path} cannot be opened: {error}") from error


def read_rows(group: zarr.Group, rows: slice = slice(None)) -> xr.Dataset:
    """Rows of every array of a store that has been opened, in name order."""
    variables = {}
    try:
        for name, array in all_arrays(group):
            dims = dims_of(array)
            where = tuple(rows if dim == "twin" else slice(None) for dim in dims)
            values = np.asarray(array[where])
            variables[name] = (dims, plain_words(values), dict(array.attrs))
    except Exception as error:  # a wrong checksum, a short file, metadata that is no JSON
        raise DamagedStore(f"{group.store_path} is damaged: {error}") from error
    coords = {name: variables.pop(name) for name in list(variables) if variables[name][0] == (name,)}
    return xr.Dataset(variables, coords=coords, attrs=dict(group.attrs))


def canonical(values: np.ndarray) -> np.ndarray:
    """The same values with one bit pattern for NaN, so that equal values have equal bytes."""
    if values.dtype.kind != "f":
        return values
    return np.where(np.isnan(values), np.array(np.nan, dtype=values.dtype), values)


def hash_arrays(arrays: Mapping[str, np.ndarray | xr.Variable]) -> str:
    """sha256 over the arrays in name order, each as name, dtype, shape, C-order bytes; words as JSON text."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        for part in _hashed(name, arrays[name]):
            digest.update(part)
    return digest.hexdigest()


def _hashed(name: str, values: np.ndarray | xr.Variable) -> Iterator[bytes]:
    """The bytes of one array, a piece of it at a time."""
    if is_words(values.dtype):
        yield f"{name}\0text\0{values.shape}\0".encode()
        if values.ndim != 1:
            yield json.dumps(plain_words(np.asarray(values)).tolist()).encode()
            return
        for number, piece in enumerate(_pieces(values)):
            yield (", " if number else "[").encode() + json.dumps(plain_words(piece).tolist())[1:-1].encode()
        yield b"]"
        return
    kind = values.dtype.newbyteorder("<").str
    yield f"{name}\0{kind}\0{values.shape}\0".encode()
    for piece in _pieces(values):
        yield np.ascontiguousarray(canonical(piece)).astype(kind, copy=False).tobytes()


def _pieces(values: np.ndarray | xr.Variable) -> Iterator[np.ndarray]:
    """An array in pieces along its first axis, in order."""
    if values.ndim == 0 or values.shape[0] <= PIECE:
        yield np.asarray(values)
        return
    for first in range(0, values.shape[0], PIECE):
        yield np.asarray(values[first : first + PIECE])


def digest(dataset: xr.Dataset) -> str:
    """Digest of the values of a dataset, coordinates with them; attributes and chunks do not count."""
    return hash_arrays({str(name): variable for name, variable in dataset.variables.items()})


def _plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them."""
    return {str(key): value.item() if isinstance(value, np.generic) else value for key, value in attributes.items()}


def chunk_file(array: zarr.Array, path: Path, index: Sequence[int]) -> Path:
    """Where the chunk of `index` stands; the rest of the index is 0."""
    padded = [*index, *[0] * (array.ndim - len(index))]
    return path / array.path / ".".join(["c", *[str(i) for i in padded]])


def all_arrays(group: zarr.Group) -> list[tuple[str, zarr.Array]]:
    """Every array in name order; Zarr itself lists them as its answers come in."""
    return sorted(group.arrays(), key=lambda pair: pair[0])


def arrays_of(group: zarr.Group) -> Iterator[tuple[str, zarr.Array]]:
    """The arrays that hold results, coordinates left out, in name order."""
    for name, array in all_arrays(group):
        if dims_of(array) != (name,):
            yield name, array


def create(
    path: Path, layout: Mapping[str, Layout], coords: Mapping[str, np.ndarray], rows: int, adopt: bool = False
) -> None:
    """An empty store along (twin, arm, ...), one chunk a block of `rows` twins and arm; appears whole or not at all.

    With `adopt` the chunks of the store that stood there are taken over; whether they hold is for the records to say.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    group = zarr.create_group(part, zarr_format=3)
    for name, values in coords.items():
        stored = create_array(
            group, name, ((name,), values.shape, values.dtype), (LABELS_PER_CHUNK[is_words(values.dtype)],), {}
        )
        stored[...] = values.astype(object) if is_words(values.dtype) else values
    for name, one in layout.items():
        shape = tuple(coords[dim].size for dim in one.dims)
        chunks = (rows, 1, *shape[2:])
        create_array(group, name, (one.dims, shape, np.dtype(one.dtype)), chunks, one.attrs)
        for chunk in (path / name).glob("c.*") if adopt else ():
            chunk.rename(part / name / chunk.name)
    replace_tree(part, path)


def rows_per_chunk(path: Path) -> int | None:
    """Twins a block of a store that was made before, None where none can be read."""
    try:
        return int(next(array for _, array in arrays_of(open_group(path))).chunks[0])
    except Exception:  # there is none, or its metadata is no JSON
        return None


def write_block(path: Path, place: Place, values: Mapping[str, np.ndarray]) -> None:
    """Write one block in one arm and make it durable; `values` are (twin, ...) arrays of every result."""
    group = zarr.open_group(path, mode="r+")
    rows = slice(place.first, place.stop)
    for name, array in arrays_of(group):
        chunk = chunk_file(array, path, (place.block, place.arm))
        chunk.unlink(missing_ok=True)  # a damaged chunk would be read before it is overwritten in part
        array.with_config({"write_empty_chunks": True})[rows, place.arm] = canonical(values[name])
        sync_file(chunk)
        sync_folder(chunk.parent)


def read_block(path: Path, place: Place) -> dict[str, np.ndarray]:
    """The stored arrays of one block in one arm.

    Raises
    ------
    DamagedStore
        A chunk fails its checksum or an array is gone.
    """
    rows = slice(place.first, place.stop)
    group = open_group(path)
    found = {}
    try:
        for name, array in arrays_of(group):
            chunk = chunk_file(array, path, (place.block, place.arm))
            if not chunk.is_file():  # it would be read as fill, and that may be what stood in it
                raise DamagedStore(f"{chunk} is missing")
            found[name] = np.asarray(array[rows, place.arm])
    except DamagedStore:
        raise
    except Exception as error:  # a wrong checksum, a short file, metadata that is no JSON
        raise DamagedStore(f"{path} is damaged in block {place.block}: {error}") from error
    return found


def empty_block(path: Path, count: int) -> dict[str, np.ndarray]:
    """Arrays of `count` twins in one arm in which nothing is computed."""
    return {
        name: np.full((count, *array.shape[2:]), array.fill_value, dtype=array.dtype)
        for name, array in arrays_of(open_group(path))
    }


def matches(path: Path, layout: Mapping[str, Layout], coords: Mapping[str, np.ndarray]) -> bool:
    """Whether a store holds these arrays, apart from how many twins there are and which arms were appended."""
    try:
        group = open_group(path)
        stored = {name: array for name, array in arrays_of(group)}
        labels = load_coords(group)
    except (DamagedStore, KeyError):
        return False
    same = {name: (one.dims, np.dtype(one.dtype)) for name, one in layout.items()} == {
        name: (dims_of(array), array.dtype) for name, array in stored.items()
    }
    shared = min(labels["arm"].size, coords["arm"].size)
    return (
        same
        and set(labels) == set(coords)
        and np.array_equal(labels["arm"][:shared], coords["arm"][:shared])
        and all(np.array_equal(labels[n], coords[n]) for n in coords if n not in ("twin", "arm"))
    )


def load_coords(group: zarr.Group) -> dict[str, np.ndarray]:
    """The labels of a store."""
    found = {}
    for name, array in all_arrays(group):
        if dims_of(array) == (name,):
            values = np.asarray(array[:])
            found[name] = plain_words(values)
    return found


def resize(path: Path, layout: Mapping[str, Layout], coords: Mapping[str, np.ndarray]) -> None:
    """Give a store other twins or more arms, and its attributes anew; chunks that stay inside are not touched."""
    group = zarr.open_group(path, mode="r+")
    for name, values in coords.items():
        if not np.array_equal(load_coords(group)[name], values):
            stored = group[name]
            assert isinstance(stored, zarr.Array)
            stored.resize(values.shape)
            stored[...] = values.astype(object) if is_words(values.dtype) else values
    for name, array in arrays_of(group):
        shape = (coords["twin"].size, coords["arm"].size, *array.shape[2:])
        if array.shape != shape:
            array.resize(shape)
        if dict(array.attrs) != dict(layout[name].attrs):
            array.attrs.put(dict(layout[name].attrs))
    for file in (*path.glob("*/zarr.json"), *(chunk for name in coords for chunk in (path / name).glob("c.*"))):
        sync_file(file)
        sync_folder(file.parent)
