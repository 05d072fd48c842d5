"""What happens before the first block: screen, pilot, choose the block, write cohort, protocol, stores and manifest.

The manifest comes last: a folder without one holds no run. Everything here can be cut off and done again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from ..cohorts import load_population
from ..cohorts.screening import screened
from ..trials.baseline import simulated_rules
from ..trials.measures import Layout, outcome_coords, outcome_layout
from ..trials.protocol import Protocol
from ..trials.protocol_writer import write_protocol
from . import store
from .cluster import Connection
from .lazy import lazily
from .pilot import PILOT_TWINS, Pilot, choose_block, piloted, seconds_per_twin
from .records import read_records, simulation_source
from .run_folder import (
    Manifest,
    RunError,
    RunFolder,
    read_manifest,
    remove_leftovers,
    write_atomic,
    write_manifest,
)
from .seal import remove_broken, seal
from .versions import versions

PEOPLE = 2048  # twins a chunk of the cohort, at least: a chunk of a variable is a few pages of the disk
OURS = {"protocol.yaml", "cohort.zarr", "outcomes.zarr", "kept.zarr", "records", "seal.json", "tmp"}


@dataclass
class Screened:
    """The cohort of a protocol as it is found, block by block, and once it is through what became of the candidates."""

    protocol: Protocol
    candidates: int = 0
    screening: tuple[dict[str, str | int], ...] = ()
    head: list[xr.Dataset] = field(default_factory=list)

    def __post_init__(self) -> None:
        chosen = self.protocol.population
        assert chosen is not None
        rules = simulated_rules(self.protocol)
        self._found = screened(
            load_population(chosen.name), chosen.twins, self.protocol.seed, chosen.eligibility, simulated=rules
        )

    def first(self, count: int) -> xr.Dataset:
        """The first twins, so many or all of the cohort."""
        while sum(block.sizes["twin"] for block in self.head) < count and (block := self._next()) is not None:
            self.head.append(block)
        return xr.concat(self.head, dim="twin", combine_attrs="override").isel(twin=slice(count))

    def __iter__(self) -> Iterator[xr.Dataset]:
        """All blocks, once."""
        while self.head:
            yield self.head.pop(0)
        while (block := self._next()) is not None:
            yield block

    def _next(self) -> xr.Dataset | None:
        found = next(self._found, None)
        if found is None:
            return None
        self.candidates, self.screening = found.candidates, screening_counts(found.ledger)
        return found.cohort


def people_per_chunk(block: int) -> int:
    """Twins a chunk of the cohort, whose many variables would be a small file each in every small block.

    >>> people_per_chunk(32), people_per_chunk(20_000)
    (2048, 20000)
    """
    return max(block, PEOPLE)


def screening_counts(ledger: Mapping[tuple[str, str], int]) -> tuple[dict[str, str | int], ...]:
    """Counts by stage and reason as rows."""
    return tuple({"stage": stage, "reason": reason, "count": int(n)} for (stage, reason), n in ledger.items())


def prepare(
    folder: RunFolder, protocol: Protocol, connection: Connection, block: int | None = None, update: bool = False
) -> Manifest:
    """Make the folder ready for the blocks of this protocol; what stands there and still holds is kept.

    Raises
    ------
    RunError
        The folder holds a run of another protocol and `update` is not set, or something that is no run.
    """
    refuse_foreign(folder, protocol)
    old = _manifest_before(folder, protocol)
    source = simulation_source(protocol)
    if old is not None:
        if old.protocol != protocol.digest and not update:
            raise RunError(
                f"{folder.root} holds a run of another protocol ({differences(old, protocol)}); "
                "give another --out, or --update to keep the blocks that are the same in both"
            )
        if block is not None and block != old.block:
            raise RunError(f"{folder.root} has blocks of {old.block} twins, and they never change; leave --block out")
    remove_leftovers(folder)
    is_intact = not remove_broken(folder)
    is_same = old is not None and (old.protocol, old.source) == (protocol.digest, source)
    if old is not None and is_same and is_intact and _is_whole(folder, protocol, old):
        return old
    folder.seal.unlink(missing_ok=True)  # no seal while what it covers is replaced
    assert protocol.population is not None
    found = Screened(protocol)
    size = old.block if old else block or _block_before(folder, protocol)
    tried: Sequence[Pilot] = ()
    if size is None or protocol.keep is not None:
        tried = piloted(connection, protocol, found.first(PILOT_TWINS))
    seconds = seconds_per_twin(tried) if tried else (old.pilot_seconds_per_twin if old else None)
    twins = protocol.population.twins
    if size is None:
        size = choose_block(seconds or 1.0, twins, connection.cluster.size)
    folder.root.mkdir(parents=True, exist_ok=True)
    people = people_per_chunk(size)
    store.save_blocks(folder.cohort, store.cut(found, people), twins, people)
    cohort = lazily(folder.cohort)
    manifest = Manifest(
        name=protocol.name,
        protocol=protocol.digest,
        trial=protocol.model_dump(mode="json"),
        seed=protocol.seed,
        arms=_arm_order(protocol, old),
        rows=twins,
        block=size,
        candidates=found.candidates,
        screening=found.screening,
        cohort=store.digest(cohort),
        source=source,
        pilot_seconds_per_twin=seconds,
        versions=versions(),
    )
    write_atomic(folder.protocol, write_protocol(protocol).encode())
    labels = _labels(protocol, manifest, cohort["twin"].values)
    mend = not is_intact and (is_same or old is None)
    _make_store(folder.outcomes, outcome_layout(protocol), labels, size, mend)
    kept = tried[0].kept if tried else None
    if protocol.keep is not None and kept is not None:
        ids = cohort["twin"].values[: protocol.keep.twins]
        layout, labels = _kept_layout(kept, ids, manifest)
        _make_store(folder.kept, layout, labels, size, mend)
    elif folder.kept.exists():
        shutil.rmtree(folder.kept)
    write_manifest(folder, manifest)
    seal(folder)
    return manifest


def _manifest_before(folder: RunFolder, protocol: Protocol) -> Manifest | None:
    """The manifest in the folder, None where there is none, or a damaged one beside this very protocol."""
    try:
        return read_manifest(folder) if folder.manifest.exists() else None
    except RunError:
        if _is_of(folder, protocol):
            return None
        raise


def _is_of(folder: RunFolder, protocol: Protocol) -> bool:
    """Whether a folder without a manifest that can be read is a run of this protocol, by the text it holds."""
    try:
        return folder.records.is_dir() and folder.protocol.read_bytes() == write_protocol(protocol).encode()
    except OSError:
        return False


def _block_before(folder: RunFolder, protocol: Protocol) -> int | None:
    """The block of a run whose manifest was lost, as its stores or its records tell it."""
    if not _is_of(folder, protocol):
        return None
    found = store.rows_per_chunk(folder.outcomes)
    return found or max((record.count for record in read_records(folder)), default=None)


def _make_store(
    path: Path, layout: Mapping[str, Layout], labels: Mapping[str, np.ndarray], rows: int, mend: bool
) -> None:
    """Create a store, or fit the one that is there; with `mend` it is renewed around its blocks."""
    if not mend and store.matches(path, layout, labels):
        store.resize(path, layout, labels)
    else:
        store.create(path, layout, labels, rows, adopt=mend)


def _labels(protocol: Protocol, manifest: Manifest, ids: np.ndarray) -> dict[str, np.ndarray]:
    return {**outcome_coords(protocol), "twin": ids, "arm": np.array(manifest.arms)}


def _kept_layout(
    kept: xr.Dataset, ids: np.ndarray, manifest: Manifest
) -> tuple[dict[str, Layout], dict[str, np.ndarray]]:
    """Arrays (twin, arm[, time]) for trajectories of the shape that the pilot gave."""
    layout = {
        str(name): Layout(
            ("twin", "arm", *[str(d) for d in values.dims if d != "twin"]), str(values.dtype), dict(values.attrs)
        )
        for name, values in kept.data_vars.items()
    }
    others = {str(name): values.values for name, values in kept.coords.items() if name != "twin"}
    return layout, {**others, "twin": ids, "arm": np.array(manifest.arms)}


def _arm_order(protocol: Protocol, old: Manifest | None) -> tuple[str, ...]:
    """Arms in the order of the store: those that were there first, then the new ones."""
    before = old.arms if old else ()
    return (*before, *(arm.name for arm in protocol.arms if arm.name not in before))


def _has_cohort(folder: RunFolder, manifest: Manifest) -> bool:
    try:
        return folder.cohort.exists() and store.digest(lazily(folder.cohort)) == manifest.cohort
    except store.DamagedStore:
        return False


def _is_whole(folder: RunFolder, protocol: Protocol, manifest: Manifest) -> bool:
    """Whether everything but blocks stands in the folder as the manifest says."""
    if not _has_cohort(folder, manifest) or not folder.protocol.is_file():
        return False
    try:
        ids = store.load_coords(store.open_group(folder.cohort))["twin"]
        if protocol.keep is not None:
            store.open_group(folder.kept)
    except (KeyError, store.DamagedStore):
        return False
    labels = _labels(protocol, manifest, ids)
    return store.matches(folder.outcomes, outcome_layout(protocol), labels) and all(
        np.array_equal(values, labels[name])
        for name, values in store.load_coords(store.open_group(folder.outcomes)).items()
    )


def refuse_foreign(folder: RunFolder, protocol: Protocol) -> None:
    """Never write into a folder of somebody's files."""
    if folder.root.exists() and not folder.root.is_dir():
        raise RunError(f"{folder.root} is a file; give a folder with --out")
    if folder.manifest.exists() or not folder.root.exists() or _is_of(folder, protocol):
        return
    foreign = [p.name for p in folder.root.iterdir() if p.name not in OURS and not p.name.startswith(".")]
    if foreign:
        raise RunError(
            f"{folder.root} is not empty and holds no run ({', '.join(sorted(foreign)[:5])}); give an empty folder"
        )


def differences(old: Manifest, protocol: Protocol) -> str:
    """In which blocks two protocols differ, in words."""
    after = protocol.model_dump(mode="json")
    return "they differ in " + ", ".join(key for key in after if after[key] != old.trial.get(key))
