"""Is this folder what it says? Digests are recomputed, and some twins are drawn and simulated again, bit for bit."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..cohorts import load_population, sample_twins
from . import store
from .block import Bench, bench, fault_of, simulate_rows
from .lazy import Blocks, lazily
from .records import read_record, read_records, twins_digest
from .run import read_outcomes
from .run_folder import RunError, RunFolder
from .seal import broken


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and every difference, a line each."""

    blocks: int
    twins: tuple[int, ...]
    outcomes_digest: str | None
    differences: tuple[str, ...]


def verify(folder: RunFolder, twins: int = 3) -> Verdict:
    """Recompute the digests of a run and simulate `twins` of its twins again, chosen at random.

    Specification
    -------------
    1. Manifest, protocol, cohort, tables, posteriors and report are byte for byte what the run sealed, and the cohort
       has the digest of the manifest.
    2. Every block has a record whose key is that of this protocol, these twins and this source.
    3. The stored bytes of every block have the sha256 of its record.
    4. Where nothing differs so far: the outcomes have the digest that results.json states.
    5. And twins drawn again from the population equal their rows of the cohort; simulated again, their outcomes. Other
       bits are expected on another family of processors, and with other versions than the manifest names.
    """
    if not folder.manifest.is_file() and not folder.records.is_dir():
        folder.require()
    found = list(damage(folder))
    try:
        this = bench(folder)
        cohort = lazily(folder.cohort)
        if store.digest(cohort) != this.manifest.cohort:
            found.append("cohort.zarr has another digest than the manifest")
    except (RunError, OSError) as error:
        return Verdict(0, (), None, (*found, str(error)))
    found += _made_otherwise(this, cohort)
    if found:
        return Verdict(this.manifest.blocks, (), None, tuple(found))
    digest = store.digest(read_outcomes(folder))
    rows = _some_rows(this, twins)
    ids = cohort["twin"].values[rows]
    found += _results(folder, digest) + _drawn_again(this, cohort.isel(twin=rows))
    found += [fault for row in rows for fault in _simulated_again(this, cohort, row)]
    return Verdict(this.manifest.blocks, tuple(ids.tolist()), digest, tuple(found))


def damage(folder: RunFolder, made_again: str = "") -> Iterator[str]:
    """Every file that is not what the run left, and every block whose bytes are not those of its record, in a line.

    `made_again` is a file that is about to be written anew.
    """
    yield from (_otherwise(folder, name) for name in broken(folder) if name != made_again)
    try:
        this = bench(folder)
    except (RunError, OSError):
        return  # a manifest that cannot be read is among the lines above
    outcomes = Blocks(folder.outcomes)
    for block in range(this.manifest.blocks):
        for arm in this.protocol.arms:
            record = read_record(folder, arm.name, block)
            if record is None:
                yield f"block {block} of arm {arm.name}: no record, or one that cannot be read"
            elif (fault := fault_of(this, record, outcomes)) is not None:
                yield fault


def require_undamaged(folder: RunFolder, made_again: str = "") -> None:
    """Refuse to pass on what is not what the run left.

    Raises
    ------
    RunError
        Something differs; see `damage`.
    """
    found = list(damage(folder, made_again))
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise RunError(f"{folder.root} is damaged ({found[0]}{more}); start the run again to mend it")


def _otherwise(folder: RunFolder, name: str) -> str:
    """What is wrong with a file that the seal names."""
    if not (folder.root / name).is_file():
        return f"{name} is missing"
    return f"{name} holds other bytes than the run left" if name != folder.seal.name else f"{name} has been changed"


def _some_rows(this: Bench, count: int) -> list[int]:
    """Rows at random, without the twins that were quarantined: one of those may end this process."""
    bad = {twin.twin for record in read_records(this.folder) for twin in record.quarantined}
    ids = store.load_coords(store.open_group(this.folder.cohort))["twin"]
    usable = np.flatnonzero(~np.isin(ids, list(bad))).tolist()
    return sorted(random.SystemRandom().sample(usable, min(count, len(usable))))


def _made_otherwise(this: Bench, cohort: xr.Dataset) -> list[str]:
    """A line where blocks were made from anything else than what stands here now."""
    other = 0
    for block in range(this.manifest.blocks):
        rows = twins_digest(cohort, slice(*this.manifest.span(block)))
        for arm in this.protocol.arms:
            record = read_record(this.folder, arm.name, block)
            other += record is not None and record.key != this.key(block, arm, rows)
    if not other:
        return []
    return [
        f"{other} of {this.manifest.blocks * len(this.protocol.arms)} blocks were made from other twins, "
        "another protocol or other source than there is now; `twinarm run` makes them again"
    ]


def _results(folder: RunFolder, digest: str) -> list[str]:
    try:
        stated = json.loads(folder.results.read_text(encoding="utf-8"))["outcomes"]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError):
        return ["results.json cannot be read"]
    return [] if stated == digest else ["results.json was made from other outcomes than outcomes.zarr holds"]


def _drawn_again(this: Bench, cohort: xr.Dataset) -> list[str]:
    assert this.protocol.population is not None
    population = load_population(this.protocol.population.name)
    again = sample_twins(population, cohort["twin"].values, this.protocol.seed)
    if set(again.data_vars) != set(cohort.data_vars):
        return ["the population draws other variables than cohort.zarr holds"]
    return [
        f"{name} of twins {cohort['twin'].values.tolist()} is drawn otherwise than it stands in cohort.zarr"
        for name in again.data_vars
        if store.hash_arrays({"": again[name].values}) != store.hash_arrays({"": cohort[name].values})
    ]


def _simulated_again(this: Bench, cohort: xr.Dataset, row: int) -> list[str]:
    block = row // this.manifest.block
    found = []
    for arm in this.protocol.arms:
        place = store.Place(block, row, row + 1, this.manifest.arms.index(arm.name))
        stored = store.read_block(this.folder.outcomes, place)
        again = simulate_rows(this, place, arm, cohort.isel(twin=slice(row, row + 1))).outcomes
        for name, values in again.items():
            if store.canonical(np.asarray(values)).tobytes() != stored[name].tobytes():
                twin = int(cohort["twin"].values[row])
                found.append(
                    f"twin {twin} in arm {arm.name}: {name} is {values[0]} now, {stored[name][0]} in the store"
                )
    return found
