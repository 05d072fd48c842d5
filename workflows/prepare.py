"""What happens before the first block: screen, pilot, choose the block, write cohort, protocol, stores and manifest.

The manifest comes last: a folder without one holds no run. Everything here can be cut off and done again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
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
from ..trials.simulate import simulate_block
from . import store
from .block import AT_ONCE
from .cluster import Connection
from .executor import FIRST_PATIENCE, call_off
from .lazy import lazily
from .records import simulation_source
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

MOST_TWINS_PER_BLOCK = 20_000
MOST_BLOCKS = 10_000
SECONDS_PER_BLOCK = 1.5
LEAST_SECONDS_PER_BLOCK = 0.2
PILOT_SECONDS = 0.3
PILOT_TWINS = AT_ONCE
OURS = {"protocol.yaml", "cohort.zarr", "outcomes.zarr", "kept.zarr", "records", "seal.json", "tmp"}


@dataclass(frozen=True)
class Pilot:
    """What a few twins told: seconds a twin costs over all arms, and the shape of kept trajectories."""

    seconds_per_twin: float
    twins: int
    kept: xr.Dataset | None


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


def screening_counts(ledger: Mapping[tuple[str, str], int]) -> tuple[dict[str, str | int], ...]:
    """Counts by stage and reason as rows."""
    return tuple({"stage": stage, "reason": reason, "count": int(n)} for (stage, reason), n in ledger.items())


def piloted(connection: Connection, protocol: Protocol, cohort: xr.Dataset) -> Pilot:
    """The pilot on a worker; where that ends the worker's process or does not come back, with single twins."""
    from distributed import KilledWorker

    from ..trials.analysis.sampling import load_libraries

    for rows in (slice(0, PILOT_TWINS), slice(0, 1), slice(1, 2), slice(2, 3), slice(3, 4)):
        client = connection.client()
        running = client.submit(pilot, protocol, cohort.isel(twin=rows), pure=False)
        if connection.cluster.processes:  # this one has nothing else to do until the pilot is back
            load_libraries()
        try:
            found: Pilot = running.result(timeout=FIRST_PATIENCE)
            return found
        except KilledWorker:
            continue
        except TimeoutError:
            call_off(client, [running])
    raise RunError("the model ends its process, or never comes back, for every one of the first twins; mend it", 70)


def pilot(protocol: Protocol, cohort: xr.Dataset) -> Pilot:
    """Simulate a few twins in every arm: compiles, and measures.

    Raises
    ------
    Exception
        That of the first twin, where none of the first four can be simulated: a run would quarantine everyone.
    """
    available = min(PILOT_TWINS, cohort.sizes["twin"])
    errors: list[Exception] = []
    for start in range(available):
        try:
            kept = _simulate(protocol, cohort, slice(start, start + 1))
        except Exception as error:
            errors.append(error)
            if len(errors) >= 4:
                break
            continue
        return _timed(protocol, cohort, start, kept)
    raise errors[0]


def _timed(protocol: Protocol, cohort: xr.Dataset, start: int, kept: xr.Dataset | None) -> Pilot:
    """Time growing groups of twins until a group says enough; a group that raises is left to the run."""
    available = cohort.sizes["twin"] - start
    seconds, twins = 0.0, 0
    count = 1
    while seconds < PILOT_SECONDS and count <= min(PILOT_TWINS, available) and twins != count:
        begun = time.perf_counter()
        try:
            _simulate(protocol, cohort, slice(start, start + count))
        except Exception:
            break
        seconds, twins = time.perf_counter() - begun, count
        count = min(4 * count, available, PILOT_TWINS)
    return Pilot(seconds / twins if twins else PILOT_SECONDS, twins, kept)


def _simulate(protocol: Protocol, cohort: xr.Dataset, rows: slice) -> xr.Dataset | None:
    twins = cohort.isel(twin=rows)
    kept = None
    for arm in protocol.arms:
        _, trajectories = simulate_block(protocol, arm.name, twins, twins["twin"].values if protocol.keep else ())
        kept = trajectories if kept is None else kept
    return kept


def choose_block(seconds_per_twin: float, twins: int, workers: int) -> int:
    """Twins a block: about a second and a half of work over all arms, less where workers would stand idle.

    >>> choose_block(0.01, 100_000, 2), choose_block(0.01, 200, 8), choose_block(1e-6, 10**6, 2)
    (152, 24, 20000)
    """
    wanted = SECONDS_PER_BLOCK / max(seconds_per_twin, 1e-9)
    share = twins / (4 * workers)
    least = LEAST_SECONDS_PER_BLOCK / max(seconds_per_twin, 1e-9)
    size = max(min(wanted, max(share, least), MOST_TWINS_PER_BLOCK), -(-twins // MOST_BLOCKS), 1)
    return 8 * -(-int(size) // 8) if size > 8 else int(size)  # twins run in lanes of 8


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
    tried = None
    if size is None or protocol.keep is not None:
        tried = piloted(connection, protocol, found.first(PILOT_TWINS))
    twins = protocol.population.twins
    if size is None:
        size = choose_block(tried.seconds_per_twin if tried else 1.0, twins, connection.cluster.size)
    folder.root.mkdir(parents=True, exist_ok=True)
    store.save_blocks(folder.cohort, store.cut(found, size), twins, size)
    cohort = lazily(folder.cohort)
    seconds = tried.seconds_per_twin if tried else (old.pilot_seconds_per_twin if old else None)
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
    if protocol.keep is not None and tried is not None and tried.kept is not None:
        ids = cohort["twin"].values[: protocol.keep.twins]
        layout, labels = _kept_layout(tried.kept, ids, manifest)
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
    """The block of a run whose manifest was lost, as its store tells it."""
    return store.rows_per_chunk(folder.outcomes) if _is_of(folder, protocol) else None


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
